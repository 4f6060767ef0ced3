//! What the rings keep, and for how long.

use super::*;

#[test]
fn a_ring_keeps_the_last_by_their_numbers() {
    let mut ring = Ring::new(4);
    for number in 0..11_u64 {
        let kept: Vec<(u64, u64)> = ring.since(0).map(|(number, &value)| (number, value)).collect();
        let expected: Vec<(u64, u64)> =
            (number.saturating_sub(4)..number).map(|number| (number, 10 * number)).collect();
        assert_eq!(kept, expected);
        assert_eq!((ring.count(), ring.first()), (number, number.saturating_sub(4)));
        assert_eq!(ring.push(10 * number), number);
    }
    assert_eq!((ring.get(6), ring.get(7), ring.get(10)), (None, Some(&70), Some(&100)));
    assert_eq!((ring.get(11), ring.get(u64::MAX)), (None, None));
    assert_eq!(ring.since(9).count(), 2);
    assert_eq!(ring.since(12).count(), 0);
}

#[test]
fn of_long_lines_the_beginning_is_kept() {
    let mut recorder = Recorder::new(&Limits::default(), 0);
    for line in [&b"GET / HTTP/1.1"[..], &[b'x'; 300]] {
        let number = recorder.note_line(line);
        let Some(Note::Line(kept)) = recorder.notes().get(number) else { panic!("no line") };
        assert_eq!(kept.bytes(), &line[..line.len().min(LINE)]);
    }
}

#[test]
fn what_is_kept_of_stalls_has_an_end() {
    let mut recorder = Recorder::new(&Limits::default(), 0);
    for at in 0..100 {
        recorder.begin_turn(at, 1);
        recorder.end_turn(at, true);
        recorder.stalled(at.to_string());
    }
    let first = recorder.stalls().first().map(|stall| (stall.turn, stall.what.clone()));
    assert_eq!((recorder.stalls().len(), first), (STALLS, Some((68, "68".to_owned()))));
}

#[test]
fn a_turn_in_which_something_has_happened_is_kept_though_nobody_was_served() {
    let mut recorder = Recorder::new(&Limits::default(), 0);
    recorder.begin_turn(1, 0);
    recorder.end_turn(2, false);
    assert_eq!(recorder.turns().count(), 0, "it is part of the wait");
    recorder.begin_turn(3, 0);
    let peer = PeerId { key: 1, generation: 1 };
    recorder.add(peer, Act::Told, State::default(), (10, 0));
    recorder.end_turn(4, false);
    let kept: Vec<_> = recorder.turns().since(0).map(|(_, turn)| turn.woken_ns).collect();
    assert_eq!((kept, recorder.turn().first), (vec![3], 1));
}

#[test]
fn what_is_not_kept_any_more_is_summed_up_all_the_same() {
    let sum_of = |moments: usize, amounts: [u64; 3]| {
        let limits = Limits { recorder_moments: moments, ..Limits::default() };
        let mut recorder = Recorder::new(&limits, 0);
        let id = PeerId { key: 1, generation: 2 };
        recorder.sum_up();
        for amount in amounts {
            recorder.add(id, Act::Read, State::default(), (amount, 0));
        }
        recorder.sum_up()
    };
    assert_eq!(sum_of(1, [1, 2, 3]), sum_of(100, [1, 2, 3]));
    assert_ne!(sum_of(1, [1, 2, 3]), sum_of(1, [7, 2, 3]));
}
