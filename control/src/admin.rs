//! The socket of `show`: one line of JSON in, one out, from the running process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::process::control::answers::{Question, What};
use crate::process::control::dump::Frames;
use crate::process::control::explain::Packet;

/// Octets of the longest question.
const MAX_QUESTION: u64 = 512;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until the process ends. What an instance that was killed left at `path` is replaced; an instance that
/// answers there is not.
///
/// # Errors
/// One line: the socket cannot be made, or another instance listens there.
pub fn serve(path: &Path, asked: mpsc::Sender<Question>) -> Result<(), String> {
    let at = |error: std::io::Error| format!("key `control_socket`, value `{}`: {error}", path.display());
    if UnixStream::connect(path).is_ok() {
        return Err(format!(
            "key `control_socket`, value `{}`: another millrace listens there",
            path.display()
        ));
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(at)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(path).map_err(at)?;
    listener.set_nonblocking(true).map_err(at)?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(at)?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let asked = asked.clone();
            // A client that neither asks nor reads is left alone after a while.
            tokio::spawn(async move { drop(timeout(PATIENCE, answer(stream, asked)).await) });
        }
    });
    Ok(())
}

/// What a client asks for, as one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What to show.
    pub what: What,
    /// Routes of this router only.
    #[serde(default)]
    pub router: Option<IpAddr>,
    /// Routes of exactly this prefix only: address and length.
    #[serde(default)]
    pub prefix: Option<(IpAddr, u8)>,
    /// With [`What::Fib`]: what would become of this packet.
    #[serde(default)]
    pub packet: Option<Packet>,
    /// With [`What::Dump`]: which frames.
    #[serde(default)]
    pub dump: Option<Frames>,
}

impl From<What> for Request {
    fn from(what: What) -> Self {
        Self { what, router: None, prefix: None, packet: None, dump: None }
    }
}

async fn answer(mut stream: tokio::net::UnixStream, asked: mpsc::Sender<Question>) -> Option<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    tokio::io::BufReader::new(read.take(MAX_QUESTION)).read_line(&mut line).await.ok()?;
    let Request { what, router, prefix, packet, dump } = serde_json::from_str(&line).ok()?;
    if let Some(topic) = what.topic(router, prefix) {
        let stream = stream.into_std().ok()?;
        // Whoever writes there next may wait.
        stream.set_nonblocking(false).ok()?;
        return asked.send(Question::Pass(topic, stream.into())).await.ok();
    }
    if let Some(frames) = dump.filter(|_| what == What::Dump) {
        return asked.send(Question::Dump(frames, stream)).await.ok();
    }
    let (back, answer) = oneshot::channel();
    let question = match packet.filter(|_| what == What::Fib) {
        Some(packet) => Question::Explain(packet, back),
        None => Question::Show(what, back),
    };
    asked.send(question).await.ok()?;
    let mut text = answer.await.ok()?.to_string();
    text.push('\n');
    write.write_all(text.as_bytes()).await.ok()
}

/// Asks the instance that listens at `path`; `None`: none runs there. The answer is one line of JSON.
///
/// # Errors
/// When it does not take the question.
pub fn open(path: &Path, request: &Request) -> anyhow::Result<Option<UnixStream>> {
    let Ok(mut stream) = UnixStream::connect(path) else { return Ok(None) };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    Ok(Some(stream))
}

/// The whole answer of the instance that listens at `path`; `None`: none runs there.
///
/// # Errors
/// When it does not answer, or answers no JSON.
pub fn ask(path: &Path, request: impl Into<Request>) -> anyhow::Result<Option<Value>> {
    let Some(stream) = open(path, &request.into())? else { return Ok(None) };
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).with_context(|| path.display().to_string())?;
    serde_json::from_str(&line).map(Some).with_context(|| format!("{}: no answer", path.display()))
}
