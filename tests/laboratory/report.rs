//! The report of the laboratory: what it says of made-up results, and what it draws.

#[path = "../../bench/laboratory/data.rs"]
pub(super) mod data;
#[path = "../../bench/laboratory/report.rs"]
mod shown;

use std::collections::BTreeSet;

use super::synthetic::results;
use data::{Kind, Results};
use shown::axis::{Axis, spread_apart};
use shown::numbers::{self, Spread};
use shown::sentences::{Better, Course, Standing, Words, first, last, standing, ways};
use shown::svg::{Style, escape, fitted};
use shown::view::{self, Entry};

const RATE: Words = Words { better: Better::More, does: "is first", value: numbers::rough };

fn entry<'a>(entrant: usize, name: &'a str, rounds: &[f64]) -> Entry<'a> {
    Entry { entrant, name, spread: Spread::of(rounds).unwrap() }
}

/// Whether all these are the same but for what a division leaves over.
#[track_caller]
fn same(values: &[f64], wanted: &[f64]) {
    let is_same = |(one, other): (&f64, &f64)| (one - other).abs() < 1e-9;
    assert!(
        values.len() == wanted.len() && values.iter().zip(wanted).all(is_same),
        "{values:?} instead of {wanted:?}"
    );
}

#[test]
fn a_spread_is_the_median_and_the_quartiles() {
    let spread = Spread::of(&[5.0, 1.0, f64::NAN, 3.0, 2.0, 4.0]).unwrap();
    same(&[spread.low, spread.middle, spread.high, spread.half()], &[2.0, 3.0, 4.0, 1.0]);
    assert_eq!(spread.rounds, 5);
    let spread = Spread::of(&[1.0, 2.0]).unwrap();
    same(&[spread.low, spread.middle, spread.high], &[1.25, 1.5, 1.75]);
    let spread = Spread::of(&[7.0]).unwrap();
    same(&[spread.low, spread.middle, spread.high, spread.half()], &[7.0, 7.0, 7.0, 0.0]);
    assert!(Spread::of(&[]).is_none() && Spread::of(&[f64::INFINITY]).is_none());
}

#[test]
fn numbers_have_three_digits_that_count() {
    let words =
        [0.0, 1e-5, 0.001, 0.0123, 0.5, 1.0, 9.999, 45.67, 99.96, 123.4, 52_123.0, 1_234_567.0];
    let words = words.map(numbers::rough).join(" ");
    assert_eq!(
        words,
        "0 below 0.0001 0.00100 0.0123 0.500 1.00 10.0 45.7 100 123 52,100 1,230,000"
    );
    assert_eq!(numbers::rough(f64::NAN), "–");
    let exact = [0.0, 0.999_980_945_392, 126.645_653_479_069, 1.0, 33_000.0, 1.5e12, 1.0 / 3e4];
    let exact = exact.map(numbers::exact).join(" ");
    assert_eq!(exact, "0 0.999980945 126.645653 1 33000 1500000000000 0.0000333333333");
    let times = [12.0, 999.96, 1_500.0, 2.5e6].map(numbers::time).join(" ");
    assert_eq!(times, "12.0\u{a0}µs 1.00\u{a0}ms 1.50\u{a0}ms 2.50\u{a0}s");
    let sizes = [0.5, 9.15, 2_048.0, -3.0].map(numbers::memory).join(" ");
    assert_eq!(sizes, "512\u{a0}B 9.15\u{a0}KiB 2.00\u{a0}MiB -3.00\u{a0}KiB");
    let short = ["10.0 s", "0.500", "1,000", "100", "2.50"].map(numbers::short).join(" ");
    assert_eq!(short, "10 s 0.5 1,000 100 2.5");
    let shares = [0.0, 0.001, 0.14, 0.996, 0.999_99, 1.0].map(numbers::percent).join(" ");
    let shares = shares.replace('\u{a0}', " ");
    assert_eq!(shares, "0 % less than 1 % 14 % 99.6 % 99.99 % 100 %");
    assert_eq!(numbers::clients(1) + " " + &numbers::clients(10_000), "1 client 10,000 clients");
    assert_eq!(numbers::grouped(-1_234.0), "−1,234");
}

