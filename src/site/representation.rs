//! A file as an answer: its validators, its prepared fields, and the 200, 206, 304, 412 or 416 that
//! a request for it gets. How the file was found is not known here.

use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

use super::body::{Body, Parts};
use super::cold;
use super::root::{Absence, Facts, Opened};
use super::route_fields::RouteFields;
use super::{Block, Inquiry, Reply};
use crate::http::conditional::{self, Outcome, Validators};
use crate::http::date::{Stamp, UnixSeconds};
use crate::http::fields;
use crate::http::negotiation::Coding;
use crate::http::range::{self, Boundary, Range, Ranges, Selection};
use crate::http::status::Status;

/// How often a file that changes while it is read is read again.
const MAX_READS: u32 = 3;

/// One file in one coding.
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) content: Content,
    length: u64,
    /// With its quotes; strong.
    pub(super) etag: Box<[u8]>,
    modified: Option<UnixSeconds>,
    media_type: Rc<str>,
    /// The fields of a 200. It begins with `Content-Type` and then what else describes the content:
    /// `type_end` is where the former ends, `described_end` where the latter does. It ends with
    /// `Content-Length`, before which the others end at `fields_end`.
    whole: Rc<[u8]>,
    type_end: usize,
    described_end: usize,
    fields_end: usize,
    not_modified: Rc<[u8]>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Content {
    Memory(Rc<[u8]>),
    Open(Arc<File>),
}

/// What makes the fields of a representation beside the file itself.
pub(super) struct Circumstances<'a> {
    pub(super) media_type: &'a str,
    pub(super) coding: Coding,
    /// Whether it was chosen from several codings.
    pub(super) varies: bool,
    pub(super) fields: &'a RouteFields,
    /// A file of at most so many bytes is kept in memory; a larger one is kept open.
    pub(super) memory: u64,
    pub(super) now: UnixSeconds,
    /// Whether a disk may be waited for.
    pub(super) waits: bool,
}

/// Why a file is not prepared.
#[derive(Debug)]
pub(super) enum Unread {
    /// Its content, of so many bytes, is not in memory.
    Cold(File, u64),
    /// It cannot be read.
    Absence(Absence),
}

impl From<Absence> for Unread {
    fn from(absence: Absence) -> Unread {
        Unread::Absence(absence)
    }
}

/// Why a request for a representation that exists does not get it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// 412
    PreconditionFailed,
    /// 416, with this `Content-Range` line.
    Unsatisfiable(Vec<u8>),
}

impl Representation {
    /// Prepares a file.
    pub(super) fn new(opened: Opened, about: &Circumstances<'_>) -> Result<Self, Unread> {
        let (content, facts) = read(opened, about)?;
        let etag = etag(&facts, about.coding);
        // RFC 9110 §8.8.2.1: never a date that is still to come.
        let modified = UnixSeconds::try_from(facts.modified.seconds).ok();
        let modified = modified.map(|modified| modified.min(about.now));
        let media_type: Rc<str> =
            about.fields.media_type.clone().unwrap_or_else(|| about.media_type.into());

        let mut whole = Vec::new();
        fields::write(&mut whole, "Content-Type", media_type.as_bytes());
        let type_end = whole.len();
        if about.coding != Coding::Identity {
            fields::write(&mut whole, "Content-Encoding", about.coding.as_str().as_bytes());
        }
        let mut vary = Vec::new();
        if about.varies {
            fields::write(&mut vary, "Vary", b"Accept-Encoding");
        }
        whole.extend_from_slice(&vary);
        let described_end = whole.len();
        let mut validators = Vec::new();
        fields::write(&mut validators, "ETag", &etag);
        let not_modified = [&validators, &vary, &*about.fields.not_modified].concat();
        if let Some(modified) = modified {
            fields::write(&mut validators, "Last-Modified", Stamp::new(modified).http());
        }
        whole.extend_from_slice(&validators);
        fields::write(&mut whole, "Accept-Ranges", b"bytes");
        whole.extend_from_slice(&about.fields.success);
        let fields_end = whole.len();
        let length = itoa::Buffer::new().format(facts.size).to_owned();
        fields::write(&mut whole, "Content-Length", length.as_bytes());
        Ok(Representation {
            content,
            length: facts.size,
            etag,
            modified,
            media_type,
            whole: whole.into(),
            type_end,
            described_end,
            fields_end,
            not_modified: not_modified.into(),
        })
    }

    /// The answer to a GET or HEAD. Who does not know `secret` cannot know what stands between
    /// parts.
    pub(super) fn reply(&self, inquiry: &Inquiry<'_>, secret: u64) -> Result<Reply, Denial> {
        let head = inquiry.head;
        if !conditional::is_conditional(&head.fields) {
            return Ok(self.whole());
        }
        let validators = Validators { etag: &self.etag, modified: self.modified };
        match conditional::evaluate(head.method, &head.fields, Some(&validators)) {
            Outcome::Proceed => {}
            Outcome::NotModified => return Ok(self.not_modified()),
            Outcome::Failed => return Err(Denial::PreconditionFailed),
        }
        let now = inquiry.now.unix;
        match conditional::selection(head.method, &head.fields, &validators, now, self.length) {
            Selection::Whole => Ok(self.whole()),
            Selection::Ranges(ranges) => Ok(self.partial(&ranges, secret)),
            Selection::Unsatisfiable => {
                let mut line = Vec::new();
                range::write_unsatisfied(&mut line, self.length);
                Err(Denial::Unsatisfiable(line))
            }
        }
    }

