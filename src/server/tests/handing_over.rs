//! Two servers with the same listening sockets, one after the other.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::handing_over::{Passed, assign, bind_for_several};
use super::super::listener::{PathOwner, Wanted};
use super::super::*;
use crate::site::handler::{Request, Response};
use crate::site::router::Router;

fn server(listen: &[&str], name: &'static str, passed: &mut Vec<Passed>) -> Server {
    let listen = listen.iter().map(|address| address.parse().unwrap()).collect();
    let answer = move |_: &Request<'_>| Response::text(name);
    let site = Router::new().get("/", answer).build().unwrap();
    Server::with_sockets(&Options { listen, ..Options::default() }, site, passed).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let Address::Tcp(address) = server.local_addresses().remove(0) else { panic!("not TCP") };
    TcpStream::connect(address).unwrap()
}

/// The answer of `server`, which turns until it is there.
fn ask(server: &mut Server, stream: &mut (impl Read + Write)) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = vec![0; 4096];
    server.turn().unwrap();
    while server.clients() == 0 {
        server.turn().unwrap();
    }
    server.turn_within(Some(Duration::ZERO)).unwrap();
    let count = stream.read(&mut answer).unwrap();
    String::from_utf8(answer[..count].to_vec()).unwrap()
}

/// What `old` shares, as it comes to another process.
fn shared(old: &mut Server) -> Vec<Passed> {
    let sockets = old.share_listeners().unwrap().into_iter();
    let owner = |passed: &Passed| match passed.path_owner() {
        PathOwner::This | PathOwner::Predecessor => PathOwner::Predecessor,
        PathOwner::Other => PathOwner::Other,
    };
    sockets.map(|one| Passed::new(one.try_clone().unwrap().into(), owner(&one)).unwrap()).collect()
}

/// Where a socket can be, for as long as the first is held.
fn path() -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("socket");
    (scratch, path)
}

#[test]
fn a_successor_serves_on_the_same_sockets_and_the_old_one_keeps_its_clients() {
    let mut old = server(&["127.0.0.1:0"], "old", &mut Vec::new());
    let mut kept = connect(&old);
    assert!(ask(&mut old, &mut kept).ends_with("\r\n\r\nold"));
    let mut passed = old.share_listeners().unwrap();
    let mut new = server(&["127.0.0.1:0"], "new", &mut passed);
    assert!(passed.is_empty());
    assert_eq!(new.local_addresses(), old.local_addresses());
    // Before the old one retires, either may be the first to accept.
    old.retire();
    assert!(!old.is_over() && old.clients() == 1);
    let mut client = connect(&new);
    assert!(ask(&mut new, &mut client).ends_with("\r\n\r\nnew"));
    let answer = ask(&mut old, &mut kept);
    assert!(answer.ends_with("old") && answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert_eq!(kept.read(&mut [0]).unwrap(), 0);
    drop(kept);
    while !old.is_over() {
        old.turn().unwrap();
    }
}

#[test]
fn who_has_retired_is_not_woken_by_the_clients_of_its_successor() {
    let (_scratch, path) = path();
    for listen in ["127.0.0.1:0".to_owned(), format!("unix:{}", path.display())] {
        let mut old = server(&[&listen], "old", &mut Vec::new());
        let new = server(&[&listen], "new", &mut shared(&mut old));
        old.retire();
        // A client is told of even if it has left again.
        match new.local_addresses().remove(0) {
            Address::Tcp(address) => drop(TcpStream::connect(address).unwrap()),
            Address::Unix(path) => drop(UnixStream::connect(path).unwrap()),
        }
        let mut ready = Vec::new();
        old.net.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty(), "{listen}: {ready:?}");
        drop(new);
    }
}

