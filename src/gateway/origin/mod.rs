//! One exchange with an HTTP/1.1 origin server (RFC 9112), as a reverse proxy has it; and the
//! output of scripts that write their whole head themselves. Which origin, and over which
//! connection, is not known here.
//!
//! ```text
//! reading   Head ──1xx──▶ Head
//!            ├───101, asked for──────────────▶ Switched
//!            ├───length, chunks, nothing─────▶ Content ──its end──▶ Over
//!            ├───neither length nor chunks───▶ UntilClose ──close──▶ Over
//!            └───what cannot be passed on────▶ Failed
//!
//! writing   None ──request──▶ Some(encoder) ──finish, or all of a length──▶ None
//! ```
//!
//! *Invariant:* a connection is used again only if the request and the response on it were whole,
//! and nothing stood behind them: else one client's bytes would answer another.

mod request;
mod response;
#[cfg(test)]
mod tests;

pub use request::{Forward, max_forwards, target};

use super::{BadGateway, Call, Inbound, MAX_HEAD_BYTES};
use crate::http::Limits;
use crate::http::framing::{Decoder, Encoder, Length, Piece};
use crate::http::head::MAX_FIELDS;
use crate::http::method::Method;
use crate::http::status::Status;
use response::{Framing, Scan, Space};

/// The most interim responses before the response. Each costs the client bytes that it did not ask
/// for; nobody honest needs more than a few.
pub const MAX_INTERIM: u8 = 16;

/// What an origin may say at most; for trailers, which are read over.
const LIMITS: Limits = Limits { head_bytes: MAX_HEAD_BYTES, head_fields: MAX_FIELDS };

/// One exchange: a request going out, a response coming in, in any order of their pieces.
#[derive(Debug)]
pub struct Exchange {
    reading: Reading,
    /// What frames the request's content; `None` where all of it is out.
    writing: Option<Encoder>,
    /// The request was HEAD: whatever the response's fields say, no content follows.
    head_only: bool,
    /// A script writes, and not a server.
    is_script: bool,
    /// The protocols that the request offers to change to, as a list; empty if it offers none.
    offered: Vec<u8>,
    /// Nothing has come yet that forbids another exchange on this connection.
    persistent: bool,
    /// Interim responses so far.
    interim: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Head(Scan),
    Content(Decoder),
    UntilClose,
    Over,
    Switched,
    Failed,
}

impl Exchange {
    /// One of which nothing is there yet. How its response is framed depends on `method`.
    #[must_use]
    pub fn new(method: Method<'_>) -> Exchange {
        Exchange {
            reading: Reading::Head(Scan::default()),
            writing: None,
            head_only: method == Method::Head,
            is_script: false,
            offered: Vec::new(),
            persistent: true,
            interim: 0,
        }
    }

    /// The output of a script that writes its whole head itself (RFC 3875 §5: non-parsed headers).
    /// It is read like an origin's response, but that lines of the head may also end in a bare line
    /// feed, for that is what scripts print; and no other response follows.
    #[must_use]
    pub fn of_script(method: Method<'_>) -> Exchange {
        Exchange { is_script: true, persistent: false, ..Exchange::new(method) }
    }

    /// Appends the request's head. Content is to follow by [`send`](Self::send) and
    /// [`finish`](Self::finish) where `call.head.length` is `Some`.
    pub fn request(&mut self, call: &Call<'_>, forward: &Forward<'_>, out: &mut Vec<u8>) {
        self.offered = request::offered(call.head);
        self.writing = request::write(call, forward, &self.offered, out);
    }

