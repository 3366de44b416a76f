//! Documents of YAML and what they mean.

use leno_compile::compile;
use leno_model::Namespace;
use leno_resources::Resources;

use super::Target;
use super::wire::MESH;

pub(super) const TARGET: Target = Target {
    name: "documents",
    holds: "every file is read to its end, each complaint has a place in it, and what is left means something",
    seeds: || {
        MESH.split("---\n")
            .map(|text| text.trim_start().as_bytes().to_vec())
            .collect()
    },
    words: &[
        "---\n",
        "kind: ",
        "spec: ",
        "&a [*a]",
        "*a",
        "!!binary ",
        "|\n",
        ">-\n",
        "? ",
        "- ",
        "{",
        "[",
        "'",
        "\"",
        "#",
        "%YAML 1.2\n",
        "<<: ",
        "~",
        "0x10",
        ".inf",
        "\u{feff}",
        "metadata: {name: b}\n",
        "namespace: ops",
    ],
    check,
};

fn check(input: &[u8]) -> bool {
    // YAML ends a line with CR, too.
    let lines = input.split(|byte| b"\r\n".contains(byte)).count();
    let files = [("a.yaml", input.to_vec())];
    let (resources, mut notes) = Resources::read(files, &Namespace::default_namespace());
    let is_empty = resources.is_empty();
    let (_, meant) = compile(&resources);
    notes.extend(meant);
    for note in notes.iter() {
        let origin = note.origin.as_ref();
        let place = origin.and_then(|origin| origin.place.as_ref());
        let line = place.map_or(1, |place| place.line as usize);
        assert!((1..=lines + 1).contains(&line), "{note:?}");
    }
    !is_empty
}
