//! Being told of changes: directories watched by `inotify(7)`, and trails through them. What stands
//! in them, and who relies on it, is not known here.
//!
//! *Invariant:* a directory is watched before anything in it is looked at. So a change is either
//! seen by the look, or told of afterwards.
//!
//! Not everything is told: not what is written through another name of a file in another directory,
//! or changes behind a symbolic link, or on a file system that others change too; a trail says
//! whether that can be. Nor what is written by `mmap(2)`, through a name that a file gets later or
//! has had, as who made it by link(2) may still hold it open, or what is mounted over a directory:
//! nobody can know. So whoever relies on a trail still looks for himself now and then.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::iter::once;
use std::mem::MaybeUninit;
use std::rc::{Rc, Weak};

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::fstatfs;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::{self, Errno};

use super::Now;
use super::root::{Absence, Facts, Kind, Root};

/// What is to be told of a directory and of the files in it.
const TOLD: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// What concerns only a file: no path leads elsewhere for it.
const ABOUT_CONTENT: ReadFlags =
    ReadFlags::MODIFY.union(ReadFlags::CLOSE_WRITE).union(ReadFlags::ATTRIB);

/// File systems that only this kernel changes, and that it tells all changes of, by the numbers of
/// statfs(2). Not among them are those of the network, those that a program makes (FUSE), those of
/// the kernel's own state, and overlayfs, whose layers others may write to.
const TELLING: [u64; 10] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0xf2f5_2010, // F2FS
    0x2fc1_2fc1, // ZFS
    0xca45_1a4e, // bcachefs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // EROFS
];

/// Bytes of events that are read at once: 128 with short names.
const ROOM: usize = 4 << 10;

/// More events than that are not gone through one by one: everything counts as changed.
const MAX_EVENTS: u32 = 4096;

/// Fewer trails than that are not worth looking whether they are still needed.
const MIN_SWEPT: usize = 64;

/// How long no directory is added after there was no room for one.
const REST_MS: u64 = 1000;

/// The directories on the way to a place, and how often they had changed when it was taken.
#[derive(Debug)]
pub(super) struct Trail {
    way: Way,
    seen: u64,
    tells_all: bool,
}

/// From the root on, which is one of them.
type Way = Rc<[Rc<Directory>]>;

impl Trail {
    fn new(way: Way, tells_all: bool) -> Trail {
        Trail { seen: changes(&way), way, tells_all }
    }

    /// Whether every change is told that is made in the last directory, or on the way to it: that
    /// leads through no link, and lies on file systems that tell.
    pub(super) fn tells_all(&self) -> bool {
        self.tells_all
    }

    /// Whether nothing has been told since it was taken. [`Watches::listen`] comes before it.
    pub(super) fn is_untouched(&self) -> bool {
        changes(&self.way) == self.seen
    }
}

/// Where one is led.
#[derive(Debug)]
pub(super) enum Lead {
    /// To a directory; it is watched, and so are all on the way.
    Watched(Trail),
    /// To one of which nothing will be told, or it could not be looked at.
    Unwatched,
    /// To nothing. The trail is that to the directory where the next one is missing.
    Nowhere(Trail),
}

/// A directory that is watched for as long as somebody holds it.
#[derive(Debug)]
struct Directory {
    inotify: Rc<OwnedFd>,
    watch: i32,
    /// How often something in it, or it itself, got another name or came or went.
    names: Cell<u64>,
    /// How often a file in it has changed.
    content: Cell<u64>,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // If the directory is gone, so is its watch.
        let _ = inotify::remove_watch(&*self.inotify, self.watch);
    }
}

