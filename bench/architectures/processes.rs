//! **A process for each connection: inetd's way.**
//!
//! *Idea.* One process accepts. For each client it starts a program that has the socket as its
//! standard input, serves this client, and ends.
//!
//! *History.* inetd (4.3BSD, 1986) started all small services of a machine so; CERN httpd and NCSA
//! httpd forked for each request. Nothing can be simpler, or better separated: one client's crash
//! is nobody else's, and the system cleans up.
//!
//! *Weakness.* A process takes a millisecond to start where an answer takes some microseconds, and
//! a megabyte of memory where a connection needs some hundred bytes. Each begins with nothing: no
//! file is open, none is in its memory.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use rustix::process::{WaitOptions, wait};

use crate::laboratory::ground::Ground;
use crate::laboratory::talk;

/// What the program is told, to be one of these processes.
pub(crate) const WORD: &str = "connection";

/// More processes than that would take the machine's memory.
const MOST: usize = 1200;

pub(crate) fn serve(listener: &TcpListener, ground: &Ground) -> io::Result<()> {
    let count = Arc::new(AtomicUsize::new(0));
    let (born, births) = channel();
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        // For each that was started, one is waited for: until then the system keeps it.
        for () in births {
            if wait(WaitOptions::empty()).is_ok() {
                counted.fetch_sub(1, Ordering::Relaxed);
            }
        }
    });
    loop {
        match listener.accept() {
            Ok((stream, _)) if count.load(Ordering::Relaxed) < MOST => {
                let mut command = Command::new(&ground.own);
                command.arg(WORD).args([&ground.root, &ground.programs]);
                // Where there is no more of them to be had, this client is let go.
                if command.stdin(OwnedFd::from(stream)).stdout(Stdio::null()).spawn().is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                    born.send(()).map_err(io::Error::other)?;
                }
            }
            Ok(_) => {}
            Err(error) => super::rest_if_exhausted(&error)?,
        }
    }
}

/// The process for one connection.
pub(crate) fn serve_one(ground: &Ground) -> io::Result<()> {
    let stream = TcpStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Else the socket stays open in what this process starts.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    // Whatever breaks the connection ends this process, and that is all.
    drop(talk::serve(&stream, &ground.small_site()));
    Ok(())
}
