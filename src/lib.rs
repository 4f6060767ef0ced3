//! oneloop is a web server that is one loop: one thread, one epoll, a slab of small state machines.
//!
//! It is a daemon (`oneloop --help`), and it is this library: the same loop, the same HTTP/1.1, the
//! same files, in your program. A [`Router`](site::router::Router) says what is answered where, a
//! [`Server`](server::Server) answers it:
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! use oneloop::server::{Address, Options, Server};
//! use oneloop::site::handler::{Request, Response};
//! use oneloop::site::router::Router;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let site = Router::new()
//!     .get("/hello/{name}", |request: &Request<'_>| {
//!         let name = request.parameter("name").unwrap_or("you");
//!         Response::text(format!("Hello, {name}!\n"))
//!     })
//!     .post("/length", |request: &Request<'_>| {
//!         Response::text(format!("{} bytes\n", request.content().len()))
//!     })
//!     // What takes long is done elsewhere; the loop goes on meanwhile.
//!     .get("/sum", |_: &Request<'_>| {
//!         let (promise, response) = Response::later();
//!         std::thread::spawn(move || {
//!             let sum: u64 = (1..=1_000_000).sum();
//!             promise.fulfil(move || Response::text(format!("{sum}\n")));
//!         });
//!         response
//!     })
//!     .build()?;
//!
//! let options = Options { listen: vec!["127.0.0.1:0".parse()?], ..Options::default() };
//! let mut server = Server::new(&options, site)?;
//! let Address::Tcp(address) = server.local_addresses()[0].clone() else { unreachable!() };
//!
//! // The loop runs where it was made; here a client on another thread ends it again.
//! let stopper = server.stopper();
//! let client = std::thread::spawn(move || -> std::io::Result<String> {
//!     let mut stream = TcpStream::connect(address)?;
//!     stream.write_all(b"GET /hello/Ada HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
//!     let mut answer = String::new();
//!     stream.read_to_string(&mut answer)?;
//!     stopper.stop();
//!     Ok(answer)
//! });
//! server.run()?;
//! let answer = client.join().expect("the client does not panic")?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
//! assert!(answer.ends_with("\r\n\r\nHello, Ada!\n"));
//! # Ok(())
//! # }
//! ```
//!
//! The rooms lie on floors, and imports go down only: [`daemon`] and [`config`] over [`server`]
//! over [`site`] over [`gateway`] over [`http`]. `ARCHITECTURE.md` is the map.
//!
//! Whoever wants to write a web server of their own begins with the [`guide`]: eight chapters, from
//! the first socket to programs behind the loop, each with a small program that runs.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail by panicking"))]

pub mod config;
pub mod daemon;
pub mod gateway;
pub mod guide;
pub mod http;
pub mod server;
pub mod site;

/// The example of README.md is compiled like any other.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
