//! A request's head as an origin gets it: the client's own, without what held for the client's
//! connection alone, and with word of where it has come from.
//!
//! Of the fields that say who the client is, an origin may trust what this server has written:
//! `X-Forwarded-Host` and `X-Forwarded-Proto`, and the *last* member of `Forwarded`,
//! `X-Forwarded-For` and `Via`. The members before it are what the client, or a proxy before this
//! server, has said. Where this server itself believes the proxy that has passed the request on,
//! the last member is that proxy, what it says of its client stands before, and the scheme is the
//! one that the client has asked by. All other `X-Forwarded-` fields of the client are left out,
//! since an origin could not tell who wrote them.

use std::net::IpAddr;

use httparse::Header;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::gateway::{Call, compare, write_address};
use crate::http::fields::{self, Fields, Name};
use crate::http::forwarded::split_pair;
use crate::http::framing::{Encoder, Length};
use crate::http::head::Head;
use crate::http::method::Method;
use crate::http::target::Target;

/// How a request is passed on.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// Path and query: what [`target`] makes.
    pub target: &'a [u8],
    /// The value of Host.
    pub host: &'a str,
}

/// Fields that are not passed on: those that hold for one connection (RFC 9110 §7.6.1), those that
/// are written anew, and two that nobody behind a proxy may hear of. `HTTP2-Settings` belongs to an
/// upgrade that is not offered, and `Proxy` becomes the variable `HTTP_PROXY` of a program that
/// takes it for its own.
const LEFT_OUT: [&str; 16] = [
    "Connection",
    "Content-Length",
    "Expect",
    "Forwarded",
    "Host",
    "HTTP2-Settings",
    "Keep-Alive",
    "Proxy",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Via",
    FORWARDED_FOR,
];

const MAX_FORWARDS: &str = "Max-Forwards";

const FORWARDED_FOR: &str = "X-Forwarded-For";

/// What the names of all fields begin with that say where a request has come from.
const FORWARDED_PREFIX: &str = "X-Forwarded-";

/// Fields that are passed on even where Connection names them. RFC 9110 §7.6.1 would have them
/// removed; but then a client could strip what a proxy before this server has added, and what the
/// origin relies on. (The other fields of that kind are written anew in any case.)
const NEVER_NAMED: [&str; 3] = ["Authorization", "Cookie", "X-Real-IP"];

/// Protocols that are not offered to an origin: requests in them would reach it past all that this
/// server checks.
const NEVER_OFFERED: [&[u8]; 4] = [b"h2", b"h2c", b"HTTP", b"TLS"];

/// What must be escaped in a path: all that is no `pchar` (RFC 3986 §3.3), but the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The same in a path with escapes, which stay.
const ESCAPED_PATH: &AsciiSet = &PATH.remove(b'%');

/// The same in a query (RFC 3986 §3.4). A `%` that begins no escape stays as well: there are
/// origins that read `%u0041`.
const QUERY: &AsciiSet = &ESCAPED_PATH.remove(b'?');

/// How often a request may still be passed on (RFC 9110 §7.6.2): at 0, who has it answers it.
/// `None` where nothing valid is said of it, and for all methods but the two that it is for.
#[must_use]
pub fn max_forwards(head: &Head<'_>) -> Option<u64> {
    if !matches!(head.method, Method::Options | Method::Trace) {
        return None;
    }
    let mut said = values(&head.fields, MAX_FORWARDS);
    let (Some(digits), None) = (said.next(), said.next()) else { return None };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Of more than we can count to, what we can count to is passed on, as it is to be.
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}

/// Appends the target that an origin is asked for. `path` is what `asked` resolves to, or what is
/// asked for in its place: decoded and without dot segments. `strip` is taken off the front of the
/// path, where the path goes on with `/` or ends there: `/api` off `/api/x` leaves `/x`, off `/api`
/// it leaves `/`, and `/apix` stays.
///
/// The client's own spelling goes on where decoding its escapes, once, is all that makes `path` of
/// it: an origin may tell `%3B` from `;`. Any other is made anew from `path`. Either way it comes
/// down to the path that routes and access checks have seen, so there is no spelling that means one
/// thing here and another there. Bytes that may not stand in a URI are escaped.
pub fn target(asked: &Target<'_>, path: &[u8], strip: Option<&str>, out: &mut Vec<u8>) {
    let strip = strip.unwrap_or("").trim_end_matches('/').as_bytes();
    let path = without(path, strip);
    let spelled = asked.path().map_or(&b"/"[..], |path| without(path.as_bytes(), strip));
    let is_plain = spelled == path && !path.contains(&b'%');
    let escaped = if is_plain || percent_decode(spelled).eq(path.iter().copied()) {
        percent_encode(spelled, ESCAPED_PATH)
    } else {
        percent_encode(path, PATH)
    };
    escaped.for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    if let Some(query) = asked.query() {
        out.push(b'?');
        let escaped = percent_encode(query.as_bytes(), QUERY);
        escaped.for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    }
}

