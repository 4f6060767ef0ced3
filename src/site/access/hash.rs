//! One password hash as it stands in a file: bcrypt, or SHA-crypt with SHA-256 or SHA-512. Whose it
//! is, is not known here.

use std::hint::black_box;

use sha_crypt::{Params, sha256_crypt, sha512_crypt};

/// The greatest cost of a bcrypt hash: 2 to this power rounds, some two seconds of a core.
pub(super) const MAX_BCRYPT_COST: u32 = 15;

/// The most rounds of a SHA-crypt hash: some two seconds of a core.
pub(super) const MAX_SHA_ROUNDS: u32 = 2_000_000;

/// The longest salt of SHA-crypt, in bytes.
const MAX_SHA_SALT: usize = 16;

/// How passwords are written in SHA-crypt: six bits a character, the lowest first.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A password hash, ready to be compared with.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Hash {
    /// The whole text, which is known to be well formed.
    Bcrypt(Box<str>),
    /// `$5$`
    Sha256 { params: Params, salt: Box<str>, digest: [u8; 32] },
    /// `$6$`
    Sha512 { params: Params, salt: Box<str>, digest: Box<[u8; 64]> },
}

impl Hash {
    /// Reads a hash. The error is a clause about it that never shows any of it: it may be a
    /// password in the clear.
    pub(super) fn parse(text: &str) -> Result<Hash, String> {
        if let Some(rest) = text.strip_prefix("$5$") {
            let (params, salt, digest) = split_sha(rest)?;
            let digest = decode(digest, sha256_place).ok_or("the hash is malformed")?;
            Ok(Hash::Sha256 { params, salt: salt.into(), digest })
        } else if let Some(rest) = text.strip_prefix("$6$") {
            let (params, salt, digest) = split_sha(rest)?;
            let digest = decode(digest, sha512_place).ok_or("the hash is malformed")?;
            Ok(Hash::Sha512 { params, salt: salt.into(), digest: Box::new(digest) })
        } else if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            parse_bcrypt(text)
        } else {
            Err(format!("{}: only bcrypt and SHA-crypt hashes are taken", describe(text)))
        }
    }

    /// Whether `password` is the one that was hashed. Takes as long whether it is or not; how long
    /// that is, the hash says: milliseconds to seconds.
    ///
    /// bcrypt looks at the first 72 bytes of a password only.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self {
            Hash::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Hash::Sha256 { params, salt, digest } => {
                are_equal(&sha256_crypt(password, salt.as_bytes(), *params), digest)
            }
            Hash::Sha512 { params, salt, digest } => {
                are_equal(&sha512_crypt(password, salt.as_bytes(), *params), &digest[..])
            }
        }
    }
}

/// `$2y$CC$` and 53 characters.
fn parse_bcrypt(text: &str) -> Result<Hash, String> {
    let cost = text.get(4..6).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let is_whole = text.parse::<bcrypt::HashParts>().is_ok();
    match cost.and_then(|digits| digits.parse::<u32>().ok()) {
        Some(4..=MAX_BCRYPT_COST) if is_whole => Ok(Hash::Bcrypt(text.into())),
        Some(cost) if is_whole && cost > MAX_BCRYPT_COST => Err(format!(
            "a cost of {cost} would take too long to verify; at most {MAX_BCRYPT_COST} is taken"
        )),
        Some(_) | None => Err("the hash is malformed".to_owned()),
    }
}

/// `[rounds=N$]SALT$DIGEST`, after its prefix.
fn split_sha(rest: &str) -> Result<(Params, &str, &str), String> {
    let (params, rest) = match rest.strip_prefix("rounds=") {
        None => (Params::RECOMMENDED, rest),
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$').ok_or("the hash is malformed")?;
            (parse_rounds(rounds)?, rest)
        }
    };
    let (salt, digest) = rest.split_once('$').ok_or("the hash is malformed")?;
    if salt.len() > MAX_SHA_SALT {
        return Err(format!("the salt is longer than {MAX_SHA_SALT} characters"));
    }
    Ok((params, salt, digest))
}

