//! Rust handlers: what they are told, what may come of it, and answers from another thread.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::body::Produced;
use super::super::handler::{Later, Promise, Request, Response, Settled};
use super::super::router::Router;
use super::super::rule::{RouteNumber, Settings};
use super::super::{Answer, Inquiry, Site};
use super::{Got, answer_at, ask, at, get};
use crate::http::Limits;
use crate::http::head::{Head, HeadSpace};
use crate::http::status::Status;

fn one(handler: impl Fn(&Request<'_>) -> Response + 'static) -> Site {
    let fields = vec![
        ("X-A".to_owned(), "route".to_owned()),
        ("Cache-Control".to_owned(), "route".to_owned()),
    ];
    let settings = Settings { fields, content_limit: Some(10), ..Settings::default() };
    Router::new().any("/h/{id}/*", handler).settings("/*", settings).build().unwrap()
}

/// Asks with content that has been read.
fn ask_with(site: &Site, head: &str, content: Option<&[u8]>) -> Answer {
    let text = format!("{head}\r\n\r\n");
    let mut space = HeadSpace::new();
    let head = Head::parse(text.as_bytes(), &mut space, &Limits::default()).unwrap();
    site.answer(
        &Inquiry { head: &head, client: None, content, again: false, now: at(0) },
        &mut RouteNumber::default(),
    )
}

#[test]
fn a_handler_is_told_everything() {
    let site = one(|request| {
        let say = |value: Option<&str>| value.unwrap_or("-").to_owned();
        let bytes = |value: Option<&[u8]>| {
            format!("{:?}", value.map(<[u8]>::escape_ascii).map(|text| text.to_string()))
        };
        Response::text(
            [
                request.method().to_string(),
                request.path().escape_ascii().to_string(),
                say(request.query()),
                request.host().to_owned(),
                bytes(request.field("x-field")),
                say(request.parameter("id")),
                say(request.parameter("*")),
                say(request.parameter("other")),
                bytes(request.parameter_bytes("id")),
                request.content().escape_ascii().to_string(),
                format!("{:?} {}", request.client(), request.head().minor_version),
            ]
            .join("\n"),
        )
    });
    let got = ask(&site, "PUT /h/%61/b//c?d=%65", &["X-Field: f", "Host: h:1"]);
    let expected =
        "PUT\n/h/a/b/c\nd=%65\nh\nSome(\"f\")\na\nb/c\n-\nSome(\"a\")\n\nSome(192.0.2.1) 1";
    assert_eq!(got.text(), expected);
    let got = get(&site, "/h/%ff/");
    assert!(got.text().contains("\n-\n\n-\nSome(\"\\\\xff\")\n"), "{}", got.text());
}

#[test]
fn content_is_asked_for_once_and_within_the_limit() {
    let site = one(|request| Response::text(request.content().escape_ascii().to_string()));
    let post = |fields: &str, content| {
        ask_with(&site, &format!("POST /h/1/ HTTP/1.1\r\nHost: h\r\n{fields}"), content)
    };
    let text = |answer| match answer {
        Answer::Reply(reply) => Got::from(reply),
        other => panic!("{other:?}"),
    };
    for fields in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        assert!(matches!(post(fields, None), Answer::Content { limit: 10 }), "{fields}");
        assert_eq!(text(post(fields, Some(b"0123456789"))).text(), "0123456789");
        assert_eq!(text(post(fields, Some(b""))).text(), "");
    }
    assert_eq!(text(post("Content-Length: 11", None)).status, 413);
    assert_eq!(text(post("Content-Length: 0", None)).status, 200);
    assert_eq!(text(post("X: y", None)).status, 200);
}

#[test]
fn what_a_handler_says_comes_before_what_the_route_says() {
    let site = one(|_| {
        Response::html("<p>").status(Status::CREATED).field("x-a", "own").field("Vary", "Cookie")
    });
    let got = get(&site, "/h/1/");
    let fields = "Content-Type: text/html; charset=utf-8\r\nx-a: own\r\nVary: Cookie\r\n\
                  Cache-Control: route\r\n";
    assert_eq!((got.status, &*got.fields, got.text()), (201, fields, "<p>"));
    let site = one(|_| Response::redirect("/elsewhere"));
    let got = get(&site, "/h/1/");
    assert_eq!((got.status, got.field("Location"), got.text()), (303, Some("/elsewhere"), ""));
    let site = one(|_| Response::json("[]").status(Status::NOT_FOUND));
    let got = get(&site, "/h/1/");
    assert_eq!((got.status, got.text(), got.field("Cache-Control")), (404, "[]", None));
}

#[test]
fn an_error_without_content_gets_the_page_for_it() {
    let site = one(|_| Response::new(Status::NOT_FOUND).field("X-Own", "1"));
    let got = get(&site, "/h/1/");
    assert_eq!((got.status, got.field("X-Own"), got.field("X-A")), (404, Some("1"), Some("route")));
    assert!(got.text().contains("404") && got.fields.contains("text/html"));
    let got = get(&one(|_| Response::new(Status::NO_CONTENT)), "/h/1/");
    assert_eq!((got.status, got.text()), (204, ""));
}

