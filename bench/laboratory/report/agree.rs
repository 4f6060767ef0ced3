//! Two runs beside each other: whether both say the same of who is before whom.

use super::super::data::Results;
use super::numbers::float;
use super::view::{self, Entry, Load, Measure};

const RATE: &str = "answers per second";

/// What is ranked, and its name.
const MEASURES: [(&str, Measure); 4] = [
    (RATE, view::rate),
    ("p99", view::p99),
    ("fairness", view::fairness),
    ("processor time per answer", view::processor),
];

/// A line for each figure: of all pairs that lie apart in both runs, every round of the one above
/// each of the other, how many are in the same order; and those that are not.
pub(crate) fn agree(one: &Results, other: &Results) -> String {
    let mut lines = Vec::new();
    for (name, measure) in MEASURES {
        let (mut pairs, mut strangers) = (0, Vec::new());
        for load in view::loads(one) {
            // There, all get what is asked for.
            if name == RATE && load.rate.is_some() {
                continue;
            }
            let Some(same) = the_same(one, &load, other) else { continue };
            let first = view::entries(one, &load, measure);
            let second = view::entries(other, &same, measure);
            for (at, low) in first.iter().enumerate() {
                for high in &first[at + 1..] {
                    let Some(agrees) = order(low, high, &second) else { continue };
                    pairs += 1;
                    if !agrees {
                        let what = load.says(one);
                        strangers.push(format!("\n  {what}: {} and {}", low.name, high.name));
                    }
                }
            }
        }
        let agreeing = pairs - strangers.len();
        let share = if pairs == 0 { 0.0 } else { 100.0 * float(agreeing) / float(pairs) };
        let head = format!("{name}: {agreeing} of {pairs} pairs in the same order ({share:.1} %)");
        lines.push(head + &strangers.concat());
    }
    lines.join("\n")
}

/// The same load in another run. Of a fixed rate there is one in each, whatever it was.
fn the_same(one: &Results, load: &Load, other: &Results) -> Option<Load> {
    let name = &one.workloads[load.workload].name;
    view::loads(other).into_iter().find(|candidate| {
        other.workloads[candidate.workload].name == *name
            && candidate.clients == load.clients
            && candidate.rate.is_some() == load.rate.is_some()
    })
}

/// Whether both runs have these two in the same order. `None` where one of them does not tell.
fn order(low: &Entry<'_>, high: &Entry<'_>, second: &[Entry<'_>]) -> Option<bool> {
    let find = |name: &str| second.iter().find(|entry| entry.name == name);
    let (other_low, other_high) = (find(low.name)?, find(high.name)?);
    if !low.spread.is_apart(&high.spread) || !other_low.spread.is_apart(&other_high.spread) {
        return None;
    }
    let is_less = low.spread.middle < high.spread.middle;
    Some(is_less == (other_low.spread.middle < other_high.spread.middle))
}
