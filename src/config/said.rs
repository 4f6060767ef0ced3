//! What was said: the configuration file as it stands, each value with its place in the text.
//!
//! Nothing is decided here. What was left out is `None` or empty; what the values mean, and what
//! holds where nothing was said, is for `meaning`. A key that is not named here is an error.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::units::{Count, Rate, Size, Time};

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
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a configuration")]
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

/// `[server]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table: [server]")]
pub(super) struct Server {
    /// Addresses, each a string or `{ addr = "…" }`.
    pub listen: Several<Listen>,
}

/// One entry of `listen`.
#[derive(Debug)]
pub(super) struct Listen {
    /// `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`
    pub addr: Spanned<String>,
}

/// `[limits]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table: [limits]")]
pub(super) struct Limits {
    /// Connections at the same time.
    pub connections: Perhaps<Count>,
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
    /// How long a connection that the server ends is still listened to.
    pub linger: Perhaps<Time>,
    /// How long a graceful end waits for exchanges under way.
    pub drain: Perhaps<Time>,
    /// What is kept of the files that are asked for.
    pub cache: Cache,
}

/// `limits.head`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { bytes = \"16KiB\", fields = 100, timeout = \"10s\" }")]
pub(super) struct Head {
    /// Bytes of a head.
    pub bytes: Perhaps<Size>,
    /// Field lines of a head.
    pub fields: Perhaps<Count>,
    /// From its first byte, or the start of the connection, to its last.
    pub timeout: Perhaps<Time>,
}

/// `limits.content`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { bytes = \"10MiB\", timeout = \"30s\", min-rate = \"500B/s\" }")]
pub(super) struct Content {
    /// Bytes of a request's content.
    pub bytes: Perhaps<Size>,
    /// How long it may rest.
    pub timeout: Perhaps<Time>,
    /// How slow it may be.
    pub min_rate: Perhaps<Rate>,
}

/// `limits.send`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { timeout = \"60s\", min-rate = \"500B/s\" }")]
pub(super) struct Sending {
    /// How long a client may take nothing.
    pub timeout: Perhaps<Time>,
    /// How slowly it may take.
    pub min_rate: Perhaps<Rate>,
}

/// `limits.persistent`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { idle = \"75s\", requests = 10000 }")]
pub(super) struct Persistent {
    /// How long a connection may wait for its next request.
    pub idle: Perhaps<Time>,
    /// Requests on one connection.
    pub requests: Perhaps<Count>,
}

/// `limits.turn`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { requests = 64, bytes = \"256KiB\" }")]
pub(super) struct Turn {
    /// Requests in one turn.
    pub requests: Perhaps<Count>,
    /// Bytes in one turn.
    pub bytes: Perhaps<Size>,
}

/// `limits.cache`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { files = 1024, open = 512, bytes = \"32MiB\" }")]
pub(super) struct Cache {
    /// Files.
    pub files: Perhaps<Count>,
    /// Files kept open.
    pub open: Perhaps<Count>,
    /// Content in memory.
    pub bytes: Perhaps<Size>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table: [log]")]
pub(super) struct Log {
    /// One line for each exchange.
    pub access: AccessLog,
    /// What the server has to say of itself.
    pub error: ErrorLog,
}

/// `log.access`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { to = \"stdout\", format = \"combined\" }")]
pub(super) struct AccessLog {
    /// `stdout`, `stderr`, `none` or a path
    pub to: Perhaps<String>,
    /// `combined`, `common` or `json`
    pub format: Perhaps<String>,
}

/// `log.error`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { to = \"stderr\", level = \"info\" }")]
pub(super) struct ErrorLog {
    /// `stderr`
    pub to: Perhaps<String>,
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`
    pub level: Perhaps<String>,
}

/// `[[site]]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table: [[site]]")]
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

/// `[[site.route]]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table: [[site.route]]")]
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
    /// Networks whose clients are let in.
    pub allow: Option<Several<Spanned<String>>>,
    /// Who is let in.
    pub auth: Perhaps<Auth>,
    /// The page for what is not there (single-page applications).
    pub fallback: Perhaps<String>,
    /// Limits of the request's content.
    pub content: Perhaps<RouteContent>,
}

/// `files` of a route
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { root = \"/srv/files\", listing = true }")]
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

/// `redirect` of a route
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { to = \"/new/\", status = 301 }")]
pub(super) struct Redirect {
    /// Where to; `{name}` is the path's parameter.
    pub to: Spanned<String>,
    /// 301, 302, 303, 307 or 308
    pub status: Perhaps<Count>,
}

/// `respond` of a route
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { status = 200, content = \"pong\\n\" }")]
pub(super) struct Respond {
    /// 200 if it is left out.
    pub status: Perhaps<Count>,
    /// Nothing if it is left out.
    pub content: Perhaps<String>,
    /// Fields of the answer.
    pub fields: Pairs,
}

/// `auth` of a route
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { basic = \"/etc/oneloop/htpasswd\", realm = \"private\" }")]
pub(super) struct Auth {
    /// The htpasswd file.
    pub basic: Spanned<String>,
    /// What the client is told it asks for.
    pub realm: Perhaps<String>,
    /// The methods that need it; `*` for all.
    pub methods: Option<Several<Spanned<String>>>,
}

/// `content` of a route
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[serde(expecting = "a table like { bytes = \"1GiB\" }")]
pub(super) struct RouteContent {
    /// Bytes of a request's content.
    pub bytes: Spanned<Size>,
}

/// A list, or the one string that is its only entry.
#[derive(Debug)]
pub(super) struct Several<T>(pub Vec<T>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Several(Vec::new())
    }
}

impl From<Spanned<String>> for Listen {
    fn from(addr: Spanned<String>) -> Self {
        Listen { addr }
    }
}

impl<'de, T> Deserialize<'de> for Several<T>
where
    T: Deserialize<'de> + From<Spanned<String>>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said: Spanned<OneOrList<T>> = Deserialize::deserialize(deserializer)?;
        let span = said.span();
        Ok(Several(match said.into_inner() {
            OneOrList::One(text) => vec![T::from(Spanned::new(span, text))],
            OneOrList::List(list) => list,
        }))
    }
}

/// Inside a [`Spanned`] only the value itself can be taken apart, so the one string gets its place
/// afterwards.
enum OneOrList<T> {
    One(String),
    List(Vec<T>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrListVisitor(PhantomData))
    }
}

struct OneOrListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrListVisitor<T> {
    type Value = OneOrList<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(OneOrList::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrList::List)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said: Spanned<Entry> = Deserialize::deserialize(deserializer)?;
        let span = said.span();
        Ok(match said.into_inner() {
            Entry::Text(addr) => Listen { addr: Spanned::new(span, addr) },
            Entry::Table { addr } => Listen { addr },
        })
    }
}

/// The two forms of an entry of `listen`.
enum Entry {
    Text(String),
    Table { addr: Spanned<String> },
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address or a table like { addr = \"127.0.0.1:8080\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
        Ok(Entry::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Entry, A::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct Table {
            addr: Spanned<String>,
        }
        let Table { addr } = Table::deserialize(MapAccessDeserializer::new(table))?;
        Ok(Entry::Table { addr })
    }
}
