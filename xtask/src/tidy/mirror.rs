//! The code's shape, printed and never judged: where a reader should look for something to split.

use super::{source::in_word, tree::Tree};

/// How many of each are shown.
const SHOWN: usize = 5;

/// A function, measured in lines and braces.
struct Function {
    place: String,
    lines: usize,
    /// The most braces that stand open inside its own.
    depth: usize,
}

/// The largest files, the longest functions and the deepest nesting outside tests.
pub(crate) fn show(tree: &Tree) -> String {
    let mut files = Vec::new();
    let mut functions = Vec::new();
    for file in tree.sources() {
        let code = file.code();
        files.push((code.len(), file.path.clone()));
        functions.extend(measure(&file.path, &code));
    }
    files.sort_by(|a, b| b.cmp(a));
    let mut text = section("Largest files, in lines without tests", &files);
    let by = |measure: fn(&Function) -> usize| {
        let mut rows: Vec<_> = functions
            .iter()
            .map(|function| (measure(function), function.place.clone()))
            .collect();
        rows.sort_by(|a, b| b.cmp(a));
        rows
    };
    text += &section(
        "Longest functions, in lines",
        &by(|function| function.lines),
    );
    text += &section("Deepest nesting, in braces", &by(|function| function.depth));
    text
}

fn section(title: &str, rows: &[(usize, String)]) -> String {
    let mut text = format!("{title}\n");
    for (size, what) in rows.iter().take(SHOWN) {
        text += &format!("  {size:>5}  {what}\n");
    }
    text
}

/// Every function of a file. One inside another is measured for itself too.
fn measure(path: &str, code: &[(usize, String)]) -> Vec<Function> {
    let mut found: Vec<Function> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut announced: Option<(usize, String)> = None;
    let (mut depth, mut brackets) = (0usize, 0usize);
    for (number, line) in code {
        for (at, c) in line.char_indices() {
            match c {
                'f' if !line[..at].ends_with(in_word) => {
                    let name = function_name(&line[at..]);
                    let place = name.map(|name| (*number, format!("{path}:{number} {name}")));
                    announced = place.or(announced);
                }
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                ';' if brackets == 0 => announced = None,
                '{' => {
                    depth += 1;
                    if let Some((line, place)) = announced.take() {
                        let index = found.len();
                        found.push(Function {
                            place,
                            lines: 0,
                            depth: 0,
                        });
                        open.push(Open { index, line, depth });
                    }
                    for function in &open {
                        let inside = depth - function.depth;
                        found[function.index].depth = found[function.index].depth.max(inside);
                    }
                }
                '}' => {
                    if let Some(function) = open.pop_if(|function| function.depth == depth) {
                        found[function.index].lines = number - function.line + 1;
                    }
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
        }
    }
    found
}

/// A function whose body has begun and not ended.
struct Open {
    index: usize,
    line: usize,
    depth: usize,
}

/// The name of the function that `code` declares at its beginning; a function type has none.
fn function_name(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("fn ")?;
    let name = rest.split(|c| !in_word(c)).next()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured() {
        let text = "\
//! Doc.
fn long(a: [u8; 2]) {
    if a {
        for b in c {
        }
    }
}
trait T { fn none(&self); const F: fn(); }
fn outer() {
    fn inner() {
    }
}
";
        let tree = Tree::of(&[("a.rs", text)]);
        let functions = measure("a.rs", &tree.files[0].code());
        let shown: Vec<_> = functions
            .iter()
            .map(|function| format!("{} {} {}", function.place, function.lines, function.depth))
            .collect();
        assert_eq!(
            shown,
            ["a.rs:2 long 6 2", "a.rs:9 outer 4 1", "a.rs:10 inner 2 0"]
        );
    }

    #[test]
    fn the_mirror_shows_each_kind() {
        let tree = Tree::of(&[("a.rs", "//! Doc.\nfn a() {\n}\n")]);
        assert_eq!(
            show(&tree),
            "Largest files, in lines without tests\n      3  a.rs\n\
             Longest functions, in lines\n      2  a.rs:2 a\n\
             Deepest nesting, in braces\n      0  a.rs:2 a\n"
        );
    }
}
