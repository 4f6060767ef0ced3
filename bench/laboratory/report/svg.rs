//! Shapes and words as SVG. Colours are the page's: each shape has a class, or the colour of the
//! entrant it belongs to.

use std::fmt::{Arguments, Write};

use super::data::Kind;
use super::numbers::{float, whole};

/// How many colours there are. With the shapes they tell many more entrants apart.
const COLOURS: usize = 8;

/// How wide a letter is, as a share of the size of its font. Most are narrower.
const LETTER: f64 = 0.57;

/// Corners of the marks, for a radius of 1. The first mark is a circle.
const MARKS: [&[(f64, f64)]; COLOURS] = [
    &[],
    &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    &[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)],
    &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
    &[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)],
    &[
        (-0.45, -1.2),
        (0.45, -1.2),
        (0.45, -0.45),
        (1.2, -0.45),
        (1.2, 0.45),
        (0.45, 0.45),
        (0.45, 1.2),
        (-0.45, 1.2),
        (-0.45, 0.45),
        (-1.2, 0.45),
        (-1.2, -0.45),
        (-0.45, -0.45),
    ],
    &[(1.2, 0.0), (-0.85, 1.15), (-0.85, -1.15)],
    &[(-1.1, -1.1), (1.1, -1.1), (-1.1, 1.1), (1.1, 1.1)],
];

/// How an entrant looks wherever it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// The class that gives the colour is `c` and this number.
    pub(crate) colour: usize,
    mark: usize,
    is_hollow: bool,
    dash: &'static str,
}

impl Style {
    /// Of the entrant at place `at`.
    pub(crate) fn of(at: usize, kind: Kind) -> Style {
        let lap = at / COLOURS;
        let dash = match kind {
            Kind::Architecture if lap == 0 => "none",
            Kind::Architecture => "10 3 2 3",
            Kind::Peer => "6 3",
            Kind::Url => "2 3",
        };
        Style {
            colour: at % COLOURS,
            mark: (at + 3 * lap) % COLOURS,
            is_hollow: lap % 2 == 1,
            dash,
        }
    }
}

/// Where a text begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing that grows.
#[derive(Clone, Debug)]
pub(crate) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64) -> Svg {
        Svg { width, height, body: String::new() }
    }

    /// The whole, with what it says to those who do not see it.
    pub(crate) fn finish(&self, label: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
            self.width,
            self.height,
            escape(label),
            self.body,
        )
    }

    fn add(&mut self, piece: Arguments<'_>) {
        self.body.write_fmt(piece).expect("a String takes all that is written to it");
        self.body.push('\n');
    }

    /// What comes until [`Svg::close`] belongs together. `title` is shown where a mouse rests.
    pub(crate) fn open(&mut self, class: &str, title: &str) {
        self.add(format_args!("<g class=\"{class}\"><title>{}</title>", escape(title)));
    }

    pub(crate) fn close(&mut self) {
        self.add(format_args!("</g>"));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// The line of an entrant.
    pub(crate) fn curve(&mut self, points: &[(f64, f64)], style: Style) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!(
            "<polyline class=\"curve\" stroke-dasharray=\"{}\" points=\"{}\"/>",
            style.dash,
            points.join(" "),
        ));
    }

    pub(crate) fn rect(&mut self, corner: (f64, f64), size: (f64, f64), class: &str) {
        let ((x, y), (width, height)) = (corner, size);
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            width.max(0.0),
            height.max(0.0),
        ));
    }

    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = at;
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(words),
        ));
    }

    /// The mark of an entrant.
    pub(crate) fn mark(&mut self, at: (f64, f64), radius: f64, style: Style) {
        let (x, y) = at;
        let class = if style.is_hollow { "hollow" } else { "mark" };
        let corners = MARKS[style.mark];
        if corners.is_empty() {
            self.add(format_args!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>"
            ));
            return;
        }
        let corner = |(right, down): &(f64, f64)| {
            format!("{:.1},{:.1}", x + right * radius, y + down * radius)
        };
        let corners: Vec<String> = corners.iter().map(corner).collect();
        self.add(format_args!("<polygon class=\"{class}\" points=\"{}\"/>", corners.join(" ")));
    }

    /// A ring around something that was chosen.
    pub(crate) fn ring(&mut self, at: (f64, f64), radius: f64) {
        let (x, y) = at;
        self.add(format_args!(
            "<circle class=\"ring\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>"
        ));
    }
}

/// Room for `words` in a font of `size`, at least.
pub(crate) fn width(words: &str, size: f64) -> f64 {
    float(words.chars().count()) * size * LETTER
}

/// `words`, with less of their middle where they need more than `room`: names of the same kind
/// differ at their ends.
pub(crate) fn fitted(words: &str, size: f64, room: f64) -> String {
    let letters: Vec<char> = words.chars().collect();
    let most = whole(room / (size * LETTER)).max(3);
    if letters.len() <= most {
        return words.into();
    }
    let (head, tail) = (most / 2, most - most / 2 - 1);
    letters[..head].iter().chain(['…'].iter()).chain(&letters[letters.len() - tail..]).collect()
}

/// `words` with what has a meaning in HTML written out.
pub(crate) fn escape(words: &str) -> String {
    let mut safe = String::with_capacity(words.len());
    for letter in words.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML has no place for the others, and a newline is none in a label.
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}
