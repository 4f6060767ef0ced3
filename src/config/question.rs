//! The question that `oneloop explain` asks: a request made of a method and a URL. What answers it,
//! is not known here.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::http::Limits;
use crate::http::fields;
use crate::http::head::{Head, HeadSpace};
use crate::http::method::Method;
use crate::site::explain::Explanation;
use crate::site::{Inquiry, Now, Site};

/// What a person may type in a URL and no client may send.
const TYPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Why the site would answer a client at that address as it would.
///
/// # Errors
/// When `method` or `url` make no request.
pub fn explain(
    site: &Site,
    client: IpAddr,
    method: &str,
    url: &str,
) -> Result<Explanation, String> {
    let bytes = request(method, url)?;
    let mut space = HeadSpace::new();
    let head = Head::parse(bytes.as_bytes(), &mut space, &Limits::default())
        .map_err(|refusal| format!("this is no request: {}", refusal.why))?;
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = Now { monotonic_ms: 0, unix, moment: 0 };
    Ok(site.explain(&Inquiry {
        head: &head,
        client: Some(client),
        content: None,
        again: false,
        now,
    }))
}

/// The head of the request.
fn request(method: &str, url: &str) -> Result<String, String> {
    if !fields::is_name(method.as_bytes()) {
        return Err(format!("{method:?} is not a method: write GET, HEAD, POST …"));
    }
    let capitals = method.to_ascii_uppercase();
    if capitals != method && !matches!(Method::parse(&capitals), Method::Other(_)) {
        return Err(format!("{method:?} is a method that nobody knows: write {capitals}"));
    }
    let (host, target) = match url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))
    {
        Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        None => ("", url),
    };
    // A fragment stays in the browser.
    let target = target.split('#').next().unwrap_or_default();
    let target = utf8_percent_encode(target, TYPED);
    let slash = match url {
        _ if target.to_string().starts_with('/') || url == "*" => "",
        _ if !host.is_empty() => "/",
        _ => return Err(format!("{url:?} is not a URL: write http://example.com{url}")),
    };
    let version = if host.is_empty() { "1.0" } else { "1.1" };
    let host = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
    Ok(format!("{method} {slash}{target} HTTP/{version}\r\n{host}\r\n"))
}
