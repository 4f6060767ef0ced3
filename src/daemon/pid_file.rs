//! The file with the number of the process: there while the server serves.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::server::opening;

/// The file, which holds the number of this process. It is removed when this is dropped, unless
/// another process stands there by then.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    /// Kept open, for it may lie where only root may write.
    file: File,
}

impl PidFile {
    /// Writes it, in place of what is there; into `inherited`, if that is the file at `path`.
    ///
    /// # Errors
    /// Where it cannot be written, and what to do.
    pub(super) fn create(path: &Path, inherited: Option<File>) -> Result<PidFile, String> {
        let inherited = inherited.filter(|file| is_at(file, path));
        let file = match inherited {
            Some(file) => Ok(file),
            None => opening::open(path, OFlags::WRONLY | OFlags::CREATE),
        };
        let written = file.and_then(|file| {
            let pid_file = PidFile { path: path.to_owned(), file };
            pid_file.write().map(|()| pid_file)
        });
        written.map_err(|error| {
            format!(
                "cannot write {}: {error}\nChoose another server.pid-file, in a folder that the \
                 server may write to, or leave it out.",
                path.display()
            )
        })
    }

    /// Writes the number of this process once more: another one may have stood there meanwhile.
    pub(super) fn renew(&self) {
        if let Err(error) = self.write() {
            log::warn!("cannot write the pid file: {error}");
        }
    }

    fn write(&self) -> io::Result<()> {
        let line = format!("{}\n", std::process::id());
        self.file.write_all_at(line.as_bytes(), 0)?;
        self.file.set_len(line.len() as u64)
    }

    /// The open file, for a successor.
    pub(super) fn share(&self) -> io::Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let own = format!("{}\n", std::process::id());
        if !is_at(&self.file, &self.path)
            || fs::read_to_string(&self.path).is_ok_and(|text| text != own)
        {
            return;
        }
        if fs::remove_file(&self.path).is_err() {
            // An empty file names nobody.
            let _ = self.file.set_len(0);
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(file), Ok(other)) => (file.dev(), file.ino()) == (other.dev(), other.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Where a file can be, for as long as the first is held.
    fn path() -> (TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("pid");
        (scratch, path)
    }

    #[test]
    fn it_is_there_with_the_number_and_gone_when_it_is_dropped() {
        let (_scratch, path) = path();
        fs::write(&path, "1234567890123\n").unwrap();
        let file = PidFile::create(&path, None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn that_of_another_process_stays() {
        let (_scratch, path) = path();
        let file = PidFile::create(&path, None).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_successor_writes_into_the_file_that_it_was_given_if_that_is_still_there() {
        let (_scratch, path) = path();
        fs::write(&path, "1\n").unwrap();
        // One that was given can be read from, too; here, one that was opened cannot.
        let given = || fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let can_be_read = |pid_file: &PidFile| pid_file.file.read_at(&mut [0], 0).is_ok();
        let same = given();
        assert!(can_be_read(&PidFile::create(&path, Some(same)).unwrap()));
        fs::write(&path, "1\n").unwrap();
        let gone = given();
        fs::remove_file(&path).unwrap();
        let pid_file = PidFile::create(&path, Some(gone)).unwrap();
        assert!(!can_be_read(&pid_file) && path.exists());
    }

    #[test]
    fn where_it_cannot_be_written_it_says_so() {
        let error = PidFile::create(Path::new("/proc/oneloop.pid"), None).unwrap_err();
        assert!(error.starts_with("cannot write /proc/oneloop.pid: "), "{error}");
        assert!(error.contains("server.pid-file"), "{error}");
    }
}
