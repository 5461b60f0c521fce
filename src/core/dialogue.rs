//! One turn of an agent that is a language model: it is asked, its words are shown as they come,
//! the tools that it calls are run and their outcomes told, until it has said what it has to say.
//!
//! A model that fails is followed by the next of the agent's list, from the same point; what was
//! shown of its words is taken back. Whatever happens, a turn ends once, by its deadline.

use std::collections::VecDeque;
use std::time::Duration;

use super::models::{Models, Tried};
use super::turn::Fault;
use crate::base::Instant;
use crate::base::limits::LLM_JOINED_MAX;
use crate::proto::llm::{Call, Message, Part, Reason, Reply, Role, Stop, Trouble, Usage};

#[cfg(test)]
mod sim;

/// The rules of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// When it has to be over.
    pub by: Instant,
    /// How long a model may take for its first word, and be silent between two.
    pub silence: Duration,
    /// How long it may be waited for a model that rests.
    pub patience: Duration,
    /// How often the model may be told what its tools gave back. After that it is offered none.
    pub rounds_max: u32,
}

/// What happens in a turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input<'a> {
    /// The model has sent something, be it no words; these are the words.
    Words(&'a str),
    /// Its answer is complete.
    Replied(Reply),
    /// There is no answer.
    Failed(Trouble),
    /// The tool that was run under this number is done.
    Outcome {
        /// The number.
        number: usize,
        /// What is to be told to the model.
        text: Box<str>,
        /// Whether it has failed.
        is_error: bool,
    },
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Ask the model at this place of the list, with the conversation and then
    /// [`messages`](Dialogue::messages).
    Ask {
        /// The place.
        place: usize,
        /// Whether it may call tools.
        with_tools: bool,
    },
    /// Break off the request that is under way: its answer is not wanted any more.
    Break,
    /// Run a tool, and tell its outcome under this number.
    Run {
        /// The number.
        number: usize,
        /// The call.
        call: Call,
    },
    /// Show what the model has said so far in this answer: all of it, not what is new.
    Show(String),
    /// A model has answered, and this is what it took.
    Spent {
        /// Its place in the list.
        place: usize,
        /// What it took.
        usage: Usage,
    },
    /// The turn is over.
    Over(End),
}

/// How a turn has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// What is said, or why nothing is.
    pub answer: Result<String, Fault>,
    /// Why the last model that was asked gave no answer, if none did.
    pub trouble: Option<Trouble>,
    /// What was said in the meantime and no model has heard.
    pub unheard: Vec<Box<str>>,
}

/// See the module.
#[derive(Debug)]
pub struct Dialogue {
    rules: Rules,
    /// What this turn adds to the conversation.
    messages: Vec<Message>,
    phase: Phase,
    tried: Tried,
    trouble: Option<Trouble>,
    joined: Vec<Box<str>>,
    /// What was said before tools were called: part of the answer.
    said: String,
    /// What the model has said since it was asked.
    words: String,
    rounds: u32,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum Phase {
    /// All models rest; the first is fresh then.
    Waiting(Instant),
    /// A model is asked, and has to be heard of by then.
    Asking { place: usize, by: Instant },
    /// Tools are at work: what is known of each.
    Running(Vec<Running>),
    /// It is over.
    Over,
}

#[derive(Debug)]
struct Running {
    call: Box<str>,
    outcome: Option<(Box<str>, bool)>,
}

impl Dialogue {
    /// A turn that begins now.
    pub fn new(rules: Rules, models: &Models, now: Instant) -> Dialogue {
        let mut dialogue = Dialogue {
            rules,
            messages: Vec::new(),
            phase: Phase::Waiting(now),
            tried: Tried::default(),
            trouble: None,
            joined: Vec::new(),
            said: String::new(),
            words: String::new(),
            rounds: 0,
            outputs: VecDeque::new(),
        };
        dialogue.ask(models, now);
        dialogue
    }

    /// What this turn has added to the conversation so far.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Takes in what has happened. What does not fit the state means nothing: it came late.
    pub fn handle(&mut self, models: &mut Models, now: Instant, input: Input<'_>) {
        match (input, &mut self.phase) {
            (Input::Words(words), Phase::Asking { by, .. }) => {
                *by = now + self.rules.silence;
                if !words.is_empty() {
                    self.words.push_str(words);
                    self.show();
                }
            }
            (Input::Replied(reply), &mut Phase::Asking { place, .. }) => {
                models.answered(place);
                self.replied(models, now, place, reply);
            }
            (Input::Failed(trouble), &mut Phase::Asking { place, .. }) => {
                self.failed(models, now, place, trouble);
            }
            (Input::Outcome { number, text, is_error }, Phase::Running(running)) => {
                if let Some(running) = running.get_mut(number) {
                    running.outcome.get_or_insert((text, is_error));
                }
                self.go_on(models, now);
            }
            _ => {}
        }
    }

    /// Somebody says more in the meantime: the model hears it when it is asked next. False if it
    /// has to wait for a turn of its own.
    pub fn join(&mut self, text: &str) -> bool {
        let has_room = self.joined.len() < LLM_JOINED_MAX && !matches!(self.phase, Phase::Over);
        if has_room {
            self.joined.push(text.into());
        }
        has_room
    }

    /// How many of those that joined no model has heard yet.
    #[must_use]
    pub fn unheard(&self) -> usize {
        self.joined.len()
    }

