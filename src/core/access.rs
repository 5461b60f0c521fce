#![doc = include_str!("access.md")]

use std::fmt;

use super::chat::Inbound;

/// Who may speak to us in one kind of chat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Nothing was configured: DMs are answered, and in groups those messages that name us. If
    /// somebody is listed, a list was meant.
    #[default]
    Default,
    /// Everybody, and in groups without being named too.
    Open,
    /// Only who is listed: people in `allow_from`, or groups in `guilds`.
    Allowlist,
    /// In DMs: who is listed, and who was approved after asking with a code.
    Pairing,
    /// Nobody.
    Disabled,
}

/// Whether other programs are answered (`allowBots`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Bots {
    /// Never.
    #[default]
    Never,
    /// If they name us.
    Mentions,
    /// Like people.
    Always,
}

/// Some people, by the service's numbers. An empty list is nobody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct People {
    /// `"*"` is on the list.
    pub everybody: bool,
    /// Who else is.
    pub ids: Vec<u64>,
}

impl People {
    /// Whether `id` is among them.
    #[must_use]
    pub fn has(&self, id: u64) -> bool {
        self.everybody || self.ids.contains(&id)
    }
}

/// What a rule applies to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// The server or channel with this number.
    Id(u64),
    /// The channel of this name, without `#`.
    Name(Box<str>),
    /// `"*"`: every one that has no rule of its own.
    Any,
}

/// `guilds.<id>`: what holds in one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuildRule {
    /// Which.
    pub place: Place,
    /// `requireMention`.
    pub require_mention: Option<bool>,
    /// `allowBots`, in place of the account's.
    pub bots: Option<Bots>,
    /// `users` and `roles`: only they are answered. `None` if neither is written.
    pub who: Option<Who>,
    /// `channels`: `None` if it is not written; with it, only those that are listed and enabled.
    pub channels: Option<Vec<ChannelRule>>,
}

/// `guilds.<id>.channels.<id>`: what holds in one channel, and in its threads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelRule {
    /// Which.
    pub place: Place,
    /// `enabled`, in older files `allow`.
    pub enabled: bool,
    /// `requireMention`.
    pub require_mention: Option<bool>,
    /// `allowBots`, in place of the server's.
    pub bots: Option<Bots>,
    /// `users` and `roles`, in place of the server's.
    pub who: Option<Who>,
}

/// Who is answered: those of `users`, and those who have one of `roles`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Who {
    /// By their own numbers.
    pub users: People,
    /// By their roles'.
    pub roles: Vec<u64>,
}

/// The configuration of one account, as far as it says who is answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// `dmPolicy`.
    pub dms: Policy,
    /// `groupPolicy`.
    pub groups: Policy,
    /// `allowFrom`: people, by the service's number.
    pub allow_from: People,
    /// `guilds`: servers and groups.
    pub guilds: Vec<GuildRule>,
    /// `requireMention`: whether messages in groups must name us. Unless set, they must, except
    /// where the policy is open.
    pub require_mention: Option<bool>,
    /// `allowBots`.
    pub bots: Bots,
}

/// What is known about a message that it does not say itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Known<'a> {
    /// The name of the channel, or of that around the thread; `None` if it is not known.
    pub chat_name: Option<&'a str>,
    /// Whether its author asked with a code, and was approved.
    pub is_approved: bool,
    /// Whether an agent is assigned to the chat that acts there without being named: where no rule
    /// says otherwise, the message need not name us.
    pub is_assigned: bool,
    /// Whether another account of ours said it, and that is not to be answered.
    pub is_other_own: bool,
}

/// Which of several rules for one thing it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// The one with its number.
    Own,
    /// The one with its name.
    Named,
    /// The one with `"*"`.
    Any,
}

/// The rule that decided: the account's own, a server's, or that of a channel in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spot {
    /// What holds for the whole account.
    Account,
    /// `guilds.<id>`
    Guild(Found),
    /// `guilds.<id>.channels.<id>`
    Channel(Found, Found),
}

