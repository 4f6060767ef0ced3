//! The one integration binary: the crate from outside. Each module is one subject.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod admin;
mod cli;
mod corpus;
mod cost;
mod demo;
mod gateways;
mod laboratory;
mod lifecycle;
mod mutants;
mod real;
mod replay;
mod support;
mod tidy;
mod wire;
