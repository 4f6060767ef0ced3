//! Floor 1, the site: what to answer. A request comes in as an [`Inquiry`]; its host leads to
//! routes, its path to the [`rule`] that holds there, and the rule to an [`Answer`].
//!
//! *Invariant:* files are opened here, sockets never; what the time is, the caller says.
//!
//! *Invariant:* whether a client may have an answer is asked before anything that could tell it
//! what there is.

pub mod access;
pub mod body;
pub mod cache;
pub(crate) mod cold;
pub mod error_page;
pub mod explain;
mod exposure;
mod failure;
pub mod files;
pub mod handler;
mod host;
mod instead;
mod later;
pub mod listing;
pub mod media_type;
mod numbers;
pub(crate) mod page;
pub(crate) mod pattern;
pub mod program;
mod redirect;
mod representation;
pub(crate) mod root;
pub(crate) mod route_fields;
pub mod router;
pub mod rule;
mod script;
mod serve;
#[cfg(test)]
mod tests;
mod walk;
mod watch;

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

pub use root::Symlinks;

use crate::http::connection::Connection;
use crate::http::date::UnixSeconds;
use crate::http::fields::{self, Name};
use crate::http::framing::Length;
use crate::http::head::Head;
use crate::http::method::Method;
use crate::http::status::Status;
use crate::http::target::Target;
use access::{Verdict, Visitor};
use body::Body;
use cache::{Cache, CacheLimits, Known};
use handler::{Content, Handler, Later, Request};
use host::Names;
use media_type::MediaTypes;
use program::{Plan, Program};
use root::Absence;
use router::{Router, Table};
use rule::{Acting, Place, RouteNumber, Rule};
use watch::Watches;

/// One request, as the site needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// The request's head.
    pub head: &'a Head<'a>,
    /// Who asks; `None` over a Unix-domain socket.
    pub client: Option<IpAddr>,
    /// The request's content, all of it; `None` if it has none or it has not been read yet.
    pub content: Option<&'a [u8]>,
    /// Whether it is asked about once more: what another thread was to do for it is done.
    pub again: bool,
    /// What the time is.
    pub now: Now,
}

/// What the time is, as the loop last looked.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Milliseconds of a clock that never goes back; where it began does not matter.
    pub monotonic_ms: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: UnixSeconds,
    /// Another number whenever requests may have come in. For one that has come in since the last
    /// number, no file is answered with that had changed before.
    pub moment: u64,
}

/// What to answer.
#[derive(Debug)]
pub enum Answer {
    /// This.
    Reply(Reply),
    /// The route wants the request's content first: ask again with [`Inquiry::content`].
    Content {
        /// In bytes. If it is more than that, the answer is 413 ([`Site::refuse`]).
        limit: u64,
    },
    /// Another thread is at work on it.
    Later(Later),
    /// A program answers. It has not been asked yet.
    Gateway(Box<Plan>),
}

/// A whole answer, but for what the connection says about itself.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: Status,
    /// The fields of the representation and of the route.
    pub fields: Block,
    /// The content. For HEAD it is the one GET would have, and is not sent.
    pub body: Body,
    /// Who the client has proved to be, for the access log.
    pub user: Option<Rc<str>>,
}

impl Reply {
    /// Begins this answer on a connection that owes it: appends its head to `out`. `date` is now,
    /// as an HTTP date.
    pub fn begin(&self, connection: &mut Connection, date: &[u8], out: &mut Vec<u8>) {
        match (&self.fields, self.body.length()) {
            (Block::Prepared { lines, .. }, Some(length)) => {
                connection.respond_prepared(self.status, lines, length, date, out);
            }
            (lines, length) => connection.respond(self.status, lines, length, date, out),
        }
    }
}

