//! What lines are written to, for those who may wait: files, pipes, terminals and syslog. What of
//! them is not written is lost. Who waits, and who hears of what is lost, is not known here.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;

use super::super::opening;
use super::{LogTarget, count};
use crate::http::date::Stamp;

/// How long nobody asks for a syslog that was not there.
const ABSENCE: Duration = Duration::from_secs(1);

/// The facility of syslog(3) that is for daemons without one of their own, as it stands in a
/// priority (RFC 3164 §4.1.1).
const DAEMON: u8 = 3 << 3;

/// The severity of what comes without one: informational.
const INFORMATIONAL: u8 = 6;

/// What lines are written to.
#[derive(Debug)]
pub(super) enum Sink {
    Stream(Stream),
    Syslog(Syslog),
}

/// Lines that could not be written, and why the first of them could not.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) lines: u64,
    pub(super) error: io::Error,
}

impl Sink {
    /// `None` where nothing is to be written.
    ///
    /// # Errors
    /// Where a file cannot be opened for appending.
    pub(super) fn open(target: &LogTarget) -> io::Result<Option<Sink>> {
        let output = match target {
            LogTarget::None => return Ok(None),
            LogTarget::Syslog(path) => {
                let socket = Err(io::Error::from(ErrorKind::NotConnected));
                let path = path.clone();
                return Ok(Some(Sink::Syslog(Syslog { path, socket, asked: None })));
            }
            LogTarget::Stdout => Output::Stdout(io::stdout()),
            LogTarget::Stderr => Output::Stderr(io::stderr()),
            LogTarget::File(path) => Output::File(open(path).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?),
        };
        Ok(Some(Sink::Stream(Stream { output, begun: Vec::new() })))
    }

    /// Writes `lines`, however long it takes; returns what is lost of them.
    pub(super) fn write(&mut self, lines: &[u8]) -> Option<Failed> {
        match self {
            Sink::Stream(stream) => stream.write(lines),
            Sink::Syslog(syslog) => syslog.write(lines),
        }
    }

    /// Writes the rest of a line that was begun; returns it if that cannot be.
    pub(super) fn close(mut self) -> Option<Failed> {
        match &mut self {
            Sink::Stream(stream) => {
                let failed = stream.write(b"");
                failed.map(|Failed { error, .. }| Failed { lines: 1, error })
            }
            Sink::Syslog(_) => None,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    // To open a FIFO only for writing is to wait for its reader (fifo(7)). Opened for both, it is
    // there at once, takes lines before the reader comes, and stays when it goes.
    if fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        return opening::open(path, OFlags::RDWR);
    }
    opening::open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND)
}

/// Whether `output` leads to the journal, where a line can begin with its severity (JOURNAL_STREAM
/// in systemd.exec(5), sd-daemon(3)).
pub(in crate::server) fn is_journal(output: impl AsFd, journal_stream: Option<&str>) -> bool {
    let journal = journal_stream.and_then(|value| value.split_once(':'));
    let Some((Ok(device), Ok(inode))) =
        journal.map(|(device, inode)| (device.parse::<u64>(), inode.parse::<u64>()))
    else {
        return false;
    };
    let file = output.as_fd().try_clone_to_owned().map(File::from);
    file.and_then(|file| file.metadata())
        .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (device, inode))
}

/// A file, a pipe, a terminal, a stream socket.
#[derive(Debug)]
pub(super) struct Stream {
    output: Output,
    /// The rest of a line that was begun when a disk became full. It comes first, so that no line
    /// is torn.
    begun: Vec<u8>,
}

#[derive(Debug)]
enum Output {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    File(File),
}

impl Stream {
    fn write(&mut self, lines: &[u8]) -> Option<Failed> {
        if !self.begun.is_empty() {
            let (written, error) = write_all(self.output.as_fd(), &self.begun);
            self.begun.drain(..written);
            if let Some(error) = error {
                return Some(Failed { lines: count(lines), error });
            }
        }
        let (written, error) = write_all(self.output.as_fd(), lines);
        let (done, mut rest) = lines.split_at(written);
        if done.last().is_some_and(|&last| last != b'\n') {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            self.begun.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        error.map(|error| Failed { lines: count(rest), error })
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Output::Stdout(output) => output.as_fd(),
            Output::Stderr(output) => output.as_fd(),
            Output::File(file) => file.as_fd(),
        }
    }
}

