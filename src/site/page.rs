//! What the pages that this server makes itself have in common: their frame, their colours, and how
//! text gets into them. What they are about is not known here.

/// The fields of every such page, but for Content-Type. Whatever might slip into one, the browser
/// runs no script of it and sends nothing anywhere.
macro_rules! page_fields {
    ($($more:literal)*) => {
        concat!(
            "Content-Type: text/html; charset=utf-8\r\n",
            "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; ",
            "img-src 'self'; base-uri 'none'; form-action 'none'\r\n",
            "X-Content-Type-Options: nosniff\r\n",
            $($more,)*
        )
        .as_bytes()
    };
}
pub(crate) use page_fields;

/// Colours and type, light and dark. Each pair of ink and ground has a contrast of 4.5 : 1 or more.
const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#fbfbfa;--card:#fff;--ink:#1b1d22;--soft:#61656e;\
--line:#e4e4e1;--accent:#0a5fbf;--tint:#0a5fbf12}\
@media(prefers-color-scheme:dark){:root{--ground:#131418;--card:#1a1c21;--ink:#e8e9ec;\
--soft:#9da1ab;--line:#2b2e35;--accent:#7db8ff;--tint:#7db8ff1a}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--ground);color:var(--ink);\
font:1rem/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",sans-serif;\
-webkit-text-size-adjust:100%}\
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}\
a:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}\
h1{line-height:1.2;letter-spacing:-.01em;margin:0;overflow-wrap:anywhere}\n";

/// A page up to the inside of its body: with `title` as text, and `style` after the common one.
pub(crate) fn open(title: &str, style: &str) -> String {
    open_plain(title, &[STYLE, style])
}

/// The same with these styles alone.
pub(crate) fn open_plain(title: &str, styles: &[&str]) -> String {
    let mut page = String::with_capacity(4096);
    page.push_str(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
    );
    push_text(&mut page, title);
    page.push_str("</title>\n<style>\n");
    page.extend(styles.iter().copied());
    page.push_str("</style>\n</head>\n<body>\n");
    page
}

/// The end of what [`open`] began.
pub(crate) fn close(page: &mut String) {
    page.push_str("</body>\n</html>\n");
}

/// Appends `text` as text: fit for an element's content and for an attribute in quotes. Control
/// characters, which HTML has no way to write, are shown by their pictures (U+2400 and on); what
/// would turn the direction of text round is shown as what it is not, so that no name can pass for
/// another.
pub(crate) fn push_text(page: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            '\u{7f}' => page.push('\u{2421}'),
            '\0'..' ' => page.extend(char::from_u32(0x2400 + u32::from(character))),
            // The C1 controls have no pictures, nor have embeddings, overrides and isolates.
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                page.push(char::REPLACEMENT_CHARACTER);
            }
            _ => page.push(character),
        }
    }
}

/// A number of bytes to be read: three digits at most, and a unit.
pub(crate) fn readable(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, rounded. A value that would take four digits goes to the next unit.
    let mut unit = 1u128;
    for name in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        unit <<= 10;
        let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
        let whole = (u128::from(bytes) + unit / 2) / unit;
        if tenths < 100 {
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
        if whole < 1000 {
            return format!("{whole} {name}");
        }
    }
    // Not reached: 64 bits count 16 EiB.
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut page = String::new();
        push_text(&mut page, "<b a=\"1\" c='2'>&amp;\n\0\u{7f}\u{85}\u{202e}ä");
        assert_eq!(
            page,
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;\u{240a}\u{2400}\u{2421}\u{fffd}\
             \u{fffd}ä"
        );
    }

    #[test]
    fn a_page_needs_nothing_from_outside() {
        let mut page = open("</title><script>", "main{margin:0}\n");
        close(&mut page);
        assert!(page.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
        assert!(page.contains("main{margin:0}\n</style>"));
        assert!(page.ends_with("</html>\n"));
        for outside in ["src=", "url(", "@import", "<link", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn numbers_of_bytes_take_three_digits_at_most() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_188, "9.9 KiB"),
            (10_189, "10 KiB"),
            (1_023_487, "999 KiB"),
            (1_023_488, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(readable(bytes), text, "{bytes}");
        }
    }
}
