//! How the server is doing at one moment. What is counted is copied; what can be looked at, as how
//! many clients do what, is looked at now, which nobody pays for who does not ask.

use std::time::Duration;

use super::super::Server;
use super::super::client::{Client, Pending, Phase};
use super::super::diagnostic_log::DiagnosticLog;
use super::super::gateway::Stage;
use super::super::gateways::Pool;
use super::super::memory;
use super::super::metrics::Metrics;
use super::super::net::Net;
use super::super::peers::Peer;

/// How the server is doing.
#[derive(Debug)]
pub(in super::super) struct Report {
    pub(super) uptime: Duration,
    /// When it was started, in seconds since 1970-01-01T00:00:00Z.
    pub(super) started_at: u64,
    pub(super) is_draining: bool,
    /// Clients by what they do.
    pub(super) connections: Vec<(&'static str, usize)>,
    pub(super) most_connections: usize,
    pub(super) admins: usize,
    /// All that is counted.
    pub(super) metrics: Metrics,
    /// Who has held the loop up for longer than it may be, the last time that somebody did.
    pub(super) last_long_turn: Option<String>,
    pub(super) pools: Vec<Pool>,
    /// Lines of each log that could not be written.
    pub(super) lines_lost: [(&'static str, u64); 2],
    /// Bytes by what they are for.
    pub(super) memory: Vec<(&'static str, u64)>,
    /// Bytes of the process in memory, if the system tells.
    pub(super) resident: Option<u64>,
}

/// What clients can be doing.
pub(super) const STATES: [&str; 9] =
    ["head", "content", "handler", "program", "tunnel", "send", "pause", "idle", "linger"];

impl<N: Net> Server<N> {
    /// How the server is doing now.
    pub(super) fn report(&self) -> Report {
        let mut connections = STATES.map(|state| (state, 0));
        let mut waiting = 0;
        for (_, peer) in self.peers.iter() {
            if let Peer::Client(client) = peer {
                waiting += kept_by(client);
                if !client.is_admin {
                    connections[state_of(client)].1 += 1;
                }
            }
        }
        let uptime = self.now.since(self.started);
        let (slots, slot_bytes) = self.peers.slots();
        let buffers = [&self.tx, &self.scratch, &self.gx].map(Vec::capacity);
        let memory = [
            ("peers", slots * slot_bytes),
            ("buffers", self.rx.len() + buffers.iter().sum::<usize>()),
            ("waiting", waiting),
            ("cache", self.terms.site.cached_bytes()),
        ];
        let mut memory: Vec<_> =
            memory.into_iter().map(|(purpose, bytes)| (purpose, bytes as u64)).collect();
        memory.push(("spool", self.budget.kept()));
        Report {
            uptime,
            started_at: self.stamp.seconds().saturating_sub(uptime.as_secs()),
            is_draining: self.drained_by.is_some(),
            connections: connections.to_vec(),
            most_connections: self.terms.limits.connections,
            admins: self.peers.admins(),
            metrics: self.metrics.clone(),
            last_long_turn: self.recorder.stalls().last().map(|stall| stall.what.clone()),
            pools: self.pools(),
            lines_lost: [
                ("access", self.metrics.lines_lost + self.log.lost()),
                ("error", self.diagnostic_log.map_or(0, DiagnosticLog::lost)),
            ],
            memory,
            resident: memory::resident(),
        }
    }

    /// How the programs of all routes stand, also of those that nobody has asked for.
    fn pools(&self) -> Vec<Pool> {
        let pool = |(host, pattern, program): (&str, &str, Option<_>)| {
            Some(self.gateways.pool(program?, host, pattern, self.now))
        };
        self.terms.site.routes().filter_map(pool).collect()
    }
}

/// Which of [`STATES`] a client is in.
pub(super) fn state_of(client: &Client) -> usize {
    match client.clock.phase {
        Phase::Head => 0,
        Phase::Content => 1,
        Phase::Later => 2,
        Phase::Gateway if client.is_in_tunnel() => 4,
        Phase::Gateway => 3,
        Phase::Send => 5,
        Phase::Pause => 6,
        Phase::Idle => 7,
        Phase::Linger => 8,
    }
}

/// Bytes that wait with a client, for it or for its program.
fn kept_by(client: &Client) -> usize {
    let Some(work) = &client.work else { return 0 };
    let with_gateway = match &work.exchange.pending {
        Pending::Gateway(relay) => match &relay.stage {
            Stage::Talking(gateway) => gateway.input.capacity() + gateway.output.capacity(),
            Stage::Gathering | Stage::Waiting(_) | Stage::Failed(_) => 0,
        },
        Pending::Nothing
        | Pending::Content
        | Pending::Discard(_)
        | Pending::Later(_)
        | Pending::Report
        | Pending::Watch(_) => 0,
    };
    work.input.len() + work.output.len() + with_gateway
}
