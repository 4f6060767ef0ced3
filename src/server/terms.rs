//! What an exchange is answered by. One that has begun goes on by the terms that it began with,
//! whatever the server has taken up since; where they come from is not known here.

use super::limits::Limits;
use super::trust::Trust;
use crate::site::Site;

/// A site and limits, never changed once somebody goes by them.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) site: Site,
    pub(super) limits: Limits,
    pub(super) trust: Trust,
}

impl Terms {
    /// Terms that the loop can go by.
    pub(super) fn new(site: Site, mut limits: Limits, trust: Trust) -> Terms {
        // Whoever has no share of a turn would yield for ever.
        limits.turn_requests = limits.turn_requests.max(1);
        limits.turn_bytes = limits.turn_bytes.max(1);
        Terms { site, limits, trust }
    }
}
