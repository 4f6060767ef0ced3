//! Ranges (RFC 9110 §14): which bytes of a representation a Range field selects, and the frame
//! around them when there are several parts. The bytes themselves, and where they are, are not
//! known here; nor whether the field counts at all, which [`conditional::selection`] knows.
//!
//! [`conditional::selection`]: super::conditional::selection

use std::ops::Deref;

use super::fields;

/// How many ranges one request may ask for.
pub const MAX_RANGES: usize = 16;

/// Bytes that a part's head takes, about: a gap between two ranges that is smaller is sent along.
pub const PART_COST: u64 = 128;

/// Some bytes of a representation: at least one, `first` and `last` included, all of them there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Where it begins, from 0.
    pub first: u64,
    /// Its last byte; less than the representation's length.
    pub last: u64,
}

impl Range {
    /// How many bytes it has.
    #[must_use]
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What a Range field selects of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "it lives for one answer, and never in a box")]
pub enum Selection {
    /// All of it, by 200: the field is ignored.
    Whole,
    /// Nothing that is there: 416, with [`write_unsatisfied`].
    Unsatisfiable,
    /// These parts, by 206: a single one as it is with [`write_content_range`], several as
    /// `multipart/byteranges` with a [`Boundary`].
    Ranges(Ranges),
}

/// One to [`MAX_RANGES`] ranges that do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    ranges: [Range; MAX_RANGES],
    count: usize,
}

impl Deref for Ranges {
    type Target = [Range];

    fn deref(&self) -> &[Range] {
        &self.ranges[..self.count]
    }
}

/// Selects by `value`, a Range field, from a representation of `length` bytes.
///
/// The field is ignored if its unit is not `bytes` or any of its ranges is malformed: no digits on
/// either side, an end before its beginning, space within (§14.1.1). A range that begins behind the
/// end, or the last 0 bytes, is valid but selects nothing; if all are like that the field cannot be
/// satisfied (§14.1.2). A number may have any number of digits. Of an empty representation nothing
/// can be selected, and a 416 would tell clients that ask for a range of everything that it is
/// broken: the field is ignored.
///
/// Ranges that overlap, touch or leave a gap smaller than [`PART_COST`] become one, in the place of
/// the first of them; otherwise the order is the client's, which may want the end first
/// (§15.3.7.2).
///
/// **Amplification.** No request makes the server send much more than one without Range would. The
/// field is ignored, as §14.2 allows, if it asks for more than [`MAX_RANGES`] ranges, or if the
/// ranges together have more bytes than the representation: some byte is then asked for twice.
/// (Many overlapping ranges, each prepared on its own, once brought servers down: CVE-2011-3192.)
/// What is left is joined as above, so that no byte is sent twice, and every part's head but one
/// takes the place of a gap about as large: a multipart answer is about as long as the whole
/// at the most, plus one head.
#[must_use]
pub fn select(value: &[u8], length: u64) -> Selection {
    let Some(set) = byte_range_set(value).filter(|_| length > 0) else { return Selection::Whole };
    let mut ranges = Ranges { ranges: [Range::default(); MAX_RANGES], count: 0 };
    let mut asked = 0;
    let mut left = length;
    for spec in fields::list(set) {
        asked += 1;
        let Some(spec) = Spec::parse(spec) else { return Selection::Whole };
        if asked > MAX_RANGES {
            return Selection::Whole;
        }
        if let Some(range) = spec.within(length) {
            let Some(rest) = left.checked_sub(range.length()) else { return Selection::Whole };
            left = rest;
            ranges.push(range);
        }
    }
    // A set without any range is malformed.
    if asked == 0 {
        return Selection::Whole;
    }
    if ranges.is_empty() {
        return Selection::Unsatisfiable;
    }
    ranges.coalesce();
    Selection::Ranges(ranges)
}

