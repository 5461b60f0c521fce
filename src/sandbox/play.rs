//! How faults are played: to a connection, and to the world at once.

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::faults::{Deed, Order, Stage};
use super::frames;
use super::gateway::{Connection, Over, Style};
use super::world::{Draft, GENERAL, GUILD, RANDOM};
use super::{Flood, Shared};
use crate::base::limits;
use crate::rt::clock;
use crate::rt::executor::Tier;

/// How far a sequence jumps.
const JUMP: u64 = 1000;
/// What a frame claims that nobody should wait for.
const HUGE_BYTES: u64 = 1 << 40;
/// A flood unless told otherwise.
const FLOOD: Flood = Flood { count: 5000, bytes: 1000, rate: 1000 };
/// Messages that go on while heartbeats are not answered, and between which time.
const CHATTER: (u32, Duration) = (40, Duration::from_millis(500));
/// What others think of text that is not UTF-8.
const NOT_UTF8: &[u8] = b"{\"t\":\"TYPING_START\",\"s\":null,\"op\":0,\"d\":\"\xff\xfe\xfd\"}";
const NOT_JSON: &[u8] = b"{\"t\":\"MESSAGE_CREATE\",\"s\":{{[,:}\"op\":0 <html>not json</html>";
const NOISE: [u8; 64] = [0x5a; 64];

