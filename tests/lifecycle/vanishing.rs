//! Files that change, shrink or vanish while they are sent.

use std::fs::{self, File};

use super::{World, begin_download, big};
use crate::support::client::Client;

/// What is left of a download after its status, and how much it was to be.
fn finish_download(client: &mut Client) -> (Vec<u8>, usize) {
    let rest = client.read_to_end();
    let end = rest.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&rest[..end]).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    (rest[end + 4..].to_vec(), length.parse().unwrap())
}

#[test]
fn a_file_that_shrinks_ends_the_downloads_that_notice_and_nothing_else() {
    let world = World::start("");
    let content = big();
    let (mut one, mut other, mut beside) = (world.connect(), world.connect(), world.connect());
    begin_download(&mut one);
    begin_download(&mut other);
    assert_eq!(beside.get("/file.txt").status, 200);
    File::options().write(true).open(world.path("www/big.bin")).unwrap().set_len(0).unwrap();
    for client in [&mut one, &mut other] {
        let (got, promised) = finish_download(client);
        assert_eq!(promised, content.len());
        assert!(got.len() < promised, "what is no longer there was sent");
        assert!(got == content[..got.len()], "what was sent was never there");
    }
    assert_eq!(beside.get("/file.txt").text(), "0123456789");
    world.daemon.says("/www/big.bin\" became shorter");
}

#[test]
fn a_file_that_is_removed_or_replaced_is_sent_to_its_end() {
    let world = World::start("");
    let content = big();
    let (mut removed, mut replaced) = (world.connect(), world.connect());
    begin_download(&mut replaced);
    world.folder.write("www/new.bin", "new");
    fs::rename(world.path("www/new.bin"), world.path("www/big.bin")).unwrap();
    world.folder.write("www/big2.bin", &content);
    removed.send("GET /big2.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(removed.exactly(15), b"HTTP/1.1 200 OK");
    fs::remove_file(world.path("www/big2.bin")).unwrap();
    for mut client in [removed, replaced] {
        client.finish();
        let (got, promised) = finish_download(&mut client);
        assert_eq!(got.len(), promised);
        assert!(got == content, "not the file that it was");
    }
}

#[test]
fn a_root_that_is_moved_or_emptied_stays_the_root() {
    let world = World::start("");
    let mut client = world.connect();
    assert_eq!(client.get("/file.txt").status, 200);
    fs::rename(world.path("www"), world.path("elsewhere")).unwrap();
    assert_eq!(client.get("/big.bin").content.len(), big().len());
    fs::remove_dir_all(world.path("elsewhere")).unwrap();
    crate::support::running::wait_until("the files are gone", || {
        client.get("/file.txt").status == 404
    });
}
