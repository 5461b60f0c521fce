//! The endpoints that listen and speak.

use std::time::Duration;

use super::super::ask;
use crate::base::limits::{SPEECH_BYTES_MAX, TURNS_RUNNING_MAX, VOICE_ANSWER_BYTES_MAX};
use crate::base::text::Plain;
use crate::base::{Instant, Secret};
use crate::core::media::Lapse;
use crate::proto::media::{self, Form, Recording, Sound};
use crate::rt::clock;
use crate::rt::executor::Tier;
use crate::rt::net::Net;
use crate::rt::net::http::{Client, Response};

/// An endpoint, and what it is asked with.
#[derive(Debug)]
pub struct Endpoint {
    /// What it is called, for the log.
    pub name: String,
    /// The whole address that is posted to.
    pub url: Secret,
    /// What goes along, the key among it.
    pub headers: Vec<(String, Secret)>,
    /// The model; some ask for none.
    pub model: String,
}

/// How voice notes become text.
#[derive(Debug)]
pub struct Ears {
    /// Each is asked when those before it fail.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken, if that is known: `en`.
    pub language: Option<String>,
    /// The largest recording that is listened to …
    pub bytes_max: u64,
    /// … how long it may play …
    pub seconds_max: u32,
    /// … and how long listening may take.
    pub timeout: Duration,
}

/// When answers are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// To who has spoken.
    Inbound,
    /// All of them.
    Always,
}

/// How answers are spoken.
#[derive(Debug)]
pub struct Mouth {
    /// Who speaks.
    pub endpoint: Endpoint,
    /// In which voice.
    pub voice: String,
    /// As what.
    pub sound: Sound,
    /// Which answers.
    pub when: When,
    /// Longer ones are only written.
    pub chars_max: usize,
    /// How long it may take.
    pub timeout: Duration,
}

/// The way to both.
#[derive(Debug)]
pub(super) struct Studio(Client);

impl Studio {
    pub(super) fn new(net: &Net) -> Studio {
        Studio(Client::new(net, Tier::Work).places(TURNS_RUNNING_MAX))
    }

    /// What is said in `recording`, by `by`.
    pub(super) async fn listen(
        &self,
        ears: &Ears,
        recording: Recording<'_>,
        by: Instant,
    ) -> Result<String, Lapse> {
        let by = by.min(clock::now() + ears.timeout);
        let mut last = Lapse::Unreachable;
        for endpoint in &ears.endpoints {
            let heard = clock::timeout(by, self.hear(endpoint, ears, recording)).await;
            match heard {
                Some(Ok(words)) => return Ok(words),
                Some(Err(lapse)) => last = lapse,
                None => return Err(Lapse::Slow),
            }
        }
        Err(last)
    }

    async fn hear(
        &self,
        endpoint: &Endpoint,
        ears: &Ears,
        recording: Recording<'_>,
    ) -> Result<String, Lapse> {
        let Form { content_type, bytes } =
            recording.form(&endpoint.model, ears.language.as_deref());
        let body = (content_type.as_str(), bytes);
        let answer = self.ask(endpoint, body, VOICE_ANSWER_BYTES_MAX).await?;
        let words = media::transcript(&answer.body).map_err(|why| {
            log::warn!(target: "agent", "{}: {}", endpoint.name, Plain(&why));
            Lapse::Garbled
        })?;
        if words.is_empty() { Err(Lapse::Empty) } else { Ok(words) }
    }

    /// `text` as sound.
    pub(super) async fn speak(&self, mouth: &Mouth, text: &str) -> Result<Vec<u8>, Lapse> {
        let Mouth { endpoint, voice, sound, .. } = mouth;
        let body = media::speech(&endpoint.model, voice, *sound, text);
        let asked = self.ask(endpoint, ("application/json", body), SPEECH_BYTES_MAX);
        let answer = clock::timeout(clock::now() + mouth.timeout, asked).await;
        let bytes = answer.ok_or(Lapse::Slow)??.body;
        match media::sniff(&bytes) {
            Some(kind) if kind.starts_with("audio/") => Ok(bytes),
            _ if bytes.is_empty() => Err(Lapse::Empty),
            _ => {
                log::warn!(target: "agent", "{}: what came is no sound", endpoint.name);
                Err(Lapse::Garbled)
            }
        }
    }

    async fn ask(
        &self,
        endpoint: &Endpoint,
        body: (&str, Vec<u8>),
        bytes_max: usize,
    ) -> Result<Response, Lapse> {
        let post = ask::post(endpoint.url.expose(), body, &endpoint.headers, bytes_max);
        let answer = Box::pin(self.0.send(post)).await.map_err(|error| {
            log::warn!(target: "agent", "{}: {error}", endpoint.name);
            ask::lapse(error)
        })?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let status = answer.status.as_u16();
        let words = media::complaint_of(&answer.body);
        log::warn!(
            target: "agent",
            "{} answered with HTTP {status}: {}",
            endpoint.name,
            Plain(&words)
        );
        Err(Lapse::Refused(status))
    }
}
