//! Which files a thread may reach, and whatever it starts: by Landlock (landlock(7)). What is not
//! allowed here stays as the files' owners and modes have it, and can never be allowed again.
//!
//! Who needs which files is not known here.

pub mod identity;

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope,
};

/// What is asked for of the file system is known up to here; what a kernel lacks of it is left out.
const KNOWN: ABI = ABI::V5;

use super::Server;
pub use crate::site::program::Reach;

/// How much confinement a server is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// As much as there is on this machine.
    #[default]
    Auto,
    /// All of it, or no server.
    Require,
    /// None.
    Off,
}

impl Sandbox {
    /// All of them.
    pub const ALL: [Sandbox; 3] = [Sandbox::Auto, Sandbox::Require, Sandbox::Off];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sandbox::Auto => "auto",
            Sandbox::Require => "require",
            Sandbox::Off => "off",
        }
    }
}

/// What may be done with what lies at a path and below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Files are read, and directories listed.
    pub read: bool,
    /// Files are executed.
    pub execute: bool,
    /// Files are written to, made, renamed and removed.
    pub write: bool,
}

impl Access {
    /// To read.
    pub const READ: Access = Access { read: true, execute: false, write: false };
    /// To read and to execute.
    pub const RUN: Access = Access { execute: true, ..Access::READ };
    /// To read and to write.
    pub const WRITE: Access = Access { write: true, ..Access::READ };
    /// All of it.
    pub const ALL: Access = Access { read: true, execute: true, write: true };

    fn covers(self, other: Access) -> bool {
        self.and(other) == self
    }

    fn and(self, other: Access) -> Access {
        Access {
            read: self.read || other.read,
            execute: self.execute || other.execute,
            write: self.write || other.write,
        }
    }

    fn flags(self) -> BitFlags<AccessFs> {
        let mut flags = BitFlags::EMPTY;
        if self.read {
            flags |= AccessFs::ReadFile | AccessFs::ReadDir;
        }
        if self.execute {
            flags |= AccessFs::Execute;
        }
        if self.write {
            flags |= AccessFs::from_write(KNOWN);
        }
        flags
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.read, "read"), (self.execute, "execute"), (self.write, "write")];
        let words: Vec<_> = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
        f.pad(&words.join(", "))
    }
}

/// A file or directory, and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Absolute, without links.
    pub path: PathBuf,
    /// What may be done there.
    pub access: Access,
    /// Device and number: a rule is about what lay there when it was made, and not about its name.
    inode: (u64, u64),
    /// Not only in case of need.
    is_needed: bool,
}

/// All that may be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// How much of the rules the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// This version of Landlock holds all or most of them.
    By(i32),
    /// None of it: the kernel has no Landlock.
    NotBuilt,
    /// None of it: it is switched off.
    SwitchedOff,
}

impl Rules {
    /// Allows this, if there is something at `path` now.
    pub fn allow(&mut self, path: &Path, access: Access) {
        self.insert(path, access, true);
    }

    /// The same, where it is no matter if it was not there at the start, and is now.
    pub fn allow_too(&mut self, path: &Path, access: Access) {
        self.insert(path, access, false);
    }

    fn insert(&mut self, path: &Path, access: Access, is_needed: bool) {
        let Ok(path) = fs::canonicalize(path) else { return };
        let Ok(metadata) = fs::metadata(&path) else { return };
        let inode = (metadata.dev(), metadata.ino());
        match self.0.iter_mut().find(|rule| rule.path == path) {
            Some(rule) => {
                rule.access = rule.access.and(access);
                rule.is_needed |= is_needed;
            }
            None => self.0.push(Rule { path, access, inode, is_needed }),
        }
    }

    /// Allows this, and lets whatever is made there later be of any kind: the directory that `path`
    /// lies in.
    pub fn allow_around(&mut self, path: &Path, access: Access) {
        self.allow(path.parent().unwrap_or(path), access);
    }

    /// Allows what `other` allows.
    pub fn add(&mut self, other: &Rules) {
        for rule in &other.0 {
            self.insert(&rule.path, rule.access, rule.is_needed);
        }
    }

    /// What they allow, as comments of a configuration.
    #[must_use]
    pub fn in_comments(&self, sandbox: Sandbox) -> String {
        if sandbox == Sandbox::Off {
            return String::new();
        }
        let mut rules: Vec<&Rule> = self.0.iter().collect();
        rules.sort_by(|a, b| a.path.cmp(&b.path));
        let mut text = "\n# The sandbox allows, here and below:\n".to_owned();
        for Rule { path, access, .. } in rules {
            let _ = writeln!(text, "#   {access:<21}{}", path.display().to_string().escape_debug());
        }
        text
    }

