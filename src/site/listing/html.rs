//! A listing as a page: readable without style, sortable without script.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_encode};

use super::order::{Arrangement, Key};
use super::{Entry, Kind, Listing, MAX_ENTRIES};
use crate::http::date::{Stamp, UnixSeconds};
use crate::site::page::{self, readable};

/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as one segment of a path.
pub(super) fn encoded(name: &[u8]) -> PercentEncode<'_> {
    percent_encode(name, RESERVED)
}

/// The whole page for the directory at `path`.
pub(super) fn page(listing: &Listing, path: &[u8]) -> String {
    let segments: Vec<&[u8]> =
        path.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty()).collect();
    let mut page = page::open(&format!("Index of {}", String::from_utf8_lossy(path)), STYLE);
    page.reserve(512 + listing.entries.len() * 256);
    page.push_str("<main>\n<header>\n");
    push_parents(&mut page, &segments);
    push_heading(&mut page, segments.last().copied());
    push_summary(&mut page, listing);
    page.push_str("</header>\n");
    push_table(&mut page, listing, !segments.is_empty());
    page.push_str("</main>\n");
    page::close(&mut page);
    page
}

/// Links to the folders around this one, outermost first.
fn push_parents(page: &mut String, segments: &[&[u8]]) {
    if segments.is_empty() {
        return;
    }
    page.push_str("<nav aria-label=\"Parent folders\">");
    for up in (1..=segments.len()).rev() {
        page.push_str("<a href=\"");
        page.extend(std::iter::repeat_n("../", up));
        page.push_str("\">");
        match segments.len().checked_sub(up + 1) {
            None => page.push_str("Home"),
            Some(at) => push_name(page, segments[at], ""),
        }
        page.push_str("</a> <span aria-hidden=\"true\">/</span> ");
    }
    page.push_str("</nav>\n");
}

fn push_heading(page: &mut String, name: Option<&[u8]>) {
    page.push_str("<h1>");
    match name {
        None => page.push_str("Home"),
        Some(name) => push_name(page, name, ""),
    }
    page.push_str("</h1>\n");
}

/// How much is here; and whether that is not all.
fn push_summary(page: &mut String, listing: &Listing) {
    let files = listing.entries.iter().filter(|entry| entry.kind == Kind::File);
    let bytes = files.clone().fold(0u64, |sum, entry| sum.saturating_add(entry.size));
    let files = files.count();
    let folders = listing.entries.len() - files;
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let mut parts = Vec::new();
    if folders > 0 {
        parts.push(format!("{folders} folder{}", plural(folders)));
    }
    if files > 0 {
        parts.push(format!("{files} file{}", plural(files)));
        parts.push(readable(bytes));
    }
    if parts.is_empty() {
        parts.push("Nothing here".to_owned());
    }
    page.push_str("<p>");
    page.push_str(&parts.join(" · "));
    page.push_str("</p>\n");
    if listing.truncated {
        page.push_str("<p class=\"more\"><strong>There is more.</strong> Only ");
        page.push_str(&MAX_ENTRIES.to_string());
        page.push_str(" entries are listed.</p>\n");
    }
}

fn push_table(page: &mut String, listing: &Listing, has_parent: bool) {
    page.push_str("<table>\n<thead>\n<tr>");
    for (key, title) in [(Key::Name, "Name"), (Key::Size, "Size"), (Key::Date, "Modified (UTC)")] {
        push_column(page, listing.arrangement, key, title);
    }
    page.push_str("</tr>\n</thead>\n<tbody>\n");
    if has_parent {
        page.push_str(
            "<tr class=\"u\"><td><a href=\"../\">Parent folder</a></td><td></td><td></td></tr>\n",
        );
    }
    for entry in &listing.entries {
        push_row(page, entry);
    }
    page.push_str("</tbody>\n</table>\n");
}

/// The head of one column: a link that orders by it, or turns the order round.
fn push_column(page: &mut String, current: Arrangement, key: Key, title: &str) {
    let is_current = current.by == key;
    let descending = if is_current { !current.descending } else { key.descends_first() };
    page.push_str("<th scope=\"col\"");
    if is_current {
        page.push_str(if current.descending {
            " aria-sort=\"descending\""
        } else {
            " aria-sort=\"ascending\""
        });
    }
    page.push_str("><a rel=\"nofollow\" href=\"?sort=");
    page.push_str(key.as_str());
    page.push_str(if descending { "&amp;order=desc\">" } else { "&amp;order=asc\">" });
    page.push_str(title);
    page.push_str("</a></th>");
}

