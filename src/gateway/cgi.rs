//! The output of a script (RFC 3875 §6): a head in lines, then content. CGI and SCGI programs write
//! it as it is, `FastCGI` applications into records.
//!
//! How it gets here, and what becomes of the script, is not known here.

use super::response_fields::{FieldBlock, split_line};
use super::{BadGateway, Inbound, MAX_HEAD_BYTES};
use crate::http::method::Method;
use crate::http::status::Status;
use crate::http::target::Target;

#[cfg(test)]
mod tests;

/// The response of a script.
#[derive(Debug)]
pub struct Answer {
    /// The request's method is HEAD.
    asks_head: bool,
    at: At,
    head: ScriptHead,
    /// The line of the head that is not whole yet.
    line: Vec<u8>,
    /// Bytes of the head so far.
    head_bytes: usize,
}

/// What comes next.
#[derive(Debug)]
enum At {
    Head,
    /// Content: so many bytes, where that is known and counts.
    Content(Option<u64>),
    /// Nothing that anybody wants to know: the response comes from elsewhere.
    Aside,
}

/// What the head has said so far.
#[derive(Debug, Default)]
struct ScriptHead {
    fields: FieldBlock,
    status: Option<Status>,
    location: Option<Vec<u8>>,
    has_content_type: bool,
    /// There are fields beside Content-Type, Location and Status.
    has_others: bool,
}

impl Answer {
    /// One of which nothing is there yet, to a request with this method.
    #[must_use]
    pub fn new(method: Method<'_>) -> Answer {
        Answer {
            asks_head: method == Method::Head,
            at: At::Head,
            head: ScriptHead::default(),
            line: Vec::new(),
            head_bytes: 0,
        }
    }

    /// See [`super::Codec::receive`]. Takes all of `input`, but for what stands behind a head or
    /// behind the content that was announced.
    ///
    /// Content beyond Content-Length is an error, after exactly as much as was announced: the
    /// client has what looks whole then and is not, so it must not go by unnoticed.
    ///
    /// # Errors
    /// See [`super::Codec::receive`].
    pub fn receive<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Inbound<'a>), BadGateway> {
        match &mut self.at {
            At::Head => self.receive_head(input),
            At::Content(left) => receive_content(left, input),
            At::Aside => Ok((input.len(), Inbound::Nothing)),
        }
    }

    /// See [`super::Codec::close`]. Without Content-Length the end is what it is: whether the
    /// script was killed, the caller knows.
    ///
    /// # Errors
    /// See [`super::Codec::close`].
    pub fn close(&mut self) -> Result<(), BadGateway> {
        match self.at {
            At::Head if self.head_bytes == 0 => Err(BadGateway("it has said nothing")),
            At::Head => Err(BadGateway("its output ends before the empty line behind its head")),
            At::Content(Some(1..)) => {
                Err(BadGateway("its content is shorter than its Content-Length says"))
            }
            At::Content(None | Some(0)) | At::Aside => Ok(()),
        }
    }

    /// Lines end in LF or CR LF, each as it likes (RFC 3875 §6.2 leaves it to the system).
    fn receive_head<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Inbound<'a>), BadGateway> {
        let mut used = 0;
        for end in memchr::memchr_iter(b'\n', input) {
            let mut line = &input[used..end];
            used = end + 1;
            self.count(line.len() + 1)?;
            if !self.line.is_empty() {
                self.line.extend_from_slice(line);
                line = &self.line;
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                return Ok((used, self.finish_head()?));
            }
            self.head.add(line)?;
            self.line.clear();
        }
        let begun = &input[used..];
        self.count(begun.len())?;
        self.line.extend_from_slice(begun);
        Ok((input.len(), Inbound::Nothing))
    }

    /// Counts bytes of the head.
    fn count(&mut self, bytes: usize) -> Result<(), BadGateway> {
        self.head_bytes += bytes;
        if self.head_bytes > MAX_HEAD_BYTES {
            return Err(BadGateway("its head is larger than this server takes"));
        }
        Ok(())
    }

    /// The head is whole.
    fn finish_head(&mut self) -> Result<Inbound<'static>, BadGateway> {
        self.line = Vec::new();
        let head = std::mem::take(&mut self.head);
        if let Some(target) = head.local_redirect() {
            self.at = At::Aside;
            return Ok(Inbound::LocalRedirect(target));
        }
        // RFC 3875 §6.3.1 requires a Content-Type wherever there is content. Programs that have
        // none say Status alone.
        let status = match (head.status, &head.location) {
            (Some(status), _) => status,
            (None, Some(_)) => Status::FOUND,
            (None, None) if head.has_content_type => Status::OK,
            (None, None) => {
                return Err(BadGateway("its head has no Content-Type, no Location and no Status"));
            }
        };
        // Where the client gets no content, a script need not make what it announces.
        let counts = !self.asks_head && !status.forbids_content();
        self.at = At::Content(head.fields.length().filter(|_| counts));
        Ok(Inbound::Head(head.fields.into_head(status)))
    }
}

