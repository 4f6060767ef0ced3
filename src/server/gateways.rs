//! Who may have a gateway, and which: how many exchanges each program has, which connections to it
//! are idle, who waits. Peers are known by name only; what they say is not known here.

mod pool;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use super::complaints::Complaints;
use super::health::Monitor;
use super::peers::PeerId;
use super::timers::Millis;
use crate::site::program::{Endpoint, Plan, Program};
pub(super) use pool::{End, Pool};

/// How long an endpoint that could not be reached is left alone, as long as there are others.
const DOWN: Duration = Duration::from_secs(10);

/// A gateway as the slab knows it: whom an event for it concerns.
#[derive(Debug)]
pub struct Link {
    pub(super) seat: Seat,
    pub(super) state: LinkState,
}

/// What a gateway is there for.
#[derive(Debug)]
pub(super) enum LinkState {
    /// It answers this client.
    Serving(PeerId),
    /// A connection kept for the next exchange.
    Idle,
    /// A process that has answered, until it ends.
    Leaving(Leaving),
    /// Whoever asks the endpoint how it is. It takes up no seat.
    Monitoring(Box<Monitor>),
}

/// A process that has answered as its plan wants, and may end by itself.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) plan: Box<Plan>,
    pub(super) complaints: Complaints,
    /// But not later than this.
    pub(super) until: Millis,
}

/// One of the exchanges that a program may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    program: usize,
    endpoint: usize,
}

/// Those who wait for one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line(usize);

impl Seat {
    /// Who waits for a seat like this one.
    pub(super) fn line(self) -> Line {
        Line(self.program)
    }

    /// Which of the program's endpoints it is at.
    pub(super) fn endpoint(self) -> usize {
        self.endpoint
    }
}

/// All programs that may be asked for, and former ones that somebody still has to do with.
#[derive(Debug, Default)]
pub(super) struct Gateways {
    programs: Slab<Standing>,
}

/// How one program stands.
#[derive(Debug)]
struct Standing {
    program: Rc<Program>,
    /// Exchanges that begin have nothing to do with it: it goes with the last one that has.
    is_former: bool,
    /// One for each endpoint; one alone for a program that is started here.
    endpoints: Vec<Occupancy>,
    /// Clients, the first in line first.
    waiting: VecDeque<PeerId>,
    /// Where the search for the least busy endpoint begins, so that ties go round.
    next: usize,
}

/// How one endpoint stands.
#[derive(Clone, Debug, Default)]
struct Occupancy {
    /// Exchanges under way.
    active: usize,
    /// Connections kept for the next ones; the latest used last.
    idle: Vec<PeerId>,
    /// Until then it is left alone.
    down_until: Millis,
    /// It has said itself that it is not well, or nothing at all.
    is_ill: bool,
}

