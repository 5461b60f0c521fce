//! What is to be said is said once, in order and whole: over crashes at any moment, power cuts,
//! lost sessions and a server that does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, State, millis, now, pause, seconds, wait};

/// For hundreds of messages at five per five seconds in each chat, on a busy machine.
const LONG: Duration = Duration::from_secs(240);

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A chat, and what was said to the bot there: ids and words.
struct Chat {
    /// A person who writes directly, or the name of a channel.
    name: String,
    is_direct: bool,
    id: String,
    said: Vec<(String, String)>,
}

/// People who write in many chats.
struct Talk<'s> {
    sandbox: &'s Sandbox,
    chats: Vec<Chat>,
    dice: Dice,
    count: usize,
}

impl<'s> Talk<'s> {
    fn new(sandbox: &'s Sandbox, direct: usize, channels: usize, seed: u64) -> Talk<'s> {
        let chat =
            |name: String, is_direct| Chat { name, is_direct, id: String::new(), said: Vec::new() };
        let mut chats: Vec<Chat> = (0..direct).map(|n| chat(format!("p-{n}"), true)).collect();
        for n in 0..channels {
            let name = format!("c-{n}");
            sandbox.post("channel", &json!({"name": name}));
            chats.push(chat(name, false));
        }
        Talk { sandbox, chats, dice: Dice(seed), count: 0 }
    }

    /// Something is said in a chat: other words each time, and now and then more than fits into one
    /// message.
    fn say_in(&mut self, place: usize) -> String {
        self.count += 1;
        let text = match self.count % 25 {
            0 => format!("{} and on ", self.count).repeat(250),
            _ => format!("word {}", self.count),
        };
        let chat = &mut self.chats[place];
        let fields = if chat.is_direct {
            json!({"text": text, "direct": true, "author": chat.name})
        } else {
            json!({"text": text, "mention": true, "channel": chat.name})
        };
        let said = self.sandbox.post("say", &fields);
        let text_of = |key: &str| said[key].as_str().unwrap().to_owned();
        chat.id = text_of("channel");
        chat.said.push((text_of("id"), text));
        text_of("id")
    }

    /// Says up to `count` things, where not too much waits for an answer: nobody is to be turned
    /// away for having asked too much.
    fn say_some(&mut self, count: u64, up_to: usize) {
        let answered = answered(&self.sandbox.state());
        let open = |chat: &Chat| chat.said.iter().filter(|(id, _)| !answered.contains(id)).count();
        let mut open: Vec<usize> = self.chats.iter().map(open).collect();
        for _ in 0..count {
            let place = usize::try_from(self.dice.below(self.chats.len() as u64)).unwrap();
            if self.count < up_to && open[place] < 6 && open.iter().sum::<usize>() < 120 {
                open[place] += 1;
                self.say_in(place);
            }
        }
    }

    /// Waits until everything is answered, and looks that it is answered once, in order and whole.
    fn settle(&self) {
        let all: BTreeSet<&String> =
            self.chats.iter().flat_map(|c| &c.said).map(|s| &s.0).collect();
        wait("all to be answered", LONG, || {
            pause(millis(200));
            let answered = answered(&self.sandbox.state());
            all.iter().all(|id| answered.contains(*id)).then_some(())
        });
        // The last parts of the last long ones.
        wait("all to be answered in full", LONG, || {
            pause(millis(200));
            let state = self.sandbox.state();
            self.chats
                .iter()
                .all(|chat| bare(&chat.answers(&state)) == chat.expected())
                .then_some(())
        });
    }

    fn assert_once(&self) {
        let state = self.sandbox.state();
        for chat in &self.chats {
            let messages = chat.messages(&state);
            for (id, text) in &chat.said {
                let count = messages.iter().filter(|message| message["reference"] == **id).count();
                assert_eq!(count, 1, "{text} in {}: {messages:?}", chat.name);
            }
            assert_eq!(bare(&chat.answers(&state)), chat.expected(), "in {}", chat.name);
        }
    }
}

impl Chat {
    /// What the bot has said here, message for message.
    fn messages<'v>(&self, state: &'v State) -> Vec<&'v Value> {
        let channels = state.0["channels"].as_array().unwrap();
        let Some(channel) = channels.iter().find(|channel| channel["id"] == *self.id) else {
            return Vec::new();
        };
        let messages = channel["messages"].as_array().unwrap().iter();
        messages.filter(|message| message["bot"] == true).collect()
    }

    /// All of it.
    fn answers(&self, state: &State) -> String {
        let messages = self.messages(state);
        messages.iter().map(|message| message["content"].as_str().unwrap()).collect()
    }

    /// What it ought to be.
    fn expected(&self) -> String {
        self.said.iter().map(|(_, text)| bare(text)).collect()
    }
}

