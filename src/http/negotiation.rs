//! Content negotiation (RFC 9110 §12): which coding of a representation to send, and whether to say
//! it in JSON or in HTML. What representations there are, the caller says.
//!
//! Qualities are thousandths, 0 to 1000. A member of a list that cannot be read is left out, and
//! the rest of its list stands.

use super::fields::{self, Fields, Name};

/// A content coding this server can send (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// Brotli (RFC 7932).
    Br,
    /// Zstandard (RFC 8878).
    Zstd,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// Its name in Accept-Encoding and Content-Encoding.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Br => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What is added to a file's name for the file that has its content in this coding.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Coding::Identity => "",
            Coding::Br => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }

    /// The coding that `name` names, in any case. `x-gzip` is gzip (RFC 9110 §8.4.1.3).
    fn parse(name: &[u8]) -> Option<Coding> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Coding::Gzip);
        }
        [Coding::Identity, Coding::Br, Coding::Zstd, Coding::Gzip]
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.as_str().as_bytes()))
    }
}

/// Chooses by Accept-Encoding from the codings `offered`, which stand in the server's own order of
/// preference, Identity among them where it can be sent (usually last). The highest quality wins,
/// and of equals the first. `None` if none of them is acceptable.
///
/// Identity is acceptable unless `identity;q=0` or `*;q=0` says otherwise, but where the field does
/// not speak of it, everything it does name comes first. Without the field all is acceptable
/// (§12.5.3); what is chosen then is Identity, for a client that says nothing may decode nothing.
#[must_use]
pub fn choose_coding(fields: &Fields<'_>, offered: &[Coding]) -> Option<Coding> {
    if fields.get(Name::AcceptEncoding).is_none() {
        let identity = offered.iter().find(|&&coding| coding == Coding::Identity);
        return identity.or(offered.first()).copied();
    }
    // Where there is no choice and no quality is named, nothing can be refused.
    let is_plain = |value| memchr::memchr(b';', value).is_none();
    if offered == [Coding::Identity] && fields.only(Name::AcceptEncoding).is_some_and(is_plain) {
        return Some(Coding::Identity);
    }
    let qualities = CodingQualities::read(fields);
    // Of equals `max_by_key` takes the last, which is the first from behind.
    let best = offered.iter().rev().max_by_key(|&&coding| qualities.of(coding))?;
    (qualities.of(*best) > 0).then_some(*best)
}

/// Whether the client would rather have `application/json` than `text/html; charset=utf-8`: whether
/// Accept gives it the higher quality (RFC 9110 §12.5.1). Without Accept: no.
///
/// Each of the two has the quality of the most specific media range that it falls into. A range
/// with a parameter other than `charset=utf-8` covers neither.
#[must_use]
pub fn prefers_json(fields: &Fields<'_>) -> bool {
    media_quality(fields, "application", "json") > media_quality(fields, "text", "html")
}

/// Whether the client takes HTML at all. Without Accept: yes.
#[must_use]
pub fn accepts_html(fields: &Fields<'_>) -> bool {
    fields.get(Name::Accept).is_none() || media_quality(fields, "text", "html") > 0
}

const HIGHEST: u16 = 1000;

/// What Accept-Encoding says of each coding.
#[derive(Default)]
struct CodingQualities {
    /// By `Coding as usize`: its quality, if the field names it.
    named: [Option<u16>; 4],
    /// The quality of `*`.
    others: Option<u16>,
}

impl CodingQualities {
    /// Reads all lines of the field. Where something is named twice, the first time counts.
    fn read(fields: &Fields<'_>) -> Self {
        let mut qualities = CodingQualities::default();
        for member in fields.members(Name::AcceptEncoding) {
            let mut pieces = pieces(member);
            let name = pieces.next().unwrap_or_default();
            let weight = pieces.find_map(weight);
            let Some(quality) = weight.map_or(Some(HIGHEST), quality) else { continue };
            if name == b"*" {
                qualities.others.get_or_insert(quality);
            } else if let Some(coding) = Coding::parse(name) {
                qualities.named[coding as usize].get_or_insert(quality);
            }
        }
        qualities
    }

