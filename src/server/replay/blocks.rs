//! A recording as a file: a line that says what it is, and then blocks, each with its length, its
//! number and two checksums. What the bytes in them mean is not known here.
//!
//! ```text
//! "oneloop recording 2\n"
//! block: length · number · checksum of both · content · checksum of it
//! ```
//!
//! All numbers have four bytes, the lowest first; the first block is number 0. A block's head has a
//! checksum of its own, so that a file that ends too early is told from one whose lengths are
//! damaged.

use std::fmt;
use std::io::{self, ErrorKind, Read};

/// How a recording begins: what it is, and in which form. A new form has another number, and so has
/// one in which the loop asks for other things, or in another order.
pub(super) const MAGIC: &[u8; 20] = b"oneloop recording 2\n";

/// With so many bytes a block is written.
const BLOCK: usize = 64 << 10;

/// No block has more. One call of the loop at most is added to what is less than [`BLOCK`].
const MOST_BLOCK: usize = 64 << 20;

/// Bytes before the content of a block, and behind it.
const HEAD: usize = 12;
const FOOT: usize = 4;

/// Makes blocks of what is noted. Where they go is not known here.
#[derive(Debug)]
pub(super) struct Writer {
    /// The next block: room for its head, and its content.
    block: Vec<u8>,
    number: u32,
    /// Bytes of all blocks before, and of what a recording begins with.
    written: u64,
}

impl Writer {
    /// Begins a recording whose first block is `head`. Returns what is to be written first, too.
    ///
    /// # Errors
    /// Where `head` is too large.
    pub(super) fn begin(head: &[u8]) -> io::Result<(Writer, Vec<u8>)> {
        let mut writer = Writer { block: Vec::new(), number: 0, written: MAGIC.len() as u64 };
        writer.open(Vec::new());
        writer.block.extend_from_slice(head);
        let first = writer.seal(Vec::new())?;
        Ok((writer, [MAGIC, &*first].concat()))
    }

    /// What was not written yet, behind the room for a head. Whoever adds to it looks whether it
    /// [is full](Self::is_full).
    pub(super) fn block(&mut self) -> &mut Vec<u8> {
        &mut self.block
    }

    /// Whether there is nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.block.len() == HEAD
    }

    /// Whether there is enough for a block.
    pub(super) fn is_full(&self) -> bool {
        self.block.len() >= BLOCK
    }

    /// How large the file will be once everything is written, and a block of one byte behind it.
    pub(super) fn size_with_end(&self) -> u64 {
        let open = if self.is_empty() { 0 } else { self.block.len() + FOOT };
        self.written + (open + HEAD + 1 + FOOT) as u64
    }

    /// Makes a block of what there is, to be written; the next one begins in `spare`.
    ///
    /// # Errors
    /// Where there is too much.
    pub(super) fn seal(&mut self, spare: Vec<u8>) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.block.len() - HEAD);
        let Some(length) = length.ok().filter(|&length| length as usize <= MOST_BLOCK) else {
            return Err(io::Error::other("one call of the loop is too large for a block"));
        };
        let mut block = self.open(spare);
        let (head, content) = block.split_at_mut(HEAD);
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..8].copy_from_slice(&self.number.to_le_bytes());
        let sum = crc32fast::hash(&head[..8]);
        head[8..].copy_from_slice(&sum.to_le_bytes());
        let sum = crc32fast::hash(content);
        block.extend_from_slice(&sum.to_le_bytes());
        self.written += block.len() as u64;
        self.number += 1;
        Ok(block)
    }

    /// Begins a block in `spare`. Returns the one before.
    fn open(&mut self, mut spare: Vec<u8>) -> Vec<u8> {
        spare.clear();
        spare.reserve(BLOCK + BLOCK / 2);
        spare.extend_from_slice(&[0; HEAD]);
        std::mem::replace(&mut self.block, spare)
    }
}

/// Why something is no recording, or none any more, and where that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// So many bytes of the file are in order, or cannot be told.
    pub offset: u64,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at offset {}", self.what, self.offset)
    }
}