/// Why a message is not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// We said it ourselves.
    Own,
    /// Another account of ours said it, and our agents do not answer each other.
    OtherOwn,
    /// Another program said it.
    Bot(Spot),
    /// Another program said it, and those are answered only if they name us.
    BotNotMentioning(Spot),
    /// It is a DM, and those are switched off.
    DmsDisabled {
        /// Whether its author is on the list.
        is_listed: bool,
    },
    /// It was said in a group, and those are switched off.
    GroupsDisabled {
        /// Whether the group is on the list.
        is_listed: bool,
    },
    /// It is a DM of somebody who is not listed.
    PersonNotListed,
    /// It is a DM of somebody who is neither listed nor approved.
    NotPaired,
    /// It was said in a group that is not listed.
    GroupNotListed,
    /// It was said in a channel that is not among those listed for its server.
    ChannelNotListed(Found),
    /// It was said in a channel that is switched off.
    ChannelDisabled(Found, Found),
    /// Its author is not among the people of this rule, nor has one of its roles.
    AuthorNotListed(Spot),
    /// It was said in a group and does not name us.
    NotMentioned(Spot),
    /// It came without text.
    Empty,
    /// It came from a group without text: most likely the intent for it is off.
    ContentHidden,
}

/// Whether `inbound` is to be answered.
///
/// # Errors
/// The first reason against it.
pub fn judge(access: &Access, inbound: &Inbound<'_>, known: Known<'_>) -> Result<(), Refusal> {
    if inbound.from_self {
        return Err(Refusal::Own);
    }
    if known.is_other_own {
        return Err(Refusal::OtherOwn);
    }
    if inbound.from_bot {
        judge_bot(access, inbound, known)?;
    }
    match inbound.guild {
        None => judge_dm(access, inbound.author, known)?,
        Some(guild) => judge_group(access, guild, inbound, known)?,
    }
    // A picture says something by itself.
    if !inbound.text.trim().is_empty() || !inbound.attachments.is_empty() {
        return Ok(());
    }
    // A DM, a message that names us and one with a sticker come as they are, whatever the intents
    // are: that they have no text is their author's will.
    let is_odd = inbound.guild.is_some() && !inbound.mentions_us && !inbound.has_more;
    Err(if is_odd { Refusal::ContentHidden } else { Refusal::Empty })
}

fn judge_bot(access: &Access, inbound: &Inbound<'_>, known: Known<'_>) -> Result<(), Refusal> {
    let (bots, spot) = bots_in(access, inbound, known);
    match bots {
        Bots::Always => Ok(()),
        Bots::Mentions if inbound.mentions_us => Ok(()),
        Bots::Mentions => Err(Refusal::BotNotMentioning(spot)),
        Bots::Never => Err(Refusal::Bot(spot)),
    }
}

/// What holds for other programs where `inbound` was said, and which rule says so.
fn bots_in(access: &Access, inbound: &Inbound<'_>, known: Known<'_>) -> (Bots, Spot) {
    let server = inbound.guild.and_then(|id| find(&access.guilds, |rule| &rule.place, id, None));
    let Some((server, which)) = server else { return (access.bots, Spot::Account) };
    let chat = ruled_by(inbound.chat.id, inbound.parent);
    let channels = server.channels.as_deref().unwrap_or_default();
    let channel = find(channels, |rule| &rule.place, chat, known.chat_name);
    let own = channel.and_then(|(rule, own)| Some((rule.bots?, Spot::Channel(which, own))));
    own.or_else(|| Some((server.bots?, Spot::Guild(which)))).unwrap_or((access.bots, Spot::Account))
}

fn judge_dm(access: &Access, author: u64, known: Known<'_>) -> Result<(), Refusal> {
    let is_listed = access.allow_from.has(author);
    match access.dms {
        Policy::Disabled => Err(Refusal::DmsDisabled { is_listed }),
        Policy::Open => Ok(()),
        Policy::Default if access.allow_from == People::default() => Ok(()),
        Policy::Pairing if is_listed || known.is_approved => Ok(()),
        Policy::Pairing => Err(Refusal::NotPaired),
        Policy::Default | Policy::Allowlist if is_listed => Ok(()),
        Policy::Default | Policy::Allowlist => Err(Refusal::PersonNotListed),
    }
}