#[test]
fn one_number_is_told_by_another() {
    let words = [(86.0, 100.0), (114.0, 100.0), (230.0, 100.0), (5.0, 5.0), (0.0, 0.0)];
    let words = words.map(|(one, other)| numbers::beside(one, other)).join(", ");
    let words = words.replace('\u{a0}', " ");
    assert_eq!(words, "14 % less, 14 % more, 2.3 times as much, the same, the same");
    assert_eq!(numbers::beside(3.0, 0.0), "which no ratio can tell");
    assert_eq!(numbers::beside(5_000.0, 2.0), "2,500 times as much");
    let names = ["a", "b", "c"].map(str::to_owned);
    assert_eq!(numbers::listed(&names), "a, b and c");
    assert_eq!(numbers::listed(&names[..1]), "a");
    assert_eq!(numbers::listed(&[]), "");
}

#[test]
fn an_axis_has_round_numbers() {
    let labels = |axis: &Axis| {
        axis.ticks.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>().join(" ")
    };
    let axis = Axis::linear(61_000.0, numbers::grouped);
    assert_eq!(labels(&axis), "0 20,000 40,000 60,000 80,000");
    same(&[axis.place(0.0), axis.place(40_000.0), axis.place(1e9)], &[0.0, 0.5, 1.0]);
    assert_eq!(labels(&Axis::linear(0.0, numbers::rough)), "0 0.2 0.4 0.6 0.8 1");
    assert_eq!(labels(&Axis::linear(f64::NAN, numbers::rough)), "0 0.2 0.4 0.6 0.8 1");
    let axis = Axis::log(&[0.0, 150.0, 70_000.0, f64::NAN], numbers::rough).unwrap();
    assert_eq!(labels(&axis), "100 1,000 10,000 100,000");
    assert!(!axis.has(0.0) && axis.has(150.0));
    let axis = Axis::log(&[100.0, 100.0], numbers::rough).unwrap();
    assert_eq!(labels(&axis), "100 200");
    assert!(Axis::log(&[0.0, -3.0], numbers::rough).is_none());
    let axis = Axis::binary(&[0.9, 400.0], numbers::memory).unwrap();
    assert_eq!(labels(&axis).replace('\u{a0}', ""), "256B 1KiB 4KiB 16KiB 64KiB 256KiB 1MiB");
    let one = Axis::at(&[(100.0, "100".to_owned())]).unwrap();
    same(&[one.place(100.0)], &[0.5]);
}

#[test]
fn labels_keep_their_distance() {
    same(&spread_apart(&[50.0, 10.0], 10.0, 0.0, 100.0), &[50.0, 10.0]);
    same(&spread_apart(&[50.0, 50.0, 50.0], 10.0, 0.0, 100.0), &[40.0, 50.0, 60.0]);
    same(&spread_apart(&[98.0, 99.0], 10.0, 0.0, 100.0), &[90.0, 100.0]);
    same(&spread_apart(&[1.0, 0.0], 10.0, 0.0, 100.0), &[10.0, 0.0]);
    same(&spread_apart(&[5.0, 5.0, 5.0], 10.0, 0.0, 10.0), &[0.0, 5.0, 10.0]);
    same(&spread_apart(&[], 10.0, 0.0, 100.0), &[]);
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..1_000 {
        let wanted: Vec<f64> = (0..13).map(|_| 300.0 * rng.f64()).collect();
        let mut places = spread_apart(&wanted, 17.0, 0.0, 300.0);
        places.sort_by(f64::total_cmp);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 16.999), "{places:?}");
        assert!(places[0] >= 0.0 && places[12] <= 300.001, "{places:?}");
    }
}

