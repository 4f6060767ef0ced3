//! Who takes part, and how large each of them is.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::answer::{self, Ask};
use super::data::{Entrant, Kind, Tried};
use super::load::Target;
use super::measure;
use super::options::{Options, Url};
use super::place::{Asked, Place};
use super::player::Player;
use super::progress::Progress;
use super::servers::{PEERS, Peer};
use super::sizes::{self, Tries};
use super::workloads::{self, Beside, Demand, What, Workload};
use crate::architectures::{self, Architecture};

/// Clients while a rate is searched, and beside wrk.
pub(crate) const SEARCHING: usize = 64;

/// The most clients while a size is searched: more take longer to open than to measure, and no size
/// here serves more.
const MOST_SEARCHING: usize = 1000;

/// How often each is tried.
const TRIES: u32 = 3;

/// Most of them can keep up with that, so that the time of an answer is not that of a queue.
const PACE: f64 = 0.2;

/// Who takes part.
pub(crate) struct Contestant {
    pub(crate) player: Player,
    pub(crate) entrant: Entrant,
    pub(crate) origin: Origin,
    /// What a server is asked for that somebody else has started.
    pub(crate) own: Option<Asked>,
}

/// Where it comes from.
#[derive(Clone)]
pub(crate) enum Origin {
    Architecture(&'static Architecture),
    Peer(&'static Peer),
    /// Its name, and where it is.
    Url(String, Url),
}

const ARCHITECTURES: &[Architecture] = &architectures::ALL;
const INSTALLED: &[Peer] = &PEERS;

/// All that are wanted, but for peers that are not installed.
pub(crate) fn wanted(options: &Options, notes: &mut Vec<String>) -> Vec<Origin> {
    let is_wanted = |one: &&Architecture| Options::wants(&options.arch, one.name);
    let mut all: Vec<Origin> =
        ARCHITECTURES.iter().filter(is_wanted).map(Origin::Architecture).collect();
    for peer in INSTALLED.iter().filter(|peer| options.peer.iter().any(|name| name == peer.name)) {
        if peer.path().is_some() {
            all.push(Origin::Peer(peer));
        } else {
            notes.push(format!("{}: it is not installed.", peer.name));
        }
    }
    all.extend(options.url.iter().map(|(name, url)| Origin::Url(name.clone(), url.clone())));
    all
}

/// Starts all of them, or has a first answer. Who gives none is left out, if it is no part of this
/// program.
///
/// # Errors
/// Where one cannot be started that is.
pub(crate) fn gather(
    origins: Vec<Origin>,
    demands: &[Demand],
    place: &Place,
    time: Duration,
    notes: &mut Vec<String>,
    progress: &mut Progress,
) -> io::Result<Vec<Contestant>> {
    let mut all = Vec::new();
    for origin in origins {
        let (name, does, started) = match &origin {
            Origin::Architecture(architecture) => {
                let search = origin.search(demands, place);
                let (player, entrant) = enter(architecture, search, place, time, progress)?;
                all.push(Contestant { player, entrant, origin, own: None });
                continue;
            }
            Origin::Peer(peer) => {
                let idea = format!("version {}", peer.version());
                let start = |player| (player, entrant(peer.name, &idea, Kind::Peer), None);
                (peer.name, "start", place.start_peer(peer).map(start))
            }
            Origin::Url(name, url) => {
                let idea = format!("http://{}{}", url.authority, url.path);
                let start = |(player, own)| (player, entrant(name, &idea, Kind::Url), Some(own));
                (name.as_str(), "answer", visit(url).map(start))
            }
        };
        match started {
            Ok((player, entrant, own)) => all.push(Contestant { player, entrant, origin, own }),
            Err(error) => notes.push(format!("{name}: it does not {does}: {error}.")),
        }
    }
    Ok(all)
}

fn entrant(name: &str, idea: &str, kind: Kind) -> Entrant {
    Entrant { name: name.to_owned(), idea: idea.to_owned(), kind, size: None, search: Vec::new() }
}

/// How the size of an architecture is searched.
pub(crate) struct Search {
    /// The smallest first.
    sizes: Vec<usize>,
    clients: usize,
}

impl Search {
    /// About how long one try takes, in seconds.
    fn lasts(&self, time: Duration) -> f64 {
        measure::lasts(&Demand::small(self.clients), time)
    }

    /// The same of one try of each size.
    fn turn_lasts(&self, time: Duration) -> f64 {
        self.sizes.iter().map(|_| self.lasts(time)).sum()
    }

    /// The same of all tries.
    pub(crate) fn lasts_in_all(&self, time: Duration) -> f64 {
        self.turn_lasts(time) * f64::from(TRIES)
    }
}

/// An architecture, with the number of threads, processes or loops that is found to be the best
/// one, if it has any.
fn enter(
    architecture: &'static Architecture,
    search: Option<Search>,
    place: &Place,
    time: Duration,
    progress: &mut Progress,
) -> io::Result<(Player, Entrant)> {
    let mut entrant = entrant(architecture.name, architecture.idea, Kind::Architecture);
    let Some(search) = search else { return Ok((place.start(architecture, 1)?, entrant)) };
    let mut players = Vec::new();
    let mut tried: Vec<Tries> = Vec::new();
    for &size in &search.sizes {
        players.push(place.start(architecture, size)?);
        tried.push(Tries::new(size));
    }
    // In turn, as all else. Who leaves more without an answer than another one is not tried again,
    // nor is one that has no other beside it.
    for turn in 0..TRIES {
        let serves = |one: &&Tries| sizes::serves_most(one, &tried, search.clients);
        if turn > 0 && tried.iter().filter(serves).count() < 2 {
            progress.less(search.turn_lasts(time) * f64::from(TRIES - turn));
            break;
        }
        for (at, player) in players.iter_mut().enumerate() {
            let what = format!("size of {}: {}", entrant.name, search.sizes[at]);
            if turn > 0 && !sizes::serves_most(&tried[at], &tried, search.clients) {
                progress.less(search.lasts(time));
                continue;
            }
            progress.next(&what, search.lasts(time));
            let (rate, unanswered) = rate_once(player, place, search.clients, time)?;
            tried[at].rates.push(rate);
            tried[at].unanswered.push(unanswered);
        }
    }
    entrant.search = tried.iter().map(|one| shown(one, search.clients)).collect();
    let no_size = || io::Error::other("there is no size to try");
    let chosen = sizes::choose(&tried, search.clients).ok_or_else(no_size)?;
    entrant.size = Some(search.sizes[chosen]);
    Ok((players.swap_remove(chosen), entrant))
}

fn shown(tries: &Tries, clients: usize) -> Tried {
    Tried { size: tries.size, rate: tries.rate(), clients, unanswered: tries.unanswered() }
}

/// Answers per second to one small file by so many clients; and how many of them waited for one.
///
/// # Errors
/// Where there are none.
pub(crate) fn rate_once(
    player: &mut Player,
    place: &Place,
    clients: usize,
    time: Duration,
) -> io::Result<(f64, u64)> {
    let demand = Demand::small(clients);
    let sample = measure::measure(player, &place.asked(&demand)?, &demand, time)?;
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let answers = sample.answers as f64;
    Ok((answers / sample.seconds, sample.unanswered))
}

/// About how long it takes to find that rate, in seconds.
pub(crate) fn pace_lasts(time: Duration) -> f64 {
    measure::lasts(&Demand::small(SEARCHING), time) * f64::from(TRIES)
}

/// The rate at which requests come if none is said: a share of what one loop answers in a second,
/// or else the first who takes part. `None` where all there are run somewhere.
///
/// # Errors
/// Where it does not answer.
pub(crate) fn pace(
    all: &mut [Contestant],
    place: &Place,
    time: Duration,
    progress: &mut Progress,
) -> io::Result<Option<f64>> {
    let is_loop = |one: &Contestant| one.entrant.name == architectures::ONE_LOOP;
    let first = || all.iter().position(|one| one.own.is_none());
    let Some(at) = all.iter().position(is_loop).or_else(first) else { return Ok(None) };
    let mut tries = Tries::new(1);
    for _ in 0..TRIES {
        progress.next("the rate of paced", measure::lasts(&Demand::small(SEARCHING), time));
        tries.rates.push(rate_once(&mut all[at].player, place, SEARCHING, time)?.0);
    }
    Ok(Some((tries.rate() * PACE).round()))
}

/// What a server answers that somebody else has started.
fn visit(url: &Url) -> io::Result<(Player, Asked)> {
    let player = Player::at(url)?;
    let request =
        format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", url.path, url.authority).into_bytes();
    let (head, content) = answer::exchange(player.address(), &request)?;
    let ask = Ask { request, status: head.status, content: Rc::from(content) };
    let targets = vec![Target { ask, cold: None }];
    Ok((player, Asked { targets, choices: vec![0], long: vec![0] }))
}

impl Contestant {
    /// Starts it anew: what was there before is not in its memory any more.
    ///
    /// # Errors
    /// Where it does not start.
    pub(crate) fn restart(&mut self, place: &Place) -> io::Result<()> {
        match &self.origin {
            Origin::Architecture(architecture) => {
                self.player = place.start(architecture, self.entrant.size.unwrap_or(1))?;
            }
            Origin::Peer(peer) => self.player = place.start_peer(peer)?,
            Origin::Url(..) => {}
        }
        Ok(())
    }
}

impl Origin {
    /// How its size is searched, if it has one: with as many clients as the largest load has that
    /// it is measured under, so that no size is taken that leaves some of those out.
    pub(crate) fn search(&self, demands: &[Demand], place: &Place) -> Option<Search> {
        let Origin::Architecture(architecture) = self else { return None };
        let mut sizes = architecture.sizes.to_vec();
        if sizes.is_empty() {
            return None;
        }
        if !sizes.contains(&place.processors) {
            sizes.push(place.processors);
            sizes.sort_unstable();
        }
        let its = demands.iter().filter(|demand| self.why_not(demand, place).is_none());
        let most = its.map(|demand| demand.clients).max().unwrap_or(SEARCHING);
        Some(Search { sizes, clients: most.min(MOST_SEARCHING) })
    }

    /// Why it is not measured under this load, if it is not.
    pub(crate) fn why_not(&self, demand: &Demand, place: &Place) -> Option<String> {
        let Workload { what, beside, closes, .. } = *demand.workload;
        match self {
            Origin::Architecture(one) if demand.clients > one.most => {
                Some(format!("not with more than {} clients", one.most))
            }
            Origin::Architecture(one) if demand.clients as u64 * one.each > place.spare() => {
                Some(format!(
                    "it opens {} files for each client, and a process may open {} (ulimit -n)",
                    one.each, place.descriptors
                ))
            }
            Origin::Peer(_) if !demand.workload.is_of_files() => {
                Some("it serves files only".to_owned())
            }
            Origin::Url(..)
                if what != What::File(workloads::SMALL)
                    || matches!(beside, Beside::Slow(_))
                    || closes =>
            {
                Some("it is asked for its own URL only".to_owned())
            }
            Origin::Architecture(_) | Origin::Peer(_) | Origin::Url(..) => None,
        }
    }
}
