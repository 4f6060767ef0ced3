//! A directory that nothing is opened out of: what is in it, by paths below it. What the files are
//! for is not known here.
//!
//! The kernel keeps the promise where it can, by `openat2(2)`; where it cannot (Linux before 5.6,
//! or a sandbox that forbids the call), [`super::walk`] does, one component at a time.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx};
use rustix::fs::{StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::walk;

/// How to open what is to be read. Opening a FIFO does not wait for its other end, and a terminal
/// does not become ours. (`openat2` refuses flags it does not know, so all of these are meant.)
pub(super) const READ: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// How many roots have been opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// How often a lookup that a rename got in the way of is begun again.
const MAX_RACES: u32 = 8;

/// Which symbolic links are followed below a root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// None: a path with a link in it leads nowhere.
    Deny,
    /// Those that stay below the root. An absolute link does not, wherever it points.
    #[default]
    Inside,
    /// All, as the operating system does.
    Follow,
}

/// An opened directory, and the rule by which paths below it are looked up.
#[derive(Debug)]
pub(super) struct Root {
    directory: OwnedFd,
    number: u64,
    path: PathBuf,
    symlinks: Symlinks,
    lookup: Lookup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    Kernel,
    Walk,
}

/// A regular file or a directory, open for reading.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) facts: Facts,
}

/// What tells one version of a file from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: Kind,
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: Instant,
    /// When anything about the file changed last: not to be set back by anyone.
    pub(super) changed: Instant,
    /// It has no other name, and is not mounted there from elsewhere.
    pub(super) is_single: bool,
}

/// A point in time as file systems have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant {
    /// Since 1970; before it where negative.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Regular,
    Directory,
    /// A FIFO, a socket, a device: never read.
    Special,
}

/// Why there is nothing to serve.
#[derive(Debug)]
pub(super) enum Absence {
    /// There is no such file, or it must not be known that there is.
    Missing,
    /// We may not read it, or it is nothing that can be served.
    Forbidden,
    /// There is no descriptor or no memory to open it with: try again later.
    Busy,
    /// The file system failed.
    Failed(io::Error),
}

impl Root {
    /// Opens the directory at `path`.
    pub(super) fn open_directory(path: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(path, flags, Mode::empty())?;
        let lookup = match fs::openat2(&directory, ".", flags, Mode::empty(), ResolveFlags::BENEATH)
        {
            Ok(_) => Lookup::Kernel,
            Err(_) => Lookup::Walk,
        };
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let (path, symlinks) = (path.to_owned(), Symlinks::default());
        Ok(Root { directory, number, path, symlinks, lookup })
    }

    pub(super) fn set_symlinks(&mut self, symlinks: Symlinks) {
        self.symlinks = symlinks;
    }

    pub(super) fn symlinks(&self) -> Symlinks {
        self.symlinks
    }

    /// Goes without the kernel's help from now on.
    #[cfg(test)]
    pub(super) fn walk_always(&mut self) {
        self.lookup = Lookup::Walk;
    }

    /// Where it is, as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells it from all other roots that there are or have been.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Opens the file or directory at `path`, relative to this root and without dot segments; the
    /// root itself if `path` is empty.
    pub(super) fn open(&self, path: &[u8]) -> Result<Opened, Absence> {
        let path = if path.is_empty() { b"." } else { path };
        let file = File::from(self.lookup(path, READ)?);
        let facts = Facts::of_file(&file)?;
        match facts.kind {
            Kind::Regular | Kind::Directory => Ok(Opened { file, facts }),
            Kind::Special => Err(Absence::Forbidden),
        }
    }

    /// What the file at `path` is, without opening it; the promise of this root holds as in
    /// [`Root::open`].
    pub(super) fn facts(&self, path: &[u8]) -> Result<Facts, Absence> {
        let file = self.lookup(path, OFlags::PATH | OFlags::CLOEXEC)?;
        Facts::of_file(file)
    }

    /// The directory at `path`, to be named and not to be read.
    pub(super) fn directory(&self, path: &[u8]) -> Result<OwnedFd, Absence> {
        let path = if path.is_empty() { b"." } else { path };
        self.lookup(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)
    }

