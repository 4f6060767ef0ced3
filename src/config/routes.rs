//! What `[[site.route]]` means. Which route wins for a path is not known here.

use std::rc::Rc;

use toml::Spanned;

use super::error::Fault;
use super::meaning::{Action, Auth, Files, Route};
use super::programs;
use super::said::{self, Pairs, in_order};
use super::sites::{Context, directory, errors, index, page_path};
use super::source::Source;
use super::units::Count;
use crate::http::fields::is_value;
use crate::http::status::Status;
use crate::site::Symlinks;
use crate::site::access::{BadNetwork, Basic, Htpasswd, Network};
use crate::site::router::Router;
use crate::site::rule::{self, Settings};

/// The pattern of a route that names none.
const EVERY_PATH: &str = "/*";

/// What the client is told it asks for, if nothing is said.
const DEFAULT_REALM: &str = "restricted";

/// What the routes of one site mean.
///
/// # Errors
/// At the first thing that has no meaning.
pub(super) fn routes(
    said: &[Spanned<said::Route>],
    site: &Context<'_>,
) -> Result<Vec<Route>, Fault> {
    let mut routes: Vec<Route> = Vec::new();
    for route in said {
        let path = route.get_ref().path.as_ref();
        let pattern = pattern(path)?;
        let same = |other: &&Route| shape(&other.pattern) == shape(&pattern);
        if let Some(other) = routes.iter().find(same) {
            let what = format!("the paths of `{pattern}` have a route already");
            let fault = Fault::at(path.map_or(route.span(), Spanned::span), &what);
            let line = other.place.as_ref().map_or(0, |place| place.line);
            return Err(fault.help(format!("see line {line}: one route can say it all")));
        }
        routes.push(meaning(route, pattern, site)?);
    }
    Ok(routes)
}

fn pattern(said: Option<&Spanned<String>>) -> Result<String, Fault> {
    let Some(path) = said else { return Ok(EVERY_PATH.to_owned()) };
    let pattern = path.get_ref().clone();
    judge(&pattern, None, Settings::default()).map_err(|what| {
        let fault = Fault::new(path, what);
        fault.help("a pattern is written like `/exact`, `/below/*`, `/user/{id}` or `*.php`")
    })?;
    Ok(pattern)
}

/// Two patterns of one shape match the same paths: what a parameter is called makes no difference.
fn shape(pattern: &str) -> String {
    let mut pieces = pattern.split('{');
    let mut shape = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shape.push_str("{}");
        shape.push_str(piece.split_once('}').map_or("", |(_, rest)| rest));
    }
    if shape.starts_with('*') { format!("/{shape}") } else { shape }
}

/// What the site itself would say of a route: it knows best.
fn judge(pattern: &str, action: Option<rule::Action>, settings: Settings) -> Result<(), String> {
    let route = rule::Route { pattern: pattern.to_owned(), action, settings, place: None };
    Router::new().route(route).build().map(drop).map_err(|error| error.what)
}

fn meaning(
    said: &Spanned<said::Route>,
    pattern: String,
    site: &Context<'_>,
) -> Result<Route, Fault> {
    let route = said.get_ref();
    let allow = route.allow.as_ref().map(|networks| networks.0.iter().map(network).collect());
    let meant = Route {
        action: action(route, &pattern, site)?,
        allow: allow.transpose()?,
        auth: route.auth.as_ref().map(|said| auth(said.get_ref(), site.source)).transpose()?,
        fields: fields(&route.fields)?,
        errors: errors(&route.errors)?,
        content_bytes: route.content.as_ref().map(|content| content.get_ref().bytes.get_ref().0),
        fallback: route.fallback.as_ref().map(page_path).transpose()?,
        place: site.source.place(&said.span()),
        pattern,
    };
    if meant.says_nothing() {
        let known = "add files, redirect, respond, cgi, fastcgi, scgi, proxy, allow, auth, fields, \
                     errors, content or fallback";
        return Err(Fault::new(said, "this route says nothing").help(known));
    }
    Ok(meant)
}

