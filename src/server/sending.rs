//! How answers leave: what was gathered by one write, large content from memory beside it, files by
//! `sendfile`, produced content as it is made. Never more than the socket takes.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::net::Net;
use super::recorder::Act;
use super::serving::{GATHERED, Serving, Step};
use crate::site::body::{Body, Produce, Produced};

/// Bytes of a file that one `sendfile` is asked for.
const FILE_CHUNK: usize = 512 << 10;

/// The shortest rest of a producer: one tick of the loop's clock. With less, its time would have
/// come again within the same turn, which would never end.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

impl<N: Net> Serving<'_, '_, N> {
    /// Writes what has been gathered. [`Step::Moved`] when all of it is out; `more` says that
    /// content follows at once.
    pub(super) fn flush(&mut self, more: bool) -> Step {
        if self.cx.tx.is_empty() && self.output.is_empty() {
            return Step::Moved;
        }
        self.write_with(&[], more).map_or_else(|stuck| stuck, |_| Step::Moved)
    }

    /// Writes what has been gathered and then `content`, in one call where nothing was left over
    /// before. Returns how many bytes of `content` went out; what was gathered is all out then.
    fn write_with(&mut self, content: &[u8], more: bool) -> Result<usize, Step> {
        let mut gathered = std::mem::take(self.cx.tx);
        let result = match self.flush_output(more) {
            Ok(()) => self.write_gathered(&gathered, content, more),
            Err(stuck) => {
                self.output.extend_from_slice(&gathered);
                Err(stuck)
            }
        };
        gathered.clear();
        gathered.shrink_to(4 * GATHERED);
        *self.cx.tx = gathered;
        result
    }

