//! Keeps what is remembered of chats over restarts: what was said lately, as far as it tells for
//! whom the next message is, and what people think of our judging.
//!
//! It goes to the runtime directory (memory, on most hosts) every few seconds in which somebody
//! spoke; to the disk at a slow beat, and there only when somebody has voted; and to both at the
//! end. Damage costs the file that has it: then a chat begins anew.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use serde_json::{Value, json};
use smol::channel::Receiver;
use smol::future::or;

use super::settings::Settings;
use super::trail;
use crate::base::limits;
use crate::core::intent::Memory;
use crate::proto::discord::intents;
use crate::rt::store::{Cell, Durability};
use crate::rt::{blocking, clock};

/// Where it is kept.
#[derive(Clone)]
pub(crate) struct Opinions {
    hot: Option<Cell>,
    cold: Cell,
}

/// What is kept, shared with the doors.
pub(super) type Shared = Rc<RefCell<Option<Memory>>>;

impl Opinions {
    /// In these directories, the names beginning with `stem`.
    pub(crate) fn new(runtime: Option<&Path>, state: &Path, stem: &str) -> Opinions {
        let name = format!("{stem}.intent");
        let cell = |dir| Cell::new(dir, &name, limits::INTENT_KEPT_BYTES_MAX);
        Opinions { hot: runtime.map(cell), cold: cell(state) }
    }

    /// What the last process kept, if that can be read.
    pub(super) fn read(&self) -> Option<Memory> {
        let bytes = trail::youngest(self.hot.iter().chain([&self.cold]), "memory of chats")?;
        let mut memory = Memory::default();
        if !memory.restore(&bytes) {
            log::info!(target: "discord", "of the kept memory of chats not all can be read");
        }
        Some(memory)
    }

    /// Keeps `memory` when `woken`, until the other end of that is gone.
    pub(super) async fn run(self, memory: Shared, woken: Receiver<()>) {
        let (mut cold_due, mut is_stale) = (clock::now() + limits::COLD_SAVE, false);
        let mut kept = changes(&memory);
        while woken.recv().await.is_ok() {
            is_stale = true;
            // What else is said in this time is written with it.
            let over = async { while woken.recv().await.is_ok() {} };
            or(over, clock::sleep(limits::TRACE_SAVE)).await;
            if let Some(hot) = &self.hot {
                write(hot, &memory, Durability::Hot).await;
            }
            if cold_due <= clock::now() && changes(&memory) != kept {
                kept = changes(&memory);
                write(&self.cold, &memory, Durability::Disk).await;
                cold_due = clock::now() + limits::COLD_SAVE;
            }
        }
        if is_stale {
            if let Some(hot) = &self.hot {
                write(hot, &memory, Durability::Hot).await;
            }
            write(&self.cold, &memory, Durability::Disk).await;
        }
    }
}

/// How the intent filter fares. Cheap to clone.
#[derive(Clone)]
pub(super) struct Judging {
    settings: Rc<RefCell<Settings>>,
    memory: Shared,
    /// Whether Discord tells us of reactions in servers.
    hears_reactions: bool,
}

impl Judging {
    /// By these settings, of a connection that asked for `intents`.
    pub(super) fn new(settings: &Rc<RefCell<Settings>>, memory: Shared, intents: u32) -> Judging {
        let hears_reactions = intents & intents::REACTIONS != 0;
        Judging { settings: settings.clone(), memory, hears_reactions }
    }

    /// What there is to see of it, which is not a word of what was said.
    pub(super) fn status(&self) -> Value {
        let settings = self.settings.borrow();
        let Some(filter) = &settings.intent else { return Value::Null };
        let memory = self.memory.borrow();
        let opinions = memory.as_ref().map(|memory| &memory.opinions);
        let counts = opinions.iter().flat_map(|opinions| opinions.counts());
        let heard = counts.map(|(heard, count)| (heard.name().to_owned(), count.into()));
        json!({
            "reactions": match (filter.learns, self.hears_reactions) {
                (false, _) => "switched off",
                (true, true) => "heard",
                (true, false) => "not asked for: intentFilter.learnFromReactions, or the intent \
                                  GUILD_MESSAGE_REACTIONS",
            },
            "heard": heard.collect::<serde_json::Map<String, Value>>(),
            "chatsThatLean": opinions.map_or(0, |opinions| opinions.leaning(clock::wall())),
        })
    }
}

fn changes(memory: &Shared) -> u64 {
    memory.borrow().as_ref().map_or(0, |memory| memory.opinions.changes())
}

/// Encoding and writing take a while on a small board: another thread does it.
async fn write(cell: &Cell, memory: &Shared, durability: Durability) {
    let Some(memory) = memory.borrow().clone() else { return };
    let (cell, now) = (cell.clone(), clock::wall());
    let write = move || {
        let bytes = [&now.0.to_le_bytes()[..], &memory.encode(now)].concat();
        cell.write(&bytes, durability)
    };
    if !matches!(blocking::run(write).await, Ok(Ok(()))) {
        // The next beat tries again; and that a disk fails is said by whoever needs it more.
        log::debug!(target: "discord", "what is remembered of chats cannot be kept just now");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::{Inbound, sample};
    use crate::core::intent::{Mark, Reaction};
    use crate::rt::executor::{self, Tier};
    use crate::rt::store::tests::Scratch;
    use smol::channel::bounded;

    /// A memory in which somebody has disliked an answer.
    fn disliked() -> Memory {
        let mut memory = Memory::default();
        let asked = sample::inbound();
        memory.hear(&asked, true);
        let ours = Inbound { id: 101, author: 1, from_self: true, ..asked };
        memory.hear(&ours, false);
        let vote = Reaction { chat: asked.chat, message: 101, author: 7, mark: Mark::Down };
        memory.opinions.react(clock::wall(), vote, true);
        memory
    }

    fn bias(memory: Option<&Memory>) -> i8 {
        memory.map_or(0, |memory| memory.bias(sample::chat(5), clock::wall()))
    }

    #[test]
    fn what_people_think_outlives_the_process_and_the_loss_of_either_file() {
        let (runtime, state) = (Scratch::new(), Scratch::new());
        let opinions = Opinions::new(Some(runtime.path()), state.path(), "discord");
        assert!(opinions.read().is_none());
        let look = opinions.clone();
        executor::run(move |spawner| async move {
            let (stirred, woken) = bounded(1);
            let memory: Shared = Rc::new(RefCell::new(Some(disliked())));
            let task = spawner.spawn(Tier::Work, "opinions", opinions.run(memory, woken));
            stirred.send(()).await.unwrap();
            drop(stirred);
            task.await;
        });
        assert!(bias(look.read().as_ref()) < 0);
        std::fs::write(runtime.path().join("discord.intent"), b"rubbish").unwrap();
        assert!(bias(look.read().as_ref()) < 0, "the disk has it");
        std::fs::write(state.path().join("discord.intent"), b"rubbish").unwrap();
        assert!(look.read().is_none());
    }
}
