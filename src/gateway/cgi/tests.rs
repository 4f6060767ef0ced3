//! What scripts say, and what is understood: at once, and at every cut.

use super::*;

/// What was understood of an output: the head or where it is instead, the content, and how it
/// ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Story {
    /// `200 OK`, an empty line's worth of fields, the announced length; or the local redirect.
    head: Option<String>,
    content: Vec<u8>,
    error: Option<BadGateway>,
}

impl Story {
    /// What is understood of `output` if it comes in pieces that end at `ends`.
    fn of(method: Method<'_>, output: &[u8], ends: impl IntoIterator<Item = usize>) -> Story {
        let mut answer = Answer::new(method);
        let mut story = Story::default();
        let mut taken = 0;
        for end in ends {
            while taken < end {
                let (used, inbound) = match answer.receive(&output[taken..end]) {
                    Ok(step) => step,
                    Err(error) => return Story { error: Some(error), ..story },
                };
                assert!(used > 0, "stands still at {taken}");
                taken += used;
                story.note(inbound);
            }
            assert_eq!(answer.receive(&[]), Ok((0, Inbound::Nothing)));
        }
        story.error = answer.close().err();
        story
    }

    fn note(&mut self, inbound: Inbound<'_>) {
        let head = match inbound {
            Inbound::Nothing => return,
            Inbound::Content(piece) => {
                assert!(!piece.is_empty() && self.head.is_some());
                return self.content.extend_from_slice(piece);
            }
            Inbound::Head(head) => {
                let fields = head.fields.escape_ascii().to_string().replace("\\r\\n", "|");
                format!("{}|{fields}{:?}", head.status.code(), head.length)
            }
            Inbound::LocalRedirect(target) => target,
            other => panic!("a script cannot say {other:?}"),
        };
        assert_eq!(self.head.replace(head), None);
    }

    fn at_once(output: &[u8]) -> Story {
        Story::of(Method::Get, output, [output.len()])
    }

    /// The same at once, byte by byte, and at every single cut.
    fn at_every_cut(method: Method<'_>, output: &[u8]) -> Story {
        let whole = Story::of(method, output, [output.len()]);
        let name = output.escape_ascii();
        assert_eq!(Story::of(method, output, 1..=output.len()), whole, "byte by byte: {name}");
        for cut in 0..output.len() {
            let cut_story = Story::of(method, output, [cut, output.len()]);
            assert_eq!(cut_story, whole, "cut at {cut}: {name}");
        }
        whole
    }
}

/// Outputs that are whole: what they are, the output, what is understood, and the content.
const GOOD: [(&str, &str, &str, &str); 19] = [
    ("a document", "Content-Type: a/b\n\nhi", "200|Content-Type: a/b|None", "hi"),
    ("CR LF", "content-type:a/b\r\n\r\nhi\n", "200|content-type: a/b|None", "hi\n"),
    ("both", "X: y\r\nContent-Type: a/b\n\r\n\r\n", "200|X: y|Content-Type: a/b|None", "\r\n"),
    ("a length", "Status: 404 Nope\nContent-Length: 2\n\nhi", "404|Some(2)", "hi"),
    ("no content", "Status: 599\n\n", "599|None", ""),
    ("an empty reason", "Status: 200 \n\n", "200|None", ""),
    ("not modified", "Status: 304\nContent-Length: 9\n\n", "304|Some(9)", ""),
    ("a client redirect", "Location: http://h/\n\n", "302|Location: http://h/|None", ""),
    (
        "a client redirect with a document",
        "Location: /x\nStatus: 301 Moved\nContent-Type: a/b\n\nhi",
        "301|Location: /x|Content-Type: a/b|None",
        "hi",
    ),
    ("a status with a location", "Status: 201 C\nLocation: /x\n\n", "201|Location: /x|None", ""),
    ("another host", "Location: //h/x\n\n", "302|Location: //h/x|None", ""),
    ("a fragment", "Location: /x#y\n\n", "302|Location: /x#y|None", ""),
    ("a relative reference", "Location: x\n\n", "302|Location: x|None", ""),
    (
        "a cookie with the redirect",
        "Set-Cookie: a=b\nLocation: /x\n\n",
        "302|Set-Cookie: a=b|Location: /x|None",
        "",
    ),
    ("a local redirect", "Location: /x?y=%20\n\n", "/x?y=%20", ""),
    ("a local redirect and more", "Content-Type: a/b\nLocation: /\nX-CGI-X: y\n\nHTTP/1", "/", ""),
    (
        "fields about the connection",
        "Status: 200\nConnection: X\nX: y\nKeep-Alive: 1\nServer: z\n\n",
        "200|None",
        "",
    ),
    ("an extension", "Status: 200\nx-cgi-debug: y\nX-CGI: z\n\n", "200|X-CGI: z|None", ""),
    ("no bytes of content", "Status: 200\nContent-Length: 0\n\n", "200|Some(0)", ""),
];

