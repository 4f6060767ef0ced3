//! The one integration binary: the crate from outside. Each module is one subject.

mod mutants;
mod tidy;
