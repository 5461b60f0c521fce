//! The tools at work in one turn: several at the same time, and each act in the order of the calls.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::{Ask, Done, Outcome, Toolbox};
use crate::base::Instant;
use crate::base::limits::{TOOL_CALLS_MAX, TOOL_TURN_RESERVE, TOOLS_RUNNING_MAX};
use crate::base::text::{Plain, truncate};
use crate::core::answer::{Act, Answer};
use crate::core::chat::Request;
use crate::proto::llm::{Call, Tool};
use crate::rt::clock;

/// Of a tool's name, so much is told.
const NAME_BYTES_MAX: usize = 64;

/// See the module.
pub struct Work<'t> {
    toolbox: &'t Toolbox,
    request: &'t Request,
    by: Instant,
    /// What the model is offered.
    pub tools: Vec<Tool>,
    calls: u32,
    waiting: VecDeque<Running<'t>>,
    running: Vec<Running<'t>>,
    /// What the calls do in the chat, by their ordinals.
    acts: BTreeMap<u32, Vec<Act>>,
    denied: Vec<Box<str>>,
}

type Running<'t> = Pin<Box<dyn Future<Output = Ran> + 't>>;

/// Writes the call into the log: never its arguments, nor what came of it, which may be private.
fn tell(ask: &Ask<'_>, done: &Done, took: Duration) {
    let Request { id, chat, .. } = ask.request;
    let how = match done {
        Done { is_denied: true, .. } => "denied",
        Done { outcome: Ok(_), .. } => "done",
        Done { outcome: Err(_), .. } => "failed",
    };
    let (number, name) = (ask.ordinal + 1, Plain(truncate(&ask.call.name, NAME_BYTES_MAX)));
    let took = took.as_millis();
    log::info!(target: "agent", "message {id} in {chat}: tool {number}, {name}: {how}, {took} ms");
}

struct Ran {
    number: usize,
    ordinal: u32,
    name: String,
    done: Done,
    acts: Vec<Act>,
}

impl<'t> Work<'t> {
    /// The work for `request`, in a turn that has to be over at `by`.
    #[must_use]
    pub fn new(toolbox: &'t Toolbox, request: &'t Request, by: Instant) -> Work<'t> {
        // The model has to say something about it.
        let now = clock::now();
        let left = now.until(by);
        let by = if left > 2 * TOOL_TURN_RESERVE { now + (left - TOOL_TURN_RESERVE) } else { by };
        Work {
            toolbox,
            request,
            by,
            tools: toolbox.offered(request),
            calls: 0,
            waiting: VecDeque::new(),
            running: Vec::new(),
            acts: BTreeMap::new(),
            denied: Vec::new(),
        }
    }

    /// Runs `call`, whose outcome is wanted under `number`.
    pub fn begin(&mut self, number: usize, call: Call) {
        let (toolbox, request, by, ordinal) = (self.toolbox, self.request, self.by, self.calls);
        self.calls += 1;
        self.waiting.push_back(Box::pin(async move {
            let acts = RefCell::default();
            let done = if ordinal < TOOL_CALLS_MAX {
                let ask = Ask { request, call: &call, ordinal, by };
                let began = clock::now();
                let done = toolbox.run(ask, &acts).await;
                tell(&ask, &done, began.until(clock::now()));
                done
            } else {
                let text = "too many tools were called for one message; answer without";
                Done { outcome: Err(text.to_owned()), is_denied: false }
            };
            Ran { number, ordinal, name: call.name, done, acts: acts.into_inner() }
        }));
    }

    /// The next outcome, with its number; never, if nothing is at work. Dropped, it loses nothing.
    pub async fn next(&mut self) -> (usize, Outcome) {
        while self.running.len() < TOOLS_RUNNING_MAX {
            let Some(next) = self.waiting.pop_front() else { break };
            self.running.push(next);
        }
        if self.running.is_empty() {
            return pending().await;
        }
        let ran = poll_fn(|context| {
            for at in 0..self.running.len() {
                if let Poll::Ready(ran) = self.running[at].as_mut().poll(context) {
                    drop(self.running.swap_remove(at));
                    return Poll::Ready(ran);
                }
            }
            Poll::Pending
        });
        let Ran { number, ordinal, name, done, acts } = ran.await;
        if !acts.is_empty() {
            self.acts.insert(ordinal, acts);
        }
        if done.is_denied && !self.denied.iter().any(|known| **known == *name) {
            self.denied.push(name.into());
        }
        (number, done.outcome)
    }

    /// The answer that says `text` at last: what the tools do in the chat comes before it, and that
    /// something was denied after it.
    #[must_use]
    pub fn answer(self, text: String) -> Answer {
        let mut acts: Vec<Act> = Vec::new();
        for act in self.acts.into_values().flatten() {
            // One message has one thread.
            let is_second = matches!(act, Act::Thread { .. })
                && acts.iter().any(|known| matches!(known, Act::Thread { .. }));
            if !is_second {
                acts.push(act);
            }
        }
        let mut said = text;
        for name in self.denied {
            let gap = if said.trim().is_empty() { "" } else { "\n\n" };
            said = format!("{said}{gap}You are not permitted to have {name} used here.");
        }
        acts.extend(Answer::text(said).acts);
        Answer { acts }
    }
}
