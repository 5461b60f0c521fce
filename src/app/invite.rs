//! `barnacle invite-url`: the link by which the bot is brought into a server.

use std::fmt::Display;

use crate::base::Secret;
use crate::ops::config::{self, Config, Discord, Env};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options;
use crate::proto::discord::intents;
pub(crate) use crate::proto::discord::intents::permissions;
use crate::rt::executor::{self, Tier};
use crate::rt::net::Net;
use crate::rt::net::http::{Client, Method, Request};

/// The link, with the recommended permissions unless others were asked for. The application's id
/// is asked of Discord with the bot's token, unless it was given.
///
/// # Errors
/// There is no token, or Discord could not be asked.
pub(crate) fn invite_url(env: &Env, options: &options::InviteUrl) -> Result<impl Display, Failure> {
    let application = match options.application {
        Some(application) => application,
        None => ask(env, options)?,
    };
    let permissions = options.permissions.unwrap_or(intents::PERMISSIONS_RECOMMENDED);
    Ok(intents::invite_url(application, permissions, options.guild))
}

fn ask(env: &Env, options: &options::InviteUrl) -> Result<u64, Failure> {
    let loaded = config::load(env, options.common.config.as_deref())
        .map_err(|broken| Failure::new(Exit::Config, broken.to_string(), ""))?;
    let Config { accounts, ca_file, .. } = loaded.config;
    let named = |account: &&Discord| options.account.as_ref().is_none_or(|id| account.id == *id);
    let Some(discord) = accounts.iter().find(named).cloned() else {
        let known: Vec<&str> = accounts.iter().map(|account| account.id.as_str()).collect();
        let text = format!("there is no account {}", options.account.as_deref().unwrap_or("?"));
        return Err(Failure::new(Exit::Usage, text, format!("there are {}", known.join(", "))));
    };
    let Some(token) = discord.token.clone() else {
        return Err(Failure::new(
            Exit::Config,
            format!("there is no bot token ({})", discord.token_from),
            "set DISCORD_BOT_TOKEN, or give the application's id with --application",
        ));
    };
    executor::run(|spawner| async move {
        let net = super::account::network(&spawner, &discord, ca_file.as_deref())
            .map_err(|refused| Failure::new(Exit::Config, refused.text, ""))?;
        application(&net, &super::account::api(&discord), &token).await
    })
}

async fn application(net: &Net, api: &str, token: &Secret) -> Result<u64, Failure> {
    let request = crate::channels::discord::authorized(
        Request::new(Method::GET, format!("{api}/applications/@me")),
        token,
    );
    let response = Client::new(net, Tier::Wire).send(request).await.map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!("Discord cannot be asked for the application's id: {error}"),
            "look at the network, or give the id with --application (developer portal, General)",
        )
    })?;
    match response.status.as_u16() {
        200 => {
            let id = serde_json::from_slice::<serde_json::Value>(&response.body)
                .ok()
                .and_then(|body| body["id"].as_str()?.parse().ok());
            id.ok_or_else(|| Failure::new(Exit::Unavailable, "Discord's answer has no id", ""))
        }
        401 => Err(Failure::new(
            Exit::Config,
            "Discord refuses the token",
            "make a new one in the developer portal (Bot, Reset Token)",
        )),
        status => Err(Failure::new(
            Exit::Unavailable,
            format!("Discord answered HTTP {status}"),
            "try again later, or give the id with --application",
        )),
    }
}
