//! Scripts that files would give away: what can be served as it is configured, and is probably not
//! meant so. What is done about it is not known here.

use std::fs;
use std::path::Path;

use super::rule::{Acting, Compiled};
use super::{Site, SiteError, router::Table};

impl Site {
    /// What can be served as it is, and is probably not meant so: files of a route for all below a
    /// prefix among which are scripts, which a less specific route leaves to a program.
    #[must_use]
    pub fn warnings(&self) -> Vec<SiteError> {
        let tables = self.hosts.iter().map(|host| &host.table);
        tables.flat_map(exposures).collect()
    }
}

fn exposures(table: &Table) -> Vec<SiteError> {
    let routes = table.routes();
    let pairs = routes.iter().flat_map(|one| routes.iter().map(move |other| (&**one, &**other)));
    pairs.filter_map(|(files, program)| exposure(table, files, program)).collect()
}

/// What is to be said of `files` and `program`, if the one gives the scripts of the other away.
fn exposure(table: &Table, files: &Compiled, program: &Compiled) -> Option<SiteError> {
    let (Some(Acting::Files(served)), Some(Acting::Program(finder))) =
        (&files.action, &program.action)
    else {
        return None;
    };
    let ending = program.pattern.suffix();
    let is_below = !files.pattern.segments.is_empty() && files.pattern.is_prefix();
    let is_anywhere = program.pattern.segments.is_empty() && !ending.is_empty();
    if !is_below || !is_anywhere || !is_within(served.directory(), finder.sources()?) {
        return None;
    }
    // A third route can say what becomes of scripts there.
    let script = files.pattern.below(&[b"x", ending].concat());
    if !table.rule(&script).route().is_some_and(|route| std::ptr::eq(route, files)) {
        return None;
    }
    let (prefix, other) = (&files.pattern.text, &program.pattern.text);
    let line = program.place.as_ref().map_or(String::new(), |at| format!(" (line {})", at.line));
    let ending = String::from_utf8_lossy(ending);
    let what = format!(
        "{prefix:?} serves files, and so the sources of scripts that {other:?}{line} leaves to a \
         program elsewhere: add a route for \"{prefix}{ending}\", or let this one do without files"
    );
    Some(SiteError::new(what, files.place.as_ref()))
}

fn is_within(directory: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real(directory).starts_with(real(other))
}