/// The letters alone: where a long text is cut, a space may go.
fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The messages that the bot has answered.
fn answered(state: &State) -> BTreeSet<String> {
    let ours = state.messages().into_iter().filter(|message| message["bot"] == true);
    ours.filter_map(|message| message["reference"].as_str().map(str::to_owned)).collect()
}

/// Answers are cut at random, and some calls refused for a moment.
fn weather(sandbox: &Sandbox, dice: &mut Dice) {
    sandbox.clear();
    let name = ["rest-429", "rest-500", "rest-502-html"][usize::try_from(dice.below(3)).unwrap()];
    sandbox.post("fault", &json!({"name": name, "count": 2}));
    sandbox.post("fault", &json!({"name": "rest-cut-random", "percent": 25}));
}

#[test]
fn a_thousand_messages_over_thirty_kills_and_cut_answers_are_each_answered_once_and_in_order() {
    const MESSAGES: usize = 1000;
    const KILLS: u64 = 30;
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let mut talk = Talk::new(&sandbox, 50, 10, 7);
    let (mut kills, start) = (0, now());
    while talk.count < MESSAGES || kills < KILLS {
        let some = talk.dice.below(60);
        talk.say_some(some, MESSAGES);
        if kills >= KILLS {
            pause(millis(100));
            continue;
        }
        weather(&sandbox, &mut talk.dice);
        pause(millis(talk.dice.below(700)));
        gateway.run.kill();
        kills += 1;
        // People know nothing of it.
        let some = talk.dice.below(12);
        talk.say_some(some, MESSAGES);
        let resumed = sandbox.state().number("/resumed");
        gateway.run = gateway.plan.run();
        // Now and then the next one comes before the connection stands.
        if talk.dice.below(4) > 0 {
            sandbox.until("RESUMED", PATIENCE, |state| {
                (state.number("/resumed") > resumed).then_some(())
            });
        }
    }
    talk.settle();
    let took = start.elapsed();
    // What would come twice would come at the next start, or now.
    gateway.again();
    gateway.await_channel("connected");
    pause(seconds(3));
    talk.assert_once();
    let state = sandbox.state();
    println!("{} messages over {kills} kills: {took:?}", talk.count);
    assert_eq!((state.number("/identifies"), state.number("/op9")), (1, 0));
    assert!(!state.after(0, "deduplicated").is_empty(), "no answer was cut");
    state.assert_clean();
}

/// Up to where a log of messages was on the disk, whatever the moment: up to the last answer that
/// may have been sent, and the last message that the kept session, which has come to `seq`, would
/// not bring again.
fn sure(log: &[u8], seq: u64) -> usize {
    const ADMITTED: u8 = 1;
    const OUT: u8 = 4;
    let (mut at, mut sure) = (8, 8);
    while let Some(header) = log.get(at..at + 8) {
        let size = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let Some(record) = log.get(at + 8..at + 8 + size) else { break };
        at += 8 + size;
        let is_sure = match record[1] {
            ADMITTED => {
                let request: Value = serde_json::from_slice(&record[2..]).unwrap();
                request["seq"].as_u64().unwrap() <= seq
            }
            kind => kind == OUT,
        };
        if is_sure {
            sure = at;
        }
    }
    sure
}

/// What a power cut leaves: nothing of the runtime directory, and of the log of messages what was
/// on the disk; what came after that is cut anywhere. How many bytes that took.
fn cut_power(gateway: &mut Gateway, dice: &mut Dice) -> usize {
    gateway.run.kill();
    std::fs::remove_dir_all(gateway.dir.0.join("run")).unwrap();
    let cell = std::fs::read(gateway.dir.0.join("state/discord.session")).unwrap();
    // A magic word, the length and a checksum stand before it.
    let session: Value = serde_json::from_slice(&cell[16..]).unwrap();
    let seq = session["saved"]["session"]["seq"].as_u64().unwrap();
    let path = gateway.dir.0.join("state/discord.messages");
    let log = std::fs::read(&path).unwrap();
    let tail = log.len() - sure(&log, seq);
    let lost = usize::try_from(dice.below(tail as u64 + 1)).unwrap();
    std::fs::write(&path, &log[..log.len() - lost]).unwrap();
    lost
}

