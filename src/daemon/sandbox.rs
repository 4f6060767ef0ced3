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
use super::system_calls;
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
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    rules: Option<Rules>,
}

impl Confinement {
    /// All that it may do with files; `None`: whatever their modes allow.
    #[must_use]
    pub fn rules(&self) -> Option<&Rules> {
        self.rules.as_ref()
    }

    /// Whether the process could do with files what `needed` says.
    ///
    /// # Errors
    /// What it could not do, and what to do about it.
    pub fn allows(&self, needed: &Rules) -> Result<(), String> {
        let Some(rule) = self.rules.as_ref().and_then(|rules| rules.lacks(needed)) else {
            return Ok(());
        };
        Err(format!(
            "the sandbox does not let this process {} {}, and cannot be opened any more\n\
             Restart the server. Or name the folders of sites to come in server.reach before; or \
             let several processes serve (server.workers), of which a reload starts others.",
            rule.access,
            rule.path.display()
        ))
    }
}

/// Does what is asked for. `inherited`: what this process is confined to already, by a predecessor.
///
/// # Errors
/// Why it cannot be, and what to do.
pub(super) fn confine(
    asked: Asked,
    inherited: Option<Rules>,
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
    if inherited.is_some() {
        if sandbox == Sandbox::Off {
            log::warn!("the sandbox is not off: it is that of the process before this one");
        }
        let confinement = Confinement { rules: inherited };
        confinement.allows(&rules)?;
        return Ok(confinement);
    }
    let confinement = match sandbox {
        Sandbox::Off => Confinement::default(),
        Sandbox::Auto | Sandbox::Require => {
            match is_alone {
                Ok(()) => {}
                Err(why) if sandbox == Sandbox::Require => {
                    return Err(format!("the sandbox is required, and cannot be had: {why}"));
                }
                // Most of it is better than none of it.
                Err(why) => log::warn!("other threads may stay outside the sandbox: {why}"),
            }
            enter(sandbox, rules, has_programs)?
        }
    };
    Ok(confinement)
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

fn enter(sandbox: Sandbox, rules: Rules, has_programs: bool) -> Result<Confinement, String> {
    let mut missing = Vec::new();
    let mut held = Vec::new();
    let mut confinement = Confinement::default();
    match rules.hold() {
        Ok(Held::By(version)) => {
            held.push(format!("Landlock (version {version})"));
            confinement.rules = Some(rules);
        }
        Ok(Held::NotBuilt) => missing.push("Landlock, which Linux has from 5.13 on".to_owned()),
        Ok(Held::SwitchedOff) => missing.push(
            "Landlock, which is switched off (`lsm=` on the kernel's command line names those that \
             are on)"
                .to_owned(),
        ),
        Err(error) => missing.push(format!("Landlock: {error}")),
    }
    match system_calls::give_up_others(has_programs) {
        Ok(()) => held.push("seccomp".to_owned()),
        Err(error) => missing.push(format!("seccomp: {error}")),
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
