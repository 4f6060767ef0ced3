//! The files that are asked for, kept open or in memory, with all that is needed to answer for them
//! again without asking the routes or the file system; and the paths where nothing is. What the
//! answers are is not known here.
//!
//! *Invariant:* what has changed is not used by a request that came in after the change, where
//! `watch.rs` can tell; elsewhere not for longer than a second, or ten where it should have told.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::num::NonZeroU64;
use std::rc::Rc;

use foldhash::fast::RandomState;
use lru::LruCache;

use super::Now;
use super::files::{Again, Sighted};
use super::representation::{Content, Representation};
use super::rule::Rule;
use super::watch::{Lead, Trail, Watches};
use crate::http::date::UnixSeconds;
use crate::http::negotiation::Coding;

/// How long an entry is used without a look at the file system, where not all is told of what may
/// change. It is so for every new one: whether all is told, the first look says.
const CHECK_AFTER_MS: u64 = 1000;

/// The same where all is told. What still is not: see [`super::watch`].
const CHECK_TOLD_AFTER_MS: u64 = 10_000;

/// A longer path is looked up each time, for what is kept of those where nothing is was made up by
/// clients.
const MAX_ABSENT_PATH: usize = 512;

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
    /// Bytes of a file that is kept in memory, at the most, and never more than `content_bytes`. A
    /// larger one is kept open. It is read at once, and meanwhile everybody waits.
    pub file_bytes: usize,
    /// Paths where nothing is. They have no part in `entries`, so that no flood of them pushes out
    /// a file.
    pub absences: usize,
    /// Directories that are watched for changes. Without a watch a file is compared with what is
    /// kept of it once a second, with one that tells all every ten seconds.
    pub directories: usize,
}

impl Default for CacheLimits {
    /// 1024 files, 512 of them open, and 32 MiB of those up to 64 KiB; 256 paths where nothing is;
    /// 1024 directories.
    fn default() -> Self {
        CacheLimits {
            entries: 1024,
            descriptors: 512,
            content_bytes: 32 << 20,
            file_bytes: 64 << 10,
            absences: 256,
            directories: 1024,
        }
    }
}

/// What is kept for a path, weighed.
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// Something that does not hold any more.
    Stale,
    /// Something that holds.
    Current(Rc<Entry>),
}

impl Known {
    /// Weighs what was [found](Cache::find) for `path`, for a request that had come in by `now`.
    pub(super) fn weigh(
        found: Option<Rc<Entry>>,
        path: &[u8],
        watches: &Watches,
        now: Now,
    ) -> Known {
        match found {
            None => Known::Nothing,
            Some(entry) if entry.is_current(path, watches, now) => Known::Current(entry),
            Some(_) => Known::Stale,
        }
    }
}

/// What one path has led to.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) rule: Rc<Rule>,
    /// In the server's order of preference, and the codings of each. None where nothing is.
    variants: Vec<Representation>,
    codings: Vec<Coding>,
    /// What was seen on the way; all of it must still be so.
    sighted: Vec<Sighted>,
    /// The directories in which it was seen, if they are watched.
    trail: RefCell<Option<Trail>>,
    check_at_ms: Cell<u64>,
    /// Until then what was read may be older than it looks.
    young_until: Option<UnixSeconds>,
}

impl Entry {
    /// What was found at `now`, once `trail` had been taken.
    pub(super) fn new(
        rule: Rc<Rule>,
        variants: Vec<(Coding, Representation)>,
        sighted: Vec<Sighted>,
        trail: Option<Trail>,
        now: Now,
    ) -> Entry {
        let youngest =
            sighted.iter().filter_map(|one| one.facts).map(|facts| facts.changed.seconds);
        let youngest = UnixSeconds::try_from(youngest.max().unwrap_or(0)).unwrap_or(0);
        // A change in the future was made by another clock than ours: it stays young until then.
        let young_until = youngest.saturating_add(YOUNG_SECONDS);
        let is_young = now.unix < young_until;
        let (codings, variants) = variants.into_iter().unzip();
        Entry {
            rule,
            variants,
            codings,
            sighted,
            trail: RefCell::new(trail),
            check_at_ms: Cell::new(now.monotonic_ms.saturating_add(CHECK_AFTER_MS)),
            young_until: is_young.then_some(young_until),
        }
    }

    /// Whether it still holds at `now`, for a request that had come in by then.
    fn is_current(&self, path: &[u8], watches: &Watches, now: Now) -> bool {
        let is_untouched = self.trail.borrow().as_ref().is_none_or(|trail| {
            watches.listen(now);
            trail.is_untouched()
        });
        let is_checked = now.monotonic_ms < self.check_at_ms.get();
        (is_untouched && is_checked) || self.check(path, is_untouched, watches, now)
    }

