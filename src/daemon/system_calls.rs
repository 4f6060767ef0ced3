//! Which system calls this process has, and all that it starts: by seccomp (seccomp(2)). All others
//! do not exist, as far as they can tell (`ENOSYS`): so the C library and language runtimes take
//! another way, as on an older kernel, where an `EPERM` would make them give up.
//!
//! Nothing here decides by the arguments of a call that is on the way of a request: the kernel
//! remembers of those that they are allowed, and does not run the filter for them.

use std::collections::BTreeMap;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// The list of system calls by their names.
macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name),*] };
}

/// What the server itself calls, and the libraries that it looks names up with: files, sockets,
/// waiting, memory, threads, the start of a process.
const SERVER: &[i64] = calls![
    SYS_accept SYS_accept4 SYS_bind SYS_brk SYS_chdir SYS_clock_getres SYS_clock_gettime
    SYS_clock_nanosleep SYS_close SYS_close_range SYS_connect SYS_dup SYS_dup3 SYS_epoll_create1
    SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve SYS_exit SYS_exit_group
    SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fallocate SYS_fchmod SYS_fcntl SYS_fdatasync
    SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_getcwd SYS_getdents64 SYS_getegid
    SYS_geteuid SYS_getgid SYS_getgroups SYS_getpeername SYS_getpgid SYS_getpid SYS_getppid
    SYS_getrandom SYS_getresgid SYS_getresuid SYS_getrusage SYS_getsid SYS_getsockname
    SYS_getsockopt SYS_gettid SYS_gettimeofday SYS_getuid SYS_inotify_add_watch SYS_inotify_init1
    SYS_inotify_rm_watch SYS_kill SYS_landlock_add_rule SYS_landlock_create_ruleset
    SYS_landlock_restrict_self SYS_linkat SYS_listen SYS_lseek SYS_madvise SYS_membarrier
    SYS_memfd_create SYS_mincore SYS_mmap SYS_mprotect SYS_mremap SYS_munmap SYS_nanosleep
    SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_open SYS_pidfd_send_signal SYS_pipe2 SYS_ppoll
    SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2 SYS_prlimit64 SYS_pselect6 SYS_pwrite64
    SYS_pwritev SYS_pwritev2 SYS_read SYS_readahead SYS_readlinkat SYS_readv SYS_recvfrom
    SYS_recvmmsg SYS_recvmsg SYS_renameat2 SYS_restart_syscall SYS_rseq SYS_rt_sigaction
    SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigtimedwait
    SYS_sched_getaffinity SYS_sched_getparam SYS_sched_getscheduler SYS_sched_yield SYS_seccomp
    SYS_sendfile SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_set_robust_list SYS_set_tid_address
    SYS_setpgid SYS_setsid SYS_setsockopt SYS_shutdown SYS_sigaltstack SYS_socketpair SYS_splice
    SYS_statfs SYS_statx SYS_sysinfo SYS_tgkill SYS_tkill SYS_umask SYS_uname SYS_unlinkat
    SYS_wait4 SYS_waitid SYS_write SYS_writev
];

/// The older names of the same, which only this processor has.
#[cfg(target_arch = "x86_64")]
const SERVER_OLD: &[i64] = calls![
    SYS_access SYS_arch_prctl SYS_dup2 SYS_epoll_create SYS_epoll_wait SYS_eventfd SYS_fork
    SYS_getpgrp SYS_getrlimit SYS_link SYS_lstat SYS_open SYS_pipe SYS_poll SYS_readlink SYS_rename
    SYS_renameat SYS_select SYS_setrlimit SYS_stat SYS_time SYS_unlink SYS_vfork
];
#[cfg(not(target_arch = "x86_64"))]
const SERVER_OLD: &[i64] = &[];

