//! A configuration in effect, written as a file that means the same: every option with its value,
//! defaults included, paths absolute.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use super::meaning::{Action, Auth, Config, Files, Route, Site};
use super::units::{Rate, Size, Time};
use crate::server::access_log::{AccessLogOptions, LogFormat};
use crate::server::confinement::identity::Identity;
use crate::server::diagnostic_log::{DiagnosticLogOptions, MessageFormat};
use crate::server::limits::Limits;
use crate::server::listener::Address;
use crate::server::outlet::{LogTarget, SYSLOG};
use crate::server::shares::RequestRate;
use crate::server::trust::Trust;
use crate::site::Symlinks;
use crate::site::cache::CacheLimits;
use crate::site::program::{
    Cgi, Endpoint, FastCgi, Health, HostField, Kind, ProcessLimits, Program, Proxy, Scgi, Scripts,
    Upstream,
};

impl Display for Config {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Config { listen, trust, pid_file, workers, admin, limits, cache, .. } = self;
        let Config { access_log, diagnostic_log, media_types, sites, .. } = self;
        let listen: Vec<String> = listen.iter().map(|address| listener(address, trust)).collect();
        writeln!(f, "[server]\nlisten = [{}]", listen.join(", "))?;
        if let Some(known) = &trust.forwarders {
            writeln!(f, "trusted-forwarders = {known}")?;
            writeln!(f, "forwarded-field = {}", quoted(trust.field.name()))?;
        }
        if let Some(path) = pid_file {
            writeln!(f, "pid-file = {}", quoted(&path.to_string_lossy()))?;
        }
        if let Some(admin) = admin {
            writeln!(f, "admin = {}", quoted(&admin.to_string()))?;
        }
        writeln!(f, "workers = {workers}")?;
        write_rights(f, self)?;
        write_limits(f, limits)?;
        let CacheLimits { entries, descriptors, content_bytes, file_bytes, absences, directories } =
            cache;
        writeln!(
            f,
            "cache = {{ files = {entries}, open = {descriptors}, bytes = \"{}\", \
             file = \"{}\", missing = {absences}, watched = {directories} }}",
            size(*content_bytes),
            size(*file_bytes)
        )?;
        write_logs(f, access_log, diagnostic_log)?;
        if !media_types.is_empty() {
            writeln!(f, "\n[media-types]")?;
        }
        for (extension, media_type) in media_types {
            writeln!(f, "{} = {}", quoted(extension), quoted(media_type))?;
        }
        sites.iter().try_for_each(|site| write_site(f, site))
    }
}

/// An entry of `listen`.
fn listener(address: &Address, trust: &Trust) -> String {
    let addr = quoted(&address.to_string());
    match trust.senders.iter().find(|(at, _)| at == address) {
        Some((_, known)) => format!("{{ addr = {addr}, proxy-protocol = {known} }}"),
        None => addr,
    }
}

/// Whose the process is, and how it is confined.
fn write_rights(f: &mut Formatter<'_>, config: &Config) -> fmt::Result {
    if let Some(Identity { name, user, group }) = &config.identity {
        let name = name.clone().unwrap_or_else(|| user.to_string());
        writeln!(f, "user = {}\ngroup = \"{group}\"", quoted(&name))?;
    }
    writeln!(f, "sandbox = \"{}\"", config.sandbox.name())?;
    if !config.reach.is_empty() {
        writeln!(f, "reach = {}", paths(&config.reach))?;
    }
    writeln!(f)
}

fn paths(paths: &[PathBuf]) -> String {
    format!("[{}]", paths.iter().map(|one| path(one)).collect::<Vec<_>>().join(", "))
}

fn write_logs(
    f: &mut Formatter<'_>,
    access_log: &AccessLogOptions,
    diagnostic_log: &DiagnosticLogOptions,
) -> fmt::Result {
    // Both have the same, for there is one line for it.
    let AccessLogOptions { to, format, queue } = access_log;
    let format = match format {
        LogFormat::Combined => "combined",
        LogFormat::Common => "common",
        LogFormat::Json => "json",
    };
    writeln!(f, "\n[log]\naccess = {{ to = {}, format = \"{format}\" }}", place(to))?;
    let DiagnosticLogOptions { to, level, format, queue: _ } = diagnostic_log;
    let level = level.as_str().to_ascii_lowercase();
    let format = match format {
        MessageFormat::Text => "text",
        MessageFormat::Json => "json",
    };
    let to = place(to);
    writeln!(f, "error = {{ to = {to}, level = \"{level}\", format = \"{format}\" }}")?;
    writeln!(f, "queue = \"{}\"", size(*queue))
}