#[test]
fn who_is_first_is_said_with_the_second() {
    let (one, other) = ([10.0, 11.0, 12.0], [7.0, 8.0, 9.0]);
    let entries = [entry(0, "slow", &other), entry(1, "fast", &one)];
    let said = first("Here", &entries, &RATE).replace('\u{a0}', " ");
    let wanted = "Here, fast is first: 11.0; slow follows with 8.00 (27 % less), and the middle \
                  halves of their rounds do not overlap.";
    assert_eq!(said, wanted);
    let less = Words { better: Better::Less, ..RATE };
    let said = first("Here", &entries, &less).replace('\u{a0}', " ");
    assert!(said.starts_with("Here, slow is first: 8.00; fast follows with 11.0 (38 % more)"));
    let said = last(&entries, &RATE, "is last").replace('\u{a0}', " ");
    assert_eq!(said, "slow is last: 8.00 (27 % less than fast).");
    let said = last(&entries, &less, "is last").replace('\u{a0}', " ");
    assert_eq!(said, "fast is last: 11.0 (38 % more than slow).");
    let entries = [entry(0, "a", &[9.0]), entry(1, "b", &[3.0])];
    assert!(
        first("Here", &entries, &RATE)
            .ends_with("but a single round cannot tell that from chance.")
    );
}

#[test]
fn a_draw_is_called_a_draw() {
    let even = [10.0, 11.0, 12.0];
    let a = entry(0, "a", &even);
    let b = entry(1, "b", &[10.5, 11.2, 12.0]);
    let c = entry(2, "c", &[1.0, 2.0, 3.0]);
    let wanted = "Here, b (11.2) and a (11.0) draw: the middle halves of their rounds overlap; c \
                  follows with 2.00 (82\u{a0}% less).";
    assert_eq!(first("Here", &[a, b, c], &RATE), wanted);
    let names = ["c", "d", "e", "f", "g"];
    let mut many = vec![entry(5, "z", &[1.0, 1.0])];
    many.extend(names.iter().zip(0..).map(|(name, at)| entry(at, name, &even)));
    let said = first("Here", &many, &RATE);
    assert!(said.contains("f (11.0) and 1 more draw"), "{said}");
    let said = first("Here", &many[1..], &RATE);
    assert!(said.starts_with("Here, it is a draw of all 5, from c (11.0) to g (11.0)"), "{said}");
    let once = [entry(0, "a", &[1.0]), entry(1, "b", &[1.0])];
    assert!(first("Here", &once, &RATE).ends_with("draw: their only rounds are alike."));
    let none = [entry(0, "a", &[0.0, 0.0]), entry(1, "b", &[0.0, 0.0])];
    assert_eq!(first("Here", &none, &RATE), "Here, nobody has more than 0.");
}

#[test]
fn one_alone_and_nobody_are_said_too() {
    let only = [entry(0, "a", &[1.0, 2.0, 3.0])];
    assert_eq!(first("Here", &only, &RATE), "Here, there is a figure of a alone: 2.00.");
    let wanted = "The middle half of its 3 rounds lies between 1.50 and 2.50.";
    assert_eq!(last(&only, &RATE, "is last"), wanted);
    assert_eq!(first("Here", &[], &RATE), "Here, there is no figure of anybody.");
    assert!(matches!(standing(&[], Better::More), Standing::Nobody));
    let said = last(&[], &RATE, "is last");
    assert_eq!(said, "There is only one round, and nobody to compare it with.");
}

fn course<'a>(entrant: usize, name: &'a str, values: &[f64]) -> Course<'a> {
    let spread = |value: &f64| Spread::of(&[value * 0.99, *value, value * 1.01]).unwrap();
    let places = [1.0, 10.0, 100.0, 1_000.0];
    let points = places.into_iter().zip(values.iter().map(spread)).collect();
    Course { entrant, name, points }
}

