//! Several agents on one server: who sits where (`router`), and how long bots may answer each other
//! (`botLoopProtection`).

use std::rc::Rc;
use std::time::Duration;

use super::raw::Node;
use super::read::{Entry, Reader};
use super::{Agent, Binding, Discord, Weight, agents};
use crate::base::{limits, spell};
use crate::core::access::{Bots, Place};
use crate::core::intent::Names;
use crate::core::loops::Policy;
use crate::core::router::{Role, Rules, Seat, Trigger};

const AGENTS: &str = "router.agents";
const ENTRY: &str = "router.agents.#";
const CHANNELS: &str = "router.agents.#.channels";
const TRIGGERS: &str = "router.agents.#.triggers";

/// Who sits where.
pub(super) fn rules(
    read: &mut Reader<'_, '_>,
    known: &[Agent],
    accounts: &[Discord],
    bindings: &[Binding],
) -> Rules {
    // There is only this one, which is said in the table.
    let _ = read.word("router.strategy");
    let usual = Rules::default();
    let mut seats = Vec::new();
    let mut entries = read.entries(AGENTS);
    if entries.len() > limits::ROUTER_SEATS_MAX {
        let text = format!("only the first {} are looked at", limits::ROUTER_SEATS_MAX);
        read.note(Weight::Warning, AGENTS, &text, "name several channels in one entry");
        entries.truncate(limits::ROUTER_SEATS_MAX);
    }
    for entry in entries.iter().filter(|entry| matches!(entry.value, Node::Map(_))) {
        match read.within(ENTRY, entry, |read| seat(read, known, accounts, bindings)) {
            Ok(seat) => seats.push(seat),
            Err((text, cure)) => read.note_at(Weight::Warning, entry, &text, &cure),
        }
    }
    tell_silent(read, &seats, &entries);
    Rules {
        seats,
        self_talk: !read.flag("router.noSelfTalk").unwrap_or(true),
        stand_in: read.span("router.standIn").unwrap_or(usual.stand_in),
    }
}

/// An active agent that can never be the one that answers is most likely a mistake.
fn tell_silent(read: &mut Reader<'_, '_>, seats: &[Seat], entries: &[Entry<'_, '_>]) {
    // With entries that were left out, places do not match.
    if seats.len() != entries.len() {
        return;
    }
    for (at, seat) in seats.iter().enumerate() {
        let is_behind = |place: &Place| {
            let before = seats[..at].iter().filter(|other| other.role == Role::Active);
            before.clone().any(|other| other.places.contains(place))
        };
        if seat.role == Role::Active && seat.places.iter().all(is_behind) {
            let text = "an agent before it is active in all its channels, so it answers only what \
                        mentions or names it";
            read.note_at(Weight::Note, &entries[at], text, "role: \"passive\" says the same");
        }
    }
}

fn seat(
    read: &mut Reader<'_, '_>,
    known: &[Agent],
    accounts: &[Discord],
    bindings: &[Binding],
) -> Result<Seat, (String, String)> {
    let left_out = |what: &str, cure: String| (format!("{what}, so the entry is left out"), cure);
    let written = [
        read.text("router.agents.#.agent"),
        read.text("router.agents.#.agentId"),
        read.text("router.agents.#.name"),
    ];
    let written = super::check::first(written);
    let written = written.ok_or_else(|| left_out("it names no agent", "add agent".to_owned()))?;
    let agent = agents::called(read, known, &written)
        .map_err(|cure| left_out("there is no agent of that name", cure))?;
    let account = match read.text("router.agents.#.account") {
        None => voice(agent, accounts, bindings),
        Some(name) => {
            let found = accounts.iter().find(|account| spell::same(&account.id, &name));
            let cure = || "name one of channels.discord.accounts".to_owned();
            let found =
                found.ok_or_else(|| left_out("there is no account of that name", cure()))?;
            found.id.as_str().into()
        }
    };
    let places = places(read).ok_or_else(|| {
        left_out("its channels cannot be read", "a list of names, ids or \"*\"".to_owned())
    })?;
    let names = texts(read, "router.agents.#.names");
    let names = names.iter().map(String::as_str).chain([agent]);
    Ok(Seat {
        agent: agent.into(),
        account,
        places,
        role: match read.word("router.agents.#.role") {
            Some("passive") => Role::Passive,
            // What cannot be read must not make an agent speak where it was to listen.
            None if read.has("router.agents.#.role") => Role::Passive,
            _ => Role::Active,
        },
        names: Names::of(names),
        triggers: triggers(read),
    })
}

/// The account by which an agent speaks that names none: the one of its own name, or the one that
/// is bound to it, or the first.
fn voice(agent: &str, accounts: &[Discord], bindings: &[Binding]) -> Rc<str> {
    let named = accounts.iter().find(|account| spell::same(&account.id, agent));
    let is_whole = |binding: &&Binding| {
        let is_alone =
            binding.peer.is_none() && binding.guild.is_none() && binding.roles.is_empty();
        binding.agent == agent && is_alone && binding.kind.is_none()
    };
    let bound = bindings.iter().filter(is_whole).find_map(|binding| binding.account.as_deref());
    let first = accounts.first().map(|account| account.id.as_str());
    named.map(|account| account.id.as_str()).or(bound).or(first).unwrap_or("default").into()
}

