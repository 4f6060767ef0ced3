//! What is asked, and what is selected: by table, by cuts, at random against a naive oracle.

use super::*;

/// The outcome in short: `whole`, `none`, or the ranges as `0-9 20-29`.
fn selected(value: &str, length: u64) -> String {
    match select(value.as_bytes(), length) {
        Selection::Whole => "whole".to_owned(),
        Selection::Unsatisfiable => "none".to_owned(),
        Selection::Ranges(ranges) => {
            let ranges = ranges.iter().map(|range| format!("{}-{}", range.first, range.last));
            ranges.collect::<Vec<_>>().join(" ")
        }
    }
}

fn check(length: u64, table: &[(&str, &str)]) {
    for (value, expected) in table {
        assert_eq!(selected(value, length), *expected, "{value} of {length}");
    }
}

#[test]
fn one_range() {
    check(
        100,
        &[
            ("bytes=0-0", "0-0"),
            ("bytes=0-99", "0-99"),
            ("bytes=0-", "0-99"),
            ("bytes=10-19", "10-19"),
            ("bytes=99-", "99-99"),
            ("bytes=50-100", "50-99"),
            ("bytes=50-9999", "50-99"),
            ("bytes=-1", "99-99"),
            ("bytes=-100", "0-99"),
            ("bytes=-101", "0-99"),
            ("bytes=0010-0000000000000000000000000000019", "10-19"),
            ("BYTES=1-2", "1-2"),
            ("bytes= 1-2", "1-2"),
            ("bytes=,1-2,", "1-2"),
        ],
    );
}

#[test]
fn what_is_not_there_cannot_be_satisfied() {
    check(
        100,
        &[
            ("bytes=100-", "none"),
            ("bytes=100-100", "none"),
            ("bytes=-0", "none"),
            ("bytes=-000", "none"),
            ("bytes=100-200,-0,999-", "none"),
            ("bytes=-0,100-,7-8", "7-8"),
        ],
    );
}

#[test]
fn what_is_malformed_is_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes= ",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=1",
        "bytes=1-0",
        "bytes=2-1,5-6",
        "bytes=5-6,2-1",
        "bytes=5-6,x",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1-+2",
        "bytes=-+2",
        "bytes=0x1-2",
        "bytes=1 -2",
        "bytes=1- 2",
        "bytes=1-2 3-4",
        "bytes =1-2",
        "bytes:1-2",
        "bytes 1-2",
        "=1-2",
        "1-2",
        "byte=1-2",
        "bytess=1-2",
        "items=1-2",
        "seconds=1-2",
        "bytes=\"1-2,3-4\"",
        "bytes=1-2;3-4",
        "bytes=a-b",
        "bytes=100-x",
        "bytes=\u{661}-\u{662}",
        "none",
    ] {
        assert_eq!(selected(value, 100), "whole", "{value}");
    }
}

#[test]
fn an_empty_representation_is_always_whole() {
    for value in ["bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-0", "bytes=-1", "bytes=1-0"] {
        assert_eq!(selected(value, 0), "whole", "{value}");
    }
}

#[test]
fn numbers_beyond_64_bits_are_compared_by_their_digits() {
    let huge = "99999999999999999999999999999999999999999";
    let smaller = "88888888888888888888888888888888888888888";
    for length in [1, 100, u64::MAX] {
        check(
            length,
            &[
                (&format!("bytes={huge}-"), "none"),
                (&format!("bytes={smaller}-{huge}"), "none"),
                (&format!("bytes={huge}-{huge}"), "none"),
                (&format!("bytes={huge}-{smaller}"), "whole"),
                (&format!("bytes={huge}-0{smaller}"), "whole"),
                (&format!("bytes={huge}-1"), "whole"),
            ],
        );
    }
    check(100, &[(&format!("bytes=5-{huge}"), "5-99"), (&format!("bytes=-{huge}"), "0-99")]);
    let last = u64::MAX - 1;
    check(
        u64::MAX,
        &[
            ("bytes=0-", &format!("0-{last}")),
            ("bytes=18446744073709551614-", &format!("{last}-{last}")),
            ("bytes=18446744073709551615-", "none"),
            ("bytes=18446744073709551616-", "none"),
            ("bytes=-18446744073709551616", &format!("0-{last}")),
            ("bytes=0-,0-,0-", "whole"),
        ],
    );
}

