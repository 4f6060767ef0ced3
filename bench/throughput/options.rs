//! What was asked for behind `--` on the command line.

use std::num::NonZero;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
cargo bench --bench throughput -- [ROW…] [OPTION…]
  --servers NAME,…  these only
  --rounds N        how often each is measured (3)
  --seconds S       how long each time (0.25; paced: at least 1)
  --rate N          requests per second of the row paced (10000)
  --calls           system calls per answer, counted by strace, in place of time
  --list            the names of rows and servers";

pub(crate) struct Options {
    /// Names of rows; all if there are none.
    pub(crate) rows: Vec<String>,
    /// Names of servers; all if there are none.
    pub(crate) servers: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    /// Requests per second, where they go by the clock.
    pub(crate) rate: u32,
    pub(crate) calls: bool,
    pub(crate) list: bool,
}

impl Options {
    /// Understands the words behind the program's name.
    pub(crate) fn read(words: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            rows: Vec::new(),
            servers: Vec::new(),
            rounds: 3,
            time: Duration::from_millis(250),
            rate: 10_000,
            calls: false,
            list: false,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} what?\n{USAGE}"));
            match &*word {
                // What cargo says to every bench.
                "--bench" => {}
                "--calls" => options.calls = true,
                "--list" => options.list = true,
                "--servers" => options.servers = value()?.split(',').map(str::to_owned).collect(),
                "--rate" => options.rate = number::<NonZero<u32>>(&value()?)?.get(),
                "--rounds" => options.rounds = number(&value()?)?,
                "--seconds" => {
                    let seconds = number(&value()?)?;
                    let time = Duration::try_from_secs_f64(seconds);
                    options.time = time.map_err(|error| format!("{seconds} s: {error}"))?;
                }
                option if option.starts_with('-') => {
                    return Err(format!("{option} is no option\n{USAGE}"));
                }
                row => options.rows.push(row.to_owned()),
            }
        }
        Ok(options)
    }

    pub(crate) fn has_row(&self, name: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| row == name)
    }

    pub(crate) fn has_server(&self, name: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|server| server == name)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number\n{USAGE}"))
}
