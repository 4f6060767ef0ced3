//! Processes: what they are given, what they say, and that nothing of them is left.

use std::ffi::OsString;
use std::fs;
use std::io::{Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::*;
use crate::server::spawner::UNDER_WAY;
use crate::site::program::{ProcessLimits, Reach};

/// `/bin/sh -c script`.
fn sh(script: &str) -> Job {
    program("/bin/sh", &["-c", script])
}

fn program(path: impl Into<PathBuf>, arguments: &[&str]) -> Job {
    Job {
        program: path.into(),
        arguments: arguments.iter().map(OsString::from).collect(),
        environment: Vec::new(),
        directory: "/".into(),
        input: None,
        limits: ProcessLimits::default(),
        reach: Reach::default(),
    }
}

/// Whether there is such a process, be it a zombie or not.
fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

/// Another's child, to be seen ending.
struct Stranger(Option<OwnedFd>);

impl Stranger {
    /// The one of this number, which runs, or has just ended.
    fn new(pid: &str) -> Stranger {
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        Stranger(pidfd_open(pid, PidfdFlags::empty()).ok())
    }

    /// Whether it ends while there is patience.
    fn ends(&self) -> bool {
        let Some(pidfd) = &self.0 else { return true };
        let patience = Timespec::try_from(PATIENCE).unwrap();
        rustix::event::poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&patience)) == Ok(1)
    }

    fn runs(&self) -> bool {
        let Some(pidfd) = &self.0 else { return false };
        let now = Timespec::default();
        rustix::event::poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)) == Ok(0)
    }
}

#[test]
fn output_complaints_and_end_are_told_apart() {
    let said = World::new().run(sh("echo out; echo err >&2; exit 3"));
    let expected =
        Said { output: "out\n".into(), complaints: "err\n".into(), ending: Ending::Exited(3) };
    assert_eq!(said, expected);
    assert_eq!(World::new().run(sh("kill -TERM $$")).ending, Ending::Killed(15));
}

#[test]
fn an_end_is_told_again_and_after_the_last_byte_comes_nothing() {
    let mut world = World::new();
    let peer = world.spawn(sh("echo a; exit 1")).unwrap();
    assert_eq!(world.hear(peer).output, "a\n");
    for _ in 0..2 {
        assert_eq!(world.system.ended(peer), Some(Ending::Exited(1)));
        assert_eq!(world.system.read(peer, &mut [0; 9]).unwrap(), 0);
        assert_eq!(world.system.read_complaints(peer, &mut [0; 9]).unwrap(), 0);
    }
}

#[test]
fn nothing_can_be_written_to_a_process() {
    let mut world = World::new();
    let peer = world.spawn(sh("read line")).unwrap();
    let error = |result: io::Result<usize>| result.unwrap_err().kind();
    let part = [IoSlice::new(b"a")];
    for more in [false, true] {
        let written = world.system.write(peer, &part, more);
        assert_eq!(error(written), io::ErrorKind::InvalidInput);
    }
    let file = File::open("/proc/self/exe").unwrap();
    assert_eq!(error(world.system.send_file(peer, &file, 0, 9)), io::ErrorKind::InvalidInput);
    world.system.finish(peer);
    assert_eq!(world.hear(peer).ending, Ending::Exited(1), "its input is empty");
}

#[test]
fn input_comes_from_where_the_file_stands() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::write(folder.join("input"), "before;after").unwrap();
    let mut file = File::open(folder.join("input")).unwrap();
    file.seek(SeekFrom::Start(7)).unwrap();
    let said = World::new().run(Job { input: Some(file), ..sh("cat") });
    assert_eq!(said.output, "after");
}

#[test]
fn directory_and_environment_are_what_was_asked_for() {
    let pair = |name: &str, value: &str| (name.into(), value.into());
    let environment = vec![pair("B", "2=2"), pair("A", "ä\n"), pair("EMPTY", "")];
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let job = Job { environment, directory: folder.into(), ..program("/usr/bin/env", &["-0"]) };
    let said = World::new().run(job);
    let mut lines: Vec<&str> = said.output.split_terminator('\0').collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=ä\n", "B=2=2", "EMPTY="]);
    let said = World::new().run(Job { directory: folder.into(), ..program("/bin/pwd", &["-P"]) });
    assert_eq!(Path::new(said.output.trim_end()), folder.canonicalize().unwrap());
}

