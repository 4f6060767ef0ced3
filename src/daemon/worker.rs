//! A worker's side of the pair of sockets between it and its supervisor: it says that it serves,
//! and hears what it is to do. What that means, is not known here.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::passing::{Channel, Item, Order};
use crate::server::net::Wake;

/// What the supervisor asks.
#[derive(Debug)]
pub(super) struct Orders(Receiver<Order>);

impl Orders {
    /// Says that this worker serves, and listens to `supervisor` from now on, on a thread. `wake`
    /// is called for each order. That the supervisor has ended is an order, too: to end.
    ///
    /// # Errors
    /// Where there is no thread to be had, or the supervisor has ended already.
    pub(super) fn heed(supervisor: Channel, wake: Wake) -> io::Result<Orders> {
        supervisor.send(&Item::Ready)?;
        let (sender, orders) = mpsc::channel();
        let thread = thread::Builder::new().name("orders".to_owned());
        thread.spawn(move || {
            loop {
                let (order, is_last) = match supervisor.receive() {
                    Ok(Some(Item::Order(order))) => (order, false),
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
                    Ok(_) | Err(_) => (Order::End, true),
                };
                let is_heard = sender.send(order).is_ok();
                wake();
                if is_last || !is_heard {
                    return;
                }
            }
        })?;
        Ok(Orders(orders))
    }

    /// The next one, if there is one.
    pub(super) fn next(&self) -> Option<Order> {
        self.0.try_recv().ok()
    }
}
