//! How the world looks in JSON: the objects of Discord's documentation, as far as public client
//! libraries read them.

use serde_json::{Value, json};

use super::files::Attached;
use super::session::intents;
use super::world::{Channel, GENERAL, GUILD, Kind, Message, User, World};
use crate::base::Wall;

/// The application flags of a bot whose portal page allows every privileged intent, as they are
/// for bots in few guilds: presences, members and message content, "limited".
pub const FLAGS_ALL: u64 = (1 << 13) | (1 << 15) | (1 << 19);

/// The intents that must be switched on, with the application flags of which one must be set.
const PRIVILEGED: [(u64, u64); 3] = [
    (intents::GUILD_PRESENCES, (1 << 12) | (1 << 13)),
    (intents::GUILD_MEMBERS, (1 << 14) | (1 << 15)),
    (intents::MESSAGE_CONTENT, (1 << 18) | (1 << 19)),
];

/// Whether an application with `flags` may ask for `wanted`.
#[must_use]
pub fn are_intents_allowed(flags: u64, wanted: u64) -> bool {
    PRIVILEGED.iter().all(|(intent, switches)| wanted & intent == 0 || flags & switches != 0)
}

/// What never changes about the guild.
const GUILD_FIXED: &str = r#"{
    "name": "Sandbox", "icon": null, "splash": null, "discovery_splash": null,
    "afk_channel_id": null, "afk_timeout": 300, "verification_level": 0,
    "default_message_notifications": 0, "explicit_content_filter": 0, "emojis": [],
    "stickers": [], "features": [], "mfa_level": 0, "application_id": null,
    "system_channel_flags": 0, "rules_channel_id": null, "max_members": 500000,
    "vanity_url_code": null, "description": null, "banner": null, "premium_tier": 0,
    "preferred_locale": "en-US", "public_updates_channel_id": null, "nsfw_level": 0,
    "premium_progress_bar_enabled": false, "safety_alerts_channel_id": null,
    "joined_at": "2026-01-01T00:00:00.000000+00:00", "large": false, "unavailable": false,
    "voice_states": [], "presences": [], "stage_instances": [], "guild_scheduled_events": [],
    "soundboard_sounds": [], "version": 1, "premium_subscription_count": 0
}"#;

/// Everything in a guild, as a bit field.
const PERMISSIONS_ALL: &str = "2251799813685247";

/// A user object; a bot's own has more in it.
#[must_use]
pub fn user(user: &User) -> Value {
    json!({
        "id": user.id.to_string(), "username": user.name, "discriminator": "0",
        "global_name": user.name, "avatar": null, "bot": user.bot, "public_flags": 0, "flags": 0,
    })
}

/// `GET /users/@me`.
#[must_use]
pub fn own_user(own: &User) -> Value {
    let mut value = user(own);
    value["verified"] = true.into();
    value["mfa_enabled"] = true.into();
    value["email"] = Value::Null;
    value
}

/// `GET /applications/@me`. A bot's application has its user's id.
#[must_use]
pub fn application(bot: &User, flags: u64) -> Value {
    json!({
        "id": bot.id.to_string(), "name": bot.name, "icon": null, "description": "",
        "bot_public": true, "bot_require_code_grant": false, "verify_key": "00", "flags": flags,
        "team": null, "bot": user(bot), "approximate_guild_count": 1,
    })
}

/// READY.
#[must_use]
pub fn ready(bot: &User, flags: u64, session: u64, resume_url: &str, shard: (u64, u64)) -> Value {
    json!({
        "v": 10, "user": own_user(bot), "user_settings": {}, "session_type": "normal",
        "guilds": [{"id": GUILD.to_string(), "unavailable": true}],
        "session_id": session_id(session), "resume_gateway_url": resume_url,
        "shard": [shard.0, shard.1], "private_channels": [], "relationships": [],
        "application": {"id": bot.id.to_string(), "flags": flags}, "_trace": ["sandbox"],
    })
}

/// How a session's number is written.
#[must_use]
pub fn session_id(session: u64) -> String {
    format!("{session:032x}")
}

/// The guild: as `GUILD_CREATE` carries it to `bot`, and `GET /guilds/:id`.
#[must_use]
pub fn guild(world: &World, bot: &User) -> Value {
    let of_kind = |wanted: fn(&Kind) -> bool| -> Vec<Value> {
        let all = world.channels.values();
        all.filter(|place| wanted(&place.kind)).map(|place| channel(world, place)).collect()
    };
    let owner = world.users.values().find(|user| !user.bot).map_or(bot.id, |user| user.id);
    let mut value: Value = serde_json::from_str(GUILD_FIXED).unwrap_or_default();
    value["id"] = GUILD.to_string().into();
    value["owner_id"] = owner.to_string().into();
    value["system_channel_id"] = GENERAL.to_string().into();
    value["member_count"] = world.users.len().into();
    value["members"] = json!([member(bot)]);
    value["channels"] = of_kind(|kind| matches!(kind, Kind::Text)).into();
    value["threads"] = of_kind(|kind| matches!(kind, Kind::Thread { .. })).into();
    value["roles"] = json!([{
        "id": GUILD.to_string(), "name": "@everyone", "color": 0, "hoist": false, "position": 0,
        "permissions": PERMISSIONS_ALL, "managed": false, "mentionable": false, "flags": 0,
    }]);
    value
}

/// A member object.
#[must_use]
pub fn member(of: &User) -> Value {
    let mut value = bare_member(of);
    value["user"] = user(of);
    value
}

