//! Where the lines of a log go: a bounded queue, and a thread that writes what is in it. Whoever
//! has a line to give never waits, be the disk full or slow, the pipe blocked, syslog away.
//!
//! What there is no room for, and what cannot be written, is lost and counted. The diagnostic log
//! says so once when it begins, and once when it is over. What the lines say is not known here.

mod sink;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use sink::is_journal;
use sink::{Failed, Sink};

/// Bytes of the queue that are kept when it is empty. Only what was ever in use is in memory.
const KEPT: usize = 256 << 10;

/// Lines are lost no longer when so much time has gone by without a loss: a reader that is a little
/// too slow is told of once a second, not for each line.
const CALM: Duration = Duration::from_secs(1);

/// A thread that has had nothing to write for so long ends. In a process with one thread alone each
/// call of the system costs a little less.
const IDLE: Duration = Duration::from_millis(200);

/// How long the end of an outlet waits until all is written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where syslog listens, unless something else is said.
pub const SYSLOG: &str = "/dev/log";

/// Where a log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere: no lines are made.
    #[default]
    None,
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
    /// Appended to this file, or written to this FIFO.
    File(PathBuf),
    /// To the syslog that listens at this socket, in datagrams: RFC 3164 as syslog(3) writes it. A
    /// line that begins with `<n>` has that severity, as in sd-daemon(3), any other is for
    /// information; the facility is `daemon`.
    Syslog(PathBuf),
}

/// One log's way out of the process. The thread is begun with the first line, which is after this
/// process has taken its final shape.
#[derive(Debug)]
pub struct Outlet {
    target: LogTarget,
    shared: Arc<Shared>,
    limit: usize,
}

#[derive(Debug)]
struct Shared {
    /// The log's name, in messages.
    name: &'static str,
    queue: Mutex<Queue>,
    /// While there is no thread. It is locked behind the queue, where both are.
    sink: Mutex<Option<Sink>>,
    /// There is something to do for the thread.
    filled: Condvar,
    /// All is written.
    emptied: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    /// How many lines the thread is just writing.
    in_hand: u64,
    is_over: bool,
    /// The thread is not to wait for more.
    is_resting: bool,
    losing: Option<Losing>,
}

/// What is to be written at once.
#[derive(Debug)]
struct Batch {
    lines: Vec<u8>,
    /// What it is to be written to from now on, if it is something else.
    next: Option<Sink>,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { lines: Vec::with_capacity(KEPT), next: None }
    }
}

/// Lines are being lost.
#[derive(Debug)]
struct Losing {
    lines: u64,
    last: Instant,
    /// The last write has failed: it goes on until one does not.
    fails: bool,
}

impl Outlet {
    /// Opens `target` for the log that is called `name` in messages; `limit`: bytes of lines that
    /// may wait. `None` where the lines go nowhere. A syslog need not be there yet.
    ///
    /// # Errors
    /// Where a file cannot be opened for appending.
    pub fn open(
        target: &LogTarget,
        name: &'static str,
        limit: usize,
    ) -> io::Result<Option<Outlet>> {
        let Some(sink) = Sink::open(target)? else { return Ok(None) };
        let shared = Shared {
            name,
            queue: Mutex::default(),
            sink: Mutex::new(Some(sink)),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            lost: AtomicU64::new(0),
        };
        let (target, shared) = (target.clone(), Arc::new(shared));
        Ok(Some(Outlet { target, shared, limit }))
    }

    /// Takes `lines`, each with its end. Never waits: what there is no room for is lost.
    pub fn give(&self, lines: &[u8]) {
        let mut queue = self.shared.lock();
        // One line, however long, always has room in an empty queue.
        let before = queue.batch.lines.len();
        if before == 0 || before.saturating_add(lines.len()) <= self.limit {
            queue.batch.lines.extend_from_slice(lines);
            drop(queue);
            if let Err(error) = self.begin() {
                let lines = std::mem::take(&mut self.shared.lock().batch.lines);
                return self.shared.lose(count(&lines), &error);
            }
            self.shared.filled.notify_one();
        } else {
            drop(queue);
            self.shared.lose(count(lines), &"they are not taken as fast as they come");
        }
    }

    /// Begins the thread, if there is none.
    fn begin(&self) -> io::Result<()> {
        let mut waiting = self.shared.lock_sink();
        let Some(sink) = waiting.take() else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("oneloop-log".to_owned());
        if let Err(error) = thread.spawn(move || shared.write(sink)) {
            *waiting = Sink::open(&self.target)?;
            return Err(error);
        }
        Ok(())
    }

