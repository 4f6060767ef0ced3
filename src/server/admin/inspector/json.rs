//! JSON by hand: an inspector's event is made ten times a second, from what stays where it is.
//! What is written can stand in a script element of HTML as well. What it means is not known here.

use std::fmt::{Display, Write as _};

/// Appends `text` as a string. A `<` is written by its number, so that no text can end the script
/// element that it stands in; so are control characters, and the two ends of a line that older
/// JavaScript takes for such.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..' ' | '<' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                push(out, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Appends bytes that may be no UTF-8 as a string: what is none becomes U+FFFD.
pub(super) fn push_bytes(out: &mut String, bytes: &[u8]) {
    push_string(out, &String::from_utf8_lossy(bytes));
}

/// Appends what is valid JSON by itself: a number.
pub(super) fn push(out: &mut String, value: impl Display) {
    write!(out, "{value}").expect("a string takes all that is written");
}

/// Appends a list of what `push_one` writes.
pub(super) fn push_list<T>(
    out: &mut String,
    all: impl IntoIterator<Item = T>,
    mut push_one: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (at, one) in all.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_one(out, one);
    }
    out.push(']');
}

/// Appends a list of numbers.
pub(super) fn push_numbers<T: Display>(out: &mut String, all: impl IntoIterator<Item = T>) {
    push_list(out, all, |out, number| push(out, number));
}

/// Appends a list of words.
pub(super) fn push_words<'t>(out: &mut String, all: impl IntoIterator<Item = &'t str>) {
    push_list(out, all, push_string);
}

/// Appends the name of a member of an object, behind `before`: the brace or the comma.
pub(super) fn push_name(out: &mut String, before: char, name: &str) {
    out.push(before);
    push_string(out, name);
    out.push(':');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hostile_comes_back_as_it_was_and_ends_nothing() {
        for text in
            ["", "a\"b\\c\n\t\0\u{1f}", "</script><!--", "\u{2028}\u{85}ä\u{1f600}", "\\u003c"]
        {
            let mut out = String::new();
            push_string(&mut out, text);
            let back: String = serde_json::from_str(&out).unwrap();
            assert_eq!(back, text, "{out}");
            assert!(!out.contains('<') && !out.contains('\n'), "{out}");
        }
        let mut out = String::new();
        push_bytes(&mut out, b"GET /\xff\xfe HTTP/1.1");
        assert_eq!(out, "\"GET /\u{fffd}\u{fffd} HTTP/1.1\"");
    }

    #[test]
    fn lists_have_commas_between_only() {
        let mut out = String::new();
        push_name(&mut out, '{', "a");
        push_numbers(&mut out, [1, 2]);
        push_name(&mut out, ',', "b");
        push_words(&mut out, []);
        out.push('}');
        assert_eq!(out, r#"{"a":[1,2],"b":[]}"#);
    }
}
