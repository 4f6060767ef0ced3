//! Routes of programs: what good ones mean, and what is wrong with bad ones, word for word.

use std::path::PathBuf;
use std::time::Duration;

use super::super::meaning::Action;
use super::{quick, read, without_places};
use crate::site::program::{
    Cgi, Endpoint, FastCgi, Health, HostField, Kind, ProcessLimits, Program, Proxy, Scgi, Scripts,
    Upstream,
};

/// What the first route of the first site means.
fn program(route: &str) -> Program {
    let config = read(&format!("[[site]]\nroot = \"/\"\n[[site.route]]\n{route}\n")).unwrap();
    let printed = config.to_string();
    let again = read(&printed).unwrap_or_else(|error| panic!("{error}\nin\n{printed}"));
    assert_eq!(without_places(again), without_places(config.clone()), "{printed}");
    match config.sites[0].routes[0].action.clone() {
        Some(Action::Program(program)) => *program,
        other => panic!("{other:?} is no program"),
    }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_program_that_says_little_has_the_defaults() {
    assert_eq!(program("cgi = { root = \"/usr\" }"), Program::cgi("/usr"));
    let to = "127.0.0.1:3000".parse::<Endpoint>().unwrap();
    assert_eq!(program("proxy = { to = \"http://127.0.0.1:3000/\" }"), Program::proxy(to.clone()));
    let upstream = Upstream::new(vec![to]);
    let fastcgi = FastCgi { upstream: upstream.clone(), root: None, whole_path: true, index: None };
    let here = "to = \"127.0.0.1:3000\"";
    assert_eq!(
        program(&format!("fastcgi = {{ {here} }}")),
        Program::new(Kind::FastCgi(fastcgi.clone()))
    );
    let scgi = Scgi { upstream, root: None };
    assert_eq!(program(&format!("scgi = {{ {here} }}")), Program::new(Kind::Scgi(scgi)));
    // Where the pattern or an index names scripts, they are the site's.
    let scripts = FastCgi { root: Some(PathBuf::from("/")), ..fastcgi };
    let php = program(&format!("path = \"*.php\"\nfastcgi = {{ {here} }}"));
    assert_eq!(php.kind, Kind::FastCgi(scripts.clone()));
    let index = program(&format!("fastcgi = {{ {here}, index = \"index.php\" }}"));
    let with_index = FastCgi { index: Some("index.php".to_owned()), ..scripts.clone() };
    assert_eq!(index.kind, Kind::FastCgi(with_index));
    // Which path is looked up there, depends on whose the root is.
    let own = program(&format!("path = \"*.php\"\nfastcgi = {{ {here}, root = \"/\" }}"));
    assert_eq!(own.kind, Kind::FastCgi(FastCgi { whole_path: false, ..scripts }));
}

#[test]
fn every_option_of_a_program_is_heard() {
    let cgi = program(
        "cgi = { program = \"/bin/sh\", timeout = \"1s\", processes = 2, queue = 0, \
         output = \"3B\", memory = \"4MiB\", cpu = \"5s\", descriptors = 64, file = \"1MiB\", \
         reach = [\"/tmp\", \"/usr\"], \
         environment = { B = \"1\", A = \"é\" } }",
    );
    let scripts = Scripts::One("/bin/sh".into());
    let limits = ProcessLimits {
        memory: Some(4 << 20),
        cpu: Some(Duration::from_secs(5)),
        descriptors: Some(64),
        file: Some(1 << 20),
    };
    let kind = Cgi { scripts, output: 3, limits, reach: vec!["/tmp".into(), "/usr".into()] };
    assert_eq!(cgi.kind, Kind::Cgi(kind));
    assert_eq!((cgi.timeout, cgi.at_once, cgi.queue), (Duration::from_secs(1), 2, 0));
    assert_eq!(cgi.environment, [pair("B", "1"), pair("A", "é")]);

    let fastcgi = program(
        "fastcgi = { to = [\"unix:php.sock\", \"[::1]:9000\"], root = \"www\", \
         index = \"i.php\", persistent = 0, connections = 1, queue = 2, timeout = \"3s\", \
         connect-timeout = \"4s\", idle = \"5s\", environment = { A = \"\" } }",
    );
    let upstream = Upstream {
        to: vec![Endpoint::Unix("/php.sock".into()), "[::1]:9000".parse().unwrap()],
        persistent: 0,
        connect_timeout: Duration::from_secs(4),
        idle_timeout: Duration::from_secs(5),
        health: None,
    };
    let index = Some("i.php".to_owned());
    let root = Some("/www".into());
    let kind = FastCgi { upstream: upstream.clone(), root, whole_path: false, index };
    assert_eq!(fastcgi.kind, Kind::FastCgi(kind));
    assert_eq!((fastcgi.timeout, fastcgi.at_once), (Duration::from_secs(3), 1));

    let scgi = program(
        "scgi = { to = \"name:4000\", root = \"/srv\", connections = 1, queue = 2, \
         timeout = \"3s\", connect-timeout = \"4s\", environment = { A = \"b\" } }",
    );
    let Kind::Scgi(kind) = scgi.kind else { panic!("it is SCGI") };
    assert_eq!(kind.upstream.to, [Endpoint::Name("name".to_owned(), 4000)]);
    assert_eq!(kind.upstream.connect_timeout, Duration::from_secs(4));
    assert_eq!((kind.root, scgi.environment), (Some("/srv".into()), vec![pair("A", "b")]));

    let proxy = program(
        "proxy = { to = [\"http://name\", \"http://[::1]:1\"], strip = \"/api/\", \
         host = \"replace\", persistent = 1, connections = 2, queue = 3, timeout = \"4s\", \
         connect-timeout = \"5s\", idle = \"6s\", \
         health = { path = \"/h?x\", interval = \"7s\" } }",
    );
    let health = Health { path: "/h?x".to_owned(), interval: Duration::from_secs(7) };
    let upstream = Upstream {
        to: vec![Endpoint::Name("name".to_owned(), 80), "[::1]:1".parse().unwrap()],
        persistent: 1,
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(6),
        health: Some(health),
    };
    let kind = Proxy { upstream, strip: Some("/api".to_owned()), host: HostField::Replace };
    assert_eq!(proxy.kind, Kind::Proxy(kind));
    assert_eq!((proxy.timeout, proxy.at_once, proxy.queue), (Duration::from_secs(4), 2, 3));
}

#[test]
fn the_path_alone_says_enough_of_health() {
    let proxy = program("proxy = { to = \"unix:/run/a.sock\", health = \"/healthz\" }");
    let health = proxy.kind.upstream().and_then(|upstream| upstream.health.clone());
    let expected = Health { path: "/healthz".to_owned(), interval: Duration::from_secs(10) };
    assert_eq!(health, Some(expected));
}

#[test]
fn flags_of_programs_mean_what_a_file_would_mean() {
    let flags = ["/usr", "--cgi", "*.py", "--cgi", "/bin/*", "--proxy", "/api/=http://a:1"];
    let file = r#"
        [[site]]
        root = "/usr"
        [[site.route]]
        files = { listing = true }
        [[site.route]]
        path = "*.py"
        cgi = { root = "/usr" }
        [[site.route]]
        path = "/bin/*"
        cgi = { root = "/usr/bin" }
        [[site.route]]
        path = "/api/*"
        proxy = { to = "http://a:1" }
    "#;
    assert_eq!(quick(&flags).unwrap(), without_places(read(file).unwrap()));
    let flags = ["/usr", "--proxy", "/=http://a:1", "--cgi", "/bin/true", "--header", "A: b"];
    let file = r#"
        [[site]]
        root = "/usr"
        [[site.route]]
        proxy = { to = "http://a:1" }
        fields = { A = "b" }
        [[site.route]]
        path = "/bin/true"
        cgi = { program = "/usr/bin/true" }
    "#;
    assert_eq!(quick(&flags).unwrap(), without_places(read(file).unwrap()));
    let error = quick(&["/", "--cgi", "/no-such/*"]).unwrap_err();
    assert_eq!(error, "there is no directory /no-such");
    let error = quick(&["/", "--proxy", "/=http://a:1", "--cgi", "/*"]).unwrap_err();
    assert_eq!(
        error,
        "the paths of `/*` have a route already: see line 0: one route can say it all"
    );
}

#[test]
fn a_page_for_an_error_is_no_programs() {
    let php = "[[site.route]]\npath = \"*.php\"\nfastcgi = { to = \"127.0.0.1:9000\" }\n";
    let site = "[[site]]\nroot = \"/\"\n";
    for (page, line) in [
        (format!("{site}errors = {{ 4xx = \"/4xx.php\" }}\n{php}"), 1),
        (format!("{site}{php}[[site.route]]\nerrors = {{ 4xx = \"/4xx.php\" }}\n"), 6),
    ] {
        let error = read(&page).unwrap().site().unwrap_err().to_string();
        let what = "the page for 4xx must be a file: \"/4xx.php\" is answered by the program of \
                    the route \"*.php\"";
        assert_eq!(error, format!("a.toml:{line}: {what}"));
    }
}

#[test]
fn each_mistake_is_shown_with_its_place_and_what_was_meant() {
    super::check_all(MISTAKES);
}

/// A file, what is said of it, and so on.
const MISTAKES: &str = include_str!("programs.txt");
