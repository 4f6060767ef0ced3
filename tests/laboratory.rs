//! The laboratory: how its clients count, and what it makes of what it has measured.

#[path = "../bench/throughput/answer.rs"]
#[allow(dead_code, reason = "the benches use more of it")]
mod answer;
#[path = "../bench/laboratory/client.rs"]
mod client;
#[path = "../bench/laboratory/clients.rs"]
mod clients;
#[path = "../bench/laboratory/load.rs"]
mod load;
#[path = "../bench/laboratory/options.rs"]
mod options;
#[path = "../bench/laboratory/progress.rs"]
mod progress;
mod report;
#[path = "../bench/laboratory/seen.rs"]
mod seen;
#[path = "../bench/laboratory/sizes.rs"]
mod sizes;
mod synthetic;
mod told;
