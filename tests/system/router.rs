//! Several agents on one server: of ten thousand messages each is answered by the right one or
//! explained, none twice, and no loop of bots outlives its guard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, State, pause, seconds, wait};

/// A generator of its own (splitmix64): the same messages in every run of a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.roll(count) == 0
    }
}

/// The three of the guide.
const AGENTS: [&str; 3] = ["researcher", "writer", "moderator"];
/// Where the first two are at home; the third listens everywhere.
const HOMES: [&[&str]; 2] = [&["research", "sources"], &["drafts", "content"]];
const ELSEWHERE: [&str; 8] =
    ["general", "random", "help", "offtopic", "music", "games", "news", "lounge"];
const PEOPLE: [&str; 6] = ["ann", "ben", "cleo", "dave", "eve", "finn"];

fn router() -> Value {
    let home = |at: usize| json!({"agent": AGENTS[at], "channels": HOMES[at]});
    json!({
        "strategy": "channel_assignment", "dedup_window": 5, "no_self_talk": true,
        "ignore_bot_messages": true,
        "agents": [
            home(0),
            home(1),
            {"agent": "moderator", "channels": ["*"], "role": "passive", "triggers": ["spam"]},
        ],
    })
}

/// What a message is, and who is to answer it, as this test and not the product sees it.
#[derive(Clone, Debug)]
struct Said {
    body: Value,
    id: String,
    channel: &'static str,
    author: &'static str,
    words: String,
    /// Which of the three answers.
    by: Option<usize>,
    /// The last word of a story that is not answered.
    why: &'static str,
}

/// The rules of the guide, once more and by hand.
struct Oracle {
    bots: [String; 3],
    /// Answers that can be answered: message, agent, channel.
    answers: Vec<(String, usize, &'static str)>,
    count: usize,
}

impl Oracle {
    fn is_seated(agent: usize, channel: &str) -> bool {
        agent == 2 || HOMES[agent].contains(&channel)
    }

    /// Some message, most of them for nobody.
    fn some(&mut self, dice: &mut Dice) -> Said {
        self.count += 1;
        let number = self.count;
        let channel = match dice.roll(400) {
            at @ 0..4 => HOMES[at % 2][at / 2],
            _ => ELSEWHERE[dice.roll(ELSEWHERE.len())],
        };
        let author = PEOPLE[dice.roll(PEOPLE.len())];
        let mut body = json!({"channel": channel, "author": author});
        let (mut by, mut words) = (None, format!("just talking about thing {number}"));
        let home = (0..2).find(|&agent| Oracle::is_seated(agent, channel));
        match dice.roll(220) {
            0..=2 => {
                let agent = dice.roll(3);
                words = format!("<@{}> what about {number}?", self.bots[agent]);
                by = Oracle::is_seated(agent, channel).then_some(agent);
            }
            3 => {
                let (one, two) = (dice.roll(3), dice.roll(3));
                let (a, b) = (&self.bots[one], &self.bots[two]);
                words = format!("what do you say, <@{a}> and <@!{b}>, to {number}?");
                by = [one, two].into_iter().find(|&agent| Oracle::is_seated(agent, channel));
            }
            4 | 5 => {
                let agent = dice.roll(3);
                words = format!("{}, what about {number}?", AGENTS[agent]);
                by = Oracle::is_seated(agent, channel).then_some(agent);
            }
            6 => {
                words = format!("is {number} SPAM or not");
                by = Some(2);
            }
            7 | 8 if !self.answers.is_empty() => {
                let which = dice.roll(self.answers.len());
                let (id, agent, place) = self.answers.swap_remove(which);
                body["channel"] = place.into();
                body["reference"] = id.into();
                words = format!("and what about {number}?");
                let by = Some(agent);
                return Oracle::done(body, place, author, words, by);
            }
            _ => {}
        }
        if dice.one_in(9) && by.is_none() && home.is_none() {
            body["thread"] = format!("thread {}", number % 3).into();
        }
        Oracle::done(body, channel, author, words, by.or(home))
    }

