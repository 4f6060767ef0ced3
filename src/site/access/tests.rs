//! Passwords from the field to the verdict. The helper thread is held up as a test needs it.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::helper::tests::{occupy, wait};
use super::helper::{Helper, QUEUE};
use super::htpasswd::tests::FILE;
use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn users() -> Htpasswd {
    Htpasswd::parse(FILE.as_bytes()).unwrap()
}

fn methods(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn basic(realm: &str, names: &[&str]) -> Result<Basic, String> {
    Basic::new(users(), realm, &methods(names)).map_err(|error| error.to_string())
}

/// Asks for a password, and has a helper thread that is nobody else's.
fn own_basic() -> (Basic, &'static Helper) {
    let helper = Box::leak(Box::new(Helper::new()));
    let mut basic = basic("a", &["*"]).unwrap();
    basic.set_helper(helper);
    (basic, helper)
}

fn authorization(user: &str, password: &str) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))).into_bytes()
}

/// The standing after all verifying.
fn settle(basic: &Basic, authorization: &[u8], now_ms: u64) -> Standing {
    match basic.check(Some(authorization), now_ms) {
        Standing::Verifying(mut later) => {
            wait(&mut later);
            basic.check(Some(authorization), now_ms)
        }
        known => known,
    }
}

fn is_held(standing: &Standing, user: &str) -> bool {
    matches!(standing, Standing::Held(name) if **name == *user)
}

#[test]
fn users_with_their_passwords_are_let_in_and_nobody_else() {
    let (basic, _) = own_basic();
    assert!(is_held(&settle(&basic, &authorization("alice", "secret"), 0), "alice"));
    assert!(is_held(&settle(&basic, &authorization("bob", "pä:ß"), 0), "bob"));
    for (user, password) in [
        ("alice", "pä:ß"),
        ("bob", "secret"),
        ("alice", ""),
        ("alice", "Secret"),
        ("alice", "secret "),
        ("ALICE", "secret"),
        ("", ""),
        ("", "secret"),
        ("carol", "secret"),
        ("carol", "pä:ß"),
    ] {
        let standing = settle(&basic, &authorization(user, password), 0);
        assert!(matches!(standing, Standing::Wrong), "{user}:{password}");
    }
}

#[test]
fn what_is_no_credentials_is_wrong_at_once() {
    let (basic, helper) = own_basic();
    let _busy = occupy(helper);
    let huge = [b"Basic ".to_vec(), vec![b'A'; 1_000_000]].concat();
    for value in
        [None, Some(&b""[..]), Some(b"Basic Og"), Some(b"Bearer x"), Some(b"\0"), Some(&huge)]
    {
        // A colon alone is someone without a name, who has to be verified like everyone else.
        let is_colon = value == Some(b"Basic Og");
        match basic.check(value, 0) {
            Standing::Wrong => assert!(!is_colon),
            Standing::Verifying(_) => assert!(is_colon),
            other @ (Standing::Held(_) | Standing::Busy) => panic!("{other:?}"),
        }
    }
}

#[test]
fn with_an_empty_file_everyone_is_wrong_at_once() {
    let nobody = Htpasswd::parse(b"").unwrap();
    let basic = Basic::new(nobody, "a", &methods(&["*"])).unwrap();
    assert!(matches!(basic.check(Some(&authorization("a", "b")), 0), Standing::Wrong));
}

#[test]
fn what_held_is_remembered_for_five_minutes_and_what_did_not_for_five_seconds() {
    let (basic, helper) = own_basic();
    let right = authorization("alice", "secret");
    let wrong = authorization("alice", "secreT");
    assert!(is_held(&settle(&basic, &right, 1000), "alice"));
    assert!(matches!(settle(&basic, &wrong, 1000), Standing::Wrong));
    let _busy = occupy(helper);
    assert!(is_held(&basic.check(Some(&right), 1000), "alice"));
    assert!(is_held(&basic.check(Some(&right), 300_999), "alice"));
    assert!(matches!(basic.check(Some(&right), 301_000), Standing::Verifying(_)));
    assert!(matches!(basic.check(Some(&wrong), 5999), Standing::Wrong));
    assert!(matches!(basic.check(Some(&wrong), 6000), Standing::Verifying(_)));
}

#[test]
fn an_outcome_that_nobody_fetched_is_there_for_the_next_who_asks() {
    let (basic, helper) = own_basic();
    for (password, holds) in [("secret", true), ("wrong", false)] {
        let value = authorization("alice", password);
        let Standing::Verifying(mut later) = basic.check(Some(&value), 0) else { panic!("known") };
        wait(&mut later);
        let _busy = occupy(helper);
        let standing = basic.check(Some(&value), u64::MAX);
        assert_eq!(is_held(&standing, "alice"), holds);
        assert_eq!(matches!(standing, Standing::Wrong), !holds);
    }
}

#[test]
fn those_who_bring_the_same_password_share_one_verification() {
    let (basic, helper) = own_basic();
    let busy = occupy(helper);
    let value = authorization("alice", "secret");
    let mut all: Vec<Later> = (0..QUEUE * 2)
        .map(|_| match basic.check(Some(&value), 0) {
            Standing::Verifying(later) => later,
            other => panic!("{other:?}"),
        })
        .collect();
    // All of them took one place of the queue, so there is room for all others.
    for at in 1..QUEUE {
        let value = authorization("alice", &at.to_string());
        assert!(matches!(basic.check(Some(&value), 0), Standing::Verifying(_)), "{at}");
    }
    assert!(matches!(basic.check(Some(&authorization("alice", "x")), 0), Standing::Busy));
    drop(busy);
    all.iter_mut().for_each(wait);
    assert!(is_held(&basic.check(Some(&value), 0), "alice"));
}

