//! The exchange tested through its one door, [`Exchange`]: what origins and scripts say, and what
//! is understood; what clients say, and what origins are told.

mod corpus;
mod cuts;
mod request;
mod response;

use super::*;
use crate::gateway::{ResponseHead, Script};
use crate::http::forwarded::Forwarded;
use crate::http::head::{Head, HeadSpace};

/// One thing that an origin was understood to say.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Interim(u16, String),
    Head(ResponseHead),
    Switch(String),
    /// Content, joined.
    Content(Vec<u8>),
    End,
    Failed(BadGateway),
}

/// What was understood of all that an origin said before it closed the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Story {
    events: Vec<Event>,
    /// Bytes taken from the input.
    taken: usize,
    /// Whether the connection could have carried another exchange before it was closed.
    reusable: bool,
    /// What closing it meant.
    close: Result<(), BadGateway>,
}

impl Story {
    /// Tells `input` to `exchange`: first its bytes up to the first of `ends`, then up to the next.
    fn of(mut exchange: Exchange, input: &[u8], ends: impl IntoIterator<Item = usize>) -> Story {
        let mut events = Vec::new();
        let mut taken = 0;
        for end in ends {
            while let Some(used) = hear(&mut exchange, &input[taken..end], &mut events) {
                taken += used;
            }
        }
        assert!(taken <= input.len());
        // A failure takes nothing; what came before it in the same bytes may be taken or not.
        if matches!(events.last(), Some(Event::Failed(_))) {
            taken = 0;
        }
        let reusable = exchange.is_reusable();
        let close = exchange.close();
        assert!(!exchange.is_reusable(), "a closed connection is used again");
        Story { events, taken, reusable, close }
    }

    /// Tells all of `input` at once.
    fn at_once(exchange: Exchange, input: &[u8]) -> Story {
        Story::of(exchange, input, [input.len()])
    }

    /// Tells `input` byte by byte.
    fn by_bytes(exchange: Exchange, input: &[u8]) -> Story {
        Story::of(exchange, input, 0..=input.len())
    }

    /// Why it could not be passed on, if it could not.
    fn failure(&self) -> Option<&'static str> {
        self.events.iter().find_map(|event| match event {
            Event::Failed(BadGateway(why)) => Some(*why),
            Event::Interim(..)
            | Event::Head(_)
            | Event::Switch(_)
            | Event::Content(_)
            | Event::End => None,
        })
    }

    /// The head, if there was one.
    fn head(&self) -> Option<&ResponseHead> {
        self.events.iter().find_map(|event| match event {
            Event::Head(head) => Some(head),
            Event::Interim(..)
            | Event::Switch(_)
            | Event::Content(_)
            | Event::End
            | Event::Failed(_) => None,
        })
    }

    /// All content.
    fn content(&self) -> &[u8] {
        let content = self.events.iter().find_map(|event| match event {
            Event::Content(content) => Some(&content[..]),
            Event::Interim(..)
            | Event::Head(_)
            | Event::Switch(_)
            | Event::End
            | Event::Failed(_) => None,
        });
        content.unwrap_or(b"")
    }
}

/// One step: notes in `events` what was heard. Returns the bytes taken, if there may be another
/// step.
fn hear(exchange: &mut Exchange, input: &[u8], events: &mut Vec<Event>) -> Option<usize> {
    let (used, event) = match exchange.receive(input) {
        Ok((0, Inbound::Nothing)) => return None,
        Ok((used, Inbound::Nothing)) => return Some(used),
        Ok((used, Inbound::Interim(status, fields))) => {
            (used, Event::Interim(status.code(), text(fields)))
        }
        Ok((used, Inbound::Head(head))) => (used, Event::Head(head)),
        Ok((used, Inbound::Switch(fields))) => (used, Event::Switch(text(fields))),
        Ok((used, Inbound::Content(content))) => {
            assert!(!content.is_empty(), "content of no bytes");
            if let Some(Event::Content(all)) = events.last_mut() {
                all.extend_from_slice(content);
                return Some(used);
            }
            (used, Event::Content(content.to_vec()))
        }
        Ok((used, Inbound::End)) => (used, Event::End),
        Ok((
            _,
            other @ (Inbound::LocalRedirect(_) | Inbound::Complaint(_) | Inbound::Overloaded),
        )) => {
            panic!("an origin does not say {other:?}")
        }
        Err(why) => (0, Event::Failed(why)),
    };
    assert!(used <= input.len());
    events.push(event);
    Some(used)
}

/// `bytes` as text that shows each of them, whether it is UTF-8 or not.
fn text(bytes: Vec<u8>) -> String {
    bytes.into_iter().map(char::from).collect()
}

/// The request of a client, passed on.
struct Passed {
    exchange: Exchange,
    bytes: String,
}

/// Passes `request` on for a client of 192.0.2.7, to `/t` of `origin`.
fn pass(request: &[u8]) -> Passed {
    pass_of(request, Some("192.0.2.7:5000"), None)
}

fn pass_of(request: &[u8], client: Option<&str>, content_length: Option<u64>) -> Passed {
    pass_from(request, client, content_length, None)
}

fn pass_from(
    request: &[u8],
    client: Option<&str>,
    content_length: Option<u64>,
    forwarded: Option<Forwarded>,
) -> Passed {
    let limits = Limits { head_bytes: 1 << 16, head_fields: MAX_FIELDS };
    let mut space = HeadSpace::new();
    let head = Head::parse(request, &mut space, &limits).expect("the test's request is good");
    let mut exchange = Exchange::new(head.method);
    let script = Script::default();
    let call = Call {
        content_length,
        client: client.map(|client| client.parse().unwrap()),
        forwarded,
        ..Call::new(&head, &script)
    };
    let mut out = Vec::new();
    exchange.request(&call, &Forward { target: b"/t", host: "origin" }, &mut out);
    Passed { exchange, bytes: text(out) }
}

/// An exchange that waits for the response to GET.
fn get() -> Exchange {
    pass(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").exchange
}

/// One that has asked to change to `protocols`.
fn upgrade(protocols: &str) -> Exchange {
    let head =
        format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: {protocols}\r\n\r\n");
    pass(head.as_bytes()).exchange
}
