//! Orders: slash commands, and the same words as plain messages.
//!
//! Who uses a slash command wants an answer within 3 s (Discord's documentation, "Receiving and
//! Responding"). So each is answered at once by "wait", to nobody but the one who asked, and that
//! is replaced when the order is carried out. The commands themselves are deployed only when they
//! have changed: Discord allows few such changes a day, and keeps them over our restarts.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::{Value, json};
use smol::channel::{Receiver, Sender};
use smol::stream::Stream as _;

use super::View;
use super::rest::Calls;
use super::settings::Settings;
use crate::base::hash::fnv1a;
use crate::base::{Instant, Secret, limits};
use crate::core::answer::Answer;
use crate::core::chat::{ChatId, Request};
use crate::core::command::{COMMANDS, Command};
use crate::core::turn::Told;
use crate::core::why::{Outcome, Query, Story};
use crate::proto::discord::rest::{Route, defer_body, edit_body};
use crate::rt::store::{Cell, Content, Durability};
use crate::rt::{blocking, clock};

type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

/// Carries out an order about the conversation that such a message would belong to, and says what
/// came of it; of `/status`, what there is to say of the conversation.
pub(crate) type Clerk = Rc<dyn Fn(Command, Request) -> Doing<String>>;

/// What is asked of us, beside messages.
pub(super) enum Asked {
    /// A slash command.
    Slash(Slash),
    /// A message that is an order: it is answered like any other.
    Said {
        /// The order.
        command: Command,
        /// The message.
        request: Box<Request>,
    },
    /// A session began: the commands of this application are to be those that we know.
    Ready {
        /// The application.
        application: u64,
    },
}

/// A slash command that somebody used.
pub(super) struct Slash {
    pub(super) interaction: u64,
    pub(super) application: u64,
    pub(super) token: Secret,
    /// As if it were a message.
    pub(super) request: Box<Request>,
    /// What is to be done, or why it is not.
    pub(super) order: Result<Command, String>,
    /// Until when the first answer is heeded.
    pub(super) by: Instant,
}

/// Carries out what is asked.
pub(super) struct Commands {
    pub(super) asked: Pin<Box<Receiver<Asked>>>,
    pub(super) calls: Calls,
    pub(super) clerk: Clerk,
    pub(super) tell: Sender<Told>,
    pub(super) view: View,
    pub(super) settings: Rc<RefCell<Settings>>,
    /// Which commands were deployed.
    pub(super) kept: Kept,
    doing: Vec<Doing<()>>,
    /// Given up at the end: the next start sees to it.
    deploying: Option<Doing<()>>,
}

impl Commands {
    pub(super) fn new(
        asked: Receiver<Asked>,
        calls: &Calls,
        (clerk, tell): (Clerk, Sender<Told>),
        view: &View,
        settings: &Rc<RefCell<Settings>>,
        kept: Kept,
    ) -> Commands {
        let (calls, view, settings) = (calls.clone(), view.clone(), settings.clone());
        let (asked, doing, deploying) = (Box::pin(asked), Vec::new(), None);
        Commands { asked, calls, clerk, tell, view, settings, kept, doing, deploying }
    }

