//! Keeps tests/mutants.toml fit: every mutant can still be made, and no kind of code is left out.
//! Whether the tests catch them, `cargo bench --bench mutants` finds out.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::support::mutant_list::{self, Kind, Mutant};

const FEWEST: usize = 12;
const KINDS: [Kind; 10] = [
    Kind::Parser,
    Kind::Framing,
    Kind::Loop,
    Kind::Timers,
    Kind::Names,
    Kind::Fairness,
    Kind::Relay,
    Kind::Freshness,
    Kind::Logs,
    Kind::Counts,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn list() -> Vec<Mutant> {
    mutant_list::read(root()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_mutant_can_still_be_made() {
    for mutant in list() {
        let text = fs::read_to_string(root().join(&mutant.file))
            .unwrap_or_else(|error| panic!("{}: {error}", mutant.file));
        mutant.apply(&text).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_mutant_changes_one_place() {
    let mut mutant = list().pop().expect("the list is not empty");
    mutant.before = "a".into();
    mutant.after = "b".into();
    assert_eq!(mutant.apply("ca").as_deref(), Ok("cb"));
    assert!(mutant.apply("aa").is_err());
    assert!(mutant.apply("c").is_err());
    mutant.after = "a".into();
    assert!(mutant.apply("ca").is_err());
}

#[test]
fn the_list_has_enough_of_every_kind() {
    let list = list();
    assert!(list.len() >= FEWEST, "{} mutants, at least {FEWEST} are wanted", list.len());
    for kind in KINDS {
        assert!(list.iter().any(|mutant| mutant.kind == kind), "no mutant of kind {kind:?}");
    }
    let names: HashSet<&str> = list.iter().map(|mutant| mutant.name.as_str()).collect();
    assert_eq!(names.len(), list.len(), "two mutants have one name");
    for mutant in &list {
        assert!(!mutant.why.is_empty(), "mutant `{}` does not say why it matters", mutant.name);
        assert!(!mutant.caught_by.is_empty(), "mutant `{}` names no tests", mutant.name);
    }
}
