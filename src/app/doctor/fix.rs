//! What `--fix` mends: only what takes nothing away from anybody, and each time it says what.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use super::gather::{self, Patient};
use super::judge::{Account, Application, Asked};
use crate::app::account;
use crate::base::Secret;
use crate::channels::discord::authorized;
use crate::proto::discord::intents::Intents;
use crate::rt::executor::{Spawner, Tier};
use crate::rt::net::http::{Client, Method, Request};

/// Mends what can be mended; the facts are those after it.
pub(super) async fn mend(spawner: &Spawner, patient: &mut Patient) -> Vec<String> {
    let Patient { facts, config } = patient;
    let mut said = Vec::new();
    for (found, discord) in facts.accounts.iter_mut().zip(&config.accounts) {
        let (Ok(application), Some(token)) = (&found.application, &discord.token) else { continue };
        let missing = found.wanted.without(found.wanted.allowed_by(application.flags));
        if missing.0 == 0 {
            continue;
        }
        let Ok(net) = account::network(spawner, discord, config.ca_file.as_deref()) else {
            continue;
        };
        let http = Client::new(&net, Tier::Wire);
        let api = account::api(discord);
        let asked = request_intents(&http, &api, token, application, missing).await;
        said.push(switched_on(&http, &api, token, asked, (missing, found)).await);
    }
    facts.exposed.retain(|file| match close(file) {
        Ok(()) => {
            said.push(format!("{} can be read by its owner and group only now", file.display()));
            false
        }
        Err(error) => {
            said.push(format!("{} cannot be changed: {error}", file.display()));
            true
        }
    });
    said
}

/// The application's flags with the limited form of each missing intent ("Edit Current
/// Application": only these can be changed this way). Discord takes them from applications in few
/// servers; larger ones ask for review in the portal.
fn with_limited(application: &Application, missing: Intents) -> u64 {
    let limited = missing.iter().filter_map(|intent| Some(1 << (intent.flag? + 1)));
    limited.fold(application.flags, |flags, bit: u64| flags | bit)
}

/// Asks Discord to switch on what is missing.
pub(in crate::app) async fn request_intents(
    http: &Client,
    api: &str,
    token: &Secret,
    application: &Application,
    missing: Intents,
) -> Asked<()> {
    let body = json!({ "flags": with_limited(application, missing) }).to_string();
    let request = Request::new(Method::PATCH, format!("{api}/applications/@me"));
    let request = authorized(request, token).body("application/json", body);
    gather::read(http.send(request).await).map(drop)
}

/// What came of it.
async fn switched_on(
    http: &Client,
    api: &str,
    token: &Secret,
    asked: Asked<()>,
    (missing, found): (Intents, &mut Account),
) -> String {
    let names = missing.switches();
    if let Err(refusal) = asked {
        return format!("{names} could not be switched on: {refusal}; do it in the portal");
    }
    found.application = gather::application(http, api, token).await;
    let flags = found.application.as_ref().map_or(0, |application| application.flags);
    if found.wanted.without(found.wanted.allowed_by(flags)).0 == 0 {
        return format!(
            "{names} is switched on for the application, by the limited flag that applications in \
             few servers may set; a bot that was closed with 4014 is tried again after \
             `barnacle channels restart`"
        );
    }
    format!("Discord took the request, and {names} is still off; switch it on in the portal")
}

/// Takes away what others may do.
fn close(file: &Path) -> std::io::Result<()> {
    let mode = fs::metadata(file)?.permissions().mode();
    fs::set_permissions(file, fs::Permissions::from_mode(mode & !0o007))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limited_flags_are_added_and_none_taken_away() {
        let application = Application { id: 1, name: "b".to_owned(), flags: 1 << 23 };
        let all = Intents::AGENT_RECOMMENDED;
        let missing = all.without(all.allowed_by(application.flags));
        let flags = with_limited(&application, missing);
        assert_eq!(flags, 1 << 23 | 1 << 19 | 1 << 15);
        assert_eq!(all.allowed_by(flags), all);
    }
}
