//! Keys and certificates on disk.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use leno_channel::{files, generate_key};

use crate::mesh::{HOUR, Mesh};

/// An empty folder of this test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        Ok(()) | Err(_) => {}
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_credential_is_written_and_read_again() {
    let mesh = Mesh::new("shop.local");
    let credential = mesh.credential("web", HOUR);
    let folder = folder("credential");
    let (key, chain) = (folder.join("key.pem"), folder.join("chain.pem"));
    // What stood there before, for all to read, is replaced.
    fs::write(&key, "old").unwrap();
    fs::write(folder.join("key.pem.new"), "left over").unwrap();
    files::write_key(&key, credential.key()).unwrap();
    files::write_certificates(&chain, credential.chain()).unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    let again = files::read_credential(&key, &chain).unwrap();
    assert_eq!(again.id(), &mesh.id("web"));
    assert_eq!(again.chain(), credential.chain());
    assert_eq!(again.validity(), credential.validity());
}

#[test]
fn a_file_that_cannot_be_used_says_so() {
    let mesh = Mesh::new("shop.local");
    let folder = folder("unusable");
    let at = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (key, chain) = (folder.join("key.pem"), folder.join("chain.pem"));
    let credential = mesh.credential("web", HOUR);
    files::write_key(&key, credential.key()).unwrap();
    files::write_certificates(&chain, credential.chain()).unwrap();
    let other = folder.join("other.pem");
    files::write_key(&other, &generate_key()).unwrap();

    let check = |key: &Path, chain: &Path, expect: &str| {
        let why = files::read_credential(key, chain).unwrap_err();
        let told = format!("{} ({}) {why}", why.code(), why.fault());
        assert_eq!(told.replace(folder.to_str().unwrap(), ""), expect);
    };
    check(
        &folder.join("none.pem"),
        &chain,
        "C010 (configuration) /none.pem cannot be read: No such file or directory (os error 2)",
    );
    check(
        &chain,
        &chain,
        "C007 (configuration) /chain.pem was expected to hold a private key in PEM, and does not",
    );
    check(
        &key,
        &key,
        "C007 (configuration) /key.pem was expected to hold certificates in PEM, and does not",
    );
    let cut = fs::read_to_string(&chain).unwrap();
    check(
        &key,
        &at("cut.pem", &cut[..cut.len() - 40]),
        "C007 (configuration) /cut.pem was expected to hold certificates in PEM, and does not",
    );
    check(
        &other,
        &chain,
        "T010 (configuration) /chain.pem: the key is not that of the first certificate",
    );
    check(
        &at("long.pem", &"-".repeat(1024 * 1024 + 1)),
        &chain,
        "C010 (configuration) /long.pem has more than 1048576 bytes",
    );
}
