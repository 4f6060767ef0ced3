//! Floor 3, the configuration: what was said → what it means.
//!
//! A file is taken apart into what was *said*, every value with its place (`source`, `said`,
//! `reading`, `units`); that is turned into what it *means*, every default filled in (`general`,
//! `sites`, `routes` make a [`Config`]); and what it means is put to work as a site and the
//! server's options (`build`). The flags of quick mode are said as a file would say them (`quick`)
//! and go the same way.
//!
//! *Invariant:* no other floor knows that there is a file, or a command line.

mod address;
mod amounts;
mod announce;
mod build;
pub mod command_line;
mod difference;
mod error;
mod forms;
mod general;
pub mod generate;
pub mod meaning;
mod print;
mod programs;
pub mod question;
mod quick;
mod reach;
mod reading;
mod rights;
mod routes;
mod said;
mod sites;
mod source;
#[cfg(test)]
mod tests;
mod trust;
mod units;

use std::path::Path;

pub use announce::url;
use command_line::Serve;
pub use error::{ConfigError, Position};
pub use meaning::Config;
use source::Source;

/// The text of the file at `path`.
///
/// # Errors
/// When it cannot be read.
pub fn text(path: &Path) -> Result<String, ConfigError> {
    source::read(path)
}

impl Config {
    /// What the file at `path` means.
    ///
    /// # Errors
    /// When it cannot be read, or something in it has no meaning.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        Config::from_text(path, text(path)?)
    }

    /// What `text` would mean, were it the file at `path`.
    ///
    /// # Errors
    /// When something in it has no meaning.
    pub fn from_text(path: &Path, text: String) -> Result<Config, ConfigError> {
        Config::from_source(&Source::of_file(path, text)?)
    }

    /// What the flags of quick mode mean. Relative paths begin in the working directory.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn quick(serve: &Serve) -> Result<Config, ConfigError> {
        let error = |what| ConfigError { place: None, what, help: None };
        let said = quick::said(serve).map_err(error)?;
        let here = std::env::current_dir()
            .map_err(|cause| error(format!("there is no working directory: {cause}")))?;
        let source = Source::command_line(here);
        general::meaning(&said, &source).map_err(|fault| source.error(fault))
    }

    fn from_source(source: &Source) -> Result<Config, ConfigError> {
        let said = source.parse()?;
        general::meaning(&said, source).map_err(|fault| source.error(fault))
    }
}
