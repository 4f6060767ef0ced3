//! `FastCGI` 1.0, the side of the server: one request to a responder, in records, and its response,
//! which inside STDOUT is that of a script (`cgi.rs`). Connections are not known here.

use super::cgi::Answer;
use super::variables::variables;
use super::{BadGateway, Call, Inbound};
use crate::http::method::Method;

#[cfg(test)]
mod tests;

/// The only version there is.
const VERSION: u8 = 1;

/// The id of the one request that a connection carries at a time. 0 is for the connection itself.
const ID: u16 = 1;

/// Bytes of a record's header.
const HEADER: usize = 8;

/// Bytes of content in one record: the most that is a multiple of eight, so that full records need
/// no padding.
const MAX_CONTENT: usize = 65_528;

const BEGIN_REQUEST: u8 = 1;
const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;

/// How a request has ended: it was answered.
const REQUEST_COMPLETE: u8 = 0;
/// It was turned away: the application has run out of something.
const OVERLOADED: u8 = 2;

/// The role of an application that answers requests.
const RESPONDER: u8 = 1;

/// The connection is to persist behind the request.
const KEEP_CONN: u8 = 1;

/// One request and its response.
#[derive(Debug)]
pub struct Exchange {
    keep: bool,
    answer: Answer,
    at: At,
    /// What the record that comes in is.
    record: Record,
    /// Bytes of its content still to come.
    left: usize,
    /// Bytes of its padding still to come.
    padding: usize,
    /// As much of a header, or of what `END_REQUEST` says, as is there: `small[..filled]`.
    small: [u8; HEADER],
    filled: usize,
    /// The end of STDIN has been written.
    is_sent: bool,
    /// STDOUT has come to its end.
    is_silent: bool,
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Header,
    Content,
    Padding,
    /// Nothing: the response is whole.
    Over,
    /// Nothing: the application has turned the request away.
    Overloaded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    Output,
    Complaint,
    End,
    /// The end of a request that was turned away.
    Overload,
    /// Of no interest: about the connection, or of a type that is not known.
    Other,
}

impl Exchange {
    /// One of which nothing is there yet: a request with this method. `keep`: the application is
    /// not to close the connection behind it.
    #[must_use]
    pub fn new(method: Method<'_>, keep: bool) -> Exchange {
        Exchange {
            keep,
            answer: Answer::new(method),
            at: At::Header,
            record: Record::Other,
            left: 0,
            padding: 0,
            small: [0; HEADER],
            filled: 0,
            is_sent: false,
            is_silent: false,
        }
    }

    /// Appends the request, up to its content.
    pub fn request(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        let flags = if self.keep { KEEP_CONN } else { 0 };
        write_record(out, BEGIN_REQUEST, &[0, RESPONDER, flags, 0, 0, 0, 0, 0]);
        // Most fit into one record, and are written where they stay.
        let start = out.len();
        out.extend([0; HEADER]);
        variables(call, |name, value| {
            write_length(out, name.len());
            write_length(out, value.len());
            out.extend_from_slice(name);
            out.extend_from_slice(value);
        });
        let length = out.len() - start - HEADER;
        if length <= MAX_CONTENT {
            out[start..][..HEADER].copy_from_slice(&header(PARAMS, length));
            pad(out, length);
        } else {
            let pairs = out.split_off(start + HEADER);
            out.truncate(start);
            write_stream(out, PARAMS, &pairs);
        }
        write_record(out, PARAMS, &[]);
    }

    /// See [`super::Codec::send`].
    pub fn send(&mut self, content: &[u8], out: &mut Vec<u8>) {
        write_stream(out, STDIN, content);
    }

