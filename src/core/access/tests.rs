//! The table of the documentation is played row by row, and what must hold for every configuration
//! is tried on many. Judges that are wrong on purpose show that both would notice.

use serde_json::{Map, Value, json};

use super::*;
use crate::base::Rng;
use crate::core::chat::{Attachment, sample};

const PATH: &str = "channels.discord";

/// A message, with what is known of it.
#[derive(Clone, Debug)]
struct Said {
    inbound: Inbound<'static>,
    roles: Vec<u64>,
    name: Option<&'static str>,
    is_approved: bool,
    is_assigned: bool,
    is_other_own: bool,
}

type Judge = fn(&Access, &Inbound<'_>, Known<'_>) -> Result<(), Refusal>;

impl Said {
    fn to(&self, access: &Access, judge: Judge) -> Result<(), Refusal> {
        let known = Known {
            chat_name: self.name,
            is_approved: self.is_approved,
            is_assigned: self.is_assigned,
            is_other_own: self.is_other_own,
        };
        judge(access, &Inbound { roles: &self.roles, ..self.inbound }, known)
    }

    fn cure(&self, refusal: Refusal) -> Option<String> {
        let Inbound { chat, parent, guild, author, .. } = self.inbound;
        let channel = ruled_by(chat.id, parent);
        let about = About { path: PATH, guild, channel, channel_name: self.name, author };
        refusal.cure(&about).map(|cure| cure.to_string())
    }
}

fn plain() -> Said {
    Said {
        inbound: sample::inbound(),
        roles: Vec::new(),
        name: None,
        is_approved: false,
        is_assigned: false,
        is_other_own: false,
    }
}

/// The message that a row describes.
fn said(words: &str) -> Said {
    let mut said = plain();
    for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "in a DM" => said.inbound.guild = None,
            "in thread 55 of channel 5" => {
                said.inbound.chat.id = 55;
                said.inbound.parent = Some(5);
            }
            "names us" => said.inbound.mentions_us = true,
            "by us" => (said.inbound.from_self, said.inbound.from_bot) = (true, true),
            "by a bot" => said.inbound.from_bot = true,
            "by another of us" => {
                (said.inbound.from_bot, said.is_other_own) = (true, true);
            }
            "approved" => said.is_approved = true,
            "to an assigned agent" => said.is_assigned = true,
            "without text" => said.inbound.text = " \n",
            "with a picture" => said.inbound.has_more = true,
            "with role 3" => said.roles = vec![3],
            "with role 4" => said.roles = vec![4],
            "called help" => said.name = Some("help"),
            "called talk" => said.name = Some("talk"),
            other => panic!("the table says {other:?}"),
        }
    }
    said
}

struct Row {
    line: usize,
    /// What is written below `channels.discord`.
    text: String,
    config: Value,
    said: Said,
    outcome: String,
    cure: Option<String>,
}

fn table() -> Vec<Row> {
    let lines = include_str!("../access.md").lines().enumerate();
    let rows = lines.filter(|(_, line)| line.starts_with("| "));
    let cells = |(at, line): (usize, &str)| {
        let cells: Vec<String> =
            line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
        let [_, config, words, outcome, cure, _] = &cells[..] else { panic!("row {at}: {line}") };
        Row {
            line: at + 1,
            text: config.clone(),
            config: settings(config),
            said: said(words),
            outcome: outcome.clone(),
            cure: Some(cure.clone()).filter(|cure| !cure.is_empty()),
        }
    };
    // The first is the head.
    rows.skip(1).map(cells).collect()
}

/// What is written below `channels.discord`, with its keys put in quotes.
fn settings(text: &str) -> Value {
    let mut json = String::from("{");
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let (before, word) = rest.split_at(at);
        let end = word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len());
        let is_key = word[end..].starts_with(':');
        let (word, after) = word.split_at(end);
        json.push_str(before);
        let quote = if is_key { "\"" } else { "" };
        json.extend([quote, word, quote]);
        rest = after;
    }
    json.push_str(rest);
    json.push('}');
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn access(config: &Value) -> Access {
    let keys = ["dmPolicy", "groupPolicy", "allowFrom", "guilds"];
    let is_configured = keys.iter().any(|key| !config[key].is_null());
    let policy = |key: &str, unset| match config[key].as_str() {
        None if is_configured => unset,
        None => Policy::Default,
        Some("open") => Policy::Open,
        Some("allowlist") => Policy::Allowlist,
        Some("pairing") => Policy::Pairing,
        Some("disabled") => Policy::Disabled,
        Some(other) => panic!("{other}"),
    };
    Access {
        dms: policy("dmPolicy", Policy::Pairing),
        groups: policy("groupPolicy", Policy::Allowlist),
        allow_from: people(&config["allowFrom"]),
        guilds: entries(&config["guilds"]).map(|(id, rule)| guild(id, rule)).collect(),
        require_mention: config["requireMention"].as_bool(),
        bots: bots(&config["allowBots"]).unwrap_or_default(),
    }
}

