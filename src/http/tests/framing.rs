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
