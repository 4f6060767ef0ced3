//! A report in the text format of Prometheus, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! *Invariant:* how many series there are, the configuration says, and never a client.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::super::gateways::End;
use super::super::metrics::Histogram;
use super::Report;

/// The text, as it grows.
struct Text(String);

/// The whole report.
pub(super) fn text(report: &Report) -> String {
    let mut text = Text(String::with_capacity(16 << 10));
    about_process(&mut text, report);
    about_clients(&mut text, report);
    about_requests(&mut text, report);
    about_loop(&mut text, report);
    about_programs(&mut text, report);
    text.0
}

fn about_process(text: &mut Text, report: &Report) {
    text.gauge("oneloop_build_info", "The version of the server, as a label.");
    text.sample("oneloop_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.gauge("process_start_time_seconds", "When the server was started, since 1970.");
    text.sample("process_start_time_seconds", &[], report.started_at);
    text.gauge("oneloop_draining", "Whether the server is about to end.");
    text.sample("oneloop_draining", &[], u8::from(report.is_draining));
    if let Some(resident) = report.resident {
        text.gauge("process_resident_memory_bytes", "Memory of the process.");
        text.sample("process_resident_memory_bytes", &[], resident);
    }
    text.gauge(
        "oneloop_memory_bytes",
        "Memory by purpose. The spool is request content that waits for a program, and may lie in \
         files.",
    );
    for &(purpose, bytes) in &report.memory {
        text.sample("oneloop_memory_bytes", &[("purpose", purpose)], bytes);
    }
    text.counter(
        "oneloop_log_lines_lost_total",
        "Lines of the access log and the error log that could not be written.",
    );
    for &(log, lines) in &report.lines_lost {
        text.sample("oneloop_log_lines_lost_total", &[("log", log)], lines);
    }
    text.counter("oneloop_panics_total", "Panics that were caught; each ended one exchange.");
    text.sample("oneloop_panics_total", &[], report.metrics.panics);
}

fn about_clients(text: &mut Text, report: &Report) {
    text.gauge("oneloop_connections", "Clients by what they do.");
    for &(state, count) in &report.connections {
        text.sample("oneloop_connections", &[("state", state)], count);
    }
    text.gauge("oneloop_connections_limit", "Clients there may be: limits.connections.");
    text.sample("oneloop_connections_limit", &[], report.most_connections);
    text.gauge("oneloop_admin_connections", "Clients of the admin listener.");
    text.sample("oneloop_admin_connections", &[], report.admins);
    text.counter("oneloop_connections_accepted_total", "Clients taken in.");
    text.sample("oneloop_connections_accepted_total", &[], report.metrics.accepted);
    text.counter("oneloop_received_bytes_total", "Bytes received from clients.");
    text.sample("oneloop_received_bytes_total", &[], report.metrics.received);
    text.counter("oneloop_sent_bytes_total", "Bytes sent to clients.");
    text.sample("oneloop_sent_bytes_total", &[], report.metrics.sent);
}

fn about_requests(text: &mut Text, report: &Report) {
    text.counter(
        "oneloop_requests_total",
        "Requests by the route that answers and the class of the status, counted when their answer \
         begins. The route \"none\" is of what was no request, or that no route answers.",
    );
    for route in &report.metrics.routes {
        for (class, &count) in route.answers.iter().enumerate() {
            let status = format!("{}xx", class + 1);
            let labels = [("host", &*route.host), ("route", &*route.pattern), ("status", &*status)];
            text.sample("oneloop_requests_total", &labels, count);
        }
    }
    text.counter("oneloop_request_heads_total", "Requests whose head was understood.");
    text.sample("oneloop_request_heads_total", &[], report.metrics.requests);
    text.counter(
        "oneloop_requests_unanswered_total",
        "Requests whose client had gone before their answer began.",
    );
    text.sample("oneloop_requests_unanswered_total", &[], report.metrics.unanswered);
    text.counter(
        "oneloop_answers_cut_total",
        "Answers that have begun and did not come to their end.",
    );
    text.sample("oneloop_answers_cut_total", &[], report.metrics.cut);
    text.counter(
        "oneloop_limit_hits_total",
        "How often something has come up against a limit, by its name in the configuration.",
    );
    for &(limit, count) in &report.metrics.hits() {
        text.sample("oneloop_limit_hits_total", &[("limit", limit)], count);
    }
}

fn about_loop(text: &mut Text, report: &Report) {
    text.histogram(
        "oneloop_loop_turn_seconds",
        "How long turns of the loop took, without the wait.",
        &report.metrics.turns,
    );
    text.histogram(
        "oneloop_loop_lag_seconds",
        "How long whoever was found ready may have waited for the loop to look: the time since it \
         looked before, or nothing where it has slept in between.",
        &report.metrics.lag,
    );
}

fn about_programs(text: &mut Text, report: &Report) {
    type Number = fn(&End) -> usize;
    let of_ends: [(&str, &str, Number); 3] = [
        ("oneloop_gateway_running", "Exchanges with programs.", |end| end.running),
        ("oneloop_gateway_idle", "Connections kept for the next exchange.", |end| end.idle),
        ("oneloop_gateway_unhealthy", "Whether others are preferred for a while.", |end| {
            usize::from(end.is_unhealthy)
        }),
    ];
    for (name, help, number) in of_ends {
        text.gauge(name, help);
        for pool in &report.pools {
            for end in &pool.ends {
                let labels =
                    [("host", &*pool.host), ("route", &*pool.pattern), ("endpoint", &*end.name)];
                text.sample(name, &labels, number(end));
            }
        }
    }
    text.gauge("oneloop_gateway_queued", "Requests that wait for a process or a connection.");
    for pool in &report.pools {
        let labels = [("host", &*pool.host), ("route", &*pool.pattern)];
        text.sample("oneloop_gateway_queued", &labels, pool.queued);
    }
}

impl Text {
    fn gauge(&mut self, name: &str, help: &str) {
        self.family(name, help, "gauge");
    }

    fn counter(&mut self, name: &str, help: &str) {
        self.family(name, help, "counter");
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, help, "histogram");
        let bucket = format!("{name}_bucket");
        for (bound, count) in histogram.up_to() {
            self.sample(&bucket, &[("le", &seconds(bound))], count);
        }
        self.sample(&bucket, &[("le", "+Inf")], histogram.count());
        self.sample(&format!("{name}_sum"), &[], seconds(histogram.sum()));
        self.sample(&format!("{name}_count"), &[], histogram.count());
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            self.0.push(if at == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            self.push_escaped(value);
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.put(format_args!(" {value}\n"));
    }

    /// The value of a label: only these three are escaped.
    fn push_escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                _ => self.0.push(character),
            }
        }
    }

    fn put(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.0.write_fmt(arguments).expect("a string takes all text");
    }
}

/// As a decimal number, never with an exponent.
fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}
