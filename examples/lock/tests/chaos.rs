//! A lock has one holder, whatever the network does.

use lock::Mistake;
use lock::acceptor::Acceptor;
use lock::messages::{Request, Standing};
use lock::proposer::Proposer;
use lock::service::routes;
use lock::wire::locks::locks_client::LocksClient;
use schism::check::linearizability::model::Model;
use schism::harness::{Answer, Call, Object, Service};
use schism::host::stream::Listener;
use schism::host::{Host, grpc};
use schism::kv::{self, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::Code;
use tonic::codegen::http::{self, header::DATE};
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::Endpoint;
use tower::util::MapResponseLayer;

/// Where nodes listen.
const PORT: u16 = 50051;

/// The model of a lock: every answer carries its holder and its token.
struct Lock;

#[derive(Debug, Clone)]
enum Ask {
    Acquire { lock: u64, holder: u64 },
    Release { lock: u64, holder: u64 },
    Inspect { lock: u64 },
}

/// A [`Standing`] that can be serialised and ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
struct Stands {
    holder: Option<u64>,
    token: u64,
}

impl Model for Lock {
    type State = Stands;
    type Op = Ask;
    type Ret = Stands;

    fn initial(&self) -> Stands {
        Stands::default()
    }

    fn step(&self, before: &Stands, ask: &Ask, answer: Option<&Stands>) -> Option<Stands> {
        let after = match *ask {
            Ask::Acquire { holder, .. } if before.holder.is_none() => {
                Stands { holder: Some(holder), token: before.token + 1 }
            }
            Ask::Release { holder, .. } if before.holder == Some(holder) => Stands { holder: None, ..*before },
            _ => *before,
        };
        answer.is_none_or(|answer| *answer == after).then_some(after)
    }

    fn key(&self, ask: &Ask) -> u64 {
        match *ask {
            Ask::Acquire { lock, .. } | Ask::Release { lock, .. } | Ask::Inspect { lock } => lock,
        }
    }

    fn is_read(&self, ask: &Ask) -> bool {
        matches!(ask, Ask::Inspect { .. })
    }
}

impl Object for Lock {
    /// A put acquires, for a holder whose name is used once. A compare-and-set releases: the value it expects is the
    /// one that its client saw last, which is the holder.
    fn operation(&self, op: &kv::Op) -> Ask {
        let lock = u64::from(op.key().0);
        match *op {
            kv::Op::Put { value, .. } => Ask::Acquire { lock, holder: value },
            kv::Op::Cas { expected: Some(holder), .. } => Ask::Release { lock, holder },
            _ => Ask::Inspect { lock },
        }
    }

    fn outcome(&self, stands: &Stands) -> Response {
        Response::Value(stands.holder)
    }
}

/// Three nodes, and their durable state.
struct Locks {
    disks: Mutex<BTreeMap<u64, Acceptor>>,
    mistake: Option<Mistake>,
    server: Server,
}

/// The gRPC server of a node.
#[derive(Clone, Copy)]
enum Server {
    /// [`grpc::serve`].
    Simulated,
    /// tonic's own.
    Tonics,
}

impl Locks {
    fn with(mistake: Option<Mistake>) -> Locks {
        Locks { disks: Mutex::default(), mistake, server: Server::Simulated }
    }
}

/// The routes of a node, which check that every request names the peer it comes from.
fn to_known_peers(routes: Routes) -> Routes {
    let known = |request: tonic::Request<()>| {
        let peer = request.extensions().get::<grpc::Peer>().expect("every request says where it comes from");
        assert!(!peer.name.is_empty());
        Ok(request)
    };
    Routes::from(routes.into_axum_router().layer(InterceptorLayer::new(known)))
}

/// tonic's own server, with a constant `Date` header: today's date would differ between runs.
async fn serve_with_builder(listener: Listener, routes: Routes) {
    let dated = MapResponseLayer::new(|mut response: http::Response<tonic::body::Body>| {
        response.headers_mut().insert(DATE, http::HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
        response
    });
    let router = tonic::transport::Server::builder().layer(dated).add_routes(routes);
    router.serve_with_incoming(grpc::Incoming::from(listener)).await.expect("a listener goes on until it is dropped");
}

fn endpoint(node: &str) -> Endpoint {
    let endpoint = Endpoint::from_shared(format!("http://{node}:{PORT}")).expect("a host's name is one of a URI");
    endpoint.connect_timeout(Duration::from_millis(300))
}

impl Service for Locks {
    type Object = Lock;

    fn object(&self) -> Lock {
        Lock
    }

    async fn node(self: Arc<Self>, host: Host) {
        let number = u64::from(host.id().0);
        let acceptor = match self.mistake {
            Some(Mistake::Forgets) => Acceptor::default(),
            _ => self.disks.lock().unwrap().entry(number).or_default().clone(),
        };
        let others = host.nodes().into_iter().filter(|name| name != host.name());
        let peers = others.map(|name| grpc::channel(&host, endpoint(&name))).collect();
        let listener = host.listen(PORT).expect("nothing else listens on this port");
        let routes = to_known_peers(routes(Proposer { node: number, acceptor, peers, mistake: self.mistake }));
        match self.server {
            Server::Simulated => grpc::serve(&host, listener, routes).await,
            Server::Tonics => serve_with_builder(listener, routes).await,
        }
    }

    async fn call(&self, client: &Host, call: Call<'_, Ask>) -> Answer<Stands> {
        let channel = match grpc::connect(client, endpoint(call.node)).await {
            Ok(channel) => channel,
            // No request was sent yet, so nothing was done, whatever the error is.
            Err(_) => return Answer::refused(),
        };
        let mut locks = LocksClient::new(channel);
        let request = |lock: u64, holder| Request {
            lock: lock.to_string(),
            holder,
            session: call.tag.session,
            sequence: call.tag.sequence,
        };
        let answer = match *call.op {
            Ask::Acquire { lock, holder } => locks.acquire(request(lock, holder)).await,
            Ask::Release { lock, holder } => locks.release(request(lock, holder)).await,
            Ask::Inspect { lock } => locks.inspect(request(lock, 0)).await,
        };
        match answer.map(tonic::Response::into_inner) {
            Ok(Standing { holder, token }) => Answer::Ok(Stands { holder, token }),
            Err(status) if status.code() == Code::Aborted => Answer::refused(),
            // `Unavailable` too: tonic returns it for connections that broke while the request was on its way.
            Err(_) => Answer::Unknown,
        }
    }

    /// Nodes know a request by its number in its session.
    fn is_idempotent(&self, _: &Ask) -> bool {
        true
    }
}

#[schism::test(scenario = "sims/locks.toml", seeds = 5, isolation = "thread")]
fn a_lock_has_one_holder() -> Locks {
    Locks::with(None)
}

/// A pause does not reach this server's tasks, and each run needs its own process.
#[schism::test(scenario = "sims/cut.toml", seeds = 2)]
fn a_lock_has_one_holder_behind_tonics_own_server() -> Locks {
    Locks { server: Server::Tonics, ..Locks::with(None) }
}

#[schism::test(scenario = "sims/locks.toml", seeds = 20, isolation = "thread")]
#[ignore = "fails: `tests/finds.rs` shows what it says"]
fn granted_by_one_node_alone() -> Locks {
    Locks::with(Some(Mistake::GrantedAlone))
}

#[schism::test(scenario = "sims/locks.toml", seeds = 20, isolation = "thread")]
#[ignore = "fails: `tests/finds.rs` shows what it says"]
fn forgotten_by_a_node_that_restarts() -> Locks {
    Locks::with(Some(Mistake::Forgets))
}

#[schism::test(scenario = "sims/locks.toml", seeds = 20, isolation = "thread")]
#[ignore = "fails: `tests/finds.rs` shows what it says"]
fn released_by_whoever_held_it_before() -> Locks {
    Locks::with(Some(Mistake::ReleasesAnyones))
}
