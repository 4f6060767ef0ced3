//! What was said: the configuration file as it stands, each value with its place in the text.
//!
//! Nothing is decided here. What was left out is `None` or empty; what the values mean, and what
//! holds where nothing was said, is for `meaning`. A key that is not named here is an error.

mod programs;

use std::collections::BTreeMap;

use toml::Spanned;

use super::forms::Shortened;
pub(super) use super::forms::{Several, Short};
use super::reading::table;
use super::units::{Count, Rate, Size, Time};
pub(super) use programs::{Cgi, FastCgi, Health, Proxy, Scgi};

/// A value that may be left out, with its place.
type Perhaps<T> = Option<Spanned<T>>;

/// Names and values, each with its place.
pub(super) type Pairs = BTreeMap<Spanned<String>, Spanned<String>>;

/// The pairs in the order they were said.
pub(super) fn in_order(pairs: &Pairs) -> Vec<(&Spanned<String>, &Spanned<String>)> {
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort_by_key(|(name, _)| name.span().start);
    pairs
}

/// A whole configuration file.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// `[media-types]`: file name extensions and their media types.
    pub media_types: Pairs,
    /// Every `[[site]]`.
    pub site: Vec<Spanned<Site>>,
}

table!(Said, "a configuration", [], [server limits log media_types site]);

/// `[server]`
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Addresses, each a string or `{ addr = "…" }`.
    pub listen: Several<Short<Listen>>,
    /// Where the number of the process stands.
    pub pid_file: Perhaps<String>,
    /// Processes that serve.
    pub workers: Perhaps<Count>,
    /// `127.0.0.1:9090`, `[::1]:9090` or `unix:/path`
    pub admin: Perhaps<String>,
    /// Networks, or `unix`, of those whose word is taken for whom a request is from.
    pub trusted_forwarders: Perhaps<Several<Spanned<String>>>,
    /// `X-Forwarded-For` or `Forwarded`
    pub forwarded_field: Perhaps<String>,
    /// Whose the process becomes when it was started by root.
    pub user: Perhaps<String>,
    /// The group that it is given, if not the user's.
    pub group: Perhaps<String>,
    /// `auto`, `require` or `off`
    pub sandbox: Perhaps<String>,
    /// Folders that a reload may name.
    pub reach: Several<Spanned<String>>,
}

table!(
    Server,
    "a table: [server]",
    [],
    [
        listen pid_file workers admin trusted_forwarders forwarded_field user group sandbox reach
    ]
);

/// One entry of `listen`.
#[derive(Debug)]
pub(super) struct Listen {
    /// `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`
    pub addr: Spanned<String>,
    /// Networks, or `unix`, of those who begin a connection with a PROXY header.
    pub proxy_protocol: Perhaps<Several<Spanned<String>>>,
}

table!(Listen, Listen::EXPECTED, [addr], [proxy_protocol]);

impl From<Spanned<String>> for Listen {
    fn from(addr: Spanned<String>) -> Self {
        Listen { addr, proxy_protocol: None }
    }
}

impl Shortened for Listen {
    const EXPECTED: &str = "an address or a table like { addr = \"127.0.0.1:8080\" }";
}

/// `[limits]`
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Connections at the same time.
    pub connections: Perhaps<Count>,
    /// What one address may have.
    pub per_ip: PerIp,
    /// Memory of the process.
    pub max_memory: Perhaps<Size>,
    /// A request's head.
    pub head: Head,
    /// A request's content.
    pub content: Content,
    /// A response on its way to the client.
    pub send: Sending,
    /// How long another thread may take for an answer.
    pub answer: Perhaps<Time>,
    /// A connection between two requests.
    pub persistent: Persistent,
    /// What one client may have before the others have theirs.
    pub turn: Turn,
    /// A longer turn of the loop is logged.
    pub loop_lag: Perhaps<Time>,
    /// Where turns take longer, requests are put off.
    pub overload: Perhaps<Time>,
    /// How long a connection that the server ends is still listened to.
    pub linger: Perhaps<Time>,
    /// How long a graceful end waits for exchanges under way.
    pub drain: Perhaps<Time>,
    /// A new program in place of this one.
    pub upgrade: Upgrade,
    /// Content of requests that waits for a program.
    pub spool: Spool,
    /// How long a program goes on for a client that may be gone.
    pub half_closed: Perhaps<Time>,
    /// How long a connection that has changed its protocol may be silent.
    pub tunnel: Perhaps<Time>,
    /// What is kept of the files that are asked for.
    pub cache: Cache,
    /// What programs may complain of.
    pub complaints: Complaints,
    /// How far back the recorder goes.
    pub recorder: Recorder,
}

table!(
    Limits,
    "a table: [limits]",
    [],
    [
        connections per_ip max_memory head content send answer persistent turn loop_lag overload
        linger drain upgrade spool half_closed tunnel cache complaints recorder
    ]
);

