//! Skeleton.
use super::Call;

/// Calls `each` for every variable.
pub fn variables(_call: &Call<'_>, _each: impl FnMut(&[u8], &[u8])) {}
