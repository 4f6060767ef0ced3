//! A CGI program, for those who may wait: started, heard to its end, and waited for. What it is
//! told and what it says is understood by the same code as in the loop.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use oneloop::gateway::cgi;
use oneloop::gateway::{Call, Codec, Inbound, variables};
use oneloop::http::connection::Connection;
use oneloop::http::date::Stamp;
use oneloop::http::head::Head;
use oneloop::site::program::Plan;

/// Runs the program that `plan` says, and appends its answer to `output`.
///
/// # Errors
/// Why there is no answer.
pub(crate) fn run(
    plan: &Plan,
    head: &Head<'_>,
    connection: &mut Connection,
    stamp: &Stamp,
    output: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let program = plan.script.file.as_ref().ok_or("there is no such program")?;
    let call = Call::new(head, &plan.script);
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.current_dir(program.parent().unwrap_or(Path::new("/")));
    variables::variables(&call, |name, value| {
        let [name, value] = [name, value].map(|bytes| OsString::from_vec(bytes.to_vec()));
        command.env(name, value);
    });
    let said = command.output().map_err(|_| "the program cannot be run")?.stdout;
    let mut codec = Codec::Script(cgi::Answer::new(head.method));
    let mut at = 0;
    loop {
        let (used, inbound) = if at == said.len() {
            codec.close().map_err(|bad| bad.0)?;
            (0, Inbound::End)
        } else {
            codec.receive(&said[at..]).map_err(|bad| bad.0)?
        };
        at += used;
        match inbound {
            Inbound::Head(mut said) => {
                plan.complete(&mut said.fields, said.status);
                let date = said.date.as_deref().unwrap_or(stamp.http());
                connection.respond(said.status, &said.fields, said.length, date, output);
            }
            Inbound::Content(content) => connection.send(content, output),
            Inbound::End => {
                connection.finish(output);
                return Ok(());
            }
            Inbound::Nothing if used == 0 && at < said.len() => return Err("it ends too early"),
            Inbound::Nothing | Inbound::Interim(..) | Inbound::Complaint(_) => {}
            Inbound::LocalRedirect(_) | Inbound::Switch(_) | Inbound::Overloaded => {
                return Err("it says what the laboratory does not understand");
            }
        }
    }
}
