//! GoAccess reads the access log in each of its forms, and rejects no line, whatever clients send.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::programs::is_there;
use crate::support::running::Daemon;

/// How GoAccess is told of the JSON form, as README.md has it.
const JSON: [&str; 2] = [
    "--log-format={\"time\":\"%x\",\"client\":\"%h\",\"user\":\"%e\",\"host\":\"%v\",\
     \"request\":\"%r\",\"status\":\"%s\",\"bytes\":\"%b\",\"referer\":\"%R\",\
     \"user_agent\":\"%u\"}",
    "--datetime-format=%Y-%m-%dT%H:%M:%SZ",
];

/// Requests, well-formed and not, each on a connection of its own.
const REQUESTS: [&str; 22] = [
    "GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /file.txt?a=%22&b=[1] HTTP/1.1\r\nHost: a\r\nReferer: http://b/\"x\" [1]\r\n\
     User-Agent: Mozilla/5.0 (\\x22; \u{fc}) \"%s%n\"\r\n\r\n",
    "GET /file.txt HTTP/1.0\r\nReferer:\r\nUser-Agent:\r\n\r\n",
    "GET /file.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: -\r\nReferer: -\r\n\r\n",
    "HEAD /file.txt HTTP/1.1\r\nHost: A.example:80\r\n\r\n",
    "POST /file.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://a.example/file.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /private HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ZnIiYW4gazpzZWNyZXQ=\r\n\r\n",
    "GET /file.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
    "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\"\\ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\x1b[31m\u{fc}\t HTTP/1.1\r\nHost: a\r\n\r\n",
    "\0\0\0\r\n\r\n",
    "\r\n\r\n \r\n\r\n",
    "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "GET\r\n\r\n",
    "GET /a b c HTTP/1.1\r\nHost: a\r\n\r\n",
    "MADE-UP / HTTP/9.9\r\nHost: a\r\n\r\n",
];

fn visit(mut client: Client, request: &[u8]) {
    client.send(request);
    let _ = client.stream.shutdown(std::net::Shutdown::Write);
    client.read_to_end();
}

/// Lines of all kinds in the form `format`; how many.
fn logged(folder: &Folder, format: &str) -> usize {
    let file = folder.write(
        "oneloop.toml",
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\", \"unix:./socket\"]\n\
             [limits]\nhead = {{ timeout = \"200ms\" }}\n\
             [log]\naccess = {{ to = \"./log\", format = \"{format}\" }}\n\
             [[site]]\nroot = \"www\"\n[[site.route]]\npath = \"/private\"\n\
             auth = {{ basic = \"htpasswd\" }}\n"
        ),
    );
    let daemon = Daemon::configured(&file, "");
    for request in REQUESTS {
        visit(daemon.connect(), request.as_bytes());
    }
    for (field, length) in [("Referer", 9000), ("User-Agent", 9000), ("Host", 300)] {
        for text in ["x", "\"", "\u{fc}"] {
            let field = format!("{field}: {}", text.repeat(length / text.len()));
            let host = if field.starts_with("Host") { "" } else { "Host: a\r\n" };
            let request = format!("GET /file.txt HTTP/1.1\r\n{host}{field}\r\n\r\n");
            visit(daemon.connect(), request.as_bytes());
        }
    }
    for target in ["x".repeat(9000), "%22".repeat(3000)] {
        let request = format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n");
        visit(daemon.connect(), request.as_bytes());
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let line: Vec<u8> = (0..random.usize(1..60)).map(|_| random.u8(..)).collect();
        let line: Vec<u8> = line.into_iter().filter(|byte| !b"\r\n".contains(byte)).collect();
        let request = [b"G", &line[..], b"\r\nHost: a\r\n\r\n"].concat();
        visit(daemon.connect(), &request);
    }
    // Half a head, whose time is over; and a client that has no address.
    let mut late = daemon.connect();
    late.send("GET /file.txt HT");
    assert_eq!(late.response(false).status, 408);
    drop(late);
    let unix = std::os::unix::net::UnixStream::connect(folder.path().join("socket")).unwrap();
    let request = "GET /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut &unix, request.as_bytes()).unwrap();
    unix.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::io::Read::read_to_end(&mut &unix, &mut Vec::new()).unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.wait(), Some(0));
    let lines = fs::read_to_string(folder.path().join("log")).unwrap().lines().count();
    assert!(lines > 200, "{lines} lines");
    lines
}

/// How many lines GoAccess takes and how many it rejects.
fn read(folder: &Path, arguments: &[&str]) -> (u64, u64) {
    let output = Command::new("goaccess")
        .args(["log", "-o", "report.json", "--no-global-config", "--no-progress"])
        .args(["--invalid-requests=rejected"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = fs::read(folder.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let number = |name: &str| report["general"][name].as_u64().unwrap();
    (number("valid_requests"), number("failed_requests"))
}

#[test]
fn goaccess_rejects_no_line_of_any_form() {
    if !is_there("goaccess") {
        return;
    }
    let forms: [(&str, &[&str]); 3] = [
        ("combined", &["--log-format=COMBINED"]),
        ("common", &["--log-format=COMMON"]),
        ("json", &JSON),
    ];
    for (format, arguments) in forms {
        let folder = Folder::new();
        folder.write("www/file.txt", "0123456789");
        folder.write("htpasswd", "");
        let lines = logged(&folder, format);
        let counts = read(folder.path(), arguments);
        let rejected = fs::read_to_string(folder.path().join("rejected")).unwrap_or_default();
        assert_eq!(counts, (lines as u64, 0), "{format}: {rejected}");
    }
}
