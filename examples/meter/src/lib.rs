//! Meters usage over HTTP: how much has each customer consumed?
//!
//! `POST /CUSTOMER/AMOUNT` adds to a customer's account and returns the new total; `GET /CUSTOMER` returns the total.
//! [`meter`] keeps the accounts, [`gateway`] is in front of it and hides its short outages. Both work over any
//! connection they are given: TCP in `main.rs`, a simulated network in `tests/`.

pub mod gateway;
pub mod meter;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::io::{AsyncRead, AsyncWrite};

/// The type of every answer.
pub type Answer = Response<Full<Bytes>>;

/// Names a request across all its tries, so that it is carried out once.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Serves one connection until it ends.
///
/// # Errors
/// When the connection breaks.
pub async fn serve<F>(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(Request<Incoming>) -> F,
) -> hyper::Result<()>
where
    F: Future<Output = Answer>,
{
    let service = service_fn(|request| {
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(connection), service).await
}

/// An answer of plain text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}
