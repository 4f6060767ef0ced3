//! Who writes a recording: calls come in one after the other, and go to the file a block at a time.
//! What the loop does not fill within [`PACE`] is written by a thread, so that it is there even
//! where the loop hangs, or the process is killed. What the calls mean is not known here.
//!
//! Where writing fails, or the file is as long as it may be, the recording ends, and the server
//! goes on.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Clocks;
use super::asked::{Asked, Call};
use super::blocks::Writer;
use super::words::Word;

/// What came in is in the file after this time.
const PACE: Duration = Duration::from_millis(100);

/// Who writes, for the loop; and the thread that helps.
#[derive(Debug)]
pub(super) struct Desk<W: Write> {
    shared: Arc<Shared<W>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<W: Write> {
    scribe: Mutex<Scribe<W>>,
    /// There is something to be written, or nothing will be any more.
    changed: Condvar,
}

/// Who writes.
#[derive(Debug)]
struct Scribe<W: Write> {
    writer: Writer<W>,
    /// Bytes that the recording may have.
    most: u64,
    clocks: Clocks,
    /// It has ended.
    is_over: bool,
}

impl<W: Write> Desk<W> {
    /// Begins a recording of up to `most` bytes, the first block of which is `head`.
    ///
    /// # Errors
    /// Those of write(2), and where there is no room for more than the head.
    pub(super) fn new(sink: W, most: u64, head: &[u8]) -> io::Result<Desk<W>> {
        let writer = Writer::begin(sink, head)?;
        let least = writer.size_with_end();
        if least > most {
            let what = format!(
                "{most} bytes (--most) are too few: with the configuration, a recording has \
                 {least} at least"
            );
            return Err(io::Error::other(what));
        }
        let scribe = Scribe { writer, most, clocks: Clocks::default(), is_over: false };
        let shared = Arc::new(Shared { scribe: Mutex::new(scribe), changed: Condvar::new() });
        Ok(Desk { shared, thread: None })
    }

    /// Writes down one call, and by `put` what came of it.
    pub(super) fn note(&self, asked: Asked, put: impl FnOnce(&mut Vec<u8>)) {
        let mut scribe = self.shared.lock();
        let was_empty = scribe.writer.is_empty();
        scribe.note(asked, put);
        let is_begun = was_empty && !scribe.writer.is_empty();
        drop(scribe);
        if is_begun {
            self.shared.changed.notify_one();
        }
    }

    /// Writes down what a clock has said, as the difference to what it said before.
    pub(super) fn note_time(
        &self,
        call: Call,
        time: u64,
        clock: impl FnOnce(&mut Clocks) -> &mut u64,
    ) {
        let difference = self.shared.lock().clocks.difference(time, clock);
        self.note(Asked::of(call), |out| difference.put(out));
    }

    /// The recording is over: writes what is left, and has the thread end.
    pub(super) fn end(&mut self) {
        self.shared.lock().end();
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been told of.
            let _ = thread.join();
        }
    }

    /// Looks at what was written, or takes it away.
    #[cfg(test)]
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut W) -> T) -> T {
        look(self.shared.lock().writer.sink())
    }
}

impl<W: Write + Send + 'static> Desk<W> {
    /// Begins the thread. What it may do is settled then: so this is for a process that has taken
    /// its final shape.
    ///
    /// # Errors
    /// Where there cannot be another thread.
    pub(super) fn begin_thread(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("oneloop-tape".to_owned());
        self.thread = Some(thread.spawn(move || shared.keep_up())?);
        Ok(())
    }
}

impl<W: Write> Drop for Desk<W> {
    /// What led to the end is what one wants to see, if that is a bug of the loop.
    fn drop(&mut self) {
        self.end();
    }
}

impl<W: Write> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, Scribe<W>> {
        // What there is, is written, whoever has panicked.
        self.scribe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work of the thread: to write what has been there for a while.
    fn keep_up(&self) {
        let mut scribe = self.lock();
        while !scribe.is_over {
            if scribe.writer.is_empty() {
                scribe = self.changed.wait(scribe).unwrap_or_else(PoisonError::into_inner);
            } else {
                let is_going_on = |scribe: &mut Scribe<W>| !scribe.is_over;
                let waited = self.changed.wait_timeout_while(scribe, PACE, is_going_on);
                scribe = waited.unwrap_or_else(PoisonError::into_inner).0;
                scribe.seal();
            }
        }
    }
}

impl<W: Write> Scribe<W> {
    fn note(&mut self, asked: Asked, put: impl FnOnce(&mut Vec<u8>)) {
        if self.is_over {
            return;
        }
        let block = self.writer.block();
        let before = block.len();
        asked.put(block);
        put(block);
        // There is always room for what says that there is none.
        if self.writer.size_with_end() > self.most {
            self.writer.block().truncate(before);
            Asked::of(Call::Full).put(self.writer.block());
            self.end();
            log::warn!(
                "the recording ends here, for it has the {} bytes that it may have (--most); the \
                 server goes on",
                self.most
            );
        } else if self.writer.is_full() {
            self.seal();
        }
    }

    /// Writes what there is.
    fn seal(&mut self) {
        if !self.is_over
            && let Err(error) = self.writer.seal()
        {
            self.is_over = true;
            log::error!("the recording ends here, and the server goes on: {error}");
        }
    }

    fn end(&mut self) {
        self.seal();
        self.is_over = true;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::blocks::Reader;
    use super::*;

    /// How many bytes of calls the file at `path` has.
    fn written(path: &std::path::Path) -> usize {
        let file = std::fs::File::open(path).unwrap();
        let mut reader = Reader::begin(file).unwrap();
        assert!(reader.advance().unwrap(), "its head");
        let mut bytes = 0;
        while reader.advance().unwrap() {
            bytes += reader.block.len();
        }
        bytes
    }

    #[test]
    fn what_came_in_is_written_where_nothing_comes_any_more() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut desk = Desk::new(file.reopen().unwrap(), 1 << 20, b"head").unwrap();
        desk.begin_thread().unwrap();
        let mut expected = 0;
        for round in 1..4 {
            for _ in 0..10 * round {
                desk.note(Asked::of(Call::Chance), |out| out.push(7));
                expected += 2;
            }
            let since = Instant::now();
            while written(file.path()) < expected {
                assert!(since.elapsed() < Duration::from_secs(20), "{round}: it is not written");
                thread::yield_now();
            }
        }
        assert!(desk.thread.as_ref().is_some_and(|thread| !thread.is_finished()));
        desk.end();
        assert_eq!(Arc::strong_count(&desk.shared), 1, "the thread has ended");
        desk.note(Asked::of(Call::Chance), |out| out.push(7));
        drop(desk);
        assert_eq!(written(file.path()), expected);
    }

    #[test]
    fn it_is_never_longer_than_it_may_be() {
        let error = Desk::new(Vec::new(), 56, b"head").unwrap_err().to_string();
        assert!(error.ends_with(" a recording has 57 at least"), "{error}");
        for most in 57..120 {
            let desk = Desk::new(Vec::new(), most, b"head").unwrap();
            for round in 0..20 {
                desk.note(Asked::of(Call::Chance), |out| out.push(7));
                if round % 3 == 0 {
                    desk.shared.lock().seal();
                }
            }
            let bytes = desk.look(std::mem::take);
            assert!(bytes.len() as u64 <= most, "{} of {most}", bytes.len());
            let mut reader = Reader::begin(&*bytes).unwrap();
            let mut last = 0;
            while reader.advance().unwrap() {
                last = *reader.block.last().unwrap();
            }
            assert_eq!(last, Call::Full as u8, "it says why it ends");
        }
    }
}
