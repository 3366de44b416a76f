//! The first certificate of a proxy, for a token.

use std::io;
use std::path::Path;
use std::time::Duration;

use leno_channel::grpc::{self, Line, Proven, Status, StatusCode};
use leno_channel::{Clocks, HandshakeFailure, generate_key, words};
use leno_identity::{BadCredential, Credential};
use leno_model::{Code, Name, SpiffeId};
use leno_wire::certificates::{Issued, Join, control_plane};
use leno_wire::{JoinToken, Misfit, call};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::follow::folder::{Folder, Joined};

/// How long a connection may take to be made.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Joins the mesh that `token` leads to and keeps what came of it in `folder`; says who the proxy is
/// from then on. A `service_account` is named where the token leaves a choice.
pub async fn join(
    token: &JoinToken,
    service_account: Option<&Name>,
    folder: &Path,
    clocks: Clocks,
) -> Result<SpiffeId, NotJoined> {
    let folder = Folder::make(folder).map_err(NotJoined::NotKept)?;
    let key = generate_key();
    let stream = connect(&token.address).await.map_err(NotJoined::Away)?;
    let expected = control_plane(&token.trust_domain);
    let clock = clocks.clock();
    let proven = Proven::ByFingerprint(&token.fingerprint);
    let joining = grpc::join(stream, clock, proven, &expected).await?;
    let (line, run) = Line::open(joining.stream).await?;
    let join = Join {
        token: token.id.clone(),
        secret: token.secret.to_vec(),
        service_account: service_account.map(Name::to_string),
        request: key.request(),
    };
    let join = join.encode();
    let issued = tokio::select! {
        issued = line.ask(call::JOIN, &join) => issued?,
        gone = run => return Err(gone.into()),
    };
    let issued = Issued::decode(&issued)?;
    let credential = Credential::new(issued.chain, key)?;
    let joined = Joined {
        address: token.address.clone(),
        own: credential.id().clone(),
        roots: issued.roots,
    };
    folder
        .keep_joined(&joined, &credential)
        .map_err(NotJoined::NotKept)?;
    Ok(joined.own)
}

/// Connects to a host and port.
pub(super) async fn connect(address: &str) -> io::Result<TcpStream> {
    let connected = timeout(CONNECT_LIMIT, TcpStream::connect(address)).await;
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let stream = connected.map_err(late)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Why a proxy did not join.
#[derive(Debug, thiserror::Error)]
pub enum NotJoined {
    /// The control plane cannot be reached.
    #[error("the control plane cannot be reached: {}", words(.0))]
    Away(io::Error),
    /// Whoever answered is not the control plane of the token.
    #[error("whoever answered is not the control plane of the token: {0}")]
    NotProven(#[from] HandshakeFailure),
    /// The control plane refused.
    #[error("the control plane refused: {0}")]
    Refused(#[from] Status),
    /// What came cannot be read.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// What was issued cannot be used.
    #[error("what was issued cannot be used: {0}")]
    NotFit(#[from] BadCredential),
    /// It could not be kept on disk.
    #[error("what was issued could not be kept: {0}")]
    NotKept(io::Error),
}

impl NotJoined {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::NotProven(failure) => failure.code(),
            Self::Refused(status) => match status.code {
                StatusCode::Unauthenticated | StatusCode::PermissionDenied => Code::T012,
                StatusCode::Cancelled
                | StatusCode::Unknown
                | StatusCode::InvalidArgument
                | StatusCode::DeadlineExceeded
                | StatusCode::NotFound
                | StatusCode::AlreadyExists
                | StatusCode::ResourceExhausted
                | StatusCode::FailedPrecondition
                | StatusCode::Aborted
                | StatusCode::OutOfRange
                | StatusCode::Unimplemented
                | StatusCode::Internal
                | StatusCode::Unavailable
                | StatusCode::DataLoss => Code::D001,
            },
            Self::Away(_) | Self::Misfit(_) | Self::NotKept(_) => Code::D001,
            Self::NotFit(_) => Code::T010,
        }
    }
}
