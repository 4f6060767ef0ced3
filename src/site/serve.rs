//! Answering with files: the cache first, then the file system, and what to answer where there is
//! no file.

use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;

use super::body::Body;
use super::cache::{Entry, Known};
use super::cold;
use super::files::{Files, Found, Sighting};
use super::handler::{Later, Promise};
use super::listing::{self, Listing};
use super::representation::{Circumstances, Denial, Representation, Unread};
use super::root::{Absence, Opened};
use super::rule::Rule;
use super::watch::{Lead, Trail};
use super::{Answer, Block, Errand, Now, Reply, Site, redirect, redirect_to};
use crate::http::negotiation::{self, Coding};
use crate::http::status::Status;

/// What a path leads to.
enum Loaded {
    /// A file, or what is known of there being none.
    File(Rc<Entry>),
    WithoutSlash,
    Directory(Opened),
    /// A program, by this name in the directory.
    Program(String),
    /// A file whose content is not in memory.
    Cold(Later),
}

impl Loaded {
    /// The file of an entry, if it has one.
    fn file(entry: Rc<Entry>) -> Result<Loaded, Absence> {
        if entry.is_absence() { Err(Absence::Missing) } else { Ok(Loaded::File(entry)) }
    }
}

impl Site {
    /// The answer to a GET or HEAD for a file.
    pub(super) fn serve(&self, errand: &Errand<'_>, files: &Files, known: Known) -> Answer {
        let inquiry = errand.inquiry;
        Answer::Reply(
            match self.load(
                errand.host,
                errand.path,
                errand.rule,
                known,
                inquiry.now,
                inquiry.again,
            ) {
                Ok(Loaded::File(entry)) => self.represent(errand, &entry),
                Ok(Loaded::WithoutSlash) => {
                    let query = errand.inquiry.head.target.query();
                    let reference = redirect::with_slash(errand.path, query);
                    redirect_to(&reference, Status::MOVED_PERMANENTLY, errand.rule)
                }
                Ok(Loaded::Directory(directory)) => list(errand, files, &directory)
                    .unwrap_or_else(|absence| self.absent(errand, absence)),
                Ok(Loaded::Program(name)) => {
                    let path = [errand.path, name.as_bytes()].concat();
                    return self.enter(errand, &path, b"");
                }
                Ok(Loaded::Cold(later)) => return Answer::Later(later),
                Err(absence) => return self.nothing(errand, absence),
            },
        )
    }

    /// The page at `path` of the same host, whatever guards it; its fields are added to `fields`.
    pub(super) fn page(
        &self,
        errand: &Errand<'_>,
        path: &[u8],
        fields: &mut Vec<u8>,
    ) -> Option<Body> {
        let entry = self.find_file(errand, path)?;
        let accepted = negotiation::choose_coding(&errand.inquiry.head.fields, entry.codings());
        let representation = entry.variant(accepted.unwrap_or(Coding::Identity))?;
        fields.extend_from_slice(representation.described());
        Some(representation.body())
    }

    /// The file at `path` of the same host, for another path's answer.
    fn find_file(&self, errand: &Errand<'_>, path: &[u8]) -> Option<Rc<Entry>> {
        let host = errand.host;
        let found = self.cache.find(host, path);
        let known = Known::weigh(found, path, &self.watches, errand.inquiry.now);
        let rule = self.hosts[host].table.rule(path);
        // Where it answers for other paths, it is waited for: that is once, and it is small.
        match self.load(host, path, &rule, known, errand.inquiry.now, true) {
            Ok(Loaded::File(entry)) => Some(entry),
            Ok(
                Loaded::WithoutSlash | Loaded::Directory(_) | Loaded::Program(_) | Loaded::Cold(_),
            )
            | Err(_) => {
                let path = String::from_utf8_lossy(path);
                log::warn!("{path:?} is to answer for other paths, but there is no such file");
                None
            }
        }
    }