    fn of(&self, coding: Coding) -> u16 {
        // What is said of Identity by saying nothing: acceptable, and below all that is named.
        let unsaid = u16::from(coding == Coding::Identity);
        self.named[coding as usize].or(self.others).unwrap_or(unsaid)
    }
}

/// The quality that Accept gives to a media type: 0 if it is not acceptable or not mentioned.
fn media_quality(fields: &Fields<'_>, kind: &str, subtype: &str) -> u16 {
    let mut best = (0, 0);
    for range in fields.members(Name::Accept) {
        if let Some((specificity, quality)) = cover(range, kind, subtype)
            && specificity > best.0
        {
            best = (specificity, quality);
        }
    }
    best.1
}

/// How closely a media range covers `kind/subtype` (the larger the number, the closer), and its
/// quality. `None` if it does not cover it, or is none.
fn cover(range: &[u8], kind: &str, subtype: &str) -> Option<(u8, u16)> {
    let mut pieces = pieces(range);
    let name = pieces.next()?;
    let slash = name.iter().position(|&byte| byte == b'/')?;
    let is = |part: &[u8], wanted: &str| part.eq_ignore_ascii_case(wanted.as_bytes());
    let mut specificity = match (&name[..slash], &name[slash + 1..]) {
        (b"*", b"*") => 2,
        (first, b"*") if is(first, kind) => 4,
        (first, second) if is(first, kind) && is(second, subtype) => 6,
        _ => return None,
    };
    for piece in pieces {
        if let Some(value) = weight(piece) {
            // What stands behind the weight says nothing about the range (RFC 9110 §12.5.1).
            return Some((specificity, quality(value)?));
        } else if is(piece, "charset=utf-8") || is(piece, "charset=\"utf-8\"") {
            specificity |= 1;
        } else if !piece.is_empty() {
            return None;
        }
    }
    Some((specificity, HIGHEST))
}

/// The pieces of a member: its name and its parameters, split at semicolons outside quoted strings.
fn pieces(member: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(member);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = fields::outside_quotes(bytes, b';');
        rest = end.map(|end| &bytes[end + 1..]);
        Some(bytes[..end.unwrap_or(bytes.len())].trim_ascii())
    })
}

/// What follows `q=`, if the parameter is a weight (RFC 9110 §12.4.2).
fn weight(parameter: &[u8]) -> Option<&[u8]> {
    match parameter {
        [b'q' | b'Q', b'=', value @ ..] => Some(value),
        _ => None,
    }
}

