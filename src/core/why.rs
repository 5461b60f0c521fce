//! The stories of messages, for `why`: what became of one, at which door, and what would change it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::access::Refusal;
use super::chat::{ChannelKind, ChatId};
use super::outbox::Fate;
use super::trace::{Knock, Line, Step, Trace};
use crate::base::Wall;
use crate::base::limits::WHY_STORIES_MAX;
use crate::base::text::Plain;

/// What is asked for, as it comes over the wire: one of these.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Params {
    /// A message: its number, its link, or `guild/chat/message`.
    pub message: Option<String>,
    /// The last so many.
    pub last: Option<usize>,
    /// Those that were dropped, the last so many if `last` is there.
    pub dropped: bool,
    /// Of this account only.
    #[serde(alias = "accountId")]
    pub account: Option<String>,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Query {
    /// One message.
    Message {
        /// Its number.
        id: u64,
        /// Where it was said, if the question tells.
        chat: Option<u64>,
    },
    /// The last messages.
    Last {
        /// How many.
        count: usize,
        /// Whether only those that were dropped.
        dropped: bool,
    },
}

/// How many stories are told if nobody says.
const STORIES: usize = 10;

/// The question was not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoMessage(String);

impl fmt::Display for NoMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no message: give its ID, or its link (right-click the message, Copy Message \
             Link; Copy Message ID is there once Developer Mode is on, in Settings, Advanced)",
            Plain(&self.0)
        )
    }
}

impl Params {
    /// What it asks for.
    ///
    /// # Errors
    /// The message is neither a number nor a link.
    pub fn query(&self) -> Result<Query, NoMessage> {
        let Some(text) = &self.message else {
            let count = self.last.unwrap_or(STORIES).clamp(1, WHY_STORIES_MAX);
            return Ok(Query::Last { count, dropped: self.dropped });
        };
        message(text).ok_or_else(|| NoMessage(text.chars().take(200).collect()))
    }
}

/// The message that `text` names: `M`, `C/M`, `G/C/M` or a link that ends so.
fn message(text: &str) -> Option<Query> {
    const HOSTS: [&str; 4] =
        ["discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com"];
    let text = text.trim().trim_start_matches('<').trim_end_matches('>').trim_end_matches('/');
    let text = text.split(['?', '#']).next()?;
    let path = match text.split_once("://") {
        Some((_, rest)) => {
            let (host, path) = rest.split_once('/')?;
            let host = host.strip_prefix("www.").unwrap_or(host);
            HOSTS.iter().any(|known| host.eq_ignore_ascii_case(known)).then_some(())?;
            path.strip_prefix("channels/")?
        }
        None => text,
    };
    let mut parts = path.rsplit('/');
    let number = |part: &str| part.parse::<u64>().ok().filter(|&id| id != 0);
    let id = number(parts.next()?)?;
    let chat = parts.next().map(number);
    let is_guild = |part: &str| part == "@me" || number(part).is_some();
    let is_whole = parts.next().is_none_or(is_guild) && parts.next().is_none();
    match chat {
        Some(None) => None,
        _ if !is_whole => None,
        chat => Some(Query::Message { id, chat: chat.flatten() }),
    }
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was answered, if only by an apology.
    Answered,
    /// It was not.
    Dropped,
    /// That is not decided yet.
    Waiting,
}

/// All that is known of one message. Numbers are texts: not every reader of JSON can hold them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    /// The service.
    pub channel: ChannelKind,
    /// The account that heard it.
    pub account: String,
    /// Where it was said …
    pub chat: String,
    /// … and what that is called, if it is known; of a thread, what the channel around it is.
    pub chat_name: Option<String>,
    /// The server around that; `None` is a DM.
    pub guild: Option<String>,
    /// The message.
    pub id: String,
    /// Who said it …
    pub author: String,
    /// … and what they are called.
    pub author_name: String,
    /// When it came (RFC 3339).
    pub at: String,
    /// When it was said, by its number.
    pub said: String,
    /// How many bytes its text had. The text is not kept.
    pub bytes: u32,
    /// Where it is to be seen.
    pub link: String,
    /// Who answers, if it was let in or another agent answers.
    pub agent: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub reason: String,
    /// What would change it, if something would: a line of configuration, or an act.
    pub cure: Option<String>,
    /// The doors that it passed, in their order.
    pub steps: Vec<Passed>,
}

