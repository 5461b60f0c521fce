//! The world that the sandbox plays: one guild with channels, its people and bots, and what they
//! said. Pure: the time is an argument, and what follows from a message goes into the sessions.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::files::{Attached, Shelf, Upload};
use super::model;
use super::session::{Session, Sessions, intents};
use super::slash::Slash;
use crate::base::{Instant, Wall, limits};

/// The one guild.
pub const GUILD: u64 = 900_000_000_000_000_001;
/// Its first text channel, `general`.
pub const GENERAL: u64 = 900_000_000_000_000_010;
/// Its second, `random`.
pub const RANDOM: u64 = 900_000_000_000_000_011;

/// Within this span a nonce is compared ("the past few minutes").
const NONCE_MEMORY: Duration = Duration::from_secs(300);
/// 2015-01-01, where Discord's ids begin.
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;
/// Messages that a bot may post to one channel in [`POSTS_PERIOD`].
const POSTS_MAX: u32 = 5;
/// See [`POSTS_MAX`].
const POSTS_PERIOD: Duration = Duration::from_secs(5);

/// A person or a bot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The id.
    pub id: u64,
    /// The name.
    pub name: String,
    /// Whether it is a bot.
    pub bot: bool,
    /// A bot's application flags, which say what intents its portal page allows.
    pub flags: u64,
    /// Roles in the guild.
    pub roles: Vec<u64>,
}

/// What kind of a place a channel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A text channel of the guild.
    Text,
    /// A direct conversation.
    Direct {
        /// Of this bot …
        bot: u64,
        /// … with this user.
        with: u64,
    },
    /// A thread of the guild.
    Thread {
        /// The channel that it hangs on.
        parent: u64,
    },
}

/// A place where messages are.
#[derive(Clone, PartialEq, Debug)]
pub struct Channel {
    /// The id.
    pub id: u64,
    /// The name; empty for a direct one.
    pub name: String,
    /// The kind.
    pub kind: Kind,
    /// The last messages, the oldest first.
    pub messages: VecDeque<Message>,
}

/// A message.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Message {
    /// The id.
    pub id: u64,
    /// Where it is.
    pub channel: u64,
    /// Who wrote it.
    pub author: u64,
    /// What it says.
    pub content: String,
    /// When it was written.
    pub at: Wall,
    /// When it was changed last.
    pub edited: Option<Wall>,
    /// What its sender called it.
    pub nonce: Option<String>,
    /// The message that it answers.
    pub reference: Option<u64>,
    /// Attached files.
    pub files: Vec<Attached>,
    /// Reactions: emoji and who.
    pub reactions: Vec<(String, u64)>,
}

/// A message that is to be posted.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Draft {
    /// Where.
    pub channel: u64,
    /// Who writes.
    pub author: u64,
    /// What it says.
    pub content: String,
    /// What its sender calls it.
    pub nonce: Option<String>,
    /// Whether a message of the same author and nonce is returned instead of posting again.
    pub enforce_nonce: bool,
    /// The message that it answers.
    pub reference: Option<u64>,
    /// What is attached.
    pub files: Vec<Upload>,
    /// Whether it passes without being kept, as the messages of a flood do.
    pub fleeting: bool,
}

/// What came of a draft.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Posted {
    /// It has this id.
    New(u64),
    /// The author had used the nonce for this message.
    Before(u64),
}

/// Whether a route's bucket has room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Whether this call may go on.
    pub granted: bool,
    /// Calls of one period.
    pub limit: u32,
    /// Calls left after this one.
    pub remaining: u32,
    /// Until the period ends.
    pub reset_after: Duration,
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// Who is in it.
    pub users: BTreeMap<u64, User>,
    /// Where they meet.
    pub channels: BTreeMap<u64, Channel>,
    /// What each bot has yet to be told.
    pub sessions: Sessions,
    /// Slash commands.
    pub slash: Slash,
    /// Attached files.
    pub shelf: Shelf,
    /// By bot and channel (0: all calls): calls of the running period, and when it ends.
    buckets: BTreeMap<(u64, u64), (u32, Instant)>,
    last_id: u64,
}

