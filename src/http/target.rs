//! The request target: its four forms (RFC 9112 §3.2), and the one path it comes down to.
//!
//! What a path leads to is not known here.

use super::Refusal;
use super::status::Status;

/// A request target, taken apart but not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/where?query`
    Origin {
        /// As sent; begins with `/`.
        path: &'a str,
        /// As sent, without the `?`.
        query: Option<&'a str>,
    },
    /// `http://host/where?query`
    Absolute {
        /// `http`, in any case.
        scheme: &'a str,
        /// `host[:port]`, valid and not empty.
        authority: &'a str,
        /// As sent; `/` where the target has none.
        path: &'a str,
        /// As sent, without the `?`.
        query: Option<&'a str>,
    },
    /// `host:port`, for CONNECT alone.
    Authority(&'a str),
    /// `*`, for OPTIONS alone.
    Asterisk,
}

impl<'a> Target<'a> {
    /// Takes `text` apart. Which form is right depends on the method (RFC 9112 §3.2).
    ///
    /// # Errors
    /// 400 for any other form, for a byte that may not stand in a URI, for a scheme other than
    /// `http` and for an invalid authority; 421 for `https`.
    pub fn parse(text: &'a str, is_connect: bool, is_options: bool) -> Result<Self, Refusal> {
        // Browsers leave some bytes unescaped that RFC 3986 would have escaped (`|`, `[`, `{`);
        // none of them means anything to us. A fragment or a byte beyond ASCII makes it no URI at
        // all.
        let seen = text.bytes().fold(0, |seen, byte| seen | KINDS[usize::from(byte)]);
        if seen & FOREIGN != 0 {
            return Err(Refusal::bad("the target has a byte that may not stand in a URI"));
        }
        let query = if seen & QUERY == 0 { None } else { memchr::memchr(b'?', text.as_bytes()) };
        if is_connect {
            return match split_authority(text) {
                Some((_, Some(_))) => Ok(Target::Authority(text)),
                _ => Err(Refusal::bad("the target of CONNECT must be host:port")),
            };
        }
        if text.starts_with('/') {
            let (path, query) = split_at_query(text, query);
            return Ok(Target::Origin { path, query });
        }
        if is_options && text == "*" {
            return Ok(Target::Asterisk);
        }
        Self::parse_absolute(text)
    }

    fn parse_absolute(text: &'a str) -> Result<Self, Refusal> {
        let bad = Refusal::bad("the target is neither a path nor an absolute URI");
        let (scheme, rest) = text.split_once("://").ok_or(bad)?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(bad);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if split_authority(authority).is_none() {
            return Err(Refusal::bad("the target's authority is invalid"));
        }
        if is_https {
            // Nobody has made sure that this connection is what the client takes it for
            // (RFC 9110 §7.4).
            let why = "https is not spoken on this port";
            return Err(Refusal { status: Status::MISDIRECTED_REQUEST, why });
        }
        let (path, query) = split_at_query(rest, memchr::memchr(b'?', rest.as_bytes()));
        Ok(Target::Absolute {
            scheme,
            authority,
            path: if path.is_empty() { "/" } else { path },
            query,
        })
    }

    /// The path as sent, undecoded; begins with `/`. The authority and asterisk forms have none.
    #[must_use]
    pub fn path(&self) -> Option<&'a str> {
        match *self {
            Target::Origin { path, .. } | Target::Absolute { path, .. } => Some(path),
            Target::Authority(_) | Target::Asterisk => None,
        }
    }

    /// The query as sent, without its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        match *self {
            Target::Origin { query, .. } | Target::Absolute { query, .. } => query,
            Target::Authority(_) | Target::Asterisk => None,
        }
    }

    /// The path that routes and files are found by: percent-decoded once, without dot segments
    /// and with runs of `/` made one, so that no other spelling of a path can walk around the route
    /// that guards it. Begins with `/`; bytes, perhaps not UTF-8. Borrowed from the target
    /// where nothing had to change, else written to `scratch`. `/` for the forms without a path.
    ///
    /// # Errors
    /// 400 for a malformed escape, a decoded `/` or NUL, and for dot segments that lead above the
    /// root (RFC 3986 §5.2.4 would keep those at the root; nobody honest sends them).
    pub fn resolve<'s>(&self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Refusal>
    where
        'a: 's,
    {
        let path = self.path().unwrap_or("/").as_bytes();
        if is_plain(path) {
            return Ok(path);
        }
        scratch.clear();
        let mut segments = path[1..].split(|&byte| byte == b'/').peekable();
        while let Some(segment) = segments.next() {
            let start = scratch.len();
            scratch.push(b'/');
            decode(segment, scratch)?;
            let is_last = segments.peek().is_none();
            match &scratch[start + 1..] {
                // The last segment may be empty or a dot segment: then the path ends in `/`.
                b"" | b"." => scratch.truncate(start + usize::from(is_last)),
                b".." => {
                    let parent = memchr::memrchr(b'/', &scratch[..start])
                        .ok_or(Refusal::bad("the target leads above the root"))?;
                    scratch.truncate(parent + usize::from(is_last));
                }
                _ => {}
            }
        }
        Ok(scratch)
    }
}

/// A byte that may not stand in a target.
const FOREIGN: u8 = 1;

/// The byte before a query.
const QUERY: u8 = 2;

