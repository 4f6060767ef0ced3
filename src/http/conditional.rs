//! Preconditions (RFC 9110 §13): whether a request is to be carried out, given what the client
//! knows of the representation. What the representation is, and what its validators are, the
//! caller says.
//!
//! Nothing here is asked before the caller knows that the same request without its conditions would
//! be answered with a 2xx (§13.2.1): no redirect, refusal or missing file ever turns into a 304 or
//! a 412.

use super::date::{self, UnixSeconds};
use super::fields::{Fields, Name};
use super::method::Method;
use super::range::{self, Selection};

/// What tells one state of a representation from another (RFC 9110 §8.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validators<'a> {
    /// The entity tag as it stands in `ETag`, with its quotes; empty if there is none. One that
    /// begins with `W/` is weak: it never compares equal where §13 wants a strong comparison.
    pub etag: &'a [u8],
    /// The date as it stands in Last-Modified. `None` if none is sent; so too where the file's own
    /// date lies in the future, which must not be sent (§8.8.2.1).
    pub modified: Option<UnixSeconds>,
}

/// What the preconditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They hold, or there are none: carry the request out.
    Proceed,
    /// The client has what it asks for: 304.
    NotModified,
    /// They do not hold: 412, and nothing is done.
    Failed,
}

/// The fields of steps 1 to 4.
const PRECONDITIONS: [Name; 4] =
    [Name::IfMatch, Name::IfUnmodifiedSince, Name::IfNoneMatch, Name::IfModifiedSince];

/// Whether a request for a representation may come to anything but all of it. If not, neither
/// [`evaluate`] nor [`selection`] need be asked.
#[must_use]
pub fn is_conditional(fields: &Fields<'_>) -> bool {
    fields.has_any(&PRECONDITIONS) || fields.has(Name::Range)
}

/// Evaluates the preconditions in the order of RFC 9110 §13.2.2, steps 1 to 4; [`selection`] is
/// step 5. `have` is `None` if there is no representation now.
///
/// A date is ignored if it is no valid HTTP-date, if its field has more than one line, or if the
/// representation has no date. It is not compared with the clock: a date still to come is after
/// every modification, so `If-Modified-Since: <tomorrow>` gives 304, as §13.1.3 has it. Lists of
/// entity tags may be spread over several lines. Where a list cannot be read to its end, and the
/// tag is not in what could be read, nothing is done on a guess: If-Match fails, and so does
/// If-None-Match for a method that changes something; GET and HEAD send the representation.
#[must_use]
pub fn evaluate(method: Method<'_>, fields: &Fields<'_>, have: Option<&Validators<'_>>) -> Outcome {
    // §13.2.1: a method that selects no representation has no preconditions.
    if !fields.has_any(&PRECONDITIONS)
        || matches!(method, Method::Connect | Method::Options | Method::Trace)
    {
        return Outcome::Proceed;
    }
    let wanted_state = if fields.get(Name::IfMatch).is_some() {
        look_up(fields, Name::IfMatch, have, is_strongly_equal) == Presence::Listed
    } else {
        is_modified_since(fields, Name::IfUnmodifiedSince, have) != Some(true)
    };
    if !wanted_state {
        return Outcome::Failed;
    }
    let known = if fields.get(Name::IfNoneMatch).is_some() {
        match look_up(fields, Name::IfNoneMatch, have, is_weakly_equal) {
            Presence::Listed => true,
            Presence::Absent => false,
            Presence::Unclear => !method.retrieves(),
        }
    } else {
        method.retrieves() && is_modified_since(fields, Name::IfModifiedSince, have) == Some(false)
    };
    match (known, method.retrieves()) {
        (false, _) => Outcome::Proceed,
        (true, true) => Outcome::NotModified,
        (true, false) => Outcome::Failed,
    }
}

/// What of a representation of `length` bytes is to be sent (RFC 9110 §13.2.2 step 5, and §14.2).
/// Asked after [`evaluate`] said to proceed and only where the answer would be 200.
///
/// Ranges are for GET alone: HEAD is told of the whole. More than one Range line is none.
#[must_use]
pub fn selection(
    method: Method<'_>,
    fields: &Fields<'_>,
    have: &Validators<'_>,
    now: UnixSeconds,
    length: u64,
) -> Selection {
    match fields.only(Name::Range) {
        Some(value) if method == Method::Get && if_range_holds(fields, have, now) => {
            range::select(value, length)
        }
        Some(_) | None => Selection::Whole,
    }
}

