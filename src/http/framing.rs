//! Where content ends (RFC 9112 §6, §7): a length, chunks, or the connection's end.
//!
//! Content passes through as it is: what it says is not known here.

use std::io::Write as _;

use super::fields::{self, Fields, Name};
use super::status::Status;
use super::{Limits, Refusal};

/// The most bytes of chunk extensions in one message, beyond as many as it has of content before
/// them (RFC 9112 §7.1.1 asks for a limit).
pub const MAX_EXTENSION_BYTES: u32 = 4096;

/// How a request's content is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// By Content-Length, in bytes.
    Known(u64),
    /// By the chunked transfer coding.
    Chunked,
}

/// How the content of a request with these fields is framed (RFC 9112 §6.3); `None` where it has
/// none.
///
/// Whatever two recipients could read in two ways is refused: that is how requests are smuggled.
///
/// # Errors
/// 501 for a transfer coding other than chunked; 400 for all that is malformed or ambiguous.
pub fn request_length(fields: &Fields<'_>, minor_version: u8) -> Result<Option<Length>, Refusal> {
    let coded = fields.get(Name::TransferEncoding).is_some();
    let Some(length) = fields.get(Name::ContentLength) else {
        return if coded { chunked(fields, minor_version).map(Some) } else { Ok(None) };
    };
    if coded {
        return Err(Refusal::bad("Content-Length and Transfer-Encoding contradict each other"));
    }
    if fields.is_repeated(Name::ContentLength) {
        return Err(Refusal::bad("Content-Length is there twice"));
    }
    let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
    match number {
        Some(0) if digits => Ok(None),
        Some(number) if digits => Ok(Some(Length::Known(number))),
        _ => Err(Refusal::bad("Content-Length is not a number")),
    }
}

/// Transfer-Encoding must say `chunked`, once and last (RFC 9112 §6.1).
fn chunked(fields: &Fields<'_>, minor_version: u8) -> Result<Length, Refusal> {
    if minor_version == 0 {
        return Err(Refusal::bad("HTTP/1.0 has no Transfer-Encoding"));
    }
    // Two lines are one list, but not to everyone: some look at the first alone, or at the last.
    if fields.is_repeated(Name::TransferEncoding) {
        return Err(Refusal::bad("Transfer-Encoding is there twice"));
    }
    let mut seen = 0;
    let mut last = false;
    let mut unknown = false;
    for coding in fields.members(Name::TransferEncoding) {
        last = coding.eq_ignore_ascii_case(b"chunked");
        seen += u8::from(last);
        unknown |= !last;
        if seen > 1 {
            return Err(Refusal::bad("content cannot be chunked twice"));
        }
    }
    match (seen, last) {
        (1, true) if !unknown => Ok(Length::Chunked),
        (1, false) => Err(Refusal::bad("chunked must be the last transfer coding")),
        _ if unknown => Err(Refusal {
            status: Status::NOT_IMPLEMENTED,
            why: "the only transfer coding known here is chunked",
        }),
        _ => Err(Refusal::bad("Transfer-Encoding is empty")),
    }
}

/// Finds content in what comes in. Advances over framing, hands out content as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// So many bytes are still to come.
    Known(u64),
    /// A chunked message, at this place.
    Chunked(Chunked),
}

/// A place within chunked content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunked {
    at: At,
    /// Bytes left of this chunk; while its size line comes in, its size so far.
    left: u64,
    /// Bytes of extensions so far that no content has made up for.
    extensions: u32,
    /// Bytes of trailer lines so far.
    trailers: u32,
}

/// What the next byte of a chunked message is part of (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    SizeStart,
    Size,
    Space,
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastEnd,
    Over,
}

/// What lies at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Nothing whole yet.
    Nothing,
    /// Content, as much of it as is there.
    Content(&'a [u8]),
    /// The end of the message.
    End,
}

impl Decoder {
    /// At the start of content that is framed so.
    #[must_use]
    pub fn new(length: Length) -> Self {
        match length {
            Length::Known(bytes) => Decoder::Known(bytes),
            Length::Chunked => {
                Decoder::Chunked(Chunked { at: At::SizeStart, left: 0, extensions: 0, trailers: 0 })
            }
        }
    }

    /// Takes what it can from the front of `input`: how many bytes, and what they were.
    ///
    /// # Errors
    /// 400 for malformed framing; 431 for a trailer section larger than a head may be.
    pub fn decode<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<(usize, Piece<'a>), Refusal> {
        match self {
            Decoder::Known(0) => Ok((0, Piece::End)),
            Decoder::Known(left) => Ok(take(left, input)),
            Decoder::Chunked(chunked) => chunked.decode(input, limits),
        }
    }

    /// The bytes still to come, where that is known.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match *self {
            Decoder::Known(left) => Some(left),
            Decoder::Chunked(_) => None,
        }
    }
}

/// Takes up to `left` bytes of content from the front of `input`.
fn take<'a>(left: &mut u64, input: &'a [u8]) -> (usize, Piece<'a>) {
    let count = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    if count == 0 {
        return (0, Piece::Nothing);
    }
    *left -= count as u64;
    (count, Piece::Content(&input[..count]))
}

