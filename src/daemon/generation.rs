//! The workers of one configuration, and the sockets that each of them has.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use super::passing::{Channel, Item, Order, in_memory};
use super::supervisor::Plan;
use super::upgrade::{Born, Program, Start};
use crate::server::handing_over::{Passed, bind_for_several};
use crate::server::listener::Wanted;
use crate::server::net::Wake;
use crate::server::timers::Millis;
use crate::server::{Address, StartError};

/// A worker that lived for so long has not died at once.
const STEADY: Duration = Duration::from_secs(1);

/// How long one that dies at once is waited with: twice as long each time, up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The workers of one configuration.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) plan: Plan,
    /// Every socket that listens.
    sockets: Vec<Passed>,
    /// For each worker, which of them it has.
    seats: Vec<Vec<usize>>,
    /// For each worker, that of its admin listener; or none at all.
    admin: Vec<Passed>,
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    state: State,
    /// How often it has died at once.
    failures: u32,
}

#[derive(Debug)]
enum State {
    Starting(Start),
    Serving {
        born: Born,
        since: Millis,
        /// When its loop was last heard of.
        heard: Millis,
    },
    /// It has died at once, and is started again then.
    Waiting(Millis),
}

/// Workers that have been told to end, in one way or another.
#[derive(Debug, Default)]
pub(super) struct Crew(Vec<(Child, Channel)>);

