//! The first certificate of a proxy, for evidence of who it is.

use std::path::{Path, PathBuf};
use std::{fs, io};

use leno_channel::grpc::{self, Line, Proven, Status, StatusCode};
use leno_channel::{Clocks, HandshakeFailure, generate_key, words};
use leno_host::through_folder;
use leno_identity::{BadCredential, Credential, Key};
use leno_model::{Code, Name, Namespace, SpiffeId};
use leno_wire::certificates::{self, Evidence, Issued, Join, control_plane};
use leno_wire::{JoinToken, MeshAddress, Misfit, call};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use crate::follow::folder::{Folder, Joined};

/// What a proxy shows to join.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// A token.
    Token(&'a JoinToken),
    /// A token of somebody else, to this mesh.
    Jwt(&'a MeshAddress, &'a str),
    /// The process that runs it, at this socket of a control plane on the same host.
    Process(&'a Path),
}

/// A token of somebody else to a mesh, in a file that whoever gives it keeps young.
#[derive(Clone, Debug)]
pub struct TokenFile {
    /// The mesh.
    pub mesh: MeshAddress,
    /// Where the token is.
    pub path: PathBuf,
}

impl TokenFile {
    /// [`join()`] by the token that is there now.
    pub async fn join(&self, folder: &Path, clocks: Clocks) -> Result<SpiffeId, NotJoined> {
        let token = fs::read_to_string(&self.path);
        let token = token.map_err(|why| NotJoined::Unreadable(self.path.clone(), why))?;
        let shown = Shown::Jwt(&self.mesh, token.trim());
        join(shown, &Wanted::default(), folder, clocks).await
    }
}

/// Whom a proxy wants to act as, where what it shows leaves a choice.
#[derive(Clone, Default, Debug)]
pub struct Wanted {
    /// The namespace.
    pub namespace: Option<Namespace>,
    /// The service account.
    pub account: Option<Name>,
}

/// Joins the mesh that `shown` leads to and keeps what came of it in `folder`; says who the proxy is
/// from then on.
pub async fn join(
    shown: Shown<'_>,
    wanted: &Wanted,
    folder: &Path,
    clocks: Clocks,
) -> Result<SpiffeId, NotJoined> {
    let folder = Folder::make(folder).map_err(NotJoined::NotKept)?;
    let key = generate_key();
    let evidence = match shown {
        Shown::Token(token) => Evidence::Token {
            id: token.id.clone(),
            secret: token.secret.to_vec(),
        },
        Shown::Jwt(_, token) => Evidence::Jwt(token.to_owned()),
        Shown::Process(_) => Evidence::Process,
    };
    let join = Join {
        evidence,
        namespace: wanted.namespace.as_ref().map(Namespace::to_string),
        service_account: wanted.account.as_ref().map(Name::to_string),
        request: key.request(),
    };
    let (joined, address) = match shown {
        Shown::Token(token) => {
            let mesh = MeshAddress {
                trust_domain: token.trust_domain.clone(),
                fingerprint: token.fingerprint,
                address: token.address.clone(),
            };
            (ask_at(&mesh, &join, clocks).await?, mesh.address)
        }
        Shown::Jwt(mesh, _) => (ask_at(mesh, &join, clocks).await?, mesh.address.clone()),
        Shown::Process(socket) => {
            let stream = connect_beside(socket).await.map_err(NotJoined::Away)?;
            let joined = ask(stream, &join).await?;
            let address = joined.address.clone();
            (joined, address)
        }
    };
    keep(&folder, key, joined.issued, address).map_err(|why| *why)
}

/// Keeps what was issued for `key`, and says who the proxy is by it.
pub(super) fn keep(
    folder: &Folder,
    key: Key,
    issued: Issued,
    address: String,
) -> Result<SpiffeId, Box<NotJoined>> {
    let credential = Credential::new(issued.chain, key).map_err(NotJoined::NotFit)?;
    let joined = Joined {
        address,
        own: credential.id().clone(),
        roots: issued.roots,
    };
    folder
        .keep_joined(&joined, &credential)
        .map_err(NotJoined::NotKept)?;
    Ok(joined.own)
}

/// Asks to be let in at the address of a mesh, whose control plane proves itself first.
async fn ask_at(
    mesh: &MeshAddress,
    join: &Join,
    clocks: Clocks,
) -> Result<certificates::Joined, NotJoined> {
    let stream = grpc::connect(&mesh.address)
        .await
        .map_err(NotJoined::Away)?;
    let expected = control_plane(&mesh.trust_domain);
    let proven = Proven::ByFingerprint(&mesh.fingerprint);
    let joining = grpc::join(stream, clocks.clock(), proven, &expected).await?;
    ask(joining.stream, join).await
}

/// Asks to be let in over a connection whose other end is the control plane.
async fn ask<S>(stream: S, join: &Join) -> Result<certificates::Joined, NotJoined>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (line, run) = Line::open(stream).await?;
    let message = join.encode();
    let joined = tokio::select! {
        joined = line.ask(call::JOIN, &message) => joined,
        gone = run => return Err(gone.into()),
    };
    let joined = joined.map_err(|status| match (status.code, &join.evidence) {
        (StatusCode::Unauthenticated | StatusCode::PermissionDenied, Evidence::Token { .. }) => {
            NotJoined::NotLetIn(Code::T012, status)
        }
        (
            StatusCode::Unauthenticated | StatusCode::PermissionDenied,
            Evidence::Process | Evidence::Jwt(_),
        ) => NotJoined::NotLetIn(Code::T021, status),
        (StatusCode::Unavailable, Evidence::Jwt(_)) => NotJoined::NotLetIn(Code::T022, status),
        _ => NotJoined::Refused(status),
    })?;
    Ok(certificates::Joined::decode(&joined)?)
}

/// Connects to a socket of this host.
async fn connect_beside(socket: &Path) -> io::Result<UnixStream> {
    let (_folder, short) = through_folder(socket)?;
    UnixStream::connect(short).await
}
/// Why a proxy did not join.
#[derive(Debug, thiserror::Error)]
pub enum NotJoined {
    /// The control plane cannot be reached.
    #[error("the control plane cannot be reached: {}", words(.0))]
    Away(io::Error),
    /// Whoever answered is not the control plane that was meant.
    #[error("whoever answered is not the control plane that was meant: {0}")]
    NotProven(#[from] HandshakeFailure),
    /// What was shown does not let it in: what kind of reason, and what the control plane says.
    #[error("the control plane refused: {1}")]
    NotLetIn(Code, Status),
    /// The control plane refused for another reason.
    #[error("the control plane refused: {0}")]
    Refused(#[from] Status),
    /// What came cannot be read.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// What was issued cannot be used.
    #[error("what was issued cannot be used: {0}")]
    NotFit(#[from] BadCredential),
    /// What is to be shown cannot be read.
    #[error("{} cannot be read: {_1}", _0.display())]
    Unreadable(PathBuf, io::Error),
    /// It could not be kept on disk.
    #[error("what was issued could not be kept: {0}")]
    NotKept(io::Error),
}

impl NotJoined {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::NotProven(failure) => failure.code(),
            Self::NotLetIn(code, _) => *code,
            Self::Refused(_) | Self::Away(_) | Self::Misfit(_) | Self::NotKept(_) => Code::D001,
            Self::NotFit(_) => Code::T010,
            Self::Unreadable(..) => Code::C010,
        }
    }
}
