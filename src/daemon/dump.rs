//! What the loop did last, written into the error log: where somebody asks for it, and where the
//! server has a bug. What that means is not known here.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use log::Level;

use crate::server::Server;
use crate::server::net::Net;
use crate::server::timers::Millis;

/// Moments that are told of: some 50 exchanges.
const TOLD: u64 = 256;

/// A dump for a bug that did not end the server is not repeated within this time.
const AGAIN: Duration = Duration::from_mins(1);

/// Tells of bugs.
#[derive(Debug, Default)]
pub(super) struct Dump {
    panics: u64,
    last: Option<Millis>,
}

impl Dump {
    /// One turn of the loop by `turn`. Where it panics, what led to that is in the log.
    pub(super) fn watch<N: Net, T>(
        &mut self,
        server: &mut Server<N>,
        turn: impl FnOnce(&mut Server<N>) -> T,
    ) -> T {
        match catch_unwind(AssertUnwindSafe(|| turn(server))) {
            Ok(done) => {
                if self.is_news(server.panics(), server.now()) {
                    log::error!("what the loop did before the panic:");
                    tell(server, Level::Error);
                }
                done
            }
            Err(panic) => {
                log::error!("the loop has panicked, and the server ends; what it did last:");
                tell(server, Level::Error);
                log::logger().flush();
                resume_unwind(panic)
            }
        }
    }

    /// Whether there have been more panics than before that ended one exchange each, and none was
    /// told of for a while.
    fn is_news(&mut self, panics: u64, now: Millis) -> bool {
        let is_more = std::mem::replace(&mut self.panics, panics) < panics;
        let is_news = is_more && self.last.is_none_or(|last| now.since(last) >= AGAIN);
        if is_news {
            self.last = Some(now);
        }
        is_news
    }
}

/// Tells of it because somebody has asked.
pub(super) fn told<N: Net>(server: &Server<N>) {
    log::warn!("SIGQUIT: what the loop did last, oldest first:");
    tell(server, Level::Warn);
}

fn tell<N: Net>(server: &Server<N>, level: Level) {
    for line in server.last_words(TOLD) {
        log::log!(level, "{line}");
    }
    log::log!(level, "this was the last");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Options;
    use crate::site::router::Router;

    #[test]
    fn a_panic_is_told_of_once_in_a_while() {
        let mut dump = Dump::default();
        let mut is_news = |panics, second: u64| dump.is_news(panics, Millis(1000 * second));
        assert!(!is_news(0, 1));
        assert!(is_news(1, 2));
        assert!(!is_news(1, 70), "the same");
        assert!(is_news(2, 71));
        assert!(!is_news(3, 72), "so soon");
        assert!(!is_news(3, 200), "it was passed over");
    }

    #[test]
    #[should_panic(expected = "a bug")]
    fn a_panic_of_the_loop_itself_ends_it() {
        let site = Router::new().build().unwrap();
        let mut server = Server::new(&Options::default(), site).unwrap();
        Dump::default().watch(&mut server, |_| panic!("a bug"));
    }
}
