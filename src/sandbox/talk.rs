//! What a client says on the gateway, and the answers (Discord's documentation, "Gateway" and
//! "Opcodes and Status Codes").

use serde_json::{Value, json};

use super::faults::{Deed, Stage};
use super::gateway::{Connection, Over};
use super::journal::What;
use super::session::{Refusal, intents};
use super::{model, play};
use crate::base::limits;
use crate::rt::clock;

/// IDENTIFYs of a day.
pub(super) const IDENTIFIES_MAX: u32 = 1000;

impl Connection {
    /// Deals with one payload.
    pub(super) async fn heard(&mut self, text: &[u8]) -> Result<(), Over> {
        if self.sends.take(clock::now(), 0).is_err() {
            self.violation("more than 120 payloads in 60 s");
            return Err(self.close(4008).await);
        }
        if text.len() > limits::GATEWAY_SEND_BYTES_MAX {
            self.violation("a payload of more than 4096 bytes");
            return Err(self.close(4002).await);
        }
        let payload: Value = match serde_json::from_slice(text) {
            Ok(payload @ Value::Object(_)) => payload,
            _ => return Err(self.close(4002).await),
        };
        let data = payload.get("d").unwrap_or(&Value::Null);
        match payload.get("op").and_then(Value::as_u64) {
            Some(1) => self.beat().await,
            Some(2 | 6) if self.bot.is_some() && self.session.is_some() => {
                Err(self.close(4005).await)
            }
            Some(2) => self.identify(data).await,
            Some(6) => self.resume(data).await,
            _ if self.session.is_none() => Err(self.close(4003).await),
            Some(3 | 4 | 8 | 31 | 43) => Ok(()),
            Some(_) => Err(self.close(4001).await),
            None => Err(self.close(4002).await),
        }
    }

