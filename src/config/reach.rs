//! What a configuration needs of the file system while the server runs, and for what may be asked
//! of it then: a reload, logs that are opened anew, a new program in its place.

use std::env;
use std::path::{Path, PathBuf};

use super::meaning::{Action, Config, Files};
use crate::server::confinement::{Access, Rules};
use crate::server::listener::Address;
use crate::server::outlet::LogTarget;
use crate::site::Symlinks;
use crate::site::program::{Kind, Program};

/// What looking names up, and starting this program anew, may need: the libraries, and what says of
/// the machine who and where everybody is.
const SYSTEM: [(&str, Access); 14] = [
    ("/lib", Access::RUN),
    ("/lib64", Access::RUN),
    ("/usr/lib", Access::RUN),
    ("/usr/lib64", Access::RUN),
    ("/nix/store", Access::RUN),
    ("/gnu/store", Access::RUN),
    ("/etc", Access::READ),
    ("/run/systemd/resolve", Access::READ),
    ("/run/resolvconf", Access::READ),
    ("/run/NetworkManager", Access::READ),
    ("/run/nscd", Access::READ),
    ("/proc", Access::READ),
    ("/sys/fs/cgroup", Access::READ),
    ("/dev/null", Access::WRITE),
];

impl Config {
    /// All that the process may do with files. `file`: where the configuration stands, if it is to
    /// be read again.
    #[must_use]
    pub fn rules(&self, file: Option<&Path>) -> Rules {
        let mut rules = Rules::default();
        for (path, access) in SYSTEM {
            rules.allow_too(Path::new(path), access);
        }
        if let Ok(program) = env::current_exe() {
            rules.allow_too(program.parent().unwrap_or(&program), Access::RUN);
        }
        // Content that waits for a program is kept there.
        rules.allow_too(&env::temp_dir(), Access::WRITE);
        // An editor puts a new file in the place of the old one.
        if let Some(file) = file.and_then(|file| std::path::absolute(file).ok()) {
            rules.allow_around(&file, Access::READ);
        }
        for path in &self.reach {
            rules.allow(path, Access::READ);
        }
        for path in self.written() {
            rules.allow_around(path, Access::WRITE);
            // It may be a FIFO or a link that leads elsewhere.
            rules.allow(path, Access::WRITE);
        }
        for site in &self.sites {
            if let Some(root) = &site.root {
                rules.allow(root, Access::READ);
            }
            for route in &site.routes {
                if let Some(auth) = &route.auth {
                    rules.allow_around(&auth.basic, Access::READ);
                }
                match &route.action {
                    Some(Action::Files(Files { symlinks: Symlinks::Follow, .. })) => {
                        rules.allow(Path::new("/"), Access::READ);
                    }
                    Some(Action::Files(files)) => rules.allow(&files.root, Access::READ),
                    Some(Action::Program(program)) => add_program(&mut rules, program),
                    Some(Action::Redirect { .. } | Action::Respond { .. }) | None => {}
                }
            }
        }
        rules
    }

    /// Whether requests are answered by processes that are started for them.
    #[must_use]
    pub fn has_programs(&self) -> bool {
        let actions = self.sites.iter().flat_map(|site| &site.routes).map(|route| &route.action);
        actions.flatten().any(|action| match action {
            Action::Program(program) => matches!(program.kind, Kind::Cgi(_)),
            Action::Files(_) | Action::Redirect { .. } | Action::Respond { .. } => false,
        })
    }

    /// Files that are made, or opened to be written to, also later.
    fn written(&self) -> Vec<&PathBuf> {
        let logs = self.logs();
        let sockets = self.listen.iter().chain(&self.admin).filter_map(|address| match address {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) => None,
        });
        logs.into_iter().chain(sockets).chain(&self.pid_file).collect()
    }

    /// The files that logs are written to.
    #[must_use]
    pub fn logs(&self) -> Vec<&PathBuf> {
        let mut logs = Vec::new();
        for target in [&self.access_log.to, &self.diagnostic_log.to] {
            match target {
                LogTarget::File(path) => logs.push(path),
                LogTarget::None | LogTarget::Stdout | LogTarget::Stderr | LogTarget::Syslog(_) => {}
            }
        }
        logs
    }
}

fn add_program(rules: &mut Rules, program: &Program) {
    match &program.kind {
        Kind::Cgi(cgi) => {
            let reach = program.reach(cgi);
            rules.add(&Rules::of_programs(&reach));
        }
        // To know a script from what is behind it in a path, it is looked for.
        Kind::FastCgi(application) => {
            if let Some(root) = &application.root {
                rules.allow(root, Access::READ);
            }
        }
        Kind::Scgi(_) | Kind::Proxy(_) => {}
    }
}
