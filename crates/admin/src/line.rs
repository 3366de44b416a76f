//! One line of JSON on a stream.

use std::io;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};

/// Reads one line of at most `longest` bytes, and what comes with it.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    longest: usize,
) -> io::Result<Vec<u8>> {
    next(&mut BufReader::new(stream), longest).await
}

/// Reads the next line, of at most `longest` bytes.
pub(crate) async fn next(
    stream: &mut (impl AsyncBufRead + Unpin),
    longest: usize,
) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let limit = u64::try_from(longest).unwrap_or(u64::MAX);
    stream.take(limit).read_until(b'\n', &mut line).await?;
    match line.last() {
        Some(b'\n') => Ok(line),
        Some(_) | None if line.len() >= longest => {
            let message = format!("a line has more than {longest} bytes");
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
        Some(_) | None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Writes a line.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    mut line: Vec<u8>,
) -> io::Result<()> {
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}
