//! Which route answers, what holds where several match, and what is no route.

use std::rc::Rc;

use super::super::access::{Access, Allow};
use super::super::error_page::ErrorPages;
use super::super::handler::{Request, Response};
use super::super::pattern::{End, Pattern, Segment};
use super::super::router::Router;
use super::super::rule::{Action, Place, Route, Settings};
use super::super::{Answer, Site, SiteOptions};
use super::{Got, Scratch, answer_at, ask, at, get};
use crate::http::status::Status;

/// Every pattern answers with itself.
fn echo(patterns: &[&str]) -> Site {
    let add =
        |router: Router, &pattern: &&str| router.respond(pattern, Status::OK, pattern.as_bytes());
    patterns.iter().fold(Router::new(), add).build().unwrap()
}

fn fields(name: &str, value: &str) -> Settings {
    Settings { fields: vec![(name.into(), value.into())], ..Settings::default() }
}

fn nobody() -> Settings {
    let nobody = Rc::new(Access::Allow(Allow::new([])));
    Settings { access: vec![nobody], ..Settings::default() }
}

#[test]
fn the_most_specific_pattern_answers_whatever_the_order() {
    let mut patterns = vec![
        "/*",
        "*.php",
        "*.tar.gz",
        "*.gz",
        "/a/*",
        "/a/b",
        "/a/{x}",
        "/{x}/b",
        "/a/b/*",
        "/a/*.php",
        "/{x}/*",
        "/u/{id}/photo",
        "/a/",
        "/",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        random.shuffle(&mut patterns);
        let site = echo(&patterns);
        for (path, winner) in [
            ("/", "/"),
            ("/a", "/*"),
            ("/a/", "/a/"),
            ("/a/b", "/a/b"),
            ("/a/c", "/a/{x}"),
            ("/c/b", "/{x}/b"),
            ("/a/b/", "/a/b/*"),
            ("/a/b/c/d", "/a/b/*"),
            ("/a/c/d", "/a/*"),
            ("/a/b/x.php", "/a/*.php"),
            ("/a/x.php", "/a/{x}"),
            ("/x.php", "*.php"),
            ("/b/x.php", "/{x}/*"),
            ("/x.tar.gz", "*.tar.gz"),
            ("/.gz", "*.gz"),
            ("/u/1/photo", "/u/{id}/photo"),
            ("/u//photo", "/{x}/*"),
            ("/u/1/photo/", "/{x}/*"),
            ("/x.PHP", "/*"),
            ("/a/%62", "/a/b"),
            ("/x/../a/b", "/a/b"),
        ] {
            assert_eq!(get(&site, path).text(), winner, "{path}");
        }
    }
}

/// Whether `pattern` matches `path`, worked out the slow and plain way: by trying to cut the path.
fn oracle(pattern: &Pattern, path: &str) -> bool {
    let segments: Vec<&str> = path[1..].split('/').collect();
    let count = pattern.segments.len();
    let fits = |(segment, text): (&Segment, &&str)| match segment {
        Segment::Literal(bytes) => **bytes == *text.as_bytes(),
        Segment::Parameter(_) => !text.is_empty(),
    };
    pattern.segments.iter().zip(&segments).all(fits)
        && match &pattern.end {
            End::Nothing => segments.len() == count,
            End::Rest(suffix) => {
                segments.len() > count && segments[count..].join("/").as_bytes().ends_with(suffix)
            }
        }
}

