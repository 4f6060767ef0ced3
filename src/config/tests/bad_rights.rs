//! What is wrong with whose the process is to be and how it is confined, word for word.

#[test]
fn each_mistake_is_shown_with_its_place_and_what_was_meant() {
    super::check_all(MISTAKES);
}

/// A file, what is said of it, and so on.
const MISTAKES: &str = r#"[server]
user = "no such user"
----
a.toml:2:8: this machine has no user `no such user`
  2 | user = "no such user"
    |        ^^^^^^^^^^^^^^ `getent passwd` shows those it has
====
[server]
user = "root"
group = "no such group"
----
a.toml:3:9: this machine has no group `no such group`
  3 | group = "no such group"
    |         ^^^^^^^^^^^^^^^ `getent group` shows those it has
====
[server]
group = "root"
----
a.toml:2:9: a group without a user
  2 | group = "root"
    |         ^^^^^^ add user = "www-data"
====
[server]
user = "4000000000"
----
a.toml:2:8: no user has the number 4000000000, so its group is not known
  2 | user = "4000000000"
    |        ^^^^^^^^^^^^ add group = "…"
====
[server]
sandbox = "required"
----
a.toml:2:11: `required` is not a kind of confinement
  2 | sandbox = "required"
    |           ^^^^^^^^^^ did you mean `require`?
====
[server]
reach = ["/", "/no such folder"]
----
a.toml:2:15: cannot reach /no such folder: No such file or directory (os error 2)
  2 | reach = ["/", "/no such folder"]
    |               ^^^^^^^^^^^^^^^^^"#;