#[test]
fn a_lead_that_changes_and_a_curve_that_falls_are_seen() {
    let at = |x: f64| format!("{x:.0}");
    let up = course(0, "up", &[10.0, 20.0, 30.0, 40.0]);
    let down = course(1, "down", &[40.0, 25.0, 10.0, 4.0]);
    let flat = course(2, "flat", &[5.0, 5.0, 5.0, 4.9]);
    let said = ways(&[up.clone(), down, flat.clone()], &RATE, at);
    let wanted = "The lead changes: down has it with 10, up with 100 and more; down falls deepest, \
                  from 40.0 with 1 to 4.00 with 1000.";
    assert_eq!(said, wanted);
    let said = ways(&[up.clone(), flat.clone()], &RATE, at).replace('\u{a0}', " ");
    let wanted = "up leads all the way; no curve ends far below its peak, that of flat lowest with \
                  98 % of it.";
    assert_eq!(said, wanted);
    let even = course(3, "even", &[10.0, 20.0, 30.0, 40.0]);
    assert_eq!(ways(&[up, even], &RATE, at), "No curve falls at its end.");
    let point = course(0, "point", &[1.0]);
    assert_eq!(ways(&[point], &RATE, at), "There is no second point to compare with.");
}

#[test]
fn what_is_not_answered_counts_as_slowest() {
    let mut results = results(3, 1);
    let cell = results.cells.iter_mut().find(|cell| cell.clients == 100).unwrap();
    for sample in &mut cell.samples {
        sample.answers = 1_000;
        sample.unanswered = 40;
    }
    assert!(view::spread(cell, view::p50).is_some());
    assert!(view::spread(cell, view::p99).is_none());
    for sample in &mut cell.samples {
        sample.unanswered = 0;
    }
    let latency = cell.samples[0].latency.clone();
    same(&[view::p99(cell, &cell.samples[0]).unwrap()], &[latency.p99.unwrap()]);
    cell.rate = Some(1e3);
    cell.samples[0].unanswered = 1_000;
    // Those without an answer are in the distribution, and no quantile lies among them.
    same(&[view::p50(cell, &cell.samples[0]).unwrap()], &[latency.p50.unwrap()]);
    assert!(view::p90(cell, &cell.samples[0]).is_none());
    cell.samples[0].answers = 0;
    assert!(view::p50(cell, &cell.samples[0]).is_none());
}

#[test]
fn memory_is_that_of_connections_that_are_served() {
    let mut results = results(1, 1);
    let cell = &mut results.cells[0];
    cell.clients = 1_000;
    let sample = &mut cell.samples[0];
    (sample.memory, sample.memory_at_rest) = (Some(1_640), Some(1_000));
    sample.served = Some(64);
    same(&[view::memory(cell, &cell.samples[0]).unwrap()], &[10.0]);
    cell.samples[0].served = None;
    same(&[view::memory(cell, &cell.samples[0]).unwrap()], &[0.64]);
}

#[test]
fn what_too_few_answers_would_tell_is_not_told() {
    let is_told = [(19, 0.5), (20, 0.5), (999, 0.99), (1_000, 0.99), (9_999, 0.999)];
    let is_told = is_told.map(|(count, share)| data::tells(count, share));
    assert_eq!(is_told, [false, true, false, true, false]);
    assert!(data::tells(10_000, 0.999) && data::tells(1, 1.0));
    let mut results = results(3, 1);
    for sample in results.cells.iter_mut().flat_map(|cell| &mut cell.samples) {
        sample.answers = 999;
        sample.unanswered = 0;
        sample.latency.p99 = None;
        sample.latency.p999 = None;
    }
    let cell = &results.cells[0];
    assert!(view::spread(cell, view::p90).is_some() && view::spread(cell, view::p99).is_none());
    assert!(!view::lacks(cell, view::p99), "it has not failed");
    let oddities = view::oddities(&results, &view::loads(&results)[..1], view::p99);
    let [first, ..] = &oddities[..] else { panic!("{oddities:?}") };
    assert!(
        first.ends_with("too few answers in a round to tell this: at least 10 must lie beyond.")
    );
    assert!(!first.contains('✕'), "{first}");
    let line = shown::csv(&results).lines().nth(1).unwrap().to_owned();
    let fields: Vec<&str> = line.split(',').collect();
    assert_eq!(fields[13..15], ["", ""], "{line}");
    assert!(shown::json(&results).contains("\"p99\": null, \"p999\": null"));
    let again = shown::read(&shown::json(&results)).unwrap();
    assert!(again.cells[0].samples[0].latency.p99.is_none());
    assert!(shown::table(&results).contains("of a quantile: fewer than ten answers"));
}