#[test]
fn near_ranges_become_one_and_the_order_stays() {
    check(
        10_000,
        &[
            ("bytes=0-9,10-19", "0-19"),
            ("bytes=10-19,0-9", "0-19"),
            ("bytes=0-9,5-14", "0-14"),
            ("bytes=0-99,10-19", "0-99"),
            ("bytes=10-19,0-99", "0-99"),
            // 127 bytes between them, then 128.
            ("bytes=0-9,137-146", "0-146"),
            ("bytes=0-9,138-147", "0-9 138-147"),
            ("bytes=137-146,0-9", "0-146"),
            ("bytes=138-147,0-9", "138-147 0-9"),
            ("bytes=-1,0-0", "9999-9999 0-0"),
            // The third joins the first, past the second.
            ("bytes=5000-5009,0-9,5010-5019", "5000-5019 0-9"),
            // The last is near to both others, which are not near to each other.
            ("bytes=0-9,1000-1009,200-209,10-999", "0-1009"),
            ("bytes=4000-4009,0-9,200-209,100-110", "4000-4009 0-209"),
        ],
    );
}

#[test]
fn amplification_is_refused() {
    let sixteen = (0..16).map(|at| format!("{0}-{0}", at * 1000)).collect::<Vec<_>>();
    let Selection::Ranges(ranges) =
        select(format!("bytes={}", sixteen.join(",")).as_bytes(), 1 << 20)
    else {
        panic!("sixteen ranges are not too many");
    };
    assert_eq!(ranges.len(), MAX_RANGES);
    let seventeen = format!("bytes={},99999-", sixteen.join(","));
    assert_eq!(selected(&seventeen, 1 << 20), "whole");
    // Those that select nothing count too, and so do those that would become one.
    assert_eq!(selected(&format!("bytes=0-0{}", ",999-".repeat(16)), 100), "whole");
    assert_eq!(selected(&format!("bytes=0-0{}", ",0-0".repeat(16)), 100), "whole");
    assert_eq!(selected(&format!("bytes=0-0{}", ",0-0".repeat(15)), 100), "0-0");
    assert_eq!(selected(&format!("bytes=0-0{}", ",".repeat(99)), 100), "0-0");
    check(
        100,
        &[
            // Together as many bytes as there are, and one more.
            ("bytes=0-49,0-49", "0-49"),
            ("bytes=0-49,50-99", "0-99"),
            ("bytes=0-49,0-50", "whole"),
            ("bytes=0-,-1", "whole"),
            ("bytes=0-,5-0,5-1,5-2,5-3", "whole"),
            ("bytes=0-,5-5,5-6,5-7,5-8,5-9", "whole"),
            ("bytes=0-,0-,0-", "whole"),
        ],
    );
}

#[test]
fn every_cut_of_a_field_selects_as_it_reads() {
    let cuts = [
        "bytes=",
        "whole",
        "1",
        "whole",
        "0",
        "whole",
        "-",
        "10-999",
        "1",
        "whole",
        "9",
        "10-19",
        ",",
        "10-19",
        " ",
        "10-19",
        "-",
        "whole",
        "5",
        "10-19 995-999",
        "0",
        "10-19 950-999",
    ];
    let mut value = String::new();
    for pair in cuts.chunks(2) {
        value += pair[0];
        assert_eq!(selected(&value, 1000), pair[1], "{value}");
    }
    for cut in 0.."bytes=".len() {
        assert_eq!(selected(&value[..cut], 1000), "whole");
        assert_eq!(selected(&value[cut + 1..], 1000), "whole");
    }
}

