//! Hostile paths and hostile directories, by way of the kernel and by our own walk.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, Mode, mkfifoat};

use super::super::files::Files;
use super::super::root::{Absence, Root};
use super::super::router::Router;
use super::super::{Site, Symlinks};
use super::{Scratch, ask_at, at, get};

/// A root with all that one might find in it, and secrets around it.
fn hostile() -> Scratch {
    let scratch = Scratch::new();
    std::fs::write(scratch.0.path().join("secret"), "secret").unwrap();
    std::fs::create_dir(scratch.0.path().join("www-beside")).unwrap();
    std::fs::write(scratch.0.path().join("www-beside/x"), "secret").unwrap();
    scratch.write("a/b/file", "file");
    scratch.write(".hidden", "hidden");
    scratch.write("a/.git/config", "hidden");
    scratch.write(".well-known/acme/token", "token");
    scratch.write(".well-known/.hidden", "hidden");
    scratch.write("..a", "hidden");
    scratch.write("closed/file", "file");
    let www = scratch.www();
    for (target, link) in [
        ("a/b/file", "link"),
        ("../b/file", "a/b/up"),
        ("a/b", "directory-link"),
        ("..", "a/parent"),
        ("../secret", "out"),
        ("a/../../secret", "out-around"),
        ("../www-beside/x", "out-beside"),
        ("../www/a/b/file", "out-and-in"),
        ("loop", "loop"),
        ("loop-b", "loop-a"),
        ("loop-a", "loop-b"),
        ("nowhere", "dangling"),
        ("/etc/passwd", "absolute"),
        ("/a/b/file", "absolute-as-if-root"),
        ("/proc/self/root", "magic"),
        ("/proc/self/cwd", "magic-cwd"),
        (".hidden", "to-hidden"),
        ("link/", "link-to-file-as-directory"),
    ] {
        symlink(target, www.join(link)).unwrap();
    }
    symlink(www.join("a/b/file"), www.join("absolute-in")).unwrap();
    for number in 0..60 {
        let target = if number == 0 { "a/b/file".into() } else { format!("chain{}", number - 1) };
        symlink(target, www.join(format!("chain{number}"))).unwrap();
    }
    mkfifoat(CWD, www.join("fifo"), Mode::from_raw_mode(0o644)).unwrap();
    // A socket's name outlives its listener.
    drop(UnixListener::bind(www.join("socket")).unwrap());
    symlink("/dev/null", www.join("device")).unwrap();
    scratch
}

/// The same files, found in both ways.
fn both_ways(scratch: &Scratch, symlinks: Symlinks) -> [Site; 2] {
    let site = |files: Files| Router::new().files("/*", files.symlinks(symlinks)).build().unwrap();
    [site(scratch.files()), site(scratch.files().walk_always())]
}

#[test]
fn no_path_leads_out_and_both_ways_agree() {
    let long = format!("/{}", "x".repeat(300));
    let deep = "/a".repeat(3000);
    let scratch = hostile();
    // What is answered under Deny, Inside and Follow.
    for (target, statuses) in [
        ("/a/b/file", [200, 200, 200]),
        ("/a/b/file/", [404, 404, 404]),
        ("/a/b/file/x", [404, 404, 404]),
        ("/a/b", [301, 301, 301]),
        ("/a/b/", [404, 404, 404]),
        ("/A/b/file", [404, 404, 404]),
        ("/../secret", [400, 400, 400]),
        ("/%2e%2e/secret", [400, 400, 400]),
        ("/a/..%2f..%2fsecret", [400, 400, 400]),
        ("/a/../../secret", [400, 400, 400]),
        ("/..%5csecret", [404, 404, 404]),
        ("/a%00b", [400, 400, 400]),
        ("/a%0d%0aX:%20y", [404, 404, 404]),
        ("/%ff%fe", [404, 404, 404]),
        ("/.hidden", [404, 404, 404]),
        ("/%2ehidden", [404, 404, 404]),
        ("/a/.git/config", [404, 404, 404]),
        ("/a/.git/", [404, 404, 404]),
        ("/..a", [404, 404, 404]),
        ("/...", [404, 404, 404]),
        ("/.well-known/acme/token", [200, 200, 200]),
        ("/.well-known/.hidden", [404, 404, 404]),
        ("/.well-known", [301, 301, 301]),
        ("/a/.well-known/x", [404, 404, 404]),
        ("/link", [404, 200, 200]),
        ("/a/b/up", [404, 200, 200]),
        ("/directory-link/file", [404, 200, 200]),
        ("/directory-link", [404, 301, 301]),
        ("/a/parent/link", [404, 200, 200]),
        ("/out", [404, 404, 200]),
        ("/out-around", [404, 404, 200]),
        ("/out-beside", [404, 404, 200]),
        ("/out-and-in", [404, 404, 200]),
        ("/absolute-in", [404, 404, 200]),
        ("/absolute-as-if-root", [404, 404, 404]),
        ("/loop", [404, 404, 404]),
        ("/loop-a", [404, 404, 404]),
        ("/loop/x", [404, 404, 404]),
        ("/dangling", [404, 404, 404]),
        ("/link-to-file-as-directory", [404, 404, 404]),
        ("/chain30", [404, 200, 200]),
        ("/chain59", [404, 404, 404]),
        ("/fifo", [403, 403, 403]),
        ("/fifo/", [404, 404, 404]),
        ("/socket", [403, 403, 403]),
        (long.as_str(), [404, 404, 404]),
        (deep.as_str(), [404, 404, 404]),
    ] {
        for (symlinks, status) in
            [Symlinks::Deny, Symlinks::Inside, Symlinks::Follow].into_iter().zip(statuses)
        {
            for (site, way) in both_ways(&scratch, symlinks).iter().zip(["kernel", "walk"]) {
                let got = get(site, target);
                assert_eq!(got.status, status, "{target:.60} {symlinks:?} by {way}");
                let leaked = got.text().contains("secret") || got.text().contains("hidden");
                assert!(!leaked || symlinks == Symlinks::Follow, "{target}");
            }
        }
    }
}

