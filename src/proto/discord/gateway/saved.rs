//! What survives the program: the session, and what was spent of the IDENTIFY budget.

use serde::{Deserialize, Serialize};

use crate::base::Wall;
use crate::base::limits::{GATEWAY_URL_BYTES_MAX, IDENTIFY_OWN_MAX, SESSION_ID_BYTES_MAX};

/// The text of a session id.
pub type SessionId = heapless::String<SESSION_ID_BYTES_MAX>;
/// The text of a gateway URL, without a query.
pub type Url = heapless::String<GATEWAY_URL_BYTES_MAX>;

/// All of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Saved {
    /// What a RESUME would name.
    pub session: Option<Session>,
    /// Strikes against that session. A new process does not RESUME a session that has any.
    pub strikes: u32,
    /// Our own IDENTIFYs of the last 24 hours, oldest first.
    pub identifies: heapless::Vec<Wall, IDENTIFY_OWN_MAX>,
    /// What the server last said of its budget, less what we have spent since.
    pub budget: Option<Budget>,
    /// The last good answer of `GET /gateway/bot`.
    pub url: Option<Url>,
}

/// A session that may be resumed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// What READY called it.
    pub id: SessionId,
    /// Where RESUME goes; `None` if READY named a place that we may not dial.
    pub resume_url: Option<Url>,
    /// The last sequence that is durable: RESUME asks for what came after it.
    pub seq: u64,
    /// Its last sign of life.
    pub at: Wall,
}

/// The server's budget of IDENTIFYs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Budget {
    /// Left until `reset_at`.
    pub remaining: u32,
    /// Of a full day.
    pub total: u32,
    /// When `remaining` becomes `total` again.
    pub reset_at: Wall,
}
