//! The one thread that verifies passwords, so that the loop need not. Whose passwords they are, and
//! what becomes of the answers, is not known here.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::hash::Hash;
use crate::site::handler::{Later, Promise};

/// So many passwords may wait while one is being verified.
pub(super) const QUEUE: usize = 64;

/// So many requests may wait for one verification.
pub(super) const MAX_WAITING: usize = 1024;

/// A thread with a bounded queue of verifications. It is started when the first one comes, which is
/// after the process has taken its final shape (forked, given up privileges), and lives as long as
/// the process.
#[derive(Debug)]
pub(super) struct Helper {
    queue: Mutex<Option<SyncSender<Job>>>,
}

/// One for the process, whatever sites come and go: a second core's time is what verifications may
/// have, and no more. Sites that are served from are made anew with each change of the
/// configuration, so it belongs to none of them.
static HELPER: Helper = Helper::new();

/// A verification, seen from the loop.
#[derive(Debug)]
pub(super) struct Verification {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    holds: Option<bool>,
    /// Rung when `holds` is known.
    waiting: Vec<Promise>,
}

/// A verification on its way to the thread. However it ends, those who wait are told.
struct Job {
    verification: Arc<Verification>,
    work: Option<Box<dyn FnOnce() -> bool + Send>>,
}

impl Helper {
    /// One that is not started.
    pub(super) const fn new() -> Helper {
        Helper { queue: Mutex::new(None) }
    }

    /// The process's own.
    pub(super) fn of_process() -> &'static Helper {
        &HELPER
    }

    /// Has `password` verified. `None` if too many are waiting, or there is no thread to be had.
    pub(super) fn verify(&self, hash: Arc<Hash>, password: Vec<u8>) -> Option<Arc<Verification>> {
        self.run(Box::new(move || hash.verify(&password)))
    }

    fn run(&self, work: Box<dyn FnOnce() -> bool + Send>) -> Option<Arc<Verification>> {
        let verification = Arc::new(Verification { state: Mutex::default() });
        let mut job = Job { verification: Arc::clone(&verification), work: Some(work) };
        let mut queue = lock(&self.queue);
        // The second time, if the thread of the first is gone, which only a bug can bring about.
        for _ in 0..2 {
            let sender = match &*queue {
                Some(sender) => sender,
                None => queue.insert(start()?),
            };
            match sender.try_send(job) {
                Ok(()) => return Some(verification),
                Err(TrySendError::Full(_)) => return None,
                Err(TrySendError::Disconnected(unsent)) => {
                    job = unsent;
                    *queue = None;
                }
            }
        }
        None
    }
}

/// Starts the thread. It ends when the sender is dropped.
fn start() -> Option<SyncSender<Job>> {
    let (sender, receiver) = sync_channel(QUEUE);
    let thread = thread::Builder::new().name("oneloop-verify".to_owned());
    match thread.spawn(move || work_off(&receiver)) {
        Ok(_) => Some(sender),
        Err(error) => {
            log::error!("no password can be verified: a thread cannot be started: {error}");
            None
        }
    }
}

fn work_off(jobs: &Receiver<Job>) {
    while let Ok(mut job) = jobs.recv() {
        let holds = job.work.take().is_some_and(|work| work());
        job.verification.settle(holds);
    }
}

impl Drop for Job {
    /// A job that was never done, because the thread has gone: the password does not hold.
    fn drop(&mut self) {
        self.verification.settle(false);
    }
}

impl Verification {
    /// Whether the password holds; `None` while that is not known.
    pub(super) fn outcome(&self) -> Option<bool> {
        lock(&self.state).holds
    }

    /// Is settled (ask again) as soon as the outcome is known. `None` if too many wait for it.
    pub(super) fn later(&self) -> Option<Later> {
        let (promise, later) = Promise::new();
        let mut state = lock(&self.state);
        if state.holds.is_some() {
            promise.ask_again();
            return Some(later);
        }
        if state.waiting.len() == MAX_WAITING {
            state.waiting.retain(Promise::is_awaited);
        }
        if state.waiting.len() == MAX_WAITING {
            // A promise that is not kept makes a line in the log; this one was given to nobody.
            promise.ask_again();
            return None;
        }
        state.waiting.push(promise);
        Some(later)
    }

