//! Routes, and which of them match a path. What becomes of a path that they match is known to
//! [`super::rule`]; what a pattern may look like, to `pattern.rs`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::files::Files;
use super::handler::{Handler, MethodTable};
use super::pattern::{End, Pattern, Segment};
use super::program::Program;
use super::redirect::Target;
use super::route_fields;
use super::rule::{Acting, Action, Compiled, Place, Route, RouteNumber, Rule, Settings};
use super::script::Finder;
use super::{Site, SiteError, SiteOptions};
use crate::http::fields;
use crate::http::status::Status;

/// The routes of one host, in any order: the most specific pattern wins.
///
/// A pattern is a path, `/exact`; one with parameters, `/user/{id}/photo`, each of which stands for
/// one segment that is not empty; all below a path, `/below/*`, which is not `/below` itself; all
/// with an ending, `*.php`; both, `/below/*.php`; or `/*`, all. One that says the whole path is
/// more specific than one with a `*`; of the latter, one with a prefix and an ending comes first,
/// then a prefix, then an ending. Within a kind, a literal segment comes before a parameter.
///
/// ```
/// use oneloop::site::handler::{Request, Response};
/// use oneloop::site::router::Router;
///
/// let site = Router::new()
///     .get("/hello/{name}", |request: &Request<'_>| {
///         Response::text(format!("Hello, {}!", request.parameter("name").unwrap_or("you")))
///     })
///     .redirect("/hi/{name}", "/hello/{name}")
///     .build()?;
/// # Ok::<(), oneloop::site::SiteError>(())
/// ```
#[derive(Debug, Default)]
pub struct Router {
    routes: Vec<Route>,
    pub(super) place: Option<Place>,
}

impl Router {
    /// No routes: everything is 404.
    #[must_use]
    pub fn new() -> Router {
        Router::default()
    }

    /// `handler` answers GET and HEAD.
    #[must_use]
    pub fn get(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.on("GET", pattern, handler)
    }

    /// `handler` answers POST.
    #[must_use]
    pub fn post(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.on("POST", pattern, handler)
    }

    /// `handler` answers PUT.
    #[must_use]
    pub fn put(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.on("PUT", pattern, handler)
    }

    /// `handler` answers DELETE.
    #[must_use]
    pub fn delete(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.on("DELETE", pattern, handler)
    }

    /// `handler` answers PATCH.
    #[must_use]
    pub fn patch(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.on("PATCH", pattern, handler)
    }

    /// `handler` answers `method`, which may be any token. OPTIONS is answered by itself, and so is
    /// HEAD where GET is.
    #[must_use]
    pub fn on(self, method: &str, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.act(pattern, Action::Handlers(MethodTable::new().on(method, handler)))
    }

    /// `handler` answers every method that no other handler of this pattern answers, but CONNECT
    /// and TRACE.
    #[must_use]
    pub fn any(self, pattern: &str, handler: impl Handler + 'static) -> Router {
        self.act(pattern, Action::Handlers(MethodTable::new().any(handler)))
    }

    /// Files answer.
    #[must_use]
    pub fn files(self, pattern: &str, files: Files) -> Router {
        self.act(pattern, Action::Files(files))
    }

    /// A program answers every method but CONNECT and TRACE.
    #[must_use]
    pub fn program(self, pattern: &str, program: Program) -> Router {
        self.act(pattern, Action::Program(program))
    }

    /// 301 to `to`. For another status, and for what `to` may hold, see [`Action::Redirect`].
    #[must_use]
    pub fn redirect(self, pattern: &str, to: &str) -> Router {
        self.act(pattern, Action::Redirect { to: to.to_owned(), status: Status::MOVED_PERMANENTLY })
    }

    /// The same answer to all, in plain text.
    #[must_use]
    pub fn respond(self, pattern: &str, status: Status, content: impl Into<Rc<[u8]>>) -> Router {
        let content = content.into();
        self.act(pattern, Action::Respond { status, fields: Vec::new(), content })
    }

