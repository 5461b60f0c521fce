//! The decision trail: which doors a message passed, and at which it was turned away.
//!
//! Of each message is kept who said it where and when, and how long it was, never a word of it. The
//! admitted ones have room of their own, and so have their later steps; what `why` tells is put
//! together from these when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::access::{self, About, Refusal};
use super::chat::{ChannelKind, ChatId, Inbound};
use super::intent::Verdict;
use super::loops;
use super::media::Note;
use super::outbox::{Fate, Skipped, Why};
use super::reset::Why as Renewal;
use super::router::Because;
use super::tools::{How, Used};
use super::turn::{Ending, Fault, How as Joining};
use crate::base::limits::{
    PLACE_NAME_BYTES_MAX, TRACE_ADMITTED_MAX, TRACE_AGENTS_MAX, TRACE_LINES_MAX,
    TRACE_NAME_BYTES_MAX, TRACE_TURNED_MAX,
};
use crate::base::ring::Ring;
use crate::base::{Wall, text};

mod keep;

/// One decision about one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// When.
    pub at: Wall,
    /// Where the message was said.
    pub chat: ChatId,
    /// The service's number for it.
    pub id: u64,
    /// What was decided.
    pub step: Step,
}

/// A message that came to the doors, and what was decided there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Knock {
    /// When it came, where it was said, its number, and what was decided.
    pub line: Line,
    /// The server around the chat.
    pub guild: Option<u64>,
    /// The channel whose rule held: the one around a thread.
    pub ruled_by: u64,
    /// Who said it.
    pub author: u64,
    /// What the author is called, or the beginning of it.
    pub name: heapless::String<TRACE_NAME_BYTES_MAX>,
    /// How many bytes the text had.
    pub bytes: u32,
    /// Whether it was said while we were away.
    pub is_late: bool,
    /// What the channel is called whose rule held; empty if that is not known.
    pub place: heapless::String<PLACE_NAME_BYTES_MAX>,
    /// Which of the trail's agents was to answer; see [`Trace::agent`].
    agent: u8,
}

/// What can be decided about a message, in the order of its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Dropped: nobody wrote it; the service tells so of a pin, a boost, a new member.
    Unwritten,
    /// Dropped: the server sent it a second time.
    Duplicate,
    /// Dropped: the same person said the same words in the same chat a moment before.
    Repeated,
    /// Dropped: an earlier life of ours answered it.
    AlreadyAnswered,
    /// Dropped: who may be answered is a matter of configuration.
    Refused(Refusal),
    /// Dropped: it was said in a group without being meant for us.
    NotMeant(Verdict),
    /// It was said in a group, and is meant for us.
    Meant(Verdict),
    /// Dropped: several agents heard it, and another one answers.
    Elsewhere,
    /// Dropped: only passive agents are assigned to its channel, and nothing in it calls one.
    NotTriggered,
    /// Dropped: no agent is assigned to its channel.
    Unassigned,
    /// Dropped: a bot said it, and bots go round in circles there.
    Looping(loops::Kind),
    /// Of several agents this one answers, because of that.
    Routed(Because),
    /// The same in the place of one whose account is away.
    StandsIn(Because),
    /// What its channel is called, or what is around it, could not be found out in time; it was
    /// judged without that.
    Unplaced,
    /// Its author's roles could not be found out in time; it was judged without them.
    Unranked,
    /// Its author was sent a code, by which to be let in.
    CodeSent,
    /// Its author was told that too many others wait to be let in.
    CodesFull,
    /// Dropped: too many messages are being dealt with.
    Busy,
    /// It will be answered.
    Admitted,
    /// It is an order to ourselves, and was carried out.
    Ordered,
    /// With it another conversation began.
    Renewed(Renewal),
    /// It goes into the turn of a later or earlier message, and its answer is that one's.
    Joined(Joining, u64),
    /// The agent began.
    Started,
    /// The agent had a tool used.
    Used(Used),
    /// The agent answered.
    Answered,
    /// The agent took too long; an apology is sent.
    TooSlow,
    /// The agent failed so; an apology is sent.
    AgentFailed(Fault),
    /// This became of what came with it, or of its answer.
    Media(Note),
    /// A person has ended the turn.
    Stopped,
    /// Our process ended in the middle of each of its turns; an apology is sent.
    BrokeDown,
    /// The reply waits to be sent.
    Queued {
        /// In how many messages.
        parts: u16,
    },
    /// This of the reply was left out, and the rest goes on.
    Skipped(Skipped),
    /// The reply is over.
    Settled(Fate),
}

