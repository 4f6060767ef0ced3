//! What is remembered of files, for how long, and how much of it.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

use rustix::io::Errno;

use super::super::access::{Access, Basic, Htpasswd};
use super::super::cache::CacheLimits;
use super::super::handler::Settled;
use super::super::root::Absence;
use super::super::router::Router;
use super::super::rule::Settings;
use super::super::{Answer, Block, Inquiry, Now, Site};
use super::{Got, Scratch, answer_at, ask, ask_at, at, get, set_modified};
use crate::http::Limits;
use crate::http::head::{Head, HeadSpace};
use crate::http::negotiation::Coding;

fn get_at(site: &Site, milliseconds: u64, target: &str) -> Got {
    ask_at(site, at(milliseconds), &format!("GET {target}"), &["Accept-Encoding: br"])
}

/// As far as it goes without being told of changes.
const UNTOLD: CacheLimits = CacheLimits {
    entries: 1024,
    descriptors: 512,
    content_bytes: 32 << 20,
    file_bytes: 64 << 10,
    absences: 256,
    directories: 0,
};

#[test]
fn a_file_that_is_not_watched_is_looked_at_once_a_second_at_the_most() {
    let scratch = Scratch::new();
    let path = scratch.write("x", "old");
    let site = Scratch::site_with(scratch.files(), UNTOLD);
    assert_eq!(get_at(&site, 0, "/x").text(), "old");
    fs::remove_file(&path).unwrap();
    assert_eq!(get_at(&site, 999, "/x").text(), "old");
    assert_eq!(get_at(&site, 1000, "/x").status, 404);
    assert_eq!(site.cache.held().0, 0);
    // What is not there is looked for each time.
    scratch.write("x", "new");
    assert_eq!(get_at(&site, 1000, "/x").text(), "new");
    // A look that finds nothing new is good for another second.
    assert_eq!(get_at(&site, 5000, "/x").text(), "new");
    fs::remove_file(&path).unwrap();
    assert_eq!(get_at(&site, 5999, "/x").text(), "new");
    assert_eq!(get_at(&site, 6000, "/x").status, 404);
}