#[test]
fn power_cuts_lose_nothing_that_was_on_the_disk_and_say_nothing_twice() {
    const CUTS: usize = 12;
    const MESSAGES: usize = 150;
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let mut talk = Talk::new(&sandbox, 20, 0, 11);
    let mut lost = 0;
    for cut in 1..=CUTS {
        weather(&sandbox, &mut talk.dice);
        let some = 8 + talk.dice.below(12);
        talk.say_some(some, MESSAGES);
        pause(millis(talk.dice.below(1200)));
        lost += cut_power(&mut gateway, &mut talk.dice);
        let resumed = sandbox.state().number("/resumed");
        gateway.run = gateway.plan.run();
        let what = format!("RESUMED after cut {cut}");
        sandbox.until(&what, PATIENCE, |state| (state.number("/resumed") > resumed).then_some(()));
    }
    talk.settle();
    gateway.again();
    gateway.await_channel("connected");
    pause(seconds(3));
    talk.assert_once();
    println!("{} messages over {CUTS} power cuts, which took {lost} bytes", talk.count);
    assert!(lost > 0);
    let state = sandbox.state();
    assert_eq!(state.number("/identifies"), 1);
    state.assert_clean();
}

/// Says whether the message was late, and its words.
const TELLS: &str = r#"
IFS= read -r message || true
printf %s "$message" | sed 's/.*"text":"\([^"]*\)".*"late":\([a-z]*\).*/\2 \1/'
"#;

fn configured(sandbox: &Sandbox, program: Option<&str>, discord: &Value) -> Gateway {
    let agent = program.map(|program| json!({"kind": "exec", "command": ["sh", "-c", program]}));
    let agents = json!({"defaults": agent.unwrap_or_else(|| json!({"kind": "echo"}))});
    let config = json!({"channels": {"discord": discord}, "agents": agents});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    gateway
}

impl Gateway {
    /// The story of message `id`, once it is over.
    pub(crate) fn fate(&self, id: &str) -> Value {
        wait(&format!("the story of {id}"), PATIENCE, || {
            let reply = self.told("why", &json!({"message": id}));
            reply["stories"].get(0).filter(|story| story["outcome"] != "waiting").cloned()
        })
    }
}

#[test]
fn what_was_said_while_a_session_was_lost_is_answered_late_once_and_in_order() {
    let sandbox = Sandbox::start();
    let gateway = configured(&sandbox, Some(TELLS), &json!({}));
    let mut talk = Talk::new(&sandbox, 5, 2, 1);
    let chats = talk.chats.len();
    let first: Vec<String> = (0..chats).map(|place| talk.say_in(place)).collect();
    for id in &first {
        assert!(sandbox.answer(id).starts_with("false "));
    }
    sandbox.post("fault", &json!({"name": "refuse", "seconds": 4, "kick": false}));
    let lost = sandbox.fault("close-4009", json!({}));
    sandbox.recovery(lost, "closed", seconds(5));
    let missed: Vec<String> =
        (0..3).flat_map(|_| 0..chats).map(|place| talk.say_in(place)).collect();
    sandbox.recovery(lost, "ready", seconds(60));
    // These come by themselves, and must wait for those.
    let next: Vec<String> = (0..chats).map(|place| talk.say_in(place)).collect();
    for id in &missed {
        let answer = sandbox.answer(id);
        assert!(answer.starts_with("true "), "it does not say that it is late: {answer}");
    }
    for id in &next {
        sandbox.answer(id);
    }
    pause(seconds(2));
    let state = sandbox.state();
    for chat in &talk.chats {
        let answers = chat.messages(&state);
        let order: Vec<&str> =
            answers.iter().filter_map(|answer| answer["reference"].as_str()).collect();
        let said: Vec<&str> = chat.said.iter().map(|(id, _)| &**id).collect();
        assert_eq!(order, said, "in {}", chat.name);
    }
    let told = gateway.fate(&missed[0]);
    assert!(
        told["steps"][0]["text"].as_str().unwrap().contains("said while we were away"),
        "{told}"
    );
    gateway.run.line("the session was lost");
    assert_eq!(state.number("/identifies"), 2);
    state.assert_clean();
}

