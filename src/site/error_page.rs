//! Pages for errors: the built-in one, and which page of the site stands in for it. What went wrong
//! is known to the caller.

use std::fmt;
use std::rc::Rc;

use super::page;
use crate::http::status::Status;

/// The fields of the built-in page.
pub const FIELDS: &[u8] = page::page_fields!();

/// The built-in page for `status`, complete. `why` is a sentence without its capital and its full
/// stop, or empty; it is shown as text, whatever it holds.
#[must_use]
pub fn page(status: Status, why: &str) -> String {
    let mut page = page::open_plain(&status.to_string(), &[STYLE]);
    page.push_str("<main>\n<b>");
    page.push_str(&status.code().to_string());
    page.push_str("</b>\n<h1>");
    page.push_str(match status.reason() {
        "" => "Error",
        reason => reason,
    });
    page.push_str("</h1>\n");
    if !why.is_empty() {
        page.push_str("<p>");
        let mut rest = why.chars();
        page::push_text(
            &mut page,
            &rest.next().into_iter().flat_map(char::to_uppercase).collect::<String>(),
        );
        page::push_text(&mut page, rest.as_str());
        page.push_str(".</p>\n");
    }
    page.push_str("</main>\n");
    page::close(&mut page);
    page
}

/// Short, for a page that is often sent to those who never look at it: the browser's own colours,
/// light or dark.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{min-height:90vh;display:grid;place-items:center;text-align:center;\
font:1rem/1.5 system-ui,sans-serif}\
main{max-width:32rem}\
b{font-size:7rem;line-height:1;color:light-dark(#0a5fbf,#7db8ff)}\
h1{font-size:1.5rem;margin:0}\n";

/// Which path of the site answers in place of the built-in page: by code (`404`) or by class
/// (`5xx`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorPages {
    pages: Vec<(Key, Rc<str>)>,
}

/// Why a page cannot be taken up. Its `Display` is a whole sentence, without the full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadErrorPage(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Code(Status),
    /// The first digit of the codes.
    Class(u16),
}

impl ErrorPages {
    /// Sets the page for a code (`404`) or a class (`4xx`, `5xx`), in place of one set before.
    /// `path` is looked up in the site as a target's path would be.
    ///
    /// # Errors
    /// If `key` names no error, or `path` does not begin with a `/`.
    pub fn set(&mut self, key: &str, path: &str) -> Result<(), BadErrorPage> {
        let Some(parsed) = Key::parse(key) else {
            return Err(BadErrorPage(format!(
                "{key:?} is no error; pages are for codes from \"400\" to \"599\", and for \
                 \"4xx\" and \"5xx\""
            )));
        };
        if !path.starts_with('/') {
            return Err(BadErrorPage(format!(
                "{path:?} is not a path of the site; is it \"/{path}\""
            )));
        }
        self.put(parsed, Rc::from(path));
        Ok(())
    }

    /// Takes over the pages of `inner`, which belong to a narrower pattern: in place of those with
    /// the same key, beside the others.
    pub fn overlay(&mut self, inner: &ErrorPages) {
        for (key, path) in &inner.pages {
            self.put(*key, Rc::clone(path));
        }
    }

    /// The path of the page for `status`: the one for its code, else the one for its class.
    #[must_use]
    pub fn find(&self, status: Status) -> Option<&Rc<str>> {
        self.get(Key::Code(status)).or_else(|| self.get(Key::Class(status.code() / 100)))
    }

    /// All of them: which errors (`404`, `5xx`), and the path of the page.
    pub fn iter(&self) -> impl Iterator<Item = (String, &str)> {
        self.pages.iter().map(|(key, path)| (key.to_string(), &**path))
    }

    fn get(&self, wanted: Key) -> Option<&Rc<str>> {
        self.pages.iter().find(|(key, _)| *key == wanted).map(|(_, path)| path)
    }

    fn put(&mut self, wanted: Key, path: Rc<str>) {
        match self.pages.iter_mut().find(|(key, _)| *key == wanted) {
            Some((_, old)) => *old = path,
            None => self.pages.push((wanted, path)),
        }
    }
}

impl Key {
    fn parse(text: &str) -> Option<Key> {
        match text.as_bytes() {
            [class @ (b'4' | b'5'), b'x' | b'X', b'x' | b'X'] => {
                Some(Key::Class(u16::from(class - b'0')))
            }
            [b'4' | b'5', _, _] => text.parse().ok().and_then(Status::from_code).map(Key::Code),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Code(status) => write!(f, "{}", status.code()),
            Key::Class(digit) => write!(f, "{digit}xx"),
        }
    }
}

impl fmt::Display for BadErrorPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadErrorPage {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::{is_name, is_value};

    fn pages(list: &[(&str, &str)]) -> ErrorPages {
        let mut pages = ErrorPages::default();
        for (key, path) in list {
            pages.set(key, path).unwrap();
        }
        pages
    }

    fn find(pages: &ErrorPages, code: u16) -> Option<&str> {
        pages.find(Status::from_code(code).expect("a final code")).map(|path| &**path)
    }

    #[test]
    fn the_page_says_what_and_why() {
        let page = page(Status::NOT_FOUND, "there is no file <here> & now");
        assert!(page.contains("<title>404 Not Found</title>"));
        assert!(page.contains("<h1>Not Found</h1>"));
        assert!(page.contains("There is no file &lt;here&gt; &amp; now.</p>"));
    }

    #[test]
    fn a_page_without_reason_or_why_is_whole() {
        let page = page(Status::from_code(499).expect("a final code"), "");
        assert!(page.contains("<title>499</title>"));
        assert!(page.contains("<h1>Error</h1>"));
        assert!(!page.contains("<p>"));
    }

    #[test]
    fn the_fields_are_lines() {
        let text = std::str::from_utf8(FIELDS).expect("ASCII");
        assert!(text.ends_with("\r\n"));
        for line in text.trim_end().split("\r\n") {
            let (name, value) = line.split_once(": ").expect(line);
            assert!(is_name(name.as_bytes()));
            assert!(is_value(value.as_bytes()));
        }
    }

    #[test]
    fn a_code_goes_before_its_class() {
        let pages = pages(&[("5XX", "/50x.html"), ("503", "/busy.html"), ("404", "/404.html")]);
        assert_eq!(find(&pages, 500), Some("/50x.html"));
        assert_eq!(find(&pages, 503), Some("/busy.html"));
        assert_eq!(find(&pages, 404), Some("/404.html"));
        assert_eq!(find(&pages, 403), None);
    }

    #[test]
    fn an_inner_page_stands_in_for_the_outer_one_with_its_key() {
        let mut outer = pages(&[("404", "/404.html"), ("5xx", "/50x.html")]);
        outer.overlay(&pages(&[("404", "/docs/404.html"), ("4xx", "/docs/4xx.html")]));
        assert_eq!(find(&outer, 404), Some("/docs/404.html"));
        assert_eq!(find(&outer, 403), Some("/docs/4xx.html"));
        assert_eq!(find(&outer, 500), Some("/50x.html"));
    }

    #[test]
    fn what_is_no_error_or_no_path_is_refused() {
        let mut pages = ErrorPages::default();
        for key in
            ["", "4", "200", "3xx", "600", "4x4", "40x", "xx4", "0404", "+404", "4.4", "404 "]
        {
            let error = pages.set(key, "/a").expect_err(key);
            assert!(error.to_string().contains("is no error"), "{error}");
        }
        let error = pages.set("404", "404.html").expect_err("no slash");
        assert!(error.to_string().ends_with("is it \"/404.html\""), "{error}");
        assert_eq!(pages, ErrorPages::default());
    }
}