fn push_row(page: &mut String, entry: &Entry) {
    let (class, slash) = match entry.kind {
        Kind::Directory => ("d", "/"),
        Kind::File => ("f", ""),
    };
    page.push_str("<tr class=\"");
    page.push_str(class);
    // Without "./", a name like "a:b" would be read as a reference with a scheme.
    page.push_str("\"><td><a href=\"./");
    page.extend(encoded(&entry.name));
    page.push_str(slash);
    page.push_str("\">");
    push_name(page, &entry.name, slash);
    page.push_str("</a></td><td");
    match entry.kind {
        Kind::Directory => page.push('>'),
        Kind::File => {
            page.push_str(" title=\"");
            page.push_str(itoa::Buffer::new().format(entry.size));
            page.push_str(" bytes\">");
            page.push_str(&readable(entry.size));
        }
    }
    page.push_str("</td><td>");
    match entry.modified {
        Some(modified) => push_time(page, modified),
        // Before 1970, if the file system is to be believed.
        None => page.push('–'),
    }
    page.push_str("</td></tr>\n");
}

/// A name to be read: isolated, so that the direction of its script turns nothing else round.
fn push_name(page: &mut String, name: &[u8], end: &str) {
    page.push_str("<bdi>");
    page::push_text(page, &String::from_utf8_lossy(name));
    page.push_str(end);
    page.push_str("</bdi>");
}

/// Date and time of day in UTC, to the minute.
fn push_time(page: &mut String, time: UnixSeconds) {
    let iso = Stamp::new(time).iso();
    let iso = std::str::from_utf8(&iso).expect("a date is ASCII");
    page.push_str("<time datetime=\"");
    page.push_str(iso);
    page.push_str("\">");
    page.push_str(&iso[..10]);
    page.push(' ');
    page.push_str(&iso[11..16]);
    page.push_str("</time>");
}

/// Folders and files are drawn by `clip-path`, since a picture would be a request or a lot of text.
/// On a narrow screen a row becomes a name with size and date beneath it.
const STYLE: &str = "\
main{max-width:64rem;margin:0 auto;padding:clamp(1.25rem,4vw,3rem) clamp(1rem,4vw,2rem) 4rem}\
nav{color:var(--soft);overflow-wrap:anywhere}bdi{white-space:pre-wrap}\
nav+h1{margin-top:.15rem}h1{font-size:clamp(1.6rem,5vw,2.25rem);font-weight:650}\
header p{margin:.4rem 0 0;color:var(--soft);font-variant-numeric:tabular-nums}\
header .more{color:var(--ink);background:var(--tint);border-radius:.5rem;padding:.5rem .75rem}\
table{width:100%;margin-top:1.5rem;border-spacing:0;background:var(--card);\
border:1px solid var(--line);border-radius:.75rem;overflow:hidden;\
font-variant-numeric:tabular-nums}\
th,td{padding:0 1rem;text-align:right;white-space:nowrap;color:var(--soft);font-weight:400;\
font-size:.9rem}\
th:first-child,td:first-child{text-align:left;width:100%;white-space:normal;font-size:1rem}\
td{border-top:1px solid var(--line)}tbody tr:hover{background:var(--tint)}\
th{background:var(--ground);font-size:.9rem!important}\
th a{display:block;padding:.6rem 0;color:inherit}\
th[aria-sort]{color:var(--ink);font-weight:600}\
th[aria-sort] a::after{content:\"\";display:inline-block;width:.5em;height:.32em;\
margin-left:.4em;vertical-align:.12em;background:var(--accent);\
clip-path:polygon(50% 0,100% 100%,0 100%)}\
th[aria-sort=descending] a::after{transform:scaleY(-1)}\
td a{display:flex;gap:.75rem;padding:.55rem 0;color:var(--ink);overflow-wrap:anywhere}\
.d a,.u a{color:var(--accent)}.d a{font-weight:500}\
td a::before{content:\"\";flex:none;width:1.05rem;height:1.15rem;margin-top:.18rem;\
background:var(--soft);opacity:.45;\
clip-path:polygon(10% 0,62% 0,62% 32%,94% 32%,94% 100%,10% 100%,10% 0,68% 0,94% 26%,68% 26%,\
68% 0)}\
.d a::before{background:var(--accent);opacity:.9;\
clip-path:polygon(0 10%,38% 10%,48% 24%,100% 24%,100% 92%,0 92%)}\
.u a::before{background:var(--accent);opacity:.9;\
clip-path:polygon(50% 12%,92% 54%,62% 54%,62% 92%,38% 92%,38% 54%,8% 54%)}\
@media(max-width:40rem){\
tr{display:grid;grid-template-columns:auto 1fr;position:relative}\
thead tr{grid-template-columns:1fr auto auto}th+th{padding-left:0}\
th:first-child,td:first-child{width:auto}\
td:first-child{grid-column:1/-1}td a{padding:.65rem 0 .05rem}\
td a::after{content:\"\";position:absolute;inset:0}\
td:not(:first-child){border:0;text-align:left;font-size:.85rem;padding:0 1rem .65rem 0}\
td:nth-child(2){padding-left:2.8rem;padding-right:0}\
td:nth-child(2):not(:empty)::after{content:\"\\b7\";margin:0 .45em}\
.u a{padding-bottom:.65rem}.u td+td{display:none}}\n";

