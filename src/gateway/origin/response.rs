//! A response's head as an origin writes it: its end found, its lines taken apart, its framing
//! known (RFC 9112 §4 to §6). What is sent to the client for it is not written here.
//!
//! Read as strictly as a client's head: what another reader could take for something else is not
//! passed on, for that other reader may be a cache or a proxy between this server and the client.

use std::mem::MaybeUninit;

use httparse::{Error, Header, ParserConfig};

use crate::gateway::response_fields::FieldBlock;
use crate::gateway::{BadGateway, MAX_HEAD_BYTES, ResponseHead, compare};
use crate::http::fields::{self, Fields, Name};
use crate::http::framing::{self, Length};
use crate::http::head::{MAX_FIELDS, persists};
use crate::http::status::Status;

const NO_STATUS: &str = "the response's status is not one of 100 to 599";

/// What every head begins with.
const BEGINNING: &[u8] = b"HTTP/1.";

/// How far the search for a head's end has come. No byte is looked at more than twice, however
/// slowly a head drips in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Bytes already looked at.
    seen: usize,
    /// The status line has been seen whole, and is one.
    past_line: bool,
}

impl Scan {
    /// Whether not a byte has been seen.
    pub(super) fn is_fresh(self) -> bool {
        self.seen == 0
    }

    /// Looks on through `input`, the same bytes as at the last call and perhaps more behind them,
    /// for the end of the head: `Some(length)` with its empty line, or `None` where more must come.
    /// Lines end in CR LF; where `bare` is set, also in LF alone.
    ///
    /// # Errors
    /// As soon as it is certain that no head can come of it.
    pub(super) fn end(&mut self, input: &[u8], bare: bool) -> Result<Option<usize>, BadGateway> {
        let window = &input[..input.len().min(MAX_HEAD_BYTES)];
        let known = window.len().min(BEGINNING.len());
        if window[..known] != BEGINNING[..known] {
            return Err(BadGateway("the response does not begin as HTTP/1.1 does"));
        }
        for at in memchr::memchr_iter(b'\n', &window[self.seen..]).map(|at| at + self.seen) {
            let line = &window[..at];
            let line = match line.strip_suffix(b"\r") {
                Some(line) => line,
                None if bare => line,
                None => {
                    return Err(BadGateway(
                        "a line of the response's head ends in a bare line feed",
                    ));
                }
            };
            if !self.past_line {
                check_status_line(line)?;
                self.past_line = true;
            } else if line.ends_with(b"\n") {
                return Ok(Some(at + 1));
            }
        }
        if input.len() >= MAX_HEAD_BYTES {
            return Err(BadGateway("the response's head is larger than 64 KiB"));
        }
        self.seen = window.len();
        Ok(None)
    }
}

/// Looks at a status line (RFC 9112 §4): version, a space, three digits. What stands behind a
/// second space is for nobody; many leave that space out together with the reason.
fn check_status_line(line: &[u8]) -> Result<(), BadGateway> {
    let rest = line.strip_prefix(BEGINNING).unwrap_or(b"");
    match rest {
        [b'0' | b'1', b' ', b'1'..=b'5', b'0'..=b'9', b'0'..=b'9']
        | [b'0' | b'1', b' ', b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ', ..] => Ok(()),
        [b'0' | b'1', b' ', ..] => Err(BadGateway(NO_STATUS)),
        _ => Err(BadGateway("the response's status line is malformed")),
    }
}

/// Room for the field lines of one head, written only as far as needed.
pub(super) struct Space<'a>([MaybeUninit<Header<'a>>; MAX_FIELDS]);

impl Default for Space<'_> {
    fn default() -> Self {
        Space([const { MaybeUninit::uninit() }; MAX_FIELDS])
    }
}

/// A whole head of any status, borrowed from the bytes it came in.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// The status: 100 to 599.
    pub(super) code: u16,
    /// Whether the origin lets the connection persist (RFC 9112 §9.3).
    pub(super) persistent: bool,
    /// The `x` of `HTTP/1.x`: 0 or 1.
    minor_version: u8,
    fields: Fields<'a>,
}

/// How a response's content is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Nothing,
    /// By a length or in chunks.
    Sized(Length),
    /// It ends with the connection.
    UntilClose,
}

impl<'a> Head<'a> {
    /// Takes `bytes` apart: one whole head, whose end a [`Scan`] has found.
    ///
    /// # Errors
    /// For a line that is malformed, and for more than [`MAX_FIELDS`] of them.
    pub(super) fn parse(bytes: &'a [u8], space: &'a mut Space<'a>) -> Result<Self, BadGateway> {
        let mut response = httparse::Response::new(&mut []);
        let parser = ParserConfig::default();
        match parser.parse_response_with_uninit_headers(&mut response, bytes, &mut space.0) {
            Ok(httparse::Status::Complete(used)) if used == bytes.len() => {}
            Ok(_) => return Err(BadGateway("the response's head ends before its empty line")),
            Err(error) => return Err(BadGateway(why(error))),
        }
        let (Some(code), Some(minor_version)) = (response.code, response.version) else {
            return Err(BadGateway("the response's status line is malformed"));
        };
        let fields = Fields::new(response.headers);
        let persistent = persists(&fields, minor_version);
        Ok(Head { code, persistent, minor_version, fields })
    }

