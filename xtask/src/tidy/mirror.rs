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
    let mut ruler = Ruler::default();
    for (number, line) in code {
        for (at, c) in line.char_indices() {
            match c {
                '(' | '[' => ruler.brackets += 1,
                ')' | ']' => ruler.brackets = ruler.brackets.saturating_sub(1),
                ';' if ruler.brackets == 0 => ruler.announced = None,
                '{' => ruler.open(),
                '}' => ruler.close(*number),
                'f' if !line[..at].ends_with(in_word) => {
                    if let Some(name) = function_name(&line[at..]) {
                        ruler.announced = Some((*number, format!("{path}:{number} {name}")));
                    }
                }
                _ => {}
            }
        }
    }
    ruler.found
}

/// Goes through a file brace by brace.
#[derive(Default)]
struct Ruler {
    found: Vec<Function>,
    /// Functions whose body has begun and not ended, the innermost last.
    open: Vec<Open>,
    /// A function that was named and has no body yet: its line and place.
    announced: Option<(usize, String)>,
    depth: usize,
    brackets: usize,
}

struct Open {
    index: usize,
    line: usize,
    depth: usize,
}

impl Ruler {
    fn open(&mut self) {
        self.depth += 1;
        if let Some((line, place)) = self.announced.take() {
            self.open.push(Open {
                index: self.found.len(),
                line,
                depth: self.depth,
            });
            self.found.push(Function {
                place,
                lines: 0,
                depth: 0,
            });
        }
        for function in &self.open {
            let measured = &mut self.found[function.index];
            measured.depth = measured.depth.max(self.depth - function.depth);
        }
    }

    fn close(&mut self, number: usize) {
        let depth = self.depth;
        if let Some(function) = self.open.pop_if(|function| function.depth == depth) {
            self.found[function.index].lines = number - function.line + 1;
        }
        self.depth = depth.saturating_sub(1);
    }
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
