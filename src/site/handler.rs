//! Rust handlers: what they are told ([`Request`]), what they say ([`Response`]), and how they
//! answer from another thread ([`Promise`]). What pattern leads to which handler is not known here.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::body::{Body, Produce};
use super::{Block, Reply};
use crate::http::fields;
use crate::http::head::Head;
use crate::http::method::Method;
use crate::http::status::Status;

/// Answers requests. Any `Fn(&Request<'_>) -> Response` is one. It runs on the loop, so it need not
/// be `Send`, and it must not block: what takes long belongs on another thread, with
/// [`Response::later`].
pub trait Handler {
    /// The response to `request`. A panic becomes a 500 and ends this exchange alone.
    fn handle(&self, request: &Request<'_>) -> Response;
}

impl<F: Fn(&Request<'_>) -> Response> Handler for F {
    fn handle(&self, request: &Request<'_>) -> Response {
        self(request)
    }
}

/// One request as a handler sees it, with all of its content.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) head: &'a Head<'a>,
    pub(super) path: &'a [u8],
    pub(super) parameters: &'a [(&'a str, &'a [u8])],
    pub(super) content: &'a [u8],
    pub(super) client: Option<IpAddr>,
}

impl<'a> Request<'a> {
    /// The method. A handler for GET is also asked for HEAD and may answer it the same: what
    /// content it gives is left out.
    #[must_use]
    pub fn method(&self) -> Method<'a> {
        self.head.method
    }

    /// The path the route was found by: decoded, without dot segments; perhaps not UTF-8.
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        self.path
    }

    /// The query as it was sent, without the `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.head.target.query()
    }

    /// The host that was asked for, without the port; empty if an HTTP/1.0 request names none.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.head.host
    }

    /// The value of the first field line named `name`, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.head.fields.find(name)
    }

    /// What stood in the path for `{name}` of the pattern, decoded. `"*"` names what stood for the
    /// pattern's `*`. `None` if the pattern has no such parameter or its value is not UTF-8.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.parameter_bytes(name)?).ok()
    }

    /// [`Request::parameter`] for values that need not be UTF-8.
    #[must_use]
    pub fn parameter_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
    }

    /// All of the request's content; empty if it has none.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.content
    }

    /// Who asks; `None` over a Unix-domain socket.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// The whole head, for what the accessors above do not say.
    #[must_use]
    pub fn head(&self) -> &'a Head<'a> {
        self.head
    }
}

/// What a handler says. The connection adds `Date`, `Server` and all that frames the content.
#[derive(Debug)]
pub struct Response {
    status: Status,
    fields: Vec<u8>,
    content: Content,
    /// The first thing that was wrong with it: it is answered with 500 instead, and logged.
    fault: Option<String>,
}

#[derive(Debug)]
enum Content {
    None,
    Bytes(Rc<[u8]>),
    Produced(Box<dyn Produce>),
    Later(Later),
}