/// Where a log goes.
fn place(to: &LogTarget) -> String {
    quoted(&match to {
        LogTarget::None => Cow::Borrowed("none"),
        LogTarget::Stdout => "stdout".into(),
        LogTarget::Stderr => "stderr".into(),
        LogTarget::File(path) => path.to_string_lossy(),
        LogTarget::Syslog(path) if path == Path::new(SYSLOG) => "syslog".into(),
        LogTarget::Syslog(path) => format!("syslog:{}", path.display()).into(),
    })
}

fn write_limits(f: &mut Formatter<'_>, limits: &Limits) -> fmt::Result {
    // Named one by one, so that a new limit cannot be forgotten here.
    let Limits {
        connections,
        per_ip_connections,
        per_ip_rate,
        max_memory,
        head_bytes,
        head_fields,
        head_timeout,
        content_bytes,
        content_timeout,
        content_min_rate,
        send_timeout,
        send_min_rate,
        answer_timeout,
        idle_timeout,
        persistent_requests,
        turn_requests,
        turn_bytes,
        linger_timeout,
        drain_timeout,
        upgrade_start,
        upgrade_drain,
        loop_lag,
        overload,
        spool_memory,
        spool_total,
        half_closed,
        tunnel_timeout,
        complaints_lines,
        complaints_bytes,
        recorder_turns,
        recorder_moments,
    } = limits;
    writeln!(f, "[limits]\nconnections = {connections}")?;
    write_per_ip(f, *per_ip_connections, *per_ip_rate)?;
    if let Some(most) = max_memory {
        writeln!(f, "max-memory = \"{}\"", Size(*most))?;
    }
    let (bytes, timeout) = (size(*head_bytes), Time(*head_timeout));
    writeln!(
        f,
        "head = {{ bytes = \"{bytes}\", fields = {head_fields}, timeout = \"{timeout}\" }}"
    )?;
    let (bytes, timeout) = (Size(*content_bytes), Time(*content_timeout));
    let rate = Rate(*content_min_rate);
    writeln!(
        f,
        "content = {{ bytes = \"{bytes}\", timeout = \"{timeout}\", min-rate = \"{rate}\" }}"
    )?;
    let (timeout, rate) = (Time(*send_timeout), Rate(*send_min_rate));
    writeln!(f, "send = {{ timeout = \"{timeout}\", min-rate = \"{rate}\" }}")?;
    let (answer, idle) = (Time(*answer_timeout), Time(*idle_timeout));
    writeln!(f, "answer = \"{answer}\"")?;
    writeln!(f, "persistent = {{ idle = \"{idle}\", requests = {persistent_requests} }}")?;
    let (bytes, linger, drain) = (size(*turn_bytes), Time(*linger_timeout), Time(*drain_timeout));
    writeln!(f, "turn = {{ requests = {turn_requests}, bytes = \"{bytes}\" }}")?;
    let (start, end) = (Time(*upgrade_start), Time(*upgrade_drain));
    writeln!(f, "linger = \"{linger}\"\ndrain = \"{drain}\"")?;
    writeln!(f, "upgrade = {{ start = \"{start}\", drain = \"{end}\" }}")?;
    let (memory, total) = (size(*spool_memory), Size(*spool_total));
    writeln!(f, "spool = {{ memory = \"{memory}\", total = \"{total}\" }}")?;
    let (half_closed, tunnel) = (Time(*half_closed), Time(*tunnel_timeout));
    writeln!(f, "half-closed = \"{half_closed}\"\ntunnel = \"{tunnel}\"")?;
    writeln!(f, "loop-lag = \"{}\"\noverload = \"{}\"", Time(*loop_lag), Time(*overload))?;
    let bytes = size(*complaints_bytes);
    writeln!(f, "complaints = {{ lines = {complaints_lines}, bytes = \"{bytes}\" }}")?;
    writeln!(f, "recorder = {{ turns = {recorder_turns}, moments = {recorder_moments} }}")
}

