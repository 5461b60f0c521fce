//! How endpoints are asked, whatever they are for, and what their failures come down to.

use std::time::Duration;

use crate::base::Secret;
use crate::core::media::Lapse;
use crate::core::turn::Fault;
use crate::proto::llm::Reason;
use crate::rt::net::Reach;
use crate::rt::net::http::{Deadlines, HeaderMap, HttpError, Method, Request};

/// A POST to `url` with a body of this kind, and an answer of at most `bytes_max`. The turn has
/// deadlines of its own, so that only the connecting has one here; without TLS it leaves no
/// private network.
pub(super) fn post(
    url: &str,
    (content_type, body): (&str, Vec<u8>),
    headers: &[(String, Secret)],
    bytes_max: usize,
) -> Request {
    let mut post = Request::new(Method::POST, url)
        .body(content_type, body)
        .deadlines(Deadlines {
            connect: Deadlines::default().connect,
            head: Duration::MAX,
            body: Duration::MAX,
        })
        .body_bytes_max(bytes_max)
        .plain_reach(Reach::Private);
    for (name, value) in headers {
        post = post.header(name.to_ascii_lowercase(), value.expose());
    }
    post
}

/// What a failure means for the turn.
pub(super) fn fault(error: HttpError) -> Fault {
    match error {
        HttpError::NotSent(_) | HttpError::Lost(_) | HttpError::Cut(..) => Fault::Unreachable,
        HttpError::Garbage => Fault::Garbled,
        HttpError::TooLong(_) => Fault::TooLong,
    }
}

/// What it means for a model among others.
pub(super) fn reason(error: HttpError) -> Reason {
    match error {
        HttpError::NotSent(_) | HttpError::Lost(_) => Reason::Overloaded,
        HttpError::Cut(..) => Reason::Cut,
        HttpError::Garbage => Reason::Garbled,
        HttpError::TooLong(_) => Reason::Endless,
    }
}

/// What it means for something to be looked at, listened to or spoken.
pub(super) fn lapse(error: HttpError) -> Lapse {
    match error {
        HttpError::NotSent(_) | HttpError::Lost(_) | HttpError::Cut(..) => Lapse::Unreachable,
        HttpError::Garbage => Lapse::Garbled,
        HttpError::TooLong(_) => Lapse::TooLarge,
    }
}

/// The type of an answer.
pub(super) fn kind(headers: &HeaderMap) -> Option<&str> {
    headers.get("content-type").and_then(|value| value.to_str().ok())
}

/// Whether an answer is a stream of events.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    kind(headers)
        .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// How long an answer asks us to wait, if it says so in seconds.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
