//! Where a redirect leads: a reference with holes that the parameters of the route's pattern fill.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};

use super::pattern::{Captures, End, Pattern, Segment};

/// What must be escaped in a path: all that RFC 3986 §2.3 does not call unreserved, but the slash.
/// So what fills a hole cannot end the path; and no parameter has a slash in it.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What must be escaped in a reference that somebody wrote down. (Browsers take `\` for `/`.)
const REFERENCE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\');

/// A reference, taken apart at its holes.
#[derive(Debug)]
pub(super) struct Target {
    pieces: Vec<Piece>,
    /// It says itself what comes behind the path.
    is_whole: bool,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// The name of a parameter, or `*`.
    Hole(String),
}

impl Target {
    /// Takes `text` apart: an absolute path or an `http` or `https` URI, with `{name}` where the
    /// parameter of that name goes and `{*}` where what the pattern's `*` stands for goes.
    pub(super) fn parse(text: &str, pattern: &Pattern) -> Result<Target, String> {
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        // Which host is led to, only the configuration says.
        let is_uri = authority.is_some_and(|rest| {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            !host.is_empty() && !host.contains('{')
        });
        if !is_path && !is_uri {
            return Err(format!(
                "a redirect leads to a path (\"/…\") or to an http or https URI, not to {text:?}"
            ));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((name, behind)) = behind.split_once('}') else {
                return Err(format!("{text:?} has a {{ without its }}"));
            };
            if !has_parameter(pattern, name) {
                return Err(format!("the pattern {:?} has no {{{name}}}", pattern.text));
            }
            pieces.push(Piece::Text(percent_encode(before.as_bytes(), REFERENCE).to_string()));
            pieces.push(Piece::Hole(name.to_owned()));
            rest = behind;
        }
        pieces.push(Piece::Text(percent_encode(rest.as_bytes(), REFERENCE).to_string()));
        Ok(Target { pieces, is_whole: text.contains(['?', '#']) })
    }

    /// The reference for one request. Its query is kept, unless this says another.
    pub(super) fn fill(&self, captures: &Captures<'_>, query: Option<&str>) -> String {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Hole(name) => {
                    let value = captures.iter().find(|(known, _)| known == name);
                    let value = value.map_or(&b""[..], |&(_, value)| value);
                    filled.extend(percent_encode(value, PATH));
                }
            }
        }
        if let Some(query) = query
            && !self.is_whole
        {
            filled.push('?');
            filled.push_str(query);
        }
        filled
    }
}

/// The reference of the directory at `path`, which was asked for without its last slash. `path` is
/// resolved, so it begins with exactly one slash and cannot be taken for another host's.
pub(super) fn with_slash(path: &[u8], query: Option<&str>) -> String {
    let mut reference: String = percent_encode(path, PATH).collect();
    reference.push('/');
    if let Some(query) = query {
        reference.push('?');
        reference.push_str(query);
    }
    reference
}

fn has_parameter(pattern: &Pattern, wanted: &str) -> bool {
    match wanted {
        "*" => pattern.end != End::Nothing,
        _ => pattern
            .segments
            .iter()
            .any(|segment| matches!(segment, Segment::Parameter(name) if **name == *wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(pattern: &str, to: &str, path: &str, query: Option<&str>) -> String {
        let pattern = Pattern::parse(pattern).unwrap();
        let target = Target::parse(to, &pattern).unwrap();
        target.fill(&pattern.captures(path.as_bytes()), query)
    }

    #[test]
    fn holes_are_filled_and_the_query_is_kept() {
        for (pattern, to, path, query, filled) in [
            ("/old/{page}", "/new/{page}", "/old/a", None, "/new/a"),
            ("/old/{page}", "/new/{page}", "/old/a", Some("x=1"), "/new/a?x=1"),
            ("/old/{page}", "/new?p={page}", "/old/a&b", Some("x=1"), "/new?p=a%26b"),
            ("/o/*", "https://h.example/{*}", "/o/a/b c", None, "https://h.example/a/b%20c"),
            (
                "/o/{a}",
                "https://h.example/{a}",
                "/o/\r\nX: y",
                None,
                "https://h.example/%0D%0AX%3A%20y",
            ),
            ("/o/{a}", "/{a}", "/o/\\evil", None, "/%5Cevil"),
            ("/{a}/{b}", "/{b}/{a}#x", "/1/2", Some("q"), "/2/1#x"),
            ("/a", "/ä b", "/a", None, "/%C3%A4%20b"),
            ("/a", "/\\b/%20", "/a", None, "/%5Cb/%20"),
        ] {
            assert_eq!(fill(pattern, to, path, query), filled, "{pattern} {to}");
        }
    }

    #[test]
    fn a_bad_reference_is_refused_with_a_reason() {
        let pattern = Pattern::parse("/a/{x}").unwrap();
        for (to, reason) in [
            ("", "leads to a path"),
            ("new", "leads to a path"),
            ("//evil.example/", "leads to a path"),
            ("javascript:alert(1)", "leads to a path"),
            ("{x}", "leads to a path"),
            ("https://", "leads to a path"),
            ("https://{x}/", "leads to a path"),
            ("https://h.example{x}", "leads to a path"),
            ("/{y}", "has no {y}"),
            ("/{*}", "has no {*}"),
            ("/{x", "without its }"),
        ] {
            let error = Target::parse(to, &pattern).unwrap_err();
            assert!(error.contains(reason), "{to:?}: {error}");
        }
    }

    #[test]
    fn a_directorys_reference_cannot_lead_to_another_host() {
        assert_eq!(with_slash(b"/a b/\\c", Some("x=/y")), "/a%20b/%5Cc/?x=/y");
        assert_eq!(with_slash("/é".as_bytes(), None), "/%C3%A9/");
    }
}
