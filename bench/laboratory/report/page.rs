//! The page: what was asked, the drawings with what is seen in them, all figures, and how to do it
//! again. It needs nothing but itself.

use std::fmt::Write;

use super::data::{Check, Entrant, Kind, Results};
use super::numbers::{Spread, beside, float, grouped, per_second, rough, short};
use super::panels;
use super::plots::{self, Figure};
use super::svg::{Style, Svg, escape};
use super::tables;

const STYLE: &str = include_str!("page.css");

/// How far the generator may be off wrk.
const CLOSE: f64 = 0.1;

pub(crate) fn page(results: &Results) -> String {
    let figures = plots::all(results);
    let panels = panels::all(results);
    let title = "What does an event loop win over threads and processes, and where does it lose?";
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n"
    );
    page += &introduction(results);
    page += &contents(results, &figures, &panels);
    page += &entrants(results);
    for (at, figure) in figures.iter().enumerate() {
        page += &section(at, figure);
    }
    page += &beside_each_other(results, &panels);
    page += &tables::all(results);
    page += &ending(results);
    page += "</main>\n</body>\n</html>\n";
    page
}

fn introduction(results: &Results) -> String {
    let rounds = results.rounds;
    let is_ours = |entrant: &&Entrant| entrant.kind == Kind::Architecture;
    let subject = match results.entrants.iter().filter(is_ours).count() {
        0 => "Servers as they are installed or run, under the same loads.".to_owned(),
        count => format!(
            "The same parser, router and files under {count} way{} of waiting for many clients; \
             what else was measured beside them is named below.",
            if count == 1 { "" } else { "s" }
        ),
    };
    format!(
        "<p>{subject} Each load was put on each of them for \
         {} s, in {} round{}, in turn. A figure is the median of its rounds; the whisker at a mark \
         is where the middle half of them lies. Where two such halves overlap, the difference may \
         be chance: that is called a draw here.</p>\n\
         <p class=\"what\">{} · oneloop {}</p>\n",
        short(&rough(results.seconds)),
        rounds,
        if rounds == 1 { "" } else { "s" },
        escape(&results.machine),
        escape(&results.version),
    )
}

/// Each question, with the first thing that is to be said to it.
fn contents(results: &Results, figures: &[Figure], panels: &[Figure]) -> String {
    let mut nav =
        String::from("<nav aria-label=\"Questions and answers\">\n<h2>In short</h2>\n<ol>\n");
    for (at, figure) in figures.iter().enumerate() {
        nav += &item(&format!("q{at}"), &figure.question, &figure.sentences[0]);
    }
    if !panels.is_empty() {
        nav += &item("beside", BESIDE, &panels::sentences(results)[0]);
    }
    nav += "</ol>\n</nav>\n";
    nav
}

fn item(id: &str, question: &str, answer: &str) -> String {
    format!("<li><a href=\"#{id}\">{}</a> <span>{}</span></li>\n", escape(question), escape(answer))
}

/// Who takes part, with the mark that each has everywhere.
fn entrants(results: &Results) -> String {
    let mut list = String::from("<section>\n<h2>Who takes part?</h2>\n<dl class=\"who\">\n");
    for (at, entrant) in results.entrants.iter().enumerate() {
        let style = Style::of(at, entrant.kind);
        let mut sign = Svg::new(34.0, 16.0);
        sign.curve(&[(1.0, 8.0), (31.0, 8.0)], style);
        sign.mark((16.0, 8.0), 5.0, style);
        let size = match entrant.size {
            Some(size) => format!(", tuned to {}", grouped(float(size))),
            None => String::new(),
        };
        write_to(
            &mut list,
            format_args!(
                "<dt><span class=\"c{}\" aria-hidden=\"true\">{}</span>{}{size}</dt>\
                 <dd>{}</dd>\n",
                style.colour,
                sign.finish(&entrant.name),
                escape(&entrant.name),
                escape(&entrant.idea),
            ),
        );
    }
    list += "</dl>\n";
    let has = |kind| results.entrants.iter().any(|entrant| entrant.kind == kind);
    if has(Kind::Peer) {
        list += "<p class=\"note\">Dashed lines are installed servers. They differ in all \
                 their code, not in how they wait alone.</p>\n";
    }
    if has(Kind::Url) {
        list += "<p class=\"note\">Dotted lines are servers that somebody else has started. \
                 Only their answers are seen, not what those cost.</p>\n";
    }
    list += "</section>\n";
    list
}

