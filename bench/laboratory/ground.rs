//! What all architectures serve, by the same router and within the same limits. Each thread or
//! process that answers has a [`Site`] of its own, for a site does not leave its thread.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use oneloop::server::Limits;
use oneloop::site::cache::CacheLimits;
use oneloop::site::files::Files;
use oneloop::site::handler::{Request, Response};
use oneloop::site::program::Program;
use oneloop::site::router::Router;
use oneloop::site::{Site, SiteOptions};
use rustix::time::{ClockId, clock_gettime};

/// Where an architecture is built: all that it is given.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    /// What is served as files.
    pub(crate) root: PathBuf,
    /// CGI programs.
    pub(crate) programs: PathBuf,
    /// The program itself, to be started once more.
    pub(crate) own: PathBuf,
    /// Threads, processes or loops; for those that have no such number it says nothing.
    pub(crate) size: usize,
}

/// For how long the handler at `/compute` computes, in processor time.
const COMPUTES: Duration = Duration::from_millis(1);

impl Ground {
    /// A site for whoever answers many requests: it keeps files in memory.
    pub(crate) fn site(&self) -> Site {
        self.site_with(CacheLimits::default())
    }

    /// A site for whoever serves one client. It keeps little, and is told of no changes: there are
    /// not as many watches as there may be clients (inotify(7)).
    pub(crate) fn small_site(&self) -> Site {
        self.site_with(CacheLimits {
            entries: 64,
            descriptors: 4,
            content_bytes: 1 << 20,
            file_bytes: CacheLimits::default().file_bytes,
            absences: 16,
            directories: 0,
        })
    }

    fn site_with(&self, cache: CacheLimits) -> Site {
        let files = Files::new(&self.root).expect("the root is there");
        let router = Router::new()
            .files("/*", files)
            .get("/compute", |_: &Request<'_>| Response::text(compute(COMPUTES)))
            .program("/cgi-bin/*", Program::cgi(&self.programs));
        let options = SiteOptions { cache, ..SiteOptions::default() };
        Site::new(vec![(Vec::new(), router)], options).expect("these routes can be used")
    }

    /// The limits of all of them, as a server has them that is not configured, but for more
    /// clients.
    pub(crate) fn limits() -> Limits {
        Limits { connections: 20_000, ..Limits::default() }
    }
}

/// What `/compute` answers.
pub(crate) const COMPUTED: &str = "computed\n";

/// Computes for so long, however often others have the processor meanwhile.
fn compute(time: Duration) -> &'static str {
    let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or(time);
    let begun = used();
    let mut number = 1_u64;
    while used() < begun + time {
        for _ in 0..64 {
            number = std::hint::black_box(number).wrapping_mul(6_364_136_223_846_793_005) + 1;
        }
    }
    COMPUTED
}

/// What an architecture is: it accepts on `listener`, and answers until it is killed.
pub(crate) type Serve = fn(listener: &TcpListener, ground: &Ground) -> std::io::Result<()>;
