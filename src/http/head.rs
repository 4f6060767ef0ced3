//! A request's head: its request line and field section (RFC 9112 §2 to §5).
//!
//! A head is *parsed* once, when it is whole: at once where it comes so, as nearly all do; else it
//! is *scanned* for its end as it drips in. However slowly it does, no byte is looked at more than
//! twice.

use std::mem::MaybeUninit;

use httparse::{Error, Header};

use super::fields::{self, Fields, Name};
use super::framing::{self, Length};
use super::method::Method;
use super::status::Status;
use super::target::{Target, split_authority};
use super::{Limits, Refusal};

/// The most field lines that any limit may allow.
pub const MAX_FIELDS: usize = 256;

/// Room for the field lines of one head: on the caller's stack, and written only as far as needed.
pub struct HeadSpace<'a>([MaybeUninit<Header<'a>>; MAX_FIELDS]);

impl HeadSpace<'_> {
    /// Empty room; costs nothing.
    #[must_use]
    pub fn new() -> Self {
        HeadSpace([const { MaybeUninit::uninit() }; MAX_FIELDS])
    }
}

impl Default for HeadSpace<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// A whole request head, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method.
    pub method: Method<'a>,
    /// The target, in one of its four forms.
    pub target: Target<'a>,
    /// The `x` of `HTTP/1.x`: 0 or 1.
    pub minor_version: u8,
    /// `host[:port]` as sent: of the target in absolute or authority form, else of Host; empty
    /// where an HTTP/1.0 request names none.
    pub authority: &'a str,
    /// The host alone, without its port; an IPv6 address keeps its brackets.
    pub host: &'a str,
    /// All fields.
    pub fields: Fields<'a>,
    /// How the request's content is framed; `None` where it has none.
    pub length: Option<Length>,
    /// Whether the client wants the connection to persist (RFC 9112 §9.3).
    pub persistent: bool,
    /// Whether the client waits for `100 Continue` before it sends content (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// The request line without its line end, for logs.
    pub line: &'a [u8],
}

impl<'a> Head<'a> {
    /// Parses `bytes`: one whole head, from the request line to the empty line; perhaps with the
    /// empty line before it that is forgiven (RFC 9112 §2.2).
    ///
    /// # Errors
    /// The refusal that RFC 9112 asks for: 400 for whatever is malformed or ambiguous, 417 for an
    /// expectation we do not know, 431 for too many fields or bytes, 501 for an unknown transfer
    /// coding, 505 for another version of HTTP.
    pub fn parse(
        bytes: &'a [u8],
        space: &'a mut HeadSpace<'a>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        match Head::parse_first(bytes, space, limits)? {
            (length, head) if length == bytes.len() => Ok(head),
            _ => Err(Refusal::bad("the head ends before its empty line")),
        }
    }

    /// Parses the head that `bytes` begins with, and whose end is among them. Says how long it is.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse).
    pub fn parse_first(
        bytes: &'a [u8],
        space: &'a mut HeadSpace<'a>,
        limits: &Limits,
    ) -> Result<(usize, Self), Refusal> {
        let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let bytes = &bytes[skipped..];
        let mut request = httparse::Request::new(&mut []);
        let room = &mut space.0[..limits.head_fields.min(MAX_FIELDS)];
        let parsed = request.parse_with_uninit_headers(bytes, room);
        let (Ok(httparse::Status::Complete(length)), Some(method), Some(target), Some(version)) =
            (parsed, request.method, request.path, request.version)
        else {
            return Err(refusal_of(bytes, parsed.err(), limits));
        };
        let bytes = &bytes[..length];
        // The parser skips empty lines.
        if length > limits.head_bytes
            || !fields::is_token_byte(bytes[0])
            || !has_no_bare_line_feed(bytes, request.headers)
        {
            return Err(refusal_of(bytes, None, limits));
        }
        // Two spaces and the version.
        let line = &bytes[..method.len() + target.len() + 10];
        let method = Method::parse(method);
        let target = Target::parse(target, method == Method::Connect, method == Method::Options)?;
        let fields = Fields::new(request.headers);
        let (authority, host) = authority(&target, &fields, version)?;
        let head = Head {
            method,
            target,
            minor_version: version,
            authority,
            host,
            length: framing::request_length(&fields, version)?,
            persistent: persists(&fields, version),
            expects_continue: expects_continue(&fields, version)?,
            fields,
            line,
        };
        Ok((skipped + length, head))
    }
}

/// Whether each line of a parsed head ends in CRLF, which the parser does not insist on: it is what
/// stands before each field's name, and twice at the end.
fn has_no_bare_line_feed(bytes: &[u8], lines: &[Header<'_>]) -> bool {
    let is_crlf_before = |at: usize| bytes.get(at.wrapping_sub(2)) == Some(&b'\r');
    lines.iter().all(|line| is_crlf_before(line.name.as_ptr().addr() - bytes.as_ptr().addr()))
        && is_crlf_before(bytes.len() - 2)
        && is_crlf_before(bytes.len())
}

/// How far the search for a head's end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Bytes already looked at.
    seen: u32,
    /// The request line has been seen whole, and its version is ours.
    past_line: bool,
}

