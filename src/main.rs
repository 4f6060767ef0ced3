//! The program: reads the command line, builds what it asks for, runs it, and says how it ended.
#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use log::LevelFilter;
use oneloop::config::command_line::{Command, CommandLine, Serve};
use oneloop::config::{self, Config, generate, question};
use oneloop::daemon::inherit::Inherited;
use oneloop::daemon::privileges;
use oneloop::daemon::recording::{self, Company};
use oneloop::daemon::sandbox::{Asked, Confinement};
use oneloop::daemon::supervisor::{Configuration, Plan, Supervisor};
use oneloop::daemon::{self, Ended, Life};
use oneloop::server::confinement::Sandbox;
use oneloop::server::diagnostic_log::{DiagnosticLog, DiagnosticLogOptions, Environment};
use oneloop::server::net::Net;
use oneloop::server::replay::{Head, Recorded, Replayed, WHOLE_TURN};
use oneloop::server::{Address, Server, limited};
use oneloop::site::rule::Place;
use oneloop::site::{Site, SiteError};

/// Ports that are tried for the inspector of quick mode.
const INSPECTOR_PORTS: usize = 100;

fn main() -> ExitCode {
    // Started by itself, to limit a script: no command line of a person.
    if let Some(status) = limited::run(env::args_os()) {
        return status;
    }
    // A wrong command line ends here with 2, --help and --version with 0.
    let line = CommandLine::read(env::args_os()).unwrap_or_else(|error| error.exit());
    let done = match &line.command {
        Some(Command::Check { config, print }) => check(config, *print),
        Some(Command::Explain { config, from, method, url }) => explain(config, *from, method, url),
        Some(Command::Record { recording, most, serve }) => record(recording, *most, serve),
        Some(Command::Replay { recording, until, quiet }) => replay(recording, *until, *quiet),
        Some(Command::Generate { what }) => say(&generate::generate(*what)),
        None => serve(&line.serve),
    };
    log::logger().flush();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

fn serve(line: &Serve) -> Result<(), Box<dyn Error>> {
    let mut inherited = Inherited::take()?;
    let text = match (&line.config, inherited.take_configuration()) {
        (Some(_), Some(text)) => Some(text),
        (Some(file), None) => Some(config::text(file)?),
        (None, _) => None,
    };
    let mut config = match (&line.config, &text) {
        (Some(file), Some(text)) => Config::from_text(file, text.clone())?,
        (_, _) => Config::quick(line)?,
    };
    let log = prepare(line, &mut config)?;
    inherited.announce();
    raise_descriptor_limit(&config);
    if line.step && config.workers > 1 {
        return Err("--step is for one loop: set server.workers to 1".into());
    }
    let ended = match (&line.config, text) {
        (Some(file), Some(text)) if config.workers > 1 && !inherited.is_worker() => {
            let supervised = Supervised { line, file };
            privileges::no_new_privileges()?;
            Supervisor::new(&supervised, plan(&config, text)?, inherited)?.run(log)?
        }
        (_, _) => run(line, &mut config, inherited, log)?,
    };
    say_ended(ended);
    Ok(())
}

/// What comes before anything is opened: the flags are heard, and there is somewhere to complain.
fn prepare(line: &Serve, config: &mut Config) -> Result<&'static DiagnosticLog, Box<dyn Error>> {
    config.sandbox = line.sandbox.map_or(config.sandbox, Sandbox::from);
    daemon::make_room_for_descriptors(config.limits.connections);
    daemon::outlive_file_limit()?;
    let level = match (line.quiet, line.verbose) {
        (true, _) => LevelFilter::Warn,
        (_, true) => LevelFilter::Debug,
        _ => config.diagnostic_log.level,
    };
    start_diagnostic_log(&DiagnosticLogOptions { level, ..config.diagnostic_log.clone() })
}

fn say_ended(ended: Ended) {
    match ended {
        Ended::Drained => log::info!("ended"),
        Ended::Cut => log::warn!("ended before every exchange was finished"),
    }
}

