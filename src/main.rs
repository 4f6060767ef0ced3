//! The program: reads the command line, builds what it asks for, runs it, and says how it ended.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use log::LevelFilter;
use oneloop::config::command_line::{Command, CommandLine, Serve};
use oneloop::config::{self, Config, generate, question};
use oneloop::daemon::{self, Ended};
use oneloop::http::date::Stamp;
use oneloop::server::{Address, Server, limited};
use oneloop::site::SiteError;
use oneloop::site::rule::Place;

fn main() -> ExitCode {
    // Started by itself, to limit a script: no command line of a person.
    if let Some(status) = limited::run(std::env::args_os()) {
        return status;
    }
    // A wrong command line ends here with 2, --help and --version with 0.
    let line = CommandLine::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let done = match &line.command {
        Some(Command::Check { config, print }) => check(config, *print),
        Some(Command::Explain { config, from, method, url }) => explain(config, *from, method, url),
        Some(Command::Generate { what }) => say(&generate::generate(*what)),
        None => serve(&line.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

fn serve(line: &Serve) -> Result<(), Box<dyn Error>> {
    let config = match &line.config {
        Some(file) => Config::read(file)?,
        None => Config::quick(line)?,
    };
    start_diagnostic_log(line, config.error_level);
    let options = config.options();
    let needed = options.limits.connections as u64;
    if let Some(descriptors) = daemon::raise_descriptor_limit().filter(|&most| most < needed) {
        log::warn!(
            "{needed} connections are allowed, and only {descriptors} descriptors: raise the limit \
             (`ulimit -Hn`, or LimitNOFILE= in a systemd unit), or lower limits.connections"
        );
    }
    let site = config.site()?;
    for warning in site.warnings() {
        log::warn!("{warning}");
    }
    let mut server = Server::new(&options, site)?;
    daemon::heed_signals(&mut server)?;
    announce(line, &server.local_addresses())?;
    if let Some(address) = server.admin_address() {
        log::info!("status and metrics on {}", config::url(&address));
    }
    match daemon::run(&mut server)? {
        Ended::Drained => log::info!("ended"),
        Ended::Cut => log::warn!("ended before every exchange was finished"),
    }
    Ok(())
}

fn check(file: &Path, print: bool) -> Result<(), Box<dyn Error>> {
    let config = Config::read(file)?;
    for warning in config.site()?.warnings() {
        warn(&warning);
    }
    let text = if print { config.to_string() } else { format!("{} is in order\n", file.display()) };
    say(&text)
}

fn explain(file: &Path, from: IpAddr, method: &str, url: &str) -> Result<(), Box<dyn Error>> {
    let site = Config::read(file)?.site()?;
    let explanation = question::explain(&site, from, method, url)?.to_string();
    say(&format!("client  {from}\n{}\n", explanation.trim_end()))
}

/// Messages go to the standard error, those that `RUST_LOG` asks for; without it those of the level
/// that the flags ask for, or the configuration.
fn start_diagnostic_log(line: &Serve, configured: LevelFilter) {
    let level = match (line.quiet, line.verbose) {
        (true, _) => LevelFilter::Warn,
        (_, true) => LevelFilter::Debug,
        _ => configured,
    };
    let filter = env_logger::Env::default().default_filter_or(level.as_str());
    env_logger::Builder::from_env(filter)
        .format(|line, record| {
            let now =
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let time = Stamp::new(now).iso();
            let (level, target) = (record.level(), record.target());
            let style = line.default_level_style(level);
            let time = String::from_utf8_lossy(&time);
            writeln!(line, "{time} {style}{level:5}{style:#} {target}: {}", record.args())
        })
        .init();
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
