//! openraft's time, tasks and randomness, provided by the host.
//!
//! Tasks are spawned with `spawn_local` under their host (see [`crate::host::task`]). Random numbers come from the
//! host's own stream, so that one node's election time-outs do not depend on what another node draws. Time is the
//! host's own clock, which may be wrong.

use crate::host::task;
use crate::systems::runtime::true_span;
use openraft::OptionalSend;
use openraft::async_runtime::AsyncRuntime;
use openraft::impls::TokioRuntime;
use rand::RngCore;
use std::future::Future;
use std::time::Duration;

pub use crate::systems::runtime::{HostInstant, HostRng, HostRuntime};

impl openraft::Instant for HostInstant {
    fn now() -> HostInstant {
        HostInstant::present()
    }
}

impl RngCore for HostRng {
    fn next_u32(&mut self) -> u32 {
        self.0.with_rng(RngCore::next_u32)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.with_rng(RngCore::next_u64)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.with_rng(|rng| rng.fill_bytes(bytes));
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl AsyncRuntime for HostRuntime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = tokio::task::JoinHandle<T>;
    type Sleep = tokio::time::Sleep;
    type Instant = HostInstant;
    type TimeoutError = tokio::time::error::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = tokio::time::Timeout<T>;
    type ThreadLocalRng = HostRng;
    type OneshotSender<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiver<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotReceiver<T>;
    type OneshotReceiverError = <TokioRuntime as AsyncRuntime>::OneshotReceiverError;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        task::spawn(task::current(), future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        tokio::time::sleep(true_span(duration))
    }

    fn sleep_until(deadline: HostInstant) -> Self::Sleep {
        Self::sleep(deadline - HostInstant::present())
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        tokio::time::timeout(true_span(duration), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: HostInstant, future: F) -> Self::Timeout<R, F> {
        Self::timeout(deadline - HostInstant::present(), future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        join_error.is_panic()
    }

    fn thread_rng() -> HostRng {
        HostRng::current()
    }

    fn oneshot<T: OptionalSend>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        TokioRuntime::oneshot()
    }
}
