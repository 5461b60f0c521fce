//! What becomes of what is said while an answer is under way, and how that is shown.

use std::time::Duration;

use super::super::keys::{Key, Kind, Unit, key, later, moot};
use super::HOUR;
use crate::base::limits;

/// What becomes of a message that comes while its chat is answered, in OpenClaw's words.
const QUEUE_MODES: Kind =
    Kind::Word(&["queue", "collect", "interrupt", "steer", "followup", "steer-backlog"]);
const DEBOUNCE: Kind = Kind::Span(Unit::Millis, Duration::ZERO, limits::TURN_DEBOUNCE_MAX);

pub(super) const KEYS: &[Key] = &[
    key(
        "agents.defaults.maxToolRounds",
        Kind::Whole(0, 64),
        "8",
        "how often in one answer the model may call tools; then it has to say something",
    ),
    key(
        "agents.defaults.llm.idleTimeoutSeconds",
        Kind::Span(Unit::Seconds, Duration::ZERO, HOUR),
        "45 while there is another model to ask, else as long as the answer may take",
        "how long the model may take for its first word, and between two; 0 is no bound",
    ),
    key(
        "channels.discord.streaming",
        Kind::Own("off, partial, block, progress, true, false or { mode: … }"),
        "partial",
        "whether a model's answer is shown while it is written: one message, edited as words come; \
         block and progress are served as partial",
    ),
    key(
        "channels.discord.streamMode",
        Kind::Own("off, partial or block"),
        "channels.discord.streaming",
        "older files' streaming",
    ),
    key(
        "messages.queue.mode",
        QUEUE_MODES,
        "queue (steer in OpenClaw)",
        "what becomes of a message that comes while its chat is answered: it waits for its own \
         answer (queue), all that waited have one (collect), it breaks that answer off \
         (interrupt), or a model hears it while it works (steer)",
    ),
    key("messages.queue.byChannel.*", QUEUE_MODES, "messages.queue.mode", "for one channel"),
    key(
        "messages.queue.cap",
        Kind::Whole(1, limits::TURN_QUEUE_CAP_MAX),
        "20",
        "messages that may wait in one chat",
    ),
    key(
        "messages.queue.drop",
        Kind::Word(&["new", "old", "summarize"]),
        "new (summarize in OpenClaw)",
        "which makes room where too many wait: the new one, the oldest, or the oldest cut short \
         and told with the next",
    ),
    moot("messages.queue.debounceMs", "messages.inbound.debounceMs gathers bursts"),
    moot("messages.queue.debounceMsByChannel", "messages.inbound.byChannel gathers bursts"),
    key(
        "messages.inbound.debounceMs",
        DEBOUNCE,
        "0",
        "for so long a message waits for the next of its author in its chat: they are one",
    ),
    key("messages.inbound.byChannel.*", DEBOUNCE, "messages.inbound.debounceMs", "for one channel"),
    later("messages.removeAckAfterReply"),
    later("messages.statusReactions"),
    later("messages.suppressToolErrors"),
];
