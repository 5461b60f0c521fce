//! What the answers of all agents have cost today, kept over restarts.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use crate::base::limits::BUDGET_BYTES_MAX;
use crate::core::budget::{Budget, Limits, Over, Price, Spent};
use crate::core::turn::Room;
use crate::proto::llm::Usage;
use crate::rt::store::{Cell, Content, Durability};
use crate::rt::{blocking, clock};

/// The file in the state directory.
const FILE: &str = "budget";

/// See the module.
#[derive(Debug)]
pub struct Purse {
    budget: RefCell<Budget>,
    cell: Cell,
    /// What was taken in rooms that somebody watches.
    watched: RefCell<Vec<(Room, Usage)>>,
}

/// Whoever wants to know what the answers of a room take.
#[derive(Debug)]
pub struct Watch {
    purse: Rc<Purse>,
    room: Room,
}

impl Watch {
    /// What they took since it was begun.
    #[must_use]
    pub fn took(&self) -> Usage {
        let watched = self.purse.watched.borrow();
        let of = watched.iter().find(|(room, _)| *room == self.room);
        of.map(|(_, usage)| *usage).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.purse.watched.borrow_mut();
        if let Some(at) = watched.iter().position(|(room, _)| *room == self.room) {
            watched.swap_remove(at);
        }
    }
}

impl Purse {
    /// Reads what the state directory knows. What cannot be read is said, and counts as nothing.
    #[must_use]
    pub fn open(state: &Path) -> Purse {
        let cell = Cell::new(state, FILE, BUDGET_BYTES_MAX);
        let budget = match cell.read() {
            Ok(Content::Whole(bytes)) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Ok(Content::Empty) => Budget::default(),
            Ok(Content::Quarantined(aside)) => {
                log::warn!(
                    target: "agent",
                    "what was spent today was damaged and put aside as {}: it is counted anew",
                    aside.display()
                );
                Budget::default()
            }
            Err(error) => {
                log::warn!(target: "agent", "what was spent today cannot be read: {error}");
                Budget::default()
            }
        };
        Purse { budget: RefCell::new(budget), cell, watched: RefCell::default() }
    }

    /// Whether another answer may be made in `room`.
    ///
    /// # Errors
    /// A limit is reached.
    pub fn ask(&self, room: &Room, limits: Limits) -> Result<(), Over> {
        self.budget.borrow_mut().ask(room, limits, clock::wall())
    }

    /// What was spent today in `room`, and in all.
    #[must_use]
    pub fn today(&self, room: &Room) -> (Spent, Spent) {
        let budget = self.budget.borrow();
        (budget.of(room), budget.today().0)
    }

    /// Watches what answers in `room` take, of which one is made at a time.
    #[must_use]
    pub fn watch(self: &Rc<Purse>, room: &Room) -> Watch {
        self.watched.borrow_mut().push((room.clone(), Usage::default()));
        Watch { purse: self.clone(), room: room.clone() }
    }

    /// An answer in `room` has taken `usage`, at `price`. It is not forced to the disk: a power cut
    /// may give the last answers back, and the card is spared.
    pub async fn spend(&self, room: &Room, usage: Usage, price: Price) {
        self.budget.borrow_mut().spend(room, usage, price, clock::wall());
        for (_, sum) in self.watched.borrow_mut().iter_mut().filter(|(of, _)| of == room) {
            sum.input = sum.input.saturating_add(usage.input);
            sum.cached = sum.cached.saturating_add(usage.cached);
            sum.output = sum.output.saturating_add(usage.output);
        }
        self.keep().await;
    }

    /// Forgets what was spent in these chats by themselves.
    pub async fn forget(&self, chats: &BTreeSet<u64>) {
        self.budget.borrow_mut().forget(chats);
        self.keep().await;
    }

    async fn keep(&self) {
        let content = serde_json::to_vec(&*self.budget.borrow()).unwrap_or_default();
        let cell = self.cell.clone();
        // What cannot be written is written with the next answer.
        if let Ok(Err(error)) = blocking::run(move || cell.write(&content, Durability::Hot)).await {
            log::debug!(target: "agent", "what was spent cannot be kept: {error}");
        }
    }
}
