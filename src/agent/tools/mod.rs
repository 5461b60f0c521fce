//! The tools that a model may call. [`Toolbox`] is what an agent has; [`Work`] are the calls of
//! one turn.
//!
//! A tool that acts in the chat of who asks gives an [`Act`], which becomes part of the answer and
//! so goes through the outbox: once, in order, over crashes. One that acts elsewhere is keyed by
//! the message and by what it does, so that a turn that is run again does not do it twice.

mod chat;
pub mod fetch;
pub mod hands;
pub mod mcp;
pub mod notes;
mod remind;
pub mod run;
mod work;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::Instant;
use crate::base::limits::{TOOL_OUTPUT_BYTES_MAX, TOOL_PATIENCE, TOOL_PATIENCE_OF_HISTORY};
use crate::base::text::{Plain, truncate};
use crate::core::answer::Act;
use crate::core::chat::Request;
use crate::core::permit::{Permits, To, Verdict};
use crate::core::tools::{How, Used};
use crate::proto::llm::{Call, Tool, schema};
use crate::rt::clock;

pub use chat::Chat;
pub use hands::Hands;
pub use remind::Reminders;
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
    /// The how-manieth call of this turn it is that does the same at the same place: with these two
    /// and the message, a call of a turn that is run again is known for the same.
    pub ordinal: u32,
    /// When it has to be over.
    pub by: Instant,
}

/// Why a call came to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Failed {
    /// What the model is told.
    Told(String),
    /// The tool may not be used there for who asks.
    Denied(String),
}

impl From<String> for Failed {
    fn from(text: String) -> Failed {
        Failed::Told(text)
    }
}

impl From<&str> for Failed {
    fn from(text: &str) -> Failed {
        Failed::Told(text.to_owned())
    }
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
    /// Reminders.
    Reminders(Reminders),
}

impl Family {
    fn tools(&self) -> Vec<Tool> {
        match self {
            Family::Chat(_) => Chat::tools(),
            Family::Reminders(_) => Reminders::tools(),
            Family::Notes(_) => notes::Notes::tools(),
            Family::Fetch(fetch) => fetch.tools(),
            Family::Programs(programs) => programs.tools(),
            Family::Servers(servers) => servers.tools(),
        }
    }

    /// Whether the chat of `request` has what the tool needs.
    fn fits(&self, tool: &str, request: &Request) -> bool {
        match self {
            Family::Chat(_) => Chat::fits(tool, request),
            Family::Reminders(_) => Reminders::fits(request),
            _ => true,
        }
    }

    /// The place that a call names, if the family judges by itself whether a tool may act there.
    fn place<'a>(&self, arguments: &'a Value) -> Option<&'a str> {
        match self {
            Family::Chat(_) => Chat::place(arguments),
            _ => None,
        }
    }

    /// How long one call may take.
    fn patience(&self) -> Duration {
        match self {
            Family::Chat(_) => TOOL_PATIENCE_OF_HISTORY,
            Family::Reminders(_) | Family::Notes(_) => TOOL_PATIENCE,
            Family::Fetch(fetch) => fetch.patience(),
            Family::Programs(programs) => programs.patience(),
            Family::Servers(servers) => servers.patience(),
        }
    }

    async fn run(
        &self,
        ask: &Ask<'_>,
        arguments: &Value,
        acts: &RefCell<Vec<Act>>,
    ) -> Result<String, Failed> {
        match self {
            Family::Chat(chat) => Box::pin(chat.run(ask, arguments, acts)).await,
            Family::Reminders(reminders) => reminders.run(ask, arguments).await,
            Family::Notes(notes) => Ok(notes.run(ask, arguments).await?),
            Family::Fetch(fetch) => Ok(Box::pin(fetch.run(ask, arguments)).await?),
            Family::Programs(programs) => Ok(programs.run(ask, arguments).await?),
            Family::Servers(servers) => Ok(servers.run(ask, arguments).await?),
        }
    }
}

/// A tool with arguments of these schemas, some of which are required.
fn tool(name: &str, about: &str, properties: &Value, required: &[&str]) -> Tool {
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    Tool { name: name.into(), about: about.into(), schema }
}

/// What hides our secrets in a text.
pub type Blot = Rc<dyn Fn(String) -> String>;

/// The tools of one agent.
pub struct Toolbox {
    families: Vec<Family>,
    permits: Rc<Permits>,
    blot: Blot,
    /// Who is told of each call.
    hands: Option<Rc<dyn Hands>>,
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
    how: How,
    /// Where it was denied, if that is not everywhere.
    denied: String,
}

