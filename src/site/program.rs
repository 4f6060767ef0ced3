//! Programs that answer: what a route says of one, and what it has to know of one request. Who
//! starts them and talks to them is not known here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::rule::Rule;
use crate::gateway::Script;
use crate::http::status::Status;

/// A program behind a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// How it is reached.
    pub kind: Kind,
    /// Variables that it is given, beside those of its protocol. A proxy has none.
    pub environment: Vec<(String, String)>,
    /// How long it may say nothing while something is waited for: the head of its response, or more
    /// of its content. Then 504, or the response is cut.
    pub timeout: Duration,
    /// How many exchanges it may have at once: processes, or connections to one endpoint.
    pub at_once: usize,
    /// How many requests may wait for their turn. Above it, 503.
    pub queue: usize,
}

/// How a program is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process for each request (RFC 3875).
    Cgi(Cgi),
    /// An application that speaks FastCGI.
    FastCgi(FastCgi),
    /// An application that speaks SCGI.
    Scgi(Scgi),
    /// An origin server that speaks HTTP/1.1.
    Proxy(Proxy),
}

/// Scripts, and what each process of theirs may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgi {
    /// Which program is run.
    pub scripts: Scripts,
    /// Bytes of a response; above it, it is cut.
    pub output: u64,
    /// Bytes of memory (`RLIMIT_AS`).
    pub memory: Option<u64>,
    /// Processor time (`RLIMIT_CPU`, whole seconds).
    pub cpu: Option<Duration>,
}

/// Which program is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// The first file on the way that the path describes below this directory. What stands before
    /// the `*` of the route's pattern is left out, as it is for files.
    Below(PathBuf),
    /// This one, whatever the path.
    One(PathBuf),
}

/// A FastCGI application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastCgi {
    /// Where it is.
    pub upstream: Upstream,
    /// Where its scripts are, as it sees it: `SCRIPT_FILENAME` is the path below it.
    pub root: Option<PathBuf>,
    /// The script that stands for its directory.
    pub index: Option<String>,
}

/// An SCGI application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scgi {
    /// Where it is.
    pub upstream: Upstream,
    /// `DOCUMENT_ROOT`.
    pub root: Option<PathBuf>,
}

/// An origin server, or several that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where they are.
    pub upstream: Upstream,
    /// Taken off the front of the path: `/api` makes `/api/x` into `/x`, and `/api` into `/`.
    pub strip: Option<String>,
    /// Which host they are asked for.
    pub host: HostField,
}

/// Which host an origin server is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostField {
    /// The one the client has asked for.
    #[default]
    Keep,
    /// Its own: the endpoint's name and port.
    Replace,
}

/// Where a program is that is not started here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// At least one. The one with the fewest exchanges is asked.
    pub to: Vec<Endpoint>,
    /// How many idle connections are kept to each.
    pub persistent: usize,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How it is found out whether an endpoint is well; `None`: by the exchanges themselves.
    pub health: Option<Health>,
}

/// Asking an origin server how it is, whatever else happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The path that is asked for; 200 to 399 is well.
    pub path: String,
    /// The time between two questions.
    pub interval: Duration,
}

/// An address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A name that is looked up, and a port.
    Name(String, u16),
    /// The path of a Unix-domain socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => address.fmt(f),
            Endpoint::Name(name, port) => write!(f, "{name}:{port}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Kind {
    /// Where the program is, if it is not started here.
    #[must_use]
    pub fn upstream(&self) -> Option<&Upstream> {
        match self {
            Kind::Cgi(_) => None,
            Kind::FastCgi(FastCgi { upstream, .. })
            | Kind::Scgi(Scgi { upstream, .. })
            | Kind::Proxy(Proxy { upstream, .. }) => Some(upstream),
        }
    }
}

/// What a program has to know of one request, and what holds for its answer.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which program answers.
    pub program: Rc<Program>,
    /// Which script is asked for.
    pub script: Script,
    /// The path that the route was found by: decoded, without dot segments.
    pub path: Vec<u8>,
    /// How much content the request may have, in bytes.
    pub content_limit: u64,
    /// Who the client has proved to be.
    pub user: Option<Rc<str>>,
    pub(super) rule: Rc<Rule>,
}

impl Plan {
    /// Adds what the route says of the fields of a response with this status.
    pub fn complete(&self, fields: &mut Vec<u8>, status: Status) {
        self.rule.fields.complete(fields, status.is_error());
    }
}
