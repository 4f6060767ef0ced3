//! Axes: from values to places, the ticks, and labels that keep their distance. What is drawn along
//! them is not known here.

use super::numbers::{float, percent, short};

/// One axis, with what is written along it.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
    /// Values, and what is written there.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to at least `most`.
    pub(crate) fn linear(most: f64, label: impl Fn(f64) -> String) -> Axis {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let step = nice_step(most / 5.0);
        let mut ticks = Vec::new();
        let mut count = 0;
        loop {
            let value = step * float(count);
            ticks.push((value, short(&label(value))));
            if value >= most * 0.9999 {
                return Axis { low: 0.0, high: value, is_log: false, ticks };
            }
            count += 1;
        }
    }

    /// From nothing to all, and a little more where `most` is more.
    pub(crate) fn shares(most: f64) -> Axis {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, percent(share)));
        Axis { low: 0.0, high: most.max(1.0), is_log: false, ticks: ticks.to_vec() }
    }

    /// Each factor of ten is as long as every other. Values that are not above 0 have no place on
    /// it and are left out; `None` where no value is left.
    pub(crate) fn log(values: &[f64], label: impl Fn(f64) -> String) -> Option<Axis> {
        let (least, most) = ends(values)?;
        let steps = round_numbers(least, most);
        let low = steps.iter().copied().rfind(|step| *step <= least * 1.0001)?;
        let mut high = steps.iter().copied().find(|step| *step >= most * 0.9999)?;
        if high <= low {
            high = steps.iter().copied().find(|step| *step > low * 1.5)?;
        }
        let is_short = high / low < 101.0;
        let is_shown = |step: &f64| {
            (low * 0.999..=high * 1.001).contains(step) && (is_short || is_power_of_ten(*step))
        };
        let ticks = steps.iter().copied().filter(is_shown).map(|step| (step, short(&label(step))));
        Some(Axis { low, high, is_log: true, ticks: ticks.collect() })
    }

    /// As [`Axis::log`], in powers of four, as memory is counted.
    pub(crate) fn binary(values: &[f64], label: impl Fn(f64) -> String) -> Option<Axis> {
        let (least, most) = ends(values)?;
        let low = (least.log2() / 2.0).floor() * 2.0;
        let high = ((most.log2() / 2.0).ceil() * 2.0).max(low + 2.0);
        let mut ticks = Vec::new();
        let mut power = low;
        while power <= high {
            ticks.push((power.exp2(), short(&label(power.exp2()))));
            power += 2.0;
        }
        Some(Axis { low: low.exp2(), high: high.exp2(), is_log: true, ticks })
    }

    /// As [`Axis::log`], but its ticks are the values themselves, with a little room on both sides.
    pub(crate) fn at(values: &[(f64, String)]) -> Option<Axis> {
        let all: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
        let (least, most) = ends(&all)?;
        let room = (most / least).powf(0.03).max(1.02);
        Some(Axis { low: least / room, high: most * room, is_log: true, ticks: values.to_vec() })
    }

    /// Where `value` lies: 0 at the low end, 1 at the high one.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let place = if self.is_log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// Whether `value` has a place at all.
    pub(crate) fn has(&self, value: f64) -> bool {
        value.is_finite() && (!self.is_log || value > 0.0)
    }
}

/// The least and the greatest of those above 0.
fn ends(values: &[f64]) -> Option<(f64, f64)> {
    let fit = || values.iter().copied().filter(|value| value.is_finite() && *value > 0.0);
    Some((fit().min_by(f64::total_cmp)?, fit().max_by(f64::total_cmp)?))
}

/// 1, 2 and 5 times the powers of ten, from below `least` to above `most`.
fn round_numbers(least: f64, most: f64) -> Vec<f64> {
    let mut steps = Vec::new();
    let mut power = least.log10().floor();
    while power <= most.log10().ceil() + 1.0 {
        steps.extend([1.0, 2.0, 5.0].map(|digit| digit * 10f64.powf(power)));
        power += 1.0;
    }
    steps
}

fn is_power_of_ten(value: f64) -> bool {
    (value.log10() - value.log10().round()).abs() < 1e-6
}

/// The least of 1, 2, 5, 10, … that is not below `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let digits = [1.0, 2.0, 2.5, 5.0, 10.0];
    let digit = digits.into_iter().find(|digit| digit * power >= least * 0.9999);
    digit.unwrap_or(10.0) * power
}

/// Where labels go that want to be at `wanted`: as near to that as they can be with `gap` between
/// any two, from `low` to `high`. If there is no room for all, they come closer.
pub(crate) fn spread_apart(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
    let between = float(wanted.len().saturating_sub(1));
    let gap = if between > 0.0 { gap.min((high - low) / between) } else { gap };
    // Neighbours that are too close are one block: its first label is at `start`.
    let mut blocks: Vec<(f64, Vec<usize>)> = Vec::new();
    for label in order {
        let mut block = vec![label];
        loop {
            let start =
                start(&block, wanted, gap).min(high - gap * float(block.len() - 1)).max(low);
            match blocks.pop() {
                Some((above, mut labels)) if above + gap * float(labels.len()) > start => {
                    labels.append(&mut block);
                    block = labels;
                }
                Some(apart) => {
                    blocks.push(apart);
                    blocks.push((start, block));
                    break;
                }
                None => {
                    blocks.push((start, block));
                    break;
                }
            }
        }
    }
    let mut places = vec![0.0; wanted.len()];
    for (start, block) in blocks {
        for (at, label) in block.into_iter().enumerate() {
            places[label] = start + gap * float(at);
        }
    }
    places
}

/// Where a block begins so that its labels are as near to their wishes as they can be.
fn start(block: &[usize], wanted: &[f64], gap: f64) -> f64 {
    let wishes = block.iter().enumerate().map(|(at, label)| wanted[*label] - gap * float(at));
    wishes.sum::<f64>() / float(block.len())
}
