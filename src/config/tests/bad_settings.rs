//! What is wrong with bad `[server]`, `[log]`, `[media-types]` and `[[site]]`, word for
//! word.

#[test]
fn each_mistake_is_shown_with_its_place_and_what_was_meant() {
    super::check_all(MISTAKES);
}

/// A file, what is said of it, and so on.
const MISTAKES: &str = r#"lisen = 1
----
a.toml:1:1: unknown key `lisen`
  1 | lisen = 1
    | ^^^^^ known here: server, limits, log, media-types, site
====
[limit]
----
a.toml:1:2: unknown key `limit`
  1 | [limit]
    |  ^^^^^ did you mean `limits`?
====
[server]
listen = 5
----
a.toml:2:10: expected a string or a list, found `5`
  2 | listen = 5
    |          ^ a string stands in quotes
====
[server]
listen = ["127.0.0.1:80", { adr = "x" }]
----
a.toml:2:29: unknown key `adr`
  2 | listen = ["127.0.0.1:80", { adr = "x" }]
    |                             ^^^ did you mean `addr`?
====
[server]
listen = [{}]
----
a.toml:2:11: `addr` is missing here
  2 | listen = [{}]
    |           ^^
====
[server]
listen = [{ addr = "127.0.0.1:80", proxy = ["10.0.0.0/8"] }]
----
a.toml:2:36: unknown key `proxy`
  2 | listen = [{ addr = "127.0.0.1:80", proxy = ["10.0.0.0/8"] }]
    |                                    ^^^^^ did you mean `proxy-protocol`?
====
[server]
listen = "localhost:80"
----
a.toml:2:10: `localhost:80` is not an address to listen on
  2 | listen = "localhost:80"
    |          ^^^^^^^^^^^^^^ did you mean `127.0.0.1:80`?
====
[server]
listen = ["127.0.0.1:80", "127.0.0.1:80"]
----
a.toml:2:27: this address stands here for the second time
  2 | listen = ["127.0.0.1:80", "127.0.0.1:80"]
    |                           ^^^^^^^^^^^^^^
====
[server]
admin = "0.0.0.0:9090"
----
a.toml:2:9: `0.0.0.0:9090` can be reached from other machines
  2 | admin = "0.0.0.0:9090"
    |         ^^^^^^^^^^^^^^
      what it shows is for this one: 127.0.0.1:9090, [::1]:9090 or unix:/path
====
[server]
listen = "127.0.0.1:80"
admin = "127.0.0.1:80"
----
a.toml:3:9: the sites listen here already
  3 | admin = "127.0.0.1:80"
    |         ^^^^^^^^^^^^^^
====
[server]
admin = "localhost:9090"
----
a.toml:2:9: `localhost:9090` is not an address to listen on
  2 | admin = "localhost:9090"
    |         ^^^^^^^^^^^^^^^^ did you mean `127.0.0.1:9090`?
====
[server]
tls = "www-data"
----
a.toml:2:1: unknown key `tls`
  2 | tls = "www-data"
    | ^^^
      known here: listen, pid-file, workers, admin, trusted-forwarders,
      forwarded-field, user, group, sandbox, reach
====
[server]
workers = 1025
----
a.toml:2:11: there can be at most 1024 workers
  2 | workers = 1025
    |           ^^^^
====
[server]
pid-file = "/run/"
----
a.toml:2:12: the name of the file is missing
  2 | pid-file = "/run/"
    |            ^^^^^^^
====
[server]
pid-file = "/nowhere/oneloop.pid"
----
a.toml:2:12: there is no directory /nowhere
  2 | pid-file = "/nowhere/oneloop.pid"
    |            ^^^^^^^^^^^^^^^^^^^^^^
====
[server]
pid-file = "/tmp"
----
a.toml:2:12: this is a directory
  2 | pid-file = "/tmp"
    |            ^^^^^^
====
[log]
access = "stdout"
----
a.toml:2:10: expected a table like { to = "stdout", format = "combined" }, found "stdout"
  2 | access = "stdout"
    |          ^^^^^^^^
====
[log]
access = { to = "sylog" }
----
a.toml:2:17: `sylog` is not a place for the access log
  2 | access = { to = "sylog" }
    |                 ^^^^^^^ did you mean `syslog`?
====
[log]
access = { to = "/no/such/log" }
----
a.toml:2:17: there is no directory /no/such
  2 | access = { to = "/no/such/log" }
    |                 ^^^^^^^^^^^^^^
====
[log]
access = { to = "/dev/" }
----
a.toml:2:17: `/dev/` is not a place for the access log
  2 | access = { to = "/dev/" }
    |                 ^^^^^^^
      it can be stdout, stderr, none, syslog, /path/of/a/file
====
[log]
access = { form = "json" }
----
a.toml:2:12: unknown key `form`
  2 | access = { form = "json" }
    |            ^^^^ did you mean `format`?
====
[log]
access = { format = "jsn" }
----
a.toml:2:21: `jsn` is not a form of the access log
  2 | access = { format = "jsn" }
    |                     ^^^^^ did you mean `json`?
====
[log]
error = { level = "warning" }
----
a.toml:2:19: `warning` is not a level
  2 | error = { level = "warning" }
    |                   ^^^^^^^^^ did you mean `warn`?
