//! **Processes that are there before.**
//!
//! *Idea.* Some processes share the listening socket. Each accepts a client, serves it to its end,
//! accepts the next one: so many iterative servers side by side.
//!
//! *History.* Apache 1.0 (1995) and its prefork module; what Flash (USENIX 1999) measured as MP.
//! Starting a process costs nothing any more, and programs that are not safe with threads go on
//! working: so PHP was served for twenty years.
//!
//! *Weakness.* There are as many clients served at once as there are processes. A persistent
//! connection keeps its process while it is silent, and whoever comes when all are taken waits.
//! Each has its own memory: what one has read, the others read again.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};

use super::iterative;
use crate::laboratory::ground::Ground;

/// What the program is told, to be one of these processes.
pub(crate) const WORD: &str = "preforked";

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    let mut children = Vec::new();
    for _ in 0..ground.size {
        let mut command = Command::new(&ground.own);
        command.arg(WORD).args([&ground.root, &ground.programs]);
        command.stdin(OwnedFd::from(listener.try_clone()?)).stdout(Stdio::null());
        children.push(command.spawn()?);
    }
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

/// One of them.
pub(crate) fn serve_one(ground: &Ground) -> io::Result<()> {
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    iterative::serve(&listener, ground)
}