    fn done(
        mut body: Value,
        channel: &'static str,
        author: &'static str,
        words: String,
        by: Option<usize>,
    ) -> Said {
        body["text"] = words.clone().into();
        Said { body, id: String::new(), channel, author, words, by, why: "not_triggered" }
    }

    /// Another bot says it, whatever it is.
    fn by_a_bot(mut said: Said) -> Said {
        said.body["author"] = "feed".into();
        said.body["program"] = true.into();
        Said { author: "feed", by: None, why: "bot", ..said }
    }
}

struct Stage {
    sandbox: Sandbox,
    gateway: Gateway,
    oracle: Oracle,
    dice: Dice,
    /// All that was to be answered, and by whom.
    expected: BTreeMap<String, usize>,
    /// All that was answered, by whom and how often.
    seen: BTreeMap<String, Vec<String>>,
    /// Answers of ours that were looked at.
    counted: BTreeSet<String>,
    /// How many stories were told.
    told: usize,
    /// A message that its author may change.
    changes: Option<Said>,
}

const ACCOUNTS: [&str; 3] = ["research", "writer", "moderator"];

/// One that no other test has.
fn token(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("the-token-of-{name}-{}-{count}", std::process::id())
}

fn accounts() -> Value {
    let account = |name: &str| (name.to_owned(), json!({"token": token(name)}));
    ACCOUNTS.into_iter().map(account).collect::<Map<_, _>>().into()
}

fn start(sandbox: &Sandbox, config: &Value) -> Gateway {
    for channel in HOMES.concat().iter().chain(&ELSEWHERE[2..]) {
        sandbox.post("channel", &json!({"name": channel}));
    }
    let text = config.to_string();
    Gateway::with(&sandbox.api, |dir, plan| {
        let plan = plan.without("DISCORD_BOT_TOKEN").level("info");
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &text))
    })
}

fn states(gateway: &Gateway) -> Vec<(String, String, String)> {
    let told = gateway.told("status", &json!({}));
    let accounts = told["channels"]["discord"]["accounts"].as_object().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of =
        |(name, account): (String, Value)| (name, text(&account["status"]), text(&account["me"]));
    accounts.into_iter().map(of).collect()
}

fn connected(gateway: &Gateway) -> BTreeMap<String, String> {
    wait("every account", PATIENCE, || {
        let states = states(gateway);
        let is_up = !states.is_empty() && states.iter().all(|(_, state, _)| state == "connected");
        is_up.then(|| states.into_iter().map(|(name, _, me)| (name, me)).collect())
    })
}

/// All steps of the stories of message `id`, by account; and who is said to answer.
type Stories = BTreeMap<String, (Vec<String>, Option<String>)>;

fn stories_of(reply: &Value) -> BTreeMap<String, Stories> {
    let mut all: BTreeMap<String, Stories> = BTreeMap::new();
    for story in reply["stories"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let steps = story["steps"].as_array().into_iter().flatten();
        let steps = steps.map(|step| text(&step["step"])).collect();
        let agent = story["agent"].as_str().map(str::to_owned);
        all.entry(text(&story["id"])).or_default().insert(text(&story["account"]), (steps, agent));
    }
    all
}