fn add_one(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// How often it may have come to lead elsewhere.
fn renamings(way: &[Rc<Directory>]) -> u64 {
    way.iter().map(|directory| directory.names.get()).sum()
}

/// How often something at its end may have changed.
fn changes(way: &[Rc<Directory>]) -> u64 {
    renamings(way) + way.last().map_or(0, |last| last.content.get())
}

/// All directories that are watched.
#[derive(Debug)]
pub(super) struct Watches {
    state: RefCell<State>,
    /// When it was last listened.
    moment: Cell<Option<u64>>,
}

#[derive(Debug)]
struct State {
    /// So many directories at the most.
    limit: usize,
    inotify: Option<Rc<OwnedFd>>,
    /// By the number of the watch.
    directories: HashMap<i32, Weak<Directory>>,
    /// Where one has been led, by the root's number and then the path below it.
    known: HashMap<Box<[u8]>, Known>,
    /// The key that is looked for, put together without an allocation.
    key: Vec<u8>,
    /// With so many known it is time to look whether they are still needed.
    sweep_at: usize,
    rests_until_ms: u64,
}

/// Where one was led.
#[derive(Debug)]
struct Known {
    way: Way,
    /// Whether the directory itself can be watched. Then it is the last of the way.
    is_watched: bool,
    /// Whether all is told of what changes on the way, as far as it is watched.
    tells_all: bool,
    /// How often those above it had changed.
    above: u64,
}

impl Known {
    /// Whether one would be led there again.
    fn holds(&self) -> bool {
        renamings(&self.way[..self.way.len() - usize::from(self.is_watched)]) == self.above
    }
}

impl Watches {
    /// Of so many directories at the most; with 0 nothing is ever told.
    pub(super) fn new(limit: usize) -> Watches {
        let state = State {
            limit,
            inotify: None,
            directories: HashMap::new(),
            known: HashMap::new(),
            key: Vec::new(),
            sweep_at: MIN_SWEPT.min(limit),
            rests_until_ms: 0,
        };
        Watches { state: RefCell::new(state), moment: Cell::new(None) }
    }

    /// Hears what has been told until now, if that has not been done at this moment.
    pub(super) fn listen(&self, now: Now) {
        if self.moment.replace(Some(now.moment)) != Some(now.moment) {
            self.state.borrow_mut().listen();
        }
    }

    /// Leads to the directory at `below`, relative to `root`.
    pub(super) fn lead(&self, root: &Root, below: &[u8], now: Now) -> Lead {
        self.state.borrow_mut().lead(root, below, now)
    }
}

#[cfg(test)]
impl Watches {
    /// How many directories are watched.
    pub(super) fn held(&self) -> usize {
        self.state.borrow().directories.values().filter(|one| one.strong_count() > 0).count()
    }

    /// As if the system had ended all watches, for what was mounted there is mounted no more.
    pub(super) fn end_all(&self) {
        for directory in self.state.borrow().directories.values().filter_map(Weak::upgrade) {
            inotify::remove_watch(&*directory.inotify, directory.watch).unwrap();
        }
    }

    /// As if the queue had overflowed, so that nothing of what was told is heard but that.
    pub(super) fn overflow(&self) {
        let inotify = self.state.borrow().inotify.clone().expect("something is watched");
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = Reader::new(&*inotify, &mut room);
        while reader.next().is_ok() {}
        self.state.borrow_mut().note(-1, ReadFlags::QUEUE_OVERFLOW);
    }
}

impl State {
    fn listen(&mut self) {
        let Some(inotify) = self.inotify.clone() else { return };
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = Reader::new(&*inotify, &mut room);
        for _ in 0..MAX_EVENTS {
            match reader.next() {
                Ok(event) => self.note(event.wd(), event.events()),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        self.distrust();
    }

    fn note(&mut self, watch: i32, events: ReadFlags) {
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            return self.distrust();
        }
        let Some(directory) = self.directories.get(&watch).and_then(Weak::upgrade) else {
            self.directories.remove(&watch);
            return;
        };
        // What changes about a directory may close the way through it.
        let is_content = ABOUT_CONTENT.intersects(events) && !events.contains(ReadFlags::ISDIR);
        add_one(if is_content { &directory.content } else { &directory.names });
        if events.contains(ReadFlags::IGNORED) {
            // The watch is no more, though the path may lead there still.
            self.directories.remove(&watch);
            self.known.retain(|_, known| known.way.last().is_none_or(|last| last.watch != watch));
        }
    }

    /// Takes everything for changed, for something has been told that was not heard.
    fn distrust(&mut self) {
        for directory in self.directories.values().filter_map(Weak::upgrade) {
            add_one(&directory.names);
        }
        self.known.clear();
    }

    fn lead(&mut self, root: &Root, below: &[u8], now: Now) -> Lead {
        if let Some(known) = self.find(root, below) {
            let trail = || Lead::Watched(Trail::new(Rc::clone(&known.way), known.tells_all));
            return if known.is_watched { trail() } else { Lead::Unwatched };
        }
        let (mut way, mut tells_all) = (Way::from([]), true);
        let slashes = memchr::memchr_iter(b'/', below);
        let ends = once(0).chain(slashes).chain((!below.is_empty()).then_some(below.len()));
        for part in ends.map(|end| &below[..end]) {
            if let Some(known) = self.find(root, part) {
                if !known.is_watched {
                    return Lead::Unwatched;
                }
                (way, tells_all) = (Rc::clone(&known.way), known.tells_all);
                continue;
            }
            if !self.has_room(now) {
                return Lead::Unwatched;
            }
            let above = renamings(&way);
            let directory = match root.directory(part) {
                Ok(directory) => directory,
                // There may be a link that leads nowhere.
                Err(Absence::Missing) => return Lead::Nowhere(Trail::new(way, false)),
                Err(Absence::Forbidden | Absence::Busy | Absence::Failed(_)) => {
                    return Lead::Unwatched;
                }
            };
            tells_all = tells_all && !is_link(root, part) && is_on_telling(&directory);
            let watched = self.watch(&directory);
            let is_watched = watched.is_ok();
            match watched {
                Ok(directory) => way = way.iter().cloned().chain([directory]).collect(),
                Err(Errno::NOSPC | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => {
                    self.rest(now);
                    return Lead::Unwatched;
                }
                // One that must not be read, or there is no /proc.
                Err(_) => {}
            }
            let known = Known { way: Rc::clone(&way), is_watched, tells_all, above };
            write_key(&mut self.key, root, part);
            self.known.insert(self.key.as_slice().into(), known);
            if !is_watched {
                return Lead::Unwatched;
            }
        }
        Lead::Watched(Trail::new(way, tells_all))
    }

    fn find(&mut self, root: &Root, below: &[u8]) -> Option<&Known> {
        write_key(&mut self.key, root, below);
        self.known.get(&self.key[..]).filter(|known| known.holds())
    }

    fn watch(&mut self, directory: &OwnedFd) -> io::Result<Rc<Directory>> {
        let inotify = if let Some(inotify) = &self.inotify {
            inotify
        } else {
            let flags = CreateFlags::NONBLOCK | CreateFlags::CLOEXEC;
            self.inotify.insert(Rc::new(inotify::init(flags)?))
        };
        // The one that was opened, whatever its path may lead to by now.
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let watch = inotify::add_watch(&**inotify, path, TOLD)?;
        if let Some(known) = self.directories.get(&watch).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let (names, content) = (Cell::new(0), Cell::new(0));
        let directory = Rc::new(Directory { inotify: Rc::clone(inotify), watch, names, content });
        self.directories.insert(watch, Rc::downgrade(&directory));
        Ok(directory)
    }

    /// Whether one more directory can be watched, now that those are let go that nobody needs.
    fn has_room(&mut self, now: Now) -> bool {
        if now.monotonic_ms < self.rests_until_ms {
            return false;
        }
        if self.known.len() >= self.sweep_at || self.directories.len() >= self.limit {
            self.sweep();
        }
        let has_room = self.known.len().max(self.directories.len()) < self.limit;
        if !has_room {
            self.rest(now);
        }
        has_room
    }

    fn rest(&mut self, now: Now) {
        self.rests_until_ms = now.monotonic_ms.saturating_add(REST_MS);
    }

    /// Forgets where nobody wants to be led any more.
    fn sweep(&mut self) {
        self.known.retain(|_, known| Rc::strong_count(&known.way) > 1 && known.holds());
        self.directories.retain(|_, directory| directory.strong_count() > 0);
        self.sweep_at = (2 * self.known.len()).max(MIN_SWEPT).min(self.limit);
    }
}

/// Whether the last name of `below` is a symbolic link. The root is held, whatever led to it.
fn is_link(root: &Root, below: &[u8]) -> bool {
    let is_directory = |facts: Facts| facts.kind == Kind::Directory;
    !below.is_empty() && !root.glance_at_name(below).is_some_and(is_directory)
}

/// Whether a directory lies on a file system that tells of all changes.
pub(super) fn is_on_telling(directory: impl AsFd) -> bool {
    let kind = fstatfs(directory).map(|found| u64::try_from(found.f_type));
    kind.is_ok_and(|kind| kind.is_ok_and(|kind| TELLING.contains(&kind)))
}

fn write_key(key: &mut Vec<u8>, root: &Root, below: &[u8]) {
    key.clear();
    key.extend_from_slice(&root.number().to_ne_bytes());
    key.extend_from_slice(below);
}