impl Scan {
    /// Looks on through `input`, the same bytes as at the last call and perhaps more behind them,
    /// for the end of the head: `Some(length)` with its empty line, or `None` where more must come.
    ///
    /// # Errors
    /// As soon as it is certain that no head can come of it: 400, 414, 431, 501 or 505.
    pub fn end(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        if self.seen == 0
            && let Some(&first) = input.first()
        {
            check_first(first)?;
        }
        let from = self.seen as usize;
        let window = input.len().min(limits.head_bytes);
        for at in memchr::memchr_iter(b'\n', &input[from..window]).map(|at| at + from) {
            if at == 0 || input[at - 1] != b'\r' {
                return Err(Refusal::bad("a line ends in a bare line feed"));
            }
            if !self.past_line {
                check_version(&input[..at - 1])?;
                self.past_line = true;
            } else if input[at - 2] == b'\n' {
                return Ok(Some(at + 1));
            }
        }
        if input.len() >= limits.head_bytes {
            return Err(self.too_large(&input[..window]));
        }
        self.seen = u32::try_from(window).expect("a head's limit fits in 32 bits");
        Ok(None)
    }

    /// What is too large of a head that begins with `window` (RFC 9112 §3).
    fn too_large(self, window: &[u8]) -> Refusal {
        let (status, why) = if self.past_line {
            let why = "the fields are larger than this server takes";
            (Status::REQUEST_HEADER_FIELDS_TOO_LARGE, why)
        } else if memchr::memchr(b' ', window).is_some() {
            (Status::URI_TOO_LONG, "the target is longer than this server takes")
        } else {
            (Status::NOT_IMPLEMENTED, "the method is longer than any known here")
        };
        Refusal { status, why }
    }
}

/// Refuses what cannot begin a request, so that a client that speaks something else is not left
/// to wait for a time-out.
fn check_first(first: u8) -> Result<(), Refusal> {
    match first {
        0x16 => Err(Refusal::bad("this port speaks HTTP, and this looks like TLS")),
        _ if fields::is_token_byte(first) => Ok(()),
        _ => Err(Refusal::bad("a request begins with its method")),
    }
}

/// Looks at the version that ends a request line (RFC 9112 §2.3).
fn check_version(line: &[u8]) -> Result<(), Refusal> {
    let version = memchr::memrchr(b' ', line).map_or(&b""[..], |space| &line[space + 1..]);
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Refusal {
            status: Status::HTTP_VERSION_NOT_SUPPORTED,
            why: "this server speaks HTTP/1.1 and HTTP/1.0",
        }),
        _ if version.starts_with(b"HTTP/") => Err(Refusal::bad("the version is malformed")),
        _ => Err(Refusal::bad("the request line has no version; HTTP/0.9 is not spoken here")),
    }
}

/// Why `bytes` begin with no head that can be taken, though its end is there. `error` is what the
/// parser said, if it said so.
fn refusal_of(bytes: &[u8], error: Option<Error>, limits: &Limits) -> Refusal {
    let line_end = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
    let scanned = Scan::default().end(bytes, limits);
    if let Err(refusal) = scanned.and_then(|_| check_version(&bytes[..line_end])) {
        return refusal;
    }
    match error {
        None => Refusal::bad("the head ends before its empty line"),
        Some(Error::HeaderName) => Refusal::bad("a field name is invalid"),
        Some(Error::HeaderValue) => {
            Refusal::bad("a field value has a byte that may not stand there")
        }
        Some(Error::NewLine) => Refusal::bad("a line end is malformed"),
        // What ends the line has been found to be a version; so there is too much before it.
        Some(Error::Token | Error::Version) => Refusal::bad("the request line is malformed"),
        Some(Error::TooManyHeaders) => Refusal {
            status: Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            why: "there are more fields than this server takes",
        },
        Some(Error::Status) => Refusal::bad("the head is malformed"),
    }
}

/// Whom the request is for (RFC 9112 §3.2.2, §3.3), and the host alone. Host must be there once and
/// be valid, even where the target outranks it.
fn authority<'a>(
    target: &Target<'a>,
    fields: &Fields<'a>,
    minor_version: u8,
) -> Result<(&'a str, &'a str), Refusal> {
    if fields.is_repeated(Name::Host) {
        return Err(Refusal::bad("Host is there twice"));
    }
    let of_field = match fields.get(Name::Host) {
        Some(value) => std::str::from_utf8(value)
            .ok()
            .and_then(|text| split_authority(text).map(|(host, _)| (text, host)))
            .ok_or(Refusal::bad("Host is invalid"))?,
        None if minor_version == 0 => ("", ""),
        None => return Err(Refusal::bad("Host is missing")),
    };
    Ok(match *target {
        Target::Absolute { authority, .. } | Target::Authority(authority) => {
            (authority, split_authority(authority).map_or("", |(host, _)| host))
        }
        Target::Origin { .. } | Target::Asterisk => of_field,
    })
}

/// Whether who has sent these fields wants the connection to persist (RFC 9112 §9.3).
pub(crate) fn persists(fields: &Fields<'_>, minor_version: u8) -> bool {
    let Some(first) = fields.get(Name::Connection) else { return minor_version > 0 };
    // What nearly all say that say something.
    if !fields.is_repeated(Name::Connection) && first.eq_ignore_ascii_case(b"keep-alive") {
        return true;
    }
    let mut close = false;
    let mut keep_alive = false;
    for option in fields.members(Name::Connection) {
        close |= option.eq_ignore_ascii_case(b"close");
        keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    !close && (minor_version > 0 || keep_alive)
}

/// RFC 9110 §10.1.1. An HTTP/1.0 client cannot mean it.
fn expects_continue(fields: &Fields<'_>, minor_version: u8) -> Result<bool, Refusal> {
    if minor_version == 0 || !fields.has(Name::Expect) {
        return Ok(false);
    }
    let mut expects = false;
    for expectation in fields.members(Name::Expect) {
        if !expectation.eq_ignore_ascii_case(b"100-continue") {
            let why = "the only expectation known here is 100-continue";
            return Err(Refusal { status: Status::EXPECTATION_FAILED, why });
        }
        expects = true;
    }
    Ok(expects)
}
