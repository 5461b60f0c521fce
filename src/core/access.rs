//! Who is answered. Every refusal has a name, a sentence and the line that would change it.

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

/// Why a message is not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// We said it ourselves.
    Own,
    /// Another program said it.
    Bot,
    /// It is a DM, and those are switched off.
    DmsDisabled,
    /// It was said in a group, and those are switched off.
    GroupsDisabled,
    /// It is a DM of somebody who is not listed.
    PersonNotListed {
        /// Who said it.
        author: u64,
    },
    /// It was said in a group that is not listed.
    GroupNotListed {
        /// The server around the chat.
        group: u64,
    },
    /// It was said in a group and does not name us.
    NotMentioned,
    /// It came without text.
    Empty,
    /// It came from a group without text: most likely the intent for it is off.
    ContentHidden,
}

/// Whether `inbound` is to be answered.
///
/// # Errors
/// The first reason against it.
pub fn judge(access: &Access, inbound: &Inbound<'_>) -> Result<(), Refusal> {
    if inbound.from_self {
        return Err(Refusal::Own);
    }
    if inbound.from_bot {
        return Err(Refusal::Bot);
    }
    match inbound.guild {
        None => judge_dm(access, inbound.author)?,
        Some(guild) => judge_group(access, guild, inbound)?,
    }
    match (inbound.text.trim().is_empty(), inbound.guild) {
        (false, _) => Ok(()),
        // A message that names us comes with its text whatever the intents are.
        (true, Some(_)) if !inbound.mentions_us => Err(Refusal::ContentHidden),
        (true, _) => Err(Refusal::Empty),
    }
}

fn judge_dm(access: &Access, author: u64) -> Result<(), Refusal> {
    let is_listed = access.allow_from.has(author);
    match access.dms {
        Policy::Disabled => Err(Refusal::DmsDisabled),
        Policy::Open => Ok(()),
        Policy::Default if access.allow_from == People::default() => Ok(()),
        Policy::Default | Policy::Allowlist | Policy::Pairing if is_listed => Ok(()),
        Policy::Default | Policy::Allowlist | Policy::Pairing => {
            Err(Refusal::PersonNotListed { author })
        }
    }
}

fn judge_group(access: &Access, guild: u64, inbound: &Inbound<'_>) -> Result<(), Refusal> {
    let is_listed = access.guilds.iter().any(|rule| rule.place == Place::Id(guild));
    match access.groups {
        Policy::Disabled => return Err(Refusal::GroupsDisabled),
        Policy::Open => {}
        Policy::Default if access.guilds.is_empty() => {}
        Policy::Default | Policy::Allowlist | Policy::Pairing if is_listed => {}
        Policy::Default | Policy::Allowlist | Policy::Pairing => {
            return Err(Refusal::GroupNotListed { group: guild });
        }
    }
    let must_mention = access.require_mention.unwrap_or(access.groups != Policy::Open);
    if must_mention && !inbound.mentions_us { Err(Refusal::NotMentioned) } else { Ok(()) }
}

impl Refusal {
    /// The word for counters and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Own => "own",
            Refusal::Bot => "bot",
            Refusal::DmsDisabled => "dms_disabled",
            Refusal::GroupsDisabled => "groups_disabled",
            Refusal::PersonNotListed { .. } => "person_not_listed",
            Refusal::GroupNotListed { .. } => "group_not_listed",
            Refusal::NotMentioned => "not_mentioned",
            Refusal::Empty => "empty",
            Refusal::ContentHidden => "content_hidden",
        }
    }

    /// What would change it: a line of configuration below `channels.discord`, or an act.
    /// `None` where nothing should.
    #[must_use]
    pub fn cure(self) -> Option<impl fmt::Display> {
        if matches!(self, Refusal::Own | Refusal::Bot | Refusal::Empty) {
            return None;
        }
        Some(fmt::from_fn(move |f| match self {
            Refusal::DmsDisabled => f.write_str("dmPolicy: \"open\""),
            Refusal::GroupsDisabled => f.write_str("groupPolicy: \"open\""),
            Refusal::PersonNotListed { author } => write!(f, "allowFrom: [\"{author}\"]"),
            Refusal::GroupNotListed { group } => write!(f, "guilds: {{ \"{group}\": {{}} }}"),
            Refusal::NotMentioned => f.write_str("requireMention: false"),
            Refusal::ContentHidden => f.write_str(
                "switch on MESSAGE CONTENT INTENT for the bot in Discord's developer portal",
            ),
            Refusal::Own | Refusal::Bot | Refusal::Empty => Ok(()),
        }))
    }
}

