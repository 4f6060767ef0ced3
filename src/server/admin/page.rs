//! A report as a page, readable without style, and made of nothing but text: it is looked at again
//! by loading it again.

use std::time::Duration;

use super::super::gateways::Pool;
use super::super::metrics::{Histogram, RouteCounts};
use super::Report;
use crate::http::date::Stamp;
use crate::site::page::{self, push_text, readable};

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let state = if report.is_draining { "draining" } else { "ready" };
    let mut page = page::open(&format!("oneloop · {state}"), STYLE);
    page.push_str("<main>\n<header>\n");
    push_head(&mut page, report, state);
    page.push_str("</header>\n");
    push_figures(&mut page, report);
    push_loop(&mut page, report);
    push_routes(&mut page, &report.metrics.routes);
    push_programs(&mut page, &report.pools);
    push_list(&mut page, "Connections", "state", &report.connections, |count| number(count as u64));
    push_list(&mut page, "Memory", "purpose", &report.memory, readable);
    push_hits(&mut page, report);
    page.push_str(
        "<footer><p><a href=\"/inspect\">The loop at work</a>. The same as here \
         <a href=\"/status.json\">as JSON</a> and <a href=\"/metrics\">for Prometheus</a>.</p>\
         </footer>\n</main>\n",
    );
    page::close(&mut page);
    page
}

fn push_head(page: &mut String, report: &Report, state: &str) {
    page.push_str("<h1>oneloop <small>");
    page.push_str(env!("CARGO_PKG_VERSION"));
    page.push_str("</small></h1>\n<p><b class=\"");
    page.push_str(state);
    page.push_str("\">");
    page.push_str(if report.is_draining { "Draining" } else { "Ready" });
    page.push_str("</b> for ");
    page.push_str(&age(report.uptime));
    page.push_str(", since ");
    let iso = Stamp::new(report.started_at).iso();
    let iso = String::from_utf8_lossy(&iso);
    page.extend(["<time datetime=\"", &iso, "\">", &iso[..10], " ", &iso[11..16]]);
    page.push_str(" UTC</time>");
    page.push_str("</p>\n");
}

/// What is looked for first.
fn push_figures(page: &mut String, report: &Report) {
    let clients: usize = report.connections.iter().map(|&(_, count)| count).sum();
    let answers = || report.metrics.routes.iter().map(|route| route.answers);
    let answered: u64 = answers().flatten().sum();
    let failed: u64 = answers().map(|[.., failed]| failed).sum();
    let figures = [
        (
            "Connections",
            number(clients as u64),
            format!("of {}", number(report.most_connections as u64)),
        ),
        ("Answers", number(answered), format!("{} with 5xx", number(failed))),
        (
            "Sent",
            readable(report.metrics.sent),
            format!("{} received", readable(report.metrics.received)),
        ),
        ("Memory", report.resident.map_or_else(|| "–".to_owned(), readable), "resident".to_owned()),
    ];
    page.push_str("<dl>\n");
    for (name, figure, more) in figures {
        page.extend(["<div><dt>", name, "</dt><dd>", &figure, " <small>", &more]);
        page.push_str("</small></dd></div>\n");
    }
    page.push_str("</dl>\n");
}

fn push_loop(page: &mut String, report: &Report) {
    open_table(page, "The loop", &["", "count", "50 % ≤", "99 % ≤", "mean"]);
    for (name, histogram) in [("turns", &report.metrics.turns), ("lag", &report.metrics.lag)] {
        let count = histogram.count();
        let average =
            u32::try_from(count).ok().and_then(|count| histogram.sum().checked_div(count));
        push_row(
            page,
            name,
            &[
                number(count),
                below(histogram, 50),
                below(histogram, 99),
                average.map_or_else(|| "–".to_owned(), |average| format!("{average:.1?}")),
            ],
        );
    }
    close_table(page);
    if let Some(what) = &report.last_long_turn {
        page.push_str("<p>The last turn that was too long took ");
        push_text(page, what);
        page.push_str("</p>\n");
    }
}

fn push_routes(page: &mut String, routes: &[RouteCounts]) {
    open_table(page, "Answers", &["route", "1xx", "2xx", "3xx", "4xx", "5xx"]);
    for route in routes {
        push_row(page, &full_name(&route.host, &route.pattern), &route.answers.map(number));
    }
    close_table(page);
}

fn push_programs(page: &mut String, pools: &[Pool]) {
    if pools.is_empty() {
        return;
    }
    open_table(page, "Programs", &["endpoint", "running", "idle", "queued", "health"]);
    for pool in pools {
        let name = full_name(&pool.host, &pool.pattern);
        for end in &pool.ends {
            let health = if end.is_unhealthy { "not well" } else { "well" };
            let numbers = [end.running, end.idle, pool.queued].map(|count| number(count as u64));
            let [running, idle, queued] = numbers;
            let cells = [running, idle, queued, health.to_owned()];
            push_row(page, &format!("{name} → {}", end.name), &cells);
        }
    }
    close_table(page);
}

