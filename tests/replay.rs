//! A server that is recorded, and the same once more on the recording: real sockets, clients that
//! go astray, a program, a signal.

mod beside;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use socket2::SockRef;

use crate::support::folder::Folder;
use crate::support::running::{Daemon, wait_until};

/// A site with a file, a larger one and a script.
fn site() -> Folder {
    let folder = Folder::new();
    folder.write("site/index.html", "<title>it</title>");
    folder.write("site/large", vec![b'l'; 300_000]);
    let script =
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\necho said\ncat\necho oops >&2\n";
    let script = folder.write("site/cgi-bin/echo", script);
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Records what some clients do, up to a signal; `more` is said on the command line.
fn record(folder: &Folder, name: &str, more: &[&str]) -> PathBuf {
    let (recording, root) = (folder.path().join(name), folder.path().join("site"));
    let words = ["record", path(&recording), path(&root), "--cgi", "/cgi-bin/*", "-p", "0"];
    let daemon = Daemon::start(&[&words, more].concat());
    let mut client = daemon.connect();
    assert_eq!(client.get("/").text(), "<title>it</title>");
    assert_eq!(client.get("/large").content.len(), 300_000);
    assert_eq!(client.get("/nothing").status, 404);
    let parts = client.request("GET", "/large", &[("Range", "bytes=1-2,10-11")], b"");
    assert_eq!(parts.status, 206);
    let said = daemon.connect().request("POST", "/cgi-bin/echo", &[], b"and heard\n");
    assert_eq!(said.text(), "said\nand heard\n");
    let mut half = daemon.connect();
    half.send("GET / HTTP/1.1\r\nHo");
    let mut rude = daemon.connect();
    rude.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    rude.exactly(100);
    SockRef::from(&rude.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop((rude, half));
    assert_eq!(daemon.connect().request("BREW", "/", &[], b"").status, 501);
    daemon.signal("INT");
    assert_eq!(daemon.wait(), Some(0));
    recording
}

/// Replays, and returns the exit code, the standard output and the standard error.
fn replay(words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    let output = command.env_remove("RUST_LOG").arg("replay").args(words).output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), stdout, stderr)
}

#[test]
fn a_recording_comes_out_the_same_each_time() {
    let folder = site();
    let recording = record(&folder, "a.rec", &[]);
    let mode = fs::metadata(&recording).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what clients have sent is nobody else's");
    let (code, story, errors) = replay(&[path(&recording)]);
    assert_eq!((code, &*errors), (Some(0), ""), "{story}");
    let last = story.lines().last().unwrap();
    assert!(last.ends_with(" turns: all of it came out as recorded"), "{last}");
    for part in [
        "idle/idle -> idle/idle      accepted from 127.0.0.1:",
        "idle/idle -> done/owed      head: GET /large HTTP/1.1\n",
        "done/owed -> done/content   answered 206\n",
        "dialed: a process\n",
        "sent file ",
        "answered 501\n",
    ] {
        assert!(story.contains(part), "{part:?} is not in\n{story}");
    }
    assert_eq!(replay(&[path(&recording)]).1, story, "it is told in the same words");
    let (code, short, _) = replay(&[path(&recording), "--until", "3"]);
    assert_eq!(code, Some(0));
    let (beginning, end) = short.trim_end().rsplit_once('\n').unwrap();
    assert!(story.starts_with(beginning) && beginning.contains("\n      3 "), "{short}");
    assert_eq!(end, "3 turns: it came out as recorded up to here");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    command.args(["replay", path(&recording), "-q"]).env("RUST_LOG", "warn");
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.contains("/cgi-bin/echo says: oops"), "{said}");
    let (code, quiet, _) = replay(&[path(&recording), "--quiet"]);
    assert_eq!((code, quiet.trim_end()), (Some(0), last));
}

#[test]
fn of_a_server_that_is_killed_there_is_all_that_came_in() {
    let folder = site();
    let (recording, root) = (folder.path().join("a.rec"), folder.path().join("site"));
    let daemon = Daemon::start(&["record", path(&recording), path(&root), "-p", "0"]);
    let mut client = daemon.connect();
    for name in ["/", "/large", "/last"] {
        client.get(name);
    }
    // It is written while the server has nothing to do.
    wait_until("what came in is written", || {
        replay(&[path(&recording)]).1.contains("answered 404\n")
    });
    daemon.signal("KILL");
    assert_eq!(daemon.wait(), None);
    let (code, story, errors) = replay(&[path(&recording)]);
    assert_eq!((code, &*errors), (Some(0), ""));
    assert!(story.contains("head: GET /last HTTP/1.1\n"), "{story}");
    assert!(story.trim_end().ends_with("the server was killed, or there was no room"), "{story}");
}

#[test]
fn a_changed_byte_and_a_missing_end_are_noticed() {
    let folder = site();
    let recording = record(&folder, "a.rec", &["--log", "none"]);
    let bytes = fs::read(&recording).unwrap();
    for at in [0, 18, 40, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        let (code, story, errors) = replay(&[path(&folder.write("b.rec", changed))]);
        assert_eq!((code, &*story), (Some(1), ""), "byte {at}");
        let (what, offset) = errors.trim_end().rsplit_once(", at offset ").unwrap();
        assert!(what.starts_with("oneloop: /") && what.contains("/b.rec: "), "{errors}");
        assert!(offset.parse::<usize>().unwrap() <= at, "{errors}");
    }
    let cut = folder.write("c.rec", &bytes[..bytes.len() - 10]);
    let (code, story, _) = replay(&[path(&cut), "-q"]);
    assert_eq!(code, Some(0));
    assert!(story.contains("as far as the recording goes, which has no end"), "{story}");
    for (more, what) in
        [(5, "more is written behind the end"), (30, "the head of a block is damaged")]
    {
        let longer = [&bytes[..], &vec![7; more]].concat();
        let (code, _, errors) = replay(&[path(&folder.write("e.rec", longer)), "-q"]);
        assert_eq!(code, Some(1));
        let (said, offset) = errors.trim_end().rsplit_once("offset ").unwrap();
        assert!(errors.contains(what), "{said}");
        assert!(offset.starts_with(&bytes.len().to_string()), "{errors}");
    }
    let text = folder.write("d.rec", "this is no recording, but a text of some length");
    let (code, _, errors) = replay(&[path(&text)]);
    assert_eq!(code, Some(1));
    assert!(errors.ends_with("d.rec: this is no recording of oneloop, at offset 0\n"), "{errors}");
}

