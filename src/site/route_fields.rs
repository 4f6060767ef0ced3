//! The fields that routes add to answers: which may be added, and which of them go with which kind
//! of answer. What the answer itself says is not known here.

use std::rc::Rc;

use crate::http::fields;

/// Fields that say how a message is framed, or that the connection writes.
const CONNECTIONS_OWN: [&str; 9] = [
    "Connection",
    "Content-Length",
    "Date",
    "Keep-Alive",
    "Server",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// Fields about a representation that only who made it can know.
const REPRESENTATIONS_OWN: [&str; 4] = ["Accept-Ranges", "Content-Range", "ETag", "Last-Modified"];

/// Fields about the content of a 200. They are wrong on an error's page, and a 304 has no content
/// (RFC 9110 §15.4.5).
const ABOUT_CONTENT: [&str; 8] = [
    "Content-Digest",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Location",
    "Content-MD5",
    "Digest",
    "Repr-Digest",
];

/// Fields that let an answer be kept. An error that is kept for a year is an error for a year.
const ABOUT_KEEPING: [&str; 3] = ["Cache-Control", "CDN-Cache-Control", "Expires"];

/// Fields of which an answer may have several lines that say different things.
const ADDITIVE: [&str; 3] = ["Link", "Set-Cookie", "Vary"];

/// Why a handler or a route cannot set a field; `None` if it can.
pub(crate) fn fault(name: &str, value: &[u8]) -> Option<String> {
    if !fields::is_name(name.as_bytes()) {
        Some(format!("{name:?} is not a field name"))
    } else if is_one_of(name, &CONNECTIONS_OWN) {
        Some(format!("{name} is written by the connection"))
    } else if fields::is_value(value) {
        None
    } else {
        Some(format!("{name} cannot have the value {:?}", String::from_utf8_lossy(value)))
    }
}

/// Why a route cannot set a field; `None` if it can.
pub(crate) fn route_fault(name: &str, value: &str) -> Option<String> {
    if is_one_of(name, &REPRESENTATIONS_OWN) {
        return Some(format!("{name} is what each file says of itself"));
    }
    fault(name, value.as_bytes())
}

/// Field lines prepared for each kind of answer. All lines are valid.
#[derive(Debug, Default)]
pub(super) struct RouteFields {
    lines: Vec<(Box<str>, Vec<u8>)>,
    /// In place of a file's own media type. In none of the blocks below.
    pub(super) media_type: Option<Rc<str>>,
    /// For a 304.
    pub(super) not_modified: Box<[u8]>,
    /// For all else that is no error.
    pub(super) success: Box<[u8]>,
}

impl RouteFields {
    /// From layers of valid fields, the outermost first: an inner layer replaces what the outer
    /// ones say under the same name.
    pub(super) fn new<'a>(layers: impl IntoIterator<Item = &'a [(String, String)]>) -> Self {
        let mut lines: Vec<(Box<str>, Vec<u8>)> = Vec::new();
        let mut media_type = None;
        for layer in layers {
            lines.retain(|(name, _)| !layer.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
            for (name, value) in layer {
                if name.eq_ignore_ascii_case("Content-Type") {
                    media_type = Some(Rc::from(&**value));
                    continue;
                }
                let mut line = Vec::new();
                fields::write(&mut line, name, value.as_bytes());
                lines.push((name.as_str().into(), line));
            }
        }
        let without_content = lines.iter().filter(|(name, _)| !is_one_of(name, &ABOUT_CONTENT));
        RouteFields {
            not_modified: without_content.flat_map(|(_, line)| line).copied().collect(),
            success: lines.iter().flat_map(|(_, line)| line).copied().collect(),
            media_type,
            lines,
        }
    }

    /// Whether there is a line of this name.
    pub(super) fn says(&self, name: &str) -> bool {
        self.lines.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Adds to `own`, the field lines of an answer, those of the route whose names it does not have
    /// or may have twice.
    pub(super) fn complete(&self, own: &mut Vec<u8>, is_error: bool) {
        let end = own.len();
        let has = |own: &[u8], wanted: &str| {
            own.split(|&byte| byte == b'\n').any(|line| {
                let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
                name.eq_ignore_ascii_case(wanted.as_bytes())
            })
        };
        for (name, line) in &self.lines {
            let is_apt =
                !is_error || !(is_one_of(name, &ABOUT_CONTENT) || is_one_of(name, &ABOUT_KEEPING));
            if is_apt && (is_one_of(name, &ADDITIVE) || !has(&own[..end], name)) {
                own.extend_from_slice(line);
            }
        }
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn inner_layers_replace_outer_ones_by_name() {
        let outer = pairs(&[("X-A", "1"), ("X-B", "1"), ("Link", "</a>")]);
        let inner = pairs(&[("x-b", "2"), ("LINK", "</b>"), ("Link", "</c>")]);
        let fields = RouteFields::new([&outer[..], &inner[..]]);
        assert_eq!(&*fields.success, b"X-A: 1\r\nx-b: 2\r\nLINK: </b>\r\nLink: </c>\r\n");
    }

    #[test]
    fn errors_and_304_carry_only_what_is_true_of_them() {
        let layer = pairs(&[
            ("Cache-Control", "immutable"),
            ("content-language", "de"),
            ("Content-Type", "text/x"),
            ("Content-Security-Policy", "x"),
        ]);
        let fields = RouteFields::new([&layer[..]]);
        let mut error = Vec::new();
        fields.complete(&mut error, true);
        assert_eq!(error, b"Content-Security-Policy: x\r\n");
        assert_eq!(
            &*fields.not_modified,
            b"Cache-Control: immutable\r\nContent-Security-Policy: x\r\n"
        );
        assert_eq!(fields.media_type.as_deref(), Some("text/x"));
    }

    #[test]
    fn an_answer_keeps_what_it_says_itself() {
        let layer = pairs(&[("X-A", "route"), ("Cache-Control", "route"), ("Vary", "Origin")]);
        let fields = RouteFields::new([&layer[..]]);
        let mut own = b"x-a: own\r\nVary: Accept\r\n".to_vec();
        fields.complete(&mut own, false);
        assert_eq!(own, b"x-a: own\r\nVary: Accept\r\nCache-Control: route\r\nVary: Origin\r\n");
        let mut own = Vec::new();
        fields.complete(&mut own, true);
        assert_eq!(own, b"X-A: route\r\nVary: Origin\r\n");
    }

    #[test]
    fn what_is_not_for_routes_to_say_is_refused() {
        for (name, value, reason) in [
            ("Content-Length", "1", "connection"),
            ("transfer-encoding", "chunked", "connection"),
            ("ETag", "\"a\"", "each file"),
            ("X A", "1", "not a field name"),
            ("", "1", "not a field name"),
            ("X", "a\r\nSet-Cookie: b", "cannot have"),
            ("X", "a\0", "cannot have"),
            ("X", " a", "cannot have"),
        ] {
            let fault = route_fault(name, value).expect(name);
            assert!(fault.contains(reason), "{fault}");
        }
        assert_eq!(route_fault("Cache-Control", "no-store"), None);
        assert_eq!(fault("ETag", b"\"a\""), None);
    }
}
