//! The diagnostic log of the daemon: its forms, and where it goes.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::config;
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::{Daemon, wait_until};

/// A daemon that says nothing on its standard output, and is killed when this is dropped.
struct Quiet(Child);

impl Quiet {
    fn start(file: &Path) -> Quiet {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
        command.arg("-c").arg(file).env_remove("RUST_LOG").stdin(Stdio::null());
        Quiet(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn port(text: &str) -> Option<SocketAddr> {
    let (_, rest) = text.split_once("listening on http://127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
}

/// Asks for nothing that HTTP knows: the daemon has something to say of it at the level debug.
fn be_refused(address: SocketAddr) {
    let mut client = Client::connect(address);
    client.send("\"quoted\"\x01\r\n\r\n");
    assert_eq!(client.response(false).status, 400);
}

#[test]
fn messages_can_be_json_in_a_file() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let log = "[log]\naccess = { to = \"none\" }\n\
               error = { to = \"./error.log\", level = \"debug\", format = \"json\" }";
    let file = folder.write("oneloop.toml", config(log));
    let path = folder.path().join("error.log");
    let _daemon = Quiet::start(&file);
    let text = || fs::read_to_string(&path).unwrap_or_default();
    wait_until("it says where it is", || port(&text()).is_some());
    be_refused(port(&text()).unwrap());
    wait_until("it is logged", || text().lines().any(|line| line.contains("refused")));
    let mut levels = Vec::new();
    for line in text().lines() {
        let value: Value = serde_json::from_str(line).expect(line);
        let time = value["time"].as_str().unwrap();
        assert!(time.len() == 20 && time.ends_with('Z'), "{line}");
        assert!(value["target"].as_str().unwrap().starts_with("oneloop"), "{line}");
        assert!(value["message"].is_string(), "{line}");
        levels.push(value["level"].as_str().unwrap().to_owned());
    }
    assert!(levels.contains(&"info".to_owned()) && levels.contains(&"debug".to_owned()));
}

#[test]
fn syslog_is_told_the_severity_of_each_message() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    let log = "[log]\naccess = { to = \"none\" }\n\
               error = { to = \"syslog:./syslog\", level = \"debug\" }";
    let file = folder.write("oneloop.toml", config(log));
    let syslog = UnixDatagram::bind(folder.path().join("syslog")).unwrap();
    syslog.set_read_timeout(Some(crate::support::running::DEADLINE)).unwrap();
    let hear = || {
        let mut message = [0; 8192];
        let length = syslog.recv(&mut message).expect("it says something");
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let daemon = Quiet::start(&file);
    let mut message = hear();
    while port(&message).is_none() {
        message = hear();
    }
    assert!(message.starts_with("<30>"), "{message}");
    let tag = format!(" oneloop[{}]: oneloop: listening on", daemon.0.id());
    assert!(message[19..].starts_with(&tag), "{message}");
    be_refused(port(&message).unwrap());
    let message = hear();
    assert!(message.starts_with("<31>") && message.contains(": refused"), "{message}");
}

/// Starts a daemon whose standard error is a file, and the journal's if `stream` says so.
fn with_stream(stream: &str) -> Vec<String> {
    let folder = Folder::new();
    let script = format!(
        "touch error; JOURNAL_STREAM={stream}; export JOURNAL_STREAM\n\
                          exec \"$0\" . -p 0 -v --log none 2>>error"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_oneloop")]).current_dir(folder.path());
    let daemon = Daemon::spawn(command);
    be_refused(daemon.address);
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    let text = fs::read_to_string(folder.path().join("error")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_journal_is_told_the_severity_of_each_line_and_nobody_else() {
    let lines = with_stream("$(stat -c %d:%i error)");
    assert!(lines.iter().any(|line| line.starts_with("<7>oneloop::")), "{lines:?}");
    assert!(lines.iter().any(|line| line == "<6>oneloop: ended"), "{lines:?}");
    for stream in ["$(stat -c %d:1 error)", "", "1"] {
        let lines = with_stream(stream);
        assert!(lines.iter().any(|line| line.ends_with("INFO  oneloop: ended")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with('<')), "{lines:?}");
    }
}

#[test]
fn an_error_log_that_cannot_be_opened_is_said_before_anything_is_served() {
    let folder = Folder::new();
    folder.write("www/file.txt", "0123456789");
    fs::create_dir(folder.path().join("folder")).unwrap();
    let file = folder.write("oneloop.toml", config("[log]\nerror = { to = \"./folder\" }"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    let output = command.arg("-c").arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("oneloop: cannot open the error log: /"), "{said}");
    assert!(said.contains("/folder: Is a directory"), "{said}");
}
