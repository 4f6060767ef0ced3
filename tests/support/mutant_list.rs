//! The list of mutants in tests/mutants.toml: one-line bugs that the tests must catch.
//!
//! Read by the test that keeps the list fit and by the bench that puts each mutant to the test.
//! Knows the list and how a mutant is made; runs nothing.

use std::fs;
use std::path::Path;

use serde::Deserialize;

/// The kinds of code that a bug may hide in. The list has some of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Parser,
    Framing,
    Loop,
    Timers,
    Names,
    Fairness,
    Relay,
    Freshness,
    Logs,
    Counts,
}

/// One bug, as a change of one place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Mutant {
    /// What is wrong with it, in a few words; no other mutant's name.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// From the project's root.
    pub(crate) file: String,
    /// Stands in `file` exactly once.
    pub(crate) before: String,
    /// Stands there instead in the mutant.
    pub(crate) after: String,
    /// Selects the tests that must fail, as `cargo test --lib` does: a part of their paths.
    pub(crate) caught_by: String,
    /// What would happen to whom if nobody noticed.
    pub(crate) why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// All mutants, in the order of the list.
///
/// # Errors
/// Says what is wrong with the list, and where.
pub(crate) fn read(root: &Path) -> Result<Vec<Mutant>, String> {
    let path = root.join("tests/mutants.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let list: List =
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(list.mutant)
}

impl Mutant {
    /// The text of `file` with the bug in it.
    ///
    /// # Errors
    /// Says so where `before` does not stand in `text` exactly once, or is no change at all.
    pub(crate) fn apply(&self, text: &str) -> Result<String, String> {
        if self.before == self.after {
            return Err(format!("mutant `{}` changes nothing", self.name));
        }
        match text.matches(&self.before).count() {
            1 => Ok(text.replacen(&self.before, &self.after, 1)),
            count => Err(format!(
                "mutant `{}`: its `before` stands {count} times in {}, not once",
                self.name, self.file
            )),
        }
    }
}
