//! Which of several numbers of threads, processes or loops is taken, by what was seen when each was
//! tried. How that is done is not known here.

/// One size, and what each try of it has shown.
pub(crate) struct Tries {
    pub(crate) size: usize,
    /// Answers per second.
    pub(crate) rates: Vec<f64>,
    /// Clients without an answer.
    pub(crate) unanswered: Vec<u64>,
}

/// What is no difference between two sizes, however alike the tries of the better one were.
const NEAR: f64 = 0.95;

/// Of so many clients one may be without an answer by chance.
const BY_CHANCE: u64 = 100;

impl Tries {
    pub(crate) fn new(size: usize) -> Tries {
        Tries { size, rates: Vec::new(), unanswered: Vec::new() }
    }

    /// The median, or 0 where nothing was tried.
    pub(crate) fn rate(&self) -> f64 {
        self.at(2)
    }

    /// What one part of `parts` of all tries does not exceed.
    fn at(&self, parts: usize) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / parts).copied().unwrap_or(0.0)
    }

    /// The median.
    pub(crate) fn unanswered(&self) -> u64 {
        let mut unanswered = self.unanswered.clone();
        unanswered.sort_unstable();
        unanswered.get(unanswered.len() / 2).copied().unwrap_or(0)
    }
}

/// Whether it leaves no more of `clients` without an answer than the one that leaves the fewest,
/// but for chance.
pub(crate) fn serves_most(one: &Tries, all: &[Tries], clients: usize) -> bool {
    let fewest = all.iter().map(Tries::unanswered).min().unwrap_or(0);
    one.unanswered() <= fewest + clients as u64 / BY_CHANCE
}

/// The place of the one that is taken of `all`, the smallest of which come first: of those that
/// leave the fewest clients without an answer the smallest that answers as many as the best. That
/// is so where its median is not below the lower quartile of the best one, or next to its median.
pub(crate) fn choose(all: &[Tries], clients: usize) -> Option<usize> {
    let serving = || all.iter().filter(|one| serves_most(one, all, clients));
    let best = serving().max_by(|one, other| one.rate().total_cmp(&other.rate()))?;
    let lowest = f64::min(best.at(4), best.rate() * NEAR);
    let chosen = serving().find(|one| one.rate() >= lowest)?;
    all.iter().position(|one| one.size == chosen.size)
}
