//! A request kept until it can be answered: its head, and content as it comes in. Much content
//! goes into a file that has no name, so that it is gone with the server, however that ends.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use rustix::fs::{MemfdFlags, memfd_create};

use super::kept::Kept;
use crate::http::Refusal;
use crate::http::status::Status;

/// How much content may be kept, of all requests together.
#[derive(Clone, Debug)]
pub(super) struct Budget(Rc<Account>);

/// In bytes: how many there may be, and how many there are. What is kept already may be more than
/// may be kept from now on.
#[derive(Debug)]
struct Account {
    most: Cell<u64>,
    kept: Cell<u64>,
}

impl Budget {
    /// Room for so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Budget(Rc::new(Account { most: Cell::new(bytes), kept: Cell::new(0) }))
    }

    /// From now on there is room for so many bytes.
    pub(super) fn set_room(&self, bytes: u64) {
        self.0.most.set(bytes);
    }

    /// Bytes that are kept.
    pub(super) fn kept(&self) -> u64 {
        self.0.kept.get()
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> u64 {
        self.0.most.get().saturating_sub(self.0.kept.get())
    }

    fn take(&self, bytes: u64) -> bool {
        let kept = self.0.kept.get().saturating_add(bytes);
        let has_room = kept <= self.0.most.get();
        if has_room {
            self.0.kept.set(kept);
        }
        has_room
    }

    fn give_back(&self, bytes: u64) {
        self.0.kept.set(self.0.kept.get() - bytes);
    }
}

/// Bytes of content that are gathered before they are written to a file.
const GATHERED: usize = 64 << 10;

/// The copy of one request.
#[derive(Debug)]
pub(super) struct Spool {
    head: Vec<u8>,
    /// The content, or what is not in the file yet.
    content: Kept,
    /// Where the content is once it is more than may stay in memory.
    file: Option<File>,
    /// Bytes of content.
    length: u64,
    limit: u64,
    in_memory: usize,
    budget: Budget,
}

impl Spool {
    /// Keeps `head`, the bytes of a whole head, and up to `limit` bytes of content in memory.
    #[must_use]
    pub(super) fn new(head: &[u8], limit: u64, budget: &Budget) -> Self {
        Spool {
            head: head.to_vec(),
            content: Kept::default(),
            file: None,
            length: 0,
            limit,
            in_memory: usize::MAX,
            budget: budget.clone(),
        }
    }

    /// Lets content that is more than `bytes` go into a file.
    #[must_use]
    pub(super) fn in_memory(mut self, bytes: usize) -> Self {
        self.in_memory = bytes;
        self
    }

    /// Keeps more content.
    ///
    /// # Errors
    /// 413 once it is more than the limit; 503 where there is no room for it.
    pub(super) fn push(&mut self, content: &[u8]) -> Result<(), Refusal> {
        let more = content.len() as u64;
        if self.length + more > self.limit {
            return Err(too_large());
        }
        if !self.budget.take(more) {
            log::warn!("no room to keep more request content: limits.spool.total is reached");
            return Err(no_room());
        }
        self.length += more;
        self.content.extend_from_slice(content);
        if self.length > self.in_memory as u64 && self.content.len() >= GATHERED {
            return self.write();
        }
        Ok(())
    }

    /// There is no more content: all of it is where it is read from.
    ///
    /// # Errors
    /// 503 where there is no room for it.
    pub(super) fn finish(&mut self) -> Result<(), Refusal> {
        if self.length <= self.in_memory as u64 {
            return Ok(());
        }
        let written = self.write();
        self.content = Kept::default();
        written
    }

    fn write(&mut self) -> Result<(), Refusal> {
        let written = match &mut self.file {
            Some(file) => file.write_all(&self.content),
            file => tempfile::tempfile().and_then(|new| file.insert(new).write_all(&self.content)),
        };
        self.content.clear();
        written.map_err(|error| {
            log::error!("cannot keep request content in a file: {error}");
            no_room()
        })
    }

    /// The head's bytes.
    #[must_use]
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The content so far, where all of it stays in memory.
    #[must_use]
    pub(super) fn content(&self) -> &[u8] {
        debug_assert!(self.file.is_none(), "the content is in a file");
        &self.content
    }

