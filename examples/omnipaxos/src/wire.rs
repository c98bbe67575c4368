//! The wire format: one JSON object a line.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

/// Writes one object.
///
/// # Errors
/// When the connection breaks.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), object: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(object)?;
    line.push(b'\n');
    to.write_all(&line).await
}

/// Reads one object; `None` at the end of the connection.
///
/// # Errors
/// When the connection breaks, or carries something else.
pub async fn read<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<T>> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    // A line without an end means that its writer died.
    if line.ends_with('\n') { Ok(Some(serde_json::from_str(&line)?)) } else { Ok(None) }
}