/// `path` without `strip` at its front.
fn without<'a>(path: &'a [u8], strip: &[u8]) -> &'a [u8] {
    match path.strip_prefix(strip) {
        Some(b"") => b"/",
        Some(rest) if rest.starts_with(b"/") => rest,
        Some(_) | None => path,
    }
}

/// The protocols that `head` offers to change to (RFC 9110 §7.8), as a list, in its order; empty if
/// there are none, or none that an origin may be offered. A request with content offers nothing: it
/// would have to be sent before the connection can change.
pub(super) fn offered(head: &Head<'_>) -> Vec<u8> {
    let mut offered = Vec::new();
    let asks = fields_name(&head.fields, b"upgrade");
    if head.minor_version == 0 || head.length.is_some() || !asks {
        return offered;
    }
    for protocol in values(&head.fields, "Upgrade").flat_map(fields::list) {
        let (name, version) = match memchr::memchr(b'/', protocol) {
            Some(slash) => (&protocol[..slash], Some(&protocol[slash + 1..])),
            None => (protocol, None),
        };
        let is_valid = fields::is_name(name) && version.is_none_or(fields::is_name);
        if is_valid && !NEVER_OFFERED.iter().any(|never| never.eq_ignore_ascii_case(name)) {
            append_member(&mut offered, protocol);
        }
    }
    offered
}

/// Whether Connection names `option`.
fn fields_name(fields: &Fields<'_>, option: &[u8]) -> bool {
    fields.members(Name::Connection).any(|member| member.eq_ignore_ascii_case(option))
}

/// The values of all lines of `name`.
fn values<'a>(fields: &Fields<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let lines = fields.lines().iter().filter(move |line| line.name.eq_ignore_ascii_case(name));
    lines.map(|line| line.value)
}

/// Appends `member` to `list`.
fn append_member(list: &mut Vec<u8>, member: &[u8]) {
    if !list.is_empty() && !member.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member);
}

/// Appends the request's head to `out`. Returns what frames the content that is to follow.
pub(super) fn write(
    call: &Call<'_>,
    forward: &Forward<'_>,
    offered: &[u8],
    out: &mut Vec<u8>,
) -> Option<Encoder> {
    let head = call.head;
    debug_assert!(forward.target.iter().all(u8::is_ascii_graphic), "the target would be two");
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(forward.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields::write(out, "Host", forward.host.as_bytes());
    write_end_to_end(head, out);
    write_forwarding(call, out);
    if !offered.is_empty() {
        fields::write(out, "Connection", b"upgrade");
        fields::write(out, "Upgrade", offered);
    }
    let encoder = write_framing(call, out);
    if encoder.is_some() && head.expects_continue {
        fields::write(out, "Expect", b"100-continue");
    }
    out.extend_from_slice(b"\r\n");
    encoder
}

/// Appends the fields that are passed on, in their order.
fn write_end_to_end(head: &Head<'_>, out: &mut Vec<u8>) {
    let (fields, lines) = (&head.fields, head.fields.lines());
    // Sorted, so that a Connection of thousands of members costs no more than reading it.
    let mut named: Vec<&[u8]> = fields.members(Name::Connection).collect();
    named.sort_unstable_by(|a, b| compare(a, b));
    let forwards = max_forwards(head).map(|forwards| forwards.saturating_sub(1).to_string());
    for line in lines.iter().filter(|line| is_passed(line.name, &named, lines)) {
        match &forwards {
            Some(left) if line.name.eq_ignore_ascii_case(MAX_FORWARDS) => {
                fields::write(out, line.name, left.as_bytes());
            }
            Some(_) | None => fields::write(out, line.name, line.value),
        }
    }
}

/// Whether the field `name`, one of `lines`, is passed on; `named` are the names that Connection
/// lists, sorted.
fn is_passed(name: &str, named: &[&[u8]], lines: &[Header<'_>]) -> bool {
    let prefix = name.get(..FORWARDED_PREFIX.len()).unwrap_or("");
    if LEFT_OUT.iter().any(|other| is_alias(name, other)) || is_alias(prefix, FORWARDED_PREFIX) {
        return false;
    }
    let is_named = named.binary_search_by(|other| compare(other, name.as_bytes())).is_ok();
    if is_named && !NEVER_NAMED.iter().any(|never| never.eq_ignore_ascii_case(name)) {
        return false;
    }
    let is_double = |other: &str| is_alias(other, name) && !other.eq_ignore_ascii_case(name);
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain || !lines.iter().any(|line| is_double(line.name))
}

/// Whether `a` and `b` are one name to an origin that makes variables of fields: to WSGI and Rack,
/// `_` is as good as `-`; to some servers before CGI scripts, so is every byte but letters and
/// digits. So `X_Forwarded_For` and `X.Forwarded.For` are left out like `X-Forwarded-For`, and a
/// name with such a byte where there is another line that it could be taken for; all others pass.
fn is_alias(a: &str, b: &str) -> bool {
    let fold =
        |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| fold(a) == fold(b))
}

/// Appends the fields that say where the request has come from.
fn write_forwarding(call: &Call<'_>, out: &mut Vec<u8>) {
    let head = call.head;
    // A client of IPv4 is one, also where it has come through a socket of IPv6.
    let client = call.client.map(|address| address.ip().to_canonical());
    // Behind an open quotation mark, what is appended would be a part of what the client said.
    let is_valid = values(&head.fields, "Forwarded").all(is_forwarded);
    let known = values(&head.fields, "Forwarded").filter(|_| is_valid);
    write_extended("Forwarded", known, out, |out| write_forwarded(call, client, out));
    let known = values(&head.fields, FORWARDED_FOR);
    write_extended(FORWARDED_FOR, known, out, |out| match client {
        Some(address) => write_address(address, out),
        None => out.extend_from_slice(b"unknown"),
    });
    if !head.authority.is_empty() {
        fields::write(out, "X-Forwarded-Host", head.authority.as_bytes());
    }
    fields::write(out, "X-Forwarded-Proto", call.scheme().as_bytes());
    // RFC 9110 §7.6.3: the version is the one that the request was received in.
    let via = if head.minor_version == 0 { &b"1.0 oneloop"[..] } else { b"1.1 oneloop" };
    let known = values(&head.fields, "Via");
    write_extended("Via", known, out, |out| out.extend_from_slice(via));
}

/// Writes one line of `name`: the values that were there, and what `member` writes as the last.
fn write_extended<'a>(
    name: &str,
    known: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
    member: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for known in known.filter(|known| !known.is_empty()) {
        out.extend_from_slice(known);
        out.extend_from_slice(b", ");
    }
    member(out);
    out.extend_from_slice(b"\r\n");
}

