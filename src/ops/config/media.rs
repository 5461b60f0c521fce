//! What listens to voice notes, and what speaks answers.

use std::time::Duration;

use super::Weight;
use super::agents::web_address;
use super::check::{Sources, secret, secret_text};
use super::models::Provider;
use super::raw::Node;
use super::read::Reader;
use crate::base::{Secret, limits, spell};
use crate::proto::media::Sound;

const AUDIO: &str = "tools.media.audio";
const AUDIO_MODELS: &str = "tools.media.audio.models";
const AUDIO_MODEL: &str = "tools.media.audio.models.#";
const TTS: &str = "messages.tts";
const VOICES: &str = "messages.tts.providers";
const VOICE: &str = "messages.tts.providers.*";

/// An endpoint of sound.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SoundEndpoint {
    /// What it is called in the log.
    pub(crate) name: String,
    /// The address that is posted to.
    pub(crate) url: String,
    /// Its key, and what else goes along.
    pub(crate) headers: Vec<(String, Secret)>,
    /// The model; empty if it asks for none.
    pub(crate) model: String,
}

/// `tools.media.audio`: how voice notes become text.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Hearing {
    /// Each is asked when those before it fail.
    pub(crate) endpoints: Vec<SoundEndpoint>,
    /// `language`.
    pub(crate) language: Option<String>,
    /// `maxBytes`.
    pub(crate) bytes_max: u64,
    /// `maxSeconds`.
    pub(crate) seconds_max: u32,
    /// `timeoutSeconds`.
    pub(crate) timeout: Duration,
}

/// `messages.tts`: which answers are spoken, and how.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Speaking {
    /// Who speaks.
    pub(crate) endpoint: SoundEndpoint,
    /// `auto: "always"`: all answers, not only those to what was spoken.
    pub(crate) always: bool,
    /// The voice.
    pub(crate) voice: String,
    /// As what.
    pub(crate) sound: Sound,
    /// `maxTextLength`.
    pub(crate) chars_max: usize,
    /// `timeoutMs`.
    pub(crate) timeout: Duration,
}

/// Ears and mouth, as far as the file gives them.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Media {
    /// The ears.
    pub(crate) hearing: Option<Hearing>,
    /// The mouth.
    pub(crate) speaking: Option<Speaking>,
}

impl Media {
    /// All that must never be shown.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let ears = self.hearing.iter().flat_map(|hearing| &hearing.endpoints);
        let mouth = self.speaking.iter().map(|speaking| &speaking.endpoint);
        let headers = ears.chain(mouth).flat_map(|endpoint| &endpoint.headers);
        headers.map(|(_, secret)| secret)
    }
}

/// Reads both.
pub(super) fn media(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    providers: &[Provider],
) -> Media {
    Media {
        hearing: hearing(read, sources, providers),
        speaking: speaking(read, sources, providers),
    }
}

/// What is written of one endpoint.
#[derive(Default)]
struct Written {
    provider: Option<String>,
    url: Option<String>,
    key: Option<Secret>,
    model: Option<String>,
}

fn hearing(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    providers: &[Provider],
) -> Option<Hearing> {
    let is_on = read.flag("tools.media.audio.enabled");
    let own = Written {
        provider: read.text("tools.media.audio.provider"),
        url: web_address(read, "tools.media.audio.baseUrl"),
        key: key(read, sources, "tools.media.audio.apiKey"),
        model: read.text("tools.media.audio.model"),
    };
    let language = read.text("tools.media.audio.language");
    let language = language.filter(|language| !language.eq_ignore_ascii_case("auto"));
    let bytes_max = read.whole("tools.media.audio.maxBytes").unwrap_or(limits::VOICE_BYTES_MAX);
    let seconds = read.whole("tools.media.audio.maxSeconds").unwrap_or(limits::VOICE_SECONDS_MAX);
    let timeout = read.span("tools.media.audio.timeoutSeconds").unwrap_or(limits::VOICE_TIMEOUT);
    let mut endpoints = Vec::new();
    if own.provider.is_some() || own.url.is_some() {
        endpoints.extend(endpoint(read, sources, providers, (AUDIO, own, "transcriptions")));
    }
    for entry in read.entries(AUDIO_MODELS) {
        if !matches!(entry.value, Node::Map(_)) {
            continue;
        }
        let written = read.within(AUDIO_MODEL, &entry, |read| Written {
            provider: read.text("tools.media.audio.models.#.provider"),
            url: web_address(read, "tools.media.audio.models.#.baseUrl"),
            key: key(read, sources, "tools.media.audio.models.#.apiKey"),
            model: read.text("tools.media.audio.models.#.model"),
        });
        let at = (AUDIO_MODELS, written, "transcriptions");
        endpoints.extend(endpoint(read, sources, providers, at));
    }
    endpoints.truncate(limits::VOICE_ENDPOINTS_MAX);
    let is_wanted = is_on.unwrap_or(true);
    if endpoints.is_empty() && is_on == Some(true) {
        let text = "nothing is named that could listen, so voice notes stay files";
        read.note(Weight::Warning, AUDIO, text, "write its baseUrl, with its /v1");
    }
    let seconds_max = u32::try_from(seconds).unwrap_or(u32::MAX);
    let hearing = Hearing { endpoints, language, bytes_max, seconds_max, timeout };
    Some(hearing).filter(|hearing| is_wanted && !hearing.endpoints.is_empty())
}

