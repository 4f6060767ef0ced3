//! The way to a confined process: another user, no new privileges, few files, few system calls, for
//! all its threads and whatever they start.
//!
//! Landlock and seccomp hold for a thread and those that it begins later, and can never be
//! loosened. So it is done while there is no other thread. Which files are needed is not known
//! here.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::privileges;
use super::system_calls::{self, Calls};
use crate::server::confinement::identity::Identity;
use crate::server::confinement::{Held, Rules, Sandbox};
use crate::server::diagnostic_log::DiagnosticLog;

/// How long threads may take to end, which write what the log has.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who the process is to be, if root has started it.
    pub identity: Option<Identity>,
    /// How much it is to be confined.
    pub sandbox: Sandbox,
    /// All that it may do with files.
    pub rules: Rules,
    /// Whether it starts programs of others.
    pub has_programs: bool,
    /// Files that are to be its own, so that they can be opened anew.
    pub files: Vec<PathBuf>,
}

/// What a process is confined to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// All that it may do with files; `None`: whatever their modes allow.
    rules: Option<Rules>,
    /// The system calls that it has; `None`: all.
    calls: Option<Calls>,
}

/// What is written of [`Calls`] for another process.
const CALLS: [(&[u8], Option<Calls>); 3] =
    [(b"all", None), (b"server", Some(Calls::OfServer)), (b"programs", Some(Calls::OfPrograms))];

impl Confinement {
    /// Whether the process could do with files what `needed` says, and start programs where it is
    /// to have them.
    ///
    /// # Errors
    /// What it could not do, and what to do about it.
    pub fn allows(&self, needed: &Rules, has_programs: bool) -> Result<(), String> {
        let lacking = match self.rules.as_ref().and_then(|rules| rules.lacks(needed)) {
            Some(rule) => format!("{} {}", rule.access, rule.path.display()),
            None if has_programs && self.calls == Some(Calls::OfServer) => {
                "make the system calls of programs".to_owned()
            }
            None => return Ok(()),
        };
        Err(format!(
            "the sandbox does not let this process {lacking}, and cannot be opened any more\n\
             Restart the server. Or name the folders of sites to come in server.reach before; or \
             let several processes serve (server.workers), of which a reload starts others."
        ))
    }

    /// The same for another process, which inherits it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let calls = CALLS.iter().find(|(_, calls)| *calls == self.calls);
        let mut bytes = calls.map_or(&b""[..], |(word, _)| word).to_vec();
        if let Some(rules) = &self.rules {
            bytes.push(0);
            bytes.extend(rules.to_bytes());
        }
        bytes
    }

    /// What another process is confined to. `None`: it is not written so.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Confinement> {
        let mut parts = bytes.splitn(2, |&byte| byte == 0);
        let word = parts.next()?;
        let (_, calls) = CALLS.iter().find(|(one, _)| *one == word)?;
        let rules = match parts.next() {
            Some(rules) => Some(Rules::from_bytes(rules)?),
            None => None,
        };
        Some(Confinement { rules, calls: *calls })
    }
}

/// Does what is asked for. `inherited`: what this process is confined to already, by a predecessor.
///
/// # Errors
/// Why it cannot be, and what to do.
pub(super) fn confine(
    asked: Asked,
    inherited: Confinement,
    log: &DiagnosticLog,
) -> Result<Confinement, String> {
    let Asked { identity, sandbox, rules, has_programs, files } = asked;
    let is_root = privileges::is_root();
    match &identity {
        Some(identity) if is_root => {
            for path in files {
                privileges::give(&path, identity).map_err(|error| {
                    format!("cannot give {} to the user: {error}", path.display())
                })?;
            }
        }
        Some(identity) if !privileges::is_already(identity) => log::warn!(
            "server.user is not heeded: only root can become another user, and this is not root"
        ),
        Some(_) | None => {}
    }
    let is_alone = be_alone(log);
    if let Some(identity) = identity.filter(|_| is_root) {
        privileges::drop_to(&identity)?;
    }
    privileges::no_new_privileges().map_err(|error| format!("no_new_privs: {error}"))?;
    inherited.allows(&rules, has_programs)?;
    if sandbox == Sandbox::Off && inherited != Confinement::default() {
        log::warn!("the sandbox is not off: it is that of the process before this one");
    }
    if sandbox == Sandbox::Off || (inherited.rules.is_some() && inherited.calls.is_some()) {
        return Ok(inherited);
    }
    match is_alone {
        Ok(()) => {}
        Err(why) if sandbox == Sandbox::Require => {
            return Err(format!("the sandbox is required, and cannot be had: {why}"));
        }
        // Most of it is better than none of it.
        Err(why) => log::warn!("other threads may stay outside the sandbox: {why}"),
    }
    let calls = if has_programs { Calls::OfPrograms } else { Calls::OfServer };
    enter(sandbox, rules, calls, inherited)
}

/// Waits until this is the only thread: others would stay what they are.
fn be_alone(log: &DiagnosticLog) -> Result<(), String> {
    let since = Instant::now();
    loop {
        let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
        match threads {
            Ok(1) => return Ok(()),
            Ok(count) if since.elapsed() >= PATIENCE => {
                return Err(format!("other threads do not end, there are {count}"));
            }
            Ok(_) => {
                log.rest();
                thread::sleep(Duration::from_micros(100));
            }
            Err(error) => {
                return Err(format!("/proc does not say which threads there are: {error}"));
            }
        }
    }
}

/// Confines this process to what `inherited` does not confine it to already.
fn enter(
    sandbox: Sandbox,
    rules: Rules,
    calls: Calls,
    inherited: Confinement,
) -> Result<Confinement, String> {
    let mut missing = Vec::new();
    let mut held = Vec::new();
    let mut confinement = inherited;
    if confinement.rules.is_none() {
        match rules.hold() {
            Ok(Held::By(version)) => {
                held.push(format!("Landlock (version {version})"));
                confinement.rules = Some(rules);
            }
            Ok(Held::NotBuilt) => missing.push("Landlock, which Linux has from 5.13 on".to_owned()),
            Ok(Held::SwitchedOff) => missing.push(
                "Landlock, which is switched off (`lsm=` on the kernel's command line names those \
                 that are on)"
                    .to_owned(),
            ),
            Err(error) => missing.push(format!("Landlock: {error}")),
        }
    }
    if confinement.calls.is_none() {
        match system_calls::give_up_others(calls) {
            Ok(()) => {
                held.push("seccomp".to_owned());
                confinement.calls = Some(calls);
            }
            Err(error) => missing.push(format!("seccomp: {error}")),
        }
    }
    if sandbox == Sandbox::Require && !missing.is_empty() {
        return Err(format!(
            "the sandbox is required, and this system lacks {}\n\
             With server.sandbox = \"auto\" the server does without.",
            missing.join("; and ")
        ));
    }
    if !missing.is_empty() {
        log::warn!("the sandbox lacks {}", missing.join("; and "));
    }
    if !held.is_empty() {
        log::info!("confined by {}", held.join(" and "));
    }
    Ok(confinement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_is_confined_to_the_same() {
        let mut some = Rules::default();
        some.allow("/usr".as_ref(), crate::server::confinement::Access::RUN);
        for rules in [None, Some(Rules::default()), Some(some)] {
            for (_, calls) in CALLS {
                let confinement = Confinement { rules: rules.clone(), calls };
                assert_eq!(Confinement::from_bytes(&confinement.to_bytes()), Some(confinement));
            }
        }
        for bad in [&b""[..], b"none", b"all\0/usr", b"\0"] {
            assert_eq!(Confinement::from_bytes(bad), None);
        }
    }
}
