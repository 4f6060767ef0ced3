//! How much or how long was said, where a limit is asked for; and what is no limit at all.

use std::time::Duration;

use toml::Spanned;

use super::error::Fault;
use super::units::{Count, Rate, Size, Time};

/// A quantity that is a whole number of something.
pub(super) trait Amount: Copy {
    /// The number.
    fn amount(self) -> u64;
}

impl Amount for Count {
    fn amount(self) -> u64 {
        self.0
    }
}

impl Amount for Size {
    fn amount(self) -> u64 {
        self.0
    }
}

impl Amount for Rate {
    fn amount(self) -> u64 {
        self.0
    }
}

/// What was said, or `default`.
///
/// # Errors
/// When it is more than can be counted.
pub(super) fn any<A: Amount, N: TryFrom<u64>>(
    said: Option<&Spanned<A>>,
    default: N,
) -> Result<N, Fault> {
    let Some(said) = said else { return Ok(default) };
    N::try_from(said.get_ref().amount()).map_err(|_| Fault::new(said, "this is too much"))
}

/// What was said, or `default`.
///
/// # Errors
/// Nothing is no limit. Otherwise as [`any`].
pub(super) fn limit<A: Amount, N: TryFrom<u64>>(
    said: Option<&Spanned<A>>,
    default: N,
) -> Result<N, Fault> {
    match said {
        Some(said) if said.get_ref().amount() == 0 => {
            Err(Fault::new(said, "with a limit of 0 nothing could be served"))
        }
        said => any(said, default),
    }
}

/// What was said of a limit that is none unless it is said.
///
/// # Errors
/// As [`limit`].
pub(super) fn perhaps<A: Amount, N: TryFrom<u64> + Default>(
    said: Option<&Spanned<A>>,
) -> Result<Option<N>, Fault> {
    said.map(|said| limit(Some(said), N::default())).transpose()
}

/// What was said, or `default`.
///
/// # Errors
/// When it is no time at all.
pub(super) fn timeout(said: Option<&Spanned<Time>>, default: Duration) -> Result<Duration, Fault> {
    match said {
        Some(said) if said.get_ref().0.is_zero() => {
            Err(Fault::new(said, "in no time at all nothing can be done"))
        }
        said => Ok(said.as_ref().map_or(default, |said| said.get_ref().0)),
    }
}
