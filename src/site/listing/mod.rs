//! What stands in a directory, as a page and as JSON. The directory itself is read by the caller,
//! who also decides what of it may be seen.

mod html;
mod order;

use crate::http::date::{Stamp, UnixSeconds};
use crate::site::page;
use order::Arrangement;

/// At most this many entries are listed: the first ones that the directory gives. The page says so
/// when there are more.
pub const MAX_ENTRIES: usize = 10_000;

/// The fields of the page. `Accept` chooses between it and JSON.
pub const HTML_FIELDS: &[u8] = page::page_fields!("Vary: Accept\r\n");

/// The fields of the JSON form.
pub const JSON_FIELDS: &[u8] = b"Content-Type: application/json\r\nVary: Accept\r\n";

/// One thing in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name as the file system has it: any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// What it is; for a link, what it leads to.
    pub kind: Kind,
    /// In bytes. Not looked at for directories.
    pub size: u64,
    /// When its content last changed; `None` if that is not known or was before 1970.
    pub modified: Option<UnixSeconds>,
}

/// What an entry is. Nothing else is served, so nothing else is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A directory. They come first, whatever the order.
    Directory,
    /// A regular file.
    File,
}

/// The entries of one directory in the order that was asked for.
#[derive(Clone, Debug)]
pub struct Listing {
    entries: Vec<Entry>,
    arrangement: Arrangement,
    truncated: bool,
}

impl Listing {
    /// Takes up to [`MAX_ENTRIES`] of `entries`, leaves out `.` and `..`, and orders them as the
    /// target's query asks: `sort=name`, `size` or `date` with `order=asc` or `desc`. Without
    /// `order`, names ascend, sizes and dates descend. What else the query says is passed over.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Entry>, query: Option<&str>) -> Self {
        let mut entries = entries.into_iter().filter(|entry| !is_dots(&entry.name));
        let mut taken: Vec<Entry> = entries.by_ref().take(MAX_ENTRIES).collect();
        let arrangement = Arrangement::parse(query.unwrap_or(""));
        taken.sort_unstable_by(|one, other| arrangement.compare(one, other));
        Listing { entries: taken, arrangement, truncated: entries.next().is_some() }
    }

    /// Whether there were more than [`MAX_ENTRIES`].
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// The page, in UTF-8. `path` is where the directory is in the site: decoded, from `/` to `/`.
    ///
    /// All references in it are relative, so it is right behind a proxy that shows the site
    /// elsewhere.
    #[must_use]
    pub fn html(&self, path: &[u8]) -> Vec<u8> {
        html::page(self, path).into_bytes()
    }

    /// A JSON array with an object for each entry, in order: `name`; `type`, which is `"directory"`
    /// or `"file"`; `size` in bytes, files only; `modified`, as in `"2024-02-29T12:00:00Z"`, where
    /// it is known.
    ///
    /// In the name of an entry whose bytes are not UTF-8, U+FFFD stands for each faulty sequence.
    /// Such an object alone has a fifth member, `href`: the name percent-encoded, byte for byte.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.entries.len() * 96);
        out.push(b'[');
        for (at, entry) in self.entries.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"\n" } else { b",\n" });
            push_json(&mut out, entry);
        }
        out.extend_from_slice(b"\n]\n");
        out
    }
}

