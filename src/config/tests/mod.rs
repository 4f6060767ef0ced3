//! Whole files: what is wrong with bad ones, and what good ones mean.

mod bad_limits;
mod bad_rights;
mod bad_routes;
mod bad_settings;
mod bad_trust;
mod programs;

use std::fs;
use std::path::Path;
use std::time::Duration;

use log::LevelFilter;

use super::command_line::CommandLine;
use super::meaning::{Action, Auth};
use super::*;
use crate::http::forwarded::ForwardedField;
use crate::http::negotiation::Coding;
use crate::http::status::Status;
use crate::server::Limits;
use crate::server::access_log::{AccessLogOptions, LogFormat};
use crate::server::confinement::identity::Identity;
use crate::server::diagnostic_log::{DiagnosticLogOptions, MessageFormat};
use crate::server::outlet::LogTarget;
use crate::server::shares::RequestRate;
use crate::site::Symlinks;

fn read(text: &str) -> Result<Config, String> {
    let source = Source::text("a.toml", text.to_owned(), "/".into());
    Config::from_source(&source).map_err(|error| error.to_string())
}

/// `mistakes`: a file, a line of dashes, what is said of it, a line of equals signs; and again.
fn check_all(mistakes: &str) {
    let mut count = 0;
    for case in mistakes.split_terminator("\n====\n") {
        let (file, expected) = case.split_once("----\n").expect("a case has two parts");
        assert_eq!(read(file).err().as_deref(), Some(expected), "\n{file}");
        count += 1;
    }
    assert!(count > 5, "{count}");
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = read("[[site]]\nroot = \"/\"").unwrap();
    assert_eq!(config.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(config.admin, None);
    assert_eq!(config.limits, Limits::default());
    let log = AccessLogOptions { to: LogTarget::Stdout, ..AccessLogOptions::default() };
    assert_eq!(config.access_log, log);
    assert_eq!(config.diagnostic_log, DiagnosticLogOptions::default());
    let [site] = &config.sites[..] else { panic!("there is one site") };
    assert_eq!(
        (site.root.as_deref(), &site.index[..]),
        (Some(Path::new("/")), &["index.html".to_owned()][..])
    );
    assert!(site.hosts.is_empty() && site.precompressed.is_empty() && site.routes.is_empty());
}

const EVERYTHING: &str = r#"
[server]
listen = ["127.0.0.1:0", { addr = "[::1]:0" }, { addr = "unix:run.sock", proxy-protocol = "unix" }]
trusted-forwarders = ["10.0.0.0/8", "::1", "unix"]
forwarded-field = "forwarded"
pid-file = "run.pid"
workers = 25
admin = "unix:admin.sock"
[limits]
connections = 1
per-ip = { connections = 26, requests-per-second = 27, burst = 28 }
max-memory = "29B"
head = { bytes = "1KiB", fields = 2, timeout = "3s" }
content = { bytes = "4B", timeout = "5s", min-rate = "6B/s" }
send = { timeout = "7s", min-rate = "0B/s" }
answer = "8s"
persistent = { idle = "9s", requests = 10 }
turn = { requests = 11, bytes = "12B" }
linger = "13s"
drain = "0s"
upgrade = { start = "23s", drain = "24s" }
loop-lag = "15ms"
overload = "30ms"
cache = { files = 16, open = 17, bytes = "18B", file = "17B", missing = 21, watched = 22 }
spool = { memory = "0B", total = "19B" }
half-closed = "0s"
tunnel = "20s"
complaints = { lines = 23, bytes = "24B" }
recorder = { turns = 31, moments = 32 }
[log]
access = { to = "/dev/null", format = "json" }
error = { to = "syslog:log/socket", level = "debug", format = "json" }
queue = "25KiB"
[media-types]
".WASM" = "application/wasm"
[[site]]
host = ["A.example", "*.a.example", "[::1]"]
root = "/"
index = ["a.html", "b \"quoted\".html"]
errors = { 404 = "/404.html", 5xx = "/50x.html" }
precompressed = ["zst", "br"]
[[site.route]]
path = "/files/*"
files = { listing = true, symlinks = "follow", dotfiles = true, index = [] }
fields = { X-B = "1", X-A = "tab\t\\" }
errors = { 403 = "/403.html" }
content = { bytes = "1GiB" }
fallback = "/x.html"
allow = ["10.0.0.0/8", "::1"]
[[site.route]]
path = "/old/{page}"
redirect = { to = "/new/{page}" }
[[site.route]]
path = "/ping"
respond = { status = 404, content = "pong\n\u0001" }
[[site]]
[[site.route]]
respond = {}
"#;

#[test]
fn every_option_is_heard() {
    let config = read(EVERYTHING).unwrap();
    let listen: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:0", "[::1]:0", "unix:/run.sock"]);
    let [(path, senders)] = &config.trust.senders[..] else { panic!("one of them") };
    assert_eq!(
        (path.to_string(), senders.to_string()),
        ("unix:/run.sock".into(), "[\"unix\"]".into())
    );
    let forwarders = config.trust.forwarders.as_ref().map(ToString::to_string);
    assert_eq!(forwarders.as_deref(), Some("[\"10.0.0.0/8\", \"::1/128\", \"unix\"]"));
    assert_eq!(config.trust.field, ForwardedField::Forwarded);
    assert_eq!(config.pid_file.as_deref(), Some(Path::new("/run.pid")));
    assert_eq!(config.workers, 25);
    assert_eq!(config.admin, Some("unix:/admin.sock".parse().unwrap()));
    let limits = Limits {
        connections: 1,
        per_ip_connections: Some(26),
        per_ip_rate: Some(RequestRate { per_second: 27, burst: 28 }),
        max_memory: Some(29),
        head_bytes: 1024,
        head_fields: 2,
        head_timeout: Duration::from_secs(3),
        content_bytes: 4,
        content_timeout: Duration::from_secs(5),
        content_min_rate: 6,
        send_timeout: Duration::from_secs(7),
        send_min_rate: 0,
        answer_timeout: Duration::from_secs(8),
        idle_timeout: Duration::from_secs(9),
        persistent_requests: 10,
        turn_requests: 11,
        turn_bytes: 12,
        linger_timeout: Duration::from_secs(13),
        drain_timeout: Duration::ZERO,
        upgrade_start: Duration::from_secs(23),
        upgrade_drain: Duration::from_secs(24),
        loop_lag: Duration::from_millis(15),
        overload: Duration::from_millis(30),
        spool_memory: 0,
        spool_total: 19,
        half_closed: Duration::ZERO,
        tunnel_timeout: Duration::from_secs(20),
        complaints_lines: 23,
        complaints_bytes: 24,
        recorder_turns: 31,
        recorder_moments: 32,
    };
    assert_eq!(config.limits, limits);
    let cache = config.cache;
    assert_eq!((cache.entries, cache.descriptors, cache.content_bytes), (16, 17, 18));
    assert_eq!((cache.file_bytes, cache.absences, cache.directories), (17, 21, 22));
    let queue = 25 << 10;
    let to = LogTarget::File("/dev/null".into());
    assert_eq!(config.access_log, AccessLogOptions { to, format: LogFormat::Json, queue });
    let (level, format) = (LevelFilter::Debug, MessageFormat::Json);
    let to = LogTarget::Syslog("/log/socket".into());
    assert_eq!(config.diagnostic_log, DiagnosticLogOptions { to, level, format, queue });
    assert_eq!(config.media_types["wasm"], "application/wasm");
    let site = &config.sites[0];
    assert_eq!(site.hosts, ["a.example", "*.a.example", "[::1]"]);
    assert_eq!(site.index, ["a.html", "b \"quoted\".html"]);
    assert_eq!(site.errors["5xx"], "/50x.html");
    assert_eq!(site.precompressed, [Coding::Zstd, Coding::Br]);
}

#[test]
fn every_option_of_a_route_is_heard() {
    let config = read(EVERYTHING).unwrap();
    let [files, redirect, respond] = &config.sites[0].routes[..] else { panic!("three routes") };
    let Some(Action::Files(served)) = &files.action else { panic!("it serves files") };
    assert_eq!((served.root.as_path(), &served.index[..]), (Path::new("/"), &[][..]));
    assert_eq!((served.listing, served.symlinks, served.dotfiles), (true, Symlinks::Follow, true));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(files.fields, [pair("X-B", "1"), pair("X-A", "tab\t\\")]);
    assert_eq!(files.errors["403"], "/403.html");
    assert_eq!((files.content_bytes, files.fallback.as_deref()), (Some(1 << 30), Some("/x.html")));
    assert_eq!(files.allow.as_ref().map(Vec::len), Some(2));
    assert_eq!(files.place.as_ref().map(|place| (&*place.file, place.line)), Some(("a.toml", 42)));
    let to = "/new/{page}".to_owned();
    assert_eq!(redirect.action, Some(Action::Redirect { to, status: Status::FOUND }));
    let answer = Action::Respond {
        status: Status::NOT_FOUND,
        content: "pong\n\u{1}".to_owned(),
        fields: vec![pair("Content-Type", "text/plain; charset=utf-8")],
    };
    assert_eq!(respond.action, Some(answer));
    assert_eq!(config.sites[1].routes[0].pattern, "/*");
}

#[test]
fn where_files_have_no_root_of_their_own_the_sites_holds_for_the_whole_path() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path();
    fs::create_dir(scratch.join("down")).unwrap();
    fs::write(scratch.join("down/x.txt"), "").unwrap();
    for (files, target, file) in [
        ("{}".to_owned(), "/down/x.txt", Some(scratch.join("down/x.txt"))),
        (format!("{{ root = {scratch:?} }}"), "/down/down/x.txt", Some(scratch.join("down/x.txt"))),
    ] {
        let route = format!("[[site.route]]\npath = \"/down/*\"\nfiles = {files}\n");
        let config = read(&format!("[[site]]\nroot = {scratch:?}\n{route}")).unwrap();
        let again = read(&config.to_string()).unwrap();
        for config in [config, again] {
            let site = config.site().unwrap();
            let from = [127, 0, 0, 1].into();
            let explained = question::explain(&site, from, "GET", target).unwrap();
            assert_eq!((explained.file, explained.missing), (file.clone(), None), "{target}");
        }
    }
}