/// What programs call beside that, whatever language they are written in. Not among it: whatever
/// mounts, traces other processes, loads code into the kernel, has a long way through it that is
/// rarely walked (`io_uring`, `bpf`, `userfaultfd`, `keyctl`, `perf_event_open`), or changes the
/// machine's clock, name, swap and accounting.
const PROGRAMS: &[i64] = calls![
    SYS_capget SYS_copy_file_range SYS_execveat SYS_fchdir SYS_fchmodat SYS_fchown
    SYS_fchownat SYS_fgetxattr SYS_flistxattr SYS_flock SYS_fremovexattr SYS_fsetxattr
    SYS_futex_waitv SYS_get_mempolicy SYS_get_robust_list SYS_getcpu SYS_getitimer SYS_getpriority
    SYS_getxattr SYS_ioprio_get SYS_ioprio_set SYS_lgetxattr SYS_listxattr SYS_llistxattr
    SYS_lremovexattr SYS_lsetxattr SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall
    SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink
    SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_msync SYS_munlock SYS_munlockall SYS_pkey_alloc
    SYS_pkey_free SYS_pkey_mprotect SYS_process_madvise SYS_remap_file_pages SYS_removexattr
    SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_sched_get_priority_max
    SYS_sched_get_priority_min SYS_sched_getattr SYS_sched_rr_get_interval SYS_sched_setaffinity
    SYS_sched_setattr SYS_sched_setparam SYS_sched_setscheduler SYS_semctl SYS_semget SYS_semop
    SYS_semtimedop SYS_setfsgid SYS_setfsuid SYS_setgid SYS_setgroups SYS_setitimer SYS_setpriority
    SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid SYS_setuid SYS_setxattr SYS_shmat
    SYS_shmctl SYS_shmdt SYS_shmget SYS_signalfd4 SYS_symlinkat SYS_sync SYS_syncfs SYS_tee
    SYS_timer_create SYS_timer_delete SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime
    SYS_timerfd_create SYS_timerfd_gettime SYS_timerfd_settime SYS_times SYS_truncate SYS_utimensat
    SYS_vmsplice
];

/// The older names of those.
#[cfg(target_arch = "x86_64")]
const PROGRAMS_OLD: &[i64] = calls![
    SYS_alarm SYS_chmod SYS_chown SYS_creat SYS_futimesat SYS_getdents SYS_inotify_init SYS_lchown
    SYS_mkdir SYS_mknod SYS_pause SYS_rmdir SYS_set_thread_area SYS_get_thread_area SYS_signalfd
    SYS_symlink SYS_sync_file_range SYS_utime SYS_utimes
];
#[cfg(not(target_arch = "x86_64"))]
const PROGRAMS_OLD: &[i64] = &[];

/// Flags of clone(2) that make namespaces (namespaces(7)), where the kernel is met in new ways.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32 as u64;

/// Kinds of sockets that there are: beside those of the network and of this machine, the one that
/// the C library asks for the machine's addresses.
const SOCKETS: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Calls of ioctl(2) that type on the terminal from which the server was started.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Who is to have what it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// The server alone.
    OfServer,
    /// The server, and programs of any kind that it starts.
    OfPrograms,
}

/// Gives up all other calls, for this thread and for whatever it starts.
///
/// # Errors
/// Where the kernel has no seccomp, or none for this processor.
pub(super) fn give_up_others(calls: Calls) -> Result<(), String> {
    let program = filter(calls)?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

fn filter(calls: Calls) -> Result<BpfProgram, String> {
    let processor = std::env::consts::ARCH;
    let arch: TargetArch = processor.try_into().map_err(|_| {
        format!("there is no list of system calls for a processor of type {processor}")
    })?;
    let programs: &[&[i64]] = match calls {
        Calls::OfServer => &[],
        Calls::OfPrograms => &[PROGRAMS, PROGRAMS_OLD],
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for &number in [SERVER, SERVER_OLD].iter().chain(programs).copied().flatten() {
        rules.insert(number, Vec::new());
    }
    let made = || -> Result<BpfProgram, seccompiler::BackendError> {
        let no_namespace = SeccompCondition::new(0, Qword, MaskedEq(NAMESPACES), 0)?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_namespace])?]);
        let mut sockets = Vec::new();
        for kind in SOCKETS {
            let is_it = SeccompCondition::new(0, Dword, Eq, u64::from(kind.unsigned_abs()))?;
            sockets.push(SeccompRule::new(vec![is_it])?);
        }
        rules.insert(libc::SYS_socket, sockets);
        let mut others = Vec::new();
        for call in TYPING {
            others.push(SeccompCondition::new(1, Dword, Ne, call)?);
        }
        rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(others)?]);
        let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        SeccompFilter::new(rules, missing, SeccompAction::Allow, arch)?.try_into()
    };
    made().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_named_once_and_the_filter_fits_into_the_kernel() {
        let lists = [SERVER, SERVER_OLD, PROGRAMS, PROGRAMS_OLD].concat();
        let mut once = lists.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), lists.len());
        for number in [libc::SYS_clone, libc::SYS_clone3, libc::SYS_socket, libc::SYS_ioctl] {
            assert!(!lists.contains(&number), "they are allowed by their arguments, or not at all");
        }
        // BPF_MAXINSNS
        let lengths =
            [Calls::OfServer, Calls::OfPrograms].map(|calls| filter(calls).unwrap().len());
        assert!(lengths[0] < lengths[1] && lengths[1] < 4096);
    }
}
