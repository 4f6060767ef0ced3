//! All figures, as tables of the page and as one of plain text.

use super::data::{Cell, Results};
use super::numbers::{Spread, float64, grouped, memory, rough, short, time};
use super::page::write_to;
use super::plots::{RATE, jain};
use super::sentences::first;
use super::svg::escape;
use super::view::{self, Load, Measure, loads};

/// One column.
struct Column {
    name: &'static str,
    unit: &'static str,
    value: fn(&Cell) -> String,
}

fn middle(cell: &Cell, measure: Measure, words: fn(f64) -> String) -> String {
    view::raw_spread(cell, measure).map_or_else(|| "–".into(), |spread| words(spread.middle))
}

fn with_half(cell: &Cell, measure: Measure) -> String {
    match view::raw_spread(cell, measure) {
        Some(spread) if spread.rounds > 1 => {
            let write = if spread.middle < 100.0 { rough } else { grouped };
            format!("{} ± {}", write(spread.middle), write(spread.half()))
        }
        Some(Spread { middle, .. }) => plain(middle),
        None => "–".into(),
    }
}

/// Whole where it is large.
fn plain(value: f64) -> String {
    if value.abs() < 100.0 { short(&rough(value)) } else { grouped(value) }
}

const COLUMNS: [Column; 17] = [
    Column { name: "answers", unit: "per second", value: |cell| with_half(cell, view::rate) },
    Column { name: "p50", unit: "latency", value: |cell| middle(cell, view::p50, time) },
    Column { name: "p90", unit: "latency", value: |cell| middle(cell, view::p90, time) },
    Column { name: "p99", unit: "latency", value: |cell| middle(cell, view::p99, time) },
    Column { name: "p99.9", unit: "latency", value: |cell| middle(cell, view::p999, time) },
    Column { name: "longest", unit: "latency", value: |cell| middle(cell, view::most, time) },
    Column { name: "fairness", unit: "Jain", value: |cell| middle(cell, view::fairness, jain) },
    Column {
        name: "processor",
        unit: "µs/request",
        value: |cell| middle(cell, view::processor, rough),
    },
    Column { name: "user", unit: "µs/request", value: |cell| middle(cell, view::user, rough) },
    Column { name: "system", unit: "µs/request", value: |cell| middle(cell, view::system, rough) },
    Column {
        name: "waits",
        unit: "per request",
        value: |cell| middle(cell, view::voluntary, rough),
    },
    Column {
        name: "made to wait",
        unit: "per request",
        value: |cell| middle(cell, view::involuntary, rough),
    },
    Column { name: "memory", unit: "per served", value: |cell| middle(cell, view::memory, memory) },
    Column { name: "processes", unit: "", value: |cell| middle(cell, view::processes, plain) },
    Column { name: "threads", unit: "", value: |cell| middle(cell, view::threads, plain) },
    Column { name: "errors", unit: "all rounds", value: |cell| count(view::errors(cell)) },
    Column { name: "unanswered", unit: "all rounds", value: |cell| count(view::unanswered(cell)) },
];

fn count(count: u64) -> String {
    grouped(float64(count))
}

/// Each load has a table, which is folded until somebody asks.
pub(crate) fn all(results: &Results) -> String {
    let mut html = String::from(
        "<section>\n<h2>What are all the figures?</h2>\n<p>Medians of the rounds; behind ± half \
         the distance between the quartiles. Latency counts from when a request was sent, or at a \
         fixed rate from when it was due, to the last byte of its answer. What had no answer took \
         longer than anything else: where it is more than one in a hundred, there is no p99. Nor \
         is there one of fewer than 1,000 answers in a round, or a p99.9 of fewer than 10,000: at \
         least ten must lie beyond. Waits are voluntary context switches, made to wait are \
         involuntary ones. Memory is that of each connection that has had an answer: one that \
         waits to be accepted costs the server nothing, and gets nothing.</p>\n",
    );
    for load in loads(results) {
        html += &table(results, &load);
    }
    html += "</section>\n";
    html
}

