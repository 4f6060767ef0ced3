//! Raw bytes in, raw bytes out: what a client on a real socket sees, whatever it sends.

mod cold;
mod content;
mod files;
mod fresh;
mod methods;
mod order;
mod refusals;
mod slow;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use oneloop::http::status::Status;
use oneloop::server::{Address, Limits, Options};
use oneloop::site::body::Produced;
use oneloop::site::files::Files;
use oneloop::site::handler::{Request, Response};
use oneloop::site::router::Router;
use oneloop::site::rule::Settings;

use crate::support::client::Client;
use crate::support::folder::Folder;
use crate::support::running::{DEADLINE, Running};

/// The most bytes of content that `/small` takes.
const SMALL: u64 = 1000;

/// A server, the folder it serves, and a gate at which it can be made to stand still.
struct World {
    server: Running,
    folder: Folder,
    arrived: Receiver<()>,
    open: Sender<()>,
}

impl World {
    /// With a file, an index, a listing and one handler of every kind.
    fn start() -> World {
        World::with(Limits::default())
    }

    fn with(limits: Limits) -> World {
        let folder = Folder::new();
        folder.write("index.html", "<p>the index</p>\n");
        folder.write("file.txt", "0123456789");
        folder.write("folder/b.txt", "b");
        let root = folder.path().to_owned();
        let listen = vec![
            Address::Tcp(([127, 0, 0, 1], 0).into()),
            Address::Unix(folder.path().join("socket")),
        ];
        let options = Options { listen, limits, ..Options::default() };
        let (arrive, arrived) = channel();
        let (open, opened) = channel();
        let gate = move |_: &Request<'_>| {
            arrive.send(()).unwrap();
            opened.recv_timeout(DEADLINE).unwrap();
            Response::text("open\n")
        };
        let server =
            Running::with(options, move || site(&root).get("/gate", gate).build().unwrap());
        World { server, folder, arrived, open }
    }

    /// Does something while the server's thread stands still, so that it finds all of it done.
    fn while_it_stands<T>(&self, act: impl FnOnce() -> T) -> T {
        let mut keeper = self.connect();
        keeper.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
        self.arrived.recv_timeout(DEADLINE).unwrap();
        let outcome = act();
        self.open.send(()).unwrap();
        assert_eq!(keeper.response(false).text(), "open\n");
        outcome
    }

    fn connect(&self) -> Client {
        self.server.connect()
    }

    /// That nothing of what went before has harmed the server.
    fn still_serves(&self) {
        assert_eq!(self.connect().get("/file.txt").text(), "0123456789");
    }

    /// A file that is larger than what sockets hold for a client that does not read.
    fn big_file(&self) -> (PathBuf, Vec<u8>) {
        let mut random = fastrand::Rng::with_seed(1);
        let content: Vec<u8> = std::iter::repeat_with(|| random.u64(..).to_le_bytes())
            .take(3 << 20)
            .flatten()
            .collect();
        (self.folder.write("big.bin", &content), content)
    }
}

fn site(root: &Path) -> Router {
    let asked = Cell::new(0);
    Router::new()
        .get("/count", move |_: &Request<'_>| {
            asked.set(asked.get() + 1);
            Response::text(asked.get().to_string())
        })
        .files("/*", Files::new(root).unwrap().listing(true))
        .redirect("/old", "/file.txt")
        .get("/hello", |_: &Request<'_>| Response::text("hello\n"))
        .any("/echo", echo)
        .any("/small", echo)
        .settings("/small", Settings { content_limit: Some(SMALL), ..Settings::default() })
        .get("/produced", |_: &Request<'_>| {
            let mut lines = 0;
            Response::produced("text/plain", move |out: &mut Vec<u8>| {
                lines += 1;
                out.extend_from_slice(format!("line {lines}\n").as_bytes());
                Ok(if lines < 3 { Produced::More } else { Produced::End })
            })
        })
        .get("/later", |_: &Request<'_>| {
            let (promise, response) = Response::later();
            std::thread::spawn(move || promise.fulfil(|| Response::text("as promised\n")));
            response
        })
        .get("/nothing", |_: &Request<'_>| Response::new(Status::NO_CONTENT))
}

/// Method, query and content of the request, for a client that wants to know what arrived.
fn echo(request: &Request<'_>) -> Response {
    let query = request.query().unwrap_or("-");
    let mut content = format!("{} {query} ", request.method().as_str()).into_bytes();
    content.extend_from_slice(request.content());
    Response::bytes("application/octet-stream", content)
}

/// How many times `part` stands in `whole`.
fn count(whole: &[u8], part: &str) -> usize {
    whole.windows(part.len()).filter(|window| *window == part.as_bytes()).count()
}
