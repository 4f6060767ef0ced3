//! What proxies say of the requests that they pass on: for whom, and by which scheme the client has
//! asked. In `X-Forwarded-For` and `X-Forwarded-Proto`, or in `Forwarded` (RFC 7239).
//!
//! Each proxy appends whom its request is from, so the last member is what the nearest one says.
//! Whoever is trusted is believed for one member more; what a client has made up stands before all
//! of them and is never reached. Who is trusted is not known here.

use std::net::{IpAddr, SocketAddr};

use super::Refusal;
use super::fields::{self, Fields};

#[cfg(test)]
mod tests;

/// The address of somebody who has one that is not known: `::` (RFC 4291 §2.5.2).
#[must_use]
pub fn unknown() -> IpAddr {
    [0_u16; 8].into()
}

/// Which field is believed. Only one: proxies that write one of them pass the other one on as the
/// client has made it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedField {
    /// `X-Forwarded-For`, and `X-Forwarded-Proto` beside it.
    #[default]
    XForwardedFor,
    /// `Forwarded`.
    Forwarded,
}

impl ForwardedField {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ForwardedField::XForwardedFor => "X-Forwarded-For",
            ForwardedField::Forwarded => "Forwarded",
        }
    }
}

/// Whom a request is from, as far as those who have passed it on are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The client; `None` where it is not known to have an address.
    pub client: Option<IpAddr>,
    /// The client has asked by `https`.
    pub is_secure: bool,
}

/// Walks `field` from its end, past those who are trusted, to the first who is not, and no further
/// than to what is no address: that is somebody whose address is not known, `::`. `peer` is who has
/// sent the request, and is trusted: `None` where it has come over a Unix-domain socket.
///
/// # Errors
/// 400 for a `Forwarded` that is malformed: where a quotation mark is left open, nobody can tell
/// what was said by whom.
pub fn read(
    fields: &Fields<'_>,
    field: ForwardedField,
    peer: Option<IpAddr>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Result<Forwarded, Refusal> {
    // From the front it is one pass: the walk that begins behind a member ends where the one before
    // it does, if that member is trusted, and else with it.
    let mut client: Option<(IpAddr, bool)> = None;
    let mut take = |said: Option<(IpAddr, bool)>| {
        // Whom a proxy does not name is somebody all the same. With the proxy's own address, or
        // none, they would be let in wherever it is, or clients of Unix-domain sockets are.
        let said = said.unwrap_or((unknown(), false));
        client = if is_trusted(said.0) { client.or(Some(said)) } else { Some(said) };
    };
    match field {
        ForwardedField::XForwardedFor => {
            let is_secure = is_https(fields);
            for member in
                values(fields, field.name()).flat_map(|value| value.split(|&byte| byte == b','))
            {
                take(node(member.trim_ascii()).map(|address| (address, is_secure)));
            }
            let client = client.map_or(peer, |(address, _)| Some(address));
            Ok(Forwarded { client, is_secure })
        }
        ForwardedField::Forwarded => {
            for element in values(fields, field.name()).flat_map(fields::list) {
                take(read_element(element)?);
            }
            Ok(match client {
                Some((address, is_secure)) => Forwarded { client: Some(address), is_secure },
                None => Forwarded { client: peer, is_secure: false },
            })
        }
    }
}

/// The values of all lines of `name`.
fn values<'a>(fields: &Fields<'a>, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let lines = fields.lines().iter().filter(move |line| line.name.eq_ignore_ascii_case(name));
    lines.map(|line| line.value)
}

/// Whether the one `X-Forwarded-Proto` says so.
fn is_https(fields: &Fields<'_>) -> bool {
    let mut said = values(fields, "X-Forwarded-Proto");
    said.next().is_some_and(|value| value.eq_ignore_ascii_case(b"https")) && said.next().is_none()
}

/// One element: whom it is `for`, if that is an address, and whether `proto` is https.
fn read_element(element: &[u8]) -> Result<Option<(IpAddr, bool)>, Refusal> {
    let (mut address, mut is_secure) = (None, false);
    let mut rest = Some(element);
    while let Some(now) = rest {
        let end = fields::outside_quotes(now, b';');
        let pair = now[..end.unwrap_or(now.len())].trim_ascii();
        rest = end.map(|end| &now[end + 1..]);
        if pair.is_empty() {
            continue;
        }
        let (name, value) = split_pair(pair).ok_or(Refusal::bad("Forwarded is malformed"))?;
        if name.eq_ignore_ascii_case(b"for") {
            address = node(value);
        } else if name.eq_ignore_ascii_case(b"proto") {
            is_secure = value.eq_ignore_ascii_case(b"https");
        }
    }
    Ok(address.map(|address| (address, is_secure)))
}

/// A `token=value` (RFC 7239 §4), the value a token or a quoted string without its quotation marks.
/// Its escapes stay: no address has any.
pub(crate) fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', pair)?;
    let (name, value) = (&pair[..equals], &pair[equals + 1..]);
    let value = if fields::is_name(value) { value } else { unquoted(value)? };
    fields::is_name(name).then_some((name, value))
}

/// What stands in one quoted string (RFC 9110 §5.6.4), closed at its very end.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let text = value.strip_prefix(b"\"")?;
    let mut rest = text;
    loop {
        match rest {
            [b'"', behind @ ..] => {
                return behind.is_empty().then_some(&text[..text.len() - 1]);
            }
            [b'\\', _, behind @ ..] | [_, behind @ ..] => rest = behind,
            [] => return None,
        }
    }
}

/// An address, with or without a port, in brackets or not: as proxies write it.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|at: SocketAddr| at.ip()));
    address.map(|address| address.to_canonical())
}
