//! A connection that somebody passes on for its client: what the PROXY header in front of it says
//! is taken for its ends, before anything else of it is looked at.

use std::ops::Range;

use super::net::Net;
use super::serving::{Serving, Step};
use crate::http::proxy_header::{self, Ends};
use crate::http::status::Status;

impl<N: Net> Serving<'_, '_, N> {
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
                if let Ends::Client { client, server } = ends {
                    self.client.address = Some(client);
                    self.client.server = Some(Box::new(server));
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
