//! Every workload beside every entrant: one small drawing for each workload.

use std::cmp::Reverse;

use super::axis::Axis;
use super::costs::{figure, single_rows};
use super::data::Results;
use super::lines::Size;
use super::numbers::{float, grouped, listed, percent, rough};
use super::plots::{Figure, RATE};
use super::rows::{Form, Rows};
use super::sentences::{Better, Standing, last, ranked, standing};
use super::view::{self, Entry, Load, sweeps};

/// The load that stands for its workload.
fn shown(results: &Results, sweep: &[Load]) -> Option<Load> {
    let is_idle = view::is_idle(results, sweep.first()?.workload);
    let prefer = if is_idle { view::most_clients } else { view::near_100 };
    view::fullest(results, sweep, view::rate, prefer)
}

/// In the order of the workloads.
pub(crate) fn all(results: &Results) -> Vec<Figure> {
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
    sweeps(results).into_iter().filter_map(panel).collect()
}

/// What all these small drawings say together.
pub(crate) fn sentences(results: &Results) -> [String; 2] {
    let mut firsts: Vec<(&str, usize)> = Vec::new();
    let (mut draws, mut open, mut all) = (0, 0, 0);
    let mut widest: Option<(f64, String)> = None;
    for sweep in sweeps(results) {
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
        if let Some((left, words)) = gap(&entries)
            && widest.as_ref().is_none_or(|(least, _)| left < *least)
        {
            let workload = &results.workloads[load.workload].name;
            widest = Some((left, format!("The widest gap is in {workload}: {words}.")));
        }
    }
    firsts.sort_by_key(|(_, count)| Reverse(*count));
    let mut parts: Vec<String> =
        firsts.iter().map(|(name, count)| format!("{name} is alone in front in {count}")).collect();
    let many = |count: usize| if count == 1 { "1 is".into() } else { format!("{count} are") };
    parts.push(if draws == 0 { "none is".into() } else { many(draws) } + " a draw at the front");
    if open > 0 {
        parts.push(many(open) + " of a single round, which cannot tell it from chance");
    }
    let one = format!("Of {} workloads, {}.", grouped(float(all)), listed(&parts));
    [one, widest.map_or_else(|| "There is nobody to compare with.".into(), |(_, words)| words)]
}

/// What part of the first one's answers the last one gives.
fn gap(entries: &[Entry<'_>]) -> Option<(f64, String)> {
    let ranked = ranked(entries, Better::More);
    let [best, .., worst] = ranked.as_slice() else { return None };
    let left = worst.spread.middle / best.spread.middle;
    let words = format!("{} answers {} of what {} does", worst.name, percent(left), best.name);
    (best.spread.middle > 0.0).then_some((left, words))
}
