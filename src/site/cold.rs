//! Content of files that is not in memory: seeing so beforehand, and having it read where nobody is
//! kept waiting. Whose content it is, and how it is sent, is not known here.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// How many reads may be under way. One that a dead server of files never ends keeps three others
/// from nothing.
const AT_ONCE: usize = 4;

/// Bytes of one read of a thread.
const PIECE: usize = 64 << 10;

/// File systems whose files come from other machines or other processes (statfs(2)): NFS, FUSE,
/// CIFS, SMB2, Ceph, 9P. Where such a one cannot say whether content is in memory, it is taken for
/// not being there; on all others that cannot say, such as tmpfs, it is.
const REMOTE: [u32; 6] = [0x6969, 0x6573_5546, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400, 0x0102_1997];

/// Called by a thread when a read has ended, however it did.
pub(crate) type Done = Box<dyn FnOnce() + Send>;

/// Whether `length` bytes of `file` from `offset` are in memory, as far as their last one shows:
/// files are read from front to back, and the kernel reads ahead.
#[must_use]
pub(crate) fn is_at_hand(file: &File, offset: u64, length: u64) -> bool {
    let last = offset.saturating_add(length).saturating_sub(1);
    // An error is for whoever really reads.
    read_some(file, &mut [0], last).map_or_else(|error| error != Errno::AGAIN, |_| true)
}

