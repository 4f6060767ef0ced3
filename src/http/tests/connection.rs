//! The connection's two halves: what is taken, what is framed, what may happen next.

use super::*;

#[test]
fn the_bytes_taken_for_a_head_can_be_parsed_again() {
    for input in
        [&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"]
    {
        let story = Story::at_once(input);
        assert_eq!(story.taken, input.len());
        let mut space = HeadSpace::new();
        let head = Head::parse(input, &mut space, &Limits::default());
        assert_eq!(head.map(|head| head.line), Ok(&b"GET / HTTP/1.1"[..]));
    }
    let mut space = HeadSpace::new();
    let twice = b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(Head::parse(twice, &mut space, &Limits::default()).is_err());
}
