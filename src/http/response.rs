//! A response's head in bytes (RFC 9112 §4). What the response means is not known here.

use super::status::Status;

/// How every answer begins that is a 200, up to its date; the others differ in their first line.
const OPENING: &[u8; 40] = b"HTTP/1.1 200 OK\r\nServer: oneloop\r\nDate: ";

/// The length of its first line.
const LINE: usize = 17;

/// What the connection says about content and about itself, in the head of one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentField {
    /// No word about content: there is none (1xx, 204, 304), or the other fields say it.
    Nothing,
    /// Content-Length.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// What Connection has to say, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionField {
    Nothing,
    Close,
    KeepAlive,
    /// The protocol changes behind this head.
    Upgrade,
}

/// Appends a whole response head. `fields` are complete lines; `date` is now, as an HTTP date.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    status: Status,
    fields: &[u8],
    date: &[u8],
    content: ContentField,
    connection: ConnectionField,
) {
    if status == Status::OK {
        out.extend_from_slice(OPENING);
    } else {
        write_status_line(out, status);
        out.extend_from_slice(&OPENING[LINE..]);
    }
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(fields);
    match content {
        ContentField::Nothing => {}
        ContentField::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        ContentField::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    out.extend_from_slice(match connection {
        ConnectionField::Nothing => b"\r\n",
        ConnectionField::Close => b"Connection: close\r\n\r\n",
        ConnectionField::KeepAlive => b"Connection: keep-alive\r\n\r\n",
        ConnectionField::Upgrade => b"Connection: upgrade\r\n\r\n",
    });
}

/// Appends an interim response (RFC 9110 §15.2). `fields` are complete lines.
pub(super) fn write_interim(out: &mut Vec<u8>, status: Status, fields: &[u8]) {
    write_status_line(out, status);
    out.extend_from_slice(fields);
    out.extend_from_slice(b"\r\n");
}

/// Appends `HTTP/1.1 404 Not Found`. The version is ours, not the request's (RFC 9110 §2.5).
fn write_status_line(out: &mut Vec<u8>, status: Status) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status.code()).as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.reason().as_bytes());
    out.extend_from_slice(b"\r\n");
}
