//! How numbers, names, errors and bytes are written into a recording, and read again. What they
//! mean there is not known here.
//!
//! A number is written in groups of seven bits, the lowest first; all but the last have the eighth
//! bit set. What has a length is that, and then its bytes.

use std::io;
use std::net::SocketAddr;

use crate::server::listener::Address;
use crate::server::net::Ready;
use crate::server::peers::PeerId;
use crate::server::spawner::Ending;

/// Errors that are no number of the system's, as far as somebody acts on their kind. All others are
/// read again as `Other`.
const KINDS: [io::ErrorKind; 12] = [
    io::ErrorKind::Other,
    io::ErrorKind::WouldBlock,
    io::ErrorKind::Interrupted,
    io::ErrorKind::NotConnected,
    io::ErrorKind::ConnectionRefused,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::TimedOut,
    io::ErrorKind::NotFound,
    io::ErrorKind::InvalidInput,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::Unsupported,
];

/// What can be written into a recording and read again.
pub(super) trait Word: Sized {
    /// Appends it to `out`.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes it from the front of `input`; `None` where it is not there.
    fn get(input: &mut &[u8]) -> Option<Self>;
}

impl Word for () {
    fn put(&self, _: &mut Vec<u8>) {}

    fn get(_: &mut &[u8]) -> Option<()> {
        Some(())
    }
}

impl Word for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn get(input: &mut &[u8]) -> Option<u8> {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        Some(*byte)
    }
}

impl Word for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut left = *self;
        while left >= 0x80 {
            out.push(low_bits(left) | 0x80);
            left >>= 7;
        }
        out.push(low_bits(left));
    }

    fn get(input: &mut &[u8]) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = u8::get(input)?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

/// The seven lowest bits.
fn low_bits(number: u64) -> u8 {
    u8::try_from(number & 0x7f).expect("seven bits are fewer than eight")
}

impl Word for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(*self).put(out);
    }

    fn get(input: &mut &[u8]) -> Option<u32> {
        u64::get(input)?.try_into().ok()
    }
}

impl Word for usize {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u64).put(out);
    }

    fn get(input: &mut &[u8]) -> Option<usize> {
        u64::get(input)?.try_into().ok()
    }
}

/// Its sign stands in the lowest bit, so that small numbers are short on both sides of zero.
impl Word for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<i64> {
        let number = u64::get(input)?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

impl Word for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        i64::from(*self).put(out);
    }

    fn get(input: &mut &[u8]) -> Option<i32> {
        i64::get(input)?.try_into().ok()
    }
}

impl Word for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(input: &mut &[u8]) -> Option<bool> {
        match u8::get(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// Appends `bytes` and how many they are.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.len().put(out);
    out.extend_from_slice(bytes);
}

impl Word for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self, out);
    }

    fn get(input: &mut &[u8]) -> Option<Vec<u8>> {
        let length = usize::get(input)?;
        let (bytes, rest) = input.split_at_checked(length)?;
        *input = rest;
        Some(bytes.to_vec())
    }
}

impl Word for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), out);
    }

    fn get(input: &mut &[u8]) -> Option<String> {
        String::from_utf8(Vec::get(input)?).ok()
    }
}

impl<T: Word> Word for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(word) = self {
            word.put(out);
        }
    }

    fn get(input: &mut &[u8]) -> Option<Option<T>> {
        if bool::get(input)? { T::get(input).map(Some) } else { Some(None) }
    }
}

impl<T: Word> Word for io::Result<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_result(self.as_ref(), out, T::put);
    }

    fn get(input: &mut &[u8]) -> Option<io::Result<T>> {
        match u8::get(input)? {
            0 => T::get(input).map(Ok),
            1 => io::Error::get(input).map(Err),
            _ => None,
        }
    }
}

/// Appends what has come of a call, its success as `put` writes it.
pub(super) fn put_result<T>(
    result: Result<T, &io::Error>,
    out: &mut Vec<u8>,
    put: impl FnOnce(T, &mut Vec<u8>),
) {
    out.push(u8::from(result.is_err()));
    match result {
        Ok(word) => put(word, out),
        Err(error) => error.put(out),
    }
}

impl Word for io::Error {
    fn put(&self, out: &mut Vec<u8>) {
        self.raw_os_error().put(out);
        if self.raw_os_error().is_none() {
            let kind = KINDS.iter().position(|&kind| kind == self.kind()).unwrap_or(0);
            kind.put(out);
            self.to_string().put(out);
        }
    }

    fn get(input: &mut &[u8]) -> Option<io::Error> {
        if let Some(code) = Option::get(input)? {
            return Some(io::Error::from_raw_os_error(code));
        }
        let kind = *KINDS.get(usize::get(input)?)?;
        let text = String::get(input)?;
        let plain = io::Error::from(kind);
        Some(if plain.to_string() == text { plain } else { io::Error::new(kind, text) })
    }
}

impl Word for PeerId {
    fn put(&self, out: &mut Vec<u8>) {
        self.key.put(out);
        self.generation.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<PeerId> {
        Some(PeerId { key: u32::get(input)?, generation: u32::get(input)? })
    }
}

impl Word for Ready {
    fn put(&self, out: &mut Vec<u8>) {
        let Ready { peer, readable, writable, read_closed, broken, fetched } = *self;
        peer.put(out);
        let bits = [readable, writable, read_closed, broken, fetched];
        out.push(bits.iter().rev().fold(0, |all, &bit| all << 1 | u8::from(bit)));
    }