/// A qvalue in thousandths (RFC 9110 §12.4.2): 0 to 1 with at most three digits behind the point.
fn quality(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = 0;
    for (digit, unit) in std::iter::once(whole).chain(fraction).zip([1000, 100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths += u16::from(digit - b'0') * unit;
    }
    (thousandths <= HIGHEST).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use httparse::Header;

    use super::Coding::{Br, Gzip, Identity, Zstd};
    use super::*;

    fn with<T>(name: &str, values: &[&[u8]], ask: impl FnOnce(&Fields<'_>) -> T) -> T {
        let lines: Vec<_> = values.iter().map(|value| Header { name, value }).collect();
        ask(&Fields::new(&lines))
    }

    fn choice(value: &str, offered: &[Coding]) -> Option<Coding> {
        with("Accept-Encoding", &[value.as_bytes()], |fields| choose_coding(fields, offered))
    }

    fn json(accept: &str) -> bool {
        with("Accept", &[accept.as_bytes()], prefers_json)
    }

    #[test]
    fn qualities_are_read_to_the_letter() {
        for (value, expected) in [
            ("1", Some(1000)),
            ("1.", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("0.001", Some(1)),
            ("0.999", Some(999)),
            ("", None),
            (".5", None),
            ("1.001", None),
            ("1.5", None),
            ("2", None),
            ("9.999", None),
            ("0.1234", None),
            ("-1", None),
            ("+1", None),
            ("0,5", None),
            ("0. 5", None),
            ("0.5x", None),
            ("1e0", None),
            ("\"1\"", None),
        ] {
            assert_eq!(quality(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn codings_are_chosen_by_quality_and_then_by_the_servers_order() {
        let all = &[Br, Zstd, Gzip, Identity][..];
        for (value, expected) in [
            ("gzip", Some(Gzip)),
            ("GZip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Br)),
            ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", Some(Gzip)),
            ("gzip;q=0.5", Some(Gzip)),
            ("gzip;q=0.001", Some(Gzip)),
            ("gzip ; Q=0.5 ,\tbr;q=0.499", Some(Gzip)),
            ("gzip;q=0.5, identity", Some(Identity)),
            ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
            ("gzip;q=0.4, *;q=0.5", Some(Br)),
            ("gzip, *;q=0.5", Some(Gzip)),
            ("*", Some(Br)),
            ("br;q=0, *", Some(Zstd)),
            ("br;q=0, gzip;q=0, zstd;q=0", Some(Identity)),
            ("br;q=0, gzip;q=0, zstd;q=0, *;q=1", Some(Identity)),
            ("deflate", Some(Identity)),
            ("identity", Some(Identity)),
            ("", Some(Identity)),
            (",,", Some(Identity)),
            ("*;q=0", None),
            ("identity;q=0", None),
            ("identity;q=0, gzip", Some(Gzip)),
            ("*;q=0, gzip", Some(Gzip)),
            ("*;q=0, identity;q=0.1", Some(Identity)),
            ("identity;q=0, *;q=0.1", Some(Br)),
            ("gzip;q=0, gzip", Some(Identity)),
            ("gzip, gzip;q=0", Some(Gzip)),
            ("*;q=0.5, *;q=0", Some(Br)),
            ("gzip;q=2, br;q=nonsense, zstd;q=", Some(Identity)),
            ("gzip;q", Some(Gzip)),
            ("gzip;;q=0.2, br;x=y;q=0.1", Some(Gzip)),
            ("gzipped, bread", Some(Identity)),
        ] {
            assert_eq!(choice(value, all), expected, "{value}");
        }
    }

    #[test]
    fn only_what_is_offered_is_chosen() {
        assert_eq!(choice("br, gzip", &[Gzip, Identity]), Some(Gzip));
        assert_eq!(choice("br", &[Gzip, Identity]), Some(Identity));
        assert_eq!(choice("br", &[Gzip]), None);
        assert_eq!(choice("identity;q=0, br", &[Gzip, Identity]), None);
        assert_eq!(choice("*", &[]), None);
        // Of equals the first offered, wherever Identity stands.
        assert_eq!(choice("*", &[Identity, Br]), Some(Identity));
    }

    #[test]
    fn without_the_field_nothing_is_encoded_unless_it_must_be() {
        let none = Fields::new(&[]);
        assert_eq!(choose_coding(&none, &[Br, Gzip, Identity]), Some(Identity));
        assert_eq!(choose_coding(&none, &[Br, Gzip]), Some(Br));
        assert_eq!(choose_coding(&none, &[]), None);
        assert!(!prefers_json(&none));
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [&b"identity;q=0"[..], b"br;q=0.5", b"gzip"];
        let chosen = with("Accept-Encoding", &lines, |fields| choose_coding(fields, &[Br, Gzip]));
        assert_eq!(chosen, Some(Gzip));
        assert!(with("Accept", &[b"text/html;q=0.5", b"application/json"], prefers_json));
    }

    #[test]
    fn names_and_suffixes_go_together() {
        for (coding, name, suffix) in [
            (Identity, "identity", ""),
            (Br, "br", ".br"),
            (Zstd, "zstd", ".zst"),
            (Gzip, "gzip", ".gz"),
        ] {
            assert_eq!((coding.as_str(), coding.suffix()), (name, suffix));
            assert_eq!(Coding::parse(name.as_bytes()), Some(coding));
        }
    }

    #[test]
    fn json_is_preferred_where_its_quality_is_higher() {
        for accept in [
            "application/json",
            "APPLICATION/Json",
            "application/*",
            "application/json, */*;q=0.9",
            "application/json, text/plain, */*;q=0.1",
            "text/html;q=0.9, application/json",
            "text/html;q=0.998, application/json;q=0.999",
            "text/*;q=0.3, */*;q=0.5",
            "text/html;q=0, */*",
            "application/json;charset=utf-8",
            "application/json; charset=\"UTF-8\"",
            "text/html;level=1, application/json;q=0.1",
            "text/html;x=\"a;q=1,\";q=1, application/json;q=0.1",
            "application/json;q=0.5;text=1",
            "text/html;q=0.5;q=1, application/json;q=0.7",
            "text/html;q=nonsense, application/json;q=0.1",
            "text/html;charset=utf-8;q=0.2, text/html, application/json;q=0.5",
            "text/html, text/html;charset=utf-8;q=0.2, application/json;q=0.5",
            "nonsense, application/json",
        ] {
            assert!(json(accept), "{accept}");
        }
    }

    #[test]
    fn html_it_is_where_json_is_not_preferred() {
        for accept in [
            "",
            "*/*",
            "text/html",
            "text/html, application/json",
            "application/json, text/html",
            "application/json;q=0.9, text/html",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
            "application/json;q=0",
            "application/json;q=0, */*",
            "application/*;q=0.2, text/*;q=0.3",
            "application/*, application/json;q=0.1, */*;q=0.2",
            "application/json;version=2",
            "application/json;q=1.5",
            "application/jsonp",
            "*/json",
            "application",
            "application/",
            "json",
            "/",
            "image/*",
        ] {
            assert!(!json(accept), "{accept}");
        }
    }

    #[test]
    fn every_cut_of_a_field_can_be_read() {
        let accept = b"text/*;q=0.5;x=\"\\\";\", application/json;q=0.75, */*;q=0.1";
        let codings = b"gzip;q=0.5, br;q=0.75, *;q=0.1";
        let named = b"text/*;q=0.5;x=\"\\\";\", application/json".len();
        for cut in 0..=accept.len() {
            // `;q` is a strange parameter, `;q=` a bad weight, and `;q=0` and `;q=0.` refuse.
            let expected = cut >= named && !(named + 2..=named + 5).contains(&cut);
            assert_eq!(with("Accept", &[&accept[..cut]], prefers_json), expected, "{cut}");
        }
        for cut in 0..=codings.len() {
            with("Accept-Encoding", &[&codings[..cut]], |fields| {
                assert!(choose_coding(fields, &[Br, Gzip, Identity]).is_some(), "{cut}");
            });
        }
    }

    #[test]
    fn random_fields_never_panic_and_never_choose_what_is_refused() {
        let mut random = fastrand::Rng::with_seed(12);
        let words = [
            "gzip",
            "br",
            "identity",
            "*",
            ";q=0",
            ";q=1",
            ";q=0.5",
            ",",
            ", ",
            ";",
            "\"",
            "\\",
            "q=",
            "application",
            "json",
            "/",
            "text",
            "html",
            "\u{e9}",
            "0.",
            "\t",
        ];
        for _ in 0..20_000 {
            let count = random.usize(..12);
            let value: String = (0..count).map(|_| words[random.usize(..words.len())]).collect();
            let chosen = choice(&value, &[Br, Gzip, Identity]);
            assert_ne!(choice(&format!("br;q=0, {value}"), &[Br, Gzip, Identity]), Some(Br));
            assert_ne!(chosen, Some(Zstd));
            assert!(!json(&format!("application/json;q=0, {value}")), "{value}");
            let bytes: Vec<u8> = (0..count * 4).map(|_| random.u8(..)).collect();
            with("Accept", &[&bytes], prefers_json);
            with("Accept-Encoding", &[&bytes], |fields| choose_coding(fields, &[Br]));
        }
    }
}