/// Why a recording cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// It is damaged, or none.
    Damaged(Damage),
    /// The system says so.
    Failed(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Unreadable::Failed(error)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Damaged(damage) => damage.fmt(f),
            Unreadable::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unreadable {}

fn damaged<T>(offset: u64, what: &'static str) -> Result<T, Unreadable> {
    Err(Unreadable::Damaged(Damage { offset, what }))
}

/// Reads blocks, one after the other.
#[derive(Debug)]
pub(super) struct Reader<R> {
    source: R,
    /// The content of the last one that was read, and where it lies in the file.
    pub(super) block: Vec<u8>,
    pub(super) offset: u64,
    number: u32,
    /// How much of the file was read, in whole blocks.
    pub(super) read: u64,
    /// The file ends in the middle of a block.
    pub(super) is_cut: bool,
}

impl<R: Read> Reader<R> {
    /// Reads how a recording begins.
    ///
    /// # Errors
    /// Where it is none, or of another form; those of read(2).
    pub(super) fn begin(mut source: R) -> Result<Reader<R>, Unreadable> {
        let mut magic = [0; MAGIC.len()];
        let length = fill(&mut source, &mut magic)?;
        let same = magic[..length].iter().zip(MAGIC).take_while(|(one, other)| one == other);
        let same = same.count();
        let form = MAGIC.len() - 2;
        if same < form {
            return damaged(same as u64, "this is no recording of oneloop");
        }
        if same < MAGIC.len() {
            let what = "this recording has another form than this oneloop writes: replay it with \
                        the one that has made it";
            return damaged(same as u64, what);
        }
        let read = MAGIC.len() as u64;
        let (block, offset) = (Vec::new(), read);
        Ok(Reader { source, block, offset, number: 0, read, is_cut: false })
    }

    /// Reads the next block; `false` where there is none, or not all of it.
    ///
    /// # Errors
    /// Where it is damaged; those of read(2).
    pub(super) fn advance(&mut self) -> Result<bool, Unreadable> {
        let at = self.read;
        self.block.clear();
        let mut head = [0; HEAD];
        let length = fill(&mut self.source, &mut head)?;
        if length < HEAD {
            self.is_cut = length > 0;
            return Ok(false);
        }
        let (numbers, sum) = head.split_at(8);
        if sum != crc32fast::hash(numbers).to_le_bytes() {
            return damaged(at, "the head of a block is damaged");
        }
        let [length, number] =
            [0, 4].map(|at| u32::from_le_bytes([0, 1, 2, 3].map(|byte| numbers[at + byte])));
        if number != self.number || length as usize > MOST_BLOCK {
            return damaged(at, "a block does not follow the one before");
        }
        let whole = length as usize + FOOT;
        self.block.resize(whole, 0);
        if fill(&mut self.source, &mut self.block)? < whole {
            self.is_cut = true;
            self.block.clear();
            return Ok(false);
        }
        let (content, sum) = self.block.split_at(length as usize);
        self.offset = at + HEAD as u64;
        if sum != crc32fast::hash(content).to_le_bytes() {
            return damaged(self.offset, "a block is damaged");
        }
        self.block.truncate(length as usize);
        self.read = self.offset + whole as u64;
        self.number += 1;
        Ok(true)
    }
}

/// Reads until `bytes` are full or there is nothing more. Returns how many were read.
fn fill(source: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recording of three blocks, and where each of them begins.
    fn recording() -> (Vec<u8>, Vec<usize>) {
        let (mut writer, mut bytes) = Writer::begin(b"head").unwrap();
        let mut begins = vec![MAGIC.len(), bytes.len()];
        writer.block().extend_from_slice(b"one");
        bytes.extend(writer.seal(vec![7; 9]).unwrap());
        begins.push(bytes.len());
        writer.block().extend((0..100).map(|byte| byte * 2));
        bytes.extend(writer.seal(Vec::new()).unwrap());
        assert!(writer.is_empty());
        assert_eq!(writer.size_with_end(), (bytes.len() + HEAD + 1 + FOOT) as u64);
        (bytes, begins)
    }

    /// The blocks of `bytes`, and whether they end in the middle of one.
    fn read(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, bool), Unreadable> {
        let mut reader = Reader::begin(bytes)?;
        let mut blocks = Vec::new();
        while reader.advance()? {
            let at = usize::try_from(reader.offset).unwrap();
            assert_eq!(bytes[at..at + reader.block.len()], reader.block);
            blocks.push(reader.block.clone());
        }
        Ok((blocks, reader.is_cut))
    }

    #[test]
    fn blocks_are_read_as_they_were_written() {
        let (bytes, _) = recording();
        let (blocks, is_cut) = read(&bytes).unwrap();
        assert_eq!(blocks[..2], [b"head".to_vec(), b"one".to_vec()]);
        assert_eq!((blocks.len(), blocks[2].len(), is_cut), (3, 100, false));
    }

    #[test]
    fn each_change_of_one_byte_is_noticed_and_named() {
        let (bytes, begins) = recording();
        for at in 0..bytes.len() {
            for change in [1, 0x20, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= change;
                let Err(Unreadable::Damaged(damage)) = read(&bytes) else {
                    panic!("byte {at} is changed, and nobody notices");
                };
                // The block is named in which it is, or the byte itself.
                let begin = begins.iter().rfind(|&&begin| begin <= at).copied().unwrap_or(at);
                let offset = usize::try_from(damage.offset).unwrap();
                assert!([begin, begin + HEAD].contains(&offset), "{damage} for byte {at}");
            }
        }
    }

    #[test]
    fn a_file_that_ends_too_early_has_its_whole_blocks() {
        let (bytes, begins) = recording();
        for end in MAGIC.len()..bytes.len() {
            let (blocks, is_cut) = read(&bytes[..end]).unwrap();
            assert_eq!(blocks.len(), begins.iter().filter(|&&begin| begin <= end).count() - 1);
            assert_eq!(is_cut, !begins.contains(&end), "{end}");
        }
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let said = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert_eq!(said(b""), "this is no recording of oneloop, at offset 0");
        assert_eq!(said(b"\x7fELF and so on, and so on"), said(b""));
        assert_eq!(said(b"oneloop rec"), "this is no recording of oneloop, at offset 11");
        let other = b"oneloop recording 1\n";
        assert!(said(other).ends_with("with the one that has made it, at offset 18"));
        // Blocks of two recordings, each in order.
        let (bytes, begins) = recording();
        let exchanged = [&bytes[..begins[1]], &bytes[begins[2]..]].concat();
        assert!(said(&exchanged).starts_with("a block does not follow the one before"));
    }
}
