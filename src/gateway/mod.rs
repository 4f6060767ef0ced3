//! Floor 0, the gateways: what programs behind this server are told, and what they say. Four
//! protocols, one story: a head, content, an end.
//!
//! *Invariant:* as in `http`, bytes in, meaning out: no socket, file, process, clock or thread.
//!
//! *Invariant:* what a program says wrongly is an error here, and never passed on.

pub mod cgi;
pub mod fastcgi;
pub mod origin;
mod response_fields;
pub mod scgi;
pub mod variables;

use std::cmp::Ordering;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::http::forwarded::Forwarded;
use crate::http::head::Head;
use crate::http::status::Status;

/// The most bytes of a program's response head, whatever protocol it speaks.
pub const MAX_HEAD_BYTES: usize = 64 << 10;

/// One request as a program is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The client's request.
    pub head: &'a Head<'a>,
    /// Which script is asked for.
    pub script: &'a Script,
    /// How much content there is, in bytes; `None` where there is none, or nobody knows yet.
    pub content_length: Option<u64>,
    /// Who has sent the request; `None` over a Unix-domain socket.
    pub client: Option<SocketAddr>,
    /// Where the client has connected to; `None` over a Unix-domain socket.
    pub server: Option<SocketAddr>,
    /// Whom it is from, where somebody who is believed has passed it on.
    pub forwarded: Option<Forwarded>,
    /// Who the client has proved to be, by Basic authentication.
    pub user: Option<&'a str>,
    /// More variables, said by the configuration. They win over all others of their name.
    pub environment: &'a [(String, String)],
}

impl<'a> Call<'a> {
    /// A request of which no more is known.
    #[must_use]
    pub fn new(head: &'a Head<'a>, script: &'a Script) -> Call<'a> {
        Call {
            head,
            script,
            content_length: None,
            client: None,
            server: None,
            forwarded: None,
            user: None,
            environment: &[],
        }
    }

    /// Who asks; `None` where that is not known.
    fn asker(&self) -> Option<IpAddr> {
        let client = || self.client.map(|address| address.ip());
        self.forwarded.map_or_else(client, |forwarded| forwarded.client)
    }

    /// The scheme that the client has asked by.
    fn scheme(&self) -> &'static str {
        let is_secure = self.forwarded.is_some_and(|forwarded| forwarded.is_secure);
        if is_secure { "https" } else { "http" }
    }
}

/// Which script is asked for, in the words of RFC 3875 §4.1. All paths are decoded bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// `SCRIPT_NAME`: the part of the path that leads to the script. Begins with `/` unless it is
    /// empty.
    pub name: Vec<u8>,
    /// `PATH_INFO`: what stands behind it. Begins with `/` unless it is empty.
    pub path_info: Vec<u8>,
    /// `SCRIPT_FILENAME`: the script's file, where it has one.
    pub file: Option<PathBuf>,
    /// `DOCUMENT_ROOT`, and what `PATH_TRANSLATED` is made from.
    pub root: Option<PathBuf>,
}

/// What a program has said.
#[derive(Debug, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// Nothing whole yet: more must come.
    Nothing,
    /// An interim response (1xx but 101) and its fields, to be passed on (RFC 9110 §15.2).
    Interim(Status, Vec<u8>),
    /// The head of the response.
    Head(ResponseHead),
    /// This path and query, on this server, is where the response is to come from
    /// (RFC 3875 §6.2.2).
    LocalRedirect(String),
    /// 101: from here on, the connection speaks another protocol. The fields are complete, with
    /// `Upgrade` but without `Connection`.
    Switch(Vec<u8>),
    /// Some of the content.
    Content(&'a [u8]),
    /// Something for the log.
    Complaint(&'a [u8]),
    /// The program has too much to do: this is all that it will say. What came before it is no
    /// whole response.
    Overloaded,
    /// The end of the response.
    End,
}

/// The head of a program's response, fit to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status, 200 to 599.
    pub status: Status,
    /// Complete and valid field lines, without those that the connection writes: `Connection` and
    /// what it names, `Content-Length`, `Transfer-Encoding`, `Date`, `Server`.
    pub fields: Vec<u8>,
    /// The value of `Date`, where the program has sent a valid one: it knows better than we do.
    pub date: Option<Vec<u8>>,
    /// How much content it announces, in bytes. For HEAD and 304, what GET would have.
    pub length: Option<u64>,
}

/// Why what a program said, or left unsaid, cannot be passed on: a sentence without its full stop,
/// for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadGateway(pub &'static str);

/// One exchange with a program, in the protocol that it speaks.
#[derive(Debug)]
pub enum Codec {
    /// A CGI or SCGI program: its output is the response (RFC 3875 §6).
    Script(cgi::Answer),
    /// A FastCGI application.
    FastCgi(fastcgi::Exchange),
    /// An HTTP/1.1 origin server, or a script that writes its head itself.
    Origin(origin::Exchange),
}

impl Codec {
    /// Takes what it can from the front of `input`: how many bytes, and what they were. Bytes not
    /// taken must stand at the front of the next call's `input`. After [`Inbound::End`],
    /// [`Inbound::Overloaded`] or [`Inbound::Switch`] nothing is taken any more.
    ///
    /// # Errors
    /// Once, for what cannot be passed on. If content was passed on before, the response is to be
    /// cut so that the client notices.
    pub fn receive<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Inbound<'a>), BadGateway> {
        match self {
            Codec::Script(answer) => answer.receive(input),
            Codec::FastCgi(exchange) => exchange.receive(input),
            Codec::Origin(exchange) => exchange.receive(input),
        }
    }

    /// The program will say no more, and all it said was taken, but for an unfinished rest.
    ///
    /// # Errors
    /// Where the response is not whole by that.
    pub fn close(&mut self) -> Result<(), BadGateway> {
        match self {
            Codec::Script(answer) => answer.close(),
            Codec::FastCgi(exchange) => exchange.close(),
            Codec::Origin(exchange) => exchange.close(),
        }
    }

    /// Appends some of the request's content, framed, to `out`.
    pub fn send(&mut self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            Codec::Script(_) => out.extend_from_slice(content),
            Codec::FastCgi(exchange) => exchange.send(content, out),
            Codec::Origin(exchange) => exchange.send(content, out),
        }
    }

    /// Appends the end of the request's content to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Codec::Script(_) => {}
            Codec::FastCgi(exchange) => exchange.finish(out),
            Codec::Origin(exchange) => exchange.finish(out),
        }
    }

    /// Whether the response is whole, and the connection may carry another exchange.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        match self {
            Codec::Script(_) => false,
            Codec::FastCgi(exchange) => exchange.is_reusable(),
            Codec::Origin(exchange) => exchange.is_reusable(),
        }
    }
}

/// Appends an address in text. `Display` takes 2,000 instructions for one of IPv4, this takes 100.
fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            for (at, octet) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                if octet >= 100 {
                    out.push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    out.push(b'0' + octet / 10 % 10);
                }
                out.push(b'0' + octet % 10);
            }
        }
        IpAddr::V6(address) => write!(out, "{address}").expect("a vector takes all bytes"),
    }
}

/// The order of names, whatever their case.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let lower = |name| <[u8]>::iter(name).map(u8::to_ascii_lowercase);
    lower(a).cmp(lower(b))
}