    fn load(
        &self,
        host: usize,
        path: &[u8],
        rule: &Rc<Rule>,
        known: Known,
        now: Now,
        waits: bool,
    ) -> Result<Loaded, Absence> {
        let was_known = match known {
            Known::Current(entry) => return Loaded::file(entry),
            Known::Stale => true,
            Known::Nothing => false,
        };
        let (files, below) = rule.files(path).ok_or(Absence::Missing)?;
        let find = || {
            let find = || files.find(below, |name| self.is_program(host, path, name));
            let (trail, found) = match files.lead(below, &self.watches, now) {
                Lead::Watched(trail) => (Some(trail), find()?),
                Lead::Unwatched => (None, find()?),
                // What is in a directory that is missing is missing.
                Lead::Nowhere(trail) => (Some(trail), Found::nothing(below, Vec::new())),
            };
            if matches!(found, Found::Nothing(_)) && !self.cache.comes_again(host, path) {
                return Err(Absence::Missing);
            }
            self.read(found, trail, rule, now, waits)
        };
        let found = match find() {
            // The cache holds descriptors that this request needs more.
            Err(Absence::Busy) if self.cache.close_files() => find(),
            other => other,
        };
        match found {
            Ok(Loaded::File(entry)) => {
                self.cache.keep(host, path, Rc::clone(&entry));
                Loaded::file(entry)
            }
            Ok(
                Loaded::WithoutSlash | Loaded::Directory(_) | Loaded::Program(_) | Loaded::Cold(_),
            )
            | Err(_) => {
                if was_known {
                    self.cache.forget(host, path);
                }
                found
            }
        }
    }

    fn read(
        &self,
        found: Found,
        trail: Option<Trail>,
        rule: &Rc<Rule>,
        now: Now,
        waits: bool,
    ) -> Result<Loaded, Absence> {
        let entry = |representations, sighted| {
            let rule = Rc::clone(rule);
            Loaded::File(Rc::new(Entry::new(rule, representations, sighted, trail, now)))
        };
        let Sighting { path, mut variants, sighted } = match found {
            Found::File(sighting) => sighting,
            Found::Nothing(sighted) => return Ok(entry(Vec::new(), sighted)),
            Found::WithoutSlash => return Ok(Loaded::WithoutSlash),
            Found::Directory(opened) => return Ok(Loaded::Directory(opened)),
            Found::Program(name) => return Ok(Loaded::Program(name)),
        };
        if rule.fields.says("Content-Encoding") {
            // It speaks of the file as it lies there.
            variants.retain(|&(coding, _)| coding == Coding::Identity);
        }
        let varies = variants.len() > 1;
        let mut representations = Vec::with_capacity(variants.len());
        let mut variants = variants.into_iter();
        while let Some((coding, opened)) = variants.next() {
            let circumstances = Circumstances {
                media_type: self.media_types.of(&path),
                coding,
                varies,
                fields: &rule.fields,
                memory: self.cache.file_bytes,
                now: now.unix,
                waits,
            };
            match Representation::new(opened, &circumstances) {
                Ok(representation) => representations.push((coding, representation)),
                Err(Unread::Absence(absence)) => return Err(absence),
                Err(Unread::Cold(file, length)) => {
                    let rest = variants.map(|(_, opened)| (opened.file, opened.facts.size));
                    return have_read(file, length, rest);
                }
            }
        }
        Ok(entry(representations, sighted))
    }

    /// The answer from a file that is there.
    pub(super) fn represent(&self, errand: &Errand<'_>, entry: &Entry) -> Reply {
        let coding = negotiation::choose_coding(&errand.inquiry.head.fields, entry.codings());
        let Some(representation) = coding.and_then(|coding| entry.variant(coding)) else {
            return self.error(errand, Status::NOT_ACCEPTABLE, &[]);
        };
        representation.reply(errand.inquiry, self.secret).unwrap_or_else(|denial| match denial {
            Denial::PreconditionFailed => self.error(errand, Status::PRECONDITION_FAILED, &[]),
            Denial::Unsatisfiable(content_range) => {
                self.error(errand, Status::RANGE_NOT_SATISFIABLE, &content_range)
            }
        })
    }