fn speaking(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    providers: &[Provider],
) -> Option<Speaking> {
    let auto = read.word("messages.tts.auto").unwrap_or("off");
    let chosen = read.text("messages.tts.provider");
    let chars = read.whole("messages.tts.maxTextLength").unwrap_or(limits::SPEECH_CHARS_MAX);
    let timeout = read.span("messages.tts.timeoutMs").unwrap_or(limits::SPEECH_TIMEOUT);
    let mut voices = Vec::new();
    for entry in read.entries(VOICES) {
        if !matches!(entry.value, Node::Map(_)) {
            continue;
        }
        let name = entry.key().trim().to_owned();
        voices.push(read.within(VOICE, &entry, |read| {
            let written = Written {
                provider: Some(name),
                url: web_address(read, "messages.tts.providers.*.baseUrl"),
                key: key(read, sources, "messages.tts.providers.*.apiKey"),
                model: read.text("messages.tts.providers.*.model"),
            };
            let voice = read.text("messages.tts.providers.*.voice");
            (written, voice, read.word("messages.tts.providers.*.responseFormat"))
        }));
    }
    if matches!(auto, "off" | "never") {
        return None;
    }
    let is_chosen = |written: &Written| match (&chosen, &written.provider) {
        (Some(chosen), Some(name)) => spell::same(chosen, name),
        _ => chosen.is_none(),
    };
    let at = voices.iter().position(|(written, ..)| is_chosen(written));
    let (mut written, voice, format) = match at {
        Some(at) => voices.swap_remove(at),
        None => (Written { provider: chosen, ..Written::default() }, None, None),
    };
    if written.provider.is_none() {
        let text = "nothing is named that could speak, so answers are only written";
        read.note(Weight::Warning, TTS, text, "write messages.tts.providers.NAME.baseUrl");
        return None;
    }
    let model = written.model.take().unwrap_or_else(|| "gpt-4o-mini-tts".to_owned());
    written.model = Some(model);
    Some(Speaking {
        endpoint: endpoint(read, sources, providers, (TTS, written, "speech"))?,
        always: auto == "always",
        voice: voice.unwrap_or_else(|| "alloy".to_owned()),
        sound: if format == Some("mp3") { Sound::Mp3 } else { Sound::Opus },
        chars_max: usize::try_from(chars).unwrap_or(usize::MAX),
        timeout,
    })
}

/// The endpoint of what is `written` at `at`, if its address is known.
fn endpoint(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    providers: &[Provider],
    (at, written, what): (&str, Written, &str),
) -> Option<SoundEndpoint> {
    let Written { provider, url, key, model } = written;
    let name = provider.unwrap_or_else(|| "voice".to_owned());
    let known = providers.iter().find(|provider| provider.is_called(&name)).cloned();
    let known = known.unwrap_or_else(|| Provider::known(&name));
    let (base, known_key, wants_key) = known.asked(sources);
    let is_own = url.as_ref().is_some_and(|url| *url != base);
    let base = url.unwrap_or(base);
    if base.is_empty() {
        let text = "no provider of that name is known, so it is left out";
        read.note(Weight::Warning, at, text, "write its baseUrl, with its /v1");
        return None;
    }
    // A key belongs to the address that it was given for.
    let key = key.or(known_key.filter(|_| !is_own));
    if key.is_none() && wants_key && !is_own {
        read.note(Weight::Warning, at, "its provider wants a key, and there is none", "set apiKey");
    }
    let base = base.trim_end_matches('/');
    // The server of whisper.cpp has a path of its own, unless it is told another.
    let is_whole = ["/inference", "/transcriptions", "/speech"].iter().any(|e| base.ends_with(e));
    let url = if is_whole { base.to_owned() } else { format!("{base}/audio/{what}") };
    let bearer = key.map(|key| Secret::new(&format!("Bearer {}", key.expose())));
    let headers = bearer.map(|bearer| ("authorization".to_owned(), bearer));
    Some(SoundEndpoint {
        name,
        url,
        headers: headers.into_iter().collect(),
        model: model.unwrap_or_default(),
    })
}