    /// What else holds for the paths that `pattern` matches.
    #[must_use]
    pub fn settings(self, pattern: &str, settings: Settings) -> Router {
        let pattern = pattern.to_owned();
        self.route(Route { pattern, action: None, settings, place: None })
    }

    /// Any route. A pattern may come several times as long as no two say the same thing.
    #[must_use]
    pub fn route(mut self, route: Route) -> Router {
        self.routes.push(route);
        self
    }

    /// Where the configuration speaks of this host, for [`Site::explain`].
    #[must_use]
    pub fn said_at(self, place: Option<Place>) -> Router {
        Router { place, ..self }
    }

    /// A site of this one host, which answers for every name.
    ///
    /// # Errors
    /// If a pattern or a route cannot be used.
    pub fn build(self) -> Result<Site, SiteError> {
        Site::new(vec![(Vec::new(), self)], SiteOptions::default())
    }

    fn act(self, pattern: &str, action: Action) -> Router {
        let (pattern, settings) = (pattern.to_owned(), Settings::default());
        self.route(Route { pattern, action: Some(action), settings, place: None })
    }

    /// The routes as they are matched.
    pub(super) fn compile(self, content_limit: u64) -> Result<Table, SiteError> {
        let mut routes: Vec<(Pattern, Route)> = Vec::new();
        for route in self.routes {
            let pattern = Pattern::parse(&route.pattern)
                .map_err(|error| SiteError::new(error.to_string(), route.place.as_ref()))?;
            match routes.iter_mut().find(|(known, _)| known.matches_as(&pattern)) {
                Some((_, known)) => join(known, route)?,
                None => routes.push((pattern, route)),
            }
        }
        routes.sort_by(|(one, _), (other, _)| one.specificity(other));
        let documents = documents(&routes);
        let mut trie = Node::default();
        let mut compiled = Vec::new();
        for (pattern, route) in routes {
            trie.insert(&pattern, compiled.len());
            compiled.push(Rc::new(compile(pattern, route, documents.as_deref())?));
        }
        let mut endings: Vec<Box<[u8]>> = compiled
            .iter()
            .filter(|route| matches!(route.action, Some(Acting::Program(_))))
            .map(|route| route.pattern.suffix().into())
            .collect();
        endings.retain(|ending| !ending.is_empty());
        let answers_below = compiled.iter().any(|route| route.answers_below());
        let rules = RefCell::default();
        let table = Table { routes: compiled, trie, rules, content_limit, endings, answers_below };
        table.check_pages()?;
        Ok(table)
    }
}

/// Adds to `known` what `route`, of the same pattern, says.
fn join(known: &mut Route, route: Route) -> Result<(), SiteError> {
    let twice = |what: &str| {
        let (pattern, other) = (&route.pattern, &known.pattern);
        let before =
            known.place.as_ref().map_or(String::new(), |at| format!(" (line {})", at.line));
        let what = if pattern == other {
            format!("{pattern:?} has {what} already{before}")
        } else {
            format!("{pattern:?} matches the same paths as {other:?}{before}, which has {what}")
        };
        SiteError::new(what, route.place.as_ref())
    };
    // Captures are named by one pattern, so both must name them alike.
    if route.pattern != known.pattern && route.pattern.contains('{') {
        return Err(twice("other names for its parameters"));
    }
    if !route.settings.is_empty() {
        if !known.settings.is_empty() {
            return Err(twice("settings"));
        }
        known.settings = route.settings;
    }
    known.action = match (known.action.take(), route.action) {
        (Some(Action::Handlers(mut table)), Some(Action::Handlers(more))) => {
            if let Some(method) = table.join(more) {
                return Err(SiteError::new(
                    format!("{:?} has two handlers for {method}", route.pattern),
                    route.place.as_ref(),
                ));
            }
            Some(Action::Handlers(table))
        }
        (Some(_), Some(_)) => {
            let (pattern, place) = (&route.pattern, route.place.as_ref());
            return Err(SiteError::new(format!("{pattern:?} has two actions"), place));
        }
        (one, other) => one.or(other),
    };
    Ok(())
}

