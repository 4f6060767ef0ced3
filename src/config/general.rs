//! What `[server]`, `[limits]`, `[log]` and `[media-types]` mean, and what holds where they are
//! silent. What the sites mean is for `sites`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;

use super::address;
use super::amounts::{any, limit, perhaps, timeout};
use super::error::Fault;
use super::meaning::Config;
use super::rights;
use super::said::{self, Said, Several, Short};
use super::sites;
use super::source::Source;
use super::trust;
use super::units::{Count, Size};
use crate::http::head::MAX_FIELDS;
use crate::server::ONLY_HERE;
use crate::server::access_log::{AccessLogOptions, LogFormat, QUEUE};
use crate::server::diagnostic_log::{DiagnosticLogOptions, MessageFormat};
use crate::server::limits::Limits;
use crate::server::listener::Address;
use crate::server::outlet::{LogTarget, SYSLOG};
use crate::server::shares::RequestRate;
use crate::site::cache::CacheLimits;
use crate::site::media_type::MediaTypes;

/// Where the server listens if nothing is said.
pub(super) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// The most that a head can be allowed to have: the loop keeps twice as much in memory.
const MAX_HEAD: usize = 1 << 20;

/// The most moments that can be remembered: half a gigabyte of them.
const MAX_MOMENTS: usize = 1 << 24;

/// The most that a file in memory can be allowed to have: it is read at once, and meanwhile nobody
/// is served.
const MAX_FILE: usize = 1 << 20;

/// More workers than any machine has processors for.
const MAX_WORKERS: usize = 1024;

/// What `said` means. Directories and files that it names are looked at, and nothing is changed.
///
/// # Errors
/// At the first thing that has no meaning.
pub(super) fn meaning(said: &Said, source: &Source) -> Result<Config, Fault> {
    let listen = listen(&said.server.listen, source)?;
    let workers = workers(said.server.workers.as_ref())?;
    Ok(Config {
        trust: trust::trust(&said.server, source)?,
        pid_file: said.server.pid_file.as_ref().map(|said| pid_file(said, source)).transpose()?,
        workers,
        admin: admin(said.server.admin.as_ref(), &listen, workers, source)?,
        listen,
        identity: rights::identity(&said.server)?,
        sandbox: rights::sandbox(said.server.sandbox.as_ref())?,
        reach: rights::folders(&said.server.reach, source)?,
        limits: limits(&said.limits)?,
        cache: cache(&said.limits.cache)?,
        access_log: access_log(&said.log, source)?,
        diagnostic_log: diagnostic_log(&said.log, source)?,
        media_types: media_types(&said.media_types)?,
        sites: sites::sites(&said.site, source)?,
    })
}