#[test]
fn devices_and_what_the_kernel_makes_up_are_not_served() {
    let scratch = hostile();
    for (symlinks, device) in [(Symlinks::Inside, 404), (Symlinks::Follow, 403)] {
        for site in both_ways(&scratch, symlinks) {
            assert_eq!(get(&site, "/device").status, device);
        }
    }
    for symlinks in [Symlinks::Deny, Symlinks::Inside] {
        for site in both_ways(&scratch, symlinks) {
            for target in ["/absolute", "/magic/etc/passwd", "/magic-cwd/", "/magic"] {
                assert_eq!(get(&site, target).status, 404, "{target}");
            }
        }
    }
    // Even where all links are followed, those that the kernel makes up are not.
    let [by_kernel, _] = both_ways(&scratch, Symlinks::Follow);
    assert_eq!(get(&by_kernel, "/magic/etc/passwd").status, 404);
}

#[test]
fn both_ways_tell_errors_apart_alike() {
    let scratch = hostile();
    let mut walking = Root::open_directory(&scratch.www()).unwrap();
    walking.walk_always();
    let kernel = Root::open_directory(&scratch.www()).unwrap();
    for path in [
        "",
        "a",
        "a/",
        "a/b/file",
        "a/b/file/",
        "a/b/file/.",
        "a//b/./file",
        "..",
        "a/..",
        "a/../..",
        "../www",
        "/",
        "/etc",
        "./a",
        "link/",
        "directory-link/",
        "loop/",
        "nowhere/",
        "fifo",
        "a/b/../../../secret",
        "a/b/../file",
        "directory-link/../b/file",
        "a\0b",
    ] {
        let [one, other] = [&kernel, &walking].map(|root| match root.open(path.as_bytes()) {
            Ok(opened) => format!("{:?} {}", opened.facts.kind, opened.facts.inode),
            Err(Absence::Failed(error)) => panic!("{path}: {error}"),
            Err(absence) => format!("{absence:?}"),
        });
        assert_eq!(one, other, "{path}");
    }
}

#[test]
fn dotfiles_are_served_where_that_is_wanted() {
    let scratch = hostile();
    let site = Router::new().files("/*", scratch.files().dotfiles(true)).build().unwrap();
    assert_eq!(get(&site, "/.hidden").content, b"hidden");
    assert_eq!(get(&site, "/a/.git/config").content, b"hidden");
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = hostile();
    let file = scratch.write("unreadable", "secret");
    let closed = scratch.www().join("closed");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o000)).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    // For root everything is readable; then there is nothing to see here but that it is found.
    let expected = if std::fs::read(&file).is_ok() { 200 } else { 403 };
    for site in both_ways(&scratch, Symlinks::Inside) {
        assert_eq!(get(&site, "/unreadable").status, expected);
        assert_eq!(get(&site, "/closed/file").status, expected);
    }
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn a_root_that_is_not_there_says_so() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "");
    for path in [scratch.0.path().join("nowhere"), file] {
        let error = Files::new(&path).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn files_leave_out_the_prefix_unless_they_are_looked_up_by_the_whole_path() {
    let scratch = Scratch::new();
    scratch.write("x.txt", "top");
    scratch.write("down/x.txt", "down");
    scratch.write("down/.x.txt", "hidden");
    scratch.write("down/index.html", "index");
    let files = |whole_path| scratch.files().whole_path(whole_path).listing(true);
    let site = |whole_path| Router::new().files("/down/*", files(whole_path)).build().unwrap();
    let (whole, mounted) = (site(true), site(false));
    assert_eq!(get(&mounted, "/down/x.txt").text(), "top");
    for (target, text) in [("/down/x.txt", "down"), ("/down/", "index")] {
        assert_eq!(get(&whole, target).text(), text);
        // From the cache, too.
        assert_eq!(ask_at(&whole, at(5000), &format!("GET {target}"), &[]).text(), text);
    }
    assert_eq!(get(&mounted, "/down/down/x.txt").text(), "down");
    assert_eq!(get(&whole, "/down/down/x.txt").status, 404);
    assert_eq!(get(&whole, "/down/.x.txt").status, 404);
}