fn write_per_ip(
    f: &mut Formatter<'_>,
    connections: Option<usize>,
    rate: Option<RequestRate>,
) -> fmt::Result {
    let connections = connections.map(|most| format!("connections = {most}"));
    let rate = rate.map(|RequestRate { per_second, burst }| {
        format!("requests-per-second = {per_second}, burst = {burst}")
    });
    let parts: Vec<String> = connections.into_iter().chain(rate).collect();
    if parts.is_empty() { Ok(()) } else { writeln!(f, "per-ip = {{ {} }}", parts.join(", ")) }
}

fn write_site(f: &mut Formatter<'_>, site: &Site) -> fmt::Result {
    let Site { hosts, root, index, errors, precompressed, routes, place: _ } = site;
    writeln!(f, "\n[[site]]")?;
    if !hosts.is_empty() {
        writeln!(f, "host = {}", list(hosts))?;
    }
    if let Some(root) = root {
        writeln!(f, "root = {}", quoted(&root.to_string_lossy()))?;
    }
    writeln!(f, "index = {}", list(index))?;
    if !errors.is_empty() {
        writeln!(f, "errors = {}", table(errors))?;
    }
    let endings = precompressed.iter().map(|coding| coding.suffix().trim_start_matches('.'));
    writeln!(f, "precompressed = {}", list(endings))?;
    routes.iter().try_for_each(|route| write_route(f, route))
}

fn write_route(f: &mut Formatter<'_>, route: &Route) -> fmt::Result {
    let Route { pattern, action, allow, auth, fields, errors, content_bytes, fallback, place: _ } =
        route;
    writeln!(f, "\n[[site.route]]\npath = {}", quoted(pattern))?;
    match action {
        Some(Action::Files(files)) => writeln!(f, "files = {}", files_table(files))?,
        Some(Action::Redirect { to, status }) => {
            writeln!(f, "redirect = {{ to = {}, status = {} }}", quoted(to), status.code())?;
        }
        Some(Action::Respond { status, content, fields }) => {
            let (code, fields) = (status.code(), pairs(fields));
            let content = quoted(content);
            writeln!(f, "respond = {{ status = {code}, content = {content}, fields = {fields} }}")?;
        }
        Some(Action::Program(program)) => writeln!(f, "{}", program_table(program))?,
        None => {}
    }
    if let Some(networks) = allow {
        writeln!(f, "allow = {}", list(networks))?;
    }
    if let Some(Auth { basic, realm, methods }) = auth {
        let (basic, realm) = (quoted(&basic.to_string_lossy()), quoted(realm));
        let methods = list(methods);
        writeln!(f, "auth = {{ basic = {basic}, realm = {realm}, methods = {methods} }}")?;
    }
    if !fields.is_empty() {
        writeln!(f, "fields = {}", pairs(fields))?;
    }
    if !errors.is_empty() {
        writeln!(f, "errors = {}", table(errors))?;
    }
    if let Some(bytes) = content_bytes {
        writeln!(f, "content = {{ bytes = \"{}\" }}", Size(*bytes))?;
    }
    match fallback {
        Some(page) => writeln!(f, "fallback = {}", quoted(page)),
        None => Ok(()),
    }
}

fn files_table(files: &Files) -> String {
    let Files { root, whole_path, index, listing, symlinks, dotfiles } = files;
    let symlinks = match symlinks {
        Symlinks::Deny => "deny",
        Symlinks::Inside => "inside",
        Symlinks::Follow => "follow",
    };
    // Said, the root of the site would be one of the route's own.
    let root = if *whole_path { String::new() } else { format!("root = {}, ", path(root)) };
    let index = list(index);
    format!(
        "{{ {root}index = {index}, listing = {listing}, symlinks = \"{symlinks}\", \
         dotfiles = {dotfiles} }}"
    )
}

