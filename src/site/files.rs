//! Files below a root: which file a path means, and what stands in a directory. How a file becomes
//! an answer is not known here.

use std::fmt;
use std::path::Path;

use rustix::fs::{Dir, FileType};

use super::Now;
use super::SiteError;
use super::listing;
use super::pattern::Pattern;
use super::root::{Absence, Facts, Instant, Kind, Opened, Root, Symlinks};
use super::watch::{Lead, Watches};
use crate::http::date::UnixSeconds;
use crate::http::negotiation::Coding;

/// The one hidden name that is for everybody to see (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// Files below a directory, and how they are looked up.
///
/// Nothing outside the directory is ever served, unless by a link that [`Symlinks::Follow`] allows.
/// FIFOs, sockets and devices are never read.
#[derive(Debug)]
pub struct Files {
    root: Root,
    whole_path: bool,
    index: Vec<String>,
    listing: bool,
    dotfiles: bool,
    /// In the server's order of preference, Identity last.
    codings: Vec<Coding>,
}

impl Files {
    /// The files below `directory`, which stays the same directory even if it is renamed.
    ///
    /// # Errors
    /// If it cannot be opened or is no directory.
    pub fn new(directory: impl AsRef<Path>) -> Result<Files, SiteError> {
        let directory = directory.as_ref();
        let root = Root::open_directory(directory).map_err(|error| {
            SiteError::new(
                format!("cannot open the directory {}: {error}", directory.display()),
                None,
            )
        })?;
        Ok(Files {
            root,
            whole_path: false,
            index: vec!["index.html".to_owned()],
            listing: false,
            dotfiles: false,
            codings: vec![Coding::Identity],
        })
    }

    /// Whether the whole path is looked up below the directory, whatever the pattern; if not set,
    /// what stands before the pattern's `*` is left out.
    #[must_use]
    pub fn whole_path(mut self, whole_path: bool) -> Files {
        self.whole_path = whole_path;
        self
    }

    /// The names that stand for a directory, the first one there is; `index.html` if not set. One
    /// with a `/` in it is no name, and stands for nothing.
    #[must_use]
    pub fn index<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Files {
        self.index = names.into_iter().map(Into::into).filter(|name| !name.contains('/')).collect();
        self
    }

    /// Whether a directory without an index file is listed; not if not set.
    #[must_use]
    pub fn listing(mut self, listing: bool) -> Files {
        self.listing = listing;
        self
    }

    /// Which symbolic links are followed; [`Symlinks::Inside`] if not set.
    #[must_use]
    pub fn symlinks(mut self, symlinks: Symlinks) -> Files {
        self.root.set_symlinks(symlinks);
        self
    }

    /// Whether names that begin with a dot are served; if not set, only those in `/.well-known/`.
    #[must_use]
    pub fn dotfiles(mut self, dotfiles: bool) -> Files {
        self.dotfiles = dotfiles;
        self
    }

    /// In which codings a file may lie compressed beside itself (`a.css.br` beside `a.css`), the
    /// preferred one first; in none if not set. A compressed file that is older than the file
    /// itself is left alone.
    #[must_use]
    pub fn precompressed(mut self, codings: impl IntoIterator<Item = Coding>) -> Files {
        self.codings.clear();
        for coding in codings.into_iter().chain([Coding::Identity]) {
            if !self.codings.contains(&coding) {
                self.codings.push(coding);
            }
        }
        self
    }

