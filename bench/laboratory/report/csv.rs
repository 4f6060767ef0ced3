//! The raw data as CSV (RFC 4180): a line for each round. The distributions of the latency are in
//! the JSON only.

use super::data::{Cell, Kind, Results, Sample};
use super::numbers::exact;
use super::page::write_to;

const HEAD: &str = "\
    workload,clients,rate,entrant,kind,size,round,seconds,answers,errors,unanswered,\
    p50_us,p90_us,p99_us,p999_us,most_us,fairness,time_us,user_us,system_us,\
    voluntary,involuntary,\
    served,memory_kib,memory_at_rest_kib,processes,threads,failure";

pub(crate) fn csv(results: &Results) -> String {
    let mut text = format!("{HEAD}\r\n");
    for cell in &results.cells {
        let (Some(entrant), Some(workload)) =
            (results.entrants.get(cell.entrant), results.workloads.get(cell.workload))
        else {
            continue;
        };
        let kind = match entrant.kind {
            Kind::Architecture => "architecture",
            Kind::Peer => "peer",
            Kind::Url => "url",
        };
        let before = format!(
            "{},{},{},{},{kind},{}",
            quoted(&workload.name),
            cell.clients,
            maybe(cell.rate.map(exact)),
            quoted(&entrant.name),
            maybe(entrant.size),
        );
        for (sample, round) in cell.samples.iter().zip(1..) {
            write_to(&mut text, format_args!("{before},{round},{}\r\n", figures(cell, sample)));
        }
        if cell.samples.is_empty() {
            let failure = quoted(cell.failure.as_deref().unwrap_or_default());
            let empty = ",".repeat(HEAD.split(',').count() - 7);
            write_to(&mut text, format_args!("{before}{empty},{failure}\r\n"));
        }
    }
    text
}

fn figures(cell: &Cell, sample: &Sample) -> String {
    let latency = &sample.latency;
    let quantiles = [latency.p50, latency.p90, latency.p99, latency.p999];
    let [p50, p90, p99, p999] = quantiles.map(|value| maybe(value.map(exact)));
    let [seconds, most] = [sample.seconds, latency.most].map(exact);
    let head = format!("{seconds},{},{},{}", sample.answers, sample.errors, sample.unanswered);
    let latency = format!("{p50},{p90},{p99},{p999},{most},{}", exact(sample.fairness));
    let per_request =
        [sample.time, sample.user, sample.system, sample.voluntary, sample.involuntary]
            .map(|value| maybe(value.map(exact)));
    let memory = [sample.memory, sample.memory_at_rest].map(maybe);
    let served = maybe(sample.served);
    let many = [sample.processes, sample.threads].map(maybe);
    let failure = quoted(cell.failure.as_deref().unwrap_or_default());
    format!(
        "{head},{latency},{},{served},{},{},{failure}",
        per_request.join(","),
        memory.join(","),
        many.join(",")
    )
}

fn maybe<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// In quotes, where it has what would end a field.
pub(crate) fn quoted(words: &str) -> String {
    if words.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", words.replace('"', "\"\""))
    } else {
        words.into()
    }
}
