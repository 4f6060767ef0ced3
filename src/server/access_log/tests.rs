//! What lines look like, when they are written, and what becomes of them.

use std::path::PathBuf;

use super::*;

fn line(format: LogFormat, entry: &Entry<'_>) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("log");
    let options = AccessLogOptions { to: LogTarget::File(path.clone()), format, queue: QUEUE };
    let mut log = AccessLog::open(&options).unwrap();
    let time = Stamp::new(971_211_336);
    log.add(entry, &time, 5);
    let draft = log.draft(entry, &time).unwrap();
    log.add_draft(&draft, 5, None);
    drop(log);
    let text = std::fs::read_to_string(&path).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    assert_eq!(format!("{first}\n"), second, "a draft makes another line");
    first.to_owned()
}

fn entry() -> Entry<'static> {
    Entry {
        client: Some(IpAddr::from([127, 0, 0, 1])),
        user: Some("fr\"an k"),
        line: b"GET /\"\\\x1b[0m\xff HTTP/1.0",
        host: "a",
        status: Status::OK,
        referer: None,
        user_agent: Some(b"x\"\x07"),
        why: None,
    }
}

#[test]
fn hostile_bytes_are_escaped_in_every_form() {
    let common = concat!(
        r"127.0.0.1 - fr\x22an\x20k [10/Oct/2000:20:55:36 +0000] ",
        r#""GET /\x22\x5C\x1B[0m\xFF HTTP/1.0" 200 5"#
    );
    assert_eq!(line(LogFormat::Common, &entry()), common);
    assert_eq!(line(LogFormat::Combined, &entry()), format!("{common} \"-\" \"x\\x22\\x07\""));
    let json: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, &entry())).unwrap();
    assert_eq!(json["request"], "GET /\"\\\u{1b}[0m\u{fffd} HTTP/1.0");
    assert_eq!(json["bytes"], 5);
    assert_eq!(json["referer"], serde_json::Value::Null);
    assert_eq!(json["time"], "2000-10-10T20:55:36Z");
}

#[test]
fn addresses_are_written_as_the_standard_library_does() {
    let mut random = fastrand::Rng::with_seed(5);
    let octet = |random: &mut fastrand::Rng| [0, 9, 10, 99, 100, 255, random.u8(..)];
    for _ in 0..2000 {
        let address = Ipv4Addr::from([(); 4].map(|()| octet(&mut random)[random.usize(..7)]));
        let mut out = Vec::new();
        write_client(&mut out, Some(address.into()));
        assert_eq!(out, address.to_string().as_bytes());
    }
}

#[test]
fn every_byte_is_escaped_wherever_it_stands() {
    for byte in 0..=u8::MAX {
        for at in 0..40 {
            let mut text = vec![b'a'; 40];
            text[at] = byte;
            let mut out = Vec::new();
            escape(&mut out, &text, 80);
            let escaped = match byte {
                b'"' | b'\\' | ..=0x1f | 0x7f.. => format!("\\x{byte:02X}"),
                _ => char::from(byte).to_string(),
            };
            let expected = format!("{}{escaped}{}", "a".repeat(at), "a".repeat(39 - at));
            assert_eq!(out, expected.as_bytes());
        }
    }
}

#[test]
fn who_has_no_address_has_one_in_the_log() {
    let nobody = Entry { client: None, line: b"", ..entry() };
    assert!(line(LogFormat::Common, &nobody).starts_with(":: - fr"));
    let json: serde_json::Value = serde_json::from_str(&line(LogFormat::Json, &nobody)).unwrap();
    assert_eq!((&json["client"], &json["request"]), (&"::".into(), &serde_json::Value::Null));
}

