//! Deadlines. Moving one later, which happens with every request, costs one store; the heap learns
//! of it only when the old time has come.
//!
//! What a deadline is for is not known here: a slot of the slab is told when to be looked at again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Add;
use std::time::Duration;

/// Milliseconds of the loop's clock, which never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// No time that ever comes.
    pub const NEVER: Millis = Millis(u64::MAX);

    /// How long ago `earlier` was; zero if it is yet to come.
    #[must_use]
    pub fn since(self, earlier: Millis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// So much earlier, but not before the clock began.
    #[must_use]
    pub fn before(self, duration: Duration) -> Millis {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Millis(self.0.saturating_sub(millis))
    }
}

impl Add<Duration> for Millis {
    type Output = Millis;

    fn add(self, duration: Duration) -> Millis {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Millis(self.0.saturating_add(millis))
    }
}

/// One deadline for each slot of the slab.
#[derive(Debug, Default)]
pub struct Timers {
    slots: Vec<Deadline>,
    heap: BinaryHeap<Reverse<(Millis, u32)>>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    /// When the slot wants to be looked at.
    due: Millis,
    /// When the heap will look: the earliest entry it holds for this slot. Belongs to the slot,
    /// not to its tenant, so a slot that changes hands often does not fill the heap.
    armed: Millis,
    /// An entry behind that one, which is heard when its own time comes. So a slot whose deadline
    /// goes to and fro between near and far has two entries, not one more each time.
    spare: Millis,
}

impl Deadline {
    const UNSET: Deadline =
        Deadline { due: Millis::NEVER, armed: Millis::NEVER, spare: Millis::NEVER };
}

impl Timers {
    /// The slot wants to be looked at when `due` has come, and not for what it said before.
    pub fn set(&mut self, key: u32, due: Millis) {
        let at = key as usize;
        if at >= self.slots.len() {
            self.slots.resize(at + 1, Deadline::UNSET);
        }
        let slot = &mut self.slots[at];
        slot.due = due;
        if due < slot.armed {
            slot.spare = slot.armed;
            slot.armed = due;
            self.heap.push(Reverse((due, key)));
        }
    }

    /// The slot wants nothing any more.
    pub fn clear(&mut self, key: u32) {
        if let Some(slot) = self.slots.get_mut(key as usize) {
            slot.due = Millis::NEVER;
        }
    }

    /// Only so many slots are left.
    pub fn shrink(&mut self, slots: usize) {
        self.slots.truncate(slots);
        self.slots.shrink_to_fit();
        self.heap.retain(|Reverse((_, key))| (*key as usize) < slots);
        self.heap.shrink_to_fit();
    }

    /// A slot whose deadline has come, once for each.
    pub fn expired(&mut self, now: Millis) -> Option<u32> {
        while let Some(&Reverse((time, key))) = self.heap.peek() {
            if time > now {
                return None;
            }
            self.heap.pop();
            let slot = &mut self.slots[key as usize];
            if time != slot.armed {
                continue; // An earlier entry has taken its place since.
            }
            slot.armed = std::mem::replace(&mut slot.spare, Millis::NEVER);
            let due = slot.due;
            if due <= now {
                slot.due = Millis::NEVER;
                return Some(key);
            }
            if due != Millis::NEVER {
                self.set(key, due);
            }
        }
        None
    }

    /// How long the loop may sleep: until the next entry of the heap, if there is one.
    #[must_use]
    pub fn timeout(&self, now: Millis) -> Option<Duration> {
        self.heap.peek().map(|&Reverse((time, _))| time.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_deadline_later_does_not_touch_the_heap() {
        let mut timers = Timers::default();
        timers.set(3, Millis(100));
        for due in 101..10_000 {
            timers.set(3, Millis(due));
        }
        assert_eq!(timers.heap.len(), 1);
        assert_eq!(timers.expired(Millis(9_998)), None);
        assert_eq!(timers.expired(Millis(9_999)), Some(3));
        assert_eq!(timers.expired(Millis(20_000)), None);
        assert_eq!(timers.timeout(Millis(0)), None);
    }

    #[test]
    fn a_slot_that_changes_hands_does_not_fill_the_heap() {
        let mut timers = Timers::default();
        for now in 0..10_000 {
            timers.set(0, Millis(now + 5_000));
            timers.clear(0);
            assert_eq!(timers.expired(Millis(now)), None);
        }
        assert!(timers.heap.len() <= 2);
    }

    #[test]
    fn a_deadline_that_goes_to_and_fro_does_not_fill_the_heap() {
        let mut timers = Timers::default();
        for now in (0..100_000).step_by(20) {
            timers.set(0, Millis(now + 60_000));
            timers.set(0, Millis(now + 10));
            assert_eq!(timers.expired(Millis(now + 9)), None);
            assert_eq!(timers.expired(Millis(now + 10)), Some(0));
            assert!(timers.heap.len() <= 3, "{} entries", timers.heap.len());
        }
    }

    #[test]
    fn slots_that_are_given_back_are_never_due() {
        let mut timers = Timers::default();
        for key in 0..10 {
            timers.set(key, Millis(u64::from(key)));
        }
        timers.shrink(5);
        timers.set(7, Millis(20));
        let due: Vec<u32> = std::iter::from_fn(|| timers.expired(Millis(30))).collect();
        assert_eq!(due, [0, 1, 2, 3, 4, 7]);
    }

    #[test]
    fn against_a_plain_table() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut timers = Timers::default();
        let mut table = [Millis::NEVER; 16];
        let mut now = Millis(0);
        for _ in 0..20_000 {
            let key = random.u32(..16);
            match random.u8(..4) {
                0 => {
                    timers.clear(key);
                    table[key as usize] = Millis::NEVER;
                }
                1 => {
                    now.0 += random.u64(..40);
                    let mut fired = Vec::new();
                    while let Some(key) = timers.expired(now) {
                        fired.push(key);
                    }
                    fired.sort_unstable();
                    let mut expected = Vec::new();
                    for (key, due) in (0..).zip(&mut table) {
                        if *due <= now {
                            *due = Millis::NEVER;
                            expected.push(key);
                        }
                    }
                    assert_eq!(fired, expected);
                }
                _ => {
                    let due = Millis(now.0 + random.u64(..100));
                    timers.set(key, due);
                    table[key as usize] = due;
                }
            }
            let next = table.iter().min().copied().unwrap();
            if next != Millis::NEVER {
                let timeout = timers.timeout(now).unwrap();
                assert!(timeout <= next.since(now), "the loop would sleep past a deadline");
            }
        }
    }
}
