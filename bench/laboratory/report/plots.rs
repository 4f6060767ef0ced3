//! What becomes of a figure as clients become more, at a fixed rate, and of the sizes tried: one
//! drawing of lines for each question.

use super::axis::Axis;
use super::costs;
use super::data::{Cell, Results, Sample};
use super::lines::{Lines, Point, Series, Size};
use super::numbers::{
    Spread, clients, float, float64, grouped, per_second, percent, rough, time, times,
};
use super::sentences::{Better, Course, Words, as_if, entries_at, first, growths, ways};
use super::svg::{Style, Svg};
use super::view::{self, Load, Measure, sweeps};

/// A question, its drawing, and what is seen.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) question: String,
    /// What was asked of the servers.
    pub(crate) what: String,
    /// For wide and for narrow windows.
    pub(crate) drawings: [Svg; 2],
    pub(crate) sentences: [String; 2],
    /// Who is not in it, and why.
    pub(crate) without: Vec<String>,
}

pub(crate) const RATE: Words =
    Words { better: Better::More, does: "answers most", value: per_second };

const P99: Words = Words {
    better: Better::Less,
    does: "keeps the slowest one in a hundred waiting least",
    value: time,
};

const FAIRNESS: Words =
    Words { better: Better::More, does: "is the fairest", value: |index| format!("{index:.3}") };

/// One figure over the number of clients.
struct Sweep {
    question: &'static str,
    /// With one number of clients only.
    alone: &'static str,
    axis: &'static str,
    measure: Measure,
    words: Words,
}

const RATES: Sweep = Sweep {
    question: "How many requests per second are answered as clients become more?",
    alone: "How many requests per second are answered?",
    axis: "answers per second",
    measure: view::rate,
    words: RATE,
};

const TAILS: Sweep = Sweep {
    question: "How long does the slowest one in a hundred wait as clients become more?",
    alone: "How long does the slowest one in a hundred wait?",
    axis: "99th percentile of the latency, logarithmic",
    measure: view::p99,
    words: P99,
};

const FAIR: Sweep = Sweep {
    question: "Is everybody served alike as clients become more?",
    alone: "Is everybody served alike?",
    axis: "Jain's index: 1 is all alike",
    measure: view::fairness,
    words: FAIRNESS,
};

const IDLE: Sweep =
    Sweep { question: "Do connections that only wait slow down those that ask?", ..RATES };