#[test]
fn catching_up_goes_back_no_further_and_fetches_no_more_than_configured() {
    let sandbox = Sandbox::start();
    let mut gateway = configured(&sandbox, None, &json!({"catchUp": {"maxAge": 25, "perChat": 3}}));
    let ask = |text: &str| sandbox.direct("ann", text);
    assert_eq!(sandbox.answer(&ask("hello")), "hello");
    assert_eq!(gateway.stop(), 0);
    sandbox.fault("resume-op9-false", json!({"cleared": true, "kick": false}));
    let old = ask("long ago");
    pause(seconds(27));
    let missed: Vec<String> = (0..5).map(|n| ask(&format!("missed {n}"))).collect();
    gateway.again();
    for (n, id) in missed[..3].iter().enumerate() {
        assert_eq!(sandbox.answer(id), format!("missed {n}"));
    }
    gateway.run.line("more than 3 messages were said meanwhile");
    assert_eq!(sandbox.exactly_one_answer(&ask("and now?")), "and now?");
    let state = sandbox.state();
    let count = |id: &String| state.answers(id).len();
    assert_eq!(count(&old), 0, "it was too old");
    assert_eq!(missed.iter().map(count).collect::<Vec<_>>(), [1, 1, 1, 0, 0]);
    assert_eq!(state.number("/identifies"), 2);
}

#[test]
fn what_was_known_already_takes_no_place_of_what_is_to_be_caught_up_on() {
    let sandbox = Sandbox::start();
    let mut gateway = configured(&sandbox, None, &json!({"catchUp": {"perChat": 3}}));
    for n in 0..3 {
        let text = format!("known {n}");
        assert_eq!(sandbox.answer(&sandbox.direct("ann", &text)), text);
    }
    assert_eq!(gateway.stop(), 0);
    sandbox.fault("resume-op9-false", json!({"cleared": true, "kick": false}));
    let missed: Vec<String> =
        (0..3).map(|n| sandbox.direct("ann", &format!("missed {n}"))).collect();
    gateway.again();
    for (n, id) in missed.iter().enumerate() {
        assert_eq!(sandbox.exactly_one_answer(id), format!("missed {n}"));
    }
    gateway.run.line("the session was lost: 3 messages were said meanwhile in 1 chats");
}

#[test]
fn a_damaged_session_costs_no_message_of_a_chat_that_was_answered_before() {
    let sandbox = Sandbox::start();
    let mut gateway = configured(&sandbox, Some(TELLS), &json!({}));
    let people = ["ann", "ben", "cleo"];
    for author in people {
        sandbox.answer(&sandbox.direct(author, "hello"));
    }
    gateway.run.kill();
    for file in ["state/discord.session", "run/barnacle/discord.cursor"] {
        std::fs::write(gateway.dir.0.join(file), b"\0garbage\xff").unwrap();
    }
    let missed: Vec<(String, String)> = (0..3)
        .flat_map(|n| people.map(|author| (author, format!("{author} {n}"))))
        .map(|(author, text)| (sandbox.direct(author, &text), text))
        .collect();
    // When the last IDENTIFY was is forgotten with the rest; they need 5 s between them.
    pause(seconds(6));
    gateway.again();
    for (id, text) in &missed {
        assert_eq!(sandbox.answer(id), format!("true {text}"));
    }
    pause(seconds(2));
    let state = sandbox.state();
    for (id, text) in &missed {
        assert_eq!(state.answers(id).len(), 1, "{text}");
    }
    for channel in state.0["channels"].as_array().unwrap() {
        let messages = channel["messages"].as_array().unwrap();
        let ours = messages.iter().filter(|message| message["bot"] == true);
        let order: Vec<&str> = ours.filter_map(|message| message["reference"].as_str()).collect();
        assert!(order.is_sorted(), "{order:?}");
    }
    state.assert_clean();
}

