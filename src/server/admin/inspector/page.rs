//! The page: one document that needs nothing from outside. By itself it watches the server that it
//! comes from; with a recording in it, it shows that and needs no server.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");

/// Each is a part of one script, in this order.
const SCRIPT: [&str; 5] = [
    include_str!("page/base.js"),
    include_str!("page/strip.js"),
    include_str!("page/house.js"),
    include_str!("page/story.js"),
    include_str!("page/main.js"),
];

/// The whole page. `recording`: JSON in which every `<` is written by its number; empty where there
/// is none.
pub(super) fn page(recording: &str) -> String {
    let script = SCRIPT.concat();
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + script.len() + recording.len());
    let mut rest = PAGE;
    for (mark, content) in [
        ("@POLICY@", policy()),
        ("@STYLE@", STYLE),
        ("@RECORDING@", recording),
        ("@SCRIPT@", &script),
    ] {
        let (before, behind) = rest.split_once(mark).expect("the page has each of its places");
        page.push_str(before);
        page.push_str(content);
        rest = behind;
    }
    page.push_str(rest);
    page
}

/// What the browser lets the page do: run this very script, use this very style, and ask the server
/// that it comes from. The page says so itself, too, for when it is opened from a file.
pub(super) fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    let make = || {
        format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'",
            hash(&SCRIPT.concat()),
            hash(STYLE)
        )
    };
    POLICY.get_or_init(make)
}

/// As a policy names what stands in an element (CSP Level 3 §2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}