/// What RFC 9110 §14 and the rules of [`select`] make of ranges, byte by byte. A range is its first
/// and last position; without the first it is a suffix.
fn oracle(specs: &[(Option<u64>, Option<u64>)], length: u64) -> String {
    let malformed = specs.iter().any(|spec| match spec {
        (Some(first), Some(last)) => last < first,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    });
    if specs.is_empty() || specs.len() > 16 || malformed || length == 0 {
        return "whole".to_owned();
    }
    let covers = |spec: &(Option<u64>, Option<u64>), at: u64| match *spec {
        (Some(first), last) => first <= at && last.is_none_or(|last| at <= last),
        (None, count) => count.is_some_and(|count| at + count >= length),
    };
    let asked = (0..length).map(|at| specs.iter().filter(|spec| covers(spec, at)).count());
    let asked: Vec<usize> = asked.collect();
    if asked.iter().sum::<usize>() as u64 > length {
        return "whole".to_owned();
    }
    // Islands of bytes that are asked for, 127 others at the most between any two of one island.
    let mut islands: Vec<(u64, u64)> = Vec::new();
    for (at, _) in (0..length).zip(asked).filter(|(_, asked)| *asked > 0) {
        match islands.last_mut() {
            Some((_, last)) if at - *last - 1 < PART_COST => *last = at,
            _ => islands.push((at, at)),
        }
    }
    if islands.is_empty() {
        return "none".to_owned();
    }
    islands.sort_by_key(|&(first, last)| {
        specs.iter().position(|spec| (first..=last).any(|at| covers(spec, at)))
    });
    let islands: Vec<_> = islands.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    islands.join(" ")
}

#[test]
fn random_sets_select_what_the_oracle_selects() {
    let mut random = fastrand::Rng::with_seed(14);
    let mut seen = [0; 4];
    for _ in 0..9_000 {
        let longest = if random.bool() { 8 } else { 1200 };
        let length = random.u64(..longest);
        let short = random.u64(1..40);
        let mut number = || random.u64(..length + 3);
        let (firsts, lasts): (Vec<_>, Vec<_>) = (0..18).map(|_| (number(), number())).unzip();
        let specs: Vec<_> = (0..random.usize(..19).min(random.usize(..19)))
            .map(|at| match random.u8(..32) {
                0 => (Some(firsts[at]), None),
                1 => (Some(firsts[at]), Some(lasts[at])),
                2..5 => (None, Some(lasts[at].min(short))),
                5 if random.bool() => (None, None),
                _ => (Some(firsts[at]), Some(firsts[at] + random.u64(..short))),
            })
            .collect();
        let digits = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        let written: Vec<_> =
            specs.iter().map(|spec| format!("{}-{}", digits(spec.0), digits(spec.1))).collect();
        let value = format!("bytes={}", written.join([",", ", ", " ,,\t"][random.usize(..3)]));
        let expected = oracle(&specs, length);
        assert_eq!(selected(&value, length), expected, "{value} of {length}");
        let kind = match expected.as_str() {
            "whole" => 0,
            "none" => 1,
            one if !one.contains(' ') => 2,
            _ => 3,
        };
        seen[kind] += 1;
    }
    assert!(seen.iter().all(|&count| count > 300), "the sets are one-sided: {seen:?}");
}

