//! What a slow disk costs everybody else: `cargo bench --bench disk [-- PROGRAM…]`.
//!
//! Two clients fetch a large file that is not in memory, from a file system that takes 50 ms for
//! each read, and meanwhile a third asks for a small file that is. Without the large ones it waits
//! for nothing; how long it waits beside them is what is seen here. Each PROGRAM, another build of
//! the server, is measured in turn with this one.
//!
//! It takes FUSE, python3-fusepy and root; without them it says so and measures nothing.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]
#![allow(clippy::unwrap_used, reason = "a measurement may fail by panicking")]

#[path = "../tests/support/client.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod client;
#[path = "../tests/support/folder.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod folder;
mod percentile;
#[path = "../tests/support/running.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod running;

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use folder::Folder;
use percentile::percentile;
use running::Daemon;

/// How often each program is measured.
const ROUNDS: usize = 3;

/// The time between two requests for the small file.
const PACE: Duration = Duration::from_millis(5);

/// What the slow file system holds for each reader, and how long a read of it takes.
const LARGE: usize = 16 << 20;
const SECONDS: &str = "0.05";

/// Readers of large files at once.
const READERS: usize = 2;

/// A file system that is slow. It is gone when this is.
struct Slow {
    process: Child,
    mount: PathBuf,
}

impl Slow {
    /// Mounts one at `mount` that shows `folder`, if this machine can.
    fn mount(folder: &Path, mount: &Path) -> Option<Slow> {
        std::fs::create_dir_all(mount).unwrap();
        let before = std::fs::metadata(mount).unwrap().dev();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/disk/slow.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(program).arg(folder).arg(mount).arg(SECONDS).stderr(Stdio::null());
        let process = command.spawn().ok()?;
        let mut slow = Slow { process, mount: mount.to_owned() };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::fs::metadata(mount).unwrap().dev() == before {
            if Instant::now() > deadline || slow.process.try_wait().unwrap().is_some() {
                return None;
            }
            thread::yield_now();
        }
        Some(slow)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.mount).stderr(Stdio::null()).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() {
    let others = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let mut programs = vec![env!("CARGO_BIN_EXE_oneloop").to_owned()];
    programs.extend(others);
    println!("a small file, beside {READERS} large ones from a slow disk");
    println!("{:>10}{:>10}{:>10}{:>12}  program", "p50, ms", "p99", "most", "in all, s");
    for _ in 0..ROUNDS {
        for program in &programs {
            // Each time on a file system of which nothing is known yet.
            let folder = Folder::new();
            for number in 0..READERS {
                folder.write(&format!("source/{number}.bin"), vec![b'y'; LARGE]);
            }
            folder.write("www/file.txt", vec![b'x'; 1024]);
            let mount = folder.path().join("mount");
            let Some(_slow) = Slow::mount(&folder.path().join("source"), &mount) else {
                println!("there is no slow file system: it takes root, FUSE and python3-fusepy");
                return;
            };
            measure(program, &folder);
        }
    }
}

fn measure(program: &str, folder: &Folder) {
    let text = "[server]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = { to = \"none\" }\n\
                [[site]]\nroot = \"www\"\n[[site.route]]\npath = \"/slow/*\"\n\
                files = { root = \"mount\" }\n";
    let file = folder.write("oneloop.toml", text);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" -c \"$1\" 2>&1", program]).arg(file);
    let daemon = Daemon::spawn(command);
    let mut client = daemon.connect();
    assert_eq!(client.get("/file.txt").content.len(), 1024);
    let started = Instant::now();
    let readers: Vec<_> = (0..READERS)
        .map(|number| {
            let mut large = daemon.connect();
            large.send(format!("GET /slow/{number}.bin HTTP/1.0\r\n\r\n"));
            thread::spawn(move || {
                let mut received = Vec::new();
                large.stream.read_to_end(&mut received).unwrap();
                assert!(received.len() > LARGE && received.ends_with(b"yyyy"), "it is cut");
            })
        })
        .collect();
    let mut times = Vec::new();
    while !readers.iter().all(thread::JoinHandle::is_finished) {
        let begun = Instant::now();
        assert_eq!(client.get("/file.txt").content.len(), 1024);
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        thread::sleep(PACE.saturating_sub(begun.elapsed()));
    }
    let all = started.elapsed().as_secs_f64();
    for reader in readers {
        reader.join().unwrap();
    }
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| percentile(&times, share));
    println!("{p50:>10.2}{p99:>10.2}{most:>10.2}{all:>12.1}  {program}");
}
