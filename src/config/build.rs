//! What a configuration means, put to work: a site and the server's options.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::rc::Rc;

use super::error::ConfigError;
use super::meaning::{Action, Auth, Config, Files, Route, Site};
use crate::http::negotiation::Coding;
use crate::server::Options;
use crate::server::confinement::Sandbox;
use crate::server::diagnostic_log::DiagnosticLogOptions;
use crate::server::outlet::LogTarget;
use crate::site::access::{Access, Allow, Basic, Htpasswd};
use crate::site::error_page::ErrorPages;
use crate::site::media_type::MediaTypes;
use crate::site::router::Router;
use crate::site::rule::{self, Place, Settings};
use crate::site::{self, SiteOptions, Symlinks};

/// Where lines go that nobody wants.
const NOWHERE: &str = "/dev/null";

/// The pattern of every path.
const EVERY_PATH: &str = "/*";

impl Config {
    /// What the server is started with.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            listen: self.listen.clone(),
            admin: self.admin.clone(),
            trust: self.trust.clone(),
            limits: self.limits.clone(),
            access_log: self.access_log.clone(),
        }
    }

    /// What of it a recording has: all that decides how clients are answered, and nothing about the
    /// process or where it writes.
    #[must_use]
    pub fn for_recording(&self) -> Config {
        let mut config = Config {
            admin: None,
            workers: 1,
            pid_file: None,
            identity: None,
            sandbox: Sandbox::Off,
            reach: Vec::new(),
            diagnostic_log: DiagnosticLogOptions::default(),
            ..self.clone()
        };
        // Whether lines are made decides when the loop wakes up to write them.
        if config.access_log.to != LogTarget::None {
            config.access_log.to = LogTarget::File(NOWHERE.into());
        }
        config
    }

    /// A directory that is served, if `file` lies in it.
    #[must_use]
    pub fn root_around(&self, file: &Path) -> Option<&Path> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        let holds = |root: &&Path| root.canonicalize().is_ok_and(|root| folder.starts_with(root));
        self.sites.iter().flat_map(roots).find(holds)
    }

    /// What answers. Opens the directories and reads the files of users.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub fn site(&self) -> Result<site::Site, ConfigError> {
        let mut media_types = MediaTypes::default();
        for (extension, media_type) in &self.media_types {
            media_types.add(extension, media_type).map_err(|error| refused(&error, None))?;
        }
        let options = SiteOptions {
            media_types,
            content_limit: self.limits.content_bytes,
            cache: self.cache,
        };
        let hosts: Result<Vec<_>, ConfigError> =
            self.sites.iter().map(|site| Ok((site.hosts.clone(), router(site)?))).collect();
        site::Site::new(hosts?, options).map_err(|error| refused(&error, None))
    }
}

fn router(site: &Site) -> Result<Router, ConfigError> {
    let mut routes = Vec::new();
    for route in &site.routes {
        routes.push(self::route(route, &site.precompressed)?);
    }
    let everywhere = match routes.iter_mut().find(|route| route.pattern == EVERY_PATH) {
        Some(route) => route,
        None => routes.push_mut(rule::Route {
            pattern: EVERY_PATH.to_owned(),
            action: None,
            settings: Settings::default(),
            place: site.place.clone(),
        }),
    };
    // What the site says holds everywhere, unless its route for every path says otherwise.
    if let (None, Some(root)) = (&everywhere.action, &site.root) {
        let (root, index) = (root.clone(), site.index.clone());
        let symlinks = Symlinks::default();
        let (whole_path, listing, dotfiles) = (true, false, false);
        let files = Files { root, whole_path, index, listing, symlinks, dotfiles };
        let files = self::files(&files, &site.precompressed, site.place.as_ref())?;
        everywhere.action = Some(rule::Action::Files(files));
    }
    let mut errors = error_pages(&site.errors, site.place.as_ref())?;
    errors.overlay(&everywhere.settings.errors);
    everywhere.settings.errors = errors;
    let host = Router::new().said_at(site.place.clone());
    Ok(routes.into_iter().fold(host, Router::route))
}

fn route(route: &Route, codings: &[Coding]) -> Result<rule::Route, ConfigError> {
    let Route { pattern, action, allow, auth, fields, errors, content_bytes, fallback, place } =
        route;
    let mut access = Vec::new();
    if let Some(networks) = allow {
        access.push(Rc::new(Access::Allow(Allow::new(networks.iter().copied()))));
    }
    if let Some(auth) = auth {
        access.push(Rc::new(Access::Basic(Box::new(basic(auth, place.as_ref())?))));
    }
    let action = match action {
        Some(Action::Files(files)) => {
            Some(rule::Action::Files(self::files(files, codings, place.as_ref())?))
        }
        Some(Action::Redirect { to, status }) => {
            Some(rule::Action::Redirect { to: to.clone(), status: *status })
        }
        Some(Action::Respond { status, content, fields }) => Some(rule::Action::Respond {
            status: *status,
            fields: fields.clone(),
            content: content.as_bytes().into(),
        }),
        Some(Action::Program(program)) => Some(rule::Action::Program((**program).clone())),
        None => None,
    };
    let settings = Settings {
        access,
        fields: fields.clone(),
        errors: error_pages(errors, place.as_ref())?,
        content_limit: *content_bytes,
        fallback: fallback.clone(),
    };
    Ok(rule::Route { pattern: pattern.clone(), action, settings, place: place.clone() })
}

fn files(
    files: &Files,
    codings: &[Coding],
    place: Option<&Place>,
) -> Result<site::files::Files, ConfigError> {
    let Files { root, whole_path, index, listing, symlinks, dotfiles } = files;
    let opened = site::files::Files::new(root).map_err(|error| refused(&error, place))?;
    Ok(opened
        .whole_path(*whole_path)
        .index(index)
        .listing(*listing)
        .symlinks(*symlinks)
        .dotfiles(*dotfiles)
        .precompressed(codings.iter().copied()))
}

fn basic(auth: &Auth, place: Option<&Place>) -> Result<Basic, ConfigError> {
    let users = Htpasswd::read(&auth.basic).map_err(|error| refused(&error, place))?;
    Basic::new(users, &auth.realm, &auth.methods).map_err(|error| refused(&error, place))
}

fn error_pages(
    pages: &BTreeMap<String, String>,
    place: Option<&Place>,
) -> Result<ErrorPages, ConfigError> {
    let mut errors = ErrorPages::default();
    for (key, path) in pages {
        errors.set(key, path).map_err(|error| refused(&error, place))?;
    }
    Ok(errors)
}

/// What has a meaning can still be refused, for instance when a directory has gone since.
fn refused(error: &dyn Error, place: Option<&Place>) -> ConfigError {
    let place = place.map_or_else(String::new, |Place { file, line }| format!("{file}:{line}: "));
    ConfigError { place: None, what: format!("{place}{error}"), help: None }
}

/// The directories that a site serves.
fn roots(site: &Site) -> Vec<&Path> {
    let mut roots: Vec<&Path> = site.root.as_deref().into_iter().collect();
    for route in &site.routes {
        match &route.action {
            Some(Action::Files(files)) => roots.push(&files.root),
            Some(Action::Program(_) | Action::Redirect { .. } | Action::Respond { .. }) | None => {}
        }
    }
    roots
}