#[test]
fn random_bytes_never_panic_and_select_only_what_is_there() {
    let mut random = fastrand::Rng::with_seed(206);
    let alphabet = b"0123456789--,, \t=x\xff";
    for _ in 0..20_000 {
        let mut value = b"bytes=".to_vec();
        let count = random.usize(..40);
        value.extend((0..count).map(|_| alphabet[random.usize(..alphabet.len())]));
        if random.u8(..8) == 0 {
            let at = random.usize(..value.len());
            value[at] = random.u8(..);
        }
        let length = random.u64(..) >> random.u32(..64);
        if let Selection::Ranges(ranges) = select(&value, length) {
            assert!(!ranges.is_empty() && ranges.len() <= MAX_RANGES);
            assert!(ranges.iter().all(|range| range.first <= range.last && range.last < length));
            let sum: u64 = ranges.iter().map(|range| range.length()).sum();
            assert!(sum <= length);
        }
    }
}

#[test]
fn field_lines_of_single_parts_and_of_none() {
    let mut out = Vec::new();
    write_content_range(&mut out, Range { first: 0, last: 9 }, 100);
    write_unsatisfied(&mut out, u64::MAX);
    let expected =
        "Content-Range: bytes 0-9/100\r\nContent-Range: bytes */18446744073709551615\r\n";
    assert_eq!(out, expected.as_bytes());
}

#[test]
fn boundaries_are_their_numbers_in_sixteen_digits() {
    for (number, digits) in [
        (0, "0000000000000000"),
        (0x0123_4567_89ab_cdef, "0123456789abcdef"),
        (u64::MAX, "ffffffffffffffff"),
    ] {
        let media_type = format!("multipart/byteranges; boundary={digits}");
        assert_eq!(Boundary::new(number).media_type(), media_type.as_bytes());
    }
}

/// A whole multipart answer.
fn multipart(boundary: Boundary, ranges: &[Range], whole: &[u8], media_type: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for range in ranges {
        boundary.write_part_head(&mut out, *range, whole.len() as u64, media_type);
        let (first, last) = (range.first.try_into(), range.last.try_into());
        let (first, last): (usize, usize) = (first.expect("small"), last.expect("small"));
        out.extend_from_slice(&whole[first..=last]);
    }
    boundary.write_end(&mut out);
    out
}

#[test]
fn a_multipart_answer_byte_by_byte() {
    let boundary = Boundary::new(0xb0b);
    let ranges = [Range { first: 2, last: 3 }, Range { first: 0, last: 0 }];
    let expected = "\r\n--0000000000000b0b\r\nContent-Type: text/plain\r\n\
        Content-Range: bytes 2-3/4\r\n\r\ncd\r\n--0000000000000b0b\r\nContent-Type: text/plain\r\n\
        Content-Range: bytes 0-0/4\r\n\r\na\r\n--0000000000000b0b--\r\n";
    assert_eq!(multipart(boundary, &ranges, b"abcd", b"text/plain"), expected.as_bytes());
    let untyped = expected.replace("Content-Type: text/plain\r\n", "");
    assert_eq!(multipart(boundary, &ranges, b"abcd", b""), untyped.as_bytes());
}

#[test]
fn the_length_is_exact_and_no_answer_is_much_longer_than_the_whole() {
    let mut random = fastrand::Rng::with_seed(416);
    let whole = vec![b'x'; 4000];
    let mut several = 0;
    for _ in 0..300 {
        let length = random.usize(1..whole.len());
        let specs: Vec<_> = (0..random.usize(1..=MAX_RANGES))
            .map(|_| (random.usize(..length), random.usize(..300)))
            .map(|(first, more)| format!("{first}-{}", first + more))
            .collect();
        let Selection::Ranges(ranges) =
            select(format!("bytes={}", specs.join(",")).as_bytes(), length as u64)
        else {
            continue;
        };
        let boundary = Boundary::new(random.u64(..));
        let media_type = &b"text/html; charset=utf-8"[..];
        let answer = multipart(boundary, &ranges, &whole[..length], media_type).len() as u64;
        assert_eq!(boundary.content_length(&ranges, length as u64, media_type), answer);
        assert!(answer <= length as u64 + PART_COST + 24, "{answer} bytes for {length}");
        several += u32::from(ranges.len() > 1);
    }
    assert!(several > 50, "{several} answers had parts");
}