/// One door.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Passed {
    /// When (RFC 3339).
    pub at: String,
    /// Milliseconds since the message came.
    pub after_ms: u64,
    /// Its name.
    pub door: String,
    /// What was decided, in a word.
    pub step: String,
    /// The same in a sentence.
    pub text: String,
    /// What would change it.
    pub cure: Option<String>,
}

/// How often something was dropped, since the trail began.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drops {
    /// The service.
    pub channel: ChannelKind,
    /// The account.
    pub account: String,
    /// The word for it.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// The answer to a question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The stories, the newest first.
    pub stories: Vec<Story>,
    /// What was dropped, all told.
    pub drops: Vec<Drops>,
    /// What is to be said if there is no story.
    pub note: Option<String>,
}

impl Trace {
    /// The stories that `query` asks for, the newest first.
    #[must_use]
    pub fn why(&self, query: Query) -> Vec<Story> {
        let (count, dropped) = match query {
            Query::Message { .. } => (WHY_STORIES_MAX, false),
            Query::Last { count, dropped } => (count, dropped),
        };
        let is_wanted = |knock: &&Knock| match query {
            Query::Message { id, chat } => {
                knock.line.id == id && chat.is_none_or(|chat| chat == knock.line.chat.id)
            }
            // What we said ourselves is no question of anybody's.
            Query::Last { .. } => knock.line.step != Step::Refused(Refusal::Own),
        };
        let mut knocks: Vec<&Knock> = self.knocks().filter(is_wanted).collect();
        // Of several knocks of one message the last stands for all.
        knocks.sort_by_key(|knock| std::cmp::Reverse(knock.line.at));
        let mut told: Vec<(ChatId, u64)> = Vec::new();
        let mut stories = Vec::new();
        for knock in knocks {
            let Line { chat, id, .. } = knock.line;
            if stories.len() >= count || told.contains(&(chat, id)) {
                continue;
            }
            told.push((chat, id));
            let story = self.story(chat, id);
            stories.extend(story.filter(|story| !dropped || story.outcome == Outcome::Dropped));
        }
        stories
    }

    /// How often something was dropped.
    #[must_use]
    pub fn drops_told(&self) -> Vec<Drops> {
        self.drops()
            .map(|(channel, reason, count)| Drops {
                channel,
                account: self.account().to_owned(),
                reason: reason.to_owned(),
                count,
            })
            .collect()
    }

