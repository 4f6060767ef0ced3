//! Heads: every form that is taken, and every way to be refused.

use super::*;

#[test]
fn a_head_may_be_as_large_as_the_limit_and_is_refused_as_soon_as_it_cannot_be() {
    let input = b"GET /target HTTP/1.1\r\nHost: h\r\nX: yz\r\n\r\n";
    let head_of = |end: usize, head_bytes: usize| {
        let limits = Limits { head_bytes, head_fields: 10 };
        let story = Story::of(input, [end], &limits);
        (story.events.len(), story.refusal().map(|refusal| refusal.status.code()))
    };
    let whole = input.len();
    assert_eq!(head_of(whole, whole), (1, None));
    assert_eq!(head_of(whole, whole - 1), (2, Some(431)));
    // Refused with the last byte there is room for, so a buffer of just that size will do.
    assert_eq!(head_of(whole - 1, whole - 1), (2, Some(431)));
    assert_eq!(head_of(whole - 2, whole - 1), (0, None));
    assert_eq!(head_of(22, 22), (2, Some(431)));
    assert_eq!(head_of(21, 21), (2, Some(414)));
    assert_eq!(head_of(5, 5), (2, Some(414)));
    assert_eq!(head_of(4, 5), (0, None));
    // Not even the method ends.
    assert_eq!(head_of(3, 3), (2, Some(501)));
    assert_eq!(head_of(22, 3), (2, Some(501)));
}
