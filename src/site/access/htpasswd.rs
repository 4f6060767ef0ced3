//! A file of users and the hashes of their passwords. It is read once, when the site is built; what
//! its users may see is not known here.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::hash::BuildHasher as _;
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::credentials::MAX_USER;
use super::hash::Hash;

/// The longest file, in bytes: users by the ten thousand.
const MAX_FILE: u64 = 4 << 20;

/// The users of one file.
pub struct Htpasswd {
    /// Each user, and the place of the hash.
    users: HashMap<Rc<str>, usize>,
    hashes: Vec<Arc<Hash>>,
}

/// Why a file cannot be used. Its `Display` is a whole sentence, without the full stop and without
/// the file's name; no part of a hash is ever shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHtpasswd {
    /// Which line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: &'static str,
}

/// What has to be verified for someone to be a user.
pub(super) struct Claim {
    pub(super) hash: Arc<Hash>,
    /// `None`: there is no such user. The hash is another one's then, and whatever it says does not
    /// count; it is there for the time that it takes.
    pub(super) user: Option<Rc<str>>,
}

const MAKE_ONE: &str = "make one with: htpasswd -B FILE USER, or: openssl passwd -6";

impl Htpasswd {
    /// Reads the file at `path`: see [`Htpasswd::parse`].
    ///
    /// # Errors
    /// If it cannot be read, is no regular file or longer than 4 MiB, or cannot be used.
    pub fn read(path: &Path) -> Result<Self, BadHtpasswd> {
        let content = read_file(path).map_err(|error| bad(0, error.to_string(), ""))?;
        if content.len() as u64 > MAX_FILE {
            return Err(bad(0, format!("the file is longer than {} MiB", MAX_FILE >> 20), ""));
        }
        Self::parse(&content)
    }

    /// Reads lines `user:hash`, as `htpasswd` writes them. What follows a second colon, lines that
    /// begin with `#`, and empty lines do not count. Names are UTF-8, hashes are of bcrypt (`$2y$`,
    /// `$2b$`, `$2a$`) or SHA-crypt (`$5$`, `$6$`).
    ///
    /// A file without users is none: nobody is let in.
    ///
    /// # Errors
    /// At the first line that is something else, has a hash that would take seconds to verify, or
    /// repeats a user.
    pub fn parse(content: &[u8]) -> Result<Self, BadHtpasswd> {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut file = Htpasswd { users: HashMap::new(), hashes: Vec::new() };
        let mut lines = Vec::new();
        for (line, number) in content.split(|&byte| byte == b'\n').zip(1..) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let (user, hash) = parse_line(line, number)?;
            if let Some(&place) = file.users.get(user) {
                let what = format!("the user {user:?} stands in line {} already", lines[place]);
                return Err(bad(number, what, "delete one of the two lines"));
            }
            file.users.insert(Rc::from(user), file.hashes.len());
            file.hashes.push(Arc::new(hash));
            lines.push(number);
        }
        Ok(file)
    }

    /// How many users there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// What to verify for someone who says to be `user`. `None` if there are no users at all.
    ///
    /// For a name that is not in the file it is some user's hash, always the same one for the same
    /// name. So the time a refusal takes is spread over unknown names as over known ones, even
    /// where the hashes of one file cost differently.
    pub(super) fn claim(&self, user: &str) -> Option<Claim> {
        if let Some((name, &place)) = self.users.get_key_value(user) {
            return Some(Claim {
                hash: Arc::clone(&self.hashes[place]),
                user: Some(Rc::clone(name)),
            });
        }
        let users = u64::try_from(self.hashes.len()).ok().filter(|&users| users > 0)?;
        let place = usize::try_from(self.users.hasher().hash_one(user) % users).ok()?;
        Some(Claim { hash: Arc::clone(&self.hashes[place]), user: None })
    }
}

/// One byte more than it may have, if it has so many.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    // Asked before it is opened: opening a FIFO would wait for someone to write to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn parse_line(line: &[u8], number: usize) -> Result<(&str, Hash), BadHtpasswd> {
    let line = std::str::from_utf8(line)
        .map_err(|_| bad(number, "it is not UTF-8".to_owned(), "save the file as UTF-8"))?;
    let Some((user, rest)) = line.split_once(':') else {
        let what = "it has no colon between user and hash".to_owned();
        return Err(bad(number, what, MAKE_ONE));
    };
    let what = if user.is_empty() {
        "it has no user before the colon"
    } else if user.len() > MAX_USER {
        "the user's name is longer than 255 bytes"
    } else if user.chars().any(char::is_control) {
        "the user's name has a control character"
    } else {
        ""
    };
    if !what.is_empty() {
        return Err(bad(number, what.to_owned(), ""));
    }
    let hash = rest.split(':').next().unwrap_or(rest);
    match Hash::parse(hash) {
        Ok(hash) => Ok((user, hash)),
        Err(what) => {
            Err(bad(number, format!("the hash of {user:?} cannot be used: {what}"), MAKE_ONE))
        }
    }
}

