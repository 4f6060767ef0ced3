//! What is wrong with a configuration, where, and what was probably meant.
//!
//! A [`Fault`] knows its place as a range of bytes; with the text it came from it becomes a
//! [`ConfigError`], which can be shown. Which words a configuration may use is known to `said`;
//! the parser's own messages are turned into this server's language here.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::reading::Value;

/// Something wrong with what was said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which bytes of the text it is about; empty if it is about none.
    pub(super) span: Range<usize>,
    /// What is wrong, as a sentence without its full stop.
    pub(super) what: String,
    /// How to put it right.
    pub(super) help: Option<String>,
}

impl Fault {
    /// A fault of the value `at`. A second line of `what` is the help.
    pub(super) fn new<T>(at: &Spanned<T>, what: impl AsRef<str>) -> Self {
        Fault::at(at.span(), what.as_ref())
    }

    /// A fault at `span`. A second line of `what` is the help.
    pub(super) fn at(span: Range<usize>, what: &str) -> Self {
        let (what, help) = match what.split_once('\n') {
            Some((what, help)) => (what, Some(help.to_owned())),
            None => (what, None),
        };
        Fault { span, what: what.to_owned(), help }
    }

    /// The same fault with another help.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Fault { help: Some(help.into()), ..self }
    }

    /// `said` is none of `known`: which of them was probably meant.
    pub(super) fn not_one_of(said: &Spanned<String>, what: &str, known: &[&str]) -> Self {
        let said_text = said.get_ref();
        let fault = Fault::new(said, format!("`{said_text}` is not {what}"));
        fault.help(suggestion(said_text, known, "it can be"))
    }

    /// The key `said` at `span` is none of `known`.
    pub(super) fn unknown_key(span: Range<usize>, said: &str, known: &[&str]) -> Self {
        let help = match (nearest(said, known), elsewhere(said)) {
            (None, Some(place)) => place.to_owned(),
            (Some(_), _) | (None, None) => suggestion(said, known, "known here:"),
        };
        Fault::at(span, &format!("unknown key `{said}`")).help(help)
    }

    /// Where `expected` should stand there is `value`.
    pub(super) fn mismatch(value: &Value<'_>, expected: &str) -> Self {
        let (found, is_bare) = match value.get_ref() {
            DeValue::String(text) => (format!("{text:?}"), false),
            DeValue::Integer(number) => (format!("`{number}`"), true),
            DeValue::Float(number) => (format!("`{number}`"), true),
            DeValue::Boolean(is_so) => (format!("`{is_so}`"), true),
            DeValue::Datetime(time) => (format!("`{time}`"), true),
            DeValue::Array(_) => ("a list".to_owned(), false),
            DeValue::Table(_) => ("a table".to_owned(), false),
        };
        let fault = Fault::new(value, format!("expected {expected}, found {found}"));
        let should_be_quoted = is_bare && expected.starts_with("a string");
        if should_be_quoted { fault.help("a string stands in quotes") } else { fault }
    }
}

impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Self {
        let span = error.span().unwrap_or_default();
        Fault::at(span, &translated(error.message()))
    }
}

/// A configuration that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where; `None` if it was not said in a file, or is about the file as a whole.
    pub place: Option<Position>,
    /// What is wrong, as a sentence without its full stop.
    pub what: String,
    /// How to put it right.
    pub help: Option<String>,
}

/// A place in a file, and the line that stands there.
#[derive(Debug, PartialEq, Eq)]
pub struct Position {
    /// The file's name as it was given.
    pub file: String,
    /// The line's number, from 1.
    pub line: usize,
    /// The column of the first character, from 1.
    pub column: usize,
    /// The line without its end.
    pub text: String,
    /// How many characters of the line it is about, at least 1.
    pub width: usize,
}

impl std::error::Error for ConfigError {}

/// Longer lines are broken.
const WIDTH: usize = 80;

/// `FILE:LINE:COLUMN: what`, the line, and a caret under the place with the help.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was said stands in both, and a string can hold anything.
        let what: String = self.what.chars().map(showable).collect();
        let help: String = self.help.iter().flat_map(|help| help.chars()).map(showable).collect();
        let Some(Position { file, line, column, text, width }) = &self.place else {
            let between = if help.is_empty() { "" } else { ": " };
            return write!(f, "{what}{between}{help}");
        };
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let shown: String = text.chars().map(showable).collect();
        // A tab stays a tab, so that the caret stands right however wide tabs are.
        let before: String =
            text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{file}:{line}:{column}: {what}")?;
        writeln!(f, "{}", format!("  {number} | {shown}").trim_end())?;
        write!(f, "  {margin} | {before}{}", "^".repeat(*width))?;
        let room = WIDTH.saturating_sub(margin.len() + column + width + 6);
        match help.as_str() {
            "" => Ok(()),
            help if help.chars().count() <= room => write!(f, " {help}"),
            help => wrapped(help, WIDTH - margin.len() - 5)
                .iter()
                .try_for_each(|line| write!(f, "\n  {margin}   {line}")),
        }
    }
}

