//! Lines over an axis, one for each entrant, with its name where it ends. On a narrow drawing the
//! names stand below.

use super::axis::{Axis, spread_apart};
use super::numbers::float;
use super::svg::{Anchor, Style, Svg, fitted, width};

/// Sizes of letters, in units of the drawing; the page has the same in its style.
const LETTERS: f64 = 13.0;

/// The share of the width that names take at most.
const NAMES: f64 = 0.4;

/// Between two names below each other.
const LINE: f64 = 17.0;

/// For whom a drawing is made: one unit is about one pixel there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Wide,
    Narrow,
    /// One of two beside each other.
    Panel,
    /// The same, narrow.
    Slip,
}

impl Size {
    pub(crate) fn width(self) -> f64 {
        match self {
            Size::Wide => 960.0,
            Size::Panel => 470.0,
            Size::Narrow | Size::Slip => 340.0,
        }
    }
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) entrant: usize,
    pub(crate) name: String,
    pub(crate) style: Style,
    /// From left to right.
    pub(crate) points: Vec<Point>,
    /// Where it failed.
    pub(crate) failed: Vec<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// From where to where the middle half of the rounds lies.
    pub(crate) whisker: Option<(f64, f64)>,
    /// Has a mark, and this is what is shown where a mouse rests on it.
    pub(crate) title: Option<String>,
    pub(crate) is_chosen: bool,
}

/// A drawing of lines.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) x_title: String,
    pub(crate) y_title: String,
    pub(crate) series: Vec<Series>,
}

/// Where the axes are.
struct Frame<'a> {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    lines: &'a Lines,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f64 {
        self.left + (self.right - self.left) * self.lines.x.place(value)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.lines.y.place(value)
    }

    fn point(&self, point: &Point) -> (f64, f64) {
        (self.x(point.x), self.y(point.y))
    }
}

impl Lines {
    pub(crate) fn draw(&self, size: Size) -> Svg {
        let whole = size.width();
        let widest = |words: &mut dyn Iterator<Item = &str>| {
            words.map(|words| width(words, LETTERS)).fold(0.0, f64::max)
        };
        let names = widest(&mut self.series.iter().map(|series| series.name.as_str()));
        let names = names.min(whole * NAMES);
        let ticks = widest(&mut self.y.ticks.iter().map(|(_, words)| words.as_str()));
        let (right, legend) = match size {
            Size::Wide | Size::Panel => (whole - names - 34.0, 0.0),
            Size::Narrow | Size::Slip => {
                (whole - 14.0, LINE * float(self.rows(whole).len()) + 10.0)
            }
        };
        let height = match size {
            Size::Wide | Size::Panel => f64::max(320.0, LINE * float(self.series.len()) + 20.0),
            Size::Narrow | Size::Slip => 250.0,
        };
        let frame =
            Frame { left: ticks + 10.0, right, top: 30.0, bottom: 30.0 + height, lines: self };
        let mut svg = Svg::new(whole, frame.bottom + 46.0 + legend);
        self.axes(&frame, &mut svg);
        for series in &self.series {
            series.draw(&frame, &mut svg);
        }
        self.failures(&frame, &mut svg);
        match size {
            Size::Wide | Size::Panel => self.names(&frame, &mut svg),
            Size::Narrow | Size::Slip => {
                self.legend(frame.bottom + 46.0 + LINE * 0.8, whole, &mut svg);
            }
        }
        svg
    }

