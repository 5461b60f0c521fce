//! What agents are made of besides what they are.

use std::path::PathBuf;

use crate::ops::config::{self, Config};
use crate::rt::net::proxy::Proxy;

/// What of a configuration the agents' eyes, ears and hands are made of.
#[derive(PartialEq)]
pub(super) struct Senses {
    pub(super) media: config::Media,
    /// Each account, where its files lie, and the proxy that leads there.
    ways: Vec<(String, Option<String>, Option<Proxy>)>,
    ca_file: Option<PathBuf>,
    pub(super) outside: config::Outside,
}

impl Senses {
    pub(super) fn of(config: &Config) -> Senses {
        let way = |discord: &config::Discord| {
            (discord.id.clone(), discord.api_url.clone(), discord.proxy.clone())
        };
        Senses {
            media: config.media.clone(),
            ways: config.accounts.iter().map(way).collect(),
            ca_file: config.ca_file.clone(),
            outside: config.outside.clone(),
        }
    }
}
