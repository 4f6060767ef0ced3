//! What one load costs each entrant: one drawing of rows for each question.

use super::axis::Axis;
use super::data::Results;
use super::lines::Size;
use super::numbers::{Spread, clients, grouped, memory, percent, rough, time};
use super::plots::{Figure, RATE, Sweep, what};
use super::rows::{Form, Row, Rows};
use super::sentences::{Better, Words, first, for_many, last, shares};
use super::svg::{Style, Svg};
use super::view::{self, Entry, Load, Measure};

const PROCESSOR: Words = Words {
    better: Better::Less,
    does: "takes the least processor time for a request",
    value: time,
};

const SWITCHES: Words = Words {
    better: Better::Less,
    does: "has the fewest context switches",
    value: |count| format!("{} for each request", rough(count)),
};

const MEMORY: Words =
    Words { better: Better::Less, does: "needs the least memory for a connection", value: memory };

/// What a request and a connection cost, where somebody could tell.
pub(crate) fn all(results: &Results, loads: &[Load]) -> Vec<Figure> {
    [processor(results, loads), switches(results, loads), connection(results, loads)]
        .into_iter()
        .flatten()
        .collect()
}

fn processor(results: &Results, loads: &[Load]) -> Option<Figure> {
    let load = view::fullest(results, loads, view::processor, view::near_100)?;
    let parts = Parts {
        measures: [view::user, view::system],
        names: vec!["user: its own code", "system: the kernel"],
        whole: view::processor,
    };
    let entries = view::entries(results, &load, view::processor);
    let kernel: Vec<(&str, f64)> = entries
        .iter()
        .filter_map(|entry| {
            let cell = view::cell(results, entry.entrant, &load)?;
            let system = view::spread(cell, view::system)?.middle;
            let user = view::spread(cell, view::user)?.middle;
            (user + system > 0.0).then(|| (entry.name, system / (user + system)))
        })
        .collect();
    let second = shares("The kernel's share", &kernel)
        .unwrap_or_else(|| "Nobody took any that could be measured.".into());
    let title = "microseconds of processor time for each request";
    let drawings = stacked(results, &load, &parts, title, time)?;
    let question = "How much processor time does a request cost?";
    Some(figure(results, load, question, drawings, &entries, &PROCESSOR, second))
}

fn switches(results: &Results, loads: &[Load]) -> Option<Figure> {
    let load = view::fullest(results, loads, view::switches, view::near_100)?;
    let parts = Parts {
        measures: [view::voluntary, view::involuntary],
        names: vec!["voluntary: waits", "involuntary: has to"],
        whole: view::switches,
    };
    let entries = view::entries(results, &load, view::switches);
    let at_most = |measure| {
        let all = view::entries(results, &load, measure);
        all.into_iter().max_by(|one, other| one.spread.middle.total_cmp(&other.spread.middle))
    };
    let second = match (at_most(view::voluntary), at_most(view::involuntary)) {
        (Some(waits), Some(made)) if waits.entrant == made.entrant => format!(
            "{} waits most often, {} times for each request, and is made to wait most often as \
             well, {} times.",
            waits.name,
            rough(waits.spread.middle),
            rough(made.spread.middle)
        ),
        (Some(waits), Some(made)) => format!(
            "{} waits most often, {} times for each request, and {} is made to wait most often, {} \
             times.",
            waits.name,
            rough(waits.spread.middle),
            made.name,
            rough(made.spread.middle)
        ),
        (Some(_) | None, None) | (None, Some(_)) => "Of nobody are both known.".into(),
    };
    let drawings = stacked(results, &load, &parts, "context switches for each request", rough)?;
    let question = "How often does another thread or process get the processor?";
    Some(figure(results, load, question, drawings, &entries, &SWITCHES, second))
}

fn connection(results: &Results, loads: &[Load]) -> Option<Figure> {
    let load = view::fullest(results, loads, view::memory, view::most_clients)?;
    let entries = view::entries(results, &load, view::memory);
    let last = last(&entries, &MEMORY, "needs most");
    let most = entries.iter().map(|entry| entry.spread.middle).fold(0.0, f64::max);
    let (all, clients) = (for_many(most, load.clients), clients(load.clients));
    let second = format!("{}; for {clients} that is {all}.", last.trim_end_matches('.'));
    let ranked = view::entries(results, &load, view::memory);
    let values: Vec<f64> = ranked.iter().map(|entry| entry.spread.middle).collect();
    let axis = Axis::binary(&values, memory)?;
    let rows = Rows {
        axis,
        title: "memory for each connection, logarithmic".into(),
        form: Form::Stem,
        parts: Vec::new(),
        all: single_rows(results, &load, &ranked, MEMORY.better, memory),
    };
    let question = "How much memory does a connection cost?";
    Some(figure(results, load, question, both(&rows), &entries, &MEMORY, second))
}

