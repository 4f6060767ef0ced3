//! The access log: one line per exchange, written at the end of its turn; where there are very many
//! turns, a little later and together with others.
//!
//! Nothing that a client sends can forge a line or reach a terminal: control bytes, quotes,
//! backslashes and bytes beyond ASCII are escaped. What cannot be written (a full disk) is counted
//! and dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::timers::Millis;
use crate::http::date::Stamp;
use crate::http::status::Status;

/// Bytes of lines that are not held back any longer. A pipe takes four times as much, so that its
/// reader may be a little late.
const GATHERED: usize = 16 << 10;

/// What time there is for each write, on an average. Where turns are shorter, their lines are held
/// back for so long at most: nobody who looks on sees it, and a hundred writes a second cost
/// nothing.
const PACE: Duration = Duration::from_millis(10);

/// How much of that may be taken in advance: a burst of a hundred turns is written as it comes.
const ADVANCE: Duration = Duration::from_secs(1);

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
    /// Until then all time for writes is taken, some of it in advance.
    taken_until: Millis,
    lost: u64,
    lost_in_all: u64,
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
        let room = if output.is_some() { 2 * GATHERED } else { 0 };
        let (format, lines) = (options.format, Vec::with_capacity(room));
        Ok(AccessLog { format, output, lines, taken_until: Millis(0), lost: 0, lost_in_all: 0 })
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

    /// How many lines could not be written, since the server was started.
    #[must_use]
    pub fn lines_lost(&self) -> u64 {
        self.lost_in_all
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

    /// When the lines that are held back are to be written, if there are any.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        (!self.lines.is_empty()).then(|| self.taken_until.before(ADVANCE))
    }

    /// Writes what has been gathered, unless there were very many writes of late.
    pub fn write_if_due(&mut self, now: Millis) {
        if self.due().is_some_and(|due| due <= now) {
            self.write();
            self.taken_until = self.taken_until.max(now) + PACE;
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
                let lines = memchr::memchr_iter(b'\n', &self.lines).count() as u64;
                self.lost += lines;
                self.lost_in_all += lines;
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
            match entry.user {
                // A space would look like the next column.
                Some(user) => user.split(' ').enumerate().for_each(|(at, part)| {
                    out.extend_from_slice(if at > 0 { b"\\x20" } else { b" - " });
                    escape(out, part.as_bytes());
                }),
                None => out.extend_from_slice(b" - -"),
            }
            let mut moment = *b" [DD/Mon/YYYY:hh:mm:ss +0000] \"";
            moment[2..28].copy_from_slice(&time.clf());
            out.extend_from_slice(&moment);
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
                let Some(value) = value else {
                    out.extend_from_slice(b" \"-\"");
                    continue;
                };
                out.extend_from_slice(b" \"");
                escape(out, value);
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
        Some(IpAddr::V4(address)) => write_ipv4(out, address),
        Some(IpAddr::V6(address)) => write!(out, "{address}").expect("a vector takes all bytes"),
        None => out.extend_from_slice(b"unix:"),
    }
}

/// As its `Display`, in a tenth of the time.
fn write_ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let mut text = [b'.'; 16];
    let mut length = 0;
    for octet in address.octets() {
        for (unit, digit) in [(100, octet / 100), (10, octet / 10 % 10), (1, octet % 10)] {
            text[length] = b'0' + digit;
            length += usize::from(octet >= unit || unit == 1);
        }
        text[length] = b'.';
        length += 1;
    }
    out.extend_from_slice(&text[..length - 1]);
}

/// Appends `text`; what is no printable ASCII, a quote or a backslash becomes `\xHH`.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let is_special = |byte: &u8| {
        let is_unprintable = u8::from(!matches!(byte, b' '..=b'~'));
        is_unprintable | u8::from(*byte == b'"') | u8::from(*byte == b'\\')
    };
    // Without a way out in the middle the compiler makes it many bytes at once.
    if text.iter().fold(0, |any, byte| any | is_special(byte)) == 0 {
        out.extend_from_slice(text);
        return;
    }
    for byte in text {
        if is_special(byte) == 0 {
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
    fn addresses_are_written_as_the_standard_library_does() {
        let mut random = fastrand::Rng::with_seed(5);
        let octet = |random: &mut fastrand::Rng| [0, 9, 10, 99, 100, 255, random.u8(..)];
        for _ in 0..2000 {
            let address = Ipv4Addr::from([(); 4].map(|()| octet(&mut random)[random.usize(..7)]));
            let mut out = Vec::new();
            write_client(&mut out, Some(address.into()));
            assert_eq!(out, address.to_string().as_bytes());
        }
    }

    #[test]
    fn every_byte_is_escaped_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for at in 0..40 {
                let mut text = vec![b'a'; 40];
                text[at] = byte;
                let mut out = Vec::new();
                escape(&mut out, &text);
                let escaped = match byte {
                    b'"' | b'\\' | ..=0x1f | 0x7f.. => format!("\\x{byte:02X}"),
                    _ => char::from(byte).to_string(),
                };
                let expected = format!("{}{escaped}{}", "a".repeat(at), "a".repeat(39 - at));
                assert_eq!(out, expected.as_bytes());
            }
        }
    }

    #[test]
    fn lines_are_written_as_they_come_unless_they_come_very_often() {
        let path = std::env::temp_dir().join(format!("oneloop-held-{}", std::process::id()));
        let to = LogTarget::File(path.clone());
        let mut log = AccessLog::open(&AccessLogOptions { to, format: LogFormat::Common }).unwrap();
        let written = || std::fs::read_to_string(&path).unwrap().lines().count();
        let start = Millis(1_000_000);
        let mut add = |at: Millis| {
            log.add(&entry(), &Stamp::new(0), 0);
            log.write_if_due(at);
            (written(), log.due())
        };
        assert_eq!(add(start), (1, None), "nothing to wake up for");
        for turn in 2..=101 {
            assert_eq!(add(start), (turn, None));
        }
        for at in [start, start + PACE / 2] {
            assert_eq!(add(at), (101, Some(start + PACE)));
        }
        assert_eq!(add(start + PACE), (104, None));
        assert_eq!(add(start + PACE), (104, Some(start + PACE * 2)));
        let later = start + Duration::from_secs(10);
        assert_eq!((add(later), add(later)), ((106, None), (107, None)));
        // More than a little is not held back.
        log.taken_until = Millis::NEVER;
        let entry = Entry { line: &[b'x'; 1000], ..entry() };
        (0..100).for_each(|_| log.add(&entry, &Stamp::new(0), 0));
        assert!(written() > 180 && log.lines.len() < GATHERED, "{} lines", written());
        assert_eq!(log.lines.capacity(), 2 * GATHERED);
        std::fs::remove_file(&path).unwrap();
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
