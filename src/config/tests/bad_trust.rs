//! What is wrong with those who are to be believed, word for word.

#[test]
fn each_mistake_is_shown_with_its_place_and_what_was_meant() {
    super::check_all(MISTAKES);
}

/// A file, what is said of it, and so on.
const MISTAKES: &str = r#"[server]
listen = [{ addr = "[::1]:0", proxy-protocol = "::1/0" }]
----
a.toml:2:48: "::1/0" is not a network: it has bits set after the first 0. Is it ::/0 or ::1
  2 | listen = [{ addr = "[::1]:0", proxy-protocol = "::1/0" }]
    |                                                ^^^^^^^
====
[server]
listen = [{ addr = "127.0.0.1:80", proxy-protocol = [] }]
----
a.toml:2:53: this names nobody
  2 | listen = [{ addr = "127.0.0.1:80", proxy-protocol = [] }]
    |                                                     ^^
      leave it out, then nobody is believed
====
[server]
listen = [{ addr = "127.0.0.1:80", proxy-protocol = "unix" }]
----
a.toml:2:53: nobody comes to an IP address by a Unix-domain socket
  2 | listen = [{ addr = "127.0.0.1:80", proxy-protocol = "unix" }]
    |                                                     ^^^^^^
      write it like `10.0.0.0/8`
====
[server]
listen = [{ addr = "unix:/a", proxy-protocol = ["unix", "::1"] }]
----
a.toml:2:57: over a Unix-domain socket nobody has an address
  2 | listen = [{ addr = "unix:/a", proxy-protocol = ["unix", "::1"] }]
    |                                                         ^^^^^
      write it like `unix`
====
[server]
listen = [{ addr = "127.0.0.1:0", proxy-protocol = "::1" }, "127.0.0.1:0"]
----
a.toml:2:61: this address stands here for the second time
  2 | listen = [{ addr = "127.0.0.1:0", proxy-protocol = "::1" }, "127.0.0.1:0"]
    |                                                             ^^^^^^^^^^^^^
====
[server]
trusted-forwarders = "localhost"
----
a.toml:2:22: "localhost" is not a network: a name could mean anything; write "127.0.0.0/8" and "::1"
  2 | trusted-forwarders = "localhost"
    |                      ^^^^^^^^^^^
====
[server]
forwarded-field = "X-Real-IP"
----
a.toml:2:19: `X-Real-IP` is not a field that says whom a request is from
  2 | forwarded-field = "X-Real-IP"
    |                   ^^^^^^^^^^^ it can be X-Forwarded-For, Forwarded"#;
