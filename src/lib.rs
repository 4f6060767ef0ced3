//! oneloop is a web server that is one loop.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail by panicking"))]

pub mod config;
pub mod daemon;
pub mod http;
pub mod server;
pub mod site;
