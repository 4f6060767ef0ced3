//! What is seen, in words: who is first, by how much, and whether that is more than chance. All of
//! it is computed; nobody's name is known here.

use super::numbers::{Spread, beside, float, grouped, listed, memory, percent, times};
use super::view::Entry;

/// Who is told of by name where many are even.
const NAMED: usize = 4;

/// Below this share of its peak a curve has fallen.
const FALLEN: f64 = 0.9;

/// Which end is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// How one figure is spoken of.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    pub(crate) better: Better,
    /// What the first does: `answers most`.
    pub(crate) does: &'static str,
    /// A value with its unit.
    pub(crate) value: fn(f64) -> String,
}

/// How those who were measured stand to each other.
#[derive(Debug)]
pub(crate) enum Standing<'a> {
    Nobody,
    Alone(Entry<'a>),
    /// One is ahead of all others, and its middle half has nothing in common with theirs.
    First(Entry<'a>, Entry<'a>),
    /// The first, and all whose middle half has something in common with its own.
    Draw(Vec<Entry<'a>>),
    /// One is ahead, but a single round does not tell by how much it might be off.
    Open(Entry<'a>, Entry<'a>),
}

/// `entries`, the best first.
pub(crate) fn ranked<'a>(entries: &[Entry<'a>], better: Better) -> Vec<Entry<'a>> {
    let mut ranked = entries.to_vec();
    ranked.sort_by(|one, other| {
        let order = one.spread.middle.total_cmp(&other.spread.middle);
        match better {
            Better::More => order.reverse(),
            Better::Less => order,
        }
    });
    ranked
}

pub(crate) fn standing<'a>(entries: &[Entry<'a>], better: Better) -> Standing<'a> {
    let ranked = ranked(entries, better);
    match ranked.as_slice() {
        [] => Standing::Nobody,
        [only] => Standing::Alone(*only),
        [first, second, ..] => {
            let is_even = |entry: &&Entry<'_>| entry.spread.overlaps(&first.spread);
            let even: Vec<Entry<'a>> = ranked.iter().filter(is_even).copied().collect();
            if even.len() > 1 {
                Standing::Draw(even)
            } else if first.spread.rounds.min(second.spread.rounds) < 2 {
                Standing::Open(*first, *second)
            } else {
                Standing::First(*first, *second)
            }
        }
    }
}

