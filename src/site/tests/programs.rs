//! Programs: what is theirs to answer, what guards them, and that no source of one ever leaks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;

use super::super::access::{Access, Allow};
use super::super::error_page::ErrorPages;
use super::super::program::{Endpoint, HostField, Kind, Program, Proxy, Scgi, Upstream};
use super::super::router::Router;
use super::super::rule::{RouteNumber, Settings};
use super::super::{Answer, Inquiry};
use super::scripts::{check, endpoint, fastcgi, one, plan_of, script, scripts};
use super::{Got, answer_at, ask, at, get};
use crate::gateway::Script;
use crate::http::Limits;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;

#[test]
fn scgi_and_proxies_need_no_script() {
    let upstream = Upstream::new(vec![endpoint()]);
    let scgi = Scgi { upstream, root: Some("/srv".into()) };
    let site = Router::new()
        .program("/wsgi/*", Program::new(Kind::Scgi(scgi)))
        .program("/api/*", Program::proxy(endpoint()))
        .build()
        .unwrap();
    assert_eq!(script(&site, "/wsgi/a/.b/"), Ok(("/wsgi".into(), "/a/.b/".into(), None)));
    let plan = plan_of(&site, "GET /wsgi/x", &[]).unwrap();
    assert_eq!(plan.script.root, Some("/srv".into()));
    let plan = plan_of(&site, "GET /api/%61/.b?c", &[]).unwrap();
    assert_eq!((plan.script, &plan.path[..]), (Script::default(), &b"/api/a/.b"[..]));
    assert_eq!(site.programs().count(), 2);
    assert!(site.programs().any(|program| Rc::ptr_eq(program, &plan.program)));
}

#[test]
fn every_method_but_two_is_the_programs() {
    let site = Router::new().program("/*", Program::proxy(endpoint())).build().unwrap();
    for method in
        ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "get", "X"]
    {
        assert!(plan_of(&site, &format!("{method} /x"), &[]).is_ok(), "{method}");
    }
    assert_eq!(plan_of(&site, "TRACE /x", &[]).unwrap_err(), 405);
    assert_eq!(plan_of(&site, "CONNECT h:1", &[]).unwrap_err(), 405);
    // This asks the server itself.
    assert_eq!(plan_of(&site, "OPTIONS *", &[]).unwrap_err(), 204);
}

#[test]
fn a_request_that_may_not_be_passed_on_is_answered_here() {
    let guarded =
        Settings { access: vec![Rc::new(Access::Allow(Allow::new([])))], ..Settings::default() };
    let scgi = Scgi { upstream: Upstream::new(vec![endpoint()]), root: None };
    let site = Router::new()
        .program("/*", Program::proxy(endpoint()))
        .program("/scgi/*", Program::new(Kind::Scgi(scgi)))
        .settings("/guarded/*", guarded);
    let site = site.build().unwrap();
    let last = &["Max-Forwards: 0"];
    let got = ask(&site, "OPTIONS /x", last);
    assert_eq!(
        (got.status, got.field("Allow")),
        (204, ask(&site, "OPTIONS *", &[]).field("Allow"))
    );
    assert_eq!(plan_of(&site, "OPTIONS /guarded/x", last).unwrap_err(), 403);
    for (request, fields) in [
        ("GET /x", last),
        ("OPTIONS /x", &["Max-Forwards: 1"]),
        ("OPTIONS /x", &["Max-Forwards: -0"]),
        ("OPTIONS /scgi/x", last),
    ] {
        assert!(plan_of(&site, request, fields).is_ok(), "{request} {fields:?}");
    }
}

#[test]
fn too_much_content_is_refused_before_anything_is_started() {
    let small = Settings { content_limit: Some(5), ..Settings::default() };
    let site = Router::new().program("/*", Program::proxy(endpoint())).settings("/*", small);
    let site = site.build().unwrap();
    assert_eq!(plan_of(&site, "PUT /", &["Content-Length: 6"]).unwrap_err(), 413);
    assert_eq!(plan_of(&site, "PUT /", &["Content-Length: 5"]).unwrap().content_limit, 5);
    // Nobody knows yet how much it is.
    assert!(plan_of(&site, "PUT /", &["Transfer-Encoding: chunked"]).is_ok());
}