/// The lines may be others; nothing else.
fn without_places(mut config: Config) -> Config {
    for site in &mut config.sites {
        site.place = None;
        site.routes.iter_mut().for_each(|route| route.place = None);
    }
    config
}

#[test]
fn what_is_printed_means_the_same() {
    let small = "[limits]\ncache = { bytes = \"1KiB\" }\n[[site]]\nroot = \"/\"";
    for text in [EVERYTHING, small, "[[site]]\nroot = \"/\""] {
        let config = read(text).unwrap();
        let printed = config.to_string();
        let again = read(&printed).unwrap();
        assert_eq!(without_places(again), without_places(config), "{printed}");
    }
}

#[test]
fn passwords_are_looked_at_before_the_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let file =
        |auth: &str| format!("[[site]]\n[[site.route]]\nauth = {{ basic = {path:?}{auth} }}");
    fs::write(&path, "alice:$2y$05$abcdefghijklmnopqrstuuvNfFsT2BxkT2yYhF1XoXIyIc3Bwr5pC\n")
        .unwrap();
    let config = read(&file(", methods = \"PUT\"")).unwrap();
    let realm = "restricted".to_owned();
    let auth = Auth { basic: path.clone(), realm, methods: vec!["PUT".to_owned()] };
    assert_eq!(config.sites[0].routes[0].auth, Some(auth));
    assert_eq!(without_places(read(&config.to_string()).unwrap()), without_places(config));
    for (bad, at) in [(", realm = \"a\\nb\"", "\"a\\nb\""), (", methods = [\"P T\"]", "\"P T\"")] {
        let text = file(bad);
        let error = read(&text).unwrap_err();
        let column = text.lines().last().unwrap().find(at).unwrap() + 1;
        assert!(error.starts_with(&format!("a.toml:3:{column}: ")), "{error}");
    }
    fs::write(&path, "alice:secret\n").unwrap();
    let error = read(&file("")).unwrap_err();
    assert!(error.contains("line 1: ") && !error.contains("secret"), "{error}");
}

