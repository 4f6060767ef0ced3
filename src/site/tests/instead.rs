//! Who answers where nothing is: programs that take whatever is missing, and what lies below a path
//! that lacks its slash.

use std::rc::Rc;

use super::super::access::{Access, Allow};
use super::super::error_page::ErrorPages;
use super::super::handler::{Request, Response};
use super::super::program::Program;
use super::super::router::Router;
use super::super::rule::Settings;
use super::super::{Inquiry, Site};
use super::scripts::{check, endpoint, fastcgi, plan_of, script, scripts};
use super::{Scratch, ask, at, get};
use crate::http::Limits;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;

fn nobody() -> Settings {
    Settings { access: vec![Rc::new(Access::Allow(Allow::new([])))], ..Settings::default() }
}

fn fallback(path: &str) -> Settings {
    Settings { fallback: Some(path.to_owned()), ..Settings::default() }
}

fn explain(site: &Site, request: &str) -> String {
    let text = format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut space = HeadSpace::new();
    let head = Head::parse(text.as_bytes(), &mut space, &Limits::default()).unwrap();
    let inquiry = Inquiry { head: &head, client: None, content: None, again: false, now: at(0) };
    site.explain(&inquiry).to_string()
}

/// The files of `scratch`, and a program that takes what is missing there.
fn front(scratch: &Scratch) -> Router {
    Router::new()
        .files("/*", scratch.files().index(["index.php", "index.html"]))
        .program("*.php", fastcgi(scratch.www().to_str(), None))
        .settings("/*", fallback("/index.php"))
}

#[test]
fn a_program_takes_whatever_is_missing() {
    let scratch = scripts();
    let site = front(&scratch).build().unwrap();
    let index = || Ok(("/index.php", "", "index.php"));
    check(
        &site,
        &scratch.www(),
        &[
            ("/user/7", index()),
            ("/user/7/?a=b", index()),
            ("/missing.jpg", index()),
            ("/notes.txt/x", index()),
            ("/deep/er/", index()),
            ("/.well-known/x", index()),
            // PHP would run the notes; this one runs what it always runs.
            ("/notes.txt/x.php", index()),
            ("/directory.py/x", index()),
            ("/static/", Err(200)),
            ("/static", Err(301)),
            // What is hidden does not become a program's.
            ("/.git/config", Err(404)),
            ("/.env", Err(404)),
            ("/user/.env", Err(404)),
            ("/.git/x.php", Err(404)),
        ],
    );
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let plan = plan_of(&site, &format!("{method} /user/7?a"), &[]).unwrap();
        assert_eq!(plan.script.name, b"/index.php", "{method}");
        // An origin server would be asked for the client's own target.
        assert_eq!(plan.path, b"/user/7", "{method}");
    }
    for request in ["POST /static/index.html", "PUT /a.py", "TRACE /user/7", "POST /static"] {
        assert_eq!(plan_of(&site, request, &[]).unwrap_err(), 405, "{request}");
    }
    assert_eq!(plan_of(&site, "POST /.env", &[]).unwrap_err(), 405);
    // No browser has to be on its way to a page.
    let fields = ["Accept: image/png", "Sec-Fetch-Mode: cors"];
    assert!(plan_of(&site, "GET /missing", &fields).is_ok());
}

#[test]
fn a_program_takes_what_is_missing_where_nothing_else_answers() {
    let scratch = scripts();
    let site = Router::new()
        .program("/app.py", Program::cgi(scratch.www()))
        .program("/cgi-bin/*", Program::cgi(scratch.www()))
        .program("/run", super::scripts::one(scratch.www().join("run")))
        .settings("/*", fallback("/run"))
        .settings("/circle/*", fallback("/app.py"))
        .build()
        .unwrap();
    assert_eq!(script(&site, "/x/y").unwrap().0, "/run");
    assert_eq!(script(&site, "/cgi-bin/nothing").unwrap().0, "/run");
    assert_eq!(script(&site, "/cgi-bin/a.py").unwrap().0, "/cgi-bin/a.py");
    assert_eq!(script(&site, "/cgi-bin/.hidden.py"), Err(404));
    // The fallback's own program is missing. Nobody takes what is missing there.
    assert_eq!(script(&site, "/circle/x"), Err(404));
    let own = Router::new().program("/a", Program::cgi(scratch.www()));
    let own = own.settings("/*", fallback("/a")).build().unwrap();
    for target in ["/a", "/x"] {
        assert_eq!(script(&own, target), Err(404), "{target}");
    }
}

