//! The demo site, as README.md promises it: served from conf/demo.toml by the program itself. Every
//! link on its pages leads somewhere, and every command on them does what the page says it does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::programs::has;

/// Links that lead to an error because that is what they show.
const ERRORS: [(&str, u16); 3] = [("/nowhere", 404), ("/app/missing.js", 404), ("/private/", 401)];

/// The address that the pages name; the tests use another port.
const ADDRESS: &str = "127.0.0.1:8080";

#[test]
fn every_link_of_the_demo_leads_somewhere() {
    let demo = Demo::start("links");
    let mut seen: BTreeMap<String, u16> = BTreeMap::new();
    let mut open = vec!["/".to_owned()];
    while let Some(path) = open.pop() {
        let (status, content) = demo.get(&path, "");
        let expected =
            ERRORS.iter().find(|(error, _)| *error == path).map_or(200, |(_, code)| *code);
        assert_eq!(status, expected, "{path}");
        seen.insert(path.clone(), status);
        let content = String::from_utf8_lossy(&content);
        if content.trim_start().to_ascii_lowercase().starts_with("<!doctype html") {
            for link in links(&content).map(|link| resolve(&path, link)) {
                if !seen.contains_key(&link) && !open.contains(&link) {
                    open.push(link);
                }
            }
        }
    }
    for path in ["/files/tune.wav", "/read/loop.html", "/style.css", "/nowhere", "/private/"] {
        assert!(seen.contains_key(path), "nothing links to {path}");
    }
    assert_eq!(demo.get("/private/", "Authorization: Basic dmlzaXRvcjpsb29w\r\n").0, 200);
}

#[test]
fn every_command_of_the_demo_does_what_its_page_says() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start("commands");
    let page = fs::read_to_string(root().join("conf/www/index.html")).expect("the page is there");
    let mut count = 0;
    for block in between(&page, "<pre>", "</pre>") {
        let block = plain(block);
        for transcript in block.split("$ <b>").skip(1) {
            let (command, expected) = transcript.split_once("</b>").expect("a command ends");
            if !command.starts_with("curl ") {
                continue;
            }
            let output = demo.run(&command.replace(ADDRESS, &demo.address));
            let mut rest = output.as_str();
            for part in expected.split(['…', '\n']).filter(|part| !part.is_empty()) {
                let at = rest.find(part);
                let at = at.unwrap_or_else(|| panic!("{command}\n{part:?} is not in\n{output}"));
                rest = &rest[at + part.len()..];
            }
            count += 1;
        }
    }
    assert!(count > 8, "the page has only {count} commands");
}

#[test]
fn compressed_files_are_what_lies_beside_them() {
    if !has("curl") {
        return;
    }
    let demo = Demo::start("compressed");
    let plain = fs::read_to_string(root().join("conf/www/read/loop.html")).expect("it is there");
    for coding in ["br", "gzip"] {
        let url = format!("http://{}/read/loop.html", demo.address);
        let ask = format!("curl -sS -H 'Accept-Encoding: {coding}'");
        let head = demo.run(&format!("{ask} -I {url}"));
        assert!(head.contains(&format!("Content-Encoding: {coding}\n")), "{head}");
        let content = demo.run(&format!("{ask} --compressed {url}"));
        assert!(content == plain, "loop.html has changed: compress it anew ({coding})");
    }
}

/// The program at work, in a folder of its own.
struct Demo {
    program: Child,
    address: String,
    folder: PathBuf,
}

impl Demo {
    /// Serves conf/demo.toml, on a free port.
    fn start(name: &str) -> Self {
        let conf = root().join("conf");
        let folder = std::env::temp_dir().join(format!("oneloop-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder can be made");
        let text = fs::read_to_string(conf.join("demo.toml")).expect("the demo is there");
        assert!(text.contains(ADDRESS), "the pages name {ADDRESS}, and the demo listens elsewhere");
        let mut text = text.replace(ADDRESS, "127.0.0.1:0");
        for path in ["www", "demo.htpasswd"] {
            text = text.replace(&format!("\"{path}"), &format!("\"{}", conf.join(path).display()));
        }
        let file = folder.join("demo.toml");
        fs::write(&file, text).expect("the temporary folder can be written");
        let mut program = Command::new(env!("CARGO_BIN_EXE_oneloop"))
            .arg("-c")
            .arg(&file)
            .env("RUST_LOG", "info")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let errors = BufReader::new(program.stderr.take().expect("it was asked for"));
        let address = errors.lines().map_while(Result::ok).find_map(|line| {
            let (_, url) = line.split_once("http://")?;
            Some(url.trim_end_matches('/').to_owned())
        });
        let address = address.expect("the program says where it listens");
        Demo { program, address, folder }
    }

    /// Status and content of the page that a path leads to, after redirects.
    fn get(&self, path: &str, fields: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).expect("the server accepts");
        let host = &self.address;
        let accept = "Accept: text/html\r\nConnection: close\r\n";
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{accept}{fields}\r\n");
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head ends");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head[9..12].parse().expect("a status is a number");
        match head.lines().find_map(|line| line.strip_prefix("Location: ")) {
            Some(location) => self.get(location, fields),
            None => (status, answer.split_off(end + 4)),
        }
    }

    /// What a command of the shell writes.
    fn run(&self, command: &str) -> String {
        let output = Command::new("sh").args(["-c", command]).current_dir(&self.folder).output();
        let output = output.expect("there is a shell");
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Nothing more can be done about either while a test ends.
        let _ = self.program.kill().and_then(|()| self.program.wait());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands between each `start` and the next `end`.
fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(move |rest| rest.split(end).next())
}

/// The text of a transcript. Commands keep their `<b>`; a line broken by a backslash is one.
fn plain(block: &str) -> String {
    let text = block.replace("<i>", "").replace("</i>", "").replace("\\\n", "");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Where a page's links lead, on this server.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let links = between(page, "href=\"", "\"").chain(between(page, "src=\"", "\""));
    links.filter(|link| !link.starts_with('#') && !link.contains("://"))
}

/// The path that `link` on the page at `base` means.
fn resolve(base: &str, link: &str) -> String {
    let link = link.split('#').next().unwrap_or(link).replace("&amp;", "&");
    let base = base.split('?').next().unwrap_or(base);
    if link.starts_with('/') {
        return link;
    }
    if link.starts_with('?') {
        return format!("{base}{link}");
    }
    let mut folders: Vec<&str> = base.split('/').collect();
    folders.pop();
    let mut rest = link.as_str();
    while let Some(above) = rest.strip_prefix("../") {
        folders.pop();
        rest = above;
    }
    format!("{}/{}", folders.join("/"), rest.strip_prefix("./").unwrap_or(rest))
}