impl Chunked {
    fn decode<'a>(
        &mut self,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<(usize, Piece<'a>), Refusal> {
        let mut used = 0;
        while self.at != At::Over {
            if self.at == At::Data {
                let (count, piece) = take(&mut self.left, &input[used..]);
                if self.left == 0 {
                    self.at = At::DataReturn;
                }
                return Ok((used + count, piece));
            }
            let Some(&byte) = input.get(used) else {
                return Ok((used, Piece::Nothing));
            };
            self.at = self.step(byte, limits)?;
            used += 1;
        }
        Ok((used, Piece::End))
    }

    /// Where one byte of framing leads. Every line end is CR LF, and nothing else is.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<At, Refusal> {
        match (self.at, byte) {
            (At::SizeStart | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte),
            (At::Size | At::Space, b' ' | b'\t') => self.extension(At::Space),
            (At::Size | At::Space, b';') | (At::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension(At::Extension)
            }
            (At::Size | At::Extension, b'\r') => Ok(At::SizeEnd),
            (At::SizeEnd, b'\n') if self.left == 0 => Ok(At::TrailerStart),
            (At::SizeEnd, b'\n') => {
                // There are servers that begin every size with zeros, and send many chunks.
                let content = u32::try_from(self.left).unwrap_or(u32::MAX);
                self.extensions = self.extensions.saturating_sub(content);
                Ok(At::Data)
            }
            (At::DataReturn, b'\r') => Ok(At::DataEnd),
            (At::DataEnd, b'\n') => Ok(At::SizeStart),
            (At::TrailerStart, b'\r') => Ok(At::LastEnd),
            (At::TrailerStart | At::TrailerName, _) if fields::is_token_byte(byte) => {
                self.trailer(At::TrailerName, limits)
            }
            (At::TrailerName, b':') => self.trailer(At::TrailerValue, limits),
            (At::TrailerValue, b'\r') => self.trailer(At::TrailerEnd, limits),
            (At::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailer(At::TrailerValue, limits)
            }
            (At::TrailerEnd, b'\n') => self.trailer(At::TrailerStart, limits),
            (At::LastEnd, b'\n') => Ok(At::Over),
            (At::SizeStart | At::Size | At::Space, _) => {
                Err(Refusal::bad("a chunk's size is malformed"))
            }
            (At::Extension | At::SizeEnd, _) => {
                Err(Refusal::bad("a chunk's extension is malformed"))
            }
            (At::Data | At::DataReturn | At::DataEnd, _) => {
                Err(Refusal::bad("a chunk is longer than its size says"))
            }
            (
                At::TrailerStart
                | At::TrailerName
                | At::TrailerValue
                | At::TrailerEnd
                | At::LastEnd
                | At::Over,
                _,
            ) => Err(Refusal::bad("the trailer section is malformed")),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<At, Refusal> {
        let digit = char::from(byte).to_digit(16).expect("the caller saw a hexadecimal digit");
        // Four bits of room are enough for one more digit.
        if self.left >> 60 != 0 {
            return Err(Refusal::bad("a chunk's size is too large"));
        }
        if self.at == At::Size && self.left == 0 {
            // A leading zero says nothing, like an extension, and is counted like one.
            self.extension(At::Size)?;
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(At::Size)
    }

    fn extension(&mut self, next: At) -> Result<At, Refusal> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSION_BYTES {
            return Err(Refusal::bad("chunk extensions are larger than this server takes"));
        }
        Ok(next)
    }

    fn trailer(&mut self, next: At, limits: &Limits) -> Result<At, Refusal> {
        self.trailers += 1;
        if self.trailers as usize > limits.head_bytes {
            return Err(Refusal {
                status: Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
                why: "the trailer section is larger than this server takes",
            });
        }
        Ok(next)
    }
}

/// Frames what goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    /// Content-Length said it: so many bytes are still owed.
    Known(u64),
    /// Chunks, for content whose length nobody knows.
    Chunked,
    /// Content ends with the connection: for HTTP/1.0 clients, likewise.
    UntilClose,
}

impl Encoder {
    /// Appends `content`, framed, to `out`. Content beyond the promised length is a bug of the
    /// caller: it is cut off, for it would be taken for the next response.
    pub fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoder::Known(left) => {
                let count =
                    usize::try_from(*left).map_or(content.len(), |left| left.min(content.len()));
                debug_assert_eq!(count, content.len(), "more content than Content-Length said");
                *left -= count as u64;
                out.extend_from_slice(&content[..count]);
            }
            // A chunk of size zero would be the end.
            Encoder::Chunked if content.is_empty() => {}
            Encoder::Chunked => {
                write!(out, "{:x}\r\n", content.len()).expect("a vector takes all bytes");
                out.extend_from_slice(content);
                out.extend_from_slice(b"\r\n");
            }
            Encoder::UntilClose => out.extend_from_slice(content),
        }
    }

    /// Ends the content. Returns whether it came to a proper end: false where bytes are still owed,
    /// so that only closing the connection tells the client.
    #[must_use]
    pub fn finish(self, out: &mut Vec<u8>) -> bool {
        match self {
            Encoder::Known(left) => left == 0,
            Encoder::Chunked => {
                out.extend_from_slice(b"0\r\n\r\n");
                true
            }
            Encoder::UntilClose => true,
        }
    }
}