#[test]
fn a_response_that_cannot_be_sent_is_a_500_and_leaks_nothing() {
    for (name, value) in [
        ("X", "a\r\nSet-Cookie: b"),
        ("X", "a\nb"),
        ("X", "\0"),
        ("X Y", "a"),
        ("X:", "a"),
        ("", "a"),
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
        ("Connection", "close"),
        ("Date", "now"),
        ("Server", "other"),
    ] {
        let site = one(move |_| Response::text("secret").field(name, value).field("X-B", "b"));
        let got = get(&site, "/h/1/");
        assert_eq!(got.status, 500, "{name}");
        assert!(!got.fields.contains("Set-Cookie") && !got.text().contains("secret"), "{name}");
        assert_eq!(got.field("X-B"), None);
    }
    let site = one(|_| Response::new(Status::CONTINUE));
    assert_eq!(get(&site, "/h/1/").status, 500);
    let site = one(|_| Response::bytes("text/x\r\nX: y", *b"a"));
    assert_eq!(get(&site, "/h/1/").status, 500);
}

#[test]
fn handlers_and_producers_need_not_be_send() {
    let count = Rc::new(Cell::new(0u8));
    let site = one(move |_| {
        let count = Rc::clone(&count);
        Response::produced("text/plain", move |out: &mut Vec<u8>| {
            count.set(count.get() + 1);
            out.push(b'0' + count.get());
            Ok(if count.get() < 3 { Produced::More } else { Produced::End })
        })
    });
    assert_eq!(get(&site, "/h/1/").text(), "123");
}

/// The promise a handler gave away, and the loop's side of it.
fn promised() -> (Promise, Later) {
    let cell: Rc<Cell<Option<Promise>>> = Rc::default();
    let site = one({
        let cell = Rc::clone(&cell);
        move |_| {
            let (promise, response) = Response::later();
            cell.set(Some(promise));
            response
        }
    });
    match answer_at(&site, at(0), "GET /h/1/", &[]) {
        Answer::Later(later) => (cell.take().unwrap(), later),
        other => panic!("{other:?}"),
    }
}

fn taken(later: &mut Later) -> Option<Got> {
    later.take().map(|settled| match settled {
        Settled::Reply(reply) => reply.into(),
        Settled::AskAgain => panic!("nothing was missing"),
    })
}

#[test]
fn a_promise_is_kept_from_another_thread() {
    for ring_first in [true, false] {
        let (promise, mut later) = promised();
        assert!(promise.is_awaited());
        assert_eq!(taken(&mut later), None);
        let rung = Arc::new(AtomicU32::new(0));
        let bell = {
            let rung = Arc::clone(&rung);
            move || {
                rung.fetch_add(1, Ordering::SeqCst);
            }
        };
        let mut bell = Some(bell);
        if ring_first {
            later.ring(Box::new(bell.take().unwrap()));
            assert_eq!(rung.load(Ordering::SeqCst), 0);
        }
        let work = move || promise.fulfil(|| Response::text("done").field("X-A", "own"));
        std::thread::spawn(work).join().unwrap();
        if let Some(bell) = bell {
            later.ring(Box::new(bell));
        }
        assert_eq!(rung.load(Ordering::SeqCst), 1);
        let got = taken(&mut later).unwrap();
        assert_eq!((got.status, got.text(), got.field("X-A")), (200, "done", Some("own")));
        assert_eq!(got.field("Cache-Control"), Some("route"));
        assert_eq!(taken(&mut later), None);
        assert_eq!(rung.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_promise_that_cannot_be_kept_is_a_500() {
    let (promise, mut later) = promised();
    std::thread::spawn(move || drop(promise)).join().unwrap();
    let got = taken(&mut later).unwrap();
    assert!(got.status == 500 && got.text().contains("500"));

    let (promise, mut later) = promised();
    promise.fulfil(|| Response::later().1);
    assert_eq!(taken(&mut later).unwrap().status, 500);

    let (promise, mut later) = promised();
    promise.fulfil(|| Response::text("x").field("Date", "now"));
    assert_eq!(taken(&mut later).unwrap().status, 500);

    let (promise, mut later) = promised();
    promise.fulfil(|| Response::new(Status::BAD_GATEWAY));
    let got = taken(&mut later).unwrap();
    assert!(got.status == 502 && got.text().contains("502"));
    assert_eq!((got.field("X-A"), got.field("Cache-Control")), (Some("route"), None));
}

#[test]
fn a_promise_knows_when_nobody_waits_any_more() {
    let (promise, later) = promised();
    drop(later);
    assert!(!promise.is_awaited());
    promise.fulfil(|| panic!("nobody asks for it"));
}
