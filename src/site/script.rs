//! Which script a path means to the program behind a route, and the plan that a program answers by.
//! Who carries the plan out is not known here.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{self, Access, AtFlags, CWD};
use rustix::io::Errno;

use super::files::{Files, Found, is_hidden};
use super::pattern::Pattern;
use super::program::{Cgi, FastCgi, Kind, Plan, Program, Scgi, Scripts};
use super::root::{self, Absence, Root};
use super::rule::KNOWN_METHODS;
use super::watch::{Lead, Trail, Watches};
use super::{Answer, Errand, Now, Site, options};
use crate::gateway::{Script, origin};
use crate::http::framing::Length;
use crate::http::method::Method;
use crate::http::status::Status;

/// How long it is believed of a directory that it is one, where nothing else is told of it.
const CHECK_AFTER_MS: u64 = 1000;

/// So many directories of scripts are known at most; in others it is looked each time.
const MAX_DIRECTORIES: usize = 64;

/// A program that answers, and how its scripts are found.
#[derive(Debug)]
pub(super) struct Finder {
    program: Rc<Program>,
    /// Where scripts are looked for, if they are.
    scripts: Option<Root>,
    /// Absolute: what stands for the host's documents where the program names nothing else.
    documents: Option<PathBuf>,
    /// The directories below its root in which scripts of an application were seen.
    directories: RefCell<Vec<Sighted>>,
}

/// A directory that was seen to be one.
#[derive(Debug)]
struct Sighted {
    below: Box<[u8]>,
    at_ms: u64,
    /// What leads to it, if it is watched.
    trail: Option<Trail>,
}

impl Sighted {
    /// Whether it need not be looked at again.
    fn is_fresh(&self, now: Now) -> bool {
        now.monotonic_ms.saturating_sub(self.at_ms) < CHECK_AFTER_MS
    }
}

impl Finder {
    /// `documents`: where the documents of the host are.
    ///
    /// # Errors
    /// In words, if the program cannot be used.
    pub(super) fn new(mut program: Program, documents: Option<&Path>) -> Result<Finder, String> {
        let mut scripts = None;
        match &mut program.kind {
            Kind::Cgi(Cgi { scripts: Scripts::Below(root), .. }) => {
                let opened = path::absolute(&*root).and_then(|at| {
                    *root = at;
                    Root::open_directory(root)
                });
                let cannot = |error: io::Error| {
                    format!("cannot open the directory {}: {error}", root.display())
                };
                scripts = Some(opened.map_err(cannot)?);
            }
            Kind::Cgi(Cgi { scripts: Scripts::One(file), .. }) => {
                let cannot = |file: &Path, error: io::Error| {
                    format!("the program {} cannot be run: {error}", file.display())
                };
                *file = path::absolute(&*file).map_err(|error| cannot(file, error))?;
                if !file.is_file() {
                    return Err(cannot(file, Errno::NOENT.into()));
                }
                may_be_run(file).map_err(|error| cannot(file, error.into()))?;
            }
            Kind::FastCgi(_) | Kind::Scgi(_) | Kind::Proxy(_) => {}
        }
        if program.kind.upstream().is_some_and(|upstream| upstream.to.is_empty()) {
            return Err("the program is nowhere: it has no endpoint".to_owned());
        }
        let documents = documents.and_then(|documents| path::absolute(documents).ok());
        let directories = RefCell::default();
        Ok(Finder { program: Rc::new(program), scripts, documents, directories })
    }

    pub(super) fn program(&self) -> &Rc<Program> {
        &self.program
    }

