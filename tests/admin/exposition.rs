//! The text format of Prometheus, read strictly: what its own parser lets pass, and promtool only
//! warns of, is an error here.

use std::collections::{BTreeMap, BTreeSet};

/// One page of metrics: each series as it is written, and its value.
#[derive(Debug)]
pub(super) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads a page.
    pub(super) fn read(text: &str) -> Metrics {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut series = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut lines = text.lines().peekable();
        while let Some(help) = lines.next() {
            let name = help.strip_prefix("# HELP ").expect(help).split(' ').next().unwrap();
            assert!(is_name(name) && families.insert(name), "{name}");
            let kind = lines.next().unwrap_or_default();
            let kind = kind.strip_prefix(&format!("# TYPE {name} ")).expect(kind);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            let mut own = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (id, value) = sample(line);
                let bare = id.split('{').next().unwrap();
                let ending = bare.strip_prefix(name).unwrap_or_else(|| panic!("{line} in {name}"));
                match kind {
                    "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&ending)),
                    _ => assert_eq!(ending, ""),
                }
                if kind != "gauge" {
                    assert!(value >= 0.0, "{line}");
                }
                assert!(series.insert(id.clone(), value).is_none(), "twice: {line}");
                own.push((id, value));
            }
            if kind == "histogram" {
                check_histogram(name, &own);
            }
        }
        Metrics(series)
    }

    /// The value of this series.
    pub(super) fn get(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.0))
    }

    /// The sum of all series that begin so.
    pub(super) fn sum(&self, start: &str) -> f64 {
        self.0.iter().filter(|(id, _)| id.starts_with(start)).map(|(_, value)| value).sum()
    }

    /// The series that begin so and are not 0, without that beginning.
    pub(super) fn others<'m>(&'m self, start: &str) -> BTreeMap<&'m str, f64> {
        let rest = |(id, &value): (&'m String, &f64)| Some((id.strip_prefix(start)?, value));
        self.0.iter().filter_map(rest).filter(|&(_, value)| value != 0.0).collect()
    }
}

/// Buckets grow, and end with all.
fn check_histogram(name: &str, own: &[(String, f64)]) {
    let buckets: Vec<(f64, f64)> = own
        .iter()
        .filter_map(|(id, value)| {
            let bound =
                id.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?.strip_suffix("\"}")?;
            Some((bound.replace("+Inf", "inf").parse().unwrap(), *value))
        })
        .collect();
    assert!(buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{own:?}");
    let all = own.iter().find(|(id, _)| *id == format!("{name}_count")).unwrap().1;
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, all)));
    assert!(own.iter().any(|(id, _)| *id == format!("{name}_sum")));
    assert_eq!(own.len(), buckets.len() + 2);
}

/// A line's series, and its value.
fn sample(line: &str) -> (String, f64) {
    let (id, value) = line.rsplit_once(' ').expect(line);
    let number: f64 = value.parse().expect(line);
    assert!(number.is_finite() && !value.contains(['e', 'E']), "{line}");
    if let Some((name, labels)) = id.split_once('{') {
        assert!(is_name(name), "{line}");
        check_labels(labels.strip_suffix('}').expect(line));
    } else {
        assert!(is_name(id), "{line}");
    }
    (id.to_owned(), number)
}

fn check_labels(mut rest: &str) {
    let mut names = BTreeSet::new();
    loop {
        let (name, value) = rest.split_once("=\"").expect(rest);
        assert!(is_name(name) && !name.contains(':') && names.insert(name), "{rest}");
        let mut characters = value.char_indices();
        let end = loop {
            match characters.next().expect(rest) {
                (end, '"') => break end,
                (_, '\\') => {
                    let escaped = characters.next().expect(rest).1;
                    assert!(['\\', '"', 'n'].contains(&escaped), "{rest}");
                }
                (_, character) => assert_ne!(character, '\n'),
            }
        };
        match value[end + 1..].strip_prefix(',') {
            Some(more) => rest = more,
            None => return assert_eq!(&value[end + 1..], "", "{rest}"),
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(is_fit)
}
