//! Usage is counted once, whatever the network does.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use meter::gateway::{Retry, forward};
use meter::meter::Accounts;
use meter::{IDEMPOTENCY_KEY, serve};
use schism::check::linearizability::model::Model;
use schism::harness::{Answer, Call, Object, Service};
use schism::host::Host;
use schism::kv;
use serde::Serialize;
use std::sync::Arc;

/// The model of a customer's account.
struct Account;

#[derive(Debug, Clone)]
enum Ask {
    Add { customer: u64, amount: u64 },
    Total { customer: u64 },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Total(u64);

impl Model for Account {
    type State = u64;
    type Op = Ask;
    type Ret = Total;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, total: &u64, ask: &Ask, answer: Option<&Total>) -> Option<u64> {
        let after = match ask {
            Ask::Add { amount, .. } => total + amount,
            Ask::Total { .. } => *total,
        };
        answer.is_none_or(|answer| answer.0 == after).then_some(after)
    }

    fn key(&self, ask: &Ask) -> u64 {
        match ask {
            Ask::Add { customer, .. } | Ask::Total { customer } => *customer,
        }
    }

    fn is_read(&self, ask: &Ask) -> bool {
        matches!(ask, Ask::Total { .. })
    }
}

impl Object for Account {
    /// Writes in the script add 1 to 9 to an account; reads return its total.
    fn operation(&self, op: &kv::Op) -> Ask {
        let customer = u64::from(op.key().0);
        match op.written() {
            Some(value) => Ask::Add { customer, amount: 1 + value % 9 },
            None => Ask::Total { customer },
        }
    }
}

/// The meter on n1, the gateway on n2.
struct Meter {
    accounts: Accounts,
    retry: Retry,
}

impl Meter {
    fn new(retry: Retry) -> Meter {
        Meter { accounts: Accounts::default(), retry }
    }
}

impl Service for Meter {
    type Object = Account;

    fn object(&self) -> Account {
        Account
    }

    async fn node(self: Arc<Self>, host: Host) {
        let listener = host.listen(80).expect("nothing else listens on this port");
        loop {
            let connection = listener.accept().await;
            let (meter, this) = (self.clone(), host.clone());
            host.spawn(async move {
                let answer = async |request: Request<hyper::body::Incoming>| match this.name() {
                    "n1" => meter.accounts.answer(&request),
                    _ => forward(&request, meter.retry, || this.connect("n1", 80)).await,
                };
                // A broken connection is for its client to handle.
                let _ = serve(connection, answer).await;
            });
        }
    }

    async fn call(&self, client: &Host, call: Call<'_, Ask>) -> Answer<Total> {
        // All clients use the gateway.
        let connection = match client.connect("n2", 80).await {
            Ok(connection) => connection,
            Err(error) => return error.into(),
        };
        let request = match call.op {
            Ask::Add { customer, amount } => Request::post(format!("/{customer}/{amount}")),
            Ask::Total { customer } => Request::get(format!("/{customer}")),
        };
        let request = request.header("host", "meter").header(IDEMPOTENCY_KEY, call.tag.to_string());
        let request = request.body(Empty::<Bytes>::new()).expect("the request is well formed");
        exchange(TokioIo::new(connection), request).await.unwrap_or(Answer::Unknown)
    }

    /// Every request carries an idempotency key, and the meter answers a key it knows from memory.
    fn is_idempotent(&self, _ask: &Ask) -> bool {
        true
    }
}

/// One request on one connection; `None` if there is no answer, or if the answer is an error.
async fn exchange(
    connection: TokioIo<schism::host::stream::Stream>,
    request: Request<Empty<Bytes>>,
) -> Option<Answer<Total>> {
    let (mut sender, connection) = http1::handshake(connection).await.ok()?;
    let exchange = async {
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        let total = || std::str::from_utf8(&body).ok()?.parse().ok().map(Total);
        if status == StatusCode::OK { total().map(Answer::Ok) } else { None }
    };
    tokio::select! {
        biased;
        answer = exchange => answer,
        _ = connection => None,
    }
}

#[schism::test(scenario = "sims/gateway.toml", seeds = 20)]
fn usage_is_counted_once() -> Meter {
    Meter::new(Retry::IfNamed)
}

/// The gateway as it was first shipped. `docs/TESTING.md` shows how this test fails.
#[schism::test(scenario = "sims/gateway.toml", seeds = 20)]
#[ignore = "fails: that is what it is kept for"]
fn as_first_shipped() -> Meter {
    Meter::new(Retry::Blindly)
}
