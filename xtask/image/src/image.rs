//! An image: what is in its file system, and what runs there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tar::Tar;

/// An image of one layer, for the processors that this was built for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// The names under which it is known where it was imported, whole ones: `leno.dev/proxy:1.0`.
    pub names: Vec<String>,
    /// Its files, by absolute path.
    pub parts: BTreeMap<String, Part>,
    /// The program that runs, and its first arguments.
    pub entrypoint: Vec<String>,
    /// The user and group that it runs as.
    pub user: u32,
}

/// A file of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it is a program.
    pub runs: bool,
}

impl Image {
    /// Writes it as a tar archive. Errors are those of `out`, and a path that has no room in an archive.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let layer = self.layer()?;
        let layer_digest = digest(&layer);
        let config = text(&json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "User": format!("{0}:{0}", self.user),
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        }));
        let manifest = text(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described("application/vnd.oci.image.config.v1+json", &config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
        }));
        let named = self.names.iter().map(|name| {
            let mut described = described(MANIFEST, &manifest);
            described["annotations"] = json!({
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name.rsplit_once(':').map_or("", |(_, tag)| tag),
            });
            described
        });
        let index = text(&json!({"schemaVersion": 2, "manifests": named.collect::<Vec<_>>()}));
        let mut tar = Tar::new(out);
        tar.directory("blobs", 0o755)?;
        tar.directory("blobs/sha256", 0o755)?;
        let mut blobs = [&layer, &config, &manifest].map(|blob| (path(blob), blob));
        blobs.sort();
        for (path, blob) in blobs {
            tar.file(&path, 0o644, blob)?;
        }
        tar.file("index.json", 0o644, &index)?;
        tar.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        tar.finish()?.flush()
    }

    /// The file system, as an archive: directories before what is in them.
    fn layer(&self) -> io::Result<Vec<u8>> {
        let mut tar = Tar::new(Vec::new());
        let paths = self.parts.keys();
        let directories: BTreeSet<&str> = paths.flat_map(|path| above(relative(path))).collect();
        for directory in directories {
            tar.directory(directory, 0o755)?;
        }
        for (path, part) in &self.parts {
            let mode = if part.runs { 0o755 } else { 0o644 };
            tar.file(relative(path), mode, &part.bytes)?;
        }
        tar.finish()
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// The directories that a path lies in.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// How manifests and indices speak of a blob.
fn described(kind: &str, blob: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(blob), "size": blob.len()})
}

fn path(blob: &[u8]) -> String {
    format!("blobs/{}", digest(blob).replace(':', "/"))
}

fn digest(blob: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(blob) {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// What images call the processors that this was built for.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let program = Part {
            bytes: b"#!/bin/hello\n".to_vec(),
            runs: true,
        };
        let page = Part {
            bytes: b"hello\n".to_vec(),
            runs: false,
        };
        Image {
            names: vec![
                "leno.test/hello:1".to_owned(),
                "leno.test/hello:2".to_owned(),
            ],
            parts: BTreeMap::from([
                ("/usr/share/hello".to_owned(), page),
                ("/usr/bin/hello".to_owned(), program),
            ]),
            entrypoint: vec!["/usr/bin/hello".to_owned()],
            user: 65532,
        }
    }

    fn written(image: &Image) -> Vec<u8> {
        let mut out = Vec::new();
        image.write(&mut out).unwrap();
        out
    }

    #[test]
    fn the_same_image_is_the_same_bytes() {
        assert_eq!(written(&image()), written(&image()));
        let mut other = image();
        other.user = 0;
        assert_ne!(written(&image()), written(&other));
    }

    #[test]
    fn a_layer_has_directories_before_what_is_in_them() {
        let layer = image().layer().unwrap();
        let heads = layer
            .chunks(512)
            .filter(|block| block[257..].starts_with(b"ustar"));
        let names: Vec<_> = heads
            .map(|head| {
                String::from_utf8_lossy(&head[..100])
                    .trim_end_matches('\0')
                    .to_owned()
            })
            .collect();
        let expect = [
            "usr/",
            "usr/bin/",
            "usr/share/",
            "usr/bin/hello",
            "usr/share/hello",
        ];
        assert_eq!(names, expect);
    }
}
