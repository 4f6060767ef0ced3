//! Rules about what stands in Rust files.

use super::source::{Arm, Source, Token};
use super::{Complaint, hold, lines, sources};

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 500;
const LINE_CHARACTERS: usize = 100;

const ALL: [&str; 3] = ["src", "tests", "bench"];

/// Each room of src, and the rooms it may use: those on the floors below. On floor 0 the gateway
/// may use the protocol; config and daemon, both on floor 3, leave each other alone. The guide is
/// documentation and uses nobody.
const FLOORS: [(&str, &[&str]); 7] = [
    ("http", &[]),
    ("gateway", &["http"]),
    ("site", &["gateway", "http"]),
    ("server", &["site", "gateway", "http"]),
    ("config", &["server", "site", "gateway", "http"]),
    ("daemon", &["server", "site", "gateway", "http"]),
    ("guide", &[]),
];

/// What the protocol and the gateways' codecs must not know: the world, and what time it is.
const WORLD: [&str; 9] = [
    "std::env",
    "std::fs",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "rustix",
    "socket2",
];

#[test]
fn imports_go_down() {
    let bad = |path, text| lines(path, text, upward_imports);
    assert_eq!(bad("src/http/head.rs", "use crate::http::fields;\nuse crate::site::Site;"), [2]);
    assert_eq!(bad("src/site/mod.rs", "use crate::{\n    http,\n    server::net,\n};"), [3]);
    assert_eq!(bad("src/site/files.rs", "fn a() {\n    crate::config::read()\n}"), [2]);
    assert_eq!(bad("src/http/mod.rs", "use super::gateway;"), [1]);
    assert_eq!(bad("src/http/a/b.rs", "use super::super::super::gateway;"), [1]);
    assert_eq!(bad("src/daemon/mod.rs", "use crate::config;\nuse crate::server;"), [1]);
    assert_eq!(bad("src/http/head.rs", "use crate::Server;"), [1]);
    assert_eq!(bad("src/http/head.rs", "use crate::*;"), [1]);
    assert_eq!(bad("src/attic/mod.rs", ""), [1]);
    assert!(
        bad("src/server/mod.rs", "use crate::{gateway, http, site}; // crate::config").is_empty()
    );
    assert!(bad("src/main.rs", "use oneloop::config;").is_empty());
    hold(&["src"], upward_imports);
}

fn upward_imports(source: &Source) -> Vec<Complaint> {
    let Some(room) = room(source) else { return Vec::new() };
    let Some((_, below)) = FLOORS.iter().find(|(name, _)| *name == room) else {
        let what = format!("the room `{room}` has no floor: give it one in tests/tidy/code.rs");
        return vec![Complaint::new(source, 1, what)];
    };
    let mut complaints = Vec::new();
    for path in source.paths() {
        let climbs = path.segments.iter().take_while(|segment| **segment == "super").count();
        let from_top = path.segments[0] == "crate";
        let Some(&target) = path.segments.get(climbs.max(1)) else { continue };
        let is_room = FLOORS.iter().any(|(name, _)| *name == target);
        let what = if !from_top && climbs == 0 || target == room || below.contains(&target) {
            continue;
        } else if is_room {
            format!("`{room}` must not use `{target}`, which does not lie below it")
        } else if from_top {
            format!("say in which room `{target}` is: `crate::ROOM::…`")
        } else {
            continue;
        };
        complaints.push(Complaint::new(source, path.line, what));
    }
    complaints
}

/// The room that a file belongs to; none for those at the top, which may use everything.
fn room(source: &Source) -> Option<&str> {
    let inside = source.path.strip_prefix("src/")?;
    match inside.split_once('/') {
        Some((room, _)) => Some(room),
        None => inside.strip_suffix(".rs").filter(|name| !matches!(*name, "lib" | "main")),
    }
}

#[test]
fn only_one_room_names_mio() {
    let bad = |path, text| lines(path, text, mio_elsewhere);
    assert_eq!(bad("src/server/mod.rs", "//! mio\nuse mio::Poll;"), [2]);
    assert_eq!(bad("src/server/mod.rs", "use mio as m;"), [1]);
    assert_eq!(bad("src/daemon/mod.rs", "\nfn a(b: signal_hook_mio::v1_0::Signals) {}"), [2]);
    assert!(bad("src/server/net/system.rs", "use mio::Poll;").is_empty());
    hold(&["src"], mio_elsewhere);
}

fn mio_elsewhere(source: &Source) -> Vec<Complaint> {
    if source.path.starts_with("src/server/net/") {
        return Vec::new();
    }
    let paths = source.paths();
    let named = paths.iter().filter(|path| matches!(path.segments[0], "mio" | "signal_hook_mio"));
    named
        .map(|path| {
            Complaint::new(source, path.line, "only src/server/net/ may name mio: ask `Net`")
        })
        .collect()
}

