//! The answers of errors: the route's page for each, or the built-in one. Why it is an error is
//! known to the caller.

use std::rc::Rc;
use std::time::Duration;

use super::body::Body;
use super::program::Plan;
use super::route_fields::RouteFields;
use super::{Block, Errand, Inquiry, Reply, Site, error_page};
use crate::http::Refusal;
use crate::http::fields;
use crate::http::status::Status;

/// The built-in answer for an error, made once, for one that is often given.
#[derive(Debug)]
pub(super) struct Standing {
    status: Status,
    fields: Block,
    page: Rc<[u8]>,
}

impl Standing {
    fn new(status: Status, route_fields: &RouteFields) -> Standing {
        let page = error_page::page(status, "");
        let mut lines = error_page::FIELDS.to_vec();
        route_fields.complete(&mut lines, true);
        let end = lines.len();
        fields::write(&mut lines, "Content-Length", page.len().to_string().as_bytes());
        let fields = Block::Prepared { lines: lines.into(), end };
        Standing { status, fields, page: page.into_bytes().into() }
    }

    fn reply(&self) -> Reply {
        let (fields, body) = (self.fields.clone(), Body::bytes(Rc::clone(&self.page)));
        Reply { status: self.status, fields, body, user: None }
    }
}

impl Site {
    /// The answer to a request that was refused before it had a head, or by the server.
    #[must_use]
    pub fn refuse(&self, refusal: Refusal) -> Reply {
        let page = error_page::page(refusal.status, refusal.why);
        Reply {
            status: refusal.status,
            fields: Block::Static(error_page::FIELDS),
            body: Body::bytes(page.into_bytes().into()),
            user: None,
        }
    }

    /// The same for one that may come again, but not before so much time has gone by.
    #[must_use]
    pub fn put_off(&self, refusal: Refusal, wait: Duration) -> Reply {
        let seconds = wait.as_millis().div_ceil(1000).max(1).to_string();
        let mut lines = error_page::FIELDS.to_vec();
        fields::write(&mut lines, "Retry-After", seconds.as_bytes());
        Reply { fields: Block::Made(lines), ..self.refuse(refusal) }
    }

    /// An error's answer: the route's page for it, or the built-in one. `own`: fields of its own.
    pub(super) fn error(&self, errand: &Errand<'_>, status: Status, own: &[u8]) -> Reply {
        let rule = errand.rule;
        if status == Status::NOT_FOUND && own.is_empty() && rule.errors.find(status).is_none() {
            return rule.not_found.get_or_init(|| Standing::new(status, &rule.fields)).reply();
        }
        self.error_because(errand, Refusal { status, why: "" }, own)
    }

    /// The same, where the built-in page says why.
    fn error_because(&self, errand: &Errand<'_>, refusal: Refusal, own: &[u8]) -> Reply {
        let Refusal { status, why } = refusal;
        let mut fields = own.to_vec();
        let page = errand.rule.errors.find(status).map(|path| path.as_bytes());
        let body =
            page.and_then(|path| self.page(errand, path, &mut fields)).unwrap_or_else(|| {
                fields.extend_from_slice(error_page::FIELDS);
                Body::bytes(error_page::page(status, why).into_bytes().into())
            });
        errand.rule.fields.complete(&mut fields, true);
        Reply { status, fields: Block::Made(fields), body, user: None }
    }

    /// The answer where a program has none, or none that can be passed on: the page that the route
    /// has for `status`. `own`: fields of its own.
    #[must_use]
    pub fn fail(&self, inquiry: &Inquiry<'_>, plan: &Plan, status: Status, own: &[u8]) -> Reply {
        let host = self.names.find(inquiry.head.host);
        let errand = Errand { inquiry, host, path: &plan.path, rule: &plan.rule };
        Reply { user: plan.user.clone(), ..self.error(&errand, status, own) }
    }

    /// The answer to a request for a program that was refused by the server, as its content came
    /// in: the page that the route has for it.
    #[must_use]
    pub fn refuse_call(&self, inquiry: &Inquiry<'_>, plan: &Plan, refusal: Refusal) -> Reply {
        let host = self.names.find(inquiry.head.host);
        let errand = Errand { inquiry, host, path: &plan.path, rule: &plan.rule };
        Reply { user: plan.user.clone(), ..self.error_because(&errand, refusal, &[]) }
    }

    pub(super) fn busy(&self, errand: &Errand<'_>) -> Reply {
        self.error(errand, Status::SERVICE_UNAVAILABLE, b"Retry-After: 1\r\n")
    }
}
