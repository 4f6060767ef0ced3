//! What holds for one path: the action of the most specific route that has one, and the settings of
//! every route that matches the path, merged.
//!
//! *Invariant:* a route's settings hold for every path its pattern matches, whichever route acts
//! there. So `auth` on `/private/*` guards `/private/x.php` though `*.php` answers it, and no route
//! can open a hole in another one's guard.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use super::access::Access;
use super::error_page::ErrorPages;
use super::failure::Standing;
use super::files::Files;
use super::handler::MethodTable;
use super::pattern::{Captures, Pattern};
use super::program::Program;
use super::redirect::Target;
use super::route_fields::RouteFields;
use super::script::Finder;
use crate::http::method::Method;
use crate::http::status::Status;

/// A pattern of paths, and what it says about those it matches.
#[derive(Debug)]
pub struct Route {
    /// `/exact`, `/prefix/*`, `/user/{id}/photo`, `*.php`, `/private/*.php`, or `/*` for all paths.
    pub pattern: String,
    /// How requests are answered; `None` leaves that to a less specific route.
    pub action: Option<Action>,
    /// What else holds for these paths.
    pub settings: Settings,
    /// Where the configuration says it.
    pub place: Option<Place>,
}

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Rc<str>,
    /// Counted from 1.
    pub line: usize,
}

/// What holds for the paths of a route beside its action. Where several routes match a path, every
/// check of `access` must be passed; of all else, the most specific route that says it is heard.
#[derive(Debug, Default)]
pub struct Settings {
    /// Who may have an answer.
    pub access: Vec<Rc<Access>>,
    /// Fields that answers carry. Errors go without those about content and caching.
    pub fields: Vec<(String, String)>,
    /// The pages for errors: paths of this host, served whatever guards them.
    pub errors: ErrorPages,
    /// How much content a request may have, in bytes.
    pub content_limit: Option<u64>,
    /// The path of this host that answers where nothing is. A file there, the page of an
    /// application, answers with 200 when a browser navigates to a path without an extension. A
    /// program there answers every request, but for what is hidden.
    pub fallback: Option<String>,
}

impl Settings {
    /// Whether they say nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.access.is_empty()
            && self.fields.is_empty()
            && self.errors == ErrorPages::default()
            && self.content_limit.is_none()
            && self.fallback.is_none()
    }
}

/// How requests are answered.
#[derive(Debug)]
pub enum Action {
    /// With files. What stands before the `*` of the pattern is left out when a path is looked up
    /// below the root; without a `*`, or with [`Files::whole_path`], nothing is.
    Files(Files),
    /// Look elsewhere.
    Redirect {
        /// An absolute path or an `http` or `https` URI, with the pattern's `{parameters}`, and
        /// `{*}` for what its `*` stands for. The query is kept if it says none.
        to: String,
        /// 301, 302, 303, 307 or 308.
        status: Status,
    },
    /// The same answer to all.
    Respond {
        /// The status.
        status: Status,
        /// Its fields; `Content-Type` is `text/plain; charset=utf-8` if they do not say.
        fields: Vec<(String, String)>,
        /// Its content.
        content: Rc<[u8]>,
    },
    /// With Rust code.
    Handlers(MethodTable),
    /// With a program: every method but CONNECT and TRACE.
    Program(Program),
}

/// Which route has answered: a number that whoever asks has given it. 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteNumber(pub u32);

/// A route that can be used: its pattern and its redirect have been read.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) pattern: Pattern,
    pub(super) action: Option<Acting>,
    pub(super) settings: Settings,
    pub(super) place: Option<Place>,
    pub(super) number: Cell<RouteNumber>,
}

impl Compiled {
    /// The program that answers, if one does.
    pub(super) fn program(&self) -> Option<&Rc<Program>> {
        match &self.action {
            Some(Acting::Program(finder)) => Some(finder.program()),
            Some(
                Acting::Files(_)
                | Acting::Redirect { .. }
                | Acting::Respond { .. }
                | Acting::Handlers(_),
            )
            | None => None,
        }
    }

    /// Whether it answers for all below a prefix, and not with files.
    pub(super) fn answers_below(&self) -> bool {
        match self.action {
            Some(
                Acting::Redirect { .. }
                | Acting::Respond { .. }
                | Acting::Handlers(_)
                | Acting::Program(_),
            ) => self.pattern.is_prefix(),
            Some(Acting::Files(_)) | None => false,
        }
    }
}

/// An [`Action`], ready to act.
#[derive(Debug)]
pub(super) enum Acting {
    Files(Files),
    Redirect { to: Target, status: Status },
    Respond { status: Status, fields: Vec<u8>, content: Rc<[u8]> },
    Handlers(MethodTable),
    Program(Finder),
}

