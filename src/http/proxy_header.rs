//! The header that a load balancer sends before all else on a connection, to say whose connection
//! it passes on: the PROXY protocol, versions 1 and 2 (doc/proxy-protocol.txt of HAProxy, §2).
//!
//! Who may send one is not known here. Where one must stand, nothing else is taken for it: a byte
//! that cannot belong to one is an error as soon as it is there.

use std::net::{IpAddr, SocketAddr};

#[cfg(test)]
mod tests;

/// The most bytes of a header of version 1, with its line end (§2.1).
pub const MAX_LINE: usize = 107;

/// What a header of version 1 begins with.
const LINE: &[u8] = b"PROXY ";

/// What a header of version 2 begins with (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of a header of version 2 before the addresses: signature, version and command, family and
/// protocol, length.
const FIXED: usize = 16;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The connection of this client, which has connected to this server.
    Client {
        /// Where it comes from.
        client: SocketAddr,
        /// Where it has connected to.
        server: SocketAddr,
    },
    /// The sender's own, to see whether we live.
    Sender,
    /// That of somebody whose IP address the sender does not know, or who has none.
    Unknown,
}

/// Why something is no header: a sentence without its full stop, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHeader(pub &'static str);

const NONE: BadHeader = BadHeader("it does not begin with a PROXY header");
const TOO_LONG: BadHeader = BadHeader("its PROXY header is too long");

/// Reads the header at the front of `input`: how many bytes it has, and what it says. `None` where
/// more must come. Of version 2 it has `most` bytes at the most, whatever stands in it beside the
/// addresses; that is left unread (§2.2: a receiver may).
///
/// # Errors
/// As soon as no further bytes could make a header of it.
pub fn parse(input: &[u8], most: usize) -> Result<Option<(usize, Ends)>, BadHeader> {
    if begins_alike(input, LINE) {
        parse_line(input)
    } else if begins_alike(input, SIGNATURE) {
        parse_binary(input, most)
    } else {
        Err(NONE)
    }
}

/// Whether `input` begins with `start`, or `start` with `input`.
fn begins_alike(input: &[u8], start: &[u8]) -> bool {
    let shared = input.len().min(start.len());
    input[..shared] == start[..shared]
}

/// Version 1: `PROXY TCP4 client server port port`, or `PROXY UNKNOWN` and anything.
fn parse_line(input: &[u8]) -> Result<Option<(usize, Ends)>, BadHeader> {
    const BAD: BadHeader = BadHeader("the line of its PROXY header is malformed");
    let within = &input[..input.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', within) else {
        return if input.len() < MAX_LINE { Ok(None) } else { Err(TOO_LONG) };
    };
    match within[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if within.len() < MAX_LINE => return Ok(None),
        _ => return Err(BAD),
    }
    let said = within[..end].get(LINE.len()..).ok_or(BAD)?;
    let ends = match said.strip_prefix(b"UNKNOWN") {
        Some(rest) if rest.is_empty() || rest.starts_with(b" ") => Ends::Unknown,
        Some(_) => return Err(BAD),
        None => std::str::from_utf8(said).ok().and_then(addresses).ok_or(BAD)?,
    };
    Ok(Some((end + 2, ends)))
}

/// What stands behind `PROXY `, where the protocol is known.
fn addresses(text: &str) -> Option<Ends> {
    let mut words = text.split(' ');
    let protocol = words.next()?;
    let is_right = |address: &IpAddr| match address {
        IpAddr::V4(_) => protocol == "TCP4",
        IpAddr::V6(_) => protocol == "TCP6",
    };
    let mut address = || words.next()?.parse().ok().filter(is_right);
    let (client, server) = (address()?, address()?);
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    let (client, server) = (SocketAddr::new(client, from), SocketAddr::new(server, to));
    words.next().is_none().then_some(Ends::Client { client, server })
}

/// A number without leading zeros: some would take those for octal.
fn port(digits: &str) -> Option<u16> {
    let is_plain = digits == "0" || digits.starts_with(|first| matches!(first, '1'..='9'));
    digits.parse().ok().filter(|_| is_plain)
}

/// Version 2.
fn parse_binary(input: &[u8], most: usize) -> Result<Option<(usize, Ends)>, BadHeader> {
    const BAD: BadHeader = BadHeader("its binary PROXY header is malformed");
    let is_local = match input.get(SIGNATURE.len()) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(BAD),
    };
    let Some(&kind) = input.get(SIGNATURE.len() + 1) else { return Ok(None) };
    let (family, protocol) = (kind >> 4, kind & 0x0f);
    // With LOCAL, whatever is said of an address is to be ignored.
    if !is_local && (family > 3 || protocol > 2) {
        return Err(BAD);
    }
    let Some(&[high, low]) = input.get(FIXED - 2..FIXED) else { return Ok(None) };
    let end = FIXED + usize::from(u16::from_be_bytes([high, low]));
    let needed = match family {
        _ if is_local || protocol == 0 => 0,
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    if end < FIXED + needed {
        return Err(BAD);
    }
    if end > most {
        return Err(TOO_LONG);
    }
    let Some(rest) = input.get(FIXED..end) else { return Ok(None) };
    let ends = match needed {
        12 => pair::<4>(rest),
        36 => pair::<16>(rest),
        _ if is_local => Some(Ends::Sender),
        // Of a Unix-domain socket it would be a path, on another machine.
        _ => Some(Ends::Unknown),
    };
    ends.map(|ends| Some((end, ends))).ok_or(BAD)
}

/// Two addresses of `N` bytes and two ports.
fn pair<const N: usize>(bytes: &[u8]) -> Option<Ends>
where
    IpAddr: From<[u8; N]>,
{
    let (&client, bytes) = bytes.split_first_chunk::<N>()?;
    let (&server, bytes) = bytes.split_first_chunk::<N>()?;
    let &[a, b, c, d] = bytes.first_chunk()?;
    let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Some(Ends::Client {
        client: SocketAddr::new(IpAddr::from(client), from),
        server: SocketAddr::new(IpAddr::from(server), to),
    })
}
