//! A process that keeps its data on a disk. It starts from the state on the disk, and starts again after its storage
//! has failed, as under a supervisor.

use crate::host::Host;
use crate::host::task::RESTART_PAUSE;
use crate::host::transport::Incoming;
use crate::trace::What;
use std::cell::RefCell;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// A running node.
pub trait Node: 'static {
    /// Starts the node's own tasks.
    fn begin(self: &Rc<Self>) {}

    /// Answers a message; `None` sends no answer.
    fn answer(self: Rc<Self>, incoming: Incoming) -> impl Future<Output = Option<Vec<u8>>>;

    /// Ends when the node must stop because its storage has failed. Its tasks must stop by themselves.
    fn failed(&self) -> impl Future<Output = ()>;

    /// Returns once none of the node's tasks runs any more, where that can be waited for. The node gets no messages by
    /// then.
    fn ended(&self) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// Runs a node until its process is killed.
pub async fn supervise<N: Node, E: Display>(host: Host, start: impl AsyncFn(&Host) -> Result<Rc<N>, E>) {
    let current: Rc<RefCell<Option<Rc<N>>>> = Rc::default();
    let answering = current.clone();
    let handler = Rc::new(move |incoming: Incoming| {
        let node = answering.borrow().clone();
        let answer: Pin<Box<dyn Future<Output = Option<Vec<u8>>>>> =
            Box::pin(async move { node?.answer(incoming).await });
        answer
    });
    let serving = host.clone();
    host.spawn(async move { serving.serve(handler).await.expect("a node's port is its own") });
    loop {
        match start(&host).await {
            Ok(node) => {
                *current.borrow_mut() = Some(node.clone());
                node.begin();
                node.failed().await;
                *current.borrow_mut() = None;
                node.ended().await;
            }
            Err(error) => tracing::error!("{host:?} does not start: {error}"),
        }
        host.record(What::Crash);
        // The remaining old tasks hold a handle that must not write any more.
        host.detach_disk();
        host.sleep(RESTART_PAUSE).await;
        host.record(What::Start);
    }
}
