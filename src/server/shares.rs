//! What one address may have of the server: connections at once, and requests in a time. Whose
//! addresses these are, and what becomes of those who want more, is not known here.
//!
//! The rate is kept by a token bucket in the form of one time: when all that was had will be paid
//! for (the generic cell rate algorithm, ITU-T I.371). An address that has nothing and owes nothing
//! takes no room.
//!
//! *Invariant:* there are never more addresses than clients and `DEBTORS`, and never a request that
//! nobody has to pay for.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::timers::Millis;

/// Addresses without a connection that are remembered because they owe something. Where there are
/// more, new ones have their share in common with others.
const DEBTORS: usize = 1 << 16;

/// So many shares there are in common. Who is in which is foreseen by nobody outside.
const CROWDS: usize = 1 << 12;

/// Those who owe nothing any more are looked for no more often than that.
const SWEEP: Duration = Duration::from_secs(1);

/// How many requests there may be in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// As many in each second.
    pub per_second: u32,
    /// As many at once, if there were none before.
    pub burst: u32,
}

/// What each address has.
#[derive(Debug, Default)]
pub(super) struct Shares {
    by_address: HashMap<IpAddr, Share>,
    /// As many as there are `CROWDS`, once there was no room for an address.
    crowds: Vec<Share>,
    clients: usize,
    swept: Millis,
    /// Decides who has a share in common with whom. It is known to nobody outside.
    secret: u64,
}

#[derive(Clone, Debug, Default)]
struct Share {
    clients: usize,
    /// When it owes nothing any more, in microseconds.
    paid_us: u64,
}

impl Shares {
    /// Those of nobody yet. `secret` is a number that nobody can guess.
    pub(super) fn new(secret: u64) -> Shares {
        Shares { secret, ..Shares::default() }
    }

    /// Takes in a client, if its address does not have the `most` that one may have.
    pub(super) fn enter(&mut self, address: IpAddr, most: usize) -> bool {
        let share = self.by_address.entry(network(address)).or_default();
        if share.clients >= most {
            return false;
        }
        share.clients += 1;
        self.clients += 1;
        true
    }

    /// A client that was taken in is gone.
    pub(super) fn leave(&mut self, address: IpAddr, now: Millis) {
        let network = network(address);
        if let Some(share) = self.by_address.get_mut(&network) {
            share.clients = share.clients.saturating_sub(1);
            self.clients = self.clients.saturating_sub(1);
            if !share.is_needed(now) {
                self.by_address.remove(&network);
            }
        }
    }

    /// Takes a request of this address.
    ///
    /// # Errors
    /// How long it should wait before the next one, where it has had all that it may have.
    pub(super) fn take(
        &mut self,
        address: IpAddr,
        rate: RequestRate,
        now: Millis,
    ) -> Result<(), Duration> {
        let network = network(address);
        let share = if self.by_address.contains_key(&network) || self.has_room(now) {
            self.by_address.entry(network).or_default()
        } else {
            self.crowd(network)
        };
        let (now_us, price_us) = (now.0 * 1000, 1_000_000 / u64::from(rate.per_second.max(1)));
        let credit_us = price_us * u64::from(rate.burst.saturating_sub(1));
        match share.paid_us.checked_sub(now_us + credit_us) {
            Some(late_us) if late_us > 0 => Err(Duration::from_micros(late_us)),
            Some(_) | None => {
                share.paid_us = share.paid_us.max(now_us) + price_us;
                Ok(())
            }
        }
    }

    /// Whether there is room for another one. Those that owe nothing any more make some.
    fn has_room(&mut self, now: Millis) -> bool {
        let most = self.clients + DEBTORS;
        if self.by_address.len() >= most && now.since(self.swept) >= SWEEP {
            self.by_address.retain(|_, share| share.is_needed(now));
            self.swept = now;
        }
        self.by_address.len() < most
    }

