//! A few threads for what would hold the one thread: name lookups, the disk, computing.
//!
//! Fixed in number, started when first needed, with a bounded queue, and niced, so that they give
//! way to the thread that keeps the connections.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Full;
use crate::base::limits::{BLOCKING_QUEUE_MAX, BLOCKING_STACK_BYTES, BLOCKING_THREADS_MAX};

/// For the disk and for computing.
static WORK: Pool = Pool::new("work");
/// For name lookups alone: with a dead name server each takes many seconds.
static NAMES: Pool = Pool::new("names");

/// How much these threads give way.
const NICE: i32 = 10;

/// Runs `f` on a thread for disk work and computing. When this future is dropped before `f` was
/// begun, `f` is not run.
///
/// # Errors
/// Too much is waiting already; `f` was not run.
pub async fn run<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, Full> {
    wait(WORK.submit(f)?).await
}

/// Runs `f` on a thread for name lookups.
///
/// # Errors
/// Too much is waiting already; `f` was not run.
pub(super) fn look_up<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<Answer<T>, Full> {
    NAMES.submit(f)
}

type Job = Box<dyn FnOnce() + Send>;
/// A job's result, or its panic.
pub(super) type Outcome<T> = Result<T, Box<dyn Any + Send>>;
/// Where a job's result arrives.
pub(super) type Answer<T> = smol::channel::Receiver<Outcome<T>>;

/// The result of a job, or its panic.
pub(super) async fn wait<T>(answer: Answer<T>) -> Result<T, Full> {
    match answer.recv().await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(panic)) => resume_unwind(panic),
        // No thread could be started.
        Err(_) => Err(Full),
    }
}

struct Pool {
    name: &'static str,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Pool {
    const fn new(name: &'static str) -> Pool {
        let state = State { queue: VecDeque::new(), threads: 0, idle: 0 };
        Pool { name, state: Mutex::new(state), wake: Condvar::new() }
    }

    fn submit<T: Send + 'static>(
        &'static self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Answer<T>, Full> {
        let (sender, answer) = smol::channel::bounded(1);
        let job = move || {
            if !sender.is_closed() {
                // A panic belongs to the one who asked, not to this thread.
                let outcome = catch_unwind(AssertUnwindSafe(f));
                // Nobody may be waiting any more.
                let _ = sender.try_send(outcome);
            }
        };
        let mut state = self.lock();
        if state.queue.len() >= BLOCKING_QUEUE_MAX {
            return Err(Full);
        }
        state.queue.push_back(Box::new(job));
        if state.idle < state.queue.len() && state.threads < BLOCKING_THREADS_MAX {
            let thread =
                std::thread::Builder::new().name(self.name.into()).stack_size(BLOCKING_STACK_BYTES);
            match thread.spawn(|| self.serve()) {
                Ok(_) => state.threads += 1,
                Err(_) if state.threads == 0 => {
                    state.queue.pop_back();
                    return Err(Full);
                }
                // Those that run already will come to it.
                Err(_) => {}
            }
        }
        drop(state);
        self.wake.notify_one();
        Ok(answer)
    }

    fn serve(&self) {
        // Without the right to be nicer the thread does its work all the same.
        let _ = rustix::process::setpriority_process(None, NICE);
        loop {
            let job = {
                let mut state = self.lock();
                loop {
                    if let Some(job) = state.queue.pop_front() {
                        break job;
                    }
                    state.idle += 1;
                    state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                }
            };
            job();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of ours panics with the lock held, and the queue is whole between its calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn work_is_done_elsewhere_and_its_panic_comes_home() {
        smol::block_on(async {
            let here = std::thread::current().id();
            assert_ne!(run(move || std::thread::current().id()).await, Ok(here));
            for _ in 0..BLOCKING_THREADS_MAX * 2 {
                let task = AssertUnwindSafe(run(|| resume_unwind(Box::new(5_u8))));
                let panic = smol::future::FutureExt::catch_unwind(task).await;
                assert_eq!(
                    panic.map(|_: Result<(), _>| ()).unwrap_err().downcast_ref(),
                    Some(&5_u8)
                );
            }
            assert_eq!(run(|| 7).await, Ok(7), "the threads are still there");
        });
    }

    #[test]
    fn the_queue_is_bounded_and_forgotten_work_is_not_done() {
        static POOL: Pool = Pool::new("test");
        let (go, gate) = mpsc::channel::<()>();
        let gate = std::sync::Arc::new(Mutex::new(gate));
        let block = || {
            let gate = gate.clone();
            move || drop(gate.lock().map(|gate| gate.recv()))
        };
        let (started, begun) = mpsc::channel();
        let blocked: Vec<_> = (0..BLOCKING_THREADS_MAX)
            .map(|_| {
                let (started, block) = (started.clone(), block());
                let answer = POOL.submit(move || {
                    started.send(()).unwrap();
                    block();
                });
                begun.recv().unwrap();
                answer.unwrap()
            })
            .collect();
        let (seen, done) = mpsc::channel();
        let queued: Vec<_> = (0..BLOCKING_QUEUE_MAX)
            .map(|n| {
                let seen = seen.clone();
                POOL.submit(move || seen.send(n).unwrap()).unwrap()
            })
            .collect();
        assert_eq!(POOL.submit(|| ()).map(|_| ()), Err(Full));
        // All but the last are forgotten.
        let last = queued.into_iter().last().unwrap();
        drop(go);
        smol::block_on(async {
            for answer in blocked {
                wait(answer).await.unwrap();
            }
            wait(last).await.unwrap();
        });
        drop(seen);
        assert_eq!(done.iter().collect::<Vec<_>>(), [BLOCKING_QUEUE_MAX - 1]);
    }
}