    /// How much content there may be, in bytes.
    #[must_use]
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// How much content there is so far, in bytes.
    #[must_use]
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Copies content from byte `at` on to `buffer`: how much; 0 at its end. To be called behind
    /// [`finish`](Self::finish), as is [`as_file`](Self::as_file).
    ///
    /// # Errors
    /// Those of pread(2).
    pub(super) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(file) = &self.file {
            return file.read_at(buffer, at);
        }
        let at = usize::try_from(at).map_or(self.content.len(), |at| at.min(self.content.len()));
        let count = buffer.len().min(self.content.len() - at);
        buffer[..count].copy_from_slice(&self.content[at..at + count]);
        Ok(count)
    }

    /// All content as a file, at its start; `None` where there is none.
    ///
    /// # Errors
    /// Those of `memfd_create(2)`, dup(2) and write(2).
    pub(super) fn as_file(&self) -> io::Result<Option<File>> {
        let mut file = match &self.file {
            _ if self.length == 0 => return Ok(None),
            Some(file) => file.try_clone()?,
            None => {
                let mut file = File::from(memfd_create("content", MemfdFlags::CLOEXEC)?);
                file.write_all(&self.content)?;
                file
            }
        };
        file.seek(SeekFrom::Start(0))?;
        Ok(Some(file))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.budget.give_back(self.length);
    }
}

/// The refusal of content that is over its limit.
#[must_use]
pub(super) fn too_large() -> Refusal {
    Refusal { status: Status::CONTENT_TOO_LARGE, why: "the content is larger than is taken here" }
}

fn no_room() -> Refusal {
    Refusal { status: Status::SERVICE_UNAVAILABLE, why: "there is no room to keep the content" }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn read(spool: &Spool) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 3];
        while let count @ 1.. = spool.read_at(all.len() as u64, &mut buffer).unwrap() {
            all.extend_from_slice(&buffer[..count]);
        }
        all
    }

    #[test]
    fn content_is_the_same_in_memory_and_in_a_file() {
        let budget = Budget::new(100);
        for in_memory in [0, 4, 5, 100] {
            let mut spool = Spool::new(b"head", 10, &budget).in_memory(in_memory);
            assert!(spool.as_file().unwrap().is_none());
            for piece in ["ab", "", "cde", "fghij"] {
                spool.push(piece.as_bytes()).unwrap();
            }
            spool.finish().unwrap();
            assert_eq!(spool.file.is_some(), in_memory < 10);
            assert_eq!(read(&spool), b"abcdefghij");
            for _ in 0..2 {
                let file = spool.as_file().unwrap().expect("there is content");
                assert_eq!(io::read_to_string(file).unwrap(), "abcdefghij");
            }
            assert_eq!(spool.push(b"k"), Err(too_large()));
        }
    }

    #[test]
    fn little_pieces_are_gathered() {
        let budget = Budget::new(1 << 20);
        let mut spool = Spool::new(b"head", 1 << 20, &budget).in_memory(100);
        for at in 0..3 * GATHERED {
            spool.push(&[u8::try_from(at % 251).unwrap()]).unwrap();
            assert!(spool.content.len() < GATHERED);
        }
        spool.push(b"the end").unwrap();
        spool.finish().unwrap();
        let mut all = Vec::new();
        spool.as_file().unwrap().unwrap().read_to_end(&mut all).unwrap();
        assert_eq!(all.len() as u64, spool.length());
        assert!(all.ends_with(b"the end"));
        assert!(all.iter().zip(0..3 * GATHERED).all(|(&byte, at)| usize::from(byte) == at % 251));
    }

    #[test]
    fn all_together_have_one_budget() {
        let budget = Budget::new(5);
        let mut one = Spool::new(b"", 10, &budget);
        let mut other = Spool::new(b"", 10, &budget);
        one.push(b"abc").unwrap();
        other.push(b"de").unwrap();
        assert_eq!(other.push(b"f"), Err(no_room()));
        drop(one);
        other.push(b"fgh").unwrap();
        // What is kept stays what it is, however little there may be from now on.
        budget.set_room(1);
        assert_eq!((budget.kept(), budget.left()), (5, 0));
    }
}
