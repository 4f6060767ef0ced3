//! Floor 0, the protocol: HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112). Bytes in, meaning out.
//!
//! *Invariant:* nothing here knows of a socket, a file, a clock or a thread. What the time is, and
//! what bytes have come, the caller says.

pub mod fields;
pub mod method;
pub mod status;

use status::Status;

/// A request this server will not take up: what to answer, and why, for the page and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: Status,
    /// What was wrong, as a sentence without its full stop.
    pub why: &'static str,
}

impl Refusal {
    /// A refusal of malformed input: 400.
    #[must_use]
    pub const fn bad(why: &'static str) -> Self {
        Refusal { status: Status::BAD_REQUEST, why }
    }
}
