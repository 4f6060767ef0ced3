//! The page of a run of the laboratory, made again from its raw data:
//! `cargo bench --bench report -- RESULTS.json [-o PAGE.html]`. Without `-o` it lies beside the
//! data. With two files it says whether both runs have everybody in the same order. Cargo starts it
//! in the folder of Cargo.toml.

#[path = "laboratory/data.rs"]
#[allow(dead_code, reason = "the laboratory fills it")]
mod data;
#[path = "laboratory/report.rs"]
#[allow(dead_code, reason = "the laboratory shows its table and writes the raw data too")]
mod report;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "cargo bench --bench report -- RESULTS.json [-o PAGE.html | OTHER.json]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        // With all other benches, and nothing said, it does nothing.
        [] => Ok(format!("report: say of what: {USAGE}")),
        [data] if !data.starts_with('-') => render(data, &Path::new(data).with_extension("html")),
        [data, "-o", page] | ["-o", page, data] => render(data, Path::new(page)),
        [one, other] if ![one, other].iter().any(|word| word.starts_with('-')) => {
            compare(one, other)
        }
        [..] => Err(format!("usage: {USAGE}")),
    };
    let (said, code) = match done {
        Ok(said) => (said, ExitCode::SUCCESS),
        Err(error) => (error, ExitCode::FAILURE),
    };
    // Nobody is left to be told that nobody listens.
    let _ = writeln!(io::stderr(), "{said}");
    code
}

fn read(data: &str) -> Result<data::Results, String> {
    let text = fs::read_to_string(data).map_err(|error| format!("{data}: {error}"))?;
    report::read(&text).map_err(|error| format!("{data} has no results of the laboratory: {error}"))
}

fn compare(one: &str, other: &str) -> Result<String, String> {
    Ok(report::agree::agree(&read(one)?, &read(other)?))
}

fn render(data: &str, page: &Path) -> Result<String, String> {
    let results = read(data)?;
    let place = page.display();
    fs::write(page, report::html(&results)).map_err(|error| format!("{place}: {error}"))?;
    Ok(format!("{place}: {} loads of {} servers", results.cells.len(), results.entrants.len()))
}
