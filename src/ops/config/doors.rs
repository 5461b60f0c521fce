//! Who is answered: policies, people and places, as the file lists them.

use super::accounts::DEFAULT;
use super::check::id;
use super::raw::Node;
use super::read::{Entry, Reader, number_of};
use super::{Weight, router};
use crate::base::spell;
use crate::core::access::{Access, Bots, ChannelRule, GuildRule, People, Place, Policy, Who};
use crate::core::intent::{Amends, Bar, Filter, GuildBars, Names};

const GUILDS: &str = "channels.discord.guilds";
const GUILD: &str = "channels.discord.guilds.*";
const CHANNELS: &str = "channels.discord.guilds.*.channels";
const CHANNEL: &str = "channels.discord.guilds.*.channels.*";

/// Who is answered. Without any word about it: direct messages, and mentions in servers. With one,
/// what the file leaves open is as closed as in OpenClaw (strangers' direct messages need pairing,
/// servers need listing): whoever closes one door must not find the other wide open.
pub(super) fn access(read: &mut Reader<'_, '_>) -> Access {
    const KEYS: [&str; 8] = [
        "channels.discord.dmPolicy",
        "channels.discord.dm.policy",
        "channels.discord.dm.enabled",
        "channels.discord.groupPolicy",
        "channels.defaults.groupPolicy",
        "channels.discord.allowFrom",
        "channels.discord.dm.allowFrom",
        GUILDS,
    ];
    let [dm, old_dm, old_enabled, group, all_groups, from, old_from, _] = KEYS;
    let is_configured = KEYS.iter().any(|key| read.has(key));
    let (older, newer) = (people(read, old_from), people(read, from));
    let mut dms = policy(read, &[dm, old_dm], is_configured.then_some(Policy::Pairing));
    if read.flag(old_enabled) == Some(false) {
        dms = Policy::Disabled;
    }
    let mut guilds = guilds(read);
    let (usual_bots, is_last_word) = router::bots(read);
    if is_last_word {
        silence(&mut guilds);
    }
    let mut groups = policy(read, &[group, all_groups], is_configured.then_some(Policy::Allowlist));
    if groups == Policy::Open && read.has(GUILDS) && read.is_cut() {
        // A server whose rule was left out must not be one without rules.
        groups = Policy::Allowlist;
        let text = "not every entry was read, so only in servers that were is anybody answered";
        read.note(Weight::Warning, GUILDS, text, "");
    }
    if groups == Policy::Allowlist && guilds.is_empty() {
        let text = "no server is listed, so nothing said in servers is answered";
        let cure = "list servers in guilds, or write \"open\" here to answer in all of them";
        read.note(Weight::Warning, group, text, cure);
    }
    Access {
        dms,
        groups,
        allow_from: newer.or(older).unwrap_or_default(),
        guilds,
        require_mention: read.flag("channels.discord.requireMention"),
        bots: Some(bots(read, "channels.discord.allowBots").unwrap_or(usual_bots))
            .filter(|_| !is_last_word)
            .unwrap_or_default(),
    }
}

/// No rule lets another program in.
fn silence(guilds: &mut [GuildRule]) {
    for guild in guilds {
        guild.bots = None;
        guild.channels.iter_mut().flatten().for_each(|channel| channel.bots = None);
    }
}

/// Whether what is said in servers must be meant for the bot: only where the file says so. The
/// account `id` may be called by its own name, too.
pub(super) fn intent(read: &mut Reader<'_, '_>, id: &str) -> Option<Filter> {
    const SECTION: &str = "channels.discord.intentFilter";
    let is_on = read.flag("channels.discord.intentFilter.enabled");
    let threshold = read.number("channels.discord.intentFilter.respondThreshold");
    let mentions = read.flag("channels.discord.intentFilter.alwaysRespondToMentions");
    let names = read.own("channels.discord.intentFilter.names", |value| match value {
        Node::Text(name) => Some(vec![name.to_string()]),
        Node::List(names) => {
            let text = |name: &Node<'_>| match name {
                Node::Text(name) => Some(name.to_string()),
                _ => None,
            };
            names.iter().map(text).collect()
        }
        _ => None,
    });
    let learns = read.flag("channels.discord.intentFilter.learnFromReactions");
    let own = Some(id).filter(|&id| id != DEFAULT);
    let names = names.iter().flatten().map(String::as_str).chain(own);
    let usual = Bar::default();
    let is_on = is_on.unwrap_or_else(|| read.has(SECTION) && !read.is_switch(SECTION, false));
    let bar = is_on.then(|| Bar {
        threshold: threshold.map_or(usual.threshold, permille),
        always_mentions: mentions.unwrap_or(usual.always_mentions),
    });
    let places = places(read);
    let is_anywhere = |bars: &GuildBars| {
        let mut channels = bars.channels.iter().map(|(_, amends)| amends);
        bars.amends.enabled == Some(true) || channels.any(|amends| amends.enabled == Some(true))
    };
    (is_on || places.iter().any(is_anywhere)).then(|| Filter {
        bar,
        places,
        names: Names::of(names),
        learns: learns.unwrap_or(true),
    })
}

