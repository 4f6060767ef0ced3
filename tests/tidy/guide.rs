//! Rules about the guide: its form, and that whatever it names is still there.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::Source;
use super::{Complaint, from_root, lines, none, read, root, sources, walk};

/// What each chapter has, in this order, behind its title.
const SECTIONS: [&str; 5] =
    ["## What there is to know", "## The program", "## In oneloop", "## Try it", "## Sources"];

/// A program has less.
const PROGRAM_LINES: usize = 100;

/// How many sources a chapter has at least.
const SOURCES: usize = 3;

const LINE_CHARACTERS: usize = 100;

/// The folders whose files are named by their whole path.
const FOLDERS: [&str; 4] = ["src/", "bench/", "tests/", "conf/"];

const FENCE: &str = "```";

#[test]
fn every_chapter_has_its_form() {
    let sections = SECTIONS.join("\n");
    let good = format!("# 1. A\n{sections}\n- a\n- b\n- c")
        .replace("## In", &format!("{FENCE}rust\nfn main() {{}}\n{FENCE}\n## In"));
    let bad = |text: &str| lines("src/guide/1_a.md", text, malformed);
    assert!(bad(&good).is_empty(), "{:?}", bad(&good));
    assert_eq!(bad(&good.replace("## Try it\n", "")), [1]);
    assert_eq!(bad(&good.replace("- c", "")), [1]);
    assert_eq!(bad(&good.replace("- c", "- c\n## More")), [1]);
    assert_eq!(bad(&good.replace("rust", "text")), [1]);
    assert_eq!(bad(&format!("{FENCE}rust\n{FENCE}\n{good}")), [1]);
    let long = "let a = 1;\n".repeat(PROGRAM_LINES - 1);
    assert_eq!(bad(&good.replace("fn main", &format!("{long}fn main"))), [1]);
    assert_eq!(bad(&good.replace("- c", &format!("- {}", "c".repeat(99)))), [12]);
    assert_eq!(bad(&good.replace("- c", "- c \u{2014} d")), [12]);
    let chapters = chapters();
    assert_eq!(chapters.len(), 8);
    none(&chapters.iter().flat_map(malformed).collect::<Vec<_>>());
}

fn malformed(chapter: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut complain = |line, what: String| complaints.push(Complaint::new(chapter, line, what));
    let mut headings = Vec::new();
    let mut programs = Vec::new();
    let mut fence = None;
    for (line, number) in chapter.text.lines().zip(1..) {
        match (line.strip_prefix(FENCE), &fence) {
            (Some(_), Some(_)) => fence = None,
            (Some(language), None) => {
                fence = Some(language);
                programs.extend(language.starts_with("rust").then_some(0));
            }
            (None, Some(language)) if language.starts_with("rust") => {
                *programs.last_mut().expect("a program has begun") += 1;
            }
            (None, None) if line.starts_with('#') => headings.push(line),
            (None, Some(_) | None) => {}
        }
        let length = line.chars().count();
        if length > LINE_CHARACTERS {
            complain(number, format!("{length} characters: break it after {LINE_CHARACTERS}"));
        }
        if line.contains('\u{2014}') {
            complain(number, "no em dashes: make two sentences".to_owned());
        }
    }
    match headings.split_first() {
        Some((title, sections)) if title.starts_with("# ") && *sections == SECTIONS => {}
        _ => complain(1, format!("a chapter is a title, and then {SECTIONS:?}")),
    }
    match programs[..] {
        [length] if length > 0 && length < PROGRAM_LINES => {}
        _ => complain(1, format!("one program of less than {PROGRAM_LINES} lines: {programs:?}")),
    }
    let behind = chapter.text.split(SECTIONS[4]).last().unwrap_or_default();
    if behind.lines().filter(|line| line.starts_with("- ")).count() < SOURCES {
        complain(1, "a chapter ends with its sources".to_owned());
    }
    complaints
}

