//! The playground's native engine: a server for the browsers of this machine.
//!
//! It listens on loopback only, and answers only what is addressed to loopback: a page from elsewhere that resolves its
//! own name to 127.0.0.1 is refused by the `Host` it sends, and a plain form cannot send JSON. Runs are bounded (see
//! [`setting`](super::setting)), as many at once as there are jobs; a few wait, and the rest are told to come back.

use super::{answer, refusal};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How many questions may wait for each that is answered.
const WAITING: usize = 4;
/// The longest question: a scenario file in explicit form.
const QUESTION_BYTES: usize = 4 << 20;
/// After this an answer comes too late for whoever asked.
const PATIENCE: Duration = Duration::from_secs(120);

/// The files of the page, by path: text and media type.
const FILES: [(&str, &str, &str); 6] = [
    ("/lab.css", include_str!("page/lab.css"), "text/css"),
    ("/main.mjs", include_str!("page/main.mjs"), "text/javascript"),
    ("/engine.mjs", include_str!("page/engine.mjs"), "text/javascript"),
    ("/network.mjs", include_str!("page/network.mjs"), "text/javascript"),
    ("/setting.mjs", include_str!("page/setting.mjs"), "text/javascript"),
    ("/favicon.ico", "", "image/x-icon"),
];
const INDEX: &str = include_str!("page/index.html");

/// How much is answered at once.
struct Queue {
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    admitted: Arc<Semaphore>,
    jobs: usize,
}

/// Serves the playground to whoever connects to `listener`, `jobs` runs at once, until the process ends.
///
/// # Errors
/// If the socket fails.
pub async fn serve(listener: TcpListener, jobs: usize) -> std::io::Result<()> {
    axum::serve(listener, router(jobs)).await
}

fn router(jobs: usize) -> Router {
    let permits = |number| Arc::new(Semaphore::new(number));
    let queue = Queue { running: permits(jobs), admitted: permits(jobs * (1 + WAITING)), jobs };
    let index = INDEX.replacen("data-engine=\"wasm\"", "data-engine=\"native\"", 1);
    let page = move || async move { typed("text/html", index) };
    let mut router = Router::new().route("/", get(page)).route("/ask", post(ask));
    for (path, text, media) in FILES {
        router = router.route(path, get(move || async move { typed(media, text) }));
    }
    router
        .layer(DefaultBodyLimit::max(QUESTION_BYTES))
        .layer(middleware::from_fn(for_loopback))
        .with_state(Arc::new(queue))
}

fn typed(media: &'static str, text: impl Into<Body>) -> Response {
    let media = format!("{media}; charset=utf-8");
    ([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "no-store".to_owned())], text.into()).into_response()
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, typed("application/json", refusal(message))).into_response()
}

/// Lets through what is addressed to this machine by a name of loopback.
async fn for_loopback(request: Request, next: Next) -> Response {
    if request.headers().get(header::HOST).is_some_and(is_loopback) {
        next.run(request).await
    } else {
        refused(
            StatusCode::FORBIDDEN,
            "the playground serves this machine only: open it as http://127.0.0.1 or localhost",
        )
    }
}

fn is_loopback(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let is_port =
        |port: &str| port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok());
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| host.strip_prefix(name).is_some_and(is_port))
}

async fn ask(State(queue): State<Arc<Queue>>, headers: HeaderMap, question: String) -> Response {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    if media.is_none_or(|media| !media.starts_with("application/json")) {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a question is application/json");
    }
    let Ok(admitted) = Arc::clone(&queue.admitted).try_acquire_owned() else {
        let message = format!("{} questions wait already: try again in a moment", queue.jobs * (1 + WAITING));
        return refused(StatusCode::SERVICE_UNAVAILABLE, &message);
    };
    let running = Arc::clone(&queue.running).acquire_owned().await.expect("it is never closed");
    // A run cannot be stopped: it keeps its place until it ends, also when nobody waits for it any more.
    let work = tokio::task::spawn_blocking(move || {
        let _places = (running, admitted);
        answer(&question)
    });
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(text)) => typed("application/json", text),
        Ok(Err(_)) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, "the engine panicked; the server's terminal says where")
        }
        Err(_) => refused(StatusCode::GATEWAY_TIMEOUT, "the run took too long: make it shorter or smaller"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_are_answered() {
        let asked = |host: &str| is_loopback(&HeaderValue::from_str(host).unwrap());
        assert!(asked("127.0.0.1:8080") && asked("localhost") && asked("[::1]:9") && asked("localhost:65535"));
        assert!(!asked("127.0.0.1.example.com") && !asked("example.com:80") && !asked("localhost:x") && !asked(""));
    }
}
