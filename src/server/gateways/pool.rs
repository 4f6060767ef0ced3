//! How programs stand, to be shown. By whom, and how, is not known here.

use std::rc::Rc;

use super::{Gateways, Standing};
use crate::server::timers::Millis;
use crate::site::program::Program;

/// How the program of a route stands, to be shown.
#[derive(Debug)]
pub(in super::super) struct Pool {
    pub(in super::super) host: String,
    pub(in super::super) pattern: String,
    /// Clients that wait.
    pub(in super::super) queued: usize,
    pub(in super::super) ends: Vec<End>,
}

/// How one of its endpoints stands.
#[derive(Debug)]
pub(in super::super) struct End {
    pub(in super::super) name: String,
    /// Exchanges under way.
    pub(in super::super) running: usize,
    /// Connections kept for the next ones.
    pub(in super::super) idle: usize,
    /// Others are preferred for a while.
    pub(in super::super) is_unhealthy: bool,
}

impl Gateways {
    /// How `program` stands, that answers for these paths of this host.
    pub(in super::super) fn pool(
        &self,
        program: &Rc<Program>,
        host: &str,
        pattern: &str,
        now: Millis,
    ) -> Pool {
        let is_it = |standing: &&Standing| Rc::ptr_eq(&standing.program, program);
        let standing = self.programs.iter().map(|(_, standing)| standing).find(is_it);
        let names: Vec<String> = match program.kind.upstream() {
            Some(upstream) => upstream.to.iter().map(ToString::to_string).collect(),
            None => vec!["process".to_owned()],
        };
        let end = |(at, name): (usize, String)| {
            let occupancy = standing.and_then(|standing| standing.endpoints.get(at));
            End {
                name,
                running: occupancy.map_or(0, |at| at.active),
                idle: occupancy.map_or(0, |at| at.idle.len()),
                is_unhealthy: occupancy.is_some_and(|at| at.is_ill || at.down_until > now),
            }
        };
        let (host, pattern) = (host.to_owned(), pattern.to_owned());
        Pool {
            host,
            pattern,
            queued: standing.map_or(0, |standing| standing.waiting.len()),
            ends: names.into_iter().enumerate().map(end).collect(),
        }
    }
}
