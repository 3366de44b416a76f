//! What the rules look at: the crates, by `cargo metadata`, and the text files of the repository.

use std::{error::Error, fs, path::Path, process::Command};

use serde_json::Value;

use super::source;

/// The repository at one moment.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) crates: Vec<Crate>,
    pub(crate) files: Vec<File>,
}

/// A package of the workspace.
pub(crate) struct Crate {
    /// Its role: the package's name without `leno-`.
    pub(crate) name: String,
    /// Where its manifest lies, relative to the root.
    pub(crate) folder: String,
    /// `package.metadata.leno.layer` of its manifest.
    pub(crate) layer: Option<u64>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a crate needs.
pub(crate) struct Dependency {
    /// A role for our own crates, a package's name for others.
    pub(crate) name: String,
    /// Whether it is a crate of this workspace.
    pub(crate) ours: bool,
    /// Whether only tests need it.
    pub(crate) dev: bool,
}

/// A text file, or a picture, which has no text.
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    /// Reads the tree at `root`.
    pub(crate) fn read(root: &Path) -> Result<Self, Box<dyn Error>> {
        let mut files = Vec::new();
        read_folder(root, "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self {
            crates: read_crates(root)?,
            files,
        })
    }

    /// A tree of these files and no crates.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| File {
                path: (*path).to_owned(),
                text: (*text).to_owned(),
            })
            .collect();
        Self {
            files,
            ..Self::default()
        }
    }

    /// The file at `path`.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust sources, without what `cargo xtask generate` wrote.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &File> {
        self.files
            .iter()
            .filter(|file| file.path.ends_with(".rs") && !file.is_generated())
    }

    /// The crate of this role.
    pub(crate) fn crate_named(&self, name: &str) -> Option<&Crate> {
        self.crates.iter().find(|krate| krate.name == name)
    }
}

impl Crate {
    /// The path of its manifest.
    pub(crate) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    /// Whether it is a piece of Leno: the chores and the test beds around it are in no layer.
    pub(crate) fn is_product(&self) -> bool {
        self.folder.starts_with("crates/")
    }

    /// The manifest's line that names `dependency`.
    pub(crate) fn line_of(&self, tree: &Tree, dependency: &Dependency) -> Option<usize> {
        let package = if dependency.ours && dependency.name != "leno" {
            format!("leno-{}", dependency.name)
        } else {
            dependency.name.clone()
        };
        let names_it = |line: &str| {
            line.strip_prefix(&package)
                .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        };
        tree.file(&self.manifest())?.line_where(names_it)
    }

    /// A product crate without a manifest text, for made-up trees.
    #[cfg(test)]
    pub(crate) fn of(name: &str, layer: u64, dependencies: Vec<Dependency>) -> Self {
        Self {
            name: name.to_owned(),
            folder: format!("crates/{name}"),
            layer: Some(layer),
            dependencies,
        }
    }
}

impl Dependency {
    /// An edge to a crate of this workspace.
    #[cfg(test)]
    pub(crate) fn ours(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ours: true,
            dev: false,
        }
    }

    /// An edge to somebody else's crate.
    #[cfg(test)]
    pub(crate) fn external(name: &str) -> Self {
        Self {
            ours: false,
            ..Self::ours(name)
        }
    }

    /// The same, needed by tests only.
    #[cfg(test)]
    pub(crate) fn for_tests(self) -> Self {
        Self { dev: true, ..self }
    }
}

impl File {
    /// The first line that fulfils `condition`, counted from 1.
    pub(crate) fn line_where(&self, condition: impl Fn(&str) -> bool) -> Option<usize> {
        self.text.lines().position(condition).map(|index| index + 1)
    }