impl Stage {
    /// Says `batch` and waits until each of `accounts` has told a story of each message.
    fn play(&mut self, mut batch: Vec<Said>, accounts: &[&str]) {
        let bodies: Vec<&Value> = batch.iter().map(|said| &said.body).collect();
        let ids = self.sandbox.post("many", &json!({"messages": bodies}))["ids"].clone();
        for (said, id) in batch.iter_mut().zip(ids.as_array().unwrap()) {
            id.as_str().unwrap_or_default().clone_into(&mut said.id);
        }
        // A change is no message.
        batch.retain(|said| !said.id.is_empty());
        let mut known = BTreeMap::new();
        let is_whole = |known: &BTreeMap<String, Stories>, said: &Said| {
            known.get(&said.id).is_some_and(|stories| stories.len() == accounts.len())
        };
        wait("the stories of a batch", PATIENCE, || {
            known = stories_of(&self.gateway.told("why", &json!({"last": 100})));
            for said in &batch {
                if !is_whole(&known, said) {
                    let told = self.gateway.told("why", &json!({"message": said.id}));
                    known.extend(stories_of(&told));
                }
            }
            batch.iter().all(|said| is_whole(&known, said)).then_some(())
        });
        for said in &batch {
            self.check(said, &known[&said.id]);
            if said.why != "bot" && said.body["thread"].is_null() {
                self.changes = Some(said.clone());
            }
            if let Some(agent) = said.by {
                self.expected.insert(said.id.clone(), agent);
            }
        }
    }

    /// Whether what `why` tells of a message is what the oracle says.
    fn check(&mut self, said: &Said, stories: &Stories) {
        self.told += stories.len();
        for (account, (steps, agent)) in stories {
            let last_of_doors = |step: &str| steps.iter().any(|known| known == step);
            let is_right = match said.by {
                Some(by) if ACCOUNTS[by] == account || stories.len() == 1 => {
                    last_of_doors("admitted")
                        && last_of_doors("routed")
                        && agent.as_deref() == Some(AGENTS[by])
                }
                Some(by) => last_of_doors("another_agent") && agent.as_deref() == Some(AGENTS[by]),
                // Said twice: the agent that it is for says so.
                None if said.why == "repeated" => {
                    last_of_doors("repeated") || last_of_doors("another_agent")
                }
                None => last_of_doors(said.why),
            };
            assert!(is_right, "{account}: {steps:?} {agent:?} for {said:?}");
        }
    }

    /// Looks at what was answered until now.
    fn look(&mut self) {
        let state = self.sandbox.state();
        let channels = state.0["channels"].as_array().unwrap();
        for channel in channels {
            let name = channel["name"].as_str().unwrap_or_default();
            let home = HOMES.concat().into_iter().chain(ELSEWHERE).find(|known| *known == name);
            for message in channel["messages"].as_array().unwrap() {
                let (Some(answered), Some(id)) =
                    (message["reference"].as_str(), message["id"].as_str())
                else {
                    continue;
                };
                let is_ours = message["bot"] == true && message["author"] != "feed";
                if !is_ours || !self.counted.insert(id.to_owned()) {
                    continue;
                }
                let author = message["author_id"].as_str().unwrap().to_owned();
                if let Some(agent) = self.expected.get(answered)
                    && let Some(home) = home
                    && self.oracle.answers.len() < 200
                {
                    self.oracle.answers.push((id.to_owned(), *agent, home));
                }
                let text = message["content"].as_str().unwrap_or_default();
                self.seen.entry(answered.to_owned()).or_default().push(format!("{author} {text}"));
            }
        }
    }

    /// A batch, with all that a server does to it.
    fn batch(&mut self, size: usize) -> Vec<Said> {
        let mut batch: Vec<Said> = Vec::new();
        while batch.len() < size {
            let said = self.oracle.some(&mut self.dice);
            if self.dice.one_in(12) {
                batch.push(Oracle::by_a_bot(said));
                continue;
            }
            // Said twice within a moment, it is answered once.
            let twice = said.by.is_some() && self.dice.one_in(6);
            batch.push(said.clone());
            if twice {
                batch.push(Said { by: None, why: "repeated", ..said });
            }
        }
        batch
    }

    /// Somebody changes what was said before, so that it would call somebody: nobody answers that.
    fn edit(&mut self) {
        let Some(said) = self.changes.take() else { return };
        let text = format!("moderator, {}! spam!", said.words);
        let edit = json!({
            "edit": said.id, "channel": said.channel, "author": said.author, "text": text,
        });
        self.sandbox.post("many", &json!({"messages": [edit]}));
    }