/// Whether reactions are to be asked for though `intents` does not say so.
pub(super) fn wants_reactions(read: &mut Reader<'_, '_>, filter: Option<&Filter>) -> bool {
    let learns = read.flag("channels.discord.intentFilter.learnFromReactions");
    filter.is_some() && learns == Some(true)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "thresholds lie between 0 and 1"
)]
fn permille(threshold: f64) -> u16 {
    (threshold * 1000.0).round() as u16
}

/// Where messages are measured by something else.
fn places(read: &mut Reader<'_, '_>) -> Vec<GuildBars> {
    const OF_GUILD: &str = "channels.discord.guilds.*.intentFilter";
    const OF_CHANNEL: &str = "channels.discord.guilds.*.channels.*.intentFilter";
    let mut places = Vec::new();
    for entry in read.entries(GUILDS) {
        let name = entry.key().trim();
        let place = match name.parse() {
            Ok(id) => Place::Id(id),
            Err(_) if name == "*" => Place::Any,
            Err(_) => continue,
        };
        let bars = read.within(GUILD, &entry, |read| {
            let own = read.own(OF_GUILD, amends).unwrap_or_default();
            let entries = read.entries(CHANNELS);
            let channels = entries.iter().map(|entry| {
                let own = |read: &mut Reader<'_, '_>| read.own(OF_CHANNEL, amends);
                (channel_place(entry), read.within(CHANNEL, entry, own).unwrap_or_default())
            });
            let channels = channels.collect();
            GuildBars { place, amends: own, channels }
        });
        places.push(bars);
    }
    // Where nothing differs nothing need be looked for.
    let is_plain = |amends: &Amends| *amends == Amends::default();
    let is_bare = |bars: &GuildBars| {
        is_plain(&bars.amends) && bars.channels.iter().all(|(_, amends)| is_plain(amends))
    };
    if places.iter().all(is_bare) { Vec::new() } else { places }
}

/// What a place says of the filter; `None` if that cannot be understood.
fn amends(value: &Node<'_>) -> Option<Amends> {
    let flag = |value: &Node<'_>| match value {
        Node::Flag(flag) => Some(*flag),
        _ => None,
    };
    let map = match value {
        Node::Flag(flag) => return Some(Amends { enabled: Some(*flag), ..Amends::default() }),
        Node::Map(map) => map,
        _ => return None,
    };
    // Who writes something about it there wants it there.
    let mut amends = Amends { enabled: Some(true), ..Amends::default() };
    for (name, value) in map {
        let is = |known: &str| spell::same(name.as_str(), known);
        if is("enabled") {
            amends.enabled = Some(flag(value)?);
        } else if is("respondThreshold") {
            let number = number_of(value).filter(|number| (0.0..=1.0).contains(number))?;
            amends.threshold = Some(permille(number));
        } else if is("alwaysRespondToMentions") {
            amends.always_mentions = Some(flag(value)?);
        } else {
            return None;
        }
    }
    Some(amends)
}

