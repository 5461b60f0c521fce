//! What a refusal means for the caller: Discord's own word for it (its documentation, "JSON Error
//! Codes") tells whether a whole chat is closed to us, or only this one call was wrong.

use std::fmt;

use super::Route;

/// "Unknown Message".
pub const UNKNOWN_MESSAGE: u32 = 10_008;
/// "Missing Access": we may not even see it.
pub const MISSING_ACCESS: u32 = 50_001;
/// "Interaction has already been acknowledged".
pub const ALREADY_ANSWERED: u32 = 40_060;
/// "A thread has already been created for this message".
pub const THREAD_EXISTS: u32 = 160_004;

/// 404s that speak of something within a chat, not of the chat: message, emoji, and interaction.
const GONE_WITHIN: [u32; 4] = [UNKNOWN_MESSAGE, 10_014, 10_015, 10_062];
/// 403s that speak of one message: explicit content, somebody else's message, a system message,
/// a person who has blocked us reacting to theirs.
const FORBIDDEN_WITHIN: [u32; 4] = [20_009, 50_005, 50_021, 90_001];

/// Why a call failed for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// 404 of the chat itself, with Discord's code (0 if it gave none): forget it.
    Gone(u32),
    /// 403 of the chat itself, with Discord's code (0 if it gave none): we lack a permission
    /// there, or the person accepts no DMs. Whatever else is said there fails too, for now.
    Forbidden(u32),
    /// Another refusal: this one call was wrong, and would be again; others may succeed.
    Bad {
        /// HTTP status.
        status: u16,
        /// Discord's code; 0 if it gave none.
        code: u32,
    },
    /// 401: the token is refused. A pre-flight hears it at once, others when their time is up.
    Unauthorized,
    /// Its deadline went by, or its tries were used up.
    Expired,
    /// Its deadline went by while we kept quiet for having made too many invalid calls.
    TooManyInvalid,
    /// No answer, or none that says whether it was done, and the call is not one to make twice.
    Lost,
    /// Too many calls are waiting.
    Full,
}

impl Failure {
    /// What it means that `route` was answered by `status`, a refusal, with Discord's `code`.
    pub(super) fn of(route: Route, status: u16, code: u32) -> Failure {
        match status {
            404 if route.channel().is_some() && !GONE_WITHIN.contains(&code) => Failure::Gone(code),
            403 if closes_chat(route, code) => Failure::Forbidden(code),
            _ => Failure::Bad { status, code },
        }
    }

    /// Whether it ends the whole chat for a while.
    #[must_use]
    pub fn is_of_chat(self) -> bool {
        matches!(self, Failure::Gone(_) | Failure::Forbidden(_))
    }

    /// Discord's word for it; 0 if it gave none, or if it was not Discord who refused.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Failure::Gone(code) | Failure::Forbidden(code) | Failure::Bad { code, .. } => code,
            _ => 0,
        }
    }
}

/// Whether a 403 with `code` means that nothing can be said in the chat of `route`. A permission
/// that we lack for a reaction, a thread or the history need not be missing for words.
fn closes_chat(route: Route, code: u32) -> bool {
    match route {
        Route::CreateMessage { .. } | Route::Typing { .. } => !FORBIDDEN_WITHIN.contains(&code),
        _ => route.channel().is_some() && code == MISSING_ACCESS,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Failure::Gone(code) => write!(f, "the chat does not exist any more{}", Code(code)),
            Failure::Forbidden(code) => write!(f, "{}{}", permission(code), Code(code)),
            Failure::Bad { status, code } => write!(f, "refused with HTTP {status}{}", Code(code)),
            Failure::Unauthorized => f.write_str("the token is refused"),
            Failure::Expired => f.write_str("not done in time"),
            Failure::TooManyInvalid => {
                f.write_str("not done in time: too many calls had been refused")
            }
            Failure::Lost => f.write_str("no answer"),
            Failure::Full => f.write_str("too many calls are waiting"),
        }
    }
}

fn permission(code: u32) -> &'static str {
    match code {
        MISSING_ACCESS => "the bot may not see the channel (permission View Channel)",
        50_013 => "the bot may not speak in the channel (permission Send Messages)",
        50_007 => "the person accepts no direct messages from the bot",
        _ => "the bot is not allowed to speak there",
    }
}

/// Discord's code in brackets, if there is one.
struct Code(u32);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " (code {})", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_ends_the_chat_or_only_the_call() {
        let (channel, message) = (7, 9);
        let say = Route::CreateMessage { channel };
        let react = Route::React { channel, message };
        let answer = Route::AnswerInteraction { interaction: 4 };
        let bad = |status, code| Failure::Bad { status, code };
        for (route, status, code, failure) in [
            (say, 404, 10_003, Failure::Gone(10_003)),
            (say, 404, 0, Failure::Gone(0)),
            (say, 404, UNKNOWN_MESSAGE, bad(404, UNKNOWN_MESSAGE)),
            (say, 403, 50_013, Failure::Forbidden(50_013)),
            (say, 403, 50_007, Failure::Forbidden(50_007)),
            (say, 403, 0, Failure::Forbidden(0)),
            (say, 403, 20_009, bad(403, 20_009)),
            (say, 400, 50_035, bad(400, 50_035)),
            (react, 403, 50_013, bad(403, 50_013)),
            (react, 403, MISSING_ACCESS, Failure::Forbidden(MISSING_ACCESS)),
            (react, 404, 10_003, Failure::Gone(10_003)),
            (answer, 404, 10_062, bad(404, 10_062)),
            (answer, 403, 0, bad(403, 0)),
            (Route::ApplicationMe, 403, 0, bad(403, 0)),
            (Route::GatewayBot, 404, 0, bad(404, 0)),
        ] {
            assert_eq!(Failure::of(route, status, code), failure, "{route} {status} {code}");
        }
    }

    #[test]
    fn a_refusal_reads_as_a_sentence_with_its_code() {
        let forbidden = Failure::Forbidden(50_013).to_string();
        assert!(forbidden.contains("Send Messages") && forbidden.ends_with("(code 50013)"));
        assert_eq!(Failure::Bad { status: 400, code: 0 }.to_string(), "refused with HTTP 400");
    }
}
