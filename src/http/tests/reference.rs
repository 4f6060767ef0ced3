//! A second opinion: the same protocol read again, without haste and without state, by splitting
//! whole input at its line ends. It shares no code with what it judges.

use super::*;

/// What a conversation should be understood as.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opinion {
    /// What must be understood; a refusal counts whatever its reason.
    pub(super) events: Vec<Event>,
    /// The input ends within a line: what it has of it may be refused already, or waited for.
    pub(super) is_open: bool,
}

/// The refusal of this reader, who gives no reasons.
pub(super) const REFUSED: Event = Event::Refused(Refusal::bad(""));

/// Reads all of `input`.
pub(super) fn read(input: &[u8]) -> Opinion {
    let mut opinion = Opinion { events: Vec::new(), is_open: false };
    let mut at = 0;
    while let Some(used) = read_exchange(&input[at..], at, &mut opinion) {
        at += used;
    }
    opinion
}

/// Reads one request with its content. Returns its length where another may follow.
fn read_exchange(input: &[u8], at: usize, opinion: &mut Opinion) -> Option<usize> {
    let skipped = if input.starts_with(b"\r\n") { 2 } else { 0 };
    let Some(end) = find(&input[skipped..], b"\r\n\r\n").map(|end| skipped + end + 4) else {
        opinion.is_open = true;
        return None;
    };
    let Some(head) = read_head(&input[skipped..end]) else {
        opinion.events.extend([REFUSED, Event::Close]);
        return None;
    };
    opinion.events.push(Event::Head {
        bytes: at..at + end,
        length: head.length,
        persistent: head.persistent,
        awaits_continue: head.expects_continue && head.length.is_some(),
    });
    let mut content = Vec::new();
    let outcome = match head.length {
        None => Outcome::End(0),
        Some(Length::Known(length)) => read_known(&input[end..], length, &mut content),
        Some(Length::Chunked) => read_chunks(&input[end..], &mut content),
    };
    if !content.is_empty() {
        opinion.events.push(Event::Content(content));
    }
    match outcome {
        Outcome::End(used) => {
            if head.length.is_some() {
                opinion.events.push(Event::End);
            }
            if head.persistent {
                return Some(end + used);
            }
            opinion.events.push(Event::Close);
        }
        Outcome::Refused => opinion.events.extend([REFUSED, Event::Close]),
        Outcome::Open => opinion.is_open = true,
        Outcome::Unfinished => {}
    }
    None
}

/// How content ends.
enum Outcome {
    /// After so many bytes.
    End(usize),
    Refused,
    /// Within a line.
    Open,
    /// Where only more can follow.
    Unfinished,
}

fn read_known(input: &[u8], length: u64, content: &mut Vec<u8>) -> Outcome {
    if (input.len() as u64) < length {
        content.extend_from_slice(input);
        return Outcome::Unfinished;
    }
    let length = usize::try_from(length).unwrap();
    content.extend_from_slice(&input[..length]);
    Outcome::End(length)
}

fn read_chunks(input: &[u8], content: &mut Vec<u8>) -> Outcome {
    let mut rest = input;
    loop {
        let Some(end) = find(rest, b"\r\n") else { return Outcome::Open };
        let Some(size) = read_size(&rest[..end]) else { return Outcome::Refused };
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        if rest.len() as u64 <= size {
            content.extend_from_slice(rest);
            return Outcome::Unfinished;
        }
        let (data, behind) = rest.split_at(usize::try_from(size).unwrap());
        content.extend_from_slice(data);
        if behind == b"\r" {
            return Outcome::Unfinished;
        }
        let Some(behind) = behind.strip_prefix(b"\r\n") else { return Outcome::Refused };
        rest = behind;
    }
    loop {
        let Some(end) = find(rest, b"\r\n") else { return Outcome::Open };
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if line.is_empty() {
            return Outcome::End(input.len() - rest.len());
        }
        if read_field(line).is_none() {
            return Outcome::Refused;
        }
    }
}