/// The policy that the first of `keys` names; `unset` if none does, where anything is configured.
fn policy(read: &mut Reader<'_, '_>, keys: &[&'static str; 2], unset: Option<Policy>) -> Policy {
    let words = keys.map(|key| read.word(key));
    let Some(at) = keys.iter().position(|key| read.has(key)) else {
        return unset.unwrap_or_default();
    };
    match words[at] {
        Some("open") => Policy::Open,
        Some("disabled") => Policy::Disabled,
        Some("pairing") => Policy::Pairing,
        // What cannot be read was reported, and must not open a door.
        _ => Policy::Allowlist,
    }
}

/// Whether other programs are answered; `None` if it is not written. What cannot be read closes.
fn bots(read: &mut Reader<'_, '_>, path: &'static str) -> Option<Bots> {
    let bots = read.own(path, |value| match value {
        Node::Flag(true) => Some(Bots::Always),
        Node::Flag(false) => Some(Bots::Never),
        Node::Text(word) => match word.trim() {
            "mentions" => Some(Bots::Mentions),
            "true" => Some(Bots::Always),
            "false" => Some(Bots::Never),
            _ => None,
        },
        _ => None,
    });
    bots.or_else(|| read.has(path).then_some(Bots::Never))
}

/// The people that are listed; `None` if there is no list. A list that cannot be read is one of
/// nobody.
fn people(read: &mut Reader<'_, '_>, path: &'static str) -> Option<People> {
    let (entries, everybody) = ids(read, path, "user")?;
    Some(People { everybody, ids: entries })
}

/// The numbers that are listed, and whether `"*"` is among them.
fn ids(read: &mut Reader<'_, '_>, path: &'static str, what: &str) -> Option<(Vec<u64>, bool)> {
    let mut strangers = 0;
    let listed = read.own(path, |value| {
        let entries = match value {
            Node::List(entries) => entries.as_slice(),
            single @ (Node::Text(_) | Node::Whole(_) | Node::Large(_)) => {
                std::slice::from_ref(single)
            }
            _ => return None,
        };
        let everybody = entries.iter().any(|entry| matches!(entry, Node::Text(t) if t == "*"));
        let ids: Vec<u64> = entries.iter().filter_map(id).collect();
        let stars = entries.iter().filter(|entry| matches!(entry, Node::Text(t) if t == "*"));
        strangers = entries.len() - ids.len() - stars.count();
        Some((ids, everybody))
    });
    if strangers > 0 {
        let text = format!("{strangers} of the entries are no {what} ids and admit nobody");
        let cure = "use the numbers that Discord's developer mode copies";
        read.note(Weight::Warning, path, &text, cure);
    }
    listed.or_else(|| read.has(path).then(Default::default))
}

fn guilds(read: &mut Reader<'_, '_>) -> Vec<GuildRule> {
    let mut rules = Vec::new();
    let mut strangers = 0;
    for entry in read.entries(GUILDS) {
        let name = entry.key().trim();
        let place = match name.parse() {
            Ok(id) => Place::Id(id),
            Err(_) if name == "*" => Place::Any,
            Err(_) => {
                strangers += 1;
                continue;
            }
        };
        // What is no object was meant to say something that nobody understands.
        if matches!(entry.value, Node::Map(_)) {
            rules.push(read.within(GUILD, &entry, |read| guild(read, place)));
        }
    }
    if strangers > 0 {
        let text = format!("{strangers} of the entries are no server ids and admit nobody");
        read.note(Weight::Warning, GUILDS, &text, "use the numbers that developer mode copies");
    }
    rules
}

fn guild(read: &mut Reader<'_, '_>, place: Place) -> GuildRule {
    let entries = read.entries(CHANNELS);
    let channels = entries.iter().map(|entry| read.within(CHANNEL, entry, |r| channel(r, entry)));
    let channels = channels.collect();
    GuildRule {
        place,
        require_mention: read.flag("channels.discord.guilds.*.requireMention"),
        bots: bots(read, "channels.discord.guilds.*.allowBots"),
        who: who(read, "channels.discord.guilds.*.users", "channels.discord.guilds.*.roles"),
        channels: read.has(CHANNELS).then_some(channels),
    }
}

fn channel(read: &mut Reader<'_, '_>, entry: &Entry<'_, '_>) -> ChannelRule {
    const USERS: &str = "channels.discord.guilds.*.channels.*.users";
    const ROLES: &str = "channels.discord.guilds.*.channels.*.roles";
    const SWITCHES: [&str; 2] = [
        "channels.discord.guilds.*.channels.*.enabled",
        "channels.discord.guilds.*.channels.*.allow",
    ];
    let place = channel_place(entry);
    // What cannot be read closes: it was meant to say something.
    let switches = SWITCHES.map(|key| (read.has(key), read.flag(key)));
    let is_on = switches.into_iter().all(|(is_there, flag)| !is_there || flag == Some(true));
    ChannelRule {
        place,
        enabled: is_on && matches!(entry.value, Node::Map(_)),
        require_mention: read.flag("channels.discord.guilds.*.channels.*.requireMention"),
        bots: bots(read, "channels.discord.guilds.*.channels.*.allowBots"),
        who: who(read, USERS, ROLES),
    }
}

/// Which channel an entry is about.
fn channel_place(entry: &Entry<'_, '_>) -> Place {
    let name = entry.key().trim().trim_start_matches('#');
    match name.parse() {
        Ok(id) => Place::Id(id),
        Err(_) if name == "*" => Place::Any,
        Err(_) => Place::Name(name.into()),
    }
}

/// Who is answered in one place; `None` if the place does not say.
fn who(read: &mut Reader<'_, '_>, users: &'static str, roles: &'static str) -> Option<Who> {
    let (listed, with_roles) = (people(read, users), ids(read, roles, "role"));
    if listed.is_none() && with_roles.is_none() {
        return None;
    }
    let (roles_listed, anybody) = with_roles.unwrap_or_default();
    let mut users_listed = listed.unwrap_or_default();
    users_listed.everybody |= anybody;
    if users_listed == People::default() && roles_listed.is_empty() {
        let at = if read.has(users) { users } else { roles };
        let text = "nobody is listed, so nobody is answered here";
        read.note(Weight::Warning, at, text, "list somebody, or remove the key");
    }
    Some(Who { users: users_listed, roles: roles_listed })
}
