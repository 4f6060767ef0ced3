//! What one load costs each entrant: one drawing of rows for each question.

use super::axis::Axis;
use super::data::Results;
use super::lines::Size;
use super::numbers::{Spread, clients, memory, rough, time};
use super::plots::{Figure, Sweep, what};
use super::rows::{Form, Row, Rows};
use super::sentences::{Better, Words, first, for_many, last, ranked, shares};
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
    // What a connection costs shows where most are idle, in a new process.
    let closed: Vec<Load> =
        view::loads(results).into_iter().filter(|load| load.rate.is_none()).collect();
    [processor(results, loads), switches(results, loads), connection(results, &closed)]
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
    let values: Vec<f64> = entries.iter().map(|entry| entry.spread.middle).collect();
    let axis = Axis::binary(&values, memory)?;
    let rows = Rows {
        axis,
        title: "memory for each connection that is served, logarithmic".into(),
        form: Form::Stem,
        parts: Vec::new(),
        all: single_rows(results, &load, &entries, MEMORY.better, memory),
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
        (Axis::log(&all().collect::<Vec<_>>(), sweep.label)?, Form::Stem)
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
        } else if whole > 0.0 {
            row.values = vec![0.0, 0.0, whole];
        }
    }
    let axis = Axis::linear(most, rough);
    let mut parts = parts.names.clone();
    if rows.iter().any(|row| row.values.len() > parts.len()) {
        parts.push("not told apart");
    }
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
        let Spread { low, middle, high, rounds, .. } = entry.spread;
        Row {
            entrant: entry.entrant,
            name: entry.name.into(),
            style: Style::of(entry.entrant, results.entrants[entry.entrant].kind),
            values: vec![middle],
            whisker: (rounds > 1).then_some((low, high)),
            words: value(middle),
        }
    };
    let mut rows: Vec<Row> = ranked(entries, better).into_iter().map(row).collect();
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

pub(crate) fn figure(
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
