//! A large file, in one piece and in many: what each downloader makes of it is what was served.

use std::fs;
use std::path::PathBuf;

use super::{Served, run, succeed};
use crate::support::folder::Folder;
use crate::support::programs::is_there;

/// About 50 MiB, and no round number.
const LENGTH: usize = (50 << 20) + 12_345;

/// A folder with one large file of random bytes, served.
struct Store {
    served: Served,
    folder: Folder,
    content: Vec<u8>,
}

impl Store {
    fn open() -> Self {
        let mut content = vec![0; LENGTH];
        fastrand::Rng::with_seed(50).fill(&mut content);
        let folder = Folder::new();
        folder.write("www/large.bin", &content);
        let root = folder.path().join("www");
        let site = format!("[[site]]\nroot = '{}'\n", root.display());
        Store { served: Served::start(&site), folder, content }
    }

    fn url(&self) -> String {
        self.served.url("/large.bin")
    }

    /// Where a download is to go.
    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    /// Ends the daemon; returns how each request was answered.
    fn statuses(self) -> Vec<u64> {
        self.served.end().iter().map(|entry| entry.status).collect()
    }

    fn assert_copied(&self) {
        let copy = fs::read(self.copy()).unwrap();
        assert_eq!(copy.len(), LENGTH);
        assert!(copy == self.content, "the copy is another file");
    }
}

#[test]
fn a_segmented_downloader_puts_it_together() {
    if !is_there("aria2c") {
        return;
    }
    let store = Store::open();
    let many = ["-x8", "-s8", "--min-split-size=1M", "--piece-length=1M"];
    let plain = ["--no-conf", "--quiet", "--file-allocation=none", "--out=copy"];
    let url = store.url();
    succeed(
        &store.folder,
        "aria2c",
        &[&many[..], &plain, &["--stream-piece-selector=geom", &url]].concat(),
    );
    store.assert_copied();
    let log = store.served.end();
    let parts = log.iter().filter(|entry| entry.status == 206).count();
    assert!(parts >= 7 && log.iter().all(|entry| matches!(entry.status, 200 | 206)), "{log:?}");
}

#[test]
fn curl_goes_on_where_it_was_cut() {
    if !is_there("curl") {
        return;
    }
    let store = Store::open();
    let url = store.url();
    // The first attempt ends when nobody takes its output any more: a reset, for the server.
    let cut = format!("curl -sS {url} 2>curl.log | head -c 20000001 >copy");
    succeed(&store.folder, "sh", &["-c", &cut]);
    assert_eq!(fs::metadata(store.copy()).unwrap().len(), 20_000_001);
    succeed(&store.folder, "curl", &["-sS", "-f", "-C", "-", "-o", "copy", &url]);
    store.assert_copied();
    // There is nothing left to get.
    succeed(&store.folder, "curl", &["-sS", "-C", "-", "-o", "copy", &url]);
    store.assert_copied();
    assert_eq!(store.statuses(), [200, 206, 416]);
}

#[test]
fn curl_gets_the_ranges_it_asks_for() {
    if !is_there("curl") {
        return;
    }
    let store = Store::open();
    let url = store.url();
    let last = LENGTH - 1;
    for (range, expected) in [
        ("0-0".to_owned(), &store.content[..1]),
        ("0-99999".to_owned(), &store.content[..100_000]),
        (format!("{last}-"), &store.content[last..]),
        ("-70000".to_owned(), &store.content[LENGTH - 70_000..]),
        (format!("52000000-{LENGTH}"), &store.content[52_000_000..]),
    ] {
        let got = run(&store.folder, "curl", &["-sS", "-f", "-r", &range, &url]);
        assert!(got.stdout == expected, "{range}");
    }
    let parts = run(&store.folder, "curl", &["-sS", "-f", "-r", "5-9,40000000-40199999", &url]);
    let holds = |part: &[u8]| parts.stdout.windows(part.len()).any(|window| window == part);
    assert!(holds(&store.content[5..10]) && holds(&store.content[40_000_000..40_000_100]));
    assert!((200_005..201_000).contains(&parts.stdout.len()));
    // A part of another version is no use.
    let stale = ["-sS", "-f", "-H", "If-Range: \"another\"", "-r", "5-9", &url];
    let whole = run(&store.folder, "curl", &stale);
    assert!(whole.stdout == store.content);
}

