//! The playground's native engine: a server for the browsers of this machine.
//!
//! It listens on loopback only, and answers only requests addressed to loopback: a page of another site that resolves
//! its own name to 127.0.0.1 is refused by the `Host` it sends, and a plain form cannot send JSON. Runs are bounded
//! (see [`setting`](super::setting)), as many at once as there are jobs; a few wait, and the rest must try again
//! later. A run whose browser has gone ends at the simulator's next step. Questions that need no run do not wait in
//! the queue. Connections, their headers, questions and answers are bounded in number, size and time: one request per
//! connection.

use super::setting::QUESTION_BYTES;
use super::{Question, answer_while, asked, refusal};
use crate::report::page;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How many questions may wait for each that is answered.
const WAITING: usize = 4;
/// How many connections are open at once; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// A question up to this size is read at once. Larger ones, which carry a file, are read a few at a time.
const SMALL_BYTES: usize = 16 << 10;
const LARGE_AT_ONCE: usize = 4;
/// How many questions that need no run are answered at once.
const CHEAP_AT_ONCE: usize = 2;
/// How long the headers of a request may take, and then its body.
const READING: Duration = Duration::from_secs(10);
/// After this time an answer comes too late for its browser.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a connection may last in all: reading, waiting, the run, and the answer's way to the browser.
const CONNECTION: Duration = Duration::from_secs(300);

/// The files of the page, by path: text and media type.
const FILES: [(&str, &str, &str); 34] = [
    ("/lab.css", include_str!("page/lab.css"), "text/css"),
    ("/main.mjs", include_str!("page/main.mjs"), "text/javascript"),
    ("/engine.mjs", include_str!("page/engine.mjs"), "text/javascript"),
    ("/network.mjs", include_str!("page/network.mjs"), "text/javascript"),
    ("/setting.mjs", include_str!("page/setting.mjs"), "text/javascript"),
    ("/acts.mjs", include_str!("page/acts.mjs"), "text/javascript"),
    ("/link.mjs", include_str!("page/link.mjs"), "text/javascript"),
    ("/stage.mjs", include_str!("page/stage.mjs"), "text/javascript"),
    // The rings are those of the page of a run.
    ("/page/ring.css", page::RING_CSS, "text/css"),
    ("/page/decode.mjs", include_str!("../report/page/decode.mjs"), "text/javascript"),
    ("/page/elements.mjs", include_str!("../report/page/elements.mjs"), "text/javascript"),
    ("/page/film.mjs", include_str!("../report/page/film.mjs"), "text/javascript"),
    ("/page/inspector.mjs", include_str!("../report/page/inspector.mjs"), "text/javascript"),
    ("/page/layout.mjs", include_str!("../report/page/layout.mjs"), "text/javascript"),
    ("/page/messages.mjs", include_str!("../report/page/messages.mjs"), "text/javascript"),
    ("/page/model.mjs", include_str!("../report/page/model.mjs"), "text/javascript"),
    ("/page/opening.mjs", include_str!("../report/page/opening.mjs"), "text/javascript"),
    ("/page/pace.mjs", include_str!("../report/page/pace.mjs"), "text/javascript"),
    ("/page/paint.mjs", include_str!("../report/page/paint.mjs"), "text/javascript"),
    ("/page/ring.mjs", include_str!("../report/page/ring.mjs"), "text/javascript"),
    ("/page/scene.mjs", include_str!("../report/page/scene.mjs"), "text/javascript"),
    ("/page/view.mjs", include_str!("../report/page/view.mjs"), "text/javascript"),
    ("/page/waterfall.mjs", include_str!("../report/page/waterfall.mjs"), "text/javascript"),
    ("/page/waterfall.css", include_str!("../report/page/waterfall.css"), "text/css"),
    ("/page/words.mjs", include_str!("../report/page/words.mjs"), "text/javascript"),
    ("/asked.mjs", include_str!("page/asked.mjs"), "text/javascript"),
    ("/case.mjs", include_str!("page/case.mjs"), "text/javascript"),
    ("/said.mjs", include_str!("page/said.mjs"), "text/javascript"),
    ("/lesson.mjs", include_str!("page/lesson.mjs"), "text/javascript"),
    ("/lesson.css", include_str!("page/lesson.css"), "text/css"),
    ("/story/bars.mjs", include_str!("../report/story/bars.mjs"), "text/javascript"),
    ("/story/life.mjs", include_str!("../report/story/life.mjs"), "text/javascript"),
    ("/story/drawn.css", include_str!("../report/story/drawn.css"), "text/css"),
    ("/favicon.ico", "", "image/x-icon"),
];
const INDEX: &str = include_str!("page/index.html");