fn parse_rounds(digits: &str) -> Result<Params, String> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the hash is malformed: its rounds are no number".to_owned());
    }
    // What does not fit is too many as well.
    let rounds = digits.parse().unwrap_or(u32::MAX);
    if rounds > MAX_SHA_ROUNDS {
        return Err(format!(
            "{digits} rounds would take too long to verify; at most {MAX_SHA_ROUNDS} are taken"
        ));
    }
    Params::new(rounds).map_err(|_| format!("{rounds} rounds are fewer than there may be"))
}

/// Reads a digest of `N` bytes. SHA-crypt writes its bytes three at a time in an order of its own:
/// `place` says where in the digest the byte stands that is written at some place.
fn decode<const N: usize>(text: &str, place: fn(usize) -> usize) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(6) {
        return None;
    }
    let mut digest = [0; N];
    for (group, characters) in text.as_bytes().chunks(4).enumerate() {
        let mut bits = 0u32;
        for &character in characters.iter().rev() {
            let value = ALPHABET.iter().position(|&known| known == character)?;
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        let first = group * 3;
        let written = (N - first).min(3);
        for at in (first..first + written).rev() {
            digest[place(at)] = bits.to_le_bytes()[0];
            bits >>= 8;
        }
        if bits != 0 {
            return None;
        }
    }
    Some(digest)
}

/// 0 10 20, 21 1 11, 12 22 2, … 9 19 29, 31 30.
fn sha256_place(at: usize) -> usize {
    if at >= 30 { 61 - at } else { (at / 3 * 21 + at % 3 * 10) % 30 }
}

/// 0 21 42, 22 43 1, 44 2 23, … 62 20 41, 63.
fn sha512_place(at: usize) -> usize {
    if at == 63 { 63 } else { (at / 3 * 22 + at % 3 * 21) % 63 }
}

/// Compares in a time that tells nothing of where the difference is.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let differing =
        one.iter().zip(other).fold(0, |sum, (one, other)| black_box(sum | (one ^ other)));
    one.len() == other.len() && differing == 0
}

