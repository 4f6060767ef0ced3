//! Programs that answer: what a route says of one, and what it has to know of one request. Who
//! starts them and talks to them is not known here.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use super::rule::Rule;
use crate::gateway::Script;
use crate::http::status::Status;

/// `sockaddr_un` has room for so many bytes and a NUL (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Why a text is no endpoint: a sentence about it without its full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEndpoint(pub &'static str);

impl fmt::Display for BadEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadEndpoint {}

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
    /// An application that speaks `FastCGI`.
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
    /// What else each process may have.
    pub limits: ProcessLimits,
    /// Files and folders that it may use, beside its own folder; absolute.
    pub reach: Vec<PathBuf>,
}

/// What a process may have (getrlimit(2)); `None`: what this one may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Bytes of memory (`RLIMIT_AS`).
    pub memory: Option<u64>,
    /// Processor time (`RLIMIT_CPU`, whole seconds).
    pub cpu: Option<Duration>,
    /// Open files (`RLIMIT_NOFILE`).
    pub descriptors: Option<u64>,
    /// Bytes of each file that it writes (`RLIMIT_FSIZE`).
    pub file: Option<u64>,
}

/// What the processes of one route may use of the file system, beside what all may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The folder of the scripts: to read and to execute.
    pub scripts: PathBuf,
    /// To do there whatever they like.
    pub more: Vec<PathBuf>,
}

impl Program {
    /// What the processes of this route may use: what is said of it, and what its environment tells
    /// them of by an absolute path.
    #[must_use]
    pub fn reach(&self, cgi: &Cgi) -> Reach {
        let scripts = match &cgi.scripts {
            Scripts::Below(root) => root.clone(),
            Scripts::One(program) => program.parent().unwrap_or(program).to_owned(),
        };
        let values = self.environment.iter().map(|(_, value)| PathBuf::from(value));
        // The root directory would be everything.
        let told = values.filter(|path| path.is_absolute() && path.parent().is_some());
        Reach { scripts, more: cgi.reach.iter().cloned().chain(told).collect() }
    }
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

/// A `FastCGI` application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastCgi {
    /// Where it is.
    pub upstream: Upstream,
    /// Where its scripts are, as it sees it: `SCRIPT_FILENAME` is the path below it.
    pub root: Option<PathBuf>,
    /// Whether that is the whole path; else what stands before the `*` of the route's pattern is
    /// left out, as it is for files.
    pub whole_path: bool,
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
    /// The one the client has asked for; where it has named none (HTTP/1.0), its own.
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

impl Endpoint {
    /// What Host says there. A socket has no name, and is on this machine.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Endpoint::Tcp(_) | Endpoint::Name(..) => self.to_string(),
            Endpoint::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    /// `127.0.0.1:3000`, `[::1]:3000`, `name:3000` or `unix:/path`.
    fn from_str(text: &str) -> Result<Endpoint, BadEndpoint> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = path.starts_with('/') && path.len() <= MAX_SOCKET_PATH;
            let path = Some(path).filter(|path| is_path && !path.contains('\0'));
            return path.map(|path| Endpoint::Unix(path.into())).ok_or(BadEndpoint(
                "behind unix: comes the path of a socket, from / on, of 107 bytes at most",
            ));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return match address.port() {
                0 => Err(BadEndpoint("nobody can be reached at port 0")),
                _ => Ok(Endpoint::Tcp(address)),
            };
        }
        let (name, port) = text.rsplit_once(':').ok_or(BadEndpoint("it has no port"))?;
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| *port != 0 && is_number);
        let port = port.ok_or(BadEndpoint("its port is not a number from 1 to 65535"))?;
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_label =
            |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
        // What looks like a number and is no address is a slip, whatever a resolver makes of it.
        let is_numeric = name.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_ok());
        if name.len() > 253 || is_numeric || !name.split('.').all(is_label) {
            return Err(BadEndpoint("it is neither an IP address nor a name"));
        }
        Ok(Endpoint::Name(name.to_owned(), port))
    }
}

impl Program {
    /// A program of this kind, with the limits that hold where nothing else is said: 60 seconds,
    /// 64 waiting, and 16 processes or 256 connections.
    #[must_use]
    pub fn new(kind: Kind) -> Program {
        let at_once = match kind {
            Kind::Cgi(_) => 16,
            Kind::FastCgi(_) | Kind::Scgi(_) | Kind::Proxy(_) => 256,
        };
        let timeout = Duration::from_mins(1);
        Program { kind, environment: Vec::new(), timeout, at_once, queue: 64 }
    }

    /// The CGI scripts below a directory.
    #[must_use]
    pub fn cgi(directory: impl Into<PathBuf>) -> Program {
        Program::new(Kind::Cgi(Cgi::new(Scripts::Below(directory.into()))))
    }

    /// An origin server, asked for the host that the client has asked for.
    #[must_use]
    pub fn proxy(to: Endpoint) -> Program {
        let upstream = Upstream { persistent: 32, ..Upstream::new(vec![to]) };
        Program::new(Kind::Proxy(Proxy { upstream, strip: None, host: HostField::default() }))
    }
}

impl Cgi {
    /// Responses up to 1 GiB, and no limit of memory and processor time.
    #[must_use]
    pub fn new(scripts: Scripts) -> Cgi {
        Cgi { scripts, output: 1 << 30, limits: ProcessLimits::default(), reach: Vec::new() }
    }
}

impl Upstream {
    /// No idle connections kept, and if any, for 60 seconds; 5 seconds to connect; nobody asks how
    /// the endpoints are. A process of php-fpm serves its own connection alone for as long as that
    /// is kept, so that keeping is for those who know how many there are.
    #[must_use]
    pub fn new(to: Vec<Endpoint>) -> Upstream {
        let (connect_timeout, idle_timeout) = (Duration::from_secs(5), Duration::from_mins(1));
        Upstream { to, persistent: 0, connect_timeout, idle_timeout, health: None }
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
