//! What the loop does for those who want a program: it gives them a connection or a process, or
//! lets them stand in line, and takes back what they are done with.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::rc::Rc;

use super::Server;
use super::client::{Client, Fate, Pending, Work};
use super::complaints::Complaints;
use super::gateway::{Failure, Gateway, Origin, Relay, Stage, Upload};
use super::gateways::{Leaving, Line, Link, LinkState, Seat};
use super::listener::is_exhausted;
use super::metrics::Limit;
use super::net::{Net, Ready};
use super::peers::{Peer, PeerId, Peers};
use super::serving::Occasion;
use super::spawner::Job;
use super::timers::Millis;
use crate::gateway::{Call, Codec, cgi, fastcgi, origin, scgi, variables};
use crate::http::head::{Head, HeadSpace};
use crate::site::program::{Cgi, Endpoint, HostField, Kind, Plan, Proxy};

/// Where programs are looked for by scripts that begin with `#!/usr/bin/env`, unless the server's
/// own environment says otherwise.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Bytes that are added to a request's head, where nothing is long: so much room is made at once.
const ADDED: usize = 800;

/// What a client that is served wants the loop to do for it.
#[derive(Debug)]
pub(super) enum Wish {
    /// A gateway, for this client.
    Gateway(PeerId),
    /// No gateway any more, for this client: it has waited for long enough.
    Nothing(PeerId),
    /// That whoever is next in this line may have a seat, for one is free.
    Next(Line),
    /// This gateway is not needed any more.
    Part(PeerId, Parting),
}

/// What becomes of a gateway that is not needed any more.
#[derive(Debug)]
pub(super) enum Parting {
    /// It can carry another exchange.
    Keep,
    /// It may come to its end by itself: a process that has answered as this plan wants, and what
    /// it has complained of.
    Leave(Box<Plan>, Complaints),
    /// It goes.
    Close,
    /// It goes, and could not be reached.
    Unreachable,
}

/// How a gateway is opened, and what is said first.
enum Opening {
    /// By starting a process, which is told everything at its start.
    Spawn(Box<Job>),
    /// By connecting.
    Connect(Endpoint),
}

impl<N: Net> Server<N> {
    /// Does what those who were served have wished for.
    pub(super) fn grant_wishes(&mut self, now: Millis) {
        while let Some(wish) = self.wishes.pop_front() {
            match wish {
                Wish::Gateway(client) => self.dial(client, now),
                Wish::Nothing(client) => self.gateways.give_up(client),
                Wish::Next(line) => self.serve_line(line, now),
                Wish::Part(gateway, parting) => self.part(gateway, parting, now),
            }
        }
    }

    /// Has a client that wants a gateway stand in line for it.
    fn dial(&mut self, client: PeerId, now: Millis) {
        let Some(relay) = self.relay(client) else { return };
        let program = Rc::clone(&relay.plan.program);
        let is_again = relay.fresh || !relay.tried.is_empty();
        if let Some(line) = self.gateways.line_up(&program, client, is_again, now) {
            self.serve_line(line, now);
        } else {
            self.metrics.hit(Limit::Queue);
            let why = "it has no process or connection to spare, and its queue is full";
            self.turn_away(client, Failure::short(why));
        }
    }

    /// Gives gateways to those in line as long as there are any.
    fn serve_line(&mut self, line: Line, now: Millis) {
        while let Some(client) = self.gateways.first(line) {
            let Some(relay) = relay_of(&mut self.peers, client) else {
                self.gateways.give_up(client);
                continue;
            };
            let granted = self.gateways.seat(line, relay.fresh, &relay.tried, now);
            let Some((seat, idle)) = granted else { return };
            self.open(client, seat, idle, now);
        }
    }

    fn relay(&mut self, client: PeerId) -> Option<&mut Relay> {
        relay_of(&mut self.peers, client)
    }

    fn turn_away(&mut self, client: PeerId, failure: Failure) {
        if let Some(relay) = self.relay(client) {
            relay.stage = Stage::Failed(failure);
            self.enqueue(client);
        }
    }

