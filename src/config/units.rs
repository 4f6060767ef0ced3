//! Times, sizes, rates and counts as a person writes them: `"10s"`, `"16KiB"`, `"500B/s"`, `100`.
//!
//! Each reads and writes its own form, and what it writes it reads again. Which value suits which
//! option is not known here.
//!
//! An error's text is what is wrong; where there is a way to put it right, that follows on a line
//! of its own.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

use super::error::Fault;
use super::reading::{Sayable, Value};

/// A length of time, in whole milliseconds: `250ms`, `10s`, `5min`, `1h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub Duration);

/// A number of bytes: `512B`, `16KiB`, `10MiB`, `1GiB`; in powers of ten `10kB`, `5MB`, `1GB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size(pub u64);

/// Bytes per second: a [`Size`] and `/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(pub u64);

/// How many of something: a whole number, without a unit and without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub u64);

/// One kind of quantity: what it is called, how it is written, and what people write instead.
struct Kind {
    name: &'static str,
    like: &'static str,
    /// Each unit and how many of the smallest it is; for each base the smallest first.
    units: &'static [(&'static str, u64)],
    /// How a unit begins that is none, in lower case, and which is meant: the first that fits.
    meant: &'static [(&'static str, &'static str)],
}

const TIME: Kind = Kind {
    name: "time",
    like: "10s",
    units: &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)],
    meant: &[("ms", "ms"), ("mil", "ms"), ("m", "min"), ("s", "s"), ("h", "h"), ("d", "d")],
};

const SIZE: Kind = Kind {
    name: "size",
    like: "16KiB",
    units: &[
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ],
    meant: &[("b", "B"), ("k", "KiB"), ("m", "MiB"), ("g", "GiB"), ("t", "TiB")],
};

impl Kind {
    /// The number that `text` is, in the smallest unit.
    fn read(&self, text: &str) -> Result<u64, String> {
        let Kind { name, like, .. } = self;
        let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() {
            return Err(format!("`{text}` is not a {name}\na {name} is written like `{like}`"));
        }
        if unit.is_empty() {
            return Err(format!("`{text}` has no unit\na {name} is written like `{like}`"));
        }
        let Some(&(_, size)) = self.units.iter().find(|(known, _)| *known == unit) else {
            return Err(self.unknown_unit(digits, unit));
        };
        let number: Option<u64> = digits.parse().ok();
        number
            .and_then(|number| number.checked_mul(size))
            .ok_or_else(|| format!("`{text}` is more than can be counted"))
    }

    fn unknown_unit(&self, digits: &str, unit: &str) -> String {
        let name = self.name;
        if unit.starts_with(['.', ',', '_']) {
            return format!("a {name} is a whole number and a unit\nuse a smaller unit");
        }
        let unit = unit.trim();
        let small = unit.to_ascii_lowercase();
        let meant = self.units.iter().map(|&(known, _)| known).find(|known| *known == unit);
        let meant = meant.or_else(|| {
            self.meant.iter().find(|(start, _)| small.starts_with(start)).map(|&(_, meant)| meant)
        });
        match meant {
            Some(meant) if meant == unit => {
                format!("no space between number and unit\nwrite `{digits}{meant}`")
            }
            Some(meant) => {
                format!("`{unit}` is not a unit of {name}\ndid you mean `{digits}{meant}`?")
            }
            None => {
                let known: Vec<_> = self.units.iter().map(|&(known, _)| known).collect();
                format!("`{unit}` is not a unit of {name}\nthe units are {}", known.join(", "))
            }
        }
    }

    /// Writes `amount` in the largest unit that leaves a whole number.
    fn write(&self, amount: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |&&(_, size): &&(&str, u64)| amount.is_multiple_of(size);
        // Powers of two come first and always fit, so powers of ten are read but never written.
        let end = self.units.iter().position(|(unit, _)| *unit == "kB").unwrap_or(self.units.len());
        let (unit, size) = match amount {
            0 => self.units[0],
            _ => *self.units[..end]
                .iter()
                .rfind(whole)
                .expect("every amount is whole in the smallest"),
        };
        write!(f, "{}{unit}", amount / size)
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        TIME.read(text).map(|ms| Time(Duration::from_millis(ms)))
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        SIZE.read(text).map(Size)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix("/s") {
            Some(size) => SIZE.read(size).map(Rate),
            None if SIZE.read(text).is_ok() => {
                Err(format!("`{text}` is a size, not a rate\ndid you mean `{text}/s`?"))
            }
            None => Err(format!("`{text}` is not a rate\na rate is written like `500B/s`")),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TIME.write(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SIZE.write(self.0, f)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Size(self.0))
    }
}

impl Sayable for Time {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        written(value, "time", "10s")
    }
}

