//! Figures of several rounds, and how they are written. What they measure is not known here.

use std::cmp::Ordering;

/// The middle of several rounds, and the quartiles on both sides of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) middle: f64,
    pub(crate) high: f64,
    /// The least and the most of all.
    pub(crate) ends: (f64, f64),
    /// How many there were.
    pub(crate) rounds: usize,
}

impl Spread {
    /// `None` where there is no finite value.
    pub(crate) fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted: Vec<f64> =
            values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        Some(Spread {
            low: quantile(&sorted, 0.25)?,
            middle: quantile(&sorted, 0.5)?,
            high: quantile(&sorted, 0.75)?,
            ends: (*sorted.first()?, *sorted.last()?),
            rounds: sorted.len(),
        })
    }

    /// Half the distance between the quartiles.
    pub(crate) fn half(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// Whether every round of one is above each of the other.
    pub(crate) fn is_apart(&self, other: &Spread) -> bool {
        self.ends.1 < other.ends.0 || other.ends.1 < self.ends.0
    }

    /// Whether the middle half of one has a value in common with that of the other.
    pub(crate) fn overlaps(&self, other: &Spread) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// The value below which the part `share` of all lies, between its two neighbours.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * float(sorted.len().saturating_sub(1));
    let below = whole(at);
    let low = *sorted.get(below)?;
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    Some(low + (high - low) * at.fract())
}

#[allow(clippy::cast_precision_loss, reason = "what is counted here is far below 2^52")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

#[allow(clippy::cast_precision_loss, reason = "what is counted here is far below 2^52")]
pub(crate) fn float64(count: u64) -> f64 {
    count as f64
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index, and one below 0 becomes 0"
)]
pub(crate) fn whole(value: f64) -> usize {
    value as usize
}

/// Three digits that count: `0.0123`, `4.50`, `52,100`.
pub(crate) fn rough(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".into();
    }
    if size == 0.0 {
        return "0".into();
    }
    let digits = size.log10().floor();
    let unit = 10f64.powf(digits - 2.0);
    let rounded = (value / unit).round() * unit;
    // 9.999 has become 10.0, and its logarithm may be a trifle less than 1.
    match (rounded.abs() * (1.0 + 1e-9)).log10().floor() {
        d if d >= 2.0 => grouped(rounded),
        d if d >= 1.0 => format!("{rounded:.1}"),
        d if d >= 0.0 => format!("{rounded:.2}"),
        d if d >= -1.0 => format!("{rounded:.3}"),
        d if d >= -2.0 => format!("{rounded:.4}"),
        d if d >= -3.0 => format!("{rounded:.5}"),
        d if d >= -4.0 => format!("{rounded:.6}"),
        _ => "below 0.0001".into(),
    }
}

/// Nine digits that count, as raw data is written: the clock has no more, and JSON reads back what
/// was written.
pub(crate) fn exact(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".into();
    }
    let places = whole(8.0 - value.abs().log10().floor());
    short(&format!("{value:.places$}"))
}

/// What stands in front of a unit stays beside it.
const SPACE: char = '\u{a0}';

/// As short as it can be, for axes: `10` for `10.0`.
pub(crate) fn short(words: &str) -> String {
    let end = words.find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ',');
    let (number, unit) = words.split_at(end.unwrap_or(words.len()));
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    format!("{number}{unit}")
}

/// A whole number in groups of three digits.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    if value <= -0.5 {
        text.push('−');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `value` in the largest of `units` that it has at least one of. Each unit is so many of the one
/// before.
fn in_units(mut value: f64, units: &[(&str, f64)]) -> String {
    let mut name = "";
    for (at, (unit, many)) in units.iter().enumerate() {
        // What would be written as 1,000 of the smaller one.
        if at > 0 && value < many * 0.9995 {
            break;
        }
        value /= many;
        name = unit;
    }
    format!("{}{SPACE}{name}", rough(value))
}

/// A time given in microseconds.
pub(crate) fn time(microseconds: f64) -> String {
    in_units(microseconds, &[("µs", 1.0), ("ms", 1e3), ("s", 1e3)])
}

/// An amount of memory given in KiB.
pub(crate) fn memory(kib: f64) -> String {
    if kib.abs() < 1.0 {
        return format!("{:.0}{SPACE}B", kib * 1024.0);
    }
    in_units(kib, &[("KiB", 1.0), ("MiB", 1024.0), ("GiB", 1024.0)])
}

/// Answers in a second.
pub(crate) fn per_second(rate: f64) -> String {
    format!("{} per second", rough(rate))
}

pub(crate) fn clients(count: usize) -> String {
    format!("{} client{}", grouped(float(count)), if count == 1 { "" } else { "s" })
}

/// A share of 1 as a percentage.
pub(crate) fn percent(share: f64) -> String {
    let hundredths = share * 100.0;
    let number = match hundredths {
        all if all >= 100.0 => format!("{all:.0}"),
        // Nearly all is not all.
        most if most > 99.0 => short(&format!("{:.2}", most.min(99.99))),
        some if some >= 1.0 || some <= 0.0 => format!("{some:.0}"),
        _ => "less than 1".into(),
    };
    format!("{number}{SPACE}%")
}

/// What `value` is beside `other`: how much more or less.
pub(crate) fn beside(value: f64, other: f64) -> String {
    let ratio = value / other;
    let part = percent((ratio - 1.0).abs());
    match value.total_cmp(&other) {
        Ordering::Equal => "the same".into(),
        Ordering::Less | Ordering::Greater if other <= 0.0 || ratio < 0.0 => {
            "which no ratio can tell".into()
        }
        Ordering::Less => format!("{part} less"),
        Ordering::Greater if ratio >= 2.0 => format!("{} times as much", times(ratio)),
        Ordering::Greater => format!("{part} more"),
    }
}

/// A factor: `2.3`, `45`, `1,200`.
pub(crate) fn times(ratio: f64) -> String {
    match ratio {
        large if large >= 99.5 => rough(large),
        middling if middling >= 9.95 => format!("{middling:.0}"),
        small => format!("{small:.1}"),
    }
}

/// `a, b and c`.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
