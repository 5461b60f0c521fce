//! The limits of agents that are language models.

use std::time::Duration;

use super::AGENT_OUTPUT_BYTES_MAX;

/// One event of a language model's stream, which bears a few words, or at most one tool's call.
pub const LLM_EVENT_BYTES_MAX: usize = 1024 * 1024;
/// A model's stream, in which each word is wrapped in some hundred bytes.
pub const LLM_STREAM_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a model says in one answer: as much as an agent of another kind may.
pub const LLM_TEXT_BYTES_MAX: usize = AGENT_OUTPUT_BYTES_MAX;
/// Tools that a model may call in one answer.
pub const LLM_CALLS_MAX: usize = 32;
/// The arguments of one call: a long text to be written somewhere, and some more.
pub const LLM_CALL_BYTES_MAX: usize = 256 * 1024;
/// Models of one agent: who lists more waits too long for the last of them.
pub const LLM_MODELS_MAX: usize = 8;
/// How long an answer may become if nobody says, in tokens: about what is read in a chat at all.
pub const LLM_TOKENS_MAX: u64 = 4096;
/// How long a model rests after its first failure: about as long as people wait without a word.
pub const LLM_REST_FIRST: Duration = Duration::from_secs(2);
/// By how much each further rest is longer.
pub const LLM_REST_GROWTH: u32 = 3;
/// The longest rest: an outage of a provider is over at some time, and somebody waits.
pub const LLM_REST_MAX: Duration = Duration::from_secs(60);
/// How long a model rests that a person has to do something about first.
pub const LLM_REST_OF_REFUSAL: Duration = Duration::from_secs(300);
/// How long a provider may want to be left alone.
pub const LLM_WAIT_MAX: Duration = Duration::from_secs(600);
/// How long a model may take for its first word, and between two, while there is another to ask.
/// One that is alone has as long as its turn: small machines think slowly.
pub const LLM_SILENCE: Duration = Duration::from_secs(45);
/// How long a turn waits for a model that rests.
pub const LLM_PATIENCE: Duration = Duration::from_secs(15);
/// How often in one turn a model may be told what its tools gave back.
pub const LLM_ROUNDS_MAX: u32 = 8;
/// Lines of a conversation that a model is told in their words; long before, the older ones are put
/// in short.
pub const LLM_HISTORY_LINES_MAX: usize = 400;
/// The same in bytes, however much a model reads: each turn that is under way holds as much.
pub const LLM_HISTORY_BYTES_MAX: usize = 768 * 1024;
/// What a model reads at once, in tokens, if nobody says: every model of today reads as much.
pub const LLM_WINDOW: u64 = 16_384;
/// The smallest window that makes sense: a question, an answer, and a few lines.
pub const LLM_WINDOW_MIN: u64 = 1024;
/// Bytes of a token, in thousandths, before a provider has counted any: a little less than English
/// has, and so rather too many tokens than too few.
pub const GAUGE_USUAL: u64 = 3000;
/// The fewest that are believed: scripts whose every letter is a token or two.
pub const GAUGE_BYTES_MIN: u64 = 1000;
/// The most.
pub const GAUGE_BYTES_MAX: u64 = 8000;
/// Questions in which one summary is made: of more the oldest lines are given up, since somebody
/// waits.
pub const COMPACT_PIECES_MAX: usize = 6;
/// Lines that are kept in their words, if they fit at all: what was asked last and its answer.
pub const COMPACT_KEPT_MIN: usize = 2;
/// A summary may take this part of what a conversation may take.
pub const COMPACT_SUMMARY_SHARE: u64 = 8;
/// The longest summary.
pub const COMPACT_SUMMARY_BYTES_MAX: usize = 12 * 1024;
/// How long a summary may take of a turn: the answer needs the rest.
pub const COMPACT_DEADLINE: Duration = Duration::from_secs(60);
/// How long no summary is tried in a session in which one has failed: what did not fit is left out
/// meanwhile.
pub const COMPACT_REST: Duration = Duration::from_secs(600);
/// Sessions of which it is known that one has failed.
pub const COMPACT_FAILED_MAX: usize = 64;
/// The file of what was spent, with as many chats as are counted.
pub const BUDGET_BYTES_MAX: u32 = 512 * 1024;
/// Messages that may join a turn that is under way; more wait for one of their own.
pub const LLM_JOINED_MAX: usize = 8;
/// Chats whose spending is counted by itself.
pub const BUDGET_CHATS_MAX: usize = 1024;
/// Messages of one request to our own chat completions.
pub const COMPLETION_MESSAGES_MAX: usize = 512;
/// What of such a request an agent is asked: as much as a transcript keeps of one line.
pub const COMPLETION_TEXT_BYTES_MAX: usize = super::TRANSCRIPT_TEXT_BYTES_MAX;
/// Requests at a time whose client names no user: each has a session for itself meanwhile.
pub const COMPLETION_SLOTS_MAX: usize = 8;
/// Pieces of an answer that wait for its client.
pub const COMPLETION_NEWS_MAX: usize = 16;
/// How often a stream on which nothing is said shows that it lives: less than the minute after
/// which proxies lose patience.
pub const COMPLETION_STILL: Duration = Duration::from_secs(15);