/// Writes the field line of a part: `Content-Range: bytes 0-9/100` (RFC 9110 §14.4).
pub fn write_content_range(out: &mut Vec<u8>, range: Range, length: u64) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(b"Content-Range: bytes ");
    for (number, end) in [(range.first, b"-"), (range.last, b"/")] {
        out.extend_from_slice(digits.format(number).as_bytes());
        out.extend_from_slice(end);
    }
    out.extend_from_slice(digits.format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the field line of a 416: `Content-Range: bytes */100` (RFC 9110 §15.5.17).
pub fn write_unsatisfied(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Range: bytes */");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

const BOUNDARY_LENGTH: usize = 16;
const MULTIPART: &[u8; 31] = b"multipart/byteranges; boundary=";

/// What stands between the parts of a `multipart/byteranges` answer (RFC 9110 §14.6), and with it
/// the whole frame: for each range its part head and then its bytes, and the end behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary([u8; BOUNDARY_LENGTH]);

impl Boundary {
    /// The boundary that `number` names: its sixteen hexadecimal digits. The number is to be one
    /// that nobody could know when the content was written, or the content might contain it.
    #[must_use]
    pub fn new(number: u64) -> Boundary {
        let mut digits = [0; BOUNDARY_LENGTH];
        for (digit, shift) in digits.iter_mut().rev().zip((0..).step_by(4)) {
            *digit = b"0123456789abcdef"[(number >> shift & 0xf) as usize];
        }
        Boundary(digits)
    }

    /// The answer's own Content-Type.
    #[must_use]
    pub fn media_type(&self) -> [u8; MULTIPART.len() + BOUNDARY_LENGTH] {
        let mut value = [0; MULTIPART.len() + BOUNDARY_LENGTH];
        value[..MULTIPART.len()].copy_from_slice(MULTIPART);
        value[MULTIPART.len()..].copy_from_slice(&self.0);
        value
    }

    /// Writes what stands before the bytes of `range`, one part of a representation of `length`
    /// bytes and of `media_type`, if that is not empty.
    ///
    /// The line end before the delimiter closes the part before; before the first part it is a
    /// preamble, and ignored (RFC 2046 §5.1.1).
    pub fn write_part_head(&self, out: &mut Vec<u8>, range: Range, length: u64, media_type: &[u8]) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(&self.0);
        out.extend_from_slice(b"\r\n");
        if !media_type.is_empty() {
            fields::write(out, "Content-Type", media_type);
        }
        write_content_range(out, range, length);
        out.extend_from_slice(b"\r\n");
    }

    /// Writes what stands behind the last part.
    pub fn write_end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(&self.0);
        out.extend_from_slice(b"--\r\n");
    }

    /// The Content-Length of the whole answer. The frame is written for it and measured; the bytes
    /// of the parts are only counted.
    #[must_use]
    pub fn content_length(&self, ranges: &[Range], length: u64, media_type: &[u8]) -> u64 {
        let mut frame = Vec::new();
        for &range in ranges {
            self.write_part_head(&mut frame, range, length, media_type);
        }
        self.write_end(&mut frame);
        let bytes = ranges.iter().map(|range| range.length());
        bytes.fold(frame.len() as u64, u64::saturating_add)
    }
}

impl Ranges {
    /// Adds a range; there is room for [`MAX_RANGES`].
    fn push(&mut self, range: Range) {
        self.ranges[self.count] = range;
        self.count += 1;
    }

    /// Joins ranges that are near each other, until none are.
    fn coalesce(&mut self) {
        while let Some((at, later)) = self.near_pair() {
            self.ranges[at] = join(self.ranges[at], self.ranges[later]);
            self.ranges.copy_within(later + 1..self.count, later);
            self.count -= 1;
        }
        // What lies behind the count is never seen, but it is compared.
        self.ranges[self.count..].fill(Range::default());
    }

    /// Two ranges that are to become one, the earlier place first.
    fn near_pair(&self) -> Option<(usize, usize)> {
        let pairs = (1..self.count).flat_map(|later| (0..later).map(move |at| (at, later)));
        pairs.into_iter().find(|&(at, later)| is_near(self.ranges[at], self.ranges[later]))
    }
}

/// Whether two ranges overlap, touch, or have less than [`PART_COST`] bytes between them.
fn is_near(one: Range, other: Range) -> bool {
    let (low, high) = if one.first <= other.first { (one, other) } else { (other, one) };
    high.first.saturating_sub(low.last) <= PART_COST
}

/// The range from the beginning of both to the end of both.
fn join(one: Range, other: Range) -> Range {
    Range { first: one.first.min(other.first), last: one.last.max(other.last) }
}

/// What follows `bytes=`; units have no case (RFC 9110 §14.1).
fn byte_range_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, set) = value.split_at_checked(b"bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

/// One range as asked for (RFC 9110 §14.1.2), before it meets a representation.
#[derive(Clone, Copy)]
enum Spec {
    /// From a byte on to another one, or to the end.
    From { first: u64, last: u64 },
    /// So many bytes at the end.
    Suffix(u64),
}

impl Spec {
    /// `None` if it is malformed.
    fn parse(spec: &[u8]) -> Option<Spec> {
        let dash = spec.iter().position(|&byte| byte == b'-')?;
        let (before, after) = (&spec[..dash], &spec[dash + 1..]);
        if before.is_empty() {
            return number(after).map(Spec::Suffix);
        }
        let first = number(before)?;
        if after.is_empty() {
            return Some(Spec::From { first, last: u64::MAX });
        }
        let last = number(after)?;
        // Not by the values: two that are too large for a u64 would look the same.
        (magnitude(before) <= magnitude(after)).then_some(Spec::From { first, last })
    }

    /// The bytes it selects of `length`, if any.
    fn within(self, length: u64) -> Option<Range> {
        let end = length.checked_sub(1)?;
        match self {
            Spec::From { first, .. } if first > end => None,
            Spec::From { first, last } => Some(Range { first, last: last.min(end) }),
            Spec::Suffix(0) => None,
            Spec::Suffix(count) => Some(Range { first: length.saturating_sub(count), last: end }),
        }
    }
}

/// A number of decimal digits, at least one. What is larger than a u64 becomes the largest: as a
/// position it is behind the end of everything either way.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append =
        |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, append))
}

/// What orders decimal numbers of any size: the count of digits without leading zeros, then these.
fn magnitude(digits: &[u8]) -> (usize, &[u8]) {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    (digits.len() - zeros, &digits[zeros..])
}

#[cfg(test)]
mod tests;
