//! What the tests share: a running server, a strict client, folders that clean up after themselves.

pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod folder;
pub(crate) mod load;
pub(crate) mod mutant_list;
pub(crate) mod programs;
pub(crate) mod running;
pub(crate) mod spoil;
