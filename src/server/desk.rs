//! Where other threads leave word for the loop: whose answer is ready, and that it is to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::net::Wake;
use super::peers::PeerId;
use crate::site::handler::Bell;

/// The loop's side. At most one message per client waits here, since each client waits for one
/// answer at a time.
pub(super) struct Desk {
    sender: Sender<PeerId>,
    receiver: Receiver<PeerId>,
    wake: Wake,
}

impl Desk {
    /// A desk whose bells wake the loop by `wake`.
    pub(super) fn new(wake: Wake) -> Self {
        let (sender, receiver) = channel();
        Desk { sender, receiver, wake }
    }

    /// A bell for `peer`, to be rung once by whichever thread has its answer.
    pub(super) fn bell(&self, peer: PeerId) -> Bell {
        let sender = self.sender.clone();
        let wake = Wake::clone(&self.wake);
        Box::new(move || {
            // It fails only after the loop is gone, and then nobody waits.
            if sender.send(peer).is_ok() {
                wake();
            }
        })
    }

    /// Whose answer is ready, one after the other.
    pub(super) fn next(&self) -> Option<PeerId> {
        self.receiver.try_recv().ok()
    }

    /// What wakes the loop.
    pub(super) fn wake(&self) -> Wake {
        Wake::clone(&self.wake)
    }
}

/// Ends a server gracefully, from any thread.
#[derive(Clone)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    wake: Wake,
}

impl Stopper {
    pub(super) fn new(stop: Arc<AtomicBool>, wake: Wake) -> Self {
        Stopper { stop, wake }
    }

    /// Begins the graceful end of the server: see [`Server::drain`](super::Server::drain).
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        (self.wake)();
    }
}
