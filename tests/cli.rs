//! The program from outside: what it prints, what it serves, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::support::client::{Client, ask};
use crate::support::folder::Folder;

/// The program, in an environment that says nothing of it.
fn oneloop(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
    for (name, _) in std::env::vars_os() {
        if name == "RUST_LOG" || name.to_string_lossy().starts_with("ONELOOP_") {
            command.env_remove(name);
        }
    }
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn run(words: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = oneloop(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A directory that is gone when it is dropped.
struct Scratch(Folder);

impl Scratch {
    fn new() -> Scratch {
        Scratch(Folder::new())
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// Makes a file, and gives its path.
    fn file(&self, name: &str, content: &str) -> String {
        self.0.write(name, content).to_str().unwrap().to_owned()
    }
}

/// A server that has said where it listens.
struct Served {
    child: Child,
    /// What it has said so far, and can go on saying.
    stdout: BufReader<Box<dyn Read>>,
    urls: Vec<String>,
}

impl Served {
    /// Starts the program, and waits for so many lines that name an address.
    fn start(mut command: Command, urls: usize, on_stderr: bool) -> Served {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stream: Box<dyn Read> = if on_stderr {
            Box::new(child.stderr.take().unwrap())
        } else {
            Box::new(child.stdout.take().unwrap())
        };
        let mut served = Served { child, stdout: BufReader::new(stream), urls: Vec::new() };
        while served.urls.len() < urls {
            let line = served.line();
            assert!(!line.is_empty(), "it ended before it said where it listens");
            if let Some((_, url)) = line.trim_end().split_once(" on ") {
                served.urls.push(url.to_owned());
            }
        }
        served
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn get(&self, path: &str) -> String {
        let address = self.urls[0].strip_prefix("http://").unwrap().strip_suffix('/').unwrap();
        ask(TcpStream::connect(address).unwrap(), path).unwrap()
    }

    fn terminate(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_and_version_are_no_failures_and_a_wrong_flag_is_one() {
    let (code, help, _) = run(&["--help"]);
    assert!(code == 0 && help.lines().count() < 24 && help.contains("--no-listing"), "{help}");
    assert_eq!(run(&["-V"]).1, concat!("oneloop ", env!("CARGO_PKG_VERSION"), "\n"));
    for words in [&["--prot", "80"][..], &["-p", "x"], &["-c", "a", "-p", "1"], &["check"]] {
        let (code, stdout, stderr) = run(words);
        assert_eq!((code, stdout.as_str()), (2, ""), "{words:?}");
        assert!(stderr.starts_with("error: "), "{stderr}");
    }
    for words in [&["a", "b"][..], &["-p", "1", "a", "b"]] {
        let (code, _, stderr) = run(words);
        assert!(code == 2 && stderr.contains("'b' is one too many"), "{stderr}");
    }
}

#[test]
fn the_man_page_is_the_one_that_is_generated() {
    let page = fs::read_to_string("conf/oneloop.1").unwrap_or_default();
    let (_, generated, _) = run(&["generate", "man"]);
    assert!(page == generated, "renew it: oneloop generate man > conf/oneloop.1");
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["generate", shell]).1.contains("explain"), "{shell}");
    }
}

#[test]
fn every_configuration_that_comes_with_it_is_in_order() {
    let mut files: Vec<_> =
        fs::read_dir("conf").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(files.len() >= 2);
    // What it names is in the container; lifecycle::bare serves by it.
    files.retain(|path| !path.ends_with("container.toml"));
    for file in files.iter().filter_map(|path| path.to_str()) {
        assert_eq!(
            run(&["check", "-c", file]),
            (0, format!("{file} is in order\n"), String::new())
        );
    }
}

#[test]
fn a_mistake_is_shown_with_its_place_and_nothing_is_served() {
    let scratch = Scratch::new();
    let file = scratch.file("a.toml", "[[site]]\nroot = \".\"\nlisen = 1\n");
    let expected = format!(
        "{file}:3:1: unknown key `lisen`\n  3 | lisen = 1\n    | ^^^^^ \
         known here: host, root, index, errors, precompressed, route\n"
    );
    for words in
        [&["check", "-c", &file][..], &["-c", &file], &["explain", "-c", &file, "GET", "/"]]
    {
        assert_eq!(run(words), (1, String::new(), expected.clone()));
    }
    let (code, _, stderr) = run(&["check", "-c", "/no/such.toml"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("oneloop: cannot read /no/such.toml: "), "{stderr}");
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let scratch = Scratch::new();
    let site = "[[site]]\nroot = \".\"\n[[site.route]]\npath = \"*.php\"\n\
                fastcgi.to = \"127.0.0.1:9\"\n[[site.route]]\npath = \"/a/*\"\nfiles = {}\n";
    let file = scratch.file("a.toml", site);
    let (code, stdout, stderr) = run(&["check", "-c", &file]);
    assert_eq!((code, stdout), (0, format!("{file} is in order\n")));
    let expected = format!("{file}:6: warning: \"/a/*\" serves files, and so the sources");
    assert!(stderr.starts_with(&expected) && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn what_check_prints_can_be_served_and_means_the_same() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.0.path().join("www")).unwrap();
    let site = "[[site]]\nroot = \"www\"\n[[site.route]]\npath = \"/a\"\nredirect.to = \"/b\"\n";
    let file = scratch.file("a.toml", site);
    let (code, printed, _) = run(&["check", "--print", "-c", &file]);
    assert_eq!(code, 0);
    assert!(printed.contains(&format!("root = \"{}/www\"", scratch.path())), "{printed}");
    // What the sandbox allows is no option. The folder of the file is a part of it.
    let (options, allowed) = printed.split_once("\n# The sandbox allows").unwrap();
    assert!(allowed.contains(&format!("\n#   read                 {}/www\n", scratch.path())));
    let copy = Scratch::new();
    let copied = copy.file("b.toml", &printed);
    let again = run(&["check", "--print", "-c", &copied]).1;
    assert_eq!(again.split_once("\n# The sandbox allows").unwrap().0, options);
}

#[test]
fn explain_names_the_host_the_routes_their_lines_and_the_file() {
    let scratch = Scratch::new();
    scratch.file("a b.txt", "");
    let site = "[[site]]\nhost = \"a.example\"\n[[site]]\nroot = \".\"\n[[site.route]]\n\
                path = \"*.txt\"\nfields = { X-A = \"1\" }\n";
    let file = scratch.file("a.toml", site);
    let (code, told, _) = run(&["explain", "-c", &file, "GET", "http://b.example/a b.txt#c"]);
    assert_eq!(code, 0);
    let found = format!("{}/a b.txt", scratch.path());
    for part in [&format!("{file}:5"), &format!("{file}:3"), &found, "200 OK", "X-A: 1"] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
    let (_, told, _) = run(&["explain", "-c", &file, "GET", "http://A.EXAMPLE:80?x"]);
    assert!(told.contains("a.example") && told.contains("404 Not Found"), "{told}");
    for (method, url) in [("G T", "/"), ("GET", "b.example/"), ("GET", "http://a b/")] {
        let (code, _, stderr) = run(&["explain", "-c", &file, method, url]);
        assert!(code == 1 && stderr.starts_with("oneloop: "), "{stderr}");
    }
}

#[test]
fn explain_asks_for_a_client_at_a_certain_address() {
    let scratch = Scratch::new();
    let site = "[[site]]\nroot = \".\"\n[[site.route]]\nallow = [\"192.0.2.0/24\"]\n";
    let file = scratch.file("a.toml", site);
    for (from, answer) in [
        (&[][..], "403 Forbidden"),
        (&["--from", "192.0.2.7"], "200 OK"),
        (&["--from", "2001:db8::1"], "403 Forbidden"),
    ] {
        let (_, told, _) = run(&[&["explain", "-c", &file], from, &["GET", "/a.toml"]].concat());
        let client = from.get(1).unwrap_or(&"127.0.0.1");
        assert!(told.starts_with(&format!("client  {client}\n")), "{told}");
        assert!(told.contains(&format!("answer  {answer}")), "{told}");
    }
    assert_eq!(run(&["explain", "-c", &file, "--from", "a.example", "GET", "/"]).0, 2);
}

#[test]
fn quick_mode_serves_a_directory_and_says_where() {
    let scratch = Scratch::new();
    scratch.file("a.txt", "hello");
    let unix = format!("unix:{}/sock", scratch.path());
    let words = [scratch.path(), "-p", "0", "-b", "0.0.0.0", "-b", &unix, "--header", "X-A: 1"];
    let mut served = Served::start(oneloop(&words), 2, false);
    assert!(served.urls[0].starts_with("http://127.0.0.1:"), "{}", served.urls[0]);
    assert_eq!(served.urls[1], unix);
    let answer = served.get("/a.txt");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );
    assert!(answer.contains("\r\nX-A: 1\r\n"), "{answer}");
    let line = served.line();
    assert!(
        line.starts_with("127.0.0.1 ") && line.contains("\"GET /a.txt HTTP/1.1\" 200 5"),
        "{line}"
    );
    let socket = UnixStream::connect(Path::new(&unix["unix:".len()..])).unwrap();
    assert!(ask(socket, "/").unwrap().contains("a.txt"));
    assert_eq!(served.terminate(), 0);
    assert!(!scratch.0.path().join("sock").exists());
}

#[test]
fn quick_mode_shows_the_loop_on_a_port_that_is_free() {
    let scratch = Scratch::new();
    // Both at once cannot have the same.
    let words = [scratch.path(), "-p", "0", "--inspect"];
    let both = [(); 2].map(|()| Served::start(oneloop(&words), 2, false));
    let urls = both.each_ref().map(|served| served.urls[1].clone());
    assert_ne!(urls[0], urls[1]);
    for url in urls {
        let address = url.strip_prefix("http://").unwrap().strip_suffix("/inspect").unwrap();
        assert_eq!(Client::connect(address.parse().unwrap()).get("/inspect").status, 200);
    }
    let (code, _, stderr) = run(&["-c", "a", "--inspect"]);
    assert!(code == 2 && stderr.contains("server.admin says where the inspector is"), "{stderr}");
}

#[test]
fn the_environment_is_heard_where_the_command_line_is_silent() {
    let scratch = Scratch::new();
    scratch.file("b.html", "an index");
    let mut command = oneloop(&["-p", "0"]);
    let variables =
        [("DIR", scratch.path()), ("PORT", "1"), ("INDEX", "b.html"), ("CONFIG", "/no/such")];
    command.envs(variables.map(|(name, value)| (format!("ONELOOP_{name}"), value)));
    let served = Served::start(command, 1, false);
    assert!(served.get("/").ends_with("\r\n\r\nan index"));
}

#[test]
fn a_file_is_served_and_the_log_says_where() {
    let scratch = Scratch::new();
    let log = scratch.0.path().join("log");
    let file = scratch.file(
        "a.toml",
        "server.listen = \"127.0.0.1:0\"\nlog.access = { to = \"./log\", format = \"common\" }\n\
         [[site]]\n[[site.route]]\nrespond = { content = \"pong\" }\n",
    );
    let served = Served::start(oneloop(&["-c", &file]), 1, true);
    assert!(served.get("/").ends_with("\r\n\r\npong"));
    assert_eq!(served.terminate(), 0);
    assert!(fs::read_to_string(log).unwrap().contains("\"GET / HTTP/1.1\" 200 4"));
}

#[test]
fn what_cannot_be_served_is_said_in_a_line() {
    let scratch = Scratch::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, stdout, stderr) = run(&[scratch.path(), "-p", &port]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&format!("127.0.0.1:{port}: Address already in use")), "{stderr}");
    assert!(stderr.contains("another"), "{stderr}");
    let missing = format!("{}/missing", scratch.path());
    let expected = format!("oneloop: there is no directory {missing}\n");
    assert_eq!(run(&[&missing, "-p", "0"]), (1, String::new(), expected));
    let file = scratch.file("a.txt", "");
    let expected =
        format!("oneloop: {file} is not a directory: did you mean {}?\n", scratch.path());
    assert_eq!(run(&[&file, "-p", "0"]), (1, String::new(), expected));
}