#[test]
fn a_process_has_three_descriptors() {
    let mut world = World::new();
    let other = PeerId { key: 1, generation: 0 };
    world.system.spawn(sh("exec sleep 1000"), other).unwrap();
    world.established(other).unwrap();
    // The listing's own is one more.
    let said = world.run(program("/bin/ls", &["/proc/self/fd"]));
    let all = said.output.split_whitespace().map(|number| number.parse().unwrap());
    let mut all: Vec<u32> = all.filter(|number| !inherited(*number)).collect();
    all.sort_unstable();
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(all[..3], [0, 1, 2]);
}

/// Whether whoever started the tests has left this open to all, which is not our doing.
fn inherited(descriptor: u32) -> bool {
    const CLOEXEC: u32 = 0o2_000_000;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.map(|flags| u32::from_str_radix(flags.trim(), 8).unwrap());
    descriptor > 2 && flags.is_some_and(|flags| flags & CLOEXEC == 0)
}

#[test]
fn a_broken_pipe_ends_a_process_and_no_signal_is_blocked() {
    const SIGPIPE: u64 = 1 << 12;
    let said = World::new().run(program("/bin/grep", &["^Sig[BI]", "/proc/self/status"]));
    let mask = |name: &str| {
        let line = said.output.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!(mask("SigBlk:"), 0);
    assert_eq!(mask("SigIgn:") & SIGPIPE, 0);
}

#[test]
fn a_process_leads_its_own_group() {
    let said = World::new().run(sh("echo $$; cut -d' ' -f5 /proc/self/stat"));
    let (pid, group) = said.output.split_once('\n').unwrap();
    assert_eq!(pid, group.trim());
}

#[test]
fn what_cannot_be_started_says_why() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let file = |name: &str, text: &str, mode| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let mut world = World::new();
    let mut error = |job| world.spawn(job).unwrap_err();
    let kind = |path: PathBuf| error(program(path, &[])).raw_os_error();
    let errors = [
        folder.join("nothing"),
        file("data", "#!/bin/sh\n", 0o644),
        folder.into(),
        file("text", "echo a\n", 0o755),
        file("orphan", "#!/nowhere/sh\n", 0o755),
    ]
    .map(kind);
    assert_eq!(errors, [Some(2), Some(13), Some(13), Some(8), Some(2)]);
    let mut error = |job| world.spawn(job).unwrap_err();
    assert_eq!(error(program("sh", &[])).kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error(Job { directory: folder.join("nothing"), ..sh("") }).raw_os_error(), Some(2));
    let long = "a".repeat(1 << 20);
    assert_eq!(error(program("/bin/true", &[&long])).raw_os_error(), Some(7));
}

#[test]
fn an_error_is_told_once() {
    let mut world = World::new();
    let peer = world.peer();
    world.system.spawn(program("/nowhere", &[]), peer).unwrap();
    assert!(world.established(peer).is_err());
    assert!(world.system.error(peer).is_none());
    assert_eq!(
        world.system.read(peer, &mut [0; 9]).unwrap_err().kind(),
        io::ErrorKind::NotConnected
    );
}

#[test]
fn the_whole_group_is_killed() {
    let mut world = World::new();
    let peer = world.spawn(sh("sleep 1000 & echo $!; wait")).unwrap();
    let mut output = Vec::new();
    world.until("a grandchild", |system, _| {
        drain(&mut output, |buffer| system.read(peer, buffer));
        output.ends_with(b"\n").then_some(())
    });
    let grandchild = Stranger::new(std::str::from_utf8(&output).unwrap());
    assert!(grandchild.runs());
    world.system.kill(peer);
    let said = world.hear(peer);
    assert_eq!(said.ending, Ending::Killed(9));
    assert!(grandchild.ends());
}

#[test]
fn what_a_process_leaves_behind_ends_with_it() {
    let mut world = World::new();
    // The grandchild keeps neither pipe open.
    let peer = world.spawn(sh("sleep 1000 >/dev/null 2>&1 & echo $!")).unwrap();
    let said = world.hear(peer);
    assert_eq!(said.ending, Ending::Exited(0));
    assert!(Stranger::new(&said.output).ends());
}

#[test]
fn what_holds_the_output_open_ends_with_the_leader() {
    let mut world = World::new();
    let peer = world.spawn(sh("sleep 1000 & echo $!")).unwrap();
    let ending = world.until("an end", |system, _| system.ended(peer));
    assert_eq!(ending, Ending::Exited(0));
    let said = world.hear(peer);
    assert!(Stranger::new(&said.output).ends());
}

