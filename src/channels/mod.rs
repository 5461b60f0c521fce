//! The chat services: each is a machine of `proto`, a thin port of its own, and the one loop that
//! drives them all.

pub(crate) mod discord;
pub(crate) mod webchat;

use smol::future::FutureExt as _;

use crate::base::{Instant, Machine};
use crate::rt::clock;
use crate::rt::executor::Pace;

/// What acts for a machine.
pub(crate) trait Port<M: Machine> {
    /// Does what `output` says, now and without waiting, into bounded buffers.
    fn act(&mut self, now: Instant, output: M::Output, machine: &M);

    /// Called when the machine has said all that it had to say; `false` ends the loop.
    fn rest(&mut self, now: Instant, machine: &M) -> bool;

    /// The next thing that happens; `None` if nothing will ever again. May be dropped half-way and
    /// called again: nothing is lost.
    async fn next(&mut self) -> Option<M::Input<'_>>;
}

/// What ended a wait.
enum Woken<T> {
    Port(Option<T>),
    Due,
}

/// Runs `machine` with `port` until the port says that it is over.
///
/// A socket that is always readable never waits, so the machine's deadline is looked at before
/// each input, and the thread is given back every so many inputs.
pub(crate) async fn drive<M: Machine>(machine: &mut M, port: &mut impl Port<M>, mut pace: Pace) {
    loop {
        let now = clock::now();
        while let Some(output) = machine.poll() {
            port.act(now, output, machine);
        }
        if !port.rest(now, machine) {
            return;
        }
        let due = machine.deadline();
        if due.is_some_and(|due| due <= now) {
            machine.expire(now);
            continue;
        }
        let wake = async {
            match due {
                Some(due) => clock::sleep_until(due).await,
                None => smol::future::pending().await,
            }
            Woken::Due
        };
        match async { Woken::Port(port.next().await) }.or(wake).await {
            Woken::Port(Some(input)) => machine.handle(clock::now(), input),
            Woken::Port(None) => return,
            Woken::Due => machine.expire(clock::now()),
        }
        pace.breathe().await;
    }
}
