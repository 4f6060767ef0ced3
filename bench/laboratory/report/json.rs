//! The raw data as JSON, and back. Each round is one line, so that a difference between two runs
//! can be read.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::data::{Results, Sample};
use super::numbers::exact;

/// What lies deeper stays on its line: a round is in a list in a cell in a list in the whole.
const DEPTH: usize = 4;

pub(crate) fn json(results: &Results) -> String {
    let mut results = results.clone();
    let samples = results.cells.iter_mut().flat_map(|cell| &mut cell.samples);
    samples.for_each(make_finite);
    let mut bytes = Vec::new();
    let layout = Layout::default();
    results
        .serialize(&mut Serializer::with_formatter(&mut bytes, layout))
        .expect("plain data in memory can be written as JSON");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// The results that `text` holds; or why they cannot be had.
pub(crate) fn read(text: &str) -> Result<Results, String> {
    let results: Results = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let (entrants, workloads) = (results.entrants.len(), results.workloads.len());
    for (cell, at) in results.cells.iter().zip(1..) {
        if cell.entrant >= entrants || cell.workload >= workloads {
            return Err(format!(
                "cell {at} is of entrant {} and workload {}, of {entrants} and {workloads}",
                cell.entrant, cell.workload
            ));
        }
    }
    Ok(results)
}

/// JSON has no infinity and no NaN: what cannot be said is not there, or 0 where it has to be.
fn make_finite(sample: &mut Sample) {
    let latency = &mut sample.latency;
    let always = [&mut sample.seconds, &mut sample.fairness, &mut latency.most];
    for value in always {
        if !value.is_finite() {
            *value = 0.0;
        }
    }
    latency.distribution.retain(|(share, time)| share.is_finite() && time.is_finite());
    let perhaps = [
        &mut latency.p50,
        &mut latency.p90,
        &mut latency.p99,
        &mut latency.p999,
        &mut sample.time,
        &mut sample.user,
        &mut sample.system,
        &mut sample.voluntary,
        &mut sample.involuntary,
    ];
    for value in perhaps {
        *value = value.filter(|value| value.is_finite());
    }
}

/// Lines as far as [`DEPTH`].
#[derive(Default)]
struct Layout {
    depth: usize,
    has_value: bool,
}

impl Layout {
    fn begin(&mut self) {
        self.depth += 1;
        self.has_value = false;
    }

    fn end<W: io::Write + ?Sized>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.has_value && self.depth < DEPTH {
            self.line(writer)?;
        }
        self.has_value = true;
        writer.write_all(bracket)
    }

    fn next<W: io::Write + ?Sized>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        if !is_first {
            writer.write_all(b",")?;
        }
        match is_first {
            _ if self.depth <= DEPTH => self.line(writer),
            true => Ok(()),
            false => writer.write_all(b" "),
        }
    }

    fn line<W: io::Write + ?Sized>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b" "))
    }
}

impl Formatter for Layout {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(exact(value).as_bytes())
    }

    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin();
        writer.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.next(writer, first)
    }

    fn end_array_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin();
        writer.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.next(writer, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}
