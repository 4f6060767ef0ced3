//! Bytes that wait with a peer until it can go on. Whose they are is not known here.
//!
//! Many have a mapping of their own. A burst of clients takes much memory, and all of it is the
//! system's again once they have gone. In the heap it would stay: the allocator gives back only
//! what lies behind the last piece that somebody holds.

use std::ops::Deref;

use memmap2::MmapMut;

/// More bytes than that have a mapping of their own, which is made of whole pages.
const IN_HEAP: usize = 1 << 10;

/// Bytes, to be added to at their end. Nearly all peers keep none, and then it is one word.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<Box<Bytes>>);

#[derive(Debug)]
enum Bytes {
    Heap(Vec<u8>),
    Mapped { room: MmapMut, length: usize },
}

impl Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.0.as_deref() {
            None => &[],
            Some(Bytes::Heap(bytes)) => bytes,
            Some(Bytes::Mapped { room, length }) => &room[..*length],
        }
    }
}

impl Kept {
    /// Adds `more`.
    pub(super) fn extend_from_slice(&mut self, more: &[u8]) {
        let needed = self.len() + more.len();
        match self.0.as_deref_mut() {
            Some(Bytes::Heap(bytes)) if needed <= IN_HEAP => bytes.extend_from_slice(more),
            Some(Bytes::Mapped { room, length }) if needed <= room.len() => {
                room[*length..needed].copy_from_slice(more);
                *length = needed;
            }
            None if needed <= IN_HEAP => self.0 = Some(Box::new(Bytes::Heap(more.to_vec()))),
            Some(Bytes::Heap(_) | Bytes::Mapped { .. }) | None => self.grow(more, needed),
        }
    }

    fn grow(&mut self, more: &[u8], needed: usize) {
        let length = self.len();
        // Twice as much, so that what comes in pieces is not copied for each of them. Pages that
        // are not used are not there.
        let bytes = match MmapMut::map_anon(needed.max(2 * length)) {
            Ok(mut room) => {
                room[..length].copy_from_slice(self);
                room[length..needed].copy_from_slice(more);
                Bytes::Mapped { room, length: needed }
            }
            // There are as many mappings as the system allows.
            Err(_) => Bytes::Heap([&**self, more].concat()),
        };
        self.0 = Some(Box::new(bytes));
    }

    /// Takes all bytes out. The room for them stays.
    pub(super) fn clear(&mut self) {
        match self.0.as_deref_mut() {
            None => {}
            Some(Bytes::Heap(bytes)) => bytes.clear(),
            Some(Bytes::Mapped { length, .. }) => *length = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_in_their_order_wherever_they_lie() {
        for piece in [1, 100, 4096, IN_HEAP, IN_HEAP + 1] {
            let mut kept = Kept::default();
            let mut all = Vec::new();
            for round in 0..2 {
                while all.len() < 5 * IN_HEAP {
                    let at = all.len();
                    all.extend((at..at + piece).map(|at| u8::try_from(at % 251).unwrap()));
                    kept.extend_from_slice(&all[at..]);
                    assert_eq!(kept.len(), all.len());
                }
                assert!(*kept == *all, "pieces of {piece}, round {round}");
                kept.clear();
                assert!(kept.is_empty());
                all.clear();
            }
        }
    }

    #[test]
    fn few_bytes_lie_in_the_heap_and_many_do_not() {
        let mut kept = Kept::default();
        kept.extend_from_slice(&[0; IN_HEAP]);
        assert!(matches!(kept.0.as_deref(), Some(Bytes::Heap(_))));
        kept.extend_from_slice(&[0]);
        assert!(matches!(kept.0.as_deref(), Some(Bytes::Mapped { .. })));
    }
}
