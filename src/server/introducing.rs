//! Connections and requests that somebody passes on for a client. What a PROXY header says is taken
//! for the ends of its connection, before anything else is looked at; what a field says, for whom
//! its request is from. Who is believed, `trust.rs` knows.

use std::net::SocketAddr;
use std::ops::Range;

use super::net::Net;
use super::overload::{TOO_MANY, is_let_in};
use super::serving::{Cx, Serving, Step};
use crate::http::Refusal;
use crate::http::forwarded;
use crate::http::head::Head;
use crate::http::proxy_header::{self, Ends};
use crate::http::status::Status;

impl<N: Net> Serving<'_, '_, N> {
    /// Notes whom a request is from, if somebody who is believed has passed it on.
    #[cold]
    pub(super) fn hear_forwarder(&mut self, head: &Head<'_>) -> Result<(), Refusal> {
        let trust = &self.cx.terms.trust;
        self.exchange.forwarded = trust.forwarded(&head.fields, self.client.address)?;
        Ok(())
    }

    /// Reads the header at the front of the window. Whoever has to send one and sends something
    /// else is not answered: it might not even speak HTTP, and what it says would be logged as
    /// coming from a client that it does not come from.
    #[cold]
    pub(super) fn introduce(&mut self, rx: &[u8], window: &mut Range<usize>) -> Step {
        let most = self.cx.terms.limits.head_bytes;
        match proxy_header::parse(&rx[window.clone()], most) {
            Ok(None) => Step::NeedsInput,
            Ok(Some((length, ends))) => {
                window.start += length;
                self.client.awaits_header = false;
                match ends {
                    Ends::Client { client, server } => {
                        self.client.address = Some(client);
                        self.client.server = Some(Box::new(server));
                        let Cx { terms, shares, metrics, .. } = &mut *self.cx;
                        if !is_let_in(self.client, terms, shares, metrics) {
                            self.log_unanswered(Status::TOO_MANY_REQUESTS, TOO_MANY);
                            return Step::Broken;
                        }
                    }
                    // Without an address it would be let in wherever local clients are.
                    Ends::Unknown if self.client.address.is_none() => {
                        self.client.address = Some(SocketAddr::new(forwarded::unknown(), 0));
                    }
                    // By the specification, the ends are then those of the socket.
                    Ends::Unknown | Ends::Sender => {}
                }
                Step::Moved
            }
            Err(bad) => {
                self.log_unanswered(Status::BAD_REQUEST, bad.0);
                Step::Broken
            }
        }
    }
}