#[cfg(test)]
mod tests {
    use super::super::tests::{directory, entry, file};
    use super::*;

    fn html(path: &str, query: &str, entries: Vec<Entry>) -> String {
        page(&Listing::new(entries, Some(query)), path.as_bytes())
    }

    #[test]
    fn every_name_becomes_a_reference_to_itself_and_text() {
        for (name, href, text) in [
            ("a.txt", "./a.txt", "a.txt"),
            ("a:b", "./a%3Ab", "a:b"),
            ("?x=1#y", "./%3Fx%3D1%23y", "?x=1#y"),
            ("\\\\host", "./%5C%5Chost", "\\\\host"),
            ("%2e%2e%2f", "./%252e%252e%252f", "%2e%2e%2f"),
            ("...", "./...", "..."),
            ("javascript:alert(1)", "./javascript%3Aalert%281%29", "javascript:alert(1)"),
            ("\"><img src=x>", "./%22%3E%3Cimg%20src%3Dx%3E", "&quot;&gt;&lt;img src=x&gt;"),
            ("&lt;'", "./%26lt%3B%27", "&amp;lt;&#39;"),
            ("a b\r\n", "./a%20b%0D%0A", "a b\u{240d}\u{240a}"),
            ("\u{202e}fdp.exe", "./%E2%80%AEfdp.exe", "\u{fffd}fdp.exe"),
            ("äß~_-", "./%C3%A4%C3%9F~_-", "äß~_-"),
        ] {
            let page = html("/", "", vec![file(name, 1)]);
            let link = format!("<a href=\"{href}\"><bdi>{text}</bdi></a>");
            assert!(page.contains(&link), "{name:?}: {page}");
            let page = html("/", "", vec![directory(name)]);
            let link = format!("<a href=\"{href}/\"><bdi>{text}/</bdi></a>");
            assert!(page.contains(&link), "{name:?}: {page}");
        }
    }

    #[test]
    fn a_name_that_is_not_utf8_leads_to_its_own_bytes() {
        let page = html("/", "", vec![entry(b"\xff\xc3.txt", Kind::File, 1, 0)]);
        assert!(page.contains("<a href=\"./%FF%C3.txt\"><bdi>\u{fffd}\u{fffd}.txt</bdi></a>"));
    }

    #[test]
    fn the_folders_around_are_linked_relatively() {
        let page = html("/a b/<c>/d/", "", vec![]);
        assert!(page.contains("<title>Index of /a b/&lt;c&gt;/d/</title>"));
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} in {page}"));
        let home = at("<a href=\"../../../\">Home</a>");
        let first = at("<a href=\"../../\"><bdi>a b</bdi></a>");
        let second = at("<a href=\"../\"><bdi>&lt;c&gt;</bdi></a>");
        assert!(home < first && first < second && second < at("<h1><bdi>d</bdi></h1>"));
        assert!(page.contains("<a href=\"../\">Parent folder</a>"));
    }

    #[test]
    fn the_root_has_no_parent() {
        let page = html("/", "", vec![]);
        assert!(page.contains("<h1>Home</h1>") && page.contains("Nothing here"));
        assert!(!page.contains("<nav") && !page.contains("../"));
    }

    #[test]
    fn each_column_says_its_order_and_links_to_another() {
        let page = html("/", "", vec![]);
        assert!(page.contains(
            "aria-sort=\"ascending\"><a rel=\"nofollow\" href=\"?sort=name&amp;order=desc\""
        ));
        assert!(
            page.contains(
                "<th scope=\"col\"><a rel=\"nofollow\" href=\"?sort=size&amp;order=desc\""
            )
        );
        assert_eq!(page.matches("aria-sort=").count(), 1 + STYLE.matches("aria-sort=").count());
        let page = html("/", "sort=date", vec![]);
        assert!(page.contains(
            "aria-sort=\"descending\"><a rel=\"nofollow\" href=\"?sort=date&amp;order=asc\""
        ));
        assert!(
            page.contains(
                "<th scope=\"col\"><a rel=\"nofollow\" href=\"?sort=name&amp;order=asc\""
            )
        );
    }

    #[test]
    fn sizes_and_dates_are_readable_and_exact() {
        let page = html("/", "", vec![directory("d"), file("f", 123_456), file("g", 1)]);
        assert!(page.contains("<td title=\"123456 bytes\">121 KiB</td>"));
        assert!(page.contains("<time datetime=\"2024-02-29T12:00:00Z\">2024-02-29 12:00</time>"));
        assert!(page.contains("<p>1 folder · 2 files · 121 KiB</p>"));
        let mut undated = directory("d");
        undated.modified = None;
        assert!(html("/", "", vec![undated]).contains("<td></td><td>–</td></tr>"));
    }

    #[test]
    fn the_sum_of_sizes_stops_at_the_largest_number() {
        let page = html("/", "", vec![file("a", u64::MAX), file("b", u64::MAX)]);
        assert!(page.contains("2 files · 16 EiB"));
    }
}
