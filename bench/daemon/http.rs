//! One connection of a client, and the answers on it. What is asked, and why, is not known here.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes that are read at once, at most.
const PIECE: usize = 16 << 10;

/// A connection, and what has come on it.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Answers that have come whole.
    pub(crate) answers: usize,
    /// The content of the last answer.
    pub(crate) content: Vec<u8>,
    /// What has come and is not looked at yet.
    input: Vec<u8>,
}

/// The head of an answer, as far as a client must know it.
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Whether the server goes on with this connection.
    pub(crate) persists: bool,
    length: Length,
}

enum Length {
    Bytes(usize),
    Chunks,
    UntilEnd,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, answers: 0, content: Vec::new(), input: Vec::new() })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Asks for a path, and waits for the answer.
    pub(crate) fn get(&mut self, target: &str) -> io::Result<Head> {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
        self.answer()
    }

    /// A whole answer to anything but HEAD.
    pub(crate) fn answer(&mut self) -> io::Result<Head> {
        let head = self.head()?;
        self.content(&head)?;
        Ok(head)
    }

    /// The head of the next answer; those of status 1xx are passed over.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        loop {
            let end = loop {
                match memchr::memmem::find(&self.input, b"\r\n\r\n") {
                    Some(end) => break end,
                    None => self.more()?,
                }
            };
            let head = Head::of(&String::from_utf8_lossy(&self.input[..end + 2]))?;
            self.input.drain(..end + 4);
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    /// The content that belongs to a head.
    pub(crate) fn content(&mut self, head: &Head) -> io::Result<()> {
        self.content.clear();
        match head.length {
            Length::Bytes(count) => self.take(count)?,
            Length::Chunks => loop {
                let line = self.line()?;
                let size = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
                self.take(size)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            },
            Length::UntilEnd => {
                self.content.append(&mut self.input);
                self.stream.read_to_end(&mut self.content)?;
            }
        }
        self.answers += 1;
        Ok(())
    }

    /// Everything until the server ends the connection, or resets it. How much it was.
    pub(crate) fn rest(&mut self) -> usize {
        while self.more().is_ok() {}
        self.input.len()
    }

    /// Moves so many bytes to the content.
    fn take(&mut self, count: usize) -> io::Result<()> {
        let end = self.content.len() + count;
        loop {
            let now = self.input.len().min(end - self.content.len());
            self.content.extend(self.input.drain(..now));
            if self.content.len() == end {
                return Ok(());
            }
            self.more()?;
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.input, b"\r\n") {
                let line = String::from_utf8_lossy(&self.input[..end]).into_owned();
                self.input.drain(..end + 2);
                return Ok(line);
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let begin = self.input.len();
        self.input.resize(begin + PIECE, 0);
        let read = self.stream.read(&mut self.input[begin..]);
        self.input.truncate(begin + *read.as_ref().unwrap_or(&0));
        if read? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl Head {
    fn of(text: &str) -> io::Result<Head> {
        let field = |name: &str| {
            let lines = text.lines().skip(1).filter_map(|line| line.split_once(": "));
            lines
                .filter(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
                .next()
        };
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no answer: {text}")))?;
        let length = match field("Content-Length").map(str::parse) {
            Some(Ok(count)) if status != 304 => Length::Bytes(count),
            Some(Err(error)) => return Err(io::Error::other(error)),
            Some(Ok(_)) | None if matches!(status, 204 | 304) || status < 200 => Length::Bytes(0),
            Some(Ok(_)) | None if field("Transfer-Encoding").is_some() => Length::Chunks,
            Some(Ok(_)) | None => Length::UntilEnd,
        };
        let persists = field("Connection") != Some("close") && !matches!(length, Length::UntilEnd);
        Ok(Head { status, persists, length })
    }
}