/// Who is first. `at` says under which load: `With 100 clients`.
pub(crate) fn first(at: &str, entries: &[Entry<'_>], words: &Words) -> String {
    let value = |entry: &Entry<'_>| (words.value)(entry.spread.middle);
    let ahead = |first: &Entry<'_>, second: &Entry<'_>| {
        format!(
            "{at}, {} {}: {}; {} follows with {} ({})",
            first.name,
            words.does,
            value(first),
            second.name,
            value(second),
            beside(second.spread.middle, first.spread.middle),
        )
    };
    let best = entries.iter().map(|entry| entry.spread.middle).reduce(f64::max);
    if words.better == Better::More && best == Some(0.0) {
        return format!("{at}, nobody has more than {}.", (words.value)(0.0));
    }
    match standing(entries, words.better) {
        Standing::Nobody => format!("{at}, there is no figure of anybody."),
        Standing::Alone(only) => {
            format!("{at}, there is a figure of {} alone: {}.", only.name, value(&only))
        }
        Standing::First(first, second) => format!(
            "{}, and the middle halves of their rounds do not overlap.",
            ahead(&first, &second)
        ),
        Standing::Open(first, second) => {
            format!("{}, but a single round cannot tell that from chance.", ahead(&first, &second))
        }
        Standing::Draw(even) if even.len() == entries.len() && even.len() > NAMED => {
            let (best, last) = (&even[0], &even[even.len() - 1]);
            format!(
                "{at}, it is a draw of all {}, from {} ({}) to {} ({}): {}.",
                even.len(),
                best.name,
                value(best),
                last.name,
                value(last),
                evenness(&even),
            )
        }
        Standing::Draw(even) => {
            let mut names: Vec<String> = even
                .iter()
                .take(NAMED)
                .map(|entry| format!("{} ({})", entry.name, value(entry)))
                .collect();
            if even.len() > NAMED {
                names.push(format!("{} more", even.len() - NAMED));
            }
            let is_behind =
                |entry: &Entry<'_>| !even.iter().any(|one| one.entrant == entry.entrant);
            let next = ranked(entries, words.better).into_iter().find(is_behind);
            let follows = next.map_or_else(String::new, |next| {
                let beside = beside(next.spread.middle, even[0].spread.middle);
                format!("; {} follows with {} ({beside})", next.name, value(&next))
            });
            format!("{at}, {} draw: {}{follows}.", listed(&names), evenness(&even))
        }
    }
}

/// Why that is a draw.
fn evenness(even: &[Entry<'_>]) -> &'static str {
    if even.iter().all(|entry| entry.spread.rounds < 2) {
        "their only rounds are alike"
    } else {
        "the middle halves of their rounds overlap"
    }
}

/// How the last stands to the first. Where there is only one, how far its own rounds are apart.
pub(crate) fn last(entries: &[Entry<'_>], words: &Words, does: &str) -> String {
    let ranked = ranked(entries, words.better);
    let [first, .., last] = ranked.as_slice() else {
        return match entries {
            [only, ..] if only.spread.rounds > 1 => format!(
                "The middle half of its {} rounds lies between {} and {}.",
                only.spread.rounds,
                (words.value)(only.spread.low),
                (words.value)(only.spread.high)
            ),
            [..] => "There is only one round, and nobody to compare it with.".into(),
        };
    };
    let (best, worst) = (first.spread.middle, last.spread.middle);
    let beside = beside(worst, best);
    let how = match beside.rsplit_once(' ') {
        Some((_, "much")) => format!("{beside} as {}", first.name),
        Some((_, "more" | "less")) => format!("{beside} than {}", first.name),
        Some(_) | None => beside,
    };
    format!("{} {does}: {} ({how}).", last.name, (words.value)(worst))
}

/// One entrant's way along an axis.
#[derive(Clone, Debug)]
pub(crate) struct Course<'a> {
    pub(crate) entrant: usize,
    pub(crate) name: &'a str,
    /// From left to right.
    pub(crate) points: Vec<(f64, Spread)>,
}

impl Course<'_> {
    fn ends(&self) -> Option<((f64, f64), (f64, f64))> {
        let [(x, first), .., (end, last)] = self.points.as_slice() else { return None };
        Some(((*x, first.middle), (*end, last.middle)))
    }

    /// How many times its first value the last one is.
    fn growth(&self) -> Option<f64> {
        let ((_, first), (_, last)) = self.ends()?;
        (first > 0.0).then_some(last / first)
    }

    fn fall(&self) -> Option<Fall> {
        let (_, last) = self.ends()?;
        let peak = self.points.iter().map(|(x, spread)| (*x, spread.middle));
        let peak = peak.max_by(|one, other| one.1.total_cmp(&other.1))?;
        (peak.1 > 0.0).then_some(Fall { left: last.1 / peak.1, peak, last })
    }
}

/// How a course ends.
#[derive(Clone, Copy)]
struct Fall {
    /// What is left of the peak at the end.
    left: f64,
    peak: (f64, f64),
    last: (f64, f64),
}

/// What becomes of the courses on the way: who takes the lead, and who falls off.
pub(crate) fn ways(courses: &[Course<'_>], words: &Words, at: fn(f64) -> String) -> String {
    let falls = courses.iter().filter_map(|course| Some((course.name, course.fall()?)));
    let deepest = falls.min_by(|one, other| one.1.left.total_cmp(&other.1.left));
    let lead = lead(courses, words.better, at);
    let no = if lead.is_some() { "no" } else { "No" };
    let fall = match deepest {
        Some((name, Fall { left, peak, last })) if left < FALLEN => format!(
            "{name} falls deepest, from {} with {} to {} with {}",
            (words.value)(peak.1),
            at(peak.0),
            (words.value)(last.1),
            at(last.0),
        ),
        Some((name, Fall { left, .. })) if left < 1.0 => format!(
            "{no} curve ends far below its peak, that of {name} lowest with {} of it",
            percent(left)
        ),
        Some(_) => format!("{no} curve falls at its end"),
        None => return "There is no second point to compare with.".into(),
    };
    match lead {
        Some(lead) => format!("{lead}; {fall}."),
        None => format!("{fall}."),
    }
}

/// Who is first at both ends, where that is sure.
fn lead(courses: &[Course<'_>], better: Better, at: fn(f64) -> String) -> Option<String> {
    let mut places: Vec<f64> =
        courses.iter().flat_map(|course| course.points.iter().map(|(x, _)| *x)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let leader = |x: f64| match standing(&entries_at(courses, x), better) {
        Standing::First(first, _) => Some((x, first.name)),
        Standing::Nobody | Standing::Alone(_) | Standing::Draw(_) | Standing::Open(..) => None,
    };
    let leaders: Vec<(f64, &str)> = places.iter().filter_map(|x| leader(*x)).collect();
    let (first, last) = (leaders.first()?, leaders.last()?);
    let is_one = leaders.iter().all(|(_, name)| *name == first.1);
    if !is_one {
        // Where the last one took it over, for good.
        let held = leaders.iter().rev().take_while(|(_, name)| *name == last.1).count();
        let (before, from) = leaders.split_at(leaders.len() - held);
        let (until, from) = (before.last()?, from.first()?);
        return Some(format!(
            "The lead changes: {} has it with {}, {} with {}",
            until.1,
            at(until.0),
            last.1,
            if held == 1 { at(from.0) } else { format!("{} and more", at(from.0)) },
        ));
    }
    (leaders.len() == places.len() && places.len() > 1)
        .then(|| format!("{} leads all the way", first.1))
}

pub(crate) fn entries_at<'a>(courses: &[Course<'a>], x: f64) -> Vec<Entry<'a>> {
    let entry = |course: &Course<'a>| {
        let (_, spread) = course.points.iter().find(|(at, _)| (at - x).abs() <= x.abs() * 1e-9)?;
        Some(Entry { entrant: course.entrant, name: course.name, spread: *spread })
    };
    courses.iter().filter_map(entry).collect()
}

/// Whose value grows least from the first to the last place, and whose most. Only those that have
/// both are compared. `way` names both places: `1 to 100 clients`.
pub(crate) fn growths(
    what: &str,
    courses: &[Course<'_>],
    better: Better,
    way: impl Fn(f64, f64) -> String,
) -> String {
    let all = || courses.iter().filter_map(Course::ends);
    let least = all().map(|(start, _)| start.0).min_by(f64::total_cmp);
    let most = all().map(|(_, end)| end.0).max_by(f64::total_cmp);
    let (Some(from), Some(to)) = (least, most) else {
        return "There is no second point to compare with.".into();
    };
    let is_whole = |course: &&Course<'_>| {
        course.ends().is_some_and(|(start, end)| start.0 <= from && end.0 >= to)
    };
    let mut grown: Vec<(f64, &str)> = courses
        .iter()
        .filter(is_whole)
        .filter_map(|course| Some((course.growth()?, course.name)))
        .collect();
    grown.sort_by(|one, other| one.0.total_cmp(&other.0));
    if better == Better::More {
        grown.reverse();
    }
    let way = format!("From {}, {what}", way(from, to));
    match grown.as_slice() {
        [] => format!("{way} cannot be compared: nobody has a figure at both ends."),
        [(factor, name)] => format!("{way} of {name} {}.", becomes(*factor)),
        [best, .., worst] => format!(
            "{way} of {} {}, and that of {} {}.",
            best.1,
            becomes(best.0),
            worst.1,
            becomes(worst.0)
        ),
    }
}

fn becomes(factor: f64) -> String {
    match factor {
        grown if grown >= 1.95 => format!("becomes {} times what it was", times(grown)),
        grown if grown >= 1.005 => format!("grows by {}", percent(grown - 1.0)),
        same if same >= 0.995 => "stays as it was".into(),
        shrunk => format!("falls to {} of what it was", percent(shrunk)),
    }
}

/// Who has the smallest and who the largest share of something.
pub(crate) fn shares(what: &str, shares: &[(&str, f64)]) -> Option<String> {
    let by = |one: &&(&str, f64), other: &&(&str, f64)| one.1.total_cmp(&other.1);
    let (least, most) = (shares.iter().min_by(by)?, shares.iter().max_by(by)?);
    let (low, high) = (percent(least.1), percent(most.1));
    Some(if shares.len() == 1 {
        format!("{what} of it is {high}.")
    } else if low == high {
        format!("{what} of it is {high} with everybody.")
    } else {
        format!(
            "{what} of it is smallest with {} ({low}) and largest with {} ({high}).",
            least.0, most.0
        )
    })
}

/// What a fairness of `index` among `clients` amounts to.
pub(crate) fn as_if(index: f64, clients: f64) -> String {
    let few = (index * clients).round().max(1.0);
    format!("as if {} of {} had had all answers", grouped(few), grouped(clients))
}

/// What `kib` for each client are for so many of them.
pub(crate) fn for_many(kib: f64, clients: usize) -> String {
    memory(kib * float(clients))
}
