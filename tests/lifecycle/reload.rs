//! SIGHUP: the configuration is read again. What is under way goes on as it began, what begins goes
//! by the new one, and one that cannot be used changes nothing. SIGUSR1: logs are reopened.

mod embedded;
mod load;
mod under_way;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::World;
use crate::support::folder::Folder;
use crate::support::running::Daemon;

/// A site that says one word at `/word`.
fn word(word: &str) -> String {
    format!(
        "[[site]]\nroot = \"www\"\n[[site.route]]\npath = \"/word\"\n\
         respond = {{ status = 200, content = \"{word}\" }}\n"
    )
}

/// A configuration of this site; `server` is what stands in `[server]` beside the port.
fn configuration(listen: &str, site: &str) -> String {
    let log = "[log]\naccess = { to = \"none\" }\n";
    format!("[server]\nlisten = [\"127.0.0.1:0\"{listen}]\n{log}{site}")
}

/// A daemon that says `old`.
fn old() -> World {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let file = folder.write("oneloop.toml", configuration("", &word("old")));
    World { daemon: Daemon::configured(&file, ""), folder }
}

impl World {
    /// Has the daemon read another configuration, and waits until it says what has come of it.
    fn reload(&self, text: &str, said: &str) -> String {
        self.folder.write("oneloop.toml", text);
        self.daemon.signal("HUP");
        self.daemon.says(said)
    }

    fn word(&self) -> String {
        self.connect().get("/word").text().to_owned()
    }
}

/// Asks for the word on a stream that stays open.
fn ask(stream: &mut UnixStream) -> String {
    stream.write_all(b"GET /word HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = String::new();
    while !answer.ends_with("old") && !answer.ends_with("new") {
        let mut buffer = [0; 1000];
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    answer.split_off(answer.len() - 3)
}

#[test]
fn the_next_request_on_a_connection_goes_by_the_new_configuration() {
    let world = old();
    let mut client = world.connect();
    assert_eq!(client.get("/word").text(), "old");
    // Half a head is nothing yet: it goes by what holds when all of it is there.
    let mut half = world.connect();
    half.send("GET /word HT");
    world.reload(&configuration("", &word("new")), "reloaded");
    world.daemon.says("- \"/word\": respond = { status = 200, content = \"old\"");
    world.daemon.says("+ \"/word\": respond = { status = 200, content = \"new\"");
    assert_eq!(client.get("/word").text(), "new");
    half.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(half.response(false).text(), "new");
    world.reload(&configuration("", &word("new")), "it says the same");
    assert_eq!(client.get("/word").text(), "new");
}

#[test]
fn listeners_are_added_kept_and_removed() {
    let world = old();
    let (one, two) = (world.path("one"), world.path("two"));
    let name = |path: &Path| format!(", \"unix:{}\"", path.display());
    world.reload(&configuration(&name(&one), &word("old")), "reloaded");
    let mut client = UnixStream::connect(&one).unwrap();
    assert_eq!(ask(&mut client), "old");
    // One who has connected, and was not taken in, is no less a client.
    let mut early = UnixStream::connect(&one).unwrap();
    world.reload(&configuration(&name(&two), &word("new")), "reloaded");
    assert!(!one.exists(), "nobody listens there any more");
    assert_eq!(ask(&mut client), "new", "its listener has gone, and it has not");
    assert_eq!(ask(&mut early), "new");
    assert_eq!(ask(&mut UnixStream::connect(&two).unwrap()), "new");
    assert_eq!(world.word(), "new", "the first listener was kept, and has the port it had");
}

#[test]
fn a_configuration_that_cannot_be_used_changes_nothing() {
    let world = old();
    let socket = world.path("socket");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let new = word("new");
    let listen = |more: &str| format!(", \"unix:{}\"{more}", socket.display());
    let file = world.path("oneloop.toml").display().to_string();
    let cases = [
        (configuration("", &new) + "roote = \"x\"\n", format!("{file}:")),
        (configuration("", "[[site]]\nroot = \"missing\"\n"), "missing".to_owned()),
        (configuration(&listen(&format!(", \"{taken}\"")), &new), format!("listen on {taken}:")),
        (configuration(&listen(""), &new).replace("none", "./no/log"), "no/log".to_owned()),
    ];
    let mut client = world.connect();
    for (text, said) in cases {
        world.reload(&text, "nothing is changed");
        world.daemon.says(&said);
        assert_eq!(client.get("/word").text(), "old", "{text}");
        assert_eq!(world.word(), "old", "{text}");
        assert!(!socket.exists(), "{text}");
    }
    fs::remove_file(world.path("oneloop.toml")).unwrap();
    world.daemon.signal("HUP");
    world.daemon.says("nothing is changed");
    assert_eq!(client.get("/word").text(), "old");
    // And it can still be reloaded.
    world.reload(&configuration(&listen(""), &new), "reloaded");
    assert_eq!(client.get("/word").text(), "new");
    assert_eq!(ask(&mut UnixStream::connect(&socket).unwrap()), "new");
}

#[test]
fn the_access_log_goes_elsewhere_only_where_it_is_another_one() {
    let world = old();
    let log = |to: &str| configuration("", &word("old")).replace("none", to);
    let mut client = world.connect();
    let mut logged = |name: &str| {
        client.get("/word");
        let lines = || fs::read_to_string(world.path(name)).map_or(0, |text| text.lines().count());
        crate::support::running::wait_until("a line is logged", || lines() > 0);
        fs::rename(world.path(name), world.path("former")).unwrap();
    };
    world.reload(&log("./a"), "reloaded");
    logged("a");
    world.reload(&log("./b"), "reloaded");
    logged("b");
    // The same one is not opened again: whoever has renamed it asks for that by SIGUSR1.
    world.reload(&log("./b"), "reloaded");
    assert!(!world.path("b").exists());
    world.daemon.signal("USR1");
    world.daemon.says("reopened");
    logged("b");
}

#[test]
fn without_a_file_there_is_nothing_to_read_again() {
    let folder = Folder::new();
    folder.write("file.txt", "0123456789");
    let script = "exec \"$0\" -p 0 \"$1\" 2>&1";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_oneloop")]).arg(folder.path());
    let daemon = Daemon::spawn(command);
    daemon.signal("HUP");
    daemon.says("there is nothing to read again");
    assert_eq!(daemon.connect().get("/file.txt").text(), "0123456789");
}