#[test]
fn names_are_safe_in_html_and_csv() {
    assert_eq!(escape("<a href=\"x\">&'\n"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39; ");
    let results = results(2, 1);
    let page = shown::html(&results);
    assert!(page.contains("&lt;mine&gt; &amp; &quot;yours&quot;"));
    assert!(!page.contains("<mine>") && !page.contains("<here>"));
    assert!(shown::csv(&results).contains(",\"<mine> & \"\"yours\"\"\",url,"));
}

#[test]
fn a_long_name_keeps_both_its_ends() {
    assert_eq!(fitted("short", 10.0, 100.0), "short");
    assert_eq!(fitted("https://one.example.org", 10.0, 60.0), "https….org");
    assert_eq!(fitted("ärger", 10.0, 0.0), "ä…r");
}

#[test]
fn many_entrants_look_different() {
    let looks: Vec<Style> = (0..30).map(|at| Style::of(at, Kind::Architecture)).collect();
    for (at, look) in looks.iter().enumerate() {
        assert!(!looks[..at].contains(look), "{at} looks like another");
    }
}

#[test]
fn raw_data_can_be_read_again() {
    let mut results = shown::read(&shown::json(&results(2, 1))).unwrap();
    let text = shown::json(&results);
    let again = shown::read(&text).unwrap();
    assert!(shown::json(&again) == text && shown::html(&again) == shown::html(&results));
    let is_sample = |line: &&str| line.trim_start().starts_with("{\"seconds\"");
    let rounds: usize = results.cells.iter().map(|cell| cell.samples.len()).sum();
    assert_eq!(text.lines().filter(is_sample).count(), rounds);
    assert_eq!(shown::csv(&results).lines().count(), 1 + rounds + failed(&results));
    let fields: BTreeSet<usize> = shown::csv(&results).lines().map(commas).collect();
    assert_eq!(fields.len(), 1, "{fields:?}");
    results.cells[0].samples[0].fairness = f64::NAN;
    results.cells[0].samples[0].user = Some(f64::INFINITY);
    let again = shown::read(&shown::json(&results)).unwrap();
    assert!(again.cells[0].samples[0].user.is_none());
    results.cells[0].entrant = 99;
    assert!(shown::read(&shown::json(&results)).unwrap_err().contains("entrant 99"));
    assert!(shown::read("{}").is_err() && shown::read("").is_err());
}

/// Cells without a round.
fn failed(results: &Results) -> usize {
    results.cells.iter().filter(|cell| cell.samples.is_empty()).count()
}

/// Those that are not in quotes.
fn commas(line: &str) -> usize {
    line.split('"').step_by(2).map(|part| part.matches(',').count()).sum()
}

#[test]
fn a_page_has_two_sentences_for_each_drawing_and_needs_nothing_else() {
    let page = shown::html(&results(5, 1));
    for outside in ["http://", "https://", "<script", "<link", "<img", "url(", "NaN", "inf\""] {
        assert!(!page.contains(outside), "the page has {outside}");
    }
    let captions: Vec<&str> = page.split("<figcaption>").skip(1).collect();
    // Nine questions and thirteen workloads.
    assert_eq!(captions.len(), 9 + 13);
    for caption in captions {
        let words = caption.split("<p>").nth(1).unwrap().split("</p>").next().unwrap();
        let ends = words.matches(". ").count() + usize::from(words.ends_with('.'));
        assert_eq!(ends, 2, "{words}");
    }
    let ids = page.matches(" id=\"").count();
    assert_eq!(ids, page.matches("href=\"#").count());
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<g ").count(), page.matches("</g>").count());
}

#[test]
fn a_page_bears_what_is_missing() {
    let whole = results(3, 1);
    let with = |keep: &dyn Fn(&data::Cell) -> bool| {
        let mut some = whole.clone();
        some.cells.retain(|cell| keep(cell));
        shown::table(&some) + &shown::html(&some)
    };
    assert!(with(&|_| false).contains("How can I repeat it?"));
    let page = shown::html(&whole);
    assert!(page.contains("Of 1,000 clients, thread-pool left more than one in a hundred waiting"));
    // What leaves clients waiting is no choice: there size 1 would be the worst by far.
    let mut pool = whole.clone();
    pool.entrants.iter_mut().filter(|one| one.size != Some(32)).for_each(|one| one.search.clear());
    assert!(shown::html(&pool).contains("<p>Nobody has two sizes that leave as few clients"));
    let mut peers = whole.clone();
    peers.entrants.iter_mut().for_each(|entrant| entrant.kind = Kind::Peer);
    assert!(shown::html(&peers).contains("<p>Servers as they are installed or run"));
    let alone = with(&|cell| cell.entrant == 6 && cell.clients == 100);
    assert!(alone.contains("there is a figure of oneloop alone"), "{alone}");
    assert!(with(&|cell| cell.clients == 10_000).contains("✕ no more processes"));
    let silent = with(&|cell| whole.entrants[cell.entrant].kind == Kind::Url);
    assert!(!silent.contains("How much processor time"));
    let mut zero = whole.clone();
    for sample in zero.cells.iter_mut().flat_map(|cell| &mut cell.samples) {
        *sample = data::Sample { seconds: 1.0, ..data::Sample::default() };
    }
    let page = shown::html(&zero);
    assert!(page.contains("nobody has more than 0 per second"));
    assert!(!page.contains("NaN") && !page.contains("inf "));
    for cell in &mut zero.cells {
        cell.samples.clear();
        cell.failure = Some("it burned".into());
    }
    assert!(shown::html(&zero).contains("✕ it burned"));
    assert!(shown::table(&zero).contains("oneloop failed: it burned"));
}

#[test]
fn the_table_has_a_line_for_each_entrant() {
    let results = results(3, 1);
    let text = shown::table(&results);
    let block = text.split("\n\n").find(|block| block.contains("docs, 100 clients")).unwrap();
    let lines: Vec<&str> = block.lines().collect();
    assert_eq!(lines.len(), 2 + results.entrants.len());
    let width = |line: &str| line.chars().count();
    assert!(lines[1..].iter().all(|line| width(line) == width(lines[1])), "{block}");
    assert!(lines[2].contains('±') && !text.contains('\u{a0}'));
}

#[test]
fn two_runs_agree_or_are_told_apart() {
    let one = results(5, 1);
    let same = shown::agree::agree(&one, &one);
    assert_eq!(same.lines().count(), 4, "{same}");
    assert!(same.lines().all(|line| line.ends_with("(100.0 %)")), "{same}");
    // As if the first two had changed places.
    let mut other = results(5, 1);
    other.entrants.swap(0, 1);
    let differs = shown::agree::agree(&one, &other);
    let (first, second) = (&one.entrants[0].name, &one.entrants[1].name);
    assert!(differs.contains(&format!(": {first} and {second}")), "{differs}");
    assert!(!differs.contains("(100.0 %)"), "{differs}");
}

#[test]
fn user_and_system_are_the_parts_of_all_rounds_together() {
    let mut cell = results(5, 1).cells[0].clone();
    let sample = data::Sample { answers: 10, ..cell.samples[0].clone() };
    let round = |user: f64, system: f64| data::Sample {
        time: Some(user + system),
        user: Some(user),
        system: Some(system),
        ..sample.clone()
    };
    cell.samples = vec![round(0.0, 4.0), round(3.0, 1.0), round(6.0, 2.0)];
    let last = &cell.samples[2];
    let [user, system] = [view::user, view::system].map(|measure| measure(&cell, last).unwrap());
    same(&[user, system], &[8.0 * 9.0 / 16.0, 8.0 * 7.0 / 16.0]);
}
