//! Answers, checked byte by byte as they come in.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use memchr::memmem;

/// One request, and the answer that it must get.
pub(crate) struct Ask {
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) content: Rc<[u8]>,
}

/// Content above this is compared in the first answer of each connection; of the later ones, its
/// length is counted.
const COMPARED: usize = 256 << 10;

/// The head that came last, and the length of what follows it. Most heads are like the one before.
#[derive(Default)]
pub(crate) struct LastHead {
    bytes: Vec<u8>,
    length: usize,
}

/// Where one connection stands in what it reads.
#[derive(Default)]
pub(crate) struct Reading {
    /// A head that is not whole yet.
    pending: Vec<u8>,
    /// How much of the content has come, once the head has.
    content: Option<usize>,
    /// Whether a whole answer has come before.
    has_answered: bool,
}

/// What was taken of the input.
pub(crate) struct Taken {
    pub(crate) bytes: usize,
    /// Bytes of content among them.
    pub(crate) content: usize,
    /// Whether an answer ends there.
    pub(crate) is_whole: bool,
}

impl Reading {
    /// Takes from `input` as much as belongs to the answer that `ask` must get.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        ask: &Ask,
        last: &mut LastHead,
    ) -> Result<Taken, String> {
        let mut used = 0;
        if self.content.is_none() {
            match self.head(input, ask, last)? {
                Some(length) => used = length,
                None => return Ok(Taken { bytes: input.len(), content: 0, is_whole: false }),
            }
        }
        let at = self.content.unwrap_or(0);
        let part = (ask.content.len() - at).min(input.len() - used);
        let is_compared = ask.content.len() <= COMPARED || !self.has_answered;
        if is_compared && ask.content[at..at + part] != input[used..used + part] {
            return Err(format!("wrong content, at byte {at} or behind"));
        }
        let is_whole = at + part == ask.content.len();
        self.content = if is_whole { None } else { Some(at + part) };
        self.has_answered |= is_whole;
        Ok(Taken { bytes: used + part, content: part, is_whole })
    }

    /// Whether no answer has begun that is not whole.
    #[allow(dead_code, reason = "not all benches let the server close between two answers")]
    pub(crate) fn is_between(&self) -> bool {
        self.pending.is_empty() && self.content.is_none()
    }

    /// How much of `input` is the head, if it ends there. Then content follows.
    fn head(
        &mut self,
        input: &[u8],
        ask: &Ask,
        last: &mut LastHead,
    ) -> Result<Option<usize>, String> {
        let is_known =
            self.pending.is_empty() && !last.bytes.is_empty() && input.starts_with(&last.bytes);
        if !is_known {
            let before = self.pending.len();
            self.pending.extend_from_slice(input);
            let Some(end) = memmem::find(&self.pending, b"\r\n\r\n") else { return Ok(None) };
            self.pending.truncate(end + 4);
            let length = self.understand(ask)?;
            *last = LastHead { bytes: std::mem::take(&mut self.pending), length };
            self.content = Some(0);
            return expect_length(ask, length).map(|()| Some(end + 4 - before));
        }
        self.content = Some(0);
        expect_length(ask, last.length).map(|()| Some(last.bytes.len()))
    }

    /// The length of the content behind the head that is pending.
    fn understand(&self, ask: &Ask) -> Result<usize, String> {
        let head = Head::parse(&self.pending)?;
        if head.status == ask.status {
            Ok(head.length)
        } else {
            Err(format!("status {} in place of {}", head.status, ask.status))
        }
    }
}

fn expect_length(ask: &Ask, length: usize) -> Result<(), String> {
    if length == ask.content.len() {
        Ok(())
    } else {
        Err(format!("{length} bytes of content in place of {}", ask.content.len()))
    }
}

/// What a head says.
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The bytes of content that follow.
    pub(crate) length: usize,
    pub(crate) etag: Option<String>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Head, String> {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut fields);
        response.parse(bytes).map_err(|error| format!("a malformed head: {error}"))?;
        let status = response.code.unwrap_or(0);
        let field = |name: &str| {
            let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            found.map(|field| String::from_utf8_lossy(field.value).into_owned())
        };
        let length = match field("Content-Length") {
            _ if status == 304 => 0,
            Some(length) => length.parse().map_err(|_| "no length".to_owned())?,
            None => return Err(format!("{status} without a length")),
        };
        Ok(Head { status, length, etag: field("ETag") })
    }
}

/// Sends one request on a connection of its own, and waits for the answer.
pub(crate) fn exchange(server: SocketAddr, request: &[u8]) -> io::Result<(Head, Vec<u8>)> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        if let Some(end) = memmem::find(&bytes, b"\r\n\r\n") {
            let head = Head::parse(&bytes[..end + 4]).map_err(io::Error::other)?;
            if bytes.len() >= end + 4 + head.length {
                return Ok((head, bytes.split_off(end + 4)));
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other("an answer that is cut")),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