    fn story(&self, chat: ChatId, id: u64) -> Option<Story> {
        let mut knocks: Vec<&Knock> =
            self.knocks().filter(|knock| (knock.line.chat, knock.line.id) == (chat, id)).collect();
        knocks.sort_by_key(|knock| knock.line.at);
        let first = *knocks.first()?;
        let admitted = knocks.iter().rev().find(|knock| knock.line.step == Step::Admitted);
        let elsewhere = knocks.iter().rev().find(|knock| knock.line.step == Step::Elsewhere);
        let other = elsewhere.and_then(|knock| self.agent(knock));
        let tell = |step: &Step| match (step, other) {
            (Step::Elsewhere, Some(agent)) => format!("{step}: {agent}"),
            _ => step.to_string(),
        };
        let about = first.about(self.path());
        let mut passed = Vec::new();
        for knock in &knocks {
            passed.extend(self.doors_of(knock));
        }
        let later = self.lines().filter(|line| (line.chat, line.id) == (chat, id));
        let mut lines: Vec<Line> =
            knocks.iter().map(|knock| knock.line).chain(later.copied()).collect();
        lines.sort_by_key(|line| line.at);
        let ending = *lines.iter().rfind(|line| decides(line.step)).or(lines.last())?;
        let cure = |step: Step| step.cure(&about);
        let came = first.line.at;
        passed.extend(lines.iter().map(|line| (line.at, line.step.door(), Ok(line.step))));
        passed.sort_by_key(|&(at, ..)| at);
        let steps = passed.into_iter().map(|(at, door, step)| Passed {
            at: at.to_string(),
            after_ms: at.0.saturating_sub(came.0),
            door: door.to_owned(),
            step: step.as_ref().map_or("passed", |step| step.name()).to_owned(),
            text: step.as_ref().map_or_else(Clone::clone, tell),
            cure: step.ok().and_then(cure),
        });
        Some(Story {
            channel: chat.channel,
            account: self.account().to_owned(),
            chat: chat.id.to_string(),
            chat_name: first.place().map(str::to_owned),
            guild: first.guild.map(|guild| guild.to_string()),
            id: id.to_string(),
            author: first.author.to_string(),
            author_name: first.name.as_str().to_owned(),
            at: came.to_string(),
            said: chat.channel.said_at(id).to_string(),
            bytes: first.bytes,
            link: link(chat, first.guild, id),
            agent: admitted.and_then(|knock| self.agent(knock)).or(other).map(str::to_owned),
            outcome: outcome(ending.step),
            reason: match ending.step {
                step @ Step::Elsewhere => tell(&step),
                step => reason(&lines, step),
            },
            cure: cure(ending.step),
            steps: steps.collect(),
        })
    }

    /// The doors that a message passed without a word before that which decided.
    fn doors_of(&self, knock: &Knock) -> Vec<(Wall, &'static str, Result<Step, String>)> {
        let Line { at, step, .. } = knock.line;
        let came = if knock.is_late {
            "it was fetched, having been said while we were away"
        } else {
            "it came"
        };
        let mut texts = vec![("received", format!("{came}; {} bytes", knock.bytes))];
        let agent = self.agent(knock).unwrap_or("the default");
        let doors = [
            ("dedup", "it is new".to_owned()),
            ("access", "its author may speak to us there".to_owned()),
            ("mention", "it names us, or need not".to_owned()),
            ("content", "it has a text".to_owned()),
            ("route", format!("agent {agent} is to answer")),
        ];
        let stopped = match step {
            Step::Unwritten => "dedup",
            Step::Looping(_) => "",
            Step::Ordered | Step::NotMeant(_) => "route",
            step => step.door(),
        };
        texts.extend(doors.into_iter().take_while(|(door, _)| *door != stopped));
        texts.into_iter().map(|(door, text)| (at, door, Err(text))).collect()
    }
}

/// Whether it says what became of a message; that it came again does not.
fn decides(step: Step) -> bool {
    !matches!(
        step,
        Step::Duplicate
            | Step::AlreadyAnswered
            | Step::Meant(_)
            | Step::Routed(_)
            | Step::StandsIn(_)
            | Step::CodeSent
            | Step::CodesFull
            | Step::Unplaced
            | Step::Unranked
            | Step::Used(_)
            | Step::Skipped(_)
    )
}

fn outcome(step: Step) -> Outcome {
    match step {
        Step::Settled(Fate::Delivered | Fate::Silent) | Step::AlreadyAnswered | Step::Ordered => {
            Outcome::Answered
        }
        Step::Admitted
        | Step::Joined(..)
        | Step::Started
        | Step::Answered
        | Step::TooSlow
        | Step::AgentFailed(_)
        | Step::BrokeDown
        | Step::Stopped
        | Step::Queued { .. } => Outcome::Waiting,
        _ => Outcome::Dropped,
    }
}

