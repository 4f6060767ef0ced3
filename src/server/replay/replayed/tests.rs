//! Recordings that nobody has made by running a server.

use super::super::blocks::Writer;
use super::*;

const PEER: PeerId = PeerId { key: 1, generation: 2 };

/// A recording of what `write` writes.
fn recording(write: impl FnOnce(&mut Vec<u8>)) -> Replayed<io::Cursor<Vec<u8>>> {
    let mut head = Vec::new();
    Head::new(String::new()).put(&mut head);
    let (mut writer, mut bytes) = Writer::begin(&head).unwrap();
    write(writer.block());
    bytes.extend(writer.seal(Vec::new()).unwrap());
    Replayed::open(io::Cursor::new(bytes)).unwrap().1
}

fn what(replayed: &Replayed<io::Cursor<Vec<u8>>>) -> String {
    match replayed.outcome() {
        Some(Outcome::Differs { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_have_come_of_a_call_is_noticed() {
    let parts = [IoSlice::new(b"abc")];
    let mut replayed = recording(|out| {
        asked_to_write(PEER, &parts, false).put(out);
        io::Result::Ok(4_usize).put(out);
    });
    assert!(replayed.write(PEER, &parts, false).is_err());
    assert!(what(&replayed).starts_with("more bytes were moved than there were"));
    let asked = Asked::about(Call::Read, PEER).amount(2);
    let mut replayed = recording(|out| {
        asked.put(out);
        io::Result::Ok(b"abc".to_vec()).put(out);
    });
    assert!(replayed.read(PEER, &mut [0; 2]).is_err());
    assert!(what(&replayed).starts_with("more bytes were moved than there were"));
    let mut replayed = recording(|out| {
        asked.put(out);
        out.push(7);
    });
    assert!(replayed.read(PEER, &mut [0; 2]).is_err());
    assert_eq!(what(&replayed), "no answer is written here to who reads, peer 1.2, 2 bytes");
    let replayed = recording(|out| out.push(0x7f));
    assert_eq!(replayed.unix_time(), 0);
    assert_eq!(what(&replayed), "what is written here is no call of the loop");
}

#[test]
fn once_it_is_over_nothing_is_told_any_more() {
    let mut replayed = recording(|out| {
        Asked::of(Call::HasWord).put(out);
        true.put(out);
    });
    assert!(!replayed.has_visitor(PEER));
    let what = what(&replayed);
    assert_eq!(
        what,
        "the server asks whether somebody waits, peer 1.2; in the recording it asks whether an \
         answer is there"
    );
    assert!(!replayed.has_word(|| true));
    assert_eq!((replayed.nanos(), replayed.nanos(), replayed.next_signal()), (1, 1, None));
    let error = replayed.accept(PEER, PEER).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "or it would be tried again");
    assert!(replayed.wait(&mut Vec::new(), None).is_err());
    assert_eq!(replayed.turn(), 0);
}

#[test]
fn what_is_behind_the_end_is_no_part_of_a_recording() {
    let end = |out: &mut Vec<u8>| Asked::of(Call::End).put(out);
    let mut replayed = recording(end);
    replayed.end();
    assert_eq!(replayed.outcome(), Some(Outcome::Same));
    let mut replayed = recording(|out| {
        end(out);
        end(out);
    });
    replayed.end();
    assert_eq!(what(&replayed), "more is written behind the end");
}