/// Fields that say how a message is framed, or that the connection writes: not a handler's to set.
const CONNECTION_FIELDS: [&str; 9] = [
    "Connection",
    "Content-Length",
    "Date",
    "Keep-Alive",
    "Server",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

impl Response {
    /// A response without content. If `status` is an error, the site's page for it is sent.
    #[must_use]
    pub fn new(status: Status) -> Response {
        Response { status, fields: Vec::new(), content: Content::None, fault: None }
    }

    /// 200 with plain text.
    #[must_use]
    pub fn text(content: impl AsRef<str>) -> Response {
        Response::bytes("text/plain; charset=utf-8", content.as_ref().as_bytes())
    }

    /// 200 with an HTML page.
    #[must_use]
    pub fn html(content: impl AsRef<str>) -> Response {
        Response::bytes("text/html; charset=utf-8", content.as_ref().as_bytes())
    }

    /// 200 with JSON, already written.
    #[must_use]
    pub fn json(content: impl AsRef<str>) -> Response {
        Response::bytes("application/json", content.as_ref().as_bytes())
    }

    /// 200 with content of any media type. An `Rc<[u8]>` is shared, all else is copied once.
    #[must_use]
    pub fn bytes(media_type: &str, content: impl Into<Rc<[u8]>>) -> Response {
        let mut response = Response::new(Status::OK).field("Content-Type", media_type);
        response.content = Content::Bytes(content.into());
        response
    }

    /// 200 with content that is made while it is sent.
    #[must_use]
    pub fn produced(media_type: &str, content: impl Produce + 'static) -> Response {
        let mut response = Response::new(Status::OK).field("Content-Type", media_type);
        response.content = Content::Produced(Box::new(content));
        response
    }

    /// 303: look there with GET. For another kind of redirect, set the status.
    #[must_use]
    pub fn redirect(to: &str) -> Response {
        Response::new(Status::SEE_OTHER).field("Location", to)
    }

    /// A response that another thread will give: the promise goes there, the response is what the
    /// handler returns now.
    #[must_use]
    pub fn later() -> (Promise, Response) {
        let (promise, later) = Promise::new();
        let mut response = Response::new(Status::OK);
        response.content = Content::Later(later);
        (promise, response)
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Response {
        self.status = status;
        self
    }

    /// Adds a field line.
    ///
    /// A name or value that cannot stand in a field line (a line end, a control byte), and a field
    /// that is the connection's to write (`Content-Length`, `Transfer-Encoding`, `Connection`,
    /// `Date`, `Server` …) make the whole response a 500 with a line in the log.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Response {
        let value = value.as_ref();
        if !fields::is_name(name.as_bytes()) {
            self.blame(|| format!("{name:?} is not a field name"));
        } else if CONNECTION_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            self.blame(|| format!("{name} is written by the connection"));
        } else if fields::is_value(value) {
            fields::write(&mut self.fields, name, value);
        } else {
            self.blame(|| format!("{name} cannot have the value {:?}", lossy(value)));
        }
        self
    }

    fn blame(&mut self, what: impl FnOnce() -> String) {
        self.fault.get_or_insert_with(what);
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Rung by another thread when a [`Later`] is settled: it wakes the loop.
pub type Bell = Box<dyn FnOnce() + Send>;

/// The other thread's side of an answer that comes later.
///
/// Dropped without being kept, it becomes a 500.
#[derive(Debug)]
pub struct Promise {
    shared: Arc<Mutex<State>>,
}

/// The loop's side of an answer that comes later. Dropped when the client is gone.
#[derive(Debug)]
pub struct Later {
    shared: Arc<Mutex<State>>,
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
    Broken,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.settled { "Settled" } else { "Open" })
    }
}

impl Promise {
    /// The two sides of an answer that comes later.
    pub(crate) fn new() -> (Promise, Later) {
        let shared = Arc::default();
        (Promise { shared: Arc::clone(&shared) }, Later { shared })
    }

    /// Gives the answer. `make` runs on the loop's thread and must be quick; what it captures was
    /// worked out here.
    ///
    /// ```ignore
    /// let (promise, response) = Response::later();
    /// std::thread::spawn(move || {
    ///     let report = slow_report();
    ///     promise.fulfil(move || Response::text(report));
    /// });
    /// response
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

    /// The answer, once, if it is there. Runs what the other thread left to be run, so a panic can
    /// come out of it as out of a handler.
    pub fn take(&mut self) -> Option<Settled> {
        let outcome = lock(&self.shared).outcome.take()?;
        Some(match outcome {
            Outcome::Make(make) => Settled::Reply(make().into_reply()),
            Outcome::AskAgain => Settled::AskAgain,
            Outcome::Broken => {
                log::error!("a promised response was never given");
                Settled::Reply(Response::new(Status::INTERNAL_SERVER_ERROR).into_reply())
            }
        })
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

impl Response {
    fn into_reply(self) -> Reply {
        let body = match self.content {
            Content::None | Content::Later(_) => Body::Empty,
            Content::Bytes(bytes) => Body::bytes(bytes),
            Content::Produced(produce) => Body::Produced(produce),
        };
        Reply { status: self.status, fields: Block::Made(self.fields), body, user: None }
    }
}