impl Connection {
    /// Plays `order` to this connection.
    pub(super) async fn play(&mut self, order: Order) -> Result<(), Over> {
        match order.deed {
            Deed::Drop => Err(self.cut()),
            Deed::Reset => Err(self.reset()),
            Deed::Close(code) => Err(self.close(code).await),
            Deed::Invalid(resumable) => self.invalid(resumable).await,
            Deed::Deaf => Err(self.deaf().await),
            Deed::HalfFrame | Deed::HugeHeader => {
                self.begin_frame(order.deed).await?;
                Err(self.deaf().await)
            }
            Deed::Reconnect => {
                self.leave_soon();
                self.send(r#"{"t":null,"s":null,"op":7,"d":null}"#).await
            }
            Deed::NoAck { chatter } => {
                self.acks = false;
                if chatter {
                    let shared = self.shared.clone();
                    let task = chat(shared, CHATTER.0, CHATTER.1);
                    self.shared.spawner.spawn(Tier::Wire, "sandbox", task).detach();
                }
                Ok(())
            }
            Deed::AskBeat => self.send(r#"{"t":null,"s":null,"op":1,"d":null}"#).await,
            Deed::BigGuild(bytes) => self.big_guild(bytes).await,
            Deed::GarbageText => self.send_bytes(NOT_JSON).await,
            Deed::InvalidUtf8 => self.send_bytes(NOT_UTF8).await,
            Deed::GarbageBinary | Deed::ReservedOpcode | Deed::Masked | Deed::Ping => {
                self.odd_frame(order.deed).await
            }
            Deed::Fragments | Deed::Drip | Deed::DataFirst | Deed::Duplicates | Deed::Jump => {
                self.change_style(order.deed);
                Ok(())
            }
            // These are not done to connections, or are done by not doing anything.
            Deed::Ignore
            | Deed::Flood
            | Deed::Stall
            | Deed::Status(_)
            | Deed::Global429
            | Deed::Shared429
            | Deed::Bare429
            | Deed::Html(_)
            | Deed::Refuse(..)
            | Deed::Hang
            | Deed::Cut
            | Deed::CutSome(_)
            | Deed::Remaining(_)
            | Deed::NoIntents
            | Deed::Twin => Ok(()),
        }
    }

    /// The beginning of a frame that never ends.
    async fn begin_frame(&mut self, deed: Deed) -> Result<(), Over> {
        let mut out = Vec::new();
        if deed == Deed::HugeHeader {
            frames::bare_header(&mut out, HUGE_BYTES);
            out.extend_from_slice(&NOISE);
        } else {
            out = self.encode(NOT_JSON);
            out.truncate(out.len() / 2);
        }
        self.write(&out).await
    }

    async fn odd_frame(&mut self, deed: Deed) -> Result<(), Over> {
        let mut out = Vec::new();
        match deed {
            Deed::GarbageBinary => frames::frame(&mut out, true, frames::BINARY, &NOISE),
            Deed::Masked => frames::masked_frame(&mut out, frames::TEXT, b"{\"op\":11}"),
            Deed::Ping => frames::frame(&mut out, true, frames::PING, b"sandbox"),
            _ => frames::frame(&mut out, true, 3, b"reserved"),
        }
        self.write(&out).await
    }

    /// From here on events come otherwise; some chatter lets it show.
    fn change_style(&mut self, deed: Deed) {
        match deed {
            Deed::Fragments => self.style = Style::Fragments,
            Deed::Drip => self.style = Style::Drip,
            Deed::DataFirst => self.data_first = true,
            Deed::Duplicates => self.twice = true,
            _ => {
                let session = self.session.unwrap_or(0);
                self.shared.world(|world| world.sessions.jump(session, JUMP));
            }
        }
        chatter(&self.shared, "what next?");
    }

    /// One more guild, of this many bytes: mostly emoji, as large guilds have them.
    async fn big_guild(&mut self, bytes: u64) -> Result<(), Over> {
        let session = self.session.unwrap_or(0);
        let seq = self.shared.world(|world| world.sessions.jump(session, 1));
        let guild = (GUILD + 1).to_string();
        let fixed = r#""name":"Huge","owner_id":"1","roles":[],"channels":[],"members":[]"#;
        let head = format!(
            r#"{{"t":"GUILD_CREATE","s":{seq},"op":0,"d":{{{fixed},"threads":[],"emojis":["#
        );
        let tail = format!(r#"],"member_count":250000,"id":"{guild}"}}}}"#);
        let mut text = head.into_bytes();
        let size = usize::try_from(bytes).unwrap_or(usize::MAX).min(BIG_BYTES_MAX);
        let mut number: u64 = 0;
        while text.len() + tail.len() < size {
            if number > 0 {
                text.push(b',');
            }
            let id = GUILD + 2 + number;
            let emoji = json!({
                "id": id.to_string(), "name": format!("emoji_{number}"), "roles": [],
                "require_colons": true, "managed": false, "animated": false, "available": true,
            });
            text.extend_from_slice(emoji.to_string().as_bytes());
            number += 1;
            if number.is_multiple_of(1000) {
                smol::future::yield_now().await;
            }
        }
        text.extend_from_slice(tail.as_bytes());
        self.send_bytes(&text).await
    }
}

/// The largest guild that is made.
const BIG_BYTES_MAX: usize = 200_000_000;

/// Plays what concerns no connection. True if that was all.
pub(super) fn at_once(shared: &Rc<Shared>, order: Order) -> bool {
    match order.deed {
        Deed::Flood => {
            let args = order.args;
            let flood = Flood {
                count: args.count.unwrap_or(FLOOD.count),
                bytes: args.bytes.unwrap_or(FLOOD.bytes),
                rate: args.rate.unwrap_or(FLOOD.rate),
            };
            let task = self::flood(shared.clone(), flood);
            shared.spawner.spawn(Tier::Wire, "sandbox", task).detach();
            true
        }
        Deed::Twin => {
            let bot = order.args.bot.or_else(|| shared.bot_called("").ok());
            let draft = Draft {
                channel: GENERAL,
                author: bot.unwrap_or(0),
                content: "I am the same bot, run elsewhere.".to_owned(),
                nonce: Some("elsewhere".to_owned()),
                ..Draft::default()
            };
            let _ = shared.post(draft);
            true
        }
        _ => false,
    }
}

/// The application flags of `bot`, unless a fault switches its intents off.
pub(super) fn flags(shared: &Shared, bot: u64) -> u64 {
    if shared.look(Stage::Portal).is_some() {
        return 0;
    }
    shared.world.borrow().users.get(&bot).map_or(0, |user| user.flags)
}

/// Posts `flood` in `random`, never faster than connections take it.
pub(super) async fn flood(shared: Rc<Shared>, flood: Flood) {
    let author = shared.world.borrow_mut().person("crowd").unwrap_or(0);
    let length = usize::try_from(flood.bytes).unwrap_or(0).min(limits::SERVER_BODY_BYTES_MAX);
    let content: String = "the crowd goes wild ".chars().cycle().take(length).collect();
    let (start, mut pace) = (clock::now(), shared.spawner.pace());
    for sent in 0..flood.count {
        if let Some(due) = (Duration::from_secs(1) * sent).checked_div(flood.rate) {
            clock::sleep_until(start + due).await;
        }
        while shared.world.borrow().sessions.backlog() > limits::SANDBOX_BACKLOG_MAX {
            clock::sleep(Duration::from_millis(1)).await;
        }
        let draft = Draft {
            channel: RANDOM,
            author,
            content: content.clone(),
            fleeting: true,
            ..Draft::default()
        };
        let _ = shared.post(draft);
        pace.breathe().await;
    }
}

async fn chat(shared: Rc<Shared>, count: u32, every: Duration) {
    for _ in 0..count {
        chatter(&shared, "still here");
        clock::sleep(every).await;
    }
}

/// Somebody says something that is meant for nobody.
fn chatter(shared: &Shared, text: &str) {
    let author = shared.world.borrow_mut().person("ben").unwrap_or(0);
    let draft = Draft {
        channel: RANDOM,
        author,
        content: text.to_owned(),
        fleeting: true,
        ..Draft::default()
    };
    let _ = shared.post(draft);
}