/// Field lines, each ended by CRLF and valid. Never among them: `Date`, `Server`, `Content-Length`,
/// `Transfer-Encoding`, `Connection`, which the connection writes.
#[derive(Clone, Debug)]
pub enum Block {
    /// None.
    Empty,
    /// Known when the program was built.
    Static(&'static [u8]),
    /// Made once and used by many replies.
    Prepared {
        /// The lines, and behind them that of Content-Length, if the replies may have content.
        lines: Rc<[u8]>,
        /// Where the former end.
        end: usize,
    },
    /// Made for this reply.
    Made(Vec<u8>),
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Block::Empty => &[],
            Block::Static(lines) => lines,
            Block::Prepared { lines, end } => &lines[..*end],
            Block::Made(lines) => lines,
        }
    }
}

/// What holds for all hosts of a site.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// The media types of files.
    pub media_types: MediaTypes,
    /// How much content a request may have where no route says otherwise, in bytes.
    pub content_limit: u64,
    /// How much is kept of the files that are asked for.
    pub cache: CacheLimits,
}

impl Default for SiteOptions {
    /// The built-in media types, 10 MiB, and the default cache.
    fn default() -> Self {
        SiteOptions {
            media_types: MediaTypes::default(),
            content_limit: 10 << 20,
            cache: CacheLimits::default(),
        }
    }
}

/// Why a site cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteError {
    /// What is wrong, as a sentence without its full stop.
    pub what: String,
    /// Where the configuration says it.
    pub place: Option<Place>,
}

impl SiteError {
    fn new(what: String, place: Option<&Place>) -> SiteError {
        SiteError { what, place: place.cloned() }
    }
}

impl fmt::Display for SiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(Place { file, line }) => write!(f, "{file}:{line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for SiteError {}

/// All that is answered from: an immutable snapshot of hosts and routes, and what it has cached.
#[derive(Debug)]
pub struct Site {
    names: Names,
    hosts: Vec<Host>,
    media_types: MediaTypes,
    cache: Cache,
    watches: Watches,
    /// What nobody can guess who writes its files.
    secret: u64,
}

/// What a host without names is called.
const ANY_HOST: &str = "*";

#[derive(Debug)]
struct Host {
    /// As they were given.
    names: Vec<String>,
    /// Where the configuration says what it serves.
    place: Option<Place>,
    table: Table,
}

/// One inquiry on its way to an answer: what is known of it by now.
struct Errand<'a> {
    inquiry: &'a Inquiry<'a>,
    host: usize,
    /// Resolved.
    path: &'a [u8],
    rule: &'a Rc<Rule>,
}

impl Site {
    /// A site of these hosts, each with its names: `example.com`, `*.example.com`. The first host
    /// without a name answers for names that nobody has; if there is none, the first host does.
    ///
    /// # Errors
    /// If a name, a pattern or a route cannot be used, or there is no host.
    pub fn new(hosts: Vec<(Vec<String>, Router)>, options: SiteOptions) -> Result<Site, SiteError> {
        if hosts.is_empty() {
            return Err(SiteError::new("there is no site to serve".to_owned(), None));
        }
        let own: Vec<Vec<String>> = hosts.iter().map(|(names, _)| names.clone()).collect();
        let names = Names::new(&own).map_err(|(_, what)| SiteError::new(what, None))?;
        let compile = |(names, router): (Vec<String>, Router)| {
            let place = router.place.clone();
            Ok(Host { names, place, table: router.compile(options.content_limit)? })
        };
        Ok(Site {
            names,
            hosts: hosts.into_iter().map(compile).collect::<Result<_, _>>()?,
            media_types: options.media_types,
            cache: Cache::new(options.cache),
            watches: Watches::new(options.cache.directories),
            secret: RandomState::new().build_hasher().finish(),
        })
    }

    /// Has what is made up at random follow from this number, which nobody must be able to guess.
    pub fn set_secret(&mut self, secret: u64) {
        self.secret = secret;
    }

    /// All programs that may answer.
    pub fn programs(&self) -> impl Iterator<Item = &Rc<Program>> {
        self.hosts.iter().flat_map(|host| host.table.programs())
    }

