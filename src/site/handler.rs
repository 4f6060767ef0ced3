//! Rust handlers: what they are told ([`Request`]), what they say ([`Response`]), and how they
//! answer from another thread ([`Promise`]). What pattern leads to which handler is not known here.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use super::body::{Body, Produce};
pub use super::later::{Bell, Later, Promise, Settled};
use super::{route_fields, rule};
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

/// The content of a response.
#[derive(Debug)]
pub(super) enum Content {
    None,
    Bytes(Rc<[u8]>),
    Produced(Box<dyn Produce>),
    /// Another thread is at work on the whole response.
    Later(Later),
}

impl Content {
    /// As it is sent. What is still to come has no content yet.
    pub(super) fn into_body(self) -> Body {
        match self {
            Content::None | Content::Later(_) => Body::Empty,
            Content::Bytes(bytes) => Body::bytes(bytes),
            Content::Produced(produce) => Body::Produced(produce),
        }
    }
}

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
        match route_fields::fault(name, value) {
            Some(fault) => {
                self.fault.get_or_insert(fault);
            }
            None => fields::write(&mut self.fields, name, value),
        }
        self
    }

    /// What it comes to: its parts, or what is wrong with it.
    pub(super) fn take_apart(self) -> Result<(Status, Vec<u8>, Content), String> {
        match self.fault {
            Some(fault) => Err(fault),
            None if self.status.code() < 200 => {
                Err(format!("{} is not the status of an answer", self.status.code()))
            }
            None => Ok((self.status, self.fields, self.content)),
        }
    }
}

/// The handlers of one pattern, by method.
#[derive(Default)]
pub struct MethodTable {
    handlers: Vec<(Box<str>, Box<dyn Handler>)>,
    any: Option<Box<dyn Handler>>,
    allow: String,
    fault: Option<String>,
}

impl MethodTable {
    /// No handlers.
    #[must_use]
    pub fn new() -> MethodTable {
        MethodTable::default()
    }

    /// `handler` answers `method`, any token but CONNECT and TRACE.
    #[must_use]
    pub fn on(mut self, method: &str, handler: impl Handler + 'static) -> MethodTable {
        if !fields::is_name(method.as_bytes()) {
            self.fault.get_or_insert(format!("{method:?} is not a method"));
        } else if matches!(method, "CONNECT" | "TRACE") {
            self.fault.get_or_insert(format!("{method} is not answered here"));
        }
        self.add(method.into(), Box::new(handler));
        self
    }

    /// `handler` answers every method that none of the others answers, but CONNECT and TRACE.
    #[must_use]
    pub fn any(mut self, handler: impl Handler + 'static) -> MethodTable {
        self.any = Some(Box::new(handler));
        self.allow = self.list();
        self
    }

    /// Takes over the handlers of `more`, or names a method that both have one for.
    pub(super) fn join(&mut self, more: MethodTable) -> Option<Box<str>> {
        if self.any.is_some() && more.any.is_some() {
            return Some("any method".into());
        }
        for (method, handler) in more.handlers {
            if let Some(twice) = self.add(method, handler) {
                return Some(twice);
            }
        }
        self.any = self.any.take().or(more.any);
        self.fault = self.fault.take().or(more.fault);
        self.allow = self.list();
        None
    }

    fn add(&mut self, method: Box<str>, handler: Box<dyn Handler>) -> Option<Box<str>> {
        if self.handlers.iter().any(|(known, _)| *known == method) {
            self.fault.get_or_insert(format!("there are two handlers for {method}"));
            return Some(method);
        }
        self.handlers.push((method, handler));
        self.allow = self.list();
        None
    }

    /// Who answers `method`: its own handler; for HEAD, that of GET; or the one for any.
    pub(super) fn find(&self, method: Method<'_>) -> Option<&dyn Handler> {
        if matches!(method, Method::Connect | Method::Trace) {
            return None;
        }
        let own = |name: &str| self.handlers.iter().find(|(known, _)| **known == *name);
        let found =
            own(method.as_str()).or_else(|| if method == Method::Head { own("GET") } else { None });
        found.map(|(_, handler)| handler).or(self.any.as_ref()).map(|handler| &**handler)
    }

    /// The methods that are answered, for Allow.
    pub(super) fn allow(&self) -> &str {
        &self.allow
    }

    /// What is wrong with it, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.clone()
    }

    fn list(&self) -> String {
        let mut names: Vec<&str> = self.handlers.iter().map(|(name, _)| &**name).collect();
        if self.any.is_some() {
            names.extend(rule::KNOWN_METHODS.split(", "));
        }
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.push("OPTIONS");
        let mut seen = Vec::new();
        names.retain(|name| {
            !seen.contains(name) && {
                seen.push(*name);
                true
            }
        });
        names.join(", ")
    }
}

impl fmt::Debug for MethodTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.allow)
    }
}