/// The key of a program and its table.
fn program_table(program: &Program) -> String {
    let Program { kind, environment, timeout, at_once, queue } = program;
    let mut entries = Vec::new();
    let key = match kind {
        Kind::Cgi(Cgi { scripts, output, limits, reach }) => {
            entries.push(match scripts {
                Scripts::Below(root) => format!("root = {}", path(root)),
                Scripts::One(program) => format!("program = {}", path(program)),
            });
            let ProcessLimits { memory, cpu, descriptors, file } = limits;
            entries.push(format!("processes = {at_once}, output = \"{}\"", Size(*output)));
            entries.extend(memory.map(|memory| format!("memory = \"{}\"", Size(memory))));
            entries.extend(cpu.map(|cpu| format!("cpu = \"{}\"", Time(cpu))));
            entries.extend(descriptors.map(|most| format!("descriptors = {most}")));
            entries.extend(file.map(|bytes| format!("file = \"{}\"", Size(bytes))));
            if !reach.is_empty() {
                entries.push(format!("reach = {}", paths(reach)));
            }
            "cgi"
        }
        Kind::FastCgi(FastCgi { upstream, root, whole_path, index }) => {
            entries.push(format!("to = {}", list(&upstream.to)));
            let root = root.as_ref().filter(|_| !whole_path);
            entries.extend(root.map(|root| format!("root = {}", path(root))));
            entries.extend(index.as_ref().map(|index| format!("index = {}", quoted(index))));
            entries.push(format!("{}, connections = {at_once}", kept(upstream)));
            "fastcgi"
        }
        Kind::Scgi(Scgi { upstream, root }) => {
            entries.push(format!("to = {}", list(&upstream.to)));
            entries.extend(root.as_ref().map(|root| format!("root = {}", path(root))));
            let connect = Time(upstream.connect_timeout);
            entries.push(format!("connections = {at_once}, connect-timeout = \"{connect}\""));
            "scgi"
        }
        Kind::Proxy(proxy) => {
            entries.push(origin(proxy));
            entries.push(format!("{}, connections = {at_once}", kept(&proxy.upstream)));
            "proxy"
        }
    };
    entries.push(format!("queue = {queue}, timeout = \"{}\"", Time(*timeout)));
    if !environment.is_empty() {
        entries.push(format!("environment = {}", pairs(environment)));
    }
    format!("{key} = {{ {} }}", entries.join(", "))
}

/// Where an origin server is, and what is the proxy's alone.
fn origin(proxy: &Proxy) -> String {
    let Proxy { upstream, strip, host } = proxy;
    let to = upstream.to.iter().map(|to| match to {
        Endpoint::Tcp(_) | Endpoint::Name(..) => format!("http://{to}"),
        Endpoint::Unix(_) => to.to_string(),
    });
    let mut entries = vec![format!("to = {}", list(to))];
    entries.extend(strip.as_ref().map(|strip| format!("strip = {}", quoted(strip))));
    let host = match host {
        HostField::Keep => "keep",
        HostField::Replace => "replace",
    };
    entries.push(format!("host = \"{host}\""));
    if let Some(Health { path, interval }) = &upstream.health {
        let (path, interval) = (quoted(path), Time(*interval));
        entries.push(format!("health = {{ path = {path}, interval = \"{interval}\" }}"));
    }
    entries.join(", ")
}

/// How connections come about and are kept.
fn kept(upstream: &Upstream) -> String {
    let Upstream { to: _, persistent, connect_timeout, idle_timeout, health: _ } = upstream;
    let (connect, idle) = (Time(*connect_timeout), Time(*idle_timeout));
    format!("persistent = {persistent}, idle = \"{idle}\", connect-timeout = \"{connect}\"")
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn size(bytes: usize) -> Size {
    Size(bytes as u64)
}

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| quoted(&value.to_string())).collect();
    format!("[{}]", values.join(", "))
}

fn table(values: &BTreeMap<String, String>) -> String {
    inline(values.iter())
}

fn pairs(values: &[(String, String)]) -> String {
    inline(values.iter().map(|(name, value)| (name, value)))
}

fn inline<'a>(values: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let values: Vec<_> =
        values.map(|(name, value)| format!("{} = {}", quoted(name), quoted(value))).collect();
    if values.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", values.join(", ")) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