/// `limits.per-ip`
#[derive(Debug, Default)]
pub(super) struct PerIp {
    /// Connections at the same time.
    pub connections: Perhaps<Count>,
    /// Requests in each second.
    pub requests_per_second: Perhaps<Count>,
    /// Requests at once, where there were none before.
    pub burst: Perhaps<Count>,
}

table!(
    PerIp,
    "a table like { connections = 64, requests-per-second = 50, burst = 100 }",
    [],
    [connections requests_per_second burst]
);

/// `limits.head`
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Bytes of a head.
    pub bytes: Perhaps<Size>,
    /// Field lines of a head.
    pub fields: Perhaps<Count>,
    /// From its first byte, or the start of the connection, to its last.
    pub timeout: Perhaps<Time>,
}

table!(
    Head,
    "a table like { bytes = \"16KiB\", fields = 100, timeout = \"10s\" }",
    [],
    [bytes fields timeout]
);

/// `limits.content`
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Bytes of a request's content.
    pub bytes: Perhaps<Size>,
    /// How long it may rest.
    pub timeout: Perhaps<Time>,
    /// How slow it may be.
    pub min_rate: Perhaps<Rate>,
}

table!(
    Content,
    "a table like { bytes = \"10MiB\", timeout = \"30s\", min-rate = \"500B/s\" }",
    [],
    [bytes timeout min_rate]
);

/// `limits.send`
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// How long a client may take nothing.
    pub timeout: Perhaps<Time>,
    /// How slowly it may take.
    pub min_rate: Perhaps<Rate>,
}

table!(
    Sending,
    "a table like { timeout = \"60s\", min-rate = \"500B/s\" }",
    [],
    [timeout min_rate]
);

/// `limits.persistent`
#[derive(Debug, Default)]
pub(super) struct Persistent {
    /// How long a connection may wait for its next request.
    pub idle: Perhaps<Time>,
    /// Requests on one connection.
    pub requests: Perhaps<Count>,
}

table!(Persistent, "a table like { idle = \"75s\", requests = 10000 }", [], [idle requests]);

/// `limits.turn`
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Requests in one turn.
    pub requests: Perhaps<Count>,
    /// Bytes in one turn.
    pub bytes: Perhaps<Size>,
}

table!(Turn, "a table like { requests = 64, bytes = \"256KiB\" }", [], [requests bytes]);

/// `limits.upgrade`
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    /// How long the new program may take until it serves.
    pub start: Perhaps<Time>,
    /// How long the old one goes on for its clients.
    pub drain: Perhaps<Time>,
}

table!(Upgrade, "a table like { start = \"30s\", drain = \"10min\" }", [], [start drain]);

/// `limits.recorder`
#[derive(Debug, Default)]
pub(super) struct Recorder {
    /// Turns of the loop.
    pub turns: Perhaps<Count>,
    /// What happened in them.
    pub moments: Perhaps<Count>,
}

table!(Recorder, "a table like { turns = 1024, moments = 8192 }", [], [turns moments]);

/// `limits.spool`
#[derive(Debug, Default)]
pub(super) struct Spool {
    /// Bytes of one request's content in memory; more goes into a file.
    pub memory: Perhaps<Size>,
    /// Bytes of all requests' content.
    pub total: Perhaps<Size>,
}

table!(Spool, "a table like { memory = \"64KiB\", total = \"1GiB\" }", [], [memory total]);

/// `limits.cache`
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Files.
    pub files: Perhaps<Count>,
    /// Files kept open.
    pub open: Perhaps<Count>,
    /// Content in memory.
    pub bytes: Perhaps<Size>,
    /// That of one file.
    pub file: Perhaps<Size>,
    /// Paths where nothing is.
    pub missing: Perhaps<Count>,
    /// Directories watched.
    pub watched: Perhaps<Count>,
}

table!(
    Cache,
    "a table like { files = 1024, open = 512, bytes = \"32MiB\" }",
    [],
    [files open bytes file missing watched]
);

/// `limits.complaints`
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// Lines of one exchange.
    pub lines: Perhaps<Count>,
    /// Their bytes.
    pub bytes: Perhaps<Size>,
}

table!(Complaints, "a table like { lines = 1000, bytes = \"64KiB\" }", [], [lines bytes]);

/// `[log]`
#[derive(Debug, Default)]
pub(super) struct Log {
    /// One line for each exchange.
    pub access: AccessLog,
    /// What the server has to say of itself.
    pub error: ErrorLog,
    /// Bytes of each that may wait to be written.
    pub queue: Perhaps<Size>,
}

table!(Log, "a table: [log]", [], [access error queue]);

/// `log.access`
#[derive(Debug, Default)]
pub(super) struct AccessLog {
    /// `stdout`, `stderr`, `none`, `syslog` or a path
    pub to: Perhaps<String>,
    /// `combined`, `common` or `json`
    pub format: Perhaps<String>,
}

