//! What the server counts: plain numbers, added to where things happen. How they are shown is not
//! known here, nor what an exchange is.
//!
//! *Invariant:* how many numbers there are, the configuration says, and never a client.

use std::collections::HashMap;
use std::time::Duration;

use crate::http::status::Status;
use crate::site::Site;
use crate::site::rule::RouteNumber;

/// Everything that is counted, since the server was started.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    /// All that there ever were, by number. The first is of answers that no route has given: to
    /// what is no request, for instance.
    pub(super) routes: Vec<RouteCounts>,
    /// Sites that have been taken up: another number behind each reload.
    pub(super) sites: u64,
    /// Clients taken in.
    pub(super) accepted: u64,
    /// Bytes received from clients, and sent to them.
    pub(super) received: u64,
    pub(super) sent: u64,
    /// Requests whose head was understood.
    pub(super) requests: u64,
    /// Those of them whose client went before its answer began.
    pub(super) unanswered: u64,
    /// Answers that have begun and did not come to their end.
    pub(super) cut: u64,
    /// Lines that access logs have lost which are none any more.
    pub(super) lines_lost: u64,
    /// Panics that were caught while a client was served.
    pub(super) panics: u64,
    hits: [u64; Limit::ALL.len()],
    /// How long turns took.
    pub(super) turns: Histogram,
    /// How long whoever was ready may have waited for the loop to look.
    pub(super) lag: Histogram,
}

/// The answers of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RouteCounts {
    pub(super) host: String,
    pub(super) pattern: String,
    /// By the first digit of their statuses, from 1 on.
    pub(super) answers: [u64; 5],
}

/// A limit that something has come up against. Where options share a clock, it is one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Connections,
    PerIpConnections,
    PerIpRate,
    Memory,
    Descriptors,
    Head,
    HeadTimeout,
    Content,
    ContentTimeout,
    Send,
    Answer,
    Idle,
    Requests,
    Spool,
    HalfClosed,
    Tunnel,
    Queue,
    Program,
    LoopLag,
    Overload,
}

impl Limit {
    /// All of them, in the order in which they are declared.
    pub(super) const ALL: [Limit; 20] = [
        Limit::Connections,
        Limit::PerIpConnections,
        Limit::PerIpRate,
        Limit::Memory,
        Limit::Descriptors,
        Limit::Head,
        Limit::HeadTimeout,
        Limit::Content,
        Limit::ContentTimeout,
        Limit::Send,
        Limit::Answer,
        Limit::Idle,
        Limit::Requests,
        Limit::Spool,
        Limit::HalfClosed,
        Limit::Tunnel,
        Limit::Queue,
        Limit::Program,
        Limit::LoopLag,
        Limit::Overload,
    ];

    /// Its name in the configuration; `descriptors` is the system's.
    pub(super) fn name(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::PerIpConnections => "per-ip.connections",
            Limit::PerIpRate => "per-ip.requests-per-second",
            Limit::Memory => "max-memory",
            Limit::Descriptors => "descriptors",
            Limit::Head => "head",
            Limit::HeadTimeout => "head.timeout",
            Limit::Content => "content.bytes",
            Limit::ContentTimeout => "content.timeout",
            Limit::Send => "send",
            Limit::Answer => "answer",
            Limit::Idle => "persistent.idle",
            Limit::Requests => "persistent.requests",
            Limit::Spool => "spool.total",
            Limit::HalfClosed => "half-closed",
            Limit::Tunnel => "tunnel",
            Limit::Queue => "program.queue",
            Limit::Program => "program.timeout",
            Limit::LoopLag => "loop-lag",
            Limit::Overload => "overload",
        }
    }
}

impl Metrics {
    /// Nothing has happened yet.
    pub(super) fn new() -> Metrics {
        let nobody =
            RouteCounts { host: String::new(), pattern: "none".to_owned(), answers: [0; 5] };
        Metrics {
            routes: vec![nobody],
            sites: 0,
            accepted: 0,
            received: 0,
            sent: 0,
            requests: 0,
            unanswered: 0,
            cut: 0,
            lines_lost: 0,
            panics: 0,
            hits: [0; Limit::ALL.len()],
            turns: Histogram::default(),
            lag: Histogram::default(),
        }
    }

    /// Gives the routes of `site` their numbers. Those that were there before keep theirs.
    pub(super) fn enlist(&mut self, site: &mut Site) {
        self.sites += 1;
        let known = self.routes.iter().enumerate().skip(1);
        let mut numbers: HashMap<(String, String), usize> =
            known.map(|(at, route)| ((route.host.clone(), route.pattern.clone()), at)).collect();
        site.number_routes(|host, pattern| {
            let name = (host.to_owned(), pattern.to_owned());
            let at = *numbers.entry(name).or_insert_with_key(|(host, pattern)| {
                let (host, pattern) = (host.clone(), pattern.clone());
                self.routes.push(RouteCounts { host, pattern, answers: [0; 5] });
                self.routes.len() - 1
            });
            RouteNumber(u32::try_from(at).expect("fewer routes than that"))
        });
    }

