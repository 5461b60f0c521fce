//! Who may ask the control port: this host, the right names, the right credential, and not too
//! many wrong ones.

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ring::digest::{SHA256, digest};

use super::lockout::{Lockout, Peer, Rules};
use crate::base::Secret;
use crate::rt::clock;
use crate::rt::net::server::{Request, Response};

/// What opens the gate.
pub(crate) enum Lock {
    /// The token.
    Token(Secret),
    /// The password.
    Password(Secret),
    /// Nothing: everybody on this host may do everything.
    Open,
}

impl Lock {
    /// What is to be shown, if anything is.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match self {
            Lock::Token(secret) | Lock::Password(secret) => Some(secret),
            Lock::Open => None,
        }
    }
}

/// The rules, made once.
pub(crate) struct Gate {
    lock: Lock,
    /// Who has failed too often.
    lockout: RefCell<Lockout>,
    /// Whether only this host can connect at all.
    loopback_only: bool,
    /// The user that we run as.
    uid: u32,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// No credential was shown.
    Missing,
    /// A wrong one was.
    Mismatch,
    /// Too many wrong ones were: for so long none is looked at.
    Locked(Duration),
}

impl Gate {
    /// A gate with this lock; who fails too often by `rules` is locked out.
    pub(crate) fn new(lock: Lock, rules: Rules, loopback_only: bool) -> Gate {
        let lockout = RefCell::new(Lockout::new(rules));
        Gate { lock, lockout, loopback_only, uid: rustix::process::geteuid().as_raw() }
    }

    /// Refuses what a browser sends on behalf of a foreign page: an `Origin` that is neither this
    /// host's loopback nor the very name that is asked, or, when only this host can connect, a
    /// `Host` that is not this host's (DNS rebinding).
    pub(crate) fn admits(&self, request: &Request) -> Result<(), Response> {
        if is_own(self.loopback_only, request.header("host"), request.header("origin")) {
            return Ok(());
        }
        let body = r#"{"error":"requests on behalf of other sites are not answered"}"#;
        Err(Response::json(403, body))
    }

    /// Whether the request comes from this host.
    pub(crate) fn trusts(request: &Request) -> bool {
        request.peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback())
    }

    /// Whether the request comes through the Unix socket, from a process of our own user or of
    /// root: who can act as us needs no credential, and is never locked out.
    pub(crate) fn is_ours(&self, request: &Request) -> bool {
        request.uid.is_some_and(|uid| uid == 0 || uid == self.uid)
    }

    /// Whether the request may ask everything: it is ours, or carries the credential.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn authorized(&self, request: &Request) -> Result<(), Refusal> {
        if self.is_ours(request) {
            return Ok(());
        }
        let given = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        self.judge(request.peer.map(|peer| peer.ip()), given.map(str::trim))
    }

    /// Whether `given` opens the gate to one who comes from `peer`. Failures of one who comes
    /// through the Unix socket are not counted.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn judge(&self, peer: Option<IpAddr>, given: Option<&str>) -> Result<(), Refusal> {
        let Some(expected) = self.lock.secret() else { return Ok(()) };
        self.listens_to(peer)?;
        let given = given.filter(|given| !given.is_empty()).ok_or(Refusal::Missing)?;
        let is_right = is_same(expected.expose(), given);
        self.note(peer, is_right, &self.to_string());
        if is_right { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    /// Whether anything is looked at that one who comes from `peer` shows.
    ///
    /// # Errors
    /// For how long it is not.
    pub(crate) fn listens_to(&self, peer: Option<IpAddr>) -> Result<(), Refusal> {
        let peer = peer.map(Peer::from);
        let left = peer.and_then(|peer| self.lockout.borrow_mut().locked(clock::now(), peer));
        left.map_or(Ok(()), |left| Err(Refusal::Locked(left)))
    }

    /// One who comes from `peer` has shown a `what`, which was right or wrong.
    pub(crate) fn note(&self, peer: Option<IpAddr>, is_right: bool, what: &str) {
        let Some(address) = peer else { return };
        let mut lockout = self.lockout.borrow_mut();
        if is_right {
            lockout.passed(address.into());
        } else if let Some(span) = lockout.failed(clock::now(), address.into()) {
            log::warn!(
                target: "control",
                "{address} has shown a wrong {what} too often: what it shows is not looked at for \
                 {} s",
                span.as_secs()
            );
        }
    }

    /// Whether the password is asked for, and not the token.
    pub(crate) fn wants_password(&self) -> bool {
        matches!(self.lock, Lock::Password(_))
    }

    /// The mode's word in the configuration.
    pub(crate) fn mode(&self) -> &'static str {
        match self.lock {
            Lock::Token(_) => "token",
            Lock::Password(_) => "password",
            Lock::Open => "none",
        }
    }
}

