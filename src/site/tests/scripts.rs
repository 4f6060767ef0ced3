//! Which script a path means to a program, over a directory full of traps.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};

use super::super::files::Files;
use super::super::program::{Cgi, Endpoint, FastCgi, Kind, Plan, Program, Scripts, Upstream};
use super::super::router::Router;
use super::super::{Answer, Site};
use super::{Got, Scratch, answer_at, at};

/// A directory of scripts with all that one might find in it, and a program beside it.
pub(super) fn scripts() -> Scratch {
    let scratch = Scratch::new();
    let script = |name: &str| {
        let path = scratch.write(name, "#!/bin/sh\necho secret\n");
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    for name in [
        "run",
        "a.py",
        "deep/er/b.py",
        "deep/index.php",
        "index.php",
        ".hidden.py",
        ".git/hook.py",
        "deep/.secret/c.py",
        "notes.txt",
        "ä b.py",
        "..c.py",
    ] {
        script(name);
    }
    scratch.write("plain.py", "no script");
    scratch.write("static/index.html", "static");
    fs::create_dir(scratch.www().join("directory.py")).unwrap();
    fs::write(scratch.0.path().join("outside.py"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(scratch.0.path().join("outside.py"), PermissionsExt::from_mode(0o755))
        .unwrap();
    for (target, link) in [
        ("../outside.py", "out.py"),
        ("..", "up"),
        ("/bin/sh", "shell.py"),
        ("deep/er/b.py", "inside.py"),
        (".hidden.py", "unhidden.py"),
        ("loop.py", "loop.py"),
        ("nowhere", "dangling.py"),
    ] {
        symlink(target, scratch.www().join(link)).unwrap();
    }
    mkfifoat(CWD, scratch.www().join("fifo.py"), Mode::from_raw_mode(0o755)).unwrap();
    scratch
}

pub(super) fn endpoint() -> Endpoint {
    "127.0.0.1:9000".parse().unwrap()
}

pub(super) fn fastcgi(root: Option<&str>, index: Option<&str>) -> Program {
    Program::new(Kind::FastCgi(FastCgi {
        upstream: Upstream::new(vec![endpoint()]),
        root: root.map(PathBuf::from),
        whole_path: false,
        index: index.map(str::to_owned),
    }))
}

pub(super) fn one(file: impl Into<PathBuf>) -> Program {
    Program::new(Kind::Cgi(Cgi::new(Scripts::One(file.into()))))
}

/// The plan, or the status of what is answered instead.
pub(super) fn plan_of(site: &Site, request: &str, fields: &[&str]) -> Result<Plan, u16> {
    match answer_at(site, at(0), request, fields) {
        Answer::Gateway(plan) => Ok(*plan),
        Answer::Reply(reply) => {
            let got = Got::from(reply);
            assert!(!got.text().contains("secret"), "{request}: {}", got.text());
            Err(got.status)
        }
        Answer::Content { .. } | Answer::Later(_) => panic!("{request}"),
    }
}

/// `SCRIPT_NAME`, `PATH_INFO` and the file.
pub(super) fn script(site: &Site, target: &str) -> Result<(String, String, Option<PathBuf>), u16> {
    let script = plan_of(site, &format!("GET {target}"), &[])?.script;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ok((text(script.name), text(script.path_info), script.file))
}

/// What a path means: `SCRIPT_NAME`, `PATH_INFO` and the file; else a status.
type Meaning<'a> = Result<(&'a str, &'a str, &'a str), u16>;

/// Asks for each target: a status, or `SCRIPT_NAME`, `PATH_INFO` and the file below `root`.
pub(super) fn check(site: &Site, root: &Path, targets: &[(&str, Meaning<'_>)]) {
    for &(target, expected) in targets {
        let expected = expected.map(|(name, info, file)| {
            (name.to_owned(), info.to_owned(), Some(root.join(file)).filter(|_| !file.is_empty()))
        });
        assert_eq!(script(site, target), expected, "{target}");
    }
}

#[test]
fn the_first_file_on_the_way_is_the_script() {
    let scratch = scripts();
    let site = Router::new().program("/cgi-bin/*", Program::cgi(scratch.www())).build().unwrap();
    let long = format!("/cgi-bin/{}", "deep/".repeat(1500));
    check(
        &site,
        &scratch.www(),
        &[
            ("/cgi-bin/run", Ok(("/cgi-bin/run", "", "run"))),
            ("/cgi-bin/run?a=/b", Ok(("/cgi-bin/run", "", "run"))),
            ("/cgi-bin/run/", Ok(("/cgi-bin/run", "/", "run"))),
            ("/cgi-bin/run/a/b%20c", Ok(("/cgi-bin/run", "/a/b c", "run"))),
            ("/cgi-bin/run/.git/a", Ok(("/cgi-bin/run", "/.git/a", "run"))),
            ("/cgi-bin/run/x/../y", Ok(("/cgi-bin/run", "/y", "run"))),
            ("/cgi-bin/run/run", Ok(("/cgi-bin/run", "/run", "run"))),
            ("/cgi-bin//run", Ok(("/cgi-bin/run", "", "run"))),
            ("/cgi-bin/%72un", Ok(("/cgi-bin/run", "", "run"))),
            ("/cgi-bin/deep/er/b.py/x", Ok(("/cgi-bin/deep/er/b.py", "/x", "deep/er/b.py"))),
            ("/cgi-bin/%C3%A4%20b.py", Ok(("/cgi-bin/ä b.py", "", "ä b.py"))),
            // A link is run as what it leads to.
            ("/cgi-bin/inside.py/x", Ok(("/cgi-bin/inside.py", "/x", "deep/er/b.py"))),
            ("/cgi-bin/run/x%2fy", Err(400)),
            ("/cgi-bin/run/%00", Err(400)),
            ("/cgi-bin/run%00.py", Err(400)),
            ("/cgi-bin/../../run", Err(400)),
            ("/cgi-bin/..%2foutside.py", Err(400)),
            ("/cgi-bin/run/../../run", Err(404)),
            ("/cgi-bin", Err(301)),
            ("/cgi-bin/", Err(404)),
            ("/cgi-bin/deep", Err(404)),
            ("/cgi-bin/deep/", Err(404)),
            ("/cgi-bin/nothing/x", Err(404)),
            ("/cgi-bin/deep/nothing", Err(404)),
            ("/cgi-bin/directory.py", Err(404)),
            ("/cgi-bin/directory.py/", Err(404)),
            ("/cgi-bin/.hidden.py", Err(404)),
            ("/cgi-bin/..c.py", Err(404)),
            ("/cgi-bin/.git/hook.py", Err(404)),
            ("/cgi-bin/deep/.secret/c.py", Err(404)),
            ("/cgi-bin/out.py", Err(404)),
            ("/cgi-bin/up/outside.py", Err(404)),
            ("/cgi-bin/up/www/run", Err(404)),
            ("/cgi-bin/shell.py", Err(404)),
            ("/cgi-bin/loop.py/x", Err(404)),
            ("/cgi-bin/dangling.py", Err(404)),
            ("/cgi-bin/plain.py", Err(403)),
            ("/cgi-bin/plain.py/x", Err(403)),
            ("/cgi-bin/fifo.py", Err(403)),
            (&long, Err(404)),
        ],
    );
    let plan = plan_of(&site, "GET /cgi-bin/run/a", &[]).unwrap();
    assert_eq!(plan.script.root, Some(scratch.www()));
    assert_eq!(plan.path, b"/cgi-bin/run/a");
}

#[test]
fn scripts_that_are_told_by_their_ending_must_have_it() {
    let scratch = scripts();
    let router = Router::new().files("/*", scratch.files());
    let site = router.program("*.py", Program::cgi(scratch.www())).build().unwrap();
    check(
        &site,
        &scratch.www(),
        &[
            ("/a.py", Ok(("/a.py", "", "a.py"))),
            ("/deep/er/b.py", Ok(("/deep/er/b.py", "", "deep/er/b.py"))),
            ("/a.py/b.py", Ok(("/a.py", "/b.py", "a.py"))),
            // Executable, but not by that name.
            ("/notes.txt/b.py", Err(404)),
            ("/run/.py", Err(404)),
            ("/.py", Err(404)),
            ("/directory.py", Err(404)),
            // By their ending, files would answer here.
            ("/a.py/", Ok(("/a.py", "/", "a.py"))),
            ("/a.py/b?c", Ok(("/a.py", "/b", "a.py"))),
            ("/a.py/.git/b", Ok(("/a.py", "/.git/b", "a.py"))),
            ("/deep/er/b.py/x/y", Ok(("/deep/er/b.py", "/x/y", "deep/er/b.py"))),
            ("/inside.py/x", Ok(("/inside.py", "/x", "deep/er/b.py"))),
            ("/a.py/b.py/c", Ok(("/a.py", "/b.py/c", "a.py"))),
            ("/plain.py/x", Err(403)),
            ("/notes.txt/x", Err(404)),
            ("/notes.txt/b.py/x", Err(404)),
            ("/nothing.py/a.py/x", Err(404)),
            ("/directory.py/", Err(404)),
            ("/directory.py/x", Err(404)),
            ("/fifo.py/x", Err(404)),
            ("/out.py/x", Err(404)),
            ("/up/outside.py/x", Err(404)),
            ("/loop.py/x", Err(404)),
            ("/dangling.py/x", Err(404)),
            ("/.hidden.py/x", Err(404)),
            ("/deep/.secret/c.py/x", Err(404)),
            ("/a.py/%00", Err(400)),
            ("/static/", Err(200)),
        ],
    );
    let plan = plan_of(&site, "GET /a.py", &[]).unwrap();
    assert_eq!(plan.script.root, Some(scratch.www()));
    assert_eq!(plan_of(&site, "POST /a.py/b", &[]).unwrap().path, b"/a.py/b");
    assert_eq!(plan_of(&site, "TRACE /a.py/b", &[]).unwrap_err(), 405);
    let many = "/a.py".repeat(1500);
    assert!(plan_of(&site, &format!("GET {many}/x"), &[]).is_ok());
}

#[test]
fn a_path_that_goes_on_behind_a_script_needs_a_script_that_is_seen() {
    let scratch = scripts();
    scratch.write("beside/a.php/x", "a file below what is called so");
    let root = scratch.www();
    let files = || scratch.files().index(["index.php"]);
    let beside = Files::new(root.join("beside")).unwrap();
    let site = Router::new()
        .files("/*", files())
        .files("/b/*", beside)
        .program("*.php", fastcgi(root.to_str(), Some("index.php")))
        .program("/deep/*.php", fastcgi(Some("/no-such"), None))
        .program("*.md", one(root.join("run")))
        .program("*.app", Program::proxy(endpoint()))
        .program("/index.php/own/*", Program::proxy(endpoint()))
        .build()
        .unwrap();
    scratch.write("b/a.php", "secret");
    scratch.write("x.md", "secret");
    scratch.write("x.app", "secret");
    check(
        &site,
        &root,
        &[
            ("/index.php/user/7", Ok(("/index.php", "/user/7", "index.php"))),
            ("/index.php/", Ok(("/index.php", "/", "index.php"))),
            ("/index.php/own/x", Ok(("", "", ""))),
            // The file is there. Behind a script of its name goes only what is missing.
            ("/b/a.php/x", Err(200)),
            // Where the application sees its scripts, we do not.
            ("/deep/index.php/x", Err(404)),
            ("/x.md/y", Err(404)),
            ("/x.app/y", Err(404)),
            ("/notes.txt/x.php/y", Err(404)),
            ("/else/where.php/y", Err(404)),
        ],
    );
}

#[test]
fn one_program_answers_for_all_below_its_prefix() {
    let scratch = scripts();
    let run = scratch.www().join("run");
    let site = Router::new()
        .files("/*", scratch.files())
        .program("/git/*", one(&run))
        .program("/exact", one(&run))
        .program("*.md", one(&run))
        .program("/u/{id}/*", one(&run))
        .build()
        .unwrap();
    check(
        &site,
        Path::new(""),
        &[
            ("/git/", Ok(("/git", "/", run.to_str().unwrap()))),
            ("/git/a.git/.x/info", Ok(("/git", "/a.git/.x/info", run.to_str().unwrap()))),
            ("/exact", Ok(("/exact", "", run.to_str().unwrap()))),
            ("/a/b.md", Ok(("", "/a/b.md", run.to_str().unwrap()))),
            ("/u/7/x/y", Ok(("/u/7", "/x/y", run.to_str().unwrap()))),
            ("/git", Err(301)),
            ("/exact/", Err(404)),
        ],
    );
    let plan = plan_of(&site, "GET /git/x", &[]).unwrap();
    assert_eq!(plan.script.root, Some(scratch.www()));
    let alone = Router::new().program("/*", one(&run)).build().unwrap();
    assert_eq!(script(&alone, "/"), Ok((String::new(), "/".into(), Some(run))));
    assert_eq!(plan_of(&alone, "GET /", &[]).unwrap().script.root, None);
}

#[test]
fn scripts_of_the_whole_path_are_found_below_their_folder() {
    let scratch = scripts();
    let of_the_site = |index: Option<&str>| {
        let mut program = fastcgi(scratch.www().to_str(), index);
        if let Kind::FastCgi(fastcgi) = &mut program.kind {
            fastcgi.whole_path = true;
        }
        program
    };
    let site = Router::new()
        .program("/deep/*", of_the_site(Some("index.php")))
        .program("/pl/*.pl", of_the_site(None))
        .build()
        .unwrap();
    check(
        &site,
        &scratch.www(),
        &[
            ("/deep/", Ok(("/deep/index.php", "", "deep/index.php"))),
            ("/deep/er/x.php/y", Ok(("/deep/er/x.php", "/y", "deep/er/x.php"))),
            ("/pl/a.pl/b.pl", Ok(("/pl/a.pl", "/b.pl", "pl/a.pl"))),
            ("/deep/.secret/c.php", Err(404)),
        ],
    );
    assert_eq!(plan_of(&site, "GET /deep/", &[]).unwrap().script.root, Some(scratch.www()));
}

#[test]
fn an_application_with_scripts_of_its_own_is_told_which() {
    let scratch = scripts();
    let root = scratch.www();
    let root = root.to_str();
    let site = Router::new()
        .program("*.php", fastcgi(root, Some("index.php")))
        .program("/app/*", fastcgi(root, Some("index.php")))
        .program("/bare/*", fastcgi(root, None))
        .program("/pl/*.pl", fastcgi(root, None))
        .program("/single/*", fastcgi(None, None))
        .build()
        .unwrap();
    check(
        &site,
        &scratch.www(),
        &[
            ("/index.php", Ok(("/index.php", "", "index.php"))),
            // It may be there for the application.
            ("/else/where.php", Ok(("/else/where.php", "", "else/where.php"))),
            ("/index.php/x.php", Ok(("/index.php", "/x.php", "index.php"))),
            ("/app/", Ok(("/app/index.php", "", "index.php"))),
            ("/app/deep/", Ok(("/app/deep/index.php", "", "deep/index.php"))),
            ("/app/index.php/a/b", Ok(("/app/index.php", "/a/b", "index.php"))),
            ("/app/index.php/", Ok(("/app/index.php", "/", "index.php"))),
            ("/app/index.php/.x", Ok(("/app/index.php", "/.x", "index.php"))),
            ("/app/x/y", Ok(("/app/x/y", "", "x/y"))),
            ("/bare/x", Ok(("/bare/x", "", "x"))),
            ("/pl/a.pl/b.pl", Ok(("/pl/a.pl", "/b.pl", "a.pl"))),
            ("/single/", Ok(("/single", "/", ""))),
            ("/single/x.php/.y", Ok(("/single", "/x.php/.y", ""))),
            ("/.hidden.php", Err(404)),
            ("/.git/x.php", Err(404)),
            ("/app/.git/x.php/y", Err(404)),
            // PHP would run the notes.
            ("/notes.txt/x.php", Err(404)),
            ("/app/notes.txt/a/x.php", Err(404)),
            ("/app/notes.txt/", Err(404)),
            ("/x%2f.php", Err(400)),
            ("/x%00.php", Err(400)),
        ],
    );
}

/// The status where nothing is, else 0.
fn status_at(site: &Site, milliseconds: u64, target: &str) -> u16 {
    match answer_at(site, at(milliseconds), &format!("GET {target}"), &[]) {
        Answer::Reply(reply) => reply.status.code(),
        Answer::Gateway(_) => 0,
        Answer::Content { .. } | Answer::Later(_) => panic!("{target}"),
    }
}

#[test]
fn a_directory_of_scripts_that_becomes_a_file_is_one_at_once() {
    let scratch = scripts();
    let root = scratch.www();
    let site = Router::new().program("/*", fastcgi(root.to_str(), None)).build().unwrap();
    for target in ["/a.py", "/deep/er/b.py", "/deep/er/b.py", "/deep/er/nothing.py"] {
        assert_eq!(status_at(&site, 0, target), 0, "{target}");
    }
    fs::rename(root.join("deep"), root.join("away")).unwrap();
    assert_eq!(status_at(&site, 1, "/deep/er/b.py"), 0, "an application may see it elsewhere");
    fs::write(root.join("deep"), "a picture").unwrap();
    assert_eq!(status_at(&site, 2, "/deep/er/b.py"), 404);
    assert_eq!(status_at(&site, 3, "/deep/index.php"), 404);
    assert_eq!(status_at(&site, 4, "/a.py"), 0);
    fs::remove_file(root.join("deep")).unwrap();
    fs::rename(root.join("away"), root.join("deep")).unwrap();
    assert_eq!(status_at(&site, 5, "/deep/er/b.py"), 0);
}

#[test]
fn what_lies_behind_a_link_is_looked_at_each_time() {
    let scratch = scripts();
    let root = scratch.www();
    fs::create_dir_all(root.join("x/y/z")).unwrap();
    symlink("x/y/z", root.join("link")).unwrap();
    let site = Router::new().program("/*", fastcgi(root.to_str(), None)).build().unwrap();
    assert_eq!(status_at(&site, 0, "/link/b.py"), 0);
    // Nobody watches x.
    fs::rename(root.join("x/y"), root.join("x/away")).unwrap();
    fs::create_dir(root.join("x/y")).unwrap();
    fs::write(root.join("x/y/z"), "a picture").unwrap();
    assert_eq!(status_at(&site, 1, "/link/b.py"), 404);
}

#[test]
fn a_root_of_scripts_that_becomes_another_one_is_seen_within_a_second() {
    let scratch = scripts();
    let current = scratch.0.path().join("current");
    symlink("www", &current).unwrap();
    let site = Router::new().program("/*", fastcgi(current.to_str(), None)).build().unwrap();
    assert_eq!(status_at(&site, 0, "/deep/index.php"), 0);
    fs::create_dir(scratch.0.path().join("next")).unwrap();
    fs::write(scratch.0.path().join("next/deep"), "a picture").unwrap();
    symlink("next", scratch.0.path().join("link")).unwrap();
    fs::rename(scratch.0.path().join("link"), &current).unwrap();
    assert_eq!(status_at(&site, 1000, "/deep/index.php"), 404);
}

#[test]
fn directories_of_scripts_may_be_many() {
    let scratch = Scratch::new();
    for number in 0..100 {
        scratch.write(&format!("{number}/a.py"), "");
    }
    let root = scratch.www();
    let site = Router::new().program("/*", fastcgi(root.to_str(), None)).build().unwrap();
    for number in (0..100).chain(0..100) {
        assert_eq!(status_at(&site, number, &format!("/{number}/a.py")), 0);
    }
    assert_eq!(site.watches.held(), 1 + 64);
}
