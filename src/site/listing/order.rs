//! The order of a listing, and how a query asks for it.

use std::cmp::Ordering;

use super::Entry;

/// What entries are ordered by, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrangement {
    pub(super) by: Key,
    pub(super) descending: bool,
}

/// What entries are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Name,
    Size,
    Date,
}

impl Key {
    /// As the query says it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Key::Name => "name",
            Key::Size => "size",
            Key::Date => "date",
        }
    }

    /// Whether this key is most useful from its end: the largest and the newest first.
    pub(super) fn descends_first(self) -> bool {
        match self {
            Key::Name => false,
            Key::Size | Key::Date => true,
        }
    }
}

impl Arrangement {
    /// Reads `sort` and `order` from a query; of a repeated one, the last that can be understood.
    pub(super) fn parse(query: &str) -> Self {
        let mut by = Key::Name;
        let mut descending = None;
        for pair in query.split('&') {
            match pair {
                "sort=name" => by = Key::Name,
                "sort=size" => by = Key::Size,
                "sort=date" => by = Key::Date,
                "order=asc" => descending = Some(false),
                "order=desc" => descending = Some(true),
                _ => {}
            }
        }
        Arrangement { by, descending: descending.unwrap_or(by.descends_first()) }
    }

    /// A total order: directories first, then as asked, and names decide what is equal in that.
    pub(super) fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let directed = |order: Ordering| if self.descending { order.reverse() } else { order };
        one.kind.cmp(&other.kind).then_with(|| {
            let by_name = || compare_names(&one.name, &other.name);
            match self.by {
                Key::Name => directed(by_name()),
                // Directories have no size.
                Key::Size if one.kind == super::Kind::Directory => by_name(),
                Key::Size => directed(one.size.cmp(&other.size)).then_with(by_name),
                Key::Date => directed(one.modified.cmp(&other.modified)).then_with(by_name),
            }
        })
    }
}

/// As people order names: case does not count, and numbers count by their value, so that `img2`
/// stands before `img10`. Names that are then equal are ordered by their bytes.
///
/// This is a lexicographic order of pieces (numbers and single bytes), which are totally ordered
/// themselves: so no choice of names can contradict itself.
fn compare_names(one: &[u8], other: &[u8]) -> Ordering {
    let (mut rest, mut other_rest) = (one, other);
    loop {
        let (piece, other_piece) = match (take_piece(&mut rest), take_piece(&mut other_rest)) {
            (Some(piece), Some(other_piece)) => (piece, other_piece),
            (piece, other_piece) => {
                return piece.is_some().cmp(&other_piece.is_some()).then_with(|| one.cmp(other));
            }
        };
        let order = piece.cmp(&other_piece);
        if order.is_ne() {
            return order;
        }
    }
}

/// A number or a byte of a name. The first member sorts: digits stand between the bytes that are
/// less than `0` and those that are greater than `9`. The others: the number's length and digits.
type Piece<'a> = (u8, usize, &'a [u8]);

fn take_piece<'a>(rest: &mut &'a [u8]) -> Option<Piece<'a>> {
    let first = *rest.first()?;
    if !first.is_ascii_digit() {
        *rest = &rest[1..];
        return Some((first.to_ascii_lowercase(), 0, &[]));
    }
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let digits = &digits[zeros..];
    Some((b'0', digits.len(), digits))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{directory, entry, file};
    use super::super::{Kind, Listing};
    use super::*;

    fn names(query: &str, entries: Vec<Entry>) -> Vec<String> {
        let listing = Listing::new(entries, Some(query));
        listing.entries.iter().map(|e| String::from_utf8_lossy(&e.name).into_owned()).collect()
    }

    #[test]
    fn queries_ask_for_an_order_or_get_the_usual_one() {
        for (query, by, descending) in [
            ("", Key::Name, false),
            ("sort=name", Key::Name, false),
            ("sort=size", Key::Size, true),
            ("sort=date", Key::Date, true),
            ("order=desc", Key::Name, true),
            ("order=asc&sort=date", Key::Date, false),
            ("a=b&sort=size&&order=asc&c", Key::Size, false),
            ("sort=size&sort=name", Key::Name, false),
            ("sort=SIZE&order=up", Key::Name, false),
            ("sort=%6eame&order", Key::Name, false),
        ] {
            assert_eq!(Arrangement::parse(query), Arrangement { by, descending }, "{query}");
        }
    }

    #[test]
    fn names_are_ordered_as_people_do() {
        let ordered = [
            "",
            " a",
            "0",
            "00",
            "000",
            "01",
            "1",
            "2",
            "2a",
            "10",
            "10.5",
            "A",
            "a",
            "a0",
            "a2",
            "a02b",
            "a10",
            "a99999999999999999999999999",
            "a100000000000000000000000000",
            "aB",
            "ab",
            "b",
            "B.txt",
            "Ä",
        ];
        for (at, one) in ordered.iter().enumerate() {
            for (other_at, other) in ordered.iter().enumerate() {
                let order = compare_names(one.as_bytes(), other.as_bytes());
                assert_eq!(order, at.cmp(&other_at), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn the_order_of_names_never_contradicts_itself() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut name = || -> Vec<u8> {
            (0..random.usize(..5))
                .map(|_| random.choice(*b"0019aAbB.-\xff").expect("some"))
                .collect()
        };
        for _ in 0..20_000 {
            let (a, b, c) = (name(), name(), name());
            assert_eq!(compare_names(&a, &b), compare_names(&b, &a).reverse());
            assert_eq!(compare_names(&a, &b).is_eq(), a == b);
            if compare_names(&a, &b).is_le() && compare_names(&b, &c).is_le() {
                assert!(compare_names(&a, &c).is_le(), "{a:?} {b:?} {c:?}");
            }
        }
    }

    #[test]
    fn directories_come_first_whatever_the_order() {
        let entries = || {
            vec![
                entry(b"new", Kind::File, 1, 30),
                entry(b"old", Kind::File, 3, 10),
                entry(b"mid", Kind::File, 3, 20),
                entry(b"d1", Kind::Directory, 9, 5),
                entry(b"d2", Kind::Directory, 1, 40),
            ]
        };
        for (query, expected) in [
            ("sort=name", ["d1", "d2", "mid", "new", "old"]),
            ("sort=name&order=desc", ["d2", "d1", "old", "new", "mid"]),
            ("sort=size", ["d1", "d2", "mid", "old", "new"]),
            ("sort=size&order=asc", ["d1", "d2", "new", "mid", "old"]),
            ("sort=date", ["d2", "d1", "new", "mid", "old"]),
            ("sort=date&order=asc", ["d1", "d2", "old", "mid", "new"]),
        ] {
            assert_eq!(names(query, entries()), expected, "{query}");
        }
    }

    #[test]
    fn what_has_no_date_is_oldest() {
        let mut undated = file("undated", 1);
        undated.modified = None;
        let entries = vec![undated, entry(b"epoch", Kind::File, 1, 0), directory("d")];
        assert_eq!(names("sort=date", entries), ["d", "epoch", "undated"]);
    }
}
