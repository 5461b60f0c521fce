//! The labelled conversations, and how they are gone through.
//!
//! A file has a line for each message: seconds since the one before, who says it (`*`: a program),
//! whether it is for the assistant (`y`, `n`; `-` is the assistant's own), how many messages back
//! the one lies that it replies to (0: none), and the text. A line with `#` begins a conversation:
//! its name and what kind of place it is:
//! `thread`, `busy` (much is said, by people at work or at play, and little of it to us), or
//! `channel`; and perhaps its part, which was chosen before anybody looked at how it is judged.

use std::path::Path;

use barnacle::core::chat::{ChannelKind, ChatId, Inbound};
use barnacle::core::intent::memory::Memory;
use barnacle::core::intent::{Features, Names};

/// The assistant's number, and that of the server.
const ME: u64 = 1;
const GUILD: u64 = 9;

pub(crate) struct Conversation {
    pub(crate) name: String,
    pub(crate) is_thread: bool,
    pub(crate) is_busy: bool,
    pub(crate) part: Part,
    pub(crate) messages: Vec<Message>,
}

/// What a conversation is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// The table is trained on it, and cues are made by looking at it.
    Train,
    /// How to train is chosen by it.
    Check,
    /// The figures are taken from it, and nothing else.
    Test,
}

pub(crate) struct Message {
    gap_s: u64,
    who: String,
    is_bot: bool,
    /// `None` is the assistant's own.
    pub(crate) for_us: Option<bool>,
    back: usize,
    pub(crate) text: String,
    pub(crate) mentions_us: bool,
}

/// All of them, in the order of the files' names.
pub(crate) fn read() -> Vec<Conversation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/intent");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all: Vec<Conversation> = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "tsv")) {
        let file = path.file_stem().unwrap().to_string_lossy();
        let before = all.len();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["#", name, kind, ref part @ ..] => all.push(Conversation {
                    name: name.to_owned(),
                    is_thread: kind == "thread",
                    is_busy: kind == "busy",
                    part: match part {
                        ["check"] => Part::Check,
                        ["test"] => Part::Test,
                        // Of older files every third was kept from training, and was looked at.
                        [] if (all.len() - before) % 3 == 2 => Part::Check,
                        ["train"] | [] => Part::Train,
                        _ => panic!("{file}: {line}"),
                    },
                    messages: Vec::new(),
                }),
                [gap, who, label, back, text] => {
                    let conversation = all.last_mut().expect("a conversation has begun");
                    conversation.messages.push(message(gap, who, label, back, text));
                }
                _ => panic!("{file}: {line}"),
            }
        }
    }
    all
}

fn message(gap: &str, who: &str, label: &str, back: &str, text: &str) -> Message {
    let for_us = match label {
        "y" => Some(true),
        "n" => Some(false),
        "-" => None,
        _ => panic!("the label of {text}"),
    };
    // As the doors see it: the mention of us that it begins with is taken off.
    let mentions_us = text.contains("@Barney");
    let plain = text.strip_prefix("@Barney").map_or(text, str::trim_start);
    Message {
        gap_s: gap.parse().unwrap(),
        who: who.trim_end_matches('*').to_owned(),
        is_bot: who.ends_with('*'),
        for_us,
        back: back.parse().unwrap(),
        text: mentions(&plain.replace("\\n", "\n")),
        mentions_us,
    }
}

/// `@ann` as Discord writes it.
fn mentions(text: &str) -> String {
    let mut parts = text.split_inclusive(' ').map(|part| {
        let Some(rest) = part.strip_prefix('@') else { return part.to_owned() };
        let end = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
        format!("<@{}>{}", author(&rest[..end]), &rest[end..])
    });
    parts.by_ref().collect()
}

fn author(who: &str) -> u64 {
    if who.eq_ignore_ascii_case("barney") {
        return ME;
    }
    who.bytes().fold(7, |sum, byte| sum.wrapping_mul(131) + u64::from(byte))
}

impl Conversation {
    /// Goes through it: `judge` is given each message of a person and what holds about it, and
    /// says whether it goes on to an agent.
    pub(crate) fn play(&self, mut judge: impl FnMut(&Message, Features) -> bool) {
        let names = Names::of(["Barney"]);
        let mut memory = Memory::default();
        let mut at = 600_000_000;
        let (mut ids, mut asked) = (Vec::new(), None);
        for message in &self.messages {
            at += message.gap_s * 1000;
            let id = (at << 22) + ids.len() as u64;
            // Our answers point at what they answer, as they do unless they are told otherwise.
            let replied = match message.for_us {
                None => asked,
                Some(_) => message.back.checked_sub(1).map(|back| ids.len() - 1 - back),
            };
            let reply_to = replied.map(|at| ids[at]);
            let is_reply_to_us = replied
                .filter(|_| message.for_us.is_some())
                .is_some_and(|at| self.messages[at].for_us.is_none());
            let inbound = Inbound {
                chat: ChatId { channel: ChannelKind::Discord, id: 5 },
                id,
                seq: 1,
                guild: Some(GUILD),
                parent: self.is_thread.then_some(4),
                author: author(&message.who),
                author_name: &message.who,
                roles: &[],
                from_bot: message.is_bot || message.for_us.is_none(),
                from_self: message.for_us.is_none(),
                mentions_us: message.mentions_us || is_reply_to_us,
                mentions: &[],
                called: None,
                reply_author: None,
                reply_to,
                late: false,
                text: &message.text,
                text_cut: false,
                has_more: message.text == "[image]",
                attachments: &[],
            };
            let goes_on =
                message.for_us.is_some() && { judge(message, memory.features(&inbound, &names)) };
            memory.hear(&inbound, goes_on);
            asked = if message.for_us == Some(true) { Some(ids.len()) } else { asked };
            ids.push(id);
        }
    }
}
