//! Rules about what lies where, and about what the papers say of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::source::Source;
use super::{Complaint, from_root, lines, none, read, root, sources, walk};

/// What may lie at the top.
const TOP: [&str; 12] = [
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bench",
    "conf",
    "rustfmt.toml",
    "src",
];

/// What may be there beside: tests, and what git and cargo made.
const BESIDE: [&str; 3] = [".git", "target", "tests"];

#[test]
fn the_top_level_holds_what_is_agreed() {
    assert_eq!(strangers(&["src", "Makefile", "tests", "notes.md"]), ["Makefile", "notes.md"]);
    assert_eq!(missing(&["src", "tests"]).len(), TOP.len() - 1);
    let names: Vec<String> = fs::read_dir(root())
        .expect("the project's root can be listed")
        .map(|entry| entry.expect("its entries can be read").file_name())
        .map(|name| name.into_string().expect("names at the top are ASCII"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let strangers = strangers(&names);
    assert!(strangers.is_empty(), "the top level is fixed: move or remove {strangers:?}");
    let missing = missing(&names);
    assert!(missing.is_empty(), "the top level is fixed: {missing:?} should be there");
}

fn strangers<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| !TOP.contains(name) && !BESIDE.contains(name)).collect()
}

fn missing(names: &[&str]) -> Vec<&'static str> {
    TOP.into_iter().filter(|name| !names.contains(name)).collect()
}

#[test]
fn every_room_is_on_the_map_and_no_other() {
    let rooms = BTreeSet::from(["http/".to_owned(), "http/head.rs".to_owned()]);
    let bad = |map| lines("ARCHITECTURE.md", map, |map| map_errors(map, &rooms));
    assert!(bad("`http/`, where\n`http/head.rs` is, and `Cargo.toml`").is_empty());
    assert_eq!(bad("`http/`, where head.rs is"), [1]);
    assert_eq!(bad("`http/`\n`http/head.rs`\n`http/heads.rs`"), [3]);
    assert_eq!(bad("`http/`\n`http/head.rs` `attic/`"), [2]);
    let house = ["a/mod.rs", "a/b.rs", "a/b/c.rs", "a/d/e.rs", "a/tests.rs", "a/tests/f.rs"];
    let house = house.map(|path| Source::new(&format!("src/{path}"), ""));
    let rooms = Vec::from_iter(rooms_of(&house));
    assert_eq!(rooms, ["a/", "a/b.rs", "a/b/c.rs", "a/d/", "a/d/e.rs"]);
    let rooms = rooms_of(&sources(&["src"]));
    let map = Source::new("ARCHITECTURE.md", &read(&root().join("ARCHITECTURE.md")));
    none(&map_errors(&map, &rooms));
}

/// Each file and folder of src, as the map names it. A file `tests.rs` and a folder `tests` belong
/// to the folder they lie in, and a folder beside a file of its name belongs to that file.
fn rooms_of(sources: &[Source]) -> BTreeSet<String> {
    let is_file = |path: &str| sources.iter().any(|source| source.path == path);
    let mut rooms = BTreeSet::new();
    for source in sources {
        let path = source.path.strip_prefix("src/").expect("only src was asked for");
        if path.contains("/tests/") {
            continue;
        }
        let folders = path.match_indices('/').map(|(at, _)| &path[..=at]);
        let alone = |folder: &&str| !is_file(&format!("src/{}.rs", folder.trim_end_matches('/')));
        rooms.extend(folders.filter(alone).map(str::to_owned));
        let name = path.rsplit('/').next().unwrap_or(path);
        if !matches!(name, "mod.rs" | "tests.rs") {
            rooms.insert(path.to_owned());
        }
    }
    rooms
}

fn map_errors(map: &Source, rooms: &BTreeSet<String>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut named = BTreeSet::new();
    for (line, number) in map.text.lines().zip(1..) {
        for name in line.split('`').skip(1).step_by(2) {
            let is_room = name.ends_with('/') || Path::new(name).extension() == Some("rs".as_ref());
            named.insert(name);
            let is_there = || root().join("src").join(name).exists() || root().join(name).exists();
            if is_room && !rooms.contains(name) && !is_there() {
                let what = format!("`{name}` is not there any more, neither in src nor at the top");
                complaints.push(Complaint::new(map, number, what));
            }
        }
    }
    for room in rooms.iter().filter(|room| !named.contains(room.as_str())) {
        let what = format!("say what `{room}` is for, and what it does not know");
        complaints.push(Complaint::new(map, 1, what));
    }
    complaints
}

