//! The man page and the shells' completions, made from the definition of the command line, so that
//! none of them can say anything else.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::command_line::{CommandLine, Generated};

/// What was asked for, as text.
#[must_use]
pub fn generate(what: Generated) -> String {
    let shell = match what {
        Generated::Man => return man_page(),
        Generated::Bash => Shell::Bash,
        Generated::Zsh => Shell::Zsh,
        Generated::Fish => Shell::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "oneloop", &mut text);
    String::from_utf8(text).expect("completions are text")
}

const SYNOPSIS: &str = "\
oneloop [OPTIONS] [DIR]
oneloop [OPTIONS] -c FILE
oneloop check -c FILE [--print]
oneloop explain -c FILE [--from ADDRESS] METHOD URL
oneloop record RECORDING [--most SIZE] [OPTIONS] [DIR]
oneloop replay RECORDING [--until TURN] [--quiet]";

/// What the page says of an option in place of the one line of `--help`.
const LONGER: &[(&str, &str)] = &[
    ("port", "The port to listen on. With 0 the system chooses a free one, and it is printed."),
    (
        "bind",
        "Where to listen: an IPv4 or IPv6 address, with a port of its own or on --port, or \
         unix:/path for a Unix-domain socket. Can be given several times.",
    ),
    (
        "index",
        "The name of the file that is served for its directory. Can be given several times: the \
         first that exists is served.",
    ),
    (
        "spa",
        "When a browser navigates to a page that is not there, it gets /index.html: the \
         application knows what to show. A missing script or image stays missing.",
    ),
    (
        "symlinks",
        "Which symbolic links are followed: none (deny), those that lead to a place inside the \
         directory (inside), or all (follow).",
    ),
    (
        "cgi",
        "Run the files that this pattern names in place of serving them: '*.cgi' is every file \
         whose name ends so, '/cgi-bin/*' all files of that directory, '/hello.py' is one file. \
         They must be executable. Can be given several times.",
    ),
    (
        "proxy",
        "Ask another HTTP server for what is below a path, as in \
         /api=http://127.0.0.1:3000 or /=unix:/run/app.sock. The path stays as it is. Can be given \
         several times.",
    ),
    (
        "header",
        "Add a field to every response, as in 'Cache-Control: no-store'. Can be given several \
         times.",
    ),
    (
        "log",
        "What is printed on the standard output for each request: a line in the combined format, a \
         JSON object, or nothing.",
    ),
    ("config", "Serve what the configuration file says. It goes with none of the options above."),
];

const DESCRIPTION: &str = "\
# DESCRIPTION
oneloop serves files, fixed answers, redirects and programs (CGI, FastCGI, SCGI and HTTP servers
behind it) over HTTP/1.1. It is a single thread around a single epoll. Without arguments it serves
the current directory on http://127.0.0.1:8080, lists directories, and prints the URLs it listens
on. With --config it serves what a file says, in the foreground.
";

