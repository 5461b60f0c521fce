//! Keeps the decision trail over restarts.
//!
//! It goes to the runtime directory (memory, on most hosts) every few seconds in which something
//! happened; to the disk at a slow beat, and there only for messages that are answered, so that
//! what strangers say costs an SD card nothing; and to both at the end.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use smol::channel::Receiver;
use smol::future::or;

use super::doors::Ledger;
use crate::base::limits;
use crate::core::trace::Trace;
use crate::rt::store::{Cell, Content, Durability};
use crate::rt::{blocking, clock};

/// Where it is kept.
#[derive(Clone)]
pub(crate) struct Trail {
    hot: Option<Cell>,
    cold: Cell,
}

/// The time of writing goes before the trail itself: of two copies the younger one is read.
const STAMP_BYTES: usize = 8;

impl Trail {
    /// In these directories, the names beginning with `stem`.
    pub(crate) fn new(runtime: Option<&Path>, state: &Path, stem: &str) -> Trail {
        let bytes_max = limits::TRACE_BYTES_MAX;
        let hot = runtime.map(|dir| Cell::new(dir, &format!("{stem}.trail"), bytes_max));
        Trail { hot, cold: Cell::new(state, &format!("{stem}.trail"), bytes_max) }
    }

    /// Fills `trace` with what the last process kept. Whatever is wrong with it costs the trail
    /// and nothing else.
    pub(super) fn read(&self, trace: &mut Trace) {
        let mut youngest: Option<(u64, Vec<u8>)> = None;
        for cell in self.hot.iter().chain([&self.cold]) {
            match cell.read() {
                Ok(Content::Whole(bytes)) => {
                    let Some((stamp, trail)) = bytes.split_first_chunk::<STAMP_BYTES>() else {
                        continue;
                    };
                    let stamp = u64::from_le_bytes(*stamp);
                    if youngest.as_ref().is_none_or(|(known, _)| stamp > *known) {
                        youngest = Some((stamp, trail.to_vec()));
                    }
                }
                Ok(Content::Empty) => {}
                Ok(Content::Quarantined(file)) => log::warn!(
                    target: "discord",
                    "the kept trail was damaged; it was put aside as {}",
                    file.display()
                ),
                Err(error) => log::warn!(target: "discord", "the kept trail: {error}"),
            }
        }
        if let Some((_, trail)) = youngest
            && !trace.restore(&trail)
        {
            log::info!(target: "discord", "of the kept trail not everything could be read");
        }
    }

    /// Keeps what `ledger` takes in, when `woken`, until the other end of `over` is gone.
    pub(super) async fn run(
        self,
        ledger: Rc<RefCell<Ledger>>,
        woken: Receiver<()>,
        over: Receiver<()>,
    ) {
        let mut cold_due = clock::now() + limits::COLD_SAVE;
        let (mut hot_kept, mut cold_kept) = (0, 0);
        let over = || async {
            let _ = over.recv().await;
            true
        };
        while !or(over(), async { woken.recv().await.is_err() }).await {
            let wait = async {
                clock::sleep(limits::TRACE_SAVE).await;
                false
            };
            if or(over(), wait).await {
                break;
            }
            let (changes, weighty) = counts(&ledger);
            if let Some(hot) = &self.hot
                && changes != hot_kept
            {
                keep(hot, &ledger, Durability::Hot).await;
                hot_kept = changes;
            }
            if weighty != cold_kept && cold_due <= clock::now() {
                keep(&self.cold, &ledger, Durability::Disk).await;
                cold_kept = weighty;
                cold_due = clock::now() + limits::COLD_SAVE;
            }
        }
        if counts(&ledger).0 > 0 {
            if let Some(hot) = &self.hot {
                keep(hot, &ledger, Durability::Hot).await;
            }
            keep(&self.cold, &ledger, Durability::Disk).await;
        }
    }
}

fn counts(ledger: &RefCell<Ledger>) -> (u64, u64) {
    let trace = &ledger.borrow().trace;
    (trace.changes(), trace.weighty())
}

/// Encoding and writing take some milliseconds on a small board: another thread does it.
async fn keep(cell: &Cell, ledger: &RefCell<Ledger>, durability: Durability) {
    let (cell, trace) = (cell.clone(), ledger.borrow().trace.clone());
    let stamp = clock::wall().0.to_le_bytes();
    let write = move || cell.write(&[&stamp[..], &trace.encode()].concat(), durability);
    match blocking::run(write).await {
        Ok(Ok(())) => {}
        // The next beat tries again; and that a disk fails is said by whoever needs it more.
        Ok(Err(error)) => log::debug!(target: "discord", "the trail cannot be kept: {error}"),
        Err(full) => log::debug!(target: "discord", "the trail cannot be kept: {full}"),
    }
}