impl Sayable for Size {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        written(value, "size", "16KiB")
    }
}

impl Sayable for Rate {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        written(value, "rate", "500B/s")
    }
}

/// Reads a string, and says how one is written when something else stands there.
fn written<T>(value: &Value<'_>, what: &str, like: &str) -> Result<T, Fault>
where
    T: FromStr<Err = String>,
{
    match value.get_ref() {
        DeValue::String(text) => text.parse().map_err(|what: String| Fault::new(value, what)),
        DeValue::Integer(number) => {
            let what = format!("`{number}` has no unit\na {what} is written like \"{like}\"");
            Err(Fault::new(value, what))
        }
        _ => Err(Fault::mismatch(value, &format!("a {what} like \"{like}\""))),
    }
}

impl Sayable for Count {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let what = match value.get_ref() {
            DeValue::Integer(number) => {
                match u64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(count) => return Ok(Count(count)),
                    Err(_) if number.as_str().starts_with('-') => format!("`{number}` is negative"),
                    Err(_) => format!("`{number}` is more than can be counted"),
                }
            }
            DeValue::String(text) if text.parse::<u64>().is_ok() => {
                format!("a whole number stands without quotes\nwrite `{text}`")
            }
            _ => return Err(Fault::mismatch(value, "a whole number")),
        };
        Err(Fault::new(value, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_what_they_write_in_the_largest_whole_unit() {
        let times = ["0ms", "1ms", "1500ms", "1s", "90s", "2min", "1h", "25h", "1d"];
        for text in times {
            assert_eq!(text.parse::<Time>().map(|time| time.to_string()).as_deref(), Ok(text));
        }
        for text in ["0B", "1B", "1000B", "1KiB", "1025B", "10MiB", "1GiB", "3TiB"] {
            assert_eq!(text.parse::<Size>().map(|size| size.to_string()).as_deref(), Ok(text));
            let rate = format!("{text}/s");
            assert_eq!(rate.parse::<Rate>().map(|rate| rate.to_string()), Ok(rate));
        }
        assert_eq!("60000ms".parse(), Ok(Time(Duration::from_mins(1))));
        assert_eq!("5MB".parse(), Ok(Size(5_000_000)));
        assert_eq!(Size(5_000_000).to_string(), "5000000B");
    }

    #[test]
    fn what_is_no_quantity_says_what_one_would_be() {
        let cases = [
            ("", "`` is not a time\na time is written like `10s`"),
            ("10", "`10` has no unit\na time is written like `10s`"),
            ("-1s", "`-1s` is not a time\na time is written like `10s`"),
            ("10sec", "`sec` is not a unit of time\ndid you mean `10s`?"),
            ("10m", "`m` is not a unit of time\ndid you mean `10min`?"),
            ("10msec", "`msec` is not a unit of time\ndid you mean `10ms`?"),
            ("1 s", "no space between number and unit\nwrite `1s`"),
            ("1.5s", "a time is a whole number and a unit\nuse a smaller unit"),
            ("1w", "`w` is not a unit of time\nthe units are ms, s, min, h, d"),
            ("99999999999999999999s", "`99999999999999999999s` is more than can be counted"),
            ("999999999999999999d", "`999999999999999999d` is more than can be counted"),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Time>(), Err(error.to_owned()), "{text}");
        }
        let cases = [
            ("16KB", "`KB` is not a unit of size\ndid you mean `16KiB`?"),
            ("16k", "`k` is not a unit of size\ndid you mean `16KiB`?"),
            ("1mb", "`mb` is not a unit of size\ndid you mean `1MiB`?"),
            ("20000000TiB", "`20000000TiB` is more than can be counted"),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Size>(), Err(error.to_owned()), "{text}");
        }
        let cases = [
            ("500B", "`500B` is a size, not a rate\ndid you mean `500B/s`?"),
            ("fast", "`fast` is not a rate\na rate is written like `500B/s`"),
            (
                "5x/s",
                "`x` is not a unit of size\nthe units are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB",
            ),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Rate>(), Err(error.to_owned()), "{text}");
        }
    }
}