/// `text` in lines of at most `width` characters, or of one word.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A control character could move the cursor or colour the terminal; a tab is harmless.
fn showable(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

/// "did you mean …?" if one of `known` is near to `said`; else `intro` and all of them.
fn suggestion(said: &str, known: &[&str], intro: &str) -> String {
    match (nearest(said, known), known) {
        (Some(name), _) => format!("did you mean `{name}`?"),
        (None, []) => "nothing can stand here".to_owned(),
        (None, known) => format!("{intro} {}", known.join(", ")),
    }
}

/// The one of `known` that is near enough to `said` to be meant by it.
fn nearest<'a>(said: &str, known: &[&'a str]) -> Option<&'a str> {
    let small = said.to_ascii_lowercase().replace('_', "-");
    let distance = |name: &str| strsim::damerau_levenshtein(&small, &name.to_ascii_lowercase());
    let is_near = |name: &str| {
        let begins = small.starts_with(name) || (small.len() > 1 && name.starts_with(&small));
        begins || distance(name) <= small.chars().count().max(name.len()) / 3
    };
    known.iter().copied().filter(|name| is_near(name)).min_by_key(|name| distance(name))
}

/// Where a key stands that people look for in another section.
fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "port" | "bind" | "address" => "it is a part of listen = \"127.0.0.1:8080\" in [server]",
        "listing" | "autoindex" => "it stands in a route: files = { listing = true }",
        "symlinks" => "it stands in a route: files = { symlinks = \"inside\" }",
        "dotfiles" => "it stands in a route: files = { dotfiles = true }",
        "headers" => "they are called fields, and stand in a route: fields = { Name = \"value\" }",
        "fields" | "allow" | "auth" | "redirect" | "respond" | "fallback" | "path" | "files" => {
            "it stands in [[site.route]]"
        }
        "host" | "root" | "index" | "errors" | "precompressed" => "it stands in [[site]]",
        _ => return None,
    })
}

/// A message of the TOML parser in this server's words. A message in a form that is not known here
/// stays as it is; the tests show that all that come up are known.
fn translated(message: &str) -> String {
    match message {
        "invalid basic string, expected `\"`" => "this string has no end\nexpected `\"`".to_owned(),
        "duplicate key" => "this key stands here for the second time".to_owned(),
        "key with no value, expected `=`" => "a key without a value\nexpected `=`".to_owned(),
        "string values must be quoted, expected literal string" => {
            "a value is missing, or is a string without quotes".to_owned()
        }
        other => other.replacen(", expected ", "\nexpected ", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_suggested_and_else_all_is_named() {
        let known = ["to", "format", "loop-lag"];
        let suggestion = |said, known| suggestion(said, known, "known here:");
        assert_eq!(suggestion("loop_lag", &known), "did you mean `loop-lag`?");
        assert_eq!(suggestion("fromat", &known), "did you mean `format`?");
        assert_eq!(suggestion("FORM", &known), "did you mean `format`?");
        assert_eq!(suggestion("xy", &known), "known here: to, format, loop-lag");
        assert_eq!(suggestion("x", &["addr"]), "known here: addr");
        assert_eq!(suggestion("x", &[]), "nothing can stand here");
    }

    #[test]
    fn the_caret_stands_under_what_it_is_about() {
        let position = Position {
            file: "a.toml".to_owned(),
            line: 12,
            column: 5,
            text: "\tä = \u{1}é".to_owned(),
            width: 2,
        };
        let error = ConfigError {
            place: Some(position),
            what: "bad\u{1b}".to_owned(),
            help: Some("better".to_owned()),
        };
        let shown = "a.toml:12:5: bad\u{fffd}\n  12 | \tä = \u{fffd}é\n     | \t   ^^ better";
        assert_eq!(error.to_string(), shown);
    }

    #[test]
    fn an_error_without_a_place_is_one_line() {
        let error = ConfigError { place: None, what: "bad".to_owned(), help: None };
        assert_eq!(error.to_string(), "bad");
        let error = ConfigError { help: Some("do this".to_owned()), ..error };
        assert_eq!(error.to_string(), "bad: do this");
    }
}
