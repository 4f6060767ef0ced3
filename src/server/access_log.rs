//! The access log: one line per exchange, written at the end of its turn; where there are very many
//! turns, a little later and together with others.
//!
//! Nothing that a client sends can forge a line or reach a terminal: control bytes, quotes,
//! backslashes and bytes beyond ASCII are escaped. What cannot be written (a full disk) is counted
//! and dropped; how it is written is not known here, but in `outlet`.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::outlet::{LogTarget, Outlet};
use super::timers::Millis;
use crate::http::date::Stamp;
use crate::http::forwarded;
use crate::http::status::Status;

/// Bytes of lines that are not held back any longer.
const GATHERED: usize = 16 << 10;

/// What time there is for each write, on an average. Where turns are shorter, their lines are held
/// back for so long at most: nobody who looks on sees it, and a hundred writes a second cost
/// nothing.
const PACE: Duration = Duration::from_millis(10);

/// How much of that may be taken in advance: a burst of a hundred turns is written as it comes.
const ADVANCE: Duration = Duration::from_secs(1);

/// Bytes of lines that may wait to be written, unless something else is said.
pub const QUEUE: usize = 1 << 20;

/// How long the parts of a line may be that a client chooses, as they are written. So no line has
/// more than 4095 bytes: what is behind them, GoAccess takes for another one.
const LINE: usize = 2000;
const REFERER: usize = 800;
const USER_AGENT: usize = 500;
const HOST: usize = 128;
const USER: usize = 100;
const WHY: usize = 200;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogOptions {
    /// Where to.
    pub to: LogTarget,
    /// In which form.
    pub format: LogFormat,
    /// Bytes of lines that may wait to be written.
    pub queue: usize,
}

impl Default for AccessLogOptions {
    fn default() -> Self {
        AccessLogOptions { to: LogTarget::None, format: LogFormat::Combined, queue: QUEUE }
    }
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
    /// The log may have another one by then.
    format: LogFormat,
    text: Vec<u8>,
    gap: usize,
}

/// The log.
#[derive(Debug)]
pub struct AccessLog {
    options: AccessLogOptions,
    outlet: Option<Outlet>,
    lines: Vec<u8>,
    /// Until then all time for writes is taken, some of it in advance.
    taken_until: Millis,
}

impl AccessLog {
    /// Opens the log.
    ///
    /// # Errors
    /// Where the file cannot be opened for appending.
    pub fn open(options: &AccessLogOptions) -> io::Result<Self> {
        let outlet = Outlet::open(&options.to, "access log", options.queue)?;
        let room = if outlet.is_some() { 2 * GATHERED } else { 0 };
        let (options, lines) = (options.clone(), Vec::with_capacity(room));
        Ok(AccessLog { options, outlet, lines, taken_until: Millis(0) })
    }

    /// What was asked for.
    #[must_use]
    pub fn options(&self) -> &AccessLogOptions {
        &self.options
    }

    /// Lines that were lost since the log was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.outlet.as_ref().map_or(0, Outlet::lost)
    }

    /// Waits until all lines are written; for a second at most.
    pub fn flush(&mut self) {
        self.write();
        self.outlet.as_ref().map(Outlet::flush);
    }

    /// Opens the log's file anew, for it may have been renamed. No line is lost.
    ///
    /// # Errors
    /// Where it cannot be opened; then the log goes on where it was.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.write();
        self.outlet.as_ref().map_or(Ok(()), Outlet::reopen)
    }

    /// Adds the line of an exchange that is over: `bytes` of content were sent.
    pub fn add(&mut self, entry: &Entry<'_>, time: &Stamp, bytes: u64) {
        if self.outlet.is_none() {
            return;
        }
        before_bytes(&mut self.lines, self.options.format, entry, time);
        self.add_bytes(bytes);
        after_bytes(&mut self.lines, self.options.format, entry);
        end_line(&mut self.lines, self.options.format, entry.why);
        self.write_if_many();
    }

    /// Whether anything is logged at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.outlet.is_some()
    }

    /// Prepares the line of an exchange that goes on; `None` where nothing is logged.
    #[must_use]
    pub fn draft(&self, entry: &Entry<'_>, time: &Stamp) -> Option<Draft> {
        self.outlet.as_ref()?;
        let mut text = Vec::with_capacity(256);
        before_bytes(&mut text, self.options.format, entry, time);
        let gap = text.len();
        after_bytes(&mut text, self.options.format, entry);
        Some(Draft { format: self.options.format, text, gap })
    }

    /// Adds the line of an exchange that is over now; `why` its answer was cut, if it was.
    pub fn add_draft(&mut self, draft: &Draft, bytes: u64, why: Option<&str>) {
        let (before, after) = draft.text.split_at(draft.gap);
        self.lines.extend_from_slice(before);
        self.add_bytes(bytes);
        self.lines.extend_from_slice(after);
        end_line(&mut self.lines, draft.format, why);
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

    /// Gives away what has been gathered, to be written.
    pub fn write(&mut self) {
        if let (Some(outlet), false) = (&self.outlet, self.lines.is_empty()) {
            outlet.give(&self.lines);
        }
        self.lines.clear();
        self.lines.shrink_to(2 * GATHERED);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.write();
    }
}