    /// Waits until all that was to be answered is, and looks whether that was right.
    fn settle(&mut self, is_by: impl Fn(usize, &str) -> bool) {
        wait("the last answer", PATIENCE * 2, || {
            self.look();
            self.expected.keys().all(|id| self.seen.contains_key(id)).then_some(())
        });
        pause(seconds(2));
        self.look();
        for (id, answers) in &self.seen {
            let by = self.expected.get(id);
            let by = by.unwrap_or_else(|| panic!("{id} was for nobody: {answers:?}"));
            assert!(answers.len() == 1, "{id} was answered more than once: {answers:?}");
            assert!(is_by(*by, &answers[0]), "{id} is for {}: {answers:?}", AGENTS[*by]);
        }
    }
}

fn stage(sandbox: Sandbox, gateway: Gateway, bots: [String; 3], seed: u64) -> Stage {
    Stage {
        sandbox,
        gateway,
        oracle: Oracle { bots, answers: Vec::new(), count: 0 },
        dice: Dice(seed),
        expected: BTreeMap::new(),
        seen: BTreeMap::new(),
        counted: BTreeSet::new(),
        told: 0,
        changes: None,
    }
}

const MESSAGES: usize = 10_000;
/// Stories of three accounts, and of what they say themselves, are told by one question.
const BATCH: usize = 24;

#[test]
fn of_ten_thousand_messages_each_is_answered_by_the_right_account_or_explained() {
    let sandbox = Sandbox::start();
    let config = json!({
        "channels": {"discord": {"accounts": accounts(), "catchUp": {"perChat": 100}}},
        "agents": {"entries": {"researcher": {}, "writer": {}, "moderator": {}}},
        "bindings": [{"agentId": "researcher", "match": {"accountId": "research"}}],
        "router": router(),
    });
    let gateway = start(&sandbox, &config);
    let who = connected(&gateway);
    let bots = ACCOUNTS.map(|account| who[account].clone());
    let mut stage = stage(sandbox, gateway, bots.clone(), 7);
    let faults = ["drop", "reset", "close-4000", "op7", "op9-true", "duplicates", "op9-false"];
    let mut batches = 0;
    while stage.oracle.count < MESSAGES {
        let batch = stage.batch(BATCH);
        batches += 1;
        // In between connections are lost, each account's by itself.
        if batches % 40 == 0 {
            let fault = faults[stage.dice.roll(faults.len())];
            let bot: u64 = bots[stage.dice.roll(3)].parse().unwrap();
            if fault == "op9-false" {
                // What is caught up on begins some seconds earlier, and is a hundred messages of a
                // chat: here that many are said in less.
                pause(seconds(6));
            }
            let since = stage.sandbox.fault(fault, json!({"bot": bot}));
            if fault == "op9-false" {
                // Of a session that is lost only the chats that we had answered are caught up on.
                let is_new = |state: &State| state.after(since, "ready").first().map(drop);
                stage.sandbox.until("a new session", PATIENCE, is_new);
            }
        }
        stage.play(batch, &ACCOUNTS);
        if batches % 5 == 0 {
            stage.look();
        }
        if batches % 7 == 0 {
            stage.edit();
        }
    }
    stage.settle(|by, answer| answer.starts_with(&bots[by]));
    println!(
        "{} messages, {} answered, {} stories",
        stage.oracle.count,
        stage.expected.len(),
        stage.told
    );
    assert!(stage.expected.len() > 100 && stage.told >= 3 * MESSAGES);
    let metrics = stage.gateway.told("status", &json!({}));
    let accounts = &metrics["channels"]["discord"]["accounts"];
    for account in ACCOUNTS {
        let dropped = &accounts[account]["messages"]["notAnswered"];
        assert!(dropped.to_string().contains("another_agent"), "{dropped}");
    }
}

