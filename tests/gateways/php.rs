//! An application in PHP of several files, under php-fpm as Debian packages it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::{World, children, is_alive, json, pid, programs, random_bytes, sha256};
use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::programs::skipped;
use crate::support::running::wait_until;

/// php-fpm: its own configuration, its own socket or port, no file of the system's.
struct Fpm {
    program: PathBuf,
    folder: PathBuf,
    to: String,
    process: Option<std::process::Child>,
}

impl Fpm {
    /// Prepares one in `folder`; None where it is not installed.
    fn new(folder: &Folder, to: String) -> Option<Fpm> {
        let Some(program) = program() else {
            let must = std::env::var_os("ONELOOP_REQUIRE_ALL").is_some_and(|value| value == "1");
            assert!(!must, "php-fpm is not installed, and ONELOOP_REQUIRE_ALL=1 asks for it");
            skipped("php-fpm is not installed");
            return None;
        };
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let path = folder.path().display();
        let listen = to.trim_start_matches("unix:");
        let text = format!(
            "[global]\nerror_log = {path}/fpm.log\ndaemonize = no\n\
             [www]\nuser = {user}\nlisten = {listen}\npm = static\npm.max_children = 3\n\
             env[GATE] = {path}/gate\nphp_value[error_log] =\nphp_flag[log_errors] = on\n\
             php_flag[display_errors] = off\n\
             php_admin_value[upload_max_filesize] = 16M\nphp_admin_value[post_max_size] = 16M\n\
             php_admin_value[output_buffering] = 0\n"
        );
        folder.write("fpm.conf", text);
        Some(Fpm { program, folder: folder.path().to_owned(), to, process: None })
    }

