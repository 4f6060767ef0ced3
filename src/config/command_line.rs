//! The command line: what can be said there, and how `--help` shows it. The man page and the shell
//! completions are generated from the same definition. What the words mean is not known here.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::units::Size;
use crate::http::fields;
use crate::server::confinement::Sandbox;

/// What was said on the command line, and in the environment where the command line is silent.
#[derive(Debug, Parser)]
#[command(
    name = "oneloop",
    version,
    about = "A web server that is one loop",
    override_usage = "oneloop [OPTIONS] [DIR]              serve DIR [default: .]\n       \
                      oneloop check|explain -c FILE ...    what is wrong; what answers\n       \
                      oneloop record|replay FILE ...       record a server; run it again",
    help_template = "{about}\n{usage-heading} {usage}\n{options}\n\
                     Environment: ONELOOP_PORT for --port …, RUST_LOG. \
                     Exit 1: failure, 2: usage.\n",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct CommandLine {
    /// One of the other things to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to serve.
    #[command(flatten)]
    pub serve: Serve,
}

impl CommandLine {
    /// Reads `words`, the first of which is the program's name, and the environment.
    ///
    /// What is said beats what the environment says: a directory or a flag of quick mode beats
    /// `ONELOOP_CONFIG`, and `--config` beats what is set for quick mode.
    ///
    /// # Errors
    /// When the words make no sense; `--help` and `--version` are such errors too.
    pub fn read<W>(words: impl IntoIterator<Item = W>) -> Result<CommandLine, clap::Error>
    where
        W: Into<OsString> + Clone,
    {
        let mut command = CommandLine::command();
        let matches = match command.try_get_matches_from_mut(words) {
            Ok(matches) => matches,
            Err(error) => return Err(clearer(error, &mut command)),
        };
        let mut line = CommandLine::from_arg_matches(&matches)?;
        let decided = if let Some(Command::Record { serve, .. }) = &mut line.command
            && let Some((_, matches)) = matches.subcommand()
        {
            decide(serve, matches)
        } else {
            decide(&mut line.serve, &matches)
        };
        match decided {
            Ok(()) => Ok(line),
            Err(what) => Err(command.error(ErrorKind::ArgumentConflict, what)),
        }
    }
}

/// A directory or a flag of quick mode that is said goes before a file that the environment names.
///
/// # Errors
/// Where a file is said, too.
fn decide(serve: &mut Serve, matches: &ArgMatches) -> Result<(), String> {
    let said = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let quick = Quick::augment_args(clap::Command::new("quick"));
    if let Some(flag) = quick.get_arguments().find(|flag| said(flag.get_id().as_str())) {
        if said("config") {
            let said = match flag.get_long() {
                Some("inspect") => "in FILE, server.admin says where the inspector is",
                Some(_) | None => "FILE says what to serve",
            };
            let flag = flag.get_long().map_or("DIR".to_owned(), |long| format!("--{long}"));
            return Err(format!("{flag} cannot go with --config: {said}"));
        }
        serve.config = None;
    }
    Ok(())
}

/// Takes a second directory for what it is: clap takes it for a subcommand in the wrong place.
fn clearer(error: clap::Error, command: &mut clap::Command) -> clap::Error {
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word))
            if error.kind() == ErrorKind::ArgumentConflict
                && command.find_subcommand(word).is_none() =>
        {
            let what = format!("DIR is one directory, and '{word}' is one too many");
            command.error(ErrorKind::ArgumentConflict, what)
        }
        Some(_) | None => error,
    }
}