impl Default for World {
    fn default() -> World {
        let channel = |id, name: &str| {
            let (name, kind, messages) = (name.to_owned(), Kind::Text, VecDeque::new());
            (id, Channel { id, name, kind, messages })
        };
        let mut world = World {
            users: BTreeMap::new(),
            channels: BTreeMap::from([channel(GENERAL, "general"), channel(RANDOM, "random")]),
            sessions: Sessions::default(),
            slash: Slash::default(),
            shelf: Shelf::default(),
            buckets: BTreeMap::new(),
            last_id: 0,
        };
        let _ = world.person("ann");
        let _ = world.person("ben");
        world
    }
}

impl World {
    /// The bot that logs in with `token`; it comes into being when it is first seen. `None` for
    /// one that begins with `bad`, an empty one, and when the world is full.
    pub fn bot(&mut self, token: &str) -> Option<u64> {
        if token.is_empty() || token.starts_with("bad") {
            return None;
        }
        let name = format!("bot-{:04}", hash(token) % 10_000);
        self.user(&format!("token:{token}"), name, true)
    }

    /// The person called `name`, who comes into being when first named.
    pub fn person(&mut self, name: &str) -> Option<u64> {
        self.writer(name, false)
    }

    /// The same; one who comes into being is a `program`, or a person.
    pub fn writer(&mut self, name: &str, program: bool) -> Option<u64> {
        if let Some(user) = self.users.values().find(|user| user.name == name) {
            return Some(user.id);
        }
        self.user(&format!("name:{name}"), name.to_owned(), program)
    }

    fn user(&mut self, key: &str, name: String, bot: bool) -> Option<u64> {
        let id = 700_000_000_000_000_000 + hash(key) % 100_000_000_000_000_000;
        if !self.users.contains_key(&id) {
            if self.users.len() >= limits::SANDBOX_USERS_MAX {
                return None;
            }
            self.users
                .insert(id, User { id, name, bot, flags: model::FLAGS_ALL, roles: Vec::new() });
        }
        Some(id)
    }

    /// The channel with this name, mention or id.
    #[must_use]
    pub fn channel_called(&self, name: &str) -> Option<u64> {
        let plain = name.trim_start_matches(['#', '<']).trim_end_matches('>');
        let by_id = plain.parse().ok().filter(|id| self.channels.contains_key(id));
        let named = || self.channels.values().find(|channel| channel.name == plain);
        by_id.or_else(|| named().map(|channel| channel.id))
    }

    /// The direct conversation of `bot` with `with`. `None` if one of them is unknown or the
    /// world is full.
    pub fn direct(&mut self, now: Wall, bot: u64, with: u64) -> Option<u64> {
        let kind = Kind::Direct { bot, with };
        if let Some(channel) = self.channels.values().find(|channel| channel.kind == kind) {
            return Some(channel.id);
        }
        if !(self.users.contains_key(&bot) && self.users.contains_key(&with)) {
            return None;
        }
        self.add_channel(now, String::new(), kind)
    }

    /// The thread called `name` below `parent`.
    #[must_use]
    pub fn thread_called(&self, parent: u64, name: &str) -> Option<u64> {
        let kind = Kind::Thread { parent };
        let mut all = self.channels.values();
        all.find(|place| place.kind == kind && place.name == name).map(|place| place.id)
    }

    /// One more text channel, or the one of this name.
    pub fn text_channel(&mut self, now: Wall, name: &str) -> Option<u64> {
        if let Some(id) = self.channel_called(name) {
            return Some(id);
        }
        let id = self.add_channel(now, name.to_owned(), Kind::Text)?;
        self.tell_channel("CHANNEL_CREATE", id);
        Some(id)
    }

    fn tell_channel(&mut self, name: &'static str, id: u64) {
        let Some(channel) = self.channels.get(&id) else { return };
        let data: Rc<str> = model::channel(self, channel).to_string().into();
        let sees = |session: &Session| is_in_guild(session, intents::GUILDS);
        self.sessions.dispatch(name, |session| sees(session).then(|| data.clone()));
    }

    /// A new thread called `name` in `parent`; with `id` if it hangs on that message.
    pub fn thread(&mut self, now: Wall, parent: u64, name: &str, id: Option<u64>) -> Option<u64> {
        let kind = Kind::Thread { parent };
        let created = match id {
            Some(id) if self.channels.contains_key(&id) => return None,
            Some(id) => self.insert_channel(id, name.to_owned(), kind),
            None => self.add_channel(now, name.to_owned(), kind),
        }?;
        self.tell_channel("THREAD_CREATE", created);
        Some(created)
    }

    fn add_channel(&mut self, now: Wall, name: String, kind: Kind) -> Option<u64> {
        let id = self.next_id(now);
        self.insert_channel(id, name, kind)
    }