    async fn beat(&mut self) -> Result<(), Over> {
        let now = clock::now();
        let late = now.since(self.beat_due);
        self.beat_due = now + self.shared.options.heartbeat;
        if let Some(bot) = self.bot {
            self.shared.journal.borrow_mut().tally(bot).beat(late);
        }
        if self.acks {
            self.send(r#"{"t":null,"s":null,"op":11,"d":null}"#).await?;
        }
        Ok(())
    }

    async fn identify(&mut self, data: &Value) -> Result<(), Over> {
        let bot = self.authenticate(data).await?;
        let (remaining, too_soon) = self.budget(bot);
        self.shared.note(self.id, Some(bot), What::Identify);
        if remaining == 0 {
            self.violation("IDENTIFY with none remaining: Discord would reset the token");
            return Err(self.close(4004).await);
        }
        if let Some(order) = self.shared.take(self.id, Stage::Identify, self.bot) {
            return self.play(order).await;
        }
        if too_soon {
            self.violation("IDENTIFY too soon after the last");
            return self.invalid(false).await;
        }
        let wanted = match data.get("intents").and_then(Value::as_u64) {
            Some(wanted) if wanted <= intents::ALL => wanted,
            _ => return Err(self.close(4013).await),
        };
        let flags = play::flags(&self.shared, bot);
        if !model::are_intents_allowed(flags, wanted) {
            return Err(self.close(4014).await);
        }
        let shard = match data.get("shard").and_then(Value::as_array).map(Vec::as_slice) {
            None => (0, 1),
            Some([of, all]) => (of.as_u64().unwrap_or(1), all.as_u64().unwrap_or(0)),
            Some(_) => (1, 0),
        };
        if shard.0 >= shard.1 {
            return Err(self.close(4010).await);
        }
        if !matches!(self.version, 9 | 10) {
            return Err(self.close(4012).await);
        }
        self.begin(bot, flags, wanted, shard);
        Ok(())
    }

    /// Opens a session, whose first events are READY and, if wanted, the guild.
    fn begin(&mut self, bot: u64, flags: u64, wanted: u64, shard: (u64, u64)) {
        let session = self.shared.next_session();
        let (id, now) = (self.id, clock::now());
        let resume_url = &self.shared.urls.resume;
        self.shared.world(|world| {
            world.sessions.open(now, session, bot, wanted, shard);
            if let Some(user) = world.users.get(&bot) {
                let ready = model::ready(user, flags, session, resume_url, shard).to_string();
                let guild = model::guild(world, user).to_string();
                world.sessions.send(session, "READY", ready);
                if wanted & intents::GUILDS != 0 {
                    world.sessions.send(session, "GUILD_CREATE", guild);
                }
            }
            world.sessions.attach(session, id);
        });
        self.session = Some(session);
    }

    async fn resume(&mut self, data: &Value) -> Result<(), Over> {
        let bot = self.authenticate(data).await?;
        self.shared.note(self.id, Some(bot), What::Resume);
        if let Some(order) = self.shared.take(self.id, Stage::Resume, self.bot) {
            return self.play(order).await;
        }
        let session = data.get("session_id").and_then(Value::as_str).unwrap_or_default();
        let session = u64::from_str_radix(session, 16).unwrap_or(0);
        let seq = data.get("seq").and_then(Value::as_u64).unwrap_or(0);
        let (id, now, ttl) = (self.id, clock::now(), self.shared.options.session_ttl);
        let resumed = self.shared.world(|world| {
            world.sessions.expire(now, ttl);
            world.sessions.resume(bot, session, seq, id)
        });
        match resumed {
            Ok(()) => {
                self.session = Some(session);
                Ok(())
            }
            Err(Refusal::Unknown) => self.invalid(false).await,
            Err(Refusal::BadSequence) => Err(self.close(4007).await),
        }
    }

    /// Whose token it is; a bad one is closed with 4004.
    async fn authenticate(&mut self, data: &Value) -> Result<u64, Over> {
        let token = data.get("token").and_then(Value::as_str).unwrap_or_default();
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        let known = self.shared.world.borrow_mut().bot(token);
        let Some(bot) = known else { return Err(self.close(4004).await) };
        if self.bot.replace(bot) != Some(bot) {
            self.shared.journal.borrow_mut().tally(bot).sockets.opened();
        }
        if let Some(peer) = self.shared.peers.borrow_mut().get_mut(&self.id) {
            peer.bot = Some(bot);
        }
        Ok(bot)
    }

    /// How many IDENTIFYs remain, and whether one comes too soon now.
    fn budget(&self, bot: u64) -> (u32, bool) {
        let spacing = self.shared.options.identify_spacing;
        let last = self.shared.journal.borrow_mut().tally(bot).identified_at;
        let too_soon = last.is_some_and(|last| last + spacing > clock::now());
        (remaining(&self.shared, bot), too_soon)
    }

    /// Op 9. One that is not resumable ends the session.
    pub(super) async fn invalid(&mut self, resumable: bool) -> Result<(), Over> {
        if resumable {
            // It may be resumed on this very connection.
            self.session = None;
            self.shared.world(|world| world.sessions.detach(clock::now(), self.id));
        } else {
            self.end_session();
        }
        self.shared.note(self.id, self.bot, What::Invalid(resumable));
        self.send(&format!(r#"{{"t":null,"s":null,"op":9,"d":{resumable}}}"#)).await
    }
}

/// IDENTIFYs that `bot` has left today; a fault may say another number.
pub(super) fn remaining(shared: &super::Shared, bot: u64) -> u32 {
    if let Some(Deed::Remaining(left)) = shared.look(Stage::Budget).map(|order| order.deed) {
        return left;
    }
    let used = shared.journal.borrow_mut().tally(bot).identifies;
    IDENTIFIES_MAX.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
}

/// `GET /gateway/bot`.
pub(super) fn gateway_bot(shared: &super::Shared, bot: u64) -> Value {
    let until = shared.look(Stage::Budget).and_then(|order| order.until);
    let reset_after = until.map_or(86_400_000, |until| clock::now().until(until).as_millis());
    json!({
        "url": shared.urls.gateway, "shards": 1,
        "session_start_limit": {
            "total": IDENTIFIES_MAX, "remaining": remaining(shared, bot),
            "reset_after": u64::try_from(reset_after).unwrap_or(u64::MAX), "max_concurrency": 1,
        },
    })
}
