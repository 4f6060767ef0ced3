//! The access log: one line per exchange, gathered and written once per turn.
//!
//! Nothing that a client sends can forge a line or reach a terminal: control bytes, quotes,
//! backslashes and bytes beyond ASCII are escaped. What cannot be written (a full disk) is counted
//! and dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use crate::http::date::Stamp;
use crate::http::status::Status;

/// Bytes of lines above which they are written before the turn is over.
const GATHERED: usize = 64 << 10;

/// Where the access log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere: no lines are made.
    #[default]
    None,
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
    /// Appended to this file.
    File(PathBuf),
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The common format and then Referer and User-Agent.
    #[default]
    Combined,
    /// `host ident user [time] "request line" status bytes`, as of the first NCSA server.
    Common,
    /// One JSON object.
    Json,
}

/// What to log, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLogOptions {
    /// Where to.
    pub to: LogTarget,
    /// In which form.
    pub format: LogFormat,
}

/// One exchange, as far as it is known when its answer begins.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Who asked; `None` over a Unix-domain socket.
    pub client: Option<IpAddr>,
    /// Who the client proved to be.
    pub user: Option<&'a str>,
    /// The request line as sent; empty if none came.
    pub line: &'a [u8],
    /// Which host was asked for.
    pub host: &'a str,
    /// The status of the answer.
    pub status: Status,
    /// The field Referer.
    pub referer: Option<&'a [u8]>,
    /// The field User-Agent.
    pub user_agent: Option<&'a [u8]>,
    /// Why the answer is an error, where it is known better than by its status. Only JSON has a
    /// place for it.
    pub why: Option<&'a str>,
}

/// A line that waits for the last of its facts: how many bytes of content were sent, and why not
/// all.
#[derive(Debug)]
pub struct Draft {
    text: Vec<u8>,
    gap: usize,
}

/// The log.
#[derive(Debug)]
pub struct AccessLog {
    format: LogFormat,
    output: Option<Output>,
    lines: Vec<u8>,
    lost: u64,
}

#[derive(Debug)]
enum Output {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    File(File),
}

impl AccessLog {
    /// Opens the log.
    ///
    /// # Errors
    /// Where the file cannot be opened for appending.
    pub fn open(options: &AccessLogOptions) -> io::Result<Self> {
        let output = match &options.to {
            LogTarget::None => None,
            LogTarget::Stdout => Some(Output::Stdout(io::stdout())),
            LogTarget::Stderr => Some(Output::Stderr(io::stderr())),
            LogTarget::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Some(Output::File(file.map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })?))
            }
        };
        Ok(AccessLog { format: options.format, output, lines: Vec::new(), lost: 0 })
    }

    /// Adds the line of an exchange that is over: `bytes` of content were sent.
    pub fn add(&mut self, entry: &Entry<'_>, time: &Stamp, bytes: u64) {
        if self.output.is_none() {
            return;
        }
        before_bytes(&mut self.lines, self.format, entry, time);
        self.add_bytes(bytes);
        after_bytes(&mut self.lines, self.format, entry);
        end_line(&mut self.lines, self.format, entry.why);
        self.write_if_many();
    }

    /// Whether anything is logged at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.output.is_some()
    }

    /// Prepares the line of an exchange that goes on; `None` where nothing is logged.
    #[must_use]
    pub fn draft(&self, entry: &Entry<'_>, time: &Stamp) -> Option<Draft> {
        self.output.as_ref()?;
        let mut text = Vec::with_capacity(256);
        before_bytes(&mut text, self.format, entry, time);
        let gap = text.len();
        after_bytes(&mut text, self.format, entry);
        Some(Draft { text, gap })
    }

    /// Adds the line of an exchange that is over now; `why` its answer was cut, if it was.
    pub fn add_draft(&mut self, draft: &Draft, bytes: u64, why: Option<&str>) {
        let (before, after) = draft.text.split_at(draft.gap);
        self.lines.extend_from_slice(before);
        self.add_bytes(bytes);
        self.lines.extend_from_slice(after);
        end_line(&mut self.lines, self.format, why);
        self.write_if_many();
    }

    fn add_bytes(&mut self, bytes: u64) {
        self.lines.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
    }

    fn write_if_many(&mut self) {
        if self.lines.len() >= GATHERED {
            self.write();
        }
    }

    /// Writes what has been gathered. What cannot be written is lost, and counted.
    pub fn write(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let result = match &mut self.output {
            None => Ok(()),
            Some(Output::Stdout(output)) => {
                output.write_all(&self.lines).and_then(|()| output.flush())
            }
            Some(Output::Stderr(output)) => output.write_all(&self.lines),
            Some(Output::File(file)) => file.write_all(&self.lines),
        };
        match result {
            Ok(()) if self.lost > 0 => {
                log::warn!("the access log is written again; {} lines were lost", self.lost);
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    log::error!("cannot write the access log, its lines are lost: {error}");
                }
                self.lost += memchr::memchr_iter(b'\n', &self.lines).count() as u64;
            }
        }
        self.lines.clear();
        self.lines.shrink_to(2 * GATHERED);
    }
}

