//! What things cost the daemon: system calls per request, memory per idle client, and after many.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::programs::{is_there, skipped};
use crate::support::running::{Daemon, wait_until};

/// The daemon under strace, and what it was seen to do.
struct Traced {
    daemon: Daemon,
    client: Client,
    trace: PathBuf,
    _folder: Folder,
}

impl Traced {
    /// Serves one small file, which has been asked for before.
    fn start() -> Traced {
        let folder = Folder::new();
        folder.write("www/file.txt", "0123456789");
        let trace = folder.path().join("trace");
        let mut command = Command::new("strace");
        command.args(["-D", "-s", "100", "-o"]).arg(&trace);
        command.args([env!("CARGO_BIN_EXE_oneloop"), "-q", "-p", "0"]);
        command.arg(folder.path().join("www"));
        let daemon = Daemon::spawn(command);
        let mut client = daemon.connect();
        for _ in 0..3 {
            assert_eq!(client.get("/file.txt").text(), "0123456789");
        }
        Traced { daemon, client, trace, _folder: folder }
    }

    /// The names of the system calls between two requests that can be told from the others, without
    /// those that are not always one (the clock), in their order.
    fn calls(mut self, act: impl FnOnce(&mut Client)) -> Vec<String> {
        self.client.get("/first-mark");
        act(&mut self.client);
        self.client.get("/last-mark");
        self.daemon.signal("TERM");
        assert_eq!(self.daemon.wait(), Some(0));
        let mut trace = String::new();
        wait_until("the trace is whole", || {
            trace = fs::read_to_string(&self.trace).unwrap();
            trace.contains("+++ exited with 0 +++")
        });
        let lines: Vec<&str> = trace.lines().collect();
        let marked = |mark| lines.iter().position(|line| line.contains(mark)).expect("a mark");
        let (first, last) = (marked("GET /first-mark"), marked("GET /last-mark"));
        let answer = lines[first..].iter().position(|line| line.starts_with("sendto(")).unwrap();
        // The wait that ends with the last mark belongs to it.
        let between = &lines[first + answer + 1..last - 1];
        let names = between.iter().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
        names.filter(|name| *name != "clock_gettime").map(str::to_owned).collect()
    }
}

/// What is left of `calls` without those that look whether a cached file is still what it was, and
/// how many of those there were.
fn without_checks(calls: &[String]) -> (Vec<&str>, usize) {
    let is_check =
        |name: &str| matches!(name, "newfstatat" | "statx" | "fstat" | "openat2" | "close");
    let (checks, rest): (Vec<&str>, _) =
        calls.iter().map(String::as_str).partition(|name| is_check(name));
    (rest, checks.len())
}

#[test]
fn a_request_for_a_small_file_costs_one_wait_one_receive_one_look_and_one_send() {
    const REQUESTS: usize = 20;
    if !is_there("strace") {
        return;
    }
    let began = Instant::now();
    let calls = Traced::start().calls(|client| {
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/file.txt").text(), "0123456789");
        }
    });
    // Once a second the file is looked at: its folder's entry, at most once for each second begun.
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let (calls, checks) = without_checks(&calls);
    assert!(checks <= 2 * seconds, "{checks} looks at the file in {seconds} s: {calls:?}");
    // The read hears whether a file has changed.
    assert_eq!(calls, ["epoll_wait", "recvfrom", "read", "sendto"].repeat(REQUESTS));
}

#[test]
fn sixteen_pipelined_requests_cost_hardly_more_than_one() {
    if !is_there("strace") {
        return;
    }
    let calls = Traced::start().calls(|client| {
        client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n".repeat(16));
        for _ in 0..16 {
            assert_eq!(client.response(false).text(), "0123456789");
        }
    });
    // Behind the first it is heard once more what has changed: the others may be younger.
    assert_eq!(without_checks(&calls).0, ["epoll_wait", "recvfrom", "read", "read", "sendto"]);
}

