//! What tools have done by others: the chats and the scheduled jobs are not known here.

use std::pin::Pin;

use serde_json::Value;

use crate::base::Wall;
use crate::core::chat::{ChatId, Request};
use crate::core::permit::To;

/// Something that is being done; an `Err` is a sentence for the model.
pub type Doing<'h, T> = Pin<Box<dyn Future<Output = Result<T, String>> + 'h>>;

/// Does it.
pub trait Hands {
    /// Where the chat with this number is, as `account` sees it.
    fn around<'h>(&'h self, account: &'h str, chat: u64) -> Doing<'h, To>;

    /// Up to `count` messages of a chat, the newest ones, the oldest first; none from before
    /// `since`.
    fn history<'h>(
        &'h self,
        account: &'h str,
        chat: u64,
        count: usize,
        since: Option<Wall>,
    ) -> Doing<'h, Page>;

    /// Says `text` in another chat, once for each `key`.
    fn post<'h>(
        &'h self,
        account: &'h str,
        to: Target,
        text: String,
        key: String,
    ) -> Doing<'h, Posted>;

    /// Keeps a reminder under `key`, by which a second asking is known.
    fn remind<'h>(&'h self, whose: &'h Whose, wish: Wish) -> Doing<'h, Reminder>;

    /// The reminders of a person.
    fn reminders(&self, whose: &Whose) -> Vec<Reminder>;

    /// Forgets a reminder.
    fn forget<'h>(&'h self, id: &'h str) -> Doing<'h, ()>;

    /// A tool was called for `request`.
    fn used(&self, request: &Request, used: crate::core::tools::Used);
}

/// Whom something is said to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A chat.
    Chat(u64),
    /// A person, in direct messages.
    Person(u64),
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Posted {
    /// It is there.
    Delivered,
    /// It is kept, and will be sent as soon as it can be.
    Waiting,
    /// It was handed in before, by an earlier life of this very turn.
    Before,
}

/// Messages of a chat.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// They, the oldest first.
    pub said: Vec<Said>,
    /// Whether there are older ones that were wanted as well.
    pub has_older: bool,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// Its number.
    pub id: u64,
    /// When it was said.
    pub at: Wall,
    /// Who said it.
    pub author: String,
    /// What was said.
    pub text: String,
    /// Whether there is more than text.
    pub has_more: bool,
}

/// Whose a reminder is, and where it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whose {
    /// The account that is to say it.
    pub account: Box<str>,
    /// The agent that was asked.
    pub agent: Box<str>,
    /// Where.
    pub chat: ChatId,
    /// The person.
    pub author: u64,
    /// What they are called.
    pub author_name: Box<str>,
}

/// What is wanted.
#[derive(Clone, PartialEq, Debug)]
pub struct Wish {
    /// What is to be said.
    pub text: String,
    /// When, as a job has it.
    pub schedule: Value,
    /// By what it is known.
    pub key: String,
}

/// A reminder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reminder {
    /// Its name.
    pub id: Box<str>,
    /// Whose it is.
    pub author: u64,
    /// Where it is told.
    pub chat: u64,
    /// What it says.
    pub text: String,
    /// When it is due next.
    pub next: Option<Wall>,
    /// When it is due, in words.
    pub when: String,
}

impl Whose {
    /// The author of `request`, in its chat.
    #[must_use]
    pub fn of(request: &Request) -> Whose {
        Whose {
            account: request.account.clone(),
            agent: request.agent.clone(),
            chat: request.chat,
            author: request.author,
            author_name: request.author_name.clone(),
        }
    }
}
