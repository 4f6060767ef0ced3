//! Files over the wire: whole, in part, or not at all because the client has them.

use std::time::{SystemTime, UNIX_EPOCH};

use oneloop::http::date;
use oneloop::server::Limits;

use super::World;
use crate::support::client::{Client, Response};

/// Asks for `target` with these fields.
fn ask(client: &mut Client, target: &str, fields: &[(&str, &str)]) -> Response {
    client.request("GET", target, fields, b"")
}

#[test]
fn a_large_file_arrives_whole_and_the_connection_goes_on() {
    let world = World::start();
    let (_, content) = world.big_file();
    let mut client = world.connect();
    let request =
        "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(request.repeat(2));
    for _ in 0..2 {
        assert!(client.response(false).content == content, "not the file");
        assert_eq!(client.response(false).text(), "0123456789");
    }
}

#[test]
fn conditions_are_answered_with_304_and_412() {
    let world = World::start();
    let mut client = world.connect();
    let whole = client.get("/file.txt");
    let etag = whole.field("ETag").unwrap().to_owned();
    let modified = whole.field("Last-Modified").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag} is not strong");
    let weak = format!("W/{etag}");
    let listed = format!("\"a\", {weak}, \"b\"");
    let before = "Sun, 06 Nov 1994 08:49:37 GMT";
    let cases: [(&[(&str, &str)], u16); 14] = [
        (&[("If-None-Match", &etag)], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", &listed)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"a\"")], 200),
        (&[("If-None-Match", "\"a\""), ("If-Modified-Since", &modified)], 200),
        (&[("If-Modified-Since", &modified)], 304),
        (&[("If-Modified-Since", before)], 200),
        (&[("If-Modified-Since", "yesterday")], 200),
        (&[("If-Match", &etag)], 200),
        (&[("If-Match", &weak)], 412),
        (&[("If-Match", "\"a\""), ("If-None-Match", &etag)], 412),
        (&[("If-Unmodified-Since", before)], 412),
        (&[("If-Unmodified-Since", before), ("If-Match", "*")], 200),
    ];
    for (conditions, status) in cases {
        let response = ask(&mut client, "/file.txt", conditions);
        assert_eq!(response.status, status, "{conditions:?}");
        match status {
            200 => assert_eq!(response.text(), "0123456789"),
            304 => {
                assert_eq!(response.field("ETag"), Some(&*etag));
                // What follows would be taken for content if its length were told wrongly.
                assert!(response.field("Content-Length").is_none_or(|length| length == "10"));
            }
            _ => assert!(response.field("ETag").is_none(), "the error page is not the file"),
        }
    }
    assert_eq!(ask(&mut client, "/nowhere", &[("If-None-Match", "*")]).status, 404);
    assert_eq!(ask(&mut client, "/folder", &[("If-Match", "*")]).status, 301);
}

