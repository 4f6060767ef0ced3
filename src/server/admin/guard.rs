//! Who may ask the admin listener: programs of this machine, and pages that came from here. A page
//! from elsewhere could otherwise ask through the browser of whoever looks at it, by its own name
//! for this address (DNS rebinding) or by ours.

use std::net::IpAddr;

use crate::http::head::Head;
use crate::http::status::Status;

const FOREIGN: &str = "another site's page may not ask for this";

/// Why a request is not answered. `is_tcp`: it came over TCP; no page can reach a Unix-domain
/// socket, so its clients may name any host.
pub(super) fn refusal(head: &Head<'_>, is_tcp: bool) -> Option<(Status, &'static str)> {
    if is_tcp && !is_here(head.host) {
        let why = "it answers to localhost and the addresses of this machine's loopback only";
        return Some((Status::MISDIRECTED_REQUEST, why));
    }
    // Browsers say so where they do not say whose page it is; a link may lead to a page, but what
    // is asked for within another one takes the places of those who watch.
    let said = |name, value: &[u8]| head.fields.find(name).is_some_and(|field| field == value);
    let is_foreign = head.fields.find("Sec-Fetch-Site").is_some()
        && !said("Sec-Fetch-Site", b"same-origin")
        && !said("Sec-Fetch-Site", b"none");
    let is_page = matches!(head.target.path(), Some("/" | "/inspect"));
    if is_foreign && !(said("Sec-Fetch-Dest", b"document") && is_page) {
        return Some((Status::FORBIDDEN, FOREIGN));
    }
    let origin = head.fields.find("Origin")?;
    let is_own = origin.strip_prefix(b"http://").is_some_and(|origin| {
        !head.authority.is_empty() && origin.eq_ignore_ascii_case(head.authority.as_bytes())
    });
    (!is_own).then_some((Status::FORBIDDEN, FOREIGN))
}

/// Whether a host is this machine, whoever resolves it: a loopback address, or a name that is never
/// looked up elsewhere (RFC 6761 §6.3). HTTP/1.0 may name none, and no browser speaks it.
fn is_here(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = literal.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name.is_empty() || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Limits;
    use crate::http::head::HeadSpace;

    fn status(fields: &str, is_tcp: bool) -> Option<Status> {
        let head = format!("GET /inspect HTTP/1.1\r\n{fields}\r\n");
        let mut space = HeadSpace::new();
        let limits = Limits { head_bytes: 1000, head_fields: 10 };
        let head = Head::parse(head.as_bytes(), &mut space, &limits).unwrap();
        refusal(&head, is_tcp).map(|(status, _)| status)
    }

    #[test]
    fn names_of_this_machine_are_answered_to_and_no_others() {
        for host in [
            "localhost",
            "LocalHost:9090",
            "127.0.0.1:9090",
            "[::1]:9",
            "a.localhost",
            "localhost.",
        ] {
            assert_eq!(status(&format!("Host: {host}\r\n"), true), None, "{host}");
        }
        for host in ["a.example", "a.example:9090", "192.0.2.1", "localhost.a.example", "0.0.0.0"] {
            let refused = Some(Status::MISDIRECTED_REQUEST);
            assert_eq!(status(&format!("Host: {host}\r\n"), true), refused, "{host}");
            assert_eq!(status(&format!("Host: {host}\r\n"), false), None, "{host} over a socket");
        }
    }

    #[test]
    fn a_browser_that_tells_of_another_site_is_refused_but_for_links() {
        for (fields, refused) in [
            ("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n", false),
            ("Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n", false),
            ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: document\r\n", false),
            ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: iframe\r\n", true),
            ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n", true),
            ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", true),
            ("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n", true),
            ("Sec-Fetch-Site: cross-site\r\n", true),
        ] {
            let refusal = status(&format!("Host: localhost\r\n{fields}"), true);
            assert_eq!(refusal, refused.then_some(Status::FORBIDDEN), "{fields}");
        }
    }

    #[test]
    fn a_link_from_elsewhere_leads_to_a_page_and_nothing_else() {
        for (path, refused) in
            [("/", false), ("/inspect", false), ("/inspect/events", true), ("/metrics", true)]
        {
            let head = format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\n\
                 Sec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: document\r\n\r\n"
            );
            let mut space = HeadSpace::new();
            let limits = Limits { head_bytes: 1000, head_fields: 10 };
            let head = Head::parse(head.as_bytes(), &mut space, &limits).unwrap();
            assert_eq!(refusal(&head, true).is_some(), refused, "{path}");
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let host = "Host: localhost:9090\r\n";
        for (origin, refused) in [
            ("http://localhost:9090", false),
            ("http://LOCALHOST:9090", false),
            ("http://localhost:8080", true),
            ("https://localhost:9090", true),
            ("http://a.example", true),
            ("null", true),
            ("", true),
        ] {
            for is_tcp in [true, false] {
                let refusal = status(&format!("{host}Origin: {origin}\r\n"), is_tcp);
                assert_eq!(refusal, refused.then_some(Status::FORBIDDEN), "{origin}");
            }
        }
    }
}