/// Where the documents of the host are: what answers with files where nothing else answers.
fn documents(routes: &[(Pattern, Route)]) -> Option<PathBuf> {
    let (pattern, route) = routes.last()?;
    match &route.action {
        Some(Action::Files(files)) if pattern.is_everything() => Some(files.directory().to_owned()),
        Some(
            Action::Files(_)
            | Action::Redirect { .. }
            | Action::Respond { .. }
            | Action::Handlers(_)
            | Action::Program(_),
        )
        | None => None,
    }
}

/// `documents`: where the host's documents are.
fn compile(
    pattern: Pattern,
    route: Route,
    documents: Option<&Path>,
) -> Result<Compiled, SiteError> {
    let Route { settings, place, action, .. } = route;
    let bad = |what: String| SiteError::new(what, place.as_ref());
    let fields = &settings.fields;
    if let Some(fault) =
        fields.iter().find_map(|(name, value)| route_fields::route_fault(name, value))
    {
        return Err(bad(fault));
    }
    if let Some(fallback) = &settings.fallback
        && !fallback.starts_with('/')
    {
        return Err(bad(format!("the fallback {fallback:?} is not a path: it must begin with /")));
    }
    let action = match action {
        None => None,
        Some(Action::Files(files)) => Some(Acting::Files(files)),
        Some(Action::Handlers(table)) => match table.fault() {
            Some(fault) => return Err(bad(fault)),
            None => Some(Acting::Handlers(table)),
        },
        Some(Action::Redirect { to, status }) => {
            if !matches!(status.code(), 301 | 302 | 303 | 307 | 308) {
                return Err(bad(format!("{} is not the status of a redirect", status.code())));
            }
            Some(Acting::Redirect { to: Target::parse(&to, &pattern).map_err(bad)?, status })
        }
        Some(Action::Respond { status, fields, content }) => {
            let fields = respond_fields(&fields, !content.is_empty()).map_err(bad)?;
            Some(Acting::Respond { status, fields, content })
        }
        Some(Action::Program(program)) => {
            Some(Acting::Program(Finder::new(program, documents).map_err(bad)?))
        }
    };
    Ok(Compiled { pattern, action, settings, place, number: Cell::default() })
}

fn respond_fields(pairs: &[(String, String)], has_content: bool) -> Result<Vec<u8>, String> {
    let mut lines = Vec::new();
    let has_type = pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
    if has_content && !has_type {
        fields::write(&mut lines, "Content-Type", b"text/plain; charset=utf-8");
    }
    for (name, value) in pairs {
        if let Some(fault) = route_fields::fault(name, value.as_bytes()) {
            return Err(fault);
        }
        fields::write(&mut lines, name, value.as_bytes());
    }
    Ok(lines)
}

/// So many rules are kept at most. There are about as many as routes, unless somebody has written
/// routes that overlap in very many ways.
const MAX_RULES: usize = 1024;

/// The routes of one host, ready to be matched.
#[derive(Debug)]
pub(super) struct Table {
    /// The most specific one first.
    routes: Vec<Rc<Compiled>>,
    trie: Node,
    /// For each set of routes that some path has matched: what holds there.
    rules: RefCell<BTreeMap<Vec<usize>, Rc<Rule>>>,
    content_limit: u64,
    /// What the patterns of programs say that paths end in.
    pub(super) endings: Vec<Box<[u8]>>,
    /// Whether any route [answers below](Compiled::answers_below) its prefix.
    pub(super) answers_below: bool,
}