fn key(read: &mut Reader<'_, '_>, sources: &Sources<'_>, path: &'static str) -> Option<Secret> {
    let written = read.own(path, secret)?;
    match secret_text(&written, sources) {
        Ok(key) => Some(Secret::new(&key)).filter(|_| !key.is_empty()),
        Err(why) => {
            read.note(Weight::Warning, path, &format!("the key cannot be had: {why}"), "");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::config::check::check;
    use crate::ops::config::env::Env;
    use crate::ops::config::{Config, Mistake, raw};

    fn read(env: &[(&str, &str)], text: &str) -> (Config, Vec<Mistake>) {
        let env = Env::of(env);
        check(text, raw::parse(text).expect("a file"), &Sources::bare(&env))
    }

    #[test]
    fn ears_and_a_mouth_need_little_more_than_an_address() {
        let text = r#"{
            tools: {media: {audio: {baseUrl: "http://10.0.0.2:8080/v1/", language: "auto",
                maxSeconds: 60, apiKey: "k1",
                models: [{provider: "openai", model: "whisper-1"}]}}},
            messages: {tts: {auto: "inbound", providers: {
                home: {baseUrl: "http://10.0.0.2:8880/v1", voice: "af_sky", model: "kokoro",
                       responseFormat: "mp3"}}}},
        }"#;
        let (config, mistakes) = read(&[("OPENAI_API_KEY", "k2")], text);
        assert_eq!(mistakes, []);
        let hearing = config.media.hearing.clone().unwrap();
        let of = |endpoint: &SoundEndpoint| {
            (
                endpoint.url.clone(),
                endpoint.model.clone(),
                endpoint.headers[0].1.expose().to_owned(),
            )
        };
        let [home, openai] = &hearing.endpoints[..] else { panic!("{hearing:?}") };
        let url = "http://10.0.0.2:8080/v1/audio/transcriptions";
        assert_eq!(of(home), (url.into(), String::new(), "Bearer k1".into()));
        let url = "https://api.openai.com/v1/audio/transcriptions";
        assert_eq!(of(openai), (url.into(), "whisper-1".into(), "Bearer k2".into()));
        assert_eq!((hearing.language, hearing.seconds_max), (None, 60));
        let speaking = config.media.speaking.clone().unwrap();
        assert_eq!(speaking.endpoint.url, "http://10.0.0.2:8880/v1/audio/speech");
        assert!(!speaking.always && speaking.sound == Sound::Mp3 && speaking.voice == "af_sky");
        let shown: Vec<&str> = config.media.secrets().map(Secret::expose).collect();
        assert_eq!(shown, ["Bearer k1", "Bearer k2"]);
        assert!(!format!("{config:?}").contains("k2"));
    }

    #[test]
    fn nothing_is_heard_or_said_unless_it_is_wished_for() {
        let (config, mistakes) = read(&[], "{}");
        assert_eq!((config.media, mistakes), (Media::default(), vec![]));
        let off = r#"{tools: {media: {audio: {enabled: false, baseUrl: "http://h/v1"}}},
            messages: {tts: {auto: "never", providers: {a: {baseUrl: "http://h/v1"}}}}}"#;
        assert_eq!(read(&[], off).0.media, Media::default());
    }

    #[test]
    fn a_key_stays_with_its_address_and_what_is_missing_is_said() {
        let elsewhere = r#"{tools: {media: {audio: {provider: "openai",
            baseUrl: "http://10.0.0.9/inference"}}}}"#;
        let (config, mistakes) = read(&[("OPENAI_API_KEY", "k2")], elsewhere);
        let endpoint = &config.media.hearing.unwrap().endpoints[0];
        assert_eq!(
            (endpoint.url.as_str(), endpoint.headers.len()),
            ("http://10.0.0.9/inference", 0)
        );
        assert_eq!(mistakes, []);
        for (text, said) in [
            (r"{tools: {media: {audio: {enabled: true}}}}", "nothing is named that could listen"),
            (r#"{messages: {tts: {auto: "always"}}}"#, "nothing is named that could speak"),
            (r#"{messages: {tts: {auto: "always", provider: "who"}}}"#, "write its baseUrl"),
            (r#"{tools: {media: {audio: {provider: "openai"}}}}"#, "wants a key"),
        ] {
            let mistakes = read(&[], text).1;
            let is_said = mistakes.iter().any(|mistake| mistake.to_string().contains(said));
            assert!(is_said, "{text}: {mistakes:?}");
        }
    }
}
