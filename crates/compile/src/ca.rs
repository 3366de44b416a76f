//! Who signs the intermediate by which a control plane signs certificates.

use alloc::sync::Arc;

use leno_model::Origin;
use leno_resources::Object;
use leno_resources::mesh::{MeshCa, MeshSpec, Vault as WrittenVault};

/// Who signs intermediates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ca {
    /// The control plane, by roots that it makes.
    Own,
    /// Nobody can say: what was written is not understood. Whatever signs goes on.
    Unclear,
    /// An authority outside.
    Outside(Outside),
}

/// An authority outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outside {
    /// Which.
    pub by: By,
    /// Where that is written.
    pub origin: Origin,
}

/// How an authority outside gives intermediates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum By {
    /// In files beside the control plane.
    Files {
        /// Its certificate and those above it in PEM, the root last.
        chain: Arc<str>,
        /// Its key in PEM.
        key: Arc<str>,
    },
    /// A secrets engine `pki` of Vault signs requests.
    Vault(Vault),
    /// An issuer of cert-manager in the cluster that is followed signs requests.
    CertManager {
        /// The API group of its kind.
        group: Arc<str>,
        /// Its kind.
        kind: Arc<str>,
        /// Its name.
        name: Arc<str>,
        /// A file with the root, where the issuer does not tell it.
        root_file: Option<Arc<str>>,
    },
    /// A signer of the cluster that is followed signs requests.
    Signer {
        /// Its name.
        name: Arc<str>,
        /// A file with the root.
        root_file: Arc<str>,
    },
}

/// How a secrets engine `pki` is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vault {
    /// The server's URL.
    pub address: Arc<str>,
    /// Where the engine is mounted.
    pub mount: Arc<str>,
    /// A file with the roots that prove the server; else those of the host.
    pub roots_file: Option<Arc<str>>,
    /// What is shown to it.
    pub login: Login,
}

/// By what one may ask Vault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Login {
    /// By the token in a file.
    Token(Arc<str>),
    /// By a token that one gets for that of a service account.
    Kubernetes {
        /// The role that is asked for.
        role: Arc<str>,
        /// Where the auth method is mounted.
        mount: Arc<str>,
        /// The file with the account's token.
        token_file: Arc<str>,
    },
}

/// What a `Mesh` says of it.
pub(crate) fn ca(mesh: &Object<MeshSpec>) -> Ca {
    let Some(spec) = mesh.spec.partly() else {
        return Ca::Unclear;
    };
    let Some(written) = &spec.ca else {
        return Ca::Own;
    };
    match written.sound().and_then(by) {
        Some(by) => Ca::Outside(Outside {
            by,
            origin: mesh.origin("/spec/ca"),
        }),
        None => Ca::Unclear,
    }
}

fn by(written: &MeshCa) -> Option<By> {
    if let Some(files) = &written.files {
        return Some(By::Files {
            chain: files.chain.clone(),
            key: files.key.clone(),
        });
    }
    if let Some(issuer) = &written.cert_manager {
        return Some(By::CertManager {
            group: issuer.group.clone(),
            kind: issuer.kind.clone(),
            name: issuer.issuer.clone(),
            root_file: issuer.root_file.clone(),
        });
    }
    if let Some(signer) = &written.kubernetes {
        return Some(By::Signer {
            name: signer.signer.clone(),
            root_file: signer.root_file.clone(),
        });
    }
    let vault = written.vault.as_ref()?;
    Some(By::Vault(Vault {
        address: vault.address.clone(),
        mount: vault.mount.clone(),
        roots_file: vault.roots_file.clone(),
        login: login(vault)?,
    }))
}

fn login(vault: &WrittenVault) -> Option<Login> {
    if let Some(file) = &vault.token_file {
        return Some(Login::Token(file.clone()));
    }
    let kubernetes = vault.kubernetes.as_ref()?;
    Some(Login::Kubernetes {
        role: kubernetes.role.clone(),
        mount: kubernetes.mount.clone(),
        token_file: kubernetes.token_file.clone(),
    })
}