fn bots(word: &Value) -> Option<Bots> {
    match word {
        Value::Null => None,
        Value::Bool(true) => Some(Bots::Always),
        Value::String(_) => Some(Bots::Mentions),
        _ => Some(Bots::Never),
    }
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

fn guild(id: &str, rule: &Value) -> GuildRule {
    let channels = rule["channels"].as_object().map(|_| {
        let channels = entries(&rule["channels"]).map(|(id, rule)| ChannelRule {
            place: place(id),
            enabled: [&rule["enabled"], &rule["allow"]].iter().all(|flag| **flag != json!(false)),
            require_mention: rule["requireMention"].as_bool(),
            bots: bots(&rule["allowBots"]),
            who: who(rule),
        });
        channels.collect()
    });
    let require_mention = rule["requireMention"].as_bool();
    let bots = bots(&rule["allowBots"]);
    GuildRule { place: place(id), require_mention, bots, who: who(rule), channels }
}

fn place(id: &str) -> Place {
    match id.parse() {
        Ok(id) => Place::Id(id),
        Err(_) if id == "*" => Place::Any,
        Err(_) => Place::Name(id.into()),
    }
}

fn who(rule: &Value) -> Option<Who> {
    let is_written = rule["users"].is_array() || rule["roles"].is_array();
    is_written.then(|| Who { users: people(&rule["users"]), roles: people(&rule["roles"]).ids })
}

fn people(list: &Value) -> People {
    let words = || list.as_array().into_iter().flatten().filter_map(Value::as_str);
    let everybody = words().any(|word| word == "*");
    People { everybody, ids: words().filter_map(|word| word.parse().ok()).collect() }
}

/// The first row that `judge` decides otherwise.
fn wrong_row(judge: Judge) -> Option<String> {
    wrong(judge, |row| access(&row.config))
}

/// The first row that is not so if `read` reads what is written below `channels.discord`.
pub(crate) fn wrong_row_as_read(read: impl Fn(&str) -> Access) -> Option<String> {
    wrong(judge, |row| read(&row.text))
}

fn wrong(judge: Judge, access: impl Fn(&Row) -> Access) -> Option<String> {
    table().into_iter().find_map(|row| {
        let found = row.said.to(&access(&row), judge);
        let cure = found.err().and_then(|refusal| row.said.cure(refusal));
        let outcome = found.err().map_or("answered", Refusal::name);
        let is_right = outcome == row.outcome && cure == row.cure;
        (!is_right).then(|| format!("access.md:{}: {outcome}, {cure:?}", row.line))
    })
}

#[test]
fn the_table_is_true_row_by_row() {
    assert_eq!(wrong_row(judge), None);
    assert!(table().len() > 80);
}

#[test]
fn the_table_knows_every_refusal() {
    let rows = table();
    for refusal in Refusal::all() {
        assert!(rows.iter().any(|row| row.outcome == refusal.name()), "{refusal:?}");
    }
}

/// Does what a cure says, to the configuration.
fn apply(config: &mut Value, cure: &str) {
    for line in cure.split(" and ") {
        if let Some(rest) = line.strip_prefix("add ") {
            let (entry, path) = rest.split_once(" to ").unwrap();
            let list = at(config, path);
            if !list.is_array() {
                *list = json!([]);
            }
            let entry = serde_json::from_str(entry).unwrap();
            list.as_array_mut().unwrap().push(entry);
        } else {
            let (path, value) = line.split_once(": ").unwrap();
            *at(config, path) = serde_json::from_str(value).unwrap();
        }
    }
}

fn at<'a>(config: &'a mut Value, path: &str) -> &'a mut Value {
    let path = path.strip_prefix(PATH).and_then(|path| path.strip_prefix('.')).unwrap();
    path.split('.').fold(config, |value, key| {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        &mut value[key.trim_matches('"')]
    })
}