/// Appends what this server has to say in Forwarded (RFC 7239 §4).
fn write_forwarded(call: &Call<'_>, client: Option<IpAddr>, out: &mut Vec<u8>) {
    let authority = call.head.authority;
    out.extend_from_slice(b"for=");
    match client {
        Some(address @ IpAddr::V4(_)) => write_address(address, out),
        Some(address @ IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            write_address(address, out);
            out.extend_from_slice(b"]\"");
        }
        None => out.extend_from_slice(b"unknown"),
    }
    if !authority.is_empty() {
        // It has neither quotation marks nor backslashes: nothing is to be escaped.
        let is_token = fields::is_name(authority.as_bytes());
        let quotes: &[u8] = if is_token { b"" } else { b"\"" };
        for piece in [b";host=", quotes, authority.as_bytes(), quotes] {
            out.extend_from_slice(piece);
        }
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(call.scheme().as_bytes());
}

/// Whether `value` is a well-formed Forwarded (RFC 7239 §4).
fn is_forwarded(value: &[u8]) -> bool {
    fields::list(value).all(|element| {
        let mut rest = Some(element);
        while let Some(now) = rest {
            let end = fields::outside_quotes(now, b';');
            let pair = now[..end.unwrap_or(now.len())].trim_ascii();
            rest = end.map(|end| &now[end + 1..]);
            if !(pair.is_empty() || split_pair(pair).is_some()) {
                return false;
            }
        }
        true
    })
}

/// Appends the field that frames the content, as the client framed it; or by its length, where that
/// has become known meanwhile.
fn write_framing(call: &Call<'_>, out: &mut Vec<u8>) -> Option<Encoder> {
    let head = call.head;
    let length = match (head.length, call.content_length) {
        (Some(Length::Known(length)), _) | (Some(Length::Chunked), Some(length)) => length,
        (Some(Length::Chunked), None) => {
            fields::write(out, "Transfer-Encoding", b"chunked");
            return Some(Encoder::Chunked);
        }
        // Content of no bytes is said to be none, where the client has said so.
        (None, _) if head.fields.get(Name::ContentLength).is_some() => 0,
        (None, _) => return None,
    };
    fields::write(out, "Content-Length", length.to_string().as_bytes());
    (length > 0).then_some(Encoder::Known(length))
}
