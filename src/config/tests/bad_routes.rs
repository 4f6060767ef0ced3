//! What is wrong with bad `[[site.route]]`, and with what is no TOML, word for word.

#[test]
fn each_mistake_is_shown_with_its_place_and_what_was_meant() {
    super::check_all(MISTAKES);
}

/// A file, what is said of it, and so on.
const MISTAKES: &str = r#"[[site]]
[site.route]
path = "/a"
----
a.toml:2:1: this section can come several times
  2 | [site.route]
    | ^^^^^^^^^^^^ write its name in double brackets
====
[[site]]
[[site.route]]
path = "/a"
----
a.toml:2:1: this route says nothing
  2 | [[site.route]]
    | ^^^^^^^^^^^^^^
      add files, redirect, respond, cgi, fastcgi, scgi, proxy, allow, auth,
      fields, errors, content or fallback
====
[[site]]
[[site.route]]
path = "a"
fallback = "/x"
----
a.toml:3:8: "a" is not a pattern of paths: it must begin with / or *
  3 | path = "a"
    |        ^^^
      a pattern is written like `/exact`, `/below/*`, `/user/{id}` or `*.php`
====
[[site]]
[[site.route]]
path = "/a/*/b"
fallback = "/x"
----
a.toml:3:8: "/a/*/b" is not a pattern of paths: behind the * only the end of a file name may stand
  3 | path = "/a/*/b"
    |        ^^^^^^^^
      a pattern is written like `/exact`, `/below/*`, `/user/{id}` or `*.php`
====
[[site]]
[[site.route]]
path = "/{a}"
fallback = "/x"

[[site.route]]
path = "/{b}"
fallback = "/x"
----
a.toml:7:8: the paths of `/{b}` have a route already
  7 | path = "/{b}"
    |        ^^^^^^ see line 2: one route can say it all
====
[[site]]
[[site.route]]
fallback = "/x"
[[site.route]]
fields = { A = "b" }
----
a.toml:4:1: the paths of `/*` have a route already
  4 | [[site.route]]
    | ^^^^^^^^^^^^^^ see line 2: one route can say it all
====
[[site]]
[[site.route]]
files = { listing = true }
----
a.toml:3:9: neither the route nor its site has a root
  3 | files = { listing = true }
    |         ^^^^^^^^^^^^^^^^^^ add root = "/srv/files"
====
[[site]]
[[site.route]]
files = { root = "/", listing = "yes" }
----
a.toml:3:33: expected true or false, found "yes"
  3 | files = { root = "/", listing = "yes" }
    |                                 ^^^^^
====
[[site]]
[[site.route]]
files = { root = "/", symlinks = "follows" }
----
a.toml:3:34: `follows` is not a rule for links
  3 | files = { root = "/", symlinks = "follows" }
    |                                  ^^^^^^^^^ did you mean `follow`?
====
[[site]]
[[site.route]]
files = { root = "/", dot-files = true }
----
a.toml:3:23: unknown key `dot-files`
  3 | files = { root = "/", dot-files = true }
    |                       ^^^^^^^^^ did you mean `dotfiles`?
====
[[site]]
[[site.route]]
redirect = { status = 301 }
----
a.toml:3:12: `to` is missing here
  3 | redirect = { status = 301 }
    |            ^^^^^^^^^^^^^^^^
====
[[site]]
[[site.route]]
redirect = { to = "/x", status = 200 }
----
a.toml:3:34: 200 is not a status that can stand here
  3 | redirect = { to = "/x", status = 200 }
    |                                  ^^^ it can be 301, 302, 303, 307, 308
====
[[site]]
[[site.route]]
redirect = { to = "x" }
----
a.toml:3:19: a redirect leads to a path ("/…") or to an http or https URI, not to "x"
  3 | redirect = { to = "x" }
    |                   ^^^
====
[[site]]
[[site.route]]
path = "/old/{page}"
redirect = { to = "/new/{pag}" }
----
a.toml:4:19: the pattern "/old/{page}" has no {pag}
  4 | redirect = { to = "/new/{pag}" }
    |                   ^^^^^^^^^^^^