/// Whether If-Range lets the Range field stand (RFC 9110 §13.1.5); true if there is no If-Range.
/// If not, the whole representation is sent.
///
/// A date holds only if it is exactly the date of the last modification and a strong validator
/// (§8.8.2.2). It is one if the second it names is over at `now`: while it lasts the file can
/// change once more and keep its date, and the client's part may be from before that.
#[must_use]
pub fn if_range_holds(fields: &Fields<'_>, have: &Validators<'_>, now: UnixSeconds) -> bool {
    let Some(value) = fields.only(Name::IfRange) else {
        return fields.get(Name::IfRange).is_none();
    };
    if value.starts_with(b"\"") || value.starts_with(b"W/") {
        return is_strongly_equal(value, have.etag);
    }
    date::parse(value).is_some_and(|date| have.modified == Some(date) && date < now)
}

/// What a list of entity tags says of a representation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// It is there: named by its tag, or by `*`.
    Listed,
    /// It is not there, or it does not exist.
    Absent,
    /// It was not found in what could be read of the list, but the list has more.
    Unclear,
}

/// Looks for `have` in the entity tags of `name`, over all its lines.
fn look_up(
    fields: &Fields<'_>,
    name: Name,
    have: Option<&Validators<'_>>,
    is_equal: fn(&[u8], &[u8]) -> bool,
) -> Presence {
    if fields.only(name) == Some(b"*") {
        return if have.is_some() { Presence::Listed } else { Presence::Absent };
    }
    let mut presence = Presence::Absent;
    for tag in fields.all(name).flat_map(entity_tags) {
        match (tag, have) {
            (Some(tag), Some(have)) if is_equal(tag, have.etag) => return Presence::Listed,
            (Some(_), _) => {}
            (None, _) => presence = Presence::Unclear,
        }
    }
    presence
}

/// The entity tags of one line; `None`, as the last item, for what is left when no tag can be read.
///
/// This is not [`list`](super::fields::list): a backslash in an entity tag is a character like any
/// other (RFC 9110 §8.8.3), while in a quoted string it hides the quote behind it.
fn entity_tags(line: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        if rest.is_empty() {
            return None;
        }
        let tag = split_tag(rest)
            .filter(|(_, after)| matches!(after.trim_ascii_start(), [] | [b',', ..]));
        rest = tag.map_or(&[], |(_, after)| after);
        Some(tag.map(|(tag, _)| tag))
    })
}

/// The entity tag that `bytes` begins with, and what follows it (RFC 9110 §8.8.3).
fn split_tag(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = opaque(bytes).strip_prefix(b"\"")?;
    let end = inner.iter().position(|&byte| !matches!(byte, b'!' | b'#'..=b'~' | 0x80..))?;
    let after = inner[end..].strip_prefix(b"\"")?;
    Some((&bytes[..bytes.len() - after.len()], after))
}

/// An entity tag without the mark of a weak one.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// RFC 9110 §8.8.3.2: the same, and neither is weak.
fn is_strongly_equal(one: &[u8], other: &[u8]) -> bool {
    one == other && one.starts_with(b"\"")
}

/// RFC 9110 §8.8.3.2: the same but for the mark.
fn is_weakly_equal(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}

/// Whether `have` was modified after the date of `name`. `None` if that cannot be said: then the
/// field is ignored.
fn is_modified_since(
    fields: &Fields<'_>,
    name: Name,
    have: Option<&Validators<'_>>,
) -> Option<bool> {
    let date = date::parse(fields.only(name)?)?;
    Some(have?.modified? > date)
}

#[cfg(test)]
mod tests {
    use httparse::Header;

    use super::Outcome::{Failed, NotModified, Proceed};
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const FUTURE: &str = "Fri, 31 Dec 9999 23:59:59 GMT";
    const MODIFIED: UnixSeconds = 784_111_777;
    const HAVE: Validators<'_> = Validators { etag: b"\"a\"", modified: Some(MODIFIED) };

