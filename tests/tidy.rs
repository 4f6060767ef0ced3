//! Keeps the house tidy: the invariants of ARCHITECTURE.md, as tests that read the project's files.
//!
//! Each rule first meets snippets that break it, so that it is known to see; then the project.
//! A complaint names file and line, and what to do.

mod code;
mod guide;
mod house;
mod source;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// The folder that holds Cargo.toml.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a rule has to say about one line.
#[derive(Debug)]
struct Complaint {
    file: String,
    line: usize,
    what: String,
}

impl Complaint {
    fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Complaint { file: source.path.clone(), line, what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Fails with all complaints, if there are any.
#[track_caller]
fn none(complaints: &[Complaint]) {
    let lines: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// Holds every Rust file of `folders` against `rule`.
#[track_caller]
fn hold(folders: &[&str], rule: impl Fn(&Source) -> Vec<Complaint>) {
    let sources = sources(folders);
    assert!(!sources.is_empty(), "no Rust file in {folders:?}: the rule would hold of nothing");
    none(&sources.iter().flat_map(rule).collect::<Vec<_>>());
}

/// The lines that `rule` complains about in `text`, were it the file `path`.
fn lines(path: &str, text: &str, rule: impl Fn(&Source) -> Vec<Complaint>) -> Vec<usize> {
    rule(&Source::new(path, text)).iter().map(|complaint| complaint.line).collect()
}

/// Every Rust file of `folders`, in order of its path.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut paths);
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    paths.sort();
    let read = |path: &PathBuf| Source::new(&from_root(path), &read(path));
    paths.iter().map(read).collect()
}

/// All files below `folder`, which need not exist.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder of the project can be listed").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// `path` as it is written from the project's root.
fn from_root(path: &Path) -> String {
    let inside = path.strip_prefix(root()).expect("only files of the project are asked for");
    inside.to_str().expect("the project's file names are UTF-8").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
