//! Why a request is answered as it is: which host, routes, settings and file decide.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::access::Access;
use super::files::Found;
use super::instead::StandIn;
use super::root::Absence;
use super::rule::{Acting, Compiled, Place, RouteNumber, Rule};
use super::script::Finder;
use super::{Answer, Errand, Inquiry, Site};
use crate::gateway::Script;
use crate::http::Refusal;
use crate::http::status::Status;
use crate::http::target::Target;

/// Why a request is answered as it is. Its `Display` says all of it, in lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The names of the host that answers; none if it answers for names that no host has.
    pub host: Vec<String>,
    /// Where the configuration says what that host serves.
    pub place: Option<Place>,
    /// The path that routes and files are found by, or why there is none.
    pub path: Result<String, Refusal>,
    /// The routes that match it, the most specific one first.
    pub routes: Vec<Matched>,
    /// Where the path leads, if it is files that answer.
    pub file: Option<PathBuf>,
    /// The program that answers, in words, if it is one.
    pub program: Option<String>,
    /// What the program is asked for; `None` where there is no such script.
    pub script: Option<Script>,
    /// Why nothing is served from there, or no program is asked.
    pub missing: Option<&'static str>,
    /// The path of the same host whose file or program answers instead: a fallback, or the page for
    /// an error.
    pub instead: Option<String>,
    /// How it is answered; `None` where a program, a handler or a password decides.
    pub status: Option<Status>,
    /// The field lines of the answer.
    pub fields: Vec<String>,
}

/// A route that matches a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Its pattern, as it was written.
    pub pattern: String,
    /// Where the configuration says it.
    pub place: Option<Place>,
    /// Whether its action is the one that answers.
    pub acts: bool,
    /// What it says, in words: `files below /srv/www`, `field Cache-Control: no-store`.
    pub says: Vec<String>,
}

impl Site {
    /// Why `inquiry` is answered as it is. No handler and no program is
    /// asked; files and scripts are looked for.
    #[must_use]
    pub fn explain(&self, inquiry: &Inquiry<'_>) -> Explanation {
        let head = inquiry.head;
        let host = self.names.find(head.host);
        let mut scratch = Vec::new();
        let resolved = head.target.resolve(&mut scratch);
        let mut explanation = Explanation {
            host: self.hosts[host].names.clone(),
            place: self.hosts[host].place.clone(),
            path: resolved.map(|path| String::from_utf8_lossy(path).into_owned()),
            routes: Vec::new(),
            file: None,
            program: None,
            script: None,
            missing: None,
            instead: None,
            status: None,
            fields: Vec::new(),
        };
        let path = resolved.ok().filter(|_| head.target != Target::Asterisk);
        let rule = path.map(|path| self.hosts[host].table.rule(path));
        if let (Some(rule), Some(path)) = (&rule, path) {
            explanation.routes = matched(rule);
            let found = self.whereabouts(host, path);
            explanation = explanation.found(found);
            if matches!(rule.action(), Some(Acting::Handlers(_))) {
                return explanation;
            }
        }
        match (self.answer(inquiry, &mut RouteNumber::default()), path, rule) {
            (Answer::Reply(reply), _, rule) => {
                explanation.status = Some(reply.status);
                let lines = String::from_utf8_lossy(&reply.fields).into_owned();
                explanation.fields = lines.lines().map(str::to_owned).collect();
                let instead = rule.and_then(|rule| match reply.status {
                    status if status.is_error() => rule.errors.find(status).cloned(),
                    _ => rule.fallback.clone().filter(|_| explanation.missing.is_some()),
                });
                explanation.instead =
                    instead.filter(|path| self.has_file(host, path)).map(|path| path.to_string());
            }
            (Answer::Gateway(plan), Some(path), Some(rule)) if explanation.script.is_none() => {
                let errand = Errand { inquiry, host, path, rule: &rule };
                self.explain_stand_in(&mut explanation, &errand);
                explanation.script = Some(plan.script);
            }
            (Answer::Gateway(_) | Answer::Content { .. } | Answer::Later(_), ..) => {}
        }
        explanation
    }

    /// Says which program it is that answers instead.
    fn explain_stand_in(&self, explanation: &mut Explanation, errand: &Errand<'_>) {
        let host = errand.host;
        match self.stand_in(errand) {
            Some(StandIn::Script(lead)) => {
                explanation.program = self.whereabouts(host, lead).program;
                (explanation.file, explanation.missing) = (None, None);
            }
            Some(StandIn::Fallback(path)) => {
                explanation.program = self.whereabouts(host, path.as_bytes()).program;
                explanation.instead = Some(path.to_owned());
            }
            Some(StandIn::Below) | None => {}
        }
    }

    /// Whether the host can answer with a file at `path`.
    fn has_file(&self, host: usize, path: &str) -> bool {
        let found = self.whereabouts(host, path.as_bytes());
        found.file.is_some() && found.missing.is_none()
    }

