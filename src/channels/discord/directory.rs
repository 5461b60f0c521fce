//! Keeps what is known of channels over restarts: a session that is resumed does not tell it
//! again.
//!
//! It goes to the runtime directory (memory, on most hosts) soon after it changed, to the disk at
//! a slow beat, and to both at the end. Damage costs the file that has it: then channels are asked
//! for one by one, as messages come from them.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;

use super::trail;
use crate::base::limits;
use crate::rt::store::{Cell, Durability};
use crate::rt::{blocking, clock};

/// Where it is kept.
#[derive(Clone)]
pub(crate) struct Directory {
    hot: Option<Cell>,
    cold: Cell,
}

/// Takes what is to be kept; [`Shelving`] writes it.
pub(super) struct Shelf {
    kept: Rc<RefCell<Rc<[u8]>>>,
    wake: Sender<()>,
}

/// The writing side.
pub(super) struct Shelving {
    directory: Directory,
    kept: Rc<RefCell<Rc<[u8]>>>,
    woken: Receiver<()>,
}

impl Directory {
    /// In these directories, the names beginning with `stem`.
    pub(crate) fn new(runtime: Option<&Path>, state: &Path, stem: &str) -> Directory {
        let cell = |dir| Cell::new(dir, &format!("{stem}.places"), limits::PLACES_BYTES_MAX);
        Directory { hot: runtime.map(cell), cold: cell(state) }
    }

    /// What the last process kept, if that can be read.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        trail::youngest(self.hot.iter().chain([&self.cold]), "directory of channels")
    }

    /// A pair that keeps it from now on.
    pub(super) fn open(self) -> (Shelf, Shelving) {
        let kept = Rc::new(RefCell::new(Rc::from([])));
        let (wake, woken) = bounded(1);
        (Shelf { kept: kept.clone(), wake }, Shelving { directory: self, kept, woken })
    }
}

impl Shelf {
    /// Keeps `bytes` in place of what was to be kept before.
    pub(super) fn put(&self, bytes: Vec<u8>) {
        self.kept.replace(bytes.into());
        // One word that waits says it all.
        let _ = self.wake.try_send(());
    }
}

impl Shelving {
    /// Writes until the [`Shelf`] is gone, and then once more.
    pub(super) async fn run(self) {
        let (mut cold_due, mut is_stale) = (clock::now() + limits::COLD_SAVE, false);
        while self.woken.recv().await.is_ok() {
            is_stale = true;
            // What else changes in this time is written with it.
            let over = async { while self.woken.recv().await.is_ok() {} };
            or(over, clock::sleep(limits::TRACE_SAVE)).await;
            self.write(self.directory.hot.as_ref(), Durability::Hot).await;
            if cold_due <= clock::now() {
                self.write(Some(&self.directory.cold), Durability::Disk).await;
                (cold_due, is_stale) = (clock::now() + limits::COLD_SAVE, false);
            }
        }
        if is_stale {
            self.write(self.directory.hot.as_ref(), Durability::Hot).await;
            self.write(Some(&self.directory.cold), Durability::Disk).await;
        }
    }

    async fn write(&self, cell: Option<&Cell>, durability: Durability) {
        let Some(cell) = cell.cloned() else { return };
        let kept = self.kept.borrow().clone();
        let bytes = [&clock::wall().0.to_le_bytes()[..], &kept].concat();
        let written = blocking::run(move || cell.write(&bytes, durability)).await;
        if !matches!(written, Ok(Ok(()))) {
            log::debug!(target: "discord", "what is known of channels cannot be kept just now");
        }
    }
}