    /// Where the file at `path` really is: an absolute path without links, if the kernel says it;
    /// `None` for a directory. Nothing is read; the promise of this root holds as in
    /// [`Root::open`].
    pub(super) fn locate(&self, path: &[u8]) -> Result<Option<PathBuf>, Absence> {
        let path = if path.is_empty() { b"." } else { path };
        let file = self.lookup(path, OFlags::PATH | OFlags::CLOEXEC)?;
        match Facts::of_file(&file)?.kind {
            Kind::Regular => {}
            Kind::Directory => return Ok(None),
            Kind::Special => return Err(Absence::Forbidden),
        }
        let name = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(Some(match fs::readlink(name, Vec::new()) {
            Ok(real) => PathBuf::from(OsString::from_vec(real.into_bytes())),
            // Without `/proc`, as it was asked for.
            Err(_) => self.path.join(OsStr::from_bytes(path)),
        }))
    }

    /// What is at `path` right now, for one call to the kernel and without this root's promise:
    /// good enough to see whether it still is what was opened before.
    pub(super) fn glance(&self, path: &[u8]) -> Option<Facts> {
        statx(&self.directory, path, AtFlags::empty()).ok()
    }

    /// As [`Root::glance`], but what is seen of a link is the link itself.
    pub(super) fn glance_at_name(&self, path: &[u8]) -> Option<Facts> {
        Facts::of_entry(&self.directory, path)
    }

    fn lookup(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Absence> {
        for _ in 0..MAX_RACES {
            match self.try_lookup(path, flags) {
                // A rename somewhere on the way: openat2(2) cannot tell whether we were led out.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(file) => return Ok(file),
            }
        }
        Err(Absence::Busy)
    }

    fn try_lookup(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = match self.symlinks {
            Symlinks::Deny => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            Symlinks::Inside => ResolveFlags::BENEATH,
            Symlinks::Follow => ResolveFlags::empty(),
        } | ResolveFlags::NO_MAGICLINKS;
        match (self.lookup, self.symlinks) {
            (Lookup::Kernel, _) => {
                fs::openat2(&self.directory, path, flags, Mode::empty(), resolve)
            }
            (Lookup::Walk, Symlinks::Follow) => {
                fs::openat(&self.directory, path, flags, Mode::empty())
            }
            (Lookup::Walk, Symlinks::Deny | Symlinks::Inside) => {
                walk::open(self.directory.as_fd(), path, flags, self.symlinks == Symlinks::Inside)
            }
        }
    }
}

impl Facts {
    /// What an open file is.
    pub(super) fn of_file(file: impl AsFd) -> Result<Facts, Absence> {
        Ok(statx(file, b"", AtFlags::EMPTY_PATH)?)
    }

    /// What stands in `directory` under `name`; of a link, the link itself.
    pub(super) fn of_entry(directory: impl AsFd, name: &[u8]) -> Option<Facts> {
        statx(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()
    }
}

fn statx(at: impl AsFd, path: &[u8], flags: AtFlags) -> Result<Facts, Errno> {
    let found = fs::statx(at, path, flags, StatxFlags::BASIC_STATS)?;
    Ok(Facts::from(&found))
}

impl From<&Statx> for Facts {
    fn from(found: &Statx) -> Facts {
        let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile => Kind::Regular,
            FileType::Directory => Kind::Directory,
            _ => Kind::Special,
        };
        Facts {
            kind,
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            size: found.stx_size,
            modified: Instant {
                seconds: found.stx_mtime.tv_sec,
                nanoseconds: found.stx_mtime.tv_nsec,
            },
            changed: Instant {
                seconds: found.stx_ctime.tv_sec,
                nanoseconds: found.stx_ctime.tv_nsec,
            },
            is_single: found.stx_nlink <= 1
                && !found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        }
    }
}

impl From<Errno> for Absence {
    fn from(error: Errno) -> Absence {
        match error {
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::NAMETOOLONG
            // A path may hold any byte; what a file system does not take as a name, it does not
            // have.
            | Errno::INVAL
            | Errno::ILSEQ
            // A link that leads out, a link where none is followed, a circle of links.
            | Errno::XDEV
            | Errno::LOOP => Absence::Missing,
            // ENXIO: a socket, or a device without a driver.
            Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV => Absence::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Absence::Busy,
            error => Absence::Failed(error.into()),
        }
    }
}
