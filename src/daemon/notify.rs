//! What the service manager is told: sd_notify(3), and the watchdog, sd_watchdog_enabled(3). It is
//! a datagram for each message; where nobody listens, nothing is said.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::passing::{Channel, Item};
use crate::server::timers::Millis;

/// The way to the service manager; a worker's is the one to its supervisor.
#[derive(Debug, Default)]
pub struct Notifier {
    manager: Option<Manager>,
    supervisor: Option<Channel>,
    watchdog: Option<Watchdog>,
}

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

/// Whoever is to be noticed when the loop is stuck says so again and again, from the loop.
#[derive(Debug)]
struct Watchdog {
    /// Half of what the service manager waits for.
    interval: Duration,
    due: Millis,
}

impl Notifier {
    /// What the environment says: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    #[must_use]
    pub fn from_environment() -> Notifier {
        let manager = match env::var_os("NOTIFY_SOCKET").map(|name| Manager::at(&name)) {
            Some(Ok(manager)) => Some(manager),
            Some(Err(error)) => {
                log::warn!("NOTIFY_SOCKET cannot be used, and systemd is told nothing: {error}");
                None
            }
            None => None,
        };
        let is_meant = env::var("WATCHDOG_PID")
            .map_or(true, |number| number == std::process::id().to_string());
        let interval = env::var("WATCHDOG_USEC").ok().and_then(|text| interval(&text));
        let watchdog = interval.filter(|_| is_meant && manager.is_some());
        let watchdog = watchdog.map(|interval| Watchdog { interval, due: Millis::default() });
        Notifier { manager, supervisor: None, watchdog }
    }

    /// That of a worker: where the supervisor has a watchdog, it is one for the worker.
    pub(super) fn of_worker(supervisor: Channel) -> Notifier {
        let interval = env::var("WATCHDOG_USEC").ok().and_then(|text| interval(&text));
        let watchdog = interval.map(|interval| Watchdog { interval, due: Millis::default() });
        Notifier { manager: None, supervisor: Some(supervisor), watchdog }
    }

    /// How long a loop may stand still, where there is a watchdog.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.watchdog.as_ref().map(|watchdog| 2 * watchdog.interval)
    }

    /// The server serves, under a configuration that is whole.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The server is about to change itself; [`ready`](Self::ready) tells that this is over.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Another process serves in place of this one. From now on this one has nothing to say.
    pub fn succeeded_by(&mut self, process: u32) {
        self.tell(&format!("READY=1\nMAINPID={process}"));
        *self = Notifier::default();
    }

    /// The server is about to end.
    pub fn stopping(&mut self) {
        self.tell("STOPPING=1");
    }

    /// When the watchdog is to hear of the loop, from `now` on.
    #[must_use]
    pub fn due(&self, now: Millis) -> Option<Duration> {
        self.watchdog.as_ref().map(|watchdog| watchdog.due.since(now))
    }

    /// The loop has come to this at `now`: tells the watchdog, if it is time.
    pub fn turned(&mut self, now: Millis) {
        if let Some(watchdog) = &mut self.watchdog
            && watchdog.due <= now
        {
            watchdog.due = now + watchdog.interval;
            self.is_alive();
        }
    }

    /// Tells the watchdog, if there is one, whatever the time.
    pub(super) fn is_alive(&self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
            if let Some(supervisor) = &self.supervisor {
                // One that has not heard the last ones yet knows enough.
                let _ = supervisor.send_now(&Item::Alive);
            }
        }
    }

    fn tell(&self, message: &str) {
        let Some(Manager { socket, address }) = &self.manager else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            let first = message.lines().next().unwrap_or_default();
            log::warn!("cannot tell systemd {first}: {error}");
        }
    }
}

impl Manager {
    /// At an absolute path, or at an abstract name, which begins with `@`.
    fn at(name: &OsStr) -> io::Result<Manager> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("it is no path, and no abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that is slow must not stop the loop.
        socket.set_nonblocking(true)?;
        Ok(Manager { socket, address })
    }
}

