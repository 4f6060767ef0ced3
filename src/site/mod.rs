//! Floor 1, the site: what to answer. A request comes in as an [`Inquiry`]; hosts lead to routes,
//! routes to an [`Answer`].
//!
//! *Invariant:* files are opened here, sockets never; what the time is, the caller says.

pub mod access;
pub mod body;
pub mod error_page;
pub mod handler;
pub mod listing;
pub mod media_type;
mod page;

use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

use crate::http::Refusal;
use crate::http::head::Head;
use crate::http::status::Status;
use body::Body;
use handler::Later;

/// One request, as the site needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// The request's head.
    pub head: &'a Head<'a>,
    /// Who asks; `None` over a Unix-domain socket.
    pub client: Option<IpAddr>,
    /// The request's content, all of it; `None` if it has none or it has not been read yet.
    pub content: Option<&'a [u8]>,
    /// What the time is.
    pub now: Now,
}

/// What the time is, as the loop last looked.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Milliseconds of a clock that never goes back; where it began does not matter.
    pub monotonic_ms: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: u64,
}

/// What to answer.
#[derive(Debug)]
pub enum Answer {
    /// This.
    Reply(Reply),
    /// The route wants the request's content first: ask again with [`Inquiry::content`].
    Content {
        /// In bytes. If it is more than that, the answer is 413 ([`Site::refuse`]).
        limit: u64,
    },
    /// Another thread is at work on it.
    Later(Later),
}

/// A whole answer, but for what the connection says about itself.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: Status,
    /// The fields of the representation and of the route.
    pub fields: Block,
    /// The content. For HEAD it is the one GET would have, and is not sent.
    pub body: Body,
    /// Who the client has proved to be, for the access log.
    pub user: Option<Rc<str>>,
}

/// Field lines, each ended by CRLF and valid. Never among them: `Date`, `Server`, `Content-Length`,
/// `Transfer-Encoding`, `Connection`, which the connection writes.
#[derive(Clone, Debug)]
pub enum Block {
    /// None.
    Empty,
    /// Known when the program was built.
    Static(&'static [u8]),
    /// Made once and used by many replies.
    Shared(Rc<[u8]>),
    /// Made for this reply.
    Made(Vec<u8>),
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Block::Empty => &[],
            Block::Static(lines) => lines,
            Block::Shared(lines) => lines,
            Block::Made(lines) => lines,
        }
    }
}

/// All that is answered from: an immutable snapshot of hosts and routes, and what it has cached.
#[derive(Debug, Default)]
pub struct Site {}

impl Site {
    /// What to answer. Never blocks, but for opening and reading small files.
    #[must_use]
    pub fn answer(&self, inquiry: &Inquiry<'_>) -> Answer {
        let _ = inquiry;
        Answer::Reply(self.refuse(Refusal { status: Status::NOT_FOUND, why: "No such file" }))
    }

    /// The answer to a request that was refused before it had a head, or by the server.
    #[must_use]
    pub fn refuse(&self, refusal: Refusal) -> Reply {
        Reply { status: refusal.status, fields: Block::Empty, body: Body::Empty, user: None }
    }
}
