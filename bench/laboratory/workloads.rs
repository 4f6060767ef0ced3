//! What is asked of everybody: the files, and the loads.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;

use super::answer::Ask;
use super::ground::COMPUTED;
use super::load::Target;

/// One workload.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) what: What,
    /// Clients that ask and are measured, where `--clients` does not say how many.
    pub(crate) active: usize,
    pub(crate) beside: Beside,
    pub(crate) depth: usize,
    pub(crate) closes: bool,
    /// Requests come at a fixed rate.
    pub(crate) is_paced: bool,
    /// What does not count yet, at the least: files have to come into memory, buffers have to fill.
    pub(crate) warming: Duration,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A file of so many bytes.
    File(usize),
    /// A documentation site, at random.
    Documentation,
    /// One file of eight is long, and not in memory.
    Cold,
    /// A CGI program.
    Cgi,
    /// A handler that computes for a millisecond.
    Compute,
}

/// Who is there beside the active clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nobody, and `--clients` says how many are active.
    Nobody,
    /// Nobody.
    Few,
    /// So many as `--clients` says, less the active ones, that have asked once.
    Idle,
    /// So many that read a long file slowly.
    Slow(usize),
}

const FILE: Workload = Workload {
    name: "",
    says: "",
    what: What::File(SMALL),
    active: 64,
    beside: Beside::Few,
    depth: 1,
    closes: false,
    is_paced: false,
    warming: Duration::ZERO,
};

pub(crate) const SMALL: usize = 1 << 10;

/// What slow clients read.
const LONG: usize = 1 << 20;

/// All of them.
pub(crate) const ALL: [Workload; 15] = [
    Workload {
        name: "small",
        says: "one cached file of 1 KiB, by more and more clients",
        beside: Beside::Nobody,
        ..FILE
    },
    Workload {
        name: "paced",
        says: "the same file at a fixed rate, by 64 clients",
        is_paced: true,
        ..FILE
    },
    Workload { name: "100B", says: "one file of 100 B", what: What::File(100), ..FILE },
    Workload { name: "10KiB", says: "one file of 10 KiB", what: What::File(10 << 10), ..FILE },
    Workload { name: "100KiB", says: "one file of 100 KiB", what: What::File(100 << 10), ..FILE },
    Workload { name: "1MiB", says: "one file of 1 MiB", what: What::File(LONG), ..FILE },
    Workload {
        name: "10MiB",
        says: "one file of 10 MiB, 8 clients",
        what: What::File(10 << 20),
        active: 8,
        ..FILE
    },
    Workload {
        name: "documentation",
        says: "a site of 200 pages at random, 200 B to 400 KiB",
        what: What::Documentation,
        warming: Duration::from_millis(500),
        ..FILE
    },
    Workload { name: "pipelined", says: "1 KiB, 16 requests sent at once", depth: 16, ..FILE },
    Workload { name: "connect", says: "1 KiB, a new connection for each", closes: true, ..FILE },
    Workload {
        name: "idle",
        says: "1 KiB to 64 active clients beside more and more idle ones",
        beside: Beside::Idle,
        ..FILE
    },
    Workload {
        name: "slow",
        says: "1 KiB to 16 clients beside 200 that read 1 MiB slowly",
        active: 16,
        beside: Beside::Slow(200),
        warming: Duration::from_millis(300),
        ..FILE
    },
    Workload {
        name: "cold",
        says: "1 KiB, and one time in eight 1 MiB that is not in memory",
        what: What::Cold,
        active: 16,
        ..FILE
    },
    Workload { name: "cgi", says: "a shell script by CGI", what: What::Cgi, active: 8, ..FILE },
    Workload {
        name: "compute",
        says: "a handler that computes for 1 ms, 8 clients",
        what: What::Compute,
        active: 8,
        ..FILE
    },
];

/// A workload by so many clients: one load, for everybody.
pub(crate) struct Demand {
    pub(crate) workload: &'static Workload,
    /// Its place among all.
    pub(crate) at: usize,
    pub(crate) clients: usize,
    pub(crate) rate: Option<f64>,
}

impl Demand {
    /// One small file.
    pub(crate) fn small(clients: usize) -> Demand {
        Demand { workload: &ALL[0], at: 0, clients, rate: None }
    }
}

impl Workload {
    /// How many clients it is measured with, where those are asked for.
    pub(crate) fn clients(&self, asked: &[u32]) -> Vec<usize> {
        let asked = asked.iter().map(|&count| count as usize);
        match self.beside {
            Beside::Nobody => asked.collect(),
            Beside::Few => vec![self.active],
            Beside::Idle => asked.filter(|&count| count > self.active).collect(),
            Beside::Slow(count) => vec![self.active + count],
        }
    }

