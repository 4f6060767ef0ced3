//! A browser without a window, told what to do by its DevTools protocol over two pipes
//! (`--remote-debugging-pipe`): messages of JSON, each ended by a zero byte.
//! <https://chromedevtools.github.io/devtools-protocol/>

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::folder::Folder;

/// How long a browser may take for anything: on a busy machine it begins slowly.
const PATIENCE: Duration = Duration::from_mins(1);

/// Without a window, and without a word to anybody but the page's server.
pub(crate) const ALONE: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// How it is told what to do, and what it begins with.
const FLAGS: [&str; 3] = ["--hide-scrollbars", "--remote-debugging-pipe", "about:blank"];

/// A browser with one page. It is ended when this is dropped.
pub(crate) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    number: u64,
    /// What the page has complained of.
    pub(crate) complaints: Vec<String>,
    _profile: Folder,
}

/// How the page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) is_dark: bool,
    pub(crate) is_calm: bool,
}

impl Browser {
    /// Starts one; there is a `chromium`.
    pub(crate) fn start() -> Browser {
        let profile = Folder::new();
        let folder = format!("--user-data-dir={}", profile.path().join("profile").display());
        // It reads what it is to do from descriptor 3, and answers on 4.
        let script = "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";
        let mut process = Command::new("sh")
            .args(["-c", script, "sh", &folder])
            .args(ALONE)
            .args(FLAGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop();
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Browser {
            process,
            commands,
            messages,
            session: String::new(),
            number: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let page = until("the browser has a page", || {
            let targets = self.call("Target.getTargets", json!({}));
            targets["targetInfos"].as_array()?.iter().find(|one| one["type"] == "page").cloned()
        });
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", target);
        attached["sessionId"].as_str().unwrap().clone_into(&mut self.session);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.call(domain, json!({}));
        }
    }

    /// Has the browser do this, and returns what it answers.
    pub(crate) fn call(&mut self, method: &str, parameters: impl Into<Value>) -> Value {
        self.number += 1;
        let mut message =
            json!({ "id": self.number, "method": method, "params": parameters.into() });
        if !self.session.is_empty() && !method.starts_with("Target.") {
            message["sessionId"] = self.session.clone().into();
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut answer = self.messages.recv_timeout(left).expect("the browser answers");
            if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            let name = answer["method"].as_str().unwrap_or_default();
            if ["Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"]
                .contains(&name)
            {
                self.complaints.push(answer["params"].to_string());
            }
        }
    }

    /// Goes to a page, and waits until all of it is there.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression says, of a promise what it brings.
    pub(crate) fn ask(&mut self, expression: &str) -> Value {
        let mut said = self.call(
            "Runtime.evaluate",
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true }),
        );
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].take()
    }

    /// The text of an element as it is shown.
    pub(crate) fn text(&mut self, id: &str) -> String {
        self.ask(&format!("document.getElementById('{id}').innerText")).as_str().unwrap().to_owned()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait(&mut self, expression: &str) {
        let asked = format!("Boolean({expression})");
        until(expression, || (self.ask(&asked) == true).then_some(()));
    }

    /// Waits until an element's text has `part` in it, and returns the text.
    pub(crate) fn wait_for(&mut self, id: &str, part: &str) -> String {
        until(&format!("{part:?} is in {id}"), || {
            Some(self.text(id)).filter(|text| text.contains(part))
        })
    }

    /// Presses a key and lets it go.
    pub(crate) fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            key if key.len() == 1 => key,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            " " => 32,
            "Tab" => 9,
            "End" => 35,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.call(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code }),
            );
        }
    }

    /// Looks at the page so from now on.
    pub(crate) fn look(&mut self, View { width, is_dark, is_calm }: View) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 }),
        );
        let scheme = if is_dark { "dark" } else { "light" };
        let motion = if is_calm { "reduce" } else { "no-preference" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme },
                                 { "name": "prefers-reduced-motion", "value": motion }] }),
        );
    }

    /// Takes a picture of the whole page, to be looked at: `target/inspector/NAME.png`.
    pub(crate) fn picture(&mut self, name: &str) {
        use base64::Engine as _;
        let size = self.ask("[innerWidth, Math.ceil(document.documentElement.scrollHeight)]");
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let shot = json!({ "captureBeyondViewport": true, "clip": clip });
        let data = self.call("Page.captureScreenshot", shot)["data"].take();
        let engine = base64::engine::general_purpose::STANDARD;
        let picture = engine.decode(data.as_str().unwrap()).unwrap();
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/inspector");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

/// Asks again and again until there is something.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when nobody is there to tell it anything.
        let _ = self.commands.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
