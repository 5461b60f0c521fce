//! The agent that is an HTTP endpoint: each message is posted to it as JSON, and its answer comes
//! back as JSON, as text, or as a stream of events (`core::output` says how).

use std::time::Duration;

use super::document;
use super::exec::{plain_name, tell_left_out, tell_unread};
use super::{Hears, ask};
use crate::base::limits::{AGENT_OUTPUT_BYTES_MAX, AGENT_RETRY_AFTER_MAX, TURNS_RUNNING_MAX};
use crate::base::text::Plain;
use crate::base::{Instant, Secret};
use crate::core::answer::{Answer, File};
use crate::core::chat::Request;
use crate::core::output::{self, Attachment, Source, Stream, Unread};
use crate::core::turn::Fault;
use crate::proto::sse::Events;
use crate::rt::clock;
use crate::rt::executor::Tier;
use crate::rt::net::Net;
use crate::rt::net::http::{self, Client, Heard, Response, StatusCode};

/// What endpoints are asked to answer with.
const ACCEPT: &str = "application/json, text/event-stream, text/plain;q=0.9, */*;q=0.1";

/// See the module.
#[derive(Debug)]
pub struct Http {
    client: Client,
    url: Secret,
    /// Where it is, for the log: without a path or a query, which may hold a secret.
    place: String,
    headers: Vec<(String, Secret)>,
}

impl Http {
    /// The endpoint at `url`, of whom `headers` are asked.
    #[must_use]
    pub fn new(net: &Net, url: &str, headers: Vec<(String, Secret)>) -> Http {
        let place: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let place = match place.split_once('@') {
            Some((_, host)) => format!("…@{host}"),
            None => place,
        };
        // Each of its turns may be one request.
        let client = Client::new(net, Tier::Work).places(TURNS_RUNNING_MAX);
        Http { client, url: Secret::new(url), place: Plain(&place).to_string(), headers }
    }

    /// What the endpoint answers to `request` by `by`; of a stream `listener` is told each piece.
    ///
    /// # Errors
    /// It gave no answer. The log says more than the fault does.
    pub async fn answer(
        &self,
        request: &Request,
        by: Instant,
        listener: Hears<'_>,
    ) -> Result<Answer, Fault> {
        let mut heard = Hearing::new(listener);
        let mut response = Box::pin(self.post(request, &mut heard)).await?;
        if let Some(wait) = retry_after(&response)
            && clock::now() + wait < by
        {
            clock::sleep(wait).await;
            heard = Hearing::new(listener);
            response = Box::pin(self.post(request, &mut heard)).await?;
        }
        if !response.status.is_success() {
            let shown = String::from_utf8_lossy(&response.body);
            let shown = shown.trim().chars().take(200).collect::<String>();
            log::warn!(
                target: "agent",
                "{} answered with HTTP {}: {}",
                self.place,
                response.status.as_u16(),
                Plain(&shown)
            );
            return Err(Fault::Refused(response.status.as_u16()));
        }
        let wishes = match heard.events {
            Some(_) => heard.finish(),
            None if response.status == StatusCode::NO_CONTENT => Ok(Vec::new()),
            None => output::of_endpoint(ask::kind(&response.headers), &response.body),
        };
        let wishes = wishes.map_err(|unread| tell_unread(&self.place, &unread))?;
        let (answer, left_out) = output::answer(wishes, attach);
        tell_left_out(&self.place, left_out);
        Ok(answer)
    }

    async fn post(&self, request: &Request, heard: &mut Hearing<'_>) -> Result<Response, Fault> {
        let body = ("application/json", document::of(request));
        let post = ask::post(self.url.expose(), body, &self.headers, AGENT_OUTPUT_BYTES_MAX)
            .header("accept", ACCEPT)
            .header("idempotency-key", &document::key(request));
        let hear = |head: &http::Parts, piece: &[u8]| heard.hear(head, piece);
        self.client.send_heard(post, hear).await.map_err(|error| {
            log::warn!(target: "agent", "{}: {error}", self.place);
            ask::fault(error)
        })
    }
}

/// Listens to an answer as it comes, if it is a stream of events.
struct Hearing<'a> {
    events: Option<Events>,
    stream: Stream,
    bytes: usize,
    failed: Option<Unread>,
    listener: Hears<'a>,
    /// How much of what was said is told.
    told: usize,
}

impl<'a> Hearing<'a> {
    fn new(listener: Hears<'a>) -> Hearing<'a> {
        let (events, stream, failed) = (None, Stream::default(), None);
        Hearing { events, stream, bytes: 0, failed, listener, told: 0 }
    }

    fn hear(&mut self, head: &http::Parts, piece: &[u8]) -> Heard {
        if !ask::is_event_stream(&head.headers) || !head.status.is_success() {
            return Heard::Keep;
        }
        let Hearing { events, stream, bytes, failed, listener, told } = self;
        let events = events.get_or_insert_with(|| Events::new(AGENT_OUTPUT_BYTES_MAX));
        *bytes += piece.len();
        let mut each = |name: &str, data: &str| {
            if failed.is_none() {
                *failed = stream.hear(name, data).err();
            }
        };
        let is_long = events.feed(piece, &mut each).is_err() || *bytes > AGENT_OUTPUT_BYTES_MAX;
        if is_long && failed.is_none() {
            let why = format!("more than {AGENT_OUTPUT_BYTES_MAX} bytes");
            *failed = Some(Unread { fault: Fault::TooLong, why });
        }
        if let Some(new) = stream.said().get(*told..).filter(|new| !new.is_empty()) {
            listener.more(new);
            listener.so_far(stream.said());
            *told += new.len();
        }
        if failed.is_some() || stream.is_over() { Heard::Enough } else { Heard::Taken }
    }

    fn finish(mut self) -> Result<Vec<output::Wish>, Unread> {
        if let Some(mut events) = self.events.take() {
            events.finish(&mut |name, data| {
                if self.failed.is_none() {
                    self.failed = self.stream.hear(name, data).err();
                }
            });
        }
        match self.failed {
            Some(unread) => Err(unread),
            None => Ok(self.stream.finish()),
        }
    }
}

/// An endpoint sends its files; ours are not for it to name.
fn attach(attachment: Attachment) -> Option<File> {
    match attachment.from {
        Source::Bytes(bytes) => Some(File { name: plain_name(&attachment.name, "file"), bytes }),
        Source::Path(path) => {
            log::warn!(
                target: "agent",
                "{} is not attached: an endpoint sends files in base64",
                Plain(&path)
            );
            None
        }
    }
}

/// How long it asks us to wait, if it is busy and says so in seconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let is_busy =
        matches!(response.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let wait = ask::retry_after(&response.headers)?;
    (is_busy && wait <= AGENT_RETRY_AFTER_MAX).then_some(wait)
}

#[cfg(test)]
mod tests;