    /// See [`super::Codec::receive`]. Content that ends with its connection has no
    /// [`Inbound::End`]: [`close`](Self::close) is its end.
    ///
    /// # Errors
    /// Where RFC 9112 asks for it, and for whatever is malformed or could be read in two ways.
    pub fn receive<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Inbound<'a>), BadGateway> {
        let received = match self.reading {
            Reading::Head(scan) => self.receive_head(scan, input),
            Reading::Content(decoder) => self.receive_content(decoder, input),
            Reading::UntilClose if input.is_empty() => Ok((0, Inbound::Nothing)),
            Reading::UntilClose => Ok((input.len(), Inbound::Content(input))),
            Reading::Over => {
                self.persistent &= input.is_empty();
                Ok((0, Inbound::Nothing))
            }
            Reading::Switched | Reading::Failed => Ok((0, Inbound::Nothing)),
        };
        if received.is_err() {
            self.reading = Reading::Failed;
        }
        received
    }

    fn receive_head<'a>(
        &mut self,
        mut scan: Scan,
        input: &[u8],
    ) -> Result<(usize, Inbound<'a>), BadGateway> {
        let Some(end) = scan.end(input, self.is_script)? else {
            self.reading = Reading::Head(scan);
            return Ok((0, Inbound::Nothing));
        };
        let mut space = Space::default();
        let mut head = response::Head::parse(&input[..end], &mut space)?;
        if head.code == Status::SWITCHING_PROTOCOLS.code() {
            let fields = head.switch(&self.offered)?;
            self.reading = Reading::Switched;
            return Ok((end, Inbound::Switch(fields)));
        }
        if let Some(status) = Status::interim(head.code) {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(BadGateway("there are too many interim responses"));
            }
            self.reading = Reading::Head(Scan::default());
            return Ok((end, Inbound::Interim(status, head.interim()?)));
        }
        let (answer, framing) = head.answer(self.head_only)?;
        self.persistent &= head.persistent;
        self.reading = match framing {
            Framing::Nothing => Reading::Content(Decoder::new(Length::Known(0))),
            Framing::Sized(length) => Reading::Content(Decoder::new(length)),
            Framing::UntilClose => Reading::UntilClose,
        };
        Ok((end, Inbound::Head(answer)))
    }

    fn receive_content<'a>(
        &mut self,
        mut decoder: Decoder,
        input: &'a [u8],
    ) -> Result<(usize, Inbound<'a>), BadGateway> {
        let (used, piece) =
            decoder.decode(input, &LIMITS).map_err(|refusal| BadGateway(refusal.why))?;
        self.reading = Reading::Content(decoder);
        Ok(match piece {
            Piece::Nothing => (used, Inbound::Nothing),
            Piece::Content(content) => (used, Inbound::Content(content)),
            Piece::End => {
                self.reading = Reading::Over;
                // Nobody has asked for what stands behind the response, so it must not be taken
                // for the next one (RFC 9112 §9.2).
                self.persistent &= used == input.len();
                (used, Inbound::End)
            }
        })
    }

    /// See [`super::Codec::close`].
    ///
    /// # Errors
    /// See [`super::Codec::close`]: a sentence for each place where an end is none.
    pub fn close(&mut self) -> Result<(), BadGateway> {
        self.persistent = false;
        match self.reading {
            Reading::UntilClose | Reading::Content(Decoder::Known(0)) => {
                self.reading = Reading::Over;
                Ok(())
            }
            Reading::Over | Reading::Switched => Ok(()),
            Reading::Head(scan) => Err(BadGateway(match (scan.is_fresh(), self.interim) {
                (true, 0) => "the end came without a response",
                (true, _) => "the end came after interim responses, without the response itself",
                (false, _) => "the response ended in the middle of its head",
            })),
            Reading::Content(Decoder::Known(_)) => {
                Err(BadGateway("the response ended before all of its content was there"))
            }
            Reading::Content(Decoder::Chunked(_)) => {
                Err(BadGateway("the response ended in the middle of its chunks"))
            }
            Reading::Failed => Err(BadGateway("the response could not be passed on")),
        }
    }

    /// See [`super::Codec::send`]. What exceeds the announced length is left out: the origin would
    /// take it for the next request.
    pub fn send(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let Some(encoder) = &mut self.writing else { return };
        let room = match *encoder {
            Encoder::Known(left) => usize::try_from(left).unwrap_or(usize::MAX),
            Encoder::Chunked | Encoder::UntilClose => usize::MAX,
        };
        encoder.encode(&content[..content.len().min(room)], out);
        if *encoder == Encoder::Known(0) {
            self.writing = None;
        }
    }

    /// See [`super::Codec::finish`]. Where bytes of the announced length are missing, the
    /// connection must be closed: that is how the origin learns of it.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(encoder) = self.writing.take() {
            self.persistent &= encoder.finish(out);
        }
    }

    /// See [`super::Codec::is_reusable`]. What has been read behind the response counts only where
    /// it was shown to [`receive`](Self::receive); what comes later is the pool's to notice.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.reading == Reading::Over && self.persistent && self.writing.is_none()
    }
}
