//! One connection's protocol: reading × writing × persistent. No buffers, no socket, no clock.
//!
//! ```text
//! reading   Idle ──first byte──▶ Head ──empty line──▶ Content ──its end──▶ Done ──┐
//!            ▲                     └────no content────────────────────────▶ Done ──┤
//!            └───────────────────────────── turn: Next ────────────────────────────┘
//!            any ──refusal or end of input──▶ Closed
//!
//! writing   Idle ──request head──▶ Owed ──respond──▶ Content ──finish──▶ Done ─────┐
//!            ▲                      └────no content, or HEAD───────────▶ Done ─────┤
//!            └───────────────────────────── turn: Next ────────────────────────────┘
//!
//! turn      Next   both Done and persistent: the next request may be taken up
//!           Close  writing Done, or both Idle, and not persistent
//!           Stay   else
//! ```
//!
//! Requests are answered one after the other: the next head is not looked at before this answer is
//! out. That is all that pipelining needs to stay in order.

use super::framing::{Decoder, Encoder, Piece};
use super::head::{Head, HeadSpace, Scan};
use super::response::{ConnectionField, ContentField, write_head, write_interim};
use super::status::Status;
use super::{Limits, Refusal};

/// Where a connection stands.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    reading: Reading,
    writing: Writing,
    persistent: bool,
    /// The client has asked for the connection to end after this exchange.
    asked_to_end: bool,
    /// The client waits for `100 Continue`, and has sent nothing since.
    awaits_continue: bool,
}

/// Numbered as [`Reads`], which is what the recorder asks for at every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Reading {
    Idle,
    Head(Scan),
    Content(Decoder),
    Done,
    Closed,
}

/// Numbered as [`Writes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Writing {
    Idle,
    Owed { head_only: bool, minor_version: u8 },
    Content(Encoder),
    Done,
}

/// What the client has said.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "it lives on the stack for a moment; no copy is kept")]
pub enum Received<'a> {
    /// Nothing whole yet: more must come.
    Nothing,
    /// A request's head. Its content follows where `length` is `Some`.
    Head(Head<'a>),
    /// Some of the request's content.
    Content(&'a [u8]),
    /// The end of the request's content.
    End,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This exchange goes on.
    Stay,
    /// The next request may be taken up.
    Next,
    /// The connection is to be closed once what was written is out.
    Close,
}

/// Where a connection stands: a node of the graph above, without what it holds there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What the client's side has come to.
    pub reading: Reads,
    /// What the server's side has come to.
    pub writing: Writes,
}

/// How far a request has come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "they are drawn in the graph above")]
pub enum Reads {
    #[default]
    Idle,
    Head,
    Content,
    Done,
    Closed,
}

/// How far an answer has gone out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "they are drawn in the graph above")]
pub enum Writes {
    #[default]
    Idle,
    Owed,
    Content,
    Done,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// A fresh connection: nothing read, nothing owed.
    #[must_use]
    pub fn new() -> Self {
        Connection {
            reading: Reading::Idle,
            writing: Writing::Idle,
            persistent: true,
            asked_to_end: false,
            awaits_continue: false,
        }
    }

