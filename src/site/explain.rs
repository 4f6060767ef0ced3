//! Why a request is answered as it is: which host, routes, settings and file decide.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::access::Access;
use super::error_page::ErrorPages;
use super::files::Found;
use super::rule::{Acting, Compiled, Place, Rule};
use super::{Answer, Inquiry, Site};
use crate::http::Refusal;
use crate::http::status::Status;
use crate::http::target::Target;

/// Why a request is answered as it is. Its `Display` says all of it, in lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The names of the host that answers; none if it answers for names that no host has.
    pub host: Vec<String>,
    /// The path that routes and files are found by, or why there is none.
    pub path: Result<String, Refusal>,
    /// The routes that match it, the most specific one first.
    pub routes: Vec<Matched>,
    /// The file that answers.
    pub file: Option<PathBuf>,
    /// How it is answered; `None` where a handler or a password decides.
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
    /// Why `inquiry` is answered as it is. No handler is asked; files are looked for.
    #[must_use]
    pub fn explain(&self, inquiry: &Inquiry<'_>) -> Explanation {
        let head = inquiry.head;
        let host = self.names.find(head.host);
        let mut scratch = Vec::new();
        let resolved = head.target.resolve(&mut scratch);
        let mut explanation = Explanation {
            host: self.hosts[host].names.clone(),
            path: resolved.map(|path| String::from_utf8_lossy(path).into_owned()),
            routes: Vec::new(),
            file: None,
            status: None,
            fields: Vec::new(),
        };
        if let (Ok(path), true) = (resolved, head.target != Target::Asterisk) {
            let rule = self.hosts[host].table.rule(path);
            explanation.routes = matched(&rule);
            explanation.file = file(&rule, path);
            if matches!(rule.action(), Some(Acting::Handlers(_))) {
                return explanation;
            }
        }
        if let Answer::Reply(reply) = self.answer(inquiry) {
            explanation.status = Some(reply.status);
            let lines = String::from_utf8_lossy(&reply.fields).into_owned();
            explanation.fields = lines.lines().map(str::to_owned).collect();
        }
        explanation
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
        Acting::Files(files) => format!("files below {}", files.directory().display()),
        Acting::Redirect { status, .. } => format!("redirect with {status}"),
        Acting::Respond { status, .. } => format!("respond with {status}"),
        Acting::Handlers(table) => format!("handlers for {}", table.allow()),
    });
    let settings = &route.settings;
    let access = settings.access.iter().map(|access| match &**access {
        Access::Allow(_) => "allow: some addresses only".to_owned(),
        Access::Basic(_) => "auth: a password".to_owned(),
    });
    let fields = settings.fields.iter().map(|(name, value)| format!("field {name}: {value}"));
    let errors = (settings.errors != ErrorPages::default()).then(|| "errors: own pages".to_owned());
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

fn file(rule: &Rule, path: &[u8]) -> Option<PathBuf> {
    let (files, below) = rule.files(path)?;
    match files.find(below).ok()? {
        Found::File(sighting) => Some(files.directory().join(OsStr::from_bytes(&sighting.path))),
        Found::Directory(_) | Found::WithoutSlash => {
            Some(files.directory().join(OsStr::from_bytes(below)))
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host[..] {
            [] => writeln!(f, "host    the one for all names")?,
            names => writeln!(f, "host    {}", names.join(", "))?,
        }
        match &self.path {
            Ok(path) => writeln!(f, "path    {path}")?,
            Err(refusal) => writeln!(f, "path    none: {}", refusal.why)?,
        }
        for route in &self.routes {
            write!(f, "route   {}", route.pattern)?;
            if let Some(Place { file, line }) = &route.place {
                write!(f, "  ({file}:{line})")?;
            }
            writeln!(f, "{}", if route.acts { "  answers" } else { "" })?;
            for what in &route.says {
                writeln!(f, "          {what}")?;
            }
        }
        if let Some(file) = &self.file {
            writeln!(f, "file    {}", file.display())?;
        }
        match self.status {
            Some(status) => writeln!(f, "answer  {status}")?,
            None => writeln!(f, "answer  by a handler, or after a password has been verified")?,
        }
        for line in &self.fields {
            writeln!(f, "          {line}")?;
        }
        Ok(())
    }
}