impl Step {
    /// Every one there is; of numbers, 0.
    pub fn all() -> impl Iterator<Item = Step> {
        let plain = [
            Step::Unwritten,
            Step::Duplicate,
            Step::Repeated,
            Step::AlreadyAnswered,
            Step::NotMeant(Verdict::BARE),
            Step::Meant(Verdict::BARE),
            Step::Elsewhere,
            Step::NotTriggered,
            Step::Unassigned,
            Step::Unplaced,
            Step::Unranked,
            Step::CodeSent,
            Step::CodesFull,
            Step::Busy,
            Step::Admitted,
            Step::Ordered,
            Step::Renewed(Renewal::Asked),
            Step::Renewed(Renewal::Daily),
            Step::Renewed(Renewal::Idle),
            Step::Started,
            Step::Used(Used::unpack(0)),
            Step::Answered,
            Step::TooSlow,
            Step::Stopped,
            Step::BrokeDown,
            Step::Queued { parts: 0 },
            Step::Skipped(Skipped::NoThreads),
            Step::Skipped(Skipped::Files(0)),
            Step::Settled(Fate::Delivered),
            Step::Settled(Fate::Silent),
        ];
        let dropped = Why::ALL.into_iter().map(|why| Step::Settled(Fate::Dropped(why)));
        let skipped = [Skipped::Thread, Skipped::Reaction, Skipped::Draft].into_iter();
        let skipped = skipped.flat_map(|what| Why::ALL.map(|why| Step::Skipped(what(why))));
        let joined = Joining::ALL.into_iter().map(|how| Step::Joined(how, 0));
        let failed = Fault::all().map(Step::AgentFailed);
        let failed = failed.chain([Step::AgentFailed(Fault::Failed(Ending::Signal(0)))]);
        let refused = Refusal::all().map(Step::Refused);
        let routed = Because::ALL.into_iter();
        let routed = routed.flat_map(|because| [Step::Routed(because), Step::StandsIn(because)]);
        let routed = routed.chain(loops::Kind::ALL.map(Step::Looping));
        let media = Note::all().map(Step::Media);
        plain
            .into_iter()
            .chain(routed)
            .chain(media)
            .chain(refused)
            .chain(dropped)
            .chain(skipped)
            .chain(failed)
            .chain(joined)
    }

    /// The number in it; 0 if there is none.
    #[must_use]
    pub fn number(self) -> u64 {
        let small = |number: i32| u64::try_from(number).unwrap_or(0);
        match self {
            Step::NotMeant(verdict) | Step::Meant(verdict) => verdict.pack(),
            Step::Queued { parts } => parts.into(),
            Step::Used(used) => used.pack(),
            Step::Joined(_, into) => into,
            Step::Skipped(Skipped::Files(count)) => count as u64,
            Step::AgentFailed(Fault::Failed(Ending::Code(code))) => small(code),
            Step::AgentFailed(Fault::Failed(Ending::Signal(signal))) => small(signal),
            Step::AgentFailed(Fault::Refused(status)) => status.into(),
            Step::Media(note) => note.number(),
            _ => 0,
        }
    }

    /// The same step with this number, if it has one.
    #[must_use]
    pub fn with_number(self, number: u64) -> Step {
        let failed = |ending| Step::AgentFailed(Fault::Failed(ending));
        let small = u16::try_from(number).unwrap_or(u16::MAX);
        match self {
            Step::NotMeant(_) => Step::NotMeant(Verdict::unpack(number)),
            Step::Meant(_) => Step::Meant(Verdict::unpack(number)),
            Step::Queued { .. } => Step::Queued { parts: small },
            Step::Used(_) => Step::Used(Used::unpack(number)),
            Step::Joined(how, _) => Step::Joined(how, number),
            Step::Skipped(Skipped::Files(_)) => Step::Skipped(Skipped::Files(small.into())),
            Step::AgentFailed(Fault::Failed(Ending::Code(_))) => failed(Ending::Code(small.into())),
            Step::AgentFailed(Fault::Failed(Ending::Signal(_))) => {
                failed(Ending::Signal(small.into()))
            }
            Step::AgentFailed(Fault::Refused(_)) => Step::AgentFailed(Fault::Refused(small)),
            Step::Media(note) => Step::Media(note.with_number(small)),
            step => step,
        }
    }