#[test]
fn three_agents_behind_one_account_answer_once_and_by_the_right_one() {
    let sandbox = Sandbox::start();
    let agent =
        |name: &str| json!({"command": ["sh", "-c", format!("cat > /dev/null; echo {name}")]});
    let mut rules = router();
    rules["agents"][0]["triggers"] = json!(["/dig"]);
    let config = json!({
        "channels": {"discord": {"token": token("one")}},
        "agents": {"entries": AGENTS.iter().map(|name| ((*name).to_owned(), agent(name)))
            .collect::<Map<_, _>>()},
        "router": rules,
    });
    let gateway = start(&sandbox, &config);
    let me = connected(&gateway)["default"].clone();
    // A mention of the account is for whoever is at home there.
    let bots = ["1", "2", "3"].map(str::to_owned);
    let mut stage = stage(sandbox, gateway, bots, 11);
    while stage.oracle.count < 1200 {
        let batch = stage.batch(60);
        // Nobody can be mentioned by a number that is not ours.
        let batch = batch.into_iter().filter(|said| !said.words.contains("<@")).collect();
        stage.play(batch, &["default"]);
        stage.look();
    }
    stage.settle(|by, answer| answer.ends_with(&format!(" {}", AGENTS[by])));
    for (channel, text, agent) in [
        ("drafts", "hello".to_owned(), "writer"),
        ("music", "hello there".to_owned(), "moderator"),
        ("sources", "moderator, hello".to_owned(), "moderator"),
    ] {
        let text = format!("<@{me}> {text}");
        let id = stage.sandbox.say(&json!({"channel": channel, "text": text}));
        assert_eq!(stage.sandbox.exactly_one_answer(&id), agent, "{channel}: {text}");
    }
    println!("{} messages, {} answered", stage.oracle.count, stage.expected.len());
}

fn two(sandbox: &Sandbox, router: &Value, discord: &Value) -> (Gateway, BTreeMap<String, String>) {
    let mut discord = discord.clone();
    let mut accounts = accounts();
    accounts.as_object_mut().unwrap().remove("moderator");
    discord["accounts"] = accounts;
    let config = json!({
        "channels": {"discord": discord},
        "agents": {"entries": {"researcher": {}, "writer": {}}},
        "bindings": [{"agentId": "researcher", "match": {"accountId": "research"}}],
        "router": router,
    });
    let gateway = start(sandbox, &config);
    let who = connected(&gateway);
    (gateway, who)
}

/// The last step of each account's story of message `id`.
fn steps(gateway: &Gateway, id: &str) -> BTreeMap<String, Vec<String>> {
    let all = stories_of(&gateway.told("why", &json!({"message": id})));
    all.get(id)
        .into_iter()
        .flatten()
        .map(|(name, (steps, _))| (name.clone(), steps.clone()))
        .collect()
}