#[test]
fn outputs_that_are_whole() {
    for (name, output, head, content) in GOOD {
        let story = Story::at_every_cut(Method::Get, output.as_bytes());
        assert_eq!(story.head.as_deref(), Some(head), "{name}");
        assert_eq!(story.content.escape_ascii().to_string(), content.escape_default().to_string());
        assert_eq!(story.error, None, "{name}");
    }
}

/// Outputs that are refused before anything of them is passed on, and a word of why.
const BAD: [(&[u8], &str); 38] = [
    (b"", "said nothing"),
    (b"\n", "has no Content-Type"),
    (b"\r\n", "has no Content-Type"),
    (b"X: y\n\n", "has no Content-Type"),
    (b"Content-Length: 0\n\n", "has no Content-Type"),
    (b"Hello", "ends before the empty line"),
    (b"Content-Type: a/b", "ends before the empty line"),
    (b"Content-Type: a/b\n", "ends before the empty line"),
    (b"Content-Type: a/b\r\n\r", "ends before the empty line"),
    (b"Hello\n\n", "no colon"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no colon"),
    (b"\x7fELF\x02\x01\x01\0:\n\n", "name in its response is invalid"),
    (b"Status: 200\n\r\r\n\n", "no colon"),
    (b"Status: 200\n X: y\n\n", "continues"),
    (b"Status: 200\n\t\n\n", "continues"),
    (b"Status : 200\n\n", "space before its colon"),
    (b": 200\n\n", "name in its response is invalid"),
    (b"A B: c\nStatus: 200\n\n", "name in its response is invalid"),
    (b"Status: 200\nX: a\rb\n\n", "value in its response"),
    (b"Status: 200\nX: a\0b\n\n", "value in its response"),
    (b"Status: 200\nX: a\r\r\n\n", "value in its response"),
    (b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n", "nph-"),
    (b"Status:\n\n", "its Status"),
    (b"Status: OK\n\n", "its Status"),
    (b"Status: 20\n\n", "its Status"),
    (b"Status: 2000\n\n", "its Status"),
    (b"Status: 200OK\n\n", "its Status"),
    (b"Status: +20\n\n", "its Status"),
    (b"Status: 100 Continue\n\n", "its Status"),
    (b"Status: 101\n\n", "its Status"),
    (b"Status: 600\n\n", "its Status"),
    (b"Status: HTTP/1.1 200 OK\n\n", "its Status"),
    (b"Status: 200\nstatus: 200\n\n", "Status twice"),
    (b"Location: /\nlocation: /\n\n", "Location twice"),
    (b"Location:\n\n", "Location is empty"),
    (b"Content-Type: a/b\nContent-type: a/b\n\n", "Content-Type twice"),
    (b"Status: 200\nContent-Length: 1\nContent-Length: 1\n\n", "Content-Length twice"),
    (b"Content-Type: a/b\nTransfer-Encoding: chunked\n\n0\r\n\r\n", "Transfer-Encoding"),
];

#[test]
fn outputs_that_are_refused() {
    for (output, why) in BAD {
        let name = output.escape_ascii();
        let story = Story::at_every_cut(Method::Get, output);
        let BadGateway(said) = story.error.unwrap_or_else(|| panic!("{name} is taken"));
        assert!(said.contains(why), "{name}: {said}");
        assert_eq!((story.head, story.content.len()), (None, 0), "{name}");
    }
}

#[test]
fn content_is_as_long_as_was_announced() {
    let output = b"Status: 200\nContent-Length: 3\n\nabcdef";
    let story = Story::at_every_cut(Method::Get, output);
    assert_eq!(story.content, b"abc");
    assert!(story.error.is_some_and(|BadGateway(why)| why.contains("longer")));
    let story = Story::at_every_cut(Method::Get, &output[..output.len() - 4]);
    assert_eq!(story.content, b"ab");
    assert!(story.error.is_some_and(|BadGateway(why)| why.contains("shorter")));
    let story = Story::at_every_cut(Method::Get, &output[..output.len() - 3]);
    assert_eq!((&story.content[..], story.error), (&b"abc"[..], None));
}

#[test]
fn nobody_is_held_to_a_length_where_there_is_no_content() {
    for content in ["", "ab", "abcdef"] {
        let output = format!("Content-Type: a/b\nContent-Length: 3\n\n{content}");
        let story = Story::at_every_cut(Method::Head, output.as_bytes());
        assert_eq!(story.error, None);
        assert_eq!(story.head.as_deref(), Some("200|Content-Type: a/b|Some(3)"));
        for status in [204, 304] {
            let output = format!("Status: {status}\nContent-Length: 3\n\n{content}");
            let story = Story::at_every_cut(Method::Get, output.as_bytes());
            assert_eq!(story.error, None);
        }
    }
}

#[test]
fn a_date_is_told_apart() {
    let mut answer = Answer::new(Method::Get);
    let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
    let output = [b"Status: 200\nDate: ", &date[..], b"\n\n"].concat();
    let (_, inbound) = answer.receive(&output).unwrap();
    let Inbound::Head(head) = inbound else { panic!("{inbound:?}") };
    assert_eq!((head.date.as_deref(), &head.fields[..]), (Some(&date[..]), &b""[..]));
}

#[test]
fn a_head_has_a_limit_and_no_more_is_kept() {
    let fill = |size: usize| {
        let start = b"Status: 200\nX: ";
        let fill = vec![b'x'; size - start.len() - 2];
        [&start[..], &fill, b"\n\n", b"content"].concat()
    };
    for ends in [|output: &[u8]| vec![output.len()], |output: &[u8]| (1..=output.len()).collect()] {
        let story = Story::of(Method::Get, &fill(MAX_HEAD_BYTES), ends(&fill(MAX_HEAD_BYTES)));
        assert_eq!((&story.content[..], story.error), (&b"content"[..], None));
        let large = fill(MAX_HEAD_BYTES + 1);
        let story = Story::of(Method::Get, &large, ends(&large));
        assert!(story.error.is_some_and(|BadGateway(why)| why.contains("larger")));
    }
    let endless = vec![b'x'; 4 * MAX_HEAD_BYTES];
    let mut answer = Answer::new(Method::Get);
    let refused = endless.chunks(1000).position(|piece| answer.receive(piece).is_err());
    assert_eq!(refused, Some(MAX_HEAD_BYTES / 1000));
    assert!(answer.line.len() <= MAX_HEAD_BYTES);
}

#[test]
fn many_fields_are_refused() {
    let output = format!("Status: 200\n{}\n", "X: y\n".repeat(257));
    let story = Story::at_once(output.as_bytes());
    assert!(story.error.is_some_and(|BadGateway(why)| why.contains("more fields")));
}

#[test]
fn noise_is_understood_alike_at_every_cut() {
    let words: [&[u8]; 22] = [
        b"Status",
        b"Location",
        b"Content-Type",
        b"Content-Length",
        b"X",
        b":",
        b": ",
        b" ",
        b"\t",
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"200",
        b"304 x",
        b"/p?q",
        b"//h",
        b"a/b",
        b"3",
        b"\0",
        b"\xff",
        b"HTTP/1.1 200 OK",
    ];
    let mut random = fastrand::Rng::with_seed(2);
    let mut whole = 0;
    for _ in 0..3000 {
        let mut output = Vec::new();
        if random.bool() {
            output.extend_from_slice(b"Status: 200\n");
        }
        for _ in 0..random.usize(..14) {
            output.extend_from_slice(words[random.usize(..words.len())]);
        }
        let method = if random.u8(..8) == 0 { Method::Head } else { Method::Get };
        let story = Story::at_every_cut(method, &output);
        whole += usize::from(story.error.is_none());
        assert!(story.head.is_some() || story.error.is_some());
    }
    assert!((100..2900).contains(&whole), "{whole}: the noise shows one side alone");
}
