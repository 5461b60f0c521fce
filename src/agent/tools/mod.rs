//! The tools that a model may call. [`Toolbox`] is what an agent has; [`Work`] are the calls of
//! one turn.
//!
//! A tool that acts in the chat of who asks gives an [`Act`], which becomes part of the answer and
//! so goes through the outbox: once, in order, over crashes. One that acts elsewhere is keyed by
//! the message and by what it does, so that a turn that is run again does not do it twice.

mod chat;
pub mod fetch;
pub mod mcp;
pub mod notes;
pub mod run;
mod work;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::base::Instant;
use crate::base::limits::{TOOL_OUTPUT_BYTES_MAX, TOOL_PATIENCE};
use crate::base::text::{Plain, truncate};
use crate::core::answer::Act;
use crate::core::chat::Request;
use crate::core::permit::{Permits, Verdict};
use crate::proto::llm::{Call, Tool, schema};
use crate::rt::clock;

pub use chat::Chat;
pub use work::Work;

/// What a tool says to the model; an `Err` is told as a failed call, in a sentence.
pub type Outcome = Result<String, String>;

/// One call of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The message that is answered.
    pub request: &'a Request,
    /// The call.
    pub call: &'a Call,
    /// The how-manieth call of this turn it is.
    pub ordinal: u32,
    /// When it has to be over.
    pub by: Instant,
}

/// Tools that belong together.
#[derive(Debug)]
pub enum Family {
    /// Those that act in the chat.
    Chat(Chat),
    /// What is noted.
    Notes(notes::Notes),
    /// Pages of the web.
    Fetch(Rc<fetch::Fetch>),
    /// Programs of this host.
    Programs(Rc<run::Programs>),
    /// Tools of other people's servers, which come and go.
    Servers(mcp::Servers),
}

impl Family {
    fn tools(&self) -> Vec<Tool> {
        match self {
            Family::Chat(chat) => chat.tools(),
            Family::Notes(notes) => notes.tools(),
            Family::Fetch(fetch) => fetch.tools(),
            Family::Programs(programs) => programs.tools(),
            Family::Servers(servers) => servers.tools(),
        }
    }

    /// How long one call may take.
    fn patience(&self) -> Duration {
        match self {
            Family::Chat(_) | Family::Notes(_) => TOOL_PATIENCE,
            Family::Fetch(fetch) => fetch.patience(),
            Family::Programs(programs) => programs.patience(),
            Family::Servers(servers) => servers.patience(),
        }
    }

    async fn run(&self, ask: &Ask<'_>, arguments: &Value, acts: &RefCell<Vec<Act>>) -> Outcome {
        match self {
            Family::Chat(chat) => chat.run(ask, arguments, acts),
            Family::Notes(notes) => notes.run(ask, arguments).await,
            Family::Fetch(fetch) => fetch.run(ask, arguments).await,
            Family::Programs(programs) => programs.run(ask, arguments).await,
            Family::Servers(servers) => servers.run(ask, arguments).await,
        }
    }
}

/// What hides our secrets in a text.
pub type Blot = Rc<dyn Fn(String) -> String>;

/// The tools of one agent.
pub struct Toolbox {
    families: Vec<Family>,
    permits: Rc<Permits>,
    blot: Blot,
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tools().into_iter().map(|(tool, _)| tool.name)).finish()
    }
}

impl Default for Toolbox {
    fn default() -> Toolbox {
        Toolbox::new(Vec::new(), Rc::default(), Rc::new(|text| text))
    }
}

/// What a call has come to.
struct Done {
    outcome: Outcome,
    /// Whether it was not permitted, and who asks is to be told so.
    is_denied: bool,
}

impl Toolbox {
    /// The tools of `families`, as far as `permits` permits them; `blot` hides our secrets in what
    /// they say.
    #[must_use]
    pub fn new(families: Vec<Family>, permits: Rc<Permits>, blot: Blot) -> Toolbox {
        Toolbox { families, permits, blot }
    }

    /// Each tool that there is at the moment, and its family.
    fn tools(&self) -> Vec<(Tool, &Family)> {
        let mut tools: Vec<(Tool, &Family)> = Vec::new();
        for family in &self.families {
            for tool in family.tools() {
                // Two of one name could not be told apart, and providers refuse them.
                if tools.iter().all(|(known, _)| known.name != tool.name) {
                    tools.push((tool, family));
                }
            }
        }
        tools
    }

    /// What the model is offered while it answers `request`: what its author may have used.
    #[must_use]
    pub fn offered(&self, request: &Request) -> Vec<Tool> {
        let tools = self.tools().into_iter().map(|(tool, _)| tool);
        tools.filter(|tool| self.permits.judge(&tool.name, request) == Verdict::Allowed).collect()
    }

    /// Runs a tool, and never longer than it may take; what it does in the chat goes to `acts`.
    async fn run(&self, ask: Ask<'_>, acts: &RefCell<Vec<Act>>) -> Done {
        let done = |outcome| Done { outcome, is_denied: false };
        let name = &ask.call.name;
        let found = self.tools().into_iter().find(|(tool, _)| *tool.name == **name);
        let Some((tool, family)) = found else {
            return done(Err(format!("there is no tool called {}", Plain(name))));
        };
        if self.permits.judge(name, ask.request) != Verdict::Allowed {
            let outcome = Err(format!("{name} is not permitted to who asks; they will be told"));
            return Done { outcome, is_denied: true };
        }
        let arguments = match schema::arguments(ask.call, &tool.schema) {
            Ok(arguments) => arguments,
            Err(mistakes) => return done(Err(cut(mistakes))),
        };
        let by = ask.by.min(clock::now() + family.patience());
        let ask = Ask { by, ..ask };
        let outcome = clock::timeout(by, family.run(&ask, &arguments, acts)).await;
        let outcome = outcome.unwrap_or_else(|| Err(format!("{name} took too long")));
        let tidy = |text: String| cut((self.blot)(text));
        done(outcome.map(tidy).map_err(tidy))
    }
}

/// `text`, or as much of its beginning as a tool may say, and how much was left out.
fn cut(text: String) -> String {
    if text.len() <= TOOL_OUTPUT_BYTES_MAX {
        return text;
    }
    let kept = truncate(&text, TOOL_OUTPUT_BYTES_MAX);
    format!("{kept}\n[{} more bytes were left out]", text.len() - kept.len())
}

#[cfg(test)]
mod tests;
