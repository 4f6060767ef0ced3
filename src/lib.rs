//! oneloop is a web server that is one loop.
#![forbid(unsafe_code)]

pub mod http;
