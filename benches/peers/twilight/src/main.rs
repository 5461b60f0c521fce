//! twilight-gateway as a peer of `benches/run`: keeps one bot connected and counts its messages.
//!
//! `PEER_URL` is the gateway (`ws://127.0.0.1:PORT` or `wss://`), `PEER_TOKEN` the bot's token. It
//! prints `ready`, then `messages N` after each full thousand, and runs until it is ended.

use twilight_gateway::{ConfigBuilder, EventTypeFlags, Intents, Shard, ShardId, StreamExt as _};
use twilight_model::gateway::event::Event;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("set {name}"));
    let intents = Intents::from_bits_retain(37377);
    let config = ConfigBuilder::new(variable("PEER_TOKEN"), intents)
        .proxy_url(variable("PEER_URL"))
        .build();
    let mut shard = Shard::with_config(ShardId::ONE, config);
    let mut messages = 0_u64;
    while let Some(event) = shard.next_event(EventTypeFlags::all()).await {
        match event {
            Ok(Event::Ready(_)) => println!("ready"),
            Ok(Event::MessageCreate(_)) => {
                messages += 1;
                if messages.is_multiple_of(1000) {
                    println!("messages {messages}");
                }
            }
            Ok(_) => {}
            Err(error) => eprintln!("{error}"),
        }
    }
}
