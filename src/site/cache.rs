//! The files that are asked for, kept open or in memory, with all that is needed to answer for them
//! again without asking the routes or the file system. What the answers are is not known here.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use lru::LruCache;

use super::Now;
use super::files::Sighted;
use super::representation::{Content, Representation};
use super::rule::Rule;
use crate::http::date::UnixSeconds;
use crate::http::negotiation::Coding;

/// How long an entry is used without a look at the file system.
const CHECK_AFTER_MS: u64 = 1000;

/// File systems tell time in ticks of some milliseconds, so a file can change twice in one and look
/// the same. Content that was read so soon after a change is read once more when that is this long
/// ago.
const YOUNG_SECONDS: u64 = 2;

/// How much may be kept. What was asked for the longest ago goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Files.
    pub entries: usize,
    /// Open descriptors, of files too large to be kept in memory.
    pub descriptors: usize,
    /// Bytes of content in memory.
    pub content_bytes: usize,
}

impl Default for CacheLimits {
    /// 1024 files, 512 of them open, and 32 MiB.
    fn default() -> Self {
        CacheLimits { entries: 1024, descriptors: 512, content_bytes: 32 << 20 }
    }
}

/// What one path has led to.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) rule: Rc<Rule>,
    /// In the server's order of preference, and the codings of each.
    variants: Vec<Representation>,
    codings: Vec<Coding>,
    /// What was seen on the way; all of it must still be so.
    sighted: Vec<Sighted>,
    checked_ms: Cell<u64>,
    /// Until then what was read may be older than it looks.
    young_until: Option<UnixSeconds>,
}

impl Entry {
    /// What was found at `now`.
    pub(super) fn new(
        rule: Rc<Rule>,
        variants: Vec<(Coding, Representation)>,
        sighted: Vec<Sighted>,
        now: Now,
    ) -> Entry {
        let youngest =
            sighted.iter().filter_map(|one| one.facts).map(|facts| facts.changed.seconds);
        let youngest = UnixSeconds::try_from(youngest.max().unwrap_or(0)).unwrap_or(0);
        let young_until = youngest.saturating_add(YOUNG_SECONDS);
        // A change that lies far in the future was not made by a clock that runs like ours.
        let is_young = now.unix < young_until && youngest <= now.unix.saturating_add(YOUNG_SECONDS);
        let (codings, variants) = variants.into_iter().unzip();
        Entry {
            rule,
            variants,
            codings,
            sighted,
            checked_ms: Cell::new(now.monotonic_ms),
            young_until: is_young.then_some(young_until),
        }
    }

    /// Whether it can be used at `now` without another thought.
    pub(super) fn is_checked(&self, now: Now) -> bool {
        now.monotonic_ms.saturating_sub(self.checked_ms.get()) < CHECK_AFTER_MS
    }

    /// Looks whether all is as it was. If so it can be used for another while.
    pub(super) fn check(&self, now: Now, path: &[u8]) -> bool {
        let has_grown_up = self.young_until.is_some_and(|until| now.unix >= until);
        let Some((files, _)) = self.rule.files(path) else { return false };
        let holds = !has_grown_up && files.is_as_sighted(&self.sighted);
        if holds {
            self.checked_ms.set(now.monotonic_ms);
        }
        holds
    }

    /// The codings there are, in the server's order of preference.
    pub(super) fn codings(&self) -> &[Coding] {
        &self.codings
    }

    /// The representation in `coding`, one of those there are.
    pub(super) fn variant(&self, coding: Coding) -> Option<&Representation> {
        let at = self.codings.iter().position(|&known| known == coding)?;
        self.variants.get(at)
    }

    /// What it takes: descriptors and bytes in memory.
    fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for variant in &self.variants {
            match &variant.content {
                Content::Memory(bytes) => cost.bytes += bytes.len(),
                Content::Open(_) => cost.descriptors += 1,
            }
        }
        cost
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    descriptors: usize,
    bytes: usize,
}

