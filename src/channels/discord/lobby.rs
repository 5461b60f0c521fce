//! Messages that the doors cannot judge yet: of their channel or their author something must be
//! asked for first.
//!
//! Within a chat all wait in the order in which they came. Who waits holds a place among the
//! messages that are being dealt with, so that a crash brings them again. Nothing waits for long:
//! what cannot be found out in time is judged by what is known, and that is said in the trail.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::Deserialize;

use super::rest::Calls;
use crate::base::{Instant, Secret, limits};
use crate::core::chat::{Attachment, ChatId, Inbound};
use crate::proto::discord::rest::{Failure, Route};
use crate::rt::clock;

/// "Channel Types": threads, whose parent is a channel and no category.
const THREADS: [u32; 3] = [10, 11, 12];

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    /// What a channel or thread is called, and what is around it.
    Channel(u64),
    /// The roles of somebody.
    Member {
        /// In this server.
        guild: u64,
        /// Who.
        user: u64,
    },
}

/// What came of it.
pub(super) enum Found {
    /// A channel.
    Channel {
        /// Its number.
        id: u64,
        /// Its name.
        name: String,
        /// Of a thread, the channel around it.
        parent: Option<u64>,
    },
    /// Anything else, which the lobby has remembered.
    Other,
}

/// What is known of where a message was said.
#[derive(Clone, Copy, Default)]
pub(super) struct Around<'a> {
    /// Of a thread, the channel around it.
    pub(super) parent: Option<u64>,
    /// The name of the channel, or of the one around the thread.
    pub(super) name: Option<&'a str>,
    /// The channel that must be asked for to know more.
    pub(super) missing: Option<u64>,
}

/// What of a slash command is not in a message.
#[derive(Clone)]
pub(super) struct Slip {
    pub(super) application: u64,
    pub(super) token: Secret,
    pub(super) command: Box<str>,
    pub(super) option: Box<str>,
    /// Until when the first answer is heeded.
    pub(super) by: Instant,
}

/// A message, taken out of its port's buffers.
pub(super) struct Letter {
    inbound: Inbound<'static>,
    name: Box<str>,
    text: Box<str>,
    roles: Box<[u64]>,
    attachments: Box<[Attachment]>,
    mentions: Box<[u64]>,
    /// If it is a slash command.
    pub(super) slip: Option<Slip>,
    /// When it is judged, whatever is known.
    pub(super) by: Instant,
}

/// What waits.
pub(super) enum Held {
    Letter(Box<Letter>),
    /// That was all that was said in this chat while we were away.
    Caught,
}

type Doing = Pin<Box<dyn Future<Output = Result<Vec<u8>, Failure>>>>;

struct Room {
    chat: ChatId,
    queue: VecDeque<Held>,
    asking: Option<(Ask, Doing)>,
}

struct Member {
    guild: u64,
    user: u64,
    roles: Box<[u64]>,
    at: Instant,
}

/// Where they wait.
pub(super) struct Lobby {
    calls: Calls,
    rooms: Vec<Room>,
    /// What was found out of people lately.
    members: VecDeque<Member>,
    /// What could not be found out, and when it may be asked again.
    unknown: VecDeque<(Ask, Instant)>,
}

impl Letter {
    pub(super) fn of(inbound: &Inbound<'_>, slip: Option<Slip>) -> Letter {
        let patience = match slip {
            Some(_) => limits::LOBBY_DEADLINE_ORDER,
            None => limits::LOBBY_DEADLINE,
        };
        Letter {
            name: inbound.author_name.into(),
            text: inbound.text.into(),
            roles: inbound.roles.into(),
            attachments: inbound.attachments.into(),
            mentions: inbound.mentions.into(),
            inbound: Inbound {
                author_name: "",
                text: "",
                roles: &[],
                attachments: &[],
                mentions: &[],
                ..*inbound
            },
            slip,
            by: clock::now() + patience,
        }
    }

    /// The message, in a thread of `parent` if that is known by now.
    pub(super) fn inbound(&self, parent: Option<u64>) -> Inbound<'_> {
        Inbound {
            author_name: &self.name,
            text: &self.text,
            roles: &self.roles,
            attachments: &self.attachments,
            mentions: &self.mentions,
            parent: parent.or(self.inbound.parent),
            ..self.inbound
        }
    }
}

impl Lobby {
    pub(super) fn new(calls: Calls) -> Lobby {
        let (members, unknown) = (VecDeque::new(), VecDeque::new());
        Lobby { calls, rooms: Vec::new(), members, unknown }
    }

    /// Whether something of `chat` waits.
    pub(super) fn is_waiting(&self, chat: ChatId) -> bool {
        self.rooms.iter().any(|room| room.chat == chat)
    }

