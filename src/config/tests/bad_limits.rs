//! What is wrong with bad `[limits]`, word for word.

#[test]
fn each_mistake_is_shown_with_its_place_and_what_was_meant() {
    super::check_all(MISTAKES);
}

/// A file, what is said of it, and so on.
const MISTAKES: &str = r#"[limits]
per-host = { connections = 64 }
----
a.toml:2:1: unknown key `per-host`
  2 | per-host = { connections = 64 }
    | ^^^^^^^^
      known here: connections, per-ip, max-memory, head, content, send, answer,
      persistent, turn, loop-lag, overload, linger, drain, upgrade, spool,
      half-closed, tunnel, cache, complaints, recorder
====
[limits]
per-ip = { connections = 0 }
----
a.toml:2:26: with a limit of 0 nothing could be served
  2 | per-ip = { connections = 0 }
    |                          ^
====
[limits]
per-ip = { burst = 5 }
----
a.toml:2:20: a burst is of requests, and their rate is missing
  2 | per-ip = { burst = 5 }
    |                    ^ beside it, write requests-per-second = 50
====
[limits]
per-ip = { requests-per-second = 5000000000 }
----
a.toml:2:34: this is too much
  2 | per-ip = { requests-per-second = 5000000000 }
    |                                  ^^^^^^^^^^
====
[limits]
max-memory = 64
----
a.toml:2:14: `64` has no unit
  2 | max-memory = 64
    |              ^^ a size is written like "16KiB"
====
[limits]
overload = "0s"
----
a.toml:2:12: in no time at all nothing can be done
  2 | overload = "0s"
    |            ^^^^
====
[limits]
recorder = { turns = 20000000 }
----
a.toml:2:22: the recorder can keep at most 16777216 of each
  2 | recorder = { turns = 20000000 }
    |                      ^^^^^^^^
====
[limits]
head = "16KiB"
----
a.toml:2:8: expected a table like { bytes = "16KiB", fields = 100, timeout = "10s" }, found "16KiB"
  2 | head = "16KiB"
    |        ^^^^^^^
====
[limits]
head = { bytes = 16384 }
----
a.toml:2:18: `16384` has no unit
  2 | head = { bytes = 16384 }
    |                  ^^^^^ a size is written like "16KiB"
====
[limits]
head = { bytes = "16KB" }
----
a.toml:2:18: `KB` is not a unit of size
  2 | head = { bytes = "16KB" }
    |                  ^^^^^^ did you mean `16KiB`?
====
[limits]
head = { bytes = "2MiB" }
----
a.toml:2:18: a head can have at most 1MiB
  2 | head = { bytes = "2MiB" }
    |                  ^^^^^^
====
[limits]
head = { timeout = "10 s" }
----
a.toml:2:20: no space between number and unit
  2 | head = { timeout = "10 s" }
    |                    ^^^^^^ write `10s`
====
[limits]
head = { timeout = "0s" }
----
a.toml:2:20: in no time at all nothing can be done
  2 | head = { timeout = "0s" }
    |                    ^^^^
====
[limits]
head = { fields = 257 }
----
a.toml:2:19: a head can have at most 256 fields
  2 | head = { fields = 257 }
    |                   ^^^
====
[limits]
cache = { file = "2MiB" }
----
a.toml:2:18: a file in memory can have at most 1MiB
  2 | cache = { file = "2MiB" }
    |                  ^^^^^^
====
[limits]
cache = { file = "2KiB", bytes = "1KiB" }
----
a.toml:2:18: all files in memory together can have 1KiB
  2 | cache = { file = "2KiB", bytes = "1KiB" }
    |                  ^^^^^^
====
[limits]
send = { min-rate = "500B" }
----
a.toml:2:21: `500B` is a size, not a rate
  2 | send = { min-rate = "500B" }
    |                     ^^^^^^ did you mean `500B/s`?
====
[limits]
turn = { requests = 4294967296 }
----
a.toml:2:21: this is too much
  2 | turn = { requests = 4294967296 }
    |                     ^^^^^^^^^^
====
[limits]
connections = -1
----
a.toml:2:15: `-1` is negative
  2 | connections = -1
    |               ^^
====
[limits]
connections = 0
----
a.toml:2:15: with a limit of 0 nothing could be served
  2 | connections = 0
    |               ^
====
[limits]
connections = "100"
----
a.toml:2:15: a whole number stands without quotes
  2 | connections = "100"
    |               ^^^^^ write `100`
====
[limits]
connections = 1.5
----
a.toml:2:15: expected a whole number, found `1.5`
  2 | connections = 1.5
    |               ^^^
====
[limits]
loop_lag = "1s"
----
a.toml:2:1: unknown key `loop_lag`
  2 | loop_lag = "1s"
    | ^^^^^^^^ did you mean `loop-lag`?
====
"#;