    /// The answer where nothing is, by whoever else has one.
    pub(super) fn nothing(&self, errand: &Errand<'_>, absence: Absence) -> Answer {
        let instead = match absence {
            Absence::Missing => self.instead(errand),
            Absence::Forbidden | Absence::Busy | Absence::Failed(_) => None,
        };
        instead.unwrap_or_else(|| Answer::Reply(self.absent(errand, absence)))
    }

    /// The answer where nothing is, and no program answers instead.
    pub(super) fn absent(&self, errand: &Errand<'_>, absence: Absence) -> Reply {
        if log::log_enabled!(log::Level::Debug)
            && let Some((files, below)) = errand.rule.files(errand.path)
        {
            let path = String::from_utf8_lossy(errand.path);
            log::debug!("nothing to serve at {path:?}: {}", files.why(below, &absence));
        }
        match absence {
            Absence::Missing => {
                if let Some(fallback) = &errand.rule.fallback
                    && is_navigation(errand)
                    && self.fallback_program(errand.host, errand.rule).is_none()
                    && let Some(entry) = self.find_file(errand, fallback.as_bytes())
                {
                    return self.represent(errand, &entry);
                }
                self.error(errand, Status::NOT_FOUND, &[])
            }
            Absence::Forbidden => self.error(errand, Status::FORBIDDEN, &[]),
            Absence::Busy => {
                log::warn!("there are no descriptors left to open files with");
                self.busy(errand)
            }
            Absence::Failed(error) => {
                log::error!("{:?}: {error}", String::from_utf8_lossy(errand.path));
                self.error(errand, Status::INTERNAL_SERVER_ERROR, &[])
            }
        }
    }
}

/// Has another thread read `length` bytes of `file`, and of the others, which will be wanted then.
fn have_read(
    file: File,
    length: u64,
    others: impl Iterator<Item = (File, u64)>,
) -> Result<Loaded, Absence> {
    for (other, length) in others {
        cold::read_ahead(Arc::new(other), 0, length, Box::new(|| ()));
    }
    let (promise, later) = Promise::new();
    let is_taken = cold::read_ahead(Arc::new(file), 0, length, Box::new(|| promise.ask_again()));
    if is_taken { Ok(Loaded::Cold(later)) } else { Err(Absence::Busy) }
}

/// The page or the data that says what stands in a directory.
fn list(errand: &Errand<'_>, files: &Files, directory: &Opened) -> Result<Reply, Absence> {
    let head = errand.inquiry.head;
    let (_, below) = errand.rule.files(errand.path).ok_or(Absence::Missing)?;
    let listing = Listing::new(files.entries(below, directory)?, head.target.query());
    let (fields, content) = if negotiation::prefers_json(&head.fields) {
        (listing::JSON_FIELDS, listing.json())
    } else {
        (listing::HTML_FIELDS, listing.html(errand.path))
    };
    let mut fields = fields.to_vec();
    errand.rule.fields.complete(&mut fields, false);
    let body = Body::bytes(content.into());
    Ok(Reply { status: Status::OK, fields: Block::Made(fields), body, user: None })
}

/// Whether a browser seems to go to a page here: one that an application shows by itself, as
/// opposed to a file it has forgotten to bring along or to data it asks for.
fn is_navigation(errand: &Errand<'_>) -> bool {
    let name = errand.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let fields = &errand.inquiry.head.fields;
    !name.contains(&b'.')
        && fields.find("Sec-Fetch-Mode").is_none_or(|mode| mode == b"navigate")
        && negotiation::accepts_html(fields)
}