/// Serves in this process: all alone, or as one of several workers.
fn run(
    line: &Serve,
    config: &mut Config,
    mut inherited: Inherited,
    log: &'static DiagnosticLog,
) -> Result<Ended, Box<dyn Error>> {
    let mut options = config.options();
    let (is_worker, is_successor) = (inherited.is_worker(), inherited.is_successor());
    let site = config.site()?;
    if is_worker {
        (options.listen, options.admin) = inherited.of_worker();
    } else {
        warn_in_log(&site);
        if line.config.is_none() {
            options.admin = options.admin.map(|wanted| inspector_address(wanted, &inherited));
        }
    }
    let mut server = Server::with_sockets(&options, site, &mut inherited.sockets)?;
    server.show_log(log);
    daemon::heed_signals(&mut server)?;
    let upgrade_limit = options.limits.upgrade_start;
    let mut daemon = Life::new(inherited, config.pid_file.as_deref(), upgrade_limit)?;
    let confinement = daemon.confine(asked(line, config, &server), log)?;
    if config.sandbox != Sandbox::Off {
        server.confine_programs();
    }
    if !is_worker {
        announce(line, &server.local_addresses())?;
    }
    if line.quick.inspect {
        server.allow_steps();
    }
    if line.step {
        if server.admin_address().is_none() {
            return Err("--step needs an inspector that lets it go on: set server.admin".into());
        }
        server.allow_steps();
        // Whoever had looked at the one before is not there yet, and clients are.
        if is_successor {
            log::info!("--step: it takes another's place, and so goes on until somebody holds it");
        } else {
            server.hold().map_err(|why| format!("--step: {why}"))?;
        }
    }
    if let Some(url) = server.admin_address().as_ref().map(config::url) {
        match line.config {
            Some(_) => log::info!("status and metrics on {url}"),
            None => say(&format!("Inspector on {url}inspect\n"))?,
        }
    }
    Ok(daemon::run(&mut server, daemon, log, |server| {
        reload(line, config, &confinement, server);
    })?)
}

/// Where quick mode has its inspector: where the process before had it, or on the first port from
/// the wanted one on that nobody has.
fn inspector_address(wanted: Address, inherited: &Inherited) -> Address {
    if let (_, Some(address)) = inherited.of_worker() {
        return address;
    }
    let Address::Tcp(first) = wanted else { return wanted };
    let ports = (first.port()..=u16::MAX).take(INSPECTOR_PORTS);
    let mut addresses = ports.map(|port| SocketAddr::new(first.ip(), port));
    Address::Tcp(addresses.find(|address| TcpListener::bind(address).is_ok()).unwrap_or(first))
}

/// What the process gives up before it serves.
fn asked<N: Net>(line: &Serve, config: &Config, server: &Server<N>) -> Asked {
    let sockets = server.local_addresses();
    let sockets = sockets.into_iter().chain(server.admin_address());
    let path = |address| match address {
        Address::Unix(path) => Some(path),
        Address::Tcp(_) => None,
    };
    let logs = config.logs().into_iter().cloned();
    Asked {
        identity: config.identity.clone(),
        sandbox: config.sandbox,
        rules: config.rules(line.config.as_deref()),
        has_programs: config.has_programs(),
        files: logs.chain(sockets.filter_map(path)).collect(),
    }
}

/// Reads the configuration again and has the server go by it: by all of it, or by nothing of it.
/// Files that it names are opened anew, so the server is reloaded where it reads the same, too.
fn reload(line: &Serve, config: &mut Config, confinement: &Confinement, server: &mut Server) {
    let Some(file) = &line.config else {
        log::warn!("there is nothing to read again: it was started without a configuration file");
        return;
    };
    let begin = Instant::now();
    let mut read = || -> Result<Config, Box<dyn Error>> {
        let mut new = Config::read(file)?;
        new.sandbox = line.sandbox.map_or(new.sandbox, Sandbox::from);
        confinement.allows(&new.rules(Some(file)), new.has_programs())?;
        let site = new.site()?;
        warn_in_log(&site);
        raise_descriptor_limit(&new);
        server.reload(&new.options(), site)?;
        Ok(new)
    };
    let new = match read() {
        Ok(new) => new,
        Err(error) => {
            log::error!("nothing is changed, for the new configuration cannot be used\n{error}");
            return;
        }
    };
    let difference = config.difference(&new);
    let took = begin.elapsed().as_secs_f64() * 1000.0;
    let name = file.display();
    if difference.is_empty() {
        log::info!("reloaded {name} in {took:.1} ms: it says the same");
    } else {
        log::info!("reloaded {name} in {took:.1} ms:\n{}", difference.join("\n"));
    }
    if config.diagnostic_log != new.diagnostic_log {
        log::warn!("log.error holds from the next start on, or the next upgrade (SIGUSR2)");
    }
    if (config.workers, &config.pid_file) != (new.workers, &new.pid_file) {
        log::warn!(
            "workers and pid-file hold from the next start on, or the next upgrade (SIGUSR2)"
        );
    }
    if (&config.identity, config.sandbox) != (&new.identity, new.sandbox) {
        log::warn!("user, group and sandbox hold from the next start on");
    }
    *config = new;
}