    /// The share that a network has in common with others. All of a /48 have the same one: it is
    /// what a site is given (RFC 6177), and would otherwise be in all of them.
    fn crowd(&mut self, network: IpAddr) -> &mut Share {
        let site = match network {
            IpAddr::V4(_) => network,
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
            }
        };
        self.crowds.resize(CROWDS, Share::default());
        let mut hasher = DefaultHasher::new();
        (self.secret, site).hash(&mut hasher);
        let at =
            usize::try_from(hasher.finish() % CROWDS as u64).expect("it is less than `CROWDS`");
        &mut self.crowds[at]
    }

    /// Forgets who has how many connections: they are counted anew.
    pub(super) fn forget_clients(&mut self) {
        self.clients = 0;
        self.by_address.values_mut().for_each(|share| share.clients = 0);
    }
}

impl Share {
    fn is_needed(&self, now: Millis) -> bool {
        self.clients > 0 || self.paid_us > now.0 * 1000
    }
}

/// What is taken for one address: of IPv6, all of a /64, which one customer has at least
/// (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: RequestRate = RequestRate { per_second: 10, burst: 3 };

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_are_counted_by_address_and_of_ipv6_by_64_bits() {
        let mut shares = Shares::default();
        for (address, is_let_in) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8:0:1::1", true),
            ("2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::3", false),
            ("2001:db8:0:2::1", true),
        ] {
            assert_eq!(shares.enter(at(address), 2), is_let_in, "{address}");
        }
        shares.leave(at("192.0.2.1"), Millis(0));
        assert!(shares.enter(at("192.0.2.1"), 2));
        for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2"] {
            shares.leave(at(address), Millis(0));
        }
        assert_eq!(shares.by_address.len(), 2, "who has nothing is forgotten");
    }

    #[test]
    fn a_burst_is_had_at_once_and_then_as_many_as_the_rate_allows() {
        let mut shares = Shares::default();
        let mut take = |now| shares.take(at("192.0.2.1"), RATE, Millis(now));
        for _ in 0..3 {
            assert_eq!(take(1000), Ok(()));
        }
        assert_eq!(take(1000), Err(Duration::from_millis(100)));
        assert_eq!(take(1099), Err(Duration::from_millis(1)));
        assert_eq!(take(1100), Ok(()));
        assert_eq!(take(1100), Err(Duration::from_millis(100)));
        // Nobody saves up more than a burst.
        let had = (0..100).filter(|_| take(60_000).is_ok()).count();
        assert_eq!(had, 3);
        // In a long time there are as many as it says.
        let had = (60_001..70_001).filter(|&now| take(now).is_ok()).count();
        assert_eq!(had, 100);
        assert_eq!(shares.take(at("192.0.2.2"), RATE, Millis(0)), Ok(()), "another address");
    }

    #[test]
    fn who_has_a_share_in_common_with_whom_is_the_same_by_the_same_secret() {
        // In which share each of some sites is.
        let crowds = |secret| {
            let mut shares = Shares::new(secret);
            let site = |number: u128| IpAddr::from(Ipv6Addr::from(number << 80));
            let place = |number| {
                shares.crowd(site(number)).clients += 1;
                let taken = shares.crowds.iter().position(|share| share.clients > 0);
                shares.crowds.fill(Share::default());
                taken
            };
            (0..50).map(place).collect::<Vec<_>>()
        };
        assert_eq!(crowds(1), crowds(1));
        assert_ne!(crowds(1), crowds(2));
    }

    #[test]
    fn however_many_addresses_there_are_they_have_no_more_room() {
        let mut shares = Shares::default();
        let v6 = |number: u64| IpAddr::from(Ipv6Addr::from(u128::from(number) << 64));
        let mut take = |number| shares.take(v6(number), RATE, Millis(5000));
        for number in 0..DEBTORS as u64 {
            assert_eq!(take(number), Ok(()));
        }
        // All these are of one /48, whichever they are.
        let late = DEBTORS as u64..DEBTORS as u64 + 1000;
        assert_eq!(late.filter(|&number| take(number).is_ok()).count(), 3);
        // And of these each is of another one.
        let others = (0..100).filter(|number| take(number << 32).is_ok()).count();
        assert!(others > 90, "{others}");
        assert_eq!(shares.by_address.len(), DEBTORS);
        assert_eq!(shares.take(v6(u64::MAX), RATE, Millis(60_000)), Ok(()));
        assert_eq!(shares.by_address.len(), 1, "they owe nothing any more");
    }
}
