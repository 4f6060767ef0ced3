//! The demo site, as README.md promises it: served from conf/demo.toml by the program itself. Every
//! link on its pages leads somewhere, and every command on them does what the page says it does.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::support::client::Response;
use crate::support::folder::Folder;
use crate::support::programs::is_there;
use crate::support::running::Daemon;

/// Links that lead to an error because that is what they show.
const ERRORS: [(&str, u16); 3] = [("/nowhere", 404), ("/app/missing.js", 404), ("/private/", 401)];

/// The address that the pages name; the tests use another port.
const ADDRESS: &str = "127.0.0.1:8080";

#[test]
fn every_link_of_the_demo_leads_somewhere() {
    let demo = Demo::start();
    let seen = demo.crawl();
    for path in [
        "/files/tune.wav",
        "/read/loop.html",
        "/style.css",
        "/nowhere",
        "/private/",
        "/clock.html",
        "/upload.html",
        "/source/clock.sh",
        "/cgi-bin/languages.sh",
    ] {
        assert!(seen.contains(path), "nothing links to {path}");
    }
    let visitor = [("Authorization", "Basic dmlzaXRvcjpsb29w")];
    assert_eq!(demo.get("/private/", &visitor).status, 200);
}

/// The languages whose scripts draw a ring: their names, interpreters and scripts.
const LANGUAGES: [(&str, &str, &str); 4] = [
    ("Python", "python3", "/cgi-bin/ring.py"),
    ("Node", "node", "/cgi-bin/ring.js"),
    ("Ruby", "ruby", "/cgi-bin/ring.rb"),
    ("Perl", "perl", "/cgi-bin/ring.pl"),
];

#[test]
fn each_language_draws_its_ring() {
    let demo = Demo::start();
    for (name, interpreter, path) in LANGUAGES {
        if !is_there(interpreter) {
            continue;
        }
        for (query, stops) in
            [("", 8), ("?stops=3", 3), ("?stops=0", 1), ("?stops=999", 24), ("?stops=<b>", 8)]
        {
            // Most of them take 0 for nothing said.
            let stops = [stops, if stops == 1 { 8 } else { stops }];
            let page = demo.get(&format!("{path}{query}"), &[]);
            assert_eq!(page.status, 200, "{path}{query}");
            assert!(page.text().contains(&format!("<h1>Drawn by {name}.</h1>")), "{path}");
            let drawn = page.text().matches("class=\"station\"").count();
            assert!(stops.contains(&drawn), "{path}{query}: {drawn} stops");
        }
    }
}

#[test]
fn languages_that_are_not_installed_show_as_such() {
    let folder = Folder::new();
    let tools = ["sh", "cat", "date", "head", "sed", "sha256sum", "sleep"];
    for tool in tools {
        let found = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(tool));
        let found = found.iter().find(|path| path.exists()).expect("every system has it");
        symlink(found, folder.path().join(tool)).expect("it can be linked");
    }
    let demo = Demo::with_path(Some(folder.path()));
    demo.crawl();
    for (name, interpreter, path) in LANGUAGES {
        let page = demo.get(path, &[]);
        let title = format!("<h1>There is no {interpreter} here.</h1>");
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains(&title), "{path}: {}", page.text());
        let all = demo.get("/cgi-bin/languages.sh", &[]);
        assert!(all.text().contains(&format!("<th>{name}</th><td>not installed</td>")));
    }
}