impl Acting {
    /// The methods that are answered, for Allow.
    pub(super) fn allow(&self) -> &str {
        match self {
            Acting::Files(_) => "GET, HEAD, OPTIONS",
            Acting::Redirect { .. } | Acting::Respond { .. } | Acting::Program(_) => KNOWN_METHODS,
            Acting::Handlers(table) => table.allow(),
        }
    }

    /// Whether `method` is answered by the action itself.
    pub(super) fn takes(&self, method: Method<'_>) -> bool {
        match self {
            Acting::Files(_) => method.retrieves(),
            Acting::Redirect { .. } | Acting::Respond { .. } => match method {
                Method::Get
                | Method::Head
                | Method::Post
                | Method::Put
                | Method::Delete
                | Method::Patch => true,
                Method::Connect | Method::Options | Method::Trace | Method::Other(_) => false,
            },
            Acting::Handlers(table) => table.find(method).is_some(),
            // Which methods it has, the program knows.
            Acting::Program(_) => !matches!(method, Method::Connect | Method::Trace),
        }
    }
}

/// The methods that whatever answers all methods answers.
pub(super) const KNOWN_METHODS: &str = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

/// All that holds for the paths that one set of routes matches.
#[derive(Debug)]
pub(super) struct Rule {
    /// The routes, the most specific one first.
    pub(super) routes: Vec<Rc<Compiled>>,
    /// Which of them acts.
    acting: Option<usize>,
    /// Its number: to ask the route for it takes 15 instructions more for each request.
    pub(super) number: RouteNumber,
    pub(super) access: Vec<Rc<Access>>,
    pub(super) fields: RouteFields,
    pub(super) errors: ErrorPages,
    /// The built-in answer where nothing is, once it was given.
    pub(super) not_found: OnceCell<Standing>,
    pub(super) content_limit: u64,
    pub(super) fallback: Option<Rc<str>>,
}

impl Rule {
    /// Merges `routes`, the most specific one first.
    pub(super) fn merge(routes: Vec<Rc<Compiled>>, default_content_limit: u64) -> Rule {
        let mut errors = ErrorPages::default();
        for route in routes.iter().rev() {
            errors.overlay(&route.settings.errors);
        }
        let settings = || routes.iter().map(|route| &route.settings);
        let acting = routes.iter().position(|route| route.action.is_some());
        Rule {
            acting,
            number: acting.map_or(RouteNumber::default(), |at| routes[at].number.get()),
            // From the outside in, as one would come to the guards.
            access: settings().rev().flat_map(|settings| settings.access.clone()).collect(),
            fields: RouteFields::new(settings().rev().map(|settings| &settings.fields[..])),
            errors,
            not_found: OnceCell::new(),
            content_limit: settings()
                .find_map(|settings| settings.content_limit)
                .unwrap_or(default_content_limit),
            fallback: settings().find_map(|settings| settings.fallback.as_deref()).map(Rc::from),
            routes,
        }
    }

    /// The same, but that `route`, one of its own, acts.
    pub(super) fn acting(self, route: Option<&Compiled>) -> Rule {
        let is_it = |own: &Rc<Compiled>| route.is_some_and(|route| own.pattern == route.pattern);
        let acting = self.routes.iter().position(is_it);
        let number = acting.map_or(RouteNumber::default(), |at| self.routes[at].number.get());
        Rule { acting, number, ..self }
    }

    /// The route that acts.
    pub(super) fn route(&self) -> Option<&Compiled> {
        self.acting.map(|at| &*self.routes[at])
    }

    /// What it does.
    pub(super) fn action(&self) -> Option<&Acting> {
        self.route().and_then(|route| route.action.as_ref())
    }

    /// The files that answer, if it is files, and where below their root `path` stands.
    pub(super) fn files<'p>(&self, path: &'p [u8]) -> Option<(&Files, &'p [u8])> {
        match self.action()? {
            Acting::Files(files) => Some((files, files.below(path, &self.route()?.pattern))),
            Acting::Redirect { .. }
            | Acting::Respond { .. }
            | Acting::Handlers(_)
            | Acting::Program(_) => None,
        }
    }

    /// The program that answers, if it is one, with the pattern it answers for.
    pub(super) fn program(&self) -> Option<(&Finder, &Pattern)> {
        match self.action()? {
            Acting::Program(finder) => Some((finder, &self.route()?.pattern)),
            Acting::Files(_)
            | Acting::Redirect { .. }
            | Acting::Respond { .. }
            | Acting::Handlers(_) => None,
        }
    }

    /// What the acting pattern's parameters stand for in `path`.
    pub(super) fn captures<'a>(&'a self, path: &'a [u8]) -> Captures<'a> {
        self.route().map_or(Vec::new(), |route| route.pattern.captures(path))
    }
}