    /// The fields that describe the content, whatever it answers: type, coding, Vary.
    pub(super) fn described(&self) -> &[u8] {
        &self.whole[..self.described_end]
    }

    /// All of the content.
    pub(super) fn body(&self) -> Body {
        self.piece(0, self.length)
    }

    fn whole(&self) -> Reply {
        let fields = Block::Prepared { lines: Rc::clone(&self.whole), end: self.fields_end };
        Reply { status: Status::OK, fields, body: self.body(), user: None }
    }

    fn not_modified(&self) -> Reply {
        let (lines, end) = (Rc::clone(&self.not_modified), self.not_modified.len());
        let fields = Block::Prepared { lines, end };
        Reply { status: Status::NOT_MODIFIED, fields, body: Body::Empty, user: None }
    }

    fn partial(&self, ranges: &Ranges, secret: u64) -> Reply {
        let mut fields = Vec::with_capacity(self.whole.len() + 64);
        let body = if let [range] = **ranges {
            fields.extend_from_slice(&self.whole[..self.fields_end]);
            range::write_content_range(&mut fields, range, self.length);
            self.piece(range.first, range.length())
        } else {
            let mut hasher = DefaultHasher::new();
            (secret, &self.etag).hash(&mut hasher);
            let boundary = Boundary::new(hasher.finish());
            fields::write(&mut fields, "Content-Type", &boundary.media_type());
            fields.extend_from_slice(&self.whole[self.type_end..self.fields_end]);
            self.parts(ranges, boundary)
        };
        Reply { status: Status::PARTIAL_CONTENT, fields: Block::Made(fields), body, user: None }
    }

    fn parts(&self, ranges: &[Range], boundary: Boundary) -> Body {
        let mut parts = Parts::default();
        let mut frame = Vec::new();
        for &range in ranges {
            boundary.write_part_head(&mut frame, range, self.length, self.media_type.as_bytes());
            parts.push(Body::bytes(std::mem::take(&mut frame).into()));
            parts.push(self.piece(range.first, range.length()));
        }
        boundary.write_end(&mut frame);
        parts.push(Body::bytes(frame.into()));
        Body::Parts(Box::new(parts))
    }

    fn piece(&self, offset: u64, left: u64) -> Body {
        match &self.content {
            _ if left == 0 => Body::Empty,
            Content::Memory(bytes) => {
                let index = |at| usize::try_from(at).expect("what is in memory has an index");
                let (at, end) = (index(offset), index(offset + left));
                Body::Bytes { bytes: Rc::clone(bytes), at, end }
            }
            Content::Open(file) => Body::File { file: Arc::clone(file), offset, left },
        }
    }
}

/// Takes a file that is small enough into memory: bytes that belong to the facts that come with
/// them.
fn read(opened: Opened, about: &Circumstances<'_>) -> Result<(Content, Facts), Unread> {
    let Opened { file, mut facts } = opened;
    for _ in 0..MAX_READS {
        if facts.size > about.memory {
            break;
        }
        let size = usize::try_from(facts.size).expect("what fits in memory has an index");
        let mut bytes = vec![0; size];
        let read = if about.waits {
            file.read_exact_at(&mut bytes, 0).map(|()| true)
        } else {
            cold::read_at_hand(&file, &mut bytes, 0)
        };
        let is_whole = match read {
            Ok(true) => true,
            Ok(false) => return Err(Unread::Cold(file, facts.size)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(Absence::Failed(error).into()),
        };
        let since = Facts::of_file(&file)?;
        if is_whole && since == facts {
            return Ok((Content::Memory(bytes.into()), facts));
        }
        // Somebody is writing to it.
        facts = since;
    }
    Ok((Content::Open(Arc::new(file)), facts))
}

/// A strong entity tag: which file it is, how long, of when, and in what coding. The hyphens keep
/// the numbers apart, so that no two versions can run together to one tag.
fn etag(facts: &Facts, coding: Coding) -> Box<[u8]> {
    let mut tag = Vec::with_capacity(64);
    let modified = facts.modified;
    let (seconds, nanoseconds) = (modified.seconds, modified.nanoseconds);
    let written = write!(tag, "\"{:x}-{:x}-{seconds:x}.{nanoseconds:x}", facts.inode, facts.size)
        .and_then(|()| match coding {
            Coding::Identity => Ok(()),
            Coding::Br | Coding::Zstd | Coding::Gzip => write!(tag, "-{}", coding.as_str()),
        });
    written.expect("a vector takes all that is written to it");
    tag.push(b'"');
    tag.into()
}