    /// Opens a gateway on `seat`, or takes up the `idle` connection.
    fn open(&mut self, client: PeerId, seat: Seat, idle: Option<PeerId>, now: Millis) {
        let address = self.gateways.address(seat).cloned();
        let (opening, mut gateway) = match self.prepare(client, address, now) {
            Ok(prepared) => prepared,
            Err(failure) => {
                self.make_room(seat);
                return self.turn_away(client, failure);
            }
        };
        let state = LinkState::Serving(client);
        if let Some(id) = idle {
            if let Some(Peer::Gateway(link)) = self.peers.get_mut(id) {
                link.state = state;
            }
            self.timers.clear(id.key);
            gateway.id = id;
            gateway.origin = Origin::Kept;
            self.untold.push_back(client);
            // It has not waited for too long, whatever the time is by now.
            self.timers.clear(client.key);
        } else {
            let id = self.peers.insert(Peer::Gateway(Link { seat, state }));
            gateway.id = id;
            if let Some(relay) = self.relay(client) {
                relay.tried.push(seat.endpoint());
            }
            let opened = match opening {
                Opening::Spawn(job) => self.net.spawn(*job, id),
                Opening::Connect(endpoint) => self.net.connect(&endpoint, id),
            };
            if let Err(error) = opened {
                let is_short = gateway.is_process()
                    || is_exhausted(&error)
                    || error.kind() == ErrorKind::WouldBlock;
                self.part(id, if is_short { Parting::Close } else { Parting::Unreachable }, now);
                if self.relay(client).is_some_and(|relay| relay.has_another()) {
                    return self.wishes.push_back(Wish::Gateway(client));
                }
                let why = format!("cannot be opened: {error}");
                let failure = if is_short { Failure::short(why) } else { Failure::unreached(why) };
                return self.turn_away(client, failure);
            }
        }
        self.record_dialed(client, &gateway);
        if let Some(relay) = self.relay(client) {
            relay.stage = Stage::Talking(Box::new(gateway));
            if idle.is_none() {
                self.enqueue(client);
            }
        }
    }

    /// Makes up what is said to the program first.
    fn prepare(
        &mut self,
        id: PeerId,
        address: Option<Endpoint>,
        now: Millis,
    ) -> Result<(Opening, Gateway), Failure> {
        let gone = || Failure::bad("its client has gone");
        let client = self.peers.client_mut(id).ok_or_else(gone)?;
        let terms = client.terms(&self.terms);
        let limits = terms.limits.http();
        let Client { address: from, server, connection, work: Some(work), .. } = client else {
            return Err(gone());
        };
        let (Pending::Gateway(relay), Some(spool)) = (&work.exchange.pending, &work.exchange.spool)
        else {
            return Err(gone());
        };
        let plan = &*relay.plan;
        let mut space = HeadSpace::new();
        let head = Head::parse(spool.head(), &mut space, &limits)
            .expect("a head that was parsed can be parsed again");
        // An origin is not told of it, and to ask is a system call: it is asked once.
        if server.is_none() && !matches!(plan.program.kind, Kind::Proxy(_)) {
            *server = self.net.local_address(id).map(Box::new);
        }
        let call = Call {
            head: &head,
            script: &plan.script,
            content_length: Some(spool.length()).filter(|&length| length > 0),
            client: *from,
            server: server.as_deref().copied(),
            forwarded: work.exchange.forwarded,
            user: plan.user.as_deref(),
            environment: &plan.program.environment,
        };
        let mut output = Vec::with_capacity(spool.head().len() + ADDED);
        let is_coming = connection.is_in_content();
        let (codec, upload) = begin(plan, &call, address.as_ref(), is_coming, &mut output);
        let complaints = Complaints::new(&terms.limits);
        let mut gateway = Gateway { upload, complaints, ..Gateway::new(id, codec, output, now) };
        if let Kind::Cgi(cgi) = &plan.program.kind {
            let input = spool
                .as_file()
                .map_err(|error| Failure::bad(format!("cannot be given content: {error}")))?;
            let job = job(cgi, plan, &call, input)?;
            gateway.origin = Origin::Started;
            return Ok((Opening::Spawn(Box::new(job)), gateway));
        }
        if upload == Upload::Spooled(0) && spool.length() == 0 {
            gateway.frame(&[]);
        }
        let endpoint = address.ok_or_else(|| Failure::bad("it has no address"))?;
        Ok((Opening::Connect(endpoint), gateway))
    }

