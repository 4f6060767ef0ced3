//! Patterns of paths: `/exact`, `/prefix/*`, `/user/{id}/photo`, `*.php`, `/private/*.php`, `/*`.
//! What stands behind a pattern is not known here.
//!
//! A pattern is matched against resolved paths: decoded, without dot segments, each run of `/` made
//! one. It is written decoded, too. A path is cut at its slashes; a pattern's segments match the
//! path's one by one, and its end says what may follow:
//!
//! | pattern | matches | does not match |
//! |---|---|---|
//! | `/a` | `/a` | `/a/`, `/A` |
//! | `/a/*` | `/a/`, `/a/b`, `/a/b/c/` | `/a`, `/ab` |
//! | `/u/{id}` | `/u/7` | `/u/`, `/u/7/`, `/u/7/x` |
//! | `*.php` | `/x.php`, `/a/b.php` | `/x.php/y` |
//! | `/a/*.php` | `/a/x.php`, `/a/b/x.php` | `/x.php` |
//!
//! Of several patterns that match a path, the most specific one wins: one that says the whole path
//! over one that ends in `*`; among the latter, one with a prefix and a suffix over a prefix alone,
//! and that over a suffix alone. Within a kind the first segment that differs decides, a literal
//! over a `{parameter}` over no segment at all; then the longer suffix.

use std::cmp::{Ordering, Reverse};
use std::fmt;

/// A pattern, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// As it was written.
    pub(crate) text: Box<str>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<[u8]>),
    /// Any one segment that is not empty.
    Parameter(Box<str>),
}

/// What may follow the segments of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Nothing,
    /// One more slash and whatever follows it, as long as it ends in these bytes (perhaps none).
    Rest(Box<[u8]>),
}

/// What a pattern's `*` and parameters stand for in one path: `("id", b"7")`; the `*` is named
/// `"*"`.
pub(crate) type Captures<'a> = Vec<(&'a str, &'a [u8])>;

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadPattern {
    text: String,
    what: &'static str,
}

impl Pattern {
    /// Takes `text` apart.
    pub(crate) fn parse(text: &str) -> Result<Pattern, BadPattern> {
        let bad = |what| BadPattern { text: text.to_owned(), what };
        // `*.php` is short for `/*.php`.
        let below = match text.strip_prefix('/') {
            Some(below) => below,
            None if text.starts_with('*') => text,
            None => return Err(bad("it must begin with / or *")),
        };
        if text.contains(['\0', '\r', '\n']) {
            return Err(bad("it holds a byte that no path can hold"));
        }
        let (before, end) = match below.split_once('*') {
            None => (below, End::Nothing),
            Some((_, suffix)) if suffix.contains('*') => return Err(bad("it may hold one * only")),
            Some((_, suffix)) if suffix.contains(['/', '{', '}']) => {
                return Err(bad("behind the * only the end of a file name may stand"));
            }
            Some((before, suffix)) => (before, End::Rest(suffix.as_bytes().into())),
        };
        // In `/prefix/*` the slash before the star belongs to the end.
        let before = match (&end, before) {
            (End::Nothing, before) => Some(before),
            (End::Rest(_), "") => None,
            (End::Rest(_), before) => {
                Some(before.strip_suffix('/').ok_or_else(|| bad("a / must stand before the *"))?)
            }
        };
        let segments =
            before.map_or(Ok(Vec::new()), |before| before.split('/').map(segment).collect());
        let pattern = Pattern { text: text.into(), segments: segments.map_err(bad)?, end };
        pattern.check().map_err(bad)?;
        Ok(pattern)
    }