    /// Where `path` leads, if files or a program answer.
    fn whereabouts(&self, host: usize, path: &[u8]) -> Whereabouts {
        let rule = self.hosts[host].table.rule(path);
        let mut found = Whereabouts::default();
        if let Some((finder, pattern)) = rule.program() {
            found.program = Some(finder.to_string());
            match finder.find(path, pattern, None) {
                Ok(script) => found.script = Some(script),
                Err(absence) => found.missing = Some(Finder::why(&absence)),
            }
        }
        if let Some((files, below)) = rule.files(path) {
            let mut at = below;
            let sought = files.find(below, |name| self.is_program(host, path, name));
            match &sought {
                Ok(Found::Program(name)) => {
                    return self.whereabouts(host, &[path, name.as_bytes()].concat());
                }
                Ok(Found::File(sighting)) => at = &sighting.path,
                Ok(Found::Directory(_) | Found::WithoutSlash) => {}
                Ok(Found::Nothing(_)) => {
                    found.missing = Some(files.why(below, &Absence::Missing));
                }
                Err(absence) => found.missing = Some(files.why(below, absence)),
            }
            found.file = Some(files.directory().join(OsStr::from_bytes(at)));
        }
        found
    }
}

fn matched(rule: &Rule) -> Vec<Matched> {
    let acting = rule.route().map(|route| &route.pattern);
    let matched = |route: &Compiled| Matched {
        pattern: route.pattern.text.to_string(),
        place: route.place.clone(),
        acts: acting == Some(&route.pattern),
        says: says(route),
    };
    rule.routes.iter().map(|route| matched(route)).collect()
}

fn says(route: &Compiled) -> Vec<String> {
    let action = route.action.as_ref().map(|action| match action {
        Acting::Files(files) => files.to_string(),
        Acting::Redirect { status, .. } => format!("redirect with {status}"),
        Acting::Respond { status, .. } => format!("respond with {status}"),
        Acting::Handlers(table) => format!("handlers for {}", table.allow()),
        Acting::Program(finder) => finder.to_string(),
    });
    let settings = &route.settings;
    let access = settings.access.iter().map(|access| match &**access {
        Access::Allow(allow) => format!("allow {allow}"),
        Access::Basic(basic) => format!("auth {}", basic.challenge()),
    });
    let fields = settings.fields.iter().map(|(name, value)| format!("field {name}: {value}"));
    let errors = settings.errors.iter().map(|(key, path)| format!("error page {key}: {path}"));
    let content = settings.content_limit.map(|limit| format!("content: at most {limit} bytes"));
    let fallback = settings.fallback.as_ref().map(|path| format!("fallback {path}"));
    action
        .into_iter()
        .chain(access)
        .chain(fields)
        .chain(errors)
        .chain(content)
        .chain(fallback)
        .collect()
}

/// Where a path leads.
#[derive(Default)]
struct Whereabouts {
    file: Option<PathBuf>,
    program: Option<String>,
    script: Option<Script>,
    missing: Option<&'static str>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host[..] {
            [] => f.write_str("host    the one for all names")?,
            names => write!(f, "host    {}", names.join(", "))?,
        }
        write_place(f, self.place.as_ref())?;
        writeln!(f)?;
        match &self.path {
            Ok(path) => writeln!(f, "path    {path}")?,
            Err(refusal) => writeln!(f, "path    none: {}", refusal.why)?,
        }
        for route in &self.routes {
            write!(f, "route   {}", route.pattern)?;
            write_place(f, route.place.as_ref())?;
            writeln!(f, "{}", if route.acts { "  answers" } else { "" })?;
            for what in &route.says {
                writeln!(f, "          {what}")?;
            }
        }
        if self.script.is_none() {
            self.write_program(f)?;
        }
        match (&self.file, self.missing) {
            (Some(file), None) => writeln!(f, "file    {}", file.display())?,
            (Some(file), Some(why)) => writeln!(f, "file    none at {}: {why}", file.display())?,
            (None, Some(why)) => writeln!(f, "script  none: {why}")?,
            (None, None) => {}
        }
        if let Some(path) = &self.instead {
            writeln!(f, "instead {path}")?;
        }
        self.write_script(f)?;
        match self.status {
            Some(status) => writeln!(f, "answer  {status}")?,
            None if self.script.is_some() => writeln!(f, "answer  by the program")?,
            None => writeln!(f, "answer  by a handler, or after a password has been verified")?,
        }
        for line in &self.fields {
            writeln!(f, "          {line}")?;
        }
        Ok(())
    }
}

impl Explanation {
    fn found(self, found: Whereabouts) -> Explanation {
        let Whereabouts { file, program, script, missing } = found;
        Explanation { file, program, script, missing, ..self }
    }

    fn write_program(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => writeln!(f, "program {program}"),
            None => Ok(()),
        }
    }

    /// The program that is asked, and what for.
    fn write_script(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Script { name, path_info, file, root }) = &self.script else { return Ok(()) };
        self.write_program(f)?;
        if let Some(file) = file {
            writeln!(f, "script  {}", file.display())?;
        }
        let variables = [
            ("SCRIPT_NAME", String::from_utf8_lossy(name)),
            ("PATH_INFO", String::from_utf8_lossy(path_info)),
            ("DOCUMENT_ROOT", root.as_ref().map_or("".into(), |root| root.to_string_lossy())),
        ];
        for (name, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(f, "          {name}={value}")?;
        }
        Ok(())
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, place: Option<&Place>) -> fmt::Result {
    match place {
        Some(Place { file, line }) => write!(f, "  ({file}:{line})"),
        None => Ok(()),
    }
}