    /// The script that is meant by `path`, which `pattern` matches. Without `watches`, all is
    /// looked for anew.
    pub(super) fn find(
        &self,
        path: &[u8],
        pattern: &Pattern,
        watches: Option<(&Watches, Now)>,
    ) -> Result<Script, Absence> {
        let mounted = || Script {
            name: pattern.prefix(path).to_vec(),
            path_info: path[pattern.prefix(path).len()..].to_vec(),
            file: None,
            root: self.documents.clone(),
        };
        Ok(match &self.program.kind {
            Kind::Cgi(Cgi { scripts: Scripts::One(file), .. }) => {
                Script { file: Some(file.clone()), ..mounted() }
            }
            Kind::Cgi(Cgi { scripts: Scripts::Below(_), .. }) => self.first(path, pattern)?,
            Kind::FastCgi(FastCgi { root: Some(root), index, whole_path, .. }) => {
                let below = if *whole_path { &path[1..] } else { pattern.rest(path) };
                let script = elsewhere(root, index.as_deref(), path, below, pattern.suffix())?;
                let lead = &script.name[path.len() - below.len()..];
                if self.stands_behind_file(root, lead, watches) {
                    return Err(Absence::Missing);
                }
                script
            }
            Kind::FastCgi(FastCgi { root: None, .. }) | Kind::Scgi(Scgi { root: None, .. }) => {
                mounted()
            }
            Kind::Scgi(Scgi { root: Some(root), .. }) => {
                Script { root: Some(root.clone()), ..mounted() }
            }
            Kind::Proxy(_) => Script::default(),
        })
    }

    /// Whether what is at `lead` below `root` would be in a file, as `picture.jpg/x.php`: PHP runs
    /// the picture when it is asked for that (`cgi.fix_pathinfo`). Where we see the same files,
    /// nobody gets to ask.
    fn stands_behind_file(
        &self,
        root: &Path,
        lead: &[u8],
        watches: Option<(&Watches, Now)>,
    ) -> bool {
        let look = || {
            let file = root.join(OsStr::from_bytes(lead));
            fs::accessat(CWD, &file, Access::EXISTS, AtFlags::empty())
        };
        let Some((watches, now)) = watches else { return look() == Err(Errno::NOTDIR) };
        let below = &lead[..memchr::memrchr(b'/', lead).unwrap_or(0)];
        let mut directories = self.directories.borrow_mut();
        let known = directories.iter().find(|known| *known.below == *below && known.is_fresh(now));
        if let Some(trail) = known.and_then(|known| known.trail.as_ref()) {
            watches.listen(now);
            if trail.is_untouched() {
                return false;
            }
        }
        let is_known = known.is_some();
        directories.retain(|known| known.is_fresh(now));
        let found = look();
        if found.is_err() || is_known || directories.len() >= MAX_DIRECTORIES {
            return found == Err(Errno::NOTDIR);
        }
        let trail = Root::open_directory(root).ok().and_then(|root| {
            match watches.lead(&root, below, now) {
                Lead::Watched(trail) if trail.tells_all() => Some(trail),
                Lead::Watched(_) | Lead::Unwatched | Lead::Nowhere(_) => None,
            }
        });
        directories.push(Sighted { below: below.into(), at_ms: now.monotonic_ms, trail });
        // It may have become another one before it was watched.
        look() == Err(Errno::NOTDIR)
    }

    /// Below which directory the scripts are, as far as it is known.
    pub(super) fn sources(&self) -> Option<&Path> {
        let own = match &self.program.kind {
            Kind::Cgi(_) => self.scripts.as_ref().map(Root::path),
            Kind::FastCgi(FastCgi { root, .. }) | Kind::Scgi(Scgi { root, .. }) => root.as_deref(),
            Kind::Proxy(_) => None,
        };
        own.or(self.documents.as_deref())
    }

    /// What stands at `path`, which `pattern` matches, where scripts are files that we see.
    pub(super) fn kind(&self, path: &[u8], pattern: &Pattern) -> Option<root::Kind> {
        let seen;
        let (root, below) = match &self.program.kind {
            Kind::Cgi(_) => (self.scripts.as_ref()?, pattern.rest(path)),
            Kind::FastCgi(FastCgi { root: Some(root), whole_path, .. }) => {
                // It may come to be there, or be another one, after each deployment.
                seen = Root::open_directory(root).ok()?;
                (&seen, if *whole_path { &path[1..] } else { pattern.rest(path) })
            }
            Kind::FastCgi(FastCgi { root: None, .. }) | Kind::Scgi(_) | Kind::Proxy(_) => {
                return None;
            }
        };
        if is_hidden(below) {
            return None;
        }
        root.facts(below).ok().map(|facts| facts.kind)
    }

