//! More than can be done, or than somebody may have: requests that are put off and clients that are
//! not let in, so that the others are served.

use std::net::SocketAddr;
use std::time::Duration;

use super::Server;
use super::client::Client;
use super::metrics::{Limit, Metrics};
use super::net::Net;
use super::peers::PeerId;
use super::serving::Serving;
use super::shares::Shares;
use super::terms::Terms;
use crate::http::Refusal;
use crate::http::status::Status;
use crate::site::Reply;
use crate::site::rule::RouteNumber;

/// When whoever was put off because of an overload should come back.
const COME_BACK: Duration = Duration::from_secs(1);

/// Why a client is not let in.
pub(super) const TOO_MANY: &str = "this address has too many connections";

const OVERLOADED: Refusal = Refusal {
    status: Status::SERVICE_UNAVAILABLE,
    why: "the server has more to do than it can do",
};

const TOO_FAST: Refusal = Refusal {
    status: Status::TOO_MANY_REQUESTS,
    why: "this address has sent more requests than it may",
};

impl<N: Net> Serving<'_, '_, N> {
    /// Whether there is something for which a request may be put off. On a server that is not
    /// overloaded, and where addresses have no rate, there is not.
    pub(super) fn may_be_put_off(&self) -> bool {
        self.cx.watch.is_overdue() || self.cx.terms.limits.per_ip_rate.is_some()
    }

    /// The answer to a request that is put off; `None` if it is to be taken up.
    #[cold]
    pub(super) fn put_off(&mut self) -> Option<Reply> {
        if self.client.is_admin {
            return None;
        }
        let (refusal, limit, wait) = if self.cx.watch.is_overdue() {
            self.cx.watch.put_off();
            (OVERLOADED, Limit::Overload, COME_BACK)
        } else {
            let rate = self.cx.terms.limits.per_ip_rate?;
            let address = self.client.asker(self.exchange)?;
            let wait = self.cx.shares.take(address, rate, self.cx.now).err()?;
            (TOO_FAST, Limit::PerIpRate, wait)
        };
        self.cx.metrics.hit(limit);
        self.exchange.route = RouteNumber::default();
        self.exchange.why = Some(refusal.why.into());
        Some(self.cx.terms.site.put_off(refusal, wait))
    }
}

impl<N: Net> Server<N> {
    /// Counts the connections of each address anew, for the limit may not have been there before.
    pub(super) fn count_connections(&mut self) {
        self.shares.forget_clients();
        let is_limited = self.terms.limits.per_ip_connections.is_some();
        let all: Vec<PeerId> = self.peers.iter().map(|(id, _)| id).collect();
        for id in all {
            let Some(client) = self.peers.client_mut(id) else { continue };
            let address = counted(client, &self.terms).filter(|_| is_limited && !client.is_admin);
            client.is_counted =
                address.is_some_and(|address| self.shares.enter(address.ip(), usize::MAX));
        }
    }
}

/// Whether `client` may come in: it is counted from then on, if there is a limit. Of those who
/// speak for others it is seen later whom they speak for.
pub(super) fn is_let_in(
    client: &mut Client,
    terms: &Terms,
    shares: &mut Shares,
    metrics: &mut Metrics,
) -> bool {
    let Some(most) = terms.limits.per_ip_connections else { return true };
    let Some(address) = counted(client, terms) else { return true };
    client.is_counted = shares.enter(address.ip(), most);
    if !client.is_counted {
        metrics.hit(Limit::PerIpConnections);
    }
    client.is_counted
}

/// Where a client is counted: not at all if it speaks for others, or has no address.
fn counted(client: &Client, terms: &Terms) -> Option<SocketAddr> {
    let speaks_for_others = |address: &SocketAddr| {
        let forwarders = terms.trust.forwarders.as_ref();
        forwarders.is_some_and(|known| known.contains(Some(address.ip())))
    };
    client.address.filter(|address| !client.awaits_header && !speaks_for_others(address))
}
