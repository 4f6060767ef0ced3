//! Answers from another thread: the [`Promise`] goes there, the [`Later`] stays on the loop. What
//! the answer is worked out from is not known here.

use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::body::Body;
use super::handler::{Content, Response};
use super::rule::Rule;
use super::{Block, Reply, error_page};
use crate::http::status::Status;

/// Rung by another thread when a [`Later`] is settled: it wakes the loop.
pub type Bell = Box<dyn FnOnce() + Send>;

/// The other thread's side of an answer that comes later. Dropped without being kept, it becomes
/// a 500.
#[derive(Debug)]
pub struct Promise {
    shared: Arc<Mutex<State>>,
}

/// The loop's side of an answer that comes later. Dropped when the client is gone.
pub struct Later {
    shared: Arc<Mutex<State>>,
    /// What holds for the answer's path, and who asked. Known once the answer belongs to a request.
    rule: Option<Rc<Rule>>,
    user: Option<Rc<str>>,
}

/// How a [`Later`] ended.
#[derive(Debug)]
pub enum Settled {
    /// This is the answer.
    Reply(Reply),
    /// The same inquiry will now be answered at once.
    AskAgain,
}

#[derive(Default)]
struct State {
    /// An outcome has been given; it may have been taken since.
    settled: bool,
    outcome: Option<Outcome>,
    bell: Option<Bell>,
}

enum Outcome {
    /// Makes the response, on the loop's thread: so only what it is made of must be `Send`.
    Make(Box<dyn FnOnce() -> Response + Send>),
    AskAgain,
    /// The promise was dropped.
    Broken,
}

impl Promise {
    /// The two sides of an answer that comes later.
    pub(crate) fn new() -> (Promise, Later) {
        let shared = Arc::default();
        (Promise { shared: Arc::clone(&shared) }, Later { shared, rule: None, user: None })
    }

    /// Gives the answer. `make` runs on the loop's thread and must be quick; what it captures was
    /// worked out here.
    ///
    /// ```
    /// use oneloop::site::handler::{Request, Response};
    ///
    /// fn report(_: &Request<'_>) -> Response {
    ///     let (promise, response) = Response::later();
    ///     std::thread::spawn(move || {
    ///         let sum: u64 = (1..1_000_000).sum();
    ///         promise.fulfil(move || Response::text(sum.to_string()));
    ///     });
    ///     response
    /// }
    /// ```
    pub fn fulfil(self, make: impl FnOnce() -> Response + Send + 'static) {
        settle(&self.shared, Outcome::Make(Box::new(make)));
    }

    /// Says that whoever asked shall ask again: what was missing is known now.
    pub(crate) fn ask_again(self) {
        settle(&self.shared, Outcome::AskAgain);
    }

    /// Whether somebody still waits for the answer. A long piece of work may look now and then.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.shared) > 1
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        settle(&self.shared, Outcome::Broken);
    }
}

impl Later {
    /// One that is settled already: whoever has it shall ask again.
    pub(crate) fn to_ask_again() -> Later {
        let (promise, later) = Promise::new();
        promise.ask_again();
        later
    }

    /// Says what holds for the answer, and who asked.
    pub(super) fn belong(&mut self, rule: &Rc<Rule>, user: Option<Rc<str>>) {
        self.rule = Some(Rc::clone(rule));
        self.user = user;
    }

    /// `bell` is rung once, when the answer is there: from the other thread, or here and now if it
    /// is there already.
    pub fn ring(&mut self, bell: Bell) {
        let mut state = lock(&self.shared);
        if state.settled {
            drop(state);
            bell();
        } else {
            state.bell = Some(bell);
        }
    }

    /// Whether the answer is there and was not taken yet.
    #[must_use]
    pub fn is_there(&self) -> bool {
        lock(&self.shared).outcome.is_some()
    }

    /// The answer, once, if it is there. Runs what the other thread left to be run, so a panic can
    /// come out of it as out of a handler.
    pub fn take(&mut self) -> Option<Settled> {
        let outcome = lock(&self.shared).outcome.take()?;
        let response = match outcome {
            Outcome::Make(make) => make().take_apart(),
            Outcome::AskAgain => return Some(Settled::AskAgain),
            Outcome::Broken => Err("it was promised and never given".to_owned()),
        };
        Some(Settled::Reply(self.reply(response)))
    }

    fn reply(&mut self, response: Result<(Status, Vec<u8>, Content), String>) -> Reply {
        let response = match response {
            Ok((.., Content::Later(_))) => Err("it promises another one".to_owned()),
            other => other,
        };
        let (status, mut fields, content) = response.unwrap_or_else(|fault| {
            log::error!("a handler's response cannot be sent: {fault}");
            (Status::INTERNAL_SERVER_ERROR, Vec::new(), Content::None)
        });
        let mut body = content.into_body();
        if status.is_error() && matches!(body, Body::Empty) {
            fields.extend_from_slice(error_page::FIELDS);
            body = Body::bytes(error_page::page(status, "").into_bytes().into());
        }
        if let Some(rule) = &self.rule {
            rule.fields.complete(&mut fields, status.is_error());
        }
        Reply { status, fields: Block::Made(fields), body, user: self.user.take() }
    }
}

/// The first outcome holds; the bell is rung with the lock released.
fn settle(shared: &Mutex<State>, outcome: Outcome) {
    let mut state = lock(shared);
    if state.settled {
        return;
    }
    state.settled = true;
    state.outcome = Some(outcome);
    let bell = state.bell.take();
    drop(state);
    if let Some(bell) = bell {
        bell();
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing is done under the lock that could leave the state half changed.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.settled { "Settled" } else { "Open" })
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}