#[test]
fn the_clock_ticks_and_luggage_is_weighed() {
    let demo = Demo::start();
    let mut client = demo.daemon.connect();
    client.send("GET /cgi-bin/clock.sh HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.begin();
    assert_eq!(head.field("Content-Type"), Some("text/event-stream"));
    for _ in 0..2 {
        let event = String::from_utf8(client.chunk()).expect("text");
        assert!(event.starts_with("data: ") && event.ends_with("\n\n"), "{event:?}");
    }
    let mut client = demo.daemon.connect();
    let content = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"<i>.txt\"\r\n\
                   Content-Type: text/plain\r\n\r\nhello\r\n--b--\r\n";
    let fields = [("Content-Type", "multipart/form-data; boundary=b"), ("Accept", "text/html")];
    let page = client.request("POST", "/cgi-bin/upload.sh", &fields, content.as_bytes());
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<h1>&lt;i&gt;.txt, 5 bytes</h1>"), "{}", page.text());
    let hash = "sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert!(page.text().contains(hash), "{}", page.text());
    for (content, fields) in [("", &fields[..0]), ("x", &fields[..0]), ("x", &fields[..])] {
        let page = client.request("POST", "/cgi-bin/upload.sh", fields, content.as_bytes());
        assert_eq!(page.status, 400, "{content:?}");
    }
}

#[test]
fn every_command_of_the_demo_does_what_its_page_says() {
    if !is_there("curl") {
        return;
    }
    let demo = Demo::start();
    let page = fs::read_to_string(root().join("conf/www/index.html")).expect("the page is there");
    let mut count = 0;
    for block in between(&page, "<pre>", "</pre>") {
        let block = plain(block);
        for transcript in block.split("$ <b>").skip(1) {
            let (command, expected) = transcript.split_once("</b>").expect("a command ends");
            if !command.starts_with("curl ") {
                continue;
            }
            let output = demo.run(&command.replace(ADDRESS, &demo.daemon.address.to_string()));
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
    if !is_there("curl") {
        return;
    }
    let demo = Demo::start();
    let plain = fs::read_to_string(root().join("conf/www/read/loop.html")).expect("it is there");
    for coding in ["br", "gzip"] {
        let url = format!("{}/read/loop.html", demo.daemon.url());
        let ask = format!("curl -sS -H 'Accept-Encoding: {coding}'");
        let head = demo.run(&format!("{ask} -I {url}"));
        assert!(head.contains(&format!("Content-Encoding: {coding}\n")), "{head}");
        let content = demo.run(&format!("{ask} --compressed {url}"));
        assert!(content == plain, "loop.html has changed: compress it anew ({coding})");
    }
}

/// The program at work, and a folder for what commands leave behind.
struct Demo {
    daemon: Daemon,
    folder: Folder,
}

impl Demo {
    /// Serves conf/demo.toml, on a free port.
    fn start() -> Self {
        Demo::with_path(None)
    }

    /// The same, with another PATH.
    fn with_path(path: Option<&Path>) -> Self {
        let conf = root().join("conf");
        let text = fs::read_to_string(conf.join("demo.toml")).expect("the demo is there");
        assert!(text.contains(ADDRESS), "the pages name {ADDRESS}, and the demo listens elsewhere");
        let mut text = text.replace(ADDRESS, "127.0.0.1:0");
        for path in ["www", "demo.htpasswd", "cgi-bin"] {
            text = text.replace(&format!("\"{path}"), &format!("\"{}", conf.join(path).display()));
        }
        let folder = Folder::new();
        let file = folder.write("demo.toml", text);
        // Where it listens, a server with a configuration says in its log.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$0\" -c \"$1\" 2>&1", env!("CARGO_BIN_EXE_oneloop")]).arg(file);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        Demo { daemon: Daemon::spawn(command), folder }
    }

    /// Follows every link from the first page on; returns the paths that were seen.
    fn crawl(&self) -> BTreeSet<String> {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut open = vec!["/".to_owned()];
        while let Some(path) = open.pop() {
            let page = self.get(&path, &[]);
            let expected =
                ERRORS.iter().find(|(error, _)| *error == path).map_or(200, |(_, code)| *code);
            assert_eq!(page.status, expected, "{path}");
            // A ring leads to rings with more stops and fewer, and these to more of them.
            let is_one_of_many = path.contains("?stops=");
            seen.insert(path.clone());
            if page.field("Content-Type") == Some("text/html; charset=utf-8") && !is_one_of_many {
                for link in links(page.text()).map(|link| resolve(&path, link)) {
                    if !seen.contains(&link) && !open.contains(&link) {
                        open.push(link);
                    }
                }
            }
        }
        seen
    }

    /// The answer to a browser, after redirects.
    fn get(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let fields = [fields, &[("Accept", "text/html")]].concat();
        let response = self.daemon.connect().request("GET", path, &fields, b"");
        match response.field("Location") {
            Some(location) => self.get(location, &fields),
            None => response,
        }
    }

    /// What a command of the shell writes.
    fn run(&self, command: &str) -> String {
        let output =
            Command::new("sh").args(["-c", command]).current_dir(self.folder.path()).output();
        let output = output.expect("there is a shell");
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
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
