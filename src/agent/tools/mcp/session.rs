//! One connection to a server: the machine, and who waits for its answers.

use std::collections::BTreeMap;

use smol::channel::Sender;

use super::{Order, Outcome, Shared, State, named};
use crate::base::{Instant, Machine as _};
use crate::proto::mcp::{Broken, Client, Input, Output};
use crate::rt::clock;

/// See the module.
pub(super) struct Session<'s> {
    name: &'s str,
    shared: &'s Shared,
    pub(super) machine: Client,
    calls: BTreeMap<u64, Sender<Outcome>>,
    next: u64,
}

impl<'s> Session<'s> {
    pub(super) fn new(
        name: &'s str,
        shared: &'s Shared,
        version: &str,
        pings: bool,
    ) -> Session<'s> {
        let machine = Client::new(clock::now(), version, pings);
        Session { name, shared, machine, calls: BTreeMap::new(), next: 0 }
    }

    /// Takes in a call.
    pub(super) fn order(&mut self, order: Order) {
        let Order { tool, arguments, by, answer } = order;
        let number = self.next;
        self.next += 1;
        self.calls.insert(number, answer);
        let call = Input::Call { number, tool: &tool, arguments: &arguments, by };
        self.machine.handle(clock::now(), call);
    }

    /// Takes in a message.
    pub(super) fn hear(&mut self, message: &[u8]) {
        self.machine.handle(clock::now(), Input::Message(message));
    }

    /// Lets time pass, and gives up calls that nobody waits for.
    pub(super) fn expire(&mut self) {
        let now = clock::now();
        let left: Vec<u64> =
            self.calls.iter().filter(|(_, answer)| answer.is_closed()).map(|(&n, _)| n).collect();
        for number in left {
            self.calls.remove(&number);
            self.machine.handle(now, Input::Cancel(number));
        }
        self.machine.expire(now);
    }

    /// When [`expire`](Session::expire) is wanted.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    /// Does what there is to be done; each message that is to be sent goes to `send`.
    ///
    /// # Errors
    /// The connection is of no use any more.
    pub(super) fn act(&mut self, mut send: impl FnMut(Vec<u8>)) -> Result<(), Broken> {
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Send(message) => send(message),
                Output::Tools(offers) => {
                    let tools = named(self.name, offers);
                    let left_out = self.machine.left_out();
                    log::info!(
                        target: "mcp",
                        "{} offers {} tools, and {left_out} that cannot be used",
                        self.name,
                        tools.len()
                    );
                    self.shared.left_out.set(left_out);
                    self.shared.tools.replace(tools);
                    self.shared.state.replace(State::Ready);
                }
                Output::Done { number, outcome } => {
                    if let Some(answer) = self.calls.remove(&number) {
                        let _ = answer.try_send(outcome);
                    }
                }
                Output::Broken(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// It is over: whoever still waits is told so.
    pub(super) fn end(&mut self) {
        self.machine.break_off(Broken::Silent);
        let _ = self.act(drop);
    }
}