/// The channels: names, ids, or `"*"`, which is also what is not written.
fn places(read: &mut Reader<'_, '_>) -> Option<Vec<Place>> {
    if !read.has(CHANNELS) {
        return Some(vec![Place::Any]);
    }
    let place = |value: &Node<'_>| {
        if let Some(id) = super::check::id(value) {
            return Some(Place::Id(id));
        }
        let Node::Text(text) = value else { return None };
        match text.trim().trim_start_matches('#') {
            "" => None,
            "*" => Some(Place::Any),
            name => Some(Place::Name(name.into())),
        }
    };
    let places = read.own(CHANNELS, |value| match value {
        Node::List(list) => list.iter().map(place).collect::<Option<Vec<Place>>>(),
        single => place(single).map(|place| vec![place]),
    })?;
    if places.len() > limits::ROUTER_PLACES_MAX {
        let text = format!("only the first {} count", limits::ROUTER_PLACES_MAX);
        read.note(Weight::Warning, CHANNELS, &text, "make two entries of it");
    }
    Some(places.into_iter().take(limits::ROUTER_PLACES_MAX).collect())
        .filter(|places: &Vec<Place>| !places.is_empty())
}

/// A text, or a list of texts; what is none is a mistake.
fn texts(read: &mut Reader<'_, '_>, path: &'static str) -> Vec<String> {
    let texts = read.own(path, |value| {
        let text = |value: &Node<'_>| match value {
            Node::Text(text) => Some(text.trim().to_owned()),
            _ => None,
        };
        match value {
            Node::List(list) => list.iter().map(text).collect(),
            single => text(single).map(|text| vec![text]),
        }
    });
    texts.unwrap_or_default()
}

fn triggers(read: &mut Reader<'_, '_>) -> Vec<Trigger> {
    let written = texts(read, TRIGGERS);
    let count = written.len();
    let is_short = |text: &String| text.len() <= limits::ROUTER_TRIGGER_BYTES_MAX;
    let triggers: Vec<Trigger> = written
        .into_iter()
        .filter(is_short)
        .filter_map(|text| Trigger::read(&text))
        .take(limits::ROUTER_TRIGGERS_MAX)
        .collect();
    if triggers.len() < count {
        let text = format!("{} of the triggers are not looked for", count - triggers.len());
        let cure = format!(
            "at most {} of them, each with a letter in it and of at most {} bytes",
            limits::ROUTER_TRIGGERS_MAX,
            limits::ROUTER_TRIGGER_BYTES_MAX
        );
        read.note(Weight::Warning, TRIGGERS, &text, &cure);
    }
    triggers
}

/// What holds for other programs where `allowBots` does not say, and whether nobody may say
/// otherwise.
pub(super) fn bots(read: &mut Reader<'_, '_>) -> (Bots, bool) {
    match read.flag("router.ignoreBotMessages") {
        Some(true) => (Bots::Never, true),
        Some(false) => (Bots::Always, false),
        // What cannot be read closes.
        None => (Bots::Never, read.has("router.ignoreBotMessages")),
    }
}

