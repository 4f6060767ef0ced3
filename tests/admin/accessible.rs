//! The inspector's page for whoever uses keys alone, speaks to the browser, or has it read out.

use super::browsing::{LIGHT, Traffic, assert_silent, open};
use super::{PROGRAMS, World};
use crate::support::browser::{Browser, View};
use crate::support::programs::is_there;

#[test]
fn the_page_goes_by_keys_alone() {
    if !is_there("chromium") {
        return;
    }
    let world = World::steppable("", PROGRAMS);
    let mut client = world.connect();
    assert_eq!(client.get("/ping").status, 200);
    let mut browser = open(&world, View { is_calm: true, ..LIGHT });
    browser.wait("document.querySelectorAll('#latest button').length > 0");
    // All that can be used is come to, and seen where it is.
    let mut reached = Vec::new();
    for _ in 0..40 {
        browser.press("Tab");
        let here = browser.ask(
            "document.activeElement === document.body ? null :
             [document.activeElement.id || document.activeElement.innerText,
              getComputedStyle(document.activeElement).outlineStyle]",
        );
        if here.is_null() {
            break; // Behind the last one the browser's own would come.
        }
        assert_eq!(here[1], "solid", "{here}");
        reached.push(here[0].as_str().unwrap().to_owned());
    }
    for id in ["nearer", "farther", "follow", "strip", "b-hold", "b-slow", "pace", "cells"] {
        assert!(reached.iter().any(|one| one == id), "{id} is not in {reached:?}");
    }
    browser.press("1");
    browser.wait("document.activeElement.id === 'strip'");
    browser.press("ArrowLeft");
    browser.press("Home");
    let turn = browser.wait_for("turn", "accepted from");
    assert!(turn.starts_with("Turn 0 "), "{turn}");
    assert_eq!(browser.ask("document.getElementById('follow').ariaPressed"), "false");
    browser.press("+");
    browser.wait_for("strip-said", "in view");
    browser.press("End");
    browser.wait("document.getElementById('follow').ariaPressed === 'true'");
    browser.press("3");
    browser.wait("document.activeElement.id === 'cells'");
    browser.press("ArrowRight");
    browser.wait_for("cell-said", "Slot 0: listens");
    for _ in 0..8 {
        if browser.text("cell-said").contains("idle") {
            break;
        }
        browser.press("ArrowRight");
    }
    browser.press("Enter");
    browser.wait_for("life", "GET /ping HTTP/1.1");
    browser.press("4");
    browser.press("Enter");
    browser.wait_for("told", "sendmsg");
    browser.press("2");
    browser.wait("document.activeElement.id === 'b-hold'");
    browser.press("Enter");
    browser.wait_for("status", "Held");
    browser.press("g");
    browser.wait_for("status", "Live");
    assert_silent(&browser);
}

/// Goes to the element of this name by Tab.
fn reach(browser: &mut Browser, id: &str) {
    for _ in 0..60 {
        browser.press("Tab");
        if browser.ask("document.activeElement.id") == id {
            return;
        }
    }
    panic!("{id} cannot be reached");
}

#[test]
fn single_keys_can_be_switched_off() {
    if !is_there("chromium") {
        return;
    }
    let world = World::steppable("", PROGRAMS);
    let mut browser = open(&world, LIGHT);
    reach(&mut browser, "singly");
    browser.press(" ");
    let see = "[singly.checked, document.querySelectorAll('[aria-keyshortcuts]').length,
                document.querySelector('#b-hold kbd').checkVisibility()]";
    assert_eq!(browser.ask(see), serde_json::json!([false, 0, false]));
    for key in ["h", "m", "3", "+"] {
        browser.press(key);
        let come_of = "[busy, slow, document.activeElement.id,
                        document.getElementById('strip-said').innerText]";
        assert_eq!(browser.ask(come_of), serde_json::json!([0, null, "singly", ""]), "{key}");
    }
    // All else is as before, and the next page is told.
    browser.ask("document.getElementById('b-hold').click()");
    browser.wait_for("status", "Held");
    browser.ask("document.getElementById('b-go').click()");
    browser.wait_for("status", "Live");
    browser.open(&format!("http://{}/inspect", world.admin));
    browser.wait_for("status", "Live");
    assert_eq!(browser.ask("singly.checked"), false);
    reach(&mut browser, "singly");
    browser.press(" ");
    assert_eq!(browser.ask(see), serde_json::json!([true, 5, true]));
    browser.press("3");
    assert_eq!(browser.ask("document.activeElement.id"), "cells");
    browser.press("h");
    browser.wait_for("status", "Held");
    assert_silent(&browser);
}

/// Counts events, and notes what has changed of what is read out: `names` and live regions, and
/// `descriptions` apart.
const LISTEN: &str = "{
  const told = hear;
  hear = (event) => { events++; told(event); };
  window.events = 0;
  window.began = performance.now();
  window.names = [];
  window.descriptions = [];
  const refers = (one, attribute) => [...document.querySelectorAll(`[${attribute}]`)].some((by) =>
    by.getAttribute(attribute).split(' ').includes(one.id));
  const around = (one) => one ? [one, ...around(one.parentElement)] : [];
  const LIVE = '[aria-live=polite], [aria-live=assertive], [role=status], [role=alert]';
  new MutationObserver((changes) => changes.forEach(({ type, target, attributeName, oldValue }) => {
    if (type === 'attributes') {
      const is_new = target.getAttribute(attributeName) !== oldValue;
      return is_new && names.push(`${attributeName} of ${target.id}`);
    }
    for (const one of around(target.nodeType === 1 ? target : target.parentElement)) {
      if (one.matches(LIVE) || refers(one, 'aria-labelledby')) names.push(one.id);
      if (refers(one, 'aria-describedby')) descriptions.push(one.id);
    }
  })).observe(document, { subtree: true, childList: true, characterData: true,
    attributeOldValue: true, attributeFilter: ['aria-label', 'title', 'aria-description'] });
}";

#[test]
fn what_is_read_out_does_not_change_with_every_event() {
    if !is_there("chromium") {
        return;
    }
    let world = World::steppable("", PROGRAMS);
    let traffic = Traffic::start(&world);
    let mut browser = open(&world, LIGHT);
    browser.wait("Number(document.getElementById('f-requests').innerText) > 20");
    for (canvas, name) in [("strip", "Turns of the loop"), ("cells", "Slots of the slab")] {
        let label = browser.ask(&format!("document.getElementById('{canvas}').ariaLabel"));
        assert_eq!(label, name);
    }
    browser.ask(LISTEN);
    browser.wait("events >= 20");
    assert_eq!(browser.ask("names"), serde_json::json!([]));
    let described = browser.ask("[descriptions.length, performance.now() - began]");
    let [count, time] = [0, 1].map(|at| described[at].as_f64().unwrap());
    assert!(count <= 1.0 + time / 5000.0, "{count} changes within {time} ms");
    // In slow motion, the loop is held anew with each step.
    browser.ask("document.getElementById('pace').value = '200'");
    browser.press("m");
    browser.wait_for("status", "Held");
    browser.wait("document.getElementById('held').innerText.startsWith('Held')");
    browser.ask("window.names = []");
    browser.ask(
        "new Promise((done) => {
           let steps = 0;
           const see = () => { steps++; if (steps === 5) done(); };
           const passed = document.getElementById('passed');
           new MutationObserver(see).observe(passed, { childList: true });
         })",
    );
    assert_eq!(browser.ask("names"), serde_json::json!([]));
    browser.press("g");
    browser.wait_for("status", "Live");
    drop(traffic);
    assert_silent(&browser);
}
