//! The made-up programs: how they understand what they are told, in four protocols, and what they
//! say to it. Both depend on the request alone, so that the oracle knows it too; when it is said,
//! and in which pieces, is chance's business (`backend.rs`).
//!
//! The last segment of a target says what is wanted: `/proxy/cut-50` is an answer that breaks off
//! after fifty bytes.

use crate::http::connection::{Connection, Received};
use crate::http::head::HeadSpace;
use crate::http::{self, method::Method};

/// How a program is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Cgi,
    FastCgi,
    Scgi,
    Http,
}

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Answers, and says how much.
    Sized,
    /// Answers, and does not say how much.
    Flow,
    /// Answers until it closes.
    UntilClose,
    /// Answers, after a word ahead.
    Hint,
    /// Sends the request to a file.
    Elsewhere,
    /// Ends without a word.
    Mute,
    /// Ends within its head.
    Half,
    /// Says what is no head.
    Bad,
    /// Ends within what it has announced.
    Cut,
    /// Ends, and has not said where it would.
    CutFlow,
    /// Says nothing, and stays.
    Late,
    /// Says half, and stays.
    Stuck,
    /// Answers, and leaves without a word about it.
    Leaves,
    /// Answers, and says more than it was asked.
    More,
    /// Answers, and says more when nobody has asked.
    Stray,
    /// Ends when it has heard the head.
    Deaf,
    /// Answers when it has heard the head.
    Early,
    /// Changes the protocol, and gives back so many bytes.
    Switch,
    /// Answers, closes its output, and lives on.
    Lingers,
}

/// All acts, as targets name them.
pub(super) const ACTS: [(&str, Act); 19] = [
    ("sized", Act::Sized),
    ("flow", Act::Flow),
    ("untilclose", Act::UntilClose),
    ("hint", Act::Hint),
    ("elsewhere", Act::Elsewhere),
    ("mute", Act::Mute),
    ("half", Act::Half),
    ("bad", Act::Bad),
    ("cut", Act::Cut),
    ("cutflow", Act::CutFlow),
    ("late", Act::Late),
    ("stuck", Act::Stuck),
    ("leaves", Act::Leaves),
    ("more", Act::More),
    ("stray", Act::Stray),
    ("deaf", Act::Deaf),
    ("early", Act::Early),
    ("switch", Act::Switch),
    ("lingers", Act::Lingers),
];

/// What a program is asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) act: Act,
    pub(super) count: usize,
    pub(super) head_only: bool,
    /// The client waits to be asked for its content.
    pub(super) expects: bool,
    pub(super) content: Vec<u8>,
}

/// What it says.
#[derive(Clone, Debug)]
pub(super) struct Speech {
    pub(super) bytes: Vec<u8>,
    /// So many bytes at its end come at once.
    pub(super) glued: usize,
    pub(super) end: End,
}

/// What it does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Hears the next request.
    Stays,
    /// Closes.
    Closes,
    /// Is killed.
    Dies,
    /// Nothing any more.
    Hangs,
    /// Gives back what it hears, so many bytes, and closes.
    Echoes(usize),
    /// Closes its output, and ends much later.
    Lingers,
    /// Says something when it should wait for the next request.
    Strays,
}

/// What it says then.
pub(super) const STRAY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nnobody's";

/// Where a local redirect leads.
pub(super) const ELSEWHERE: &str = "/small";

/// What stands at the front of what comes through a tunnel.
const GREETING: &[u8] = b"welcome\n";

const LIMITS: http::Limits = http::Limits { head_bytes: 64 << 10, head_fields: 100 };

impl Asked {
    /// Reads what `target` wants.
    pub(super) fn new(target: &str, method: &str) -> Asked {
        let wanted = target.rsplit('/').next().unwrap_or_default();
        let (name, count) = wanted.split_once('-').expect("targets name an act and a number");
        let act = ACTS.iter().find(|(known, _)| *known == name).expect("an act that there is").1;
        let count = count.parse().expect("targets end in a number");
        let head_only = method == "HEAD";
        Asked { act, count, head_only, expects: false, content: Vec::new() }
    }

