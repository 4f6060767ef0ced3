//! What `cgi`, `fastcgi`, `scgi` and `proxy` of a `[[site.route]]` mean, and what holds where they
//! are silent. Whether the programs are well is not asked: they may start after the server.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::amounts::{any, limit, perhaps, timeout};
use super::error::Fault;
use super::rights;
use super::said::{self, Pairs, Several, in_order};
use super::sites::{Context, directory, file_name};
use super::source::Source;
use super::units::{Count, Time};
use crate::site::program::{
    Cgi, Endpoint, FastCgi, Health, HostField, Kind, ProcessLimits, Program, Proxy, Scgi, Scripts,
    Upstream,
};

/// How many idle connections are kept to each origin server, if nothing is said.
const DEFAULT_PERSISTENT: usize = 32;

/// How the address of an origin server is written.
const ORIGIN_FORMS: &str = "write it like `http://127.0.0.1:3000`, `http://name` or `unix:/path`";

/// The time between two questions after an origin server's health, if nothing is said.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// What `cgi` means.
///
/// # Errors
/// When there is no such directory or file.
pub(super) fn cgi(said: &Spanned<said::Cgi>, site: &Context<'_>) -> Result<Program, Fault> {
    let said::Cgi { root, program, processes, queue, output, .. } = said.get_ref();
    let scripts = match (root, program) {
        (Some(root), None) => Scripts::Below(directory(root, site.source)?),
        (None, Some(program)) => Scripts::One(site.source.path(program.get_ref())),
        (Some(_), Some(program)) => {
            let fault = Fault::new(program, "either `root` or `program`: which of them is it?");
            return Err(fault.help("`root` has many programs, `program` is the one for all paths"));
        }
        (None, None) => {
            let fault = Fault::new(said, "it is not said which programs");
            return Err(fault.help("add root = \"/srv/cgi-bin\" or program = \"/srv/app.py\""));
        }
    };
    let default = Cgi::new(scripts);
    let cgi = Cgi {
        output: limit(output.as_ref(), default.output)?,
        limits: process_limits(said.get_ref())?,
        reach: rights::folders(&said.get_ref().reach, site.source)?,
        ..default
    };
    let said::Cgi { timeout, environment, .. } = said.get_ref();
    let limits = Limits { timeout, at_once: processes, queue };
    Ok(Program {
        environment: self::environment(environment)?,
        ..limits.hold(Program::new(Kind::Cgi(cgi)))?
    })
}

/// What `fastcgi` means in a route of this pattern.
///
/// # Errors
/// When it is not said where the application is, or where its scripts are.
pub(super) fn fastcgi(
    said: &Spanned<said::FastCgi>,
    pattern: &str,
    site: &Context<'_>,
) -> Result<Program, Fault> {
    let said::FastCgi { to, root, index, persistent, connections, queue, .. } = said.get_ref();
    let upstream = Upstream::new(endpoints(to, said, |text| endpoint(text, site.source))?);
    let index = index.as_ref().map(file_name).transpose()?;
    let names_scripts = index.is_some() || pattern.contains("*.");
    let whole_path = root.is_none();
    let root = match root {
        Some(root) => Some(site.source.path(root.get_ref())),
        None if names_scripts => Some(site.root.cloned().ok_or_else(|| {
            let fault = Fault::new(said, "neither the route nor its site has a root for scripts");
            fault.help("add root = \"/srv/www\"")
        })?),
        None => None,
    };
    let said::FastCgi { timeout, connect_timeout, idle, environment, .. } = said.get_ref();
    let upstream = connecting(upstream, connect_timeout.as_ref(), idle.as_ref())?;
    let upstream =
        Upstream { persistent: any(persistent.as_ref(), upstream.persistent)?, ..upstream };
    let limits = Limits { timeout, at_once: connections, queue };
    let kind = Kind::FastCgi(FastCgi { upstream, root, whole_path, index });
    Ok(Program { environment: self::environment(environment)?, ..limits.hold(Program::new(kind))? })
}

