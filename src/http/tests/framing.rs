//! Where content ends: lengths, chunks, and all that only looks like them.

use super::*;

/// A POST with `lines` among its fields, and `content` behind it.
fn post(lines: &str, content: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\n{content}").into_bytes()
}

#[test]
fn two_lines_of_transfer_encoding_are_one_too_many() {
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\ntransfer-encoding:",
    ] {
        let story = Story::at_once(&post(lines, "0\r\n\r\n"));
        assert_eq!(story.refusal().map(|refusal| refusal.status), Some(Status::BAD_REQUEST));
        assert_eq!(story.taken, 0, "{lines}");
    }
}

#[test]
fn a_trailer_section_may_be_as_large_as_a_head_and_no_larger() {
    let limits = Limits { head_bytes: 100, head_fields: 10 };
    let ends = |trailers: &str| {
        let input = post("Transfer-Encoding: chunked", &format!("0\r\n{trailers}\r\n"));
        let story = Story::of(&input, [input.len()], &limits);
        story.refusal().map(|refusal| refusal.status)
    };
    assert_eq!(ends(&format!("a:{}\r\n", "x".repeat(96))), None);
    assert_eq!(
        ends(&format!("a:{}\r\n", "x".repeat(97))),
        Some(Status::REQUEST_HEADER_FIELDS_TOO_LARGE)
    );
    assert_eq!(ends(&"a:\r\n".repeat(25)), None);
    assert_eq!(ends(&"a:\r\n".repeat(26)), Some(Status::REQUEST_HEADER_FIELDS_TOO_LARGE));
}