#[test]
fn papers_point_to_what_is_there() {
    let bad = |text| lines("README.md", text, dead_links);
    assert!(bad("[a](LICENSE) [b](https://example.org/) [c](#d) [e](conf/#f)").is_empty());
    assert_eq!(bad("[a](LICENSE)\n[b](LICENCE)"), [2]);
    let mut papers = Vec::new();
    walk(&root().join("bench"), &mut papers);
    papers.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    papers.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root().join(name)));
    for path in papers {
        none(&dead_links(&Source::new(&from_root(&path), &read(&path))));
    }
}

/// Links to files that are not there, as seen from the paper's folder.
fn dead_links(paper: &Source) -> Vec<Complaint> {
    let path = root().join(&paper.path);
    let folder = path.parent().expect("a file lies in a folder");
    let mut complaints = Vec::new();
    for (line, number) in paper.text.lines().zip(1..) {
        for link in line.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or(link);
            if !target.contains("://") && !folder.join(target).exists() {
                let what = format!("`{target}` is not there: correct the link");
                complaints.push(Complaint::new(paper, number, what));
            }
        }
    }
    complaints
}

/// A limit whose option has another name than its field.
const RENAMED: [(&str, &str); 3] = [
    ("idle_timeout", "persistent.idle"),
    ("per_ip_connections", "per-ip.connections"),
    ("per_ip_rate", "per-ip.requests-per-second"),
];

#[test]
fn every_limit_can_be_configured() {
    let limits = "\
pub struct Limits {
    /// Bytes.
    pub head_bytes: usize,
    pub loop_lag: Duration,
    pub drain_timeout: Duration,
    pub idle_timeout: Duration,
}
pub struct Another { pub limit: u8 }";
    let bad =
        |conf: &str| lines("src/server/limits.rs", limits, |source| unconfigured(source, conf));
    assert_eq!(bad("loop-lag = 1\n[limits]\nhead = { bytes = 1 }\ndrain = {}"), [4, 5, 6]);
    assert_eq!(bad("[limits]\n#loop-lag = 1\n# drain = 1\n#persistent = { bytes = 1 }"), [3, 5, 6]);
    assert_eq!(bad("[limits]\nhead-bytes = 1\ndrain = 1\npersistent = { idle = 1 }\n[a]"), [4]);
    let path = root().join("src/server/limits.rs");
    let source = Source::new(&from_root(&path), &read(&path));
    none(&unconfigured(&source, &read(&root().join("conf/oneloop.toml"))));
}

/// The limits that no line of `conf` sets, be it in use or not (`#key = …`). `head_bytes` is set by
/// `head.bytes` or `head-bytes`, `drain_timeout` by `drain` as well.
fn unconfigured(source: &Source, conf: &str) -> Vec<Complaint> {
    let section: String = conf
        .lines()
        .skip_while(|line| *line != "[limits]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let table: toml::Table = section.parse().expect("[limits] of conf/oneloop.toml is TOML");
    let mut options = BTreeSet::new();
    for (key, value) in &table {
        match value.as_table() {
            Some(group) => options.extend(group.keys().map(|inner| format!("{key}.{inner}"))),
            None => drop(options.insert(key.clone())),
        }
    }
    let is_set = |field: &str| {
        let own = field.replace('_', "-");
        let renamed = RENAMED.iter().find(|(name, _)| *name == field).map(|(_, option)| *option);
        options.contains(renamed.unwrap_or(&own))
            || options.contains(&own.replacen('-', ".", 1))
            || own.strip_suffix("-timeout").is_some_and(|short| options.contains(short))
    };
    let fields = source.fields("Limits");
    assert!(!fields.is_empty(), "{} declares no Limits", source.path);
    let mut complaints = Vec::new();
    for field in fields.iter().filter(|field| !is_set(field.text)) {
        let what = format!("`{}` has no line in conf/oneloop.toml", field.text);
        complaints.push(Complaint::new(source, field.line, what));
    }
    complaints
}
