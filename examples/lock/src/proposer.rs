//! Changes that a majority accepts.

use crate::Mistake;
use crate::acceptor::Acceptor;
use crate::messages::{Accept, Ballot, Prepare, Promise, Standing, State};
use crate::wire::acceptors::acceptors_client::AcceptorsClient;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::future::Future;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// How many times a node tries before it gives up.
const TRIES: u32 = 4;
/// How long it waits for a majority.
const PATIENCE: Duration = Duration::from_millis(100);
/// The pause before the next try, multiplied by the number of tries and by the node's number, so that two nodes do not
/// collide again and again.
const PAUSE: Duration = Duration::from_millis(7);

/// A node that changes locks.
#[derive(Debug, Clone)]
pub struct Proposer {
    /// Its number, from 1.
    pub node: u64,
    /// Its own acceptor.
    pub acceptor: Acceptor,
    /// Channels to the acceptors of the other nodes.
    pub peers: Vec<Channel>,
    /// The mistake it makes, if any.
    pub mistake: Option<Mistake>,
}

/// A change that was not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// No node was asked to accept it: it did not happen, and will not.
    NotDone,
    /// A node may have accepted it, so it may still take effect.
    Unknown,
}

/// How a try ended.
enum Tried {
    Done(Standing),
    /// A majority did not promise in time.
    NotPromised(Ballot),
    /// A majority did not accept in time.
    NotAccepted(Ballot),
}

impl Proposer {
    /// Changes a lock. The change may be tried several times, so it must record in the state that it was done.
    ///
    /// # Errors
    /// When no majority agrees; the error says whether the change may have happened.
    pub async fn change(&self, lock: &str, change: impl Fn(&mut State) -> Standing) -> Result<Standing, Failed> {
        let (mut failed, mut heard) = (Failed::NotDone, Ballot::default());
        for count in 1..=TRIES {
            match self.attempt(lock, heard, &change).await {
                Tried::Done(standing) => return Ok(standing),
                Tried::NotPromised(higher) => heard = heard.max(higher),
                Tried::NotAccepted(higher) => (failed, heard) = (Failed::Unknown, heard.max(higher)),
            }
            tokio::time::sleep(PAUSE * count * self.node as u32).await;
        }
        Err(failed)
    }

    async fn attempt(&self, lock: &str, heard: Ballot, change: &impl Fn(&mut State) -> Standing) -> Tried {
        let (ballot, own) = self.acceptor.next(lock, self.node, heard);
        let prepare = Prepare { lock: lock.to_owned(), ballot };
        let ask = |peer| {
            let (mut peer, prepare) = (AcceptorsClient::new(peer), prepare.clone());
            async move { peer.prepare(prepare).await }
        };
        let promises = match self.majority(own, |promise| promise.promised == ballot, ask).await {
            Ok(promises) => promises,
            Err(others) => {
                return Tried::NotPromised(others.iter().map(|other| other.promised).max().unwrap_or(ballot));
            }
        };
        // If a majority accepted a state, a node of this majority has it, with the highest ballot.
        let latest = promises.into_iter().filter_map(|Promise { accepted, .. }| accepted).max_by_key(|one| one.ballot);
        let mut state = latest.map(|accept| accept.state).unwrap_or_default();
        let standing = change(&mut state);
        let accept = Accept { lock: lock.to_owned(), ballot, state };
        let own = self.acceptor.accept(accept.clone());
        let ask = |peer| {
            let (mut peer, accept) = (AcceptorsClient::new(peer), accept.clone());
            async move { peer.accept(accept).await }
        };
        let accepted = self.majority(own, |accepted| accepted.promised == ballot, ask).await;
        match accepted {
            Ok(_) => Tried::Done(standing),
            Err(_) if self.mistake == Some(Mistake::GrantedAlone) && own.promised == ballot => Tried::Done(standing),
            Err(others) => Tried::NotAccepted(others.iter().map(|other| other.promised).max().unwrap_or(ballot)),
        }
    }

    /// Asks every peer, and waits until a majority, this node with its own answer included, agrees.
    ///
    /// # Errors
    /// The answers so far, when a majority cannot be reached any more or was not reached in time.
    async fn majority<T, F>(
        &self,
        own: T,
        agrees: impl Fn(&T) -> bool,
        ask: impl Fn(Channel) -> F,
    ) -> Result<Vec<T>, Vec<T>>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let needed = self.peers.len().div_ceil(2) + 1;
        let mut answers = vec![own];
        let mut asked: FuturesUnordered<F> = self.peers.iter().cloned().map(ask).collect();
        let gather = async {
            while answers.iter().filter(|answer| agrees(answer)).count() < needed {
                match asked.next().await {
                    Some(Ok(answer)) => answers.push(answer.into_inner()),
                    // A peer that cannot be reached does not agree.
                    Some(Err(_)) => {}
                    None => return false,
                }
            }
            true
        };
        // Too late is the same as no majority.
        let agreed = tokio::time::timeout(PATIENCE, gather).await.unwrap_or(false);
        if agreed { Ok(answers.into_iter().filter(|answer| agrees(answer)).collect()) } else { Err(answers) }
    }
}