    fn with<T>(lines: &[(&str, &[u8])], ask: impl FnOnce(&Fields<'_>) -> T) -> T {
        let lines: Vec<_> = lines.iter().map(|&(name, value)| Header { name, value }).collect();
        ask(&Fields::new(&lines))
    }

    fn outcome(method: &str, have: Option<&Validators<'_>>, lines: &[(&str, &str)]) -> Outcome {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        with(&lines, |fields| evaluate(Method::parse(method), fields, have))
    }

    /// Fields, and then what GET and PUT come to with the representation, and PUT without.
    type Case<'a> = (&'a [(&'a str, &'a str)], [Outcome; 3]);

    fn check(table: &[Case<'_>]) {
        for (lines, [get, put, create]) in table {
            assert_eq!(outcome("GET", Some(&HAVE), lines), *get, "GET {lines:?}");
            assert_eq!(outcome("HEAD", Some(&HAVE), lines), *get, "HEAD {lines:?}");
            assert_eq!(outcome("PUT", Some(&HAVE), lines), *put, "PUT {lines:?}");
            assert_eq!(outcome("PURGE", Some(&HAVE), lines), *put, "PURGE {lines:?}");
            assert_eq!(outcome("PUT", None, lines), *create, "PUT to nothing {lines:?}");
        }
    }

    #[test]
    fn if_match_is_strong() {
        let all = [Proceed; 3];
        let none = [Failed; 3];
        let existing = [Proceed, Proceed, Failed];
        check(&[
            (&[], all),
            (&[("If-Match", "*")], existing),
            (&[("If-Match", "\"a\"")], existing),
            (&[("if-match", ", \"b\",\t\"a\",,")], existing),
            (&[("If-Match", "\"b\""), ("If-Match", "\"a\"")], existing),
            (&[("If-Match", "W/\"a\"")], none),
            (&[("If-Match", "\"A\"")], none),
            (&[("If-Match", "\"b\", \"c\"")], none),
            (&[("If-Match", "")], none),
            (&[("If-Match", "a")], none),
            (&[("If-Match", "\"a")], none),
            (&[("If-Match", "\"a\" \"b\"")], none),
            (&[("If-Match", "\"b\", *")], none),
            (&[("If-Match", "*"), ("If-Match", "*")], none),
        ]);
    }

    #[test]
    fn if_none_match_is_weak_and_gives_304_or_412() {
        let all = [Proceed; 3];
        let listed = [NotModified, Failed, Proceed];
        let unclear = [Proceed, Failed, Failed];
        check(&[
            (&[("If-None-Match", "*")], listed),
            (&[("If-None-Match", "\"a\"")], listed),
            (&[("If-None-Match", "W/\"a\"")], listed),
            (&[("If-None-Match", "\"b\" , W/\"c\",\"a\"")], listed),
            (&[("If-None-Match", "\"b\""), ("X", "y"), ("If-None-Match", "W/\"a\"")], listed),
            (&[("If-None-Match", "\"b\"")], all),
            (&[("If-None-Match", "\"a,\"")], all),
            (&[("If-None-Match", "")], all),
            (&[("If-None-Match", " ,, ")], all),
            (&[("If-None-Match", "a")], unclear),
            (&[("If-None-Match", "w/\"a\"")], unclear),
            (&[("If-None-Match", "\"b")], unclear),
            (&[("If-None-Match", "\"b c\", \"a\"")], unclear),
            (&[("If-None-Match", "\"b\"\"a\"")], unclear),
            (&[("If-None-Match", "*, \"b\"")], unclear),
        ]);
        // What was found before the list became unreadable was found.
        let lines = [("If-None-Match", "\"a\", ?")];
        assert_eq!(outcome("GET", Some(&HAVE), &lines), NotModified);
    }

    #[test]
    fn a_backslash_in_an_entity_tag_hides_nothing() {
        let lines = [("If-None-Match", r#""b\", "a""#)];
        assert_eq!(outcome("GET", Some(&HAVE), &lines), NotModified);
        let have = Validators { etag: br#""\""#, modified: None };
        assert_eq!(outcome("GET", Some(&have), &[("If-Match", r#""\""#)]), Proceed);
    }

    #[test]
    fn if_unmodified_since_fails_only_for_an_earlier_date() {
        let all = [Proceed; 3];
        let changed = [Failed, Failed, Proceed];
        check(&[
            (&[("If-Unmodified-Since", BEFORE)], changed),
            (&[("If-Unmodified-Since", "Sunday, 06-Nov-94 08:49:36 GMT")], changed),
            (&[("If-Unmodified-Since", "Sun Nov  6 08:49:36 1994")], changed),
            (&[("If-Unmodified-Since", THEN)], all),
            (&[("If-Unmodified-Since", FUTURE)], all),
            (&[("If-Unmodified-Since", "yesterday")], all),
            (&[("If-Unmodified-Since", BEFORE), ("If-Unmodified-Since", BEFORE)], all),
        ]);
    }

    #[test]
    fn if_modified_since_is_for_get_and_head() {
        let all = [Proceed; 3];
        let known = [NotModified, Proceed, Proceed];
        check(&[
            (&[("If-Modified-Since", THEN)], known),
            (&[("If-Modified-Since", AFTER)], known),
            (&[("If-Modified-Since", FUTURE)], known),
            (&[("If-Modified-Since", BEFORE)], all),
            (&[("If-Modified-Since", "")], all),
            (&[("If-Modified-Since", "Mon, 06 Nov 1994 08:49:37 GMT")], all),
            (&[("If-Modified-Since", THEN), ("If-Modified-Since", THEN)], all),
        ]);
    }

    #[test]
    fn the_fields_are_asked_in_the_order_of_the_rfc() {
        let listed = [NotModified, Failed, Proceed];
        check(&[
            // A tag outranks a date, on both sides.
            (&[("If-Unmodified-Since", BEFORE), ("If-Match", "\"a\"")], [Proceed, Proceed, Failed]),
            (&[("If-Unmodified-Since", THEN), ("If-Match", "\"b\"")], [Failed; 3]),
            (&[("If-Modified-Since", FUTURE), ("If-None-Match", "\"b\"")], [Proceed; 3]),
            (&[("If-Modified-Since", FUTURE), ("If-None-Match", "b")], [Proceed, Failed, Failed]),
            (&[("If-Modified-Since", BEFORE), ("If-None-Match", "\"a\"")], listed),
            // 412 outranks 304.
            (&[("If-None-Match", "\"a\""), ("If-Match", "\"b\"")], [Failed; 3]),
            (
                &[("If-Modified-Since", FUTURE), ("If-Unmodified-Since", BEFORE)],
                [Failed, Failed, Proceed],
            ),
            // And where the first half holds, the second is still asked.
            (&[("If-Match", "\"a\""), ("If-None-Match", "\"a\"")], [NotModified, Failed, Failed]),
            (
                &[("If-Unmodified-Since", THEN), ("If-Modified-Since", THEN)],
                [NotModified, Proceed, Proceed],
            ),
        ]);
    }

    #[test]
    fn methods_that_select_nothing_have_no_preconditions() {
        for method in ["CONNECT", "OPTIONS", "TRACE"] {
            let lines = [("If-Match", "\"b\""), ("If-None-Match", "*")];
            assert_eq!(outcome(method, Some(&HAVE), &lines), Proceed);
        }
    }

    #[test]
    fn what_has_no_validator_matches_none() {
        let have = Validators { etag: b"", modified: None };
        for (lines, get) in [
            ([("If-Match", "\"\"")], Failed),
            ([("If-Match", "*")], Proceed),
            ([("If-None-Match", "\"\"")], Proceed),
            ([("If-None-Match", "W/\"\"")], Proceed),
            ([("If-None-Match", "*")], NotModified),
            ([("If-Modified-Since", FUTURE)], Proceed),
            ([("If-Unmodified-Since", BEFORE)], Proceed),
        ] {
            assert_eq!(outcome("GET", Some(&have), &lines), get, "{lines:?}");
        }
        let weak = Validators { etag: b"W/\"a\"", modified: None };
        assert_eq!(outcome("GET", Some(&weak), &[("If-None-Match", "\"a\"")]), NotModified);
        assert_eq!(outcome("GET", Some(&weak), &[("If-Match", "W/\"a\"")]), Failed);
    }

    #[test]
    fn if_range_is_strong_for_tags_and_for_dates() {
        let holds =
            |lines: &[(&str, &[u8])], now| with(lines, |fields| if_range_holds(fields, &HAVE, now));
        assert!(holds(&[], MODIFIED));
        for (value, expected) in [
            (&b"\"a\""[..], true),
            (b"W/\"a\"", false),
            (b"\"b\"", false),
            (b"\"a\", \"a\"", false),
            (b"a", false),
            (b"*", false),
            (b"", false),
            (THEN.as_bytes(), true),
            (b"Sunday, 06-Nov-94 08:49:37 GMT", true),
            (BEFORE.as_bytes(), false),
            (AFTER.as_bytes(), false),
        ] {
            let line = ("If-Range", value);
            assert_eq!(holds(&[line], MODIFIED + 1), expected, "{value:?}");
            assert!(!holds(&[line, line], MODIFIED + 1), "twice {value:?}");
        }
        // In the second of the change, and before it, the date is a weak validator.
        for now in [MODIFIED, MODIFIED - 1] {
            assert!(!holds(&[("If-Range", THEN.as_bytes())], now));
            assert!(holds(&[("If-Range", b"\"a\"")], now));
        }
        let none = Validators { etag: b"", modified: None };
        for value in [&b""[..], b"\"\"", b"W/", THEN.as_bytes()] {
            assert!(!with(&[("If-Range", value)], |fields| if_range_holds(
                fields,
                &none,
                u64::MAX
            )));
        }
    }

    #[test]
    fn a_range_counts_for_get_alone_and_only_if_if_range_holds() {
        let is_whole = |method, lines: &[(&str, &[u8])]| {
            with(lines, |fields| {
                selection(Method::parse(method), fields, &HAVE, MODIFIED + 1, 10)
                    == Selection::Whole
            })
        };
        let range = ("Range", &b"bytes=1-2"[..]);
        assert!(!is_whole("GET", &[range]));
        assert!(!is_whole("GET", &[range, ("If-Range", b"\"a\"")]));
        assert!(is_whole("GET", &[range, ("If-Range", b"\"b\"")]));
        assert!(is_whole("GET", &[range, range]));
        assert!(is_whole("GET", &[("If-Range", b"\"a\"")]));
        assert!(is_whole("HEAD", &[range]));
        assert!(is_whole("POST", &[range]));
    }

    #[test]
    fn every_cut_of_a_list_finds_the_tags_that_are_whole() {
        let list = br#"W/"b\", "" ,"c,d", "a"#;
        let complete = |cut: &[u8]| entity_tags(cut).flatten().count();
        let counts: Vec<_> = (0..=list.len()).map(|cut| complete(&list[..cut])).collect();
        assert!(counts.is_sorted(), "{counts:?}");
        assert_eq!(counts.last(), Some(&3));
        assert_eq!(entity_tags(list).last(), Some(None));
    }

    #[test]
    fn random_lists_never_panic_and_tags_are_parts_of_them() {
        let mut random = fastrand::Rng::with_seed(13);
        let alphabet = b"\"\"\"W/,, \t*ab\\\x7f\x80";
        for _ in 0..20_000 {
            let value: Vec<u8> =
                (0..random.usize(..24)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
            for tag in entity_tags(&value).flatten() {
                assert!(tag.ends_with(b"\"") && opaque(tag).len() >= 2, "{value:?}");
                assert_eq!(entity_tags(tag).collect::<Vec<_>>(), [Some(tag)]);
            }
            for name in ["If-Match", "If-None-Match", "If-Modified-Since", "If-Range"] {
                with(&[(name, &value)], |fields| {
                    let outcome = evaluate(Method::Get, fields, Some(&HAVE));
                    assert!(name != "If-Modified-Since" || outcome == Proceed);
                    let holds = if_range_holds(fields, &HAVE, u64::MAX);
                    assert_eq!(holds, name != "If-Range" || value == HAVE.etag);
                });
            }
        }
    }
}