    /// Until nobody can ask any more, and what was begun is done.
    pub(super) async fn run(mut self) {
        // A session that is resumed does not tell the application, and this version may know
        // other commands than the last one did.
        if let Some(application) = self.kept.read().map(|(application, _)| application) {
            self.deploy(application);
        }
        while let Some(asked) = poll_fn(|context| self.poll_next(context)).await {
            match asked {
                Asked::Ready { application } => self.deploy(application),
                Asked::Slash(slash) => self.slash(slash),
                Asked::Said { command, request } => self.said(command, *request),
            }
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Asked>> {
        self.doing.retain_mut(|doing| doing.as_mut().poll(context).is_pending());
        if let Some(deploying) = &mut self.deploying
            && deploying.as_mut().poll(context).is_ready()
        {
            self.deploying = None;
        }
        // Those who find no room in the line are told so by whoever asks.
        if self.doing.len() >= limits::COMMANDS_AT_ONCE_MAX {
            return Poll::Pending;
        }
        match self.asked.as_mut().poll_next(context) {
            Poll::Ready(Some(asked)) => Poll::Ready(Some(asked)),
            Poll::Ready(None) if self.doing.is_empty() => Poll::Ready(None),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// What an order brings about, in words.
    fn carry_out(&self, command: Command, request: Request, except: Option<u64>) -> Doing<String> {
        let chat = request.chat;
        let said = match command {
            Command::Status => {
                let (said, more) = (status(&self.view), (self.clerk)(command, request));
                return Box::pin(async move { format!("{said}\n{}", more.await) });
            }
            Command::Why(None) if except.is_none() => self.view.why_here(chat),
            Command::Why(id) => why(&self.view, chat, id, except),
            Command::New | Command::Compact | Command::Stop => {
                return (self.clerk)(command, request);
            }
        };
        Box::pin(std::future::ready(said))
    }

    fn slash(&mut self, slash: Slash) {
        let Slash { interaction, application, token, request, order, by } = slash;
        let calls = self.calls.clone();
        let done = match order {
            Ok(command) => self.carry_out(command, *request, None),
            Err(why) => Box::pin(std::future::ready(why)),
        };
        self.doing.push(Box::pin(async move {
            let wait = Route::AnswerInteraction { interaction };
            let waits = calls.call_with(wait, token.clone(), defer_body(), by).await;
            // Whoever says "stop" means it, whether or not they can be answered.
            let text = done.await;
            if let Err(failure) = waits {
                log::warn!(target: "discord", "a slash command was not answered: {failure}");
                return;
            }
            let text: String = text.chars().take(limits::DISCORD_MESSAGE_CHARS_MAX).collect();
            let by = clock::now() + limits::INTERACTION_EDIT_DEADLINE;
            let edit = Route::EditAnswer { application, interaction };
            if let Err(failure) = calls.call_with(edit, token, edit_body(&text), by).await {
                log::warn!(target: "discord", "a slash command's answer was lost: {failure}");
            }
        }));
    }

    fn said(&mut self, command: Command, request: Request) {
        let Request { chat, id, .. } = request;
        let done = self.carry_out(command, request, Some(id));
        let tell = self.tell.clone();
        self.doing.push(Box::pin(async move {
            let answer = Answer::text(done.await);
            // Nobody listens any more: it is answered after the next start.
            let _ = tell.send(Told::Answered { chat, id, answer, fault: None }).await;
        }));
    }

    /// Sees to it that the application has our commands.
    fn deploy(&mut self, application: u64) {
        if !self.settings.borrow().slash_commands || application == 0 {
            return;
        }
        let body = table().to_string();
        let mark = (application, fnv1a(body.bytes()));
        if self.kept.read() == Some(mark) {
            log::debug!(target: "discord", "the slash commands are deployed as they are");
            return;
        }
        let (calls, kept) = (self.calls.clone(), self.kept.clone());
        self.deploying = Some(Box::pin(async move {
            let route = Route::PutCommands { application };
            let by = clock::now() + limits::DEPLOY_DEADLINE;
            match calls.call(route, body, by).await {
                Ok(_) => {
                    log::info!(target: "discord", "the slash commands are deployed");
                    kept.write(mark).await;
                }
                Err(failure) => log::warn!(
                    target: "discord",
                    "the slash commands could not be deployed ({failure}); tried again at the \
                     next session. The invite needs the scope applications.commands"
                ),
            }
        }));
    }
}

/// The commands as Discord takes them ("Bulk Overwrite Global Application Commands").
fn table() -> Value {
    const CHAT_INPUT: u8 = 1;
    const STRING: u8 = 3;
    let commands = COMMANDS.iter().map(|row| {
        let mut command = json!({"name": row.name, "description": row.what, "type": CHAT_INPUT});
        if !row.option.is_empty() {
            command["options"] =
                json!([{"name": "message", "description": row.option, "type": STRING}]);
        }
        command
    });
    commands.collect()
}

/// How we are, in a line or two for a chat.
fn status(view: &View) -> String {
    let now = clock::now();
    let whole = view.status(now);
    let text = |pointer: &str| whole.pointer(pointer).cloned().unwrap_or_default();
    let since = whole["since"].as_f64().unwrap_or_default();
    let since = Duration::try_from_secs_f64(since).unwrap_or_default().as_secs();
    let mut said = format!(
        "{} for {} min; heartbeat {} ms; {} replies delivered, {} waiting, {} being worked on.",
        whole["status"].as_str().unwrap_or("?"),
        since / 60,
        text("/heartbeat/rttMs").as_f64().unwrap_or_default().round(),
        text("/messages/delivered"),
        text("/messages/queued"),
        text("/messages/inFlight"),
    );
    if let Some(twin) = whole["anotherInstance"].as_str() {
        said.push_str("\nAttention: ");
        said.push_str(twin);
    }
    said
}

/// Why message `id` of this chat, or the last one but `except`, was answered or not. Of other
/// chats nothing is told here: not everybody here may see them.
fn why(view: &View, chat: ChatId, id: Option<u64>, except: Option<u64>) -> String {
    let stories = match id {
        Some(id) => view.why(Query::Message { id, chat: Some(chat.id) }),
        None => view.why(Query::Last { count: limits::WHY_STORIES_MAX, dropped: false }),
    };
    let (here, except) = (chat.id.to_string(), except.map(|id| id.to_string()));
    let is_order = |story: &Story| story.steps.iter().any(|passed| passed.step == "ordered");
    let is_meant = |story: &&Story| {
        let is_other = Some(&story.id) != except.as_ref() && (id.is_some() || !is_order(story));
        story.chat == here && is_other
    };
    let Some(story) = stories.iter().find(is_meant) else {
        return "I know of no such message in this chat.".to_owned();
    };
    let Story { link, outcome, reason, cure, author, .. } = story;
    let outcome = match outcome {
        Outcome::Answered => "was answered",
        Outcome::Dropped => "was not answered",
        Outcome::Waiting => "is being answered",
    };
    let cure = cure.as_ref().map(|cure| format!("\nTo change that: `{cure}`")).unwrap_or_default();
    format!("{link} by <@{author}> {outcome}: {reason}.{cure}")
}

/// Which commands were deployed for which application.
#[derive(Clone)]
pub(super) struct Kept(Cell);

impl Kept {
    /// In `state`, its name beginning with `stem`.
    pub(super) fn new(state: &Path, stem: &str) -> Kept {
        Kept(Cell::new(state, &format!("{stem}.commands"), limits::COMMANDS_RECORD_BYTES_MAX))
    }

    /// The application, and the hash of its commands. Whatever is wrong costs one deployment.
    fn read(&self) -> Option<(u64, u64)> {
        let Ok(Content::Whole(bytes)) = self.0.read() else { return None };
        let text = String::from_utf8(bytes).ok()?;
        let (application, hash) = text.split_once(' ')?;
        Some((application.parse().ok()?, u64::from_str_radix(hash, 16).ok()?))
    }

    async fn write(&self, (application, hash): (u64, u64)) {
        let cell = self.0.clone();
        let text = format!("{application} {hash:016x}");
        let write = move || cell.write(text.as_bytes(), Durability::Disk);
        if let Ok(Err(error)) = blocking::run(write).await {
            log::warn!(target: "discord", "that commands are deployed cannot be kept: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::executor;
    use crate::rt::store::tests::Scratch;

    #[test]
    fn the_table_is_what_discord_takes_and_the_same_each_time() {
        let table = table();
        assert_eq!(table, super::table());
        let commands = table.as_array().unwrap();
        assert_eq!(commands.len(), COMMANDS.len());
        for command in commands {
            let name = command["name"].as_str().unwrap();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
            assert!(command["description"].as_str().unwrap().len() <= 100);
        }
    }

    #[test]
    fn what_was_deployed_is_known_after_a_restart_and_damage_costs_nothing_else() {
        let state = Scratch::new();
        let kept = Kept::new(state.path(), "discord");
        assert_eq!(kept.read(), None);
        let mark = (u64::MAX, 0x00ff);
        let written = kept.clone();
        executor::run(move |_| async move { written.write(mark).await });
        assert_eq!(Kept::new(state.path(), "discord").read(), Some(mark));
        assert_eq!(Kept::new(state.path(), "discord.work").read(), None);
        kept.0.write(b"nonsense", Durability::Disk).unwrap();
        assert_eq!(kept.read(), None);
    }
}
