//! What is asked of the loop while it serves others, and while it is held: over real sockets, turn
//! by turn.

use std::io::Write as _;
use std::net::TcpStream;

use super::super::listener::Address;
use super::super::recorder::Moment;
use super::super::stepping::{Before, Command};
use super::super::{Options, Server};
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
    while memchr::memmem::find_iter(&got, b"HTTP/1.1 200 OK").count() < count {
        let before = got.len();
        let waiting = stream.try_clone().unwrap();
        turn_until(server, "it is answered", || waiting.peek(&mut [0]).is_ok());
        assert!(!read(stream, &mut got), "it is closed after {:?}", got.escape_ascii());
        assert!(got.len() > before);
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
