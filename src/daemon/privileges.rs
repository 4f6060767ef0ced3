//! Giving up what only root has: the process becomes another user's, in all its threads, for ever.
//! Who that is, and what it is to have, is not known here.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::unistd::{self, Gid, Uid};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::server::confinement::identity::Identity;

/// Whether this process may become whoever it wants.
#[must_use]
pub fn is_root() -> bool {
    unistd::geteuid().is_root()
}

/// Whether this process is `identity` already, as far as the user goes.
#[must_use]
pub fn is_already(identity: &Identity) -> bool {
    unistd::geteuid().as_raw() == identity.user
}

/// Becomes `identity`, with its supplementary groups (initgroups(3)) and no others.
///
/// # Errors
/// Which step has failed. The process is to end then: it is neither the one nor the other.
pub fn drop_to(identity: &Identity) -> Result<(), String> {
    let (user, group) = (Uid::from_raw(identity.user), Gid::from_raw(identity.group));
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: nix::Error| format!("cannot give up root's rights: {what}: {error}")
    };
    match &identity.name {
        Some(name) => {
            let name = CString::new(name.as_str()).map_err(|error| error.to_string())?;
            unistd::initgroups(&name, group).map_err(failed("supplementary groups"))?;
        }
        None => unistd::setgroups(&[group]).map_err(failed("supplementary groups"))?,
    }
    unistd::setresgid(group, group, group).map_err(failed("group"))?;
    unistd::setresuid(user, user, user).map_err(failed("user"))?;
    // What cannot happen would be the worst of all.
    if !user.is_root() && unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err("cannot give up root's rights: they can be had again".to_owned());
    }
    Ok(())
}

/// Whoever executes a program from now on gets no rights by it that it had not before: programs of
/// other users (setuid) run as this one's, and so on (prctl(2), `PR_SET_NO_NEW_PRIVS`).
///
/// # Errors
/// Those of prctl(2).
pub fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Gives the file at `path` to `identity`: a log, for instance, that is to be opened anew. Only
/// plain files, FIFOs and sockets change their owners, and none that has another name: a terminal
/// or /dev/null is everybody's. What is not there any more needs no owner.
///
/// # Errors
/// Those of open(2) and fchownat(2).
pub fn give(path: &Path, identity: &Identity) -> io::Result<()> {
    // What is looked at is what changes its owner, whatever somebody puts in its place meanwhile.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    let is_to_be_given = kind.is_file() || kind.is_fifo() || kind.is_socket();
    if metadata.uid() == identity.user || !is_to_be_given || metadata.nlink() > 1 {
        return Ok(());
    }
    let (user, group) =
        (rustix::fs::Uid::from_raw(identity.user), rustix::fs::Gid::from_raw(identity.group));
    rustix::fs::chownat(&file, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?;
    Ok(())
}