    fn insert_channel(&mut self, id: u64, name: String, kind: Kind) -> Option<u64> {
        if self.channels.len() >= limits::SANDBOX_CHANNELS_MAX {
            return None;
        }
        self.channels.insert(id, Channel { id, name, kind, messages: VecDeque::new() });
        Some(id)
    }

    /// An id that is larger than all before it, and tells the time as Discord's do.
    pub fn next_id(&mut self, now: Wall) -> u64 {
        let from_time = now.0.saturating_sub(DISCORD_EPOCH_MS) << 22;
        self.last_id = from_time.max(self.last_id + 1);
        self.last_id
    }

    /// Whether `user` may read and write in `channel`.
    #[must_use]
    pub fn may_see(&self, user: u64, channel: u64) -> bool {
        match self.channels.get(&channel).map(|channel| channel.kind) {
            Some(Kind::Text | Kind::Thread { .. }) => true,
            Some(Kind::Direct { bot, with }) => user == bot || user == with,
            None => false,
        }
    }

    /// Posts `draft` and tells every session that may see it, the author's own among them.
    /// `None` if there is no such channel.
    pub fn post(&mut self, now: Wall, draft: Draft) -> Option<Posted> {
        let channel = self.channels.get(&draft.channel)?;
        let kind = channel.kind;
        let is_same = |message: &&Message| {
            let is_recent = now.since(message.at) < NONCE_MEMORY;
            is_recent && message.author == draft.author && message.nonce == draft.nonce
        };
        if draft.enforce_nonce
            && draft.nonce.is_some()
            && let Some(first) = channel.messages.iter().rev().find(is_same)
        {
            return Some(Posted::Before(first.id));
        }
        let id = self.next_id(now);
        let Draft { channel, author, content, nonce, reference, files, fleeting, .. } = draft;
        let files = files.into_iter().map(|upload| {
            let id = self.next_id(now);
            self.shelf.put(channel, id, upload)
        });
        let files = files.collect();
        let (at, reactions) = (now, Vec::new());
        let edited = None;
        let message = Message {
            id,
            channel,
            author,
            content,
            at,
            edited,
            nonce,
            reference,
            files,
            reactions,
        };
        self.announce("MESSAGE_CREATE", &message, kind);
        if !fleeting && let Some(channel) = self.channels.get_mut(&channel) {
            if channel.messages.len() >= limits::SANDBOX_MESSAGES_MAX {
                channel.messages.pop_front();
            }
            channel.messages.push_back(message);
        }
        Some(Posted::New(id))
    }

    /// Changes what a message of `author` says. `None` if there is no such message of theirs.
    pub fn edit(
        &mut self,
        now: Wall,
        author: u64,
        channel: u64,
        id: u64,
        text: &str,
    ) -> Option<()> {
        let kind = self.channels.get(&channel)?.kind;
        let message = self.message_mut(channel, id).filter(|message| message.author == author)?;
        text.clone_into(&mut message.content);
        message.edited = Some(now);
        let message = message.clone();
        self.announce("MESSAGE_UPDATE", &message, kind);
        Some(())
    }

    /// Deletes a message. `None` if there is none.
    pub fn delete(&mut self, channel: u64, id: u64) -> Option<()> {
        let place = self.channels.get_mut(&channel)?;
        let kind = place.kind;
        let at = place.messages.iter().position(|message| message.id == id)?;
        place.messages.remove(at);
        let data = json!({"id": id.to_string(), "channel_id": channel.to_string()});
        self.tell("MESSAGE_DELETE", kind, data, intents::GUILD_MESSAGES, intents::DIRECT_MESSAGES);
        Some(())
    }

    /// Adds (or takes away) the reaction of `user` to a message.
    pub fn react(&mut self, user: u64, channel: u64, id: u64, emoji: &str, on: bool) -> Option<()> {
        let kind = self.channels.get(&channel)?.kind;
        let message = self.message_mut(channel, id)?;
        message.reactions.retain(|(what, who)| !(what == emoji && *who == user));
        if on && message.reactions.len() < limits::SANDBOX_USERS_MAX {
            message.reactions.push((emoji.to_owned(), user));
        }
        let mut data = json!({
            "user_id": user.to_string(), "channel_id": channel.to_string(),
            "message_id": id.to_string(), "burst": false, "type": 0,
        });
        let (name, own) = emoji.split_once(':').unwrap_or((emoji, ""));
        let own = (!own.is_empty()).then_some(own);
        data["emoji"] = json!({"id": own, "name": name});
        // Only of one that is added is told who it is by.
        if let Some(user) = self.users.get(&user).filter(|_| on && !is_direct(kind)) {
            data["member"] = model::member(user);
        }
        let name = if on { "MESSAGE_REACTION_ADD" } else { "MESSAGE_REACTION_REMOVE" };
        self.tell(name, kind, data, intents::GUILD_REACTIONS, intents::DIRECT_REACTIONS);
        Some(())
    }