    /// The door at which it was decided.
    #[must_use]
    pub fn door(self) -> &'static str {
        match self {
            Step::Unwritten => "content",
            Step::Duplicate | Step::Repeated | Step::AlreadyAnswered => "dedup",
            Step::Refused(refusal) => refusal.door(),
            Step::NotMeant(_) | Step::Meant(_) => "intent",
            Step::Elsewhere
            | Step::NotTriggered
            | Step::Unassigned
            | Step::Routed(_)
            | Step::StandsIn(_) => "route",
            Step::Looping(_) => "loop",
            Step::Unplaced | Step::Unranked => "access",
            Step::CodeSent | Step::CodesFull => "pairing",
            Step::Busy | Step::Admitted | Step::Joined(..) => "queue",
            Step::Ordered => "order",
            Step::Media(_) => "media",
            Step::Renewed(_)
            | Step::Started
            | Step::Used(_)
            | Step::Answered
            | Step::TooSlow
            | Step::AgentFailed(_)
            | Step::Stopped
            | Step::BrokeDown => "agent",
            Step::Queued { .. } | Step::Skipped(_) | Step::Settled(Fate::Dropped(_)) => "outbox",
            Step::Settled(Fate::Delivered | Fate::Silent) => "delivery",
        }
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::Meant(_) => "meant",
            Step::Routed(_) => "routed",
            Step::StandsIn(_) => "stands_in",
            Step::Unplaced => "unplaced",
            Step::Unranked => "unranked",
            Step::CodeSent => "code_sent",
            Step::CodesFull => "codes_full",
            Step::Admitted => "admitted",
            Step::Ordered => "ordered",
            Step::Renewed(_) => "renewed",
            Step::Joined(how, _) => how.name(),
            Step::Started => "started",
            Step::Used(used) => used.how.step(),
            Step::Answered => "answered",
            Step::Stopped => "stopped",
            Step::Media(note) => note.name(),
            Step::Queued { .. } => "queued",
            Step::Settled(Fate::Delivered) => "delivered",
            Step::Settled(Fate::Silent) => "silent",
            dropped => dropped.drop_name().unwrap_or("?"),
        }
    }

    /// If the message or its reply ended here against the wish of its author: the word for it.
    #[must_use]
    pub fn drop_name(self) -> Option<&'static str> {
        match self {
            Step::Unwritten => Some("unwritten"),
            Step::Duplicate => Some("duplicate"),
            Step::Repeated => Some("repeated"),
            Step::AlreadyAnswered => Some("already_answered"),
            Step::Refused(refusal) => Some(refusal.name()),
            Step::NotMeant(_) => Some("not_meant"),
            Step::Elsewhere => Some("another_agent"),
            Step::NotTriggered => Some("not_triggered"),
            Step::Unassigned => Some("no_agent"),
            Step::Looping(kind) => Some(kind.name()),
            Step::Busy => Some("busy"),
            Step::TooSlow => Some("agent_too_slow"),
            Step::AgentFailed(fault) => Some(fault.name()),
            Step::BrokeDown => Some("broke_down"),
            Step::Skipped(what) => Some(what.name()),
            Step::Settled(Fate::Dropped(why)) => Some(why.name()),
            Step::CodesFull => Some("codes_full"),
            Step::Media(note) => Some(note.name()).filter(|_| note.is_drop()),
            Step::Meant(_)
            | Step::Routed(_)
            | Step::StandsIn(_)
            | Step::Unplaced
            | Step::Unranked
            | Step::CodeSent
            | Step::Admitted
            | Step::Ordered
            | Step::Renewed(_)
            | Step::Joined(..)
            | Step::Started
            | Step::Used(_)
            | Step::Answered
            | Step::Stopped
            | Step::Queued { .. }
            | Step::Settled(_) => None,
        }
    }

    /// What would change it, in the account at the place that `about` names: lines of
    /// configuration, each with its full path, or an act. `None` where nothing should, or where
    /// that is not ours to say.
    #[must_use]
    pub fn cure(self, about: &About<'_>) -> Option<String> {
        let path = about.path;
        let forbidden = |permission: &str| {
            format!("give the bot the permission {permission} there (server settings, Roles)")
        };
        Some(match self {
            Step::Refused(refusal) => return refusal.cure(about).map(|cure| cure.to_string()),
            Step::NotMeant(verdict) => {
                let rule = about.rule(verdict.spot);
                format!("mention the bot, or a lower {rule}.intentFilter.respondThreshold")
            }
            Step::NotTriggered => {
                "mention an agent or say its name, or add a word of it to router.agents[].triggers"
                    .to_owned()
            }
            Step::Unassigned => match about.channel_name {
                Some(name) => format!("add {name:?} to router.agents[].channels"),
                None => format!("add \"{}\" to router.agents[].channels", about.channel),
            },
            Step::Looping(kind) => format!(
                "a person who says something there, or a larger {path}.botLoopProtection.{}",
                kind.key()
            ),
            Step::CodesFull => "barnacle pairing list: approve or revoke who waits".to_owned(),
            Step::Busy => "say it again when those before it are answered".to_owned(),
            Step::Used(Used { how: How::Denied, .. }) => {
                "tools.toolsBySender says who may have which tools used".to_owned()
            }
            Step::TooSlow => "a larger agents.defaults.timeout".to_owned(),
            Step::AgentFailed(_) => {
                "barnacle doctor looks at the agent; the log has more".to_owned()
            }
            Step::Skipped(Skipped::Files(_)) => "smaller files, or a link to them".to_owned(),
            Step::Media(note) => return note.cure().map(str::to_owned),
            Step::Skipped(Skipped::NoThreads) => "ask in a channel of a server".to_owned(),
            Step::Skipped(Skipped::Thread(Why::Forbidden)) => forbidden("Create Public Threads"),
            Step::Skipped(Skipped::Reaction(Why::Forbidden)) => forbidden("Add Reactions"),
            Step::Settled(Fate::Dropped(why)) => match why {
                Why::Full => format!("a larger {path}.rateLimit.maxQueueSize"),
                Why::Limited => format!("{path}.rateLimit.strategy: \"queue\""),
                Why::Forbidden => forbidden("Send Messages"),
                Why::Unauthorized => format!("a valid {path}.token"),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Whether a person who looks after the bot should hear of the first drop of this kind. That
    /// we do not answer ourselves or nobody, and nothing twice, is as it should be.
    #[must_use]
    pub fn is_news(self) -> bool {
        let is_usual = matches!(
            self,
            Step::Unwritten
                | Step::Duplicate
                | Step::AlreadyAnswered
                | Step::Elsewhere
                | Step::NotTriggered
                | Step::Refused(Refusal::Own | Refusal::OtherOwn)
        );
        self.drop_name().is_some() && !is_usual
    }
}

/// The sentence for people.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Unwritten => f.write_str("nobody wrote it: it is a notice of the service"),
            Step::Duplicate => f.write_str("the service sent it before"),
            Step::Repeated => f.write_str("its author said the same a moment before"),
            Step::AlreadyAnswered => f.write_str("it was answered before the last start"),
            Step::Refused(refusal) => refusal.fmt(f),
            Step::NotMeant(verdict) => write!(f, "it is not meant for us: {verdict}"),
            Step::Meant(verdict) if verdict.score.permille < verdict.threshold => {
                write!(f, "it mentions us, which is enough; {verdict}")
            }
            Step::Meant(verdict) => write!(f, "it is meant for us: {verdict}"),
            Step::Elsewhere => f.write_str("another agent answers"),
            Step::NotTriggered => f.write_str(
                "the agents of its channel only answer what calls them, and nothing in it does",
            ),
            Step::Unassigned => f.write_str("no agent is assigned to its channel"),
            Step::Looping(kind) => {
                write!(f, "a bot said it, and we have stopped answering it there: {kind}")
            }
            Step::Routed(because) => {
                write!(f, "of our agents this one answers: {}", because.text())
            }
            Step::StandsIn(because) => write!(
                f,
                "this agent answers in the place of one whose account is away: {}",
                because.text()
            ),
            Step::Unplaced => f.write_str(
                "its channel's name and what is around it could not be found out in time; it was \
                 judged without",
            ),
            Step::Unranked => f.write_str(
                "its author's roles could not be found out in time; it was judged without",
            ),
            Step::CodeSent => f.write_str("its author was sent a code to be let in by"),
            Step::CodesFull => f.write_str("too many others wait to be let in"),
            Step::Busy => f.write_str("too many messages are waiting to be answered"),
            Step::Admitted => f.write_str("it will be answered"),
            Step::Ordered => f.write_str("it is an order to us, and was carried out"),
            Step::Renewed(why) => write!(f, "a new conversation began because {why}"),
            Step::Joined(how, into) => write!(f, "{how}; the answer is that to message {into}"),
            Step::Started => f.write_str("the agent is at work"),
            Step::Used(used) => used.fmt(f),
            Step::Answered => f.write_str("the agent has answered"),
            Step::TooSlow => f.write_str("the agent took too long"),
            Step::AgentFailed(fault) => fault.fmt(f),
            Step::Media(note) => note.fmt(f),
            Step::Stopped => f.write_str("a person has stopped it"),
            Step::BrokeDown => f.write_str("our process ended while the agent was at work on it"),
            Step::Skipped(what) => what.fmt(f),
            Step::Queued { parts: 1 } => f.write_str("the reply waits to be sent"),
            Step::Queued { parts } => write!(f, "the reply waits to be sent, in {parts} messages"),
            Step::Settled(Fate::Delivered) => f.write_str("delivered"),
            Step::Settled(Fate::Silent) => f.write_str("the agent had nothing to say"),
            Step::Settled(Fate::Dropped(why)) => write!(f, "the reply was dropped: {why}"),
        }
    }
}