/// How long bots may answer each other.
pub(super) fn loops(read: &mut Reader<'_, '_>) -> Policy {
    let usual = Policy::default();
    let small = |number: Option<u64>, usual: u32| {
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or(usual)
    };
    let span = |span: Option<Duration>, usual: Duration| span.unwrap_or(usual);
    Policy {
        enabled: read.flag("channels.discord.botLoopProtection.enabled").unwrap_or(usual.enabled),
        window_turns: small(
            read.whole("channels.discord.botLoopProtection.maxEventsPerWindow"),
            usual.window_turns,
        ),
        window: span(read.span("channels.discord.botLoopProtection.windowSeconds"), usual.window),
        cooldown: span(
            read.span("channels.discord.botLoopProtection.cooldownSeconds"),
            usual.cooldown,
        ),
        chain: small(read.whole("channels.discord.botLoopProtection.maxChainDepth"), usual.chain),
        slow_turns: small(
            read.whole("channels.discord.botLoopProtection.maxSlowTurns"),
            usual.slow_turns,
        ),
        slow_window: span(
            read.span("channels.discord.botLoopProtection.slowWindow"),
            usual.slow_window,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Env, Mistake, files};
    use super::*;

    fn read(router: &str, discord: &str) -> (Config, Vec<Mistake>) {
        let text = format!(
            "{{channels: {{discord: {{{discord} accounts: {{first: {{token: 'a'}}, writer: \
             {{token: 'b'}}}}}}}}, agents: {{entries: {{researcher: {{}}, writer: {{}}, other: \
             {{}}}}}}, bindings: [{{agentId: 'other', match: {{accountId: 'writer'}}}}], router: \
             {{{router}}}}}"
        );
        files::parse(&text, &Env::default()).expect("it can be read")
    }

    #[test]
    fn the_guides_router_is_read_as_it_is_written() {
        let (config, mistakes) = read(
            "strategy: 'channel_assignment', dedup_window: 5, no_self_talk: true,
             ignore_bot_messages: true, agents: [
                {agent: 'Researcher', channels: ['research', '#sources']},
                {name: 'writer', channels: '<#77>', role: 'active'},
                {agentId: 'other', role: 'passive', triggers: ['Spam', '/ask', 'buy now'],
                 names: ['Mod'], account: 'first'},
             ]",
            "allowBots: true,",
        );
        assert_eq!(mistakes, []);
        let seats = &config.router.seats;
        let who: Vec<_> = seats.iter().map(|seat| (&*seat.agent, &*seat.account)).collect();
        // By the account of its name, or by the first.
        assert_eq!(who, [("researcher", "first"), ("writer", "writer"), ("other", "first")]);
        let named = |name: &str| Place::Name(name.into());
        assert_eq!(seats[0].places, [named("research"), named("sources")]);
        assert_eq!((&seats[1].places[..], seats[1].role), (&[Place::Id(77)][..], Role::Active));
        assert_eq!((&seats[2].places[..], seats[2].role), (&[Place::Any][..], Role::Passive));
        assert_eq!(seats[2].triggers[1], Trigger::Command("/ask".into()));
        assert_eq!(seats[2].names, Names::of(["Mod", "other"]));
        assert!(!config.router.self_talk);
        // Nobody else may say otherwise.
        assert_eq!(config.accounts[0].access.bots, Bots::Never);
        assert_eq!(config.accounts[1].dedup.as_secs(), 5);
    }

    #[test]
    fn an_agent_speaks_by_the_account_that_is_bound_to_it() {
        let (config, _) = read("agents: [{agent: 'other'}], standIn: '5m'", "");
        assert_eq!(&*config.router.seats[0].account, "writer");
        assert_eq!(config.router.stand_in, Duration::from_mins(5));
        let (config, _) = read("ignoreBotMessages: false", "");
        assert_eq!(config.accounts[0].access.bots, Bots::Always);
        let (config, _) = read("ignoreBotMessages: false", "allowBots: 'mentions',");
        assert_eq!(config.accounts[0].access.bots, Bots::Mentions);
    }

    #[test]
    fn what_cannot_be_understood_is_said_and_makes_no_agent_speak() {
        for (entry, path, seats) in [
            ("{agent: 'reseacher'}", "router.agents[0]", 0),
            ("{channels: ['a']}", "router.agents[0]", 0),
            ("{agent: 'writer', account: 'wrtr'}", "router.agents[0]", 0),
            ("{agent: 'writer', channels: []}", "router.agents[0]", 0),
            ("{agent: 'writer', channels: [{}]}", "router.agents[0]", 0),
            ("{agent: 'writer', role: 'pasive'}", "router.agents[0].role", 1),
            ("{agent: 'writer', triggers: ['?!', 'x']}", "router.agents[0].triggers", 1),
            ("{agent: 'writer', triggers: 7}", "router.agents[0].triggers", 1),
        ] {
            let (config, mistakes) = read(&format!("agents: [{entry}]"), "");
            assert_eq!(config.router.seats.len(), seats, "{entry}");
            assert!(mistakes.iter().any(|m| m.path.starts_with(path)), "{entry}: {mistakes:?}");
        }
        let (config, _) = read("agents: [{agent: 'writer', role: 'pasive'}]", "");
        assert_eq!(config.router.seats[0].role, Role::Passive);
        let (_, mistakes) =
            read("agents: [{agent: 'writer', channels: '*'}, {agent: 'other', channels: '*'}]", "");
        let silent = mistakes.iter().find(|m| m.path == "router.agents[1]");
        assert!(silent.is_some_and(|m| m.text.contains("before it")), "{mistakes:?}");
    }

    #[test]
    fn the_guard_against_loops_can_be_set_for_all_and_for_one() {
        let text = "{channels: {defaults: {botLoopProtection: {maxEventsPerWindow: 7}}, discord: {
            botLoopProtection: {cooldownSeconds: 5, slowWindow: '2h'},
            accounts: {one: {token: 'a', botLoopProtection: {enabled: false}}}}}}";
        let (config, mistakes) = files::parse(text, &Env::default()).expect("it can be read");
        assert_eq!(mistakes, []);
        let loops = config.accounts[0].loops;
        assert_eq!((loops.window_turns, loops.cooldown.as_secs(), loops.enabled), (7, 5, false));
        assert_eq!(loops.slow_window, Duration::from_hours(2));
        assert_eq!(loops.chain, Policy::default().chain);
    }
}