    /// See [`super::Codec::finish`].
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        write_record(out, STDIN, &[]);
        self.is_sent = true;
    }

    /// See [`super::Codec::receive`]. Takes all of `input`, but for what stands behind a piece that
    /// it returns.
    ///
    /// # Errors
    /// See [`super::Codec::receive`].
    pub fn receive<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Inbound<'a>), BadGateway> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.at {
                At::Over => return Ok((used, Inbound::End)),
                At::Overloaded => return Ok((used, Inbound::Overloaded)),
                At::Header | At::Content | At::Padding if rest.is_empty() => {
                    return Ok((used, Inbound::Nothing));
                }
                At::Header => {
                    used += self.fill(rest);
                    if self.filled == HEADER {
                        self.begin_record()?;
                    }
                }
                At::Content => {
                    let (count, inbound) = self.receive_content(rest)?;
                    used += count;
                    if inbound != Inbound::Nothing {
                        return Ok((used, inbound));
                    }
                }
                At::Padding => {
                    let count = self.padding.min(rest.len());
                    self.padding -= count;
                    used += count;
                    self.advance();
                }
            }
        }
    }

    /// See [`super::Codec::close`].
    ///
    /// # Errors
    /// See [`super::Codec::close`]: whenever the application has not ended the request.
    pub fn close(&mut self) -> Result<(), BadGateway> {
        match self.at {
            At::Over => Ok(()),
            At::Overloaded => Err(BadGateway("it is overloaded")),
            At::Header | At::Content | At::Padding => {
                Err(BadGateway("it closed the connection before the end of its response"))
            }
        }
    }

    /// See [`super::Codec::is_reusable`]. An application may answer before it has been told all;
    /// what it is still owed then would be taken for part of the next request.
    #[must_use]
    pub fn is_reusable(&self) -> bool {
        self.keep && self.is_sent && self.at == At::Over
    }

    /// Gathers up to eight bytes. Returns how many were taken.
    fn fill(&mut self, input: &[u8]) -> usize {
        let count = input.len().min(HEADER - self.filled);
        self.small[self.filled..][..count].copy_from_slice(&input[..count]);
        self.filled += count;
        count
    }

    /// Reads the header of a record.
    fn begin_record(&mut self) -> Result<(), BadGateway> {
        let [version, kind, id_high, id_low, length_high, length_low, padding, _] = self.small;
        self.filled = 0;
        self.left = usize::from(u16::from_be_bytes([length_high, length_low]));
        self.padding = usize::from(padding);
        if version != VERSION {
            return Err(BadGateway("it does not speak FastCGI"));
        }
        self.record = match (u16::from_be_bytes([id_high, id_low]), kind) {
            (ID, STDOUT) => Record::Output,
            (ID, STDERR) => Record::Complaint,
            (ID, END_REQUEST) => Record::End,
            (0 | ID, _) => Record::Other,
            _ => return Err(BadGateway("it answers a request that was not asked")),
        };
        match self.record {
            Record::Output if self.left > 0 && self.is_silent => {
                return Err(BadGateway("its output goes on behind its end"));
            }
            Record::Output => self.is_silent |= self.left == 0,
            Record::End if self.left != HEADER => {
                return Err(BadGateway("it ends its response in a malformed record"));
            }
            Record::End | Record::Overload | Record::Complaint | Record::Other => {}
        }
        self.advance();
        Ok(())
    }

    /// Takes some of a record's content from the front of `input`.
    fn receive_content<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Inbound<'a>), BadGateway> {
        let piece = &input[..self.left.min(input.len())];
        let (count, inbound) = match self.record {
            Record::Output => self.answer.receive(piece)?,
            Record::Complaint => (piece.len(), Inbound::Complaint(piece)),
            Record::End => (self.fill(piece), Inbound::Nothing),
            Record::Overload | Record::Other => (piece.len(), Inbound::Nothing),
        };
        self.left -= count;
        if self.record == Record::End && self.left == 0 {
            self.check_end()?;
        }
        self.advance();
        Ok((count, inbound))
    }

    /// Reads what `END_REQUEST` says. What the application's own status means, only it knows.
    fn check_end(&mut self) -> Result<(), BadGateway> {
        self.filled = 0;
        match self.small[4] {
            REQUEST_COMPLETE => self.answer.close(),
            OVERLOADED => {
                self.record = Record::Overload;
                Ok(())
            }
            1 => Err(BadGateway("it takes no further request on this connection")),
            3 => Err(BadGateway("it is no FastCGI responder")),
            _ => Err(BadGateway("it ends its response with an unknown status")),
        }
    }

    /// Goes on to what comes next, where what was coming is whole.
    fn advance(&mut self) {
        self.at = match self.record {
            _ if self.left > 0 => At::Content,
            _ if self.padding > 0 => At::Padding,
            Record::End => At::Over,
            Record::Overload => At::Overloaded,
            Record::Output | Record::Complaint | Record::Other => At::Header,
        };
    }
}

/// Appends `content` as records of a stream. No content makes no record: that would be its end.
fn write_stream(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    for piece in content.chunks(MAX_CONTENT) {
        write_record(out, kind, piece);
    }
}

/// Appends one record, padded to a multiple of eight bytes, as the specification recommends.
fn write_record(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    out.extend(header(kind, content.len()));
    out.extend_from_slice(content);
    pad(out, content.len());
}

/// The header of a record with so many bytes of content.
fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let [id_high, id_low] = ID.to_be_bytes();
    let padding = u8::try_from(padding(length)).expect("it is less than eight");
    let length = u16::try_from(length).expect("nobody writes more than MAX_CONTENT");
    let [length_high, length_low] = length.to_be_bytes();
    [VERSION, kind, id_high, id_low, length_high, length_low, padding, 0]
}

/// Appends what stands behind so many bytes of content.
fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&[0; 7][..padding(length)]);
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(8) - length
}

/// Appends the length of a name or value: in one byte, or in four that begin with a one bit.
fn write_length(out: &mut Vec<u8>, length: usize) {
    if let Ok(short @ ..0x80) = u8::try_from(length) {
        return out.push(short);
    }
    let long = u32::try_from(length).expect("a head's limit fits in 31 bits");
    out.extend_from_slice(&(long | 1 << 31).to_be_bytes());
}