    fn check(&self) -> Result<(), &'static str> {
        let count = self.segments.len();
        let mut names: Vec<&str> = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Parameter(name) if names.contains(&&**name) => {
                    return Err("two of its parameters have one name");
                }
                Segment::Parameter(name) => names.push(name),
                Segment::Literal(bytes) if matches!(&bytes[..], b"." | b"..") => {
                    return Err("paths are matched without dot segments");
                }
                // `/a/` is a path; `/a//b` is none.
                Segment::Literal(bytes) => {
                    let is_last = at + 1 == count && self.end == End::Nothing;
                    if bytes.is_empty() && !is_last {
                        return Err("runs of / are matched as one");
                    }
                }
            }
        }
        Ok(())
    }

    /// What of `path`, which this pattern matches, its `*` stands for; all but the leading slash of
    /// a path that is matched without one.
    pub(crate) fn rest<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        let below = &path[1..];
        match self.end {
            End::Nothing => below,
            End::Rest(_) => {
                let before = self.segments.len();
                let mut slashes = memchr::memchr_iter(b'/', path);
                slashes.nth(before).map_or(b"", |slash| &path[slash + 1..])
            }
        }
    }

    /// What of `path`, which this pattern matches, stands before the slash and the `*`; all of a
    /// path that is matched without one.
    pub(crate) fn prefix<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        match self.end {
            End::Nothing => path,
            End::Rest(_) => &path[..path.len() - self.rest(path).len() - 1],
        }
    }

    /// What every path that this pattern matches ends in, if it ends in a `*` and more.
    pub(crate) fn suffix(&self) -> &[u8] {
        match &self.end {
            End::Nothing => b"",
            End::Rest(suffix) => suffix,
        }
    }

    /// A path that it matches, if it is a prefix: `name`, right below it.
    pub(crate) fn below(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::new();
        for segment in &self.segments {
            path.push(b'/');
            path.extend_from_slice(match segment {
                Segment::Literal(bytes) => bytes,
                Segment::Parameter(name) => name.as_bytes(),
            });
        }
        path.push(b'/');
        path.extend_from_slice(name);
        path
    }

    /// What the parameters stand for in `path`, which this pattern matches.
    pub(crate) fn captures<'a>(&'a self, path: &'a [u8]) -> Captures<'a> {
        let segments = path[1..].split(|&byte| byte == b'/');
        let mut captures: Captures<'a> = self
            .segments
            .iter()
            .zip(segments)
            .filter_map(|(segment, value)| match segment {
                Segment::Literal(_) => None,
                Segment::Parameter(name) => Some((&**name, value)),
            })
            .collect();
        if let End::Rest(_) = self.end {
            captures.push(("*", self.rest(path)));
        }
        captures
    }

    /// Whether it matches all below something, whatever the ending.
    pub(crate) fn is_prefix(&self) -> bool {
        matches!(&self.end, End::Rest(suffix) if suffix.is_empty())
    }

    /// Whether it matches every path.
    pub(crate) fn is_everything(&self) -> bool {
        self.segments.is_empty() && self.is_prefix()
    }

    /// Whether `self` matches the same paths as `other`: they may differ in parameters' names
    /// alone.
    pub(crate) fn matches_as(&self, other: &Pattern) -> bool {
        self.specificity(other) == Ordering::Equal
    }

    /// The more specific pattern first.
    pub(crate) fn specificity(&self, other: &Pattern) -> Ordering {
        let ((kind, suffix), (other_kind, other_suffix)) = (self.kind(), other.kind());
        kind.cmp(&other_kind)
            .then_with(|| ranks(&self.segments).cmp(ranks(&other.segments)))
            .then_with(|| Reverse(suffix.len()).cmp(&Reverse(other_suffix.len())))
            .then_with(|| suffix.cmp(other_suffix))
    }

    /// A number that is smaller for a more specific kind of pattern, and the suffix.
    fn kind(&self) -> (u8, &[u8]) {
        let End::Rest(suffix) = &self.end else { return (0, b"") };
        let kind = match (self.segments.is_empty(), suffix.is_empty()) {
            (false, false) => 1,
            (false, true) => 2,
            (true, false) => 3,
            (true, true) => 4,
        };
        (kind, suffix)
    }
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        if text.contains(['{', '}']) {
            return Err("a {parameter} must be a whole segment");
        }
        return Ok(Segment::Literal(text.as_bytes().into()));
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err("a {parameter} is named by letters, digits, _ and -");
    }
    Ok(Segment::Parameter(name.into()))
}

/// What segments are compared by: first a number that is smaller for a segment that says more. No
/// path matches two different literals, so any order of theirs will do.
fn ranks(segments: &[Segment]) -> impl Iterator<Item = (u8, &[u8])> {
    const END: (u8, &[u8]) = (2, b"");
    let ranks = segments.iter().map(|segment| match segment {
        Segment::Literal(bytes) => (0, &**bytes),
        Segment::Parameter(_) => (1, &b""[..]),
    });
    ranks.chain([END])
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a pattern of paths: {}", self.text, self.what)
    }
}

impl std::error::Error for BadPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "begin with /"),
            ("a", "begin with /"),
            ("/a*", "before the *"),
            ("/a/*/b", "end of a file name"),
            ("/*/*", "one * only"),
            ("**", "one * only"),
            ("/*.{ext}", "end of a file name"),
            ("/{a}.json", "whole segment"),
            ("/a}", "whole segment"),
            ("/{}", "letters"),
            ("/{a b}", "letters"),
            ("/{a}/{a}", "one name"),
            ("/a//b", "as one"),
            ("//", "as one"),
            ("//*", "as one"),
            ("/a/../b", "dot segments"),
            ("/a\0", "no path can hold"),
        ] {
            let error = Pattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn captures_are_cut_out_of_the_path() {
        let captures = |text: &str, path: &str| -> Vec<(String, Vec<u8>)> {
            let pattern = pattern(text);
            let captures = pattern.captures(path.as_bytes());
            captures.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
        };
        assert_eq!(captures("/u/{id}/p", "/u/7/p"), [("id".into(), b"7".to_vec())]);
        assert_eq!(captures("/f/*", "/f/a/b"), [("*".into(), b"a/b".to_vec())]);
        assert_eq!(captures("/f/*", "/f/"), [("*".into(), vec![])]);
        assert_eq!(captures("*.php", "/a/b.php"), [("*".into(), b"a/b.php".to_vec())]);
        assert_eq!(
            captures("/{a}/*.x", "/1/2/3.x"),
            [("a".into(), b"1".to_vec()), ("*".into(), b"2/3.x".to_vec())]
        );
        assert_eq!(captures("/a", "/a"), []);
    }

    #[test]
    fn the_more_specific_pattern_comes_first() {
        let ordered = [
            "/a/b",
            "/a/{x}",
            "/{x}/b",
            "/{x}/{y}",
            "/a/b/*.tar.gz",
            "/a/*.tar.gz",
            "/a/*.gz",
            "/{x}/*.gz",
            "/a/b/*",
            "/a/*",
            "/{x}/b/*",
            "/{x}/*",
            "*.tar.gz",
            "*.gz",
            "/*",
        ];
        for (at, one) in ordered.iter().enumerate() {
            for (other_at, other) in ordered.iter().enumerate() {
                let order = pattern(one).specificity(&pattern(other));
                assert_eq!(order, at.cmp(&other_at), "{one} {other}");
            }
        }
        assert!(pattern("/u/{id}").matches_as(&pattern("/u/{name}")));
        assert!(pattern("*").matches_as(&pattern("/*")));
        assert!(!pattern("/a").matches_as(&pattern("/a/")));
    }
}
