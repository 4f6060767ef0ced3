//! What becomes of a figure as clients become more: one drawing of lines for each question, and the
//! order of all drawings.

use super::axis::Axis;
use super::costs;
use super::data::Results;
use super::lines::{Lines, Point, Series, Size};
use super::numbers::{Spread, float, grouped, per_second, rough, time};
use super::sentences::{Better, Course, Words, as_if, entries_at, first, growths, ways};
use super::svg::{Style, Svg};
use super::view::{self, Load, Measure, sweeps};
use super::{paced, search};

/// A question, its drawing, and what is seen.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) question: String,
    /// What was asked of the servers.
    pub(crate) what: String,
    /// For wide and for narrow windows.
    pub(crate) drawings: [Svg; 2],
    pub(crate) sentences: [String; 2],
    /// Whose figures are missing, or not like those of the others.
    pub(crate) oddities: Vec<String>,
}

pub(crate) const RATE: Words =
    Words { better: Better::More, does: "answers most", value: per_second };

pub(crate) const P99: Words = Words {
    better: Better::Less,
    does: "keeps the slowest one in a hundred waiting least",
    value: time,
};

const FAIRNESS: Words = Words { better: Better::More, does: "is the fairest", value: jain };

/// One figure over the number of clients.
pub(crate) struct Sweep {
    question: &'static str,
    /// With one number of clients only.
    pub(crate) alone: &'static str,
    pub(crate) axis: &'static str,
    /// A value where the axis says what it is.
    pub(crate) label: fn(f64) -> String,
    pub(crate) measure: Measure,
    pub(crate) words: Words,
    y: fn(&[f64]) -> Option<Axis>,
    /// What there are more and more of: one of them, and what stands below the axis.
    one: &'static str,
    x_title: &'static str,
    /// What else is seen.
    second: fn(&[Course<'_>]) -> String,
}

const RATES: Sweep = Sweep {
    question: "How many requests per second are answered as clients become more?",
    alone: "How many requests per second are answered?",
    axis: "answers per second",
    label: rough,
    measure: view::rate,
    words: RATE,
    y: |values| Some(Axis::linear(values.iter().copied().fold(0.0, f64::max), rough)),
    one: "client",
    x_title: "clients, logarithmic",
    second: |courses| ways(courses, &RATE, with_clients),
};

const TAILS: Sweep = Sweep {
    question: "How long does the slowest one in a hundred wait as clients become more?",
    alone: "How long does the slowest one in a hundred wait?",
    axis: "99th percentile of the latency, logarithmic",
    label: time,
    measure: view::p99,
    words: P99,
    y: |values| Axis::log(values, time),
    second: |courses| {
        growths("this wait", courses, Better::Less, |from, to| {
            format!("{} to {}", grouped(from), with_clients(to))
        })
    },
    ..RATES
};

const FAIR: Sweep = Sweep {
    question: "Is everybody served alike as clients become more?",
    alone: "Is everybody served alike?",
    axis: "Jain's index: 1 is all alike",
    label: jain,
    measure: view::fairness,
    words: FAIRNESS,
    y: |_| Some(Axis::linear(1.0, |index| format!("{index:.1}"))),
    second: unfairest,
    ..RATES
};

const IDLE: Sweep = Sweep {
    question: "Do connections that only wait slow down those that ask?",
    one: "connection",
    x_title: "connections, idle and active, logarithmic",
    second: |courses| {
        growths("the throughput", courses, Better::More, |from, to| {
            format!("{} to {}", grouped(from), counted(to, "connection"))
        })
    },
    ..RATES
};

/// All that there is data for, in the order in which they are to be read.
pub(crate) fn all(results: &Results) -> Vec<Figure> {
    let main = view::main_sweep(results);
    let mut figures: Vec<Figure> = Vec::new();
    if let Some(main) = &main {
        figures.extend(sweep(results, main, &RATES));
        figures.extend(sweep(results, main, &TAILS));
    }
    let fixed = view::loads(results).into_iter().filter(|load| load.rate.is_some());
    figures.extend(fixed.filter_map(|load| paced::distribution(results, load)));
    if let Some(main) = &main {
        figures.extend(costs::all(results, main));
        figures.extend(sweep(results, main, &FAIR));
    }
    for other in sweeps(results) {
        let is_main = main.as_ref().is_some_and(|main| main[0] == other[0]);
        if is_main || other.len() < 2 {
            continue;
        }
        if view::is_idle(results, other[0].workload) {
            figures.extend(sweep(results, &other, &IDLE));
        } else {
            for figure in [&RATES, &TAILS].map(|kind| sweep(results, &other, kind)) {
                let name = &results.workloads[other[0].workload].name;
                figures.extend(figure.map(|figure| Figure {
                    question: format!("{name}: {}", figure.question),
                    ..figure
                }));
            }
        }
    }
    figures.extend(search::search(results));
    figures
}

pub(crate) fn what(results: &Results, load: &Load) -> String {
    let workload = &results.workloads[load.workload];
    format!("{}: {}", workload.name, workload.says.trim_end_matches('.'))
}

/// How every entrant fares under these loads.
fn courses<'a>(results: &'a Results, loads: &[Load], measure: Measure) -> Vec<Course<'a>> {
    let mut courses: Vec<Course<'a>> = Vec::new();
    for (at, entrant) in results.entrants.iter().enumerate() {
        let point = |load: &Load| {
            let spread = view::spread(view::cell(results, at, load)?, measure)?;
            Some((float(load.clients), spread))
        };
        let points: Vec<(f64, Spread)> = loads.iter().filter_map(point).collect();
        courses.push(Course { entrant: at, name: &entrant.name, points });
    }
    courses
}

