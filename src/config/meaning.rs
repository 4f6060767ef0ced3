//! What a configuration means: every option with the value that holds, defaults filled in, paths
//! absolute. How it was written, and how it is put to work, is not known here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::http::negotiation::Coding;
use crate::http::status::Status;
use crate::server::access_log::AccessLogOptions;
use crate::server::confinement::Sandbox;
use crate::server::confinement::identity::Identity;
use crate::server::diagnostic_log::DiagnosticLogOptions;
use crate::server::limits::Limits;
use crate::server::listener::Address;
use crate::server::trust::Trust;
use crate::site::Symlinks;
use crate::site::access::Network;
use crate::site::cache::CacheLimits;
use crate::site::program::Program;
use crate::site::rule::Place;

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; at least one address, none twice.
    pub listen: Vec<Address>,
    /// Whom the server believes when they say for whom they speak.
    pub trust: Trust,
    /// Where the number of the process stands while it serves; absolute.
    pub pid_file: Option<PathBuf>,
    /// Processes that serve, each one loop.
    pub workers: usize,
    /// Where the server shows how it is doing: only to this machine. `None`: nowhere.
    pub admin: Option<Address>,
    /// Whose the process becomes when it was started by root.
    pub identity: Option<Identity>,
    /// How much it is confined.
    pub sandbox: Sandbox,
    /// Folders that it may read from, beside those that are named elsewhere; absolute.
    pub reach: Vec<PathBuf>,
    /// The limits of everything that could otherwise grow or wait without end.
    pub limits: Limits,
    /// What is kept of the files that are asked for.
    pub cache: CacheLimits,
    /// One line for each exchange.
    pub access_log: AccessLogOptions,
    /// What the server says of itself, and how much where `RUST_LOG` does not say otherwise.
    pub diagnostic_log: DiagnosticLogOptions,
    /// Media types of file name extensions, beside the built-in ones. The extension has no dot.
    pub media_types: BTreeMap<String, String>,
    /// What to answer; at least one site. No host is named twice, and at most one site has none.
    pub sites: Vec<Site>,
}

/// One site: the hosts it answers for, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Names in lower case; `*.example.com` is every name below. Without names it is the default.
    pub hosts: Vec<String>,
    /// The directory of the files that are served where no route says otherwise; absolute. No
    /// directory is listed, links are followed inside it, dotfiles are not served.
    pub root: Option<PathBuf>,
    /// Names of files that stand for their directory; the first that exists does.
    pub index: Vec<String>,
    /// Paths of the pages for statuses: keys are codes (`404`) and classes (`5xx`).
    pub errors: BTreeMap<String, String>,
    /// Codings of files that lie beside the file; the first is preferred.
    pub precompressed: Vec<Coding>,
    /// No pattern stands there twice.
    pub routes: Vec<Route>,
    /// Where it was said.
    pub place: Option<Place>,
}

/// What holds for the paths of one pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `/exact`, `/prefix/*`, `/user/{id}`, `*.php`, `/*`
    pub pattern: String,
    /// What answers; `None`: what would answer without this route.
    pub action: Option<Action>,
    /// Networks whose clients are let in; `None`: all are.
    pub allow: Option<Vec<Network>>,
    /// Who is let in; `None`: everybody.
    pub auth: Option<Auth>,
    /// Fields added to every response.
    pub fields: Vec<(String, String)>,
    /// As [`Site::errors`], for these paths.
    pub errors: BTreeMap<String, String>,
    /// Bytes of a request's content; `None`: what holds for all.
    pub content_bytes: Option<u64>,
    /// The path of the page that answers navigations to what is not there.
    pub fallback: Option<String>,
    /// Where it was said.
    pub place: Option<Place>,
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Files below a directory.
    Files(Files),
    /// Sends the client elsewhere.
    Redirect {
        /// A path or URL; `{name}` stands for the path's parameter.
        to: String,
        /// 301, 302, 303, 307 or 308
        status: Status,
    },
    /// A fixed answer.
    Respond {
        /// Its status.
        status: Status,
        /// Its content.
        content: String,
        /// Its fields.
        fields: Vec<(String, String)>,
    },
    /// A program; its paths are absolute.
    Program(Box<Program>),
}

/// A directory and how it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The directory; absolute.
    pub root: PathBuf,
    /// Whether the whole path is looked up there, as it is below the root of the site; else it is
    /// looked up without the route's prefix.
    pub whole_path: bool,
    /// Names of files that stand for their directory; the first that exists does.
    pub index: Vec<String>,
    /// Whether a directory without such a file is listed.
    pub listing: bool,
    /// Which symbolic links are followed.
    pub symlinks: Symlinks,
    /// Whether names that begin with a dot are served; `/.well-known/` always is.
    pub dotfiles: bool,
}

/// Basic authentication (RFC 7617).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The htpasswd file; absolute.
    pub basic: PathBuf,
    /// What the client is told it asks for.
    pub realm: String,
    /// The methods that need it; `*` stands for all.
    pub methods: Vec<String>,
}