/// What can be done besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what is wrong with a configuration file
    #[command(override_usage = "oneloop check -c FILE [--print]")]
    Check {
        /// The configuration file
        #[arg(short, long, value_name = "FILE", env = "ONELOOP_CONFIG", hide_env = true)]
        config: PathBuf,
        /// Print the configuration in effect, every option with its value
        #[arg(long, env = "ONELOOP_PRINT", hide_env = true)]
        #[arg(value_parser = FalseyValueParser::new())]
        print: bool,
    },
    /// Say which host, route, file and option would answer a request
    #[command(override_usage = "oneloop explain -c FILE [--from ADDRESS] METHOD URL")]
    Explain {
        /// The configuration file
        #[arg(short, long, value_name = "FILE", env = "ONELOOP_CONFIG", hide_env = true)]
        config: PathBuf,
        /// The client's address, for allow lists
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
        #[arg(env = "ONELOOP_FROM", hide_env = true)]
        from: IpAddr,
        /// The request's method: GET, HEAD, POST …
        method: String,
        /// Its URL, or a path on the default site
        url: String,
    },
    /// Serve, and write what the loop is told into a file
    #[command(override_usage = "oneloop record RECORDING [OPTIONS] [DIR]")]
    #[command(mut_arg("inspect", |inspect| inspect.hide(true)))]
    Record {
        /// The recording; there must be no such file yet
        #[arg(value_name = "RECORDING")]
        recording: PathBuf,
        /// How large the recording may be
        #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
        #[arg(env = "ONELOOP_MOST", hide_env = true)]
        most: u64,
        /// What to serve.
        #[command(flatten)]
        serve: Box<Serve>,
    },
    /// Run the server again on a recording, without a network
    #[command(override_usage = "oneloop replay RECORDING [--until TURN] [--quiet]")]
    Replay {
        /// The recording
        #[arg(value_name = "RECORDING")]
        recording: PathBuf,
        /// End behind this turn of the loop
        #[arg(long, value_name = "TURN", env = "ONELOOP_UNTIL", hide_env = true)]
        until: Option<u64>,
        /// Print how it comes out alone
        #[arg(short, long, env = "ONELOOP_QUIET", hide_env = true)]
        #[arg(value_parser = FalseyValueParser::new())]
        quiet: bool,
    },
    /// Print the man page or a shell's completions
    #[command(hide = true)]
    Generate {
        /// What to print
        what: Generated,
    },
}

/// What can be generated from the definition of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generated {
    /// The man page
    Man,
    /// Completions for bash
    Bash,
    /// Completions for zsh
    Zsh,
    /// Completions for fish
    Fish,
}

/// What to serve, and how much to say meanwhile.
#[derive(Args, Debug)]
pub struct Serve {
    /// A directory and how to serve it.
    #[command(flatten)]
    pub quick: Quick,
    /// Serve what FILE says
    #[arg(short, long, value_name = "FILE", env = "ONELOOP_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
    /// Confinement: auto, require or off, whatever FILE says
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    #[arg(env = "ONELOOP_SANDBOX", hide_env = true)]
    pub sandbox: Option<SandboxFlag>,
    /// Hold the loop before its first event, until the inspector lets it go on
    #[arg(long, env = "ONELOOP_STEP", hide = true, value_parser = FalseyValueParser::new())]
    pub step: bool,
    /// Log warnings alone, and requests only if --log is given
    #[arg(short, long, env = "ONELOOP_QUIET", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new(), conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log in detail what the server does
    #[arg(short, long, env = "ONELOOP_VERBOSE", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub verbose: bool,
}

/// How much the server is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SandboxFlag {
    /// As much as there is
    Auto,
    /// All of it, or no server
    Require,
    /// None
    Off,
}

impl From<SandboxFlag> for Sandbox {
    fn from(flag: SandboxFlag) -> Sandbox {
        match flag {
            SandboxFlag::Auto => Sandbox::Auto,
            SandboxFlag::Require => Sandbox::Require,
            SandboxFlag::Off => Sandbox::Off,
        }
    }
}

