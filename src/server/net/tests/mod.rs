//! Gateways over real sockets and processes.

mod connections;
mod disk;
mod processes;

use std::time::Instant;

use super::*;

/// Long enough for any machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A network, and the names of its peers.
struct World {
    system: System,
    ready: Vec<Ready>,
    /// The next peer's.
    generation: u32,
}

/// All that a process has said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    output: String,
    complaints: String,
    ending: Ending,
}

impl World {
    fn new() -> World {
        World { system: System::new().unwrap(), ready: Vec::new(), generation: 7 }
    }

    /// A name for the one slot that these tests use, so that tenants follow each other.
    fn peer(&mut self) -> PeerId {
        self.generation += 1;
        PeerId { key: 3, generation: self.generation }
    }

    /// Waits until `condition` yields something of an event about `peer`, or is fulfilled anyway.
    fn until<T>(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&mut System, &[Ready]) -> Option<T>,
    ) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = condition(&mut self.system, &self.ready) {
                self.ready.clear();
                return value;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "it never came to this: {what}");
            self.ready.clear();
            self.system.wait(&mut self.ready, Some(left)).unwrap();
        }
    }

    /// Waits until `peer` is ready to be written, or broken: then why.
    fn established(&mut self, peer: PeerId) -> io::Result<()> {
        self.until("established", |system, ready| {
            let event = ready.iter().find(|event| event.peer == peer)?;
            assert!(event.writable || event.broken, "{event:?}");
            let mut error = || system.error(peer).expect("there is a reason");
            Some(if event.broken { Err(error()) } else { Ok(()) })
        })
    }

    fn connect(&mut self, endpoint: &Endpoint) -> io::Result<PeerId> {
        let peer = self.peer();
        self.system.connect(endpoint, peer)?;
        self.established(peer).map(|()| peer)
    }

    fn spawn(&mut self, job: Job) -> io::Result<PeerId> {
        let peer = self.peer();
        self.system.spawn(job, peer)?;
        self.established(peer).map(|()| peer)
    }

    /// Hears `peer` out.
    fn hear(&mut self, peer: PeerId) -> Said {
        let (mut output, mut complaints) = (Vec::new(), Vec::new());
        let ending = self.until("an end", |system, _| {
            let output_ended = drain(&mut output, |buffer| system.read(peer, buffer));
            let ended = drain(&mut complaints, |buffer| system.read_complaints(peer, buffer));
            if output_ended && ended { system.ended(peer) } else { None }
        });
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { output: text(output), complaints: text(complaints), ending }
    }

    /// Starts `job` and hears it out.
    fn run(&mut self, job: Job) -> Said {
        let peer = self.spawn(job).unwrap();
        let said = self.hear(peer);
        self.system.close(peer);
        said
    }
}

/// Reads until `WouldBlock` or the end; whether it is the end.
fn drain(into: &mut Vec<u8>, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> bool {
    let mut buffer = [0; 7];
    loop {
        match read(&mut buffer) {
            Ok(0) => return true,
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => panic!("{error}"),
        }
    }
}