fn bad(line: usize, what: String, hint: &'static str) -> BadHtpasswd {
    BadHtpasswd { line, what, hint }
}

impl fmt::Debug for Htpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Htpasswd({} users)", self.len())
    }
}

impl fmt::Display for BadHtpasswd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.what)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for BadHtpasswd {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// alice: `secret` (bcrypt), bob: `pä:ß` (SHA-512).
    pub(in crate::site::access) const FILE: &str = "\
        alice:$2y$04$8MEWPD2/f8c47C.A59A2V.Co0FtrJ59azbqIvGxoEjljPGSNsvOEO\n\
        \n\
        # the next one is made by htpasswd -5 -r 2000\r\n\
        bob:$6$rounds=2000$zUIhGkO0znks1Qxl$6hmQiAXrXM18zSLZWmcnDuwHsffLgUQyfEjh4mO6fErGYHXsaX\
        6IFjLeFgYN4QhYF.kAMpEmGKnnKo1wKmQwx1:Bob, who lives next door\r\n";

    fn complaint(content: &[u8]) -> String {
        Htpasswd::parse(content).expect_err(&String::from_utf8_lossy(content)).to_string()
    }

    #[test]
    fn users_are_found_with_their_hashes() {
        let file = Htpasswd::parse(FILE.as_bytes()).unwrap();
        assert_eq!(file.len(), 2);
        for (user, password) in [("alice", "secret"), ("bob", "pä:ß")] {
            let claim = file.claim(user).expect("there are users");
            assert_eq!(claim.user.as_deref(), Some(user));
            assert!(claim.hash.verify(password.as_bytes()));
        }
    }

    #[test]
    fn unknown_users_cost_the_same_and_always_the_same() {
        let file = Htpasswd::parse(FILE.as_bytes()).unwrap();
        let places: Vec<usize> = (0..100)
            .map(|at| {
                let [one, other] =
                    [(); 2].map(|()| file.claim(&format!("nobody{at}")).expect("users"));
                assert!(one.user.is_none() && Arc::ptr_eq(&one.hash, &other.hash));
                usize::from(Arc::ptr_eq(&one.hash, &file.hashes[0]))
            })
            .collect();
        // That all hundred fall on one of the two happens once in 2^99 runs.
        assert!(places.contains(&0) && places.contains(&1));
    }

    #[test]
    fn a_file_without_users_lets_nobody_in() {
        for content in [&b""[..], b"\n\r\n", b"# alice:x\n  # b\n", b"\xef\xbb\xbf"] {
            let file = Htpasswd::parse(content).unwrap();
            assert!(file.is_empty() && file.claim("alice").is_none());
        }
    }

    #[test]
    fn a_bad_line_is_named_with_its_number() {
        for (line, expected) in [
            (&b"alice"[..], "it has no colon"),
            (b":$5$a", "it has no user"),
            (b"al\x01ice:x", "control character"),
            (b"\xff:x", "it is not UTF-8"),
            (b"alice:secret", "the hash of \"alice\" cannot be used: it is no known hash"),
            (b"alice:$apr1$jQZFuwxp$vjge.KJu/vlJgtou4TiLn.", "it is an MD5 hash"),
            (b"alice:$6$rounds=999999999$a$b", "999999999 rounds would take too long"),
        ] {
            let content = [FILE.as_bytes(), b"\n", line, b"\ncarol"].concat();
            let text = complaint(&content.replace_alice());
            assert!(text.starts_with("line 6: ") && text.contains(expected), "{text}");
        }
        assert!(complaint(b"a:$1$a").ends_with(&format!(" ({MAKE_ONE})")));
        assert!(complaint(&[&[b'u'; 256][..], b":x"].concat()).contains("longer than 255 bytes"));
    }

    trait ReplaceAlice {
        fn replace_alice(self) -> Vec<u8>;
    }

    impl ReplaceAlice for Vec<u8> {
        /// Makes room for another alice.
        fn replace_alice(mut self) -> Vec<u8> {
            self[..5].copy_from_slice(b"erica");
            self
        }
    }

    #[test]
    fn a_user_cannot_be_there_twice() {
        let content = [FILE.as_bytes(), FILE.as_bytes()].concat();
        assert!(
            complaint(&content).starts_with("line 5: the user \"alice\" stands in line 1 already")
        );
    }

    #[test]
    fn only_a_regular_file_is_read_and_not_an_endless_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path();
        let text = |path: &Path| Htpasswd::read(path).expect_err("not a file").to_string();
        assert_eq!(text(directory), "it is not a regular file");
        assert_eq!(text(Path::new("/dev/zero")), "it is not a regular file");
        assert!(text(&directory.join("no-such-file")).contains("No such file"));
        let path = directory.join("users");
        std::fs::write(&path, FILE).expect("a file");
        let users = Htpasswd::read(&path).map(|file| file.len());
        let file = File::create(&path).expect("a file");
        file.set_len(MAX_FILE + 1).expect("a sparse file");
        let long = text(&path);
        assert_eq!(users, Ok(2));
        assert_eq!(long, "the file is longer than 4 MiB");
    }
}