    /// Takes what it can from the front of `input`: how many bytes, and what they were. Bytes not
    /// taken must stand at the front of the next call's `input`.
    ///
    /// # Errors
    /// A refusal, once: the caller answers it with [`respond`](Self::respond) unless an answer has
    /// begun already; reading is over and the connection will not persist.
    pub fn receive<'b>(
        &mut self,
        input: &'b [u8],
        space: &'b mut HeadSpace<'b>,
        limits: &Limits,
    ) -> Result<(usize, Received<'b>), Refusal> {
        let received = match self.reading {
            Reading::Idle | Reading::Head(_) => self.receive_head(input, space, limits),
            Reading::Content(_) => self.receive_content(input, limits),
            Reading::Done | Reading::Closed => Ok((0, Received::Nothing)),
        };
        if received.is_err() {
            if self.writing == Writing::Idle {
                self.writing = Writing::Owed { head_only: asks_head_only(input), minor_version: 0 };
            }
            self.refuse();
        }
        received
    }

    fn receive_head<'b>(
        &mut self,
        input: &'b [u8],
        space: &'b mut HeadSpace<'b>,
        limits: &Limits,
    ) -> Result<(usize, Received<'b>), Refusal> {
        // One empty line before a request line is forgiven (RFC 9112 §2.2): old clients send one
        // after a form's content. It is taken together with the head, or not yet.
        let skipped = if input.starts_with(b"\r\n") { 2 } else { 0 };
        let bytes = &input[skipped..];
        if bytes.is_empty() || bytes == b"\r" {
            return Ok((0, Received::Nothing));
        }
        let mut scan = match self.reading {
            Reading::Head(scan) => scan,
            Reading::Idle | Reading::Content(_) | Reading::Done | Reading::Closed => {
                Scan::default()
            }
        };
        // Then the end of a head is in it, which the parser finds by itself.
        let is_whole = self.reading == Reading::Idle && bytes.ends_with(b"\r\n\r\n");
        let whole = if is_whole {
            input
        } else if let Some(end) = scan.end(bytes, limits)? {
            &input[..skipped + end]
        } else {
            self.reading = Reading::Head(scan);
            return Ok((0, Received::Nothing));
        };
        let (used, head) = Head::parse_first(whole, space, limits)?;
        self.reading = match head.length {
            Some(length) => Reading::Content(Decoder::new(length)),
            None => Reading::Done,
        };
        self.awaits_continue = head.expects_continue && head.length.is_some();
        self.asked_to_end = !head.persistent;
        self.persistent &= head.persistent;
        self.writing = Writing::Owed {
            head_only: head.method == super::method::Method::Head,
            minor_version: head.minor_version,
        };
        Ok((used, Received::Head(head)))
    }

    fn receive_content<'b>(
        &mut self,
        input: &'b [u8],
        limits: &Limits,
    ) -> Result<(usize, Received<'b>), Refusal> {
        let Reading::Content(decoder) = &mut self.reading else {
            return Ok((0, Received::Nothing));
        };
        let (used, piece) = decoder.decode(input, limits)?;
        self.awaits_continue &= used == 0;
        Ok(match piece {
            Piece::Nothing => (used, Received::Nothing),
            Piece::Content(content) => (used, Received::Content(content)),
            Piece::End => {
                self.reading = Reading::Done;
                (used, Received::End)
            }
        })
    }

    /// No more can be read, or will be: the client has said all it will say, or is not believed any
    /// more. What is owed can still be written.
    pub fn close_reading(&mut self) {
        self.reading = Reading::Closed;
        self.persistent = false;
        self.awaits_continue = false;
    }

    /// Gives up reading and owes an answer, if none is on its way yet.
    pub fn refuse(&mut self) {
        self.close_reading();
        if self.writing == Writing::Idle {
            // Nobody has said HTTP/1.1, so nobody need understand chunks (RFC 9112 §6.1).
            self.writing = Writing::Owed { head_only: false, minor_version: 0 };
        }
    }

    /// The connection will end after the answer that is owed or being asked for, and at once
    /// between requests.
    pub fn close_after_answer(&mut self) {
        self.persistent = false;
    }

    /// Appends `100 Continue` if the client waits for it (RFC 9110 §10.1.1). Once the answer has
    /// begun it has no more to wait for.
    pub fn invite_content(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.awaits_continue) {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Appends an interim response (RFC 9110 §15.2), where the client knows what that is; `fields`
    /// are complete lines. `100 Continue` is for [`invite_content`](Self::invite_content).
    pub fn inform(&mut self, status: Status, fields: &[u8], out: &mut Vec<u8>) {
        if matches!(self.writing, Writing::Owed { minor_version: 1.., .. }) {
            write_interim(out, status, fields);
        }
    }

    /// Appends `101 Switching Protocols` with these complete field lines (RFC 9110 §7.8). From here
    /// on nothing is read as HTTP any more; what is [sent](Self::send) goes out as it is, until
    /// [`finish`](Self::finish).
    pub fn switch(&mut self, fields: &[u8], date: &[u8], out: &mut Vec<u8>) {
        self.close_reading();
        let (status, content) = (Status::SWITCHING_PROTOCOLS, ContentField::Nothing);
        write_head(out, status, fields, date, content, ConnectionField::Upgrade);
        self.writing = Writing::Content(Encoder::UntilClose);
    }

    /// Appends the head of the answer that is owed. `fields` are complete lines without Date,
    /// Server, Connection and framing, which are written here; `length` is the content's, where it
    /// is known; `date` is now, as an HTTP date. The connection will close if request content is
    /// still unread: only so nobody can take it for the next request.
    pub fn respond(
        &mut self,
        status: Status,
        fields: &[u8],
        length: Option<u64>,
        date: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Writing::Owed { minor_version, .. } = self.writing else {
            debug_assert!(false, "an answer that nobody asked for");
            return;
        };
        let encoder = match length {
            // A 205 has none, whatever was meant to be sent (RFC 9110 §15.3.6).
            _ if status == Status::RESET_CONTENT => Encoder::Known(0),
            Some(length) => Encoder::Known(length),
            None if minor_version > 0 => Encoder::Chunked,
            None => Encoder::UntilClose,
        };
        let content = match encoder {
            _ if status.forbids_content() => ContentField::Nothing,
            Encoder::Known(length) => ContentField::Length(length),
            Encoder::Chunked => ContentField::Chunked,
            Encoder::UntilClose => ContentField::Nothing,
        };
        self.begin(status, fields, (encoder, content), date, out);
    }

    /// The same for an answer whose `fields` have been prepared whole: they say Content-Length,
    /// which is `length`, unless the status forbids content.
    pub fn respond_prepared(
        &mut self,
        status: Status,
        fields: &[u8],
        length: u64,
        date: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.begin(status, fields, (Encoder::Known(length), ContentField::Nothing), date, out);
    }

    fn begin(
        &mut self,
        status: Status,
        fields: &[u8],
        (encoder, content): (Encoder, ContentField),
        date: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Writing::Owed { head_only, minor_version } = self.writing else {
            debug_assert!(false, "an answer that nobody asked for");
            return;
        };
        let forbids_content = status.forbids_content();
        self.persistent &= self.reading == Reading::Done;
        // For HEAD likewise: its fields are those of GET.
        self.persistent &= encoder != Encoder::UntilClose || forbids_content;
        self.awaits_continue = false;
        let connection = match (self.persistent, minor_version) {
            (false, _) => ConnectionField::Close,
            (true, 0) => ConnectionField::KeepAlive,
            (true, _) => ConnectionField::Nothing,
        };
        write_head(out, status, fields, date, content, connection);
        let is_over = head_only || forbids_content || encoder == Encoder::Known(0);
        self.writing = if is_over { Writing::Done } else { Writing::Content(encoder) };
    }

    /// Appends some of the answer's content, framed. Ignored where the answer has none (HEAD).
    pub fn send(&mut self, content: &[u8], out: &mut Vec<u8>) {
        if let Writing::Content(encoder) = &mut self.writing {
            encoder.encode(content, out);
            if *encoder == Encoder::Known(0) {
                self.writing = Writing::Done;
            }
        }
    }

    /// Counts content that went out unframed, by `sendfile` or from memory. Only content whose
    /// length is known can.
    pub fn sent(&mut self, bytes: u64) {
        if let Writing::Content(Encoder::Known(left)) = &mut self.writing {
            debug_assert!(bytes <= *left, "more content than Content-Length said");
            *left -= bytes.min(*left);
            if *left == 0 {
                self.writing = Writing::Done;
            }
        }
    }

    /// Ends the answer's content. Where bytes are still owed, the connection must close: that is
    /// how the client learns that the answer was cut.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Writing::Content(encoder) = self.writing {
            self.persistent &= encoder.finish(out);
            self.writing = Writing::Done;
        }
    }

    /// Gives up the answer's content midway. Nothing is written, so the client sees it cut: all but
    /// one to whom the connection's end is the content's. For such a client this returns true, and
    /// only a reset tells it.
    #[must_use]
    pub fn cut(&mut self) -> bool {
        let only_by_reset = self.writing == Writing::Content(Encoder::UntilClose);
        self.close_reading();
        self.writing = Writing::Done;
        only_by_reset
    }

    /// Whether an answer is owed that has not begun.
    #[must_use]
    pub fn owes_answer(&self) -> bool {
        matches!(self.writing, Writing::Owed { .. })
    }

    /// Whether an answer's content is on its way.
    #[must_use]
    pub fn owes_content(&self) -> bool {
        matches!(self.writing, Writing::Content(_))
    }

    /// Where it stands in the graph.
    #[inline]
    #[must_use]
    pub fn state(&self) -> State {
        State {
            reading: match self.reading {
                Reading::Idle => Reads::Idle,
                Reading::Head(_) => Reads::Head,
                Reading::Content(_) => Reads::Content,
                Reading::Done => Reads::Done,
                Reading::Closed => Reads::Closed,
            },
            writing: match self.writing {
                Writing::Idle => Writes::Idle,
                Writing::Owed { .. } => Writes::Owed,
                Writing::Content(_) => Writes::Content,
                Writing::Done => Writes::Done,
            },
        }
    }

    /// Whether between requests: not a byte of the next one has been looked at.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.reading == Reading::Idle && self.writing == Writing::Idle
    }

    /// Whether a head is coming in.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        matches!(self.reading, Reading::Head(_))
    }

    /// Whether request content is coming in.
    #[must_use]
    pub fn is_in_content(&self) -> bool {
        matches!(self.reading, Reading::Content(_))
    }

    /// Whether the client still waits to be asked for its content.
    #[must_use]
    pub fn awaits_continue(&self) -> bool {
        self.awaits_continue
    }

    /// The bytes of request content still to come, where that is known.
    #[must_use]
    pub fn content_left(&self) -> Option<u64> {
        match self.reading {
            Reading::Content(decoder) => decoder.left(),
            Reading::Idle | Reading::Head(_) | Reading::Done | Reading::Closed => Some(0),
        }
    }

    /// Whether the connection ends because the client has asked for it, and has said all it had to
    /// say. Otherwise it may still be talking when it is closed.
    #[must_use]
    pub fn is_mutual_end(&self) -> bool {
        self.asked_to_end && self.reading == Reading::Done
    }

    /// What may happen next; moves on to the next request where it is [`Turn::Next`].
    pub fn turn(&mut self) -> Turn {
        match (&self.writing, &self.reading) {
            (Writing::Done, Reading::Done) if self.persistent => {
                self.reading = Reading::Idle;
                self.writing = Writing::Idle;
                self.asked_to_end = false;
                self.awaits_continue = false;
                Turn::Next
            }
            (Writing::Done, _) | (Writing::Idle, Reading::Closed) => Turn::Close,
            (Writing::Idle, Reading::Idle) if !self.persistent => Turn::Close,
            (Writing::Idle | Writing::Owed { .. } | Writing::Content(_), _) => Turn::Stay,
        }
    }
}

/// Whether `input` begins a HEAD request: even one that is refused gets no content
/// (RFC 9110 §9.3.2).
fn asks_head_only(input: &[u8]) -> bool {
    input.strip_prefix(b"\r\n").unwrap_or(input).starts_with(b"HEAD ")
}
