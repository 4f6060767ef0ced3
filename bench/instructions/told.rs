//! Whether sites are told of changes in their files, which they are as a rule. Otherwise what they
//! do is something else: they hear of nothing, look for themselves, and keep no 404.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags};

/// How many inotify instances must be left: one, and some that others may take meanwhile.
const LEFT: usize = 8;

/// How often it is looked whether they are, and how long there is between.
const LOOKS: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(100);

/// Readies something that has a site of files, and has been asked for one. A user has so many
/// inotify instances, and others may have them all: that is waited for. Panics if the site is not
/// told of changes all the same.
pub(crate) fn told<T>(ready: impl FnOnce() -> T) -> T {
    for _ in 0..LOOKS {
        let left: Result<Vec<_>, _> =
            (0..LEFT).map(|_| inotify::init(CreateFlags::CLOEXEC)).collect();
        if left.is_ok() {
            break;
        }
        thread::sleep(BETWEEN);
    }
    let before = instances();
    let ready = ready();
    assert!(
        instances() > before,
        "no inotify instance was left for it: see /proc/sys/fs/inotify/max_user_instances"
    );
    ready
}

/// How many inotify instances this process has.
fn instances() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = open.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    links.filter(|link| link == Path::new("anon_inode:inotify")).count()
}
