//! A report as JSON.

use serde_json::{Map, Value, json};

use super::super::gateways::Pool;
use super::super::metrics::{Histogram, RouteCounts};
use super::Report;

/// The whole report.
pub(super) fn json(report: &Report) -> String {
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": report.started_at,
        "uptime_seconds": report.uptime.as_secs(),
        "state": if report.is_draining { "draining" } else { "ready" },
        "connections": {
            "by_state": object(&report.connections),
            "limit": report.most_connections,
            "accepted": report.metrics.accepted,
            "admin": report.admins,
        },
        "bytes": { "received": report.metrics.received, "sent": report.metrics.sent },
        "requests": {
            "heads": report.metrics.requests,
            "unanswered": report.metrics.unanswered,
            "cut": report.metrics.cut,
            "panics": report.metrics.panics,
            "by_route": report.metrics.routes.iter().map(route).collect::<Vec<_>>(),
        },
        "loop": {
            "turns": histogram(&report.metrics.turns),
            "lag": histogram(&report.metrics.lag),
            "last_long_turn": report.last_long_turn,
        },
        "programs": report.pools.iter().map(pool).collect::<Vec<_>>(),
        "limits_hit": object(&report.metrics.hits()),
        "log_lines_lost": object(&report.lines_lost),
        "memory": { "resident": report.resident, "by_purpose": object(&report.memory) },
    });
    format!("{value}\n")
}

fn object<N: Copy + Into<Value>>(pairs: &[(&'static str, N)]) -> Value {
    let pair = |&(name, number): &(&'static str, N)| (name.to_owned(), number.into());
    Value::Object(pairs.iter().map(pair).collect::<Map<_, _>>())
}

fn route(route: &RouteCounts) -> Value {
    let [informed, answered, redirected, refused, failed] = route.answers;
    json!({
        "host": route.host,
        "route": route.pattern,
        "1xx": informed,
        "2xx": answered,
        "3xx": redirected,
        "4xx": refused,
        "5xx": failed,
    })
}

fn pool(pool: &Pool) -> Value {
    let ends = pool.ends.iter().map(|end| {
        json!({
            "endpoint": end.name,
            "running": end.running,
            "idle": end.idle,
            "unhealthy": end.is_unhealthy,
        })
    });
    json!({
        "host": pool.host,
        "route": pool.pattern,
        "queued": pool.queued,
        "endpoints": ends.collect::<Vec<_>>(),
    })
}

/// `up_to`: each bound in microseconds, and how many took no longer.
fn histogram(histogram: &Histogram) -> Value {
    let bucket = |(bound, count): (u64, u64)| json!([bound, count]);
    json!({
        "count": histogram.count(),
        "sum_seconds": histogram.sum().as_secs_f64(),
        "up_to_us": histogram.up_to_us().map(bucket).collect::<Vec<_>>(),
    })
}