    /// Whether there is no room for another message of `chat`.
    pub(super) fn is_full(&self, chat: ChatId) -> bool {
        let count: usize = self.rooms.iter().map(|room| room.queue.len()).sum();
        let is_new = !self.is_waiting(chat);
        count >= limits::LOBBY_MESSAGES_MAX
            || (is_new && self.rooms.len() >= limits::LOBBY_CHATS_MAX)
    }

    /// Lets `held` wait behind what waits of `chat`.
    pub(super) fn push(&mut self, chat: ChatId, held: Held) {
        if let Some(room) = self.rooms.iter_mut().find(|room| room.chat == chat) {
            return room.queue.push_back(held);
        }
        self.rooms.push(Room { chat, queue: VecDeque::from([held]), asking: None });
    }

    /// What waits in `chat` and is next, unless something is being asked for it.
    pub(super) fn take(&mut self, chat: ChatId) -> Option<Held> {
        let at = self.rooms.iter().position(|room| room.chat == chat)?;
        let room = self.rooms.get_mut(at).filter(|room| room.asking.is_none())?;
        let held = room.queue.pop_front();
        if held.is_none() {
            self.rooms.swap_remove(at);
        }
        held
    }

    /// Puts `letter` back to the front of `chat`, until `ask` is answered.
    pub(super) fn ask(&mut self, chat: ChatId, letter: Box<Letter>, ask: Ask) {
        let (calls, by) = (self.calls.clone(), letter.by);
        let Some(room) = self.rooms.iter_mut().find(|room| room.chat == chat) else { return };
        room.queue.push_front(Held::Letter(letter));
        let route = match ask {
            Ask::Channel(channel) => Route::Channel { channel },
            Ask::Member { guild, user } => Route::Member { guild, user },
        };
        let call = async move {
            let call = calls.call(route, Vec::new(), by);
            clock::timeout(by, call).await.unwrap_or(Err(Failure::Expired))
        };
        room.asking = Some((ask, Box::pin(call)));
    }

    /// Whether `ask` was asked in vain a moment ago.
    pub(super) fn is_unknown(&self, ask: Ask) -> bool {
        let now = clock::now();
        self.unknown.iter().any(|&(other, until)| other == ask && now < until)
    }

    /// The roles of somebody, if they were asked for lately.
    pub(super) fn roles(&self, guild: u64, user: u64) -> Option<Box<[u64]>> {
        let now = clock::now();
        let is_meant = |one: &&Member| (one.guild, one.user) == (guild, user);
        let member = self.members.iter().rev().find(is_meant)?;
        (now.since(member.at) < limits::MEMBERS_FOR).then(|| member.roles.clone())
    }

    /// What was asked for a chat has come.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(ChatId, Found)> {
        for room in &mut self.rooms {
            let Some((ask, doing)) = &mut room.asking else { continue };
            let Poll::Ready(answer) = doing.as_mut().poll(context) else { continue };
            let (chat, ask) = (room.chat, *ask);
            room.asking = None;
            return Poll::Ready((chat, self.found(ask, answer)));
        }
        Poll::Pending
    }

    fn found(&mut self, ask: Ask, answer: Result<Vec<u8>, Failure>) -> Found {
        match (ask, answer) {
            (Ask::Channel(id), Ok(body)) => {
                if let Some((name, parent)) = channel(&body) {
                    return Found::Channel { id, name, parent };
                }
            }
            (Ask::Member { guild, user }, answer) => {
                let roles = match answer {
                    Ok(body) => member(&body),
                    // Who has left has none.
                    Err(Failure::Gone(_) | Failure::Bad { status: 404, .. }) => Some([].into()),
                    Err(_) => None,
                };
                if let Some(roles) = roles {
                    if self.members.len() >= limits::MEMBERS_MAX {
                        self.members.pop_front();
                    }
                    self.members.push_back(Member { guild, user, roles, at: clock::now() });
                    return Found::Other;
                }
            }
            (Ask::Channel(_), Err(_)) => {}
        }
        if self.unknown.len() >= limits::LOBBY_CHATS_MAX {
            self.unknown.pop_front();
        }
        self.unknown.push_back((ask, clock::now() + limits::LOBBY_AGAIN));
        Found::Other
    }
}

/// The name of a channel, and of a thread the channel around it.
fn channel(body: &[u8]) -> Option<(String, Option<u64>)> {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(rename = "type")]
        kind: u32,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        parent_id: Option<String>,
    }
    let raw: Raw = serde_json::from_slice(body).ok()?;
    let parent = raw.parent_id.and_then(|text| text.parse().ok());
    Some((raw.name.unwrap_or_default(), parent.filter(|_| THREADS.contains(&raw.kind))))
}

/// The roles of a member.
fn member(body: &[u8]) -> Option<Box<[u64]>> {
    #[derive(Deserialize)]
    struct Raw {
        roles: Vec<String>,
    }
    let raw: Raw = serde_json::from_slice(body).ok()?;
    let roles = raw.roles.iter().filter_map(|role| role.parse().ok());
    Some(roles.take(limits::ROLES_MAX).collect())
}