impl ScriptHead {
    /// Takes one line, without its end.
    fn add(&mut self, line: &[u8]) -> Result<(), BadGateway> {
        if line.starts_with(b"HTTP/") {
            return Err(BadGateway("it begins with a status line, which only nph- scripts may do"));
        }
        let (name, value) = split_line(line)?;
        if name.eq_ignore_ascii_case(b"Status") {
            let status = parse_status(value)
                .ok_or(BadGateway("its Status is no code from 200 to 599 and a reason"))?;
            return match self.status.replace(status) {
                Some(_) => Err(BadGateway("its head has Status twice")),
                None => Ok(()),
            };
        }
        if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"X-CGI-")) {
            // RFC 3875 §6.3.5: for the server alone, and none is known here.
            return Ok(());
        }
        if name.eq_ignore_ascii_case(b"Location") {
            if value.is_empty() {
                return Err(BadGateway("its Location is empty"));
            }
            if self.location.replace(value.to_vec()).is_some() {
                return Err(BadGateway("its head has Location twice"));
            }
        } else if name.eq_ignore_ascii_case(b"Content-Type") {
            if std::mem::replace(&mut self.has_content_type, true) {
                return Err(BadGateway("its head has Content-Type twice"));
            }
        } else {
            self.has_others = true;
        }
        self.fields.add(name, value)?;
        // RFC 3875 §6.3.4. To drop the field would be to pass its chunks on as content.
        if self.fields.transfer_encoding().is_some() {
            return Err(BadGateway("it has a Transfer-Encoding, which only nph- scripts may have"));
        }
        Ok(())
    }

    /// The path and query on this server that the response is to come from (RFC 3875 §6.2.2).
    ///
    /// With a Status or with any field of its own, such as Set-Cookie, the client is meant to see
    /// the redirect. A fragment means nothing here and something there. And `//host/` names another
    /// host to everyone who resolves references (RFC 3986 §4.2): it goes to the client, who is the
    /// one that can act on it, instead of being taken for a path of this server.
    fn local_redirect(&self) -> Option<String> {
        let location = std::str::from_utf8(self.location.as_deref()?).ok()?;
        if self.status.is_some() || self.has_others || location.starts_with("//") {
            return None;
        }
        match Target::parse(location, false, false) {
            Ok(Target::Origin { .. }) => Some(location.to_owned()),
            Ok(Target::Absolute { .. } | Target::Authority(_) | Target::Asterisk) | Err(_) => None,
        }
    }
}

/// `404 Not Found`, perhaps without the reason (RFC 3875 §6.3.3). The reason is ours to say.
fn parse_status(value: &[u8]) -> Option<Status> {
    let (digits, reason) = value.split_at_checked(3)?;
    let is_code = digits.iter().all(u8::is_ascii_digit) && matches!(reason, [] | [b' ', ..]);
    let code = std::str::from_utf8(digits).ok().filter(|_| is_code)?.parse().ok()?;
    Status::from_code(code)
}

fn receive_content<'a>(
    left: &mut Option<u64>,
    input: &'a [u8],
) -> Result<(usize, Inbound<'a>), BadGateway> {
    if input.is_empty() {
        return Ok((0, Inbound::Nothing));
    }
    let Some(left) = left else { return Ok((input.len(), Inbound::Content(input))) };
    if *left == 0 {
        return Err(BadGateway("its content is longer than its Content-Length says"));
    }
    let count = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= count as u64;
    Ok((count, Inbound::Content(&input[..count])))
}