fn is_dots(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

fn push_json(out: &mut Vec<u8>, entry: &Entry) {
    let name = String::from_utf8_lossy(&entry.name);
    out.extend_from_slice(b"{\"name\":");
    serde_json::to_writer(&mut *out, &name).expect("a string is written to memory");
    out.extend_from_slice(match entry.kind {
        Kind::Directory => b",\"type\":\"directory\"",
        Kind::File => b",\"type\":\"file\",\"size\":",
    });
    if entry.kind == Kind::File {
        out.extend_from_slice(itoa::Buffer::new().format(entry.size).as_bytes());
    }
    if let Some(modified) = entry.modified {
        out.extend_from_slice(b",\"modified\":\"");
        out.extend_from_slice(&Stamp::new(modified).iso());
        out.push(b'"');
    }
    if std::str::from_utf8(&entry.name).is_err() {
        out.extend_from_slice(b",\"href\":\"");
        out.extend_from_slice(html::encoded(&entry.name).to_string().as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29T12:00:00Z.
    pub(super) const LEAP_DAY: UnixSeconds = 1_709_208_000;

    pub(super) fn directory(name: &str) -> Entry {
        entry(name.as_bytes(), Kind::Directory, 4096, LEAP_DAY)
    }

    pub(super) fn file(name: &str, size: u64) -> Entry {
        entry(name.as_bytes(), Kind::File, size, LEAP_DAY)
    }

    pub(super) fn entry(name: &[u8], kind: Kind, size: u64, modified: UnixSeconds) -> Entry {
        Entry { name: name.to_vec(), kind, size, modified: Some(modified) }
    }

    fn json(entries: Vec<Entry>) -> String {
        String::from_utf8(Listing::new(entries, None).json()).expect("JSON is UTF-8")
    }

    #[test]
    fn json_says_what_there_is() {
        let mut undated = file("c \"quoted\"\n", u64::MAX);
        undated.modified = None;
        assert_eq!(
            json(vec![file("b", 0), undated, directory("z")]),
            "[\n\
             {\"name\":\"z\",\"type\":\"directory\",\"modified\":\"2024-02-29T12:00:00Z\"},\n\
             {\"name\":\"b\",\"type\":\"file\",\"size\":0,\"modified\":\"2024-02-29T12:00:00Z\"},\n\
             {\"name\":\"c \\\"quoted\\\"\\n\",\"type\":\"file\",\"size\":18446744073709551615}\n\
             ]\n"
        );
    }

    #[test]
    fn json_of_nothing_is_an_array() {
        let empty: Vec<serde_json::Value> =
            serde_json::from_str(&json(vec![])).expect("an empty array");
        assert!(empty.is_empty());
    }

    #[test]
    fn json_keeps_the_bytes_of_a_name_that_is_not_utf8() {
        let text = json(vec![entry(b"a\xff/b\x80", Kind::File, 1, 0), file("ä", 1)]);
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).expect(&text);
        assert_eq!(all[0]["name"], "a\u{fffd}/b\u{fffd}");
        assert_eq!(all[0]["href"], "a%FF%2Fb%80");
        assert_eq!(all[0]["modified"], "1970-01-01T00:00:00Z");
        assert_eq!(all[1]["name"], "ä");
        assert!(all[1].get("href").is_none());
    }

    #[test]
    fn the_directory_itself_and_its_parent_are_no_entries() {
        let listing = Listing::new([directory("."), directory(".."), directory("...")], None);
        assert_eq!(listing.entries, [directory("...")]);
        assert!(!listing.is_truncated());
    }

    #[test]
    fn there_is_a_limit_and_it_is_said() {
        let many = |count| (0..count).map(|at| file(&at.to_string(), 1));
        let just = Listing::new(many(MAX_ENTRIES), None);
        assert!(!just.is_truncated() && just.entries.len() == MAX_ENTRIES);
        let dots = [directory("."), directory("..")].into_iter();
        let more = Listing::new(many(MAX_ENTRIES).chain(dots.clone()), None);
        assert!(!more.is_truncated());
        let more = Listing::new(many(MAX_ENTRIES + 1).chain(dots), None);
        assert!(more.is_truncated() && more.entries.len() == MAX_ENTRIES);
        let page = String::from_utf8(more.html(b"/")).expect("UTF-8");
        assert!(page.contains("Only 10000 entries are listed"));
        let endless = Listing::new((0..).map(|at: u64| file(&at.to_string(), 1)), None);
        assert!(endless.is_truncated());
    }
}