impl Knock {
    /// Of `inbound`, which came at `at`: `step` was decided.
    #[must_use]
    pub fn of(inbound: &Inbound<'_>, at: Wall, step: Step) -> Knock {
        let Inbound { chat, id, guild, parent, author, late, .. } = *inbound;
        let name = text::truncate(inbound.author_name, TRACE_NAME_BYTES_MAX);
        Knock {
            line: Line { at, chat, id, step },
            guild,
            ruled_by: access::ruled_by(chat.id, parent),
            author,
            // It fits: it was cut for that.
            name: name.try_into().unwrap_or_default(),
            bytes: inbound.text.len().try_into().unwrap_or(u32::MAX),
            is_late: late,
            place: heapless::String::new(),
            agent: 0,
        }
    }

    /// The same in a channel of this name. One that does not fit is none: half a name would lead
    /// to a line of configuration that is wrong.
    #[must_use]
    pub fn called(self, name: Option<&str>) -> Knock {
        let place = name.and_then(|name| name.try_into().ok()).unwrap_or_default();
        Knock { place, ..self }
    }

    /// What the channel is called whose rule held, if that is known.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        Some(self.place.as_str()).filter(|name| !name.is_empty())
    }

    /// What the line that would change it is about, in the account at `path`.
    #[must_use]
    pub fn about<'a>(&'a self, path: &'a str) -> About<'a> {
        let Knock { guild, ruled_by: channel, author, .. } = *self;
        About { path, guild, channel, channel_name: self.place(), author }
    }
}