fn judge_group(
    access: &Access,
    guild: u64,
    inbound: &Inbound<'_>,
    known: Known<'_>,
) -> Result<(), Refusal> {
    let server = find(&access.guilds, |rule| &rule.place, guild, None);
    match access.groups {
        Policy::Disabled => {
            return Err(Refusal::GroupsDisabled { is_listed: server.is_some() });
        }
        Policy::Open => {}
        Policy::Default if access.guilds.is_empty() => {}
        Policy::Default | Policy::Allowlist | Policy::Pairing if server.is_some() => {}
        Policy::Default | Policy::Allowlist | Policy::Pairing => {
            return Err(Refusal::GroupNotListed);
        }
    }
    let mut spot = Spot::Account;
    let unsaid = access.groups != Policy::Open && !known.is_assigned;
    let mut must_mention = access.require_mention.unwrap_or(unsaid);
    let mut who = None;
    if let Some((server, which)) = server {
        spot = Spot::Guild(which);
        must_mention = server.require_mention.unwrap_or(must_mention);
        who = server.who.as_ref().map(|who| (who, spot));
        if let Some(channels) = &server.channels {
            let chat = ruled_by(inbound.chat.id, inbound.parent);
            let found = find(channels, |rule| &rule.place, chat, known.chat_name);
            let (channel, own) = found.ok_or(Refusal::ChannelNotListed(which))?;
            if !channel.enabled {
                return Err(Refusal::ChannelDisabled(which, own));
            }
            spot = Spot::Channel(which, own);
            must_mention = channel.require_mention.unwrap_or(must_mention);
            who = channel.who.as_ref().map(|who| (who, spot)).or(who);
        }
    }
    if let Some((_, spot)) = who.filter(|(who, _)| !who.has(inbound)) {
        return Err(Refusal::AuthorNotListed(spot));
    }
    if must_mention && !inbound.mentions_us {
        return Err(Refusal::NotMentioned(spot));
    }
    Ok(())
}

/// What must be known of a message before it can be judged, beside what it says itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// Whether it was said in a thread, and in which channel's.
    pub parent: bool,
    /// What the channel is called.
    pub name: bool,
    /// Its author's roles.
    pub roles: bool,
}

/// What `access` needs to know of a message said in `chat` of `guild`.
#[must_use]
pub fn needs(access: &Access, guild: u64, chat: u64) -> Needs {
    let server = find(&access.guilds, |rule| &rule.place, guild, None);
    let Some((server, _)) = server.filter(|_| access.groups != Policy::Disabled) else {
        return Needs::default();
    };
    let channels = server.channels.iter().flatten();
    let by_role = |who: &Option<Who>| who.as_ref().is_some_and(|who| !who.roles.is_empty());
    // A channel that is listed by its number is no thread.
    let is_listed = channels.clone().any(|rule| rule.place == Place::Id(chat));
    let is_other = |place: &Place| *place != Place::Any;
    Needs {
        parent: !is_listed && channels.clone().any(|rule| is_other(&rule.place)),
        name: !is_listed && channels.clone().any(|rule| matches!(rule.place, Place::Name(_))),
        roles: by_role(&server.who) || channels.clone().any(|rule| by_role(&rule.who)),
    }
}

/// The channel whose rule holds in `chat`: a thread's is that of the channel around it.
#[must_use]
pub fn ruled_by(chat: u64, parent: Option<u64>) -> u64 {
    parent.unwrap_or(chat)
}

/// The rule for the thing with this number and name, and which of several it is.
pub(super) fn find<'a, T>(
    rules: &'a [T],
    place: impl Fn(&T) -> &Place,
    id: u64,
    name: Option<&str>,
) -> Option<(&'a T, Found)> {
    let by = |fits: &dyn Fn(&Place) -> bool| rules.iter().find(|rule| fits(place(rule)));
    let own = by(&|place| *place == Place::Id(id)).map(|rule| (rule, Found::Own));
    let named = || {
        let fits = |place: &Place| matches!(place, Place::Name(word) if is_name(word, name));
        by(&fits).map(|rule| (rule, Found::Named))
    };
    let any = || by(&|place| *place == Place::Any).map(|rule| (rule, Found::Any));
    own.or_else(named).or_else(any)
}

fn is_name(word: &str, name: Option<&str>) -> bool {
    name.is_some_and(|name| name.eq_ignore_ascii_case(word.trim_start_matches('#')))
}

