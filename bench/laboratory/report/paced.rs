//! How long answers take at a fixed rate: the whole distribution.

use super::axis::Axis;
use super::data::{Cell, Results, Sample};
use super::lines::{Lines, Size};
use super::numbers::{Spread, clients, float, float64, percent, rough, time};
use super::plots::{Figure, P99, series, what};
use super::sentences::{Better, Course, entries_at, first, growths};
use super::view::{self, Load};

/// Places on the axis of percentiles: 1 in so many answers takes longer.
const MARKED: [f64; 5] = [2.0, 10.0, 100.0, 1e3, 1e4];

/// Between two powers of ten.
const STEPS: usize = 12;

fn percentile(one_in: f64) -> String {
    match one_in {
        x if x < 3.0 => "50 %".into(),
        x if x < 30.0 => "90 %".into(),
        x if x < 300.0 => "99 %".into(),
        x if x < 3e3 => "99.9 %".into(),
        _ => "99.99 %".into(),
    }
}

/// How long all but one in so many of the requests took at most, in the middle of all rounds.
fn longest(cell: &Cell, one_in: f64) -> Option<Spread> {
    if cell.failure.is_some() {
        return None;
    }
    let time = |sample: &Sample| view::longest(cell, sample, 1.0 - 1.0 / one_in);
    let times: Vec<f64> = cell.samples.iter().filter_map(time).collect();
    (times.len() * 2 > cell.samples.len()).then(|| Spread::of(&times))?
}

pub(crate) fn distribution(results: &Results, load: Load) -> Option<Figure> {
    let between = (STEPS / 3..=4 * STEPS).map(|step| 10f64.powf(float(step) / float(STEPS)));
    let places: Vec<f64> = std::iter::once(MARKED[0]).chain(between).collect();
    let is_marked = |x: f64| MARKED.iter().any(|mark| (mark - x).abs() < mark * 1e-9);
    let mut fine: Vec<Course<'_>> = Vec::new();
    for (at, entrant) in results.entrants.iter().enumerate() {
        let Some(cell) = view::cell(results, at, &load) else { continue };
        let points = places.iter().filter_map(|x| Some((*x, longest(cell, *x)?))).collect();
        fine.push(Course { entrant: at, name: &entrant.name, points });
    }
    let all = fine.iter().flat_map(|course| course.points.iter());
    let all: Vec<f64> = all.flat_map(|(_, spread)| [spread.low, spread.high]).collect();
    let y = Axis::log(&all, time)?;
    let mut series = series(results, &fine, &y, |x, spread| {
        format!("{} of the requests: {}", percentile(x), time(spread.middle))
    });
    for point in series.iter_mut().flat_map(|series| &mut series.points) {
        if !is_marked(point.x) {
            point.title = None;
            point.whisker = None;
        }
    }
    let marked: Vec<Course<'_>> = fine
        .iter()
        .map(|course| {
            let points = course.points.iter().copied().filter(|(x, _)| is_marked(*x)).collect();
            Course { points, ..course.clone() }
        })
        .collect();
    let lines = Lines {
        x: Axis::at(&MARKED.map(|x| (x, percentile(x))))?,
        y,
        x_title: "share of the requests that wait no longer".into(),
        y_title: "latency, logarithmic".into(),
        series,
    };
    let rate = rough(load.rate.unwrap_or_default());
    let at = format!("At {rate} requests per second");
    let mut second = growths("the wait", &marked, Better::Less, |from, to| {
        format!("the {} to the {}", rank(from), rank(to))
    });
    if let Some(left) = most_unanswered(results, &load) {
        second = format!("{}; {left}.", second.trim_end_matches('.'));
    }
    Some(Figure {
        question: format!("How long does each answer take at {rate} requests per second?"),
        what: format!("{}; {}", what(results, &load), clients(load.clients)),
        drawings: [lines.draw(Size::Wide), lines.draw(Size::Narrow)],
        sentences: [first(&at, &entries_at(&marked, 100.0), &P99), second],
        oddities: view::oddities(results, &[load], view::rate),
    })
}

fn rank(one_in: f64) -> String {
    match percentile(one_in).strip_suffix(" %") {
        Some(place) if one_in > 3.0 => format!("{place}th percentile"),
        Some(_) | None => "median".into(),
    }
}

/// Who left the largest share of the requests without an answer.
fn most_unanswered(results: &Results, load: &Load) -> Option<String> {
    let shares = results.entrants.iter().enumerate().filter_map(|(at, entrant)| {
        let cell = view::cell(results, at, load)?;
        let answers: u64 = cell.samples.iter().map(|sample| sample.answers).sum();
        let left = float64(view::unanswered(cell));
        (left > 0.0).then(|| (left / (left + float64(answers)), &entrant.name))
    });
    let (share, name) = shares.max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(format!("{name} left {} of the requests without an answer", percent(share)))
}