    /// Takes a gateway back.
    pub(super) fn part(&mut self, id: PeerId, parting: Parting, now: Millis) {
        let Some(Peer::Gateway(link)) = self.peers.get_mut(id) else { return };
        let seat = link.seat;
        match parting {
            Parting::Keep => {
                self.gateways.up(seat);
                if self.gateways.keep(seat, id) {
                    link.state = LinkState::Idle;
                    self.timers.set(id.key, now + self.gateways.idle_timeout(seat));
                } else {
                    self.peers.remove(id);
                    self.net.close(id);
                }
                self.wishes.push_back(Wish::Next(seat.line()));
            }
            Parting::Leave(plan, complaints) => {
                let until = now + self.gateways.timeout(seat);
                link.state = LinkState::Leaving(Leaving { plan, complaints, until });
                self.timers.set(id.key, until);
                self.enqueue(id);
            }
            Parting::Close => self.close(id),
            Parting::Unreachable => {
                self.gateways.down(seat, now);
                self.close(id);
            }
        }
    }

    /// Notes what has happened to a gateway, and says who is to be served for it, if anybody.
    pub(super) fn note_gateway(&mut self, id: PeerId, event: &Ready) -> Option<PeerId> {
        let Some(Peer::Gateway(link)) = self.peers.get_mut(id) else { return None };
        match &mut link.state {
            LinkState::Serving(client) => {
                let client = *client;
                if let Some(gateway) = self.relay(client).and_then(Relay::gateway) {
                    gateway.note(event);
                }
                Some(client)
            }
            LinkState::Monitoring(monitor) => {
                if let Some(question) = monitor.question() {
                    question.note(event);
                }
                Some(id)
            }
            LinkState::Idle => {
                // Nobody has asked anything, so whatever has come is its end; and nobody who is
                // served in this turn shall still be given it.
                let is_over = event.readable || event.read_closed || event.broken;
                let seat = link.seat;
                is_over.then(|| {
                    self.gateways.forget(seat, id);
                    id
                })
            }
            LinkState::Leaving(..) => Some(id),
        }
    }

    /// A client has gone, and with it what it was waiting for.
    pub(super) fn dismiss(&mut self, client: PeerId, relay: &mut Relay) {
        match relay.gateway() {
            Some(gateway) => self.close(gateway.id),
            None => self.gateways.give_up(client),
        }
    }

    /// Closes the gateways of a client that cannot say any more which they are.
    pub(super) fn close_gateways_of(&mut self, client: PeerId) {
        let is_its = |(id, peer): (PeerId, &Peer)| match peer {
            Peer::Gateway(Link { state: LinkState::Serving(served), .. }) if *served == client => {
                Some(id)
            }
            Peer::Gateway(_) | Peer::Client(_) | Peer::Listener(_) => None,
        };
        let orphans: Vec<PeerId> = self.peers.iter().filter_map(is_its).collect();
        for id in orphans {
            self.close(id);
        }
        self.gateways.give_up(client);
    }

    /// A gateway has gone: whoever is next may have one.
    pub(super) fn bury(&mut self, id: PeerId, link: &Link) {
        match link.state {
            LinkState::Idle => self.gateways.forget(link.seat, id),
            LinkState::Serving(_) | LinkState::Leaving(..) => self.make_room(link.seat),
            LinkState::Monitoring(_) => {}
        }
    }

    fn make_room(&mut self, seat: Seat) {
        self.gateways.leave(seat);
        self.wishes.push_back(Wish::Next(seat.line()));
    }

    /// Serves a gateway that has no client.
    pub(super) fn serve_gateway(&mut self, id: PeerId, now: Millis, occasion: Occasion) -> Fate {
        let Some(Peer::Gateway(link)) = self.peers.get_mut(id) else { return Fate::Wait };
        match &mut link.state {
            // Something has come over it, or it was idle for long enough.
            LinkState::Idle => Fate::Close,
            // Its client is served.
            LinkState::Serving(_) => Fate::Wait,
            LinkState::Monitoring(_) => self.serve_monitor(id, now, occasion),
            LinkState::Leaving(leaving) => {
                // What it still says to its client is of no use to anybody.
                let heard = self.net.read(id, &mut self.rx).unwrap_or(0);
                let said = self.net.read_complaints(id, &mut self.rx).unwrap_or(0);
                leaving.complaints.hear(&self.rx[..said], &leaving.plan);
                let has_ended = self.net.ended(id).is_some() && heard + said == 0;
                if has_ended || leaving.until <= now {
                    leaving.complaints.end(&leaving.plan);
                    return Fate::Close;
                }
                if heard + said > 0 { Fate::Yield } else { Fate::Wait }
            }
        }
    }
}