fn quick(words: &[&str]) -> Result<Config, String> {
    let line = CommandLine::read([&["oneloop"], words].concat()).unwrap();
    Config::quick(&line.serve).map_err(|error| error.to_string())
}

#[test]
fn flags_mean_what_a_file_would_mean() {
    let flags = ["/", "-b", "::1", "-b", "127.0.0.1:81", "-p", "82", "--index", "a", "--spa"];
    let more =
        ["--no-listing", "--dotfiles", "--symlinks", "deny", "--header", "A: b", "--log", "json"];
    let file = r#"
        server.listen = ["[::1]:82", "127.0.0.1:81"]
        log.access.format = "json"
        [[site]]
        root = "/"
        index = "a"
        [[site.route]]
        files = { listing = false, dotfiles = true, symlinks = "deny" }
        fields = { A = "b" }
        fallback = "/index.html"
    "#;
    let config = quick(&[&flags[..], &more[..]].concat()).unwrap();
    assert_eq!(config, without_places(read(file).unwrap()));
    let file = "[[site]]\nroot = \"/\"\n[[site.route]]\nfiles = { listing = true }";
    assert_eq!(quick(&["/"]).unwrap(), without_places(read(file).unwrap()));
    let inspected = |words: &[&str]| quick(words).unwrap().admin.unwrap().to_string();
    assert_eq!(inspected(&["/", "--inspect"]), "127.0.0.1:9090");
    assert_eq!(inspected(&["/", "--inspect", "-p", "9090"]), "127.0.0.1:9091");
    assert_eq!(quick(&["/", "-q"]).unwrap().access_log.to, LogTarget::None);
    assert_eq!(quick(&["/", "-q", "--log", "json"]).unwrap().access_log.to, LogTarget::Stdout);
}

