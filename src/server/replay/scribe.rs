//! Who writes a recording: calls come in one after the other, and go to the file a block at a time.
//! What the loop does not fill within [`PACE`] is written by a thread, so that it is there even
//! where the loop hangs, or the process is killed. What the calls mean is not known here.
//!
//! Where writing fails, or the file is as long as it may be, the recording ends, and the server
//! goes on.

use std::cell::RefCell;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Clocks;
use super::asked::{Asked, Call};
use super::blocks::Writer;
use super::words::Word;

/// What came in is in the file after this time.
const PACE: Duration = Duration::from_millis(100);

/// The loop's way to write, and the thread that helps.
#[derive(Debug)]
pub(super) struct Scribe<W: Write> {
    shared: Arc<Shared<W>>,
    /// Some who look at a clock leave the network as it is.
    clocks: RefCell<Clocks>,
    thread: Option<JoinHandle<()>>,
}

/// What the loop and the thread have in common. Whoever wants both locks takes that of the notes
/// first: so blocks are written in the order in which they were made.
#[derive(Debug)]
struct Shared<W: Write> {
    notes: Mutex<Notes>,
    file: Mutex<Sink<W>>,
    /// There is something to be written, or nothing will be any more.
    changed: Condvar,
}

/// What was noted and is not written.
#[derive(Debug)]
struct Notes {
    writer: Writer,
    /// Bytes that the recording may have.
    most: u64,
    /// Room that the next block can begin in.
    spare: Vec<u8>,
    /// The recording has ended.
    is_over: bool,
}

/// The file. However writing goes wrong, nothing is written after it.
#[derive(Debug)]
struct Sink<W> {
    file: W,
    is_broken: bool,
}

impl<W: Write> Scribe<W> {
    /// Begins a recording of up to `most` bytes, the first block of which is `head`.
    ///
    /// # Errors
    /// Those of write(2), and where there is no room for more than the head.
    pub(super) fn new(mut file: W, most: u64, head: &[u8]) -> io::Result<Scribe<W>> {
        let (writer, first) = Writer::begin(head)?;
        let least = writer.size_with_end();
        if least > most {
            let what = format!(
                "{most} bytes (--most) are too few: with the configuration, a recording has \
                 {least} at least"
            );
            return Err(io::Error::other(what));
        }
        file.write_all(&first)?;
        let notes = Notes { writer, most, spare: Vec::new(), is_over: false };
        let file = Mutex::new(Sink { file, is_broken: false });
        let shared = Shared { notes: Mutex::new(notes), file, changed: Condvar::new() };
        let clocks = RefCell::new(Clocks::default());
        Ok(Scribe { shared: Arc::new(shared), clocks, thread: None })
    }

    /// Writes down one call, and by `put` what came of it.
    pub(super) fn note(&self, asked: Asked, put: impl FnOnce(&mut Vec<u8>)) {
        let mut notes = self.shared.notes();
        if notes.is_over {
            return;
        }
        let was_empty = notes.writer.is_empty();
        if notes.add(asked, put) {
            notes = self.shared.write(notes);
        }
        if was_empty || notes.is_over {
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
        let difference = self.clocks.borrow_mut().difference(time, clock);
        self.note(Asked::of(call), |out| difference.put(out));
    }

    /// The recording is over: writes what is left, and has the thread end.
    pub(super) fn end(&mut self) {
        let mut notes = self.shared.notes();
        notes.is_over = true;
        drop(self.shared.write(notes));
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been told of.
            let _ = thread.join();
        }
    }

    /// Looks at what was written, or takes it away.
    #[cfg(test)]
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut W) -> T) -> T {
        look(&mut self.shared.file().file)
    }
}

impl<W: Write + Send + 'static> Scribe<W> {
    /// Begins the thread. What it may do is settled then: so this is for a process that has taken
    /// its final shape.
    ///
    /// # Errors
    /// Where there cannot be another thread.
    pub(super) fn begin_thread(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("oneloop-tape".to_owned());
        let thread = thread.spawn(move || shared.keep_up()).map_err(|error| {
            io::Error::new(error.kind(), format!("there can be no thread that writes it: {error}"))
        })?;
        self.thread = Some(thread);
        Ok(())
    }
}

impl<W: Write> Drop for Scribe<W> {
    /// What led to the end is what one wants to see, if that is a bug of the loop.
    fn drop(&mut self) {
        self.end();
    }
}

impl<W: Write> Shared<W> {
    // What there is, is written, whoever has panicked.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> MutexGuard<'_, Sink<W>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was noted. Meanwhile there can be more notes: a slow disk stops the loop only
    /// when that has filled the next block.
    fn write<'a>(&'a self, mut notes: MutexGuard<'a, Notes>) -> MutexGuard<'a, Notes> {
        let Some(block) = notes.seal() else { return notes };
        let mut file = self.file();
        drop(notes);
        let written = file.write(&block);
        drop(file);
        let mut notes = self.notes();
        notes.spare = block;
        if let Err(error) = written {
            notes.fail(&error);
        }
        notes
    }

    /// The work of the thread: to write what has been there for a while.
    fn keep_up(&self) {
        let mut notes = self.notes();
        while !notes.is_over {
            if notes.writer.is_empty() {
                notes = self.changed.wait(notes).unwrap_or_else(PoisonError::into_inner);
            } else {
                let is_going_on = |notes: &mut Notes| !notes.is_over;
                let waited = self.changed.wait_timeout_while(notes, PACE, is_going_on);
                notes = self.write(waited.unwrap_or_else(PoisonError::into_inner).0);
            }
        }
    }
}