/// Half of so many microseconds.
fn interval(text: &str) -> Option<Duration> {
    let micros: u64 = text.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use crate::server::diagnostic_log::{DiagnosticLog, DiagnosticLogOptions, Environment};
    use crate::server::outlet::LogTarget;
    use std::io::Write as _;
    use std::net::TcpStream;
    use std::sync::mpsc;

    use super::super::{Ended, Inherited, Life, run};
    use super::*;
    use crate::server::{Address, Options, Server};
    use crate::site::handler::{Request, Response};
    use crate::site::router::Router;

    fn manager(name: &str) -> (UnixDatagram, Manager) {
        let name = format!("oneloop-{}-{name}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        (socket, Manager::at(OsStr::new(&format!("@{name}"))).unwrap())
    }

    fn heard(socket: &UnixDatagram) -> Option<String> {
        let mut buffer = [0; 256];
        let count = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }

    #[test]
    fn the_watchdog_hears_at_half_its_time_and_not_more_often() {
        let (socket, manager) = manager("watchdog");
        let interval = interval("3000000");
        let watchdog = interval.map(|interval| Watchdog { interval, due: Millis(0) });
        let mut notifier = Notifier { manager: Some(manager), supervisor: None, watchdog };
        assert_eq!(notifier.due(Millis(0)), Some(Duration::ZERO));
        for now in (0..6000).step_by(100) {
            notifier.turned(Millis(now));
            assert_eq!(heard(&socket).is_some(), now % 1500 == 0, "{now}");
        }
        assert_eq!(notifier.due(Millis(5900)), Some(Duration::from_millis(100)));
        notifier.succeeded_by(7);
        assert_eq!(heard(&socket).as_deref(), Some("READY=1\nMAINPID=7"));
        notifier.turned(Millis(9000));
        notifier.stopping();
        assert_eq!((heard(&socket), notifier.due(Millis(0))), (None, None));
    }

    /// The watchdog of [`run_watched`] hears so often.
    const INTERVAL: Duration = Duration::from_millis(20);

    /// Runs `server` to its end, for a manager who has a watchdog.
    fn run_watched(server: &mut Server, manager: Manager) -> Ended {
        let watchdog = Some(Watchdog { interval: INTERVAL, due: Millis::default() });
        let mut life = Life::new(Inherited::default(), None, Duration::ZERO).unwrap();
        life.notifier = Notifier { manager: Some(manager), supervisor: None, watchdog };
        let to = LogTarget::None;
        let options = DiagnosticLogOptions { to, ..DiagnosticLogOptions::default() };
        let log = DiagnosticLog::open(&options, &Environment::default()).unwrap();
        run(server, life, &log, |_| ()).unwrap()
    }

    /// A handler that does not return is what the watchdog is for.
    #[test]
    fn a_loop_that_a_handler_stops_is_not_heard_of() {
        let (socket, manager) = manager("stuck");
        socket.set_nonblocking(false).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let server = std::thread::spawn(move || {
            let stuck = move |_: &Request<'_>| {
                released.recv().unwrap();
                Response::text("at last")
            };
            let site = Router::new().get("/", stuck).build().unwrap();
            let listen = vec!["127.0.0.1:0".parse().unwrap()];
            let mut server = Server::new(&Options { listen, ..Options::default() }, site).unwrap();
            tell.send((server.local_addresses().remove(0), server.stopper())).unwrap();
            run_watched(&mut server, manager)
        });
        let hears = |time: Duration| {
            socket.set_read_timeout(Some(time)).unwrap();
            heard(&socket)
        };
        let long = Duration::from_secs(20);
        assert_eq!(hears(long).as_deref(), Some("READY=1"));
        assert_eq!(hears(long).as_deref(), Some("WATCHDOG=1"));
        let (Address::Tcp(address), stopper) = told.recv().unwrap() else { panic!("not TCP") };
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        // It comes to the handler within one interval, and says nothing after that.
        while hears(10 * INTERVAL).is_some() {}
        assert_eq!(hears(10 * INTERVAL), None);
        release.send(()).unwrap();
        assert_eq!(hears(long).as_deref(), Some("WATCHDOG=1"));
        stopper.stop();
        assert_eq!(server.join().unwrap(), Ended::Drained);
    }

    /// It has stopped for somebody who looks at it, and can go on at any time.
    #[test]
    fn a_loop_that_is_held_is_heard_of() {
        let (socket, manager) = manager("held");
        socket.set_nonblocking(false).unwrap();
        let (tell, told) = mpsc::channel();
        let server = std::thread::spawn(move || {
            let here = || "127.0.0.1:0".parse().unwrap();
            let options =
                Options { listen: vec![here()], admin: Some(here()), ..Options::default() };
            let mut server = Server::new(&options, Router::new().build().unwrap()).unwrap();
            server.hold().unwrap();
            tell.send(server.stopper()).unwrap();
            run_watched(&mut server, manager)
        });
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(heard(&socket).as_deref(), Some("READY=1"));
        for _ in 0..5 {
            assert_eq!(heard(&socket).as_deref(), Some("WATCHDOG=1"));
        }
        told.recv().unwrap().stop();
        assert_eq!(server.join().unwrap(), Ended::Drained);
    }

    #[test]
    fn a_manager_that_does_not_listen_does_not_stop_anybody() {
        let (socket, manager) = manager("full");
        let notifier = Notifier { manager: Some(manager), supervisor: None, watchdog: None };
        for _ in 0..1000 {
            notifier.ready();
        }
        assert_eq!(heard(&socket).as_deref(), Some("READY=1"));
        drop(socket);
        notifier.ready();
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", "relative", "vsock:2:1234"] {
            assert!(Manager::at(OsStr::new(bad)).is_err(), "{bad}");
        }
        assert_eq!((interval("0"), interval("x"), interval("-1")), (None, None, None));
        assert_eq!(interval("1000"), Some(Duration::from_micros(500)));
    }
}
