//! The fields of a program's response, made fit to be passed on: valid, bounded, and without those
//! that are about one connection alone. Which protocol they came in is not known here.

use super::{BadGateway, MAX_HEAD_BYTES, ResponseHead, compare};
use crate::http::date;
use crate::http::fields::{is_name, is_value, list};
use crate::http::status::Status;

/// The most field lines of one response.
pub(super) const MAX_FIELDS: usize = 256;

/// Gathers the fields of one head, in the order they come.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldBlock {
    /// What may be passed on, as whole lines.
    lines: Vec<u8>,
    count: usize,
    /// Bytes of all names and values so far, also of those that are not passed on.
    bytes: usize,
    /// The values of Connection, joined by commas: names of fields and other options.
    options: Vec<u8>,
    transfer_encoding: Option<Vec<u8>>,
    upgrade: Option<Vec<u8>>,
    length: Option<u64>,
    date: Option<Vec<u8>>,
    is_dated: bool,
}

/// What a field is to whoever passes it on.
enum Role {
    /// About the response: passed on as it is.
    Response,
    /// Connection: names what else is not passed on (RFC 9110 §7.6.1).
    Connection,
    /// Transfer-Encoding.
    TransferEncoding,
    /// Upgrade.
    Upgrade,
    /// Content-Length: the connection writes it.
    Length,
    /// Date: likewise.
    Date,
    /// About one connection, or said by this server itself: dropped.
    Dropped,
}

const ROLES: [(&[u8], Role); 12] = [
    (b"Connection", Role::Connection),
    (b"Transfer-Encoding", Role::TransferEncoding),
    (b"Upgrade", Role::Upgrade),
    (b"Content-Length", Role::Length),
    (b"Date", Role::Date),
    (b"Keep-Alive", Role::Dropped),
    (b"Proxy-Connection", Role::Dropped),
    // What one hop wants proved to it is nothing to the next (RFC 9110 §11.7.1).
    (b"Proxy-Authenticate", Role::Dropped),
    (b"Proxy-Authentication-Info", Role::Dropped),
    (b"TE", Role::Dropped),
    // Trailer sections are not passed on, so none may be announced.
    (b"Trailer", Role::Dropped),
    (b"Server", Role::Dropped),
];

impl Role {
    fn of(name: &[u8]) -> &'static Role {
        let known = ROLES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map_or(&Role::Response, |(_, role)| role)
    }
}

impl FieldBlock {
    /// One that takes lines of so many bytes without growing.
    pub(super) fn with_room(bytes: usize) -> FieldBlock {
        FieldBlock { lines: Vec::with_capacity(bytes), ..FieldBlock::default() }
    }