#[test]
fn what_holds_at_a_missing_path_and_what_holds_at_the_fallback_add_up() {
    let scratch = scripts();
    let limited = |content_limit| Settings { content_limit, ..Settings::default() };
    let named = |name: &str| vec![(name.to_owned(), "x".to_owned())];
    let site = front(&scratch)
        .settings("/closed/*", nobody())
        .settings("/upload/*", Settings { fields: named("X-Upload"), ..limited(Some(9)) })
        .settings("*.php", Settings { fields: named("X-Php"), ..limited(Some(5)) })
        .build()
        .unwrap();
    assert_eq!(plan_of(&site, "GET /closed/x", &[]).unwrap_err(), 403);
    assert_eq!(plan_of(&site, "POST /closed/x", &[]).unwrap_err(), 403);
    assert_eq!(plan_of(&site, "POST /x", &["Content-Length: 6"]).unwrap_err(), 413);
    assert_eq!(plan_of(&site, "POST /upload/x", &["Content-Length: 10"]).unwrap_err(), 413);
    let plan = plan_of(&site, "POST /upload/x", &["Content-Length: 9"]).unwrap();
    assert_eq!((plan.content_limit, &plan.script.name[..]), (9, &b"/index.php"[..]));
    let mut fields = Vec::new();
    plan.complete(&mut fields, Status::OK);
    let fields = String::from_utf8(fields).unwrap();
    assert!(fields.contains("X-Upload: x") && fields.contains("X-Php: x"), "{fields}");

    let site = front(&scratch).settings("/index.php", nobody()).build().unwrap();
    for request in ["GET /", "GET /user/7", "POST /user/7", "GET /index.php/user"] {
        assert_eq!(plan_of(&site, request, &[]).unwrap_err(), 403, "{request}");
    }
    let site = front(&scratch).settings("/index.php/closed/*", nobody()).build().unwrap();
    assert_eq!(plan_of(&site, "GET /index.php/closed/x", &[]).unwrap_err(), 403);
    assert!(plan_of(&site, "GET /index.php/open/x", &[]).is_ok());
}

#[test]
fn the_page_for_an_error_cannot_be_a_programs() {
    let scratch = scripts();
    let mut errors = ErrorPages::default();
    errors.set("404", "/404.php").unwrap();
    let settings = Settings { errors, ..Settings::default() };
    let router = Router::new()
        .files("/*", scratch.files())
        .program("*.php", fastcgi(scratch.www().to_str(), None))
        .settings("/a/*", settings);
    let error = router.build().unwrap_err().to_string();
    assert!(error.contains("404") && error.contains("\"/404.php\""), "{error}");
    assert!(error.contains("\"*.php\""), "{error}");
}

#[test]
fn what_is_answered_below_a_path_is_found_without_its_slash() {
    let scratch = scripts();
    scratch.write("there/index.html", "there");
    let site = front(&scratch)
        .program("/api/*", Program::proxy(endpoint()))
        .program("/u/{id}/*", Program::proxy(endpoint()))
        .respond("/fixed/*", Status::OK, *b"fixed")
        .redirect("/old/*", "/new/{*}")
        .get("/rust/*", |_: &Request<'_>| Response::text("rust"))
        .files("/files/*", scratch.files())
        .program("/there/*", Program::proxy(endpoint()))
        .program("/exact/", Program::proxy(endpoint()))
        .program("/closed/*", Program::proxy(endpoint()))
        .settings("/closed/*", nobody())
        .build()
        .unwrap();
    for (target, location) in [
        ("/api", "/api/"),
        ("/api?a=/b", "/api/?a=/b"),
        ("/u/7%3F", "/u/7%3F/"),
        ("/fixed", "/fixed/"),
        ("/old", "/old/"),
        ("/rust", "/rust/"),
        ("/there", "/there/"),
    ] {
        for method in ["GET", "HEAD"] {
            let got = ask(&site, &format!("{method} {target}"), &[]);
            assert_eq!((got.status, got.field("Location")), (301, Some(location)), "{target}");
        }
    }
    for target in ["/files", "/exact", "/api2", "/u", "/x/api"] {
        assert_eq!(script(&site, target).unwrap().0, "/index.php", "{target}");
    }
    assert_eq!(get(&site, "/closed").status, 403);
    // A form would lose its content on the way.
    assert_eq!(plan_of(&site, "POST /api", &[]).unwrap().script.name, b"/index.php");
    let bare = Router::new().program("/api/*", Program::proxy(endpoint())).build().unwrap();
    assert_eq!(get(&bare, "/api").status, 301);
    assert_eq!(plan_of(&bare, "POST /api", &[]).unwrap_err(), 404);
    assert_eq!(get(&bare, "/x").status, 404);
    let own = Router::new().program("/api/*", Program::proxy(endpoint())).respond(
        "/api",
        Status::OK,
        *b"own",
    );
    assert_eq!(get(&own.build().unwrap(), "/api").text(), "own");
}

#[test]
fn explain_says_who_answers_instead() {
    let scratch = scripts();
    let site = front(&scratch).program("*.py", Program::cgi(scratch.www())).build().unwrap();
    let www = scratch.www().display().to_string();
    let program = "program FastCGI to 127.0.0.1:9000\n";
    for (request, expected) in [
        (
            "GET /user/7",
            format!(
                "file    none at {www}/user/7: there is no such file\ninstead /index.php\n\
                 {program}script  {www}/index.php\n          SCRIPT_NAME=/index.php\n"
            ),
        ),
        ("GET /user/7", "answer  by the program\n".to_owned()),
        ("POST /user/7", format!("instead /index.php\n{program}")),
        ("GET /x.py", "script  none: there is no such script, or it is hidden\ninstead".to_owned()),
        ("GET /index.php/x", format!("{program}script  {www}/index.php\n")),
        ("GET /index.php/x", "SCRIPT_NAME=/index.php\n          PATH_INFO=/x\n".to_owned()),
        ("GET /.env", "names that begin with a dot are not served\nanswer  404".to_owned()),
    ] {
        let text = explain(&site, request);
        assert!(text.contains(&expected), "{request}: {expected}\nis not in\n{text}");
    }
    let text = explain(&site, "GET /index.php/x");
    assert!(!text.contains("none") && !text.contains("instead"), "{text}");
    let site = Router::new().program("/api/*", Program::proxy(endpoint())).build().unwrap();
    let text = explain(&site, "GET /api");
    assert!(text.contains("301 Moved Permanently\n          Location: /api/"), "{text}");
}