#[test]
fn a_program_stands_for_its_directory_and_its_source_stays_here() {
    let scratch = scripts();
    let root = scratch.www();
    let root = root.to_str();
    let files = || scratch.files().index(["index.php", "index.html"]).listing(true);
    let pages = |key: &str, path: &str| {
        let mut errors = ErrorPages::default();
        errors.set(key, path).unwrap();
        errors
    };
    let settings = Settings { errors: pages("404", "/deep/"), ..Settings::default() };
    let site = Router::new()
        .files("/*", files())
        .program("*.php", fastcgi(root, None))
        .settings("/*", settings)
        .build()
        .unwrap();
    check(
        &site,
        &scratch.www(),
        &[
            ("/", Ok(("/index.php", "", "index.php"))),
            ("/deep/", Ok(("/deep/index.php", "", "deep/index.php"))),
            ("/deep/?x", Ok(("/deep/index.php", "", "deep/index.php"))),
            ("/index.php", Ok(("/index.php", "", "index.php"))),
            ("/deep", Err(301)),
            ("/index.php/", Ok(("/index.php", "/", "index.php"))),
            ("/static/", Err(200)),
            ("/deep/er/", Err(200)),
            ("/nothing", Err(404)),
        ],
    );
    assert_eq!(plan_of(&site, "GET /deep/", &[]).unwrap().path, b"/deep/index.php");
    assert!(plan_of(&site, "POST /deep/", &[]).is_ok());
    assert!(plan_of(&site, "OPTIONS /deep/", &[]).is_ok());
    assert_eq!(plan_of(&site, "TRACE /deep/", &[]).unwrap_err(), 405);
    assert_eq!(plan_of(&site, "POST /static/", &[]).unwrap_err(), 405);
    assert_eq!(plan_of(&site, "POST /static/index.html", &[]).unwrap_err(), 405);
    // The page for errors is no program's to make; nor is it its source.
    assert!(get(&site, "/nothing").text().contains("Not Found"));

    // A page that was there first is kept, until the program comes to be there.
    let index = scratch.write("static/index.php", "secret");
    let later = answer_at(&site, at(5000), "GET /static/", &[]);
    assert!(matches!(later, Answer::Gateway(_)), "{later:?}");
    fs::remove_file(&index).unwrap();
    fs::create_dir(&index).unwrap();
    assert_eq!(plan_of(&site, "GET /static/", &[]).unwrap_err(), 200);
}

#[test]
fn without_a_right_to_read_it_a_script_still_stands_for_its_directory() {
    let scratch = scripts();
    let closed = PermissionsExt::from_mode(0o111);
    fs::set_permissions(scratch.www().join("deep/index.php"), closed).unwrap();
    let site = Router::new()
        .files("/*", scratch.files().index(["index.php"]))
        .program("*.php", Program::cgi(scratch.www()))
        .build()
        .unwrap();
    assert!(plan_of(&site, "GET /deep/", &[]).is_ok());
}

#[test]
fn what_guards_a_path_guards_the_program_there() {
    let scratch = scripts();
    let nobody =
        || Settings { access: vec![Rc::new(Access::Allow(Allow::new([])))], ..Settings::default() };
    let site = Router::new()
        .files("/*", scratch.files().index(["index.php"]))
        .program("*.php", Program::cgi(scratch.www()))
        .program("/cgi-bin/*", Program::cgi(scratch.www()))
        .settings("/deep/*", nobody())
        .settings("/cgi-bin/a.py", nobody())
        .settings("/index.php", nobody())
        .build()
        .unwrap();
    for target in [
        "/deep/index.php",
        "/deep/",
        "/%64eep/index.php",
        "/x/../deep/index.php",
        "/cgi-bin/a.py",
        // The same script by another path.
        "/cgi-bin/a.py/",
        "/cgi-bin/a.py/x/y",
        // The directory is open to all, the program that stands for it is not.
        "/",
    ] {
        assert_eq!(plan_of(&site, &format!("GET {target}"), &[]).unwrap_err(), 403, "{target}");
        assert_eq!(plan_of(&site, &format!("POST {target}"), &[]).unwrap_err(), 403, "{target}");
    }
}

#[test]
fn what_guards_an_index_script_guards_its_directory() {
    let nobody =
        || Settings { access: vec![Rc::new(Access::Allow(Allow::new([])))], ..Settings::default() };
    let site = Router::new()
        .program("/app/*", fastcgi(Some("/srv/app"), Some("index.php")))
        .settings("/app/index.php", nobody())
        .build()
        .unwrap();
    for target in ["/app/index.php", "/app/", "/app/index.php/x"] {
        assert_eq!(plan_of(&site, &format!("GET {target}"), &[]).unwrap_err(), 403, "{target}");
    }
    assert!(plan_of(&site, "GET /app/other.php", &[]).is_ok());
}

