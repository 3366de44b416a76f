//! Cuts a file into documents at the markers.
//!
//! A marker at the start of a line is never content (YAML 1.2 production `c-forbidden`), so
//! this needs no parser and cannot be misled by what an earlier document left open.

use core::iter;

/// Lines that hold one document, and which line of the file comes first.
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) first_line: u32,
}

/// The pieces of a file. Directives and comments stay with the document below them.
pub(crate) fn pieces(file: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut line = 1;
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (length, lines) = first_piece(rest);
        let (bytes, behind) = rest.split_at(length);
        let piece = Piece {
            bytes,
            first_line: line,
        };
        rest = behind;
        line += lines;
        Some(piece)
    })
}

/// How many bytes and lines the first piece has.
fn first_piece(text: &[u8]) -> (usize, u32) {
    let (mut length, mut count) = (0, 0);
    let mut content = false;
    for line in lines(text) {
        if content && is_marker(line, b"---") {
            break;
        }
        length += line.len();
        count += 1;
        if is_marker(line, b"...") {
            break;
        }
        content |= !is_preamble(line);
    }
    (length, count)
}

/// The lines of a text, each with its end: LF, CR LF or CR (YAML 1.2 production `b-break`).
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    iter::from_fn(move || {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let length = match end.and_then(|end| rest.get(end..)) {
            None => rest.len(),
            Some(behind) if behind.starts_with(b"\r\n") => rest.len() - behind.len() + 2,
            Some(behind) => rest.len() - behind.len() + 1,
        };
        let (line, behind) = rest.split_at_checked(length)?;
        rest = behind;
        (!line.is_empty()).then_some(line)
    })
}

fn is_marker(line: &[u8], marker: &[u8; 3]) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Whether the line may stand above the `---` of its own document.
fn is_preamble(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    matches!(line.first(), None | Some(b'#' | b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, expect: &[(u32, &str)]) {
        let pieces = pieces(file.as_bytes())
            .map(|piece| (piece.first_line, core::str::from_utf8(piece.bytes).unwrap()))
            .collect::<Vec<_>>();
        assert_eq!(pieces, expect, "{file:?}");
    }

    #[test]
    fn a_file_is_cut_at_its_markers() {
        check("", &[]);
        check("a: 1\n", &[(1, "a: 1\n")]);
        check("a: 1\n---\nb: 2", &[(1, "a: 1\n"), (2, "---\nb: 2")]);
        check("---\na\n--- b\n", &[(1, "---\na\n"), (3, "--- b\n")]);
        check(
            "---\r\na\r\n---\r\nb",
            &[(1, "---\r\na\r\n"), (3, "---\r\nb")],
        );
        check("a\r---\rb", &[(1, "a\r"), (2, "---\rb")]);
        check("a\n...\nb\n", &[(1, "a\n...\n"), (3, "b\n")]);
        check("a: '\n---\nb", &[(1, "a: '\n"), (2, "---\nb")]);
    }

    #[test]
    fn what_only_looks_like_a_marker_is_content() {
        check("a\n ---\nb\n", &[(1, "a\n ---\nb\n")]);
        check("a\n----\nb\n", &[(1, "a\n----\nb\n")]);
        check("a\n---b\n", &[(1, "a\n---b\n")]);
    }

    #[test]
    fn directives_and_comments_stay_with_what_follows() {
        check(
            "# of a\n%YAML 1.2\n---\na\n",
            &[(1, "# of a\n%YAML 1.2\n---\na\n")],
        );
        check("\u{feff}a\n", &[(1, "a\n")]);
    }
}