/// One of several.
fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[usize::try_from(rng.below(of.len() as u64)).unwrap()]
}

fn some_people(rng: &mut Rng, among: &[&str]) -> Value {
    among.iter().filter(|_| rng.one_in(3)).copied().collect()
}

fn some_rule(rng: &mut Rng, is_channel: bool) -> Value {
    let mut rule = Map::new();
    if rng.one_in(3) {
        rule.insert("requireMention".into(), rng.one_in(2).into());
    }
    if rng.one_in(3) {
        rule.insert("users".into(), some_people(rng, &["6", "7", "8", "*"]));
    }
    if rng.one_in(4) {
        rule.insert("roles".into(), some_people(rng, &["3", "4"]));
    }
    if rng.one_in(4) {
        rule.insert("allowBots".into(), one(rng, &[Some(true), Some(false), None]).into());
        if rule["allowBots"].is_null() {
            rule.insert("allowBots".into(), "mentions".into());
        }
    }
    if is_channel && rng.one_in(3) {
        rule.insert("enabled".into(), rng.one_in(2).into());
    }
    if !is_channel && rng.one_in(2) {
        let places = ["5", "6", "help", "*"].into_iter().filter(|_| rng.one_in(3));
        let places: Vec<&str> = places.collect();
        let channels: Map<_, _> =
            places.into_iter().map(|place| (place.to_owned(), some_rule(rng, true))).collect();
        rule.insert("channels".into(), channels.into());
    }
    rule.into()
}

fn some_config(rng: &mut Rng) -> Value {
    let mut config = Map::new();
    if rng.one_in(2) {
        let policy = one(rng, &["open", "allowlist", "disabled", "pairing"]);
        config.insert("dmPolicy".into(), policy.into());
    }
    if rng.one_in(2) {
        let policy = one(rng, &["open", "allowlist", "disabled"]);
        config.insert("groupPolicy".into(), policy.into());
    }
    if rng.one_in(3) {
        config.insert("allowFrom".into(), some_people(rng, &["6", "7", "*"]));
    }
    if rng.one_in(4) {
        config.insert("requireMention".into(), rng.one_in(2).into());
    }
    if rng.one_in(3) {
        let bots = if rng.one_in(2) { json!(true) } else { json!("mentions") };
        config.insert("allowBots".into(), bots);
    }
    let places: Vec<&str> = ["8", "9", "*"].into_iter().filter(|_| rng.one_in(2)).collect();
    let guilds: Map<_, _> =
        places.into_iter().map(|place| (place.to_owned(), some_rule(rng, false))).collect();
    if !guilds.is_empty() {
        config.insert("guilds".into(), guilds.into());
    }
    config.into()
}

fn some_message(rng: &mut Rng) -> Said {
    let words = [
        "in a DM",
        "in thread 55 of channel 5",
        "names us",
        "by a bot",
        "approved",
        "with role 3",
        "called help",
    ];
    said(&words.into_iter().filter(|_| rng.one_in(3)).collect::<Vec<_>>().join(", "))
}

/// What must hold whatever is configured; `Err` says what does not.
fn laws(judge: Judge, seeds: u64) -> Result<(), String> {
    for seed in 0..seeds {
        let rng = &mut Rng::new(seed);
        let (config, message) = (some_config(rng), some_message(rng));
        cures_admit(judge, &config, &message).map_err(|why| format!("seed {seed}: {why}"))?;
        let now = access(&config);
        let mut narrower = now.clone();
        let what = narrow(rng, &mut narrower);
        if message.to(&now, judge).is_err() && message.to(&narrower, judge).is_ok() {
            return Err(format!("seed {seed}: {what} admits {message:?} to {now:?}"));
        }
        let mut empty = now.clone();
        nobody(&mut empty);
        if message.to(&empty, judge).is_ok() {
            return Err(format!("seed {seed}: {empty:?} admits {message:?}"));
        }
    }
    Ok(())
}

