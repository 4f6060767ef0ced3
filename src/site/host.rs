//! Which host a name means. What a host serves is not known here.

use std::cmp::Ordering;

/// The names of all hosts. They are compared without regard to case, and a final dot says nothing.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Sorted by [`compare`].
    exact: Vec<(String, usize)>,
    /// `.example.com` for `*.example.com`; sorted by [`compare`].
    wildcards: Vec<(String, usize)>,
    /// Who answers for names that nobody has.
    default: usize,
}

impl Names {
    /// The names of hosts 0, 1, 2 …: `example.com`, `*.example.com`, `192.0.2.7`, `[::1]`. The
    /// first host without a name answers for all others; if none is without a name, the first one
    /// does.
    ///
    /// # Errors
    /// What is wrong, and with which host.
    pub(super) fn new(hosts: &[Vec<String>]) -> Result<Names, (usize, String)> {
        let default = hosts.iter().position(Vec::is_empty).unwrap_or(0);
        let mut names = Names { default, ..Names::default() };
        for (host, own) in hosts.iter().enumerate() {
            for name in own {
                let bad = |what: &str| (host, format!("the host {name:?} {what}"));
                let plain = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
                let (table, plain) = match plain.strip_prefix('*') {
                    Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 => {
                        (&mut names.wildcards, suffix.to_owned())
                    }
                    Some(_) => return Err(bad("must have a dot and a name after its *")),
                    None => (&mut names.exact, plain),
                };
                if !is_host(&plain) {
                    return Err(bad("is not a name, and a port does not belong to it"));
                }
                match table.binary_search_by(|(known, _)| compare(known, &plain)) {
                    Ok(_) => return Err(bad("is there twice")),
                    Err(at) => table.insert(at, (plain, host)),
                }
            }
        }
        Ok(names)
    }

    /// The host that answers for `name`: the one that has it, or the one with the longest wildcard
    /// that fits, or the default. `*` stands for one label or several.
    pub(super) fn find(&self, name: &str) -> usize {
        let name = name.strip_suffix('.').unwrap_or(name);
        if let Some(host) = find(&self.exact, name) {
            return host;
        }
        if self.wildcards.is_empty() {
            return self.default;
        }
        // From the first dot on the suffixes get shorter. Before it there must be something.
        let mut dots = name.match_indices('.').map(|(at, _)| at).filter(|&at| at > 0);
        dots.find_map(|at| find(&self.wildcards, &name[at..])).unwrap_or(self.default)
    }
}

fn find(table: &[(String, usize)], name: &str) -> Option<usize> {
    let at = table.binary_search_by(|(known, _)| compare(known, name)).ok()?;
    Some(table[at].1)
}

/// Orders names without regard to case, and without a copy in lower case.
fn compare(one: &str, other: &str) -> Ordering {
    let one = one.bytes().map(|byte| byte.to_ascii_lowercase());
    one.cmp(other.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// Whether `name` could stand in Host, without a port: the end of one is as good as a whole one.
fn is_host(name: &str) -> bool {
    let whole = name.strip_prefix('.').unwrap_or(name);
    matches!(crate::http::target::split_authority(whole), Some((host, None)) if host == whole)
        && !whole.contains('*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(hosts: &[&[&str]]) -> Result<Names, (usize, String)> {
        let own = |names: &&[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Names::new(&hosts.iter().map(own).collect::<Vec<Vec<String>>>())
    }

    #[test]
    fn the_nearest_name_answers() {
        let names = names(&[
            &["example.com", "www.example.com."],
            &["*.example.com", "[::1]"],
            &[],
            &["*.b.EXAMPLE.com", "192.0.2.7"],
            &[],
        ])
        .unwrap();
        for (name, host) in [
            ("example.com", 0),
            ("EXAMPLE.com.", 0),
            ("www.example.com", 0),
            ("a.example.com", 1),
            ("a.a.example.com", 1),
            ("a.B.example.com", 3),
            ("b.example.com", 1),
            (".example.com", 2),
            ("notexample.com", 2),
            ("com", 2),
            ("", 2),
            (".", 2),
            ("..", 2),
            ("[::1]", 1),
            ("192.0.2.7", 3),
            ("192.0.2.8", 2),
        ] {
            assert_eq!(names.find(name), host, "{name}");
        }
    }

    #[test]
    fn the_first_host_answers_where_all_have_names() {
        assert_eq!(names(&[&["a"], &["b"]]).unwrap().find("c"), 0);
        assert_eq!(Names::default().find("c"), 0);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (name, reason) in [
            ("", "not a name"),
            ("a b", "not a name"),
            ("a:80", "port"),
            ("*", "after its *"),
            ("*.", "after its *"),
            ("*a.b", "after its *"),
            ("a.*.b", "not a name"),
            ("*.*.b", "not a name"),
        ] {
            let (host, what) = names(&[&["ok"], &[name]]).unwrap_err();
            assert!(host == 1 && what.contains(reason), "{what}");
        }
        let (host, what) = names(&[&["a.example"], &["b", "A.example."]]).unwrap_err();
        assert!(host == 1 && what.contains("twice"), "{what}");
    }
}
