//! A hundred thousand malformed requests, made from good ones: none of them may end a test, be
//! read in two ways, or be understood other than by the [`reference`].

use std::collections::HashSet;

use fastrand::Rng;

use super::spoil::{GOOD, spoiled};
use super::*;

/// Holds what is made of `input` against the second opinion. Returns why it was refused, if it was.
fn check(input: &[u8]) -> Option<Refusal> {
    let shown = || input.escape_ascii().to_string();
    let story = Story::at_once(input);
    let by_bytes = Story::by_bytes(input);
    assert_eq!(story.events, by_bytes.events, "{}", shown());
    let refusal = story.refusal();
    if refusal.is_none() {
        assert_eq!(story.taken, by_bytes.taken, "{}", shown());
    }
    let mut events = story.events;
    for event in &mut events {
        match event {
            Event::Refused(_) => *event = reference::REFUSED,
            Event::Head { bytes, .. } => {
                let mut space = HeadSpace::new();
                let again = Head::parse(&input[bytes.clone()], &mut space, &Limits::default());
                assert!(again.is_ok(), "{}", shown());
            }
            Event::Content(_) | Event::End | Event::Close => {}
        }
    }
    let mut opinion = reference::read(input);
    if opinion.is_open && refusal.is_some() {
        opinion.events.extend([reference::REFUSED, Event::Close]);
    }
    assert_eq!(events, opinion.events, "{}", shown());
    refusal
}

/// Checks spoiled requests until so many of them were malformed.
fn run(seed: u64, wanted: u32) {
    let mut random = Rng::with_seed(seed);
    let mut malformed = 0;
    let mut good = 0;
    let mut reasons = HashSet::new();
    while malformed < wanted {
        let input = spoiled(&mut random);
        if let Some(refusal) = check(&input) {
            reasons.insert(refusal.why);
            malformed += 1;
        } else {
            good += 1;
        }
    }
    // Were all of them refused for one reason, they would prove little.
    assert!(good > wanted / 10, "only {good} were taken");
    assert!(reasons.len() > 25, "refused for nothing but {reasons:?}");
}

#[test]
fn good_requests_are_good() {
    for input in GOOD {
        assert_eq!(check(input), None, "{}", input.escape_ascii());
    }
}

#[test]
fn a_first_half_of_a_hundred_thousand_malformed_requests() {
    run(1, 50_000);
}

#[test]
fn a_second_half_of_a_hundred_thousand_malformed_requests() {
    run(2, 50_000);
}
