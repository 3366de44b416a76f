//! The images of a cluster: each is made here, and imported from a file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use leno_image::{Image, Part};

use crate::Failure;

/// The image that holds a pod's namespaces, known to every node.
pub(crate) const PAUSE: &str = "leno.test/pause:1";

/// The image of a program that serves and asks, known to every node: `/pod serve 8080`, `/pod get http://cart:8080/`.
pub const POD: &str = "leno.test/pod:1";

/// The name that tests give the image of Leno.
pub const LENO: &str = "leno.test/leno:1";

/// The image of Leno as it was built with the tests; nodes know it once it is imported.
pub fn of_leno() -> Result<Image, Failure> {
    let made = leno_image::of_leno(&[LENO], &leno_e2e::built("leno"), &plugin()?);
    made.map_err(|why| Failure::of("the image of Leno")(io::Error::other(why)))
}

/// The network plugin of nodes, which runs on any.
pub fn plugin() -> Result<PathBuf, Failure> {
    let leno = leno_e2e::built("leno");
    let is_release = leno
        .parent()
        .is_some_and(|folder| folder.ends_with("release"));
    let profile = match is_release {
        true => "release",
        false => "dev",
    };
    // target/PROFILE/leno
    let target = leno.ancestors().nth(2).unwrap_or(&leno);
    let made = leno_image::plugin(profile, target);
    made.map_err(|why| Failure::of("the plugin")(io::Error::other(why)))
}

/// An image of one program, which needs no library: it is `/NAME`, and what runs.
pub fn of_program(names: &[&str], program: &Path, name: &str) -> Result<Image, Failure> {
    let bytes = fs::read(program).map_err(Failure::of(program.display().to_string()))?;
    let path = format!("/{name}");
    Ok(Image {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        parts: BTreeMap::from([(path.clone(), Part { bytes, runs: true })]),
        entrypoint: vec![path],
        user: 65532,
    })
}

/// What every node knows, of the program `pod`.
pub(crate) fn of_every_node(pod: &Path) -> Result<[Image; 2], Failure> {
    let mut pause = of_program(&[PAUSE], pod, "pod")?;
    pause.entrypoint.push("pause".to_owned());
    Ok([pause, of_program(&[POD], pod, "pod")?])
}

/// Writes an image to a file of `folder`.
pub(crate) fn write(image: &Image, folder: &Path) -> Result<PathBuf, Failure> {
    let name: String = image.names.concat();
    let file = folder.join(format!("{}.tar", name.replace(['/', ':'], "-")));
    let written = File::create(&file).and_then(|out| image.write(BufWriter::new(out)));
    written.map_err(Failure::of(file.display().to_string()))?;
    Ok(file)
}