#[test]
fn one_range_is_sent_as_it_is_and_others_are_unsatisfiable() {
    let world = World::start();
    let mut client = world.connect();
    let cases = [
        ("bytes=0-0", 206, "0", Some("bytes 0-0/10")),
        ("bytes=2-5", 206, "2345", Some("bytes 2-5/10")),
        ("BYTES=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-99", 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=5-99999999999999999999", 206, "56789", Some("bytes 5-9/10")),
        ("bytes=1-2, 3-4", 206, "1234", Some("bytes 1-4/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=-0", 416, "", Some("bytes */10")),
        ("bytes=5-2", 200, "0123456789", None),
        ("bytes=a-b", 200, "0123456789", None),
        ("lines=1-2", 200, "0123456789", None),
    ];
    for (range, status, content, content_range) in cases {
        let response = ask(&mut client, "/file.txt", &[("Range", range)]);
        assert_eq!(response.status, status, "{range}");
        assert_eq!(response.field("Content-Range"), content_range, "{range}");
        if status != 416 {
            assert_eq!(response.text(), content, "{range}");
        }
    }
    let etag = client.get("/file.txt").field("ETag").unwrap().to_owned();
    let weak = format!("W/{etag}");
    for (condition, status) in [(&*etag, 206), (&*weak, 200), ("\"a\"", 200), ("yesterday", 200)] {
        let fields = [("Range", "bytes=0-0"), ("If-Range", condition)];
        assert_eq!(ask(&mut client, "/file.txt", &fields).status, status, "{condition}");
    }
    // Where 304 is due, no range changes that (RFC 9110 §13.2.2).
    let fields = [("Range", "bytes=0-0"), ("If-None-Match", &*etag)];
    assert_eq!(ask(&mut client, "/file.txt", &fields).status, 304);
}

/// The parts of a `multipart/byteranges`: what Content-Range says, and the bytes.
fn parts(response: &Response) -> Vec<(String, Vec<u8>)> {
    let media_type = response.field("Content-Type").unwrap();
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").expect(media_type);
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = response.content.clone();
    let mut parts = Vec::new();
    loop {
        let after = rest.strip_prefix(delimiter.as_bytes()).expect("a delimiter");
        if after == b"--\r\n" {
            return parts;
        }
        let end = after.windows(4).position(|four| four == b"\r\n\r\n").expect("a part's head");
        let head = std::str::from_utf8(&after[..end]).unwrap();
        let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: ")).unwrap();
        assert!(head.contains("\r\nContent-Type: "), "{head}");
        let (span, _) = range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        let (first, last) = span.split_once('-').unwrap();
        let length = last.parse::<usize>().unwrap() + 1 - first.parse::<usize>().unwrap();
        let (content, after) = after[end + 4..].split_at(length);
        parts.push((range.to_owned(), content.to_vec()));
        rest = after.to_vec();
    }
}

#[test]
fn several_ranges_come_as_parts_from_memory_and_from_disk() {
    let world = World::start();
    let (_, content) = world.big_file();
    let total = content.len();
    let mut client = world.connect();
    world.folder.write("medium.bin", &content[..60_000]);
    let response = ask(&mut client, "/medium.bin", &[("Range", "bytes=9-10,40000-40000,-2")]);
    assert_eq!((response.status, response.field("Content-Range")), (206, None));
    let expected = [(9, 10), (40_000, 40_000), (59_998, 59_999)].map(|(first, last)| {
        (format!("bytes {first}-{last}/60000"), content[first..=last].to_vec())
    });
    assert_eq!(parts(&response), expected);
    // Parts that lie side by side are cheaper as one.
    let response = ask(&mut client, "/file.txt", &[("Range", "bytes=0-1,4-4,-2")]);
    assert_eq!((response.status, response.text()), (206, "0123456789"));
    // Large parts leave by sendfile, with their heads between them.
    let spans = [(0, 0), (1_000, 9_000_000), (10_000_000, 10_000_004), (total - 7, total - 1)];
    let range = spans.map(|(first, last)| format!("{first}-{last}")).join(",");
    let response = ask(&mut client, "/big.bin", &[("Range", &format!("bytes={range}"))]);
    let parts = parts(&response);
    assert_eq!(parts.len(), spans.len());
    for ((said, bytes), (first, last)) in parts.iter().zip(spans) {
        assert_eq!(*said, format!("bytes {first}-{last}/{total}"));
        assert!(*bytes == content[first..=last], "{said} is not what it says");
    }
    // Ranges that ask for more than the whole get the whole.
    for range in ["bytes=0-,0-,0-", &format!("bytes={}", vec!["0-"; 1000].join(","))] {
        let response = ask(&mut client, "/big.bin", &[("Range", range)]);
        assert!(matches!(response.status, 200 | 206));
        assert!(response.content == content, "more than was there");
    }
}

#[test]
fn a_file_that_changes_is_a_new_one() {
    let world = World::start();
    let mut client = world.connect();
    let old = client.get("/file.txt");
    let etag = old.field("ETag").unwrap().to_owned();
    world.folder.write("file.txt", "9876543210");
    assert_eq!(ask(&mut client, "/file.txt", &[("If-None-Match", &etag)]).status, 200);
    let new = client.get("/file.txt");
    assert_eq!(new.text(), "9876543210");
    assert_ne!(new.field("ETag"), Some(&*etag));
    let stale = [("Range", "bytes=0-3"), ("If-Range", &*etag)];
    assert_eq!(ask(&mut client, "/file.txt", &stale).text(), "9876543210");
}

#[test]
fn the_date_is_the_time_of_the_answer() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let world = World::with(Limits { persistent_requests: u32::MAX, ..Limits::default() });
    let mut client = world.connect();
    let mut seconds = Vec::new();
    // Into the next second, so that a date made once for all would be found out.
    while seconds.len() < 2 {
        let before = now();
        let response = client.get("/hello");
        let date = response.field("Date").unwrap();
        let told = date::parse(date.as_bytes()).unwrap();
        assert!((before..=now()).contains(&told), "{date} is not now");
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
        if seconds.last() != Some(&told) {
            seconds.push(told);
        }
    }
}