    /// The role of the crate it belongs to, if it is a part of the product: examples and benchmarks
    /// are not.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        let (name, inside) = self.path.strip_prefix("crates/")?.split_once('/')?;
        let beside = ["benches/", "examples/"]
            .iter()
            .any(|folder| inside.starts_with(folder));
        (!beside).then_some(name)
    }

    /// Whether a chore wrote it.
    pub(crate) fn is_generated(&self) -> bool {
        self.text
            .lines()
            .take(3)
            .any(|line| line.contains("@generated"))
    }

    /// Whether all of it is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.split('/').any(|part| part == "tests")
    }

    /// The lines of code outside tests, with their numbers counted from 1; comments and the insides
    /// of texts are blank. Nothing for a file of tests.
    pub(crate) fn code(&self) -> Vec<(usize, String)> {
        if self.is_test() {
            return Vec::new();
        }
        let mut in_test = false;
        let mut code = Vec::new();
        for (index, line) in source::code_lines(&self.text).into_iter().enumerate() {
            in_test |= line == "#[cfg(test)]";
            if in_test {
                let ends_item = line == "}" || (line.ends_with(';') && !line.starts_with(' '));
                in_test = !ends_item;
            } else {
                code.push((index + 1, line));
            }
        }
        code
    }
}

fn read_folder(root: &Path, folder: &str, files: &mut Vec<File>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}{name}");
        if entry.file_type()?.is_dir() {
            if path != "target" && name != ".git" && name != "node_modules" {
                read_folder(root, &format!("{path}/"), files)?;
            }
        } else if is_text(&path) {
            let text = fs::read_to_string(entry.path())
                .map_err(|error| format!("{path} cannot be read: {error}"))?;
            files.push(File { path, text });
        } else if [".png", ".svg"].iter().any(|ending| path.ends_with(ending)) {
            // One can be led to, and has nothing to read.
            files.push(File {
                path,
                text: String::new(),
            });
        }
    }
    Ok(())
}

fn is_text(path: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        ".rs", ".md", ".toml", ".yaml", ".yml", ".proto", ".ts", ".svelte", ".mjs", ".css",
        ".html", ".json",
    ];
    path == "LICENSE" || path == ".ci/run" || ENDINGS.iter().any(|ending| path.ends_with(ending))
}

fn read_crates(root: &Path) -> Result<Vec<Crate>, Box<dyn Error>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata without packages")?;
    packages
        .iter()
        .map(|package| read_crate(root, package))
        .collect()
}

fn read_crate(root: &Path, package: &Value) -> Result<Crate, Box<dyn Error>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = text(&package["manifest_path"]);
    let folder = Path::new(&manifest)
        .strip_prefix(root)?
        .parent()
        .ok_or("a manifest without a folder")?;
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    Ok(Crate {
        name: role(&text(&package["name"])),
        folder: folder.to_string_lossy().into_owned(),
        layer: package["metadata"]["leno"]["layer"].as_u64(),
        dependencies: dependencies
            .map(|dependency| {
                let ours = dependency["path"].is_string();
                let name = text(&dependency["name"]);
                Dependency {
                    name: if ours { role(&name) } else { name },
                    ours,
                    dev: dependency["kind"] == "dev",
                }
            })
            .collect(),
    })
}

fn role(package: &str) -> String {
    package.strip_prefix("leno-").unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_can_be_read() {
        let tree = Tree::read(&crate::shell::root()).unwrap();
        let model = tree.crate_named("model").unwrap();
        assert_eq!(
            (model.folder.as_str(), model.layer),
            ("crates/model", Some(0))
        );
        let compile = tree.crate_named("compile").unwrap();
        let edge = compile
            .dependencies
            .iter()
            .find(|edge| edge.name == "model")
            .unwrap();
        assert!(edge.ours && !edge.dev);
        assert!(compile.line_of(&tree, edge).is_some());
        assert!(tree.file(".ci/run").is_some());
    }

    #[test]
    fn tests_are_no_code() {
        let text = "//! Names.\n#[cfg(test)]\nmod case;\nfn label() {} // a label\n\
            #[cfg(test)]\nmod tests {\n    use super::*;\n}\nfn last() {}\n";
        let tree = Tree::of(&[
            ("crates/model/src/name.rs", text),
            ("crates/store/examples/figures.rs", text),
        ]);
        let [file, example] = tree.files.as_slice() else {
            panic!("there are two");
        };
        assert_eq!(file.crate_name(), Some("model"));
        assert_eq!(example.crate_name(), None);
        let code: Vec<_> = file
            .code()
            .into_iter()
            .map(|(number, line)| format!("{number} {}", line.trim()))
            .collect();
        assert_eq!(code, ["1 ", "4 fn label() {}", "9 fn last() {}"]);
    }
}