    /// The first outcome counts.
    fn settle(&self, holds: bool) {
        let mut state = lock(&self.state);
        state.holds.get_or_insert(holds);
        let waiting = std::mem::take(&mut state.waiting);
        // Released first: those who are told may look at the outcome at once.
        drop(state);
        for promise in waiting {
            promise.ask_again();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that could panic is done under these locks, so a poisoned one is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::site::handler::Settled;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    /// Long enough for any machine; a test that waits so long has failed.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Waits until `later` is settled.
    pub(in crate::site::access) fn wait(later: &mut Later) {
        let (sender, receiver) = channel();
        later.ring(Box::new(move || sender.send(()).expect("the test waits")));
        receiver.recv_timeout(PATIENCE).expect("it is settled");
        assert!(matches!(later.take(), Some(Settled::AskAgain)));
    }

    /// Keeps the thread busy from when this returns until the sender is dropped.
    pub(in crate::site::access) fn occupy(helper: &Helper) -> Sender<()> {
        let (release, held) = channel::<()>();
        let (begun, begins) = channel();
        let work = move || {
            begun.send(()).expect("the test waits");
            held.recv_timeout(PATIENCE).is_ok()
        };
        helper.run(Box::new(work)).expect("room in the queue");
        begins.recv_timeout(PATIENCE).expect("the thread runs");
        release
    }

    #[test]
    fn an_outcome_is_told_to_all_who_wait_and_to_those_who_come_late() {
        let helper = Helper::new();
        let release = occupy(&helper);
        let verification = helper.run(Box::new(|| true)).expect("room");
        let mut early = [(); 3].map(|()| verification.later().expect("room"));
        assert_eq!(verification.outcome(), None);
        assert!(early.iter_mut().all(|later| later.take().is_none()));
        drop(release);
        early.iter_mut().for_each(wait);
        assert_eq!(verification.outcome(), Some(true));
        wait(&mut verification.later().expect("room"));
    }

    #[test]
    fn the_queue_is_bounded_and_room_comes_back() {
        let helper = Helper::new();
        let release = occupy(&helper);
        let waiting: Vec<_> =
            (0..QUEUE).map(|_| helper.run(Box::new(|| true)).expect("room in the queue")).collect();
        assert!(helper.run(Box::new(|| true)).is_none());
        drop(release);
        wait(&mut waiting[QUEUE - 1].later().expect("room"));
        assert!(waiting.iter().all(|verification| verification.outcome() == Some(true)));
        let more = helper.run(Box::new(|| false)).expect("room again");
        wait(&mut more.later().expect("room"));
        assert_eq!(more.outcome(), Some(false));
    }

    #[test]
    fn those_who_wait_for_one_verification_are_bounded_and_the_gone_do_not_count() {
        let helper = Helper::new();
        let release = occupy(&helper);
        let verification = helper.run(Box::new(|| true)).expect("room");
        let mut waiting: Vec<_> =
            (0..MAX_WAITING).map(|_| verification.later().expect("room")).collect();
        assert!(verification.later().is_none());
        waiting.pop();
        let mut last = verification.later().expect("the room of the one who went");
        assert!(verification.later().is_none());
        drop(release);
        wait(&mut last);
    }

    #[test]
    fn a_thread_that_dies_denies_and_is_replaced() {
        let helper = Helper::new();
        let release = occupy(&helper);
        let fatal = helper.run(Box::new(|| panic!("a bug that a test makes"))).expect("room");
        let behind = helper.run(Box::new(|| true)).expect("room");
        drop(release);
        wait(&mut fatal.later().expect("room"));
        wait(&mut behind.later().expect("room"));
        assert_eq!((fatal.outcome(), behind.outcome()), (Some(false), Some(false)));
        let after = helper.run(Box::new(|| true)).expect("another thread");
        wait(&mut after.later().expect("room"));
        assert_eq!(after.outcome(), Some(true));
    }
}