/// How much is read and answered at once.
struct Queue {
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    admitted: Arc<Semaphore>,
    cheap: Arc<Semaphore>,
    large: Semaphore,
    jobs: usize,
}

impl Queue {
    fn new(jobs: usize) -> Arc<Queue> {
        let permits = |number| Arc::new(Semaphore::new(number));
        let (running, admitted) = (permits(jobs), permits(jobs * (1 + WAITING)));
        Arc::new(Queue { running, admitted, cheap: permits(CHEAP_AT_ONCE), large: Semaphore::new(LARGE_AT_ONCE), jobs })
    }
}

/// Serves the playground to every client of `listener`, `jobs` runs at once, until the process ends.
pub async fn serve(listener: TcpListener, jobs: usize) -> Infallible {
    serve_from(listener, Queue::new(jobs)).await
}

async fn serve_from(listener: TcpListener, queue: Arc<Queue>) -> Infallible {
    let router = router(queue);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                connections.spawn(async move {
                    let _place = place;
                    // Errors of a connection are left for its browser to notice.
                    let _ = timeout(CONNECTION, answer_on(stream, router)).await;
                });
            }
            // A connection that has gone already, or no file descriptor for it: the next one may do better.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer_on(stream: TcpStream, router: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READING)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

fn router(queue: Arc<Queue>) -> Router {
    let index = INDEX.replacen("data-engine=\"wasm\"", "data-engine=\"native\"", 1);
    let index = index.replacen("{{page-script}}", &page::script_source(), 1);
    let index = index.replacen("{{page-style}}", &page::style_source(), 1);
    let policy = HeaderValue::from_str(&policy(&index)).expect("a policy is ASCII");
    let page = move || async move { typed("text/html", index) };
    let mut router = Router::new().route("/", get(page)).route("/ask", post(ask));
    for (path, text, media) in FILES {
        router = router.route(path, get(move || async move { typed(media, text) }));
    }
    let with_policy = move |request, next: Next| {
        let policy = policy.clone();
        async move {
            let mut response = next.run(request).await;
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
    };
    router.layer(middleware::from_fn(for_loopback)).layer(middleware::from_fn(with_policy)).with_state(queue)
}

/// The page's own policy as a header, with what only a header can say: no site may show the playground in a frame.
fn policy(index: &str) -> String {
    let own = index.split_once("Content-Security-Policy\" content=\"").and_then(|(_, rest)| rest.split_once('"'));
    format!("{}; frame-ancestors 'none'", own.expect("the page has a policy").0)
}

fn typed(media: &'static str, text: impl Into<Body>) -> Response {
    let media = format!("{media}; charset=utf-8");
    ([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "no-store".to_owned())], text.into()).into_response()
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, typed("application/json", refusal(message))).into_response()
}

/// Accepts requests that are addressed to this machine by a name of loopback.
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

async fn ask(State(queue): State<Arc<Queue>>, request: Request) -> Response {
    let question = match question(&queue, request).await {
        Ok(question) => question,
        Err((status, message)) => return refused(status, &message),
    };
    if !question.is_run() {
        let place = Arc::clone(&queue.cheap).acquire_owned().await.expect("it is never closed");
        return work(question, place).await;
    }
    let Ok(admitted) = Arc::clone(&queue.admitted).try_acquire_owned() else {
        let message = format!("{} questions wait already: try again in a moment", queue.jobs * (1 + WAITING));
        return refused(StatusCode::SERVICE_UNAVAILABLE, &message);
    };
    let running = Arc::clone(&queue.running).acquire_owned().await.expect("it is never closed");
    work(question, (running, admitted)).await
}

