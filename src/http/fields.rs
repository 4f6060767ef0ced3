//! Fields: names, values, lists (RFC 9110 §5). What a field means is known to the file that obeys
//! it.

use httparse::Header;

/// The fields this server itself looks at. Each is found once, while the head is parsed; after that
/// looking one up costs an array access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each variant is the field's name")]
pub enum Name {
    Accept,
    AcceptEncoding,
    Authorization,
    Connection,
    ContentLength,
    Expect,
    Host,
    IfMatch,
    IfModifiedSince,
    IfNoneMatch,
    IfRange,
    IfUnmodifiedSince,
    Range,
    Referer,
    TransferEncoding,
    UserAgent,
}

const NAMES: [(&str, Name); 16] = [
    ("Accept", Name::Accept),
    ("Accept-Encoding", Name::AcceptEncoding),
    ("Authorization", Name::Authorization),
    ("Connection", Name::Connection),
    ("Content-Length", Name::ContentLength),
    ("Expect", Name::Expect),
    ("Host", Name::Host),
    ("If-Match", Name::IfMatch),
    ("If-Modified-Since", Name::IfModifiedSince),
    ("If-None-Match", Name::IfNoneMatch),
    ("If-Range", Name::IfRange),
    ("If-Unmodified-Since", Name::IfUnmodifiedSince),
    ("Range", Name::Range),
    ("Referer", Name::Referer),
    ("Transfer-Encoding", Name::TransferEncoding),
    ("User-Agent", Name::UserAgent),
];

// `Fields::present` and `Fields::repeated` have a bit for each.
const _: () = assert!(NAMES.len() <= 16);

impl Name {
    const fn bit(self) -> u16 {
        1 << self as u8
    }

    /// The field that `name` names, in any case, if this server looks at it.
    fn parse(name: &str) -> Option<Name> {
        let alike = match name.len() {
            4 => &[Name::Host][..],
            5 => &[Name::Range],
            6 => &[Name::Accept, Name::Expect],
            7 => &[Name::Referer],
            8 => &[Name::IfMatch, Name::IfRange],
            10 => &[Name::Connection, Name::UserAgent],
            13 => &[Name::Authorization, Name::IfNoneMatch],
            14 => &[Name::ContentLength],
            15 => &[Name::AcceptEncoding],
            17 => &[Name::IfModifiedSince, Name::TransferEncoding],
            19 => &[Name::IfUnmodifiedSince],
            _ => &[],
        };
        alike.iter().copied().find(|known| is_spelling(name, NAMES[*known as usize].0))
    }
}

/// Whether `name`, a token, is `known` in some case, where they are of one length. In the known
/// names are letters and hyphens alone: no other byte of a token differs from them in this bit.
fn is_spelling(name: &str, known: &str) -> bool {
    name.bytes().zip(known.bytes()).all(|(one, other)| one | 0x20 == other | 0x20)
}

/// The field section of one head: every line in its order, and where the known ones are.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    lines: &'a [Header<'a>],
    /// For each [`Name`] that is there: the index of its first line.
    first: [u16; NAMES.len()],
    /// A bit for each [`Name`]: the field has a line.
    present: u16,
    /// Likewise: the field has more than one line.
    repeated: u16,
}

impl<'a> Fields<'a> {
    /// Looks once through `lines` and notes the known ones.
    #[must_use]
    pub fn new(lines: &'a [Header<'a>]) -> Self {
        let mut fields = Fields { lines, first: [0; NAMES.len()], present: 0, repeated: 0 };
        for (line, at) in lines.iter().zip(0u16..) {
            if let Some(name) = Name::parse(line.name) {
                fields.repeated |= fields.present & name.bit();
                if !fields.has(name) {
                    fields.present |= name.bit();
                    fields.first[name as usize] = at;
                }
            }
        }
        fields
    }

    /// Whether `name` has a line.
    #[must_use]
    pub fn has(&self, name: Name) -> bool {
        self.present & name.bit() != 0
    }

    /// Whether any of `names` has a line.
    #[must_use]
    pub fn has_any(&self, names: &[Name]) -> bool {
        self.present & names.iter().fold(0, |bits, name| bits | name.bit()) != 0
    }

    /// All lines in the order they came: `name` as spelled, `value` without the space around it.
    #[must_use]
    pub fn lines(&self) -> &'a [Header<'a>] {
        self.lines
    }

    /// The value of the first line of `name`.
    #[must_use]
    pub fn get(&self, name: Name) -> Option<&'a [u8]> {
        self.has(name).then(|| self.lines[usize::from(self.first[name as usize])].value)
    }

    /// The value of `name` if it has exactly one line. For fields that are no lists: two lines of
    /// one are no value at all (RFC 9110 §5.3).
    #[must_use]
    pub fn only(&self, name: Name) -> Option<&'a [u8]> {
        if self.is_repeated(name) { None } else { self.get(name) }
    }

    /// Whether `name` has more than one line.
    #[must_use]
    pub fn is_repeated(&self, name: Name) -> bool {
        self.repeated & name.bit() != 0
    }

    /// The values of all lines of `name`, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let from = usize::from(self.first[name as usize]);
        let lines = if self.has(name) { &self.lines[from..] } else { &[] };
        lines.iter().filter(move |line| Name::parse(line.name) == Some(name)).map(|line| line.value)
    }

    /// The value of the first line named `name`, in any case, known or not.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.lines.iter().find(|line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value)
    }

    /// The members of `name`, a field that is a comma-separated list, over all its lines.
    pub fn members(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.all(name).flat_map(list)
    }
}