    /// `user` types in `channel`.
    pub fn typing(&mut self, now: Wall, user: u64, channel: u64) -> Option<()> {
        let kind = self.channels.get(&channel)?.kind;
        let data = json!({
            "user_id": user.to_string(), "channel_id": channel.to_string(),
            "timestamp": now.0 / 1000,
        });
        self.tell("TYPING_START", kind, data, intents::GUILD_TYPING, intents::DIRECT_TYPING);
        Some(())
    }

    /// The message `id` of `channel`.
    #[must_use]
    pub fn message(&self, channel: u64, id: u64) -> Option<&Message> {
        self.channels.get(&channel)?.messages.iter().find(|message| message.id == id)
    }

    fn message_mut(&mut self, channel: u64, id: u64) -> Option<&mut Message> {
        self.channels.get_mut(&channel)?.messages.iter_mut().find(|message| message.id == id)
    }

    /// Up to `count` messages of `channel`, the newest first: those before `before` and after
    /// `after`. With `after` alone those that follow it directly, as Discord does.
    #[must_use]
    pub fn history(&self, channel: u64, page: Page) -> Vec<&Message> {
        let Some(channel) = self.channels.get(&channel) else { return Vec::new() };
        let within = |message: &&Message| {
            page.before.is_none_or(|id| message.id < id)
                && page.after.is_none_or(|id| message.id > id)
        };
        let found = channel.messages.iter().filter(within);
        if page.after.is_some() && page.before.is_none() {
            let mut page: Vec<_> = found.take(page.count).collect();
            page.reverse();
            page
        } else {
            found.rev().take(page.count).collect()
        }
    }

    /// Takes one call from the bucket of `bot` for posts to `channel`.
    pub fn allow_post(&mut self, now: Instant, bot: u64, channel: u64) -> Allowance {
        self.allow(now, (bot, channel), POSTS_MAX, POSTS_PERIOD)
    }

    /// Takes one call from the bucket of `bot` for edits in `channel`.
    pub fn allow_edit(&mut self, now: Instant, bot: u64, channel: u64) -> Allowance {
        // No channel has such a number.
        self.allow(now, (bot, !channel), POSTS_MAX, POSTS_PERIOD)
    }

    /// Takes one call from what `bot` may do over all routes.
    pub fn allow_call(&mut self, now: Instant, bot: u64) -> Allowance {
        self.allow(now, (bot, 0), limits::REST_GLOBAL_PER_SECOND, Duration::from_secs(1))
    }

    fn allow(&mut self, now: Instant, key: (u64, u64), limit: u32, period: Duration) -> Allowance {
        let (used, ends) = self.buckets.entry(key).or_insert((0, now + period));
        if *ends <= now {
            (*used, *ends) = (0, now + period);
        }
        let granted = *used < limit;
        *used += u32::from(granted);
        Allowance { granted, limit, remaining: limit - *used, reset_after: now.until(*ends) }
    }

    /// Tells every session that may see `message` about it, and each only what it may know.
    fn announce(&mut self, name: &'static str, message: &Message, kind: Kind) {
        let mentions = model::mentions(self, message);
        // Four wordings at most: with or without the text, with or without the nonce.
        let mut wordings: [Option<Rc<str>>; 4] = Default::default();
        let mut sessions = std::mem::take(&mut self.sessions);
        sessions.dispatch(name, |session| {
            if !sees(session, kind, intents::GUILD_MESSAGES, intents::DIRECT_MESSAGES) {
                return None;
            }
            let own = session.bot == message.author;
            let is_meant = own || mentions.contains(&session.bot) || is_direct(kind);
            let content = is_meant || session.intents & intents::MESSAGE_CONTENT != 0;
            let wording = &mut wordings[usize::from(content) * 2 + usize::from(own)];
            let word = || {
                let view = model::View { content, nonce: own, event: true };
                model::message(self, message, view).to_string().into()
            };
            Some(wording.get_or_insert_with(word).clone())
        });
        self.sessions = sessions;
    }

