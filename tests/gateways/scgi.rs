//! An SCGI application of a few lines, behind a port and behind a path.

use std::process::Command;

use serde_json::Value;

use super::{PYTHON, Started, World, chunked, json, programs, random_bytes, sha256};
use crate::support::folder::Folder;
use crate::support::programs::is_there;

/// The application and the server before it.
struct Application {
    world: World,
    _program: Started,
}

impl Application {
    /// None where Python is not there.
    fn start(on_path: bool) -> Option<Application> {
        if !is_there(PYTHON) {
            return None;
        }
        let folder = Folder::new();
        let mut command = Command::new(PYTHON);
        command.arg(programs("scgi.py")).arg(folder.path().join("gate"));
        let socket = folder.path().join("scgi.sock");
        if on_path {
            command.arg(&socket);
        }
        let program = Started::serving(&command);
        let to = if on_path {
            format!("unix:{}", socket.display())
        } else {
            format!("127.0.0.1:{}", program.port())
        };
        let route = format!(
            "[[site.route]]\npath = \"/app/*\"\nscgi = {{ to = \"{to}\", timeout = \"5s\", \
             environment = {{ LANG = \"C\" }} }}\n"
        );
        Some(Application { world: World::within(folder, "", &route), _program: program })
    }
}

#[test]
fn an_scgi_application_is_told_everything() {
    for on_path in [false, true] {
        let Some(application) = Application::start(on_path) else { return };
        let mut client = application.world.connect();
        let fields = [("X-A", "b"), ("Proxy", "c")];
        let answer = client.request("PUT", "/app/a%20b?q=1", &fields, b"12345");
        assert_eq!(answer.status, 201);
        let said = json(answer.text());
        let variables = &said["variables"];
        for (name, value) in [
            ("CONTENT_LENGTH", "5"),
            ("SCGI", "1"),
            ("REQUEST_METHOD", "PUT"),
            ("REQUEST_URI", "/app/a%20b?q=1"),
            ("QUERY_STRING", "q=1"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("HTTP_X_A", "b"),
            ("LANG", "C"),
            ("REMOTE_ADDR", "127.0.0.1"),
        ] {
            assert_eq!(variables[name], value, "{name}");
        }
        let name = variables["SCRIPT_NAME"].as_str().unwrap().to_owned();
        assert_eq!(name + variables["PATH_INFO"].as_str().unwrap(), "/app/a b");
        assert_eq!(variables["HTTP_PROXY"], Value::Null);
        assert_eq!(json(client.get("/app/").text())["length"], 0);
        application.world.assert_well();
    }
}

#[test]
fn content_of_any_framing_arrives_at_an_scgi_application() {
    let Some(application) = Application::start(false) else { return };
    let content = random_bytes(3, (3 << 20) + 5);
    let mut client = application.world.connect();
    let plain = client.request("POST", "/app/", &[], &content);
    client.send("POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(chunked(&content));
    for answer in [plain, client.response(false)] {
        let said = json(answer.text());
        assert_eq!(said["sha256"], sha256(&content));
        assert_eq!(said["variables"]["CONTENT_LENGTH"], content.len().to_string());
    }
}

#[test]
fn an_scgi_application_streams() {
    let Some(application) = Application::start(false) else { return };
    let mut client = application.world.connect();
    client.send("GET /app/?steps HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.begin().status, 200);
    client.expect_in_chunks("first\n");
    application.world.open_gate();
    client.expect_in_chunks("second\n");
    assert!(client.chunk().is_empty());
}

#[test]
fn an_scgi_application_that_fails_is_a_502_or_a_cut() {
    let Some(application) = Application::start(false) else { return };
    let world = &application.world;
    assert_eq!(world.connect().get("/app/?nothing").status, 502);
    let mut client = world.connect();
    client.send("GET /app/?half HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.begin();
    // A reset is not an end in good order.
    if head.status == 200 {
        let content = client.whole_or_cut(&head).expect_err("it looks whole");
        assert!(b"half of".starts_with(&content[..]));
    } else {
        assert_eq!(head.status, 502);
    }
    assert_eq!(world.connect().get("/app/?dies").status, 502);
    assert_eq!(world.connect().get("/app/").status, 502);
    world.assert_well();
}
