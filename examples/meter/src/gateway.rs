//! A gateway in front of the meter, which tries again when the meter does not answer.

use crate::{Answer, IDEMPOTENCY_KEY, text};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How many times a request is tried.
const TRIES: u32 = 3;
/// The time that the meter has to answer one try.
const PATIENCE: Duration = Duration::from_millis(250);

/// Which requests the gateway tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// As first shipped: every request that was not answered in time is sent again, unchanged.
    Blindly,
    /// Only a request with an idempotency key is sent again, with its key. (So is a read.)
    IfNamed,
}

/// Passes a request on to the meter, over connections that `dial` opens.
pub async fn forward<B, C, F>(request: &Request<B>, retry: Retry, dial: impl Fn() -> F) -> Answer
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = std::io::Result<C>>,
{
    let key = request.headers().get(IDEMPOTENCY_KEY).filter(|_| retry == Retry::IfNamed);
    let is_repeatable = retry == Retry::Blindly || key.is_some() || request.method().is_safe();
    let tries = if is_repeatable { TRIES } else { 1 };
    let path: Uri = request.uri().path().parse().expect("a path of a request is a URI");
    for _ in 0..tries {
        let mut copy = Request::builder().method(request.method()).uri(path.clone()).header("host", "meter");
        if let Some(key) = key {
            copy = copy.header(IDEMPOTENCY_KEY, key);
        }
        let copy = copy.body(Empty::new()).expect("the parts come from a request");
        if let Ok(Some(answer)) = tokio::time::timeout(PATIENCE, once(copy, dial())).await {
            return answer;
        }
    }
    text(StatusCode::GATEWAY_TIMEOUT, "the meter does not answer\n")
}

/// One try: one connection, one exchange.
async fn once<C>(request: Request<Empty<Bytes>>, dialing: impl Future<Output = std::io::Result<C>>) -> Option<Answer>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(dialing.await.ok()?)).await.ok()?;
    let exchange = async {
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status();
        Some(text(status, answer.into_body().collect().await.ok()?.to_bytes()))
    };
    // The connection is driven here, beside the exchange, and ends with it.
    tokio::select! {
        biased;
        answer = exchange => answer,
        _ = connection => None,
    }
}