/// The sentence for people.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Own => "we said it ourselves",
            Refusal::Bot => "a bot or webhook said it, and two of them could go on for ever",
            Refusal::DmsDisabled => "direct messages are switched off",
            Refusal::GroupsDisabled => "messages in groups are switched off",
            Refusal::PersonNotListed { .. } => "its author is not on the list",
            Refusal::GroupNotListed { .. } => "it was said in a group that is not on the list",
            Refusal::NotMentioned => "it does not name us",
            Refusal::Empty => "it has no text",
            Refusal::ContentHidden => "its text was kept from us",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::{ChannelKind, ChatId};

    fn said(guild: Option<u64>) -> Inbound<'static> {
        Inbound {
            chat: ChatId { channel: ChannelKind::Discord, id: 5 },
            id: 100,
            seq: 1,
            guild,
            parent: None,
            author: 7,
            author_name: "ann",
            roles: &[],
            from_bot: false,
            from_self: false,
            mentions_us: false,
            reply_to: None,
            late: false,
            text: "hello",
            text_cut: false,
            has_more: false,
        }
    }

    fn mention(guild: u64) -> Inbound<'static> {
        Inbound { mentions_us: true, ..said(Some(guild)) }
    }

    #[test]
    fn without_configuration_dms_and_mentions_are_answered_and_nothing_else() {
        let access = Access::default();
        assert_eq!(judge(&access, &said(None)), Ok(()));
        assert_eq!(judge(&access, &mention(9)), Ok(()));
        assert_eq!(judge(&access, &said(Some(9))), Err(Refusal::NotMentioned));
    }

    #[test]
    fn programs_are_never_answered_whatever_is_configured() {
        let access = Access { dms: Policy::Open, groups: Policy::Open, ..Access::default() };
        let bot = Inbound { from_bot: true, ..mention(9) };
        assert_eq!(judge(&access, &bot), Err(Refusal::Bot));
        let own = Inbound { from_self: true, ..bot };
        assert_eq!(judge(&access, &own), Err(Refusal::Own));
    }

    #[test]
    fn dm_policies_hold() {
        let with = |dms, allow_from: &[u64]| {
            let allow_from = People { everybody: false, ids: allow_from.to_vec() };
            let access = Access { dms, allow_from, ..Access::default() };
            judge(&access, &said(None))
        };
        let not_listed = Err(Refusal::PersonNotListed { author: 7 });
        assert_eq!(with(Policy::Default, &[8]), not_listed, "a list is meant");
        assert_eq!(with(Policy::Default, &[8, 7]), Ok(()));
        assert_eq!(with(Policy::Allowlist, &[]), not_listed);
        assert_eq!(with(Policy::Allowlist, &[7]), Ok(()));
        assert_eq!(with(Policy::Open, &[8]), Ok(()));
        assert_eq!(with(Policy::Disabled, &[7]), Err(Refusal::DmsDisabled));
    }

    #[test]
    fn group_policies_hold() {
        let with = |groups, require_mention, inbound: Inbound<'_>| {
            let guilds = vec![GuildRule {
                place: Place::Id(9),
                require_mention: None,
                who: None,
                channels: None,
            }];
            let access = Access { groups, guilds, require_mention, ..Access::default() };
            judge(&access, &inbound)
        };
        assert_eq!(with(Policy::Open, None, said(Some(1))), Ok(()));
        assert_eq!(with(Policy::Open, Some(true), said(Some(1))), Err(Refusal::NotMentioned));
        assert_eq!(with(Policy::Default, Some(false), said(Some(9))), Ok(()));
        assert_eq!(with(Policy::Allowlist, None, mention(9)), Ok(()));
        let not_listed = Err(Refusal::GroupNotListed { group: 1 });
        assert_eq!(with(Policy::Allowlist, None, mention(1)), not_listed);
        assert_eq!(with(Policy::Default, None, mention(1)), not_listed, "a list is meant");
        assert_eq!(with(Policy::Disabled, None, mention(9)), Err(Refusal::GroupsDisabled));
    }

    #[test]
    fn a_message_without_text_is_told_from_one_that_was_withheld() {
        let access = Access { groups: Policy::Open, ..Access::default() };
        let empty = |inbound| judge(&access, &Inbound { text: " \n", ..inbound });
        assert_eq!(empty(said(None)), Err(Refusal::Empty));
        assert_eq!(empty(mention(9)), Err(Refusal::Empty));
        assert_eq!(empty(said(Some(9))), Err(Refusal::ContentHidden));
    }

    #[test]
    fn a_cure_names_the_line_that_admits() {
        let line = |refusal: Refusal| refusal.cure().map(|cure| cure.to_string());
        let group = Refusal::GroupNotListed { group: 9 };
        assert_eq!(line(group).as_deref(), Some("guilds: { \"9\": {} }"));
        let person = Refusal::PersonNotListed { author: 7 };
        assert_eq!(line(person).as_deref(), Some("allowFrom: [\"7\"]"));
        assert!(line(Refusal::NotMentioned).is_some() && line(Refusal::Bot).is_none());
    }
}
