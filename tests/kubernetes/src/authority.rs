//! The certificates of a cluster: an authority of its own, who its components are, and how each reaches the API server.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use crate::Failure;

/// Signs who the components are. It lives as long as the cluster is being started, and keeps its key in `folder`.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// Whom a certificate names.
pub(crate) struct Subject<'a> {
    /// What its files are called.
    pub(crate) file: &'a str,
    /// The name of the user, to the API server.
    pub(crate) user: &'a str,
    /// The user's group, if that decides what it may do.
    pub(crate) group: Option<&'a str>,
    /// The names and addresses under which it is called.
    pub(crate) called: &'a [&'a str],
}

impl Authority {
    /// Makes one in `folder`, which nobody else may read.
    pub(crate) fn establish(folder: PathBuf) -> Result<Self, Failure> {
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(Failure::of(folder.display().to_string()))?;
        let mut params = params("leno-cluster", None, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = key()?;
        let certificate = params.self_signed(&key).map_err(of_rcgen)?;
        write(&folder.join("ca.pem"), "CERTIFICATE", certificate.der())?;
        write_key(&folder.join("ca.key"), &key)?;
        Ok(Self {
            folder,
            issuer: Issuer::new(params, key),
        })
    }

    /// Certifies somebody: `FILE.pem` and `FILE.key`.
    pub(crate) fn certify(&self, subject: &Subject<'_>) -> Result<(), Failure> {
        let mut params = params(subject.user, subject.group, subject.called)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = key()?;
        let signed = params.signed_by(&key, &self.issuer).map_err(of_rcgen)?;
        let file = |ending| self.folder.join(format!("{}.{ending}", subject.file));
        write(&file("pem"), "CERTIFICATE", signed.der())?;
        write_key(&file("key"), &key)
    }

    /// Certifies somebody, and writes how it reaches the API server at `url`: `FILE.kubeconfig`, JSON, which is YAML as well.
    pub(crate) fn introduce(&self, subject: &Subject<'_>, url: &str) -> Result<PathBuf, Failure> {
        self.certify(subject)?;
        let file = subject.file;
        let path = |name: String| self.folder.join(name);
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {
                "server": url,
                "certificate-authority": path("ca.pem".to_owned()),
            }}],
            "users": [{"name": file, "user": {
                "client-certificate": path(format!("{file}.pem")),
                "client-key": path(format!("{file}.key")),
            }}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": file}}],
            "current-context": "test",
        });
        let at = path(format!("{file}.kubeconfig"));
        let written = fs::write(&at, kubeconfig.to_string());
        written.map_err(Failure::of(at.display().to_string()))?;
        Ok(at)
    }

    /// A key that signs tokens of service accounts, `FILE.key`, and its public half, `FILE.pub`.
    pub(crate) fn signer(&self, file: &str) -> Result<(), Failure> {
        let key = key()?;
        let public = rcgen::PublicKeyData::subject_public_key_info(&key);
        let at = self.folder.join(format!("{file}.pub"));
        write(&at, "PUBLIC KEY", &public)?;
        write_key(&self.folder.join(format!("{file}.key")), &key)
    }
}

/// A certificate that nobody else has signed, for a server that nobody has to believe, and its key: PEM.
pub(crate) fn self_signed(name: &str) -> Result<(String, String), Failure> {
    let key = key()?;
    let certificate = params(name, None, &[name])?.self_signed(&key);
    let certificate = certificate.map_err(of_rcgen)?;
    Ok((
        encoded("CERTIFICATE", certificate.der()),
        encoded("PRIVATE KEY", key.serialized_der()),
    ))
}

fn params(user: &str, group: Option<&str>, called: &[&str]) -> Result<CertificateParams, Failure> {
    let called: Vec<String> = called.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(called).map_err(of_rcgen)?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(group) = group {
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationName, group);
    }
    params.distinguished_name.push(DnType::CommonName, user);
    Ok(params)
}

fn key() -> Result<KeyPair, Failure> {
    KeyPair::generate().map_err(of_rcgen)
}

fn write_key(path: &Path, key: &KeyPair) -> Result<(), Failure> {
    write(path, "PRIVATE KEY", key.serialized_der())
}

fn write(path: &Path, label: &str, der: &[u8]) -> Result<(), Failure> {
    fs::write(path, encoded(label, der)).map_err(Failure::of(path.display().to_string()))
}

fn encoded(label: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(label, der))
}

fn of_rcgen(error: rcgen::Error) -> Failure {
    Failure::of("a certificate")(io::Error::other(error))
}
