//! Who a process is: a user and a group, by their names or numbers. How it becomes another one is
//! not known here.

use nix::unistd::{Group, User};

/// A user of this machine, and a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name, by which its supplementary groups are found; `None`: it has but a number.
    pub name: Option<String>,
    /// Its number.
    pub user: u32,
    /// The group's number.
    pub group: u32,
}

/// What the user database does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The user.
    User,
    /// The group.
    Group,
    /// Which group is the user's: it has but a number.
    GroupOfUser,
}

impl Identity {
    /// The user with this name or number, and this group or else the user's own.
    ///
    /// # Errors
    /// What the user database does not know.
    pub fn find(user: &str, group: Option<&str>) -> Result<Identity, Unknown> {
        let known = User::from_name(user).ok().flatten();
        let number = user.parse().ok();
        let known =
            known.or_else(|| User::from_uid(nix::unistd::Uid::from_raw(number?)).ok().flatten());
        let group = group.map(self::group).transpose()?;
        match (known, number, group) {
            (Some(known), _, group) => Ok(Identity {
                user: known.uid.as_raw(),
                group: group.unwrap_or(known.gid.as_raw()),
                name: Some(known.name),
            }),
            (None, Some(user), Some(group)) => Ok(Identity { name: None, user, group }),
            (None, Some(_), None) => Err(Unknown::GroupOfUser),
            (None, None, _) => Err(Unknown::User),
        }
    }
}

fn group(said: &str) -> Result<u32, Unknown> {
    let known = Group::from_name(said).ok().flatten().map(|group| group.gid.as_raw());
    known.or_else(|| said.parse().ok()).ok_or(Unknown::Group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_by_name_and_by_number() {
        let root = Identity { name: Some("root".to_owned()), user: 0, group: 0 };
        for said in ["root", "0"] {
            assert_eq!(Identity::find(said, None), Ok(root.clone()));
            assert_eq!(Identity::find(said, Some("7")), Ok(Identity { group: 7, ..root.clone() }));
        }
        let nameless = Identity { name: None, user: 4_000_000, group: 5 };
        assert_eq!(Identity::find("4000000", Some("5")), Ok(nameless));
        assert_eq!(Identity::find("4000000", None), Err(Unknown::GroupOfUser));
        assert_eq!(Identity::find("no such", None), Err(Unknown::User));
        assert_eq!(Identity::find("-1", None), Err(Unknown::User));
        assert_eq!(Identity::find("root", Some("no such")), Err(Unknown::Group));
    }
}