/// What `scgi` means.
///
/// # Errors
/// When it is not said where the application is.
pub(super) fn scgi(said: &Spanned<said::Scgi>, site: &Context<'_>) -> Result<Program, Fault> {
    let said::Scgi { to, root, connections, queue, timeout, connect_timeout, environment } =
        said.get_ref();
    let upstream = Upstream::new(endpoints(to, said, |text| endpoint(text, site.source))?);
    let upstream = connecting(upstream, connect_timeout.as_ref(), None)?;
    let root = root.as_ref().map(|root| site.source.path(root.get_ref()));
    let limits = Limits { timeout, at_once: connections, queue };
    Ok(Program {
        environment: self::environment(environment)?,
        ..limits.hold(Program::new(Kind::Scgi(Scgi { upstream, root })))?
    })
}

/// What `proxy` means.
///
/// # Errors
/// When it is not said where the origin server is, or it would have to speak anything but HTTP.
pub(super) fn proxy(said: &Spanned<said::Proxy>, site: &Context<'_>) -> Result<Program, Fault> {
    let said::Proxy { to, strip, host, persistent, connections, queue, health, .. } =
        said.get_ref();
    let upstream = Upstream::new(endpoints(to, said, |text| origin(text, site.source))?);
    let said::Proxy { timeout, connect_timeout, idle, .. } = said.get_ref();
    let upstream = Upstream {
        persistent: any(persistent.as_ref(), DEFAULT_PERSISTENT)?,
        health: health.as_ref().map(|health| self::health(&health.0)).transpose()?,
        ..connecting(upstream, connect_timeout.as_ref(), idle.as_ref())?
    };
    let host = host.as_ref().map_or(Ok(HostField::Keep), |said| match said.get_ref().as_str() {
        "keep" => Ok(HostField::Keep),
        "replace" => Ok(HostField::Replace),
        _ => Err(Fault::not_one_of(said, "what can become of Host", &["keep", "replace"])),
    })?;
    let strip = strip.as_ref().map(prefix).transpose()?;
    let limits = Limits { timeout, at_once: connections, queue };
    limits.hold(Program::new(Kind::Proxy(Proxy { upstream, strip, host })))
}

/// What all programs have.
struct Limits<'a> {
    timeout: &'a Option<Spanned<Time>>,
    at_once: &'a Option<Spanned<Count>>,
    queue: &'a Option<Spanned<Count>>,
}

impl Limits<'_> {
    fn hold(self, program: Program) -> Result<Program, Fault> {
        Ok(Program {
            timeout: timeout(self.timeout.as_ref(), program.timeout)?,
            at_once: limit(self.at_once.as_ref(), program.at_once)?,
            queue: any(self.queue.as_ref(), program.queue)?,
            ..program
        })
    }
}

fn connecting(
    upstream: Upstream,
    connect: Option<&Spanned<Time>>,
    idle: Option<&Spanned<Time>>,
) -> Result<Upstream, Fault> {
    Ok(Upstream {
        connect_timeout: timeout(connect, upstream.connect_timeout)?,
        idle_timeout: timeout(idle, upstream.idle_timeout)?,
        ..upstream
    })
}

fn process_limits(said: &said::Cgi) -> Result<ProcessLimits, Fault> {
    let said::Cgi { memory, cpu, descriptors, file, .. } = said;
    Ok(ProcessLimits {
        memory: perhaps(memory.as_ref())?,
        cpu: cpu.as_ref().map(seconds).transpose()?,
        descriptors: perhaps(descriptors.as_ref())?,
        file: perhaps(file.as_ref())?,
    })
}

fn seconds(said: &Spanned<Time>) -> Result<Duration, Fault> {
    let time = timeout(Some(said), Duration::ZERO)?;
    if time.subsec_nanos() > 0 {
        return Err(Fault::new(said, "processor time is counted in whole seconds"));
    }
    Ok(time)
}

