//! A collector as tests play it: what is sent to it, and how it takes that without a word.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;

use crate::batch::Batch;

/// Something to send.
pub(crate) fn batch() -> Batch {
    Batch {
        body: b"leno".to_vec(),
        items: 1,
    }
}

/// Takes whatever is sent until nothing more comes.
pub(crate) fn take_all(mut sent: impl AsyncRead + Send + Unpin + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut bytes = vec![0; 4096];
        while sent.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    })
}
