//! What the heads of Discord's answers say about its limits.

use std::time::Duration;

use super::body::Complaint;
use crate::base::hash::fnv1a;
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
            self.bucket = Some(fnv1a(value.bytes()));
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

    /// Takes in what the body of a 429 says, where the headers said nothing: a wait of its own is
    /// the server's word too.
    pub fn complain(&mut self, complaint: &Complaint) {
        let wait = complaint.retry_after.filter(|seconds| seconds.is_finite());
        self.retry_after = self.retry_after.or(wait.map(within_reason));
        self.global |= complaint.global;
    }
}

/// Whole or broken seconds, brought below what a server may impose.
fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.parse().ok()?;
    seconds.is_finite().then(|| within_reason(seconds))
}

fn within_reason(seconds: f64) -> Duration {
    let span = seconds.clamp(0.0, REST_WAIT_MAX.as_secs_f64());
    Duration::try_from_secs_f64(span).unwrap_or(REST_WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&str, &str)]) -> RateHead {
        let mut head = RateHead::default();
        for (name, value) in lines {
            head.parse(name, value);
        }
        head
    }

    #[test]
    fn the_headers_of_discords_documentation_are_read() {
        let head = head(&[
            ("X-RateLimit-Limit", "5"),
            ("X-RateLimit-Remaining", "0"),
            ("X-RateLimit-Reset", "1470173023"),
            ("X-RateLimit-Reset-After", "1.25"),
            ("X-RateLimit-Bucket", "abcd1234"),
        ]);
        assert_eq!((head.limit, head.remaining), (Some(5), Some(0)));
        assert_eq!(head.reset_after, Some(Duration::from_millis(1250)));
        assert_eq!(head.bucket, Some(fnv1a(*b"abcd1234")));
        assert_eq!((head.global, head.scope, head.retry_after), (false, Scope::User, None));
    }

    #[test]
    fn a_429_says_whose_limit_it_was() {
        let global = head(&[("retry-after", "65"), ("x-ratelimit-global", "true")]);
        assert!(global.global && global.retry_after == Some(Duration::from_secs(65)));
        assert!(head(&[("x-ratelimit-scope", "global")]).global);
        let shared = head(&[("x-ratelimit-scope", "shared")]);
        assert_eq!((shared.scope, shared.global), (Scope::Shared, false));
    }

    #[test]
    fn a_wait_that_only_the_body_names_counts_too() {
        let complaint = Complaint { retry_after: Some(1.5), global: true, code: 0 };
        let mut bare = RateHead::default();
        bare.complain(&complaint);
        assert_eq!((bare.retry_after, bare.global), (Some(Duration::from_millis(1500)), true));
        let mut said = head(&[("retry-after", "3")]);
        said.complain(&Complaint { retry_after: Some(f64::NAN), ..complaint });
        assert_eq!(said.retry_after, Some(Duration::from_secs(3)), "the header comes first");
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for value in ["", "-", "NaN", "inf", "Wed, 21 Oct 2026 07:28:00 GMT", "\u{663}"] {
            assert_eq!(head(&[("retry-after", value)]).retry_after, None, "{value}");
            assert_eq!(head(&[("x-ratelimit-limit", value)]).limit, None, "{value}");
        }
        assert_eq!(head(&[("retry-after", "-3")]).retry_after, Some(Duration::ZERO));
        assert_eq!(head(&[("retry-after", "1e300")]).retry_after, Some(REST_WAIT_MAX));
        assert_eq!(head(&[("x-ratelimit-limit", "4294967296")]).limit, None);
    }
}
