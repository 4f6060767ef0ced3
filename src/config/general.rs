//! What `[server]`, `[limits]`, `[log]` and `[media-types]` mean, and what holds where they are
//! silent. What the sites mean is for `sites`.

use std::collections::BTreeMap;

use log::LevelFilter;
use toml::Spanned;

use super::address;
use super::amounts::{any, limit, timeout};
use super::error::Fault;
use super::meaning::Config;
use super::said::{self, Said, Several, Short};
use super::sites;
use super::source::Source;
use super::units::Size;
use crate::http::head::MAX_FIELDS;
use crate::server::ONLY_HERE;
use crate::server::access_log::{AccessLogOptions, LogFormat, LogTarget};
use crate::server::limits::Limits;
use crate::server::listener::Address;
use crate::site::cache::CacheLimits;
use crate::site::media_type::MediaTypes;

/// Where the server listens if nothing is said.
pub(super) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// The most that a head can be allowed to have: the loop keeps twice as much in memory.
const MAX_HEAD: usize = 1 << 20;

/// The most that a file in memory can be allowed to have: it is read at once, and meanwhile nobody
/// is served.
const MAX_FILE: usize = 1 << 20;

/// What `said` means. Directories and files that it names are looked at, and nothing is changed.
///
/// # Errors
/// At the first thing that has no meaning.
pub(super) fn meaning(said: &Said, source: &Source) -> Result<Config, Fault> {
    let listen = listen(&said.server.listen, source)?;
    Ok(Config {
        admin: admin(said.server.admin.as_ref(), &listen, source)?,
        listen,
        limits: limits(&said.limits)?,
        cache: cache(&said.limits.cache)?,
        access_log: access_log(&said.log.access, source)?,
        error_level: error_level(&said.log.error)?,
        media_types: media_types(&said.media_types)?,
        sites: sites::sites(&said.site, source)?,
    })
}

