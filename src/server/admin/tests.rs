//! What is shown, and that a name cannot become more than a name.

use std::time::Duration;

use super::super::gateways::{End, Pool};
use super::super::metrics::{Limit, Metrics, RouteCounts};
use super::{Report, page, prometheus, status};

/// Everything that could do harm in one of the forms.
const HOSTILE: &str = "/<b>\"'\\\n*";

fn report() -> Report {
    let mut metrics = Metrics::new();
    metrics.routes = vec![
        RouteCounts { host: String::new(), pattern: "none".into(), answers: [0, 0, 0, 3, 0] },
        RouteCounts { host: "a.example".into(), pattern: HOSTILE.into(), answers: [0, 5, 0, 0, 1] },
    ];
    (metrics.accepted, metrics.received, metrics.sent) = (1_300, 1_500_000, 3 << 30);
    (metrics.requests, metrics.unanswered, metrics.cut) = (9, 1, 2);
    for took in [5, 12, 70_000, 3_000_000] {
        metrics.turns.add(took);
    }
    (0..7).for_each(|_| metrics.hit(Limit::HeadTimeout));
    let end =
        |name: &str, is_unhealthy| End { name: name.into(), running: 2, idle: 1, is_unhealthy };
    Report {
        uptime: Duration::from_secs(3_700),
        started_at: 971_211_336,
        is_draining: false,
        connections: vec![("head", 1), ("idle", 1_200)],
        most_connections: 10_000,
        admins: 1,
        metrics,
        pools: vec![Pool {
            host: "a.example".into(),
            pattern: HOSTILE.into(),
            queued: 4,
            ends: vec![end("127.0.0.1:1", false), end("unix:/x\"y", true)],
        }],
        lines_lost: [("access", 0), ("error", 0)],
        memory: vec![("peers", 2_000)],
        resident: Some(4 << 20),
        last_long_turn: Some("<i>70 ms</i>".to_owned()),
    }
}

#[test]
fn labels_are_escaped_for_prometheus() {
    let text = prometheus::text(&report());
    let route = r#"host="a.example",route="/<b>\"'\\\n*""#;
    for line in [
        format!("oneloop_requests_total{{{route},status=\"2xx\"}} 5\n"),
        format!("oneloop_gateway_unhealthy{{{route},endpoint=\"unix:/x\\\"y\"}} 1\n"),
        format!("oneloop_gateway_queued{{{route}}} 4\n"),
        "oneloop_loop_turn_seconds_bucket{le=\"0.00001\"} 1\n".to_owned(),
        "oneloop_loop_turn_seconds_bucket{le=\"1\"} 3\n".to_owned(),
        "oneloop_loop_turn_seconds_bucket{le=\"+Inf\"} 4\n".to_owned(),
        "oneloop_loop_turn_seconds_sum 3.070017\n".to_owned(),
        "oneloop_limit_hits_total{limit=\"head.timeout\"} 7\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} in {text}");
    }
}

#[test]
fn the_page_is_made_of_text() {
    let page = page::page(&report());
    let name = "<bdi>a.example /&lt;b&gt;&quot;&#39;\\\u{240a}*";
    assert!(page.contains(&format!("{name}</bdi>")) && page.contains(&format!("{name} → ")));
    assert!(page.contains("&lt;i&gt;70 ms&lt;/i&gt;"));
    for harm in ["<b>\"", "<i>", "<script", "src=", "url(", "http"] {
        assert!(!page.contains(harm), "{harm} in {page}");
    }
    for figure in ["1\u{202f}201", "of 10\u{202f}000", "3.0 GiB", "1 h 1 min", "more than 1s"] {
        assert!(page.contains(figure), "{figure} in {page}");
    }
    assert!(!page.contains("connections</bdi>"), "a limit that was not hit");
}

#[test]
fn json_says_the_same() {
    let value: serde_json::Value = serde_json::from_str(&status::json(&report())).unwrap();
    assert_eq!(value["state"], "ready");
    assert_eq!(value["requests"]["by_route"][1]["route"], HOSTILE);
    assert_eq!(value["requests"]["by_route"][1]["2xx"], 5);
    assert_eq!(value["programs"][0]["endpoints"][1]["unhealthy"], true);
    assert_eq!(value["loop"]["turns"]["up_to_us"][1], serde_json::json!([25, 2]));
    assert_eq!(value["memory"]["by_purpose"]["peers"], 2_000);
    assert_eq!(value["limits_hit"]["head.timeout"], 7);
}