/// The sentence that tells why it ended so.
fn reason(lines: &[Line], ending: Step) -> String {
    let apology = lines.iter().map(|line| line.step);
    let apology = apology.rev().find(|step| {
        matches!(
            step,
            Step::TooSlow
                | Step::AgentFailed(_)
                | Step::BrokeDown
                | Step::Stopped
                | Step::Ordered
                | Step::Joined(..)
        )
    });
    match (ending, apology) {
        (Step::Settled(Fate::Silent), Some(Step::Stopped)) => Step::Stopped.to_string(),
        (Step::Settled(Fate::Delivered), Some(step @ (Step::Ordered | Step::Joined(..)))) => {
            step.to_string()
        }
        (Step::Settled(Fate::Silent), Some(step @ Step::Joined(..))) => step.to_string(),
        (Step::Settled(Fate::Delivered), Some(fault)) => format!("{fault}; an apology was sent"),
        (ending, _) => ending.to_string(),
    }
}

fn link(chat: ChatId, guild: Option<u64>, id: u64) -> String {
    match chat.channel {
        ChannelKind::Discord => {
            let guild = guild.map_or_else(|| "@me".to_owned(), |guild| guild.to_string());
            format!("https://discord.com/channels/{guild}/{}/{id}", chat.id)
        }
        ChannelKind::WebChat => format!("{chat}/{id}"),
    }
}

/// Puts the stories of all accounts together.
#[must_use]
pub fn reply(query: Query, now: Wall, mut stories: Vec<Story>, drops: Vec<Drops>) -> Reply {
    // The times are all of one form, in which they sort as they follow.
    stories.sort_by(|a, b| b.at.cmp(&a.at));
    if let Query::Last { count, .. } = query {
        stories.truncate(count);
    }
    let note = stories.is_empty().then(|| match query {
        Query::Message { id, .. } => not_heard(id, now),
        Query::Last { dropped: true, .. } => "nothing was dropped, as far as is remembered".into(),
        Query::Last { .. } => "nothing was heard yet".into(),
    });
    Reply { stories, drops, note }
}

/// What it can mean that a message is not in the trail.
fn not_heard(id: u64, now: Wall) -> String {
    let said = ChannelKind::Discord.said_at(id);
    if said > now + std::time::Duration::from_secs(60) {
        return format!("{id} is no message that was said yet: is a digit wrong or too many?");
    }
    format!(
        "message {id}, said at {said}, is not in the trail. If that is long ago, then others have \
         taken its place. If not, it was not heard: the bot may not see that channel (View Channel \
         in its permissions), it may be no member of that server, the intents \
         GUILD_MESSAGES or DIRECT_MESSAGES may be off, or it was away then: see status and \
         channels history"
    )
}

/// A few lines about the last message of `chat`, to be said in the chat itself.
#[must_use]
pub fn sentence(trace: &Trace, chat: ChatId) -> String {
    let in_chat = |knock: &&Knock| knock.line.chat == chat;
    // Nor is a slash command what somebody means who asks for the last message.
    let ours =
        |knock: &&Knock| matches!(knock.line.step, Step::Refused(Refusal::Own) | Step::Ordered);
    let last = trace.knocks().filter(in_chat).filter(|knock| !ours(knock));
    let last = last.max_by_key(|knock| knock.line.at);
    let Some(story) = last.and_then(|knock| trace.story(chat, knock.line.id)) else {
        return "I have not heard a message in this chat lately. If there was one, then I may not \
                be allowed to see this channel."
            .to_owned();
    };
    let Story { link, outcome, reason, cure, author, .. } = story;
    let outcome = match outcome {
        Outcome::Answered => "was answered",
        Outcome::Dropped => "was not answered",
        Outcome::Waiting => "is being answered",
    };
    let cure = cure.map(|cure| format!("\nTo change that: `{cure}`")).unwrap_or_default();
    format!("The last message here, {link} by <@{author}>, {outcome}: {reason}.{cure}")
}

#[cfg(test)]
mod tests;