fn listen(said: &Several<Short<said::Listen>>, source: &Source) -> Result<Vec<Address>, Fault> {
    let mut addresses = Vec::new();
    for Short(said::Listen { addr }) in &said.0 {
        let address =
            address::parse(addr.get_ref(), source).map_err(|what| Fault::new(addr, what))?;
        let any_free = matches!(&address, Address::Tcp(address) if address.port() == 0);
        if addresses.contains(&address) && !any_free {
            return Err(Fault::new(addr, "this address stands here for the second time"));
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        addresses.push(DEFAULT_LISTEN.parse().expect("the default is an address"));
    }
    Ok(addresses)
}

/// What is shown there is for this machine alone.
fn admin(
    said: Option<&Spanned<String>>,
    listen: &[Address],
    source: &Source,
) -> Result<Option<Address>, Fault> {
    let Some(said) = said else { return Ok(None) };
    let address = address::parse(said.get_ref(), source).map_err(|what| Fault::new(said, what))?;
    if !address.is_local() {
        let what = format!("`{address}` can be reached from other machines");
        return Err(Fault::new(said, what).help(ONLY_HERE));
    }
    let is_free = matches!(&address, Address::Tcp(address) if address.port() == 0);
    if listen.contains(&address) && !is_free {
        return Err(Fault::new(said, "the sites listen here already"));
    }
    Ok(Some(address))
}

fn limits(said: &said::Limits) -> Result<Limits, Fault> {
    let said::Limits { head, content, send, persistent, turn, spool, .. } = said;
    let default = Limits::default();
    let limits = Limits {
        connections: limit(said.connections.as_ref(), default.connections)?,
        head_bytes: limit(head.bytes.as_ref(), default.head_bytes)?,
        head_fields: limit(head.fields.as_ref(), default.head_fields)?,
        head_timeout: timeout(head.timeout.as_ref(), default.head_timeout)?,
        content_bytes: any(content.bytes.as_ref(), default.content_bytes)?,
        content_timeout: timeout(content.timeout.as_ref(), default.content_timeout)?,
        content_min_rate: any(content.min_rate.as_ref(), default.content_min_rate)?,
        send_timeout: timeout(send.timeout.as_ref(), default.send_timeout)?,
        send_min_rate: any(send.min_rate.as_ref(), default.send_min_rate)?,
        answer_timeout: timeout(said.answer.as_ref(), default.answer_timeout)?,
        idle_timeout: timeout(persistent.idle.as_ref(), default.idle_timeout)?,
        persistent_requests: limit(persistent.requests.as_ref(), default.persistent_requests)?,
        turn_requests: limit(turn.requests.as_ref(), default.turn_requests)?,
        turn_bytes: limit(turn.bytes.as_ref(), default.turn_bytes)?,
        linger_timeout: timeout(said.linger.as_ref(), default.linger_timeout)?,
        drain_timeout: said.drain.as_ref().map_or(default.drain_timeout, |time| time.get_ref().0),
        loop_lag: timeout(said.loop_lag.as_ref(), default.loop_lag)?,
        spool_memory: any(spool.memory.as_ref(), default.spool_memory)?,
        spool_total: limit(spool.total.as_ref(), default.spool_total)?,
        half_closed: said.half_closed.as_ref().map_or(default.half_closed, |time| time.get_ref().0),
        tunnel_timeout: timeout(said.tunnel.as_ref(), default.tunnel_timeout)?,
    };
    match (&head.fields, &head.bytes) {
        (Some(fields), _) if limits.head_fields > MAX_FIELDS => {
            Err(Fault::new(fields, format!("a head can have at most {MAX_FIELDS} fields")))
        }
        (_, Some(bytes)) if limits.head_bytes > MAX_HEAD => {
            Err(Fault::new(bytes, format!("a head can have at most {}", Size(MAX_HEAD as u64))))
        }
        _ => Ok(limits),
    }
}

fn cache(said: &said::Cache) -> Result<CacheLimits, Fault> {
    let default = CacheLimits::default();
    let content_bytes = any(said.bytes.as_ref(), default.content_bytes)?;
    let limits = CacheLimits {
        entries: limit(said.files.as_ref(), default.entries)?,
        descriptors: any(said.open.as_ref(), default.descriptors)?,
        content_bytes,
        file_bytes: any(said.file.as_ref(), default.file_bytes.min(content_bytes))?,
        absences: any(said.missing.as_ref(), default.absences)?,
        directories: any(said.watched.as_ref(), default.directories)?,
    };
    match &said.file {
        Some(file) if limits.file_bytes > MAX_FILE => {
            let most = Size(MAX_FILE as u64);
            Err(Fault::new(file, format!("a file in memory can have at most {most}")))
        }
        Some(file) if limits.file_bytes > limits.content_bytes => {
            let all = Size(limits.content_bytes as u64);
            Err(Fault::new(file, format!("all files in memory together can have {all}")))
        }
        Some(_) | None => Ok(limits),
    }
}

fn access_log(said: &said::AccessLog, source: &Source) -> Result<AccessLogOptions, Fault> {
    let to = match &said.to {
        Some(said) => log_target(said, source)?,
        None => LogTarget::Stdout,
    };
    let format = match &said.format {
        Some(said) => match said.get_ref().as_str() {
            "combined" => LogFormat::Combined,
            "common" => LogFormat::Common,
            "json" => LogFormat::Json,
            _ => {
                return Err(Fault::not_one_of(
                    said,
                    "a form of the access log",
                    &["combined", "common", "json"],
                ));
            }
        },
        None => LogFormat::Combined,
    };
    Ok(AccessLogOptions { to, format })
}

fn log_target(said: &Spanned<String>, source: &Source) -> Result<LogTarget, Fault> {
    match said.get_ref().as_str() {
        "stdout" => Ok(LogTarget::Stdout),
        "stderr" => Ok(LogTarget::Stderr),
        "none" => Ok(LogTarget::None),
        // A bare word is rather a slip than a file's name.
        path if path.contains('/') && !path.ends_with('/') => {
            let path = source.path(path);
            match path.parent() {
                Some(directory) if directory.is_dir() => Ok(LogTarget::File(path)),
                Some(directory) => {
                    Err(Fault::new(said, format!("there is no directory {}", directory.display())))
                }
                None => Err(Fault::new(said, "this is no file")),
            }
        }
        _ => Err(Fault::not_one_of(
            said,
            "a place for the access log",
            &["stdout", "stderr", "none", "/path/of/a/file"],
        )),
    }
}

fn error_level(said: &said::ErrorLog) -> Result<LevelFilter, Fault> {
    if let Some(to) = &said.to
        && to.get_ref() != "stderr"
    {
        return Err(Fault::not_one_of(to, "a place for the error log", &["stderr"]));
    }
    let Some(level) = &said.level else { return Ok(LevelFilter::Info) };
    match level.get_ref().as_str() {
        "off" => Ok(LevelFilter::Off),
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        _ => {
            let known = ["off", "error", "warn", "info", "debug", "trace"];
            Err(Fault::not_one_of(level, "a level", &known))
        }
    }
}

fn media_types(said: &said::Pairs) -> Result<BTreeMap<String, String>, Fault> {
    let mut types = BTreeMap::new();
    for (extension, media_type) in said::in_order(said) {
        let bare = extension.get_ref().trim_start_matches('.').to_ascii_lowercase();
        let mut judge = MediaTypes::default();
        judge.add(&bare, "text/plain").map_err(|error| Fault::new(extension, error.to_string()))?;
        judge
            .add(&bare, media_type.get_ref())
            .map_err(|error| Fault::new(media_type, error.to_string()))?;
        if types.insert(bare, media_type.get_ref().clone()).is_some() {
            return Err(Fault::new(extension, "this ending stands here for the second time"));
        }
    }
    Ok(types)
}
