//! Kept connections are told what they were given away for. To whom they were given, and why, is
//! told in `dialing.rs`.

use super::Server;
use super::client::Phase;
use super::dialing::{Parting, Wish, relay_in};
use super::gateway::Stage;
use super::net::Net;
use super::recorder::Act;
use super::relay::name;
use super::timers::Millis;

impl<N: Net> Server<N> {
    /// Tells kept connections what they were given away for, unless they have come to their end or
    /// said something meanwhile: nobody has asked, so it would be taken for this client's answer.
    ///
    /// This is done at the beginning of a turn, one right behind the other, so that a program that
    /// has many of them is woken once, and has said something by the time it is listened to again.
    pub(super) fn tell_kept(&mut self, now: Millis) {
        while let Some(id) = self.untold.pop_front() {
            let Some(client) = self.peers.client_mut(id) else { continue };
            let terms = client.terms(&self.terms);
            let Some(relay) = relay_in(&mut client.work) else { continue };
            let Some(gateway) = relay.gateway().filter(|gateway| gateway.is_untold()) else {
                continue;
            };
            gateway.is_open = true;
            let told = if gateway.has_news() { None } else { gateway.write(&mut self.net).ok() };
            let Some(told) = told else {
                let gateway = gateway.id;
                log::debug!("{}: a kept connection was over; trying again", name(&relay.plan));
                (relay.fresh, relay.stage) = (true, Stage::Waiting(now));
                self.wishes.push_back(Wish::Gateway(id));
                self.part(gateway, Parting::Close, now);
                self.grant_wishes(now);
                continue;
            };
            let is_silent = gateway.is_told() && client.clock.phase == Phase::Gateway;
            if is_silent {
                // There is nothing to be done for its client but to wait.
                let due = relay.due(&terms.limits);
                client.clock.relay(due);
                self.timers.set(id.key, due);
            } else {
                self.enqueue(id);
            }
            self.record(id, Act::Told, (told as u64, 0));
        }
    }
}