#[test]
fn random_routes_match_as_a_plain_search_says() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut pick = |from: &[&'static str]| from[random.usize(..from.len())];
    for _ in 0..300 {
        let mut patterns: Vec<Pattern> = Vec::new();
        for _ in 0..12 {
            let mut text = String::new();
            for _ in 0..pick(&["0", "1", "2", "3"]).parse().unwrap() {
                text.push_str(pick(&["/a", "/b", "/a.x", "/{p}"]));
            }
            text.push_str(pick(&["", "/", "/*", "/*.x", "/*x"]));
            // Names must differ within a pattern.
            for at in 0..3 {
                text = text.replacen("{p}", &format!("{{q{at}}}"), 1);
            }
            if let Ok(pattern) = Pattern::parse(&text)
                && !patterns.iter().any(|known| known.matches_as(&pattern))
            {
                patterns.push(pattern);
            }
        }
        patterns.sort_by(Pattern::specificity);
        let mut router = Router::new();
        for pattern in patterns.iter().rev() {
            router = router.respond(&pattern.text, Status::OK, pattern.text.as_bytes());
        }
        let site = router.build().unwrap();
        for _ in 0..30 {
            let mut path = String::new();
            for _ in 0..pick(&["0", "1", "2", "3", "4"]).parse().unwrap() {
                path.push_str(pick(&["/a", "/b", "/a.x", "/cx"]));
            }
            path.push_str(pick(&["/", "/a.x", ""]));
            if path.is_empty() {
                continue;
            }
            let winner = |path: &str| patterns.iter().find(|pattern| oracle(pattern, path));
            let got = get(&site, &path);
            let below = format!("{path}/");
            // What is answered below the path is told where it is.
            let is_below = |pattern: &&Pattern| {
                pattern.end != End::Nothing && pattern.prefix(below.as_bytes()) == path.as_bytes()
            };
            if let Some(pattern) = winner(&path) {
                assert_eq!(got.text(), &*pattern.text, "{path} {patterns:?}");
            } else {
                let status = if winner(&below).is_some_and(|it| is_below(&it)) { 301 } else { 404 };
                assert_eq!(got.status, status, "{path} {patterns:?}");
            }
            let rule = site.hosts[0].table.rule(path.as_bytes());
            let matching: Vec<&str> =
                rule.routes.iter().map(|route| &*route.pattern.text).collect();
            let all = patterns.iter().filter(|pattern| oracle(pattern, &path));
            assert_eq!(matching, all.map(|pattern| &*pattern.text).collect::<Vec<_>>(), "{path}");
        }
    }
}

#[test]
fn no_route_opens_a_hole_in_another_ones_guard() {
    let secret = |_: &Request<'_>| Response::text("secret");
    let site = Router::new()
        .settings("/private/*", nobody())
        .get("*.php", secret)
        .get("/{any}/open", secret)
        .get("/private/exact", secret)
        .get("/private/{x}/y", secret)
        .respond("/private/*.txt", Status::OK, *b"secret")
        .redirect("/private/old", "/secret")
        .build()
        .unwrap();
    for path in [
        "/private/x.php",
        "/private/a/b/x.php",
        "/private/open",
        "/private/exact",
        "/private/1/y",
        "/private/x.txt",
        "/private/old",
        "/private/",
        "/private/nothing",
        "//private/x.php",
        "/%70rivate/x.php",
        "/a/../private/x.php",
        "/./private//x.php",
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "POST", "TRACE", "PURGE"] {
            let got = ask(&site, &format!("{method} {path}"), &[]);
            assert_eq!(got.status, 403, "{method} {path}");
            assert!(!got.fields.contains("Allow") && !got.text().contains("secret"));
        }
    }
    assert_eq!(get(&site, "/private").status, 404);
    assert_eq!(get(&site, "/x.php").text(), "secret");
    assert_eq!(get(&site, "/other/open").text(), "secret");
}