fn listen(said: &Several<Short<said::Listen>>, source: &Source) -> Result<Vec<Address>, Fault> {
    let mut addresses = Vec::new();
    for Short(said::Listen { addr, proxy_protocol: _ }) in &said.0 {
        let address =
            address::parse(addr.get_ref(), source).map_err(|what| Fault::new(addr, what))?;
        if addresses.contains(&address) && !address.is_any_port() {
            return Err(Fault::new(addr, "this address stands here for the second time"));
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        addresses.push(DEFAULT_LISTEN.parse().expect("the default is an address"));
    }
    Ok(addresses)
}

fn pid_file(said: &Spanned<String>, source: &Source) -> Result<PathBuf, Fault> {
    let text = said.get_ref();
    if text.is_empty() || text.ends_with('/') {
        return Err(Fault::new(said, "the name of the file is missing"));
    }
    let path = source.path(text);
    match path.parent() {
        Some(directory) if !directory.is_dir() => {
            Err(Fault::new(said, format!("there is no directory {}", directory.display())))
        }
        Some(_) | None if path.is_dir() => Err(Fault::new(said, "this is a directory")),
        Some(_) | None => Ok(path),
    }
}

fn workers(said: Option<&Spanned<Count>>) -> Result<usize, Fault> {
    let count = limit(said, 1)?;
    match said {
        Some(said) if count > MAX_WORKERS => {
            Err(Fault::new(said, format!("there can be at most {MAX_WORKERS} workers")))
        }
        Some(_) | None => Ok(count),
    }
}

/// What is shown there is for this machine alone. Each worker has an address of its own.
fn admin(
    said: Option<&Spanned<String>>,
    listen: &[Address],
    workers: usize,
    source: &Source,
) -> Result<Option<Address>, Fault> {
    let Some(said) = said else { return Ok(None) };
    let address = address::parse(said.get_ref(), source).map_err(|what| Fault::new(said, what))?;
    if !address.is_local() {
        let what = format!("`{address}` can be reached from other machines");
        return Err(Fault::new(said, what).help(ONLY_HERE));
    }
    for number in 1..=workers {
        let Some(own) = address.of_worker(number) else {
            let what = format!("there is no port for the last of {workers} workers");
            let help = "worker 2 has the port behind this one, and so on";
            return Err(Fault::new(said, what).help(help));
        };
        if listen.contains(&own) && !own.is_any_port() {
            let what = match number {
                1 => "the sites listen here already".to_owned(),
                _ => format!("worker {number} is to have {own}, where the sites listen"),
            };
            return Err(Fault::new(said, what));
        }
    }
    Ok(Some(address))
}

fn limits(said: &said::Limits) -> Result<Limits, Fault> {
    let said::Limits { head, content, send, persistent, turn, spool, complaints, .. } = said;
    let said::Limits { upgrade, recorder, .. } = said;
    let default = Limits::default();
    let limits = Limits {
        connections: limit(said.connections.as_ref(), default.connections)?,
        per_ip_connections: perhaps(said.per_ip.connections.as_ref())?,
        per_ip_rate: request_rate(&said.per_ip)?,
        max_memory: perhaps(said.max_memory.as_ref())?,
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
        upgrade_start: timeout(upgrade.start.as_ref(), default.upgrade_start)?,
        upgrade_drain: timeout(upgrade.drain.as_ref(), default.upgrade_drain)?,
        loop_lag: timeout(said.loop_lag.as_ref(), default.loop_lag)?,
        overload: timeout(said.overload.as_ref(), default.overload)?,
        spool_memory: any(spool.memory.as_ref(), default.spool_memory)?,
        spool_total: limit(spool.total.as_ref(), default.spool_total)?,
        half_closed: said.half_closed.as_ref().map_or(default.half_closed, |time| time.get_ref().0),
        tunnel_timeout: timeout(said.tunnel.as_ref(), default.tunnel_timeout)?,
        complaints_lines: any(complaints.lines.as_ref(), default.complaints_lines)?,
        complaints_bytes: any(complaints.bytes.as_ref(), default.complaints_bytes)?,
        recorder_turns: any(recorder.turns.as_ref(), default.recorder_turns)?,
        recorder_moments: any(recorder.moments.as_ref(), default.recorder_moments)?,
    };
    match (&head.fields, &head.bytes) {
        (Some(fields), _) if limits.head_fields > MAX_FIELDS => {
            Err(Fault::new(fields, format!("a head can have at most {MAX_FIELDS} fields")))
        }
        _ if limits.recorder_turns.max(limits.recorder_moments) > MAX_MOMENTS => {
            let what = format!("the recorder can keep at most {MAX_MOMENTS} of each");
            let said = recorder.moments.as_ref().filter(|_| limits.recorder_moments > MAX_MOMENTS);
            Err(Fault::new(said.or(recorder.turns.as_ref()).expect("no default is so many"), what))
        }
        (_, Some(bytes)) if limits.head_bytes > MAX_HEAD => {
            Err(Fault::new(bytes, format!("a head can have at most {}", Size(MAX_HEAD as u64))))
        }
        _ => Ok(limits),
    }
}

fn request_rate(said: &said::PerIp) -> Result<Option<RequestRate>, Fault> {
    match (perhaps(said.requests_per_second.as_ref())?, &said.burst) {
        (Some(per_second), burst) => {
            Ok(Some(RequestRate { per_second, burst: limit(burst.as_ref(), per_second)? }))
        }
        (None, Some(burst)) => {
            let what = "a burst is of requests, and their rate is missing";
            Err(Fault::new(burst, what).help("beside it, write requests-per-second = 50"))
        }
        (None, None) => Ok(None),
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

fn access_log(log: &said::Log, source: &Source) -> Result<AccessLogOptions, Fault> {
    let said::AccessLog { to, format } = &log.access;
    let to = match to {
        Some(said) => log_target(said, "a place for the access log", source)?,
        None => LogTarget::Stdout,
    };
    let format = match format {
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
    Ok(AccessLogOptions { to, format, queue: limit(log.queue.as_ref(), QUEUE)? })
}

fn log_target(said: &Spanned<String>, what: &str, source: &Source) -> Result<LogTarget, Fault> {
    match said.get_ref().as_str() {
        "stdout" => Ok(LogTarget::Stdout),
        "stderr" => Ok(LogTarget::Stderr),
        "none" => Ok(LogTarget::None),
        "syslog" => Ok(LogTarget::Syslog(SYSLOG.into())),
        // It may come and go, so nothing need be there.
        path if let Some(path) = path.strip_prefix("syslog:").filter(|path| path.contains('/')) => {
            Ok(LogTarget::Syslog(source.path(path)))
        }
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
        _ => {
            let known = ["stdout", "stderr", "none", "syslog", "/path/of/a/file"];
            Err(Fault::not_one_of(said, what, &known))
        }
    }
}

fn diagnostic_log(log: &said::Log, source: &Source) -> Result<DiagnosticLogOptions, Fault> {
    let said::ErrorLog { to, level, format } = &log.error;
    let mut options = DiagnosticLogOptions::default();
    options.queue = limit(log.queue.as_ref(), options.queue)?;
    if let Some(said) = to {
        options.to = log_target(said, "a place for the error log", source)?;
    }
    if let Some(said) = level {
        let known = ["off", "error", "warn", "info", "debug", "trace"];
        let is_known = known.contains(&said.get_ref().as_str());
        let level = said.get_ref().parse().ok().filter(|_| is_known);
        options.level = level.ok_or_else(|| Fault::not_one_of(said, "a level", &known))?;
    }
    if let Some(said) = format {
        options.format = match said.get_ref().as_str() {
            "text" => MessageFormat::Text,
            "json" => MessageFormat::Json,
            _ => {
                let what = "a form of the error log";
                return Err(Fault::not_one_of(said, what, &["text", "json"]));
            }
        };
    }
    Ok(options)
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