/// The last decisions of one account, and how often each kind of drop was made.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The account's name …
    account: Box<str>,
    /// … and its place in the configuration.
    path: Box<str>,
    turned: Box<Ring<Knock, TRACE_TURNED_MAX>>,
    admitted: Box<Ring<Knock, TRACE_ADMITTED_MAX>>,
    lines: Box<Ring<Line, TRACE_LINES_MAX>>,
    /// The names of agents; what is kept of a message is the place in here.
    agents: Vec<Box<str>>,
    drops: BTreeMap<(ChannelKind, &'static str), u64>,
    /// The kinds of drop that were told since the start.
    told: BTreeSet<(ChannelKind, &'static str)>,
    /// How often something was taken in …
    changes: u64,
    /// … that is worth a write to an SD card.
    weighty: u64,
}

/// What of a ring is not `gone`.
fn without<T: Clone, const N: usize>(ring: &Ring<T, N>, gone: impl Fn(&T) -> bool) -> Ring<T, N> {
    let mut left = Ring::default();
    for item in ring.iter().filter(|item| !gone(item)) {
        left.push(item.clone());
    }
    left
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new("default", "channels.discord")
    }
}

impl Trace {
    /// The empty trail of the account with this name and place in the configuration.
    #[must_use]
    pub fn new(account: &str, path: &str) -> Trace {
        Trace {
            account: account.into(),
            path: path.into(),
            turned: Box::default(),
            admitted: Box::default(),
            lines: Box::default(),
            agents: Vec::new(),
            drops: BTreeMap::new(),
            told: BTreeSet::new(),
            changes: 0,
            weighty: 0,
        }
    }