/// A figure of one load that has no other beside it.
pub(crate) fn alone(results: &Results, load: &Load, sweep: &Sweep) -> Option<Figure> {
    let words = &sweep.words;
    let entries = view::entries(results, load, sweep.measure);
    let all = || entries.iter().flat_map(|entry| [entry.spread.low, entry.spread.high]);
    let (axis, form) = if words.better == Better::Less {
        (Axis::log(&all().collect::<Vec<_>>(), time)?, Form::Stem)
    } else {
        (Axis::linear(all().reduce(f64::max)?, rough), Form::Dot)
    };
    let all = single_rows(results, load, &entries, words.better, sweep.label);
    let rows = Rows { axis, title: sweep.axis.into(), form, parts: Vec::new(), all };
    let second = last(&entries, words, "is last");
    let mut figure = figure(results, *load, sweep.alone, both(&rows), &entries, words, second);
    figure.oddities = view::oddities(results, &[*load], sweep.measure);
    Some(figure)
}

/// Bars of two parts.
struct Parts {
    measures: [Measure; 2],
    names: Vec<&'static str>,
    whole: Measure,
}

fn stacked(
    results: &Results,
    load: &Load,
    parts: &Parts,
    title: &str,
    value: fn(f64) -> String,
) -> Option<[Svg; 2]> {
    let entries = view::entries(results, load, parts.whole);
    let most = entries.iter().map(|entry| entry.spread.high).reduce(f64::max)?;
    let mut rows = single_rows(results, load, &entries, Better::Less, value);
    for row in rows.iter_mut().filter(|row| !row.values.is_empty()) {
        let Some(cell) = view::cell(results, row.entrant, load) else { continue };
        let part = |measure: &Measure| view::spread(cell, *measure).map(|part| part.middle);
        let halves: Vec<f64> = parts.measures.iter().filter_map(part).collect();
        // The middle of a sum is not the sum of the middles: the bar is as long as the first says.
        let (sum, whole) = (halves.iter().sum::<f64>(), row.values[0]);
        if sum > 0.0 {
            row.values = halves.iter().map(|half| half * whole / sum).collect();
        }
    }
    let axis = Axis::linear(most, rough);
    let parts = parts.names.clone();
    Some(both(&Rows { axis, title: title.into(), form: Form::Bars, parts, all: rows }))
}

/// A row for each that has a figure, the best first, and for each that failed.
pub(crate) fn single_rows(
    results: &Results,
    load: &Load,
    entries: &[Entry<'_>],
    better: Better,
    value: fn(f64) -> String,
) -> Vec<Row> {
    let row = |entry: Entry<'_>| {
        let Spread { low, middle, high, rounds } = entry.spread;
        Row {
            entrant: entry.entrant,
            name: entry.name.into(),
            style: Style::of(entry.entrant, results.entrants[entry.entrant].kind),
            values: vec![middle],
            whisker: (rounds > 1).then_some((low, high)),
            words: value(middle),
        }
    };
    let ranked = super::sentences::ranked(entries, better);
    let mut rows: Vec<Row> = ranked.into_iter().map(row).collect();
    for (at, entrant) in results.entrants.iter().enumerate() {
        let cell = view::cell(results, at, load);
        if cell.is_some_and(|cell| cell.failure.is_some()) {
            rows.push(Row {
                entrant: at,
                name: entrant.name.clone(),
                style: Style::of(at, entrant.kind),
                values: Vec::new(),
                whisker: None,
                words: "✕ failed".into(),
            });
        }
    }
    rows
}

fn both(rows: &Rows) -> [Svg; 2] {
    [rows.draw(Size::Wide), rows.draw(Size::Narrow)]
}