    fn get(input: &mut &[u8]) -> Option<Ready> {
        let (peer, bits) = (PeerId::get(input)?, u8::get(input)?);
        let [readable, writable, read_closed, broken, fetched] =
            [0, 1, 2, 3, 4].map(|at| bits >> at & 1 == 1);
        (bits < 1 << 5).then_some(Ready { peer, readable, writable, read_closed, broken, fetched })
    }
}

/// Appends all of `list` and how many there are.
pub(super) fn put_all<T: Word>(list: &[T], out: &mut Vec<u8>) {
    list.len().put(out);
    for word in list {
        word.put(out);
    }
}

impl Word for Vec<Ready> {
    fn put(&self, out: &mut Vec<u8>) {
        put_all(self, out);
    }

    fn get(input: &mut &[u8]) -> Option<Vec<Ready>> {
        let count = usize::get(input)?;
        (0..count).map(|_| Ready::get(input)).collect()
    }
}

impl Word for Ending {
    fn put(&self, out: &mut Vec<u8>) {
        let (is_killed, number) = match *self {
            Ending::Exited(code) => (false, code),
            Ending::Killed(signal) => (true, signal),
        };
        is_killed.put(out);
        number.put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Ending> {
        let (is_killed, number) = (bool::get(input)?, i32::get(input)?);
        Some(if is_killed { Ending::Killed(number) } else { Ending::Exited(number) })
    }
}

impl Word for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_string().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<SocketAddr> {
        String::get(input)?.parse().ok()
    }
}

impl Word for Address {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_string().put(out);
    }

    fn get(input: &mut &[u8]) -> Option<Address> {
        String::get(input)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn comes_back<T: Word + std::fmt::Debug>(word: &T) -> usize {
        let mut out = Vec::new();
        word.put(&mut out);
        let mut input = &out[..];
        let read = T::get(&mut input).expect("it is there");
        assert_eq!(format!("{read:?}"), format!("{word:?}"));
        assert!(input.is_empty());
        for end in 0..out.len() {
            assert!(T::get(&mut &out[..end]).is_none(), "{word:?} without its end");
        }
        out.len()
    }

    #[test]
    fn what_is_written_is_read_and_nothing_of_it_can_be_missing() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::MAX - 1, u64::MAX] {
            comes_back(&number);
            comes_back(&number.cast_signed());
            comes_back(&number.cast_signed().wrapping_neg());
        }
        assert_eq!(comes_back(&-64_i64), 1);
        comes_back(&i32::MIN);
        comes_back(&Some(true));
        comes_back(&Option::<u64>::None);
        comes_back(&b"abc".to_vec());
        comes_back(&"text".to_owned());
        let peer = PeerId { key: 7, generation: 300 };
        comes_back(&peer);
        let ready = |bits: u8| {
            let is_set = |at: u8| bits >> at & 1 == 1;
            Ready {
                peer,
                readable: is_set(0),
                writable: is_set(1),
                read_closed: is_set(2),
                broken: is_set(3),
                fetched: is_set(4),
            }
        };
        comes_back(&(0..32).map(ready).collect::<Vec<_>>());
        for ending in [Ending::Exited(0), Ending::Exited(255), Ending::Killed(9)] {
            comes_back(&ending);
        }
        for address in ["127.0.0.1:80", "[::1]:8080", "[fe80::1%2]:1"] {
            comes_back(&address.parse::<SocketAddr>().unwrap());
        }
        for address in ["127.0.0.1:80", "unix:/run/a b.sock"] {
            comes_back(&address.parse::<Address>().unwrap());
        }
    }

    #[test]
    fn errors_keep_their_number_their_kind_and_what_they_say() {
        for error in [
            io::Error::from_raw_os_error(24),
            io::ErrorKind::WouldBlock.into(),
            io::Error::new(io::ErrorKind::TimedOut, "the name takes too long"),
            io::Error::other("it cannot be confined"),
        ] {
            let mut out = Vec::new();
            error.put(&mut out);
            let read = io::Error::get(&mut &out[..]).unwrap();
            let facts = |error: &io::Error| (error.raw_os_error(), error.kind());
            assert_eq!(facts(&read), facts(&error));
            assert_eq!(read.to_string(), error.to_string());
        }
        comes_back(&io::Result::Ok(5_u64));
    }

    #[test]
    fn what_cannot_have_been_written_is_not_read() {
        assert_eq!(u64::get(&mut &[0xff; 11][..]), None, "a number that does not end");
        let too_large = [[0xff; 9].as_slice(), &[2]].concat();
        assert_eq!(u64::get(&mut &too_large[..]), None, "a number of 65 bits");
        assert_eq!(bool::get(&mut &[2][..]), None);
        assert_eq!(Vec::<u8>::get(&mut &[200, 1, 7][..]), None, "more bytes than there are");
        assert!(Ready::get(&mut &[1, 1, 32][..]).is_none());
    }
}
