//! Rust text, understood as far as the rules need: what is code and what is not, words, paths,
//! functions, matches. Knows nothing of the rules. It reads what rustfmt writes, not all of Rust.

/// One file.
pub(crate) struct Source {
    /// As written from the project's root.
    pub(crate) path: String,
    pub(crate) text: String,
    /// `text` with comments and literals made blank; a `"` stands where a literal began.
    code: String,
}

/// A word, a punctuation character, or one of `::` and `=>`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// A path with `::`, or one that `use` names. Trees in braces are written out.
#[derive(Debug)]
pub(crate) struct NamedPath<'a> {
    pub(crate) segments: Vec<&'a str>,
    pub(crate) line: usize,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// What one arm of a `match` matches.
pub(crate) struct Arm<'a> {
    /// Without its guard.
    pub(crate) pattern: Vec<Token<'a>>,
    pub(crate) is_guarded: bool,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Source { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        for (text, line) in self.code.lines().zip(1..) {
            let mut rest = text.trim_start();
            while let Some(first) = rest.chars().next() {
                let length = if is_word(first) {
                    rest.find(|byte| !is_word(byte)).unwrap_or(rest.len())
                } else if rest.starts_with("::") || rest.starts_with("=>") {
                    2
                } else {
                    first.len_utf8()
                };
                tokens.push(Token { text: &rest[..length], line });
                rest = rest[length..].trim_start();
            }
        }
        tokens
    }

    pub(crate) fn paths(&self) -> Vec<NamedPath<'_>> {
        let tokens = self.tokens();
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
        let mut paths = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let used = at > 0 && text(at - 1) == "use";
            if is_name(text(at)) && (used || text(at + 1) == "::") {
                at = write_out(&tokens, at, &mut Vec::new(), &mut paths);
            } else {
                at += 1;
            }
        }
        paths
    }

    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        let tokens = self.tokens();
        let mut functions = Vec::new();
        for (at, pair) in tokens.windows(2).enumerate() {
            if pair[0].text == "fn" && is_name(pair[1].text) {
                // A declaration without a body ends with a semicolon.
                let Some(open) = find_outside(&tokens, at, &["{", ";"]) else { continue };
                if tokens[open].text == "{" {
                    let last = tokens[close_of(&tokens, open)].line;
                    functions.push(Function { name: pair[1].text, first: pair[0].line, last });
                }
            }
        }
        functions
    }

    /// The arms of every `match`.
    pub(crate) fn matches(&self) -> Vec<Vec<Arm<'_>>> {
        let tokens = self.tokens();
        let mut matches = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            if token.text == "match"
                && let Some(open) = find_outside(&tokens, at + 1, &["{"])
            {
                matches.push(arms(&tokens[open + 1..close_of(&tokens, open)]));
            }
        }
        matches
    }

    /// The enums that this file declares, each with its variants.
    pub(crate) fn enums(&self) -> Vec<(String, Vec<String>)> {
        let tokens = self.tokens();
        let mut enums = Vec::new();
        for (at, pair) in tokens.windows(2).enumerate() {
            if pair[0].text == "enum"
                && is_name(pair[1].text)
                && let Some(open) = find_outside(&tokens, at, &["{"])
            {
                let variants = variants(&tokens[open + 1..close_of(&tokens, open)]);
                enums.push((pair[1].text.to_owned(), variants));
            }
        }
        enums
    }

    /// The public fields of the struct `name`, if it is declared here.
    pub(crate) fn fields(&self, name: &str) -> Vec<Token<'_>> {
        let tokens = self.tokens();
        let declares = |pair: &[Token<'_>]| pair[0].text == "struct" && pair[1].text == name;
        let Some(at) = tokens.windows(2).position(declares) else { return Vec::new() };
        let Some(open) = find_outside(&tokens, at, &["{"]) else { return Vec::new() };
        let body = &tokens[open + 1..close_of(&tokens, open)];
        let public = body.windows(3).filter(|three| three[0].text == "pub" && three[2].text == ":");
        public.map(|three| three[1]).collect()
    }
}

/// `text` with comments made blank, and literals too but for a `"` where each began. Lines stay.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = code.ends_with(is_word);
        let literal = if in_word { quoted(rest) } else { prefixed(rest).or_else(|| quoted(rest)) };
        let opaque = literal.or_else(|| comment(rest)).unwrap_or(0);
        if opaque == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let blanked = rest[..opaque].chars().map(|char| if char == '\n' { '\n' } else { ' ' });
        if literal.is_some() {
            code.push('"');
            code.extend(blanked.skip(1));
        } else {
            code.extend(blanked);
        }
        rest = &rest[opaque..];
    }
    code
}

/// The length of the comment that `rest` begins with.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    let inside = rest.strip_prefix("/*")?;
    let mut depth = 1;
    for (at, pair) in inside.as_bytes().windows(2).enumerate() {
        depth += i32::from(pair == b"/*") - i32::from(pair == b"*/");
        if depth == 0 {
            return Some(2 + at + 2);
        }
    }
    Some(rest.len())
}

/// The length of the string or character that `rest` begins with.
fn quoted(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut inside = rest.char_indices().skip(1);
    let (mut length, mut escaped) = (0, false);
    for (at, char) in inside.by_ref() {
        length += 1;
        if char == quote && !escaped {
            return Some(at + 1);
        }
        // After one plain character without a quote, `'` was a lifetime's.
        if quote == '\'' && length == 2 && rest.as_bytes()[1] != b'\\' {
            return None;
        }
        escaped = char == '\\' && !escaped;
    }
    (quote == '"').then_some(rest.len())
}