    /// The response that begins with this head, of status 200 or above, and how its content is
    /// framed. With `head_only` it answers HEAD.
    ///
    /// # Errors
    /// For framing that is malformed or ambiguous, or fields that cannot be passed on.
    pub(super) fn answer(
        &mut self,
        head_only: bool,
    ) -> Result<(ResponseHead, Framing), BadGateway> {
        let status = Status::from_code(self.code).ok_or(BadGateway(NO_STATUS))?;
        let announced = self.announced()?;
        let framing = match announced {
            _ if head_only || status.forbids_content() => Framing::Nothing,
            Some(length) => Framing::Sized(length),
            None => Framing::UntilClose,
        };
        // A 204 has none, whatever it announces. But perhaps it comes: then it must not be taken
        // for the next response.
        let is_empty = matches!(announced, None | Some(Length::Known(0)));
        self.persistent &= framing != Framing::UntilClose;
        self.persistent &= status != Status::NO_CONTENT || is_empty;
        let length = match announced {
            Some(Length::Known(length)) if status != Status::NO_CONTENT => Some(length),
            Some(Length::Known(_) | Length::Chunked) | None => None,
        };
        Ok((ResponseHead { length, ..self.block()?.into_head(status) }, framing))
    }

    /// The fields of this head, as an interim response.
    ///
    /// # Errors
    /// Where it announces content, or cannot be passed on.
    pub(super) fn interim(&self) -> Result<Vec<u8>, BadGateway> {
        Ok(self.interim_block()?.into_lines())
    }

    /// The fields of this head, as a 101 (RFC 9110 §15.2.2); `offered` are the protocols that may
    /// be changed to.
    ///
    /// # Errors
    /// Where the change is to none of these, is not said properly, or cannot be passed on.
    pub(super) fn switch(&self, offered: &[u8]) -> Result<Vec<u8>, BadGateway> {
        if offered.is_empty() {
            return Err(BadGateway("the response changes the protocol, which nobody asked for"));
        }
        let block = self.interim_block()?;
        if !block.has_option(b"upgrade") {
            return Err(BadGateway("a change of protocol is not said in Connection"));
        }
        let chosen = block.upgrade().unwrap_or(b"").to_vec();
        if fields::list(&chosen).next().is_none() {
            return Err(BadGateway("the response does not say which protocol it changes to"));
        }
        // Sorted, so that thousands of protocols cost no more than reading them.
        let mut known: Vec<&[u8]> = fields::list(offered).collect();
        known.sort_unstable_by(|a, b| compare(a, b));
        let is_known = |protocol| known.binary_search_by(|known| compare(known, protocol)).is_ok();
        if !fields::list(&chosen).all(is_known) {
            return Err(BadGateway("the response changes to a protocol that was not offered"));
        }
        let mut fields = block.into_lines();
        fields::write(&mut fields, "Upgrade", &chosen);
        Ok(fields)
    }

    fn interim_block(&self) -> Result<FieldBlock, BadGateway> {
        if self.minor_version == 0 {
            return Err(BadGateway("HTTP/1.0 has no interim responses"));
        }
        match self.announced()? {
            None | Some(Length::Known(0)) => self.block(),
            Some(Length::Known(_) | Length::Chunked) => {
                Err(BadGateway("an interim response announces content"))
            }
        }
    }

    /// The fields, made fit to be passed on.
    fn block(&self) -> Result<FieldBlock, BadGateway> {
        let lines = self.fields.lines();
        let room = lines.iter().map(|line| line.name.len() + line.value.len() + b": \r\n".len());
        let mut block = FieldBlock::with_room(room.sum());
        for line in lines {
            block.add_valid(line.name.as_bytes(), line.value)?;
        }
        Ok(block)
    }

    /// The framing that the fields announce; `None` where they announce nothing.
    fn announced(&self) -> Result<Option<Length>, BadGateway> {
        // What is ambiguous in a request is so in a response.
        let length = framing::request_length(&self.fields, self.minor_version)
            .map_err(|refusal| BadGateway(refusal.why))?;
        let is_zero = length.is_none() && self.fields.get(Name::ContentLength).is_some();
        Ok(if is_zero { Some(Length::Known(0)) } else { length })
    }
}

fn why(error: Error) -> &'static str {
    match error {
        Error::HeaderName => "a field name of the response is invalid",
        Error::HeaderValue => "a field value of the response has a byte that may not stand there",
        Error::NewLine => "a line end in the response's head is malformed",
        Error::TooManyHeaders => "the response has more than 256 fields",
        Error::Status | Error::Token | Error::Version => "the response's status line is malformed",
    }
}