/// Quick mode: a site in one line.
#[derive(Args, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "they are flags, each of its own")]
pub struct Quick {
    /// Directory to serve
    #[arg(value_name = "DIR", default_value = ".", env = "ONELOOP_DIR", hide_env = true)]
    pub directory: PathBuf,
    /// Port to listen on; 0: any free one
    #[arg(short, long, value_name = "N", default_value = "8080")]
    #[arg(env = "ONELOOP_PORT", hide_env = true)]
    pub port: u16,
    /// Where to listen.
    #[arg(help = "IPv4, IPv6, unix:/path; repeatable [default: 127.0.0.1]")]
    #[arg(short, long, value_name = "ADDR", default_value = "127.0.0.1", value_parser = bind)]
    #[arg(hide_default_value = true, env = "ONELOOP_BIND", hide_env = true)]
    pub bind: Vec<Bind>,
    /// Directory's own file; repeatable
    #[arg(long, value_name = "NAME", default_value = "index.html")]
    #[arg(env = "ONELOOP_INDEX", hide_env = true)]
    pub index: Vec<String>,
    /// Missing pages are /index.html (single-page apps)
    #[arg(long, env = "ONELOOP_SPA", hide_env = true, value_parser = FalseyValueParser::new())]
    pub spa: bool,
    /// Do not list directories
    #[arg(long, env = "ONELOOP_NO_LISTING", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub no_listing: bool,
    /// Serve names that begin with a dot
    #[arg(long, env = "ONELOOP_DOTFILES", hide_env = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub dotfiles: bool,
    /// Links: deny, inside DIR or follow
    #[arg(long, value_name = "HOW", default_value = "inside", hide_possible_values = true)]
    #[arg(env = "ONELOOP_SYMLINKS", hide_env = true)]
    pub symlinks: SymlinksFlag,
    /// Run files like *.cgi or /cgi-bin/*; repeatable
    #[arg(long, value_name = "PATTERN", env = "ONELOOP_CGI", hide_env = true)]
    pub cgi: Vec<String>,
    /// Ask another server; repeatable
    #[arg(long, value_name = "/P=URL", value_parser = proxy)]
    #[arg(env = "ONELOOP_PROXY", hide_env = true)]
    pub proxy: Vec<(String, String)>,
    /// Add a field to every response; repeatable
    #[arg(long, value_name = "'K: V'", value_parser = header)]
    #[arg(env = "ONELOOP_HEADER", hide_env = true)]
    pub header: Vec<(String, String)>,
    /// Access log: combined, json or none [default: combined]
    #[arg(long, value_name = "FORM", hide_possible_values = true)]
    #[arg(env = "ONELOOP_LOG", hide_env = true)]
    pub log: Option<LogFlag>,
    /// Show the loop at work, on port 9090 or next; or --step
    #[arg(long, env = "ONELOOP_INSPECT", hide_env = true, value_parser = FalseyValueParser::new())]
    pub inspect: bool,
}

/// Where quick mode listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// On `--port`.
    Ip(IpAddr),
    /// On a port of its own.
    Socket(SocketAddr),
    /// On a Unix-domain socket.
    Unix(String),
}

/// `--symlinks`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SymlinksFlag {
    /// None is followed
    Deny,
    /// Those that stay inside the directory are followed
    Inside,
    /// All are followed, wherever they lead
    Follow,
}

/// `--log`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFlag {
    /// The form that log analysers know
    Combined,
    /// One JSON object for each line
    Json,
    /// No access log
    None,
}

fn bind(text: &str) -> Result<Bind, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err("the socket's path is missing".to_owned()),
            path => Ok(Bind::Unix(path.to_owned())),
        };
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok(Bind::Ip(address));
    }
    text.parse().map(Bind::Socket).map_err(|_| {
        let help = match text {
            "localhost" => "names are not looked up: write 127.0.0.1",
            "*" | "" => "all addresses are 0.0.0.0 and ::",
            _ => "an address is 127.0.0.1, ::1, 192.0.2.1:8080 or unix:/path",
        };
        help.to_owned()
    })
}

fn size(text: &str) -> Result<u64, String> {
    text.parse().map(|Size(bytes)| bytes)
}