table!(AccessLog, "a table like { to = \"stdout\", format = \"combined\" }", [], [to format]);

/// `log.error`
#[derive(Debug, Default)]
pub(super) struct ErrorLog {
    /// As for the access log.
    pub to: Perhaps<String>,
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`
    pub level: Perhaps<String>,
    /// `text` or `json`
    pub format: Perhaps<String>,
}

table!(
    ErrorLog,
    "a table like { to = \"stderr\", level = \"info\", format = \"text\" }",
    [],
    [to level format]
);

/// `[[site]]`
#[derive(Debug, Default)]
pub(super) struct Site {
    /// Names it answers to; `*.example.com` for all below.
    pub host: Several<Spanned<String>>,
    /// The directory of its files.
    pub root: Perhaps<String>,
    /// Files that stand for their directory, the first that exists.
    pub index: Option<Several<Spanned<String>>>,
    /// Pages for statuses: `404`, `5xx`.
    pub errors: Pairs,
    /// Codings of files that lie beside the file: `br`, `zst`, `gz`.
    pub precompressed: Several<Spanned<String>>,
    /// Every `[[site.route]]`.
    pub route: Vec<Spanned<Route>>,
}

table!(Site, "a table: [[site]]", [], [host root index errors precompressed route]);

/// `[[site.route]]`
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The pattern of the paths it is for; every path if it is left out.
    pub path: Perhaps<String>,
    /// Fields added to every response.
    pub fields: Pairs,
    /// Pages for statuses: `404`, `5xx`.
    pub errors: Pairs,
    /// Serves files.
    pub files: Perhaps<Files>,
    /// Sends the client elsewhere.
    pub redirect: Perhaps<Redirect>,
    /// Gives a fixed answer.
    pub respond: Perhaps<Respond>,
    /// Starts a program for each request.
    pub cgi: Perhaps<Cgi>,
    /// Asks a FastCGI application.
    pub fastcgi: Perhaps<FastCgi>,
    /// Asks an SCGI application.
    pub scgi: Perhaps<Scgi>,
    /// Asks another HTTP server.
    pub proxy: Perhaps<Proxy>,
    /// Networks whose clients are let in.
    pub allow: Option<Several<Spanned<String>>>,
    /// Who is let in.
    pub auth: Perhaps<Auth>,
    /// The page for what is not there (single-page applications).
    pub fallback: Perhaps<String>,
    /// Limits of the request's content.
    pub content: Perhaps<RouteContent>,
}

table!(
    Route,
    "a table: [[site.route]]",
    [],
    [path fields errors files redirect respond cgi fastcgi scgi proxy allow auth fallback content]
);

/// `files` of a route
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The directory; the site's if it is left out.
    pub root: Perhaps<String>,
    /// Whether a directory without an index file is listed.
    pub listing: Option<bool>,
    /// `deny`, `inside` or `follow`
    pub symlinks: Perhaps<String>,
    /// Whether names that begin with a dot are served.
    pub dotfiles: Option<bool>,
    /// Files that stand for their directory; the site's if it is left out.
    pub index: Option<Several<Spanned<String>>>,
}

table!(
    Files,
    "a table like { root = \"/srv/files\", listing = true }",
    [],
    [root listing symlinks dotfiles index]
);

/// `redirect` of a route
#[derive(Debug)]
pub(super) struct Redirect {
    /// Where to; `{name}` is the path's parameter.
    pub to: Spanned<String>,
    /// 301, 302, 303, 307 or 308
    pub status: Perhaps<Count>,
}

table!(Redirect, "a table like { to = \"/new/\", status = 301 }", [to], [status]);

/// `respond` of a route
#[derive(Debug, Default)]
pub(super) struct Respond {
    /// 200 if it is left out.
    pub status: Perhaps<Count>,
    /// Nothing if it is left out.
    pub content: Perhaps<String>,
    /// Fields of the answer.
    pub fields: Pairs,
}

table!(
    Respond,
    "a table like { status = 200, content = \"pong\\n\" }",
    [],
    [status content fields]
);

/// `auth` of a route
#[derive(Debug)]
pub(super) struct Auth {
    /// The htpasswd file.
    pub basic: Spanned<String>,
    /// What the client is told it asks for.
    pub realm: Perhaps<String>,
    /// The methods that need it; `*` for all.
    pub methods: Option<Several<Spanned<String>>>,
}

table!(
    Auth,
    "a table like { basic = \"/etc/oneloop/htpasswd\", realm = \"private\" }",
    [basic],
    [realm methods]
);

/// `content` of a route
#[derive(Debug)]
pub(super) struct RouteContent {
    /// Bytes of a request's content.
    pub bytes: Spanned<Size>,
}

table!(RouteContent, "a table like { bytes = \"1GiB\" }", [bytes], []);
