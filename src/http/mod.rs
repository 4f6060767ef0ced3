//! Floor 0, the protocol: HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112). Bytes in, meaning out.
//!
//! *Invariant:* nothing here knows of a socket, a file, a clock or a thread. What the time is, and
//! what bytes have come, the caller says.

pub mod conditional;
pub mod connection;
pub mod date;
pub mod fields;
pub mod forwarded;
pub mod framing;
pub mod head;
pub mod method;
pub mod negotiation;
pub mod proxy_header;
pub mod range;
mod response;
pub mod status;
pub mod target;
#[cfg(test)]
mod tests;

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

/// How large a request's head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from the request line to the empty line; also of a trailer section. Above it: 414 or
    /// 431.
    pub head_bytes: usize,
    /// Field lines, at most [`head::MAX_FIELDS`]. Above it: 431.
    pub head_fields: usize,
}

impl Default for Limits {
    /// 16 KiB and 100 fields.
    fn default() -> Self {
        Limits { head_bytes: 16 << 10, head_fields: 100 }
    }
}
