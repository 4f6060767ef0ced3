//! Who may have an answer: by address ([`Allow`]) and by password ([`Basic`]). What they would get
//! is not known here.

mod allow;
mod basic;
mod credentials;
mod hash;
mod helper;
mod htpasswd;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::rc::Rc;

pub use allow::{Allow, BadNetwork, Network};
pub use basic::{BadBasic, Basic};
pub use htpasswd::{BadHtpasswd, Htpasswd};

use crate::http::method::Method;
use crate::site::handler::Later;
use basic::Standing;

/// One thing that a route asks of those who come.
#[derive(Debug)]
pub enum Access {
    /// That they come from one of these addresses.
    Allow(Allow),
    /// That they know a user's password.
    Basic(Box<Basic>),
}

/// What is known of one who comes.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The client's address; `None` over a Unix-domain socket.
    pub client: Option<IpAddr>,
    /// The request's method.
    pub method: Method<'a>,
    /// The value of Authorization, if the request has one and no more than one.
    pub authorization: Option<&'a [u8]>,
    /// What the monotonic clock shows, in milliseconds.
    pub now_ms: u64,
}

/// Whether one who came may go on.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Yes; with the user's name if the innermost password that was asked for was a user's.
    Allowed(Option<Rc<str>>),
    /// Not from this address: 403.
    Forbidden,
    /// Not without another password: 401, with this value of `WWW-Authenticate`.
    Unauthorized(&'a str),
    /// Not now: 503. More passwords are waiting to be verified than there is room for, or there is
    /// no thread to verify them.
    Busy,
    /// Not known yet. Once this is settled, the same visitor gets another verdict at once.
    Verifying(Later),
}

/// Asks all of `checks`, which stand from the outermost to the innermost: addresses first, so that
/// nobody from elsewhere can try a password. The first one that is not passed decides.
#[must_use]
pub fn check<'a>(checks: &'a [Rc<Access>], visitor: &Visitor<'_>) -> Verdict<'a> {
    let is_kept_out = |check: &Rc<Access>| match &**check {
        Access::Allow(allow) => !allow.admits(visitor.client),
        Access::Basic(_) => false,
    };
    if checks.iter().any(is_kept_out) {
        return Verdict::Forbidden;
    }
    let mut user = None;
    for check in checks {
        match &**check {
            Access::Basic(basic) if basic.covers(visitor.method) => {
                match basic.check(visitor.authorization, visitor.now_ms) {
                    Standing::Held(name) => user = Some(name),
                    Standing::Wrong => return Verdict::Unauthorized(basic.challenge()),
                    Standing::Busy => return Verdict::Busy,
                    Standing::Verifying(later) => return Verdict::Verifying(later),
                }
            }
            Access::Basic(_) | Access::Allow(_) => {}
        }
    }
    Verdict::Allowed(user)
}
