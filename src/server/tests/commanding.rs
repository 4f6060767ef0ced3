//! What is asked of the loop while it serves others, and while it is held: over real sockets, turn
//! by turn.

use std::io::Write as _;
use std::net::TcpStream;

use super::super::listener::Address;
use super::super::recorder::Moment;
use super::super::stepping::{Before, Command};
use super::super::{Limits, Options, Server};
use super::sockets::{connect_to, read, turn, turn_until};
use crate::site::Site;
use crate::site::handler::{Request, Response};
use crate::site::router::Router;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn site() -> Site {
    Router::new().get("/", |_: &Request<'_>| Response::text("here")).build().unwrap()
}

fn anywhere() -> Address {
    Address::Tcp(([127, 0, 0, 1], 0).into())
}

/// A server with an admin listener, whose loop can be held.
fn server() -> Server {
    let (listen, admin) = (vec![anywhere()], Some(anywhere()));
    let mut server = Server::new(&Options { listen, admin, ..Options::default() }, site()).unwrap();
    server.allow_steps();
    server
}

fn visit(server: &Server) -> TcpStream {
    connect_to(&server.local_addresses()[0])
}

fn admin(server: &Server) -> TcpStream {
    connect_to(&server.admin_address().unwrap())
}

/// Requests that ask these things of the loop, one behind the other.
fn ask(admin: &mut TcpStream, commands: &[&str]) {
    let request = |command| format!("POST /inspect/{command} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let requests: String = commands.iter().map(request).collect();
    // In one segment, or the rest would wait until the first is acknowledged.
    admin.write_all(requests.as_bytes()).unwrap();
}

/// Turns until `stream` has been answered so often with 200.
fn turn_until_answered(server: &mut Server, stream: &mut TcpStream, count: usize) {
    let mut got = Vec::new();
    loop {
        let waiting = stream.try_clone().unwrap();
        turn_until(server, "it is answered", || waiting.peek(&mut [0]).is_ok());
        let is_over = read(stream, &mut got);
        if memchr::memmem::find_iter(&got, b"HTTP/1.1 200 OK").count() >= count {
            return;
        }
        assert!(!is_over, "it is closed after {}", got.escape_ascii());
    }
}

/// Each turn is told once, and has what has happened in it.
fn assert_in_order(server: &Server) {
    let recorder = server.recorder();
    let turns: Vec<_> = recorder.turns().since(0).map(|(_, turn)| turn).collect();
    for (number, turn) in turns.iter().enumerate() {
        let end = turns.get(number + 1).map_or(recorder.moments().count(), |next| next.first);
        assert!(turn.first <= end, "turn {number} has moments of the next");
        let over = turn.woken_ns + turn.worked_ns;
        if let Some(next) = turns.get(number + 1) {
            assert!(over <= next.woken_ns, "turn {number} ends after the next has begun");
        }
        let within = |moment: &Moment| (turn.woken_ns..=over).contains(&moment.at_ns);
        let moments = recorder.moments().since(turn.first);
        let mut moments = moments.take_while(|&(at, _)| at < end);
        assert!(moments.all(|(_, moment)| within(moment)), "turn {number} has others' moments");
    }
}

/// Clients that have been served once.
fn served(server: &mut Server, count: usize) -> Vec<TcpStream> {
    let mut clients: Vec<_> = (0..count).map(|_| visit(server)).collect();
    for client in &mut clients {
        client.write_all(GET).unwrap();
        turn_until_answered(server, client, 1);
    }
    clients
}

#[test]
fn what_is_asked_of_the_loop_is_done_between_two_turns() {
    for asked_after in 0..3 {
        let mut server = server();
        let mut clients = served(&mut server, 3);
        let mut admin = admin(&server);
        ask(&mut admin, &["go"]);
        turn_until_answered(&mut server, &mut admin, 1);
        // All of it is there when the next turn begins.
        for (number, client) in clients.iter_mut().enumerate() {
            if number == asked_after {
                ask(&mut admin, &["hold", "step", "step"]);
            }
            client.write_all(GET).unwrap();
        }
        turn_until_answered(&mut server, &mut admin, 3);
        ask(&mut admin, &["go"]);
        turn_until_answered(&mut server, &mut admin, 1);
        for client in &mut clients {
            turn_until_answered(&mut server, client, 1);
        }
        assert_in_order(&server);
    }
}

#[test]
fn whoever_comes_in_while_two_step_at_once_is_served() {
    let mut server = server();
    let mut clients = served(&mut server, 2);
    let mut first = admin(&server);
    ask(&mut first, &["hold"]);
    turn_until_answered(&mut server, &mut first, 1);
    for client in &mut clients {
        client.write_all(GET).unwrap();
    }
    while matches!(server.stepping.state(), Some((_, None))) {
        turn(&mut server);
    }
    // A turn is begun in which another event is left, and three more come to the listener.
    ask(&mut first, &["step"]);
    turn_until_answered(&mut server, &mut first, 1);
    let mut late: Vec<_> = (0..3).map(|_| visit(&server)).collect();
    for client in &mut late {
        client.write_all(GET).unwrap();
    }
    ask(&mut first, &["hold"]);
    turn_until_answered(&mut server, &mut first, 1);
    let mut second = admin(&server);
    ask(&mut second, &["step"]);
    ask(&mut first, &["step?turn"]);
    turn_until_answered(&mut server, &mut second, 1);
    turn_until_answered(&mut server, &mut first, 1);
    ask(&mut first, &["go"]);
    turn_until_answered(&mut server, &mut first, 1);
    for client in &mut late {
        turn_until_answered(&mut server, client, 1);
        client.write_all(GET).unwrap();
        turn_until_answered(&mut server, client, 1);
    }
    assert_in_order(&server);
}

#[test]
fn a_listener_that_goes_while_somebody_waits_at_it_is_in_nobodys_way() {
    let (listen, admin) = (vec![anywhere(), anywhere()], Some(anywhere()));
    let options = Options { listen, admin, ..Options::default() };
    let mut server = Server::new(&options, site()).unwrap();
    let addresses = server.local_addresses();
    server.hold().unwrap();
    let _late = connect_to(&addresses[1]);
    while matches!(server.stepping.state(), Some((_, None))) {
        turn(&mut server);
    }
    let listen = vec![addresses[0].clone()];
    let admin = server.admin_address();
    server.reload(&Options { listen, admin, ..Options::default() }, site()).unwrap();
    let mut client = connect_to(&addresses[0]);
    client.write_all(GET).unwrap();
    let waiting = client.try_clone().unwrap();
    for _ in 0..1000 {
        server.command(Command::Step(Before::Event)).unwrap();
        turn(&mut server);
        if waiting.peek(&mut [0]).is_ok() {
            return;
        }
    }
    panic!("the next is one that has gone");
}

#[test]
fn who_is_idle_goes_first_and_who_was_not_heard_stays() {
    let mut server = server();
    server.hold().unwrap();
    // One in the midst of its request, and as many that were answered as there is room for.
    let mut half = admin(&server);
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
    for _ in 0..3 {
        turn(&mut server);
    }
    let mut idle: Vec<_> = (0..7).map(|_| admin(&server)).collect();
    for one in &mut idle {
        one.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        turn_until_answered(&mut server, one, 1);
    }
    // All who come at once are answered, and so is the one that had begun before.
    let mut late: Vec<_> = (0..16).map(|_| admin(&server)).collect();
    for one in &mut late {
        one.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    for one in &mut late {
        turn_until_answered(&mut server, one, 1);
    }
    half.write_all(b"alhost\r\n\r\n").unwrap();
    turn_until_answered(&mut server, &mut half, 1);
}

/// What waits behind an answer that is not out was taken in under limits that may be others by now.
#[test]
fn a_reload_to_smaller_limits_harms_nobody_who_waits_at_the_admin_listener() {
    let here = |limits: Limits| {
        let (listen, admin) = (vec![anywhere()], Some(anywhere()));
        Options { listen, admin, limits, ..Options::default() }
    };
    let mut server = Server::new(&here(Limits::default()), site()).unwrap();
    let mut asking = admin(&server);
    asking.set_nonblocking(false).unwrap();
    let long = "x".repeat(3000);
    let request =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n");
    // So much is asked for that the socket is full before the last is answered.
    let many = 400;
    for _ in 0..many {
        asking.write_all(request("/inspect/source/server/mod.rs").as_bytes()).unwrap();
        turn(&mut server);
    }
    for _ in 0..100 {
        turn(&mut server);
    }
    let smaller = Limits { head_bytes: 1024, ..Limits::default() };
    server.reload(&here(smaller), site()).unwrap();
    asking.set_nonblocking(true).unwrap();
    let mut got = Vec::new();
    for _ in 0..10_000 {
        turn(&mut server);
        if read(&mut asking, &mut got) {
            break;
        }
    }
    assert_eq!(server.metrics.panics, 0);
    let ended_with_431 = memchr::memmem::find(&got, b"HTTP/1.1 431 ").is_some();
    assert!(ended_with_431, "a head that comes in now is too large");
}

#[test]
fn while_the_loop_is_held_nobody_has_a_place_at_the_admin_listener_for_ever() {
    let mut server = server();
    server.hold().unwrap();
    let mut silent: Vec<_> = (0..20).map(|_| admin(&server)).collect();
    for one in &mut silent {
        // Whoever was let go by now cannot be written to.
        let _ = one.write_all(b"GET /metrics HT");
        turn(&mut server);
    }
    let mut admin = admin(&server);
    ask(&mut admin, &["go"]);
    turn_until_answered(&mut server, &mut admin, 1);
    assert!(!server.is_held());
}