    /// Where the root is, as it was given.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.root.path()
    }

    /// Where `path`, which `pattern` matches, stands below the directory.
    pub(super) fn below<'p>(&self, path: &'p [u8], pattern: &Pattern) -> &'p [u8] {
        if self.whole_path { &path[1..] } else { pattern.rest(path) }
    }

    /// Goes without the kernel's help from now on.
    #[cfg(test)]
    pub(super) fn walk_always(mut self) -> Files {
        self.root.walk_always();
        self
    }

    /// Leads to the directory in which `below` would be looked up. To look only then is to miss no
    /// change.
    pub(super) fn lead(&self, below: &[u8], watches: &Watches, now: Now) -> Lead {
        if !self.dotfiles && is_hidden(below) {
            return Lead::Unwatched;
        }
        let end = memchr::memrchr(b'/', below).unwrap_or(0);
        watches.lead(&self.root, &below[..end], now)
    }

    /// Finds what `below`, a path relative to the root, means. It ends in `/` or is empty where a
    /// directory is meant. Of the names that may stand for a directory, those that `is_program`
    /// says yes to are not files to be read.
    pub(super) fn find(
        &self,
        below: &[u8],
        is_program: impl Fn(&str) -> bool,
    ) -> Result<Found, Absence> {
        if !self.dotfiles && is_hidden(below) {
            return Err(Absence::Missing);
        }
        let mut sighted = Vec::new();
        if below.is_empty() || below.ends_with(b"/") {
            return self.find_in_directory(below, sighted, is_program);
        }
        let opened = match self.root.open(below) {
            Ok(opened) => opened,
            Err(Absence::Missing) => return Ok(Found::nothing(below, sighted)),
            Err(absence) => return Err(absence),
        };
        if opened.facts.kind == Kind::Directory {
            return Ok(Found::WithoutSlash);
        }
        let variants = self.with_siblings(below, opened, &mut sighted);
        Ok(Found::File(Sighting { path: below.into(), variants, sighted }))
    }

    fn find_in_directory(
        &self,
        below: &[u8],
        mut sighted: Vec<Sighted>,
        is_program: impl Fn(&str) -> bool,
    ) -> Result<Found, Absence> {
        for name in &self.index {
            let path = [below, name.as_bytes()].concat();
            if is_program(name) {
                match self.root.facts(&path) {
                    Ok(facts) if facts.kind == Kind::Regular => {
                        return Ok(Found::Program(name.clone()));
                    }
                    Ok(facts) => sighted.push(Sighted::new(&path, Some(facts))),
                    Err(Absence::Missing) => sighted.push(Sighted::new(&path, None)),
                    Err(absence) => return Err(absence),
                }
                continue;
            }
            match self.root.open(&path) {
                Ok(opened) if opened.facts.kind == Kind::Regular => {
                    let variants = self.with_siblings(&path, opened, &mut sighted);
                    return Ok(Found::File(Sighting { path: path.into(), variants, sighted }));
                }
                Ok(opened) => sighted.push(Sighted::new(&path, Some(opened.facts))),
                Err(Absence::Missing) => sighted.push(Sighted::new(&path, None)),
                Err(absence) => return Err(absence),
            }
        }
        if !self.listing {
            return Ok(Found::Nothing(sighted));
        }
        // With its slash: nothing but a directory is opened by that name.
        match self.root.open(below) {
            Ok(opened) => Ok(Found::Directory(opened)),
            Err(Absence::Missing) => Ok(Found::nothing(below, sighted)),
            Err(absence) => Err(absence),
        }
    }

    /// Why [`Files::find`] has found nothing at `below`, in words.
    pub(super) fn why(&self, below: &[u8], absence: &Absence) -> &'static str {
        let path = if below.is_empty() { b"." } else { below };
        match (absence, self.root.facts(path)) {
            (Absence::Missing, _) if !self.dotfiles && is_hidden(below) => {
                "names that begin with a dot are not served"
            }
            (Absence::Missing, Ok(facts)) if facts.kind == Kind::Directory => {
                "it has no index file, and is not listed"
            }
            (Absence::Missing, Err(_)) if self.root.glance(path).is_some() => {
                "a symbolic link on the way is not followed"
            }
            (Absence::Missing, _) => "there is no such file",
            (Absence::Forbidden, Ok(facts)) if facts.kind == Kind::Special => {
                "it is neither a file nor a directory"
            }
            (Absence::Forbidden, _) => "the server may not read it",
            (Absence::Busy, _) => "there are no descriptors left to open it with",
            (Absence::Failed(_), _) => "the file system has failed",
        }
    }

    /// `opened`, the file at `path`, and the compressed files beside it, in the order of
    /// preference.
    fn with_siblings(
        &self,
        path: &[u8],
        opened: Opened,
        sighted: &mut Vec<Sighted>,
    ) -> Vec<(Coding, Opened)> {
        let age = opened.facts.modified;
        sighted.push(Sighted::new(path, Some(opened.facts)));
        let mut variants = Vec::with_capacity(self.codings.len());
        for &coding in self.codings.iter().filter(|&&coding| coding != Coding::Identity) {
            let path = [path, coding.suffix().as_bytes()].concat();
            let sibling = self.root.open(&path).ok();
            sighted.push(Sighted::new(&path, sibling.as_ref().map(|sibling| sibling.facts)));
            if let Some(sibling) = sibling
                && sibling.facts.kind == Kind::Regular
                && !is_older(sibling.facts.modified, age)
            {
                variants.push((coding, sibling));
            }
        }
        variants.push((Coding::Identity, opened));
        variants
    }

    /// Whether everything in `sighted` is as it was.
    pub(super) fn look_again(&self, sighted: &[Sighted]) -> Again {
        let mut again = Again::SameAndSingle;
        for Sighted { path, facts } in sighted {
            if self.root.glance_at_name(path) == *facts {
                if facts.is_some_and(|facts| !facts.is_single) {
                    again = Again::Same;
                }
            } else if self.root.glance(path) == *facts {
                again = Again::Same;
            } else {
                return Again::Changed;
            }
        }
        again
    }

    /// What stands in `directory`, which was found at `below`. No more is read than a listing
    /// shows.
    pub(super) fn entries(
        &self,
        below: &[u8],
        directory: &Opened,
    ) -> Result<Vec<listing::Entry>, Absence> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory.file)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." || (!self.dotfiles && name.starts_with(b".")) {
                continue;
            }
            let facts = match entry.file_type() {
                FileType::RegularFile | FileType::Directory => {
                    Facts::of_entry(&directory.file, name)
                }
                // A link is listed as what it leads to, if it is followed.
                FileType::Symlink | FileType::Unknown => {
                    self.root.facts(&[below, name].concat()).ok()
                }
                _ => None,
            };
            entries.extend(facts.and_then(|facts| listed(name, facts)));
            if entries.len() > listing::MAX_ENTRIES {
                break;
            }
        }
        Ok(entries)
    }
}

