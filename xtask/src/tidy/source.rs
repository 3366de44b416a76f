//! Just enough of Rust's grammar to tell code from comments and texts, line by line.

/// The lines of `text` with comments and the insides of texts and characters taken out, without
/// white space at their ends. There are as many lines as before.
pub(crate) fn code_lines(text: &str) -> Vec<String> {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => quoted(rest, '"'),
            '\'' => character(rest),
            'r' | 'b' | 'c' if !code.ends_with(in_word) => raw_text(rest),
            _ => 0,
        };
        if taken == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (gone, after) = rest.split_at(taken);
        if !gone.starts_with('/') {
            code.push_str(if first == '\'' { "''" } else { "\"\"" });
        }
        code.extend(gone.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    code.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// Whether `c` can be part of a name.
pub(crate) fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `word` stands in `line` as a whole word.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(in_word) && !line[at + word.len()..].starts_with(in_word)
    })
}

/// How long the block comment at the beginning of `text` is; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// How long the text between two `quote`s at the beginning of `text` is, with both.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long the character at the beginning of `text` is; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(text, '\''),
        _ => 0,
    }
}

/// How long the raw text at the beginning of `text` is; 0 if there is none.
fn raw_text(text: &str) -> usize {
    let marks = text.trim_start_matches(['b', 'c']);
    let Some(hashes) = marks.strip_prefix('r') else {
        return 0;
    };
    let inside = hashes.trim_start_matches('#');
    if !inside.starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes.len() - inside.len()));
    let before = text.len() - inside.len() + 1;
    text[before..]
        .find(&end)
        .map_or(text.len(), |at| before + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        assert_eq!(code_lines(text), expect, "{text}");
    }

    #[test]
    fn comments_and_texts_are_taken_out() {
        check("let a = 1; // one", &["let a = 1;"]);
        check("a /* x\n /* y */ z\n */ b", &["a", "", " b"]);
        check(r#"say("a \" // b") + 1"#, &["say(\"\") + 1"]);
        check("say(\"two\nlines\");", &["say(\"\"", ");"]);
        check(r##"say(r#"a " b"#, br"x")"##, &["say(\"\", \"\")"]);
        check("for 'a in \"b\"", &["for 'a in \"\""]);
        check(r"['{', '\'', 'x', b'\\']", &["['', '', '', b'']"]);
        check("fn f<'a>(x: &'a str) {", &["fn f<'a>(x: &'a str) {"]);
        check("let r = bar;", &["let r = bar;"]);
        check("\"never closed", &["\"\""]);
    }

    #[test]
    fn a_word_is_whole() {
        assert!(has_word("unsafe { x }", "unsafe"));
        assert!(!has_word("#![deny(unsafe_code)]", "unsafe"));
        assert!(!has_word("is_unsafe", "unsafe"));
    }
}
