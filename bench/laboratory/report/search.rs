//! How many threads, processes or loops each has, and what else was tried.

use super::axis::Axis;
use super::data::{Entrant, Results, Tried};
use super::lines::{Lines, Point, Series, Size};
use super::numbers::{clients, float, float64, grouped, listed, per_second, times};
use super::plots::Figure;
use super::svg::Style;

/// How the sizes were chosen.
pub(crate) fn search(results: &Results) -> Option<Figure> {
    let searched: Vec<usize> =
        (0..results.entrants.len()).filter(|at| results.entrants[*at].search.len() > 1).collect();
    let tried = || searched.iter().flat_map(|at| &results.entrants[*at].search);
    let mut sizes: Vec<usize> = tried().map(|tried| tried.size.max(1)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let ticks: Vec<(f64, String)> =
        sizes.iter().map(|size| (float(*size), grouped(float(*size)))).collect();
    let x = Axis::at(&ticks)?;
    let mut series = Vec::new();
    for at in &searched {
        let entrant = &results.entrants[*at];
        let mut tried = entrant.search.clone();
        tried.sort_by_key(|tried| tried.size);
        let point = |tried: &Tried| Point {
            x: float(tried.size.max(1)),
            y: tried.rate,
            whisker: None,
            title: Some(title(&entrant.name, tried)),
            is_chosen: entrant.size == Some(tried.size),
        };
        series.push(Series {
            entrant: *at,
            name: entrant.name.clone(),
            style: Style::of(*at, entrant.kind),
            points: tried.iter().map(point).collect(),
            failed: Vec::new(),
        });
    }
    let most = tried().map(|tried| tried.clients).max().filter(|&count| count > 0);
    let lines = Lines {
        x,
        y: Axis::linear(tried().map(|tried| tried.rate).fold(0.0, f64::max), grouped),
        x_title: "threads, processes or loops, logarithmic".into(),
        y_title: "answers per second".into(),
        series,
    };
    Some(Figure {
        question: "How many threads, processes or loops should they have?".into(),
        what: format!(
            "Each size was tried for a moment{}; the one with the ring was taken: of those that \
             leave the fewest clients without an answer the smallest that is as good as the best",
            most.map_or_else(String::new, |count| format!(" by up to {}", clients(count)))
        ),
        drawings: [lines.draw(Size::Wide), lines.draw(Size::Narrow)],
        sentences: search_sentences(results, &searched),
        oddities: searched.iter().filter_map(|at| left_out(&results.entrants[*at])).collect(),
    })
}

fn title(name: &str, tried: &Tried) -> String {
    let left = match tried.unanswered {
        0 => String::new(),
        count => {
            format!(", {} of {} wait in vain", grouped(float64(count)), clients(tried.clients))
        }
    };
    format!("{name}, {}: {}{left}", tried.size, per_second(tried.rate))
}

/// With which sizes it left clients without an answer.
fn left_out(entrant: &Entrant) -> Option<String> {
    let is_left = |tried: &&Tried| tried.unanswered * 100 > tried.clients as u64;
    let sizes: Vec<&Tried> = entrant.search.iter().filter(is_left).collect();
    let clients = clients(sizes.first()?.clients);
    let sizes: Vec<String> = sizes.iter().map(|tried| grouped(float(tried.size))).collect();
    let name = &entrant.name;
    let with = listed(&sizes);
    Some(format!("Of {clients}, {name} left more than one in a hundred waiting with {with}."))
}

fn search_sentences(results: &Results, searched: &[usize]) -> [String; 2] {
    let gain = |at: &usize| {
        let entrant = &results.entrants[*at];
        let by = |one: &&Tried, other: &&Tried| one.rate.total_cmp(&other.rate);
        // Only what leaves no more clients waiting can be chosen.
        let fewest = entrant.search.iter().map(|tried| tried.unanswered).min()?;
        let serves = |tried: &&Tried| tried.unanswered * 100 <= fewest * 100 + tried.clients as u64;
        let answers = || entrant.search.iter().filter(serves).filter(|tried| tried.rate > 0.0);
        let (best, worst) = (answers().max_by(by)?, answers().min_by(by)?);
        (best.size != worst.size).then(|| (best.rate / worst.rate, &entrant.name, best, worst))
    };
    let mut gains: Vec<_> = searched.iter().filter_map(gain).collect();
    gains.sort_by(|one, other| other.0.total_cmp(&one.0));
    let count = searched.iter().map(|at| results.entrants[*at].search.len()).sum::<usize>();
    let Some((ratio, name, best, worst)) = gains.first() else {
        let one = "Nobody has two sizes that leave as few clients without an answer.";
        return [one.into(), format!("{count} were tried.")];
    };
    let one = format!(
        "Size matters most to {name}: {} give {}, {} times what {} give{}.",
        best.size,
        per_second(best.rate),
        times(*ratio),
        worst.size,
        if worst.size == 1 { "s" } else { "" },
    );
    let other = match gains.as_slice() {
        [_, .., (ratio, name, best, _)] => format!(
            "It matters least to {name}, whose best size, {}, gives {} times what its worst does.",
            best.size,
            times(*ratio)
        ),
        [..] => format!(
            "Nobody else has two sizes that leave as few clients without an answer; {count} were \
             tried."
        ),
    };
    [one, other]
}