impl Gateways {
    /// From now on these are the programs; exchanges under way may still have others, which keep no
    /// connections for a next one. Returns those that were kept, to be closed.
    pub(super) fn renew<'p>(
        &mut self,
        programs: impl Iterator<Item = &'p Rc<Program>>,
    ) -> Vec<PeerId> {
        let mut kept = Vec::new();
        for (_, standing) in &mut self.programs {
            standing.is_former = true;
            kept.extend(standing.endpoints.iter_mut().flat_map(|at| at.idle.drain(..)));
        }
        for program in programs {
            let number = self.number(program);
            self.programs[number].is_former = false;
        }
        self.programs.retain(|_, standing| standing.is_needed());
        kept
    }

    /// Puts `client` in line for a gateway to `program`: in which line. One that has had its turn
    /// already and found nobody there is put at the front. `None` where the line is too long.
    pub(super) fn line_up(
        &mut self,
        program: &Rc<Program>,
        client: PeerId,
        at_front: bool,
        now: Millis,
    ) -> Option<Line> {
        let number = self.number(program);
        let standing = &mut self.programs[number];
        if at_front {
            standing.waiting.push_front(client);
        } else if standing.waiting.len() < program.queue || standing.choose(&[], now).is_some() {
            standing.waiting.push_back(client);
        } else {
            self.let_go(number);
            return None;
        }
        Some(Line(number))
    }

    /// Who is the first in line.
    pub(super) fn first(&self, line: Line) -> Option<PeerId> {
        self.programs.get(line.0)?.waiting.front().copied()
    }

    /// Gives the first in line a seat, and an idle connection if there is one and it need not be
    /// `fresh`; at one of the endpoints it has `tried` only if there are no others. `None` where
    /// there is no seat: then it stays in line.
    pub(super) fn seat(
        &mut self,
        line: Line,
        fresh: bool,
        tried: &[usize],
        now: Millis,
    ) -> Option<(Seat, Option<PeerId>)> {
        let standing = &mut self.programs[line.0];
        let at = standing.choose(tried, now)?;
        standing.waiting.pop_front();
        standing.next = at + 1;
        let endpoint = &mut standing.endpoints[at];
        endpoint.active += 1;
        let idle = if fresh { None } else { endpoint.idle.pop() };
        Some((Seat { program: line.0, endpoint: at }, idle))
    }

    fn number(&mut self, program: &Rc<Program>) -> usize {
        let mut all = self.programs.iter();
        let known = all.find(|(_, standing)| Rc::ptr_eq(&standing.program, program));
        if let Some((number, _)) = known {
            return number;
        }
        let count = program.kind.upstream().map_or(1, |upstream| upstream.to.len());
        self.programs.insert(Standing {
            program: Rc::clone(program),
            // Those that are not are all here.
            is_former: true,
            endpoints: vec![Occupancy::default(); count],
            waiting: VecDeque::new(),
            next: 0,
        })
    }

    /// Forgets a former program with which nobody has to do any more.
    fn let_go(&mut self, number: usize) {
        if self.programs.get(number).is_some_and(|standing| !standing.is_needed()) {
            self.programs.remove(number);
        }
    }

    /// Gives a seat up; its gateway is gone.
    pub(super) fn leave(&mut self, seat: Seat) {
        self.endpoint(seat).active -= 1;
        self.let_go(seat.program);
    }

    /// Gives a seat up whose connection may be kept. Returns whether it is.
    pub(super) fn keep(&mut self, seat: Seat, connection: PeerId) -> bool {
        let Standing { program, is_former, .. } = &self.programs[seat.program];
        let upstream = program.kind.upstream().filter(|_| !is_former);
        let most = upstream.map_or(0, |upstream| upstream.persistent);
        let endpoint = self.endpoint(seat);
        let is_kept = endpoint.idle.len() < most;
        if is_kept {
            endpoint.idle.push(connection);
        }
        self.leave(seat);
        is_kept
    }

    /// An idle connection has gone, and perhaps its program before it.
    pub(super) fn forget(&mut self, seat: Seat, connection: PeerId) {
        let standing = self.programs.get_mut(seat.program);
        if let Some(at) = standing.and_then(|standing| standing.endpoints.get_mut(seat.endpoint)) {
            at.idle.retain(|&known| known != connection);
        }
    }

    /// A client does not want a gateway any more.
    pub(super) fn give_up(&mut self, client: PeerId) {
        self.programs.retain(|_, standing| {
            standing.waiting.retain(|&waiting| waiting != client);
            standing.is_needed()
        });
    }

    /// The endpoint could not be reached: others are preferred for a while.
    pub(super) fn down(&mut self, seat: Seat, now: Millis) {
        self.endpoint(seat).down_until = now + DOWN;
    }

    /// The endpoint has been reached.
    pub(super) fn up(&mut self, seat: Seat) {
        self.endpoint(seat).down_until = Millis(0);
    }

    /// Notes what the endpoint says of itself. Returns whether that is news.
    pub(super) fn set_well(&mut self, seat: Seat, is_well: bool) -> bool {
        let endpoint = self.endpoint(seat);
        std::mem::replace(&mut endpoint.is_ill, !is_well) == is_well
    }

    /// The endpoints of `program`.
    pub(super) fn seats(&mut self, program: &Rc<Program>) -> impl Iterator<Item = Seat> + use<> {
        let number = self.number(program);
        let count = self.programs[number].endpoints.len();
        (0..count).map(move |endpoint| Seat { program: number, endpoint })
    }

    /// Where the seat leads; `None` for a program that is started here.
    pub(super) fn address(&self, seat: Seat) -> Option<&Endpoint> {
        let upstream = self.programs[seat.program].program.kind.upstream()?;
        upstream.to.get(seat.endpoint)
    }

    /// How long an idle connection of this seat is kept.
    pub(super) fn idle_timeout(&self, seat: Seat) -> Duration {
        let upstream = self.programs[seat.program].program.kind.upstream();
        upstream.map_or(Duration::ZERO, |upstream| upstream.idle_timeout)
    }

    /// How long a process of this seat may go on when its answer is out.
    pub(super) fn timeout(&self, seat: Seat) -> Duration {
        self.programs[seat.program].program.timeout
    }

    /// Whether nobody has or wants anything, and former programs are forgotten.
    #[cfg(test)]
    pub(super) fn is_at_rest(&self) -> bool {
        self.programs.iter().all(|(_, standing)| {
            let is_free = |at: &Occupancy| at.active == 0 && at.idle.is_empty();
            let is_at_rest = standing.waiting.is_empty() && standing.endpoints.iter().all(is_free);
            is_at_rest && !standing.is_former
        })
    }

    fn endpoint(&mut self, seat: Seat) -> &mut Occupancy {
        &mut self.programs[seat.program].endpoints[seat.endpoint]
    }
}

