//! Bytes as they are written in a corpus.

/// `\r`, `\n`, `\t`, `\0`, `\\`, `\"`, `\'` and `\xNN`, and `\{N text}` for N times the text, which
/// may have escapes of its own.
pub(crate) fn unescaped(line: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), line);
    while let Some((text, escape)) = rest.split_once('\\') {
        out.extend(text.as_bytes());
        let mut behind = escape.chars();
        match behind.next().expect("an escape") {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            '0' => out.push(0),
            same @ ('\\' | '"' | '\'') => out.push(same as u8),
            'x' => {
                out.push(u8::from_str_radix(&escape[1..3], 16).expect("two digits"));
                behind = escape[3..].chars();
            }
            '{' => {
                let (inside, after) = escape[1..].split_once('}').expect("a closing brace");
                let (count, text) = inside.split_once(' ').expect("a count and a text");
                let count = count.parse().expect("a number");
                out.extend(unescaped(text).repeat(count));
                behind = after.chars();
            }
            other => panic!("no escape: \\{other}"),
        }
        rest = behind.as_str();
    }
    out.extend(rest.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_rust_and_a_repetition() {
        assert_eq!(unescaped(r"a\r\n\0\x7f\\"), b"a\r\n\0\x7f\\");
        assert_eq!(unescaped(r"\{3 a\n}b"), b"a\na\na\nb");
    }
}