/// Variables, in the order they were said.
fn environment(said: &Pairs) -> Result<Vec<(String, String)>, Fault> {
    let variable = |(name, value): (&Spanned<String>, &Spanned<String>)| {
        let (key, text) = (name.get_ref(), value.get_ref());
        if key.is_empty() || key.contains(['=', '\0']) {
            return Err(Fault::new(name, "this is not the name of a variable"));
        }
        if text.contains('\0') {
            return Err(Fault::new(value, "a variable cannot hold a NUL"));
        }
        Ok((key.clone(), text.clone()))
    };
    in_order(said).into_iter().map(variable).collect()
}

fn endpoints<T>(
    said: &Several<Spanned<String>>,
    program: &Spanned<T>,
    read: impl Fn(&Spanned<String>) -> Result<Endpoint, Fault>,
) -> Result<Vec<Endpoint>, Fault> {
    let mut endpoints = Vec::new();
    for text in &said.0 {
        let endpoint = read(text)?;
        if endpoints.contains(&endpoint) {
            return Err(Fault::new(text, "this address stands here for the second time"));
        }
        endpoints.push(endpoint);
    }
    if endpoints.is_empty() {
        return Err(Fault::new(program, "it is not said where the program is").help("add `to`"));
    }
    Ok(endpoints)
}

/// An address to connect to; the path of a socket begins where the source is.
fn endpoint(said: &Spanned<String>, source: &Source) -> Result<Endpoint, Fault> {
    let text = said.get_ref();
    let whole = match text.strip_prefix("unix:") {
        Some(path) if !path.is_empty() => {
            let path: PathBuf = source.path(path);
            format!("unix:{}", path.display())
        }
        Some(_) | None => text.clone(),
    };
    whole.parse().map_err(|error| {
        let fault = Fault::new(said, format!("`{text}` cannot be connected to: {error}"));
        fault.help("write it like `127.0.0.1:9000`, `[::1]:9000`, `name:9000` or `unix:/path`")
    })
}

/// An origin server's address: a URL without a path, or a socket.
fn origin(said: &Spanned<String>, source: &Source) -> Result<Endpoint, Fault> {
    let text = said.get_ref();
    let bad = |what: &str| Err(Fault::new(said, what));
    if text.starts_with("unix:") {
        return endpoint(said, source);
    }
    if text.starts_with("https://") {
        return bad("a connection to an origin is not encrypted\nwrite http://");
    }
    let Some(authority) = text.strip_prefix("http://") else {
        let fault = Fault::new(said, format!("`{text}` is not the address of an origin"));
        return Err(match text.parse::<Endpoint>() {
            Ok(endpoint) => fault.help(format!("did you mean `http://{endpoint}`?")),
            Err(_) => fault.help(ORIGIN_FORMS),
        });
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#']) {
        return bad("an origin's address has no path\nthe path is the client's; see `strip`");
    }
    if authority.contains('@') {
        return bad("an origin's address has no user");
    }
    let has_port = authority.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let with_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    with_port.parse().map_err(|error| {
        let fault = Fault::new(said, format!("`{text}` is not the address of an origin: {error}"));
        fault.help(ORIGIN_FORMS)
    })
}

fn prefix(said: &Spanned<String>) -> Result<String, Fault> {
    let text = said.get_ref();
    let bare = text.trim_end_matches('/');
    if bare.starts_with('/') && !bare.contains(['?', '#', '*']) {
        return Ok(bare.to_owned());
    }
    let fault = Fault::new(said, format!("`{text}` is not the front of a path"));
    Err(fault.help("write it like `/api`"))
}

fn health(said: &said::Health) -> Result<Health, Fault> {
    let path = said.path.get_ref();
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        let fault = Fault::new(&said.path, format!("`{path}` is not a path to ask for"));
        return Err(fault.help("write it like `/healthz`"));
    }
    let interval = timeout(said.interval.as_ref(), DEFAULT_INTERVAL)?;
    Ok(Health { path: path.clone(), interval })
}