/// Jain's index. A very small one is not nothing.
pub(crate) fn jain(index: f64) -> String {
    if index < 0.0995 { format!("{index:.4}") } else { format!("{index:.3}") }
}

fn with_clients(count: f64) -> String {
    counted(count, "client")
}

fn counted(count: f64, one: &str) -> String {
    format!("{} {one}{}", grouped(count), if count < 1.5 { "" } else { "s" })
}

fn sweep(results: &Results, loads: &[Load], sweep: &Sweep) -> Option<Figure> {
    if let [load] = loads {
        return costs::alone(results, load, sweep);
    }
    let courses = courses(results, loads, sweep.measure);
    let values = || courses.iter().flat_map(|course| course.points.iter());
    let all: Vec<f64> = values().flat_map(|(_, spread)| [spread.low, spread.high]).collect();
    if all.is_empty() {
        return None;
    }
    let y = (sweep.y)(&all)?;
    let ticks: Vec<(f64, String)> = loads
        .iter()
        .map(|load| float(load.clients.max(1)))
        .map(|count| (count, grouped(count)))
        .collect();
    let mut series = series(results, &courses, &y, |x, spread| {
        format!("{}: {}", counted(x, sweep.one), (sweep.words.value)(spread.middle))
    });
    for series in &mut series {
        let failed = |load: &&Load| {
            let cell = view::cell(results, series.entrant, load);
            cell.is_some_and(|cell| view::lacks(cell, sweep.measure))
        };
        series.failed = loads.iter().filter(failed).map(|load| float(load.clients)).collect();
    }
    let lines = Lines {
        x: Axis::at(&ticks)?,
        y,
        x_title: sweep.x_title.into(),
        y_title: sweep.axis.into(),
        series,
    };
    let end = values().map(|(x, _)| *x).fold(0.0, f64::max);
    let at_end = entries_at(&courses, end);
    Some(Figure {
        question: sweep.question.into(),
        what: what(results, &loads[0]),
        drawings: [lines.draw(Size::Wide), lines.draw(Size::Narrow)],
        sentences: [
            first(&format!("With {}", counted(end, sweep.one)), &at_end, &sweep.words),
            (sweep.second)(&courses),
        ],
        oddities: view::oddities(results, loads, sweep.measure),
    })
}

/// Where the fewest clients had the most.
fn unfairest(courses: &[Course<'_>]) -> String {
    let all = courses.iter().flat_map(|course| {
        course.points.iter().map(|(x, spread)| (course.name, *x, spread.middle))
    });
    match all.min_by(|one, other| one.2.total_cmp(&other.2)) {
        Some((name, x, index)) if index < 0.995 => format!(
            "The least fair is {name} with {}: {}, {}.",
            with_clients(x),
            jain(index),
            as_if(index, x)
        ),
        Some((_, _, index)) => {
            format!(
                "Nobody is served noticeably worse anywhere: the lowest index is {}.",
                jain(index)
            )
        }
        None => "There is no figure of anybody.".into(),
    }
}

/// The lines of these courses. `title` is what is shown where a mouse rests on a mark.
pub(crate) fn series(
    results: &Results,
    courses: &[Course<'_>],
    y: &Axis,
    title: impl Fn(f64, &Spread) -> String,
) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for course in courses {
        let kind = results.entrants[course.entrant].kind;
        let point = |(x, spread): &(f64, Spread)| Point {
            x: *x,
            y: spread.middle,
            whisker: (spread.rounds > 1).then_some((spread.low, spread.high)),
            title: Some(format!("{}, {}", course.name, title(*x, spread))),
            is_chosen: false,
        };
        let has_place = |(_, spread): &&(f64, Spread)| y.has(spread.middle);
        all.push(Series {
            entrant: course.entrant,
            name: course.name.into(),
            style: Style::of(course.entrant, kind),
            points: course.points.iter().filter(has_place).map(point).collect(),
            failed: Vec::new(),
        });
    }
    all
}