fn figure(
    results: &Results,
    load: Load,
    question: &str,
    drawings: [Svg; 2],
    entries: &[Entry<'_>],
    words: &Words,
    second: String,
) -> Figure {
    Figure {
        question: question.into(),
        what: format!("{}; {}", what(results, &load), clients(load.clients)),
        drawings,
        sentences: [first(&format!("With {}", clients(load.clients)), entries, words), second],
        oddities: view::oddities(results, &[load], view::rate),
    }
}

/// The load that stands for its workload.
fn shown(results: &Results, sweep: &[Load]) -> Option<Load> {
    let is_idle = view::is_idle(results, sweep.first()?.workload);
    let prefer = if is_idle { view::most_clients } else { view::near_100 };
    view::fullest(results, sweep, view::rate, prefer)
}

/// Every workload beside every entrant: one small drawing for each workload.
pub(crate) fn panels(results: &Results) -> Vec<Figure> {
    let panel = |sweep: Vec<Load>| {
        let load = shown(results, &sweep)?;
        let entries = view::entries(results, &load, view::rate);
        let best = entries.iter().map(|entry| entry.spread.middle).reduce(f64::max)?;
        let mut rows = single_rows(results, &load, &entries, Better::More, rough);
        let mut reach = 1.0;
        for row in &mut rows {
            let part = |value: f64| if best > 0.0 { value / best } else { 0.0 };
            row.values = row.values.iter().copied().map(part).collect();
            row.whisker = row.whisker.map(|(low, high)| (part(low), part(high)));
            reach = row.whisker.map_or(reach, |(_, high)| f64::max(reach, high));
        }
        let drawn = Rows {
            axis: Axis::shares(reach),
            title: "share of the best".into(),
            form: Form::Dot,
            parts: Vec::new(),
            all: rows,
        };
        let second = last(&entries, &RATE, "is last");
        let drawings = [drawn.draw(Size::Panel), drawn.draw(Size::Slip)];
        let name = results.workloads[load.workload].name.clone();
        let mut figure = figure(results, load, &name, drawings, &entries, &RATE, second);
        figure.what = format!("{}; {}", results.workloads[load.workload].says, load.numbers());
        Some(figure)
    };
    view::sweeps(results).into_iter().filter_map(panel).collect()
}

/// What all these small drawings say together.
pub(crate) fn panels_sentences(results: &Results) -> [String; 2] {
    use super::sentences::{Standing, standing};
    let mut firsts: Vec<(&str, usize)> = Vec::new();
    let (mut draws, mut open, mut all) = (0, 0, 0);
    let mut widest: Option<(f64, String)> = None;
    for sweep in view::sweeps(results) {
        let Some(load) = shown(results, &sweep) else {
            continue;
        };
        let entries = view::entries(results, &load, view::rate);
        all += 1;
        match standing(&entries, Better::More) {
            Standing::First(first, _) => {
                match firsts.iter_mut().find(|(name, _)| *name == first.name) {
                    Some((_, count)) => *count += 1,
                    None => firsts.push((first.name, 1)),
                }
            }
            Standing::Draw(_) => draws += 1,
            Standing::Open(..) => open += 1,
            Standing::Nobody | Standing::Alone(_) => {}
        }
        let ranked = super::sentences::ranked(&entries, Better::More);
        if let [best, .., worst] = ranked.as_slice() {
            let left = worst.spread.middle / best.spread.middle;
            if widest.as_ref().is_none_or(|(least, _)| left < *least) {
                let workload = &results.workloads[load.workload].name;
                let words = format!(
                    "The widest gap is in {workload}: {} answers {} of what {} does.",
                    worst.name,
                    percent(left),
                    best.name
                );
                widest = Some((left, words));
            }
        }
    }
    firsts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut parts: Vec<String> =
        firsts.iter().map(|(name, count)| format!("{name} is alone in front in {count}")).collect();
    let many = |count: usize| if count == 1 { "1 is".into() } else { format!("{count} are") };
    parts.push(if draws == 0 { "none is".into() } else { many(draws) } + " a draw at the front");
    if open > 0 {
        parts.push(many(open) + " of a single round, which cannot tell it from chance");
    }
    let one = format!(
        "Of {} workloads, {}.",
        grouped(super::numbers::float(all)),
        super::numbers::listed(&parts)
    );
    [one, widest.map_or_else(|| "There is nobody to compare with.".into(), |(_, words)| words)]
}