    fn tell(&mut self, name: &'static str, kind: Kind, mut data: Value, guild: u64, direct: u64) {
        if !is_direct(kind) {
            data["guild_id"] = GUILD.to_string().into();
        }
        let data: Rc<str> = data.to_string().into();
        let seen = |session: &Session| sees(session, kind, guild, direct);
        self.sessions.dispatch(name, |session| seen(session).then(|| data.clone()));
    }
}

/// Which part of a channel's history is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// Only messages before this one.
    pub before: Option<u64>,
    /// Only messages after this one.
    pub after: Option<u64>,
    /// So many at most.
    pub count: usize,
}

fn is_direct(kind: Kind) -> bool {
    matches!(kind, Kind::Direct { .. })
}

/// Whether events of the guild that need `intent` reach `session`.
fn is_in_guild(session: &Session, intent: u64) -> bool {
    let (shard, of) = session.shard;
    session.intents & intent != 0 && (GUILD >> 22) % of.max(1) == shard
}

/// Whether events of a channel reach `session`; direct ones go to shard 0 alone.
fn sees(session: &Session, kind: Kind, guild: u64, direct: u64) -> bool {
    match kind {
        Kind::Text | Kind::Thread { .. } => is_in_guild(session, guild),
        Kind::Direct { bot, with } => {
            let is_party = session.bot == bot || session.bot == with;
            session.intents & direct != 0 && session.shard.0 == 0 && is_party
        }
    }
}

