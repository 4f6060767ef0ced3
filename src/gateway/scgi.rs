//! Skeleton.
use super::Call;

/// Appends the request's head.
pub fn request(_call: &Call<'_>, _out: &mut Vec<u8>) {}
