//! git over HTTP: clone, push and fetch through its own CGI program, with a repository of more than
//! 50 MiB that no compression makes smaller.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{World, random_bytes};
use crate::support::folder::Folder;
use crate::support::programs::is_there;

/// Files of a mebibyte each.
const FILES: u64 = 52;

/// A served repository, which is empty, and the place for work on it.
struct Hub {
    world: World,
}

impl Hub {
    /// None where git is not there.
    fn start() -> Option<Hub> {
        if !is_there("git") {
            return None;
        }
        let path = Command::new("git").arg("--exec-path").output().unwrap().stdout;
        let program = PathBuf::from(String::from_utf8(path).unwrap().trim());
        let program = program.join("git-http-backend");
        if !is_there(program.to_str().unwrap()) {
            return None;
        }
        let folder = Folder::new();
        fs::create_dir(folder.path().join("hub")).unwrap();
        let route = format!(
            r#"
[[site.route]]
path = "/git/*"
content = {{ bytes = "1GiB" }}
[site.route.cgi]
program = "{}"
environment = {{ GIT_PROJECT_ROOT = "@FOLDER/hub", GIT_HTTP_EXPORT_ALL = "1" }}
output = "1GiB"
"#,
            program.display()
        );
        let hub = Hub { world: World::within(folder, "", &route) };
        hub.git(".", &["init", "--quiet", "--bare", "hub/big.git"]);
        hub.git("hub/big.git", &["config", "http.receivepack", "true"]);
        Some(hub)
    }

    fn url(&self) -> String {
        format!("{}/git/big.git", self.world.daemon.url())
    }

    /// Runs git in a folder below the test's; what it has written, and what it has traced.
    fn git(&self, folder: &str, arguments: &[&str]) -> (String, String) {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
            .args(["-c", "init.defaultBranch=main", "-c", "gc.auto=0", "-c", "core.compression=0"])
            .args(arguments)
            .current_dir(self.world.path(folder))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_TRACE_CURL", "1")
            .env("GIT_TRACE_CURL_NO_DATA", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let last: Vec<&str> = said.lines().rev().take(40).collect();
        assert!(output.status.success(), "git {arguments:?}: {last:#?}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), said)
    }

    /// A working copy with more than 50 MiB of content, and many branches.
    fn fill(&self) {
        self.git(".", &["init", "--quiet", "work"]);
        for number in 0..FILES {
            let content = random_bytes(number, 1 << 20);
            self.world.folder.write(&format!("work/{number}.bin"), content);
        }
        self.git("work", &["add", "."]);
        self.git("work", &["commit", "--quiet", "-m", "all"]);
        for number in 0..60 {
            let message = number.to_string();
            self.git("work", &["commit", "--quiet", "--allow-empty", "-m", &message]);
            self.git("work", &["branch", &format!("branch-{number}")]);
        }
    }

    fn commits(&self, folder: &str) -> BTreeSet<String> {
        self.git(folder, &["rev-list", "--all"]).0.lines().map(str::to_owned).collect()
    }

    fn assert_sound(&self, folder: &str) {
        self.git(folder, &["fsck", "--full", "--strict"]);
    }
}

/// Whether curl has sent this field, as git's trace has it.
fn sent(trace: &str, field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    trace
        .lines()
        .any(|line| line.contains("=> Send header") && line.to_ascii_lowercase().contains(&field))
}

#[test]
fn git_pushes_clones_and_fetches_fifty_mebibytes() {
    let Some(hub) = Hub::start() else { return };
    hub.fill();
    let url = hub.url();
    let (_, trace) = hub.git("work", &["-c", "http.postBuffer=1048576", "push", "--all", &url]);
    assert!(sent(&trace, "Transfer-Encoding: chunked"), "the push was not chunked");
    assert_eq!(hub.commits("hub/big.git"), hub.commits("work"));
    hub.assert_sound("hub/big.git");

    let (_, trace) = hub.git(".", &["clone", "--quiet", &url, "copy"]);
    assert!(sent(&trace, "Content-Encoding: gzip"), "the clone's request was not gzip'd");
    assert_eq!(hub.commits("copy"), hub.commits("work"));
    hub.assert_sound("copy");
    for number in 0..FILES {
        let copy = fs::read(hub.world.path(&format!("copy/{number}.bin"))).unwrap();
        assert!(copy == random_bytes(number, 1 << 20), "{number}.bin is another file");
    }

    // One more commit, by a push that has a length, and a fetch that says what it has.
    hub.world.folder.write("copy/new.txt", "new");
    hub.git("copy", &["add", "."]);
    hub.git("copy", &["commit", "--quiet", "-m", "new"]);
    let (_, trace) = hub.git("copy", &["push", "--quiet", "origin", "HEAD"]);
    assert!(sent(&trace, "Content-Length: "), "the small push had no length");
    hub.git("work", &["pull", "--quiet", &url, "main"]);
    assert_eq!(fs::read_to_string(hub.world.path("work/new.txt")).unwrap(), "new");
    assert_eq!(hub.commits("hub/big.git"), hub.commits("work"));
    hub.assert_sound("work");
    hub.world.assert_well();
}