    /// Starts it, and waits until it can be connected to.
    fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--nodaemonize", "--allow-to-run-as-root", "--no-php-ini", "--fpm-config"]);
        command.arg(self.folder.join("fpm.conf")).arg("--prefix").arg(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().unwrap());
        wait_until("php-fpm listens", || match self.to.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path).is_ok(),
            None => std::net::TcpStream::connect(&self.to).is_ok(),
        });
    }

    fn master(&self) -> u32 {
        self.process.as_ref().expect("it was started").id()
    }

    /// Kills the master and all workers, so that none of them says goodbye.
    fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let workers = children(process.id());
        let _ = process.kill();
        let _ = process.wait();
        for worker in workers {
            let _ = kill_process(pid(worker), Signal::KILL);
            wait_until("the worker is gone", || !is_alive(worker));
        }
        if let Some(path) = self.to.strip_prefix("unix:") {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Fpm {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian's php-fpm, whose name tells its version.
fn program() -> Option<PathBuf> {
    let entries = fs::read_dir("/usr/sbin").ok()?.filter_map(Result::ok);
    let mut names: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("php-fpm"))
        .collect();
    names.sort();
    names.pop()
}

/// The application, and the server before it.
struct Application {
    world: World,
    fpm: Fpm,
}

impl Application {
    /// Behind a socket with a path; None where php-fpm is not installed.
    fn start() -> Option<Application> {
        let folder = Folder::new();
        let to = format!("unix:{}/fpm.sock", folder.path().display());
        Application::at(folder, to)
    }

    fn at(folder: Folder, to: String) -> Option<Application> {
        let routes = "[[site.route]]\npath = \"*.php\"\n[site.route.fastcgi]\nto = \"@TO\"\n\
             root = \"@PROGRAMS/php\"\nindex = \"index.php\"\npersistent = 2\n\
             [[site.route]]\npath = \"/shop/*\"\n[site.route.fastcgi]\nto = \"@TO\"\n\
             root = \"@PROGRAMS/php\"\nindex = \"index.php\"\n";
        Application::with(folder, to, routes)
    }

    /// One whose scripts are those of the site, as `routes` say; `@TO` in them is its address.
    fn of_the_site(scripts: &[(&str, &str)], routes: &str) -> Option<Application> {
        let folder = Folder::new();
        for (name, text) in scripts {
            folder.write(&format!("www/{name}"), text);
        }
        let to = format!("unix:{}/fpm.sock", folder.path().display());
        Application::with(folder, to, routes)
    }

    fn with(folder: Folder, to: String, routes: &str) -> Option<Application> {
        let mut fpm = Fpm::new(&folder, to)?;
        fpm.start();
        let routes = routes.replace("@TO", &fpm.to);
        Some(Application { world: World::within(folder, "", &routes), fpm })
    }

    fn connect(&self) -> Client {
        self.world.connect()
    }
}

#[test]
fn a_php_application_answers_forms_and_uploads() {
    let Some(application) = Application::start() else { return };
    let mut client = application.connect();
    let index = json(client.get("/index.php?a=b&c[]=d").text());
    assert_eq!((&index["page"], &index["query"]["c"][0]), (&"index".into(), &"d".into()));
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", "seen=7")];
    let answer = client.request("POST", "/form.php", &form, b"name=J%C3%BCrgen");
    assert_eq!(json(answer.text()), json(r#"{"name":"Jürgen","cookie":"7"}"#));
    assert!(answer.field("Set-Cookie").unwrap().starts_with("seen=1"));
    let twice = answer.fields.iter().filter(|(name, _)| name == "X-Twice");
    assert_eq!(twice.count(), 2);
    let answer = client.get("/form.php");
    assert_eq!((answer.status, answer.field("Allow")), (405, Some("POST")));

    let file = random_bytes(5, 3 << 20);
    let mut content =
        b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\
                        Content-Type: application/octet-stream\r\n\r\n"
            .to_vec();
    content.extend_from_slice(&file);
    content.extend_from_slice(b"\r\n--b--\r\n");
    let fields = [("Content-Type", "multipart/form-data; boundary=b")];
    let plain = client.request("POST", "/upload.php", &fields, &content);
    client.send(
        "POST /upload.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n",
    );
    client.send(super::chunked(&content));
    for answer in [plain, client.response(false)] {
        let said = json(answer.text());
        assert_eq!((&said["error"], &said["size"]), (&0.into(), &file.len().into()), "{said}");
        assert_eq!(said["sha256"], sha256(&file));
        assert_eq!(said["said"], content.len().to_string());
    }
    application.world.assert_well();
}

#[test]
fn a_php_application_knows_who_asks_for_what() {
    let Some(application) = Application::start() else { return };
    let fields = [("X-A", "b"), ("Proxy", "evil")];
    let answer = application.connect().request("GET", "/server.php?q=1", &fields, b"");
    let said = json(answer.text());
    let root = programs("php").display().to_string();
    for (name, value) in [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/server.php?q=1"),
        ("QUERY_STRING", "q=1"),
        ("SCRIPT_NAME", "/server.php"),
        ("SCRIPT_FILENAME", &format!("{root}/server.php")),
        ("DOCUMENT_ROOT", &root),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("HTTP_HOST", "localhost"),
        ("HTTP_X_A", "b"),
        ("PHP_SELF", "/server.php"),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    assert_eq!(said["HTTP_PROXY"], Value::Null);
}

#[test]
fn a_php_application_below_a_prefix_has_an_index() {
    let Some(application) = Application::start() else { return };
    let mut client = application.connect();
    let index = json(client.get("/shop/").text());
    assert_eq!(index["page"], "index");
    let redirected = client.get("/shop/redirect.php");
    assert_eq!(redirected.status, 302);
    assert_eq!(redirected.field("Location"), Some("/form.php"));
}

#[test]
fn scripts_of_the_site_are_found_by_the_whole_path() {
    let scripts = [
        ("shop/index.php", "<?php echo 'shop ', $_SERVER['SCRIPT_NAME'];"),
        ("index.php", "<?php echo 'another';"),
    ];
    let routes = "[[site.route]]\npath = \"/shop/*\"\n\
                  fastcgi = { to = \"@TO\", index = \"index.php\" }\n\
                  [[site.route]]\npath = \"/shop/pictures/*\"\nfiles = { listing = true }\n";
    let Some(application) = Application::of_the_site(&scripts, routes) else { return };
    application.world.folder.write("www/shop/pictures/a.txt", "a picture");
    let mut client = application.connect();
    assert_eq!(client.get("/shop/").text(), "shop /shop/index.php");
    assert_eq!(client.get("/shop/index.php/x").text(), "shop /shop/index.php");
    assert_eq!(client.get("/shop/pictures/a.txt").text(), "a picture");
    // This is the site's file, and nobody's to read below another prefix.
    assert_eq!(client.get("/shop/pictures/index.php").status, 404);
}

/// What the one script of an application is told.
const FRONT: &str = "<?php
header('Content-Type: application/json');
$names = ['REQUEST_METHOD', 'REQUEST_URI', 'SCRIPT_NAME', 'SCRIPT_FILENAME', 'PATH_INFO',
    'PHP_SELF', 'QUERY_STRING'];
$said = ['get' => $_GET, 'post' => $_POST];
foreach ($names as $name) {
    $said[$name] = $_SERVER[$name] ?? '';
}
echo json_encode($said);";

#[test]
fn one_script_answers_for_all_that_is_missing() {
    let routes = "[[site.route]]\npath = \"*.php\"\nfastcgi = { to = \"@TO\" }\n\
                  [[site.route]]\nfallback = \"/index.php\"\n";
    let Some(application) = Application::of_the_site(&[("index.php", FRONT)], routes) else {
        return;
    };
    application.world.folder.write("www/.env", "secret");
    let mut client = application.connect();
    let file = application.world.path("www/index.php").display().to_string();
    for target in ["/user/7?tab=a&b[]=c", "/missing.jpg?tab=a&b[]=c", "/file.txt/x?tab=a&b[]=c"] {
        let said = json(client.get(target).text());
        for (name, value) in [
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", target),
            ("SCRIPT_NAME", "/index.php"),
            ("SCRIPT_FILENAME", &file),
            ("PATH_INFO", ""),
            ("PHP_SELF", "/index.php"),
            ("QUERY_STRING", "tab=a&b[]=c"),
        ] {
            assert_eq!(said[name], value, "{target}: {name}");
        }
        assert_eq!((&said["get"]["tab"], &said["get"]["b"][0]), (&"a".into(), &"c".into()));
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let said = json(client.request("POST", "/user/7?x", &form, b"name=J%C3%BCrgen").text());
    assert_eq!(
        (&said["REQUEST_METHOD"], &said["REQUEST_URI"]),
        (&"POST".into(), &"/user/7?x".into())
    );
    assert_eq!(said["post"], json(r#"{"name":"Jürgen"}"#));
    assert_eq!(client.request("DELETE", "/user/7", &[], b"").status, 200);
    assert_eq!(client.get("/file.txt").text(), "a file");
    assert_eq!(client.request("POST", "/file.txt", &form, b"a=b").status, 405);
    assert_eq!(client.get("/.env").status, 404);
    assert_eq!(client.get("/.git/config").status, 404);
    application.world.assert_well();
}

#[test]
fn what_stands_behind_a_script_is_its_path_info() {
    let routes = "[[site.route]]\npath = \"*.php\"\nfastcgi = { to = \"@TO\" }\n";
    let Some(application) = Application::of_the_site(&[("index.php", FRONT)], routes) else {
        return;
    };
    let mut client = application.connect();
    let said = json(client.get("/index.php/user/7?a").text());
    for (name, value) in [
        ("REQUEST_URI", "/index.php/user/7?a"),
        ("SCRIPT_NAME", "/index.php"),
        ("PATH_INFO", "/user/7"),
        ("PHP_SELF", "/index.php/user/7"),
        ("QUERY_STRING", "a"),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let said = json(client.request("POST", "/index.php/", &form, b"a=b").text());
    assert_eq!((&said["PATH_INFO"], &said["post"]["a"]), (&"/".into(), &"b".into()));
    assert_eq!(client.get("/missing.php/x").status, 404);
    assert_eq!(client.get("/file.txt/index.php").status, 404);
    application.world.assert_well();
}

#[test]
fn what_is_missing_or_broken_says_so() {
    let Some(application) = Application::start() else { return };
    let mut client = application.connect();
    assert_eq!(client.get("/missing.php").status, 404);
    assert_eq!(client.get("/broken.php").status, 500);
    application.world.daemon.says("it is broken");
    assert_eq!(client.get("/complain.php").text(), "fine");
    application.world.daemon.says("something is odd");
    application.world.assert_well();
}

#[test]
fn a_large_page_of_a_php_application_arrives_whole() {
    let Some(application) = Application::start() else { return };
    let mut client = application.connect();
    let answer = client.get("/large.php?8000000");
    assert_eq!(answer.content.len(), 8_000_000);
    let mut lines = answer.content.chunks(8).zip(0..);
    assert!(lines.all(|(line, number)| line == format!("{number:07x}\n").as_bytes()));
}

#[test]
fn php_fpm_behind_a_port() {
    // Somebody else may take the port in between; then php-fpm does not start, and this fails.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let Some(application) = Application::at(Folder::new(), free.to_string()) else { return };
    let mut client = application.connect();
    for _ in 0..10 {
        assert_eq!(json(client.get("/index.php").text())["page"], "index");
    }
}

/// Which worker serves the exchange that waits for the gate.
fn worker(application: &Application) -> u32 {
    application.world.written("gate.id").parse().unwrap()
}

#[test]
fn killing_a_worker_or_all_of_php_fpm_is_seen_and_survived() {
    let Some(mut application) = Application::start() else { return };
    for (query, master) in
        [("before", false), ("content", false), ("before", true), ("content", true)]
    {
        // There are connections to lose.
        assert_eq!(json(application.connect().get("/index.php").text())["page"], "index");
        let mut client = application.connect();
        // A GET that a kept connection has not answered would be asked again.
        client.send(format!("POST /steps.php?{query} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = (query == "content").then(|| client.begin());
        if head.is_some() {
            client.expect_in_chunks("first\n");
        }
        let worker = worker(&application);
        if master {
            application.fpm.kill();
        } else {
            kill_process(pid(worker), Signal::KILL).unwrap();
        }
        match head {
            Some(head) => {
                let rest = client.whole_or_cut(&head);
                assert_eq!(rest, Err(Vec::new()), "{query}");
            }
            None => assert_eq!(client.response(false).status, 502, "{query}"),
        }
        fs::remove_file(application.world.path("gate.id")).unwrap();
        if master {
            assert_eq!(application.connect().get("/index.php").status, 502);
            application.fpm.start();
        }
        wait_until("it is well again", || application.connect().get("/index.php").status == 200);
        for _ in 0..10 {
            assert_eq!(application.connect().get("/index.php").status, 200);
        }
    }
    application.world.assert_well();
}

#[test]
fn php_fpm_restarted_between_two_requests_is_not_noticed() {
    let Some(mut application) = Application::start() else { return };
    let mut client = application.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/index.php").status, 200);
        application.fpm.kill();
        application.fpm.start();
        // The connection that was kept is of no use any more.
        assert_eq!(client.get("/index.php").status, 200);
    }
    assert!(is_alive(application.fpm.master()));
}