impl Crew {
    pub(super) fn add(&mut self, mut other: Crew) {
        self.0.append(&mut other.0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn order(&mut self, order: Order) {
        for (_, channel) in &self.0 {
            // One that cannot be told has ended.
            let _ = channel.send(&Item::Order(order));
        }
    }

    /// Forgets those that have ended.
    pub(super) fn bury(&mut self) {
        self.0.retain_mut(|(child, _)| matches!(child.try_wait(), Ok(None)));
    }

    pub(super) fn kill(&mut self) {
        for (mut child, _) in self.0.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Generation {
    /// Listens where `plan` says, on sockets of `passed` where they do already, and begins to start
    /// the workers.
    ///
    /// # Errors
    /// Where an address cannot be listened on, or nothing can be started.
    pub(super) fn begin(
        plan: Plan,
        passed: &mut Vec<Passed>,
        program: &Program,
        wake: &Wake,
    ) -> Result<Generation, StartError> {
        let kept: Vec<Address> = passed.iter().map(|one| one.address().clone()).collect();
        let mut generation = Generation {
            seats: vec![Vec::new(); plan.workers],
            plan,
            sockets: Vec::new(),
            admin: Vec::new(),
            workers: Vec::new(),
        };
        match generation.fill(passed, program, wake) {
            Ok(()) => Ok(generation),
            Err(error) => {
                // They have nobody to tell them to end: they are killed.
                generation.dissolve(&kept).kill();
                Err(error)
            }
        }
    }

    fn fill(
        &mut self,
        passed: &mut Vec<Passed>,
        program: &Program,
        wake: &Wake,
    ) -> Result<(), StartError> {
        let mut listen = self.plan.listen.clone();
        // Any port gets what nobody names.
        listen.sort_by_key(Address::is_any_port);
        for address in listen {
            let wanted = Wanted { address: &address, is_admin: false };
            let group = bind_for_several(wanted, self.plan.workers, passed)
                .map_err(|error| StartError::Listen(address, error))?;
            self.seat(group);
        }
        for number in 1..=self.plan.workers {
            if let Some(own) = self.plan.admin.as_ref().and_then(|first| first.of_worker(number)) {
                let wanted = Wanted { address: &own, is_admin: true };
                let sockets = bind_for_several(wanted, 1, passed);
                self.admin.extend(sockets.map_err(|error| StartError::Listen(own, error))?);
            }
        }
        for seat in 0..self.plan.workers {
            let state = self.start(seat, program, wake).map_err(StartError::Worker)?;
            self.workers.push(Worker { state: State::Starting(state), failures: 0 });
        }
        Ok(())
    }

    /// Gives each worker a socket of `group`, and each socket a worker.
    fn seat(&mut self, group: Vec<Passed>) {
        let (first, count, workers) = (self.sockets.len(), group.len(), self.seats.len());
        self.sockets.extend(group);
        for number in 0..count.max(workers) {
            self.seats[number % workers].push(first + number % count);
        }
    }

    /// Begins to start the worker of a seat.
    fn start(&self, seat: usize, program: &Program, wake: &Wake) -> io::Result<Start> {
        let mut items =
            vec![Item::Worker, Item::Configuration(in_memory(self.plan.text.as_bytes())?)];
        for &at in &self.seats[seat] {
            items.push(Item::Socket(self.sockets[at].lend()?));
        }
        if let Some(admin) = self.admin.get(seat) {
            items.push(Item::Socket(admin.lend()?));
        }
        items.push(Item::End);
        Start::begin(program.same(), items, self.plan.start, wake.clone())
    }

    /// The sockets once more, for another generation or a successor.
    pub(super) fn share(&self) -> io::Result<Vec<Passed>> {
        self.all_sockets().map(Passed::try_clone).collect()
    }

    fn all_sockets(&self) -> impl Iterator<Item = &Passed> {
        self.sockets.iter().chain(&self.admin)
    }

    /// Where it listens at all.
    pub(super) fn all_addresses(&self) -> Vec<Address> {
        self.all_sockets().map(|socket| socket.address().clone()).collect()
    }

    /// Where it serves, each address once.
    pub(super) fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = Vec::new();
        for socket in &self.sockets {
            if !addresses.contains(socket.address()) {
                addresses.push(socket.address().clone());
            }
        }
        addresses
    }

    /// Whether all workers serve.
    ///
    /// # Errors
    /// Why one does not.
    pub(super) fn is_ready(&mut self, now: Millis) -> Result<bool, String> {
        for worker in &mut self.workers {
            match &mut worker.state {
                State::Starting(start) => {
                    if let Some(born) = start.outcome() {
                        worker.state = State::Serving { born: born?, since: now, heard: now };
                    }
                }
                State::Serving { born, .. } => {
                    if let Ok(Some(status)) = born.child.try_wait() {
                        return Err(format!("a worker has ended ({status})"));
                    }
                }
                State::Waiting(_) => {}
            }
        }
        Ok(self.workers.iter().all(|worker| matches!(worker.state, State::Serving { .. })))
    }

    /// Has those that have died started again, and those killed whose loop has not been heard of
    /// for longer than `patience`.
    pub(super) fn tend(
        &mut self,
        now: Millis,
        patience: Option<Duration>,
        program: &Program,
        wake: &Wake,
    ) {
        for seat in 0..self.workers.len() {
            let worker = &mut self.workers[seat];
            match &mut worker.state {
                State::Starting(start) => match start.outcome() {
                    Some(Ok(born)) => {
                        log::info!("worker {} is process {}", seat + 1, born.child.id());
                        worker.state = State::Serving { born, since: now, heard: now };
                    }
                    Some(Err(why)) => worker.failed(seat, now, &why),
                    None => {}
                },
                State::Serving { born, since, heard } => {
                    while let Ok(Some(Item::Alive)) = born.channel.receive_now() {
                        *heard = now;
                    }
                    if patience.is_some_and(|patience| now.since(*heard) > patience) {
                        let process = born.child.id();
                        log::error!("worker {}: process {process} is stuck: killed", seat + 1);
                        // Its end is seen as any other.
                        let _ = born.child.kill();
                        *heard = now;
                    }
                    if let Ok(Some(status)) = born.child.try_wait() {
                        let why = ended(born.child.id(), status);
                        if now.since(*since) >= STEADY {
                            worker.failures = 0;
                        }
                        worker.failed(seat, now, &why);
                    }
                }
                State::Waiting(_) => {}
            }
            if matches!(self.workers[seat].state, State::Waiting(until) if until <= now) {
                match self.start(seat, program, wake) {
                    Ok(start) => self.workers[seat].state = State::Starting(start),
                    Err(error) => self.workers[seat].failed(seat, now, &error.to_string()),
                }
            }
        }
    }

    /// When a worker is to be started again.
    pub(super) fn due(&self, now: Millis) -> Option<Duration> {
        let due = |worker: &Worker| match &worker.state {
            State::Waiting(until) => Some(until.since(now)),
            State::Starting(_) | State::Serving { .. } => None,
        };
        self.workers.iter().filter_map(due).min()
    }

    /// Its workers, without the sockets. Paths that are not among `kept`, where somebody else
    /// listens, are removed.
    pub(super) fn dissolve(self, kept: &[Address]) -> Crew {
        let is_left = |socket: &&Passed| !kept.contains(socket.address());
        self.all_sockets().filter(is_left).for_each(Passed::remove_path);
        Crew(self.workers.into_iter().filter_map(Worker::born).collect())
    }

    /// Asks something of all that serve.
    pub(super) fn order(&self, order: Order) {
        for worker in &self.workers {
            if let State::Serving { born, .. } = &worker.state {
                // One that cannot be told has ended.
                let _ = born.channel.send(&Item::Order(order));
            }
        }
    }

    /// The process that had the sockets before serves no more.
    pub(super) fn succeed(&mut self) {
        self.sockets.iter_mut().chain(&mut self.admin).for_each(Passed::succeed);
    }
}

impl Worker {
    /// It is started again: at once, unless it has died at once before.
    fn failed(&mut self, seat: usize, now: Millis, why: &str) {
        let pause = pause(self.failures);
        self.failures = self.failures.saturating_add(1);
        let millis = pause.as_millis();
        log::error!("worker {}: {why}; it is started again after {millis} ms", seat + 1);
        self.state = State::Waiting(now + pause);
    }

    fn born(self) -> Option<(Child, Channel)> {
        match self.state {
            State::Serving { born, .. } => Some((born.child, born.channel)),
            State::Starting(start) => {
                start.cancel().and_then(Result::ok).map(|born| (born.child, born.channel))
            }
            State::Waiting(_) => None,
        }
    }
}

/// How long to wait after so many failures in a row.
fn pause(failures: u32) -> Duration {
    let (first, most) = PAUSE;
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(times) => first.saturating_mul(2_u32.saturating_pow(times)).min(most),
    }
}

fn ended(process: u32, status: ExitStatus) -> String {
    format!("process {process} has ended ({status})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(workers: usize) -> Generation {
        let plan = Plan {
            listen: Vec::new(),
            admin: None,
            workers,
            pid_file: None,
            start: STEADY,
            drain: STEADY,
            text: String::new(),
        };
        let seats = vec![Vec::new(); workers];
        Generation { plan, sockets: Vec::new(), seats, admin: Vec::new(), workers: Vec::new() }
    }

    fn sockets(count: usize) -> Vec<Passed> {
        let address = "127.0.0.1:0".parse().unwrap();
        let wanted = Wanted { address: &address, is_admin: false };
        bind_for_several(wanted, count, &mut Vec::new()).unwrap()
    }

    #[test]
    fn every_worker_has_a_socket_and_every_socket_a_worker() {
        for (workers, count) in [(1, 1), (3, 3), (3, 1), (2, 5), (5, 2)] {
            let mut generation = generation(workers);
            generation.seat(sockets(1));
            generation.seat(sockets(count));
            let all: Vec<usize> = generation.seats.concat();
            assert!((0..=count).all(|at| all.contains(&at)), "{workers} {count}: {all:?}");
            for seat in &generation.seats {
                assert!(seat.contains(&0) && seat.iter().any(|at| *at > 0), "{seat:?}");
            }
            assert_eq!(generation.addresses().len(), 2);
        }
    }

    #[test]
    fn whoever_dies_at_once_is_waited_with_longer_each_time() {
        let pauses: Vec<u128> = (0..10).map(|times| pause(times).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(pause(u32::MAX), PAUSE.1);
    }
}
