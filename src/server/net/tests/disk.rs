//! Files that are sent, and may not be in memory.

use super::*;
use crate::site::cold::tests::{ATTEMPTS, cold_file, tells};

#[test]
fn what_is_not_in_memory_is_fetched_and_told_of_once() {
    if !tells() {
        return;
    }
    let mut world = World::new();
    let peer = world.peer();
    let mut fetch = || {
        let file = Arc::new(cold_file(300_000));
        (!world.system.fetch(peer, &file, 100_000, 200_000)).then_some(file)
    };
    let file = (0..ATTEMPTS).find_map(|_| fetch()).expect("the loop would wait each time");
    let told = |ready: &[Ready]| ready.iter().find(|event| event.peer == peer).copied();
    let event = world.until("it is fetched", |_, ready| told(ready));
    assert!(event.fetched, "{event:?}");
    assert!(!event.readable && !event.writable && !event.broken, "{event:?}");
    assert!(world.system.fetch(peer, &file, 100_000, 200_000), "it is there");
    world.system.wait(&mut world.ready, Some(Duration::ZERO)).unwrap();
    assert!(told(&world.ready).is_none(), "{:?}", world.ready);
}
