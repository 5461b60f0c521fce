//! All that is kept about a person is told in one document and forgotten in one order: no file of
//! the state directory has their number or a word of theirs afterwards.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, wait};
use crate::memory::{config, provider};

/// The person who is forgotten: what the sandbox makes of the name, a number of no chance.
const ANN: &str = "705618449455142752";
const ANN_NAME: &str = "7";
const BOB: &str = "750037746515269925";
const BOB_NAME: &str = "8";
/// A word that only Ann says.
const WORD: &str = "xylophone";

/// The files below `dir` in which any of `needles` is, also as eight bytes.
fn having(dir: &Path, needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(having(&path, needles));
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
        let number = |needle: &str| needle.parse().ok().map(u64::to_le_bytes);
        let is_in = |needle: &&str| {
            has(needle.as_bytes()) || number(needle).is_some_and(|bytes| has(&bytes))
        };
        if needles.iter().any(is_in) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn dirs(gateway: &Gateway) -> [std::path::PathBuf; 2] {
    ["state", "run"].map(|name| gateway.dir.0.join(name))
}

fn in_files(gateway: &Gateway, needles: &[&str]) -> Vec<String> {
    dirs(gateway).iter().flat_map(|dir| having(dir, needles)).collect()
}

/// A gateway that Ann and Bob have used for all that it is good for.
fn used() -> (Sandbox, Gateway) {
    let provider = provider();
    let sandbox = Sandbox::start();
    let access = json!({"channels": {"discord": {
        "dmPolicy": "pairing", "groupPolicy": "open", "requireMention": true, "allowFrom": [BOB],
    }}});
    let gateway = Gateway::configured(&sandbox.api, &config(&provider, &access));
    gateway.await_channel("connected");
    // A stranger is told a code, and let in.
    sandbox.direct(ANN_NAME, &format!("{WORD} let me in"));
    let code = wait("a code", PATIENCE, || {
        let listed = gateway.cli(&["pairing", "list", "--json"]);
        let listed: Value = serde_json::from_str(&listed.stdout()).ok()?;
        find(&listed, "code").map(str::to_owned)
    });
    assert_eq!(gateway.cli(&["pairing", "approve", "discord", &code]).code_of(), 0);
    for number in 0..14 {
        let text = format!("number {number} {WORD} {}", "word ".repeat(50));
        sandbox.answer(&sandbox.direct(ANN_NAME, &text));
    }
    for author in [ANN_NAME, BOB_NAME] {
        let word = if author == ANN_NAME { WORD } else { "trombone" };
        let text = format!("I play the {word}");
        let fields = json!({"text": text, "mention": true, "author": author});
        sandbox.answer(&sandbox.say(&fields));
        sandbox.answer(&sandbox.direct(author, &format!("and the {word} again")));
    }
    sandbox.answer(&sandbox.direct(ANN_NAME, "/new"));
    let job = [
        "cron",
        "add",
        "--name",
        "wake",
        "--every",
        "1h",
        "--message",
        "good morning",
        "--channel",
        "discord",
        "--to",
    ];
    let to = format!("user:{ANN}");
    let added = gateway.cli(&[&job[..], &[&to]].concat());
    assert!(added.stdout().contains("added"), "{}", added.output());
    // What was damaged and put aside is from the same people.
    std::fs::write(gateway.dir.0.join("state/transcripts.damaged"), WORD).unwrap();
    (sandbox, gateway)
}

fn find<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    match value {
        Value::Object(map) => map.iter().find_map(|(name, value)| {
            (name == key).then(|| value.as_str()).flatten().or_else(|| find(value, key))
        }),
        Value::Array(list) => list.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

trait Code {
    fn code_of(self) -> i32;
}

impl Code for crate::harness::Run {
    fn code_of(mut self) -> i32 {
        self.code()
    }
}

#[test]
fn all_about_a_person_is_told_and_then_gone_from_every_file_and_of_others_nothing() {
    let (sandbox, mut gateway) = used();
    let before = in_files(&gateway, &[ANN, WORD]);
    for name in ["transcripts", "discord.messages", "discord.paired", "cron.log", "damaged"] {
        assert!(before.iter().any(|file| file.contains(name)), "{name}: {before:?}");
    }
    let person = format!("discord:{ANN}");
    let told = gateway.cli(&["person", "export", &person, "--json"]).stdout();
    let told: Value = serde_json::from_str(&told).unwrap();
    let lines = told["lines"].as_array().unwrap();
    let with_word =
        lines.iter().filter(|line| line["text"].as_str().unwrap().contains(WORD)).count();
    assert!(with_word >= 15, "{with_word} of {}", lines.len());
    assert!(lines.iter().any(|line| line["role"] == "summary"), "what was put in short, too");
    assert!(lines.iter().all(|line| !line["text"].as_str().unwrap().contains("trombone")));
    assert_eq!(told["jobs"][0]["name"], "wake");
    assert!(told["accounts"]["discord"]["pairing"].as_array().is_some_and(|all| !all.is_empty()));
    let file = gateway.dir.0.join("ann.json").display().to_string();
    gateway.cli(&["person", "export", &person, "--output", &file]);
    assert!(std::fs::read_to_string(&file).unwrap().contains(WORD));

    let refused = gateway.cli(&["person", "forget", &person]);
    assert!(refused.output().contains("--yes"), "{}", refused.output());
    assert!(!in_files(&gateway, &[WORD]).is_empty());
    let done = gateway.cli(&["person", "forget", &person, "--yes"]);
    assert!(done.stdout().contains("forgotten: "), "{}", done.output());
    assert!(done.stdout().contains("backup"), "{}", done.output());
    assert_eq!(in_files(&gateway, &[ANN, WORD]), [""; 0]);
    gateway.await_channel("connected");
    // Of the other nothing is lost, and it goes on.
    assert!(!in_files(&gateway, &["trombone"]).is_empty());
    let bob = gateway.cli(&["person", "export", &format!("discord:{BOB}"), "--json"]).stdout();
    assert!(bob.contains("I play the trombone"), "{bob}");
    let named = gateway.cli(&["person", "forget", &format!("discord:{BOB}"), "--yes"]).stdout();
    assert!(named.contains("b.json5:"), "the configuration names them: {named}");
    gateway.stop();
    assert_eq!(in_files(&gateway, &[ANN, WORD]), [""; 0], "also after the last write");
    gateway.again();
    gateway.await_channel("connected");
    sandbox.direct(ANN_NAME, "who am I?");
    wait("them to be a stranger", PATIENCE, || {
        let listed = gateway.cli(&["pairing", "list", "--json"]).stdout();
        (listed.contains(ANN) && listed.contains("code")).then_some(())
    });
}

#[test]
fn what_a_crash_has_cut_short_is_done_by_the_next_start() {
    let (_sandbox, mut gateway) = used();
    gateway.run.kill();
    let begun = format!(r#"[{{"channel":"discord","id":{ANN}}}]"#);
    write_cell(&gateway.dir.0.join("state/forgetting"), begun.as_bytes());
    assert!(!in_files(&gateway, &[WORD]).is_empty());
    gateway.again();
    gateway.await_channel("connected");
    wait("what was begun to be done", PATIENCE, || {
        in_files(&gateway, &[ANN, WORD]).is_empty().then_some(())
    });
}

/// A small file as the gateway keeps them: magic, length, CRC-32 of length and content.
fn write_cell(path: &Path, content: &[u8]) {
    let size = u32::try_from(content.len()).unwrap().to_le_bytes();
    let mut crc = !0_u32;
    for byte in size.iter().chain(content) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let bytes = [b"bnclcel1", &size[..], &(!crc).to_le_bytes()[..], content].concat();
    std::fs::write(path, bytes).unwrap();
}
