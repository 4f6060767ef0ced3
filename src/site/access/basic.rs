//! Basic authentication (RFC 7617): users of one file, what has lately been found out about their
//! passwords, and how they are asked for one.

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use lru::LruCache;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;

use super::credentials::{Credentials, Space};
use super::helper::{Helper, QUEUE, Verification};
use super::htpasswd::Htpasswd;
use crate::http::fields::{is_name, is_value};
use crate::http::method::Method;
use crate::site::handler::Later;

/// For so long a password that held is taken without being verified again.
const HELD_MS: u64 = 5 * 60 * 1000;

/// For so long one that did not hold is refused without being verified again. Those who waited for
/// it ask again within that time.
const WRONG_MS: u64 = 5 * 1000;

/// So many passwords that held are remembered; the ones not used for longest are forgotten first.
const MAX_HELD: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// So many others are remembered: those being verified, and those that did not hold. Verifications
/// are done in their order, so what is forgotten here to make room has long been verified.
const MAX_RECENT: NonZeroUsize = NonZeroUsize::new(4 * QUEUE).expect("not zero");

/// Lets in the users of one file who know their password.
///
/// A password is hashed on another thread, and only when it is new. Of those that were verified a
/// keyed hash is remembered, never the password itself; the key is this value's own, random, and
/// nowhere else.
pub struct Basic {
    users: Htpasswd,
    /// For `WWW-Authenticate`.
    challenge: Box<str>,
    /// Those that need a password; `None`: all do.
    methods: Option<Box<[Box<str>]>>,
    /// Knows the key already.
    tagger: Hmac<Sha256>,
    memory: RefCell<Memory>,
    helper: &'static Helper,
}

/// Why it cannot be set up. Its `Display` is a whole sentence, without the full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBasic(String);

/// What is known of the credentials of a request.
#[derive(Debug)]
pub(super) enum Standing {
    /// They are this user's.
    Held(Rc<str>),
    /// There are none, or they are nobody's.
    Wrong,
    /// They cannot even be verified now.
    Busy,
    /// They are being verified.
    Verifying(Later),
}

impl Basic {
    /// Asks for a user of `users` when a request has one of `methods`. `*` stands for all of them;
    /// what is asked for GET is asked for HEAD as well. `realm` says to people what the password is
    /// for.
    ///
    /// # Errors
    /// If `realm` cannot stand in a field, `methods` has no method or something that is none, or
    /// the system has no random numbers.
    pub fn new(users: Htpasswd, realm: &str, methods: &[String]) -> Result<Self, BadBasic> {
        let mut key = [0; 32];
        match getrandom(&mut key, GetRandomFlags::empty()) {
            Ok(32) => {}
            Ok(_) => return Err(BadBasic("the system gave too few random numbers".to_owned())),
            Err(error) => return Err(BadBasic(format!("there are no random numbers: {error}"))),
        }
        let tagger = Hmac::new_from_slice(&key).expect("HMAC takes a key of any length");
        Ok(Basic {
            users,
            challenge: challenge(realm)?,
            methods: parse_methods(methods)?,
            tagger,
            memory: RefCell::new(Memory::new()),
            helper: Helper::of_process(),
        })
    }

    /// The value of `WWW-Authenticate`.
    pub(in crate::site) fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Whether a request with this method needs a password.
    pub(super) fn covers(&self, method: Method<'_>) -> bool {
        let Some(methods) = &self.methods else { return true };
        let is_named = |name: &str| methods.iter().any(|method| **method == *name);
        is_named(method.as_str()) || method == Method::Head && is_named(Method::Get.as_str())
    }

    /// Whether the value of an Authorization field is a user's. Never waits; where the answer is
    /// remembered it allocates nothing.
    pub(super) fn check(&self, authorization: Option<&[u8]>, now_ms: u64) -> Standing {
        let mut space = Space::new();
        let Some(credentials) = authorization.and_then(|it| Credentials::parse(it, &mut space))
        else {
            return Standing::Wrong;
        };
        let tag = self.tag(&credentials);
        let mut memory = self.memory.borrow_mut();
        match memory.recall(&tag, now_ms) {
            Some(Recollection::Held(user)) => Standing::Held(user),
            Some(Recollection::Wrong) => Standing::Wrong,
            Some(Recollection::Verifying(verification)) => wait(&verification),
            None => self.verify(&mut memory, tag, &credentials),
        }
    }