/// What the supervisor of workers asks of the configuration.
struct Supervised<'a> {
    line: &'a Serve,
    file: &'a Path,
}

/// What `config`, which is what `text` means, asks of the supervisor.
fn plan(config: &Config, text: String) -> Result<Plan, Box<dyn Error>> {
    warn_in_log(&config.site()?);
    Ok(Plan {
        listen: config.listen.clone(),
        admin: config.admin.clone(),
        workers: config.workers,
        pid_file: config.pid_file.clone(),
        start: config.limits.upgrade_start,
        drain: config.limits.drain_timeout,
        text,
    })
}

impl Configuration for Supervised<'_> {
    fn read(&self) -> Result<Plan, Box<dyn Error>> {
        let text = config::text(self.file)?;
        plan(&Config::from_text(self.file, text.clone())?, text)
    }

    fn serves(&self, addresses: &[Address]) {
        if let Err(error) = announce(self.line, addresses) {
            log::warn!("cannot say where it listens: {error}");
        }
    }
}

/// Has the system allow as many descriptors as it will, and says if they are too few for `config`.
fn raise_descriptor_limit(config: &Config) {
    let needed = config.limits.connections as u64;
    if let Some(descriptors) = daemon::raise_descriptor_limit().filter(|&most| most < needed) {
        log::warn!(
            "{needed} connections are allowed, and only {descriptors} descriptors: raise the limit \
             (`ulimit -Hn`, or LimitNOFILE= in a systemd unit), or lower limits.connections"
        );
    }
}

fn warn_in_log(site: &Site) {
    for warning in site.warnings() {
        log::warn!("{warning}");
    }
}

fn check(file: &Path, print: bool) -> Result<(), Box<dyn Error>> {
    let config = Config::read(file)?;
    for warning in config.site()?.warnings() {
        warn(&warning);
    }
    let text = if print {
        format!("{config}{}", config.rules(Some(file)).in_comments(config.sandbox))
    } else {
        format!("{} is in order\n", file.display())
    };
    say(&text)
}

fn explain(file: &Path, from: IpAddr, method: &str, url: &str) -> Result<(), Box<dyn Error>> {
    let site = Config::read(file)?.site()?;
    let explanation = question::explain(&site, from, method, url)?.to_string();
    say(&format!("client  {from}\n{}\n", explanation.trim_end()))
}

/// Serves as `serve` does, in one process, and writes what the loop is told into `file`.
fn record(file: &Path, most: u64, line: &Serve) -> Result<(), Box<dyn Error>> {
    let inherited = Inherited::take()?;
    if line.step {
        return Err(
            "--step is for a server that is looked at, and not for one that is recorded".into()
        );
    }
    let mut config = match &line.config {
        Some(file) => Config::read(file)?,
        None => Config::quick(line)?,
    };
    let log = prepare(line, &mut config)?;
    raise_descriptor_limit(&config);
    if config.workers > 1 || config.admin.is_some() {
        log::warn!("what is recorded is one process, and has no admin listener");
    }
    if let Some(root) = config.root_around(file) {
        return Err(format!(
            "{}: it would be served, for it lies in {}; put it elsewhere",
            file.display(),
            root.display()
        )
        .into());
    }
    let site = config.site()?;
    warn_in_log(&site);
    let company = Company::new(&inherited, config.pid_file.as_deref())?;
    let network = recording::network(config.sandbox != Sandbox::Off)?;
    let named = |error: io::Error| format!("{}: {error}", file.display());
    let sink = recording::create(file).map_err(named)?;
    let begin = || -> Result<_, Box<dyn Error>> {
        let head = Head::new(config.for_recording().to_string());
        let network = Recorded::begin(network, sink, most, &head).map_err(named)?;
        let mut server = Server::with_network(network, &config.options(), site)?;
        let mut asked = asked(line, &config, &server);
        asked.files.push(file.to_owned());
        recording::confine(asked, log)?;
        server.begin_tape().map_err(named)?;
        announce(line, &server.local_addresses())?;
        Ok(server)
    };
    // Where there is no server, there is nothing to be seen in it.
    let mut server = begin().inspect_err(|_| drop(fs::remove_file(file)))?;
    log::info!("what comes in is recorded in {}", file.display());
    say_ended(recording::run(&mut server, company, log, |_, _| ())?);
    Ok(())
}

