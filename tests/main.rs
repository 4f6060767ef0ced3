//! The one integration binary: the crate from outside. Each module is one subject.

mod cli;
mod demo;
mod mutants;
mod support;
mod tidy;