    /// Every route that answers: its host's first name, `*` if it has none, its pattern, and the
    /// program that answers, if one does.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &str, Option<&Rc<Program>>)> {
        self.hosts.iter().flat_map(|host| {
            let name = host.names.first().map_or(ANY_HOST, String::as_str);
            let acting = |route: &'_ Rc<rule::Compiled>| route.action.is_some();
            host.table
                .routes()
                .iter()
                .filter(move |route| acting(route))
                .map(move |route| (name, &*route.pattern.text, route.program()))
        })
    }

    /// Lets go of all files that are kept.
    pub fn forget_files(&self) {
        self.cache.forget_all();
    }

    /// Bytes of files that are kept in memory.
    #[must_use]
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// What to answer; `route` becomes the number of the route that does, as soon as that is known.
    /// Never blocks, but for opening and reading small files. A panic of a handler comes out of it.
    #[must_use]
    pub fn answer(&self, inquiry: &Inquiry<'_>, route: &mut RouteNumber) -> Answer {
        let head = inquiry.head;
        if head.target == Target::Asterisk {
            return Answer::Reply(options(rule::KNOWN_METHODS, &[]));
        }
        let host = self.names.find(head.host);
        let mut scratch = Vec::new();
        let path = match head.target.resolve(&mut scratch) {
            Ok(path) => path,
            Err(refusal) => return Answer::Reply(self.refuse(refusal)),
        };
        let known = self.cache.find(host, path);
        let rule = match &known {
            Some(entry) => Rc::clone(&entry.rule),
            None => self.hosts[host].table.rule(path),
        };
        *route = rule.number;
        let errand = Errand { inquiry, host, path, rule: &rule };
        let user = match self.admit(&errand) {
            Ok(user) => user,
            Err(answer) => return answer,
        };
        let known = Known::weigh(known, path, &self.watches, inquiry.now);
        let mut answer = match &known {
            // Nobody else is asked for what is at hand.
            Known::Current(entry) if head.method.retrieves() && !entry.is_absence() => {
                Answer::Reply(self.represent(&errand, entry))
            }
            Known::Current(_) | Known::Stale | Known::Nothing => self.act(&errand, known),
        };
        match &mut answer {
            Answer::Reply(reply) => reply.user = reply.user.take().or(user),
            Answer::Later(later) => later.belong(&rule, user),
            Answer::Content { .. } => {}
            // Behind a directory, its index may have been guarded once more.
            Answer::Gateway(plan) => plan.user = plan.user.take().or(user),
        }
        answer
    }

    /// Whether the client may have an answer, and who it is; otherwise the answer it gets instead.
    fn admit(&self, errand: &Errand<'_>) -> Result<Option<Rc<str>>, Answer> {
        let rule = errand.rule;
        if rule.access.is_empty() {
            return Ok(None);
        }
        let Inquiry { head, client, now, .. } = *errand.inquiry;
        let visitor = Visitor {
            client,
            method: head.method,
            authorization: head.fields.only(Name::Authorization),
            now_ms: now.monotonic_ms,
        };
        let error = match access::check(&rule.access, &visitor) {
            Verdict::Allowed(user) => return Ok(user),
            Verdict::Verifying(later) => return Err(Answer::Later(later)),
            Verdict::Forbidden => self.error(errand, Status::FORBIDDEN, &[]),
            Verdict::Unauthorized(challenge) => {
                let mut line = Vec::new();
                fields::write(&mut line, "WWW-Authenticate", challenge.as_bytes());
                self.error(errand, Status::UNAUTHORIZED, &line)
            }
            Verdict::Busy => self.busy(errand),
        };
        Err(Answer::Reply(error))
    }

    /// Does what the rule says, if the method is one that it answers.
    fn act(&self, errand: &Errand<'_>, known: Known) -> Answer {
        let Some(action) = errand.rule.action() else {
            return self.nothing(errand, Absence::Missing);
        };
        let head = errand.inquiry.head;
        if !action.takes(head.method) {
            // A form that is sent to its own directory is for the program that stands for it, one
            // that is sent to nothing for whoever answers instead.
            if let Acting::Files(files) = action
                && let Some(answer) = self.enter_by(errand, files)
            {
                return answer;
            }
            return Answer::Reply(self.wrong_method(errand, action));
        }
        Answer::Reply(match action {
            Acting::Files(files) => return self.serve(errand, files, known),
            Acting::Program(_) => {
                return self.call(errand).unwrap_or_else(|absence| self.nothing(errand, absence));
            }
            Acting::Redirect { to, status } => {
                let reference = to.fill(&errand.rule.captures(errand.path), head.target.query());
                redirect_to(&reference, *status, errand.rule)
            }
            Acting::Respond { status, fields, content } => {
                let mut fields = fields.clone();
                errand.rule.fields.complete(&mut fields, status.is_error());
                let (fields, body) = (Block::Made(fields), Body::bytes(Rc::clone(content)));
                Reply { status: *status, fields, body, user: None }
            }
            Acting::Handlers(table) => match table.find(head.method) {
                Some(handler) => return self.handle(errand, handler),
                None => self.wrong_method(errand, action),
            },
        })
    }

    fn wrong_method(&self, errand: &Errand<'_>, action: &Acting) -> Reply {
        let allow = action.allow();
        match errand.inquiry.head.method {
            Method::Options => options(allow, &errand.rule.fields.success),
            Method::Other(_) => self.error(errand, Status::NOT_IMPLEMENTED, &[]),
            Method::Get
            | Method::Head
            | Method::Post
            | Method::Put
            | Method::Delete
            | Method::Patch
            | Method::Connect
            | Method::Trace => {
                let mut line = Vec::new();
                fields::write(&mut line, "Allow", allow.as_bytes());
                self.error(errand, Status::METHOD_NOT_ALLOWED, &line)
            }
        }
    }

    /// Asks a handler, once the request's content is there.
    fn handle(&self, errand: &Errand<'_>, handler: &dyn Handler) -> Answer {
        let Errand { inquiry, path, rule, .. } = *errand;
        let head = inquiry.head;
        let limit = rule.content_limit;
        let content = match (head.length, inquiry.content) {
            (None | Some(Length::Known(0)), _) => &[],
            (Some(_), Some(content)) => content,
            (Some(Length::Known(length)), None) if length > limit => {
                return Answer::Reply(self.error(errand, Status::CONTENT_TOO_LARGE, &[]));
            }
            (Some(_), None) => return Answer::Content { limit },
        };
        let captures = rule.captures(path);
        let client = inquiry.client;
        let request = Request { head, path, parameters: &captures, content, client };
        let (status, mut fields, content) = match handler.handle(&request).take_apart() {
            Ok((.., Content::Later(later))) => return Answer::Later(later),
            Ok((status, fields, Content::None)) if status.is_error() => {
                return Answer::Reply(self.error(errand, status, &fields));
            }
            Ok(parts) => parts,
            Err(fault) => {
                let path = String::from_utf8_lossy(path);
                log::error!("the response for {path:?} cannot be sent: {fault}");
                return Answer::Reply(self.error(errand, Status::INTERNAL_SERVER_ERROR, &[]));
            }
        };
        rule.fields.complete(&mut fields, status.is_error());
        let (fields, body) = (Block::Made(fields), content.into_body());
        Answer::Reply(Reply { status, fields, body, user: None })
    }
}

/// The answer to OPTIONS (RFC 9110 §9.3.7).
fn options(allow: &str, more: &[u8]) -> Reply {
    let mut lines = Vec::new();
    fields::write(&mut lines, "Allow", allow.as_bytes());
    lines.extend_from_slice(more);
    let status = Status::NO_CONTENT;
    Reply { status, fields: Block::Made(lines), body: Body::Empty, user: None }
}

fn redirect_to(reference: &str, status: Status, rule: &Rule) -> Reply {
    let mut lines = Vec::new();
    fields::write(&mut lines, "Location", reference.as_bytes());
    lines.extend_from_slice(&rule.fields.success);
    Reply { status, fields: Block::Made(lines), body: Body::Empty, user: None }
}