#[test]
fn floor_0_does_not_know_the_world() {
    let bad = |path, text| lines(path, text, world_on_floor_0);
    assert_eq!(bad("src/http/date.rs", "use std::time::{\n    Duration, Instant,\n};"), [2]);
    assert_eq!(bad("src/http/date.rs", "use std::{fmt, fs};"), [1]);
    assert_eq!(bad("src/gateway/cgi.rs", "fn a() { std::thread::yield_now() }"), [1]);
    assert_eq!(bad("src/http/head.rs", "use std::net::UdpSocket;"), [1]);
    assert_eq!(bad("src/gateway/cgi.rs", "use std::net::{IpAddr, TcpStream};"), [1]);
    assert!(
        bad("src/gateway/cgi.rs", "use std::{fmt, net::SocketAddr, time::Duration};").is_empty()
    );
    assert!(bad("src/site/files.rs", "use std::fs;").is_empty());
    hold(&["src"], world_on_floor_0);
}

const ADDRESSES: &[&str] = &["std::net::IpAddr", "std::net::SocketAddr"];

fn world_on_floor_0(source: &Source) -> Vec<Complaint> {
    let Some("http" | "gateway") = room(source) else { return Vec::new() };
    let mut complaints = Vec::new();
    for path in source.paths() {
        let name = path.segments.join("::");
        let world = WORLD.iter().any(|world| is_below(&name, world));
        // An address is plain data.
        let address = ADDRESSES.iter().any(|address| is_below(&name, address));
        if world || (is_below(&name, "std::net") && !address) {
            let what = format!("`{name}`: floor 0 is told such things, it does not ask for them");
            complaints.push(Complaint::new(source, path.line, what));
        }
    }
    complaints
}

/// Whether `path` is `top` or something in it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn nothing_is_unsafe_shared_or_left_out() {
    let bad = |text| lines("src/a/b.rs", text, forbidden_things);
    assert_eq!(bad("a: Rc<\n    RefCell<u8>>"), [1]);
    assert_eq!(bad("a: std::rc::Rc<std::cell::RefCell<u8>>"), [1]);
    assert_eq!(bad("\nthread_local! {}"), [2]);
    assert_eq!(bad("\nstatic mut A: u8 = 0;"), [2]);
    assert_eq!(bad("#[test]\n#[ignore = \"slow\"]\nfn a() {}"), [2]);
    assert_eq!(bad("#[cfg_attr(miri, ignore)]"), [1]);
    assert_eq!(bad("let path = env::temp_dir().join(format!(\"a-{}\", process::id()));"), [1]);
    assert!(
        bad("// thread_local! static mut\nlet ignore = \"#[ignore]\"; RefCell::new(1)").is_empty()
    );
    let unforbidden = |path| lines(path, "//! A.", forbidden_things);
    assert_eq!(unforbidden("src/lib.rs"), [1]);
    assert_eq!(unforbidden("src/main.rs"), [1]);
    let forbidden = "#![forbid(unsafe_code)]";
    assert!(lines("src/lib.rs", forbidden, forbidden_things).is_empty());
    hold(&ALL, forbidden_things);
}

fn forbidden_things(source: &Source) -> Vec<Complaint> {
    let tokens = source.tokens();
    // A test looks at the made-up world from outside, while the server is in it.
    let is_simulation = source.path.starts_with("src/server/sim");
    let starts = |at: usize, words: &[&str]| {
        tokens.len() >= at + words.len()
            && words.iter().zip(&tokens[at..]).all(|(word, token)| *word == token.text)
    };
    let mut complaints = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let shares = starts(at, &["Rc", "<", "RefCell"]) || starts(at, RC_IN_FULL);
        let what = if shares && !is_simulation {
            "no `Rc<RefCell<…>>`: a peer returns its fate, and its owner acts on it"
        } else if starts(at, &["thread_local", "!"]) {
            "no thread-locals: pass what is needed"
        } else if starts(at, &["static", "mut"]) {
            "no `static mut`: pass what is needed"
        } else if starts(at, &["[", "ignore"]) || starts(at, &[",", "ignore", ")", "]"]) {
            "no ignored tests: make it fast, or let it say by name what it lacks"
        } else if starts(at, &["temp_dir", "(", ")", ".", "join", "(", "format"]) {
            "let tempfile make names: numbers of processes come again"
        } else {
            continue;
        };
        complaints.push(Complaint::new(source, token.line, what));
    }
    let door = matches!(source.path.as_str(), "src/lib.rs" | "src/main.rs");
    if door
        && !(0..tokens.len()).any(|at| starts(at, &["#", "!", "[", "forbid", "(", "unsafe_code"]))
    {
        complaints.push(Complaint::new(source, 1, "write `#![forbid(unsafe_code)]`"));
    }
    complaints
}

const RC_IN_FULL: &[&str] = &["Rc", "<", "std", "::", "cell", "::", "RefCell"];

#[test]
fn nothing_is_too_long() {
    let bad = |text: &str| lines("src/a/b.rs", text, too_long);
    let function = |inside| format!("\nfn a() {{\n{}}}\n", "    b();\n".repeat(inside));
    assert!(bad(&function(FUNCTION_LINES - 2)).is_empty());
    assert_eq!(bad(&function(FUNCTION_LINES - 1)), [2]);
    assert!(bad(&"\n".repeat(FILE_LINES)).is_empty());
    assert_eq!(bad(&"\n".repeat(FILE_LINES + 1)), [FILE_LINES + 1]);
    assert!(bad(&"é".repeat(LINE_CHARACTERS)).is_empty());
    assert_eq!(bad(&"é".repeat(LINE_CHARACTERS + 1)), [1]);
    hold(&ALL, too_long);
}

