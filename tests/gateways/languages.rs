//! CGI scripts in every language that people write them in.

use std::fs;
use std::process::Command;

use super::{PYTHON, World, programs};
use crate::support::folder::Folder;
use crate::support::programs::is_there;

/// Scripts by directory.
const SCRIPTS: &str = r#"
[[site.route]]
path = "/cgi/*"
cgi = { root = "@PROGRAMS/cgi" }
"#;

/// One script, one interpreter.
fn speaks(language: &str, interpreter: &str, script: &str) {
    if !is_there(interpreter) {
        return;
    }
    answers(&World::start(SCRIPTS), language, script);
}

/// GET with a path behind the script, POST, and a method nobody knows.
fn answers(world: &World, language: &str, script: &str) {
    let mut client = world.connect();
    let answer = client.get(&format!("/cgi/{script}/a%20path"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.text(), format!("{language}: GET /a path \n"));
    let kind = answer.field("Content-Type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    let target = format!("/cgi/{script}/post");
    let answer = client.request("POST", &target, &[], b"one line\nand another");
    assert_eq!(answer.text(), format!("{language}: POST /post one line\n"));
    let answer = client.request("BREW", &target, &[], b"tea");
    assert_eq!(answer.text(), format!("{language}: BREW /post tea\n"));
    world.assert_well();
}

#[test]
fn a_script_of_the_shell() {
    speaks("sh", "/bin/sh", "hello.sh");
}

#[test]
fn a_script_in_python() {
    speaks("python", PYTHON, "hello.py");
}

#[test]
fn a_script_in_perl() {
    speaks("perl", "/usr/bin/perl", "hello.pl");
}

#[test]
fn a_script_in_ruby() {
    speaks("ruby", "/usr/bin/ruby", "hello.rb");
}

#[test]
fn a_script_in_node() {
    speaks("node", "/usr/bin/node", "hello.js");
}

#[test]
fn a_script_in_php() {
    speaks("php", "/usr/bin/php-cgi", "hello.php");
}

#[test]
fn a_program_in_c() {
    if !is_there("cc") {
        return;
    }
    let folder = Folder::new();
    folder.write("cgi/source.c", fs::read(programs("hello.c")).unwrap());
    let [source, program] = ["cgi/source.c", "cgi/hello"].map(|name| folder.path().join(name));
    let compiled = Command::new("cc").arg("-o").args([&program, &source]).status().unwrap();
    assert!(compiled.success());
    let routes = "[[site.route]]\npath = \"/cgi/*\"\ncgi = { root = \"@FOLDER/cgi\" }\n";
    answers(&World::within(folder, "", routes), "c", "hello");
}

#[test]
fn php_as_the_one_program_of_a_route() {
    if !is_there("/usr/bin/php-cgi") {
        return;
    }
    let world = World::start(
        r#"
[[site.route]]
path = "/shop/*"
[site.route.cgi]
program = "/usr/bin/php-cgi"
environment = { SCRIPT_FILENAME = "@PROGRAMS/cgi/hello.php" }
"#,
    );
    let answer = world.connect().request("POST", "/shop/cart/7", &[], b"an apple");
    assert_eq!(answer.text(), "php: POST /cart/7 an apple\n");
}

#[test]
fn a_pattern_names_scripts_wherever_they_are() {
    if !is_there(PYTHON) {
        return;
    }
    let routes = "[[site.route]]\npath = \"*.py\"\ncgi = { root = \"@PROGRAMS/cgi\" }\n";
    let world = World::start(routes);
    let mut client = world.connect();
    assert_eq!(client.get("/hello.py").text(), "python: GET  \n");
    assert_eq!(client.get("/file.txt").text(), "a file");
    assert_eq!(client.get("/missing.py").status, 404);
}

#[test]
fn a_wsgi_application_in_the_handler_of_pythons_library() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(SCRIPTS);
    let mut client = world.connect();
    let answer = client.request("PUT", "/cgi/wsgi.py/a/b", &[], b"desserts");
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.text(), "PUT /cgi/wsgi.py/a/b\nstressed");
    let cookies: Vec<&(String, String)> =
        answer.fields.iter().filter(|(name, _)| name == "Set-Cookie").collect();
    assert_eq!(cookies.len(), 2, "{:?}", answer.fields);
    let answer = client.get("/cgi/wsgi.py/missing");
    assert_eq!((answer.status, answer.text()), (404, "not here\n"));
}

#[test]
fn a_script_runs_where_it_lies() {
    let world = World::start(SCRIPTS);
    let answer = world.connect().get("/cgi/folder/deep.sh/more/path");
    let folder = programs("cgi/folder").display().to_string();
    assert_eq!(answer.text(), format!("/cgi/folder/deep.sh|/more/path|{folder}"));
}