    /// Takes one field. `value` is without the space around it.
    ///
    /// # Errors
    /// For a name or value that may not stand in a head, for a Content-Length that is not one
    /// number and there once, and for more fields or bytes than a head may have.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadGateway> {
        if !is_name(name) {
            return Err(BadGateway("a field name in its response is invalid"));
        }
        if !is_value(value) {
            return Err(BadGateway("a field value in its response has a byte that may not be"));
        }
        self.add_valid(name, value)
    }

    /// Takes one field whose name and value are known to be valid.
    ///
    /// # Errors
    /// Those of [`add`](Self::add), but for these.
    pub(super) fn add_valid(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadGateway> {
        debug_assert!(is_name(name) && is_value(value), "a field that was parsed is bad");
        self.count += 1;
        self.bytes += name.len() + value.len() + b": \r\n".len();
        if self.count > MAX_FIELDS || self.bytes > MAX_HEAD_BYTES {
            return Err(BadGateway("its response has more fields than this server takes"));
        }
        match Role::of(name) {
            Role::Response => push_line(&mut self.lines, name, value),
            Role::Connection => join(&mut self.options, value),
            Role::TransferEncoding => join(self.transfer_encoding.get_or_insert_default(), value),
            Role::Upgrade => join(self.upgrade.get_or_insert_default(), value),
            Role::Length => self.take_length(value)?,
            Role::Date => self.take_date(value),
            Role::Dropped => {}
        }
        Ok(())
    }

    /// RFC 9112 §6.3: whatever two recipients could read in two ways is refused. Two equal lengths
    /// are, too: one of them was made up by somebody on the way.
    fn take_length(&mut self, value: &[u8]) -> Result<(), BadGateway> {
        if self.length.is_some() {
            return Err(BadGateway("its response has Content-Length twice"));
        }
        // `parse` would take a sign.
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        self.length = number.filter(|_| digits);
        match self.length {
            Some(_) => Ok(()),
            None => Err(BadGateway("the Content-Length of its response is not a number")),
        }
    }

    /// Of two dates, neither can be believed.
    fn take_date(&mut self, value: &[u8]) {
        let is_believed = !self.is_dated && date::parse(value).is_some();
        self.date = is_believed.then(|| value.to_vec());
        self.is_dated = true;
    }

    /// The value of Content-Length.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The value of Transfer-Encoding; of several lines, joined by commas.
    pub(super) fn transfer_encoding(&self) -> Option<&[u8]> {
        self.transfer_encoding.as_deref()
    }

    /// The value of Upgrade, likewise.
    pub(super) fn upgrade(&self) -> Option<&[u8]> {
        self.upgrade.as_deref()
    }

    /// Whether Connection names `option`.
    pub(super) fn has_option(&self, option: &[u8]) -> bool {
        list(&self.options).any(|named| named.eq_ignore_ascii_case(option))
    }

    /// The lines that may be passed on: complete and valid, in the order they came.
    pub(super) fn into_lines(self) -> Vec<u8> {
        if self.options.is_empty() {
            return self.lines;
        }
        // Sorted, so that a Connection of thousands of members costs no more than reading it.
        let mut named: Vec<&[u8]> = list(&self.options).collect();
        named.sort_unstable_by(|a, b| compare(a, b));
        let mut kept = Vec::with_capacity(self.lines.len());
        // No value has a line feed in it, and no name a colon.
        for line in self.lines.split_inclusive(|&byte| byte == b'\n') {
            let end = memchr::memchr(b':', line).expect("each line was written with its colon");
            if named.binary_search_by(|other| compare(other, &line[..end])).is_err() {
                kept.extend_from_slice(line);
            }
        }
        kept
    }

    /// The whole head, of a final response.
    pub(super) fn into_head(mut self, status: Status) -> ResponseHead {
        let date = self.date.take();
        let length = self.length;
        ResponseHead { status, fields: self.into_lines(), date, length }
    }
}

/// Takes a field line, without its line end, apart into name and value. Whether they are valid,
/// [`FieldBlock::add`] knows.
///
/// # Errors
/// For a line that is none, for one that continues the line before it, and for a space before the
/// colon: RFC 9112 §5.1 would have the space taken out, but others have read the line differently.
pub(super) fn split_line(line: &[u8]) -> Result<(&[u8], &[u8]), BadGateway> {
    if let [b' ' | b'\t', ..] = line {
        return Err(BadGateway("a line of its response continues the one before it"));
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return Err(BadGateway("a line in the head of its response has no colon"));
    };
    let name = &line[..colon];
    if let [.., b' ' | b'\t'] = name {
        return Err(BadGateway("a field name in its response has a space before its colon"));
    }
    Ok((name, trim(&line[colon + 1..])))
}

/// `value` without the optional space around it (RFC 9110 §5.6.3): no other byte counts as one.
fn trim(value: &[u8]) -> &[u8] {
    let is_ink = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let from = value.iter().position(is_ink).unwrap_or(value.len());
    let to = value.iter().rposition(is_ink).map_or(from, |last| last + 1);
    &value[from..to]
}