fn too_long(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (line, number) in source.text.lines().zip(1..) {
        let length = line.chars().count();
        if length > LINE_CHARACTERS {
            let what = format!("{length} characters: break the line after {LINE_CHARACTERS}");
            complaints.push(Complaint::new(source, number, what));
        }
    }
    let length = source.text.lines().count();
    if length > FILE_LINES {
        let what = format!("{length} lines: a file has at most {FILE_LINES}, make it two");
        complaints.push(Complaint::new(source, length, what));
    }
    for function in source.functions() {
        let length = function.last - function.first + 1;
        if length > FUNCTION_LINES {
            let name = function.name;
            let what =
                format!("`{name}` has {length} lines: at most {FUNCTION_LINES}, make it two");
            complaints.push(Complaint::new(source, function.first, what));
        }
    }
    complaints
}

#[test]
fn every_file_says_what_it_is() {
    let bad = |text| lines("src/a/b.rs", text, silent_start);
    assert_eq!(bad("use a::b;"), [1]);
    assert_eq!(bad("// Not for the reader of the documentation."), [1]);
    assert_eq!(bad("//!\n"), [1]);
    assert!(bad("//! What it is.").is_empty());
    hold(&ALL, silent_start);
}

fn silent_start(source: &Source) -> Vec<Complaint> {
    let first = source.text.lines().next().unwrap_or("");
    if first.strip_prefix("//!").is_some_and(|says| !says.trim().is_empty()) {
        return Vec::new();
    }
    vec![Complaint::new(source, 1, "begin with `//!`: what this is, and what it does not know")]
}

#[test]
fn matches_on_our_own_enums_name_every_variant() {
    let ours = [("Fate".to_owned(), vec!["Wait".to_owned(), "Close".to_owned()])];
    let bad = |arms: &str| {
        let text = format!("enum Own {{ A, B }}\nfn f() {{\nmatch a {{\n{arms}\n}}\n}}");
        lines("src/a/b.rs", &text, |source| no_wildcard(source, &ours))
    };
    assert_eq!(bad("Fate::Wait => 1,\n_ => 2,"), [5]);
    assert_eq!(bad("Some(Fate::Wait) => 1,\n_ => 2,"), [5]);
    assert_eq!(bad("peer::Fate::Wait if b => { 1 }\n_ => 2,"), [5]);
    assert!(bad("_ if b => 1,\nFate::Wait | Fate::Close => 2,").is_empty());
    assert_eq!(bad("(Fate::Wait, 1) => 1,\n(_, _) => 2,"), [5]);
    assert_eq!(bad("Self::A => 1,\n_ => 2,"), [5]);
    assert_eq!(bad("1 => match b { Fate::Wait => 1,\n_ => 2 },\n_ => 3,"), [5]);
    assert!(bad("Fate::Wait => 1,\nFate::Close => 2,").is_empty());
    assert!(bad("ErrorKind::Wait => 1,\n_ => 2,").is_empty());
    assert!(bad("Self::OK => 1,\n_ => 2,").is_empty());
    assert!(bad("1 if c == Fate::Wait => Fate::Wait,\n_ => Fate::Close,").is_empty());
    assert!(bad("Some(Fate::Wait) => 1,\nSome(_) | None => 2,").is_empty());
    let ours: Vec<_> = sources(&["src"]).iter().flat_map(Source::enums).collect();
    hold(&["src"], |source| no_wildcard(source, &ours));
}

/// An arm of `_` alone in a match whose other arms name a variant of `ours`.
fn no_wildcard(source: &Source, ours: &[(String, Vec<String>)]) -> Vec<Complaint> {
    let own = source.enums();
    let is_ours = |name: &str, variant: &str| {
        let known = |(candidate, variants): &(String, Vec<String>)| {
            (name == "Self" || candidate == name) && variants.iter().any(|known| known == variant)
        };
        if name == "Self" { own.iter().any(known) } else { ours.iter().any(known) }
    };
    let names_ours = |arm: &Arm<'_>| {
        arm.pattern
            .windows(3)
            .any(|three| three[1].text == "::" && is_ours(three[0].text, three[2].text))
    };
    // Under a guard, `_` takes nothing from the compiler's count of the variants.
    let is_wildcard = |arm: &&Arm<'_>| {
        let all = |token: &Token<'_>| matches!(token.text, "_" | "(" | "," | ")");
        !arm.is_guarded && arm.pattern.iter().all(all)
    };
    let mut complaints = Vec::new();
    for arms in source.matches() {
        let wildcard = arms.iter().find(is_wildcard).and_then(|arm| arm.pattern.first());
        if let Some(first) = wildcard
            && arms.iter().any(names_ours)
        {
            let what = "name the variants instead of `_`: a new one must not slip through";
            complaints.push(Complaint::new(source, first.line, what));
        }
    }
    complaints
}