#[test]
fn an_end_is_not_put_off_by_having_retired() {
    let mut old = server(&["127.0.0.1:0"], "old", &mut Vec::new());
    let mut kept = connect(&old);
    ask(&mut old, &mut kept);
    old.retire();
    old.retire();
    assert_eq!(old.drained_by, Some(old.now() + old.terms.limits.upgrade_drain));
    old.drain();
    old.turn().unwrap();
    assert!(old.is_over(), "nobody is in the middle of anything");
    assert!(old.drained_by < Some(old.now() + old.terms.limits.upgrade_drain));
    assert_eq!(kept.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_path_is_removed_by_whoever_was_the_last_to_serve() {
    let (_scratch, path) = path();
    let listen = format!("unix:{}", path.display());
    let mut old = server(&[&listen], "old", &mut Vec::new());
    // One that never comes to serve.
    drop(server(&[&listen], "bad", &mut shared(&mut old)));
    assert!(path.exists(), "the old one still serves");
    let mut new = server(&[&listen], "new", &mut shared(&mut old));
    new.succeed();
    old.retire();
    drop(old);
    assert!(path.exists(), "the new one serves");
    assert!(ask(&mut new, &mut UnixStream::connect(&path).unwrap()).ends_with("new"));
    let mut newest = server(&[&listen], "newest", &mut shared(&mut new));
    newest.succeed();
    new.retire();
    drop((new, newest));
    assert!(!path.exists(), "nobody serves");
}

#[test]
fn the_path_of_somebody_else_stays() {
    let (_scratch, path) = path();
    let bound = UnixListener::bind(&path).unwrap();
    let passed = Passed::new(bound.into(), PathOwner::Other).unwrap();
    let listen = format!("unix:{}", path.display());
    let mut first = server(&[&listen], "first", &mut vec![passed]);
    first.succeed();
    let mut second = server(&[&listen], "second", &mut shared(&mut first));
    second.succeed();
    drop((first, second));
    assert!(path.exists());
}

fn for_sites(address: &Address) -> Wanted<'_> {
    Wanted { address, is_admin: false }
}

#[test]
fn what_was_passed_is_found_by_its_address() {
    let bind = |address: &str| {
        Passed::new(std::net::TcpListener::bind(address).unwrap().into(), PathOwner::This).unwrap()
    };
    let mut passed: Vec<Passed> = (0..4).map(|_| bind("127.0.0.1:0")).collect();
    let ports: Vec<Address> = passed.iter().map(|one| one.address().clone()).collect();
    let any: Address = "127.0.0.1:0".parse().unwrap();
    let elsewhere: Address = "127.0.0.2:0".parse().unwrap();
    let wanted = [&any, &ports[0], &elsewhere, &ports[2], &any].map(for_sites);
    let assigned = assign(&wanted, &mut passed);
    let got: Vec<Option<&Address>> =
        assigned.iter().map(|one| one.as_ref().map(Passed::address)).collect();
    let expected = [Some(&ports[1]), Some(&ports[0]), None, Some(&ports[2]), Some(&ports[3])];
    assert_eq!(got, expected);
    assert!(passed.is_empty());
}

/// Whatever the order that they come in: clients of sites must not end up at the admin listener.
#[test]
fn any_port_gets_what_served_the_same_purpose() {
    let options = Options {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        admin: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    };
    let mut old = Server::new(&options, Router::new().build().unwrap()).unwrap();
    let mut passed = old.share_listeners().unwrap();
    passed.sort_by_key(|one| !one.is_admin());
    let mut new =
        Server::with_sockets(&options, Router::new().build().unwrap(), &mut passed).unwrap();
    let of = |server: &mut Server| {
        let mut all = server.share_listeners().unwrap();
        all.sort_by_key(Passed::is_admin);
        all.iter().map(|one| (one.is_admin(), one.address().clone())).collect::<Vec<_>>()
    };
    assert_eq!(of(&mut new), of(&mut old));
    // And for several.
    let mut passed = old.share_listeners().unwrap();
    passed.sort_by_key(|one| !one.is_admin());
    let sites = bind_for_several(for_sites(&options.listen[0]), 1, &mut passed).unwrap();
    assert_eq!(*sites[0].address(), of(&mut old)[0].1);
    assert!(passed.len() == 1 && passed[0].is_admin());
}

#[test]
fn what_does_not_listen_is_refused() {
    let (one, _other) = UnixStream::pair().unwrap();
    let error = Passed::new(one.into(), PathOwner::This).unwrap_err();
    assert_eq!(error.to_string(), "it is no socket that listens");
    let name = format!("oneloop-handing-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let nameless = UnixListener::bind_addr(&address).unwrap();
    let error = Passed::new(nameless.into(), PathOwner::This).unwrap_err();
    assert_eq!(error.to_string(), "it is a Unix-domain socket without a path");
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(Passed::new(file.into(), PathOwner::This).is_err());
}

#[test]
fn several_have_a_socket_each_or_share_one() {
    let any = "127.0.0.1:0".parse().unwrap();
    let mut first = bind_for_several(for_sites(&any), 3, &mut Vec::new()).unwrap();
    let address = first[0].address().clone();
    assert!(first.len() == 3 && first.iter().all(|one| *one.address() == address));
    // For fewer of them, all sockets stay; for more, there are more.
    let share = |sockets: &[Passed]| sockets.iter().map(|one| one.try_clone().unwrap()).collect();
    let mut passed: Vec<Passed> = share(&first);
    assert_eq!(bind_for_several(for_sites(&any), 1, &mut passed).unwrap().len(), 3);
    assert!(passed.is_empty());
    assert_eq!(bind_for_several(for_sites(&address), 5, &mut share(&first)).unwrap().len(), 5);
    // One that was bound alone is shared.
    let alone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let alone = Passed::new(alone.into(), PathOwner::This).unwrap();
    first.push(alone);
    let address = first[3].address().clone();
    assert_eq!(bind_for_several(for_sites(&address), 2, &mut first).unwrap().len(), 1);
    assert_eq!(first.len(), 3, "the others stay");
    let (_scratch, path) = path();
    let address = Address::Unix(path.clone());
    let one = bind_for_several(for_sites(&address), 2, &mut Vec::new()).unwrap();
    assert_eq!(one.len(), 1);
    one[0].lend().unwrap().remove_path();
    assert!(path.exists(), "it was only lent");
    one[0].remove_path();
    assert!(!path.exists());
}

/// One loop after several: clients wait on each of the sockets.
#[test]
fn one_serves_on_all_sockets_that_there_are_at_its_address() {
    let any = "127.0.0.1:0".parse().unwrap();
    let mut sockets = bind_for_several(for_sites(&any), 4, &mut Vec::new()).unwrap();
    let mut server = server(&["127.0.0.1:0"], "one", &mut sockets);
    assert!(sockets.is_empty());
    let mut waiting: Vec<TcpStream> = (0..32).map(|_| connect(&server)).collect();
    for client in &mut waiting {
        assert!(ask(&mut server, client).ends_with("one"));
    }
}

#[test]
fn an_admin_socket_that_is_open_to_all_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin");
    let start = |mode| {
        let _ = std::fs::remove_file(&path);
        let socket = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let mut passed = vec![Passed::new(socket.into(), PathOwner::Other).unwrap()];
        let admin = Some(Address::Unix(path.clone()));
        let site = Router::new().build().unwrap();
        let options = Options { admin, ..Options::default() };
        Server::with_sockets(&options, site, &mut passed).map(drop)
    };
    let refused = start(0o666).unwrap_err().to_string();
    assert!(refused.contains("everybody on this machine may connect to it"), "{refused}");
    start(0o660).unwrap();
    // One of its own is tight from the beginning.
    std::fs::remove_file(&path).unwrap();
    drop(Address::Unix(path.clone()).bind_tight().unwrap());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o007, 0);
}
