//! What was asked for behind `--` on the command line.

use std::path::PathBuf;

use clap::Parser;

/// The same core under every architecture, and installed servers beside them, under the same loads.
#[derive(Clone, Debug, Parser)]
#[command(bin_name = "cargo bench --bench architectures --", version)]
pub(crate) struct Options {
    /// These architectures only; `none`: peers and URLs alone
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) arch: Vec<String>,
    /// These workloads only
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) workload: Vec<String>,
    /// How many clients, in the workloads that are about their number
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_values_t = [1, 10, 100, 1000, 10_000],
        value_parser = clap::value_parser!(u32).range(1..=20_000)
    )]
    pub(crate) clients: Vec<u32>,
    /// How long each load takes
    #[arg(long, value_name = "S", default_value = "0.08", value_parser = seconds)]
    pub(crate) seconds: f64,
    /// How often each is measured, in turn
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub(crate) rounds: u16,
    /// Requests per second of the workload `paced`; else a fifth of what one loop answers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Installed servers to be measured beside them: nginx, lighttpd, h2o, apache2, caddy, oneloop
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = peer)]
    pub(crate) peer: Vec<String>,
    /// A server that runs already, which is asked for this URL in the workloads with one small file
    #[arg(long, value_name = "NAME=URL", value_parser = named_url)]
    pub(crate) url: Vec<(String, Url)>,
    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "target/laboratory/report.html")]
    pub(crate) html: PathBuf,
    /// The names of architectures, workloads and peers
    #[arg(long)]
    pub(crate) list: bool,
    /// What cargo says to every bench
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// Where a server is, and what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// A name or an address, and a port.
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// What is said for no architecture.
pub(crate) const NONE: &str = "none";

impl Options {
    /// Whether no architecture is to be measured.
    ///
    /// # Errors
    /// Where that is said beside others, or leaves nobody.
    pub(crate) fn leaves_all_out(&self) -> Result<bool, String> {
        if !self.arch.iter().any(|name| name == NONE) {
            return Ok(false);
        }
        if self.arch.iter().any(|name| name != NONE) {
            return Err("--arch none leaves out all of them: no other name goes with it".to_owned());
        }
        if self.peer.is_empty() && self.url.is_empty() {
            return Err("with --arch none nobody is left: name a --peer or a --url".to_owned());
        }
        Ok(true)
    }

    /// Whether this one of several is asked for: all are, where none is named.
    pub(crate) fn wants(names: &[String], name: &str) -> bool {
        names.is_empty() || names.iter().any(|one| one == name)
    }

    /// # Errors
    /// Which name nobody has, and which there are.
    pub(crate) fn check(kind: &str, said: &[String], known: &[&str]) -> Result<(), String> {
        match said.iter().find(|name| !known.contains(&&***name)) {
            Some(name) => Err(format!("there is no {kind} {name}: there are {}", known.join(" "))),
            None => Ok(()),
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    if (0.01..=60.0).contains(&seconds) { Ok(seconds) } else { Err("0.01 to 60".to_owned()) }
}

#[allow(clippy::unnecessary_wraps, reason = "a parser may fail")]
fn peer(name: &str) -> Result<String, String> {
    // Debian calls it so, and nobody else does.
    Ok(if name == "apache" { "apache2" } else { name }.to_owned())
}

fn named_url(text: &str) -> Result<(String, Url), String> {
    let wrong = || "write NAME=http://ADDRESS:PORT/PATH".to_owned();
    let (name, url) = text.split_once('=').ok_or_else(wrong)?;
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() || authority.is_empty() {
        return Err(wrong());
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    Ok((name.to_owned(), Url { authority, path: format!("/{path}") }))
}
