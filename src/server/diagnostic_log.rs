//! The diagnostic log: what the server has to say of itself, as text or JSON, or in the form that
//! the journal and syslog want. Which messages there are is not known here, nor how they are
//! written.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::panic;
use std::time::{SystemTime, UNIX_EPOCH};

use env_logger::{Builder, Logger};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::access_log::QUEUE;
use super::outlet::{LogTarget, Outlet, is_journal};
use crate::http::date::Stamp;

/// What a message looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageFormat {
    /// `2000-10-10T13:55:36Z WARN  oneloop::server: message`. For the journal and syslog without
    /// time and level, which they get in their own way.
    #[default]
    Text,
    /// One JSON object in a line.
    Json,
}

/// What to say, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticLogOptions {
    /// Where to.
    pub to: LogTarget,
    /// How much.
    pub level: LevelFilter,
    /// In which form.
    pub format: MessageFormat,
    /// Bytes of messages that may wait to be written.
    pub queue: usize,
}

impl Default for DiagnosticLogOptions {
    fn default() -> Self {
        DiagnosticLogOptions {
            to: LogTarget::Stderr,
            level: LevelFilter::Info,
            format: MessageFormat::Text,
            queue: QUEUE,
        }
    }
}

/// What the environment says of it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `RUST_LOG`: which messages, in place of the configured level.
    pub rust_log: Option<String>,
    /// `JOURNAL_STREAM`: the device and inode of the journal's end.
    pub journal_stream: Option<String>,
    /// `NO_COLOR`: none on a terminal.
    pub no_color: bool,
}

/// The log. There is one in a process, for all its threads.
#[derive(Debug)]
pub struct DiagnosticLog {
    /// Asked which messages are wanted, and for nothing else: it would hold a lock while it writes,
    /// and what an outlet loses is a message, too.
    logger: Logger,
    form: Form,
    outlet: Option<Outlet>,
}

#[derive(Clone, Copy, Debug)]
struct Form {
    format: MessageFormat,
    /// Each line begins with its severity, as in sd-daemon(3).
    has_severity: bool,
    has_color: bool,
}

impl DiagnosticLog {
    /// Opens the log.
    ///
    /// # Errors
    /// Where its file cannot be opened.
    pub fn open(options: &DiagnosticLogOptions, environment: &Environment) -> io::Result<Self> {
        let DiagnosticLogOptions { to, level, format, queue } = options;
        let stream = environment.journal_stream.as_deref();
        let (is_marked, is_terminal) = match to {
            LogTarget::Stdout => (is_journal(io::stdout(), stream), io::stdout().is_terminal()),
            LogTarget::Stderr => (is_journal(io::stderr(), stream), io::stderr().is_terminal()),
            LogTarget::Syslog(_) => (true, false),
            LogTarget::None | LogTarget::File(_) => (false, false),
        };
        let has_color = is_terminal && !environment.no_color;
        let form = Form { format: *format, has_severity: is_marked, has_color };
        let outlet = Outlet::open(to, "diagnostic log", *queue)?;
        let mut builder = Builder::new();
        match &environment.rust_log {
            Some(said) => builder.parse_filters(said),
            None => builder.filter_level(*level),
        };
        Ok(DiagnosticLog { logger: builder.build(), form, outlet })
    }

    /// From now on this is where messages go, and those of panics.
    #[must_use]
    pub fn install(self) -> &'static DiagnosticLog {
        let this: &'static DiagnosticLog = Box::leak(Box::new(self));
        if log::set_logger(this).is_ok() {
            log::set_max_level(this.logger.filter());
            panic::set_hook(Box::new(|panic| {
                let trace = Backtrace::capture();
                if trace.status() == BacktraceStatus::Captured {
                    log::error!("{panic}\n{trace}");
                } else {
                    log::error!("{panic}");
                }
            }));
        }
        this
    }

    /// Messages that were lost in all this time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.outlet.as_ref().map_or(0, Outlet::lost)
    }

    /// Has its thread end: the next message begins another.
    pub fn rest(&self) {
        self.outlet.as_ref().map(Outlet::rest);
    }

    /// Opens the log's file anew, for it may have been renamed. No message is lost.
    ///
    /// # Errors
    /// Where it cannot be opened; then the log goes on where it was.
    pub fn reopen(&self) -> io::Result<()> {
        self.outlet.as_ref().map_or(Ok(()), Outlet::reopen)
    }
}

impl Log for DiagnosticLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(outlet) = self.outlet.as_ref().filter(|_| self.logger.matches(record)) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let time = Stamp::new(now.map_or(0, |since| since.as_secs()));
            outlet.give(self.form.write(record, &time).as_bytes());
        }
    }

    /// Waits until all is written; for a second at most.
    fn flush(&self) {
        self.outlet.as_ref().map(Outlet::flush);
    }
}

impl Form {
    /// The lines of a message.
    fn write(self, record: &Record<'_>, time: &Stamp) -> String {
        let (level, target) = (record.level(), record.target());
        let time = time.iso();
        let time = str::from_utf8(&time).expect("a date is ASCII");
        let message = record.args().to_string();
        let text = match self.format {
            MessageFormat::Text if self.has_severity => format!("{target}: {message}"),
            MessageFormat::Text => {
                let (on, off) = if self.has_color { (color(level), "\x1b[0m") } else { ("", "") };
                format!("{time} {on}{level:5}{off} {target}: {message}")
            }
            MessageFormat::Json => serde_json::json!({
                "time": time,
                "level": level.as_str().to_ascii_lowercase(),
                "target": target,
                "message": message,
            })
            .to_string(),
        };
        let mut lines = String::with_capacity(text.len() + 8);
        for line in text.lines() {
            if self.has_severity {
                let _ = write!(lines, "<{}>", severity(level));
            }
            lines.push_str(line);
            lines.push('\n');
        }
        lines
    }
}

/// As in syslog(3).
fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn color(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[1;31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug => "\x1b[34m",
        Level::Trace => "\x1b[36m",
    }
}