    /// Writes what was left over before.
    fn flush_output(&mut self, more: bool) -> Result<(), Step> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(self.output);
        let mut result = Ok(());
        while result.is_ok() && *self.output_sent < output.len() {
            let written = self.write(&[IoSlice::new(&output[*self.output_sent..])], more);
            result = written.map(|count| *self.output_sent += count);
        }
        *self.output = output;
        if result.is_ok() {
            self.output.clear();
            *self.output_sent = 0;
        }
        result
    }

    fn write_gathered(
        &mut self,
        gathered: &[u8],
        content: &[u8],
        more: bool,
    ) -> Result<usize, Step> {
        let mut sent = 0;
        while sent < gathered.len() {
            let head = IoSlice::new(&gathered[sent..]);
            let written = if content.is_empty() {
                self.write(&[head], more)
            } else {
                self.write(&[head, IoSlice::new(content)], more)
            };
            match written {
                Ok(count) => sent += count,
                Err(stuck) => {
                    // What the socket does not take waits with the client.
                    self.output.extend_from_slice(&gathered[sent..]);
                    return Err(stuck);
                }
            }
        }
        let beyond = sent - gathered.len();
        if beyond > 0 || content.is_empty() {
            return Ok(beyond);
        }
        self.write(&[IoSlice::new(content)], more)
    }

    fn write(&mut self, parts: &[IoSlice<'_>], more: bool) -> Result<usize, Step> {
        if !self.client.ready.writable {
            return Err(Step::NeedsRoom);
        }
        let length: usize = parts.iter().map(|part| part.len()).sum();
        loop {
            match self.cx.net.write(self.id, parts, more) {
                Ok(count) => {
                    self.moved += count;
                    self.sent += count;
                    self.record(Act::Wrote, count as u64, 0);
                    self.client.ready.writable = count == length;
                    return Ok(count);
                }
                Err(error) => self.check(&error)?,
            }
        }
    }

    /// What an error of writing means: `Ok` where it is to be tried again.
    fn check(&mut self, error: &io::Error) -> Result<(), Step> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => {
                self.client.ready.writable = false;
                Err(Step::NeedsRoom)
            }
            _ => Err(Step::Broken),
        }
    }

    /// Sends some of the answer's content.
    pub(super) fn send_body(&mut self) -> Step {
        let mut body = std::mem::take(&mut self.exchange.body);
        let step = match &mut body {
            Body::Parts(parts) => match parts.current() {
                Some(piece) => self.send_piece(piece),
                None => self.finish_body(),
            },
            Body::Produced(produce) => self.send_produced(produce.as_mut()),
            piece => self.send_piece(piece),
        };
        if self.client.connection.owes_content() {
            self.exchange.body = body;
        } else {
            self.end_body();
        }
        step
    }

    /// Sends some of content whose length is known.
    fn send_piece(&mut self, piece: &mut Body) -> Step {
        let sent = match piece {
            Body::Empty | Body::Parts(_) | Body::Produced(_) => return self.finish_body(),
            Body::Bytes { bytes, at, end } => {
                let end = (*end).min(*at + self.share());
                match self.write_with(&bytes[*at..end], false) {
                    Ok(count) => {
                        *at += count;
                        count
                    }
                    Err(stuck) => return stuck,
                }
            }
            Body::File { file, offset, left } => match self.send_file(file, *offset, *left) {
                Ok(count) => {
                    *offset += count as u64;
                    *left -= count as u64;
                    count
                }
                Err(stuck) => return stuck,
            },
        };
        self.exchange.body_sent += sent as u64;
        self.client.connection.sent(sent as u64);
        Step::Moved
    }

    /// How many bytes of content may still go out in this turn.
    fn share(&self) -> usize {
        self.cx.terms.limits.turn_bytes.saturating_sub(self.moved).max(1)
    }

    fn send_file(&mut self, file: &Arc<File>, offset: u64, left: u64) -> Result<usize, Step> {
        let share = self.share().min(FILE_CHUNK);
        let length = usize::try_from(left).map_or(share, |left| left.min(share));
        if !self.fetch(file, offset, length) {
            return Err(Step::NeedsOther);
        }
        match self.flush(true) {
            Step::Moved => {}
            stuck => return Err(stuck),
        }
        if !self.client.ready.writable {
            return Err(Step::NeedsRoom);
        }
        loop {
            match self.cx.net.send_file(self.id, file, offset, length) {
                Ok(0) => {
                    let name = name_of(file);
                    let why = format!("{name} became shorter while it was sent");
                    log::warn!("{why}; its answer is cut");
                    return Err(self.cut_body(why));
                }
                Ok(count) => {
                    self.moved += count;
                    self.sent += count;
                    self.record(Act::SentFile, count as u64, 0);
                    return Ok(count);
                }
                Err(error) => self.check(&error)?,
            }
        }
    }

    /// Whether these bytes need not be waited for. Where the socket takes nothing, that can be
    /// asked later.
    fn fetch(&mut self, file: &Arc<File>, offset: u64, length: usize) -> bool {
        let ready = &mut self.client.ready;
        if ready.fetching {
            return false;
        }
        let is_there = !ready.writable
            || std::mem::take(&mut ready.fetched)
            || self.cx.net.fetch(self.id, file, offset, length);
        self.client.ready.fetching = !is_there;
        if !is_there {
            self.record(Act::Fetches, length as u64, 0);
        }
        is_there
    }

    /// Asks a producer for more. Nobody comes here while something made before does not go out:
    /// that is all the flow control there is.
    fn send_produced(&mut self, producer: &mut dyn Produce) -> Step {
        if self.paused_until.is_some() {
            return Step::NeedsOther;
        }
        self.asked += 1;
        let mut content = std::mem::take(self.cx.scratch);
        let said = catch_unwind(AssertUnwindSafe(|| producer.produce(&mut content)));
        let said = said.unwrap_or_else(|_| {
            self.cx.metrics.panics += 1;
            Err(io::Error::other("it panicked"))
        });
        self.client.connection.send(&content, self.cx.tx);
        self.exchange.body_sent += content.len() as u64;
        let made_nothing = content.is_empty();
        content.clear();
        content.shrink_to(4 * GATHERED);
        *self.cx.scratch = content;
        match said {
            Ok(Produced::End) => self.finish_body(),
            // One that has more and makes nothing would keep the loop to itself.
            Ok(Produced::More) if made_nothing => self.pause(Duration::ZERO),
            Ok(Produced::More) => Step::Moved,
            Ok(Produced::Pause(pause)) => self.pause(pause),
            Err(error) => {
                let why = format!("a producer failed: {error}");
                log::error!("{why}; its answer is cut");
                self.cut_body(why)
            }
        }
    }

    pub(super) fn pause(&mut self, pause: Duration) -> Step {
        self.paused_until = Some(self.cx.now + pause.max(SHORTEST_PAUSE));
        Step::NeedsOther
    }

    pub(super) fn finish_body(&mut self) -> Step {
        self.client.connection.finish(self.cx.tx);
        Step::Moved
    }

    /// Gives the answer up, for this reason. The client notices: the connection ends behind what
    /// was made before, which is less than was announced; or else it is reset.
    pub(super) fn cut_body(&mut self, why: impl Into<Cow<'static, str>>) -> Step {
        self.exchange.why = Some(why.into());
        if self.client.connection.owes_answer() {
            self.cx.metrics.unanswered += 1;
        } else {
            self.cx.metrics.cut += 1;
        }
        self.end_body();
        if !self.client.connection.cut() {
            return Step::Moved;
        }
        self.flush(false);
        Step::Reset
    }
}

/// Where a file lies, for a message. It was opened elsewhere; the system still knows.
fn name_of(file: &File) -> String {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::read_link(link)
        .map_or_else(|_| "a file".to_owned(), |path| format!("{:?}", path.to_string_lossy()))
}