    /// Whether it is done before all of its content was heard.
    pub(super) fn is_hasty(&self, protocol: Protocol) -> bool {
        self.act == Act::Deaf || (self.act == Act::Early && protocol == Protocol::Http)
    }

    /// What is answered: some bytes, and what was heard.
    fn answer(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..self.count).map(|at| b"ABCDEFGHIJK"[at % 11]).collect();
        let sum: u32 = self.content.iter().map(|&byte| u32::from(byte)).sum();
        bytes.extend(format!("|{} {sum}\n", self.content.len()).bytes());
        bytes
    }
}

/// Understands the request at the front of `told`, once it is there: how many bytes it has, and
/// what it asks. What is no request at all is a bug of the server.
pub(super) fn hear(protocol: Protocol, told: &[u8]) -> Option<(usize, Asked)> {
    match protocol {
        Protocol::Cgi => None,
        Protocol::FastCgi => hear_records(told),
        Protocol::Scgi => hear_netstring(told),
        Protocol::Http => hear_http(told),
    }
}

fn hear_http(told: &[u8]) -> Option<(usize, Asked)> {
    let mut connection = Connection::new();
    let mut at = 0;
    let mut asked: Option<Asked> = None;
    loop {
        let mut space = HeadSpace::new();
        let received = connection.receive(&told[at..], &mut space, &LIMITS);
        match received.expect("the server passes on what is a request") {
            (0, Received::Nothing) => return None,
            (used, Received::Nothing) => at += used,
            (used, Received::Head(head)) => {
                at += used;
                let line = std::str::from_utf8(head.line).expect("targets are ASCII");
                let target = line.split(' ').nth(1).expect("a line has a target");
                let expects = head.expects_continue;
                let now = Asked { expects, ..Asked::new(target, head.method.as_str()) };
                if now.is_hasty(Protocol::Http) || head.length.is_none() {
                    return Some((at, now));
                }
                asked = Some(now);
            }
            (used, Received::Content(piece)) => {
                at += used;
                asked.as_mut().expect("content comes behind a head").content.extend(piece);
            }
            (used, Received::End) => return asked.map(|asked| (at + used, asked)),
        }
    }
}

/// Of variables, what matters here.
fn asked_by<'v>(variable: impl Fn(&str) -> Option<&'v [u8]>) -> Asked {
    let text = |name| variable(name).and_then(|value| std::str::from_utf8(value).ok());
    let target = text("REQUEST_URI").expect("REQUEST_URI is always there");
    Asked::new(target, text("REQUEST_METHOD").expect("REQUEST_METHOD is always there"))
}

fn hear_netstring(told: &[u8]) -> Option<(usize, Asked)> {
    let colon = memchr::memchr(b':', told)?;
    let length: usize = std::str::from_utf8(&told[..colon]).ok()?.parse().expect("a length");
    let pairs = told.get(colon + 1..colon + 1 + length)?;
    let start = colon + 1 + length + 1;
    assert_eq!(*told.get(start - 1)?, b',', "a netstring ends in a comma");
    let parts: Vec<&[u8]> = pairs.split(|&byte| byte == 0).collect();
    let find = |name: &str| parts.chunks(2).find(|pair| pair[0] == name.as_bytes());
    let asked = asked_by(|name| find(name).map(|pair| pair[1]));
    if asked.is_hasty(Protocol::Scgi) {
        return Some((start, asked));
    }
    let count = find("CONTENT_LENGTH").map(|pair| String::from_utf8_lossy(pair[1]).into_owned());
    let end = start + count.and_then(|count| count.parse::<usize>().ok()).expect("it is there");
    let content = told.get(start..end)?.to_vec();
    Some((end, Asked { content, ..asked }))
}