#[test]
fn the_guide_names_what_is_there() {
    let there = There {
        files: ["src/http/head.rs", "bench/README.md"].map(str::to_owned).into(),
        words: ["Head", "parse"].map(str::to_owned).into(),
    };
    let bad = |text| lines("src/guide/1_a.md", text, |chapter| there.missing(chapter));
    assert!(bad("`src/http/head.rs`, (bench/README.md), src/http/, `head.rs`.").is_empty());
    assert_eq!(bad("`src/http/heads.rs`\n\nopen(\"bench/READMES.md\")"), [1, 3]);
    assert_eq!(bad("`heads.rs`\n`http/head.rs`\n`http/heads.rs`"), [1, 3]);
    assert_eq!(bad("`Heads`\n## In oneloop\n`Heads`"), [3]);
    assert_eq!(bad("## In oneloop\n`Head::parse` `Head::pars`\n## Try it\n`pars`"), [2]);
    let there = There::look();
    none(&chapters().iter().flat_map(|chapter| there.missing(chapter)).collect::<Vec<_>>());
}

/// What the guide may name.
struct There {
    /// All files of the project, from its root.
    files: BTreeSet<String>,
    /// All words of its Rust files.
    words: BTreeSet<String>,
}

impl There {
    fn look() -> There {
        let mut files = Vec::new();
        for folder in FOLDERS {
            walk(&root().join(folder), &mut files);
        }
        let mut words = BTreeSet::new();
        for source in sources(&["src", "bench"]) {
            words.extend(source.tokens().iter().map(|token| token.text.to_owned()));
        }
        There { files: files.iter().map(|path| from_root(path)).collect(), words }
    }

    /// The files that a chapter names and nobody has; and, where it tells of the real server, the
    /// names of Rust that nobody has.
    fn missing(&self, chapter: &Source) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        let mut is_about_us = false;
        for (line, number) in chapter.text.lines().zip(1..) {
            if line.starts_with("## ") {
                is_about_us = line == SECTIONS[2];
            }
            let paths = line.split(|char: char| !is_of_path(char)).filter(|path| is_path(path));
            let spans = || line.split('`').skip(1).step_by(2);
            let named = spans().filter(|span| is_rust_file(span) && !is_path(span));
            for path in paths.chain(named).filter(|path| !self.has_file(path)) {
                complaints.push(Complaint::new(chapter, number, format!("`{path}` is not there")));
            }
            for name in spans().filter(|span| is_about_us && is_name(span)) {
                if !name.split("::").all(|word| self.words.contains(word)) {
                    let what = format!("`{name}` is no name in src or bench");
                    complaints.push(Complaint::new(chapter, number, what));
                }
            }
        }
        complaints
    }

    /// Whether `path` is a file or folder of the project, from its root or from anywhere in it.
    fn has_file(&self, path: &str) -> bool {
        let path = path.trim_end_matches(['.', '/']);
        let is_it = |file: &String| match file.strip_suffix(path) {
            Some(before) => before.is_empty() || (!is_path(path) && before.ends_with('/')),
            None => file.strip_prefix(path).is_some_and(|behind| behind.starts_with('/')),
        };
        self.files.iter().any(is_it)
    }
}

fn is_path(text: &str) -> bool {
    FOLDERS.iter().any(|folder| text.starts_with(folder))
}

fn is_rust_file(text: &str) -> bool {
    Path::new(text).extension() == Some("rs".as_ref())
}

fn is_of_path(char: char) -> bool {
    char.is_ascii_alphanumeric() || "_-./".contains(char)
}

/// Whether it could be a name in Rust code, and not the text of a message or a command.
fn is_name(text: &str) -> bool {
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    text.chars().all(is_of_name) && text.starts_with(|char: char| char.is_ascii_alphabetic())
}

fn chapters() -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join("src/guide"), &mut paths);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.iter().map(|path| Source::new(&from_root(path), &read(path))).collect()
}