/// `1*HEXDIG [ *blank ";" anything printable ]`
fn read_size(line: &[u8]) -> Option<u64> {
    if !line.iter().all(|&byte| is_text(byte)) {
        return None;
    }
    let line: String = line.iter().map(|&byte| char::from(byte)).collect();
    let digits = match line.split_once(';') {
        Some((size, _)) => size.trim_end_matches([' ', '\t']),
        None => &line,
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// What matters of a head.
struct Plain {
    length: Option<Length>,
    persistent: bool,
    expects_continue: bool,
}

fn read_head(head: &[u8]) -> Option<Plain> {
    let mut lines = Vec::new();
    let mut rest = head.strip_suffix(b"\r\n\r\n")?;
    while let Some(end) = find(rest, b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    let line = String::from_utf8(lines[0].to_vec()).ok()?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    let is_new = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    if !is_token(method) || !is_target(method, target) {
        return None;
    }
    let fields: Vec<_> = lines[1..].iter().map(|line| read_field(line)).collect::<Option<_>>()?;
    let all = |name: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(known, _)| known.to_ascii_lowercase() == name);
        named.map(|(_, value)| &value[..]).collect()
    };
    let members = |name: &str| members(&all(name));
    match all("host")[..] {
        [] if !is_new => {}
        [host] if is_authority(host) => {}
        _ => return None,
    }
    let expectations = members("expect");
    if is_new && expectations.iter().any(|expectation| expectation != "100-continue") {
        return None;
    }
    let says = |option: &str| members("connection").iter().any(|member| member == option);
    let length = match (&all("content-length")[..], all("transfer-encoding").len()) {
        ([], 0) => None,
        ([digits], 0) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?).filter(|&length| length != 0).map(Length::Known)
        }
        ([], 1) if is_new && members("transfer-encoding") == ["chunked"] => Some(Length::Chunked),
        _ => return None,
    };
    Some(Plain {
        length,
        persistent: !says("close") && (is_new || says("keep-alive")),
        expects_continue: is_new && !expectations.is_empty(),
    })
}

/// The members of a list in small letters. A quoted string hides its commas, up to the end of its
/// line if nothing else ends it.
fn members(lines: &[&str]) -> Vec<String> {
    let mut members = Vec::new();
    for line in lines {
        let mut member = String::new();
        let mut is_quoted = false;
        let mut chars = line.chars();
        while let Some(char) = chars.next() {
            match char {
                ',' if !is_quoted => members.push(std::mem::take(&mut member)),
                '\\' if is_quoted => member.extend(chars.next()),
                _ => {
                    is_quoted ^= char == '"';
                    member.push(char.to_ascii_lowercase());
                }
            }
        }
        members.push(member);
    }
    let trimmed = members.iter().map(|member| member.trim_matches([' ', '\t']).to_owned());
    trimmed.filter(|member| !member.is_empty()).collect()
}

/// `name ":" value`, the value trimmed and its bytes taken for Latin-1.
fn read_field(line: &[u8]) -> Option<(String, String)> {
    let line: String = line.iter().map(|&byte| char::from(byte)).collect();
    let (name, value) = line.split_once(':')?;
    let is_value = line.chars().all(|char| is_text(u8::try_from(char).unwrap()));
    (is_token(name) && is_value)
        .then(|| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|char| match char {
            'a'..='z' | 'A'..='Z' | '0'..='9' => true,
            _ => "!#$%&'*+-.^_`|~".contains(char),
        })
}

fn is_target(method: &str, target: &str) -> bool {
    if target.is_empty() || !target.chars().all(|char| ('!'..='~').contains(&char) && char != '#') {
        return false;
    }
    if method == "CONNECT" {
        let port = target.rsplit_once(':').map(|(_, port)| port);
        return is_authority(target) && port.is_some_and(|port| port.parse::<u16>().is_ok());
    }
    if target.starts_with('/') || (method == "OPTIONS" && target == "*") {
        return true;
    }
    let Some((scheme, rest)) = target.split_once("://") else { return false };
    scheme.eq_ignore_ascii_case("http") && rest.split(['/', '?']).next().is_some_and(is_authority)
}

/// `host [ ":" [ port ] ]`
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let is_port = port.is_empty() || (!port.starts_with('+') && port.parse::<u16>().is_ok());
    let is_address = || {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<core::net::Ipv6Addr>().is_ok())
    };
    is_port && (is_name(host) || is_address())
}

/// A registered name, percent escapes and all.
fn is_name(host: &str) -> bool {
    let mut parts = host.split('%');
    let is_plain = |text: &str| {
        text.chars().all(|char| char.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(char))
    };
    !host.is_empty()
        && parts.next().is_some_and(is_plain)
        && parts.all(|part| {
            part.len() >= 2
                && part.is_char_boundary(2)
                && part[..2].chars().all(|digit| digit.is_ascii_hexdigit())
                && is_plain(&part[2..])
        })
}

fn find(input: &[u8], wanted: &[u8]) -> Option<usize> {
    input.windows(wanted.len()).position(|window| window == wanted)
}
