//! Where nothing is at a path: who answers instead. Files that stand in for what is missing are
//! known to `serve.rs`.
//!
//! *Invariant:* who answers instead is asked once. What is missing there too is an error.

use super::files::is_hidden;
use super::root::Kind;
use super::rule::Rule;
use super::{Answer, Errand, Site, redirect, redirect_to};
use crate::http::method::Method;
use crate::http::status::Status;

/// Who answers instead.
pub(super) enum StandIn<'a> {
    /// The script at this part of the path. The rest is for it to read.
    Script(&'a [u8]),
    /// Whoever answers below the path, once the client adds a slash to it.
    Below,
    /// The program at this path of the same host, which takes whatever is missing.
    Fallback(&'a str),
}

impl Site {
    /// The answer where nothing is at the path, if somebody has one.
    pub(super) fn instead(&self, errand: &Errand<'_>) -> Option<Answer> {
        let mut answer = match self.stand_in(errand)? {
            StandIn::Script(lead) => self.enter(errand, lead, &errand.path[lead.len()..]),
            StandIn::Fallback(fallback) => self.enter(errand, fallback.as_bytes(), b""),
            StandIn::Below => return Some(self.lead_below(errand)),
        };
        if let Answer::Gateway(plan) = &mut answer {
            // An origin server is asked for what the client has asked for.
            plan.path = errand.path.to_vec();
        }
        Some(answer)
    }

    /// Who answers where nothing is at the path.
    pub(super) fn stand_in<'a>(&self, errand: &Errand<'a>) -> Option<StandIn<'a>> {
        let Errand { inquiry, host, path, rule } = *errand;
        let method = inquiry.head.method;
        if matches!(method, Method::Connect | Method::Trace) {
            return None;
        }
        if let Some(lead) = self.script_before(host, path) {
            return Some(StandIn::Script(lead));
        }
        if method.retrieves() && self.is_answered_below(host, path) {
            return Some(StandIn::Below);
        }
        let fallback = self.fallback_program(host, rule)?;
        let is_to_stay_missing = is_hidden(&path[1..]) || fallback.as_bytes() == path;
        (!is_to_stay_missing).then_some(StandIn::Fallback(fallback))
    }

    /// The fallback, if it is a program that answers there.
    pub(super) fn fallback_program<'r>(&self, host: usize, rule: &'r Rule) -> Option<&'r str> {
        let fallback = rule.fallback.as_deref()?;
        let theirs = self.hosts[host].table.rule(fallback.as_bytes());
        theirs.program().map(|_| fallback)
    }

    /// `/app.py` of `/app.py/x`, where it is a script by its ending and a regular file that we see.
    /// No name behind the first one with such an ending counts, whatever the first one is.
    fn script_before<'p>(&self, host: usize, path: &'p [u8]) -> Option<&'p [u8]> {
        let table = &self.hosts[host].table;
        if table.endings.is_empty() {
            return None;
        }
        let mut leads = memchr::memchr_iter(b'/', path).skip(1).map(|end| &path[..end]);
        let lead = leads.find(|lead| table.ends_like_script(lead))?;
        let rule = table.rule(lead);
        let (finder, pattern) = rule.program()?;
        let is_script = !pattern.suffix().is_empty();
        (is_script && finder.kind(lead, pattern) == Some(Kind::Regular)).then_some(lead)
    }

    /// Whether `path` lacks but its slash to be answered by what is no files.
    fn is_answered_below(&self, host: usize, path: &[u8]) -> bool {
        let table = &self.hosts[host].table;
        if !table.answers_below {
            return false;
        }
        let below = [path, b"/"].concat();
        let rule = table.rule(&below);
        let Some(route) = rule.route() else { return false };
        route.answers_below() && route.pattern.prefix(&below) == path
    }

    /// Sends the client below the path, if it may go there.
    fn lead_below(&self, errand: &Errand<'_>) -> Answer {
        let below = [errand.path, b"/"].concat();
        let rule = self.hosts[errand.host].table.rule(&below);
        if let Err(answer) = self.admit(&Errand { path: &below, rule: &rule, ..*errand }) {
            return answer;
        }
        let reference = redirect::with_slash(errand.path, errand.inquiry.head.target.query());
        Answer::Reply(redirect_to(&reference, Status::MOVED_PERMANENTLY, errand.rule))
    }
}