/// Waits until no process that was closed is left.
fn bury(world: &mut World) {
    world.until("the end of all", |system, _| system.is_alone().then_some(()));
}

#[test]
fn a_closed_process_is_killed_and_reaped() {
    let mut world = World::new();
    let peer = world.spawn(sh("echo $$; sleep 1000")).unwrap();
    let mut output = Vec::new();
    world.until("its number", |system, _| {
        drain(&mut output, |buffer| system.read(peer, buffer));
        output.ends_with(b"\n").then_some(())
    });
    let pid = String::from_utf8(output).unwrap();
    assert!(exists(&pid));
    world.system.close(peer);
    assert_eq!(
        world.system.read(peer, &mut [0; 9]).unwrap_err().kind(),
        io::ErrorKind::NotConnected
    );
    bury(&mut world);
    assert!(!exists(&pid), "reaped: not even a zombie");
}

#[test]
fn a_process_closed_while_it_starts_is_killed_and_reaped() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let file = folder.join("pid");
    let mut world = World::new();
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let peer = world.peer();
    world.system.spawn(sh(&script), peer).unwrap();
    world.system.close(peer);
    // The slot's next tenant is none of its business.
    let next = world.spawn(sh("echo next")).unwrap();
    assert_eq!(world.hear(next).output, "next\n");
    bury(&mut world);
    // It may have been killed before it could write its number.
    if let Ok(pid) = fs::read_to_string(&file) {
        assert!(pid.is_empty() || !exists(&pid));
    }
}

#[test]
fn a_process_killed_while_it_starts_does_not_live() {
    let mut world = World::new();
    let peer = world.peer();
    world.system.spawn(sh("sleep 1000"), peer).unwrap();
    world.system.kill(peer);
    world.established(peer).unwrap();
    assert_eq!(world.hear(peer).ending, Ending::Killed(9));
}

#[test]
fn the_end_of_the_network_is_the_end_of_its_processes() {
    let mut world = World::new();
    let mut pids = Vec::new();
    for key in 0..3 {
        let peer = PeerId { key, generation: 0 };
        world.system.spawn(sh("echo $$; sleep 1000"), peer).unwrap();
        world.established(peer).unwrap();
        let mut output = Vec::new();
        world.until("its number", |system, _| {
            drain(&mut output, |buffer| system.read(peer, buffer));
            output.ends_with(b"\n").then_some(())
        });
        pids.push(String::from_utf8(output).unwrap());
    }
    let late = PeerId { key: 3, generation: 0 };
    world.system.spawn(sh("sleep 1000"), late).unwrap();
    world.system.close(PeerId { key: 0, generation: 0 });
    drop(world);
    assert!(pids.iter().all(|pid| !exists(pid)), "{pids:?}");
}

#[test]
fn too_many_at_once_are_refused() {
    let mut world = World::new();
    let mut refused = None;
    for key in 0..=u32::try_from(UNDER_WAY).unwrap() {
        let peer = PeerId { key, generation: 0 };
        if let Err(error) = world.system.spawn(program("/nowhere", &[]), peer) {
            refused = Some((key as usize, error.kind()));
        }
    }
    assert_eq!(refused, Some((UNDER_WAY, io::ErrorKind::WouldBlock)));
    let mut broken = 0;
    world.until("all have failed", |_, ready| {
        broken += ready.iter().filter(|event| event.broken).count();
        (broken == UNDER_WAY).then_some(())
    });
    assert!(world.spawn(sh("")).is_ok(), "there is room again");
}

#[test]
fn two_hundred_in_a_row_leave_nothing() {
    let mut world = World::new();
    let mut numbers = Vec::new();
    for round in 0..200 {
        let peer = world.spawn(sh("echo $$")).unwrap();
        // Half of them are heard out.
        let mut buffer = [0; 16];
        if round % 2 == 0 {
            numbers.push(world.hear(peer).output);
        } else {
            let _ = world.system.read(peer, &mut buffer);
        }
        world.system.close(peer);
        if round >= 100 {
            bury(&mut world);
        }
    }
    bury(&mut world);
    assert_eq!(world.system.descriptors(), 0);
    assert!(numbers.iter().all(|pid| !exists(pid)));
}

#[test]
fn the_bell_is_told_as_well() {
    let mut world = World::new();
    world.system.waker()();
    world.until("the bell", |_, ready| {
        ready.iter().any(|event| event.peer == PeerId::BELL).then_some(())
    });
}