/// Entries by host and path.
#[derive(Debug)]
pub(super) struct Cache {
    kept: RefCell<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// By the host's number and then the path.
    entries: LruCache<Box<[u8]>, Rc<Entry>>,
    /// The key that is looked for, put together without an allocation.
    key: Vec<u8>,
    cost: Cost,
    limits: CacheLimits,
}

impl Cache {
    pub(super) fn new(limits: CacheLimits) -> Cache {
        let (entries, key, cost) = (LruCache::unbounded(), Vec::new(), Cost::default());
        Cache { kept: RefCell::new(Kept { entries, key, cost, limits }) }
    }

    /// What is kept for a path, checked or not.
    pub(super) fn find(&self, host: usize, path: &[u8]) -> Option<Rc<Entry>> {
        let mut kept = self.kept.borrow_mut();
        let Kept { entries, key, .. } = &mut *kept;
        write_key(key, host, path);
        entries.get(&key[..]).map(Rc::clone)
    }

    /// Keeps `entry` in place of what was kept for its path.
    pub(super) fn keep(&self, host: usize, path: &[u8], entry: Rc<Entry>) {
        let mut kept = self.kept.borrow_mut();
        write_key(&mut kept.key, host, path);
        let key = kept.key.as_slice().into();
        kept.add(&entry);
        if let Some((_, old)) = kept.entries.push(key, entry) {
            kept.subtract(&old);
        }
        while kept.is_too_large()
            && let Some((_, old)) = kept.entries.pop_lru()
        {
            kept.subtract(&old);
        }
    }

    /// Forgets what is kept for a path.
    pub(super) fn forget(&self, host: usize, path: &[u8]) {
        let mut kept = self.kept.borrow_mut();
        let Kept { entries, key, .. } = &mut *kept;
        write_key(key, host, path);
        if let Some(old) = entries.pop(&key[..]) {
            kept.subtract(&old);
        }
    }

    /// Lets go of every open file, because there are no descriptors left. Whether there were any.
    pub(super) fn close_files(&self) -> bool {
        let mut kept = self.kept.borrow_mut();
        let had = kept.cost.descriptors > 0;
        kept.entries.retain(|_, entry| entry.cost().descriptors == 0);
        kept.cost.descriptors = 0;
        kept.cost.bytes = kept.entries.iter().map(|(_, entry)| entry.cost().bytes).sum();
        had
    }
}

#[cfg(test)]
impl Cache {
    /// How many entries, descriptors and bytes there are.
    pub(super) fn held(&self) -> (usize, usize, usize) {
        let kept = self.kept.borrow();
        let costs: Vec<Cost> = kept.entries.iter().map(|(_, entry)| entry.cost()).collect();
        let descriptors = costs.iter().map(|cost| cost.descriptors).sum();
        let bytes = costs.iter().map(|cost| cost.bytes).sum();
        assert_eq!(kept.cost, Cost { descriptors, bytes }, "the books are wrong");
        (kept.entries.len(), descriptors, bytes)
    }
}

impl Kept {
    fn add(&mut self, entry: &Entry) {
        let cost = entry.cost();
        self.cost.descriptors += cost.descriptors;
        self.cost.bytes += cost.bytes;
    }

    fn subtract(&mut self, entry: &Entry) {
        let cost = entry.cost();
        self.cost.descriptors -= cost.descriptors;
        self.cost.bytes -= cost.bytes;
    }

    fn is_too_large(&self) -> bool {
        self.entries.len() > self.limits.entries
            || self.cost.descriptors > self.limits.descriptors
            || self.cost.bytes > self.limits.content_bytes
    }
}

fn write_key(key: &mut Vec<u8>, host: usize, path: &[u8]) {
    key.clear();
    key.extend_from_slice(&host.to_ne_bytes());
    key.extend_from_slice(path);
}