    /// Lets time pass.
    pub fn expire(&mut self, models: &mut Models, now: Instant) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        if self.rules.by <= now {
            if matches!(self.phase, Phase::Asking { .. }) {
                self.outputs.push_back(Output::Break);
            }
            return self.end(Err(Fault::TooSlow));
        }
        match self.phase {
            Phase::Waiting(until) if until <= now => self.ask(models, now),
            Phase::Asking { place, by } if by <= now => {
                self.outputs.push_back(Output::Break);
                let reason = if self.words.is_empty() { Reason::Overloaded } else { Reason::Cut };
                let words = "it was silent for too long".to_owned();
                self.failed(models, now, place, Trouble { reason, words, wait: None });
            }
            _ => {}
        }
    }

    /// What is to be done next; to be drained after every call of the others.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`expire`](Dialogue::expire) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let own = match self.phase {
            Phase::Waiting(until) => until,
            Phase::Asking { by, .. } => by,
            Phase::Running(_) => self.rules.by,
            Phase::Over => return None,
        };
        Some(own.min(self.rules.by))
    }

    /// Asks the next model, waits for one, or gives up.
    fn ask(&mut self, models: &Models, now: Instant) {
        if let Some(place) = models.next(now, &mut self.tried) {
            self.hear_joined();
            let by = now + self.rules.silence;
            self.phase = Phase::Asking { place, by };
            let with_tools = self.rounds < self.rules.rounds_max;
            self.outputs.push_back(Output::Ask { place, with_tools });
            return;
        }
        match models.fresh_at(&self.tried) {
            Some(fresh) if now.until(fresh) <= self.rules.patience && fresh < self.rules.by => {
                self.phase = Phase::Waiting(fresh);
            }
            _ => {
                let reason = self.trouble.as_ref().map(|trouble| trouble.reason);
                self.end(Err(match reason {
                    Some(Reason::Garbled) => Fault::Garbled,
                    Some(Reason::Endless) => Fault::TooLong,
                    Some(
                        Reason::Key
                        | Reason::Forbidden
                        | Reason::Missing
                        | Reason::TooLong
                        | Reason::Invalid,
                    ) => Fault::Declined,
                    _ => Fault::Unreachable,
                }));
            }
        }
    }

    fn failed(&mut self, models: &mut Models, now: Instant, place: usize, trouble: Trouble) {
        models.failed(place, trouble.reason, trouble.wait, now);
        self.trouble = Some(trouble);
        if !std::mem::take(&mut self.words).is_empty() {
            self.show();
        }
        self.ask(models, now);
    }

    fn replied(&mut self, models: &mut Models, now: Instant, place: usize, reply: Reply) {
        let Reply { text, calls, stop, usage, .. } = reply;
        self.outputs.push_back(Output::Spent { place, usage });
        self.trouble = None;
        self.words.clear();
        let may_call = self.rounds < self.rules.rounds_max;
        if !text.is_empty() && !self.said.is_empty() {
            self.said.push_str("\n\n");
        }
        self.said.push_str(&text);
        if stop != Stop::Calls || !may_call {
            let said = std::mem::take(&mut self.said);
            let is_nothing = said.trim().is_empty();
            return self.end(match stop {
                Stop::Refused if is_nothing => Err(Fault::Declined),
                // It was told that there are no tools any more, and calls them nevertheless.
                Stop::Calls if is_nothing => Err(Fault::Garbled),
                _ => Ok(said),
            });
        }
        let mut parts = Vec::new();
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        parts.extend(calls.iter().cloned().map(Part::Call));
        self.messages.push(Message { role: Role::Assistant, parts });
        let running = |call: &Call| Running { call: call.id.as_str().into(), outcome: None };
        self.phase = Phase::Running(calls.iter().map(running).collect());
        let runs = calls.into_iter().enumerate();
        self.outputs.extend(runs.map(|(number, call)| Output::Run { number, call }));
        self.go_on(models, now);
    }

    /// Tells the model what its tools gave back, if all have.
    fn go_on(&mut self, models: &Models, now: Instant) {
        let Phase::Running(running) = &mut self.phase else { return };
        if running.iter().any(|running| running.outcome.is_none()) {
            return;
        }
        let parts = running.drain(..).filter_map(|running| {
            let (text, is_error) = running.outcome?;
            Some(Part::Outcome { call: running.call, text, is_error })
        });
        let message = Message { role: Role::User, parts: parts.collect() };
        self.messages.push(message);
        self.rounds += 1;
        self.tried = Tried::default();
        self.ask(models, now);
    }

    /// What was said in the meantime is heard by the model that is asked next.
    fn hear_joined(&mut self) {
        if self.joined.is_empty() {
            return;
        }
        let parts = self.joined.drain(..).map(Part::Text);
        if let Some(last) = self.messages.last_mut().filter(|last| last.role == Role::User) {
            last.parts.extend(parts);
        } else {
            self.messages.push(Message { role: Role::User, parts: parts.collect() });
        }
    }

    fn show(&mut self) {
        let gap = if self.said.is_empty() || self.words.is_empty() { "" } else { "\n\n" };
        let shown = [self.said.as_str(), gap, self.words.as_str()].concat();
        // Only the latest is of interest.
        if let Some(Output::Show(latest)) = self.outputs.back_mut() {
            *latest = shown;
        } else {
            self.outputs.push_back(Output::Show(shown));
        }
    }

    fn end(&mut self, answer: Result<String, Fault>) {
        self.phase = Phase::Over;
        let unheard = std::mem::take(&mut self.joined);
        let trouble = self.trouble.take();
        self.outputs.push_back(Output::Over(End { answer, trouble, unheard }));
    }
}