/// The members of a list value (RFC 9110 §5.6.1): split at commas outside quoted strings, trimmed,
/// empty ones left out.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = outside_quotes(rest, b',').unwrap_or(rest.len());
            let member = rest[..end].trim_ascii();
            rest = rest.get(end + 1..).unwrap_or(&[]);
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    })
}

/// Where `wanted` first stands in `value` outside a quoted string (RFC 9110 §5.6.4).
#[must_use]
pub fn outside_quotes(value: &[u8], wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    value.iter().position(|&byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return !quoted && byte == wanted,
        }
        false
    })
}

/// Which bytes may stand in a token (RFC 9110 §5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "it is below 256")]
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether `value` may stand as a field value this server writes: no control byte but tab, and no
/// space at either end (RFC 9110 §5.5).
#[must_use]
pub fn is_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
        && value.trim_ascii().len() == value.len()
}

/// Whether `name` may stand as a field name: a token.
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().copied().all(is_token_byte)
}

/// Writes one field line. `name` and `value` are known to be valid ([`is_name`], [`is_value`]).
pub fn write(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    debug_assert!(
        is_name(name.as_bytes()) && is_value(value),
        "a field this server made up is bad"
    );
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(name: &'a str, value: &'a str) -> Header<'a> {
        Header { name, value: value.as_bytes() }
    }

    #[test]
    fn known_fields_are_found_in_any_case_and_unknown_ones_by_name() {
        let lines = [header("x-a", "1"), header("HOST", "h"), header("If-none-MATCH", "\"a\"")];
        let fields = Fields::new(&lines);
        assert_eq!(fields.get(Name::Host), Some(&b"h"[..]));
        assert_eq!(fields.get(Name::IfNoneMatch), Some(&b"\"a\""[..]));
        assert_eq!(fields.get(Name::Range), None);
        assert_eq!(fields.find("X-A"), Some(&b"1"[..]));
    }

    #[test]
    fn the_table_of_names_is_in_the_order_of_the_enum() {
        for (at, (text, name)) in NAMES.iter().enumerate() {
            assert_eq!(*name as usize, at);
            assert_eq!(Name::parse(&text.to_ascii_uppercase()), Some(*name), "{text}");
        }
    }

    #[test]
    fn repeated_fields_are_no_single_value_but_one_list() {
        let lines = [header("Range", "a"), header("X", "y"), header("range", "b, c")];
        let fields = Fields::new(&lines);
        assert_eq!(fields.only(Name::Range), None);
        assert!(fields.is_repeated(Name::Range));
        let members: Vec<_> = fields.members(Name::Range).collect();
        assert_eq!(members, [b"a", b"b", b"c"]);
    }

    #[test]
    fn lists_split_at_commas_outside_quotes() {
        let members: Vec<_> = list(br#"a ,, "b,\",c" ,d,"#).collect();
        assert_eq!(members, [&b"a"[..], br#""b,\",c""#, b"d"]);
        assert_eq!(list(b" , ,").count(), 0);
    }

    #[test]
    fn values_with_line_ends_cannot_be_written() {
        assert!(is_value(b"text/html; charset=utf-8"));
        assert!(!is_value(b"a\r\nSet-Cookie: b"));
        assert!(!is_value(b" a"));
        assert!(!is_name(b"a b"));
    }
}
