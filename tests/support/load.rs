//! Clients that ask all the time, while something is done to their server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::client::Client;
use super::running::wait_until;

/// Clients that ask again and again, and count their answers. Each answer must be whole.
pub(crate) struct Load {
    address: SocketAddr,
    is_over: AtomicBool,
    answers: AtomicU32,
}

impl Load {
    pub(crate) const CLIENTS: u32 = 24;

    /// Keeps `address` busy while `work` is done.
    pub(crate) fn during(address: SocketAddr, work: impl FnOnce(&Load)) {
        let load = Load { address, is_over: AtomicBool::new(false), answers: AtomicU32::new(0) };
        std::thread::scope(|scope| {
            let load = &load;
            for number in 0..Load::CLIENTS {
                scope.spawn(move || load.ask(number));
            }
            let over = Over(&load.is_over);
            work(load);
            drop(over);
        });
    }

    fn ask(&self, number: u32) {
        // Some persist, some do not.
        let fields = [("Connection", "close")];
        let fields = if number.is_multiple_of(4) { &fields[..] } else { &[] };
        while !self.is_over.load(Ordering::Acquire) {
            let mut client = Client::connect(self.address);
            let mut ends = false;
            while !ends && !self.is_over.load(Ordering::Acquire) {
                let answer = client.request("GET", "/file.txt", fields, b"");
                assert_eq!((answer.status, answer.text()), (200, "0123456789"));
                ends = answer.field("Connection") == Some("close");
                self.answers.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until all clients have been answered some times more.
    pub(crate) fn goes_on(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        wait_until("all are answered", || {
            self.answers.load(Ordering::Relaxed) > before + 4 * Load::CLIENTS
        });
    }
}

/// Ends the load, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