/// FNV-1a, finished as splitmix64 does, so that short tokens differ in all digits.
fn hash(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::session::Next;

    const NOW: Wall = Wall(1_774_085_213_589);

    /// A world with one bot, whose session 1 on connection 1 has `wanted`.
    fn world(wanted: u64) -> (World, u64) {
        let mut world = World::default();
        let bot = world.bot("token").unwrap();
        world.sessions.open(Instant(0), 1, bot, wanted, (0, 1));
        world.sessions.attach(1, 1);
        (world, bot)
    }

    fn say(world: &mut World, channel: u64, content: &str) -> u64 {
        let author = world.person("ann").unwrap();
        let draft = Draft { channel, author, content: content.into(), ..Draft::default() };
        match world.post(NOW, draft) {
            Some(Posted::New(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    fn heard(world: &mut World) -> Vec<(&'static str, Value)> {
        let mut heard = Vec::new();
        while let Next::Send(_, event) = world.sessions.next(1, 1) {
            heard.push((event.kind, serde_json::from_str(&event.data).unwrap()));
        }
        heard
    }

    #[test]
    fn tokens_name_their_bot_and_bad_ones_none() {
        let mut world = World::default();
        assert_eq!(world.bot("a"), world.bot("a"));
        assert_ne!(world.bot("a"), world.bot("b"));
        assert_eq!((world.bot("bad.token"), world.bot("")), (None, None));
    }

    #[test]
    fn text_is_emptied_without_the_intent_but_not_for_those_it_is_meant_for() {
        let (mut world, bot) = world(intents::GUILD_MESSAGES | intents::DIRECT_MESSAGES);
        say(&mut world, GENERAL, "hello");
        say(&mut world, GENERAL, &format!("hello <@{bot}>"));
        let ann = world.person("ann").unwrap();
        let direct = world.direct(NOW, bot, ann).unwrap();
        say(&mut world, direct, "psst");
        let texts: Vec<_> =
            heard(&mut world).iter().map(|(_, data)| data["content"].clone()).collect();
        assert_eq!(texts, [String::new(), format!("hello <@{bot}>"), "psst".to_owned()]);
    }

    #[test]
    fn events_reach_only_those_who_asked_and_may_see() {
        let (mut world, bot) = world(intents::GUILD_MESSAGES);
        let other = world.bot("other").unwrap();
        let ann = world.person("ann").unwrap();
        let theirs = world.direct(NOW, other, ann).unwrap();
        say(&mut world, theirs, "not for you");
        let direct = world.direct(NOW, bot, ann).unwrap();
        say(&mut world, direct, "not asked for");
        assert_eq!(heard(&mut world), []);
        assert!(!world.may_see(bot, theirs) && world.may_see(other, theirs));
    }

    #[test]
    fn a_nonce_is_posted_once_and_seen_by_its_author_alone() {
        let (mut world, bot) = world(intents::ALL);
        let draft = Draft {
            channel: GENERAL,
            author: bot,
            content: "once".into(),
            nonce: Some("n1".into()),
            enforce_nonce: true,
            ..Draft::default()
        };
        let Some(Posted::New(id)) = world.post(NOW, draft.clone()) else { panic!() };
        assert_eq!(world.post(NOW, draft.clone()), Some(Posted::Before(id)));
        let other = Draft { nonce: Some("n2".into()), ..draft.clone() };
        assert!(matches!(world.post(NOW, other), Some(Posted::New(_))));
        assert!(matches!(world.post(NOW + NONCE_MEMORY, draft), Some(Posted::New(_))));
        let own = heard(&mut world);
        assert_eq!((own.len(), &own[0].1["nonce"]), (3, &json!("n1")));
    }

    #[test]
    fn history_pages_both_ways() {
        let (mut world, _) = world(0);
        let ids: Vec<_> = (0..5).map(|_| say(&mut world, GENERAL, "x")).collect();
        let page = |before: Option<usize>, after: Option<usize>| {
            let at = |index: Option<usize>| index.map(|index| ids[index]);
            let page = Page { before: at(before), after: at(after), count: 2 };
            world.history(GENERAL, page).iter().map(|message| message.id).collect::<Vec<_>>()
        };
        assert_eq!(page(None, None), [ids[4], ids[3]]);
        assert_eq!(page(Some(2), None), [ids[1], ids[0]]);
        assert_eq!(page(None, Some(0)), [ids[2], ids[1]], "those that follow directly");
        assert_eq!(page(Some(3), Some(0)), [ids[2], ids[1]]);
    }

    #[test]
    fn five_posts_in_five_seconds_and_no_more() {
        let (mut world, bot) = world(0);
        let granted = |world: &mut World, at| {
            (0..7).filter(|_| world.allow_post(at, bot, GENERAL).granted).count()
        };
        assert_eq!(granted(&mut world, Instant(0)), 5);
        assert_eq!(world.allow_post(Instant(0), bot, GENERAL).reset_after, POSTS_PERIOD);
        assert_eq!(granted(&mut world, Instant(0) + POSTS_PERIOD), 5);
        assert!(world.allow_post(Instant(0), bot, RANDOM).granted, "each channel by itself");
    }

    #[test]
    fn answers_name_what_they_answer_and_mention_its_author() {
        let (mut world, bot) = world(intents::ALL);
        let first = say(&mut world, GENERAL, "question");
        let draft = Draft {
            channel: GENERAL,
            author: bot,
            content: "answer".into(),
            reference: Some(first),
            ..Draft::default()
        };
        world.post(NOW, draft);
        let (_, answer) = heard(&mut world).pop().unwrap();
        assert_eq!(answer["type"], 19);
        assert_eq!(answer["referenced_message"]["content"], "question");
        assert_eq!(answer["mentions"][0]["username"], "ann");
    }

    #[test]
    fn a_flood_leaves_no_trace_but_events() {
        let (mut world, bot) = world(intents::ALL);
        let draft = Draft { channel: GENERAL, author: bot, fleeting: true, ..Draft::default() };
        world.post(NOW, draft);
        assert_eq!(heard(&mut world).len(), 1);
        assert!(world.channels[&GENERAL].messages.is_empty());
    }

    #[test]
    fn edits_deletions_reactions_and_threads_are_told() {
        let (mut world, _) = world(intents::ALL);
        let id = say(&mut world, GENERAL, "x");
        let ann = world.person("ann").unwrap();
        world.edit(NOW, ann, GENERAL, id, "y").unwrap();
        world.react(ann, GENERAL, id, "🦀", true).unwrap();
        world.typing(NOW, ann, GENERAL).unwrap();
        let thread = world.thread(NOW, GENERAL, "t", Some(id)).unwrap();
        world.delete(GENERAL, id).unwrap();
        assert_eq!(thread, id, "a thread has its message's id");
        let kinds: Vec<_> = heard(&mut world).iter().map(|(kind, _)| *kind).collect();
        let expected = [
            "MESSAGE_CREATE",
            "MESSAGE_UPDATE",
            "MESSAGE_REACTION_ADD",
            "TYPING_START",
            "THREAD_CREATE",
            "MESSAGE_DELETE",
        ];
        assert_eq!(kinds, expected);
    }
}
