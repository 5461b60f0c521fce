//! The keys of language models, and of what hears and speaks.

use std::time::Duration;

use super::super::keys::{Key, Kind, Unit, key, later, moot};
use super::{HOUR, WINDOW};
use crate::base::limits;

/// What a million tokens cost.
const COST: Kind = Kind::Number(0.0, 100_000.0);

/// In the order of the manual.
pub(super) const KEYS: &[Key] = &[
    key(
        "models.providers.*.baseUrl",
        Kind::Text,
        "known for anthropic, openai, openrouter, groq, mistral, ollama, lmstudio and llamacpp",
        "where the provider is asked, with its /v1",
    ),
    key(
        "models.providers.*.apiKey",
        Kind::Secret,
        "NAME_API_KEY of the environment, NAME_API_KEY_FILE, or the credential name-api-key",
        "the provider's key",
    ),
    key(
        "models.providers.*.api",
        Kind::Word(&["openai-completions", "anthropic-messages", "openai", "anthropic"]),
        "openai-completions, or anthropic-messages for anthropic",
        "how the provider is spoken to",
    ),
    key("models.providers.*.headers.*", Kind::Secret, "none", "a header that goes along"),
    key("models.providers.*.models.#.id", Kind::Text, "none", "a model whose cost is written"),
    key(
        "models.providers.*.models.#.cost.input",
        COST,
        "0",
        "what a million tokens of questions cost",
    ),
    key("models.providers.*.models.#.cost.output", COST, "0", "the same of answers"),
    key("models.providers.*.models.#.cost.cacheRead", COST, "0", "and of what it had kept"),
    later("models.providers.*.models.#.cost.cacheWrite"),
    moot("models.providers.*.models.#.name", "the model is shown by its id"),
    key(
        "models.providers.*.models.#.contextWindow",
        WINDOW,
        "16384",
        "tokens that the model reads at once; of longer conversations it makes a summary",
    ),
    later("models.providers.*.models.#.maxTokens"),
    later("models.providers.*.models.#.reasoning"),
    key(
        "models.providers.*.models.#.input",
        Kind::Own("a list of \"text\" and \"image\""),
        "text and image for anthropic and openai, or text",
        "what the model takes; one with image is shown the pictures of messages",
    ),
    later("models.providers.*.auth"),
    later("models.providers.*.authHeader"),
    later("models.mode"),
    key(
        "tools.media.audio.enabled",
        Kind::Flag,
        "true where something is named that listens",
        "whether voice notes become text",
    ),
    key(
        "tools.media.audio.provider",
        Kind::Text,
        "none",
        "what listens: a name of models.providers, such as openai or groq",
    ),
    key(
        "tools.media.audio.baseUrl",
        Kind::Text,
        "that of models.providers.NAME",
        "where it is asked, with its /v1: POST baseUrl/audio/transcriptions; a whole address \
         that ends in /inference (whisper.cpp) stays as it is",
    ),
    key("tools.media.audio.apiKey", Kind::Secret, "that of models.providers.NAME", "its key"),
    key("tools.media.audio.model", Kind::Text, "none", "the model: whisper-1, for example"),
    key(
        "tools.media.audio.models.#.provider",
        Kind::Text,
        "none",
        "what listens when that fails; each of the list is tried in turn",
    ),
    key("tools.media.audio.models.#.baseUrl", Kind::Text, "the provider's", "where it is asked"),
    key("tools.media.audio.models.#.apiKey", Kind::Secret, "the provider's", "its key"),
    key("tools.media.audio.models.#.model", Kind::Text, "none", "the model"),
    key("tools.media.audio.language", Kind::Text, "found out", "what is spoken: en, de …"),
    key(
        "tools.media.audio.maxBytes",
        Kind::Whole(1, limits::MEDIA_HELD_BYTES_MAX),
        "8388608",
        "larger recordings are not listened to, and that is said",
    ),
    key("tools.media.audio.maxSeconds", Kind::Whole(1, 7200), "300", "longer voice notes neither"),
    key(
        "tools.media.audio.timeoutSeconds",
        Kind::Span(Unit::Seconds, Duration::from_secs(1), HOUR),
        "60",
        "how long listening may take, within the agent's own timeout",
    ),
    later("tools.media.audio.scope"),
    later("tools.media.audio.prompt"),
    later("tools.media.audio.maxChars"),
    later("tools.media.audio.attachments"),
    later("tools.media.audio.echoTranscript"),
    moot("tools.media.image", "models that see are shown pictures as they are"),
    later("tools.media.video"),
    later("tools.media.concurrency"),
    later("tools.media.models"),
    key(
        "messages.tts.auto",
        Kind::Word(&["off", "never", "inbound", "always"]),
        "off",
        "which answers are spoken, as a file with the text: none, those to voice notes, or all",
    ),
    key(
        "messages.tts.provider",
        Kind::Text,
        "the first of messages.tts.providers",
        "which of them speaks",
    ),
    key(
        "messages.tts.providers.*.baseUrl",
        Kind::Text,
        "that of models.providers.NAME",
        "where it is asked, with its /v1: POST baseUrl/audio/speech",
    ),
    key(
        "messages.tts.providers.*.apiKey",
        Kind::Secret,
        "that of models.providers.NAME",
        "its key",
    ),
    key("messages.tts.providers.*.model", Kind::Text, "gpt-4o-mini-tts", "the model"),
    key("messages.tts.providers.*.voice", Kind::Text, "alloy", "the voice, as it calls it"),
    key(
        "messages.tts.providers.*.responseFormat",
        Kind::Word(&["opus", "mp3"]),
        "opus",
        "how the file is written",
    ),
    key(
        "messages.tts.maxTextLength",
        Kind::Whole(1, 20_000),
        "1500",
        "longer answers are only written",
    ),
    key(
        "messages.tts.timeoutMs",
        Kind::Span(Unit::Millis, Duration::from_secs(1), HOUR),
        "30s",
        "how long speaking may take; the text is sent in any case",
    ),
    moot("messages.tts.enabled", "messages.tts.auto says it"),
    moot("messages.tts.mode", "the whole answer is spoken, once"),
    later("messages.tts.summaryModel"),
    later("messages.tts.modelOverrides"),
    later("messages.tts.prefsPath"),
    later("messages.ackReaction"),
    later("messages.ackReactionScope"),
    later("messages.groupChat"),
    later("messages.responsePrefix"),
    later("messages.messagePrefix"),
];