/// Reads a question. Nothing of it is buffered before its length is known and there is room for it.
async fn question(queue: &Queue, request: Request) -> Result<Question, (StatusCode, String)> {
    let (parts, body) = request.into_parts();
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::CONTENT_TYPE).is_none_or(|media| !media.starts_with("application/json")) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "a question is application/json".into()));
    }
    let Some(bytes) = text(header::CONTENT_LENGTH).and_then(|bytes| bytes.parse::<usize>().ok()) else {
        return Err((StatusCode::LENGTH_REQUIRED, "a question says how long it is (Content-Length)".into()));
    };
    if bytes > QUESTION_BYTES {
        let message = format!("{bytes} bytes are more than the playground reads ({QUESTION_BYTES})");
        return Err((StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let _room = if bytes > SMALL_BYTES { queue.large.acquire().await.ok() } else { None };
    let body = match timeout(READING, to_bytes(body, QUESTION_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return Err((StatusCode::BAD_REQUEST, format!("the question did not arrive: {error}"))),
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the question took too long to arrive".into())),
    };
    let body = std::str::from_utf8(&body).map_err(|_| (StatusCode::BAD_REQUEST, "a question is UTF-8".into()))?;
    // The refusal of an invalid question is an answer like any other, not an error of the connection.
    asked(body).map_err(|message| (StatusCode::OK, message))
}

/// Set as long as the browser waits: hyper drops the future that answers a browser that has gone.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Answers on a thread of its own; `places` are free again when that has ended, soon after the browser stops waiting.
async fn work(question: Question, places: impl Send + 'static) -> Response {
    let wanted = Wanted(Arc::new(AtomicBool::new(true)));
    let is_wanted = Arc::clone(&wanted.0);
    let work = tokio::task::spawn_blocking(move || {
        let _places = places;
        answer_while(&question, &|| is_wanted.load(Ordering::Relaxed))
    });
    match timeout(PATIENCE, work).await {
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
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn only_names_of_loopback_are_answered() {
        let asked = |host: &str| is_loopback(&HeaderValue::from_str(host).unwrap());
        assert!(asked("127.0.0.1:8080") && asked("localhost") && asked("[::1]:9") && asked("localhost:65535"));
        assert!(!asked("127.0.0.1.example.com") && !asked("example.com:80") && !asked("localhost:x") && !asked(""));
    }

    #[test]
    fn the_policy_is_that_of_the_page_and_allows_the_page_of_a_run() {
        let index = INDEX.replacen("{{page-script}}", &page::script_source(), 1);
        let policy = policy(&index);
        assert!(policy.starts_with("default-src 'none'; ") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains(&page::script_source()) && !policy.contains("'unsafe-inline'"), "{policy}");
    }

    /// Serves `queue` while `client` talks to it; the last resort against a server that never answers is a minute.
    fn talk<F: Future>(queue: &Arc<Queue>, client: impl FnOnce(u16) -> F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::select! {
                never = serve_from(listener, Arc::clone(queue)) => match never {},
                said = timeout(Duration::from_secs(60), client(port)) => said.expect("an answer within a minute"),
            }
        })
    }

    async fn send(port: u16, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let head = format!("POST /ask HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}\r\n");
        stream.write_all((head + body).as_bytes()).await.unwrap();
        stream
    }

    async fn posted(port: u16, question: &Value) -> TcpStream {
        let body = question.to_string();
        send(port, &format!("content-length: {}\r\n", body.len()), &body).await
    }

    async fn status(mut stream: TcpStream) -> u16 {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
    }

    /// Minutes of work for one thread.
    fn long() -> Value {
        let text = crate::scenario::embedded().iter().find(|(name, _)| *name == "chaos").unwrap().1;
        let long = |line: &str| match line.split(" = ").next() {
            Some("duration_ms") => "duration_ms = 120000\n".to_owned(),
            Some("operations") => "operations = 10000\n".to_owned(),
            _ => format!("{line}\n"),
        };
        let toml: String = text.lines().map(long).collect();
        let systems = ["raft", "dual-primary", "raft", "raft", "raft", "raft", "raft"];
        json!({"ask": "run", "setting": {"toml": toml, "seed": 1}, "systems": systems})
    }

    #[test]
    fn a_run_whose_browser_has_gone_ends_and_the_queue_is_free() {
        let queue = Queue::new(1);
        talk(&queue, async |port| {
            let mut waiting = Vec::new();
            for _ in 0..=WAITING {
                waiting.push(posted(port, &long()).await);
            }
            while queue.admitted.available_permits() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
            // The queue is full: another run is refused for now, and a question that needs no run is answered all the
            // same.
            assert_eq!(status(posted(port, &long()).await).await, 503);
            assert_eq!(status(posted(port, &json!({"ask": "catalogue"})).await).await, 200);
            let plan = json!({"ask": "plan", "setting": {"scenario": "chaos", "seed": 1}});
            assert_eq!(status(posted(port, &plan).await).await, 200);
            drop(waiting);
            while queue.admitted.available_permits() < 1 + WAITING {
                sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(queue.running.available_permits(), 1);
        });
    }

    #[test]
    fn a_question_too_long_or_of_unknown_length_is_not_read() {
        talk(&Queue::new(1), async |port| {
            let length = |bytes: usize| format!("content-length: {bytes}\r\n");
            // Nothing of these bodies is ever sent.
            assert_eq!(status(send(port, &length(QUESTION_BYTES + 1), "").await).await, 413);
            assert_eq!(status(send(port, "transfer-encoding: chunked\r\n", "").await).await, 411);
            // Those that promise a large one and keep it back take the places of large ones only.
            let mut slow = Vec::new();
            for _ in 0..2 * LARGE_AT_ONCE {
                slow.push(send(port, &length(QUESTION_BYTES), "{").await);
            }
            assert_eq!(status(posted(port, &json!({"ask": "catalogue"})).await).await, 200);
        });
    }
}