#[test]
fn a_full_queue_hinders_only_passwords_that_are_new() {
    let (basic, helper) = own_basic();
    let known = authorization("alice", "secret");
    assert!(is_held(&settle(&basic, &known, 0), "alice"));
    let _busy = occupy(helper);
    for at in 0..QUEUE {
        let value = authorization("mallory", &at.to_string());
        assert!(matches!(basic.check(Some(&value), 0), Standing::Verifying(_)), "{at}");
    }
    assert!(matches!(basic.check(Some(&authorization("bob", "pä:ß")), 0), Standing::Busy));
    assert!(is_held(&basic.check(Some(&known), 0), "alice"));
}

#[test]
fn methods_that_need_no_password_are_let_through() {
    let checks = |names| [Rc::new(Access::Basic(Box::new(basic("a", names).unwrap())))];
    let passes = |checks: &[Rc<Access>], method| {
        let visitor = Visitor { client: None, method, authorization: None, now_ms: 0 };
        match check(checks, &visitor) {
            Verdict::Allowed(user) => user.is_none(),
            Verdict::Unauthorized(_) => false,
            other => panic!("{other:?}"),
        }
    };
    let writing = checks(&["PUT", "DELETE", "PROPPATCH"]);
    for method in [Method::Get, Method::Head, Method::Post, Method::Other("put")] {
        assert!(passes(&writing, method), "{method}");
    }
    for method in [Method::Put, Method::Delete, Method::Other("PROPPATCH")] {
        assert!(!passes(&writing, method), "{method}");
    }
    let reading = checks(&["GET"]);
    assert!(!passes(&reading, Method::Get) && !passes(&reading, Method::Head));
    assert!(passes(&reading, Method::Post));
    assert!(passes(&checks(&["HEAD"]), Method::Get));
    assert!(!passes(&checks(&["PUT", "*"]), Method::Get));
}

#[test]
fn what_cannot_be_set_up_says_why() {
    let challenge = |realm| basic(realm, &["*"]).map(|basic| basic.challenge().to_owned());
    assert_eq!(challenge("private"), Ok(r#"Basic realm="private", charset="UTF-8""#.to_owned()));
    assert_eq!(
        challenge(r#"a "b" \ ä"#),
        Ok(r#"Basic realm="a \"b\" \\ ä", charset="UTF-8""#.to_owned())
    );
    assert_eq!(challenge(""), Ok(r#"Basic realm="", charset="UTF-8""#.to_owned()));
    for realm in ["a\r\nX: y", "a\0", " a"] {
        assert!(challenge(realm).is_err_and(|error| error.contains("cannot be a realm")));
    }
    for (names, complaint) in [
        (&[][..], "for all write \"*\""),
        (&["GET", ""], "\"\" is not a method"),
        (&["GET, PUT"], "\"GET, PUT\" is not a method"),
        (&["get"], "is it \"GET\""),
    ] {
        let error = basic("a", names).map(|_| ()).expect_err(complaint);
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn addresses_are_asked_before_passwords_and_all_must_pass() {
    let allow =
        |network: &str| Rc::new(Access::Allow(Allow::new([network.parse().expect(network)])));
    let (outer, inner) = (own_basic().0, own_basic().0);
    let value = authorization("alice", "secret");
    let wrong = authorization("alice", "wrong");
    assert!(is_held(&settle(&outer, &value, 0), "alice"));
    assert!(is_held(&settle(&inner, &value, 0), "alice"));
    assert!(matches!(settle(&outer, &wrong, 0), Standing::Wrong));
    let (outer, inner) =
        (Rc::new(Access::Basic(Box::new(outer))), Rc::new(Access::Basic(Box::new(inner))));
    let all = [outer, allow("127.0.0.0/8"), inner, allow("127.0.0.1")];
    let verdict = |client, authorization| {
        check(&all, &Visitor { client, method: Method::Get, authorization, now_ms: 0 })
    };
    let Verdict::Allowed(user) = verdict(Some(HOME), Some(&*value)) else { panic!("kept out") };
    assert_eq!(user.as_deref(), Some("alice"));
    assert!(matches!(verdict(None, Some(&*value)), Verdict::Allowed(Some(_))));
    let next_door = Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    assert!(matches!(verdict(next_door, Some(&*value)), Verdict::Forbidden));
    assert!(matches!(verdict(next_door, None), Verdict::Forbidden));
    let Verdict::Unauthorized(challenge) = verdict(Some(HOME), Some(&*wrong)) else { panic!("no") };
    assert_eq!(challenge, r#"Basic realm="a", charset="UTF-8""#);
    assert!(matches!(verdict(Some(HOME), None), Verdict::Unauthorized(_)));
    assert!(matches!(
        check(&[], &Visitor { client: None, method: Method::Get, authorization: None, now_ms: 0 }),
        Verdict::Allowed(None)
    ));
}