/// Whoever does what each refusal says is answered in the end.
fn cures_admit(judge: Judge, config: &Value, message: &Said) -> Result<(), String> {
    let mut config = config.clone();
    for _ in 0..8 {
        let Err(refusal) = message.to(&access(&config), judge) else { return Ok(()) };
        let Some(cure) = message.cure(refusal) else {
            return Err(format!("{refusal:?} has no cure"));
        };
        apply(&mut config, &cure);
        if message.to(&access(&config), judge) == Err(refusal) {
            return Err(format!("{cure} changes nothing in {config} for {message:?}"));
        }
    }
    Err(format!("no end of cures for {message:?}: {config}"))
}

/// Adds one restriction; says which.
fn narrow(rng: &mut Rng, access: &mut Access) -> &'static str {
    let which = usize::try_from(rng.below(3)).unwrap();
    match (rng.below(9), access.guilds.get_mut(which)) {
        (0, _) => {
            access.dms = Policy::Disabled;
            "dmPolicy disabled"
        }
        (1, _) => {
            access.groups = Policy::Disabled;
            "groupPolicy disabled"
        }
        (2, _) if access.dms != Policy::Default => {
            access.allow_from = People::default();
            "an empty allowFrom"
        }
        (3, rule) => {
            if let Some(rule) = rule {
                rule.bots = Some(Bots::Never);
                rule.channels.iter_mut().flatten().for_each(|rule| rule.bots = None);
            }
            access.bots = Bots::Never;
            "no bots"
        }
        (4, Some(rule)) => {
            rule.require_mention = Some(true);
            rule.channels.iter_mut().flatten().for_each(|rule| rule.require_mention = Some(true));
            "requireMention"
        }
        (5, Some(rule)) if rule.channels.is_none() => {
            rule.channels = Some(Vec::new());
            "an empty list of channels"
        }
        (6, Some(rule)) => {
            rule.channels.iter_mut().flatten().for_each(|rule| rule.enabled = false);
            "channels switched off"
        }
        (7, Some(rule)) if rule.who.is_none() => {
            rule.who = Some(Who::default());
            "an empty list of users"
        }
        (8, Some(rule)) => {
            rule.who.iter_mut().for_each(|who| who.users = People::default());
            "nobody of the users"
        }
        _ => "nothing",
    }
}

/// Every list there is, and every one empty.
fn nobody(access: &mut Access) {
    access.dms = Policy::Allowlist;
    access.groups = Policy::Allowlist;
    access.allow_from = People::default();
    for rule in &mut access.guilds {
        rule.who = Some(Who::default());
        for rule in rule.channels.iter_mut().flatten() {
            rule.who = Some(Who::default());
        }
    }
}

#[test]
fn cures_admit_restrictions_never_do_and_empty_lists_are_nobody() {
    assert_eq!(laws(judge, 2000), Ok(()));
}

/// Ways in which this could be wrong, each as the judge that one would get.
const PLANTS: [(&str, Judge); 14] = [
    ("an empty list is everybody", |access, inbound, known| {
        let mut access = access.clone();
        for rule in &mut access.guilds {
            rule.who = rule.who.take().filter(|who| *who != Who::default());
        }
        judge(&access, inbound, known)
    }),
    ("an empty allowFrom is everybody", |access, inbound, known| {
        let mut access = access.clone();
        access.allow_from.everybody |= access.allow_from.ids.is_empty();
        judge(&access, inbound, known)
    }),
    ("the channels are no list", |access, inbound, known| match judge(access, inbound, known) {
        Err(Refusal::ChannelNotListed(_)) => Ok(()),
        judged => judged,
    }),
    ("a thread is a channel of its own", |access, inbound, known| {
        judge(access, &Inbound { parent: None, ..*inbound }, known)
    }),
    ("the first rule that fits holds", |access, inbound, known| {
        let mut access = access.clone();
        if access.guilds.iter().any(|rule| rule.place == Place::Any) {
            access.guilds.retain(|rule| rule.place == Place::Any);
        }
        judge(&access, inbound, known)
    }),
    ("\"*\" of the channels holds for all", |access, inbound, known| {
        let mut access = access.clone();
        for channels in access.guilds.iter_mut().filter_map(|rule| rule.channels.as_mut()) {
            if channels.iter().any(|rule| rule.place == Place::Any) {
                channels.retain(|rule| rule.place == Place::Any);
            }
        }
        judge(&access, inbound, known)
    }),
    ("roles do not count", |access, inbound, known| {
        judge(access, &Inbound { roles: &[], ..*inbound }, known)
    }),
    ("bots are people", |access, inbound, known| {
        judge(access, &Inbound { from_bot: false, ..*inbound }, known)
    }),
    ("only the account says whether bots are answered", |access, inbound, known| {
        let mut access = access.clone();
        for rule in &mut access.guilds {
            rule.bots = None;
            rule.channels.iter_mut().flatten().for_each(|rule| rule.bots = None);
        }
        judge(&access, inbound, known)
    }),
    ("an assigned agent is heard whatever the rules say", |access, inbound, known| {
        match judge(access, inbound, known) {
            Err(Refusal::NotMentioned(_)) if known.is_assigned => Ok(()),
            judged => judged,
        }
    }),
    ("approval counts everywhere", |access, inbound, known| match judge(access, inbound, known) {
        Err(Refusal::PersonNotListed) if known.is_approved => Ok(()),
        judged => judged,
    }),
    ("names are not looked at", |access, inbound, known| {
        judge(access, inbound, Known { chat_name: None, ..known })
    }),
    ("open is open, whatever the server says", |access, inbound, known| {
        let guilds = if access.groups == Policy::Open { Vec::new() } else { access.guilds.clone() };
        judge(&Access { guilds, ..access.clone() }, inbound, known)
    }),
    ("a picture is a sign of a missing intent", |access, inbound, known| {
        judge(access, &Inbound { has_more: false, ..*inbound }, known)
    }),
];

