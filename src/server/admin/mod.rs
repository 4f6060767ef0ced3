//! The admin listener's answers: metrics for Prometheus, a status page, the same as JSON, whether
//! the server lives and is ready, and how its loop is held. All is made from one [`Report`]; what a
//! site is, is not known here.

mod commands;
mod guard;
mod inspector;
mod page;
mod prometheus;
mod report;
mod status;
#[cfg(test)]
mod tests;

pub(super) use inspector::{Cursor, Shown};
use report::Report;

use crate::http::head::Head;
use crate::http::method::Method;
use crate::http::negotiation::prefers_json;
use crate::http::status::Status;
use crate::site::body::Body;
use crate::site::{Block, Reply, error_page, page as frame};

/// What stands there is true for a moment only.
const TEXT: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n";

/// The text format's version, as Prometheus asks for it.
const METRICS: &[u8] =
    b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nCache-Control: no-store\r\n";

const JSON: &[u8] =
    b"Content-Type: application/json\r\nCache-Control: no-store\r\nVary: Accept\r\n";

const PAGE: &[u8] = frame::page_fields!("Cache-Control: no-store\r\nVary: Accept\r\n");

/// The answer to a request with this head that may be answered, from what is `report`ed.
pub(super) fn answer(report: &Report, head: &Head<'_>) -> Reply {
    let path = head.target.path().unwrap_or_default();
    let (status, fields, content) = match path {
        "/" if prefers_json(&head.fields) => (Status::OK, JSON, status::json(report)),
        "/" => (Status::OK, PAGE, page::page(report)),
        "/status.json" => (Status::OK, JSON, status::json(report)),
        "/metrics" => (Status::OK, METRICS, prometheus::text(report)),
        // That it is answered at all says that the loop turns.
        "/healthz" => (Status::OK, TEXT, "ok\n".to_owned()),
        "/readyz" if report.is_draining => {
            (Status::SERVICE_UNAVAILABLE, TEXT, "draining\n".to_owned())
        }
        "/readyz" => (Status::OK, TEXT, "ready\n".to_owned()),
        _ => {
            let why = "there are /, /inspect, /status.json, /metrics, /healthz and /readyz";
            return error(Status::NOT_FOUND, b"", why);
        }
    };
    match head.method {
        Method::Get | Method::Head => reply(status, fields, content),
        Method::Post
        | Method::Put
        | Method::Delete
        | Method::Patch
        | Method::Connect
        | Method::Options
        | Method::Trace
        | Method::Other(_) => error(
            Status::METHOD_NOT_ALLOWED,
            b"Allow: GET, HEAD\r\n",
            "nothing can be changed here",
        ),
    }
}

fn reply(status: Status, fields: &'static [u8], content: String) -> Reply {
    let (fields, body) = (Block::Static(fields), Body::bytes(content.into_bytes().into()));
    Reply { status, fields, body, user: None }
}

fn error(status: Status, own: &[u8], why: &str) -> Reply {
    let fields = [own, error_page::FIELDS].concat();
    let page = error_page::page(status, why);
    Reply {
        status,
        fields: Block::Made(fields),
        body: Body::bytes(page.into_bytes().into()),
        user: None,
    }
}