    /// The first file on the way below the root. What stands behind it is for the script to read.
    fn first(&self, path: &[u8], pattern: &Pattern) -> Result<Script, Absence> {
        let root = self.scripts.as_ref().ok_or(Absence::Missing)?;
        let below = pattern.rest(path);
        let start = path.len() - below.len();
        for end in memchr::memchr_iter(b'/', below).chain([below.len()]) {
            let lead = &below[..end];
            if is_hidden(lead) {
                break;
            }
            let Some(file) = root.locate(lead)? else { continue };
            // `/notes.txt/x.py` is no reason to run the notes.
            if !lead.ends_with(pattern.suffix()) {
                break;
            }
            may_be_run(&file)?;
            let (name, path_info) = path.split_at(start + end);
            let documents = self.documents.as_deref().unwrap_or(root.path());
            return Ok(Script {
                name: name.to_vec(),
                path_info: path_info.to_vec(),
                file: Some(file),
                root: Some(documents.to_owned()),
            });
        }
        Err(Absence::Missing)
    }

    /// Why [`Finder::find`] has found nothing, in words.
    pub(super) fn why(absence: &Absence) -> &'static str {
        match absence {
            Absence::Missing => "there is no such script, or it is hidden",
            Absence::Forbidden => "the server may not run it",
            Absence::Busy => "there are no descriptors left to look for it with",
            Absence::Failed(_) => "the file system has failed",
        }
    }
}

/// Whether this process may execute `file`.
fn may_be_run(file: &Path) -> Result<(), Errno> {
    fs::accessat(CWD, file, Access::EXEC_OK, AtFlags::empty())
}

/// The script of an application that may see other files than we do: nothing has to be there.
/// `below` is the end of `path` that leads to it from `root`.
fn elsewhere(
    root: &Path,
    index: Option<&str>,
    path: &[u8],
    below: &[u8],
    suffix: &[u8],
) -> Result<Script, Absence> {
    let start = path.len() - below.len();
    let end = start + script_end(below, index, suffix);
    let (lead, path_info) = path.split_at(end);
    let is_directory = end == start || lead.ends_with(b"/");
    let index = index.filter(|_| is_directory).unwrap_or_default();
    let name = [lead, index.as_bytes()].concat();
    let lead = &name[start..];
    if is_hidden(lead) {
        return Err(Absence::Missing);
    }
    Ok(Script {
        file: Some(root.join(OsStr::from_bytes(lead))),
        name,
        path_info: path_info.to_vec(),
        root: Some(root.to_owned()),
    })
}

/// Where the script ends in `below`: behind the first segment with the ending that scripts have, or
/// nowhere before the path's own end. Scripts end as the index does, else as the pattern.
fn script_end(below: &[u8], index: Option<&str>, suffix: &[u8]) -> usize {
    let own = index.and_then(|index| index.rfind('.').map(|dot| &index.as_bytes()[dot..]));
    let ending = own.unwrap_or(suffix);
    let ends = memchr::memchr_iter(b'/', below).chain([below.len()]);
    let mut ends = ends.filter(|&end| !ending.is_empty() && below[..end].ends_with(ending));
    ends.next().unwrap_or(below.len())
}

impl Site {
    /// What a program needs to know to answer.
    pub(super) fn call(&self, errand: &Errand<'_>) -> Result<Answer, Absence> {
        let Errand { inquiry, path, rule, .. } = *errand;
        let (finder, pattern) = rule.program().ok_or(Absence::Missing)?;
        // RFC 9110 §7.6.2: the last who may have it is the one whom it asks.
        let is_proxy = matches!(finder.program.kind, Kind::Proxy(_));
        if is_proxy && origin::max_forwards(inquiry.head) == Some(0) {
            return Ok(Answer::Reply(options(KNOWN_METHODS, &rule.fields.success)));
        }
        let content_limit = rule.content_limit;
        let find = || finder.find(path, pattern, Some((&self.watches, inquiry.now)));
        if matches!(inquiry.head.length, Some(Length::Known(length)) if length > content_limit) {
            return Ok(Answer::Reply(self.error(errand, Status::CONTENT_TOO_LARGE, &[])));
        }
        let found = match find() {
            // The cache holds descriptors that this request needs more.
            Err(Absence::Busy) if self.cache.close_files() => find(),
            other => other,
        };
        let script = match found {
            Ok(script) => script,
            Err(absence) => {
                let why = Finder::why(&absence);
                log::debug!("no script at {:?}: {why}", String::from_utf8_lossy(path));
                return Err(absence);
            }
        };
        let user = match self.admit_to_script(errand, &script) {
            Ok(user) => user,
            Err(answer) => return Ok(answer),
        };
        Ok(Answer::Gateway(Box::new(Plan {
            program: Rc::clone(finder.program()),
            script,
            path: path.to_vec(),
            content_limit,
            user,
            rule: Rc::clone(rule),
        })))
    }

