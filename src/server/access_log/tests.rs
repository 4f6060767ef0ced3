//! The access log: lines that cannot be forged, in all forms.

use super::*;

fn line(format: LogFormat, entry: &Entry<'_>) -> String {
    let path = std::env::temp_dir().join(format!(
        "oneloop-log-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let options = AccessLogOptions { to: LogTarget::File(path.clone()), format };
    let mut log = AccessLog::open(&options).unwrap();
    let time = Stamp::new(971_211_336);
    log.add(entry, &time, 5);
    let draft = log.draft(entry, &time).unwrap();
    log.add_draft(&draft, 5, None);
    log.write();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
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
            escape(&mut out, &text);
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
fn lines_are_written_as_they_come_unless_they_come_very_often() {
    let path = std::env::temp_dir().join(format!("oneloop-held-{}", std::process::id()));
    let to = LogTarget::File(path.clone());
    let mut log = AccessLog::open(&AccessLogOptions { to, format: LogFormat::Common }).unwrap();
    let written = || std::fs::read_to_string(&path).unwrap().lines().count();
    let start = Millis(1_000_000);
    let mut add = |at: Millis| {
        log.add(&entry(), &Stamp::new(0), 0);
        log.write_if_due(at);
        (written(), log.due())
    };
    assert_eq!(add(start), (1, None), "nothing to wake up for");
    for turn in 2..=101 {
        assert_eq!(add(start), (turn, None));
    }
    for at in [start, start + PACE / 2] {
        assert_eq!(add(at), (101, Some(start + PACE)));
    }
    assert_eq!(add(start + PACE), (104, None));
    assert_eq!(add(start + PACE), (104, Some(start + PACE * 2)));
    let later = start + Duration::from_secs(10);
    assert_eq!((add(later), add(later)), ((106, None), (107, None)));
    // More than a little is not held back.
    log.taken_until = Millis::NEVER;
    let entry = Entry { line: &[b'x'; 1000], ..entry() };
    (0..100).for_each(|_| log.add(&entry, &Stamp::new(0), 0));
    assert!(written() > 180 && log.lines.len() < GATHERED, "{} lines", written());
    assert_eq!(log.lines.capacity(), 2 * GATHERED);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let options = AccessLogOptions {
        to: LogTarget::File(PathBuf::from("/dev/full")),
        format: LogFormat::Common,
    };
    let mut log = AccessLog::open(&options).unwrap();
    for _ in 0..3 {
        log.add(&entry(), &Stamp::new(0), 0);
    }
    log.write();
    assert_eq!(log.lost, 3);
    assert!(log.lines.is_empty());
}