#[test]
fn settings_of_all_matching_routes_are_merged_the_inner_ones_first() {
    let mut errors = ErrorPages::default();
    errors.set("404", "/own.html").unwrap();
    let outer = Settings { errors, content_limit: Some(1), ..fields("X-A", "outer") };
    let site = Router::new()
        .settings("/*", outer)
        .settings("/a/*", Settings { content_limit: Some(2), ..fields("x-a", "inner") })
        .settings("*.txt", fields("X-B", "suffix"))
        .respond("/own.html", Status::OK, *b"not a file")
        .respond("/a/x.txt", Status::OK, *b"x")
        .post("/a/post", |_: &Request<'_>| Response::text(""))
        .post("/post", |_: &Request<'_>| Response::text(""))
        .build()
        .unwrap();
    let got = get(&site, "/a/x.txt");
    assert_eq!((got.field("X-A"), got.field("X-B")), (Some("inner"), Some("suffix")));
    let got = get(&site, "/own.html");
    assert_eq!((got.field("X-A"), got.field("X-B")), (Some("outer"), None));
    // The page for errors is no file here, so the built-in one stands in for it.
    let got = get(&site, "/nothing");
    assert_eq!((got.status, got.field("X-A")), (404, Some("outer")));
    assert!(got.text().contains("404"));
    for (path, expected) in [("/a/post", 2), ("/post", 1)] {
        let request = format!("POST {path}");
        let answer = answer_at(&site, at(0), &request, &["Transfer-Encoding: chunked"]);
        assert!(matches!(answer, Answer::Content { limit } if limit == expected), "{path}");
    }
}

#[test]
fn hosts_have_their_own_routes_and_files() {
    let (one, other) = (Scratch::new(), Scratch::new());
    one.write("x", "one");
    other.write("x", "other");
    let hosts = vec![
        (vec!["one.example".into()], Router::new().files("/*", one.files())),
        (vec!["*.other.example".into()], Router::new().files("/*", other.files())),
        (vec![], Router::new().respond("/*", Status::OK, *b"default")),
    ];
    let site = Site::new(hosts, SiteOptions::default()).unwrap();
    // Twice, as the second answer comes from the cache.
    for _ in 0..2 {
        for (host, expected) in [
            ("one.example", "one"),
            ("ONE.EXAMPLE.:8080", "one"),
            ("a.other.example", "other"),
            ("other.example", "default"),
            ("192.0.2.9", "default"),
        ] {
            let got = ask(&site, "GET /x", &[&format!("Host: {host}")]);
            assert_eq!(got.text(), expected, "{host}");
        }
        let got = ask(&site, "GET http://one.example/x", &["Host: a.other.example"]);
        assert_eq!(got.text(), "one");
    }
}

#[test]
fn methods_are_answered_by_what_is_there() {
    let scratch = Scratch::new();
    scratch.write("x", "x");
    let handler = |_: &Request<'_>| Response::text("h");
    let site = Router::new()
        .files("/*", scratch.files())
        .redirect("/r", "/x")
        .respond("/p", Status::OK, *b"p")
        .get("/h", handler)
        .post("/h", handler)
        .on("PURGE", "/h", handler)
        .any("/any", handler)
        .on("OPTIONS", "/own", |_: &Request<'_>| Response::text("own"))
        .build()
        .unwrap();
    let all = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";
    for (path, allow, methods) in [
        ("/x", "GET, HEAD, OPTIONS", "GET HEAD"),
        ("/nothing/", "GET, HEAD, OPTIONS", ""),
        ("/r", all, "GET HEAD POST PUT DELETE PATCH"),
        ("/p", all, "GET HEAD POST PUT DELETE PATCH"),
        ("/h", "GET, POST, PURGE, HEAD, OPTIONS", "GET HEAD POST PURGE"),
        ("/any", all, "GET HEAD POST PUT DELETE PATCH OPTIONS PURGE"),
        ("/own", "OPTIONS", "OPTIONS"),
    ] {
        for method in "GET HEAD POST PUT DELETE PATCH OPTIONS TRACE PURGE get".split(' ') {
            let got = ask(&site, &format!("{method} {path}"), &[]);
            let is_other = matches!(method, "PURGE" | "get");
            let takes = methods.split(' ').any(|known| known == method)
                || (path == "/any" && method == "get");
            let expected = match (path, method) {
                _ if takes && path == "/r" => 301,
                _ if takes => 200,
                ("/nothing/", "GET" | "HEAD") => 404,
                (_, "OPTIONS") => 204,
                _ if is_other => 501,
                _ => 405,
            };
            assert_eq!(got.status, expected, "{method} {path}");
            if matches!(expected, 204 | 405) {
                assert_eq!(got.field("Allow"), Some(allow), "{method} {path}");
            }
        }
    }
    let got = ask(&site, "OPTIONS *", &[]);
    assert_eq!((got.status, got.field("Allow")), (204, Some(all)));
    let got = ask(&site, "CONNECT h:443", &["Host: h:443"]);
    assert_eq!((got.status, got.field("Allow")), (405, Some("GET, HEAD, OPTIONS")));
}

#[test]
fn redirects_and_fixed_answers_carry_what_the_route_says() {
    let respond = Route {
        pattern: "/gone".into(),
        action: Some(Action::Respond {
            status: Status::GONE,
            fields: vec![("content-type".into(), "text/html".into())],
            content: Rc::from(*b"<p>gone"),
        }),
        settings: fields("Cache-Control", "max-age=9"),
        place: None,
    };
    let redirect = Route {
        pattern: "/old/{page}".into(),
        action: Some(Action::Redirect {
            to: "/new/{page}".into(),
            status: Status::PERMANENT_REDIRECT,
        }),
        settings: fields("X-A", "1"),
        place: None,
    };
    let site = Router::new().route(respond).route(redirect).build().unwrap();
    let got = ask(&site, "POST /old/a%20b?x=%2F", &[]);
    assert_eq!((got.status, got.field("Location")), (308, Some("/new/a%20b?x=%2F")));
    assert_eq!((got.field("X-A"), got.text()), (Some("1"), ""));
    let got = get(&site, "/gone");
    // What is gone must not be kept for as long as what is there.
    let expected = Got {
        status: 410,
        fields: "content-type: text/html\r\n".into(),
        content: b"<p>gone".to_vec(),
        user: None,
    };
    assert_eq!(got, expected);
}

#[test]
fn what_cannot_be_a_route_is_refused_and_says_where() {
    let place = |line| Some(Place { file: Rc::from("a.toml"), line });
    let route = |pattern: &str, action, settings, line| Route {
        pattern: pattern.into(),
        action,
        settings,
        place: place(line),
    };
    let redirect = |to: &str, status| Some(Action::Redirect { to: to.into(), status });
    let respond = |name: &str, value: &str| {
        let fields = vec![(name.into(), value.into())];
        Some(Action::Respond { status: Status::OK, fields, content: Rc::from(*b"") })
    };
    let none = Settings::default;
    let fallback = Settings { fallback: Some("index.html".into()), ..none() };
    for (routes, reason) in [
        (vec![route("a", None, none(), 1)], "must begin with /"),
        (vec![route("/a", redirect("b", Status::FOUND), none(), 1)], "leads to a path"),
        (vec![route("/a", redirect("/{b}", Status::FOUND), none(), 1)], "has no {b}"),
        (vec![route("/a", redirect("/b", Status::OK), none(), 1)], "200 is not the status"),
        (vec![route("/a", respond("Date", "x"), none(), 1)], "written by the connection"),
        (vec![route("/a", None, fields("ETag", "\"x\""), 1)], "each file says"),
        (vec![route("/a", None, fields("X", "a\r\nb"), 1)], "cannot have the value"),
        (vec![route("/a", None, fallback, 1)], "must begin with /"),
        (
            vec![
                route("/a", respond("X", "1"), none(), 7),
                route("/a", redirect("/b", Status::FOUND), none(), 1),
            ],
            "has two actions",
        ),
        (
            vec![route("/a", None, fields("X", "1"), 7), route("/a", None, fields("Y", "1"), 1)],
            "has settings already (line 7)",
        ),
        (
            vec![
                route("/a/{x}", None, fields("X", "1"), 7),
                route("/a/{y}", respond("X", "1"), none(), 1),
            ],
            "matches the same paths as \"/a/{x}\" (line 7)",
        ),
    ] {
        let router = routes.into_iter().fold(Router::new(), Router::route);
        let error = router.build().unwrap_err();
        assert!(error.what.contains(reason), "{error}");
        assert_eq!(error.place, place(1), "{error}");
        assert!(error.to_string().starts_with("a.toml:1: "));
    }
    let handler = |_: &Request<'_>| Response::text("");
    for (router, reason) in [
        (Router::new().get("/a", handler).get("/a", handler), "two handlers for GET"),
        (Router::new().any("/a", handler).any("/a", handler), "two handlers for any method"),
        (Router::new().on("G T", "/a", handler), "is not a method"),
        (Router::new().on("CONNECT", "/a", handler), "CONNECT is not answered"),
        (Router::new().get("/a", handler).redirect("/a", "/b"), "has two actions"),
    ] {
        let error = router.build().unwrap_err();
        assert!(error.what.contains(reason), "{error}");
    }
    let error = Site::new(vec![], SiteOptions::default()).unwrap_err();
    assert!(error.what.contains("no site"), "{error}");
}

#[test]
fn what_decides_can_be_explained() {
    let scratch = Scratch::new();
    let path = scratch.write("assets/a.css", "x");
    let place = Some(Place { file: Rc::from("a.toml"), line: 3 });
    let settings = fields("Cache-Control", "no-store");
    let route = Route { pattern: "/assets/*".into(), action: None, settings, place };
    let router = Router::new()
        .files("/*", scratch.files())
        .route(route)
        .get("/h", |_: &Request<'_>| panic!("a handler is not asked"));
    let hosts = vec![(vec!["h.example".to_owned()], router)];
    let site = Site::new(hosts, SiteOptions::default()).unwrap();
    let explain = |target: &str| explain(&site, target);
    let text = explain("/assets/a.css");
    for expected in [
        "host    h.example\n".to_owned(),
        "path    /assets/a.css\n".to_owned(),
        "route   /assets/*  (a.toml:3)\n          field Cache-Control: no-store\n".to_owned(),
        format!("route   /*  answers\n          files below {}\n", scratch.www().display()),
        format!("file    {}\n", path.display()),
        "answer  200 OK\n          Content-Type: text/css".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected:?} is not in\n{text}");
    }
    assert!(explain("/h").contains("answer  by a handler"));
    assert!(explain("/%00").contains("path    none: the target has"));
    assert!(explain("/%00").contains("answer  400 Bad Request"));
    assert!(explain("/nothing").contains("answer  404 Not Found"));
}

#[test]
fn what_is_missing_is_explained_and_what_answers_instead() {
    let scratch = Scratch::new();
    scratch.write("404.html", "gone");
    scratch.write("app/index.html", "app");
    scratch.write("bare/a.txt", "");
    std::os::unix::fs::symlink("/etc", scratch.www().join("out")).unwrap();
    let mut errors = ErrorPages::default();
    errors.set("4xx", "/404.html").unwrap();
    let fallback = Settings { fallback: Some("/app/index.html".into()), ..Settings::default() };
    let place = Some(Place { file: Rc::from("a.toml"), line: 7 });
    let router = Router::new()
        .files("/*", scratch.files())
        .settings("/*", Settings { errors, ..Settings::default() })
        .settings("/app/*", fallback)
        .said_at(place);
    let site = Site::new(vec![(Vec::new(), router)], SiteOptions::default()).unwrap();
    let www = scratch.www().display().to_string();
    for (target, expected) in [
        ("/a", format!("file    none at {www}/a: there is no such file\ninstead /404.html\n")),
        ("/bare/", format!("{www}/bare/: it has no index file, and is not listed\n")),
        ("/out/passwd", format!("{www}/out/passwd: a symbolic link on the way is not followed\n")),
        ("/.git/x", format!("{www}/.git/x: names that begin with a dot are not served\n")),
        ("/app/x", format!("{www}/app/x: there is no such file\ninstead /app/index.html\n")),
        ("/", "host    the one for all names  (a.toml:7)\n".to_owned()),
        ("/", "          error page 4xx: /404.html\n".to_owned()),
    ] {
        let text = explain(&site, target);
        assert!(text.contains(&expected), "{expected:?} is not in\n{text}");
    }
}

fn explain(site: &Site, target: &str) -> String {
    use crate::http::Limits;
    use crate::http::head::{Head, HeadSpace};
    let text = format!("GET {target} HTTP/1.0\r\n\r\n");
    let mut space = HeadSpace::new();
    let head = Head::parse(text.as_bytes(), &mut space, &Limits::default()).unwrap();
    let inquiry =
        super::Inquiry { head: &head, client: None, content: None, again: false, now: at(0) };
    site.explain(&inquiry).to_string()
}