    /// As [`Site::admit`], for the script that was found: what guards `/admin.py` guards it from
    /// `/admin.py/x` too, and what guards an index guards its directory's path.
    fn admit_to_script(
        &self,
        errand: &Errand<'_>,
        script: &Script,
    ) -> Result<Option<Rc<str>>, Answer> {
        if script.name.is_empty() || script.name == errand.path {
            return Ok(None);
        }
        let rule = self.hosts[errand.host].table.rule(&script.name);
        self.admit(&Errand { path: &script.name, rule: &rule, ..*errand })
    }

    /// Whether it is a program that answers for `name` in the directory at `path`.
    pub(super) fn is_program(&self, host: usize, path: &[u8], name: &str) -> bool {
        let path = [path, name.as_bytes()].concat();
        self.hosts[host].table.rule(&path).program().is_some()
    }

    /// The answer where files themselves do not answer the method: of the program that stands for
    /// the directory at the path, or of whoever answers where nothing is.
    pub(super) fn enter_by(&self, errand: &Errand<'_>, files: &Files) -> Option<Answer> {
        if matches!(errand.inquiry.head.method, Method::Connect | Method::Trace) {
            return None;
        }
        let (_, below) = errand.rule.files(errand.path)?;
        match files.find(below, |name| self.is_program(errand.host, errand.path, name)) {
            Ok(Found::Program(name)) => {
                Some(self.enter(errand, &[errand.path, name.as_bytes()].concat(), b""))
            }
            Ok(Found::Nothing(_)) | Err(Absence::Missing) => self.instead(errand),
            Ok(Found::File(_) | Found::Directory(_) | Found::WithoutSlash)
            | Err(Absence::Forbidden | Absence::Busy | Absence::Failed(_)) => None,
        }
    }

    /// The answer of the program at `path`, which answers for the errand's own path; `path_info` is
    /// what stands behind the script. What holds at either path holds here.
    pub(super) fn enter(&self, errand: &Errand<'_>, path: &[u8], path_info: &[u8]) -> Answer {
        let rule = self.hosts[errand.host].table.rule_of_both(errand.path, path);
        let inner = Errand { path, rule: &rule, ..*errand };
        let user = match self.admit(&inner) {
            Ok(user) => user,
            Err(answer) => return answer,
        };
        let answer = self.call(&inner);
        let mut answer =
            answer.unwrap_or_else(|absence| Answer::Reply(self.absent(&inner, absence)));
        match &mut answer {
            Answer::Reply(reply) => reply.user = user,
            Answer::Gateway(plan) => {
                plan.script.path_info.extend_from_slice(path_info);
                plan.user = plan.user.take().or(user);
            }
            Answer::Content { .. } | Answer::Later(_) => {}
        }
        answer
    }
}

/// In words, for `oneloop explain`: what it is, and where.
impl fmt::Display for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.program.kind {
            Kind::Cgi(Cgi { scripts: Scripts::Below(root), .. }) => {
                return write!(f, "CGI scripts below {}", root.display());
            }
            Kind::Cgi(Cgi { scripts: Scripts::One(file), .. }) => {
                return write!(f, "the CGI program {}", file.display());
            }
            Kind::FastCgi(_) => "FastCGI",
            Kind::Scgi(_) => "SCGI",
            Kind::Proxy(_) => "proxy",
        };
        let to = self.program.kind.upstream().map_or(&[][..], |upstream| &upstream.to);
        let to: Vec<String> = to.iter().map(ToString::to_string).collect();
        write!(f, "{what} to {}", to.join(", "))
    }
}
