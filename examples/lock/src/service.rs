//! A node's gRPC services.

use crate::Mistake;
use crate::acceptor::Acceptor;
use crate::messages::{Accept, Accepted, Prepare, Promise, Request, Standing, State, Told};
use crate::proposer::{Failed, Proposer};
use crate::wire::acceptors::acceptors_server::{Acceptors, AcceptorsServer};
use crate::wire::locks::locks_server::{Locks, LocksServer};
use tonic::service::Routes;
use tonic::{Response, Status};

/// Everything that a node serves.
pub fn routes(proposer: Proposer) -> Routes {
    let acceptor = proposer.acceptor.clone();
    Routes::new(LocksServer::new(proposer)).add_service(AcceptorsServer::new(acceptor))
}

#[tonic::async_trait]
impl Acceptors for Acceptor {
    async fn prepare(&self, request: tonic::Request<Prepare>) -> Result<Response<Promise>, Status> {
        Ok(Response::new(Acceptor::prepare(self, request.into_inner())))
    }

    async fn accept(&self, request: tonic::Request<Accept>) -> Result<Response<Accepted>, Status> {
        Ok(Response::new(Acceptor::accept(self, request.into_inner())))
    }
}

impl Proposer {
    /// Carries a request out once, however often it arrives.
    async fn once(&self, request: Request, change: impl Fn(&mut Standing)) -> Result<Response<Standing>, Status> {
        let Request { lock, session, sequence, .. } = request;
        let change = |state: &mut State| {
            if let Some(told) = state.sessions.get(&session).filter(|told| told.sequence >= sequence) {
                return told.standing;
            }
            change(&mut state.standing);
            state.sessions.insert(session, Told { sequence, standing: state.standing });
            state.standing
        };
        match self.change(&lock, change).await {
            Ok(standing) => Ok(Response::new(standing)),
            // gRPC itself never makes this status, so a client that gets it knows that this service sent it.
            Err(Failed::NotDone) => Err(Status::aborted("no majority; nothing was done")),
            Err(Failed::Unknown) => Err(Status::unknown("no majority in time; it may have been done, or may yet be")),
        }
    }
}

#[tonic::async_trait]
impl Locks for Proposer {
    async fn acquire(&self, request: tonic::Request<Request>) -> Result<Response<Standing>, Status> {
        let request = request.into_inner();
        let holder = request.holder;
        let grant = move |standing: &mut Standing| {
            if standing.holder.is_none() {
                *standing = Standing { holder: Some(holder), token: standing.token + 1 };
            }
        };
        self.once(request, grant).await
    }

    async fn release(&self, request: tonic::Request<Request>) -> Result<Response<Standing>, Status> {
        let request = request.into_inner();
        let (holder, is_unchecked) = (request.holder, self.mistake == Some(Mistake::ReleasesAnyones));
        let free = move |standing: &mut Standing| {
            if standing.holder == Some(holder) || is_unchecked {
                standing.holder = None;
            }
        };
        self.once(request, free).await
    }

    async fn inspect(&self, request: tonic::Request<Request>) -> Result<Response<Standing>, Status> {
        // A later read must not see an older state, so a majority accepts what was read, too.
        let read = |state: &mut State| state.standing;
        match self.change(&request.into_inner().lock, read).await {
            Ok(standing) => Ok(Response::new(standing)),
            Err(Failed::NotDone | Failed::Unknown) => Err(Status::aborted("no majority; nothing was read")),
        }
    }
}
