//! What we call of Discord's REST API: methods, paths, and the bodies that go with them.

use std::fmt;

use serde::Serialize;

/// A call, without its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// "Create Message": a reply, or a part of one.
    CreateMessage {
        /// The channel, thread or DM.
        channel: u64,
    },
    /// "Trigger Typing Indicator", which lasts 10 s.
    Typing {
        /// The channel, thread or DM.
        channel: u64,
    },
    /// "Get Gateway Bot": where the gateway is, and what is left of the IDENTIFY budget.
    GatewayBot,
    /// "Get Current Application": its id, and by its flags which privileged intents are on.
    ApplicationMe,
}

impl Route {
    /// How many kinds of calls there are.
    pub(super) const KINDS: usize = 4;

    /// The HTTP method.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Route::CreateMessage { .. } | Route::Typing { .. } => "POST",
            Route::GatewayBot | Route::ApplicationMe => "GET",
        }
    }

    /// The path below the API's base, `/channels/7/messages` say.
    #[must_use]
    pub fn path(self) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Route::CreateMessage { channel } => write!(f, "/channels/{channel}/messages"),
            Route::Typing { channel } => write!(f, "/channels/{channel}/typing"),
            Route::GatewayBot => f.write_str("/gateway/bot"),
            Route::ApplicationMe => f.write_str("/applications/@me"),
        })
    }

    /// The resource that limits are counted for apart from others ("Rate Limits", top-level
    /// resources); 0 if the route has none.
    #[must_use]
    pub fn major(self) -> u64 {
        match self {
            Route::CreateMessage { channel } | Route::Typing { channel } => channel,
            Route::GatewayBot | Route::ApplicationMe => 0,
        }
    }

    /// Which call it is, whatever the resource; below [`KINDS`](Route::KINDS).
    pub(super) fn kind(self) -> usize {
        match self {
            Route::CreateMessage { .. } => 0,
            Route::Typing { .. } => 1,
            Route::GatewayBot => 2,
            Route::ApplicationMe => 3,
        }
    }

    /// Whether it is worth making again after a failure. A message can be: its nonce is enforced,
    /// so the server itself recognises the second copy. A sign of typing is stale by then.
    pub(super) fn is_repeatable(self) -> bool {
        !self.is_courtesy()
    }

    /// Whether it must never stand in the way of the others.
    pub(super) fn is_courtesy(self) -> bool {
        matches!(self, Route::Typing { .. })
    }
}

/// Method and path, as in `POST /channels/7/messages`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path())
    }
}

/// The body of [`Route::CreateMessage`]: `content` (at most 2,000 characters) as an answer to the
/// message `reply_to`, if that still exists. Nobody is pinged by it, and a copy that is sent again
/// within the few minutes for which Discord remembers `nonce` (at most 25 characters) is not shown
/// twice.
#[must_use]
pub fn message_body(content: &str, nonce: &str, reply_to: Option<u64>) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        content: &'a str,
        nonce: &'a str,
        enforce_nonce: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_reference: Option<Reference>,
        allowed_mentions: Mentions,
    }
    #[derive(Serialize)]
    struct Reference {
        message_id: String,
        fail_if_not_exists: bool,
    }
    #[derive(Serialize)]
    struct Mentions {
        parse: [&'static str; 0],
    }
    let body = Body {
        content,
        nonce,
        enforce_nonce: true,
        message_reference: reply_to
            .map(|id| Reference { message_id: id.to_string(), fail_if_not_exists: false }),
        allowed_mentions: Mentions { parse: [] },
    };
    // Strings, booleans and lists: nothing in it can fail to be written.
    serde_json::to_string(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_print_as_discord_documents_them() {
        let channel = 41_771_983_423_143_937;
        let message = Route::CreateMessage { channel };
        assert_eq!(message.to_string(), "POST /channels/41771983423143937/messages");
        assert_eq!(message.major(), channel);
        assert_eq!(Route::Typing { channel: 7 }.to_string(), "POST /channels/7/typing");
        assert_eq!(Route::GatewayBot.to_string(), "GET /gateway/bot");
        assert_eq!(Route::ApplicationMe.to_string(), "GET /applications/@me");
    }

    #[test]
    fn a_body_reads_back_whatever_was_said() {
        let every_control: String = (0..0x20).filter_map(char::from_u32).collect();
        for text in ["plain", "\"quoted\\\"", "🦀\u{2028}\u{7f}", every_control.as_str()] {
            let body = message_body(text, "n", Some(9));
            assert!(body.bytes().all(|byte| byte >= 0x20), "{body}");
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["content"], text);
        }
    }

    #[test]
    fn a_body_pings_nobody_and_is_shown_once() {
        let body = message_body("hi", "barnacle-0123", Some(u64::MAX));
        let expected = concat!(
            r#"{"content":"hi","nonce":"barnacle-0123","enforce_nonce":true,"#,
            r#""message_reference":{"message_id":"18446744073709551615","#,
            r#""fail_if_not_exists":false},"allowed_mentions":{"parse":[]}}"#,
        );
        assert_eq!(body, expected);
        assert!(!message_body("hi", "n", None).contains("message_reference"));
    }
}
