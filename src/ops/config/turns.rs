//! `messages`: what becomes of a message that comes while another one of its chat is answered.

use super::Weight;
use super::read::Reader;
use crate::core::chat::ChannelKind;
use crate::core::turn::{Make, Mode, Rule, Rules};

const MODES: &str = "messages.queue.byChannel";
const MODE: &str = "messages.queue.byChannel.*";
const PAUSES: &str = "messages.inbound.byChannel";
const PAUSE: &str = "messages.inbound.byChannel.*";

/// What the file says of it.
pub(super) fn rules(read: &mut Reader<'_, '_>) -> Rules {
    let usual = Rule::default();
    let cap = read.whole("messages.queue.cap").and_then(|cap| usize::try_from(cap).ok());
    let make = match read.word("messages.queue.drop") {
        Some("old") => Make::Old,
        Some("summarize") => Make::Summary,
        _ => Make::None,
    };
    Rules {
        usual: Rule {
            mode: read.word("messages.queue.mode").map_or(usual.mode, mode),
            cap: cap.unwrap_or(usual.cap),
            make,
            pause: read.span("messages.inbound.debounceMs").unwrap_or(usual.pause),
        },
        modes: of_channels(read, MODES, MODE, |read| read.word(MODE).map(mode)),
        pauses: of_channels(read, PAUSES, PAUSE, |read| read.span(PAUSE)),
    }
}

/// What single services say.
fn of_channels<T>(
    read: &mut Reader<'_, '_>,
    path: &'static str,
    pattern: &'static str,
    value: impl Fn(&mut Reader<'_, '_>) -> Option<T>,
) -> Vec<(ChannelKind, T)> {
    let mut all = Vec::new();
    for entry in read.entries(path) {
        let name = entry.key().trim();
        let channel = ChannelKind::ALL.into_iter().find(|channel| channel.name() == name);
        let value = read.within(pattern, &entry, &value);
        match (channel, value) {
            (Some(channel), Some(value)) => all.push((channel, value)),
            (None, _) => {
                let text = "no such channel is served here, so this says nothing";
                read.note_at(Weight::Note, &entry, text, "");
            }
            (Some(_), None) => {}
        }
    }
    all
}

/// OpenClaw's `followup` is what waits for a turn of its own, and its `steer-backlog` what is heard
/// or waits: here nothing that was heard is answered a second time.
fn mode(word: &str) -> Mode {
    match word {
        "collect" => Mode::Collect,
        "interrupt" => Mode::Interrupt,
        "steer" | "steer-backlog" | "steer+backlog" => Mode::Steer,
        _ => Mode::Queue,
    }
}
