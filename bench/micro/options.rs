//! What was asked for behind `--` on the command line.

use super::rows::ROWS;

const USAGE: &str = "\
cargo bench --bench micro -- [ROW…] [OPTION…]
  --rounds N         how often each row has its turn (11), at least 5
  --no-instructions  times only, even if valgrind is installed
  --list             the names of the rows";

/// With fewer rounds, the spread says nothing.
const FEWEST_ROUNDS: usize = 5;

pub(crate) struct Options {
    /// Names of rows; all if there are none.
    rows: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) instructions: bool,
    pub(crate) list: bool,
}

impl Options {
    /// Understands the words behind the program's name.
    pub(crate) fn read(words: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options { rows: Vec::new(), rounds: 11, instructions: true, list: false };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match &*word {
                // What cargo says to every bench.
                "--bench" => {}
                "--list" => options.list = true,
                "--no-instructions" => options.instructions = false,
                "--rounds" => options.rounds = rounds(&words.next().unwrap_or_default())?,
                option if option.starts_with('-') => {
                    return Err(format!("{option} is no option\n{USAGE}"));
                }
                row if ROWS.iter().any(|known| known.name == row) => options.rows.push(word),
                row => {
                    let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
                    return Err(format!("{row} is no row; the rows are {}", names.join(" ")));
                }
            }
        }
        Ok(options)
    }

    pub(crate) fn has_row(&self, name: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| row == name)
    }
}

fn rounds(word: &str) -> Result<usize, String> {
    match word.parse() {
        Ok(rounds) if rounds >= FEWEST_ROUNDS => Ok(rounds),
        _ => Err(format!("--rounds wants a number, {FEWEST_ROUNDS} or more\n{USAGE}")),
    }
}