impl Access {
    /// Whether another program may be answered anywhere.
    #[must_use]
    pub fn hears_bots(&self) -> bool {
        let says = |bots: Option<Bots>| bots.is_some_and(|bots| bots != Bots::Never);
        let in_guild = |guild: &GuildRule| {
            says(guild.bots) || guild.channels.iter().flatten().any(|channel| says(channel.bots))
        };
        self.bots != Bots::Never || self.guilds.iter().any(in_guild)
    }
}

impl Who {
    /// Whether the author of `inbound` is among them, or has one of the roles.
    fn has(&self, inbound: &Inbound<'_>) -> bool {
        self.users.has(inbound.author) || inbound.roles.iter().any(|role| self.roles.contains(role))
    }
}

/// What a refusal is about, as far as the line that would change it needs that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct About<'a> {
    /// The account's place in the configuration: `channels.discord`, or
    /// `channels.discord.accounts.work`.
    pub path: &'a str,
    /// The server.
    pub guild: Option<u64>,
    /// The channel whose rule held: see [`ruled_by`].
    pub channel: u64,
    /// Its name, if it is known.
    pub channel_name: Option<&'a str>,
    /// Who wrote the message.
    pub author: u64,
}

impl About<'_> {
    /// The path of a rule.
    pub(super) fn rule(&self, spot: Spot) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            f.write_str(self.path)?;
            let (guild, channel) = match spot {
                Spot::Account => return Ok(()),
                Spot::Guild(guild) => (guild, None),
                Spot::Channel(guild, channel) => (guild, Some(channel)),
            };
            match self.guild {
                Some(id) if guild != Found::Any => write!(f, ".guilds.\"{id}\"")?,
                _ => f.write_str(".guilds.\"*\"")?,
            }
            match (channel, self.channel_name) {
                (None, _) => Ok(()),
                (Some(Found::Any), _) => f.write_str(".channels.\"*\""),
                (Some(Found::Named), Some(name)) => write!(f, ".channels.{name:?}"),
                (Some(_), _) => write!(f, ".channels.\"{}\"", self.channel),
            }
        })
    }
}

impl Refusal {
    /// Every one there is.
    pub fn all() -> impl Iterator<Item = Refusal> {
        const FOUND: [Found; 3] = [Found::Own, Found::Named, Found::Any];
        let channels = || FOUND.into_iter().flat_map(|a| FOUND.map(|b| (a, b)));
        let spots = move || {
            std::iter::once(Spot::Account)
                .chain(FOUND.map(Spot::Guild))
                .chain(channels().map(|(a, b)| Spot::Channel(a, b)))
        };
        let plain = [
            Refusal::Own,
            Refusal::OtherOwn,
            Refusal::DmsDisabled { is_listed: false },
            Refusal::DmsDisabled { is_listed: true },
            Refusal::GroupsDisabled { is_listed: false },
            Refusal::GroupsDisabled { is_listed: true },
            Refusal::PersonNotListed,
            Refusal::NotPaired,
            Refusal::GroupNotListed,
            Refusal::Empty,
            Refusal::ContentHidden,
        ];
        plain
            .into_iter()
            .chain(FOUND.map(Refusal::ChannelNotListed))
            .chain(channels().map(|(a, b)| Refusal::ChannelDisabled(a, b)))
            .chain(spots().map(Refusal::AuthorNotListed))
            .chain(spots().map(Refusal::NotMentioned))
            .chain(spots().map(Refusal::Bot))
            .chain(spots().map(Refusal::BotNotMentioning))
    }

