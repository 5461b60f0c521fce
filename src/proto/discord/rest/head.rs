//! What the heads of Discord's answers say about its limits.

use std::time::Duration;

use crate::base::limits::REST_WAIT_MAX;

/// Whose limit a 429 speaks of (`X-RateLimit-Scope`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    /// Ours, on this route.
    #[default]
    User,
    /// Ours, over all routes.
    Global,
    /// The resource's, whoever asks; not held against us.
    Shared,
}

/// The headers of one answer that matter here. Fill it with [`parse`](RateHead::parse).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RateHead {
    /// `X-RateLimit-Bucket`, hashed: which limit was drawn on.
    pub bucket: Option<u64>,
    /// `X-RateLimit-Limit`: calls in one window.
    pub limit: Option<u32>,
    /// `X-RateLimit-Remaining`: calls left in this window.
    pub remaining: Option<u32>,
    /// `X-RateLimit-Reset-After`: until the window ends.
    pub reset_after: Option<Duration>,
    /// `Retry-After`: how long a 429 asks us to wait.
    pub retry_after: Option<Duration>,
    /// `X-RateLimit-Global`, or the global scope.
    pub global: bool,
    /// `X-RateLimit-Scope`.
    pub scope: Scope,
}

impl RateHead {
    /// Takes in one header. Others than those above, and values that cannot be read, are passed
    /// over: a header that says nothing costs at most one 429.
    pub fn parse(&mut self, name: &str, value: &str) {
        let value = value.trim();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("x-ratelimit-bucket") {
            self.bucket = Some(fnv1a(value.as_bytes()));
        } else if is("x-ratelimit-limit") {
            self.limit = value.parse().ok();
        } else if is("x-ratelimit-remaining") {
            self.remaining = value.parse().ok();
        } else if is("x-ratelimit-reset-after") {
            self.reset_after = seconds(value);
        } else if is("retry-after") {
            self.retry_after = seconds(value);
        } else if is("x-ratelimit-global") {
            self.global |= value.eq_ignore_ascii_case("true");
        } else if is("x-ratelimit-scope") {
            self.scope = match value {
                "global" => Scope::Global,
                "shared" => Scope::Shared,
                _ => Scope::User,
            };
            self.global |= self.scope == Scope::Global;
        }
    }
}

/// Whole or broken seconds, brought below what a server may impose.
fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.parse().ok()?;
    let span = seconds.is_finite().then(|| seconds.clamp(0.0, REST_WAIT_MAX.as_secs_f64()))?;
    Duration::try_from_secs_f64(span).ok()
}

/// FNV-1a, 64 bits: bucket names are the server's, few, and only compared.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