    /// Whether any server of files can take part.
    pub(crate) fn is_of_files(&self) -> bool {
        match self.what {
            What::File(_) | What::Documentation | What::Cold => true,
            What::Cgi | What::Compute => false,
        }
    }
}

/// The files of a documentation site, and of those that are not in memory.
const PAGES: usize = 200;
const COLD: usize = 64;

/// A script, and what it says.
const SCRIPT: &str =
    "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'\n";
const SAID: &str = "hello\n";

/// All files, where they lie.
pub(crate) struct Files {
    pub(crate) root: PathBuf,
    pub(crate) programs: PathBuf,
}

impl Files {
    /// Writes them below `folder`.
    ///
    /// # Errors
    /// Where that cannot be.
    pub(crate) fn write(folder: &Path) -> io::Result<Files> {
        let files = Files { root: folder.join("www"), programs: folder.join("cgi-bin") };
        for path in [&files.root.join("page"), &files.root.join("cold"), &files.programs] {
            fs::create_dir_all(path)?;
        }
        for workload in &ALL {
            if let What::File(length) = workload.what {
                fs::write(files.root.join(length.to_string()), content(length))?;
            }
        }
        for (number, length) in pages().enumerate() {
            fs::write(files.root.join(format!("page/{number}")), content(length))?;
        }
        for number in 0..COLD {
            let file = File::create(files.root.join(format!("cold/{number}")))?;
            io::Write::write_all(&mut &file, &content(1 << 20))?;
            // Only what is on the disk can be thrown out of memory.
            file.sync_all()?;
        }
        let script = files.programs.join("hello.sh");
        fs::write(&script, SCRIPT)?;
        fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        Ok(files)
    }

    /// What is asked for in `workload`, and which of that how often.
    ///
    /// # Errors
    /// Where a file cannot be opened.
    pub(crate) fn targets(&self, workload: &Workload) -> io::Result<(Vec<Target>, Vec<usize>)> {
        let closes = workload.closes;
        let file = |path: String, length| target(&format!("/{path}"), &content(length), closes);
        let one = |target: Target| (vec![target], vec![0]);
        Ok(match workload.what {
            What::File(length) => one(file(length.to_string(), length)),
            What::Cgi => one(target("/cgi-bin/hello.sh", SAID.as_bytes(), closes)),
            What::Compute => one(target("/compute", COMPUTED.as_bytes(), closes)),
            What::Documentation => {
                let all = pages().enumerate();
                let all = all.map(|(number, length)| file(format!("page/{number}"), length));
                (all.collect(), (0..PAGES).collect())
            }
            What::Cold => {
                let mut targets = vec![file(SMALL.to_string(), SMALL)];
                for number in 0..COLD {
                    let path = format!("cold/{number}");
                    let cold = Some(File::open(self.root.join(&path))?);
                    targets.push(Target { cold, ..file(path, 1 << 20) });
                }
                let hot = std::iter::repeat_n(0, 7 * COLD);
                (targets, hot.chain(1..=COLD).collect())
            }
        })
    }

    /// What slow clients read.
    pub(crate) fn long() -> Target {
        target(&format!("/{LONG}"), &content(LONG), false)
    }

    /// Whether a file can be thrown out of memory here, so that it has to be read from a disk.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub(crate) fn can_be_cold(&self) -> io::Result<bool> {
        let file = File::open(self.root.join("cold/0"))?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        let mut byte = [0];
        let mut parts = [io::IoSliceMut::new(&mut byte)];
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        Ok(rustix::io::preadv2(&file, &mut parts, 512 << 10, flags)
            == Err(rustix::io::Errno::AGAIN))
    }
}

fn target(path: &str, content: &[u8], closes: bool) -> Target {
    let connection = if closes { "Connection: close\r\n" } else { "" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{connection}\r\n");
    let ask = Ask { request: request.into_bytes(), status: 200, content: Rc::from(content) };
    Target { ask, cold: None }
}

/// Content of so many bytes, of which no two pages have the same.
fn content(length: usize) -> Vec<u8> {
    let mut random = Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.alphanumeric() as u8).take(length).collect()
}

/// The lengths of all pages: most are some KiB long, a few some hundred.
fn pages() -> impl Iterator<Item = usize> {
    let mut random = Rng::with_seed(7);
    (0..PAGES).map(move |_| {
        // The product of several numbers is distributed as sizes of files are: by its logarithm.
        let exponent: f64 = (0..4).map(|_| random.f64()).sum::<f64>() / 4.0;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 200 and 400,000"
        )]
        let length = (200.0 * 2048_f64.powf(exponent)) as usize;
        length
    })
}