====
[[site]]
[[site.route]]
redirect = { to = "/x" }
respond = { status = 200 }
----
a.toml:4:11: a route answers in one way: not by `redirect` and by `respond`
  4 | respond = { status = 200 }
    |           ^^^^^^^^^^^^^^^^
====
[[site]]
[[site.route]]
respond = { status = 99 }
----
a.toml:3:22: 99 is not a status that can stand here
  3 | respond = { status = 99 }
    |                      ^^ it can be 200 to 599
====
[[site]]
[[site.route]]
respond = { status = 204, content = "x" }
----
a.toml:3:37: an answer of 204 No Content has no content
  3 | respond = { status = 204, content = "x" }
    |                                     ^^^
====
[[site]]
[[site.route]]
respond = { fields = { Transfer-Encoding = "x" } }
----
a.toml:3:24: Transfer-Encoding is written by the connection
  3 | respond = { fields = { Transfer-Encoding = "x" } }
    |                        ^^^^^^^^^^^^^^^^^
====
[[site]]
[[site.route]]
fields = { "X Y" = "1" }
----
a.toml:3:12: "X Y" is not a field name
  3 | fields = { "X Y" = "1" }
    |            ^^^^^
====
[[site]]
[[site.route]]
fields = { Content-Length = "1" }
----
a.toml:3:12: Content-Length is written by the connection
  3 | fields = { Content-Length = "1" }
    |            ^^^^^^^^^^^^^^
====
[[site]]
[[site.route]]
fields = { X = "1\r\nY: 2" }
----
a.toml:3:12: X cannot have the value "1\r\nY: 2"
  3 | fields = { X = "1\r\nY: 2" }
    |            ^
====
[[site]]
[[site.route]]
fallback = "index.html"
----
a.toml:3:12: `index.html` is not a path of this site
  3 | fallback = "index.html"
    |            ^^^^^^^^^^^^ did you mean `/index.html`?
====
[[site]]
[[site.route]]
content = { bytes = "1GB", timeout = "1s" }
----
a.toml:3:28: unknown key `timeout`
  3 | content = { bytes = "1GB", timeout = "1s" }
    |                            ^^^^^^^ known here: bytes
====
[[site]]
[[site.route]]
allow = ["10.0.0.0/8", "10.0.0.0/99"]
----
a.toml:3:24: "10.0.0.0/99" is not a network: after the / stands 0 to 32
  3 | allow = ["10.0.0.0/8", "10.0.0.0/99"]
    |                        ^^^^^^^^^^^^^
====
[[site]]
[[site.route]]
auth = { basic = "/no/such" }
----
a.toml:3:18: cannot use /no/such: No such file or directory (os error 2)
  3 | auth = { basic = "/no/such" }
    |                  ^^^^^^^^^^
====
[[site]]
[[site.route]]
auth = { basic = "/dev/null" }
----
a.toml:3:18: cannot use /dev/null: it is not a regular file
  3 | auth = { basic = "/dev/null" }
    |                  ^^^^^^^^^^^
====
[[site]]
[[site.route]]
auth = { realm = "x" }
----
a.toml:3:8: `basic` is missing here
  3 | auth = { realm = "x" }
    |        ^^^^^^^^^^^^^^^
====
[[site]]
root = /srv/www
----
a.toml:2:8: a value is missing, or is a string without quotes
  2 | root = /srv/www
    |        ^^^^^^^^
====
[[site]]
root = "/srv/www
----
a.toml:2:17: this string has no end
  2 | root = "/srv/www
    |                 ^ expected `"`
====
[[site]]
root = "/"
root = "/"
----
a.toml:3:1: this key stands here for the second time
  3 | root = "/"
    | ^^^^
====
[[site
root = "/"
----
a.toml:1:7: unclosed array table
  1 | [[site
    |       ^ expected `]]`
====
[[site]]
root
----
a.toml:2:5: a key without a value
  2 | root
    |     ^ expected `=`
====
[[site]]
root =
----
a.toml:2:7: a value is missing, or is a string without quotes
  2 | root =
    |       ^
====
[[site]]
x = {
----
a.toml:2:6: unclosed inline table
  2 | x = {
    |      ^ expected `}`
====
"#;