#[test]
fn a_gateway_that_fails_is_answered_with_the_routes_page() {
    let scratch = scripts();
    scratch.write("502.html", "<p>resting");
    let mut errors = ErrorPages::default();
    errors.set("502", "/502.html").unwrap();
    let fields = vec![("X-Site".to_owned(), "s".to_owned())];
    let settings = Settings { fields, errors, ..Settings::default() };
    let site = Router::new()
        .files("/*", scratch.files())
        .program("/api/*", Program::proxy(endpoint()))
        .settings("/*", settings)
        .build()
        .unwrap();
    let text = b"GET /api/x HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut space = HeadSpace::new();
    let head = Head::parse(text, &mut space, &Limits::default()).unwrap();
    let inquiry = Inquiry { head: &head, client: None, content: None, again: false, now: at(0) };
    let Answer::Gateway(mut plan) = site.answer(&inquiry, &mut RouteNumber::default()) else {
        panic!()
    };
    plan.user = Some("somebody".into());
    let fail = |status, own: &[u8]| Got::from(site.fail(&inquiry, &plan, status, own));
    let got = fail(Status::BAD_GATEWAY, b"Retry-After: 3\r\n");
    assert_eq!((got.status, got.text()), (502, "<p>resting"));
    assert_eq!((got.field("X-Site"), got.field("Retry-After")), (Some("s"), Some("3")));
    assert_eq!(got.user.as_deref(), Some("somebody"));
    let got = fail(Status::GATEWAY_TIMEOUT, b"");
    assert!(got.status == 504 && got.text().contains("Gateway Timeout"), "{got:?}");
    let mut own = b"x-site: own\r\n".to_vec();
    plan.complete(&mut own, Status::OK);
    assert_eq!(own, b"x-site: own\r\n");
}

#[test]
fn programs_that_cannot_be_used_are_refused() {
    let scratch = scripts();
    let www = scratch.www();
    let nowhere = Proxy { upstream: Upstream::new(vec![]), strip: None, host: HostField::Keep };
    for (program, reason) in [
        (Program::cgi(www.join("nothing")), "nothing"),
        (Program::cgi(www.join("run")), "run"),
        (one(www.join("nothing")), "nothing"),
        (one(www.join("plain.py")), "ermission denied"),
        (one(www.join("deep")), "deep"),
        (one(www.join("fifo.py")), "fifo.py"),
        (Program::new(Kind::Proxy(nowhere)), "no endpoint"),
    ] {
        let error = Router::new().program("/*", program).build().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let twice = Router::new().program("/*", one(www.join("run"))).files("/*", scratch.files());
    assert!(twice.build().unwrap_err().to_string().contains("two actions"));
}

#[test]
fn endpoints_are_addresses_names_and_sockets() {
    for text in ["127.0.0.1:1", "[::1]:65535", "unix:/run/x y.sock", "app_1.internal:80", "a:8"] {
        let endpoint: Endpoint = text.parse().expect(text);
        assert_eq!(endpoint.to_string(), text);
    }
    let long = format!("unix:/{}", "x".repeat(107));
    let label = format!("{}:80", "x".repeat(64));
    for text in [
        "",
        ":",
        "a",
        "a:",
        ":80",
        "a:0",
        "127.0.0.1:0",
        "a:65536",
        "a:+1",
        "a:-1",
        "a b:1",
        "a..b:1",
        "127.1:80",
        "1.2.3.4.5:80",
        "[::1]",
        "::1:80",
        "unix:",
        "unix:x",
        "unix:/a\0",
        "a/b:80",
        "ä:1",
        "http://a:80",
        "u@a:80",
        &long,
        &label,
    ] {
        assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
    }
}

#[test]
fn explain_says_which_program_would_answer() {
    let scratch = scripts();
    let www = scratch.www();
    let site = Router::new()
        .files("/*", scratch.files().index(["index.php"]))
        .program("*.php", fastcgi(www.to_str(), None))
        .program("/cgi-bin/*", Program::cgi(&www))
        .program("/api/*", Program::proxy("unix:/run/api.sock".parse().unwrap()))
        .build()
        .unwrap();
    let explain = |target: &str| {
        let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut space = HeadSpace::new();
        let head = Head::parse(text.as_bytes(), &mut space, &Limits::default()).unwrap();
        let inquiry =
            Inquiry { head: &head, client: None, content: None, again: false, now: at(0) };
        site.explain(&inquiry).to_string()
    };
    for (target, said) in [
        ("/cgi-bin/run/x", "SCRIPT_NAME=/cgi-bin/run\n          PATH_INFO=/x\n"),
        ("/cgi-bin/run/x", "answer  by the program\n"),
        ("/cgi-bin/plain.py", "script  none: the server may not run it\n"),
        ("/cgi-bin/plain.py", "answer  403"),
        ("/cgi-bin/x", "script  none: there is no such script, or it is hidden\n"),
        ("/", "program FastCGI to 127.0.0.1:9000\n"),
        ("/", "SCRIPT_NAME=/index.php\n"),
        ("/api/x", "program proxy to unix:/run/api.sock\nanswer  by the program\n"),
    ] {
        let text = explain(target);
        assert!(text.contains(said), "{target}:\n{text}");
    }
    assert!(explain("/cgi-bin/run").contains(&format!("script  {}", www.join("run").display())));
    assert!(!explain("/cgi-bin/plain.py").contains("file    "));
}