    /// The word for counters and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Own => "own",
            Refusal::OtherOwn => "other_own",
            Refusal::Bot(_) => "bot",
            Refusal::BotNotMentioning(_) => "bot_not_mentioning",
            Refusal::DmsDisabled { .. } => "dms_disabled",
            Refusal::GroupsDisabled { .. } => "groups_disabled",
            Refusal::PersonNotListed => "person_not_listed",
            Refusal::NotPaired => "not_paired",
            Refusal::GroupNotListed => "group_not_listed",
            Refusal::ChannelNotListed(_) => "channel_not_listed",
            Refusal::ChannelDisabled(..) => "channel_disabled",
            Refusal::AuthorNotListed(_) => "author_not_listed",
            Refusal::NotMentioned(_) => "not_mentioned",
            Refusal::Empty => "empty",
            Refusal::ContentHidden => "content_hidden",
        }
    }

    /// The door at which it was spoken.
    #[must_use]
    pub fn door(self) -> &'static str {
        match self {
            Refusal::NotMentioned(_) | Refusal::BotNotMentioning(_) => "mention",
            Refusal::Empty | Refusal::ContentHidden => "content",
            _ => "access",
        }
    }

    /// What would change it: lines of configuration, each with its full path, or an act. `None`
    /// where nothing should.
    #[must_use]
    pub fn cure<'a>(self, about: &'a About<'_>) -> Option<impl fmt::Display + use<'a>> {
        if matches!(self, Refusal::Own | Refusal::Empty) {
            return None;
        }
        Some(fmt::from_fn(move |f| {
            let About { path, author, .. } = *about;
            let guild = fmt::from_fn(|f| match about.guild {
                Some(id) => write!(f, "{path}.guilds.\"{id}\": {{}}"),
                None => write!(f, "{path}.guilds.\"*\": {{}}"),
            });
            match self {
                Refusal::Own | Refusal::Empty => Ok(()),
                Refusal::OtherOwn => f.write_str("router.noSelfTalk: false"),
                Refusal::Bot(spot) => {
                    write!(f, "{}.allowBots: \"mentions\"", about.rule(spot))
                }
                Refusal::BotNotMentioning(spot) => {
                    write!(f, "{}.allowBots: true", about.rule(spot))
                }
                Refusal::DmsDisabled { is_listed } => {
                    write!(f, "{path}.dmPolicy: \"allowlist\"")?;
                    if is_listed {
                        return Ok(());
                    }
                    write!(f, " and add \"{author}\" to {path}.allowFrom")
                }
                Refusal::GroupsDisabled { is_listed } => {
                    write!(f, "{path}.groupPolicy: \"allowlist\"")?;
                    if is_listed { Ok(()) } else { write!(f, " and {guild}") }
                }
                Refusal::PersonNotListed | Refusal::NotPaired => {
                    write!(f, "add \"{author}\" to {path}.allowFrom")
                }
                Refusal::GroupNotListed => write!(f, "{guild}"),
                Refusal::ChannelNotListed(server)
                | Refusal::ChannelDisabled(server, Found::Any) => {
                    let own = Spot::Channel(server, Found::Own);
                    write!(f, "{}.enabled: true", about.rule(own))
                }
                Refusal::ChannelDisabled(server, found) => {
                    write!(f, "{}.enabled: true", about.rule(Spot::Channel(server, found)))
                }
                Refusal::AuthorNotListed(spot) => {
                    write!(f, "add \"{author}\" to {}.users", about.rule(spot))
                }
                Refusal::NotMentioned(spot) => {
                    write!(f, "{}.requireMention: false", about.rule(spot))
                }
                Refusal::ContentHidden => f.write_str(
                    "MESSAGE CONTENT INTENT in Discord's developer portal, page \"Bot\": switch it \
                     on",
                ),
            }
        }))
    }
}

/// The sentence for people.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Own => "we said it ourselves",
            Refusal::OtherOwn => {
                "another agent of ours said it, and our agents do not answer each other"
            }
            Refusal::Bot(_) => "a bot or webhook said it, and two of them could go on for ever",
            Refusal::BotNotMentioning(_) => "a bot or webhook said it, and it does not name us",
            Refusal::DmsDisabled { .. } => "direct messages are switched off",
            Refusal::GroupsDisabled { .. } => "messages in groups are switched off",
            Refusal::PersonNotListed => "its author is not on the list",
            Refusal::NotPaired => "its author is neither on the list nor paired",
            Refusal::GroupNotListed => "it was said in a group that is not on the list",
            Refusal::ChannelNotListed(_) => "it was said in a channel that is not on the list",
            Refusal::ChannelDisabled(..) => "it was said in a channel that is switched off",
            Refusal::AuthorNotListed(_) => {
                "its author is not among the users there, nor has one of the roles"
            }
            Refusal::NotMentioned(_) => "it does not name us",
            Refusal::Empty => "it has neither text nor files",
            Refusal::ContentHidden => "its text was kept from us",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