/// Runs the server of a recording once more, and says how that came out.
fn replay(file: &Path, until: Option<u64>, is_quiet: bool) -> Result<(), Box<dyn Error>> {
    let name = file.display();
    let source = File::open(file).and_then(|source| Ok((source.metadata()?.is_file(), source)));
    let (is_file, source) = source.map_err(|error| format!("{name}: {error}"))?;
    if !is_file {
        return Err(format!("{name}: it is read twice, and so has to be a file: save it").into());
    }
    let opened = Replayed::open(source).map_err(|error| format!("{name}: {error}"))?;
    let (head, mut network) = opened;
    if !head.is_of_this_program() {
        let other = &head.made_by;
        let _ = writeln!(io::stderr(), "{name}: oneloop {other} has made it: it may do otherwise");
    }
    let inside = PathBuf::from(format!("{name} (its configuration)"));
    // Whoever has made it does not decide where this process writes.
    let config = Config::from_text(&inside, head.configuration)?.for_recording();
    if let Some(turn) = until {
        network.end_behind(turn);
    }
    let mut options = config.options();
    if !is_quiet {
        let moments = &mut options.limits.recorder_moments;
        *moments = WHOLE_TURN.max(*moments);
    }
    let mut server = Server::with_network(network, &options, config.site()?)?;
    let level = LevelFilter::Error;
    let log = start_diagnostic_log(&DiagnosticLogOptions { level, ..Default::default() })?;
    server.begin_tape()?;
    let ended = recording::run(&mut server, Company::default(), log, |server, first| {
        if !is_quiet {
            // Whoever reads no more may still want to know how it comes out.
            let _ = say(&server.story(first));
        }
    });
    match (server.outcome(), ended) {
        (Some(outcome), _) if outcome.is_same() => {
            let turns = server.turn_number();
            let unit = if turns == 1 { "turn" } else { "turns" };
            say(&format!("{turns} {unit}: {outcome}\n"))
        }
        (Some(outcome), _) => Err(format!("{name}: {outcome}").into()),
        (None, ended) => Err(ended.err().map_or_else(|| "it has no end".into(), Into::into)),
    }
}

/// Messages go where the options say: those that `RUST_LOG` asks for, or else those of their level.
fn start_diagnostic_log(
    options: &DiagnosticLogOptions,
) -> Result<&'static DiagnosticLog, Box<dyn Error>> {
    let said = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let environment = Environment {
        rust_log: said("RUST_LOG"),
        journal_stream: said("JOURNAL_STREAM"),
        no_color: said("NO_COLOR").is_some(),
    };
    let log = DiagnosticLog::open(options, &environment)
        .map_err(|error| format!("cannot open the error log: {error}"))?;
    Ok(log.install())
}

/// Says where the server is to be found: to whoever has just typed the command, or in the log.
fn announce(line: &Serve, addresses: &[Address]) -> Result<(), Box<dyn Error>> {
    for url in addresses.iter().map(config::url) {
        if line.config.is_some() {
            log::info!("listening on {url}");
        } else {
            say(&format!("Serving {} on {url}\n", line.quick.directory.display()))?;
        }
    }
    Ok(())
}

/// Writes to the standard output. That nobody reads it is no failure.
fn say(text: &str) -> Result<(), Box<dyn Error>> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes to the standard error what is no error.
fn warn(SiteError { what, place }: &SiteError) {
    let name = match place {
        Some(Place { file, line }) => format!("{file}:{line}"),
        None => "oneloop".to_owned(),
    };
    let _ = writeln!(io::stderr(), "{name}: warning: {what}");
}

/// Writes to the standard error; there is nobody left to tell if that fails.
fn complain(error: &(dyn Error + 'static)) {
    let is_placed =
        error.downcast_ref().is_some_and(|error: &config::ConfigError| error.place.is_some());
    // A place comes first in its line, where editors look for it.
    let name = if is_placed { "" } else { "oneloop: " };
    let _ = writeln!(io::stderr(), "{name}{error}");
}