#[test]
fn a_large_file_costs_no_copy_and_no_read() {
    if !is_there("strace") {
        return;
    }
    let traced = Traced::start();
    fs::write(traced.trace.with_file_name("www/large.bin"), vec![b'x'; 200_000]).unwrap();
    let calls = traced.calls(|client| {
        assert_eq!(client.get("/large.bin").content.len(), 200_000);
    });
    assert!(calls.iter().any(|name| name == "sendfile"), "{calls:?}");
    let reads = calls.iter().filter(|name| matches!(&***name, "read" | "pread64")).count();
    assert_eq!(reads, 0, "{calls:?}");
}

#[test]
fn a_connection_costs_one_registration_at_most_and_nothing_to_go() {
    if !is_there("strace") {
        return;
    }
    let traced = Traced::start();
    let address = traced.daemon.address;
    let calls = traced.calls(|_| {
        let mut client = Client::connect(address);
        client.send("GET /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.response(false).text(), "0123456789");
        assert!(client.is_closed());
    });
    // The second accept finds nobody. Whether the request is there when the client is taken in, or
    // a wait later, is left to chance.
    let calls: Vec<&str> = without_checks(&calls).0;
    let calls: Vec<&str> =
        calls.into_iter().filter(|name| !matches!(*name, "epoll_wait" | "fcntl")).collect();
    let calls = calls.strip_prefix(&["accept4", "accept4"]).expect("a client is taken in");
    let calls = calls.strip_prefix(&["recvfrom", "epoll_ctl"]).unwrap_or(calls);
    assert_eq!(calls, ["recvfrom", "read", "sendto"]);
}

/// Whether this process, and those it starts, may have `wanted` descriptors.
fn may_have_descriptors(wanted: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return true;
    }
    if limit.maximum.is_some_and(|most| most < wanted) {
        skipped(&format!("{wanted} descriptors are not allowed here"));
        return false;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).unwrap();
    true
}

/// The memory of a process that is its own and no file's, in bytes.
fn own_memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn an_idle_client_costs_less_than_400_bytes() {
    const CLIENTS: u64 = 5_000;
    if !may_have_descriptors(2 * CLIENTS) {
        return;
    }
    let folder = Folder::new();
    folder.write("file.txt", "0123456789");
    let root = folder.path().to_str().unwrap();
    let daemon = Daemon::start(&["-q", "-p", "0", root]);
    let visit = || {
        let mut client = daemon.connect();
        assert_eq!(client.get("/file.txt").text(), "0123456789");
        client
    };
    let mut idle: Vec<Client> = (0..100).map(|_| visit()).collect();
    let before = own_memory(daemon.child.id());
    idle.extend((0..CLIENTS).map(|_| visit()));
    let after = own_memory(daemon.child.id());
    assert_eq!(idle[0].get("/file.txt").text(), "0123456789", "they are all still there");
    let each = after.saturating_sub(before) / CLIENTS;
    assert!(each < 400, "{each} bytes for each idle client");
}

#[test]
fn what_a_burst_of_clients_took_goes_back_to_the_system() {
    const CLIENTS: u64 = 2_000;
    const KEPT: usize = 12 << 10;
    if !may_have_descriptors(2 * CLIENTS) {
        return;
    }
    let folder = Folder::new();
    folder.write("file.txt", "0123456789");
    let daemon = Daemon::start(&["-q", "-p", "0", folder.path().to_str().unwrap()]);
    let memory = || own_memory(daemon.child.id());
    let mut witness = daemon.connect();
    assert_eq!(witness.get("/file.txt").text(), "0123456789");
    let before = memory();
    for _ in 0..2 {
        // Each is in the middle of a head.
        let head = format!("GET /file.txt HTTP/1.1\r\nHost: a\r\nX-A: {}", "a".repeat(KEPT));
        let mut burst: Vec<Client> = (0..CLIENTS).map(|_| daemon.connect()).collect();
        for client in &mut burst {
            client.send(&head);
        }
        wait_until("all heads are kept", || memory() > before + CLIENTS * KEPT as u64);
        // They go as they come: in no order.
        while !burst.is_empty() {
            burst.swap_remove(7 * burst.len() / 11);
        }
        wait_until("an eighth is left at most", || memory() < before + CLIENTS * KEPT as u64 / 8);
    }
    assert_eq!(witness.get("/file.txt").text(), "0123456789");
}