/// What stands behind the options. `#` begins a section, `:` is what the next paragraph is about.
const REST: &str = "\
# CONFIGURATION
The file is TOML. oneloop.toml, which comes with the program, holds every option with its default
and says what it does. Times are written like \"10s\", sizes like \"16KiB\". A key that is not known
is an error. Relative paths begin where the file is.
# SIGNALS
: SIGTERM, SIGINT
Accept no more connections, finish the answers under way within limits.drain, then end. A second
signal ends at once.
: SIGHUP
Read the configuration file again. Exchanges under way end as they began, the next go by the new
configuration. One that cannot be used changes nothing, and the log says why.
: SIGQUIT
Write what the loop did last into the error log, and go on.
: SIGUSR1
Open the files of the logs anew, for they may have been renamed.
: SIGUSR2
Start the program anew, from the file that lies there now. When it says that it serves, this process
accepts no more and ends with its clients; if it cannot serve, nothing changes.
# RECORDINGS
: oneloop record
Serve as without it, and write what the loop is told into a file: who was ready, in which order,
what was read, how much was written, errors and times. It is one process with one configuration and
no admin listener: SIGHUP and SIGUSR2 change nothing, SIGUSR1 reopens the logs. systemd is told when
it serves and when it ends; sockets that systemd passes and its watchdog are refused. The file holds
all that clients have sent, passwords too, and can be read by its owner alone, who is server.user
where that is set. It ends with --most, which is 1GiB unless it is said, or a full disk; the server
goes on. What came in is in the file after a tenth of a second, also if the loop hangs or the
process is killed.
: oneloop replay
Run the same server once more on what was recorded, with no network and no programs. Each transition
is printed, and compared with what was recorded. Where something differs, the turn is told up to
there. The log goes to the standard error: errors, or what RUST_LOG asks for. Files of the site are
read where they are: they must be the same, not a copy (their inodes are part of an ETag), and
readable for who replays. What else the server asks the system for by itself is not in a recording
either: whether it had descriptors left to open files (EMFILE), and whether a disk took the content
of requests. Where that went wrong then or does now, it is a difference.
# ENVIRONMENT
: ONELOOP_*
Each option has a variable of its own name in capitals: --no-listing is ONELOOP_NO_LISTING, the
directory is ONELOOP_DIR. What stands on the command line is heard first.
: RUST_LOG
Which messages go to the standard error: a level (error, warn, info, debug, trace, off), or levels
for parts of the program, like oneloop::server=debug. It is heard before --quiet, --verbose and
log.error.
# EXIT STATUS
: 0
The server was told to end, the file is in order, or a recording came out as it was recorded, as far
as it goes: it need not have an end.
: 1
It could not start or go on, or a recording came out otherwise; the message says why.
: 2
The command line makes no sense.
# EXAMPLES
: oneloop
Serve the current directory to this machine.
: oneloop -b 0.0.0.0 -p 80 /srv/www
Serve a directory to everybody.
: oneloop --spa --header 'Cache-Control: no-store' dist
Try out a web application.
: oneloop --cgi '*.py' --proxy /api=http://127.0.0.1:3000
Run the Python scripts of a directory, and leave /api/ to another server.
: oneloop check -c /etc/oneloop.toml
Look for mistakes before a restart.
: oneloop explain -c /etc/oneloop.toml GET http://example.com/a.php
Find out which route answers.
: oneloop explain -c /etc/oneloop.toml --from 192.0.2.1 GET /private/
Find out whether an allow list lets a client in. Without --from it is one at 127.0.0.1.
: oneloop record bug.rec -c /etc/oneloop.toml
Record what leads to a bug.
: oneloop replay bug.rec --until 17
Look at it again, as often as it takes.
";

fn man_page() -> String {
    let command = CommandLine::command().override_usage(SYNOPSIS);
    let command = LONGER.iter().fold(command, |command, (option, text)| {
        command.mut_arg(option, |argument| argument.help(text))
    });
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| sections(DESCRIPTION).to_writer(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| sections(REST).to_writer(&mut page))
        .expect("memory can be written to");
    String::from_utf8(page).expect("a page is text")
}

fn sections(text: &str) -> Roff {
    let mut page = Roff::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("# ") {
            page.control("SH", [heading]);
        } else if let Some(tag) = line.strip_prefix(": ") {
            page.control("TP", []);
            page.text([bold(tag)]);
        } else {
            page.text([roman(line)]);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_man_page_names_every_option_and_every_longer_text_has_its_option() {
        let page = generate(Generated::Man);
        for argument in CommandLine::command().get_arguments() {
            let long = argument.get_long().unwrap_or("config");
            let name = format!("\\-\\-{}", long.replace('-', "\\-"));
            assert!(page.contains(&name), "{name} is not in\n{page}");
        }
        for word in [
            "SIGTERM",
            "SIGHUP",
            "SIGQUIT",
            "SIGUSR1",
            "SIGUSR2",
            "RUST_LOG",
            "oneloop explain",
            "EXIT STATUS",
        ] {
            assert!(page.contains(word), "{word}");
        }
    }

    #[test]
    fn the_completions_know_every_command_that_is_shown() {
        for shell in [Generated::Bash, Generated::Zsh, Generated::Fish] {
            let text = generate(shell);
            for word in ["check", "explain", "record", "replay", "no-listing", "inside"] {
                assert!(text.contains(word), "{shell:?}: {word}");
            }
        }
    }
}
