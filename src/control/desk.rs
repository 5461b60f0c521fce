//! What the methods of the control protocol are, and who answers them.

use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};

use crate::proto::control::{Fault, code, detail};

/// Sees everything.
pub(crate) const READ: &str = "operator.read";
/// Speaks to chats and agents.
pub(crate) const WRITE: &str = "operator.write";
/// Lets people in.
pub(crate) const PAIRING: &str = "operator.pairing";
/// Does everything.
pub(crate) const ADMIN: &str = "operator.admin";

/// Every scope that is granted; others that clients ask for mean nothing here.
pub(crate) const SCOPES: [&str; 6] =
    [READ, WRITE, PAIRING, ADMIN, "operator.approvals", "operator.talk.secrets"];

/// The methods, and the scope that each needs; none for what everybody may ask.
pub(crate) const METHODS: &[(&str, &str)] = &[
    ("health", ""),
    ("status", READ),
    ("logs.tail", READ),
    ("system-presence", READ),
    ("last-heartbeat", READ),
    ("channels.status", READ),
    ("channels.history", READ),
    ("channels.uptime", READ),
    ("channels.start", ADMIN),
    ("channels.stop", ADMIN),
    ("channels.restart", ADMIN),
    ("channels.logout", ADMIN),
    ("diagnostics.stability", READ),
    ("why", READ),
    ("cron.list", READ),
    ("cron.get", READ),
    ("cron.status", READ),
    ("cron.runs", READ),
    ("cron.policy", READ),
    ("cron.add", ADMIN),
    ("cron.update", ADMIN),
    ("cron.remove", ADMIN),
    ("cron.run", ADMIN),
    ("pairing.list", PAIRING),
    ("pairing.approve", PAIRING),
    ("pairing.revoke", PAIRING),
    ("config.get", READ),
    ("config.schema", READ),
    ("config.schema.lookup", READ),
    ("config.set", ADMIN),
    ("config.patch", ADMIN),
    ("config.apply", ADMIN),
    ("config.reload", ADMIN),
    ("send", WRITE),
    ("agent", WRITE),
    ("dashboard.login", ADMIN),
    ("setup.code", ADMIN),
    ("agent.wait", WRITE),
    ("agents.list", READ),
    ("chat.send", WRITE),
    ("chat.history", READ),
    ("chat.abort", WRITE),
    ("sessions.list", READ),
    ("sessions.preview", READ),
    ("sessions.reset", ADMIN),
    ("sessions.delete", ADMIN),
    ("person.export", ADMIN),
    ("person.forget", ADMIN),
    ("memory.list", ADMIN),
    ("memory.forget", ADMIN),
    ("mcp.list", READ),
    ("gateway.restart.request", ADMIN),
    ("gateway.stop", ADMIN),
];

/// The events that are told.
pub(crate) const EVENTS: &[&str] = &[
    "connect.challenge",
    "tick",
    "health",
    "presence",
    "shutdown",
    "agent",
    "channel",
    "chat",
    "cron",
    "sessions.changed",
];

/// One request, on its way to whoever answers it.
pub(crate) struct Call {
    /// What to do.
    pub(crate) method: String,
    /// With what.
    pub(crate) params: Value,
    /// For a request that is answered twice: gives the first answer.
    pub(crate) first: Box<dyn Fn(Value)>,
}

/// The answer to a call, which may take its time.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Value, Fault>>>>;

/// Answers calls.
///
/// An answer's future is dropped when its client leaves; what must be finished nevertheless has to
/// be handed on before the first await.
pub(crate) trait Desk {
    /// The answer to `call`. Methods that are not its own get [`unknown`].
    fn call(&self, call: Call) -> Answer;
}

/// An answer that is there at once.
pub(crate) fn at_once(answer: Result<Value, Fault>) -> Answer {
    Box::pin(std::future::ready(answer))
}

/// The answer to a method that nobody knows.
pub(crate) fn unknown(method: &str) -> Fault {
    Fault::invalid(format!("unknown method: {method}"))
}

/// Whether `method` only looks.
pub(crate) fn is_reading(method: &str) -> bool {
    let reads = |name: &str, scope: &str| {
        matches!(scope, "" | READ) || name.rsplit_once('.').is_some_and(|(_, verb)| verb == "list")
    };
    METHODS.iter().any(|(name, scope)| *name == method && reads(name, scope))
}

/// Whether a client with `scopes` may call `method`.
///
/// # Errors
/// The answer to one who may not.
pub(crate) fn permit(method: &str, scopes: &[String]) -> Result<(), Fault> {
    let needed = METHODS.iter().find(|(name, _)| *name == method).map(|(_, scope)| *scope);
    let has = |scope: &str| scopes.iter().any(|own| own == scope);
    // As with the real gateway, only who may do everything learns that a method does not exist.
    let needed = needed.unwrap_or(ADMIN);
    let is_permitted = match needed {
        "" => true,
        READ => has(READ) || has(WRITE) || has(ADMIN),
        scope => has(scope) || has(ADMIN),
    };
    if is_permitted {
        return Ok(());
    }
    let details = json!({
        "code": detail::MISSING_SCOPE,
        "missingScope": needed,
        "requiredScopes": [needed],
    });
    Err(Fault::new(code::FORBIDDEN, format!("missing scope: {needed}")).with(details))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(method: &str, scopes: &[&str]) -> bool {
        let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
        permit(method, &scopes).is_ok()
    }

    #[test]
    fn a_scope_opens_its_methods_and_no_others() {
        assert!(may("health", &[]) && !may("status", &[]));
        assert!(may("status", &[READ]) && may("status", &[WRITE]) && may("status", &[ADMIN]));
        assert!(!may("send", &[READ]) && may("send", &[WRITE]) && may("send", &[ADMIN]));
        assert!(!may("pairing.approve", &[WRITE]) && may("pairing.approve", &[PAIRING]));
        assert!(!may("gateway.stop", &[READ, WRITE, PAIRING]) && may("gateway.stop", &[ADMIN]));
    }

    #[test]
    fn only_an_admin_learns_that_a_method_does_not_exist() {
        assert!(may("no.such.method", &[ADMIN]));
        let fault = permit("no.such.method", &[READ.to_owned()]).expect_err("forbidden");
        assert_eq!(fault.code, "FORBIDDEN");
        assert_eq!(fault.details.expect("details")["missingScope"], ADMIN);
    }

    #[test]
    fn every_method_is_there_once_and_its_scope_can_be_granted() {
        for (at, (name, scope)) in METHODS.iter().enumerate() {
            assert!(METHODS[..at].iter().all(|(other, _)| other != name), "{name}");
            assert!(scope.is_empty() || SCOPES.contains(scope), "{scope}");
        }
    }
}