fn hear_records(told: &[u8]) -> Option<(usize, Asked)> {
    let (mut at, mut params, mut content) = (0, Vec::new(), Vec::new());
    let mut asked: Option<Asked> = None;
    loop {
        let header = told.get(at..at + 8)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let end = at + 8 + length + usize::from(header[6]);
        let data = told.get(at + 8..end)?.get(..length)?;
        at = end;
        assert_eq!((header[0], header[3]), (1, 1), "version and id of a record");
        match header[1] {
            1 => assert_eq!(data[1], 1, "the role is that of a responder"),
            4 if data.is_empty() => {
                let pairs = read_pairs(&params);
                let find = |name: &str| pairs.iter().find(|(known, _)| *known == name.as_bytes());
                let now = asked_by(|name| find(name).map(|(_, value)| *value));
                if now.is_hasty(Protocol::FastCgi) {
                    return Some((at, now));
                }
                asked = Some(now);
            }
            4 => params.extend_from_slice(data),
            5 if data.is_empty() => {
                let asked = asked.expect("STDIN ends behind PARAMS");
                return Some((at, Asked { content, ..asked }));
            }
            5 => content.extend_from_slice(data),
            kind => panic!("a server sends no record of type {kind}"),
        }
    }
}

fn read_pairs(mut params: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut pairs = Vec::new();
    while !params.is_empty() {
        let mut length = || {
            let (&first, rest) = params.split_first().expect("a length");
            if first < 0x80 {
                params = rest;
                return usize::from(first);
            }
            let long = u32::from_be_bytes([first & 0x7f, rest[0], rest[1], rest[2]]);
            params = &rest[3..];
            usize::try_from(long).expect("it fits")
        };
        let (name, value) = (length(), length());
        pairs.push((&params[..name], &params[name..name + value]));
        params = &params[name + value..];
    }
    pairs
}

/// What a program says when it is asked.
pub(super) fn say(protocol: Protocol, asked: &Asked) -> Speech {
    match protocol {
        Protocol::Cgi => say_lines(asked),
        Protocol::Scgi => {
            let speech = say_lines(asked);
            let closes = matches!(speech.end, End::Stays | End::Lingers);
            Speech { end: if closes { End::Closes } else { speech.end }, ..speech }
        }
        Protocol::FastCgi => say_records(asked, &say_lines(asked)),
        Protocol::Http => say_http(asked),
    }
}

/// A head in lines, and content behind it (RFC 3875 §6).
fn say_lines(asked: &Asked) -> Speech {
    let answer = asked.answer();
    let line_end = if asked.count.is_multiple_of(2) { "\n" } else { "\r\n" };
    let head = |length: Option<usize>| {
        let length = length.map(|length| format!("Content-Length: {length}{line_end}"));
        let length = length.unwrap_or_default();
        format!("Content-Type: text/plain{line_end}{length}{line_end}").into_bytes()
    };
    let whole = |length| [head(length), answer.clone()].concat();
    let (bytes, end) = match asked.act {
        Act::Sized | Act::More | Act::Stray | Act::Early | Act::Switch => {
            (whole(Some(answer.len())), End::Stays)
        }
        Act::Leaves | Act::UntilClose => (whole(Some(answer.len())), End::Closes),
        Act::Flow | Act::Hint => (whole(None), End::Stays),
        Act::Lingers => (whole(None), End::Lingers),
        Act::Elsewhere => (format!("Location: {ELSEWHERE}\n\n").into_bytes(), End::Stays),
        Act::Mute | Act::Deaf => (Vec::new(), End::Dies),
        Act::Half => (b"Content-Type: te".to_vec(), End::Dies),
        Act::Bad => (b"Content-Type: a\nContent-Type: b\n\nbad".to_vec(), End::Stays),
        Act::Cut => (whole(Some(answer.len() + 100)), End::Dies),
        Act::CutFlow => (whole(None), End::Dies),
        Act::Late => (Vec::new(), End::Hangs),
        Act::Stuck => (whole(Some(answer.len() + 100)), End::Hangs),
    };
    Speech { bytes, glued: 0, end }
}

fn push_record(out: &mut Vec<u8>, kind: u8, data: &[u8], padding: u8) {
    let [high, low] = u16::try_from(data.len()).expect("pieces are small").to_be_bytes();
    out.extend([1, kind, 0, 1, high, low, padding, 0]);
    out.extend_from_slice(data);
    out.extend(std::iter::repeat_n(0, usize::from(padding)));
}