#[test]
fn replies_that_cannot_be_sent_in_their_time_expire_told_and_counted_and_are_not_sent_later() {
    for fault in ["rest-500", "rest-hang"] {
        let sandbox = Sandbox::start();
        let gateway = configured(&sandbox, None, &json!({"outbox": {"ttl": 10}}));
        sandbox.fault(fault, json!({"cleared": true}));
        let id = sandbox.direct("ann", "in vain");
        let told = gateway.fate(&id);
        assert_eq!(told["outcome"], "dropped", "{told}");
        assert!(told["reason"].as_str().unwrap().contains("the reply was dropped"), "{told}");
        gateway.run.line("is not answered: the reply was dropped");
        assert_eq!(gateway.status()["messages"]["dropped"]["expired"], 1, "{fault}");
        sandbox.clear();
        let next = sandbox.direct("ann", "at last");
        assert_eq!(sandbox.exactly_one_answer(&next), "at last");
        assert_eq!(sandbox.state().answers(&id), [], "{fault}: final is final");
        assert_eq!(gateway.status()["messages"]["queued"], 0);
        sandbox.state().assert_clean();
    }
}

#[test]
fn with_strategy_drop_what_would_have_to_wait_is_dropped_told_and_counted() {
    let sandbox = Sandbox::start();
    let gateway = configured(&sandbox, None, &json!({"rateLimit": {"strategy": "drop"}}));
    sandbox.fault("rest-429", json!({"cleared": true, "seconds": 30}));
    let id = sandbox.direct("ann", "in vain");
    let told = gateway.fate(&id);
    assert_eq!(told["outcome"], "dropped", "{told}");
    gateway.run.line("is not answered: the reply was dropped");
    assert_eq!(gateway.status()["messages"]["dropped"]["rate_limited"], 1);
    sandbox.clear();
    let next = sandbox.direct("ben", "at once");
    assert_eq!(sandbox.exactly_one_answer(&next), "at once");
    assert_eq!(sandbox.state().answers(&id), [], "final is final");
}

/// Answers in a thread, with a reaction and a file.
const ACTS: &str = r#"
IFS= read -r message || true
text=$(printf %s "$message" | sed 's/.*"text":"\([^"]*\)".*/\1/')
printf '{"thread": "about %s"}\n{"react": "👍"}\n' "$text"
printf '{"text": "see %s"}\n{"file": {"name": "a.txt", "base64": "aGVsbG8="}}\n' "$text"
"#;

#[test]
fn threads_reactions_and_files_are_there_exactly_once_over_kills_and_cut_answers() {
    let sandbox = Sandbox::start();
    let mut gateway = configured(&sandbox, Some(ACTS), &json!({}));
    let mut dice = Dice(5);
    let mut asked = BTreeMap::new();
    for round in 0..10 {
        if round % 2 == 1 {
            sandbox.post("fault", &json!({"name": "rest-cut", "count": 2, "route": "all"}));
        }
        let channel = format!("acts-{round}");
        sandbox.post("channel", &json!({"name": channel}));
        let text = format!("round {round}");
        let fields = json!({"text": text, "mention": true, "channel": channel});
        let id = sandbox.say(&fields);
        pause(millis(dice.below(400)));
        gateway.again();
        // One at a time: a turn that is cut short twice is given up.
        sandbox.until("the file", PATIENCE, |state| (count(state, &id)[2] > 0).then_some(()));
        sandbox.clear();
        asked.insert(id, text);
    }
    gateway.again();
    gateway.await_channel("connected");
    pause(seconds(3));
    let state = sandbox.state();
    for (id, text) in &asked {
        assert_eq!(count(&state, id), [1, 1, 1, 1], "{text}: {:?}", thread(&state, id));
    }
    let messages = state.messages();
    let ours = messages.iter().filter(|message| message["bot"] == true).count();
    assert_eq!(ours, asked.len(), "each answer is one message, in its thread");
    state.assert_clean();
}

/// The thread that hangs on message `id`.
fn thread<'v>(state: &'v State, id: &str) -> Option<&'v Value> {
    let channels = state.0["channels"].as_array().unwrap();
    channels.iter().find(|channel| channel["id"] == id && channel["kind"] == "thread")
}

/// Of message `id`: threads, reactions, files and texts in the thread.
fn count(state: &State, id: &str) -> [u64; 4] {
    let messages = state.messages();
    let asked = messages.iter().find(|message| message["id"] == id).unwrap();
    let reactions = asked["reactions"].as_array().unwrap().len() as u64;
    let Some(thread) = thread(state, id) else { return [0, reactions, 0, 0] };
    let messages = thread["messages"].as_array().unwrap();
    let files = messages.iter().map(|message| message["files"].as_u64().unwrap()).sum();
    let is_text = |message: &&Value| message["content"].as_str().unwrap().starts_with("see ");
    let texts = messages.iter().filter(is_text).count() as u64;
    [1, reactions, files, texts]
}