#[test]
fn a_second_answer_shares_everything_with_the_first() {
    let scratch = Scratch::new();
    scratch.write("x", "x");
    let site = scratch.site();
    let fields = |request: &[&str]| match answer_at(&site, at(0), "GET /x", request) {
        Answer::Reply(reply) => match reply.fields {
            Block::Prepared { lines, .. } => lines,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let tag = get(&site, "/x").field("ETag").unwrap().to_owned();
    let condition = format!("If-None-Match: {tag}");
    assert!(Rc::ptr_eq(&fields(&[]), &fields(&[])));
    assert!(Rc::ptr_eq(&fields(&[&condition]), &fields(&[&condition])));
}

/// Something that happens to the file system.
type Change = fn(&Path);

#[test]
fn every_change_on_the_way_to_a_file_is_noticed() {
    let changes: [(&str, Change, &str); 11] = [
        ("written over", |www| fs::write(www.join("d/second"), "other").unwrap(), "other"),
        ("as long", |www| fs::write(www.join("d/second"), "Second").unwrap(), "Second"),
        (
            "renamed over",
            |www| {
                fs::write(www.join("new"), "renamed").unwrap();
                set_modified(&www.join("new"), 1_000_000_000);
                fs::rename(www.join("new"), www.join("d/second")).unwrap();
            },
            "renamed",
        ),
        ("removed", |www| fs::remove_file(www.join("d/second")).unwrap(), "404"),
        (
            "a directory now",
            |www| {
                fs::remove_file(www.join("d/second")).unwrap();
                fs::create_dir(www.join("d/second")).unwrap();
            },
            "404",
        ),
        ("an index before it", |www| fs::write(www.join("d/first"), "first").unwrap(), "first"),
        ("a sibling", |www| fs::write(www.join("d/second.br"), "brotli").unwrap(), "brotli"),
        (
            "a parent renamed",
            |www| {
                fs::rename(www.join("d"), www.join("e")).unwrap();
                fs::create_dir(www.join("d")).unwrap();
                fs::write(www.join("d/second"), "in another").unwrap();
            },
            "in another",
        ),
        (
            "a link out",
            |www| {
                fs::write(www.join("../secret"), "secret").unwrap();
                fs::remove_file(www.join("d/second")).unwrap();
                std::os::unix::fs::symlink("../../secret", www.join("d/second")).unwrap();
            },
            "404",
        ),
        ("longer", |www| fs::write(www.join("d/second"), vec![b'x'; 70_000]).unwrap(), "x70000"),
        ("nothing", |_| (), "second"),
    ];
    for (what, change, expected) in changes {
        let scratch = Scratch::new();
        scratch.write("d/second", "second");
        let [told, untold] = [CacheLimits::default(), UNTOLD].map(|limits| {
            let files = scratch.files().index(["first", "second"]).precompressed([Coding::Br]);
            Scratch::site_with(files, limits)
        });
        assert_eq!(get_at(&told, 0, "/d/").text(), "second");
        assert_eq!(get_at(&untold, 0, "/d/").text(), "second");
        change(&scratch.www());
        assert_eq!(get_at(&untold, 500, "/d/").text(), "second", "{what}");
        for got in [get_at(&told, 0, "/d/"), get_at(&untold, 1500, "/d/")] {
            match expected {
                "404" => assert_eq!(got.status, 404, "{what}"),
                "x70000" => assert!(got.content == vec![b'x'; 70_000]),
                _ => assert_eq!(got.text(), expected, "{what}"),
            }
        }
    }
}

#[test]
fn a_site_that_remembers_answers_as_one_that_does_not() {
    let scratch = Scratch::new();
    let new_site = || {
        let files = scratch.files().index(["i", "j"]).precompressed([Coding::Br, Coding::Gzip]);
        Router::new().files("/*", files.listing(true)).build().unwrap()
    };
    let site = new_site();
    let mut random = fastrand::Rng::with_seed(3);
    let names = ["i", "j", "a", "a.br", "a.gz", "d/i", "d/j", "d/i.gz", "d"];
    for step in 0..200u64 {
        let name = names[random.usize(..names.len())];
        let path = scratch.www().join(name);
        let content = format!("{}{step}", "x".repeat(random.usize(..3) * 40_000));
        // Most of these fail now and then, which is as good as not trying.
        let _ = match random.u8(..6) {
            0 => fs::remove_file(&path),
            1 => fs::remove_dir_all(&path),
            2 => fs::create_dir(&path),
            3 => fs::rename(&path, scratch.www().join(names[random.usize(..names.len())])),
            _ => fs::write(&path, content),
        };
        let now = Now { monotonic_ms: step, unix: unix_now(), moment: step };
        for target in ["/", "/a", "/d", "/d/", "/d/i", "/a.br"] {
            let accept = ["br", "gzip;q=0.1", "*;q=0"][random.usize(..3)];
            let fields = [&*format!("Accept-Encoding: {accept}"), "Range: bytes=1-3"];
            let request = format!("GET {target}");
            let expected = ask_at(&new_site(), now, &request, &fields);
            assert_eq!(ask_at(&site, now, &request, &fields), expected, "{step} {target} {accept}");
        }
        site.cache.held();
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn what_was_read_right_after_a_change_is_read_again() {
    let scratch = Scratch::new();
    let path = scratch.www().join("x");
    fs::write(&path, "x").unwrap();
    let unix = unix_now();
    let site = scratch.site();
    let shared = |milliseconds| {
        let unix = unix + milliseconds / 1000;
        let now = Now { monotonic_ms: milliseconds, unix, moment: milliseconds };
        match answer_at(&site, now, "GET /x", &[]) {
            Answer::Reply(reply) => match reply.fields {
                Block::Prepared { lines, .. } => lines,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let first = shared(0);
    assert!(Rc::ptr_eq(&first, &shared(999)));
    // The file is the same, but could have been written to twice in one tick of its clock.
    let again = shared(4000);
    assert!(!Rc::ptr_eq(&first, &again));
    assert_eq!(first, again);
    assert!(Rc::ptr_eq(&again, &shared(8000)));
}

#[test]
fn no_more_is_kept_than_there_is_room_for() {
    let scratch = Scratch::new();
    for number in 0..10 {
        scratch.write(&format!("small{number}"), vec![b's'; 1000]);
        scratch.write(&format!("large{number}"), vec![b'l'; 70_000]);
    }
    let site = |entries, descriptors, content_bytes| {
        let limits = CacheLimits { entries, descriptors, content_bytes, ..UNTOLD };
        Scratch::site_with(scratch.files(), limits)
    };
    for (entries, descriptors, bytes, held) in [
        (100, 100, 100_000, (20, 10, 10_000)),
        (4, 100, 100_000, (4, 2, 2000)),
        (100, 3, 100_000, (6, 3, 3000)),
        (100, 100, 2500, (5, 3, 2000)),
        (0, 100, 100_000, (0, 0, 0)),
        (100, 0, 0, (0, 0, 0)),
    ] {
        let site = site(entries, descriptors, bytes);
        for _ in 0..2 {
            for number in 0..10 {
                assert_eq!(get(&site, &format!("/small{number}")).content.len(), 1000);
                assert_eq!(get(&site, &format!("/large{number}")).content.len(), 70_000);
            }
        }
        assert_eq!(site.cache.held(), held);
    }
    // What would leave no room for itself is kept open.
    let narrow = site(100, 100, 999);
    assert_eq!(get(&narrow, "/small0").content.len(), 1000);
    assert_eq!(narrow.cache.held(), (1, 1, 0));
    // What is used stays.
    let site = site(3, 100, 100_000);
    for number in 1..10 {
        get(&site, "/small0");
        get(&site, &format!("/small{number}"));
    }
    fs::remove_file(scratch.www().join("small0")).unwrap();
    assert_eq!(get(&site, "/small0").status, 200);
    assert!(site.cache.close_files() || site.cache.held().1 == 0);
    get(&site, "/large1");
    assert!(site.cache.close_files());
    assert_eq!(site.cache.held().1, 0);
}

#[test]
fn a_file_is_in_memory_up_to_a_limit_and_open_above_it() {
    let scratch = Scratch::new();
    for length in [99, 100, 101, 70_000] {
        scratch.write(&format!("{length}"), vec![b'x'; length]);
    }
    for (file_bytes, held) in [(0, (4, 4, 0)), (100, (4, 2, 199)), (70_000, (4, 0, 70_300))] {
        let site = Scratch::site_with(scratch.files(), CacheLimits { file_bytes, ..UNTOLD });
        for _ in 0..2 {
            for length in [99, 100, 101, 70_000] {
                let whole = get(&site, &format!("/{length}"));
                assert!(whole.content == vec![b'x'; length]);
            }
        }
        assert_eq!(site.cache.held(), held);
    }
}

#[test]
fn without_descriptors_the_client_is_asked_to_come_back() {
    for error in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
        assert!(matches!(Absence::from(error), Absence::Busy));
    }
    let site = Scratch::new().site();
    let mut space = HeadSpace::new();
    let text = b"GET /x HTTP/1.0\r\n\r\n";
    let head = Head::parse(text, &mut space, &Limits::default()).unwrap();
    let inquiry = Inquiry { head: &head, client: None, content: None, again: false, now: at(0) };
    let rule = site.hosts[0].table.rule(b"/x");
    let errand = super::super::Errand { inquiry: &inquiry, host: 0, path: b"/x", rule: &rule };
    let got = Got::from(site.absent(&errand, Absence::Busy));
    assert_eq!((got.status, got.field("Retry-After")), (503, Some("1")));
    let failed = Absence::from(Errno::IO);
    assert_eq!(Got::from(site.absent(&errand, failed)).status, 500);
}

#[test]
fn a_cached_file_is_guarded_like_any_other() {
    let scratch = Scratch::new();
    scratch.write("private/x", "secret");
    // The user is "user", the password "secret".
    let users =
        Htpasswd::parse(b"user:$2y$04$8MEWPD2/f8c47C.A59A2V.Co0FtrJ59azbqIvGxoEjljPGSNsvOEO\n");
    let Ok(users) = users else { panic!("{users:?}") };
    let basic = Basic::new(users, "realm", &["*".to_owned()]).unwrap();
    let access = vec![Rc::new(Access::Basic(Box::new(basic)))];
    let settings = Settings { access, ..Settings::default() };
    let site = Router::new()
        .files("/*", scratch.files())
        .settings("/private/*", settings)
        .build()
        .unwrap();
    let wrong = ask(&site, "GET /private/x", &[]);
    assert_eq!(wrong.status, 401);
    assert!(wrong.field("WWW-Authenticate").unwrap().contains("realm"));
    // user:secret
    let right = "Authorization: Basic dXNlcjpzZWNyZXQ=";
    for _ in 0..2 {
        let got = loop {
            match answer_at(&site, at(0), "GET /private/x", &[right]) {
                Answer::Reply(reply) => break Got::from(reply),
                Answer::Content { .. } | Answer::Gateway(_) => panic!("it is a file"),
                Answer::Later(mut later) => {
                    let (sender, receiver) = std::sync::mpsc::channel();
                    later.ring(Box::new(move || sender.send(()).unwrap()));
                    receiver.recv().unwrap();
                    assert!(matches!(later.take(), Some(Settled::AskAgain)));
                }
            }
        };
        assert_eq!((got.status, got.user.as_deref()), (200, Some("user")));
        for fields in [vec![], vec!["Authorization: Basic dXNlcjp4"]] {
            let answer = answer_at(&site, at(0), "GET /private/x", &fields);
            assert!(!matches!(answer, Answer::Reply(reply) if reply.status.code() != 401));
        }
    }
}
