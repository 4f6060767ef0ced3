//! Opening files to be written where others than root may have put something else in their place.
//! What they are for is not known here.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Opens `path` as open(2) does with `flags`. Root follows no link where somebody else can make
/// one, neither at the end of the path nor on the way, and takes no file that has another name:
/// whoever the server is to become could have root write to any file.
///
/// # Errors
/// Those of openat2(2); and where a link or another name is refused, which and why.
pub fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC;
    let is_made = flags.contains(OFlags::CREATE);
    let mode = if is_made { Mode::from_raw_mode(0o666) } else { Mode::empty() };
    if !geteuid().is_root() || is_roots_alone(path) {
        return Ok(rustix::fs::open(path, flags, mode)?.into());
    }
    let refused = |what| {
        let why = format!("{what}, where others than root may write: root does not follow it");
        io::Error::other(why)
    };
    let file = match openat2(CWD, path, flags, mode, ResolveFlags::NO_SYMLINKS) {
        Ok(file) => File::from(file),
        // Before Linux 5.6 only the end of the path can be looked at.
        Err(Errno::NOSYS) => rustix::fs::open(path, flags | OFlags::NOFOLLOW, mode)?.into(),
        Err(Errno::LOOP) => return Err(refused("there is a symbolic link on the way")),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.nlink() > 1 {
        return Err(refused("the file has another name"));
    }
    Ok(file)
}

/// Whether root alone decides what lies at `path`: the folders that lead to it, and those that
/// their links lead to, are root's, and nobody else may write there.
fn is_roots_alone(path: &Path) -> bool {
    let is_roots = |folder: &Path| {
        fs::metadata(folder).is_ok_and(|folder| folder.uid() == 0 && folder.mode() & 0o022 == 0)
    };
    let mut leading = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    leading.all(|folder| fs::canonicalize(folder).is_ok_and(|real| real.ancestors().all(is_roots)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn root_follows_no_link_where_others_may_write() {
        if !geteuid().is_root() {
            return;
        }
        // The folder for temporary files is everybody's.
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().canonicalize().unwrap();
        fs::create_dir(folder.join("real")).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
        symlink(folder.join("target"), folder.join("link")).unwrap();
        symlink(folder.join("real"), folder.join("way")).unwrap();
        for path in ["link", "way/file"] {
            let error = open(&folder.join(path), flags).unwrap_err();
            assert!(error.to_string().contains("symbolic link"), "{error}");
        }
        assert!(!folder.join("target").exists() && !folder.join("real/file").exists());
        open(&folder.join("file"), flags).unwrap();
        open(&folder.join("file"), flags).unwrap();
        fs::hard_link(folder.join("file"), folder.join("other")).unwrap();
        let error = open(&folder.join("file"), flags).unwrap_err();
        assert!(error.to_string().contains("another name"), "{error}");
    }

    #[test]
    fn what_only_root_can_have_put_there_is_followed() {
        assert!(is_roots_alone(Path::new("/no-such-file")) || !geteuid().is_root());
        assert!(!is_roots_alone(&std::env::temp_dir().join("file")));
        assert!(!is_roots_alone(Path::new("/no/such/folder/file")));
    }
}