    fn axes(&self, frame: &Frame<'_>, svg: &mut Svg) {
        svg.text((2.0, 14.0), Anchor::Start, "title", &self.y_title);
        for (value, words) in &self.y.ticks {
            let y = frame.y(*value);
            svg.line((frame.left, y), (frame.right, y), "grid");
            svg.text((frame.left - 6.0, y + 4.5), Anchor::End, "tick", words);
        }
        svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), "axis");
        // The last one is always written, and those before it that leave it room.
        let mut free = f64::INFINITY;
        for (value, words) in self.x.ticks.iter().rev() {
            let x = frame.x(*value);
            svg.line((x, frame.bottom), (x, frame.bottom + 5.0), "axis");
            let half = width(words, LETTERS) / 2.0;
            let center = x.min(svg_right(frame) - half);
            if center + half < free {
                svg.text((center, frame.bottom + 19.0), Anchor::Middle, "tick", words);
                free = center - half - 6.0;
            }
        }
        let middle = f64::midpoint(frame.left, frame.right);
        svg.text((middle, frame.bottom + 39.0), Anchor::Middle, "title", &self.x_title);
    }

    /// The names beside the ends of the lines.
    fn names(&self, frame: &Frame<'_>, svg: &mut Svg) {
        let named: Vec<&Series> =
            self.series.iter().filter(|series| !series.points.is_empty()).collect();
        let ends: Vec<(f64, f64)> = named
            .iter()
            .filter_map(|series| series.points.last())
            .map(|end| frame.point(end))
            .collect();
        let wanted: Vec<f64> = ends.iter().map(|(_, y)| *y).collect();
        let places = spread_apart(&wanted, LINE, frame.top, frame.bottom);
        for ((series, end), y) in named.iter().zip(&ends).zip(places) {
            svg.open(&format!("series c{}", series.style.colour), &series.name);
            // A line that ends early has a long way to its name, which must not look like data.
            let class = if frame.right - end.0 > 40.0 { "leader far" } else { "leader" };
            svg.line((end.0 + 6.0, end.1), (frame.right + 14.0, y), class);
            let name = fitted(&series.name, LETTERS, Size::Wide.width() * NAMES);
            svg.text((frame.right + 18.0, y + 4.5), Anchor::Start, "name", &name);
            svg.close();
        }
    }

    /// Which series stand in which row of the legend, and how far from the left.
    fn rows(&self, whole: f64) -> Vec<Vec<(f64, &Series)>> {
        let mut rows: Vec<Vec<(f64, &Series)>> = Vec::new();
        let mut x = f64::INFINITY;
        for series in self.series.iter().filter(|series| !series.points.is_empty()) {
            let wide = 30.0 + width(&series.name, LETTERS) + 14.0;
            if x + wide > whole {
                rows.push(Vec::new());
                x = 0.0;
            }
            if let Some(row) = rows.last_mut() {
                row.push((x, series));
            }
            x += wide;
        }
        rows
    }

    fn legend(&self, top: f64, whole: f64, svg: &mut Svg) {
        for (at, row) in self.rows(whole).iter().enumerate() {
            let y = top + LINE * float(at);
            for (x, series) in row {
                svg.open(&format!("series c{}", series.style.colour), &series.name);
                svg.curve(&[(x + 2.0, y - 4.5), (x + 26.0, y - 4.5)], series.style);
                svg.mark((x + 14.0, y - 4.5), 4.0, series.style);
                let name = fitted(&series.name, LETTERS, whole - 31.0);
                svg.text((x + 31.0, y), Anchor::Start, "name", &name);
                svg.close();
            }
        }
    }

    /// A cross above the axis for each failure, one above the other.
    fn failures(&self, frame: &Frame<'_>, svg: &mut Svg) {
        let mut crosses: Vec<f64> = Vec::new();
        for series in &self.series {
            for value in &series.failed {
                let x = frame.x(*value);
                let before = crosses.iter().filter(|cross| (*cross - x).abs() < 0.1).count();
                crosses.push(x);
                let y = frame.bottom - 8.0 - 13.0 * float(before);
                svg.open(
                    &format!("c{}", series.style.colour),
                    &format!("{} failed here", series.name),
                );
                svg.text((x, y + 4.5), Anchor::Middle, "failed", "✕");
                svg.close();
            }
        }
    }
}

/// How far what is written along the x axis may reach.
fn svg_right(frame: &Frame<'_>) -> f64 {
    frame.right + 12.0
}

impl Series {
    fn draw(&self, frame: &Frame<'_>, svg: &mut Svg) {
        svg.open(&format!("series c{}", self.style.colour), &self.name);
        let points: Vec<(f64, f64)> = self.points.iter().map(|point| frame.point(point)).collect();
        svg.curve(&points, self.style);
        for point in &self.points {
            let (x, y) = frame.point(point);
            if let Some((low, high)) = point.whisker {
                svg.line((x, frame.y(low)), (x, frame.y(high)), "whisker");
            }
            if point.is_chosen {
                svg.ring((x, y), 8.0);
            }
            if let Some(title) = &point.title {
                svg.open("point", title);
                svg.mark((x, y), 4.0, self.style);
                svg.close();
            }
        }
        svg.close();
    }
}
