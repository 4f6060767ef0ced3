//! The inspector: the event loop, shown at work. What lies below `/inspect` on the admin listener
//! is answered here, from the flight recorder and the slab, which are only read. How the loop is
//! held is told in `stepping.rs`.

mod event;
mod house;
mod json;
mod page;
mod recording;
mod rooms;
mod watching;

pub(in super::super) use event::Cursor;
pub(in super::super) use watching::Shown;

use recording::Which;

use super::super::Server;
use super::super::net::Net;
use super::error;
use crate::http::head::Head;
use crate::http::method::Method;
use crate::http::status::Status;
use crate::site::body::{Body, Produced};
use crate::site::{Block, Reply};

const JSON: &[u8] = b"Content-Type: application/json\r\nCache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n";

const SOURCE: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n";

/// For Perfetto and chrome://tracing.
const TRACE: &[u8] = b"Content-Type: application/json\r\nCache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Content-Disposition: attachment; filename=\"oneloop-trace.json\"\r\n";

/// What watches is told of by `text/event-stream` (HTML, "Server-sent events"). A proxy that keeps
/// back what it relays is asked not to.
const EVENTS: &[u8] = b"Content-Type: text/event-stream\r\nCache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\n";

/// Those who may watch at once. What else the admin listener has to say shall have places, too.
const WATCHERS: usize = 4;

/// What is asked of the inspector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The page.
    Page,
    /// Events, one after the other.
    Events,
    /// The recording, or a part of it.
    Recording(Which),
    /// The page with the recording in it.
    Saved,
    /// The recording for other programs.
    Trace,
    /// The source of a room, which is this.
    Source(&'static str),
    /// A part of the recording that nobody can name.
    Unclear,
    /// Nothing that is here.
    Nothing,
}

impl Wanted {
    /// What a request asks for. `None`: it does not ask the inspector.
    fn by(path: &str, query: Option<&str>) -> Option<Wanted> {
        let below = path.strip_prefix("/inspect")?;
        match below {
            "" => Some(Wanted::Page),
            "/events" => Some(Wanted::Events),
            "/recording.json" => Some(which(query).map_or(Wanted::Unclear, Wanted::Recording)),
            "/recording.html" => Some(Wanted::Saved),
            "/trace.json" => Some(Wanted::Trace),
            _ => {
                let room = below.strip_prefix("/source/").and_then(rooms::source);
                let other = below.starts_with('/').then_some(Wanted::Nothing);
                room.map(Wanted::Source).or(other)
            }
        }
    }
}

/// Which part a query names: none, `turn=N`, `peer=SLOT` or `peer=SLOT.GENERATION`.
fn which(query: Option<&str>) -> Option<Which> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Some(Which::All) };
    match query.split_once('=')? {
        ("turn", number) => {
            Some(Which::Turn(number.parse().ok().filter(|&number| number < u64::MAX)?))
        }
        ("peer", id) => match id.split_once('.') {
            Some((key, generation)) => {
                Some(Which::Peer(key.parse().ok()?, Some(generation.parse().ok()?)))
            }
            None => Some(Which::Peer(id.parse().ok()?, None)),
        },
        _ => None,
    }
}

impl<N: Net> Server<N> {
    /// The answer to who wants this, if it may have it.
    fn inspect(&self, wanted: Wanted, head: &Head<'_>) -> Reply {
        if wanted != Wanted::Nothing && !matches!(head.method, Method::Get | Method::Head) {
            let allow = b"Allow: GET, HEAD\r\n";
            return error(Status::METHOD_NOT_ALLOWED, allow, "nothing can be changed here");
        }
        match wanted {
            Wanted::Page => content(page_fields(""), page::page("")),
            Wanted::Events if self.watchers() >= WATCHERS => {
                let why = "as many watch already as may; close one of the pages";
                error(Status::SERVICE_UNAVAILABLE, b"", why)
            }
            Wanted::Events => {
                // What is sent comes from the loop, each time that it has something.
                let nothing = |_: &mut Vec<u8>| Ok(Produced::End);
                let body = Body::Produced(Box::new(nothing));
                Reply { status: Status::OK, fields: Block::Static(EVENTS), body, user: None }
            }
            Wanted::Recording(which) => match self.recording(which) {
                Some(json) => content(Block::Static(JSON), json),
                None => error(Status::NOT_FOUND, b"", "that is not recorded, or no longer"),
            },
            Wanted::Saved => {
                let recording = self.recording(Which::All).unwrap_or_default();
                let name = "Content-Disposition: attachment; filename=\"oneloop-recording.html\"";
                content(page_fields(&format!("{name}\r\n")), page::page(&recording))
            }
            Wanted::Trace => {
                let (fields, body) = (Block::Static(TRACE), Body::Produced(Box::new(self.trace())));
                Reply { status: Status::OK, fields, body, user: None }
            }
            Wanted::Source(text) => content(Block::Static(SOURCE), text.to_owned()),
            Wanted::Unclear => {
                let why = "a part of the recording is turn=N, peer=SLOT or peer=SLOT.GENERATION";
                error(Status::BAD_REQUEST, b"", why)
            }
            Wanted::Nothing => {
                let why = "there are /inspect, and events, recording.json, recording.html, \
                           trace.json and source/ROOM below it, where ROOM is as in a story; \
                           POST takes hold, step (?turn or ?event) and go";
                error(Status::NOT_FOUND, b"", why)
            }
        }
    }
}

fn page_fields(own: &str) -> Block {
    let fields = format!(
        "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: {}; frame-ancestors 'none'\r\n{own}",
        page::policy()
    );
    Block::Made(fields.into_bytes())
}

fn content(fields: Block, text: String) -> Reply {
    Reply { status: Status::OK, fields, body: Body::bytes(text.into_bytes().into()), user: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_part_or_is_refused() {
        let wanted = |query| Wanted::by("/inspect/recording.json", query);
        for (query, which) in [
            (None, Which::All),
            (Some(""), Which::All),
            (Some("turn=0"), Which::Turn(0)),
            (Some("peer=7"), Which::Peer(7, None)),
            (Some("peer=7.12"), Which::Peer(7, Some(12))),
        ] {
            assert_eq!(wanted(query), Some(Wanted::Recording(which)), "{query:?}");
        }
        let none = [
            "turn",
            "turn=",
            "turn=-1",
            "turn=1x",
            "turn=18446744073709551615",
            "turn=18446744073709551616",
            "peer=4294967296",
            "peer=1.",
            "peer=1.2.3",
            "turn=1&turn=2",
            "moment=1",
        ];
        for query in none {
            assert_eq!(wanted(Some(query)), Some(Wanted::Unclear), "{query}");
        }
        assert_eq!(Wanted::by("/inspect/", None), Some(Wanted::Nothing));
        assert_eq!(Wanted::by("/inspector", None), None);
        assert_eq!(Wanted::by("/metrics", None), None);
    }
}