/// All of a line that stands before the number of bytes.
fn before_bytes(out: &mut Vec<u8>, format: LogFormat, entry: &Entry<'_>, time: &Stamp) {
    match format {
        LogFormat::Combined | LogFormat::Common => {
            write_client(out, entry.client);
            match entry.user {
                // A space would look like the next column.
                Some(user) => {
                    let user = &user.as_bytes()[..user.len().min(USER)];
                    for (at, part) in user.split(|&byte| byte == b' ').enumerate() {
                        out.extend_from_slice(if at > 0 { b"\\x20" } else { b" - " });
                        escape(out, part, 4 * USER);
                    }
                }
                None => out.extend_from_slice(b" - -"),
            }
            let mut moment = *b" [DD/Mon/YYYY:hh:mm:ss +0000] \"";
            moment[2..28].copy_from_slice(&time.clf());
            out.extend_from_slice(&moment);
            escape(out, if entry.line.is_empty() { b"-" } else { entry.line }, LINE);
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
            json(out, entry.user.map(str::as_bytes), USER);
            out.extend_from_slice(b",\"host\":");
            json(out, Some(entry.host.as_bytes()), HOST);
            out.extend_from_slice(b",\"request\":");
            json(out, Some(entry.line).filter(|line| !line.is_empty()), LINE);
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
            for (value, most) in [(entry.referer, REFERER), (entry.user_agent, USER_AGENT)] {
                let Some(value) = value else {
                    out.extend_from_slice(b" \"-\"");
                    continue;
                };
                out.extend_from_slice(b" \"");
                escape(out, value, most);
                out.push(b'"');
            }
        }
        LogFormat::Json => {
            out.extend_from_slice(b",\"referer\":");
            json(out, entry.referer, REFERER);
            out.extend_from_slice(b",\"user_agent\":");
            json(out, entry.user_agent, USER_AGENT);
        }
    }
}

fn end_line(out: &mut Vec<u8>, format: LogFormat, why: Option<&str>) {
    match format {
        LogFormat::Common | LogFormat::Combined => {}
        LogFormat::Json => {
            if why.is_some() {
                out.extend_from_slice(b",\"why\":");
                json(out, why.map(str::as_bytes), WHY);
            }
            out.push(b'}');
        }
    }
    out.push(b'\n');
}

/// Who has no address, over a Unix-domain socket, is `::`, which says just that (RFC 4291 §2.5.2):
/// programs that read logs want an address.
fn write_client(out: &mut Vec<u8>, client: Option<IpAddr>) {
    match client.unwrap_or_else(forwarded::unknown) {
        IpAddr::V4(address) => write_ipv4(out, address),
        IpAddr::V6(address) => write!(out, "{address}").expect("a vector takes all bytes"),
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

/// Appends `text`; what is no printable ASCII, a quote or a backslash becomes `\xHH`. Behind `most`
/// bytes it is cut.
fn escape(out: &mut Vec<u8>, text: &[u8], most: usize) {
    let is_special = |byte: &u8| {
        let is_unprintable = u8::from(!matches!(byte, b' '..=b'~'));
        is_unprintable | u8::from(*byte == b'"') | u8::from(*byte == b'\\')
    };
    // Without a way out in the middle the compiler makes it many bytes at once.
    let is_plain = text.iter().fold(0, |any, byte| any | is_special(byte)) == 0;
    if is_plain && text.len() <= most {
        out.extend_from_slice(text);
        return;
    }
    let end = out.len() + most;
    for byte in text {
        let is_special = is_special(byte) != 0;
        if out.len() + if is_special { 4 } else { 1 } > end {
            out.extend_from_slice(b"...");
            return;
        }
        if is_special {
            write!(out, "\\x{byte:02X}").expect("a vector takes all bytes");
        } else {
            out.push(*byte);
        }
    }
}

/// Appends `text` as a JSON string that is cut behind `most` bytes, or `null`. What is no UTF-8
/// becomes U+FFFD, and so does NUL, where programs in C would see the end.
fn json(out: &mut Vec<u8>, text: Option<&[u8]>, most: usize) {
    let Some(text) = text else { return out.extend_from_slice(b"null") };
    let start = out.len();
    let mut piece = &text[..text.len().min(most)];
    json_string(out, piece);
    if out.len() - start > most + 2 {
        out.truncate(start);
        piece = &text[..most / 6]; // None becomes more than six bytes.
        json_string(out, piece);
    }
    if piece.len() < text.len() {
        out.pop();
        out.extend_from_slice(b"...\"");
    }
}

fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    let mut text = String::from_utf8_lossy(text);
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}").into();
    }
    serde_json::to_writer(out, &text).expect("a vector takes all bytes");
}

#[cfg(test)]
mod tests;