    /// Looks whether all is as it was. If so it can be used for another while.
    fn check(&self, path: &[u8], is_untouched: bool, watches: &Watches, now: Now) -> bool {
        let Some((files, below)) = self.rule.files(path) else { return false };
        // What is young may have changed and look the same.
        if self.young_until.is_some_and(|until| !is_untouched || now.unix >= until) {
            return false;
        }
        let is_told = self.trail.borrow().is_some() && is_untouched;
        if !is_told && self.young_until.is_none() {
            let trail = match files.lead(below, watches, now) {
                Lead::Watched(trail) | Lead::Nowhere(trail) => Some(trail),
                Lead::Unwatched if self.is_absence() => return false,
                Lead::Unwatched => None,
            };
            self.trail.replace(trail);
        }
        let check_after_ms = match files.look_again(&self.sighted) {
            Again::Changed => return false,
            Again::SameAndSingle if self.tells_all() => CHECK_TOLD_AFTER_MS,
            Again::Same | Again::SameAndSingle => CHECK_AFTER_MS,
        };
        self.check_at_ms.set(now.monotonic_ms.saturating_add(check_after_ms));
        true
    }

    /// Whether whatever may change on the way to it is told.
    fn tells_all(&self) -> bool {
        // What is young is read again soon, since a look at it does not say enough.
        self.young_until.is_none() && self.trail.borrow().as_ref().is_some_and(Trail::tells_all)
    }

    /// Whether nothing is there.
    pub(super) fn is_absence(&self) -> bool {
        self.variants.is_empty()
    }

    /// Whether it may be kept. What is new must not be missed where nothing was.
    fn is_to_be_kept(&self, path: &[u8]) -> bool {
        !self.is_absence() || (path.len() <= MAX_ABSENT_PATH && self.trail.borrow().is_some())
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
    /// Bytes of the largest file that is kept in memory.
    pub(super) file_bytes: u64,
}

#[derive(Debug)]
struct Kept {
    /// By the host's number and then the path.
    entries: LruCache<Box<[u8]>, Rc<Entry>, RandomState>,
    /// The same, where nothing is.
    absences: LruCache<Box<[u8]>, Rc<Entry>, RandomState>,
    /// The paths where nothing was the last time, by their hashes: as many as are kept, each in the
    /// one place for its hash.
    asked: Box<[u64]>,
    hasher: RandomState,
    /// The key that is looked for, put together without an allocation.
    key: Vec<u8>,
    cost: Cost,
    limits: CacheLimits,
}

impl Cache {
    pub(super) fn new(limits: CacheLimits) -> Cache {
        // A hash that is fast and hard to guess is enough: who found two alike would make one
        // bounded table a little slower.
        let hasher = RandomState::default();
        let entries = LruCache::unbounded_with_hasher(hasher.clone());
        let absences = LruCache::unbounded_with_hasher(hasher.clone());
        let asked = vec![0; limits.absences].into();
        let (key, cost) = (Vec::new(), Cost::default());
        let kept = Kept { entries, absences, asked, hasher, key, cost, limits };
        // What leaves no room for itself would be read anew each time.
        let file_bytes = limits.file_bytes.min(limits.content_bytes) as u64;
        Cache { kept: RefCell::new(kept), file_bytes }
    }

    /// What is kept for a path, whether it still holds or not.
    pub(super) fn find(&self, host: usize, path: &[u8]) -> Option<Rc<Entry>> {
        let mut kept = self.kept.borrow_mut();
        let Kept { entries, absences, key, .. } = &mut *kept;
        write_key(key, host, path);
        entries.get(&key[..]).or_else(|| absences.get(&key[..])).map(Rc::clone)
    }

    /// Whether a path where nothing is has been asked for not long ago, and so may be again. What
    /// is asked for once, as by those who try names, is not worth keeping.
    pub(super) fn comes_again(&self, host: usize, path: &[u8]) -> bool {
        let mut kept = self.kept.borrow_mut();
        let Kept { asked, hasher, key, .. } = &mut *kept;
        write_key(key, host, path);
        let hash = hasher.hash_one(&key[..]);
        let Some(places) = NonZeroU64::new(asked.len() as u64) else { return false };
        let place = usize::try_from(hash % places).expect("less than the length of a slice");
        std::mem::replace(&mut asked[place], hash) == hash
    }

    /// Keeps `entry`, if it may be, in place of what was kept for its path.
    pub(super) fn keep(&self, host: usize, path: &[u8], entry: Rc<Entry>) {
        self.forget(host, path);
        if !entry.is_to_be_kept(path) {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        let key = kept.key.as_slice().into();
        if entry.is_absence() {
            kept.absences.push(key, entry);
            if kept.absences.len() > kept.limits.absences {
                kept.absences.pop_lru();
            }
            return;
        }
        kept.add(&entry);
        kept.entries.push(key, entry);
        while kept.is_too_large()
            && let Some((_, old)) = kept.entries.pop_lru()
        {
            kept.subtract(&old);
        }
    }

    /// Forgets what is kept for a path.
    pub(super) fn forget(&self, host: usize, path: &[u8]) {
        let mut kept = self.kept.borrow_mut();
        let Kept { entries, absences, key, .. } = &mut *kept;
        write_key(key, host, path);
        absences.pop(&key[..]);
        if let Some(old) = entries.pop(&key[..]) {
            kept.subtract(&old);
        }
    }

    /// Forgets all.
    pub(super) fn forget_all(&self) {
        let mut kept = self.kept.borrow_mut();
        kept.entries.clear();
        kept.absences.clear();
        kept.cost = Cost::default();
    }

    /// Bytes of content in memory.
    pub(super) fn bytes(&self) -> usize {
        self.kept.borrow().cost.bytes
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

    /// How many paths are known where nothing is.
    pub(super) fn absent(&self) -> usize {
        self.kept.borrow().absences.len()
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