impl Notes {
    /// Adds a call. Returns whether it is time to write.
    fn add(&mut self, asked: Asked, put: impl FnOnce(&mut Vec<u8>)) -> bool {
        let block = self.writer.block();
        let before = block.len();
        asked.put(block);
        put(block);
        // There is always room for what says that there is none.
        if self.writer.size_with_end() <= self.most {
            return self.writer.is_full();
        }
        self.writer.block().truncate(before);
        Asked::of(Call::Full).put(self.writer.block());
        self.is_over = true;
        log::warn!(
            "the recording ends here, for it has the {} bytes that it may have (--most); the \
             server goes on",
            self.most
        );
        true
    }

    /// The next block to be written, if there is one.
    fn seal(&mut self) -> Option<Vec<u8>> {
        if self.writer.is_empty() {
            return None;
        }
        let sealed = self.writer.seal(mem::take(&mut self.spare));
        sealed.inspect_err(|error| self.fail(error)).ok()
    }

    fn fail(&mut self, error: &io::Error) {
        self.is_over = true;
        log::error!("the recording ends here, and the server goes on: {error}");
    }
}

impl<W: Write> Sink<W> {
    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        if self.is_broken {
            return Ok(());
        }
        self.file.write_all(block).inspect_err(|_| self.is_broken = true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
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
        let mut scribe = Scribe::new(file.reopen().unwrap(), 1 << 20, b"head").unwrap();
        scribe.begin_thread().unwrap();
        let mut expected = 0;
        for round in 1..4 {
            for _ in 0..10 * round {
                scribe.note(Asked::of(Call::Chance), |out| out.push(7));
                expected += 2;
            }
            let since = Instant::now();
            while written(file.path()) < expected {
                assert!(since.elapsed() < Duration::from_secs(20), "{round}: it is not written");
                thread::yield_now();
            }
        }
        assert!(scribe.thread.as_ref().is_some_and(|thread| !thread.is_finished()));
        scribe.end();
        assert_eq!(Arc::strong_count(&scribe.shared), 1, "the thread has ended");
        scribe.note(Asked::of(Call::Chance), |out| out.push(7));
        drop(scribe);
        assert_eq!(written(file.path()), expected);
    }

    #[test]
    fn it_is_never_longer_than_it_may_be() {
        let error = Scribe::new(Vec::new(), 56, b"head").unwrap_err().to_string();
        assert!(error.ends_with(" a recording has 57 at least"), "{error}");
        for most in 57..120 {
            let scribe = Scribe::new(Vec::new(), most, b"head").unwrap();
            for round in 0..20 {
                scribe.note(Asked::of(Call::Chance), |out| out.push(7));
                if round % 3 == 0 {
                    drop(scribe.shared.write(scribe.shared.notes()));
                }
            }
            let bytes = scribe.look(std::mem::take);
            assert!(bytes.len() as u64 <= most, "{} of {most}", bytes.len());
            let mut reader = Reader::begin(&*bytes).unwrap();
            let mut last = 0;
            while reader.advance().unwrap() {
                last = *reader.block.last().unwrap();
            }
            assert_eq!(last, Call::Full as u8, "it says why it ends");
        }
    }

    /// A file of which each write says that it has `begun`, and comes to what it is told then; to
    /// success, once nobody tells it any more.
    struct Gate {
        begun: mpsc::Sender<()>,
        go: mpsc::Receiver<io::Result<()>>,
        writes: usize,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            self.begun.send(()).unwrap();
            self.go.recv().unwrap_or(Ok(())).map(|()| bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A recording whose head is written, and whose thread is in the midst of writing what came
    /// next.
    fn writing() -> (Scribe<Gate>, mpsc::Sender<io::Result<()>>, mpsc::Receiver<()>) {
        let ((begun, begins), (go, goes)) = (mpsc::channel(), mpsc::channel());
        go.send(Ok(())).unwrap();
        let file = Gate { begun, go: goes, writes: 0 };
        let mut scribe = Scribe::new(file, 1 << 30, b"head").unwrap();
        begins.recv().unwrap();
        scribe.begin_thread().unwrap();
        scribe.note(Asked::of(Call::Chance), |out| out.push(7));
        begins.recv_timeout(Duration::from_secs(20)).expect("it is written");
        (scribe, go, begins)
    }

    #[test]
    fn while_the_thread_writes_the_loop_goes_on() {
        let (mut scribe, go, _begins) = writing();
        // The write hangs, and whoever has something to note does not.
        let (done, is_done) = mpsc::channel();
        let noting = thread::spawn(move || {
            for _ in 0..100 {
                scribe.note(Asked::of(Call::Chance), |out| out.push(7));
            }
            done.send(()).unwrap();
            scribe.end();
            scribe.look(|file| file.writes)
        });
        is_done.recv_timeout(Duration::from_secs(20)).expect("nobody waits for the disk");
        drop(go);
        assert!((2..=4).contains(&noting.join().unwrap()));
    }

    #[test]
    fn behind_a_failure_nothing_is_written() {
        let (scribe, go, _begins) = writing();
        // Meanwhile the loop has filled a block, and waits to write that.
        let shared = Arc::clone(&scribe.shared);
        let (say, said) = mpsc::channel();
        let noting = thread::spawn(move || {
            let note = || scribe.note(Asked::of(Call::Chance), |out| out.push(7));
            while scribe.shared.notes().writer.block().len() < (64 << 10) - 2 {
                note();
            }
            say.send(()).unwrap();
            note();
            scribe
        });
        said.recv_timeout(Duration::from_secs(20)).expect("nobody waits for the disk");
        let since = Instant::now();
        while shared.notes.try_lock().is_ok() {
            assert!(since.elapsed() < Duration::from_secs(20), "the block is not full");
            thread::yield_now();
        }
        go.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        drop(go);
        let mut scribe = noting.join().unwrap();
        scribe.end();
        assert_eq!(scribe.look(|file| file.writes), 2);
    }
}