fn push_hits(page: &mut String, report: &Report) {
    let [access, error] = report.lines_lost.map(|(_, lines)| lines);
    let lost = [
        ("requests without an answer", report.metrics.unanswered),
        ("answers cut", report.metrics.cut),
        ("panics", report.metrics.panics),
        ("lines of the access log", access),
        ("lines of the error log", error),
    ];
    push_list(page, "Lost", "what", &lost, number);
    let hits: Vec<_> = report.metrics.hits().into_iter().filter(|&(_, count)| count > 0).collect();
    if !hits.is_empty() {
        push_list(page, "Limits hit", "limit", &hits, number);
    }
}

fn push_list<N: Copy>(
    page: &mut String,
    title: &str,
    what: &str,
    pairs: &[(&'static str, N)],
    show: impl Fn(N) -> String,
) {
    open_table(page, title, &[what, ""]);
    for &(name, value) in pairs {
        push_row(page, name, &[show(value)]);
    }
    close_table(page);
}

fn open_table(page: &mut String, title: &str, columns: &[&str]) {
    page.extend(["<section><h2>", title, "</h2>\n<div><table>\n<thead><tr>"]);
    for column in columns {
        page.push_str("<th scope=\"col\">");
        page.push_str(column);
        page.push_str("</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}

/// A row with this name, which may be any text, and these cells, which are our own.
fn push_row(page: &mut String, name: &str, cells: &[String]) {
    page.push_str("<tr><th scope=\"row\"><bdi>");
    push_text(page, name);
    page.push_str("</bdi></th>");
    for cell in cells {
        page.push_str(if cell == "0" { "<td class=\"none\">" } else { "<td>" });
        page.push_str(cell);
        page.push_str("</td>");
    }
    page.push_str("</tr>\n");
}

fn close_table(page: &mut String) {
    page.push_str("</tbody>\n</table></div></section>\n");
}

/// A route as one would say it.
fn full_name(host: &str, pattern: &str) -> String {
    if host.is_empty() || host == "*" { pattern.to_owned() } else { format!("{host} {pattern}") }
}

/// A number with its thousands apart.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn below(histogram: &Histogram, hundredths: u64) -> String {
    match histogram.quantile(hundredths) {
        Some(bound) => format!("{bound:?}"),
        None if histogram.count() == 0 => "–".to_owned(),
        None => "more than 1s".to_owned(),
    }
}

/// How long, in the two largest units.
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if days > 0 => format!("{days} d {} h", hours % 24),
        () if hours > 0 => format!("{hours} h {} min", minutes % 60),
        () if minutes > 0 => format!("{minutes} min {} s", seconds % 60),
        () => format!("{seconds} s"),
    }
}

/// On a narrow screen a table that is too wide is moved by itself, and its first column goes with
/// it.
const STYLE: &str = "\
main{max-width:64rem;margin:0 auto;padding:clamp(1.25rem,4vw,3rem) clamp(1rem,4vw,2rem) 4rem}\
h1{font-size:clamp(1.6rem,5vw,2.25rem);font-weight:650}\
h2{font-size:1rem;margin:1.75rem 0 .5rem}small{font-weight:400;color:var(--soft)}\
h1 small{font-size:.6em}header p,footer{margin:.4rem 0 0;color:var(--soft)}\
header b{color:var(--accent)}header .draining{color:light-dark(#a63a00,#ffb27d)}\
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;\
margin:1.25rem 0 0;font-variant-numeric:tabular-nums}\
dl div{background:var(--card);border:1px solid var(--line);border-radius:.75rem;\
padding:.7rem 1rem}\
dt{color:var(--soft);font-size:.9rem}dd{margin:0;font-size:1.35rem;font-weight:600}\
dd small{display:block;font-size:.9rem}\
section>div{overflow-x:auto;background:var(--card);border:1px solid var(--line);\
border-radius:.75rem}\
table{width:100%;border-spacing:0;font-variant-numeric:tabular-nums}\
th,td{padding:.45rem 1rem;text-align:right;white-space:nowrap;font-weight:400}\
thead th{color:var(--soft);font-size:.9rem;background:var(--ground)}\
th:first-child{text-align:left;width:100%;overflow-wrap:anywhere;white-space:normal;\
min-width:8rem}\
tbody th,td{border-top:1px solid var(--line)}tbody tr:hover{background:var(--tint)}\
.none{color:var(--soft)}footer{margin-top:2rem}\
@media(max-width:40rem){th,td{padding:.45rem .4rem}th:first-child{padding-left:.8rem;\
min-width:5.5rem}th:last-child,td:last-child{padding-right:.8rem}}\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ages_are_readable() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1\u{202f}000")] {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        for (seconds, text) in
            [(0, "0 s"), (61, "1 min 1 s"), (7_261, "2 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}
