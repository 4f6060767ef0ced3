//! The limits of everything that could otherwise grow or wait without end. Each has its line in
//! `conf/oneloop.toml`.

use std::time::Duration;

use super::shares::RequestRate;
use crate::http;

/// All limits of one server. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients at once. Above it the oldest idle client is let go for a new one; where none is
    /// idle, new ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections of one address (IPv4) or one /64 (IPv6) at once; more are closed. Proxies that
    /// are believed may have any number.
    pub per_ip_connections: Option<usize>,
    /// Requests of one; then 429.
    pub per_ip_rate: Option<RequestRate>,
    /// Bytes of memory of the process. Above it, cached files and idle clients are let go, and new
    /// clients wait.
    pub max_memory: Option<u64>,
    /// Bytes of a request's head, and of a trailer section; 414 or 431 above it.
    pub head_bytes: usize,
    /// Field lines of a request's head, at most [`http::head::MAX_FIELDS`]; 431 above it.
    pub head_fields: usize,
    /// How long a head may take from its first byte, or from the connection's start; then 408.
    pub head_timeout: Duration,
    /// Bytes of a request's content, unless its route says otherwise; 413 above it.
    pub content_bytes: u64,
    /// How long content may pause, and how much longer than
    /// [`content_min_rate`](Self::content_min_rate) allows it may take in all; then 408.
    pub content_timeout: Duration,
    /// Bytes per second below which a client's content is too slow.
    pub content_min_rate: u64,
    /// How long a client may take nothing of its answer, and how much longer than
    /// [`send_min_rate`](Self::send_min_rate) allows an answer may take in all; then the connection
    /// is closed.
    pub send_timeout: Duration,
    /// Bytes per second below which a client takes its answer too slowly.
    pub send_min_rate: u64,
    /// How long another thread may take for an answer; then 503.
    pub answer_timeout: Duration,
    /// How long a connection may be idle between requests; then it is closed.
    pub idle_timeout: Duration,
    /// Requests per connection; the last answer says `Connection: close`.
    pub persistent_requests: u32,
    /// Requests that one client may have answered before the others have their turn; and how often
    /// a producer of its content may be asked.
    pub turn_requests: u32,
    /// Bytes that one client may receive and send before the others have their turn. A byte that a
    /// program says counts as four at least.
    pub turn_bytes: usize,
    /// How long a connection that the server ends is still listened to, so that the last answer is
    /// not lost to a reset (RFC 9112 §9.6).
    pub linger_timeout: Duration,
    /// How long a graceful end waits for exchanges under way.
    pub drain_timeout: Duration,
    /// How long a new program may take from its start until it serves in place of this one.
    pub upgrade_start: Duration,
    /// How long this one then goes on for the clients that it has.
    pub upgrade_drain: Duration,
    /// A turn of the loop that takes longer is logged.
    pub loop_lag: Duration,
    /// Where turns take longer than this, one after the other, whoever is served later than that in
    /// one gets 503.
    pub overload: Duration,
    /// Bytes of one request's content that stay in memory until a program can have it; more goes
    /// into a file.
    pub spool_memory: usize,
    /// Bytes of content that are kept, of all requests together; then 503.
    pub spool_total: u64,
    /// How long a program goes on for a client that has ended its direction: it may be gone.
    pub half_closed: Duration,
    /// How long a connection that has changed its protocol may be silent.
    pub tunnel_timeout: Duration,
    /// Lines that programs may complain of in one exchange, as far as they are logged.
    pub complaints_lines: u32,
    /// Their bytes.
    pub complaints_bytes: usize,
    /// The last turns of the loop that are remembered.
    pub recorder_turns: usize,
    /// And what happened in them: six moments for a small exchange.
    pub recorder_moments: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            per_ip_connections: None,
            per_ip_rate: None,
            max_memory: None,
            head_bytes: 16 << 10,
            head_fields: 100,
            head_timeout: Duration::from_secs(10),
            content_bytes: 10 << 20,
            content_timeout: Duration::from_secs(30),
            content_min_rate: 500,
            send_timeout: Duration::from_mins(1),
            send_min_rate: 500,
            answer_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_secs(75),
            persistent_requests: 10_000,
            turn_requests: 64,
            turn_bytes: 256 << 10,
            linger_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            upgrade_start: Duration::from_secs(30),
            upgrade_drain: Duration::from_mins(10),
            loop_lag: Duration::from_millis(50),
            overload: Duration::from_secs(1),
            spool_memory: 64 << 10,
            spool_total: 1 << 30,
            half_closed: Duration::from_secs(2),
            tunnel_timeout: Duration::from_hours(1),
            complaints_lines: 1_000,
            complaints_bytes: 64 << 10,
            recorder_turns: 1_024,
            recorder_moments: 8_192,
        }
    }
}

impl Limits {
    /// What the protocol itself has to know of them.
    #[must_use]
    pub fn http(&self) -> http::Limits {
        http::Limits { head_bytes: self.head_bytes, head_fields: self.head_fields }
    }
}
