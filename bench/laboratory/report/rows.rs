//! One row for each entrant: a bar of several parts, a stem on a logarithmic axis, or a dot.

use super::axis::Axis;
use super::lines::Size;
use super::numbers::float;
use super::svg::{Anchor, Style, Svg, fitted, width};

const LETTERS: f64 = 13.0;

/// How high a row is, in a panel, and where its name stands above it.
const ROW: f64 = 25.0;
const LOW_ROW: f64 = 20.0;
const HIGH_ROW: f64 = 38.0;

/// What stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bars that begin at 0, one behind the other.
    Bars,
    /// A dot on a stem: a logarithmic axis has no 0 for a bar to begin at.
    Stem,
    Dot,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) entrant: usize,
    pub(crate) name: String,
    pub(crate) style: Style,
    /// The parts of a bar, or the one value.
    pub(crate) values: Vec<f64>,
    /// From where to where the middle half of the rounds lies.
    pub(crate) whisker: Option<(f64, f64)>,
    /// The value in words, or why there is none.
    pub(crate) words: String,
}

/// A drawing of rows.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) axis: Axis,
    pub(crate) title: String,
    pub(crate) form: Form,
    /// What the parts of a bar are. Their classes are `part0`, `part1`, `part2`.
    pub(crate) parts: Vec<&'static str>,
    pub(crate) all: Vec<Row>,
}

/// Where things are.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    row: f64,
    /// Where the middle of the bar is, from the top of a row.
    middle: f64,
    has_names_above: bool,
    /// Where a column of values ends.
    column: f64,
}

impl Rows {
    pub(crate) fn draw(&self, size: Size) -> Svg {
        let widest = |words: fn(&Row) -> &str| {
            self.all.iter().map(|row| width(words(row), LETTERS)).fold(0.0, f64::max)
        };
        let names = widest(|row| &row.name);
        let words = widest(|row| &row.words);
        let top = if self.parts.is_empty() { 8.0 } else { 34.0 };
        let right = size.width() - words - 14.0;
        // Long names leave no room beside them.
        let has_names_above = size == Size::Narrow || names > size.width() * 0.5;
        let row = match size {
            _ if has_names_above => HIGH_ROW,
            Size::Panel | Size::Slip => LOW_ROW,
            Size::Wide | Size::Narrow => ROW,
        };
        let (left, middle) = if has_names_above { (8.0, 26.0) } else { (names + 12.0, row / 2.0) };
        let frame =
            Frame { left, right, top, row, middle, has_names_above, column: size.width() - 2.0 };
        let bottom = top + frame.row * float(self.all.len()) + 4.0;
        let mut svg = Svg::new(size.width(), bottom + 44.0);
        self.legend(frame.left, &mut svg);
        self.axis(&frame, bottom, &mut svg);
        for (at, row) in self.all.iter().enumerate() {
            let y = frame.top + frame.row * float(at);
            if frame.has_names_above {
                let name = fitted(&row.name, LETTERS, size.width() - frame.left - 4.0);
                svg.text((frame.left + 4.0, y + 13.0), Anchor::Start, "name", &name);
            } else {
                let place = (frame.left - 8.0, y + frame.middle + 4.5);
                svg.text(place, Anchor::End, "name", &row.name);
            }
            self.row(row, &frame, y + frame.middle, &mut svg);
        }
        svg
    }

    /// What the parts are.
    fn legend(&self, left: f64, svg: &mut Svg) {
        let mut x = left;
        for (at, part) in self.parts.iter().enumerate() {
            svg.rect((x, 6.0), (14.0, 12.0), &format!("part{at}"));
            svg.text((x + 20.0, 17.0), Anchor::Start, "name", part);
            x += 20.0 + width(part, LETTERS) + 18.0;
        }
    }

    fn axis(&self, frame: &Frame, bottom: f64, svg: &mut Svg) {
        let mut free = f64::NEG_INFINITY;
        for (value, words) in &self.axis.ticks {
            let x = frame.x(&self.axis, *value);
            svg.line((x, frame.top), (x, bottom), "grid");
            let half = width(words, LETTERS) / 2.0;
            let center = x.max(half + 4.0).min(frame.column - half);
            if center - half > free {
                svg.text((center, bottom + 16.0), Anchor::Middle, "tick", words);
                free = center + half + 8.0;
            }
        }
        let room = width(&self.title, LETTERS) / 2.0;
        let middle = f64::midpoint(frame.left, frame.right).max(room);
        svg.text((middle, bottom + 37.0), Anchor::Middle, "title", &self.title);
        svg.line((frame.left, frame.top), (frame.left, bottom), "axis");
    }

    fn row(&self, row: &Row, frame: &Frame, y: f64, svg: &mut Svg) {
        svg.open(&format!("c{}", row.style.colour), &format!("{}: {}", row.name, row.words));
        let mut end = frame.left;
        if !row.values.is_empty() {
            let at = |value: f64| frame.x(&self.axis, value);
            let place = at(row.values.iter().sum());
            match self.form {
                Form::Bars => {
                    let mut sum = 0.0;
                    for (part, value) in row.values.iter().enumerate() {
                        let (from, to) = (at(sum), at(sum + value));
                        svg.rect((from, y - 8.0), (to - from, 16.0), &format!("part{part}"));
                        sum += value;
                    }
                }
                Form::Stem => svg.line((frame.left, y), (place, y), "stem"),
                Form::Dot => svg.line((frame.left, y), (frame.right, y), "grid"),
            }
            end = place;
            if let Some((low, high)) = row.whisker {
                let class = if self.form == Form::Bars { "whisker ink" } else { "whisker" };
                svg.line((at(low), y), (at(high), y), class);
                end = end.max(at(high));
            }
            if self.form != Form::Bars && self.axis.has(row.values[0]) {
                svg.mark((place, y), 4.5, row.style);
                end = end.max(place + 5.0);
            }
        }
        let is_failed = row.values.is_empty();
        let class = if is_failed { "failed" } else { "value" };
        // Dots have their values in a column, bars at their ends.
        if self.form == Form::Dot && !is_failed {
            svg.text((frame.column, y + 4.5), Anchor::End, class, &row.words);
        } else {
            svg.text((end + 8.0, y + 4.5), Anchor::Start, class, &row.words);
        }
        svg.close();
    }
}

impl Frame {
    fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + (self.right - self.left) * axis.place(value)
    }
}