#[test]
fn quick_mode_says_what_it_cannot_serve() {
    assert_eq!(quick(&["/no/such"]).unwrap_err(), "there is no directory /no/such");
    let error = quick(&["/dev/null"]).unwrap_err();
    assert_eq!(error, "/dev/null is not a directory: did you mean /dev?");
}

/// What is said by default, but for whose the process is and what it may read: there is no default.
fn rights() -> Config {
    Config {
        identity: Identity::find("www-data", None).ok(),
        reach: vec!["/srv".into()],
        ..read("[[site]]\nroot = \"/\"").unwrap()
    }
}

/// The file of all options: first as it is, then with every option in use.
#[test]
fn the_file_of_all_options_has_all_options_and_their_defaults() {
    let whole = include_str!("../../../conf/oneloop.toml");
    let is_option = |line: &str| {
        let bare = line.strip_prefix('#').unwrap_or_default();
        !bare.is_empty() && !bare.starts_with([' ', '#'])
    };
    // The second form of `listen` would be there twice.
    let in_use = whole.replacen("#listen = [{", "# listen = [{", 1);
    let in_use: String = in_use
        .lines()
        .map(|line| if is_option(line) { &line[1..] } else { line })
        .flat_map(|line| [line, "\n"])
        .collect();
    let source = |text: &str| Source::text("conf/oneloop.toml", text.to_owned(), "/".into());
    source(&in_use).parse().unwrap();
    let general = in_use.split("[media-types]").next().unwrap();
    let general = read(&format!("{general}\n[[site]]\nroot = \"/\"")).unwrap();
    let defaults = Config {
        // By default there is none of these.
        limits: Limits {
            per_ip_connections: Some(64),
            per_ip_rate: Some(RequestRate { per_second: 50, burst: 100 }),
            max_memory: Some(64 << 20),
            ..Limits::default()
        },
        pid_file: Some("/run/oneloop.pid".into()),
        admin: Some("127.0.0.1:9090".parse().unwrap()),
        trust: read("server.trusted-forwarders = \"10.0.0.0/8\"\n[[site]]\nroot = \"/\"")
            .unwrap()
            .trust,
        ..rights()
    };
    assert_eq!(without_places(general), without_places(defaults));
    for table in [
        "x = 1",
        "[server]\nx = 1",
        "[server]\nlisten = [{ x = 1 }]",
        "[limits]\nx = 1",
        "[limits]\nhead.x = 1",
        "[limits]\ncontent.x = 1",
        "[limits]\nsend.x = 1",
        "[limits]\npersistent.x = 1",
        "[limits]\nturn.x = 1",
        "[limits]\ncache.x = 1",
        "[limits]\nspool.x = 1",
        "[limits]\nupgrade.x = 1",
        "[log]\nx = 1",
        "[log]\naccess.x = 1",
        "[log]\nerror.x = 1",
        "[[site]]\nx = 1",
        "[[site]]\n[[site.route]]\nx = 1",
        "[[site]]\n[[site.route]]\nfiles.x = 1",
        "[[site]]\n[[site.route]]\nredirect.x = 1",
        "[[site]]\n[[site.route]]\nrespond.x = 1",
        "[[site]]\n[[site.route]]\ncgi.x = 1",
        "[[site]]\n[[site.route]]\nfastcgi.x = 1",
        "[[site]]\n[[site.route]]\nscgi.x = 1",
        "[[site]]\n[[site.route]]\nproxy.x = 1",
        "[[site]]\n[[site.route]]\nproxy.health.x = 1",
        "[[site]]\n[[site.route]]\nauth.x = 1",
        "[[site]]\n[[site.route]]\ncontent.x = 1",
    ] {
        let error = read(table).unwrap_err();
        let (_, known) = error.split_once("known here: ").expect("`x` is near to nothing");
        for name in known.split(',').map(str::trim) {
            assert!(in_use.contains(name), "{name} of {table:?} is missing");
        }
    }
}
