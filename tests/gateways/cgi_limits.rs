//! What scripts may use: processes, output, memory, processor time, descriptors.

use serde_json::Value;

use super::{PYTHON, World, has_answer, json, random_bytes};
use crate::support::client::Client;
use crate::support::programs::is_there;
use crate::support::running::wait_until;

/// Begins an exchange with a script that waits for the gate.
fn begin(world: &World, path: &str) -> Client {
    let mut client = world.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client
}

#[test]
fn above_the_processes_requests_queue_and_above_the_queue_they_are_refused() {
    let world = World::start(
        r#"
[[site.route]]
path = "/cgi/*"
[site.route.cgi]
root = "@PROGRAMS/cgi"
environment = { GATE = "@GATE" }
processes = 1
queue = 1
"#,
    );
    let mut running = begin(&world, "/cgi/steps.sh?content");
    running.begin();
    running.expect_in_chunks("first\n");
    // One of these waits, the other is refused. Which comes first is the network's affair.
    let mut others = [begin(&world, "/cgi/hello.sh"), begin(&world, "/cgi/hello.sh")];
    wait_until("one of them is answered", || others.iter().any(has_answer));
    let refused = usize::from(has_answer(&others[1]));
    let answer = others[refused].response(false);
    assert_eq!(answer.status, 503);
    assert!(answer.field("Retry-After").unwrap().parse::<u32>().unwrap() > 0);
    // A file is served meanwhile, and the other one still waits.
    assert_eq!(world.connect().get("/file.txt").text(), "a file");
    let waiting = &mut others[1 - refused];
    assert!(!has_answer(waiting));
    world.open_gate();
    running.expect_in_chunks("second\n");
    assert_eq!(waiting.response(false).text(), "sh: GET  \n");
    world.assert_well();
}

#[test]
fn who_leaves_the_queue_makes_room() {
    let world = World::start(
        r#"
[[site.route]]
path = "/cgi/*"
[site.route.cgi]
root = "@PROGRAMS/cgi"
environment = { GATE = "@GATE" }
processes = 1
queue = 1
"#,
    );
    let mut running = begin(&world, "/cgi/steps.sh?content");
    running.begin();
    running.expect_in_chunks("first\n");
    for _ in 0..5 {
        drop(begin(&world, "/cgi/mark.sh"));
    }
    // Some of them may still be on their way out; in the end there is room.
    let mut waiting = None;
    wait_until("there is room in the queue", || {
        let client = begin(&world, "/cgi/hello.sh");
        // What was refused was refused before this is answered, on the same loop.
        world.connect().get("/file.txt");
        world.connect().get("/file.txt");
        if has_answer(&client) {
            return false;
        }
        waiting = Some(client);
        true
    });
    world.open_gate();
    assert_eq!(waiting.unwrap().response(false).text(), "sh: GET  \n");
    assert!(!world.path("gate.mark").exists(), "a script ran for nobody");
}

#[test]
fn output_above_the_limit_is_cut() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(
        "[[site.route]]\npath = \"/cgi/*\"\n\
         cgi = { root = \"@PROGRAMS/cgi\", output = \"64KiB\" }\n",
    );
    let mut client = begin(&world, "/cgi/greedy.py?output");
    let head = client.begin();
    let cut = client.whole_or_cut(&head).expect_err("it is cut");
    assert!(cut.len() <= 64 << 10 && cut.starts_with(b"more and more"), "{}", cut.len());
    world.daemon.says("greedy.py");
    // Just so much is not too much.
    let exact = world.connect().get("/cgi/large.py?64000");
    assert_eq!(exact.content.len(), 64_000);
    world.assert_well();
}

#[test]
fn memory_and_processor_time_are_limited() {
    if !is_there(PYTHON) {
        return;
    }
    let world = World::start(
        r#"
[[site.route]]
path = "/cgi/*"
cgi = { root = "@PROGRAMS/cgi", memory = "512MiB", cpu = "1s" }
"#,
    );
    let answer = world.connect().get("/cgi/greedy.py?memory");
    assert_eq!(answer.text(), format!("{}\nno memory\n", 512 << 20));
    let mut client = begin(&world, "/cgi/greedy.py?cpu");
    let head = client.begin();
    assert_eq!(client.whole_or_cut(&head), Err(b"1\n".to_vec()));
    world.daemon.says("greedy.py");
    world.assert_well();
}

/// Whether this test has been started with a descriptor that everybody inherits.
fn is_inherited(number: &str, target: &Value) -> bool {
    let own = std::fs::read_link(format!("/proc/self/fd/{number}"));
    !matches!(number, "0" | "1" | "2")
        && own.is_ok_and(|own| Some(own.to_string_lossy().as_ref()) == target.as_str())
}

#[test]
fn a_script_has_its_three_descriptors_and_no_other() {
    if !is_there(PYTHON) {
        return;
    }
    let world =
        World::start("[[site.route]]\npath = \"/cgi/*\"\ncgi = { root = \"@PROGRAMS/cgi\" }\n");
    // Something of everything is open meanwhile: clients, scripts, content in memory and on disk.
    let mut clients: Vec<Client> = (0..10).map(|_| world.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/file.txt").status, 200);
    }
    let content = random_bytes(1, 3 << 20);
    for content in [&content[..0], &content[..10], &content[..]] {
        for client in &mut clients {
            let method = if content.is_empty() { "GET" } else { "POST" };
            let answer = client.request(method, "/cgi/descriptors.py", &[], content);
            let found = json(answer.text());
            let found = found.as_object().unwrap();
            let numbers: Vec<&String> =
                found.keys().filter(|number| !is_inherited(number, &found[*number])).collect();
            assert_eq!(numbers, ["0", "1", "2"], "{found:?}");
            assert!(found["1"].as_str().unwrap().starts_with("pipe:"), "{found:?}");
            assert!(found["2"].as_str().unwrap().starts_with("pipe:"), "{found:?}");
            assert_ne!(found["1"], found["2"]);
            if content.is_empty() {
                assert_eq!(found["0"], "/dev/null");
            }
        }
    }
}