/// A member object as a message's event carries it: its user is the author.
fn bare_member(of: &User) -> Value {
    json!({
        "nick": null, "avatar": null,
        "roles": of.roles.iter().map(u64::to_string).collect::<Value>(),
        "deaf": false, "mute": false, "flags": 0,
        "joined_at": "2026-01-01T00:00:00.000000+00:00", "pending": false,
        "premium_since": null, "communication_disabled_until": null,
    })
}

/// A channel object.
#[must_use]
pub fn channel(world: &World, channel: &Channel) -> Value {
    let last = channel.messages.back().map(|message| message.id.to_string());
    let mut value = json!({
        "id": channel.id.to_string(), "type": channel_type(channel.kind), "last_message_id": last,
        "flags": 0,
    });
    match channel.kind {
        Kind::Direct { with, .. } => {
            value["recipients"] = world.users.get(&with).map(user).into_iter().collect();
        }
        Kind::Text => {
            let position = world.channels.keys().position(|&id| id == channel.id);
            value["position"] = position.into();
            value["parent_id"] = Value::Null;
            value["topic"] = Value::Null;
            value["nsfw"] = false.into();
            value["rate_limit_per_user"] = 0.into();
            value["permission_overwrites"] = json!([]);
        }
        Kind::Thread { parent } => {
            value["parent_id"] = parent.to_string().into();
            value["owner_id"] = "0".into();
            value["member_count"] = 1.into();
            value["message_count"] = channel.messages.len().into();
            value["thread_metadata"] = json!({
                "archived": false, "auto_archive_duration": 1440, "locked": false,
                "archive_timestamp": "2026-01-01T00:00:00.000000+00:00",
            });
        }
    }
    if !matches!(channel.kind, Kind::Direct { .. }) {
        value["name"] = channel.name.as_str().into();
        value["guild_id"] = GUILD.to_string().into();
    }
    value
}

/// How much of a message is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View {
    /// What it says and carries.
    pub content: bool,
    /// The nonce, which only its author sees.
    pub nonce: bool,
    /// The fields that events have and REST has not: guild and member.
    pub event: bool,
}

/// A message object.
#[must_use]
pub fn message(world: &World, message: &Message, view: View) -> Value {
    let author = world.users.get(&message.author);
    let channel = world.channels.get(&message.channel);
    let is_direct = channel.is_some_and(|place| matches!(place.kind, Kind::Direct { .. }));
    let mentioned = mentions(world, message);
    let mentioned: Vec<_> = mentioned.iter().filter_map(|id| world.users.get(id)).collect();
    let mut value = json!({
        "type": if message.reference.is_some() { 19 } else { 0 },
        "id": message.id.to_string(), "channel_id": message.channel.to_string(),
        "author": author.map(user), "content": "", "timestamp": timestamp(message.at),
        "edited_timestamp": message.edited.map(timestamp), "tts": false,
        "mention_everyone": false, "mention_roles": [], "pinned": false, "flags": 0,
        "attachments": [], "embeds": [], "components": [],
        "mentions": mentioned.into_iter().map(user).collect::<Value>(),
    });
    if view.content {
        value["content"] = message.content.as_str().into();
        value["attachments"] = message.files.iter().map(Attached::json).collect();
    }
    if view.nonce
        && let Some(nonce) = &message.nonce
    {
        value["nonce"] = nonce.as_str().into();
    }
    if view.event {
        value["channel_type"] = channel.map(|place| channel_type(place.kind)).into();
    }
    if view.event && !is_direct {
        value["guild_id"] = GUILD.to_string().into();
        value["member"] = author.map_or(Value::Null, bare_member);
    }
    if let Some(reference) = message.reference {
        value["message_reference"] = json!({
            "type": 0, "message_id": reference.to_string(),
            "channel_id": message.channel.to_string(),
        });
        let original = world.message(message.channel, reference);
        let bare = |original| self::message(world, original, View { event: false, ..view });
        // A chain of answers is shown one link deep.
        let cut = original.map(|original| Message { reference: None, ..original.clone() });
        value["referenced_message"] = cut.as_ref().map_or(Value::Null, bare);
    }
    value
}

/// Discord's number for a kind of channel ("Channel Types").
fn channel_type(kind: Kind) -> u8 {
    match kind {
        Kind::Text => 0,
        Kind::Direct { .. } => 1,
        Kind::Thread { .. } => 11,
    }
}

/// Whom a message mentions: by `<@id>` in its text, or by answering them.
#[must_use]
pub fn mentions(world: &World, message: &Message) -> Vec<u64> {
    let mut found = Vec::new();
    for part in message.content.split("<@").skip(1) {
        let id = part.split('>').next().unwrap_or_default().trim_start_matches('!').parse();
        found.extend(id.ok().filter(|id| world.users.contains_key(id)));
    }
    let answered = message.reference.and_then(|id| world.message(message.channel, id));
    found.extend(answered.map(|original| original.author));
    found.sort_unstable();
    found.dedup();
    found
}

/// A time as Discord writes it.
fn timestamp(at: Wall) -> String {
    at.to_string().replace('Z', "000+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileged_intents_need_their_switch() {
        let content = intents::MESSAGE_CONTENT | intents::GUILDS;
        assert!(are_intents_allowed(FLAGS_ALL, intents::ALL));
        assert!(!are_intents_allowed(0, content));
        assert!(are_intents_allowed(0, intents::GUILDS | intents::GUILD_MESSAGES));
        assert!(are_intents_allowed(1 << 18, content), "either flag will do");
    }

    #[test]
    fn times_look_as_discord_writes_them() {
        assert_eq!(timestamp(Wall(1_774_085_213_589)), "2026-03-21T09:26:53.589000+00:00");
    }
}
