//! The checksum of a turn: of all that is known of it, and of each moment, taken in as it happens.
//! So it does not matter how many moments are kept. Who compares it is not known here.

use crc32fast::Hasher;

use super::{Moment, Turn};

/// Takes in all that is known of a turn, but for what has happened in it.
pub(super) fn add_turn(sum: &mut Hasher, turn: &Turn) {
    let Turn { woken_ns, waited_ns, worked_ns, first, ready, served } = *turn;
    let numbers = [woken_ns, waited_ns, worked_ns, first, ready.into(), served.into()];
    sum.update(numbers.map(u64::to_le_bytes).as_flattened());
}

/// Takes in all that is known of a moment.
#[cold]
pub(super) fn add_moment(sum: &mut Hasher, moment: &Moment) {
    let Moment { at_ns, amount, peer, detail, act, before, after } = *moment;
    let [low, high] = detail.to_le_bytes();
    let states = [before, after].map(|state| [state.reading as u8, state.writing as u8]);
    sum.update([at_ns, amount].map(u64::to_le_bytes).as_flattened());
    sum.update([peer.key, peer.generation].map(u32::to_le_bytes).as_flattened());
    sum.update(&[low, high, act as u8]);
    sum.update(states.as_flattened());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection::{Reads, State, Writes};
    use crate::server::peers::PeerId;
    use crate::server::recorder::Act;

    #[test]
    fn nothing_of_a_moment_or_a_turn_can_be_another_unnoticed() {
        let sum = |add: &dyn Fn(&mut Hasher)| {
            let mut sum = Hasher::new();
            add(&mut sum);
            sum.finalize()
        };
        let state = State::default();
        let peer = PeerId { key: 1, generation: 2 };
        let (act, before, after) = (Act::Read, state, state);
        let moment = Moment { at_ns: 3, amount: 4, peer, detail: 5, act, before, after };
        let others = [
            moment,
            Moment { at_ns: 1 << 40, ..moment },
            Moment { amount: 1 << 40, ..moment },
            Moment { peer: PeerId { key: 7, ..peer }, ..moment },
            Moment { peer: PeerId { generation: 7, ..peer }, ..moment },
            Moment { detail: 5 << 8, ..moment },
            Moment { act: Act::Closed, ..moment },
            Moment { before: State { reading: Reads::Done, ..state }, ..moment },
            Moment { after: State { reading: Reads::Done, ..state }, ..moment },
            Moment { after: State { writing: Writes::Done, ..state }, ..moment },
        ];
        let mut sums = others.map(|one| sum(&|sum| add_moment(sum, &one))).to_vec();
        let turn = Turn { woken_ns: 1, waited_ns: 2, worked_ns: 3, first: 4, ready: 5, served: 6 };
        let others = [
            turn,
            Turn { woken_ns: 9, ..turn },
            Turn { waited_ns: 9, ..turn },
            Turn { worked_ns: 9, ..turn },
            Turn { first: 9, ..turn },
            Turn { ready: 9, ..turn },
            Turn { served: 9, ..turn },
        ];
        sums.extend(others.map(|one| sum(&|sum| add_turn(sum, &one))));
        let count = sums.len();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), count, "two are known by the same number");
    }
}
