//! What was said of the programs behind a route.

use toml::Spanned;

use super::super::forms::Shortened;
use super::super::reading::table;
use super::super::units::{Count, Size, Time};
use super::{Pairs, Perhaps, Several, Short};

/// `cgi` of a route
#[derive(Debug, Default)]
pub(in crate::config) struct Cgi {
    /// The directory of the scripts.
    pub root: Perhaps<String>,
    /// The one program for all paths.
    pub program: Perhaps<String>,
    /// How long it may say nothing.
    pub timeout: Perhaps<Time>,
    /// Processes at once.
    pub processes: Perhaps<Count>,
    /// Requests that wait for one.
    pub queue: Perhaps<Count>,
    /// Bytes of a response.
    pub output: Perhaps<Size>,
    /// Memory of a process.
    pub memory: Perhaps<Size>,
    /// Processor time of a process.
    pub cpu: Perhaps<Time>,
    /// Open files of a process.
    pub descriptors: Perhaps<Count>,
    /// Bytes of a file that a process writes.
    pub file: Perhaps<Size>,
    /// What it may use of the file system, beside its own folder.
    pub reach: Several<Spanned<String>>,
    /// More variables.
    pub environment: Pairs,
}

table!(
    Cgi,
    "a table like { root = \"/srv/cgi-bin\" }",
    [],
    [root program timeout processes queue output memory cpu descriptors file reach environment]
);

/// `fastcgi` of a route
#[derive(Debug, Default)]
pub(in crate::config) struct FastCgi {
    /// Where it is; any of them, if there are several.
    pub to: Several<Spanned<String>>,
    /// Where its scripts are, as it sees it.
    pub root: Perhaps<String>,
    /// The script that stands for its directory.
    pub index: Perhaps<String>,
    /// Idle connections that are kept to each.
    pub persistent: Perhaps<Count>,
    /// Connections at once to each.
    pub connections: Perhaps<Count>,
    /// Requests that wait for one.
    pub queue: Perhaps<Count>,
    /// How long it may say nothing.
    pub timeout: Perhaps<Time>,
    /// How long a connection may take to come about.
    pub connect_timeout: Perhaps<Time>,
    /// How long an idle connection is kept.
    pub idle: Perhaps<Time>,
    /// More variables.
    pub environment: Pairs,
}

table!(
    FastCgi,
    "a table like { to = \"unix:/run/php-fpm.sock\" }",
    [],
    [to root index persistent connections queue timeout connect_timeout idle environment]
);

/// `scgi` of a route
#[derive(Debug, Default)]
pub(in crate::config) struct Scgi {
    /// Where it is; any of them, if there are several.
    pub to: Several<Spanned<String>>,
    /// What it is told its documents' directory is.
    pub root: Perhaps<String>,
    /// Connections at once to each.
    pub connections: Perhaps<Count>,
    /// Requests that wait for one.
    pub queue: Perhaps<Count>,
    /// How long it may say nothing.
    pub timeout: Perhaps<Time>,
    /// How long a connection may take to come about.
    pub connect_timeout: Perhaps<Time>,
    /// More variables.
    pub environment: Pairs,
}

table!(
    Scgi,
    "a table like { to = \"127.0.0.1:4000\" }",
    [],
    [to root connections queue timeout connect_timeout environment]
);

/// `proxy` of a route
#[derive(Debug, Default)]
pub(in crate::config) struct Proxy {
    /// Where it is; any of them, if there are several.
    pub to: Several<Spanned<String>>,
    /// What is taken off the front of the path.
    pub strip: Perhaps<String>,
    /// `keep` or `replace`
    pub host: Perhaps<String>,
    /// Idle connections that are kept to each.
    pub persistent: Perhaps<Count>,
    /// Connections at once to each.
    pub connections: Perhaps<Count>,
    /// Requests that wait for one.
    pub queue: Perhaps<Count>,
    /// How long it may say nothing.
    pub timeout: Perhaps<Time>,
    /// How long a connection may take to come about.
    pub connect_timeout: Perhaps<Time>,
    /// How long an idle connection is kept.
    pub idle: Perhaps<Time>,
    /// How it is found out whether it is well.
    pub health: Option<Short<Health>>,
}

table!(
    Proxy,
    "a table like { to = \"http://127.0.0.1:3000\" }",
    [],
    [to strip host persistent connections queue timeout connect_timeout idle health]
);

/// `health` of a proxy
#[derive(Debug)]
pub(in crate::config) struct Health {
    /// The path that is asked for.
    pub path: Spanned<String>,
    /// The time between two questions.
    pub interval: Perhaps<Time>,
}

table!(Health, Health::EXPECTED, [path], [interval]);

impl From<Spanned<String>> for Health {
    fn from(path: Spanned<String>) -> Self {
        Health { path, interval: None }
    }
}

impl Shortened for Health {
    const EXPECTED: &str = "a path or a table like { path = \"/healthz\", interval = \"10s\" }";
}