    /// The rules for another process, which has inherited them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for Rule { path, access, inode: (device, number), .. } in &self.0 {
            let Access { read, execute, write } = access;
            let [read, execute, write] = [read, execute, write].map(|&is| u8::from(is));
            bytes.extend(format!("{read} {execute} {write} {device} {number} ").bytes());
            bytes.extend(path.as_os_str().as_bytes());
            bytes.push(0);
        }
        bytes
    }

    /// The rules that another process has held. `None`: they are not written so.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Rules> {
        let is_one = |word: &[u8]| word == b"1";
        let number = |word: &[u8]| str::from_utf8(word).ok()?.parse().ok();
        let mut rules = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == 0) {
            let mut words = line.strip_suffix(&[0])?.splitn(6, |&byte| byte == b' ');
            let mut next = || words.next();
            let (read, execute, write) = (is_one(next()?), is_one(next()?), is_one(next()?));
            let inode = (number(next()?)?, number(next()?)?);
            let path = PathBuf::from(OsStr::from_bytes(next()?));
            let access = Access { read, execute, write };
            rules.push(Rule { path, access, inode, is_needed: true });
        }
        Some(Rules(rules))
    }

    /// What `needed` asks for and this does not allow.
    #[must_use]
    pub fn lacks<'a>(&self, needed: &'a Rules) -> Option<&'a Rule> {
        let is_allowed = |rule: &Rule| {
            let mut access = Access::default();
            for one in self.0.iter().filter(|one| rule.path.starts_with(&one.path)) {
                // What was put in the place of something else is something else.
                if one.path != rule.path || one.inode == rule.inode {
                    access = access.and(one.access);
                }
            }
            access.covers(rule.access)
        };
        needed.0.iter().filter(|rule| rule.is_needed).find(|rule| !is_allowed(rule))
    }

    /// From now on, this thread and all that it starts, be it a thread or a process, can do no more
    /// than this, and signal nobody that is not confined so. It cannot get new privileges either
    /// (`no_new_privs` in prctl(2)).
    ///
    /// # Errors
    /// Those of landlock_restrict_self(2); E2BIG where there are 16 of these already.
    pub fn hold(&self) -> Result<Held, RulesetError> {
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KNOWN))?
            .scope(Scope::Signal)?;
        let mut ruleset = ruleset.create()?;
        // It starts itself, to limit a script or to be succeeded.
        if let Ok(program) = PathFd::new("/proc/self/exe") {
            let run = AccessFs::ReadFile | AccessFs::Execute;
            ruleset = ruleset.add_rule(PathBeneath::new(program, run))?;
        }
        for rule in &self.0 {
            // It was there a moment ago.
            let Ok(open) = PathFd::new(&rule.path) else { continue };
            let mut flags = rule.access.flags();
            if !rule.path.is_dir() {
                flags &= AccessFs::from_file(KNOWN);
            }
            ruleset = ruleset.add_rule(PathBeneath::new(open, flags))?;
        }
        let status = ruleset.restrict_self()?;
        Ok(match (status.ruleset, status.landlock) {
            (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => Held::SwitchedOff,
            (
                RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
                LandlockStatus::Available { effective_abi, .. },
            ) => Held::By(effective_abi as i32),
            (_, _) => Held::NotBuilt,
        })
    }
}

/// What programs of any language are made of, and what they look at.
const PROGRAMS: [(&str, Access); 17] = [
    ("/bin", Access::RUN),
    ("/sbin", Access::RUN),
    ("/lib", Access::RUN),
    ("/lib32", Access::RUN),
    ("/lib64", Access::RUN),
    ("/usr", Access::RUN),
    ("/opt", Access::RUN),
    ("/nix/store", Access::RUN),
    ("/gnu/store", Access::RUN),
    ("/etc", Access::READ),
    ("/proc", Access::READ),
    ("/sys", Access::READ),
    ("/run", Access::READ),
    ("/dev", Access::WRITE),
    ("/tmp", Access::WRITE),
    ("/var/tmp", Access::WRITE),
    ("/var/lib", Access::READ),
];

impl Rules {
    /// What the processes of a route may do: use the system as it is installed, write where
    /// everybody may, and whatever they like where `reach` says so.
    #[must_use]
    pub fn of_programs(reach: &Reach) -> Rules {
        let mut rules = Rules::default();
        for (path, access) in PROGRAMS {
            rules.allow_too(Path::new(path), access);
        }
        // So it cannot be taken for what a server without programs has.
        rules.allow(Path::new("/usr"), Access::RUN);
        rules.allow_too(&std::env::temp_dir(), Access::WRITE);
        rules.allow(&reach.scripts, Access::RUN);
        for path in &reach.more {
            rules.allow(path, Access::ALL);
        }
        rules
    }
}

