//! What two configurations differ in, line by line, as they are printed. What the lines mean is not
//! known here.

use super::meaning::Config;

/// Lines that are shown of a difference; it says how many more there are.
const SHOWN: usize = 20;

/// Characters that are shown of a line.
const WIDTH: usize = 160;

/// Pairs of lines that are compared at most, which takes some milliseconds. Where there are more,
/// all lines between the first and the last that differ are shown as gone and come.
const PAIRS: usize = 1 << 20;

impl Config {
    /// What has changed where `self` was before and `after` is now: `-` and a line that is gone,
    /// `+` and one that has come. A line of a route says before that which path it is about.
    /// Nothing where all is the same; a bounded number of lines in any case.
    #[must_use]
    pub fn difference(&self, after: &Config) -> Vec<String> {
        let (before, after) = (self.to_string(), after.to_string());
        let mut lines = difference(&placed(&before), &placed(&after));
        if lines.len() > SHOWN {
            let more = lines.len() - SHOWN;
            lines.truncate(SHOWN);
            lines.push(format!("and {more} more lines"));
        }
        lines
    }
}

/// The lines, each with the path that it is about; none where it is not within a route.
fn placed(text: &str) -> Vec<(&str, &str)> {
    let mut path = "";
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            path = "";
            // A route is told of by its path.
            if line == "[[site.route]]" {
                continue;
            }
        }
        lines.push((path, line));
        if let Some(pattern) = line.strip_prefix("path = ") {
            path = pattern;
        }
    }
    lines
}

/// The shortest way from one to the other, by the longest common subsequence.
fn difference(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<String> {
    let (mut before, mut after) = (before, after);
    while let (Some((a, before_rest)), Some((b, after_rest))) =
        (before.split_first(), after.split_first())
        && a == b
    {
        (before, after) = (before_rest, after_rest);
    }
    while let (Some((a, before_rest)), Some((b, after_rest))) =
        (before.split_last(), after.split_last())
        && a == b
    {
        (before, after) = (before_rest, after_rest);
    }
    let columns = after.len() + 1;
    // How many lines the ends from here on have in common.
    let mut common = vec![0_u32; 0];
    if before.len().saturating_mul(after.len()) <= PAIRS {
        common.resize((before.len() + 1) * columns, 0);
        for i in (0..before.len()).rev() {
            for j in (0..after.len()).rev() {
                common[i * columns + j] = if before[i] == after[j] {
                    common[(i + 1) * columns + j + 1] + 1
                } else {
                    common[(i + 1) * columns + j].max(common[i * columns + j + 1])
                };
            }
        }
    }
    let at = |i: usize, j: usize| common.get(i * columns + j).copied().unwrap_or(0);
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && before[i] == after[j] && at(i, j) > 0 {
            (i, j) = (i + 1, j + 1);
        } else if i < before.len() && (j == after.len() || at(i + 1, j) >= at(i, j + 1)) {
            lines.push(shown('-', before[i]));
            i += 1;
        } else {
            lines.push(shown('+', after[j]));
            j += 1;
        }
    }
    lines
}

fn shown(sign: char, (path, line): (&str, &str)) -> String {
    let space = if path.is_empty() { "" } else { ": " };
    let whole = format!("{sign} {path}{space}{line}");
    match whole.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(before: &str, after: &str) -> Vec<String> {
        difference(&placed(before), &placed(after))
    }

    #[test]
    fn a_difference_says_what_has_gone_and_come_and_where() {
        let before = "[server]\nlisten = 1\n\n[[site.route]]\npath = \"/a\"\nx = 1\ny = 2\n\n\
                      [[site.route]]\npath = \"/b\"\nx = 1\ny = 2\n";
        assert_eq!(of(before, before), [""; 0]);
        let after =
            before.replace("/b\"\nx = 1", "/b\"\nx = 3").replace("listen = 1", "listen = 2");
        let expected = ["- listen = 1", "+ listen = 2", "- \"/b\": x = 1", "+ \"/b\": x = 3"];
        assert_eq!(of(before, &after), expected);
        let shorter = before.replace("\n[[site.route]]\npath = \"/a\"\nx = 1\ny = 2\n", "");
        let gone = ["- path = \"/a\"", "- \"/a\": x = 1", "- \"/a\": y = 2"];
        assert_eq!(of(before, &shorter), gone);
        assert_eq!(of(&shorter, before), gone.map(|line| line.replacen('-', "+", 1)));
        assert_eq!(of("a\nb", "b\na"), ["- a", "+ a"]);
    }

    #[test]
    fn a_long_difference_is_cut_and_a_long_line_too() {
        let many = |word: &str| format!("{word}\n").repeat(2_000);
        assert_eq!(of(&many("a"), &many("b")).len(), 4_000, "too many to be compared");
        assert_eq!(shown('+', ("", &"é".repeat(500))).chars().count(), WIDTH + 1);
    }
}
