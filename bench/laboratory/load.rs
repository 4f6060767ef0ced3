//! What the clients ask for, and how many of them there are.

use std::fs::File;
use std::net::SocketAddr;

use rustix::fs::Advice;

use super::answer::Ask;

/// One request, and the answer that it must get.
pub(crate) struct Target {
    pub(crate) ask: Ask,
    /// The file that is thrown out of the page cache before it is asked for.
    pub(crate) cold: Option<File>,
}

impl Target {
    pub(crate) fn chill(&self) {
        if let Some(file) = &self.cold {
            // Whether that works was tried before.
            let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
        }
    }
}

/// All that the clients of one server do.
pub(crate) struct Load<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) targets: &'a [Target],
    /// Of these targets active clients take one at random, each time.
    pub(crate) choices: &'a [usize],
    /// Of these slow ones.
    pub(crate) long: &'a [usize],
    /// Clients that ask and are measured.
    pub(crate) active: usize,
    /// Clients that ask once, and then stay.
    pub(crate) idle: usize,
    /// Clients that read slowly.
    pub(crate) slow: usize,
    /// Requests that are sent at once.
    pub(crate) depth: usize,
    /// Whether each request has a connection of its own.
    pub(crate) closes: bool,
}
