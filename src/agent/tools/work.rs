//! The tools at work in one turn: several at the same time, and each act in the order of the calls.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use super::{Ask, Counts, Done, Outcome, Toolbox};
use crate::base::Instant;
use crate::base::limits::{TOOL_CALLS_MAX, TOOL_TURN_RESERVE, TOOLS_RUNNING_MAX};
use crate::core::answer::{Act, Answer};
use crate::core::chat::Request;
use crate::core::tools::How;
use crate::proto::llm::{Call, Tool};
use crate::rt::clock;

/// Denials that are told in one answer: a model that runs in circles makes no wall of text.
const DENIALS_TOLD_MAX: usize = 4;

/// See the module.
pub struct Work<'t> {
    toolbox: &'t Toolbox,
    request: &'t Request,
    by: Instant,
    /// What the model is offered.
    pub tools: Vec<Tool>,
    calls: u32,
    counts: Rc<Counts>,
    waiting: VecDeque<Running<'t>>,
    running: Vec<Running<'t>>,
    /// What the calls do in the chat, by their ordinals.
    acts: BTreeMap<u32, Vec<Act>>,
    /// What was denied, and where.
    denied: Vec<(Box<str>, String)>,
}

type Running<'t> = Pin<Box<dyn Future<Output = Ran> + 't>>;

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
        let by = if left > 2 * TOOL_TURN_RESERVE {
            now + left.saturating_sub(TOOL_TURN_RESERVE)
        } else {
            by
        };
        Work {
            toolbox,
            request,
            by,
            tools: toolbox.offered(request),
            calls: 0,
            counts: Rc::default(),
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
        let counts = self.counts.clone();
        self.waiting.push_back(Box::pin(async move {
            let acts = RefCell::default();
            let done = if ordinal < TOOL_CALLS_MAX {
                Box::pin(toolbox.run(Ask { request, call: &call, ordinal, by }, &counts, &acts))
                    .await
            } else {
                let text = "too many tools were called for one message; answer without";
                Done::failed(How::Failed, text.to_owned())
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
                    drop(self.running.remove(at));
                    return Poll::Ready(ran);
                }
            }
            Poll::Pending
        });
        let Ran { number, ordinal, name, done, acts } = ran.await;
        if !acts.is_empty() {
            self.acts.insert(ordinal, acts);
        }
        let denied = (name.into(), done.denied);
        if done.how == How::Denied && !self.denied.contains(&denied) {
            self.denied.push(denied);
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
        // A model may have come by a secret on ways that are not ours.
        let mut said = (self.toolbox.blot)(text);
        // Whatever the model says about it: who asks has to know.
        for (name, place) in self.denied.into_iter().take(DENIALS_TOLD_MAX) {
            let gap = if said.trim().is_empty() { "" } else { "\n\n" };
            let place = if place.is_empty() { "here" } else { &place };
            said = format!("{said}{gap}(You are not permitted to use `{name}` {place}.)");
        }
        acts.extend(Answer::text(said).acts);
        Answer { acts }
    }
}
