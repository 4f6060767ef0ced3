//! Programs that a test wants and a machine may lack.

use std::io::Write;
use std::path::Path;

/// Whether `program` (a name on PATH, or an absolute path) is there. Where it is not, the test that
/// asked is reported as skipped by its name; with `ONELOOP_REQUIRE_ALL=1` it fails.
pub(crate) fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|folder| folder.join(program).exists());
    if found || Path::new(program).is_absolute() && Path::new(program).exists() {
        return true;
    }
    let must = std::env::var_os("ONELOOP_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!must, "{program} is not installed, and ONELOOP_REQUIRE_ALL=1 asks for it");
    skipped(&format!("{program} is not installed"));
    false
}

/// Says that the test that asks does not run, and why.
pub(crate) fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    // Straight to the stream: what a test prints is shown only where it fails.
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}
