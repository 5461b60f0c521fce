//! Discord's REST API: which call may be made when, and what an answer means for the next.

mod head;
mod route;

use std::time::Duration;

pub use head::{RateHead, Scope};
pub use route::{Route, message_body};

use crate::base::Instant;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A call is wanted.
    Ask {
        /// The caller's name for it; unique among calls that are not over.
        job: u64,
        /// What is called.
        route: Route,
        /// Whether it goes out although the token was refused: the pre-flight, which finds out.
        exempt: bool,
        /// From when on it is not worth making.
        deadline: Instant,
    },
    /// The server answered.
    Answer {
        /// Which call.
        job: u64,
        /// HTTP status.
        status: u16,
        /// What the headers said about limits.
        head: RateHead,
        /// Whether the body was HTML: then Cloudflare spoke, not Discord.
        html: bool,
    },
    /// No answer came: no connection, or it broke, or the call's own deadline went by.
    Lost {
        /// Which call.
        job: u64,
        /// Whether the server may have acted on it all the same.
        maybe_processed: bool,
    },
    /// The caller wants it no more, and will report nothing about it.
    Cancel {
        /// Which call.
        job: u64,
    },
    /// The token or the configuration has changed.
    Unblock,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Make the HTTP call now, and report one `Answer` or `Lost` about it.
    Go {
        /// Which call.
        job: u64,
    },
    /// It succeeded (2xx).
    Done {
        /// Which call.
        job: u64,
    },
    /// It will not be made again.
    Failed {
        /// Which call.
        job: u64,
        /// What that means for its caller.
        why: Failure,
    },
    /// A line of the story.
    Tell(Tell),
}

/// Why a call failed for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// 404: the channel or message is gone; forget it.
    Gone,
    /// 403: we lack a permission there, or the person accepts no DMs.
    Forbidden,
    /// Another 4xx: the call itself was wrong, and would be again.
    Bad(u16),
    /// 401: the token is refused. A pre-flight hears it at once, others when their time is up.
    Unauthorized,
    /// Its deadline went by, or its tries were used up.
    Expired,
    /// Its deadline went by while we kept quiet for having made too many invalid calls.
    TooManyInvalid,
    /// No answer, and the call is not one to make twice.
    Lost,
    /// Too many calls are waiting.
    Full,
}

/// What a person may want to read about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tell {
    /// A 429 asked us to wait.
    Limited {
        /// What was called.
        route: Route,
        /// Whose limit it was.
        scope: Scope,
        /// How long.
        wait: Duration,
    },
    /// Cloudflare refused our address.
    Banned {
        /// How long we keep quiet.
        wait: Duration,
    },
    /// So many calls were invalid that we keep quiet, before Discord bans our address.
    TooManyInvalid {
        /// How long.
        wait: Duration,
    },
    /// The token was refused; calls wait for another.
    Unauthorized,
    /// Calls go out again.
    Unblocked,
    /// A call failed and will be made again.
    Retry {
        /// What was called.
        route: Route,
        /// HTTP status; `None` if no answer came.
        status: Option<u16>,
        /// In how long.
        wait: Duration,
    },
}
