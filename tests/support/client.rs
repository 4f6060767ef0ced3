//! A client that sends just what it is told, and believes only well-framed answers.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::running::DEADLINE;

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Read, and not asked for yet.
    pending: VecDeque<u8>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names as sent, and values, in order.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) content: Vec<u8>,
}

impl Response {
    /// The value of the only field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| &**value);
        assert!(values.next().is_none(), "{name} is there twice: {:?}", self.fields);
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("text")
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// From another address of this machine.
    pub(crate) fn connect_from(from: SocketAddr, to: SocketAddr) -> Client {
        let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        Client::over(socket.into())
    }

    /// On a connection that is there already.
    pub(crate) fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, pending: VecDeque::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Says that no more will be sent.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// All until the server closes. A reset after the last byte is the server's right.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut all: Vec<u8> = self.pending.drain(..).collect();
        match self.stream.read_to_end(&mut all) {
            Ok(_) => all,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => all,
            Err(error) => panic!("after {} bytes: {error}", all.len()),
        }
    }

    /// All until the server has said that it is done. A reset is none of its rights here: other
    /// systems throw away what their program has not read when one comes in.
    pub(crate) fn read_to_fin(&mut self) -> Vec<u8> {
        let mut all: Vec<u8> = self.pending.drain(..).collect();
        self.stream.read_to_end(&mut all).expect("an end in good order");
        all
    }

    /// GET on this connection, which persists.
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], b"")
    }

    /// One request and its answer; `Host` is added, and Content-Length where there is content.
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        content: &[u8],
    ) -> Response {
        let mut request = Vec::new();
        write!(request, "{method} {target} HTTP/1.1\r\nHost: localhost\r\n").unwrap();
        for (name, value) in fields {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        if !content.is_empty() {
            write!(request, "Content-Length: {}\r\n", content.len()).unwrap();
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(content);
        self.send(request);
        self.response(method == "HEAD")
    }

    /// The next answer, by RFC 9112 §6.3 and not a byte more.
    pub(crate) fn response(&mut self, head_only: bool) -> Response {
        let mut response = self.begin();
        let status = response.status;
        if head_only || status < 200 || status == 204 || status == 304 {
            return response;
        }
        response.content = match framing(&response) {
            Framing::Length(length) => self.exactly(length),
            Framing::Chunked => self.chunks(),
            Framing::Close => self.read_to_end(),
        };
        response
    }

    /// The head of the next answer; its content is left where it is.
    pub(crate) fn begin(&mut self) -> Response {
        let head = self.head();
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let (version, rest) = status_line.split_once(' ').expect("a status line");
        assert_eq!(version, "HTTP/1.1", "{status_line}");
        let status: u16 = rest[..3].parse().expect("a status");
        let fields: Vec<(String, String)> = lines
            .filter(|line| !line.is_empty())
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Response { status, fields, content: Vec::new() }
    }

    /// The content of an answer that has begun, or what came of it before it was cut.
    pub(crate) fn whole_or_cut(&mut self, response: &Response) -> Result<Vec<u8>, Vec<u8>> {
        let framing = framing(response);
        let mut all: Vec<u8> = self.pending.drain(..).collect();
        let end = loop {
            let mut buffer = vec![0; 64 << 10];
            match self.receive(&mut buffer) {
                Ok(0) => break None,
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break Some(error),
                Err(error) => panic!("after {} bytes: {error}", all.len()),
            }
        };
        match framing {
            Framing::Length(length) if all.len() == length => Ok(all),
            Framing::Chunked => dechunk(&all),
            Framing::Close if end.is_none() => Ok(all),
            Framing::Length(_) | Framing::Close => Err(all),
        }
    }

    fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte().unwrap_or_else(|| {
                panic!("the server closed within a head: {:?}", String::from_utf8_lossy(&head))
            }));
        }
        String::from_utf8(head).expect("a head in ASCII")
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                return content;
            }
            content.extend(chunk);
        }
    }

    /// The next chunk of content; the last one is empty.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let line = self.line();
        let size = usize::from_str_radix(&line, 16).expect("a chunk's size");
        let chunk = self.exactly(size);
        assert_eq!(self.line(), "");
        chunk
    }

    /// Chunks until there are `text`, and no more than that, in them.
    pub(crate) fn expect_in_chunks(&mut self, text: &str) {
        let mut content = Vec::new();
        while content.len() < text.len() {
            let chunk = self.chunk();
            assert!(!chunk.is_empty(), "the end after {:?}", String::from_utf8_lossy(&content));
            content.extend(chunk);
        }
        assert_eq!(String::from_utf8_lossy(&content), text);
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.byte().expect("a whole line"));
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).expect("ASCII")
    }

    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::with_capacity(count);
        while bytes.len() < count {
            self.fill();
            assert!(!self.pending.is_empty(), "cut after {} of {count} bytes", bytes.len());
            let take = self.pending.len().min(count - bytes.len());
            bytes.extend(self.pending.drain(..take));
        }
        bytes
    }

    fn byte(&mut self) -> Option<u8> {
        self.fill();
        self.pending.pop_front()
    }

    fn fill(&mut self) {
        if self.pending.is_empty() {
            let mut buffer = vec![0; 64 << 10];
            let count = self.receive(&mut buffer).expect("an answer in time");
            self.pending.extend(&buffer[..count]);
        }
    }

    /// A call with a time limit ends early where the whole machine was stopped (signal(7)).
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Whether the server has closed, with nothing more to say.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.byte().is_none()
    }
}

/// The answer to one request over any kind of stream, which ends with it.
pub(crate) fn ask(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// How an answer's end is found.
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

fn framing(response: &Response) -> Framing {
    match (response.field("Content-Length"), response.field("Transfer-Encoding")) {
        (Some(length), None) => Framing::Length(length.parse().expect("a length")),
        (None, Some("chunked")) => Framing::Chunked,
        (None, None) => Framing::Close,
        framing => panic!("framed in two ways: {framing:?}"),
    }
}

/// The content of all chunks: whole if the last one is there.
fn dechunk(mut rest: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return Err(content);
        };
        let size = std::str::from_utf8(&rest[..end]).expect("ASCII");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        rest = &rest[end + 2..];
        if rest.len() < size + 2 {
            content.extend_from_slice(&rest[..size.min(rest.len())]);
            return Err(content);
        }
        content.extend_from_slice(&rest[..size]);
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
        if size == 0 {
            assert!(rest.is_empty(), "more than an answer");
            return Ok(content);
        }
    }
}