fn table(results: &Results, load: &Load) -> String {
    let workload = &results.workloads[load.workload];
    // At a fixed rate, all that keep up answer as many.
    let answer = if load.rate.is_some() {
        String::new()
    } else {
        let entries = view::entries(results, load, view::rate);
        first(&format!("With {}", load.numbers()), &entries, &RATE)
    };
    let mut html = format!(
        "<details>\n<summary><b>{}</b></summary>\n<p>{}</p>\n<div class=\"scroll\" tabindex=\"0\" \
         role=\"region\" aria-label=\"{}\">\n<table>\n<caption>{}</caption>\n<thead><tr>\
         <th scope=\"col\" style=\"text-align:left\">who</th>",
        escape(&load.says(results)),
        escape(&answer),
        escape(&load.says(results)),
        escape(&workload.says),
    );
    for Column { name, unit, .. } in &COLUMNS {
        write_to(&mut html, format_args!("<th scope=\"col\">{name}<small>{unit}</small></th>"));
    }
    html += "</tr></thead>\n<tbody>\n";
    for (at, entrant) in results.entrants.iter().enumerate() {
        let Some(cell) = view::cell(results, at, load) else { continue };
        let name = escape(&entrant.name);
        write_to(&mut html, format_args!("<tr><th scope=\"row\">{name}</th>"));
        if !cell.samples.is_empty() {
            for column in &COLUMNS {
                write_to(&mut html, format_args!("<td>{}</td>", (column.value)(cell)));
            }
        }
        if let Some(failure) = &cell.failure {
            let span = if cell.samples.is_empty() { COLUMNS.len() } else { 1 };
            let failure = escape(failure);
            write_to(
                &mut html,
                format_args!("<td class=\"why\" colspan=\"{span}\">✕ {failure}</td>"),
            );
        }
        html += "</tr>\n";
    }
    html += "</tbody>\n</table>\n</div>\n</details>\n";
    html
}

/// Plain text: a block for each load with a line for each entrant.
pub(crate) fn text(results: &Results) -> String {
    let mut text = String::new();
    for load in loads(results) {
        let says = &results.workloads[load.workload].says;
        write_to(&mut text, format_args!("\n{}: {says}\n", load.says(results)));
        let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
        let mut failures = Vec::new();
        for (at, entrant) in results.entrants.iter().enumerate() {
            let Some(cell) = view::cell(results, at, &load) else { continue };
            if let Some(failure) = &cell.failure {
                failures.push(format!("  {} failed: {failure}\n", entrant.name));
            }
            if !cell.samples.is_empty() {
                lines.push(line(&entrant.name, cell));
            }
        }
        if lines.len() > 1 {
            text += &aligned(&lines);
        }
        text.extend(failures);
    }
    text += "\n–: not measured; of a quantile: fewer than ten answers of a round lie beyond it, or \
             more have none at all\n";
    // A terminal breaks no lines at spaces, and who searches types plain ones.
    text.replace('\u{a0}', " ")
}

const HEAD: [&str; 11] = [
    "",
    "answers/s",
    "p50",
    "p99",
    "fairness",
    "CPU µs (user)",
    "switches",
    "memory/served",
    "threads/processes",
    "errors",
    "unanswered",
];

fn line(name: &str, cell: &Cell) -> Vec<String> {
    vec![
        name.into(),
        with_half(cell, view::rate),
        middle(cell, view::p50, time),
        middle(cell, view::p99, time),
        middle(cell, view::fairness, jain),
        format!("{} ({})", middle(cell, view::processor, rough), middle(cell, view::user, rough)),
        middle(cell, view::switches, rough),
        middle(cell, view::memory, memory),
        format!(
            "{} / {}",
            middle(cell, view::threads, plain),
            middle(cell, view::processes, plain)
        ),
        count(view::errors(cell)),
        count(view::unanswered(cell)),
    ]
}

/// The first column begins at the left, all others end at the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(at))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
            if at == 0 {
                write_to(&mut text, format_args!("  {cell:<width$}"));
            } else {
                write_to(&mut text, format_args!("  {cell:>width$}"));
            }
        }
        text.push('\n');
    }
    text
}
