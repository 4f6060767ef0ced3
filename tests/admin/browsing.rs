//! The inspector's page in a real browser: every panel with live traffic, step mode through a
//! script, in each light and width, with thousands of connections, and from a file.
//!
//! Pictures of it go to `target/inspector/`, for somebody to look at.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use super::exposition::Metrics;
use super::{PROGRAMS, World};
use crate::support::browser::{Browser, View};
use crate::support::programs::{is_there, skipped};

pub(super) const LIGHT: View = View { width: 1280, is_dark: false, is_calm: false };

/// Clients that ask for this and that, until it is dropped.
pub(super) struct Traffic {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    pub(super) fn start(world: &World) -> Traffic {
        let is_over = Arc::new(AtomicBool::new(false));
        let paths = ["/file.txt", "/ping", "/nothing", "/cgi/hello.sh", "/old", "/ping"];
        let threads = (0..6).map(|at| {
            let (is_over, mut client) = (Arc::clone(&is_over), world.connect());
            std::thread::spawn(move || {
                for path in paths.iter().cycle().skip(at) {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    client.get(path);
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            })
        });
        Traffic { threads: threads.collect(), is_over }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The page of `world`, live.
pub(super) fn open(world: &World, view: View) -> Browser {
    let mut browser = Browser::start();
    browser.look(view);
    browser.open(&format!("http://{}/inspect", world.admin));
    browser.wait_for("status", "Live");
    browser
}

pub(super) fn assert_silent(browser: &Browser) {
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[test]
fn every_panel_shows_what_happens() {
    if !is_there("chromium") {
        return;
    }
    let world = World::start("loop-lag = \"1ms\"", PROGRAMS);
    let traffic = Traffic::start(&world);
    let mut browser = open(&world, LIGHT);
    browser.wait("Number(document.getElementById('f-requests').innerText) > 20");
    assert_eq!(browser.text("f-connections"), "6");
    browser.wait("document.querySelectorAll('#graph .lit').length >= 4");
    browser.wait("document.querySelectorAll('#latest button').length === 12");
    // A script was started, and all waited for that.
    let why = browser.wait_for("stalled", "start or connect programs");
    assert!(why.contains("ms"), "{why}");
    browser.ask(
        "[...document.querySelectorAll('#stalled tr')]
           .find((one) => one.innerText.includes('start or connect'))
           .querySelector('.link').click()",
    );
    let turn = browser.wait_for("turn", "a process is started");
    assert!(turn.contains("worked") && turn.contains("client"), "{turn}");
    // That is no part of the share of whoever was served next.
    let acts = browser.ask(
        "[...document.querySelectorAll('#turn tr')]
           .find((one) => one.innerText.includes('is started')).cells[1].innerText",
    );
    assert_eq!(acts, "a process is started");
    // The list goes on meanwhile.
    browser.wait(
        "((one) => one && (one.click(), true))([...document.querySelectorAll('#latest button')]
           .find((one) => /hello.sh[^]*200/.test(one.innerText)))",
    );
    let story = browser.wait_for("told", "posix_spawn");
    for part in [
        "epoll_wait",
        "recvfrom",
        "sendmsg",
        "src/server/serving.rs",
        "oneloop.toml:",
        "answered 200",
        "of it waiting",
        "src/http/connection.rs",
        "hear the program",
    ] {
        assert!(story.contains(part), "{part} is not in {story}");
    }
    let is_before = |one: &str, other: &str| story.find(one) < story.find(other);
    assert!(is_before("src/http/head.rs", "router.rs") && is_before("router.rs", "posix_spawn"));
    browser.ask("document.querySelector('#told .link').click()");
    let life = browser.wait_for("life", "GET /ping HTTP/1.1");
    assert!(life.contains("127.0.0.1:") && life.contains("404"), "{life}");
    browser.picture("panels-light");
    browser.look(View { is_dark: true, ..LIGHT });
    browser.picture("panels-dark");
    drop(traffic);
    browser.wait("document.getElementById('f-connections').innerText === '0'");
    assert_silent(&browser);
}

#[test]
fn a_reload_reaches_a_page_that_is_open() {
    if !is_there("chromium") {
        return;
    }
    let world = World::start("loop-lag = \"70ms\"", PROGRAMS);
    assert_eq!(world.connect().get("/ping").status, 200);
    let mut browser = open(&world, LIGHT);
    let route = |browser: &mut Browser| {
        browser.wait("document.querySelectorAll('#latest button').length === 1");
        browser.ask("document.querySelector('#latest button').title").as_str().unwrap().to_owned()
    };
    let before = route(&mut browser);
    assert_eq!(browser.text("limit"), "70 ms");
    // As many routes as before, each a line further down.
    let text = std::fs::read_to_string(world.folder.path().join("oneloop.toml")).unwrap();
    world.folder.write("oneloop.toml", format!("# Moved.\n{}", text.replace("70ms", "80ms")));
    world.daemon.signal("HUP");
    world.daemon.says("reloaded");
    browser.wait_for("limit", "80 ms");
    let (place, line) = before.trim_end_matches(')').rsplit_once(':').unwrap();
    let line: u32 = line.parse().unwrap();
    assert_eq!(route(&mut browser), format!("{place}:{})", line + 1));
    assert_silent(&browser);
}

#[test]
fn requests_that_came_in_one_write_are_told_one_by_one() {
    if !is_there("chromium") {
        return;
    }
    let world = World::start("", PROGRAMS);
    let mut browser = open(&world, LIGHT);
    let mut client = world.connect();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(["/ping", "/nothing", "/old"].map(request).concat());
    for status in [200, 404, 302] {
        assert_eq!(client.response(false).status, status);
    }
    browser.wait("document.querySelectorAll('#latest button').length === 3");
    for (at, parts) in [
        (2, ["GET /ping ", "answered 200", "wrote", "with what follows"]),
        (1, ["GET /nothing ", "answered 404", "wrote", "with what follows"]),
        (0, ["GET /old ", "answered 302", "wrote", "keep alive"]),
    ] {
        browser.ask(&format!("document.querySelectorAll('#latest button')[{at}].click()"));
        let story = browser.wait_for("told", parts[0]);
        assert!(parts.iter().all(|part| story.contains(part)), "{parts:?}: {story}");
        // The page and the server find the same ends of an exchange.
        let took = "document.querySelectorAll('#latest .took')[AT].innerText";
        let took = browser.ask(&took.replace("AT", &at.to_string()));
        assert!(story.contains(&format!("{}, ", took.as_str().unwrap())), "{took}: {story}");
    }
    browser.ask("document.querySelector('#told .link').click()");
    let life = browser.wait_for("life", "GET /ping HTTP/1.1");
    assert!(life.contains("GET /nothing HTTP") && life.contains("GET /old HTTP"), "{life}");
    assert_silent(&browser);
}

#[test]
fn a_story_leads_to_the_source_of_its_rooms() {
    if !is_there("chromium") {
        return;
    }
    let world = World::start("", PROGRAMS);
    assert_eq!(world.connect().get("/cgi/hello.sh").status, 200);
    let mut browser = open(&world, LIGHT);
    browser.wait("document.querySelectorAll('#latest button').length === 1");
    browser.ask("document.querySelector('#latest button').click()");
    browser.wait_for("told", "posix_spawn");
    let links = browser.ask(
        "[...document.querySelectorAll('#told a')].map((one) => [one.pathname, one.innerText])",
    );
    let links = links.as_array().unwrap();
    assert!(links.len() >= 10, "{links:?}");
    for link in links {
        let (path, name) = (link[0].as_str().unwrap(), link[1].as_str().unwrap());
        let answer = world.ask(path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
        let room = std::fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR")));
        assert_eq!(answer.text(), room.unwrap(), "{path} is {name}");
    }
    for path in ["lib.rs", "server/admin/mod.rs", "../src/server/mod.rs", ""] {
        assert_eq!(world.ask(&format!("/inspect/source/{path}")).status, 404, "{path}");
    }
    // What is seen beside it stays: the room has a page of its own.
    assert_eq!(browser.ask("document.querySelector('#told a').target"), "_blank");
    browser.ask(
        "((one) => { one.target = '_self'; one.click(); })(document.querySelector('#told a'))",
    );
    browser.wait("location.pathname === '/inspect/source/server/mod.rs'");
    browser.wait("document.body && document.body.innerText.startsWith('//! ')");
    assert_silent(&browser);
}

#[test]
fn step_mode_goes_through_a_script_event_by_event() {
    if !is_there("chromium") {
        return;
    }
    let world = World::steppable("", PROGRAMS);
    let mut browser = open(&world, LIGHT);
    browser.press("h");
    browser.wait_for("held", "Nothing is ready");
    browser.wait_for("status", "Held");
    let mut client = world.connect();
    client.send("GET /cgi/hello.sh HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = std::thread::spawn(move || client.read_to_end());
    let mut passed = String::new();
    for step in 0..30 {
        if answer.is_finished() {
            break;
        }
        browser.wait("!document.getElementById('held').innerText.includes('Nothing')");
        if step == 2 {
            browser.picture("held");
        }
        browser.ask("document.getElementById('passed').replaceChildren()");
        browser.press("s");
        browser.wait("document.getElementById('passed').childElementCount > 1");
        writeln!(passed, "{}", browser.text("passed").replace('\n', " ")).unwrap();
    }
    let answer = answer.join().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    for part in [
        "read ",
        "head: GET /cgi/hello.sh",
        "a process is started",
        "heard ",
        "answered 200",
        "wrote ",
    ] {
        assert!(passed.contains(part), "{part} is not in {passed}");
    }
    browser.press("g");
    browser.wait_for("held", "goes by itself");
    browser.wait_for("status", "Live");
    assert_eq!(world.connect().get("/ping").status, 200);
    // By itself, one after the other.
    browser.ask("document.getElementById('pace').value = '200'");
    browser.press("m");
    browser.wait_for("status", "Held");
    assert_eq!(world.connect().get("/ping").status, 200, "in slow motion");
    browser.press("g");
    browser.wait_for("status", "Live");
    assert_silent(&browser);
}

#[test]
fn it_fits_a_phone_and_a_desk_by_day_and_by_night() {
    if !is_there("chromium") {
        return;
    }
    let world = World::start("", PROGRAMS);
    let traffic = Traffic::start(&world);
    let mut browser = open(&world, LIGHT);
    browser.wait("document.querySelectorAll('#latest button').length === 12");
    browser.ask("document.querySelector('#latest button').click()");
    browser.wait_for("told", "sendmsg");
    browser.ask("strip.select(strip.last().number)");
    browser.wait_for("turn", "worked");
    let mut grounds = Vec::new();
    for (width, is_dark, is_calm) in
        [(360, false, false), (360, true, true), (1280, false, true), (1280, true, false)]
    {
        browser.look(View { width, is_dark, is_calm });
        browser.wait(&format!("innerWidth === {width}"));
        browser.ask("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))");
        let wide = browser.ask("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(wide <= width.into(), "{wide} in {width}");
        // What is too wide scrolls in its own place.
        let beyond = browser.ask(
            "[...document.querySelectorAll('main *')].filter((one) => !one.closest('.scroll, svg')
               && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML)",
        );
        assert_eq!(beyond, Value::Array(Vec::new()), "in {width}");
        let ground = browser.ask("getComputedStyle(document.body).backgroundColor");
        grounds.push((is_dark, ground.as_str().unwrap().to_owned()));
        let light = if is_dark { "dark" } else { "light" };
        browser.picture(&format!("{width}-{light}"));
    }
    let is_light = |ground: &str| ground == "rgb(251, 251, 250)";
    assert!(grounds.iter().all(|(is_dark, ground)| *is_dark != is_light(ground)), "{grounds:?}");
    drop(traffic);
    assert_silent(&browser);
}

#[test]
fn a_saved_page_needs_no_server() {
    if !is_there("chromium") {
        return;
    }
    let world = World::start("loop-lag = \"1ms\"", PROGRAMS);
    let mut client = world.connect();
    for path in ["/ping", "/?</script><script>document.title='x'</script>", "/cgi/hello.sh"] {
        client.get(path);
    }
    let page = world.ask("/inspect/recording.html");
    let file = world.folder.write("saved.html", &page.content);
    drop(client);
    world.daemon.signal("KILL");
    let mut browser = Browser::start();
    browser.look(LIGHT);
    browser.open(&format!("file://{}", file.display()));
    browser.wait_for("status", "Recording of ");
    assert_eq!(browser.ask("document.title"), "oneloop · inspector");
    assert_eq!(browser.ask("document.querySelectorAll('#latest button').length"), 3);
    browser.ask("document.querySelector('#latest button').click()");
    let story = browser.wait_for("told", "posix_spawn");
    assert!(story.contains("GET /cgi/hello.sh") && story.contains("oneloop.toml:"), "{story}");
    assert_eq!(browser.ask("document.querySelectorAll('#told a').length"), 0);
    assert!(story.contains("src/server/serving.rs"), "{story}");
    browser.ask("document.querySelectorAll('#latest button')[1].click()");
    browser.wait_for("told", "</script><script>");
    browser.ask("strip.select(0)");
    browser.wait_for("turn", "accepted from");
    browser.ask("house.open(0)");
    browser.wait_for("life", "listener");
    let is_offered = browser.ask("document.getElementById('take').checkVisibility()");
    assert_eq!(is_offered, false, "nothing is to be had without a server");
    // The strip shows what there is, and the keys those that do something.
    let steps = browser.ask("document.getElementById('step-keys').checkVisibility()");
    assert_eq!(steps, false);
    browser.ask("strip.zoom(0)");
    let view = browser.text("strip-said");
    assert!(view.ends_with(" ms in view"), "{view}");
    browser.picture("saved");
    assert_silent(&browser);
}

/// How the loop did in some time: how many turns, and how many of them took longer than 1 ms; and
/// how long whoever was ready waited for one, on average, in microseconds.
fn turns_of(world: &World, before: &Metrics, what: &str) -> (f64, f64) {
    let after = world.metrics();
    let grown = |series: &str| after.get(series) - before.get(series);
    let turns = grown("oneloop_loop_turn_seconds_count");
    let short = grown("oneloop_loop_turn_seconds_bucket{le=\"0.001\"}");
    let lag = grown("oneloop_loop_lag_seconds_sum") / grown("oneloop_loop_lag_seconds_count");
    let mean = grown("oneloop_loop_turn_seconds_sum") / turns;
    say(&format!(
        "{what}: {turns} turns of {:.0} µs, {} longer than 1 ms, lag {:.1} µs",
        mean * 1e6,
        turns - short,
        lag * 1e6
    ));
    (mean * 1e6, lag * 1e6)
}

/// To whoever runs the tests: what a test prints is shown only where it fails.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "inspector: {text}");
}

/// As many as the descriptors of both sides allow, up to 5,000.
fn crowd(world: &World) -> Vec<TcpStream> {
    let limit = getrlimit(Resource::Nofile);
    // The test's own side; the daemon sees to itself.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let most = limit.maximum.unwrap_or(u64::MAX);
    let many = usize::try_from(most.saturating_sub(500)).unwrap_or(usize::MAX).min(5_000);
    if many < 5_000 {
        skipped(&format!("only {many} descriptors: the house has no more"));
    }
    (0..many).map(|_| world.connect().stream).collect()
}

#[test]
fn thousands_of_connections_slow_neither_the_page_nor_the_loop() {
    if !is_there("chromium") {
        return;
    }
    let world = World::start("head = { timeout = \"60s\" }", PROGRAMS);
    let crowd = crowd(&world);
    let traffic = Traffic::start(&world);
    let many = u32::try_from(crowd.len()).unwrap().into();
    world.wait_for("oneloop_connections{state=\"head\"}", many);
    let while_seconds = Duration::from_secs(3);
    let before = world.metrics();
    std::thread::park_timeout(while_seconds);
    turns_of(&world, &before, "page closed");
    let mut browser = open(&world, LIGHT);
    let all = crowd.len() + 6;
    browser.wait(&format!(
        "document.getElementById('f-connections').innerText.replace(/\\D/g, '') === '{all}'"
    ));
    let before = world.metrics();
    let frames = browser.ask(
        "new Promise((done) => {
           const [times, end] = [[], performance.now() + 3000];
           const frame = (now) => {
             times.push(now);
             if (now < end) requestAnimationFrame(frame);
             else done(times.slice(1).map((time, at) => time - times[at]).sort((a, b) => a - b));
           };
           requestAnimationFrame(frame);
         })",
    );
    let (mean, _) = turns_of(&world, &before, "page open");
    let frames: Vec<f64> =
        frames.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect();
    let at = |percent: usize| frames[(frames.len() - 1) * percent / 100];
    say(&format!(
        "{all} connections: {} frames in 3 s, half within {:.1} ms, 95 % within {:.1} ms",
        frames.len(),
        at(50),
        at(95)
    ));
    browser.picture("crowd");
    browser.look(View { width: 360, ..LIGHT });
    browser.wait("innerWidth === 360");
    browser.picture("crowd-360");
    assert!(at(50) < 50.0, "half of the frames take longer than {} ms", at(50));
    assert!(mean < 5_000.0, "turns take {mean} µs");
    drop(traffic);
    assert_silent(&browser);
}
