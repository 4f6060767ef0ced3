//! What a client must get: one part for each exchange, and where chance has a say, one choice for
//! each way it can go.

/// What becomes of a connection behind one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum After {
    /// The next request is answered.
    GoesOn,
    /// It ends.
    Ends,
    /// It ends, and what has come by then may be less.
    IsCut,
    /// The same, and only a reset tells it from a whole answer.
    IsReset,
}

/// One way an exchange can go.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) bytes: Vec<u8>,
    pub(super) after: After,
}

/// What one client must get, and how its conversation stands at the end.
pub(super) struct Expected {
    pub(super) parts: Vec<Vec<Choice>>,
    /// After all that, it may say more.
    pub(super) is_open: bool,
    /// The answer that it gets in addition if it stops here for too long; none if it may.
    pub(super) timed_out: Vec<Choice>,
}

/// How what a client got fits what it must get, the better the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It differs, after this many bytes.
    Differs(usize),
    /// It is the beginning; with true, some exchange would have ended later or just there.
    Begins(bool),
    /// It is all; if that has ended the connection, in this way.
    Whole(Option<After>),
}

impl Expected {
    /// How `got` fits; with `late`, what comes for a client that stops for too long is a part.
    pub(super) fn fit(&self, got: &[u8], late: bool) -> Fit {
        let mut parts = self.parts.clone();
        if late && !self.timed_out.is_empty() {
            parts.push(self.timed_out.clone());
        }
        for choice in parts.iter_mut().flatten() {
            choice.bytes = unchunked(&choice.bytes);
        }
        fit(&parts, &unchunked(got), 0, false)
    }

    /// All that is expected, in words, for whoever looks into a failure.
    pub(super) fn tell(&self) -> String {
        let mut lines = Vec::new();
        for part in &self.parts {
            for Choice { bytes, after } in part {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(160)]);
                lines.push(format!("  {after:?} {text:?}"));
            }
            lines.push("  --".to_owned());
        }
        for Choice { bytes, .. } in &self.timed_out {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(160)]);
            lines.push(format!("  then {text:?}"));
        }
        lines.join("\n")
    }
}

fn fit(parts: &[Vec<Choice>], got: &[u8], at: usize, at_pause: bool) -> Fit {
    let Some((part, behind)) = parts.split_first() else {
        return if at == got.len() { Fit::Whole(None) } else { Fit::Differs(at) };
    };
    let rest = &got[at..];
    let fits = part.iter().map(|choice| {
        let is_cut = matches!(choice.after, After::IsCut | After::IsReset);
        if is_cut && choice.bytes.starts_with(rest) {
            return Fit::Whole(Some(choice.after));
        }
        if !rest.starts_with(&choice.bytes) {
            let same = rest.iter().zip(&choice.bytes).take_while(|(one, other)| one == other);
            let is_begun = choice.bytes.starts_with(rest);
            let pauses = choice.after == After::GoesOn || (rest.is_empty() && at_pause);
            return if is_begun { Fit::Begins(pauses) } else { Fit::Differs(at + same.count()) };
        }
        let end = at + choice.bytes.len();
        match choice.after {
            After::GoesOn => fit(behind, got, end, true),
            _ if end == got.len() => Fit::Whole(Some(choice.after)),
            After::Ends | After::IsCut | After::IsReset => Fit::Differs(end),
        }
    });
    fits.max().expect("there is one way at least")
}

/// Stands for the end of content that came in chunks.
const END: &[u8] = b"\0end of chunks\0";

/// Responses, one behind the other, with chunked content as it was before: how it is cut into
/// chunks is a matter of time. What is malformed stays as it is, and so differs.
pub(super) fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") {
        let (head, rest) = bytes.split_at(end + 4);
        out.extend_from_slice(head);
        bytes = rest;
        let find = |text: &[u8]| memchr::memmem::find(head, text);
        let is_interim = find(b" 100 ").or(find(b" 103 ")).or(find(b" 304 ")).is_some();
        if is_interim || bytes.starts_with(b"HTTP/1.") {
            continue; // There is no content, or it was HEAD that was asked.
        }
        let length = find(b"Content-Length: ").map(|at| {
            let digits = head[at + 16..].iter().take_while(|byte| byte.is_ascii_digit());
            digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
        });
        if find(b"Transfer-Encoding: chunked").is_some() {
            bytes = unchunk(bytes, &mut out);
        } else {
            let count = length.unwrap_or(usize::MAX).min(bytes.len());
            out.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
        }
    }
    out.extend_from_slice(bytes);
    out
}

/// Takes chunks from the front of `bytes`: what stands behind them.
fn unchunk<'b>(mut bytes: &'b [u8], out: &mut Vec<u8>) -> &'b [u8] {
    while let Some(line) = memchr::memmem::find(bytes, b"\r\n") {
        let digits = std::str::from_utf8(&bytes[..line]).ok();
        let Some(size) = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok()) else {
            return bytes;
        };
        let data = &bytes[line + 2..];
        let count = size.min(data.len());
        out.extend_from_slice(&data[..count]);
        match data.get(count..count + 2) {
            Some(b"\r\n") if size > 0 => bytes = &data[count + 2..],
            Some(b"\r\n") => {
                out.extend_from_slice(END);
                return &data[2..];
            }
            Some(_) => return bytes,
            None => return &[],
        }
    }
    // A size that is not whole yet.
    if bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'\r') { &[] } else { bytes }
}
