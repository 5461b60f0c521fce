//! What Discord's developer portal has switched on, asked before and beside the connection.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Deserialize;

use super::doors::Ledger;
use super::rest::Calls;
use crate::base::limits;
use crate::proto::discord::intents::{self, Intents};
use crate::proto::discord::rest::{Failure, Route};
use crate::rt::clock;

/// "Get Current Application", as far as it is read.
#[derive(Deserialize)]
pub(super) struct Application {
    pub(super) id: String,
    #[serde(default)]
    pub(super) flags: u64,
    pub(super) bot: Option<Bot>,
}

/// The application's bot user.
#[derive(Deserialize)]
pub(super) struct Bot {
    pub(super) username: String,
}

/// Asks for the application behind the token.
///
/// # Errors
/// Why there is no answer; one that cannot be read counts as lost.
pub(super) async fn application(calls: &Calls) -> Result<Application, Failure> {
    let deadline = clock::now() + limits::PREFLIGHT_DEADLINE;
    let body = calls.probe(Route::ApplicationMe, deadline).await?;
    serde_json::from_slice(&body).map_err(|_| Failure::Lost)
}

/// Whether the token is refused. A single 401 may be a fault of the server's, and an account that
/// nobody watches must not end by it; a 2xx here lets the REST side go on.
pub(super) async fn is_refused(calls: Calls) -> bool {
    loop {
        match application(&calls).await {
            Ok(_) => return false,
            Err(Failure::Unauthorized) => return true,
            Err(_) => clock::sleep(limits::PARKED_LOOK).await,
        }
    }
}

/// Asks, and says what a person should know. Nothing here stops the connection: what Discord
/// refuses it says again there, with a close code that parks.
pub(super) async fn report(calls: Calls, wanted: Intents, ledger: Rc<RefCell<Ledger>>) {
    let application = match application(&calls).await {
        Ok(application) => application,
        // The connection parks with the cure in words.
        Err(Failure::Unauthorized) => return,
        Err(failure) => {
            log::debug!(target: "discord", "pre-flight: no answer ({failure:?}); going on");
            return;
        }
    };
    let name = application.bot.as_ref().map_or("?", |bot| bot.username.as_str());
    ledger.borrow_mut().name = application.bot.as_ref().map(|bot| bot.username.as_str().into());
    log::info!(
        target: "discord",
        "pre-flight: the token is valid, for {name} (application {})",
        application.id
    );
    for intent in wanted.without(wanted.allowed_by(application.flags)).iter() {
        log::warn!(
            target: "discord",
            "pre-flight: the intent {} is asked for but not switched on: switch on {} in the \
             {}; or let `barnacle doctor --fix` ask Discord for it",
            intent.name,
            Intents(1 << intent.bit).switches(),
            intents::SWITCHES
        );
    }
}
