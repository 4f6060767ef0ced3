//! The credentials of an Authorization field (RFC 7617 §2). Whether they hold is not known here.

use std::ops::Deref;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The longest user name, in bytes.
pub(super) const MAX_USER: usize = 255;

/// The longest password, in bytes. The work of SHA-crypt grows with the square of it.
pub(super) const MAX_PASSWORD: usize = 256;

/// Room for both and the colon, and for base64 to come out even.
const SPACE: usize = MAX_USER + MAX_PASSWORD + 4;

/// A user's name and a password, as they were sent.
pub(super) struct Credentials<'s> {
    user: &'s str,
    whole: &'s [u8],
}

/// Where credentials are decoded to, without an allocation.
pub(super) struct Space([u8; SPACE]);

impl Space {
    pub(super) fn new() -> Space {
        Space([0; SPACE])
    }
}

/// Missing padding is forgiven, as other servers do; what was meant is clear without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl<'s> Credentials<'s> {
    /// Reads the value of an Authorization field.
    ///
    /// `None` if it is of another scheme or malformed, and if it can be no one's: user or password
    /// too long or with a control character (which RFC 7617 §2 excludes; bcrypt would take the
    /// password `a` for `a`, NUL, `a`), or a user whose name is not UTF-8.
    pub(super) fn parse(authorization: &[u8], space: &'s mut Space) -> Option<Credentials<'s>> {
        let (scheme, rest) = authorization.split_at_checked(5)?;
        let token = rest.trim_ascii_start();
        if !scheme.eq_ignore_ascii_case(b"Basic") || token.len() == rest.len() {
            return None;
        }
        if token.len() > SPACE / 3 * 4 {
            return None;
        }
        let length = BASE64.decode_slice(token, &mut space.0).ok()?;
        let whole = &space.0[..length];
        let colon = memchr::memchr(b':', whole)?;
        let user = std::str::from_utf8(&whole[..colon]).ok()?;
        let is_possible = colon <= MAX_USER
            && length - colon - 1 <= MAX_PASSWORD
            && !whole.iter().any(u8::is_ascii_control);
        is_possible.then_some(Credentials { user, whole })
    }

    /// The user's name. It has no colon.
    pub(super) fn user(&self) -> &'s str {
        self.user
    }

    /// The password: any bytes but control characters, at most [`MAX_PASSWORD`].
    pub(super) fn password(&self) -> &'s [u8] {
        &self.whole[self.user.len() + 1..]
    }
}

impl Deref for Credentials<'_> {
    type Target = [u8];

    /// Both, with the colon between them.
    fn deref(&self) -> &[u8] {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD as WRITER;

    fn parse(authorization: &[u8]) -> Option<(String, Vec<u8>)> {
        let mut space = Space::new();
        let found = Credentials::parse(authorization, &mut space)?;
        assert_eq!(&*found, [found.user().as_bytes(), b":", found.password()].concat());
        Some((found.user().to_owned(), found.password().to_vec()))
    }

    fn parse_pair(pair: &[u8]) -> Option<(String, Vec<u8>)> {
        parse(format!("Basic {}", WRITER.encode(pair)).as_bytes())
    }

    #[test]
    fn the_first_colon_parts_user_and_password() {
        let pair = |user: &str, password: &[u8]| Some((user.to_owned(), password.to_vec()));
        assert_eq!(parse(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), pair("Aladdin", b"open sesame"));
        assert_eq!(parse(b"Basic dGVzdDoxMjPCow=="), pair("test", "123£".as_bytes()));
        assert_eq!(parse(b"bAsIc   dGVzdDoxMjPCow"), pair("test", "123£".as_bytes()));
        assert_eq!(parse_pair(b"a:b:c"), pair("a", b"b:c"));
        assert_eq!(parse_pair(b"a:"), pair("a", b""));
        assert_eq!(parse_pair(b":b"), pair("", b"b"));
        assert_eq!(parse_pair(b":"), pair("", b""));
        assert_eq!(parse_pair(b"a:\xa3\xff"), pair("a", b"\xa3\xff"));
    }

    #[test]
    fn what_is_no_basic_credentials_is_none() {
        for authorization in [
            &b""[..],
            b"Basic",
            b"Basic ",
            b"BasicdGVzdDoxMjPCow==",
            b"Basi dGVzdDoxMjPCow==",
            b"Bearer dGVzdDoxMjPCow==",
            b"Digest username=\"a\"",
            b"Basic dGVzdDoxMjPCow=== ",
            b"Basic dGVzdDox MjPCow==",
            b"Basic dGVzdDoxMjPCow==, Basic dGVzdDoxMjPCow==",
            b"Basic dGVzdDoxMjPCo\xff",
            b"Basic a",
            b"Basic ====",
            b"Basic dGVz-_o6",
            b"\xff\xff\xff\xff\xff \xff",
        ] {
            assert_eq!(parse(authorization), None, "{}", String::from_utf8_lossy(authorization));
        }
        assert_eq!(parse_pair(b""), None);
        assert_eq!(parse_pair(b"no colon"), None);
    }

    #[test]
    fn what_can_be_no_ones_is_none() {
        for pair in [&b"a\0:b"[..], b"a:b\0", b"a:\nb", b"a\x7f:b", b"\xff:b", b"\xc3:\xa4"] {
            assert_eq!(parse_pair(pair), None, "{pair:?}");
        }
    }

    #[test]
    fn lengths_have_limits() {
        let is_taken = |user: usize, password: usize| {
            let pair = [vec![b'u'; user], b":".to_vec(), vec![b'p'; password]].concat();
            let padded = format!("Basic {}", WRITER.encode(&pair));
            let taken = parse(padded.as_bytes()).is_some();
            assert_eq!(parse(padded.trim_end_matches('=').as_bytes()).is_some(), taken);
            taken
        };
        assert!(is_taken(MAX_USER, MAX_PASSWORD));
        assert!(is_taken(0, MAX_PASSWORD) && is_taken(MAX_USER, 0));
        assert!(!is_taken(MAX_USER + 1, 0) && !is_taken(0, MAX_PASSWORD + 1));
        assert!(!is_taken(MAX_USER, 1_000_000));
        for byte in [b'A', b'=', b' ', b'\xff'] {
            assert_eq!(parse(&[b"Basic ".to_vec(), vec![byte; 1_000_000]].concat()), None);
        }
    }
}