impl Done {
    fn failed(how: How, text: String) -> Done {
        Done { outcome: Err(text), how, denied: String::new() }
    }
}

/// How often a tool was called in a turn, by what it does at which place.
type Counts = RefCell<BTreeMap<String, u32>>;

impl Toolbox {
    /// The tools of `families`, as far as `permits` permits them; `blot` hides our secrets in what
    /// they say.
    #[must_use]
    pub fn new(families: Vec<Family>, permits: Rc<Permits>, blot: Blot) -> Toolbox {
        Toolbox { families, permits, blot, hands: None }
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

    /// Whether there are no tools.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    /// The same, and `hands` is told of each call.
    #[must_use]
    pub fn telling(self, hands: Rc<dyn Hands>) -> Toolbox {
        Toolbox { hands: Some(hands), ..self }
    }

    /// What the model is offered while it answers `request`: what its author may have used, and
    /// what they are to be told that they may not.
    #[must_use]
    pub fn offered(&self, request: &Request) -> Vec<Tool> {
        let is_offered = |(tool, family): &(Tool, &Family)| {
            family.fits(&tool.name, request) && self.permits.is_offered(&tool.name, request)
        };
        self.tools().into_iter().filter(is_offered).map(|(tool, _)| tool).collect()
    }

    /// Runs a tool, and never longer than it may take; what it does in the chat goes to `acts`.
    async fn run(&self, ask: Ask<'_>, counts: &Counts, acts: &RefCell<Vec<Act>>) -> Done {
        let began = clock::now();
        let done = Box::pin(self.done(ask, counts, acts)).await;
        let took = began.until(clock::now());
        let Request { id, chat, .. } = ask.request;
        let name = truncate(&ask.call.name, NAME_BYTES_MAX);
        // Never its arguments, nor what came of it: they may be private.
        log::info!(
            target: "agent",
            "message {id} in {chat}: the tool {} {} in {} ms",
            Plain(name),
            done.how.name(),
            took.as_millis()
        );
        if let Some(hands) = &self.hands {
            hands.used(ask.request, Used::new(name, done.how, took));
        }
        let tidy = |text: String| cut((self.blot)(text));
        Done { outcome: done.outcome.map(tidy).map_err(tidy), ..done }
    }

    async fn done(&self, ask: Ask<'_>, counts: &Counts, acts: &RefCell<Vec<Act>>) -> Done {
        let name = &ask.call.name;
        let found = self.tools().into_iter().find(|(tool, _)| *tool.name == **name);
        let Some((tool, family)) = found else {
            let name = Plain(truncate(name, NAME_BYTES_MAX)).to_string();
            return Done::failed(How::Unknown, format!("there is no tool called {name}"));
        };
        if !family.fits(name, ask.request) {
            return Done::failed(How::Failed, format!("{name} cannot be used in this chat"));
        }
        let arguments = match schema::arguments(ask.call, &tool.schema) {
            Ok(arguments) => arguments,
            Err(mistakes) => return Done::failed(How::Failed, mistakes),
        };
        let place = family.place(&arguments);
        // Whether it may act at a place that the call names, only the tool can judge.
        if place.is_none() && self.permits.judge(name, To::Own, ask.request) != Verdict::Allowed {
            return Done::denied(name, String::new());
        }
        let ordinal = {
            let mut counts = counts.borrow_mut();
            let count = counts.entry(format!("{name} {}", place.unwrap_or_default())).or_default();
            *count += 1;
            *count - 1
        };
        let by = ask.by.min(clock::now() + family.patience());
        let ask = Ask { ordinal, by, ..ask };
        match clock::timeout(by, Box::pin(family.run(&ask, &arguments, acts))).await {
            Some(Ok(text)) => Done { outcome: Ok(text), how: How::Done, denied: String::new() },
            Some(Err(Failed::Told(text))) => Done::failed(How::Failed, text),
            Some(Err(Failed::Denied(place))) => Done::denied(name, place),
            None => Done::failed(How::Failed, format!("{name} took too long")),
        }
    }
}

impl Done {
    fn denied(name: &str, place: String) -> Done {
        let told = format!(
            "{name} was not used: it is not permitted to who asks. They are told so by the program \
             itself; do not try it again."
        );
        Done { outcome: Err(told), how: How::Denied, denied: place }
    }
}

/// Of a tool's name, so much is told.
const NAME_BYTES_MAX: usize = 64;

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
