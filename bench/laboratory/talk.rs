//! One connection, for those who may wait: the state of its protocol, and what has been read of it
//! and not answered yet. [`Talk::advance`] knows nothing of sockets; [`serve`] is the plain way
//! that all architectures take that have a thread or a process for each client.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oneloop::http::connection::{Connection, Received, Turn};
use oneloop::http::date::Stamp;
use oneloop::http::head::{Head, HeadSpace};
use oneloop::http::status::Status;
use oneloop::http::{Limits, Refusal};
use oneloop::site::body::{Body, Produced};
use oneloop::site::handler::{Later, Settled};
use oneloop::site::rule::RouteNumber;
use oneloop::site::{Answer, Inquiry, Now, Reply, Site};

use super::ground::Ground;
use super::script;

/// Bytes that are read at once.
pub(crate) const READ: usize = 16 << 10;

/// Content up to this size goes out behind its head, in one write. It is the same in the loop.
const COPIED: u64 = 16 << 10;

/// What has to be done before a connection can go on.
#[derive(Debug)]
pub(crate) enum Next {
    /// What has been gathered is to be written, and more to be read.
    Read,
    /// What has been gathered is to be written, and this behind it.
    Send(Body),
    /// What has been gathered is to be written; then it is over.
    Close,
}

/// One connection.
pub(crate) struct Talk {
    pub(crate) connection: Connection,
    limits: Limits,
    /// What has been read; what stands before `at` has been taken up.
    pub(crate) input: Vec<u8>,
    at: usize,
    /// Answers to be written.
    pub(crate) output: Vec<u8>,
    clock: Clock,
}

impl Talk {
    pub(crate) fn new() -> Talk {
        Talk {
            connection: Connection::new(),
            limits: Ground::limits().http(),
            input: Vec::new(),
            at: 0,
            output: Vec::new(),
            clock: Clock::new(),
        }
    }

    /// Answers what has been read, as far as it goes.
    pub(crate) fn advance(&mut self, site: &Site) -> Next {
        self.clock.look();
        loop {
            if self.connection.turn() == Turn::Close {
                return Next::Close;
            }
            let mut space = HeadSpace::new();
            let input = &self.input[self.at..];
            let (connection, output) = (&mut self.connection, &mut self.output);
            let (used, body) = match connection.receive(input, &mut space, &self.limits) {
                Ok((0, Received::Nothing)) => break,
                Ok((used, Received::Head(head))) => {
                    (used, answer(site, &head, connection, &mut self.clock, output))
                }
                // Nobody here wants the content of a request.
                Ok((used, Received::Nothing | Received::Content(_) | Received::End)) => {
                    (used, Body::Empty)
                }
                Err(refusal) => {
                    let reply = site.refuse(refusal);
                    (input.len(), begin(reply, connection, &self.clock.stamp, output))
                }
            };
            self.at += used;
            if !matches!(body, Body::Empty) {
                return Next::Send(body);
            }
        }
        self.input.drain(..self.at);
        self.at = 0;
        Next::Read
    }

    /// Notes that the client will say no more.
    pub(crate) fn end_input(&mut self) {
        self.connection.close_reading();
    }
}

/// Asks the site, and begins the answer. What is returned has still to be sent.
fn answer(
    site: &Site,
    head: &Head<'_>,
    connection: &mut Connection,
    clock: &mut Clock,
    output: &mut Vec<u8>,
) -> Body {
    let inquiry = Inquiry { head, client: None, content: None, again: false, now: clock.now() };
    let mut answer = site.answer(&inquiry, &mut RouteNumber::default());
    let reply = loop {
        let Answer::Later(later) = &mut answer else { break answer };
        match wait_for(later) {
            Settled::Reply(reply) => break Answer::Reply(reply),
            Settled::AskAgain => {
                let inquiry = Inquiry { again: true, ..inquiry };
                answer = site.answer(&inquiry, &mut RouteNumber::default());
            }
        }
    };
    let reply = match reply {
        Answer::Reply(reply) => reply,
        Answer::Gateway(plan) => match script::run(&plan, head, connection, &clock.stamp, output) {
            Ok(()) => return Body::Empty,
            Err(why) if connection.owes_answer() => {
                site.refuse(Refusal { status: Status::BAD_GATEWAY, why })
            }
            // It has begun, and is not whole: the client sees that.
            Err(_) => {
                let _ = connection.cut();
                return Body::Empty;
            }
        },
        Answer::Content { .. } | Answer::Later(_) => site.refuse(Refusal {
            status: Status::NOT_IMPLEMENTED,
            why: "the laboratory only retrieves",
        }),
    };
    begin(reply, connection, &clock.stamp, output)
}

/// Waits for another thread: the site has some for files that it keeps and are not in memory.
fn wait_for(later: &mut Later) -> Settled {
    let (sender, rung) = channel();
    // It fails only where nobody waits any more.
    later.ring(Box::new(move || sender.send(()).unwrap_or_default()));
    loop {
        if let Some(settled) = later.take() {
            return settled;
        }
        // The bell is rung once it is settled, and cannot be lost before.
        let _ = rung.recv();
    }
}