/// In words, for `oneloop explain`: the directory, and what is not as it is if nothing is said.
impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files below {}", self.directory().display())?;
        if self.index != ["index.html"] {
            write!(f, ", index {}", self.index.join(" "))?;
        }
        if self.listing {
            f.write_str(", listed")?;
        }
        if self.dotfiles {
            f.write_str(", with dotfiles")?;
        }
        f.write_str(match self.root.symlinks() {
            Symlinks::Deny => ", no link followed",
            Symlinks::Inside => "",
            Symlinks::Follow => ", all links followed",
        })?;
        let mut before = ", precompressed ";
        for coding in self.codings.iter().filter(|&&coding| coding != Coding::Identity) {
            write!(f, "{before}{}", coding.suffix())?;
            before = " ";
        }
        Ok(())
    }
}

/// What a path means.
#[derive(Debug)]
pub(super) enum Found {
    File(Sighting),
    /// A directory, but it was asked for without its slash.
    WithoutSlash,
    /// A directory that is to be listed.
    Directory(Opened),
    /// A directory for which a program stands, by this name in it.
    Program(String),
    /// Nothing, as long as all of this is as it was.
    Nothing(Vec<Sighted>),
}

impl Found {
    /// Nothing is at `below` either.
    pub(super) fn nothing(below: &[u8], mut sighted: Vec<Sighted>) -> Found {
        sighted.push(Sighted::new(below, None));
        Found::Nothing(sighted)
    }
}

/// A file that was found, and all that had a part in finding it.
#[derive(Debug)]
pub(super) struct Sighting {
    /// Where it is, relative to the root.
    pub(super) path: Box<[u8]>,
    /// The file in each coding there is, in the order of preference, Identity last.
    pub(super) variants: Vec<(Coding, Opened)>,
    /// Whatever was looked at. As long as all of it is as it was, the same would be found.
    pub(super) sighted: Vec<Sighted>,
}

/// What is to be said of what was sighted, when it is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Something is not as it was.
    Changed,
    /// All is as it was.
    Same,
    /// And nothing there has another name, or is a link: nobody comes to it but by its directory.
    SameAndSingle,
}

/// What a path below the root led to; nothing, where there are no facts.
#[derive(Debug)]
pub(super) struct Sighted {
    path: Box<[u8]>,
    pub(super) facts: Option<Facts>,
}

impl Sighted {
    fn new(path: &[u8], facts: Option<Facts>) -> Sighted {
        Sighted { path: path.into(), facts }
    }
}

/// Whether a path has a name in it that begins with a dot.
pub(super) fn is_hidden(below: &[u8]) -> bool {
    let mut names = below.split(|&byte| byte == b'/');
    let first = names.next().unwrap_or_default();
    (first.starts_with(b".") && first != WELL_KNOWN) || names.any(|name| name.starts_with(b"."))
}

/// In whole seconds: what one checkout or one copy has written counts as of one age.
fn is_older(one: Instant, other: Instant) -> bool {
    one.seconds < other.seconds
}

fn listed(name: &[u8], facts: Facts) -> Option<listing::Entry> {
    let kind = match facts.kind {
        Kind::Regular => listing::Kind::File,
        Kind::Directory => listing::Kind::Directory,
        Kind::Special => return None,
    };
    let modified = UnixSeconds::try_from(facts.modified.seconds).ok();
    Some(listing::Entry { name: name.to_vec(), kind, size: facts.size, modified })
}
