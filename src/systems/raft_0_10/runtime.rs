//! openraft's time, tasks and randomness, provided by the host.
//!
//! As for openraft 0.9: tasks are spawned under their host, time is the host's own clock, and random numbers come from
//! the host's stream. Channels are tokio's.

use crate::host::task;
use crate::systems::runtime::{HostInstant, HostRng, HostRuntime, true_span};
use openraft_0_10::rt::{AsyncRuntime, Instant, OptionalSend};
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot, TokioWatch};
use rand::RngCore;
use rand_core_0_10::{Infallible, TryRng};
use std::future::Future;
use std::time::Duration;

impl Instant for HostInstant {
    fn now() -> HostInstant {
        HostInstant::present()
    }
}

impl TryRng for HostRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.with_rng(RngCore::next_u32))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.with_rng(RngCore::next_u64))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.with_rng(|rng| rng.fill_bytes(bytes));
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
    type Mpsc = TokioMpsc;
    type Watch = TokioWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

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
        <Self as AsyncRuntime>::sleep(deadline - HostInstant::present())
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        tokio::time::timeout(true_span(duration), future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: HostInstant, future: F) -> Self::Timeout<R, F> {
        <Self as AsyncRuntime>::timeout(deadline - HostInstant::present(), future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        join_error.is_panic()
    }

    fn thread_rng() -> HostRng {
        HostRng::current()
    }

    fn new(_threads: usize) -> HostRuntime {
        HostRuntime
    }

    /// For openraft's own tests only.
    fn block_on<F: Future<Output = T>, T>(&mut self, _future: F) -> T {
        unreachable!("a host's tasks run in the runtime that the host lives in")
    }
}