/// The one place that knows that a String never refuses.
pub(crate) fn write_to(text: &mut String, words: std::fmt::Arguments<'_>) {
    text.write_fmt(words).expect("a String takes all that is written to it");
}

fn section(at: usize, figure: &Figure) -> String {
    format!(
        "<section id=\"q{at}\">\n<h2>{}</h2>\n<p class=\"what\">{}.</p>\n{}</section>\n",
        escape(&figure.question),
        escape(figure.what.trim_end_matches('.')),
        drawn(figure),
    )
}

fn drawn(figure: &Figure) -> String {
    let label = format!("{} {}", figure.question, figure.sentences.join(" "));
    let [wide, narrow] = &figure.drawings;
    let mut html = format!(
        "<figure>\n<div class=\"wide\">{}</div>\n<div class=\"narrow\">{}</div>\n<figcaption>\n\
         <p>{} {}</p>\n",
        wide.finish(&label),
        narrow.finish(&label),
        escape(&figure.sentences[0]),
        escape(&figure.sentences[1]),
    );
    for oddity in &figure.oddities {
        write_to(&mut html, format_args!("<p class=\"note\">{}</p>\n", escape(oddity)));
    }
    html += "</figcaption>\n</figure>\n";
    html
}

const BESIDE: &str = "Which architecture suits which work?";

fn beside_each_other(results: &Results, panels: &[Figure]) -> String {
    if panels.is_empty() {
        return String::new();
    }
    let [one, other] = panels::sentences(results);
    let mut html = format!(
        "<section id=\"beside\">\n<h2>{BESIDE}</h2>\n<p>{} {}</p>\n\
         <p class=\"note\">The marks show each as a share of that workload's best; the numbers are \
         answers per second.</p>\n<div class=\"panels\">\n",
        escape(&one),
        escape(&other)
    );
    for panel in panels {
        write_to(
            &mut html,
            format_args!(
                "<section>\n<h3>How many answers per second: {}?</h3>\n\
                 <p class=\"what\">{}</p>\n{}</section>\n",
                escape(&panel.question),
                escape(&panel.what),
                drawn(panel)
            ),
        );
    }
    html += "</div>\n</section>\n";
    html
}

/// What was left out, the machine, and how to do it again.
fn ending(results: &Results) -> String {
    let mut html = String::new();
    if let Some(check) = &results.check {
        let words = check_sentence(check);
        write_to(
            &mut html,
            format_args!(
                "<section>\n<h2>Does the generator ask as fast as others do?</h2>\n\
                 <p>{}</p>\n</section>\n",
                escape(&words)
            ),
        );
    }
    if !results.notes.is_empty() {
        html += "<section>\n<h2>What was left out?</h2>\n<ul>\n";
        for note in &results.notes {
            write_to(&mut html, format_args!("<li>{}</li>\n", escape(note)));
        }
        html += "</ul>\n</section>\n";
    }
    write_to(
        &mut html,
        format_args!(
            "<section>\n<h2>How can I repeat it?</h2>\n<p>This page comes from oneloop {}, on {}. \
             In its source, with Rust installed, type:</p>\n<pre><code>{}</code></pre>\n\
             <p>From the raw data that a run leaves behind, the page is made again by:</p>\n\
             <pre><code>cargo bench --bench report -- FILE.json</code></pre>\n\
             </section>\n",
            escape(&results.version),
            escape(&results.machine),
            escape(&results.command),
        ),
    );
    html
}

/// How the generator stands to wrk.
pub(crate) fn check_sentence(check: &Check) -> String {
    let (Some(own), Some(wrk)) = (Spread::of(&check.own), Spread::of(&check.wrk)) else {
        return "There is no figure of both.".into();
    };
    let part = (own.middle / wrk.middle - 1.0).abs();
    format!(
        "Against the same server the generator gets {}, and wrk gets {} ({}): {}.",
        per_second(own.middle),
        per_second(wrk.middle),
        beside(wrk.middle, own.middle),
        if part <= CLOSE { "they agree within 10 %" } else { "they differ by more than 10 %" },
    )
}