fn proxy(text: &str) -> Result<(String, String), String> {
    let Some((prefix, url)) = text.split_once('=') else {
        return Err("it is written /prefix=http://127.0.0.1:3000".to_owned());
    };
    if !prefix.starts_with('/') || prefix.contains(['*', '{']) {
        return Err(format!("{prefix:?} cannot be a path's beginning"));
    }
    Ok((prefix.trim_end_matches('/').to_owned(), url.to_owned()))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a field is written 'Name: value'")?;
    let value = value.trim_matches([' ', '\t']);
    if !fields::is_name(name.as_bytes()) {
        return Err(format!("{name:?} cannot be a field's name"));
    }
    if !fields::is_value(value.as_bytes()) {
        return Err("a field's value cannot hold control characters".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::replay::MOST;

    fn parse(words: &[&str]) -> Result<CommandLine, ErrorKind> {
        let words = std::iter::once("oneloop").chain(words.iter().copied());
        CommandLine::read(words).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn help_fits_a_screen_and_leaves_a_line_for_the_prompt() {
        let help = CommandLine::command().render_help().to_string();
        assert!(help.lines().count() <= 23, "{} lines:\n{help}", help.lines().count());
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn every_flag_has_a_variable_in_the_environment() {
        let command = CommandLine::command();
        for arg in command
            .get_arguments()
            .filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
        {
            let long = arg.get_long().unwrap_or("dir").to_uppercase().replace('-', "_");
            assert_eq!(arg.get_env(), Some(format!("ONELOOP_{long}").as_ref()), "{arg}");
        }
    }

    #[test]
    fn a_directory_and_a_file_exclude_each_other() {
        assert!(parse(&[]).is_ok());
        assert!(parse(&["-c", "a.toml"]).is_ok());
        assert!(parse(&["-c", "a.toml", "-q"]).is_ok());
        for flags in [&["dir"][..], &["-p", "80"], &["--spa"], &["--log", "json"]] {
            let with_file = [&["-c", "a.toml"], flags].concat();
            assert_eq!(parse(&with_file).err(), Some(ErrorKind::ArgumentConflict), "{flags:?}");
        }
        assert_eq!(parse(&["-q", "-v"]).err(), Some(ErrorKind::ArgumentConflict));
        assert_eq!(parse(&["check"]).err(), Some(ErrorKind::MissingRequiredArgument));
        assert_eq!(
            parse(&["-p", "1", "check", "-c", "a"]).err(),
            Some(ErrorKind::ArgumentConflict)
        );
    }

    #[test]
    fn what_is_recorded_is_said_as_what_is_served() {
        let recorded = |words: &[&str]| match parse(&[&["record", "file"], words].concat()) {
            Ok(CommandLine { command: Some(Command::Record { most, serve, .. }), .. }) => {
                Ok((most, serve))
            }
            Ok(other) => panic!("{other:?}"),
            Err(kind) => Err(kind),
        };
        let (most, serve) = recorded(&["-p", "0", "--most", "10MiB", "dir"]).unwrap();
        assert_eq!((most, serve.quick.port), (10 << 20, 0));
        assert_eq!(serve.quick.directory, PathBuf::from("dir"));
        assert_eq!(recorded(&[]).unwrap().0, MOST);
        assert!(recorded(&["-c", "a.toml"]).unwrap().1.config.is_some());
        assert_eq!(recorded(&["-c", "a", "dir"]).err(), Some(ErrorKind::ArgumentConflict));
        assert_eq!(recorded(&["--most", "much"]).err(), Some(ErrorKind::ValueValidation));
        assert_eq!(parse(&["record"]).err(), Some(ErrorKind::MissingRequiredArgument));
        let mut command = CommandLine::command();
        let help = command.find_subcommand_mut("record").unwrap().render_help().to_string();
        assert!(help.contains("--most") && !help.contains("--inspect"), "there is no inspector");
        assert!(parse(&["replay", "file", "--until", "7", "-q"]).is_ok());
        assert_eq!(parse(&["replay"]).err(), Some(ErrorKind::MissingRequiredArgument));
    }

    #[test]
    fn addresses_come_with_and_without_port() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(bind("127.0.0.1"), Ok(Bind::Ip(loopback)));
        assert_eq!(bind("::1"), bind("[::1]"));
        assert_eq!(bind("127.0.0.1:80"), Ok(Bind::Socket((loopback, 80).into())));
        assert!(matches!(bind("[::1]:80"), Ok(Bind::Socket(_))));
        assert_eq!(bind("unix:/x"), Ok(Bind::Unix("/x".to_owned())));
        for bad in ["", "*", "localhost", "unix:", "1.2.3", "127.0.0.1:99999", "http://127.0.0.1"] {
            assert!(bind(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_proxy_has_a_prefix_and_a_url() {
        let pair = |prefix: &str, url: &str| Ok((prefix.to_owned(), url.to_owned()));
        assert_eq!(proxy("/api=http://a:1"), pair("/api", "http://a:1"));
        assert_eq!(proxy("/api/=http://a/?x=y"), pair("/api", "http://a/?x=y"));
        assert_eq!(proxy("/=unix:/x"), pair("", "unix:/x"));
        for bad in ["/api", "http://a:1", "api=http://a:1", "/*=http://a:1", "/{a}=http://a:1"] {
            assert!(proxy(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_cannot_smuggle_a_second_line() {
        assert_eq!(header("X-A:  b "), Ok(("X-A".to_owned(), "b".to_owned())));
        for bad in ["X-A", "X A: b", ": b", "X-A: b\r\nSet-Cookie: c"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }
}