/// Fills `bytes` from `offset`, if that does not mean to wait for a disk. Whether it is so.
///
/// # Errors
/// Those of preadv2(2); `UnexpectedEof` where the file ends before.
pub(crate) fn read_at_hand(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
    let mut filled = 0;
    while filled < bytes.len() {
        match read_some(file, &mut bytes[filled..], offset + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Reads what is at hand; `AGAIN` where nothing is.
fn read_some(file: &File, bytes: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut parts = [IoSliceMut::new(bytes)];
    match preadv2(file, &mut parts, offset, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP) if is_remote(file) => Err(Errno::AGAIN),
        Err(Errno::OPNOTSUPP) => preadv2(file, &mut parts, offset, ReadWriteFlags::empty()),
        result => result,
    }
}

fn is_remote(file: &File) -> bool {
    rustix::fs::fstatfs(file)
        .is_ok_and(|found| u32::try_from(found.f_type).is_ok_and(|kind| REMOTE.contains(&kind)))
}

/// Has a thread read `length` bytes of `file` from `offset`, so that they are in memory when `done`
/// is called. Whether there is a thread for it. Nobody who waits for one read asks for another, so
/// there are never more of them than clients.
pub(crate) fn read_ahead(file: Arc<File>, offset: u64, length: u64, done: Done) -> bool {
    READERS.take(Order { file, offset, length, done })
}

/// One set for the process, whatever sites come and go. The threads are started when they are
/// needed, which is after the process has taken its final shape, and live as long as the process.
static READERS: Readers = Readers::new();

struct Readers {
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    orders: VecDeque<Order>,
    threads: usize,
    idle: usize,
}

struct Order {
    file: Arc<File>,
    offset: u64,
    length: u64,
    done: Done,
}

impl Readers {
    const fn new() -> Readers {
        let state = State { orders: VecDeque::new(), threads: 0, idle: 0 };
        Readers { state: Mutex::new(state), news: Condvar::new() }
    }

    fn take(&'static self, order: Order) -> bool {
        let mut state = self.lock();
        state.orders.push_back(order);
        if state.orders.len() > state.idle && state.threads < AT_ONCE {
            let thread = thread::Builder::new().name("oneloop-read".to_owned());
            match thread.spawn(|| self.work_off()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    log::error!("no thread to read files can be started: {error}");
                    state.orders.pop_back();
                    return false;
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.news.notify_one();
        true
    }

    fn work_off(&self) {
        let mut room = vec![0; PIECE];
        let mut state = self.lock();
        loop {
            if let Some(order) = state.orders.pop_front() {
                drop(state);
                order.fill(&mut room);
                state = self.lock();
            } else {
                state.idle += 1;
                state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic is done under this lock, so a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// Reads and forgets: what counts is that the kernel has it then. What goes wrong, the one who
    /// sends it will see.
    fn fill(self, room: &mut [u8]) {
        let Order { file, offset, length, done } = self;
        let mut read = 0;
        while read < length {
            let most = usize::try_from(length - read).map_or(PIECE, |left| left.min(PIECE));
            match file.read_at(&mut room[..most], offset + read) {
                Ok(count) if count > 0 => read += count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
        done();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rustix::fs::{Advice, fadvise};
    use std::path::PathBuf;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// How often something is tried in which the kernel may be faster.
    pub(crate) const ATTEMPTS: usize = 20;

    /// A folder on a disk; the system's temporary one is often in memory.
    pub(crate) fn on_disk() -> PathBuf {
        std::env::current_exe().unwrap().parent().unwrap().to_owned()
    }

    /// Has the kernel forget the content of a file.
    pub(crate) fn chill(file: &File) {
        file.sync_all().unwrap();
        fadvise(file, 0, None, Advice::DontNeed).unwrap();
    }

    /// A file of this many bytes, on a disk and not in memory.
    pub(crate) fn cold_file(length: usize) -> File {
        let file = tempfile::tempfile_in(on_disk()).unwrap();
        file.write_all_at(&vec![b'x'; length], 0).unwrap();
        chill(&file);
        file
    }

    /// Whether the file system here says what is in memory, as those of disks do. To ask for what
    /// is not there may begin to fetch it, so each file is asked about once.
    pub(crate) fn tells() -> bool {
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        preadv2(cold_file(1), &mut parts, 0, ReadWriteFlags::NOWAIT) != Err(Errno::OPNOTSUPP)
    }

    #[test]
    fn what_is_not_in_memory_is_seen_and_read_by_a_thread() {
        let mut bytes = vec![0; 1 << 20];
        if tells() {
            assert!(!is_at_hand(&cold_file(1 << 20), 0, 1 << 20));
            assert!(!read_at_hand(&cold_file(1 << 20), &mut bytes, 0).unwrap());
        }
        let file = Arc::new(cold_file(1 << 20));
        let (sender, receiver) = channel();
        let done = Box::new(move || sender.send(()).expect("the test waits"));
        assert!(read_ahead(Arc::clone(&file), 0, 1 << 20, done));
        receiver.recv_timeout(Duration::from_secs(20)).expect("it is read");
        assert!(is_at_hand(&file, 0, 1 << 20));
        assert!(read_at_hand(&file, &mut bytes, 0).unwrap());
        assert!(bytes.iter().all(|&byte| byte == b'x'));
    }

    #[test]
    fn where_a_file_ends_is_an_error_and_a_range_without_end_is_read_to_it() {
        let file = Arc::new(cold_file(1000));
        let (sender, receiver) = channel();
        let done = Box::new(move || sender.send(()).expect("the test waits"));
        assert!(read_ahead(Arc::clone(&file), 10, u64::MAX - 10, done));
        receiver.recv_timeout(Duration::from_secs(20)).expect("it ends");
        let error = read_at_hand(&file, &mut [0; 2], 999).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn one_read_that_never_ends_keeps_no_other_waiting() {
        let (held, release) = channel::<()>();
        let (sender, receiver) = channel();
        let file = Arc::new(cold_file(1));
        let stuck = Box::new(move || assert!(release.recv().is_err()));
        assert!(read_ahead(Arc::clone(&file), 0, 1, stuck));
        let done = Box::new(move || sender.send(()).expect("the test waits"));
        assert!(read_ahead(file, 0, 1, done));
        receiver.recv_timeout(Duration::from_secs(20)).expect("another thread reads it");
        drop(held);
    }
}
