//! The guide, for those who want to write a web server of their own: eight chapters, each with one
//! small program that runs. Documentation only; it knows nothing of the code but by its paths.
//!
//! Whoever knows Rust and no sockets reads them in this order. Each chapter says why its matter
//! counts, tells what there is to know, shows one program of less than 100 lines, and then leads
//! from it to the room of the real server that does the same work. The programs grow: the first
//! serves one client after the other, the fourth is an event loop, the fifth speaks HTTP. From the
//! sixth on they stand on the loop of this crate, and add what is theirs: routes, files, scripts.
//!
//! 1. [Networking and sockets](chapter_1_sockets): addresses, ports, and the calls from `socket` to
//!    `accept`.
//! 2. [Many clients at once](chapter_2_many_at_once): one after the other, processes, threads,
//!    events, and what each costs.
//! 3. [Readiness](chapter_3_readiness): sockets that do not wait, and epoll, which waits for all.
//! 4. [State machines](chapter_4_state_machines): what a client's stack becomes when there is none.
//! 5. [HTTP messages](chapter_5_messages): methods, fields, status codes; read and written.
//! 6. [Routing](chapter_6_routing): from targets to resources and handlers.
//! 7. [Static content](chapter_7_static_content): files, and all that is not in their bytes.
//! 8. [Dynamic content](chapter_8_dynamic_content): programs in Python, Node.js and Ruby behind the
//!    loop.
//!
//! **To read and to run.** Each chapter is a Markdown file in `src/guide/`, to be read there as
//! well. `cargo test --doc guide` runs the programs, and `cargo test --doc chapter_3` the one of
//! chapter 3. To change a program, change it in its Markdown, and run it again. All of it needs
//! Linux. The way through the code itself is drawn in `ARCHITECTURE.md`.
//!
//! **Sources.** `read(2)` is a page of the system's manual, section 2: `man 2 read` shows it.
//! Section 2 is for system calls, 3 for libraries, 7 for whole matters. An *RFC* is a text in which
//! a protocol of the internet is laid down: number 9112 is
//! <https://www.rfc-editor.org/rfc/rfc9112>, and § is a section of it. Whoever wants to read only
//! four things, reads epoll(7), the paper on Flash (chapter 2), RFC 9112 as a whole, and of RFC
//! 9110 sections 3, 9 and 15.
//!
//! **What is not told here.** Encryption: HTTPS is HTTP in a stream of TLS (RFC 8446). A server of
//! one's own has it from a library, such as the crate rustls, or leaves it to a proxy in front, as
//! oneloop does. HTTP/2 and HTTP/3. And what a server needs beside serving: a configuration, logs,
//! fewer rights, new versions of itself. `ARCHITECTURE.md` names the rooms of these.

#[doc = include_str!("1_sockets.md")]
pub mod chapter_1_sockets {}

#[doc = include_str!("2_many_at_once.md")]
pub mod chapter_2_many_at_once {}

#[doc = include_str!("3_readiness.md")]
pub mod chapter_3_readiness {}

#[doc = include_str!("4_state_machines.md")]
pub mod chapter_4_state_machines {}

#[doc = include_str!("5_messages.md")]
pub mod chapter_5_messages {}

#[doc = include_str!("6_routing.md")]
pub mod chapter_6_routing {}

#[doc = include_str!("7_static_content.md")]
pub mod chapter_7_static_content {}

#[doc = include_str!("8_dynamic_content.md")]
pub mod chapter_8_dynamic_content {}
