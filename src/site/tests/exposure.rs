//! Warnings about scripts that files would give away.

use std::rc::Rc;

use super::super::files::Files;
use super::super::program::Program;
use super::super::router::Router;
use super::super::rule::{Action, Place, Route, Settings};
use super::super::{Site, SiteOptions};
use super::Scratch;
use super::scripts::{endpoint, fastcgi, one, scripts};

fn warnings(router: Router) -> Vec<String> {
    let site = Site::new(vec![(Vec::new(), router)], SiteOptions::default()).unwrap();
    site.warnings().iter().map(ToString::to_string).collect()
}

fn placed(router: Router, pattern: &str, action: Action, line: usize) -> Router {
    let place = Some(Place { file: Rc::from("a.toml"), line });
    let settings = Settings::default();
    router.route(Route { pattern: pattern.to_owned(), action: Some(action), settings, place })
}

/// Files everywhere, and PHP.
fn site(scratch: &Scratch) -> Router {
    let router = Router::new().files("/*", scratch.files());
    placed(router, "*.php", Action::Program(fastcgi(scratch.www().to_str(), None)), 5)
}

#[test]
fn files_that_are_served_in_place_of_scripts_are_pointed_out() {
    let scratch = scripts();
    let deep = || Files::new(scratch.www().join("deep")).unwrap();
    let said = "a.toml:9: \"/assets/*\" serves files, and so the sources of scripts that \
                \"*.php\" (line 5) leaves to a program elsewhere: add a route for \
                \"/assets/*.php\", or let this one do without files";
    assert_eq!(warnings(placed(site(&scratch), "/assets/*", Action::Files(deep()), 9)), [said]);
    let www = scratch.www();
    let everywhere = || Router::new().files("/*", scratch.files());
    for (router, count) in [
        (site(&scratch).files("/a/{b}/*", scratch.files()), 1),
        (site(&scratch).files("/a/*", scratch.files().whole_path(true)), 1),
        (site(&scratch).program("*.py", Program::cgi(&www)).files("/a/*", deep()), 2),
        // The program is everywhere, and the documents are the site's.
        (everywhere().program("*.md", one(www.join("run"))).files("/a/*", deep()), 1),
        (everywhere().program("*.md", Program::proxy(endpoint())).files("/a/*", deep()), 1),
        // Through a link, it is the same directory.
        (site(&scratch).files("/a/*", Files::new(scratch.www().join("up/www")).unwrap()), 1),
    ] {
        assert_eq!(warnings(router).len(), count);
    }
}

#[test]
fn nothing_is_said_where_no_script_is_given_away() {
    let scratch = scripts();
    let www = scratch.www();
    let other = Scratch::new();
    let deep = fastcgi(www.join("deep").to_str(), None);
    for router in [
        site(&scratch),
        site(&scratch).files("/a/*", other.files()),
        site(&scratch).settings("/a/*", Settings::default()),
        site(&scratch).files("/a/*", scratch.files()).program("/a/*.php", deep.clone()),
        site(&scratch).files("/a.php", scratch.files()),
        site(&scratch).files("/a/*.txt", scratch.files()),
        Router::new().files("/*", scratch.files()).program("/php/*", deep.clone()),
        Router::new().files("/a/*", scratch.files()).program("*.php", deep),
        Router::new().files("/a/*", scratch.files()).program("*.app", Program::proxy(endpoint())),
    ] {
        assert_eq!(warnings(router), <[String; 0]>::default());
    }
}