/// All that there is data for, in the order in which they are to be read.
pub(crate) fn all(results: &Results) -> Vec<Figure> {
    let main = view::main_sweep(results);
    let mut figures: Vec<Figure> = Vec::new();
    if let Some(main) = &main {
        figures.extend(sweep(results, main, &RATES));
        figures.extend(sweep(results, main, &TAILS));
    }
    let fixed = view::loads(results).into_iter().filter(|load| load.rate.is_some());
    figures.extend(fixed.filter_map(|load| distribution(results, load)));
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
    figures.extend(search(results));
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

fn with_clients(count: f64) -> String {
    format!("{} client{}", grouped(count), if count < 1.5 { "" } else { "s" })
}

fn sweep(results: &Results, loads: &[Load], sweep: &Sweep) -> Option<Figure> {
    if let [load] = loads {
        return costs::alone(results, load, sweep.measure, sweep.alone, sweep.axis, &sweep.words);
    }
    let courses = courses(results, loads, sweep.measure);
    let values = || courses.iter().flat_map(|course| course.points.iter());
    let all: Vec<f64> = values().flat_map(|(_, spread)| [spread.low, spread.high]).collect();
    if all.is_empty() {
        return None;
    }
    let y = if sweep.words.better == Better::Less {
        Axis::log(&all, time)?
    } else if sweep.axis == FAIR.axis {
        Axis::linear(1.0, |index| format!("{index:.1}"))
    } else {
        Axis::linear(all.iter().copied().fold(0.0, f64::max), grouped)
    };
    let ticks: Vec<(f64, String)> = loads
        .iter()
        .map(|load| float(load.clients.max(1)))
        .map(|count| (count, grouped(count)))
        .collect();
    let is_idle = view::is_idle(results, loads[0].workload);
    let x_title = if is_idle { "connections, idle and active" } else { "clients" };
    let mut series = series(results, &courses, &y, |x, spread| {
        format!("{}: {}", with_clients(x), (sweep.words.value)(spread.middle))
    });
    for series in &mut series {
        let failed = |load: &&Load| {
            let cell = view::cell(results, series.entrant, load);
            cell.is_some_and(|cell| cell.failure.is_some())
        };
        series.failed = loads.iter().filter(failed).map(|load| float(load.clients)).collect();
    }
    let lines = Lines {
        x: Axis::at(&ticks)?,
        y,
        x_title: format!("{x_title}, logarithmic"),
        y_title: sweep.axis.into(),
        series,
    };
    Some(Figure {
        question: sweep.question.into(),
        what: what(results, &loads[0]),
        drawings: [lines.draw(Size::Wide), lines.draw(Size::Narrow)],
        sentences: sweep_sentences(&courses, sweep, is_idle),
        without: view::failures(results, loads),
    })
}

fn sweep_sentences(courses: &[Course<'_>], sweep: &Sweep, is_idle: bool) -> [String; 2] {
    let places = || courses.iter().flat_map(|course| course.points.iter().map(|(x, _)| *x));
    let end = places().fold(0.0, f64::max);
    let at = if is_idle {
        format!("With {} connections", grouped(end))
    } else {
        format!("With {}", with_clients(end))
    };
    let one = first(&at, &entries_at(courses, end), &sweep.words);
    let other = if sweep.axis == FAIR.axis {
        unfairest(courses)
    } else if is_idle {
        let connections = |count: f64| format!("{} connections", grouped(count));
        growths("the throughput", courses, Better::More, connections)
    } else if sweep.words.better == Better::Less {
        growths("this wait", courses, Better::Less, with_clients)
    } else {
        ways(courses, &sweep.words, with_clients)
    };
    [one, other]
}

/// Where the fewest clients had the most.
fn unfairest(courses: &[Course<'_>]) -> String {
    let all = courses.iter().flat_map(|course| {
        course.points.iter().map(|(x, spread)| (course.name, *x, spread.middle))
    });
    match all.min_by(|one, other| one.2.total_cmp(&other.2)) {
        Some((name, x, index)) if index < 0.995 => format!(
            "The least fair is {name} with {}: {index:.3}, {}.",
            with_clients(x),
            as_if(index, x)
        ),
        Some((_, _, index)) => {
            format!("Nobody is served noticeably worse anywhere: the lowest index is {index:.3}.")
        }
        None => "There is no figure of anybody.".into(),
    }
}

/// The lines of these courses, those that end highest first.
fn series(
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

/// How long all but one in so many of the requests took at most, in the middle of all rounds. A
/// request without an answer took longer than any other.
fn longest(cell: &Cell, one_in: f64) -> Option<Spread> {
    if cell.failure.is_some() {
        return None;
    }
    let times: Vec<f64> =
        cell.samples.iter().filter_map(|sample| longest_of(sample, one_in)).collect();
    (times.len() * 2 > cell.samples.len()).then(|| Spread::of(&times))?
}

fn longest_of(sample: &Sample, one_in: f64) -> Option<f64> {
    let answers = float64(sample.answers);
    let all = answers + float64(sample.unanswered);
    // With fewer answers than that, the longest time of all would stand for it.
    if one_in > all {
        return None;
    }
    let share = (1.0 - 1.0 / one_in) * all / answers;
    let latency = &sample.latency;
    let coarse = [
        (0.5, latency.p50),
        (0.9, latency.p90),
        (0.99, latency.p99),
        (0.999, latency.p999),
        (1.0, latency.most),
    ];
    let points = &latency.distribution;
    let points = if points.is_empty() { &coarse[..] } else { points };
    points.iter().find(|(part, _)| *part >= share - 1e-9).map(|(_, time)| *time)
}

fn distribution(results: &Results, load: Load) -> Option<Figure> {
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
    let mut second = growths("the wait", &marked, Better::Less, |x| format!("the {}", rank(x)));
    if let Some(left) = most_unanswered(results, &load) {
        second = format!("{}; {left}.", second.trim_end_matches('.'));
    }
    Some(Figure {
        question: format!("How long does each answer take at {rate} requests per second?"),
        what: format!("{}; {}", what(results, &load), clients(load.clients)),
        drawings: [lines.draw(Size::Wide), lines.draw(Size::Narrow)],
        sentences: [first(&at, &entries_at(&marked, 100.0), &P99), second],
        without: view::failures(results, &[load]),
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

/// How the sizes were chosen.
fn search(results: &Results) -> Option<Figure> {
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
        let point = |tried: &super::data::Tried| Point {
            x: float(tried.size.max(1)),
            y: tried.rate,
            whisker: None,
            title: Some(format!("{}, {}: {}", entrant.name, tried.size, per_second(tried.rate))),
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
    let lines = Lines {
        x,
        y: Axis::linear(tried().map(|tried| tried.rate).fold(0.0, f64::max), grouped),
        x_title: "threads, processes or loops, logarithmic".into(),
        y_title: "answers per second".into(),
        series,
    };
    Some(Figure {
        question: "How many threads, processes or loops should they have?".into(),
        what: "Each size was tried for a moment; the one with the ring was taken".into(),
        drawings: [lines.draw(Size::Wide), lines.draw(Size::Narrow)],
        sentences: search_sentences(results, &searched)?,
        without: Vec::new(),
    })
}

fn search_sentences(results: &Results, searched: &[usize]) -> Option<[String; 2]> {
    let gain = |at: &usize| {
        let entrant = &results.entrants[*at];
        let by = |one: &&super::data::Tried, other: &&super::super::data::Tried| {
            one.rate.total_cmp(&other.rate)
        };
        let (best, worst) = (entrant.search.iter().max_by(by)?, entrant.search.iter().min_by(by)?);
        Some((best.rate / worst.rate, &entrant.name, best, worst))
    };
    let mut gains: Vec<_> = searched.iter().filter_map(gain).collect();
    gains.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (ratio, name, best, worst) = gains.first()?;
    let one = format!(
        "Its size matters most to {name}: {} give {}, {} times the {} with {}.",
        best.size,
        per_second(best.rate),
        times(*ratio),
        rough(worst.rate),
        worst.size,
    );
    let other = match gains.as_slice() {
        [_, .., (ratio, name, best, _)] => format!(
            "It matters least to {name}, whose best size, {}, gives {} times what its worst does.",
            best.size,
            times(*ratio)
        ),
        [..] => format!("Nobody else had a size to choose; {name} has {} now.", best.size),
    };
    Some([one, other])
}