/// What a text that is no hash we take probably is, in some words.
fn describe(text: &str) -> &'static str {
    let is_des = text.len() == 13 && text.bytes().all(|byte| ALPHABET.contains(&byte));
    match text {
        "" => "there is no hash",
        "*" | "!" | "x" | "!!" => "there is no hash, only a mark",
        _ if text.starts_with("$apr1$") || text.starts_with("$1$") => "it is an MD5 hash",
        _ if text.starts_with("{SHA}") => "it is a SHA-1 hash without salt",
        _ if text.starts_with("{SSHA}") => "it is a SHA-1 hash",
        _ if text.starts_with("$2x$") => "it is a hash of a faulty bcrypt",
        _ if text.starts_with("$y$") || text.starts_with("$gy$") => "it is a yescrypt hash",
        _ if text.starts_with("$7$") => "it is a scrypt hash",
        _ if text.starts_with("$argon2") => "it is an Argon2 hash",
        _ if is_des => "it is a DES crypt hash",
        _ => "it is no known hash, perhaps a password in the clear",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn hash(text: &str) -> Hash {
        Hash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Made by `htpasswd`, `openssl passwd` and crypt(3).
    const KNOWN: &[(&str, &[u8])] = &[
        ("$2y$04$8MEWPD2/f8c47C.A59A2V.Co0FtrJ59azbqIvGxoEjljPGSNsvOEO", b"secret"),
        ("$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", b"secret"),
        ("$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", b"secret"),
        ("$2y$04$vWlzdrfWLrJH8iy748q0T.p3lsLUL.PmbM49WOvQQriJqk9IZKBZq", "pä:ß".as_bytes()),
        ("$2y$04$abcdefghijklmnopqrstuuZYoENugSt2ZL.eQ6YspSgGW3RGRovX2", b"s\x80"),
        ("$2y$04$nU1R1dQlgbc9IdaEfgWELO5i1.i/ApzxtWYTqRFqRB04CrdCbG.1y", b""),
        ("$2y$04$OWXDuuCV/fXtC.R7fKOnaOxSlYdlA3R3CjS4wHp9XIMO422AFi3Bu", &[b'y'; 80]),
        ("$5$abcdefghijklmnop$i7zHaTeYqXlesRXJ8dXj6o.MEFQdzfIJpJpcWAtszs6", b"secret"),
        ("$5$rounds=1000$lBgAmJTv7mzZ6Ifk$QeuH3y3r6ICgHTJtrl0qNcDfCtdUPui/MzGLla.JD9.", b"secret"),
        ("$5$rounds=1000$u1$BoUCLx5tTPMMRVAxRdlobcolrOISl5WRDHU.LTBnakA", &[b'x'; 200]),
        (
            "$6$abcdefghijklmnop$J/AWykHqo2Tx5UtavGnFc3ytI33la50JpzLTarSWVhkIXK6wOjNwwZjsrIw2Ug\
             mrER2EKrSHCeQyAINEEXAk1/",
            b"secret",
        ),
        (
            "$6$rounds=2000$zUIhGkO0znks1Qxl$6hmQiAXrXM18zSLZWmcnDuwHsffLgUQyfEjh4mO6fErGYHXsaX\
             6IFjLeFgYN4QhYF.kAMpEmGKnnKo1wKmQwx1",
            "pä:ß".as_bytes(),
        ),
        (
            "$6$rounds=1234$saltstring$8h0FlxNvmjnRv8J0iCmC51DtFVb14XsnVi2dZviM0Lcu.BhV7BeKhLTU\
             X.zM/tQC6e/BCuM.W23BDIdlD0Tqv/",
            b"Hello world!",
        ),
        (
            "$6$e$w0atmQHNF8i.6K6R4EGZnL8BtYlQO1Dx5ByCl4DpL6V/pk4m00oTWcFc4jPqz1sbzJzZChJtMgzlJh\
             vMI8Xvw1",
            b"",
        ),
        (
            "$6$rounds=1000$long$3vXp5xzl.xV0gyYJ.w2KvTjb53pu9Ec0OqlPg2DPsmG68YwdtPNAXJwVBk2cNXU\
             yG1bk2YUqZnRYCHcR0dF3t1",
            &[b'x'; 256],
        ),
        (
            "$6$rounds=1000$latin$9TM0.pbhMQov7eTA.6zoVqZFxsYDJaJYTf4Xdttw6aV2JoHMICTrH8y0gKem2v\
             d6dsZueNCpbGWix.dZzJSTh.",
            b"p\xff\xe4",
        ),
    ];

    #[test]
    fn known_passwords_hold() {
        for (text, password) in KNOWN {
            assert!(hash(text).verify(password), "{text}");
        }
    }

    #[test]
    fn other_passwords_do_not_hold() {
        for (text, password) in [KNOWN[0], KNOWN[8], KNOWN[11]] {
            let mut flipped = password.to_vec();
            flipped[0] ^= 1;
            let longer = [password, b" "].concat();
            for other in [&flipped, &longer, &password[1..], b""] {
                assert!(!hash(text).verify(other), "{text}");
            }
        }
    }

    #[test]
    fn a_hash_with_one_character_changed_is_another() {
        for text in [KNOWN[8].0, KNOWN[12].0] {
            for at in text.rfind('$').unwrap() + 1..text.len() {
                let mut changed = text.to_owned();
                let other = if &text[at..=at] == "/" { "0" } else { "/" };
                changed.replace_range(at..=at, other);
                // The last character has fewer bits than others: not every one can stand there.
                assert!(
                    Hash::parse(&changed).is_ok_and(|it| it != hash(text)) || at == text.len() - 1
                );
            }
        }
    }

    #[test]
    fn a_difference_counts_wherever_it_is() {
        let digest = [0x55; 32];
        assert!(are_equal(&digest, &digest));
        for at in 0..digest.len() {
            let mut other = digest;
            other[at] ^= 0x80;
            assert!(!are_equal(&digest, &other));
        }
        assert!(!are_equal(&digest, &digest[1..]));
    }

    #[test]
    fn every_byte_of_a_digest_is_written_once() {
        let places: BTreeSet<usize> = (0..32).map(sha256_place).collect();
        assert!(places.into_iter().eq(0..32));
        let places: BTreeSet<usize> = (0..64).map(sha512_place).collect();
        assert!(places.into_iter().eq(0..64));
    }

    #[test]
    fn what_would_take_too_long_is_refused() {
        let (text, _) = KNOWN[12];
        for (rounds, complaint) in [
            ("999999999", "999999999 rounds would take too long"),
            ("2000001", "2000001 rounds would take too long"),
            ("99999999999999999999", "would take too long"),
            ("999", "999 rounds are fewer"),
            ("0", "0 rounds are fewer"),
            ("", "no number"),
            ("+2000", "no number"),
            ("-1", "no number"),
        ] {
            let error = Hash::parse(&text.replace("1234", rounds)).err().expect(rounds);
            assert!(error.contains(complaint), "{rounds}: {error}");
        }
        assert!(Hash::parse(&text.replace("1234", "2000000")).is_ok());
        let (text, _) = KNOWN[0];
        for cost in ["16", "31", "99"] {
            let error = Hash::parse(&text.replace("$04$", &format!("${cost}$"))).err().expect(cost);
            assert!(error.contains("would take too long"), "{cost}: {error}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let bcrypt = KNOWN[0].0;
        let sha = KNOWN[7].0;
        for text in [
            &bcrypt[..59],
            &format!("{bcrypt}a"),
            &bcrypt.replace("$04$", "$03$"),
            &bcrypt.replace("$04$", "$+4$"),
            &bcrypt.replace("$04$", "$4$0"),
            &bcrypt.replace("8MEW", "8ME!"),
            &bcrypt.replace("8MEW", "8Mä"),
            "$2y$",
            "$2y$04$",
            "$2y$ä",
            "$5$",
            "$5$salt",
            "$5$salt$",
            "$6$rounds=5000",
            "$6$rounds=5000$salt",
            &sha[..sha.len() - 1],
            &format!("{sha}."),
            &sha.replace("zs6", "zsz"),
            &sha.replace("i7z", "i:z"),
            &sha.replace("$5$", "$6$"),
        ] {
            let error = Hash::parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.contains("malformed"), "{text}: {error}");
        }
        let error = Hash::parse(&sha.replace("abc", "abcd")).err().expect("a long salt");
        assert!(error.contains("salt is longer"), "{error}");
    }

    #[test]
    fn other_hashes_are_called_by_their_names_and_never_shown() {
        for (text, name) in [
            ("$apr1$jQZFuwxp$vjge.KJu/vlJgtou4TiLn.", "MD5"),
            ("$1$jQZFuwxp$vjge.KJu/vlJgtou4TiLn.", "MD5"),
            ("{SHA}6dcfXufJLW3J6S/9rRe4vUlBj5g=", "SHA-1"),
            ("RNUHPjTcV4/9A", "DES"),
            ("$2x$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "faulty bcrypt"),
            ("$y$j9T$abc$def", "yescrypt"),
            ("$argon2id$v=19$m=65536", "Argon2"),
            ("", "no hash"),
            ("!", "only a mark"),
            ("hunter2", "in the clear"),
        ] {
            let error = Hash::parse(text).err().expect(text);
            assert!(error.contains(name), "{error}");
            assert!(error.ends_with("only bcrypt and SHA-crypt hashes are taken"));
            assert!(text.len() < 2 || !error.contains(text), "{error}");
        }
    }
}
