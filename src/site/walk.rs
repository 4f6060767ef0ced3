//! Opening a path below a directory one component at a time, for kernels without `openat2(2)`.
//!
//! *Invariant:* no component is opened through a symbolic link by the kernel; links are read here
//! and their targets walked like the path itself. So nothing above the directory is ever reached.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

/// As many links as the kernel follows on one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// So deep a path may lead: each level costs a descriptor while it is walked.
const MAX_DEPTH: usize = 64;

/// Opens `path`, relative to `root`, with `flags`. Links are followed if `links`, but not out of
/// `root`: that is `EXDEV`, as from `openat2(2)`.
pub(super) fn open(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    links: bool,
) -> Result<OwnedFd, Errno> {
    // `openat2` counts a path's length with its final NUL.
    if path.len() >= 4096 {
        return Err(Errno::NAMETOOLONG);
    }
    if path.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    let mut walk = Walk { root, below: Vec::new(), ahead: Vec::new(), links: 0 };
    walk.prepend(path);
    while let Some(name) = walk.ahead.pop() {
        match &name[..] {
            b"." => continue,
            b".." => {
                walk.below.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            _ => {}
        }
        if let Some(target) = walk.read_link(&name)? {
            if !links || walk.links == MAX_LINKS {
                return Err(Errno::LOOP);
            }
            if target.starts_with(b"/") {
                return Err(Errno::XDEV);
            }
            walk.links += 1;
            walk.prepend(&target);
        } else if walk.ahead.is_empty() {
            return walk.open_here(&name, flags);
        } else {
            walk.descend(&name)?;
        }
    }
    fs::openat(walk.here(), ".", flags, Mode::empty())
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The directories entered, the innermost last.
    below: Vec<OwnedFd>,
    /// The components still to be walked, the next one last.
    ahead: Vec<Vec<u8>>,
    links: usize,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.below.last().map_or(self.root, AsFd::as_fd)
    }

    /// Puts the components of `path` before those ahead. A slash at its end counts as a `.` behind
    /// it.
    fn prepend(&mut self, path: &[u8]) {
        let components = path.split(|&byte| byte == b'/').rev().enumerate();
        self.ahead.extend(components.filter_map(|(from_end, name)| match name {
            b"" if from_end == 0 => Some(b".".to_vec()),
            b"" => None,
            name => Some(name.to_vec()),
        }));
    }

    /// Where the link `name` leads; `None` if it is no link.
    fn read_link(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        match fs::readlinkat(self.here(), name, Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(Errno::INVAL) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_here(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let opened = fs::openat(self.here(), name, flags | OFlags::NOFOLLOW, Mode::empty());
        // It was no link a moment ago. With O_PATH the link itself was opened, and nothing is read
        // of a link.
        opened.map_err(|error| if error == Errno::LOOP { Errno::AGAIN } else { error })
    }

    fn descend(&mut self, name: &[u8]) -> Result<(), Errno> {
        if self.below.len() == MAX_DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.below.push(self.open_here(name, flags)?);
        Ok(())
    }
}