/// What opens it, in a word for people.
impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wants_password() { "password" } else { "token" })
    }
}

/// Compares digests, so that it takes the same time however much of a guess is right.
fn is_same(expected: &str, given: &str) -> bool {
    let of = |text: &str| digest(&SHA256, text.as_bytes());
    of(expected).as_ref() == of(given).as_ref()
}

/// Whether a request with these headers is this host's own, or of no page at all.
fn is_own(loopback_only: bool, host: Option<&str>, origin: Option<&str>) -> bool {
    let host_is_own = !loopback_only || host.is_none_or(is_loopback_authority);
    let is_same_site = |authority: &str| {
        host.is_some_and(|host| authority.eq_ignore_ascii_case(host))
            || is_loopback_authority(authority)
    };
    let origin_is_own = origin.is_none_or(|origin| {
        origin.split_once("://").is_some_and(|(_, authority)| is_same_site(authority))
    });
    host_is_own && origin_is_own
}

/// Whether `authority` (host with or without port) names this host's loopback.
fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules =
        Rules { attempts: 3, window: Duration::from_secs(60), lockout: Duration::from_secs(300) };

    fn gate(lock: Lock) -> Gate {
        Gate::new(lock, RULES, true)
    }

    #[test]
    fn only_the_credential_opens_and_nothing_where_none_is_asked_for() {
        let token = gate(Lock::Token(Secret::new("s3cret")));
        assert_eq!(token.judge(None, Some("s3cret")), Ok(()));
        for (given, refusal) in [
            (Some("s3cre"), Refusal::Mismatch),
            (Some("s3cret "), Refusal::Mismatch),
            (Some(""), Refusal::Missing),
            (None, Refusal::Missing),
        ] {
            assert_eq!(token.judge(None, given), Err(refusal), "{given:?}");
        }
        let password = gate(Lock::Password(Secret::new("pass")));
        assert_eq!((password.judge(None, Some("pass")), password.mode()), (Ok(()), "password"));
        assert_eq!(gate(Lock::Open).judge(None, None), Ok(()));
    }

    #[test]
    fn who_fails_too_often_is_not_looked_at_and_the_socket_always_is() {
        let gate = gate(Lock::Token(Secret::new("s3cret")));
        let peer = |last| Some(IpAddr::from([10, 0, 0, last]));
        for _ in 0..RULES.attempts {
            assert_eq!(gate.judge(peer(1), Some("guess")), Err(Refusal::Mismatch));
            assert_eq!(gate.judge(None, Some("guess")), Err(Refusal::Mismatch));
        }
        assert!(matches!(gate.judge(peer(1), Some("s3cret")), Err(Refusal::Locked(_))));
        assert!(matches!(gate.judge(peer(1), None), Err(Refusal::Locked(_))));
        assert_eq!(gate.judge(peer(2), Some("s3cret")), Ok(()));
        assert_eq!(gate.judge(None, Some("s3cret")), Ok(()));
    }

    #[test]
    fn loopback_has_many_names_and_no_others() {
        for name in
            ["localhost", "LOCALHOST:18789", "127.0.0.1:1", "127.8.8.8", "[::1]:80", "[::1]"]
        {
            assert!(is_loopback_authority(name), "{name}");
        }
        for name in
            ["evil.example", "localhost.evil.example:80", "10.0.0.1", "", "[::2]", "1.2.3.4:1"]
        {
            assert!(!is_loopback_authority(name), "{name}");
        }
    }

    #[test]
    fn a_page_may_ask_the_host_that_it_came_from_and_no_other() {
        let ours = |loopback_only, host, origin| is_own(loopback_only, Some(host), origin);
        assert!(ours(true, "127.0.0.1:18789", Some("http://127.0.0.1:18789")));
        assert!(ours(true, "localhost:1", Some("http://127.0.0.1:1")));
        assert!(ours(false, "pi.lan:18789", Some("http://pi.lan:18789")));
        assert!(ours(false, "pi.lan:18789", None));
        assert!(!ours(false, "pi.lan:18789", Some("http://pi.lan:8080")));
        assert!(!ours(false, "pi.lan:18789", Some("http://evil.example")));
        assert!(!ours(false, "pi.lan:18789", Some("null")));
        // With a name of its own for our address, a page's origin would equal the host.
        assert!(!ours(true, "evil.example:18789", Some("http://evil.example:18789")));
        assert!(!ours(true, "evil.example:18789", None));
    }
}