#[test]
fn wget_goes_on_where_it_was_cut() {
    if !is_there("wget") {
        return;
    }
    let store = Store::open();
    fs::write(store.copy(), &store.content[..31_000_001]).unwrap();
    let url = store.url();
    let again = ["--no-config", "--no-verbose", "--continue", "--output-document=copy", &url];
    succeed(&store.folder, "wget", &again);
    store.assert_copied();
    assert_eq!(store.statuses(), [206]);
}

/// One connection for all: whole, in parts, by HEAD, unchanged, refused, with content sent along.
const PYTHON: &str = r#"
import http.client, sys, urllib.error, urllib.request

host = sys.argv[1]
content = open("www/large.bin", "rb").read()
with urllib.request.urlopen(f"http://{host}/large.bin") as answer:
    assert answer.read() == content
    tag, modified = answer.headers["ETag"], answer.headers["Last-Modified"]
for fields, status in [({"If-None-Match": tag}, 304), ({"If-Modified-Since": modified}, 304),
                       ({"If-Match": '"another"'}, 412), ({"Range": "bytes=99999999-"}, 416)]:
    try:
        urllib.request.urlopen(urllib.request.Request(f"http://{host}/large.bin", headers=fields))
        assert False, fields
    except urllib.error.HTTPError as error:
        assert error.code == status, (fields, error.code)
client = http.client.HTTPConnection(host)
client.connect()
socket = client.sock
def ask(method, target, body=None, fields={}):
    client.request(method, target, body, fields)
    answer = client.getresponse()
    return answer.status, answer.read()
for start in range(0, len(content), 7_654_321):
    asked = {"Range": f"bytes={start}-{start + 7_654_320}"}
    assert ask("GET", "/large.bin", fields=asked) == (206, content[start:start + 7_654_321])
assert ask("HEAD", "/large.bin") == (200, b"")
assert ask("POST", "/large.bin", b"x" * 1000)[0] == 405
assert ask("GET", "/none")[0] == 404
assert client.sock is socket, "the connection did not persist"
assert ask("PUT", "/large.bin", iter([b"piece", b"by piece"]))[0] == 405
print("done")
"#;

#[test]
fn python_gets_it_whole_and_in_parts() {
    if is_there("python3") {
        let store = Store::open();
        let host = store.served.daemon.address.to_string();
        let said = succeed(&store.folder, "python3", &["-I", "-c", PYTHON, &host]);
        assert_eq!(said, "done\n");
    }
}

/// Two hundred files at once, found by the listing.
const NODE: &str = r#"
const base = process.argv[1];
const json = { headers: { Accept: "application/json" } };
(async () => {
  const entries = await (await fetch(base, json)).json();
  const names = await Promise.all(entries.map(async ({ name, size }) => {
    const answer = await fetch(base + encodeURIComponent(name));
    const text = await answer.text();
    if (answer.status !== 200 || text !== `I am ${name}` || text.length !== size) {
      throw new Error(`${name}: ${answer.status} ${text}`);
    }
    return name;
  }));
  console.log(names.length, new Set(names).size);
})();
"#;

#[test]
fn node_gets_all_that_is_listed_at_once() {
    if !is_there("node") {
        return;
    }
    let folder = Folder::new();
    for number in 0..200 {
        let name = format!("{number} % of it?#.txt");
        folder.write(&format!("www/{name}"), format!("I am {name}"));
    }
    let root = folder.path().join("www");
    let files = format!("{{ root = '{}', listing = true }}", root.display());
    let site = format!("[[site]]\n[[site.route]]\nfiles = {files}\n");
    let served = Served::start(&site);
    assert_eq!(succeed(&folder, "node", &["-e", NODE, &served.url("/")]), "200 200\n");
}
