//! SCGI: a request's variables in a netstring, then its content as it is. The response is that of a
//! script (`cgi.rs`), and the connection's end is its end.

use super::Call;
use super::variables::variables;

#[cfg(test)]
mod tests;

/// Appends what stands before the content. As the protocol asks, `CONTENT_LENGTH` comes first and
/// is always there, and `SCGI` is 1; since they frame the request, no configuration can change
/// them.
pub fn request(call: &Call<'_>, out: &mut Vec<u8>) {
    let mut pairs = Vec::new();
    let mut length = itoa::Buffer::new();
    let length = length.format(call.content_length.unwrap_or(0));
    push(&mut pairs, b"CONTENT_LENGTH", length.as_bytes());
    push(&mut pairs, b"SCGI", b"1");
    variables(call, |name, value| {
        if name != b"CONTENT_LENGTH" && name != b"SCGI" {
            push(&mut pairs, name, value);
        }
    });
    out.extend_from_slice(itoa::Buffer::new().format(pairs.len()).as_bytes());
    out.push(b':');
    out.extend_from_slice(&pairs);
    out.push(b',');
}

/// Names and values end in NUL, and `variables` gives none that has one inside.
fn push(pairs: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, value] {
        pairs.extend_from_slice(part);
        pairs.push(0);
    }
}