    /// Forgets the messages of `author`; how many there were. What was counted stays.
    pub fn forget(&mut self, author: u64) -> u64 {
        let theirs: BTreeSet<(ChatId, u64)> = self
            .knocks()
            .filter(|knock| knock.author == author)
            .map(|knock| (knock.line.chat, knock.line.id))
            .collect();
        let is_theirs = |line: &Line| theirs.contains(&(line.chat, line.id));
        *self.turned = without(&self.turned, |knock| is_theirs(&knock.line));
        *self.admitted = without(&self.admitted, |knock| is_theirs(&knock.line));
        *self.lines = without(&self.lines, is_theirs);
        theirs.len() as u64
    }

    /// Takes in what was decided about a message that came; `agent` will answer it, if it was
    /// admitted. True if it is the first drop of its kind, which a person should read of.
    pub fn knock(&mut self, mut knock: Knock, agent: Option<&str>) -> bool {
        let Line { chat, step, .. } = knock.line;
        if let Some(agent) = agent {
            knock.agent = self.intern(agent);
        }
        if step == Step::Admitted {
            self.weighty += 1;
            self.admitted.push(knock);
        } else {
            self.turned.push(knock);
        }
        self.count(chat.channel, step)
    }

    /// Counts a drop of something that no message asked for. True if it is the first of its kind.
    pub fn dropped(&mut self, channel: ChannelKind, step: Step) -> bool {
        self.count(channel, step)
    }

    /// Takes in a later decision. True if it is the first drop of its kind.
    pub fn record(&mut self, line: Line) -> bool {
        self.weighty += 1;
        self.lines.push(line);
        self.count(line.chat.channel, line.step)
    }

    fn count(&mut self, channel: ChannelKind, step: Step) -> bool {
        self.changes += 1;
        let Some(name) = step.drop_name() else { return false };
        let count = self.drops.entry((channel, name)).or_insert(0);
        *count = count.saturating_add(1);
        self.told.insert((channel, name)) && step.is_news()
    }

    fn intern(&mut self, agent: &str) -> u8 {
        let known = self.agents.iter().position(|name| **name == *agent);
        let place = known.unwrap_or_else(|| {
            if self.agents.len() < TRACE_AGENTS_MAX {
                self.agents.push(agent.into());
            }
            self.agents.len() - 1
        });
        u8::try_from(place + 1).unwrap_or(0)
    }

    /// The agent that was to answer.
    #[must_use]
    pub fn agent(&self, knock: &Knock) -> Option<&str> {
        let place = usize::from(knock.agent).checked_sub(1)?;
        self.agents.get(place).map(|name| &**name)
    }

    /// The account's name.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The account's place in the configuration.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The messages that came, those that were turned away first.
    pub fn knocks(&self) -> impl Iterator<Item = &Knock> {
        self.turned.iter().chain(self.admitted.iter())
    }

    /// The last decisions about admitted messages, the oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.iter()
    }

    /// How often each kind of drop was made in each channel.
    pub fn drops(&self) -> impl Iterator<Item = (ChannelKind, &'static str, u64)> {
        self.drops.iter().map(|(&(channel, name), &count)| (channel, name, count))
    }

    /// How often something was taken in since the start, an older trail included.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How often it was about a message that is answered: refusals alone must not wear out an SD
    /// card.
    #[must_use]
    pub fn weighty(&self) -> u64 {
        self.weighty
    }
}

#[cfg(test)]
pub(super) mod tests;