#[test]
fn the_table_catches_every_planted_bug() {
    for (name, judge) in PLANTS {
        assert!(wrong_row(judge).is_some(), "nobody noticed: {name}");
    }
}

#[test]
fn the_laws_catch_what_opens_a_door_without_the_table() {
    let opens = ["an empty list is everybody", "an empty allowFrom is everybody"];
    for (name, judge) in PLANTS.into_iter().filter(|(name, _)| opens.contains(name)) {
        assert!(laws(judge, 500).is_err(), "nobody noticed: {name}");
    }
    let mild: Judge = |access, inbound, known| {
        // One more rule about a server, and its list of channels is forgotten.
        let mut access = access.clone();
        for rule in &mut access.guilds {
            rule.channels = rule.channels.take().filter(|_| rule.require_mention != Some(true));
        }
        judge(&access, inbound, known)
    };
    assert!(laws(mild, 10_000).is_err(), "a restriction that admits more");
    let idle: Judge = |access, inbound, known| {
        judge(access, inbound, known).and(Err(Refusal::NotMentioned(Spot::Account)))
    };
    assert!(laws(idle, 500).is_err(), "a cure that changes nothing");
}

#[test]
fn no_wrong_alarm_about_the_intent() {
    for seed in 0..2000 {
        let rng = &mut Rng::new(seed);
        let (config, mut message) = (access(&some_config(rng)), some_message(rng));
        message.inbound.text = "";
        message.inbound.has_more = rng.one_in(2);
        if message.to(&config, judge) == Err(Refusal::ContentHidden) {
            let Inbound { guild, mentions_us, has_more, .. } = message.inbound;
            assert!(guild.is_some() && !mentions_us && !has_more, "{message:?}");
        }
    }
}

#[test]
fn a_picture_alone_says_something_where_it_may_be_said_and_a_sticker_does_not() {
    let files = [Attachment::default()];
    let said = Inbound { text: " ", has_more: true, guild: None, ..sample::inbound() };
    let access = Access { dms: Policy::Open, ..Access::default() };
    assert_eq!(judge(&access, &said, Known::default()), Err(Refusal::Empty));
    let picture = Inbound { attachments: &files, ..said };
    assert_eq!(judge(&access, &picture, Known::default()), Ok(()));
    let closed = Access { dms: Policy::Disabled, ..Access::default() };
    assert!(judge(&closed, &picture, Known::default()).is_err());
}

#[test]
fn an_account_of_its_own_is_named_in_the_line() {
    let about = About {
        path: "channels.discord.accounts.work",
        guild: Some(9),
        channel: 5,
        channel_name: None,
        author: 7,
    };
    let spot = Spot::Channel(Found::Own, Found::Own);
    let line = Refusal::NotMentioned(spot).cure(&about).map(|cure| cure.to_string());
    let path = "channels.discord.accounts.work.guilds.\"9\".channels.\"5\".requireMention: false";
    assert_eq!(line.as_deref(), Some(path));
}