impl Route {
    fn says_nothing(&self) -> bool {
        let Route { action, allow, auth, fields, errors, content_bytes, fallback, .. } = self;
        action.is_none()
            && allow.is_none()
            && auth.is_none()
            && fields.is_empty()
            && errors.is_empty()
            && content_bytes.is_none()
            && fallback.is_none()
    }
}

fn action(said: &said::Route, pattern: &str, site: &Context<'_>) -> Result<Option<Action>, Fault> {
    let said::Route { files, redirect, respond, cgi, fastcgi, scgi, proxy, .. } = said;
    let spans = [
        ("files", files.as_ref().map(Spanned::span)),
        ("redirect", redirect.as_ref().map(Spanned::span)),
        ("respond", respond.as_ref().map(Spanned::span)),
        ("cgi", cgi.as_ref().map(Spanned::span)),
        ("fastcgi", fastcgi.as_ref().map(Spanned::span)),
        ("scgi", scgi.as_ref().map(Spanned::span)),
        ("proxy", proxy.as_ref().map(Spanned::span)),
    ];
    let mut said = spans.into_iter().filter_map(|(name, span)| span.map(|span| (name, span)));
    if let (Some((first, _)), Some((second, span))) = (said.next(), said.next()) {
        let what = format!("a route answers in one way: not by `{first}` and by `{second}`");
        return Err(Fault::at(span, &what));
    }
    if let Some(said) = files {
        return self::files(said, site).map(Action::Files).map(Some);
    }
    if let Some(said) = redirect {
        return self::redirect(said.get_ref(), pattern).map(Some);
    }
    if let Some(said) = respond {
        return self::respond(said.get_ref()).map(Some);
    }
    let program = if let Some(said) = cgi {
        let span = said.get_ref().program.as_ref().map_or(said.span(), Spanned::span);
        Some((programs::cgi(said, site)?, span))
    } else if let Some(said) = fastcgi {
        Some((programs::fastcgi(said, pattern, site)?, said.span()))
    } else if let Some(said) = scgi {
        Some((programs::scgi(said, site)?, said.span()))
    } else if let Some(said) = proxy {
        Some((programs::proxy(said, site)?, said.span()))
    } else {
        None
    };
    let Some((program, span)) = program else { return Ok(None) };
    let action = rule::Action::Program(program.clone());
    judge(pattern, Some(action), Settings::default())
        .map_err(|what| Fault::at(span, &what).help("it must be a file that may be executed"))?;
    Ok(Some(Action::Program(Box::new(program))))
}

fn files(said: &Spanned<said::Files>, site: &Context<'_>) -> Result<Files, Fault> {
    let said::Files { root, listing, symlinks, dotfiles, index: names } = said.get_ref();
    let (root, whole_path) = match (root, site.root) {
        (Some(root), _) => (directory(root, site.source)?, false),
        (None, Some(root)) => (root.clone(), true),
        (None, None) => {
            let fault = Fault::new(said, "neither the route nor its site has a root");
            return Err(fault.help("add root = \"/srv/files\""));
        }
    };
    let index = match names {
        Some(names) => index(names)?,
        None => site.index.to_vec(),
    };
    let symlinks = symlinks.as_ref().map_or(Ok(Symlinks::default()), self::symlinks)?;
    let (listing, dotfiles) = (listing.unwrap_or(false), dotfiles.unwrap_or(false));
    Ok(Files { root, whole_path, index, listing, symlinks, dotfiles })
}

fn symlinks(said: &Spanned<String>) -> Result<Symlinks, Fault> {
    match said.get_ref().as_str() {
        "deny" => Ok(Symlinks::Deny),
        "inside" => Ok(Symlinks::Inside),
        "follow" => Ok(Symlinks::Follow),
        _ => Err(Fault::not_one_of(said, "a rule for links", &["deny", "inside", "follow"])),
    }
}

fn redirect(said: &said::Redirect, pattern: &str) -> Result<Action, Fault> {
    const STATUSES: [Status; 5] = [
        Status::MOVED_PERMANENTLY,
        Status::FOUND,
        Status::SEE_OTHER,
        Status::TEMPORARY_REDIRECT,
        Status::PERMANENT_REDIRECT,
    ];
    let status = match &said.status {
        Some(status) => self::status(status, &STATUSES)?,
        None => Status::FOUND,
    };
    let to = said.to.get_ref().clone();
    let action = rule::Action::Redirect { to: to.clone(), status };
    judge(pattern, Some(action), Settings::default()).map_err(|what| Fault::new(&said.to, what))?;
    Ok(Action::Redirect { to, status })
}