/// All of a line that stands before the number of bytes.
fn before_bytes(out: &mut Vec<u8>, format: LogFormat, entry: &Entry<'_>, time: &Stamp) {
    match format {
        LogFormat::Combined | LogFormat::Common => {
            write_client(out, entry.client);
            out.extend_from_slice(b" - ");
            match entry.user {
                // A space would look like the next column.
                Some(user) => user.split(' ').enumerate().for_each(|(at, part)| {
                    out.extend_from_slice(if at > 0 { b"\\x20" } else { b"" });
                    escape(out, part.as_bytes());
                }),
                None => out.push(b'-'),
            }
            out.extend_from_slice(b" [");
            out.extend_from_slice(&time.clf());
            out.extend_from_slice(b"] \"");
            escape(out, if entry.line.is_empty() { b"-" } else { entry.line });
            out.extend_from_slice(b"\" ");
            out.extend_from_slice(itoa::Buffer::new().format(entry.status.code()).as_bytes());
            out.push(b' ');
        }
        LogFormat::Json => {
            out.extend_from_slice(b"{\"time\":\"");
            out.extend_from_slice(&time.iso());
            out.extend_from_slice(b"\",\"client\":\"");
            write_client(out, entry.client);
            out.extend_from_slice(b"\",\"user\":");
            json(out, entry.user.map(str::as_bytes));
            out.extend_from_slice(b",\"host\":");
            json(out, Some(entry.host.as_bytes()));
            out.extend_from_slice(b",\"request\":");
            json(out, Some(entry.line));
            out.extend_from_slice(b",\"status\":");
            out.extend_from_slice(itoa::Buffer::new().format(entry.status.code()).as_bytes());
            out.extend_from_slice(b",\"bytes\":");
        }
    }
}

/// All of a line that stands behind the number of bytes.
fn after_bytes(out: &mut Vec<u8>, format: LogFormat, entry: &Entry<'_>) {
    match format {
        LogFormat::Common => {}
        LogFormat::Combined => {
            for value in [entry.referer, entry.user_agent] {
                out.extend_from_slice(b" \"");
                escape(out, value.unwrap_or(b"-"));
                out.push(b'"');
            }
        }
        LogFormat::Json => {
            out.extend_from_slice(b",\"referer\":");
            json(out, entry.referer);
            out.extend_from_slice(b",\"user_agent\":");
            json(out, entry.user_agent);
        }
    }
}

fn end_line(out: &mut Vec<u8>, format: LogFormat, why: Option<&str>) {
    match format {
        LogFormat::Common | LogFormat::Combined => {}
        LogFormat::Json => {
            if why.is_some() {
                out.extend_from_slice(b",\"why\":");
                json(out, why.map(str::as_bytes));
            }
            out.push(b'}');
        }
    }
    out.push(b'\n');
}

fn write_client(out: &mut Vec<u8>, client: Option<IpAddr>) {
    match client {
        Some(address) => write!(out, "{address}").expect("a vector takes all bytes"),
        None => out.extend_from_slice(b"unix:"),
    }
}

/// Appends `text`; what is no printable ASCII, a quote or a backslash becomes `\xHH`.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'"' && *byte != b'\\';
    if text.iter().all(is_plain) {
        out.extend_from_slice(text);
        return;
    }
    for byte in text {
        if is_plain(byte) {
            out.push(*byte);
        } else {
            write!(out, "\\x{byte:02X}").expect("a vector takes all bytes");
        }
    }
}

/// Appends `text` as a JSON string, or `null`. What is no UTF-8 becomes U+FFFD.
fn json(out: &mut Vec<u8>, text: Option<&[u8]>) {
    let text = text.map(String::from_utf8_lossy);
    serde_json::to_writer(out, &text).expect("a vector takes all bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LogFormat, entry: &Entry<'_>) -> String {
        let path = std::env::temp_dir().join(format!(
            "oneloop-log-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let options = AccessLogOptions { to: LogTarget::File(path.clone()), format };
        let mut log = AccessLog::open(&options).unwrap();
        let time = Stamp::new(971_211_336);
        log.add(entry, &time, 5);
        let draft = log.draft(entry, &time).unwrap();
        log.add_draft(&draft, 5, None);
        log.write();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (first, second) = text.split_once('\n').unwrap();
        assert_eq!(format!("{first}\n"), second, "a draft makes another line");
        first.to_owned()
    }

    fn entry() -> Entry<'static> {
        Entry {
            client: Some(IpAddr::from([127, 0, 0, 1])),
            user: Some("fr\"an k"),
            line: b"GET /\"\\\x1b[0m\xff HTTP/1.0",
            host: "a",
            status: Status::OK,
            referer: None,
            user_agent: Some(b"x\"\x07"),
            why: None,
        }
    }

    #[test]
    fn hostile_bytes_are_escaped_in_every_form() {
        let common = concat!(
            r"127.0.0.1 - fr\x22an\x20k [10/Oct/2000:20:55:36 +0000] ",
            r#""GET /\x22\x5C\x1B[0m\xFF HTTP/1.0" 200 5"#
        );
        assert_eq!(line(LogFormat::Common, &entry()), common);
        assert_eq!(line(LogFormat::Combined, &entry()), format!("{common} \"-\" \"x\\x22\\x07\""));
        let json: serde_json::Value =
            serde_json::from_str(&line(LogFormat::Json, &entry())).unwrap();
        assert_eq!(json["request"], "GET /\"\\\u{1b}[0m\u{fffd} HTTP/1.0");
        assert_eq!(json["bytes"], 5);
        assert_eq!(json["referer"], serde_json::Value::Null);
        assert_eq!(json["time"], "2000-10-10T20:55:36Z");
    }

    #[test]
    fn a_full_disk_loses_lines_and_nothing_else() {
        let options = AccessLogOptions {
            to: LogTarget::File(PathBuf::from("/dev/full")),
            format: LogFormat::Common,
        };
        let mut log = AccessLog::open(&options).unwrap();
        for _ in 0..3 {
            log.add(&entry(), &Stamp::new(0), 0);
        }
        log.write();
        assert_eq!(log.lost, 3);
        assert!(log.lines.is_empty());
    }
}