/// What a client has to do with a program, if it has.
fn relay_of(peers: &mut Peers, client: PeerId) -> Option<&mut Relay> {
    relay_in(&mut peers.client_mut(client)?.work)
}

pub(super) fn relay_in(work: &mut Option<Box<Work>>) -> Option<&mut Relay> {
    match &mut work.as_mut()?.exchange.pending {
        Pending::Gateway(relay) => Some(relay),
        Pending::Nothing
        | Pending::Content
        | Pending::Discard(_)
        | Pending::Later(_)
        | Pending::Report
        | Pending::Watch(_) => None,
    }
}

/// Makes up what is said first of a conversation, and says how the content follows, which may be
/// still to come.
fn begin(
    plan: &Plan,
    call: &Call<'_>,
    address: Option<&Endpoint>,
    is_coming: bool,
    output: &mut Vec<u8>,
) -> (Codec, Upload) {
    let head = call.head;
    match &plan.program.kind {
        Kind::Cgi(_) => (script_codec(plan, head), Upload::Done),
        Kind::FastCgi(application) => {
            let mut exchange =
                fastcgi::Exchange::new(head.method, application.upstream.persistent > 0);
            exchange.request(call, output);
            // The end of content is said even where there is none.
            (Codec::FastCgi(exchange), Upload::Spooled(0))
        }
        Kind::Scgi(_) => {
            scgi::request(call, output);
            // There may be none, and its end is said by nothing.
            (Codec::Script(cgi::Answer::new(head.method)), Upload::Spooled(0))
        }
        Kind::Proxy(proxy) => {
            let exchange = ask_origin(proxy, plan, call, address, output);
            let upload = match head.length {
                None => Upload::Done,
                Some(_) if is_coming => Upload::Streamed,
                // There was none but its end, and that went to a connection that was over.
                Some(_) => Upload::Spooled(0),
            };
            (Codec::Origin(exchange), upload)
        }
    }
}

/// How a script's output is read: one whose name begins with `nph-` writes its whole head itself
/// (RFC 3875 §5).
fn script_codec(plan: &Plan, head: &Head<'_>) -> Codec {
    let name = plan.script.file.as_deref().and_then(Path::file_name);
    let is_nph = name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"nph-"));
    if is_nph {
        Codec::Origin(origin::Exchange::of_script(head.method))
    } else {
        Codec::Script(cgi::Answer::new(head.method))
    }
}

/// The process that answers.
fn job(
    cgi: &Cgi,
    plan: &Plan,
    call: &Call<'_>,
    input: Option<std::fs::File>,
) -> Result<Job, Failure> {
    let program = plan.script.file.clone().ok_or_else(|| Failure::bad("it has no file"))?;
    let mut environment: Vec<(OsString, OsString)> = Vec::new();
    variables::variables(call, |name, value| {
        let [name, value] = [name, value].map(|bytes| OsString::from_vec(bytes.to_vec()));
        environment.push((name, value));
    });
    if !environment.iter().any(|(name, _)| name == "PATH") {
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        environment.push(("PATH".into(), path));
    }
    Ok(Job {
        directory: program.parent().unwrap_or(Path::new("/")).to_owned(),
        program,
        arguments: Vec::new(),
        environment,
        input,
        limits: cgi.limits,
        reach: plan.program.reach(cgi),
    })
}

/// What an origin server is asked.
fn ask_origin(
    proxy: &Proxy,
    plan: &Plan,
    call: &Call<'_>,
    address: Option<&Endpoint>,
    output: &mut Vec<u8>,
) -> origin::Exchange {
    let mut target = Vec::new();
    origin::target(&call.head.target, &plan.path, proxy.strip.as_deref(), &mut target);
    let own;
    let host = match proxy.host {
        HostField::Keep if !call.head.authority.is_empty() => call.head.authority,
        // A client of HTTP/1.0 need not name a host; for an origin, an empty one is wrong.
        HostField::Keep | HostField::Replace => {
            own = address.map(Endpoint::host).unwrap_or_default();
            &own
        }
    };
    let mut exchange = origin::Exchange::new(call.head.method);
    exchange.request(call, &origin::Forward { target: &target, host }, output);
    exchange
}