/// Begins an answer: its head, and its content if that is small.
fn begin(reply: Reply, connection: &mut Connection, stamp: &Stamp, output: &mut Vec<u8>) -> Body {
    reply.begin(connection, stamp.http(), output);
    match reply.body {
        _ if !connection.owes_content() => Body::Empty,
        Body::Bytes { bytes, at, end } if (end - at) as u64 <= COPIED => {
            connection.send(&bytes[at..end], output);
            Body::Empty
        }
        Body::File { file, offset, left } if left <= COPIED => {
            let start = output.len();
            output.resize(start + usize::try_from(left).expect("it is small"), 0);
            if file.read_exact_at(&mut output[start..], offset).is_ok() {
                connection.sent(left);
                return Body::Empty;
            }
            output.truncate(start);
            Body::File { file, offset, left }
        }
        body => body,
    }
}

/// What the time is.
struct Clock {
    begun: Instant,
    stamp: Stamp,
    moment: u64,
}

impl Clock {
    fn new() -> Clock {
        Clock { begun: Instant::now(), stamp: Stamp::new(unix_seconds()), moment: 0 }
    }

    /// More may have come in since the last time.
    fn look(&mut self) {
        self.moment += 1;
        let seconds = unix_seconds();
        if seconds != self.stamp.seconds() {
            self.stamp = Stamp::new(seconds);
        }
    }

    fn now(&self) -> Now {
        let monotonic_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { monotonic_ms, unix: self.stamp.seconds(), moment: self.moment }
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Serves a client to its end, and waits wherever there is something to wait for.
///
/// # Errors
/// Where the connection breaks, or the client takes longer than it may.
pub(crate) fn serve(stream: &TcpStream, site: &Site) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let limits = Ground::limits();
    stream.set_read_timeout(Some(limits.idle_timeout))?;
    stream.set_write_timeout(Some(limits.send_timeout))?;
    let mut talk = Talk::new();
    let mut buffer = [0; READ];
    loop {
        match talk.advance(site) {
            Next::Read => {
                flush(stream, &mut talk.output)?;
                if read(stream, &mut buffer, &mut talk.input)? == 0 {
                    talk.end_input();
                }
            }
            Next::Send(body) => send(stream, &mut talk, body)?,
            Next::Close => {
                flush(stream, &mut talk.output)?;
                stream.shutdown(Shutdown::Write)?;
                if talk.connection.is_mutual_end() {
                    return Ok(());
                }
                return linger(stream, &mut buffer, limits.linger_timeout);
            }
        }
    }
}

/// Drops what the client still says, until it ends or has had that long: else it would reset the
/// connection before the client has read its answer.
fn linger(mut stream: &TcpStream, buffer: &mut [u8; READ], time: Duration) -> io::Result<()> {
    let deadline = Instant::now() + time;
    stream.set_read_timeout(Some(time))?;
    while Instant::now() < deadline && stream.read(buffer)? > 0 {}
    Ok(())
}

/// Appends what can be read now, and waits for it.
fn read(mut stream: &TcpStream, buffer: &mut [u8], input: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(count) => {
                input.extend_from_slice(&buffer[..count]);
                return Ok(count);
            }
        }
    }
}

fn flush(mut stream: &TcpStream, output: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(output)?;
    output.clear();
    Ok(())
}

/// Sends what was gathered, and content behind it.
fn send(stream: &TcpStream, talk: &mut Talk, body: Body) -> io::Result<()> {
    match body {
        Body::Empty => {}
        Body::Bytes { bytes, at, end } => {
            send_bytes(stream, &mut talk.output, &bytes[at..end])?;
            talk.connection.sent((end - at) as u64);
        }
        Body::File { file, mut offset, mut left } => {
            flush(stream, &mut talk.output)?;
            while left > 0 {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                match rustix::fs::sendfile(stream, &file, Some(&mut offset), most) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(count) => {
                        left -= count as u64;
                        talk.connection.sent(count as u64);
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Body::Parts(mut parts) => {
            while let Some(piece) = parts.current() {
                let piece = std::mem::take(piece);
                send(stream, talk, piece)?;
            }
        }
        Body::Produced(mut producer) => {
            let mut made = Vec::new();
            loop {
                made.clear();
                let said = producer.produce(&mut made)?;
                talk.connection.send(&made, &mut talk.output);
                flush(stream, &mut talk.output)?;
                match said {
                    Produced::More => {}
                    Produced::Pause(pause) => std::thread::sleep(pause),
                    Produced::End => break,
                }
            }
            talk.connection.finish(&mut talk.output);
        }
    }
    Ok(())
}

/// Writes both, in one call as long as nothing stands in the way.
fn send_bytes(mut stream: &TcpStream, output: &mut Vec<u8>, content: &[u8]) -> io::Result<()> {
    let mut parts = [IoSlice::new(output), IoSlice::new(content)];
    let mut parts = &mut parts[..];
    while parts.iter().any(|part| !part.is_empty()) {
        match stream.write_vectored(parts) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut parts, count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    output.clear();
    Ok(())
}