    /// An answer of this route begins.
    pub(super) fn count_answer(&mut self, route: RouteNumber, status: Status) {
        let class = usize::from(status.code() / 100) - 1;
        if let Some(route) = self.routes.get_mut(route.0 as usize)
            && let Some(count) = route.answers.get_mut(class)
        {
            *count += 1;
        }
        if status >= Status::CONTENT_TOO_LARGE {
            self.count_refusal(status);
        }
    }

    /// What an error says of a limit.
    #[cold]
    fn count_refusal(&mut self, status: Status) {
        if status == Status::CONTENT_TOO_LARGE {
            self.hit(Limit::Content);
        } else if [Status::URI_TOO_LONG, Status::REQUEST_HEADER_FIELDS_TOO_LARGE].contains(&status)
        {
            self.hit(Limit::Head);
        }
    }

    /// Something has come up against `limit`.
    pub(super) fn hit(&mut self, limit: Limit) {
        self.hits[limit as usize] += 1;
    }

    /// How often that has happened, for each limit by its name.
    pub(super) fn hits(&self) -> [(&'static str, u64); Limit::ALL.len()] {
        Limit::ALL.map(|limit| (limit.name(), self.hits[limit as usize]))
    }
}

/// How many were how long: so many as took no longer than each bound, and no less than the one
/// before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    counts: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

/// The bounds, in microseconds.
const BOUNDS_US: [u64; 16] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
    500_000, 1_000_000,
];

impl Histogram {
    /// Adds one that took no time.
    pub(super) fn add_nothing(&mut self) {
        self.counts[0] += 1;
    }

    /// Adds one.
    pub(super) fn add(&mut self, took_us: u64) {
        let at = BOUNDS_US.iter().position(|&bound| took_us <= bound);
        self.counts[at.unwrap_or(BOUNDS_US.len())] += 1;
        self.sum_us += took_us;
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all of them took together.
    pub(super) fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// For each bound: how many took no longer. Whatever took longer than the last is only in
    /// [`count`](Self::count).
    pub(super) fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.up_to_us().map(|(bound, count)| (Duration::from_micros(bound), count))
    }

    /// The same with bounds in microseconds.
    pub(super) fn up_to_us(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        BOUNDS_US.iter().zip(&self.counts).map(move |(&bound, &count)| {
            sum += count;
            (bound, sum)
        })
    }

    /// A bound that so many hundredths did not exceed; `None` where that is above the last, or
    /// there is nothing.
    pub(super) fn quantile(&self, hundredths: u64) -> Option<Duration> {
        let wanted = (self.count() * hundredths).div_ceil(100).max(1);
        self.up_to().find(|&(_, count)| count >= wanted).map(|(bound, _)| bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Limits;
    use crate::http::head::{Head, HeadSpace};
    use crate::site::router::Router;
    use crate::site::{Inquiry, Now};

    fn site(patterns: &[&str]) -> Site {
        let respond = |router: Router, pattern: &&str| router.respond(pattern, Status::OK, *b"x");
        patterns.iter().fold(Router::new(), respond).build().unwrap()
    }

    #[test]
    fn limits_stand_where_they_are_looked_for() {
        for (at, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, at, "{limit:?}");
        }
    }

    #[test]
    fn a_route_keeps_its_number_when_the_site_changes() {
        let mut metrics = Metrics::new();
        let mut count = |patterns: [&str; 2], asked: [&str; 3]| {
            let mut site = site(&patterns);
            metrics.enlist(&mut site);
            for path in asked {
                let (text, mut space) = (format!("GET {path} HTTP/1.0\r\n\r\n"), HeadSpace::new());
                let head = Head::parse(text.as_bytes(), &mut space, &Limits::default()).unwrap();
                let now = Now { monotonic_ms: 0, unix: 0, moment: 0 };
                let inquiry =
                    Inquiry { head: &head, client: None, content: None, again: false, now };
                let mut number = RouteNumber::default();
                let _ = site.answer(&inquiry, &mut number);
                metrics.count_answer(number, Status::OK);
            }
            let counted = metrics.routes.iter().map(|route| (&*route.pattern, route.answers[1]));
            counted.map(|(pattern, count)| format!("{pattern} {count}")).collect::<Vec<_>>()
        };
        let first = count(["/a", "/b"], ["/a", "/b", "/b"]);
        let b = first.iter().position(|route| route == "/b 2").unwrap();
        assert!(first.contains(&"/a 1".to_owned()) && first[0] == "none 0", "{first:?}");
        let second = count(["/c", "/b"], ["/c", "/b", "/nothing"]);
        assert_eq!((&*second[b], &*second[3], &*second[0]), ("/b 3", "/c 1", "none 1"));
    }

    #[test]
    fn a_bound_belongs_to_what_is_below_it() {
        let mut histogram = Histogram::default();
        for took in [0, 10, 11, 1_000_000, 1_000_001] {
            histogram.add(took);
        }
        let counts: Vec<u64> = histogram.up_to().map(|(_, count)| count).collect();
        assert_eq!((counts[0], counts[1], counts[14], counts[15]), (2, 3, 3, 4));
        assert_eq!(histogram.count(), 5);
        assert_eq!(histogram.sum(), Duration::from_micros(2_000_022));
        assert_eq!(histogram.quantile(50), Some(Duration::from_micros(25)));
        assert_eq!(histogram.quantile(99), None, "it is above all bounds");
        assert_eq!(Histogram::default().quantile(50), None);
    }
}
