//! What the laboratory is made of: the core that all architectures share, the clients, what is
//! measured, and how it is shown.

#[path = "../throughput/answer.rs"]
#[allow(dead_code, reason = "another bench uses more of it")]
mod answer;
pub(crate) mod check;
mod client;
mod clients;
mod contest;
pub(crate) mod data;
pub(crate) mod ground;
pub(crate) mod line;
mod load;
#[path = "../throughput/machine.rs"]
#[allow(dead_code, reason = "another bench uses more of it")]
mod machine;
mod measure;
mod options;
mod place;
mod player;
mod proc;
mod progress;
#[allow(dead_code, reason = "another bench reads what was written")]
pub(crate) mod report;
pub(crate) mod run;
mod script;
pub(crate) mod seats;
mod seen;
#[path = "../throughput/servers.rs"]
#[allow(dead_code, reason = "another bench uses more of it")]
mod servers;
mod sizes;
pub(crate) mod stage;
pub(crate) mod talk;
mod workloads;
mod wrk;

pub(crate) use options::Options;