impl Standing {
    /// Whether it may be asked for, or somebody has to do with it.
    fn is_needed(&self) -> bool {
        let is_busy = || self.endpoints.iter().any(|at| at.active > 0);
        !self.is_former || !self.waiting.is_empty() || is_busy()
    }

    /// The endpoint with the fewest exchanges, if one may have another: of those that were not
    /// `tried` and can be reached, else of those that were not tried, else of all.
    fn choose(&self, tried: &[usize], now: Millis) -> Option<usize> {
        let count = self.endpoints.len();
        let all = || (0..count).map(|step| (self.next + step) % count);
        let rank = |&at: &usize| {
            let Occupancy { is_ill, down_until, .. } = &self.endpoints[at];
            match () {
                () if tried.contains(&at) => 2,
                () if *is_ill || *down_until > now => 1,
                () => 0,
            }
        };
        let best = all().map(|at| rank(&at)).min()?;
        all()
            .filter(|at| rank(at) == best && self.endpoints[*at].active < self.program.at_once)
            .min_by_key(|&at| self.endpoints[at].active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::program::{FastCgi, Kind, Upstream};

    fn program(endpoints: u16, at_once: usize, queue: usize) -> Rc<Program> {
        let to = |port| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        let upstream = Upstream {
            to: (0..endpoints).map(to).collect(),
            persistent: 1,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            health: None,
        };
        let kind = Kind::FastCgi(FastCgi { upstream, root: None, whole_path: false, index: None });
        let timeout = Duration::from_secs(1);
        Rc::new(Program { kind, environment: Vec::new(), timeout, at_once, queue })
    }

    fn over(program: &Rc<Program>) -> Gateways {
        let mut gateways = Gateways::default();
        gateways.renew([program].into_iter());
        gateways
    }

    fn peer(key: u32) -> PeerId {
        PeerId { key, generation: 0 }
    }

    /// Asks for a seat, and gets one.
    fn ask(
        gateways: &mut Gateways,
        program: &Rc<Program>,
        fresh: bool,
        now: u64,
    ) -> (Seat, Option<PeerId>) {
        let line = gateways.line_up(program, peer(1), false, Millis(now)).unwrap();
        gateways.seat(line, fresh, &[], Millis(now)).unwrap()
    }

    #[test]
    fn seats_are_few_and_the_line_is_short() {
        let program = program(1, 1, 2);
        let mut gateways = over(&program);
        let now = Millis(0);
        let (first, idle) = ask(&mut gateways, &program, false, 0);
        assert_eq!(idle, None);
        let line = first.line();
        let line_up = |gateways: &mut Gateways, key, at_front| {
            gateways.line_up(&program, peer(key), at_front, now).is_some()
        };
        assert!(line_up(&mut gateways, 2, false));
        assert!(line_up(&mut gateways, 3, false));
        assert!(!line_up(&mut gateways, 4, false), "the line is full");
        assert!(line_up(&mut gateways, 5, true), "it was in line before");
        assert_eq!(gateways.seat(line, false, &[], now), None);
        gateways.leave(first);
        assert_eq!(gateways.first(line), Some(peer(5)));
        gateways.give_up(peer(2));
        assert!(gateways.seat(line, false, &[], now).is_some());
        assert_eq!(gateways.first(line), Some(peer(3)));
        gateways.leave(first);
        assert!(line_up(&mut gateways, 6, false), "behind whoever was there");
        assert_eq!(gateways.first(line), Some(peer(3)));
        gateways.give_up(peer(3));
        gateways.give_up(peer(6));
        assert_eq!(gateways.first(line), None);
        assert!(gateways.is_at_rest());
    }

    #[test]
    fn a_connection_is_kept_and_used_again() {
        let program = program(1, 9, 1);
        let mut gateways = over(&program);
        let (one, _) = ask(&mut gateways, &program, false, 0);
        let (two, _) = ask(&mut gateways, &program, false, 0);
        assert!(gateways.keep(one, peer(11)));
        assert!(!gateways.keep(two, peer(12)), "one is enough");
        let (again, idle) = ask(&mut gateways, &program, true, 0);
        assert_eq!(idle, None, "a fresh one was asked for");
        let (_, idle) = ask(&mut gateways, &program, false, 0);
        assert_eq!(idle, Some(peer(11)));
        assert!(gateways.keep(again, peer(13)));
        gateways.forget(again, peer(13));
        let (_, idle) = ask(&mut gateways, &program, false, 0);
        assert_eq!(idle, None);
    }

    #[test]
    fn the_least_busy_endpoint_that_can_be_reached_is_asked() {
        let program = program(3, 2, 0);
        let mut gateways = over(&program);
        let next = |gateways: &mut Gateways, now| ask(gateways, &program, false, now).0;
        let seats = [(); 3].map(|()| next(&mut gateways, 0));
        assert_eq!(seats.map(|seat| seat.endpoint), [0, 1, 2]);
        gateways.leave(seats[1]);
        assert_eq!(next(&mut gateways, 0).endpoint, 1);
        gateways.leave(seats[1]);
        gateways.down(seats[1], Millis(0));
        assert_eq!([0, 0].map(|now| next(&mut gateways, now).endpoint), [2, 0]);
        assert_eq!(gateways.line_up(&program, peer(1), false, Millis(0)), None);
        assert_eq!(next(&mut gateways, 10_000).endpoint, 1, "it has rested enough");
        gateways.leave(seats[1]);
        gateways.down(seats[0], Millis(10_000));
        gateways.down(seats[1], Millis(10_000));
        gateways.down(seats[2], Millis(10_000));
        assert_eq!(next(&mut gateways, 10_001).endpoint, 1, "none is better");
    }

    #[test]
    fn a_former_program_goes_with_the_last_one_that_has_to_do_with_it() {
        let (former, current) = (program(1, 2, 1), program(2, 1, 1));
        let mut gateways = over(&former);
        let (one, _) = ask(&mut gateways, &former, false, 0);
        let (two, _) = ask(&mut gateways, &former, false, 0);
        assert!(gateways.keep(two, peer(11)));
        assert_eq!(gateways.renew([&current].into_iter()), [peer(11)], "nobody will use it");
        gateways.forget(two, peer(11));
        let line = gateways.line_up(&former, peer(2), false, Millis(0)).expect("it is served");
        assert!(!gateways.keep(one, peer(12)), "for whom?");
        let (three, idle) = gateways.seat(line, false, &[], Millis(0)).expect("one is free");
        assert_eq!(idle, None);
        assert!(!gateways.is_at_rest());
        gateways.leave(three);
        assert!(gateways.is_at_rest(), "it has been forgotten");
        assert_eq!(gateways.first(line), None);
        // One whose content has taken so long comes when all others have gone.
        let (late, _) = ask(&mut gateways, &former, false, 0);
        assert!(!gateways.keep(late, peer(13)), "for whom?");
        assert!(gateways.is_at_rest(), "it has been forgotten again");
        let line = gateways.line_up(&former, peer(3), false, Millis(0)).unwrap();
        gateways.give_up(peer(3));
        assert_eq!(gateways.first(line), None);
        assert!(gateways.is_at_rest(), "nobody waits any more");
    }
}
