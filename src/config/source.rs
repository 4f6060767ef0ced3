//! Where a configuration was said: a file and its text, or the command line.
//!
//! Turns ranges of bytes into lines and columns, and relative paths into absolute ones. What the
//! text means is not known here.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Fault, Position};
use super::reading::Sayable as _;
use super::said::Said;
use crate::site::rule::Place;

/// A file larger than this is no configuration.
const MAX_BYTES: u64 = 16 << 20;

/// Where a configuration was said.
#[derive(Debug)]
pub(super) struct Source {
    /// The file's name as it was given and its text; `None` for the command line.
    file: Option<(Rc<str>, String)>,
    /// Where relative paths begin; absolute.
    directory: PathBuf,
}

/// The text of the file at `path`.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let metadata = fs::metadata(path).map_err(|error| cannot(path, &error.to_string()))?;
    if metadata.is_dir() {
        return Err(cannot(path, "it is a directory"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(cannot(path, "it is too large to be a configuration"));
    }
    let bytes = fs::read(path).map_err(|error| cannot(path, &error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = String::from_utf8_lossy(&error.as_bytes()[..good]).split('\n').count();
        cannot(path, &format!("line {line} is not UTF-8"))
    })
}

fn cannot(path: &Path, why: &str) -> ConfigError {
    let what = format!("cannot read {}: {why}", path.display());
    ConfigError { place: None, what, help: None }
}

impl Source {
    /// The file at `path`, which holds `text`. Relative paths in it begin where the file is, so
    /// that it means the same wherever the server is started.
    ///
    /// # Errors
    /// When there is no working directory for `path` to begin in.
    pub(super) fn of_file(path: &Path, text: String) -> Result<Source, ConfigError> {
        let whole = std::path::absolute(path).map_err(|error| cannot(path, &error.to_string()))?;
        let directory = whole.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Source::text(&path.display().to_string(), text, directory))
    }

    /// A file named `name` in `directory`, which is absolute, that holds `text`.
    #[must_use]
    pub(super) fn text(name: &str, text: String, directory: PathBuf) -> Source {
        Source { file: Some((name.into(), text)), directory }
    }

    /// The command line. Relative paths begin in `directory`.
    #[must_use]
    pub(super) fn command_line(directory: PathBuf) -> Source {
        Source { file: None, directory }
    }

    /// What the file says; nothing, if there is none.
    ///
    /// # Errors
    /// When the text is no TOML, holds an unknown key or a value of the wrong form.
    pub(super) fn parse(&self) -> Result<Said, ConfigError> {
        let Some((_, text)) = &self.file else { return Ok(Said::default()) };
        let table = DeTable::parse(text).map_err(|error| self.error(Fault::from(error)))?;
        let value = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        Said::read(&value).map_err(|fault| self.error(fault))
    }

    /// `fault`, with its place in the text.
    #[must_use]
    pub(super) fn error(&self, fault: Fault) -> ConfigError {
        ConfigError { place: self.position(&fault.span), what: fault.what, help: fault.help }
    }

    /// The line in which `span` begins, if there is a file.
    #[must_use]
    pub(super) fn place(&self, span: &Range<usize>) -> Option<Place> {
        let (file, text) = self.file.as_ref()?;
        Some(Place { file: Rc::clone(file), line: line_number(text, span.start) })
    }

    /// `path`, absolute.
    #[must_use]
    pub(super) fn path(&self, path: &str) -> PathBuf {
        // Takes `.` and repeated slashes out, asks no file system.
        self.directory.join(path).components().collect()
    }

    fn position(&self, span: &Range<usize>) -> Option<Position> {
        let (name, text) = self.file.as_ref()?;
        let start = floor(text, span.start);
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let stop = floor(text, span.end.clamp(start, end));
        Some(Position {
            file: name.to_string(),
            line: line_number(text, start),
            column: text[begin..start].chars().count() + 1,
            text: text[begin..end].trim_end().to_owned(),
            width: text[start..stop].chars().count().max(1),
        })
    }
}

/// The nearest start of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

fn line_number(text: &str, at: usize) -> usize {
    text[..floor(text, at)].bytes().filter(|&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::text("a.toml", text.to_owned(), "/etc/x".into())
    }

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let text = "a\r\näö = 1\n";
        let source = source(text);
        let at = |span| {
            let position = source.position(&span).expect("there is a text");
            (position.line, position.column, position.width, position.text)
        };
        assert_eq!(at(0..1), (1, 1, 1, "a".to_owned()));
        assert_eq!(at(5..7), (2, 2, 1, "äö = 1".to_owned()));
        assert_eq!(at(10..11), (2, 6, 1, "äö = 1".to_owned()));
        // Over the end of its line, within a character, and behind the end of the text.
        assert_eq!(at(3..99), (2, 1, 6, "äö = 1".to_owned()));
        assert_eq!(at(6..6), (2, 2, 1, "äö = 1".to_owned()));
        assert_eq!(at(99..99), (3, 1, 1, String::new()));
    }

    #[test]
    fn relative_paths_begin_where_the_file_is() {
        assert_eq!(source("").path("www/./a/"), Path::new("/etc/x/www/a"));
        assert_eq!(source("").path("/srv//www"), Path::new("/srv/www"));
        assert_eq!(source("").path("../www"), Path::new("/etc/x/../www"));
        assert_eq!(source("").path("."), Path::new("/etc/x"));
    }
}