#[test]
fn a_line_ends_before_the_buffers_of_those_who_read_it() {
    let user = "u ".repeat(3000);
    let host = "h".repeat(3000);
    for byte in [b'a', b'"', 0, 0xff, 0x1b] {
        let text = vec![byte; 3000];
        let entry = Entry {
            client: Some("2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap()),
            user: Some(&user),
            line: &text,
            host: &host,
            referer: Some(&text),
            user_agent: Some(&text),
            why: Some(&host),
            ..entry()
        };
        let mut log = to_nowhere(LogFormat::Json);
        for format in [LogFormat::Common, LogFormat::Combined, LogFormat::Json] {
            log.options.format = format;
            log.lines.clear();
            log.add(&entry, &Stamp::new(0), u64::MAX);
            assert!(log.lines.len() < 4096, "{format:?} {byte}: {}", log.lines.len());
        }
        let json: serde_json::Value = serde_json::from_slice(&log.lines).unwrap();
        assert!(json["request"].as_str().unwrap().ends_with("..."));
    }
}

#[test]
fn what_is_not_too_long_is_not_cut() {
    let (mut escaped, mut quoted) = (Vec::new(), Vec::new());
    for (text, most) in [("abcd", 4), ("\u{fc}\u{fc}", 16)] {
        escaped.clear();
        escape(&mut escaped, text.as_bytes(), most);
        assert!(!escaped.ends_with(b"..."), "{text}");
        quoted.clear();
        json(&mut quoted, Some(text.as_bytes()), most);
        assert_eq!(quoted, format!("\"{text}\"").as_bytes());
    }
    escaped.clear();
    escape(&mut escaped, b"abcde", 4);
    assert_eq!(escaped, b"abcd...");
    quoted.clear();
    json(&mut quoted, Some(b"abcde"), 4);
    assert_eq!(quoted, b"\"abcd...\"");
    quoted.clear();
    json(&mut quoted, Some(b"\x01\x01abc"), 12);
    assert_eq!(quoted, b"\"\\u0001\\u0001...\"", "as it is written, it would be too long");
}

/// A log whose lines can be looked at until they are written.
fn to_nowhere(format: LogFormat) -> AccessLog {
    let to = LogTarget::File("/dev/null".into());
    AccessLog::open(&AccessLogOptions { to, format, queue: QUEUE }).unwrap()
}

#[test]
fn lines_are_written_as_they_come_unless_they_come_very_often() {
    let mut log = to_nowhere(LogFormat::Common);
    let start = Millis(1_000_000);
    let mut add = |at: Millis| {
        log.add(&entry(), &Stamp::new(0), 0);
        log.write_if_due(at);
        (memchr::memchr_iter(b'\n', &log.lines).count(), log.due())
    };
    for _ in 1..=101 {
        assert_eq!(add(start), (0, None), "nothing to wake up for");
    }
    for (held, at) in [(1, start), (2, start + PACE / 2)] {
        assert_eq!(add(at), (held, Some(start + PACE)));
    }
    assert_eq!(add(start + PACE), (0, None));
    assert_eq!(add(start + PACE), (1, Some(start + PACE * 2)));
    let later = start + Duration::from_secs(10);
    assert_eq!((add(later), add(later)), ((0, None), (0, None)));
    // More than a little is not held back.
    log.taken_until = Millis::NEVER;
    let entry = Entry { line: &[b'x'; 1000], ..entry() };
    let fits = GATHERED / 1100;
    (0..fits).for_each(|_| log.add(&entry, &Stamp::new(0), 0));
    assert!(log.lines.len() > 1000 * fits);
    (0..2).for_each(|_| log.add(&entry, &Stamp::new(0), 0));
    assert!(log.lines.len() < 2200, "{}", log.lines.len());
    assert_eq!(log.lines.capacity(), 2 * GATHERED);
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let to = LogTarget::File(PathBuf::from("/dev/full"));
    let options = AccessLogOptions { to, ..AccessLogOptions::default() };
    let mut log = AccessLog::open(&options).unwrap();
    for _ in 0..3 {
        log.add(&entry(), &Stamp::new(0), 0);
    }
    log.write();
    assert!(log.lines.is_empty());
    assert!(log.outlet.as_ref().unwrap().flush());
    assert_eq!(log.lost(), 3);
}
