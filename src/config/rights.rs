//! What is said of whose the process is, and of how it is confined.

use std::path::PathBuf;

use toml::Spanned;

use super::error::Fault;
use super::said::{self, Several};
use super::source::Source;
use crate::server::confinement::Sandbox;
use crate::server::confinement::identity::{Identity, Unknown};

/// Whose the process becomes.
///
/// # Errors
/// Where this machine has no such user or group.
pub(super) fn identity(said: &said::Server) -> Result<Option<Identity>, Fault> {
    let (user, group) = match (&said.user, &said.group) {
        (Some(user), group) => (user, group.as_ref()),
        (None, Some(group)) => {
            return Err(Fault::new(group, "a group without a user\nadd user = \"www-data\""));
        }
        (None, None) => return Ok(None),
    };
    let group_name = group.map(|group| group.get_ref().as_str());
    Identity::find(user.get_ref(), group_name).map(Some).map_err(|unknown| match (unknown, group) {
        (Unknown::Group, Some(group)) => {
            let what = format!("this machine has no group `{}`", group.get_ref());
            Fault::new(group, what).help("`getent group` shows those it has")
        }
        (Unknown::GroupOfUser, _) => {
            let what =
                format!("no user has the number {}, so its group is not known", user.get_ref());
            Fault::new(user, what).help("add group = \"…\"")
        }
        (Unknown::User | Unknown::Group, _) => {
            let what = format!("this machine has no user `{}`", user.get_ref());
            Fault::new(user, what).help("`getent passwd` shows those it has")
        }
    })
}

/// How much the server is confined.
///
/// # Errors
/// Where it is another word.
pub(super) fn sandbox(said: Option<&Spanned<String>>) -> Result<Sandbox, Fault> {
    let Some(said) = said else { return Ok(Sandbox::default()) };
    let is_meant = |known: &Sandbox| known.name() == said.get_ref();
    Sandbox::ALL.into_iter().find(is_meant).ok_or_else(|| {
        Fault::not_one_of(said, "a kind of confinement", &Sandbox::ALL.map(Sandbox::name))
    })
}

/// Folders or files that are to be reached.
///
/// # Errors
/// Where there is none at the path.
pub(super) fn folders(
    said: &Several<Spanned<String>>,
    source: &Source,
) -> Result<Vec<PathBuf>, Fault> {
    let path = |said: &Spanned<String>| {
        let path = source.path(said.get_ref());
        match path.metadata() {
            Ok(_) => Ok(path),
            Err(error) => {
                Err(Fault::new(said, format!("cannot reach {}: {error}", path.display())))
            }
        }
    };
    said.0.iter().map(path).collect()
}
