//! What does an event loop win over threads and processes, and where does it lose? The same core
//! under every architecture, under the same loads: `cargo bench --bench architectures`.
//!
//! Each architecture runs in a process of its own, which is this program once more, and is a file
//! in bench/architectures/. bench/README.md says how it is measured, what can be compared, and how
//! to add one. It judges nothing. Without `--bench`, as `cargo test` starts it, it looks whether
//! each of them answers every workload as it should.

#![allow(clippy::print_stdout, reason = "its table is what this program is for")]

#[path = "architectures/mod.rs"]
mod architectures;
#[path = "laboratory/mod.rs"]
mod laboratory;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use laboratory::data::Results;
use laboratory::ground::Ground;
use laboratory::{Options, check, report, run, stage};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match play(&words) {
        Some(ended) => ended.map_err(|error| error.to_string()),
        None if words.iter().any(|word| word == "--bench") => direct(),
        None => check::main(&words),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("architectures: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What this program does where it was started by itself.
fn play(words: &[String]) -> Option<std::io::Result<()>> {
    let ground = |size: usize, root: &str, programs: &str| Ground {
        root: PathBuf::from(root),
        programs: PathBuf::from(programs),
        own: std::env::current_exe().unwrap_or_default(),
        size,
    };
    match words {
        [word, name, size, root, programs] if word == stage::WORD => {
            let architecture = architectures::ALL.iter().find(|one| one.name == name)?;
            Some(stage::play(architecture, &ground(size.parse().ok()?, root, programs)))
        }
        [word, root, programs] => architectures::serve_one(word, &ground(1, root, programs)),
        _ => None,
    }
}

fn direct() -> Result<(), String> {
    let options = Options::parse();
    run::check(&options)?;
    if options.list {
        println!("{}", run::list());
        return Ok(());
    }
    let place = |error| format!("{}: {error}", options.html.display());
    // That it can be written is better known before than after five minutes.
    create(&options.html).map_err(place)?;
    let results = run::run(&options).map_err(|error| error.to_string())?;
    println!("{}", report::table(&results));
    for line in results.check.iter().map(report::page::check_sentence).chain(results.notes.clone())
    {
        println!("{line}");
    }
    write(&options.html, &results).map_err(place)
}

fn create(html: &Path) -> std::io::Result<()> {
    if let Some(folder) = html.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::File::options().append(true).create(true).open(html).map(drop)
}

/// Writes the report, and the raw data beside it.
fn write(html: &Path, results: &Results) -> std::io::Result<()> {
    fs::write(html, report::html(results))?;
    let (csv, json) = (html.with_extension("csv"), html.with_extension("json"));
    fs::write(&csv, report::csv(results))?;
    fs::write(&json, report::json(results))?;
    println!("{}, {}, {}", html.display(), csv.display(), json.display());
    Ok(())
}
