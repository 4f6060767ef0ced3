//! The programs behind the servers: a FastCGI responder with one loop, and a CGI program. Both
//! answer with the content they are given, and look at nothing.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use slab::Slab;

/// Marks the event of the listener: no connection has this number.
const LISTENER: u64 = u64::MAX;

// Types of records.
const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMETERS: u8 = 4;
const INPUT: u8 = 5;
const OUTPUT: u8 = 6;

/// The length of a record's head.
const HEAD: usize = 8;

struct Connection {
    stream: TcpStream,
    /// Records that have come, the last of them perhaps in part.
    input: Vec<u8>,
    /// Whether it stays open behind an answer.
    persists: bool,
}

/// What a program says first.
fn head(length: usize) -> String {
    format!("Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n")
}

/// A CGI program's answer, with the content that lies beside the program.
pub(crate) fn answer_as_cgi() -> io::Result<()> {
    let content = fs::read(std::env::current_exe()?.with_file_name("content"))?;
    let answer = [head(content.len()).as_bytes(), &content].concat();
    io::stdout().write_all(&answer)
}

/// A FastCGI responder, until it is killed. The arguments: a port, and the file with the content.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let [port, file] = arguments else {
        return Err(io::Error::other("responder PORT CONTENT"));
    };
    let content = fs::read(file)?;
    let output = [head(content.len()).as_bytes(), &content].concat();
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections: Slab<Connection> = Slab::new();
    let mut events = Vec::with_capacity(64);
    let mut buffer = vec![0; 64 << 10];
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let place = connections.vacant_entry();
                    let data = EventData::new_u64(place.key() as u64);
                    epoll::add(&epoll, &stream, data, EventFlags::IN)?;
                    place.insert(Connection { stream, input: Vec::new(), persists: true });
                }
                continue;
            }
            let at = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
            if !connections[at].serve(&mut buffer, &output) {
                connections.remove(at);
            }
        }
    }
}

impl Connection {
    /// Reads once, and answers the requests that are whole. Whether it stays.
    fn serve(&mut self, buffer: &mut [u8], output: &[u8]) -> bool {
        match self.stream.read(buffer) {
            Ok(count @ 1..) => self.input.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Ok(_) | Err(_) => return false,
        }
        let mut done = 0;
        while let Some(&[_, kind, id_high, id_low, high, low, padding, _]) =
            self.input[done..].first_chunk::<HEAD>()
        {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let end = done + HEAD + length + usize::from(padding);
            if self.input.len() < end {
                break;
            }
            if kind == BEGIN {
                self.persists = self.input[done + HEAD + 2] & 1 == 1;
            }
            done = end;
            if kind == INPUT && length == 0 {
                let id = [id_high, id_low];
                let mut answer = record(OUTPUT, id, output);
                answer.extend(record(OUTPUT, id, &[]));
                answer.extend(record(END, id, &[0; 8]));
                if self.stream.write_all(&answer).is_err() || !self.persists {
                    return false;
                }
            }
        }
        self.input.drain(..done);
        true
    }
}

fn record(kind: u8, id: [u8; 2], content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut record = vec![1, kind, id[0], id[1], high, low, 0, 0];
    record.extend_from_slice(content);
    record
}

/// A request in records, with the variables that are needed and no more.
pub(crate) fn request() -> Vec<u8> {
    let mut variables = Vec::new();
    for (name, value) in [
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", "/fastcgi/answer"),
        ("QUERY_STRING", ""),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", "80"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", "limit"),
    ] {
        variables.extend([name.len(), value.len()].map(|length| u8::try_from(length).unwrap_or(0)));
        variables.extend_from_slice(name.as_bytes());
        variables.extend_from_slice(value.as_bytes());
    }
    let id = [0, 1];
    let mut request = record(BEGIN, id, &[0, 1, 1, 0, 0, 0, 0, 0]);
    request.extend(record(PARAMETERS, id, &variables));
    request.extend(record(PARAMETERS, id, &[]));
    request.extend(record(INPUT, id, &[]));
    request
}
