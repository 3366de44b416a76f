//! The image of Leno: its binary, the libraries that it is linked to, the network plugin of nodes, and what a host has
//! beside them for names and certificates.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::plugin::PLUGIN;
use crate::{Image, Part};

/// What the binary is called in its image.
const PROGRAM: &str = "/leno";

/// Whom it runs as: nobody that an image or a host knows.
const USER: u32 = 65532;

/// How names are looked up: a pod's own `/etc/hosts` first.
const NAMES: &[u8] = b"hosts: files dns\n";

/// Whom the host trusts, as Debian's `ca-certificates` has it: for servers outside the mesh, such as those with keys
/// for tokens.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why an image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// A file that belongs in it cannot be read.
    #[error("{path} cannot be read: {why}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// A program of this host that helps cannot be run, or fails.
    #[error("`{command}` is needed for it and failed: {why}")]
    Tool {
        /// The command.
        command: String,
        /// Why.
        why: String,
    },
    /// The program is linked to a library that this host does not have.
    #[error("{program} is linked to {library}, which is not here", program = program.display())]
    Library {
        /// The program.
        program: PathBuf,
        /// What it is linked to.
        library: String,
    },
    /// A program that hosts run themselves is linked to libraries.
    #[error("{program} is linked to {library}, which not every node has", program = program.display())]
    Linked {
        /// The program.
        program: PathBuf,
        /// What it is linked to.
        library: String,
    },
}

/// The image of Leno under these names, of a binary that runs on this host, and of a [`plugin`](crate::plugin()) that runs on any. What a
/// debugger would need is left out of it. It asks for no user of the image, and for no folder that can be written to.
pub fn of_leno(names: &[&str], binary: &Path, plugin: &Path) -> Result<Image, NotMade> {
    if let Some(library) = libraries(plugin)?.into_iter().next() {
        let program = plugin.to_owned();
        return Err(NotMade::Linked { program, library });
    }
    let mut parts = BTreeMap::from([
        (PROGRAM.to_owned(), program(stripped(binary)?)),
        (format!("/{PLUGIN}"), program(stripped(plugin)?)),
        ("/etc/nsswitch.conf".to_owned(), text(NAMES.to_vec())),
        (ROOTS.to_owned(), text(read(Path::new(ROOTS))?)),
    ]);
    for library in libraries(binary)? {
        let bytes = read(Path::new(&library))?;
        parts.insert(library, program(bytes));
    }
    Ok(Image {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        parts,
        entrypoint: vec![PROGRAM.to_owned()],
        user: USER,
    })
}

fn program(bytes: Vec<u8>) -> Part {
    Part { bytes, runs: true }
}

fn text(bytes: Vec<u8>) -> Part {
    Part { bytes, runs: false }
}

fn read(path: &Path) -> Result<Vec<u8>, NotMade> {
    fs::read(path).map_err(|why| NotMade::File {
        path: path.to_owned(),
        why,
    })
}

/// The bytes of a program without symbols and what debuggers read.
fn stripped(binary: &Path) -> Result<Vec<u8>, NotMade> {
    let out = std::env::temp_dir().join(format!("leno-stripped-{}", std::process::id()));
    let mut strip = Command::new("strip");
    strip.arg("--strip-all").arg("-o").arg(&out).arg(binary);
    let bytes = said(&mut strip).and_then(|_| read(&out));
    // Where it was not made there is none.
    fs::remove_file(&out).ok();
    bytes
}

/// Where the libraries lie that a program is linked to, and what loads them.
fn libraries(binary: &Path) -> Result<Vec<String>, NotMade> {
    let told = said(Command::new("ldd").arg(binary))?;
    named(&told).map_err(|library| NotMade::Library {
        program: binary.to_owned(),
        library: library.to_owned(),
    })
}

/// The paths in what `ldd` says; a library that it does not find is the error.
fn named(told: &str) -> Result<Vec<String>, &str> {
    let mut paths = Vec::new();
    for line in told.lines() {
        let (name, place) = line.trim().split_once(" => ").unwrap_or(("", line.trim()));
        if place == "not found" {
            return Err(name);
        }
        let path = place.split(' ').next().unwrap_or_default();
        // The kernel brings one that is no file.
        if path.starts_with('/') {
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}

/// What a command prints.
pub(crate) fn said(command: &mut Command) -> Result<String, NotMade> {
    let line = format!("{command:?}");
    let failed = |why: String| NotMade::Tool { command: line, why };
    match command.env("LC_ALL", "C").output() {
        Err(why) => Err(failed(why.to_string())),
        Ok(ended) if ended.status.success() => {
            Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
        }
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stderr);
            Err(failed(format!("{} {}", ended.status, said.trim())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin;

    #[test]
    fn libraries_are_those_that_ldd_names() {
        let told = "\tlinux-vdso.so.1 (0x00007f2ac1920000)\n\
                    \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f2abc120000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f2ac1922000)\n";
        let expect = [
            "/lib/x86_64-linux-gnu/libm.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(named(told).unwrap(), expect);
        assert_eq!(named("\tlibz.so.1 => not found\n"), Err("libz.so.1"));
        assert_eq!(named("\tstatically linked\n").unwrap(), [""; 0]);
    }

    #[test]
    fn an_image_holds_a_program_and_all_that_loads_it() {
        let own = std::env::current_exe().unwrap();
        let target = own.ancestors().find(|folder| folder.join("debug").is_dir());
        let plugin = plugin("dev", target.unwrap()).unwrap();
        let image = of_leno(&["leno.test/leno:1"], &own, &plugin).unwrap();
        let paths: Vec<_> = image.parts.keys().map(String::as_str).collect();
        assert!(
            paths.iter().any(|path| path.ends_with("/libc.so.6")),
            "{paths:?}"
        );
        assert!(
            paths.iter().any(|path| path.contains("/ld-linux")),
            "{paths:?}"
        );
        for path in ["/leno", "/leno-cni", ROOTS] {
            assert!(paths.contains(&path), "{paths:?}");
        }
        assert!(image.parts["/leno"].bytes.len() < read(&own).unwrap().len());
        assert_eq!(image.entrypoint, ["/leno"]);
        let nothing = of_leno(&[], Path::new("/no/such/program"), &plugin).unwrap_err();
        assert!(nothing.to_string().contains("strip"), "{nothing}");
        let linked = of_leno(&[], &own, &own).unwrap_err();
        assert!(matches!(linked, NotMade::Linked { .. }), "{linked}");
    }
}