    fn verify(&self, memory: &mut Memory, tag: Tag, credentials: &Credentials<'_>) -> Standing {
        let Some(claim) = self.users.claim(credentials.user()) else { return Standing::Wrong };
        match self.helper.verify(claim.hash, credentials.password().to_vec()) {
            Some(verification) => {
                let standing = wait(&verification);
                memory.recent.put(tag, Recent::Verifying { verification, user: claim.user });
                standing
            }
            None => Standing::Busy,
        }
    }

    #[cfg(test)]
    pub(super) fn set_helper(&mut self, helper: &'static Helper) {
        self.helper = helper;
    }

    /// What stands for credentials in memory.
    fn tag(&self, credentials: &Credentials<'_>) -> Tag {
        self.tagger.clone().chain_update(&**credentials).finalize().into_bytes().into()
    }
}

fn wait(verification: &Verification) -> Standing {
    verification.later().map_or(Standing::Busy, Standing::Verifying)
}

/// HMAC-SHA256 (RFC 2104) of user, colon and password. It cannot be made without the key, so where
/// and how soon two of them differ tells nothing to anyone.
type Tag = [u8; 32];

/// What has been found out about credentials.
struct Memory {
    held: LruCache<Tag, Held>,
    recent: LruCache<Tag, Recent>,
}

struct Held {
    user: Rc<str>,
    until_ms: u64,
}

enum Recent {
    /// `user`: whose they are if they hold; `None` if they are nobody's in any case.
    Verifying {
        verification: Arc<Verification>,
        user: Option<Rc<str>>,
    },
    Wrong {
        until_ms: u64,
    },
}

enum Recollection {
    Held(Rc<str>),
    Wrong,
    Verifying(Arc<Verification>),
}

impl Memory {
    fn new() -> Memory {
        Memory { held: LruCache::sparse(MAX_HELD), recent: LruCache::sparse(MAX_RECENT) }
    }

    /// What is known of the credentials with this tag. An outcome that has come meanwhile is
    /// remembered from now on: hashes do not change while this lives, so it is as good as new.
    fn recall(&mut self, tag: &Tag, now_ms: u64) -> Option<Recollection> {
        match self.held.get(tag) {
            Some(held) if now_ms < held.until_ms => {
                return Some(Recollection::Held(Rc::clone(&held.user)));
            }
            Some(_) => drop(self.held.pop(tag)),
            None => {}
        }
        let (holds, user) = match self.recent.get(tag)? {
            Recent::Wrong { until_ms } if now_ms < *until_ms => return Some(Recollection::Wrong),
            Recent::Wrong { .. } => {
                self.recent.pop(tag);
                return None;
            }
            Recent::Verifying { verification, user } => match verification.outcome() {
                None => return Some(Recollection::Verifying(Arc::clone(verification))),
                Some(holds) => (holds, user.clone()),
            },
        };
        if let Some(user) = user.filter(|_| holds) {
            self.recent.pop(tag);
            let until_ms = now_ms.saturating_add(HELD_MS);
            self.held.put(*tag, Held { user: Rc::clone(&user), until_ms });
            return Some(Recollection::Held(user));
        }
        let until_ms = now_ms.saturating_add(WRONG_MS);
        self.recent.put(*tag, Recent::Wrong { until_ms });
        Some(Recollection::Wrong)
    }
}

/// RFC 7617 §2.1: the realm as a quoted string (RFC 9110 §5.6.4), and that user and password are
/// expected in UTF-8.
fn challenge(realm: &str) -> Result<Box<str>, BadBasic> {
    if !is_value(realm.as_bytes()) {
        let what = "it has a control character, or a space at one end";
        return Err(BadBasic(format!("{realm:?} cannot be a realm: {what}")));
    }
    let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into())
}

fn parse_methods(methods: &[String]) -> Result<Option<Box<[Box<str>]>>, BadBasic> {
    if methods.is_empty() {
        return Err(BadBasic("no method would need the password; for all write \"*\"".to_owned()));
    }
    for method in methods {
        if !is_name(method.as_bytes()) {
            return Err(BadBasic(format!("{method:?} is not a method")));
        }
        // Methods are case-sensitive (RFC 9110 §9.1), but nobody means another one by "get".
        let upper = method.to_ascii_uppercase();
        if upper != *method && !matches!(Method::parse(&upper), Method::Other(_)) {
            return Err(BadBasic(format!("{method:?} is not a method; is it {upper:?}")));
        }
    }
    let all = methods.iter().any(|method| method == "*");
    Ok((!all).then(|| methods.iter().map(|method| method.as_str().into()).collect()))
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic({:?}, {})", self.users, self.challenge)
    }
}

impl fmt::Display for BadBasic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadBasic {}