fn answerers(state: &State, id: &str) -> Vec<String> {
    let messages = state.messages();
    let answers =
        messages.iter().filter(|m| m["bot"] == true && m["reference"].as_str() == Some(id));
    answers.map(|message| message["author_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn another_stands_in_for_an_account_that_is_away_and_neither_answers_twice() {
    let sandbox = Sandbox::start();
    let router = |stand_in: &str| {
        json!({
            "standIn": stand_in,
            "agents": [
                {"agent": "researcher", "channels": ["research"]},
                {"agent": "writer", "channels": "*"},
            ],
        })
    };
    let (gateway, who) = two(&sandbox, &router("1h"), &json!({}));
    let say = |text: &str| sandbox.say(&json!({"channel": "research", "text": text}));
    let first = say("who is there?");
    sandbox.answer(&first);
    assert_eq!(answerers(&sandbox.state(), &first), [who["research"].clone()]);
    let mut stop = gateway.cli(&["channels", "stop", "discord", "--account", "research"]);
    assert_eq!(stop.code(), 0, "{}", stop.output());
    // For an hour it is waited for …
    let waits = say("are you away?");
    let told = wait("its story", PATIENCE, || steps(&gateway, &waits).get("writer").cloned());
    assert!(told.contains(&"another_agent".to_owned()), "{told:?}");
    gateway.told("channels.start", &json!({"accountId": "research"}));
    assert_eq!(sandbox.exactly_one_answer(&waits), "are you away?");
    assert_eq!(answerers(&sandbox.state(), &waits), [who["research"].clone()]);
    // … and for no time at all.
    let config = std::fs::read_to_string(gateway.dir.0.join("b.json5")).unwrap();
    gateway.dir.file("b.json5", &config.replace("\"1h\"", "\"0s\""));
    let skip = gateway.run.length();
    gateway.run.signal(crate::harness::Signal::HUP);
    gateway.run.line_after(skip, "the configuration has changed");
    let mut stop = gateway.cli(&["channels", "stop", "discord", "--account", "research"]);
    assert_eq!(stop.code(), 0, "{}", stop.output());
    let stood = say("and now?");
    assert_eq!(sandbox.answer(&stood), "and now?");
    assert_eq!(answerers(&sandbox.state(), &stood), [who["writer"].clone()]);
    let told = wait("its story", PATIENCE, || {
        let told = steps(&gateway, &stood).remove("writer")?;
        told.contains(&"stands_in".to_owned()).then_some(told)
    });
    assert!(told.contains(&"admitted".to_owned()), "{told:?}");
    // Even after a crash of all, the one that is back does not answer it again.
    let mut gateway = gateway;
    gateway.again();
    connected(&gateway);
    wait("its story", PATIENCE, || {
        let told = steps(&gateway, &stood).remove("research")?;
        told.contains(&"another_agent".to_owned()).then_some(())
    });
    let last = say("still here?");
    sandbox.exactly_one_answer(&last);
    assert_eq!(answerers(&sandbox.state(), &last), [who["research"].clone()]);
    assert_eq!(answerers(&sandbox.state(), &stood), [who["writer"].clone()]);
}

#[test]
fn agents_of_ours_that_answer_each_other_are_stopped_once_and_a_person_ends_that() {
    let sandbox = Sandbox::start();
    let router = json!({
        "noSelfTalk": false, "dedupWindow": 0,
        "agents": [
            {"agent": "researcher", "channels": ["research"]},
            {"agent": "writer", "role": "passive", "triggers": ["ping"]},
        ],
    });
    let (gateway, _) = two(&sandbox, &router, &json!({"allowBots": true}));
    let say = |text: &str| sandbox.say(&json!({"channel": "research", "text": text}));
    let by_bots = |words: &str| {
        let state = sandbox.state();
        let bots = state.messages().into_iter().filter(|message| message["bot"] == true);
        bots.filter(|message| message["content"].as_str().unwrap().contains(words)).count()
    };
    say("ping");
    let notices = |count: usize| {
        wait("the loop to end", PATIENCE, || (by_bots("I stop answering") == count).then_some(()));
        pause(seconds(3));
        assert_eq!(by_bots("I stop answering"), count, "once");
    };
    notices(1);
    let pings = by_bots("ping");
    assert!((5..=12).contains(&pings), "{pings} turns");
    wait("the drop", PATIENCE, || {
        let drops = gateway.told("why", &json!({"last": 100}))["drops"].clone();
        let drops = drops.as_array().cloned().unwrap_or_default();
        drops.iter().any(|drop| drop["reason"] == "loop_chain").then_some(())
    });
    let mut why = gateway.cli(&["why", "--last", "20"]);
    assert_eq!(why.code(), 0);
    assert!(why.stdout().contains("bots answer each other here"), "{}", why.stdout());
    // A person is answered, and begins it anew.
    let id = say("hello again");
    assert_eq!(sandbox.answer(&id), "hello again");
    say("ping once more");
    notices(2);
}

#[test]
fn another_bot_is_answered_for_a_while_and_then_left_until_a_person_speaks() {
    let sandbox = Sandbox::start();
    let config = json!({
        "channels": {"discord": {
            "token": token("one"),
            "guilds": {"*": {"requireMention": false, "channels": {
                "general": {"allowBots": true}, "random": {},
            }}},
            "botLoopProtection": {"maxChainDepth": 6},
        }},
    });
    let gateway = start(&sandbox, &config);
    connected(&gateway);
    let bot = |channel: &str, text: &str, to: Option<&str>| {
        let mut body =
            json!({"channel": channel, "author": "parrot", "program": true, "text": text});
        if let Some(to) = to {
            body["reference"] = to.into();
        }
        sandbox.say(&body)
    };
    let refused = bot("random", "hello", None);
    let told = wait("its story", PATIENCE, || steps(&gateway, &refused).remove("default"));
    assert!(told.contains(&"bot".to_owned()), "{told:?}");
    let mut answered = 0;
    let mut last: Option<String> = None;
    for round in 0..8 {
        let id = bot("general", &format!("round {round}"), last.as_deref());
        let told = wait("its story", PATIENCE, || {
            let told = steps(&gateway, &id).remove("default")?;
            let is_over = |step: &String| ["delivered", "loop_chain"].contains(&step.as_str());
            told.iter().any(is_over).then_some(told)
        });
        if told.contains(&"loop_chain".to_owned()) {
            break;
        }
        answered += 1;
        let state = sandbox.state();
        let answer = |message: &&&Value| message["reference"].as_str() == Some(&id);
        let messages = state.messages();
        last = messages.iter().find(answer).map(|m| m["id"].as_str().unwrap().to_owned());
    }
    assert!((2..=4).contains(&answered), "{answered} answers");
    let notice = |state: &State| {
        let all = state.messages();
        let of = all.iter().filter(|m| m["content"].as_str().unwrap().contains("I stop answering"));
        (of.count() == 1).then_some(())
    };
    sandbox.until("the notice", PATIENCE, notice);
    let id = sandbox.say(&json!({"channel": "general", "text": "what is going on?"}));
    assert_eq!(sandbox.answer(&id), "what is going on?");
    let id = bot("general", "may I?", None);
    assert_eq!(sandbox.answer(&id), "may I?");
}

#[test]
fn a_passive_agent_is_told_what_was_said_before_it_was_called() {
    let sandbox = Sandbox::start();
    let config = json!({
        "channels": {"discord": {"token": token("one")}},
        "agents": {"entries": {"moderator": {"command": [
            "sh", "-c", "printf 'I was told %s' \"$(cat)\"",
        ]}}},
        "router": {"agents": [{"agent": "moderator", "role": "passive", "channels": ["#general"]}]},
    });
    let gateway = start(&sandbox, &config);
    connected(&gateway);
    let say = |author: &str, text: &str| {
        sandbox.say(&json!({"channel": "general", "author": author, "text": text}))
    };
    say("ann", "the deadline is on Friday");
    let quiet = say("ben", "that is too early");
    let told = wait("its story", PATIENCE, || steps(&gateway, &quiet).remove("default"));
    assert!(told.contains(&"not_triggered".to_owned()), "{told:?}");
    let elsewhere = sandbox.say(&json!({"channel": "random", "text": "is anybody here?"}));
    let told = wait("its story", PATIENCE, || steps(&gateway, &elsewhere).remove("default"));
    assert!(told.contains(&"no_agent".to_owned()), "{told:?}");
    let id = say("cleo", "moderator, what do you think?");
    let answer = sandbox.answer(&id);
    let context =
        r#""context":[{"author":"ann","text":"the deadline is on Friday"},{"author":"ben""#;
    assert!(answer.contains(context), "{answer}");
    let id = say("cleo", "moderator, are you sure?");
    let answer = sandbox.answer(&id);
    assert!(!answer.contains("Friday"), "what it knows it is not told again: {answer}");
}