/// Writes as much as it can: how much, and what kept it from more.
fn write_all(output: BorrowedFd<'_>, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::write(output, &bytes[written..]) {
            Ok(0) => return (written, Some(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(rustix::io::Errno::INTR) => {}
            // Whoever shares it may have made it so that nobody waits in it.
            Err(rustix::io::Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&output, PollFlags::OUT)], None);
            }
            Err(error) => return (written, Some(error.into())),
        }
    }
    (written, None)
}

/// syslog: a datagram for each line (RFC 3164, without the host, as syslog(3) sends it to its own
/// machine; in UTC). It may come and go.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    /// Or why there is none.
    socket: io::Result<UnixDatagram>,
    /// When it was last asked for in vain.
    asked: Option<Instant>,
}

impl Syslog {
    fn write(&mut self, lines: &[u8]) -> Option<Failed> {
        let mut failed = None;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let time = Stamp::new(now).syslog();
        let mut message = Vec::new();
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let (severity, text) = severity(line.trim_ascii_end());
            let id = std::process::id();
            message.clear();
            let _ = write!(message, "<{}>", DAEMON | severity);
            message.extend_from_slice(&time);
            let _ = write!(message, " oneloop[{id}]: ");
            message.extend_from_slice(text);
            if let Err(error) = self.send(&message) {
                failed.get_or_insert(Failed { lines: 0, error }).lines += 1;
            }
        }
        failed
    }

    /// Sends one message. Where syslog has gone, its successor is looked for at once, and then once
    /// a second.
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        if let Ok(socket) = &self.socket {
            let error = loop {
                match socket.send(message) {
                    Ok(_) => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => break error,
                }
            };
            if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) {
                return Err(error); // The others may be shorter.
            }
            self.socket = Err(error);
            self.asked = None;
        }
        if self.asked.is_none_or(|asked| asked.elapsed() >= ABSENCE) {
            self.asked = Some(Instant::now());
            self.socket = UnixDatagram::unbound().and_then(|socket| {
                socket.connect(&self.path)?;
                Ok(socket)
            });
            if let Ok(socket) = &self.socket {
                return socket.send(message).map(drop);
            }
        }
        let why = self.socket.as_ref().err().map(ToString::to_string).unwrap_or_default();
        Err(io::Error::other(format!("syslog at {}: {why}", self.path.display())))
    }
}

/// The severity that a line begins with (`<0>` to `<7>`), and what stands behind.
fn severity(line: &[u8]) -> (u8, &[u8]) {
    match line {
        [b'<', digit @ b'0'..=b'7', b'>', text @ ..] => (digit - b'0', text),
        text => (INFORMATIONAL, text),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::thread;

    use super::*;

    #[test]
    fn a_line_has_the_severity_that_it_begins_with() {
        assert_eq!(severity(b"<3>a"), (3, &b"a"[..]));
        for line in [&b"a"[..], b"<8>a", b"<3", b"< 3>", b""] {
            assert_eq!(severity(line), (6, line));
        }
    }

    /// A pipe whose reader goes tells of a disk that becomes full: it takes a part, and then none.
    #[test]
    fn a_line_that_was_begun_is_finished_before_all_others() {
        let (reader, writer) = io::pipe().unwrap();
        let output = Output::File(File::from(OwnedFd::from(writer)));
        let mut stream = Stream { output, begun: Vec::new() };
        let lines = format!("{}\n", "x".repeat(99)).repeat(1000);
        let writing = thread::spawn(move || (stream.write(lines.as_bytes()).unwrap(), stream));
        while rustix::io::ioctl_fionread(&reader).unwrap() < 65_536 {
            thread::yield_now();
        }
        drop(reader);
        let (failed, mut stream) = writing.join().unwrap();
        // 655 lines, and 36 bytes of the next, are a pipe.
        assert_eq!((failed.lines, stream.begun.len()), (344, 64));
        assert_eq!(failed.error.kind(), ErrorKind::BrokenPipe);
        // As long as it is so, it waits.
        assert_eq!(stream.write(b"lost\n").unwrap().lines, 1);
        let (mut reader, writer) = io::pipe().unwrap();
        stream.output = Output::File(File::from(OwnedFd::from(writer)));
        assert!(stream.write(b"next\n").is_none());
        drop(stream);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("{}\nnext\n", "x".repeat(63)));
    }
}