/// The same in records of all sizes, with complaints in between.
fn say_records(asked: &Asked, inner: &Speech) -> Speech {
    let mut bytes = Vec::new();
    let mut rest = &inner.bytes[..];
    for size in [1, 100, 8, 3000, 40_000].iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at(rest.len().min(*size));
        push_record(&mut bytes, 6, piece, u8::try_from(piece.len() % 8).expect("less than eight"));
        push_record(&mut bytes, 7, b"a complaint", 0);
        rest = behind;
    }
    if matches!(inner.end, End::Stays | End::Closes | End::Lingers) {
        if !asked.count.is_multiple_of(3) {
            push_record(&mut bytes, 6, b"", 0);
        }
        push_record(&mut bytes, 3, &[0; 8], 0);
    }
    let end = if inner.end == End::Lingers { End::Closes } else { inner.end };
    Speech { bytes, glued: 0, end }
}

/// A response of HTTP/1.1.
fn say_http(asked: &Asked) -> Speech {
    let answer = asked.answer();
    let content = if asked.head_only { &[][..] } else { &answer[..] };
    let sized = |length: usize, more: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{more}\r\n");
        [head.as_bytes(), content].concat()
    };
    let plain = || sized(answer.len(), "");
    let chunked = |is_whole: bool| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let mut rest = content;
        for size in [1, 70, 5000, 3].iter().cycle().take_while(|_| !asked.head_only) {
            let (piece, behind) = rest.split_at(rest.len().min(*size));
            rest = behind;
            if piece.is_empty() {
                break;
            }
            bytes.extend(format!("{:X};x=\"y\"\r\n", piece.len()).bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        if is_whole && !asked.head_only {
            bytes.extend_from_slice(b"0\r\nTrailer: dropped\r\n\r\n");
        }
        bytes
    };
    let act = match asked.act {
        // Without content there is nothing to break off in.
        Act::Cut | Act::CutFlow | Act::Stuck if asked.head_only => Act::Sized,
        act => act,
    };
    let (said, end) = match act {
        Act::Sized | Act::Lingers | Act::Elsewhere => (plain(), End::Stays),
        Act::Flow => (chunked(true), End::Stays),
        Act::UntilClose => {
            ([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", content].concat(), End::Closes)
        }
        Act::Hint => (
            [&b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"[..], &plain()].concat(),
            End::Stays,
        ),
        Act::Mute | Act::Deaf => (Vec::new(), End::Dies),
        Act::Half => (b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(), End::Dies),
        Act::Bad => (b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nbad".to_vec(), End::Stays),
        Act::Cut => (sized(answer.len() + 100, ""), End::Dies),
        Act::CutFlow => (chunked(false), End::Dies),
        Act::Late => (Vec::new(), End::Hangs),
        Act::Stuck => (sized(answer.len() + 100, ""), End::Hangs),
        Act::Leaves => (plain(), End::Closes),
        Act::More => ([&plain()[..], STRAY].concat(), End::Stays),
        Act::Stray => (plain(), End::Strays),
        Act::Early => (sized(answer.len(), "Connection: close\r\n"), End::Hangs),
        Act::Switch => {
            let head = b"HTTP/1.1 101 Now\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
            ([&head[..], GREETING].concat(), End::Echoes(asked.count))
        }
    };
    let is_first = !matches!(asked.act, Act::Mute | Act::Deaf | Act::Late | Act::Switch);
    let ahead: &[u8] =
        if asked.expects && is_first { b"HTTP/1.1 100 Continue\r\n\r\n" } else { b"" };
    let glued = if asked.act == Act::More { STRAY.len() + 1 } else { 0 };
    Speech { bytes: [ahead, &said].concat(), glued, end }
}

/// Whether trying again after this request is safe, on a connection that may have ended before it.
pub(super) fn is_retried(protocol: Protocol, method: Method<'_>, has_content: bool) -> bool {
    method.is_idempotent() && (!has_content || protocol != Protocol::Http)
}