#[test]
fn a_file_of_the_site_that_has_changed_is_a_difference() {
    let folder = site();
    let recording = record(&folder, "a.rec", &[]);
    folder.write("site/index.html", "<title>it was</title>");
    let (code, story, errors) = replay(&[path(&recording)]);
    assert_eq!(code, Some(1));
    let (_, turn) = errors.split_once("a.rec: turn ").unwrap();
    let (turn, _) = turn.split_once(" differs").unwrap();
    // What led to it is told.
    let mut last = story.lines().filter(|line| line.starts_with(&format!("{turn:>7} ")));
    assert!(last.next().unwrap().ends_with("and it does not come to its end"), "{story}");
    assert!(last.any(|line| line.contains(" head: GET ")), "{story}");
    assert!(!story.trim_end().ends_with(" reset"), "and what the server did then is not\n{story}");
    assert!(errors.trim_end().ends_with(" changed since, or who may read them"), "{errors}");
}

#[test]
fn a_recording_has_an_end_and_the_server_goes_on() {
    let folder = site();
    let recording = record(&folder, "a.rec", &["--most", "3kB"]);
    assert!(fs::metadata(&recording).unwrap().len() <= 3_000);
    let (code, story, errors) = replay(&[path(&recording), "-q"]);
    assert_eq!((code, &*errors), (Some(0), ""));
    assert!(story.contains("which was as long as it might be"), "{story}");
    let bytes = fs::read(&recording).unwrap();
    for rubbish in [&b"x"[..], &bytes[bytes.len() - 40..]] {
        let (code, _, errors) =
            replay(&[path(&folder.write("b.rec", [&bytes, rubbish].concat())), "-q"]);
        assert_eq!(code, Some(1), "{errors}");
    }
}

#[test]
fn a_configuration_is_recorded_and_no_file_is_written_over() {
    let folder = site();
    let config = "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nworkers = 2\n\
                  [limits]\nrecorder = { moments = 1 }\n\
                  [log]\naccess = { to = \"none\" }\n[[site]]\nroot = \"site\"\n\
                  [[site.route]]\npath = \"/large\"\n\
                  auth = { basic = \"htpasswd\", realm = \"r\" }\n";
    let config = folder.write("a.toml", config);
    folder.write("htpasswd", "a:$2y$04$8MEWPD2/f8c47C.A59A2V.Co0FtrJ59azbqIvGxoEjljPGSNsvOEO\n");
    let recording = folder.path().join("a.rec");
    let words = ["record", path(&recording), "-c", path(&config)];
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&1", env!("CARGO_BIN_EXE_oneloop")]).args(words);
    let daemon = Daemon::spawn(command);
    let mut client = daemon.connect();
    assert_eq!(client.get("/").text(), "<title>it</title>");
    // Another thread says whether a password holds: when it did, the recording knows.
    for (password, status) in [("YTpzZWNyZXQ=", 200), ("YTpndWVzcw==", 401), ("YTpzZWNyZXQ=", 200)]
    {
        let field = format!("Basic {password}");
        let answer = client.request("GET", "/large", &[("Authorization", &field)], b"");
        assert_eq!(answer.status, status);
    }
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    fs::remove_file(&config).unwrap();
    let (code, story, errors) = replay(&[path(&recording)]);
    assert_eq!((code, &*errors), (Some(0), ""), "the recording has the configuration\n{story}");
    assert!(story.contains(" waits\n"), "{story}");
    // The ring of the server that was recorded had room for one moment.
    assert!(story.contains(" accepted from ") && !story.contains("not told"), "{story}");
    let before = fs::read(&recording).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    let root = folder.path().join("site");
    let again = command.args(["record", path(&recording), path(&root), "-p", "0"]).output();
    let again = again.unwrap();
    let errors = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.code() == Some(1) && errors.contains("File exists"), "{errors}");
    assert_eq!(fs::read(&recording).unwrap(), before);
}

#[test]
fn a_recording_is_not_served_and_does_not_write() {
    let folder = site();
    let root = folder.path().join("site");
    let inside = root.join("inside.rec");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    let words = ["record", path(&inside), path(&root), "-p", "0"];
    let refused = command.args(words).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(error.contains("it would be served") && !inside.exists(), "{error}");
    // What a recording says of logs is nothing to whoever replays it.
    let log = folder.path().join("access.log");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = {{ to = {log:?} }}\n\
         [[site]]\nroot = \"site\"\n"
    );
    let configuration = folder.write("a.toml", text);
    let recording = folder.path().join("a.rec");
    let command = "exec \"$0\" record \"$1\" -c \"$2\" 2>&1";
    let mut shell = Command::new("sh");
    shell.args(["-c", command, env!("CARGO_BIN_EXE_oneloop"), path(&recording)]);
    let daemon = Daemon::spawn({
        shell.arg(configuration);
        shell
    });
    assert_eq!(daemon.connect().get("/").status, 200);
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    fs::remove_file(&log).unwrap();
    let (code, _, error) = replay(&[path(&recording), "--quiet"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(!log.exists());
}