fn push_line(lines: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    lines.reserve(name.len() + value.len() + b": \r\n".len());
    lines.extend_from_slice(name);
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

/// Appends `value` to a list.
fn join(list: &mut Vec<u8>, value: &[u8]) {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fields: &[(&str, &str)]) -> Result<FieldBlock, BadGateway> {
        let mut block = FieldBlock::default();
        for (name, value) in fields {
            block.add(name.as_bytes(), value.as_bytes())?;
        }
        Ok(block)
    }

    fn head(fields: &[(&str, &str)]) -> (String, Option<String>, Option<u64>) {
        let head = block(fields).unwrap().into_head(Status::OK);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(head.fields), head.date.map(text), head.length)
    }

    #[test]
    fn fields_about_the_response_pass_in_their_order_and_spelling() {
        let (fields, date, length) = head(&[
            ("content-TYPE", "text/plain"),
            ("Set-Cookie", "a=1"),
            ("Content-Length", "007"),
            ("set-cookie", "b=2"),
            ("X-Empty", ""),
        ]);
        let lines = "content-TYPE: text/plain\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\
            X-Empty: \r\n";
        assert_eq!((fields.as_str(), date, length), (lines, None, Some(7)));
    }

    #[test]
    fn fields_about_the_connection_and_those_it_names_do_not_pass() {
        let (fields, ..) = head(&[
            ("X-Early", "named below"),
            ("Connection", "close, x-EARLY"),
            ("CONNECTION", "X-Late,,"),
            ("x-late", "named above"),
            ("X-Later", "not named"),
            ("keep-alive", "timeout=5"),
            ("Proxy-Connection", "close"),
            ("proxy-AUTHENTICATE", "Basic"),
            ("te", "trailers"),
            ("Trailer", "X-Sum"),
            ("Transfer-Encoding", "chunked"),
            ("upgrade", "h2c"),
            ("Server", "another"),
        ]);
        assert_eq!(fields, "X-Later: not named\r\n");
    }

    #[test]
    fn what_framing_needs_to_know_is_kept_aside() {
        let block = block(&[
            ("Connection", "Keep-Alive"),
            ("connection", "Upgrade"),
            ("Transfer-Encoding", "gzip"),
            ("transfer-encoding", "chunked"),
            ("Upgrade", "websocket"),
        ])
        .unwrap();
        assert!(block.has_option(b"keep-alive") && block.has_option(b"upgrade"));
        assert!(!block.has_option(b"close"));
        assert_eq!(block.transfer_encoding(), Some(&b"gzip, chunked"[..]));
        assert_eq!(block.upgrade(), Some(&b"websocket"[..]));
        assert_eq!(block.length(), None);
    }

    #[test]
    fn a_length_is_digits_and_there_once() {
        for bad in ["", "+5", "-1", "5 ", "0x5", "5, 5", "5,5", "18446744073709551616", "١"] {
            assert!(block(&[("Content-Length", bad)]).is_err(), "{bad:?}");
        }
        assert!(block(&[("Content-Length", "5"), ("content-length", "5")]).is_err());
        assert!(block(&[("Content-Length", "5"), ("content-length", "6")]).is_err());
        let greatest = block(&[("Content-Length", "18446744073709551615")]).unwrap();
        assert_eq!(greatest.length(), Some(u64::MAX));
    }

    #[test]
    fn a_date_passes_if_it_is_one_and_the_only_one() {
        let good = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(head(&[("Date", good)]).1.as_deref(), Some(good));
        assert_eq!(head(&[("Date", "today")]).1, None);
        assert_eq!(head(&[("Date", good), ("date", good)]).1, None);
        assert_eq!(head(&[("Date", "today"), ("date", good)]).1, None);
        assert_eq!(head(&[("Date", good)]).0, "");
    }

    #[test]
    fn what_could_split_a_head_is_refused() {
        for name in ["", "A B", "A:", "A\r\nB", "A\0", "Ä"] {
            assert!(block(&[(name, "x")]).is_err(), "{name:?}");
        }
        for value in ["a\rb", "a\nb", "a\r\nSet-Cookie: b", "a\0", "\u{7f}", " a", "a\t"] {
            assert!(block(&[("A", value)]).is_err(), "{value:?}");
            assert!(block(&[("Connection", value)]).is_err(), "{value:?}");
        }
    }

    #[test]
    fn fields_have_a_limit_whether_they_pass_or_not() {
        for name in ["X", "Keep-Alive", "Connection"] {
            let mut block = FieldBlock::default();
            for _ in 0..MAX_FIELDS {
                block.add(name.as_bytes(), b"x").unwrap();
            }
            assert!(block.add(b"X", b"x").is_err(), "{name}");
            let mut block = FieldBlock::default();
            let long = vec![b'x'; MAX_HEAD_BYTES - name.len() - 4];
            block.add(name.as_bytes(), &long).unwrap();
            assert!(block.add(b"X", b"").is_err(), "{name}");
        }
    }

    #[test]
    fn a_connection_of_thousands_of_names_costs_little() {
        let named = "a, ".repeat(20_000);
        let mut block =
            block(&[("Connection", named.trim_end()), ("connection", "x-3, X-249")]).unwrap();
        for number in 0..250 {
            block.add(format!("X-{number}").as_bytes(), b"").unwrap();
        }
        let lines = block.into_lines();
        assert_eq!(lines.split(|&byte| byte == b'\n').count(), 1 + 248);
    }

    #[test]
    fn lines_are_taken_apart() {
        assert_eq!(split_line(b"A:b"), Ok((&b"A"[..], &b"b"[..])));
        assert_eq!(split_line(b"A: \t b : c\t "), Ok((&b"A"[..], &b"b : c"[..])));
        assert_eq!(split_line(b"A: \t "), Ok((&b"A"[..], &b""[..])));
        assert_eq!(split_line(b"A:\x0cb"), Ok((&b"A"[..], &b"\x0cb"[..])));
        for bad in ["", "A", " A: b", "\tA: b", "A : b", "A\t: b"] {
            assert!(split_line(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