/// What a byte in a target is, if it is anything of note.
const KINDS: [u8; 256] = {
    let mut table = [FOREIGN; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] = match byte {
            b'#' => FOREIGN,
            b'?' => QUERY,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// Whether decoding `path`, which begins with `/`, and removing dot segments would leave it as it
/// is. Paths are short: this takes fewer instructions than calls of `memchr`.
fn is_plain(path: &[u8]) -> bool {
    let mut pairs = path.iter().zip(&path[1..]);
    pairs.all(|(&one, &next)| next != b'%' && (one != b'/' || (next != b'/' && next != b'.')))
}

/// Appends `segment` with its escapes decoded (RFC 3986 §2.1).
fn decode(segment: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut bytes = segment.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(Refusal::bad("the target has a malformed percent escape"));
        };
        match u8::try_from(high << 4 | low).expect("two hexadecimal digits fit in a byte") {
            b'/' | 0 => return Err(Refusal::bad("the target has an escaped slash or NUL")),
            byte => out.push(byte),
        }
    }
    Ok(())
}

/// Splits what stands before the `?` at `at` from what stands behind it.
fn split_at_query(text: &str, at: Option<usize>) -> (&str, Option<&str>) {
    match at {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Splits `host[:port]` (RFC 3986 §3.2, without user information) into host and port; `None` where
/// it is invalid. The host is not empty and keeps the brackets of an IPv6 address; the port has
/// digits that make a number up to 65535.
#[must_use]
pub fn split_authority(text: &str) -> Option<(&str, Option<&str>)> {
    let end = match text.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            rest[..end].parse::<core::net::Ipv6Addr>().ok()?;
            end + 2
        }
        None => reg_name_end(text.as_bytes())?,
    };
    let (host, rest) = text.split_at(end);
    if host.is_empty() {
        return None;
    }
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        // RFC 3986 §3.2.3 allows a colon with no digits behind it.
        Some("") => Some((host, None)),
        Some(port)
            if port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok() =>
        {
            Some((host, Some(port)))
        }
        _ => None,
    }
}

/// Where a registered name or an IPv4 address ends that `text` begins with (RFC 3986 §3.2.2);
/// `None` where an escape is malformed.
fn reg_name_end(text: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let rest = &text[end..];
        end += rest.iter().position(|&byte| !REG_NAME[usize::from(byte)]).unwrap_or(rest.len());
        if text.get(end) != Some(&b'%') {
            return Some(end);
        }
        let digits = text.get(end + 1..end + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        end += 3;
    }
}

/// The bytes of a registered name, but for escapes.
const REG_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"-._~!$&'()*+,;=";
    let mut at = 0;
    while at < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "it is below 256")]
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(path: &str) -> Result<Vec<u8>, Refusal> {
        let mut scratch = Vec::new();
        Target::parse(path, false, false)?.resolve(&mut scratch).map(<[u8]>::to_vec)
    }

    #[test]
    fn the_four_forms() {
        assert_eq!(
            Target::parse("/a?b?c", false, false),
            Ok(Target::Origin { path: "/a", query: Some("b?c") })
        );
        assert_eq!(
            Target::parse("HTTP://h:1?q", false, false),
            Ok(Target::Absolute { scheme: "HTTP", authority: "h:1", path: "/", query: Some("q") })
        );
        assert_eq!(Target::parse("*", false, true), Ok(Target::Asterisk));
        assert_eq!(Target::parse("h:443", true, false), Ok(Target::Authority("h:443")));
    }

    #[test]
    fn forms_that_do_not_fit_are_refused() {
        for text in
            ["", "*", "a", "ftp://h/", "http://", "http:///x", "http://u@h/", "/a#b", "/ä", "h:1"]
        {
            assert!(Target::parse(text, false, false).is_err(), "{text}");
        }
        for text in ["/", "h", "h:", ":1", "http://h:1"] {
            assert!(Target::parse(text, true, false).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_come_down_to_one_spelling() {
        for (path, resolved) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/%61%2", "!"),
            ("/%61", "/a"),
            ("/a%20b", "/a b"),
            ("/%2561", "/%61"),
            ("//a///b//", "/a/b/"),
            ("/./a/.", "/a/"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("/a/%2e%2E/b", "/b"),
            ("/..", "!"),
            ("/a/../../b", "!"),
            ("/a%2fb", "!"),
            ("/a%00", "!"),
            ("/%", "!"),
            ("/%+1", "!"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
        ] {
            let got = resolve(path);
            match resolved {
                "!" => assert!(got.is_err(), "{path}"),
                _ => assert_eq!(got.as_deref(), Ok(resolved.as_bytes()), "{path}"),
            }
        }
        assert_eq!(resolve("/%E9"), Ok(vec![b'/', 0xe9]));
    }

    #[test]
    fn resolving_is_idempotent() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let mut path = String::from("/");
            for _ in 0..random.usize(..12) {
                path.push_str(["/", ".", "..", "a", "%2e", "%61", "b"][random.usize(..7)]);
            }
            if let Ok(once) = resolve(&path) {
                let text = String::from_utf8(once.clone()).unwrap();
                assert_eq!(resolve(&text).as_deref(), Ok(&once[..]), "{path}");
                assert!(!text.contains("//") && !text.contains("/../") && !text.contains("/./"));
            }
        }
    }

    #[test]
    fn authorities() {
        for (text, expected) in [
            ("a", Some(("a", None))),
            ("a:80", Some(("a", Some("80")))),
            ("a:", Some(("a", None))),
            ("[::1]:80", Some(("[::1]", Some("80")))),
            ("[::1]", Some(("[::1]", None))),
            ("a.b_c~%41", Some(("a.b_c~%41", None))),
            ("", None),
            (":80", None),
            ("a:65536", None),
            ("a:-1", None),
            ("a:+1", None),
            ("a b", None),
            ("a/b", None),
            ("u@a", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[x]", None),
            ("a%4", None),
            ("::1", None),
        ] {
            assert_eq!(split_authority(text), expected, "{text}");
        }
    }
}
