//! The limit of CGI: for each request a program is started, and what it writes is sent behind a
//! status line. One request at a time, and no look at either.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use slab::Slab;

/// Marks the event of the listener: no connection has this number.
const LISTENER: u64 = u64::MAX;

/// Serves until it is killed. The arguments: a port, and the program.
pub(crate) fn main(arguments: &[String]) -> io::Result<()> {
    let [port, program] = arguments else {
        return Err(io::Error::other("spawning PORT PROGRAM"));
    };
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut clients: Slab<TcpStream> = Slab::new();
    let mut events = Vec::with_capacity(64);
    loop {
        events.clear();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            // As when strace looks on.
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            if event.data.u64() == LISTENER {
                let (stream, _) = listener.accept()?;
                let place = clients.vacant_entry();
                let data = EventData::new_u64(place.key() as u64);
                epoll::add(&epoll, &stream, data, EventFlags::IN)?;
                place.insert(stream);
                continue;
            }
            let at = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
            if answer(&mut clients[at], program).is_err() {
                clients.remove(at);
            }
        }
    }
}

/// Starts the program and sends what it says.
fn answer(client: &mut TcpStream, program: &str) -> io::Result<()> {
    if client.read(&mut [0; 4096])? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut command = Command::new(program);
    command.env_clear().env("GATEWAY_INTERFACE", "CGI/1.1");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut said = b"HTTP/1.1 200 OK\r\n".to_vec();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_end(&mut said)?;
    }
    child.wait()?;
    client.write_all(&said)
}