    /// Lines that were lost in all this time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Opens the target anew, for the file may have been renamed; the lines that wait go there.
    /// What is no file is left as it is.
    ///
    /// # Errors
    /// Where it cannot be opened; then nothing changes.
    pub fn reopen(&self) -> io::Result<()> {
        if let LogTarget::File(_) = self.target {
            let sink = Sink::open(&self.target)?;
            self.shared.lock().batch.next = sink;
            self.begin()?;
            self.shared.filled.notify_one();
        }
        Ok(())
    }

    /// Has the thread end as soon as all is written. The next line begins another.
    pub fn rest(&self) {
        if self.shared.lock_sink().is_none() {
            self.shared.lock().is_resting = true;
            self.shared.filled.notify_one();
        }
    }

    /// Waits until all lines are written; for a second at most. Whether they are.
    pub fn flush(&self) -> bool {
        let queue = self.shared.lock();
        let is_busy = |queue: &mut Queue| !queue.batch.lines.is_empty() || queue.in_hand > 0;
        let waited = self.shared.emptied.wait_timeout_while(queue, PATIENCE, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.filled.notify_one();
        if !self.flush() {
            let queue = self.shared.lock();
            let lines = count(&queue.batch.lines) + queue.in_hand;
            drop(queue);
            self.shared.lose(lines, &"its end came before they were taken");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing is left half done in it, whoever has panicked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_sink(&self) -> MutexGuard<'_, Option<Sink>> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work of the thread.
    fn write(&self, sink: Sink) {
        let mut batch = Batch::default();
        let mut own = Some(sink);
        while self.take(&mut batch, &mut own)
            && let Some(sink) = &mut own
        {
            if let Some(next) = batch.next.take() {
                let old = std::mem::replace(sink, next);
                self.lose_if_any(old.close());
            }
            let failed = sink.write(&batch.lines);
            let has_failed = failed.is_some();
            self.lose_if_any(failed);
            batch.lines.clear();
            batch.lines.shrink_to(KEPT);
            let mut queue = self.lock();
            queue.in_hand = 0;
            if let Some(losing) = &mut queue.losing {
                losing.fails = has_failed;
            }
            drop(queue);
            self.emptied.notify_all();
        }
    }

    /// Waits for something to do and takes it, in exchange for an empty `batch`. Whether there is
    /// anything, for at the end there is not; nor after a while, and then `sink` is put back for
    /// another thread.
    fn take(&self, batch: &mut Batch, sink: &mut Option<Sink>) -> bool {
        let mut queue = self.lock();
        let since = Instant::now();
        loop {
            let calm = queue.losing.as_ref().filter(|losing| !losing.fails);
            let calm_in = calm.map(|losing| CALM.saturating_sub(losing.last.elapsed()));
            if calm_in == Some(Duration::ZERO) {
                let lost = queue.losing.take().map_or(0, |losing| losing.lines);
                drop(queue);
                log::warn!("the {} is written again; {lost} lines were lost", self.name);
                queue = self.lock();
            } else if !queue.batch.lines.is_empty() || queue.batch.next.is_some() {
                break;
            } else if queue.is_over {
                return false;
            } else if let Some(time) = calm_in {
                let waited = self.filled.wait_timeout(queue, time);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else if queue.is_resting || since.elapsed() >= IDLE {
                queue.is_resting = false;
                *self.lock_sink() = sink.take();
                return false;
            } else {
                let waited = self.filled.wait_timeout(queue, IDLE);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        std::mem::swap(&mut queue.batch, batch);
        queue.in_hand = count(&batch.lines);
        true
    }

    fn lose_if_any(&self, failed: Option<Failed>) {
        if let Some(Failed { lines, error }) = failed {
            self.lose(lines, &error);
        }
    }

    /// Counts lines that are lost, and says so if they are the first.
    fn lose(&self, lines: u64, why: &dyn Display) {
        if lines == 0 {
            return;
        }
        self.lost.fetch_add(lines, Ordering::Relaxed);
        let mut queue = self.lock();
        let is_first = queue.losing.is_none();
        let losing = queue.losing.get_or_insert_with(|| Losing {
            lines: 0,
            last: Instant::now(),
            fails: false,
        });
        losing.lines += lines;
        losing.last = Instant::now();
        drop(queue);
        if is_first {
            log::error!("cannot write the {}, its lines are lost: {why}", self.name);
        }
    }
}

/// How many lines end in `lines`.
fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}