/// The length of the literal that `rest` begins with if it has a prefix, as in `br#"…"#`.
fn prefixed(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let Some(raw) = after.strip_prefix('r') else {
        let length = if after.len() < rest.len() { quoted(after)? } else { return None };
        return Some(1 + length);
    };
    let text = raw.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(raw.len() - text.len()));
    let inside = text.strip_prefix('"')?;
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(rest.len() - inside.len() + length)
}

/// Adds every path of the tree at `at` to `paths`; gives where the tree ends.
fn write_out<'a>(
    tokens: &[Token<'a>],
    mut at: usize,
    before: &mut Vec<&'a str>,
    paths: &mut Vec<NamedPath<'a>>,
) -> usize {
    let known = before.len();
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|token| token.text != "}") {
                at = write_out(tokens, at, before, paths);
                at = find_outside(tokens, at, &[",", "}"]).unwrap_or(tokens.len());
                at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
            }
            before.truncate(known);
            return at + 1;
        }
        before.push(token.text);
        if tokens.get(at + 1).is_none_or(|next| next.text != "::") {
            paths.push(NamedPath { segments: before.clone(), line: token.line });
            at += 1;
            break;
        }
        at += 2;
    }
    before.truncate(known);
    at
}

/// The arms of a match with this body.
fn arms<'a>(body: &[Token<'a>]) -> Vec<Arm<'a>> {
    let mut arms = Vec::new();
    let mut at = 0;
    while let Some(arrow) = find_outside(body, at, &["=>"]) {
        let pattern = &body[at..arrow];
        let guard = pattern.iter().position(|token| token.text == "if");
        let pattern = pattern[..guard.unwrap_or(pattern.len())].to_vec();
        arms.push(Arm { pattern, is_guarded: guard.is_some() });
        at = match body.get(arrow + 1) {
            Some(token) if token.text == "{" => close_of(body, arrow + 1) + 1,
            Some(_) | None => find_outside(body, arrow + 1, &[","]).unwrap_or(body.len()),
        };
        at += usize::from(body.get(at).is_some_and(|token| token.text == ","));
    }
    arms
}

/// The variants of an enum with this body.
fn variants(body: &[Token<'_>]) -> Vec<String> {
    let mut variants = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let end = find_outside(body, at, &[","]).unwrap_or(body.len());
        let mut name = at;
        while name < end && body[name].text == "#" {
            name = close_of(body, name + 1) + 1;
        }
        variants.extend(body[name..end].first().map(|token| token.text.to_owned()));
        at = end + 1;
    }
    variants
}

/// Where one of `wanted` first stands from `from` on, outside every bracket opened since.
fn find_outside(tokens: &[Token<'_>], from: usize, wanted: &[&str]) -> Option<usize> {
    let mut at = from;
    while at < tokens.len() {
        if wanted.contains(&tokens[at].text) {
            return Some(at);
        }
        at = if matches!(tokens[at].text, "(" | "[" | "{") { close_of(tokens, at) } else { at } + 1;
    }
    None
}

/// Where the bracket closes that opens at `open`.
fn close_of(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

#[test]
fn comments_and_literals_are_no_code() {
    let code = |text| Source::new("a.rs", text).code;
    assert_eq!(code("a // b\nc"), "a     \nc");
    assert_eq!(code("a /* /* b */ \n */ c"), "a            \n    c");
    assert_eq!(code(r#"f("a\"b", x)"#), r#"f("     , x)"#);
    assert_eq!(code("f(br#\"a\"b\"#, x)"), "f(\"        , x)");
    assert_eq!(code("'a' '\\'' '\\u{1}' &'a str"), "\"   \"    \"       &'a str");
    assert_eq!(code("b'{' b\"}\" for\"x\""), "\"    \"    for\"  ");
}

#[test]
fn paths_are_written_out_of_their_trees() {
    let source = Source::new("a.rs", "use a::{b::{self, c as d}, e::*};\nuse f;\nlet x = g::h();");
    let paths = source.paths();
    let written: Vec<String> =
        paths.iter().map(|path| format!("{} {}", path.line, path.segments.join("::"))).collect();
    assert_eq!(written, ["1 a::b::self", "1 a::b::c", "1 a::e::*", "2 f", "3 g::h"]);
}

#[test]
fn functions_matches_and_enums_are_found() {
    let text = "\
fn a<F: Fn(u8)>(f: [u8; 2])
{
    match f(|| { 1 }) {
        A::B { .. } | A::C(1) if x => { 1 }
        _ => g(2, 3),
    }
}
fn declared();
enum A {
    #[x(y)] B { c: (u8, u8) },
    C(u8),
}";
    let source = Source::new("a.rs", text);
    let functions = source.functions();
    assert_eq!(functions.len(), 1);
    assert_eq!((functions[0].name, functions[0].first, functions[0].last), ("a", 1, 7));
    let matches = source.matches();
    let text = |arm: &Arm<'_>| arm.pattern.iter().map(|token| token.text).collect::<String>();
    let texts: Vec<String> = matches[0].iter().map(text).collect();
    assert_eq!(texts, ["A::B{..}|A::C(1)", "_"]);
    assert_eq!(source.enums(), [("A".into(), vec!["B".into(), "C".into()])]);
}
