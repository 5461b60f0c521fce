//! The shape of everything that decides.

use super::Instant;

/// A thing that judges: no clock, no socket, no `async`, no logging, no randomness of its own.
///
/// After each call of [`handle`](Machine::handle) or [`expire`](Machine::expire) the driver takes
/// outputs with [`poll`](Machine::poll) until there are none, and then waits for the next input or
/// for [`deadline`](Machine::deadline), whichever comes first.
pub trait Machine {
    /// What happened, possibly borrowed from the port that saw it.
    type Input<'a>;
    /// What is to be done about it.
    type Output;

    /// Takes in one thing that happened at `now`.
    fn handle(&mut self, now: Instant, input: Self::Input<'_>);

    /// Lets what was due at or before `now` happen. Spurious calls are harmless.
    fn expire(&mut self, now: Instant);

    /// The next thing to do, or `None` when all is said.
    fn poll(&mut self) -> Option<Self::Output>;

    /// When [`expire`](Machine::expire) is wanted next; always later than the `now` last given.
    fn deadline(&self) -> Option<Instant>;
}