====
[log]
error = { to = "/no/such/error.log" }
----
a.toml:2:16: there is no directory /no/such
  2 | error = { to = "/no/such/error.log" }
    |                ^^^^^^^^^^^^^^^^^^^^
====
[log]
error = { to = "syslog:" }
----
a.toml:2:16: `syslog:` is not a place for the error log
  2 | error = { to = "syslog:" }
    |                ^^^^^^^^^ did you mean `syslog`?
====
[log]
error = { format = "xml" }
----
a.toml:2:20: `xml` is not a form of the error log
  2 | error = { format = "xml" }
    |                    ^^^^^ it can be text, json
====
[log]
queue = "0B"
----
a.toml:2:9: with a limit of 0 nothing could be served
  2 | queue = "0B"
    |         ^^^^
====
[media-types]
"a/b" = "text/plain"
----
a.toml:2:1: "a/b" is not an extension of file names; one looks like "html"
  2 | "a/b" = "text/plain"
    | ^^^^^
====
[media-types]
wasm = "wasm"
----
a.toml:2:8: "wasm" is not a media type; one looks like "text/plain"
  2 | wasm = "wasm"
    |        ^^^^^^
====
[media-types]
wasm = "application/wasm"
".WASM" = "application/wasm"
----
a.toml:3:1: this ending stands here for the second time
  3 | ".WASM" = "application/wasm"
    | ^^^^^^^
====
# Nothing yet.
----
a.toml:1:1: there is no site, so there is nothing to serve
  1 | # Nothing yet.
    | ^ add [[site]] and root = "/srv/www"
====
[site]
root = "/"
----
a.toml:1:1: this section can come several times
  1 | [site]
    | ^^^^^^ write its name in double brackets
====
[[site]]
root = "/no/such"
----
a.toml:2:8: there is no directory /no/such
  2 | root = "/no/such"
    |        ^^^^^^^^^^
====
[[site]]
root = "/dev/null"
----
a.toml:2:8: /dev/null is not a directory
  2 | root = "/dev/null"
    |        ^^^^^^^^^^^ did you mean /dev?
====
[[site]]
root = 5
----
a.toml:2:8: expected a string, found `5`
  2 | root = 5
    |        ^ a string stands in quotes
====
[[site]]
root = ""
----
a.toml:2:8: the directory's name is missing
  2 | root = ""
    |        ^^
====
[[site]]
host = "a.example"
[[site]]
host = ["b.example", "A.example."]
----
a.toml:4:22: `a.example` has a site already
  4 | host = ["b.example", "A.example."]
    |                      ^^^^^^^^^^^^ see line 2
====
[[site]]
root = "/"
[[site]]
root = "/"
----
a.toml:3:1: a second site without `host` can never answer
  3 | [[site]]
    | ^^^^^^^^ see line 1
====
[[site]]
host = "http://a.example/"
----
a.toml:2:8: `http://a.example/` is more than a host
  2 | host = "http://a.example/"
    |        ^^^^^^^^^^^^^^^^^^^ write only the name, like `example.com`
====
[[site]]
host = "a.example:80"
----
a.toml:2:8: `a.example:80` names a port
  2 | host = "a.example:80"
    |        ^^^^^^^^^^^^^^ a site answers on all ports: write `a.example`
====
[[site]]
host = "a.*.example"
----
a.toml:2:8: `a.*.example` has a star in the wrong place
  2 | host = "a.*.example"
    |        ^^^^^^^^^^^^^ write it like `*.example.com`
====
[[site]]
host = "::1"
----
a.toml:2:8: `::1` is an IPv6 address
  2 | host = "::1"
    |        ^^^^^ it stands in brackets, as in a URL
====
[[site]]
host = "bücher.example"
----
a.toml:2:8: `bücher.example` is not ASCII
  2 | host = "bücher.example"
    |        ^^^^^^^^^^^^^^^^ write the form that clients send, `xn--…`
====
[[site]]
host = "a b"
----
a.toml:2:8: `a b` is not a host's name
  2 | host = "a b"
    |        ^^^^^
====
[[site]]
index = "a/b"
----
a.toml:2:9: `a/b` is not the name of a file
  2 | index = "a/b"
    |         ^^^^^
====
[[site]]
errors = { 200 = "/x" }
----
a.toml:2:12: `200` is not the status of an error
  2 | errors = { 200 = "/x" }
    |            ^^^ write 400 to 599 for one, 4xx or 5xx for all of a kind
====
[[site]]
errors = { 404 = "404.html" }
----
a.toml:2:18: `404.html` is not a path of this site
  2 | errors = { 404 = "404.html" }
    |                  ^^^^^^^^^^ did you mean `/404.html`?
====
[[site]]
precompressed = ["gz", "gz"]
----
a.toml:2:24: this coding stands here for the second time
  2 | precompressed = ["gz", "gz"]
    |                        ^^^^
====
[[site]]
precompressed = "gzip"
----
a.toml:2:17: `gzip` is not the ending of a compressed file
  2 | precompressed = "gzip"
    |                 ^^^^^^ did you mean `gz`?
====
[[site]]
listing = true
----
a.toml:2:1: unknown key `listing`
  2 | listing = true
    | ^^^^^^^ it stands in a route: files = { listing = true }
====
[[site]]
tls = { cert = "a" }
----
a.toml:2:1: unknown key `tls`
  2 | tls = { cert = "a" }
    | ^^^ known here: host, root, index, errors, precompressed, route
====
"#;