impl Server {
    /// From now on, each process that answers can reach no more of the file system than its route
    /// says ([`Rules::of_programs`]).
    pub fn confine_programs(&mut self) {
        self.net.confine_programs();
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A folder of the test's own, with two others in it, for as long as the first is held.
    fn scratch() -> (TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().canonicalize().unwrap();
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::create_dir(folder.join("ab")).unwrap();
        (scratch, folder)
    }

    fn rules(all: &[(&Path, Access)]) -> Rules {
        let mut rules = Rules::default();
        for (path, access) in all {
            rules.allow(path, *access);
        }
        rules
    }

    #[test]
    fn what_is_allowed_somewhere_is_allowed_below_and_nowhere_else() {
        let (_scratch, folder) = scratch();
        let [a, b, other] = ["a", "a/b", "ab"].map(|name| folder.join(name));
        let had = rules(&[(&a, Access::READ), (&b, Access::WRITE)]);
        let needs = |path: &Path, access| {
            let needed = rules(&[(path, access)]);
            had.lacks(&needed).map(|rule| rule.path.clone())
        };
        assert_eq!(needs(&a, Access::READ), None);
        assert_eq!(needs(&b, Access::READ), None);
        assert_eq!(needs(&b, Access::WRITE), None);
        assert_eq!(needs(&a, Access::WRITE), Some(a.clone()));
        assert_eq!(needs(&b, Access::RUN), Some(b.clone()));
        assert_eq!(needs(&other, Access::READ), Some(other.clone()));
        assert_eq!(needs(&folder, Access::READ), Some(folder.clone()));
        // What is added to a path adds to what was there.
        assert_eq!(rules(&[(&a, Access::RUN), (&a, Access::WRITE)]).0[0].access, Access::ALL);
        // What need not be there is not missed.
        let mut optional = Rules::default();
        optional.allow_too(&other, Access::ALL);
        assert_eq!(had.lacks(&optional), None);
        optional.allow(&other, Access::READ);
        assert!(had.lacks(&optional).is_some());
    }

    #[test]
    fn what_was_put_in_its_place_is_something_else() {
        let (_scratch, folder) = scratch();
        let (a, kept) = (folder.join("a"), folder.join("kept"));
        let had = rules(&[(&a, Access::READ)]);
        fs::rename(&a, kept).unwrap();
        fs::create_dir(&a).unwrap();
        assert!(had.lacks(&rules(&[(&a, Access::READ)])).is_some());
        // A rule for the folder around it is about whatever lies in there.
        let around = rules(&[(&folder, Access::READ)]);
        assert_eq!(around.lacks(&rules(&[(&a, Access::READ)])), None);
    }

    #[test]
    fn another_process_reads_the_same_rules() {
        let (_scratch, folder) = scratch();
        let odd = folder.join("a/\n 1 é");
        fs::create_dir(&odd).unwrap();
        let rules = rules(&[(&folder, Access::RUN), (&odd, Access::WRITE), (&odd, Access::READ)]);
        assert_eq!(Rules::from_bytes(&rules.to_bytes()), Some(rules.clone()));
        assert_eq!(Rules::from_bytes(b""), Some(Rules::default()));
        for bad in [&b"1 0 0 1 2 /a"[..], b"1 0 0 1 /a\0", b"1 0 0 1 x /a\0", b"\0"] {
            assert_eq!(Rules::from_bytes(bad), None);
        }
        let text = rules.in_comments(Sandbox::Auto);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("# ")), "{text}");
        assert_eq!(rules.in_comments(Sandbox::Off), "");
    }

    #[test]
    fn a_thread_that_is_confined_can_do_no_more_and_what_it_starts_neither() {
        let (_scratch, folder) = scratch();
        let [a, read, other] = ["a", "read", "ab"].map(|name| folder.join(name));
        fs::create_dir(&read).unwrap();
        for place in [&read, &other] {
            fs::write(place.join("file"), "").unwrap();
        }
        let work = || {
            let held = rules(&[(&a, Access::WRITE), (&read, Access::READ)]).hold();
            if !matches!(held, Ok(Held::By(_))) {
                return;
            }
            fs::write(a.join("file"), "").unwrap();
            let started = std::thread::spawn(move || fs::read(other.join("file")));
            let error = started.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            fs::read(read.join("file")).unwrap();
            for place in [&read, &folder] {
                let error = fs::write(place.join("new"), "").unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            }
            assert!(std::process::Command::new("/bin/true").status().is_err());
            fs::remove_file(a.join("file")).unwrap();
        };
        std::thread::scope(|scope| scope.spawn(work).join().unwrap());
    }
}