impl Table {
    /// The programs of all routes.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Rc<Program>> {
        self.routes.iter().filter_map(|route| route.program())
    }

    /// The routes, the most specific one first.
    pub(super) fn routes(&self) -> &[Rc<Compiled>] {
        &self.routes
    }

    /// Gives each route that acts a number, by its pattern.
    pub(super) fn number_routes(&self, mut number: impl FnMut(&str) -> RouteNumber) {
        for route in self.routes.iter().filter(|route| route.action.is_some()) {
            route.number.set(number(&route.pattern.text));
        }
        // Those that were merged before have the old numbers.
        self.rules.borrow_mut().clear();
    }

    /// Pages for errors are files: no program is asked what to say of another one's failure, or of
    /// its own.
    fn check_pages(&self) -> Result<(), SiteError> {
        for route in &self.routes {
            for (error, path) in route.settings.errors.iter() {
                if let Some((_, pattern)) = self.rule(path.as_bytes()).program() {
                    let program = &pattern.text;
                    let what = format!(
                        "the page for {error} must be a file: {path:?} is answered by the program \
                         of the route {program:?}"
                    );
                    return Err(SiteError::new(what, route.place.as_ref()));
                }
            }
        }
        Ok(())
    }

    /// What holds for `path`, which begins with `/`.
    pub(super) fn rule(&self, path: &[u8]) -> Rc<Rule> {
        let matching = self.matching(path);
        let mut rules = self.rules.borrow_mut();
        if let Some(rule) = rules.get(&matching) {
            return Rc::clone(rule);
        }
        if rules.len() >= MAX_RULES {
            rules.clear();
        }
        let routes = matching.iter().map(|&at| Rc::clone(&self.routes[at])).collect();
        let rule = Rc::new(Rule::merge(routes, self.content_limit));
        rules.insert(matching, Rc::clone(&rule));
        rule
    }

    /// What holds where what is at `other` answers for `path`: what the routes of either say. The
    /// one that acts is that of `other`.
    pub(super) fn rule_of_both(&self, path: &[u8], other: &[u8]) -> Rc<Rule> {
        let theirs = self.rule(other);
        let matching = self.matching(other);
        let mut both = [self.matching(path), matching.clone()].concat();
        both.sort_unstable();
        both.dedup();
        if both == matching {
            return theirs;
        }
        let routes = both.iter().map(|&at| Rc::clone(&self.routes[at])).collect();
        Rc::new(Rule::merge(routes, self.content_limit).acting(theirs.route()))
    }

    /// The places of the routes that match `path`, the most specific one first.
    fn matching(&self, path: &[u8]) -> Vec<usize> {
        let mut matching = Vec::new();
        self.trie.collect(path.get(1..), &mut matching);
        matching.sort_unstable();
        matching
    }

    /// Whether a pattern of a program says that paths end as `path` does.
    pub(super) fn ends_like_script(&self, path: &[u8]) -> bool {
        self.endings.iter().any(|ending| path.ends_with(ending))
    }
}

/// A segment's place in the patterns that begin alike.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<[u8]>, Node>,
    parameter: Option<Box<Node>>,
    /// The pattern that ends here.
    exact: Option<usize>,
    /// The patterns that end in `*` here, with what must stand at the path's end.
    rests: Vec<(Box<[u8]>, usize)>,
}

impl Node {
    fn insert(&mut self, pattern: &Pattern, id: usize) {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(bytes) => node.literals.entry(bytes.clone()).or_default(),
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
            };
        }
        match &pattern.end {
            End::Nothing => node.exact = Some(id),
            End::Rest(suffix) => node.rests.push((suffix.clone(), id)),
        }
    }

    /// Finds the patterns that match on from here; `below` is the path behind the next slash,
    /// `None` at its end. Each node is looked at once at the most.
    fn collect(&self, below: Option<&[u8]>, found: &mut Vec<usize>) {
        let Some(below) = below else {
            found.extend(self.exact);
            return;
        };
        let rests = self.rests.iter().filter(|(suffix, _)| below.ends_with(suffix));
        found.extend(rests.map(|&(_, id)| id));
        let (segment, deeper) = match memchr::memchr(b'/', below) {
            Some(slash) => (&below[..slash], Some(&below[slash + 1..])),
            None => (below, None),
        };
        if let Some(node) = self.literals.get(segment) {
            node.collect(deeper, found);
        }
        if let Some(node) = &self.parameter
            && !segment.is_empty()
        {
            node.collect(deeper, found);
        }
    }
}