fn respond(said: &said::Respond) -> Result<Action, Fault> {
    let status = match &said.status {
        Some(status) => self::status(status, &[])?,
        None => Status::OK,
    };
    let content = said.content.as_ref().map_or("", |content| content.get_ref());
    if let Some(content) = &said.content
        && status.forbids_content()
        && !content.get_ref().is_empty()
    {
        return Err(Fault::new(content, format!("an answer of {status} has no content")));
    }
    let mut fields = each_field(&said.fields, |field| {
        let (fields, content) = (vec![field], Rc::new([]));
        judge(
            EVERY_PATH,
            Some(rule::Action::Respond { status, fields, content }),
            Settings::default(),
        )
    })?;
    let has_type = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
    if !content.is_empty() && !has_type {
        fields.push(("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned()));
    }
    Ok(Action::Respond { status, content: content.to_owned(), fields })
}

/// The status that `said` is, if it is one of `known`, or if none is known can end a response.
fn status(said: &Spanned<Count>, known: &[Status]) -> Result<Status, Fault> {
    let code = said.get_ref().0;
    let status = u16::try_from(code).ok().and_then(Status::from_code);
    match status {
        Some(status) if known.is_empty() || known.contains(&status) => Ok(status),
        Some(_) | None => {
            let what = format!("{code} is not a status that can stand here");
            let codes: Vec<_> = known.iter().map(|status| status.code().to_string()).collect();
            let help = match codes.as_slice() {
                [] => "it can be 200 to 599".to_owned(),
                codes => format!("it can be {}", codes.join(", ")),
            };
            Err(Fault::new(said, what).help(help))
        }
    }
}

pub(super) fn network(said: &Spanned<String>) -> Result<Network, Fault> {
    said.get_ref().parse().map_err(|error: BadNetwork| Fault::new(said, error.to_string()))
}

fn auth(said: &said::Auth, source: &Source) -> Result<Auth, Fault> {
    let basic = source.path(said.basic.get_ref());
    let users = Htpasswd::read(&basic).map_err(|error| {
        let line = if error.line > 0 { format!("line {}: ", error.line) } else { String::new() };
        let what = format!("cannot use {}: {line}{}", basic.display(), error.what);
        Fault {
            help: Some(error.hint.to_owned()).filter(|hint| !hint.is_empty()),
            ..Fault::new(&said.basic, what)
        }
    })?;
    let realm = said.realm.as_ref().map_or(DEFAULT_REALM, |realm| realm.get_ref());
    let methods = match &said.methods {
        Some(methods) => methods.0.iter().map(|method| method.get_ref().clone()).collect(),
        None => vec!["*".to_owned()],
    };
    if let Err(error) = Basic::new(users, realm, &methods) {
        let methods = said.methods.as_ref().and_then(|methods| methods.0.first());
        let is_realm = !is_value(realm.as_bytes());
        let at = said.realm.as_ref().filter(|_| is_realm).or(methods).unwrap_or(&said.basic);
        return Err(Fault::new(at, error.to_string()));
    }
    Ok(Auth { basic, realm: realm.to_owned(), methods })
}

/// Fields that the route adds.
fn fields(said: &Pairs) -> Result<Vec<(String, String)>, Fault> {
    each_field(said, |field| {
        judge(EVERY_PATH, None, Settings { fields: vec![field], ..Settings::default() })
    })
}

/// The fields in the order they were said, each of them judged.
fn each_field(
    said: &Pairs,
    judge: impl Fn((String, String)) -> Result<(), String>,
) -> Result<Vec<(String, String)>, Fault> {
    let field = |(name, value): (&Spanned<String>, &Spanned<String>)| {
        let field = (name.get_ref().clone(), value.get_ref().clone());
        judge(field.clone()).map_err(|what| Fault::new(name, what))?;
        Ok(field)
    };
    in_order(said).into_iter().map(field).collect()
}
