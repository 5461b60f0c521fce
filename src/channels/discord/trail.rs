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
        let cells = self.hot.iter().chain([&self.cold]);
        if let Some(trail) = youngest(cells, "trail")
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

/// What is in the younger of `cells`, whose content begins with the time at which it was written.
pub(super) fn youngest<'a>(cells: impl Iterator<Item = &'a Cell>, what: &str) -> Option<Vec<u8>> {
    let mut youngest: Option<(u64, Vec<u8>)> = None;
    for cell in cells {
        match cell.read() {
            Ok(Content::Whole(bytes)) => {
                let Some((stamp, rest)) = bytes.split_first_chunk::<STAMP_BYTES>() else {
                    continue;
                };
                let stamp = u64::from_le_bytes(*stamp);
                if youngest.as_ref().is_none_or(|(known, _)| stamp > *known) {
                    youngest = Some((stamp, rest.to_vec()));
                }
            }
            Ok(Content::Empty) => {}
            Ok(Content::Quarantined(file)) => log::warn!(
                target: "discord",
                "the kept {what} was damaged; it was put aside as {}",
                file.display()
            ),
            Err(error) => log::warn!(target: "discord", "the kept {what}: {error}"),
        }
    }
    youngest.map(|(_, content)| content)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::access::Refusal;
    use crate::core::chat::{Inbound, sample};
    use crate::core::dedup::Answered;
    use crate::core::trace::Step;
    use crate::rt::executor::{self, Tier};
    use crate::rt::store::tests::Scratch;
    use std::future::Future;

    fn inbound(id: u64) -> Inbound<'static> {
        Inbound { id, seq: id, mentions_us: true, ..sample::inbound() }
    }

    fn knocked(ledger: &RefCell<Ledger>, id: u64, step: Step) {
        ledger.borrow_mut().came(&inbound(id), None, step, None);
    }

    /// The ids that are known after a start.
    fn known(trail: &Trail) -> Vec<u64> {
        let mut trace = Trace::default();
        trail.read(&mut trace);
        trace.knocks().map(|knock| knock.line.id).collect()
    }

    /// Runs `test` beside the keeping of the trail, which must end after it.
    fn with_trail<F: Future<Output = ()> + 'static>(
        trail: &Trail,
        test: impl FnOnce(Rc<RefCell<Ledger>>) -> F + 'static,
    ) {
        let trail = trail.clone();
        executor::run(move |spawner| async move {
            let (ledger, changed) = Ledger::new(Answered::default(), Trace::default());
            let ledger = Rc::new(RefCell::new(ledger));
            let (keeps, over) = smol::channel::bounded(1);
            let run = trail.run(ledger.clone(), changed, over);
            let run = spawner.spawn(Tier::Work, "trail", run);
            test(ledger).await;
            drop(keeps);
            run.await;
        });
    }

    #[test]
    fn what_happened_is_in_memory_within_seconds_and_on_the_disk_at_the_end() {
        let (runtime, state) = (Scratch::new(), Scratch::new());
        let trail = Trail::new(Some(runtime.path()), state.path(), "discord");
        let (hot, cold) = (trail.clone(), state.path().join("discord.trail"));
        let look = cold.clone();
        with_trail(&trail, |ledger| async move {
            knocked(&ledger, 1, Step::Refused(Refusal::Empty));
            let deadline = clock::now() + limits::TRACE_SAVE * 20;
            while known(&hot).is_empty() {
                assert!(clock::now() < deadline, "it was never kept");
                clock::sleep(limits::TRACE_SAVE / 30).await;
            }
            assert!(!look.exists(), "a refusal alone is not worth a write to the disk");
        });
        assert!(cold.exists());
        assert_eq!(known(&trail), [1]);
        std::fs::remove_file(runtime.path().join("discord.trail")).unwrap();
        assert_eq!(known(&trail), [1], "the disk has it too");
    }

    #[test]
    fn without_a_runtime_directory_it_is_on_the_disk_at_the_end() {
        let state = Scratch::new();
        let trail = Trail::new(None, state.path(), "discord.work");
        with_trail(&trail, |ledger| async move { knocked(&ledger, 1, Step::Admitted) });
        assert_eq!(known(&trail), [1]);
        let idle = Scratch::new();
        let trail = Trail::new(None, idle.path(), "discord");
        with_trail(&trail, |_| async {});
        assert!(std::fs::read_dir(idle.path()).unwrap().next().is_none(), "nothing happened");
    }

    #[test]
    fn of_two_copies_the_younger_is_read_and_damage_costs_one_only() {
        let (runtime, state) = (Scratch::new(), Scratch::new());
        let trail = Trail::new(Some(runtime.path()), state.path(), "discord");
        let stamped = |stamp: u64, id| {
            let (mut ledger, _) = Ledger::new(Answered::default(), Trace::default());
            ledger.came(&inbound(id), None, Step::Admitted, None);
            [&stamp.to_le_bytes()[..], &ledger.trace.encode()].concat()
        };
        let hot = trail.hot.clone().unwrap();
        hot.write(&stamped(1000, 1), Durability::Hot).unwrap();
        trail.cold.write(&stamped(2000, 2), Durability::Hot).unwrap();
        assert_eq!(known(&trail), [2], "the runtime directory was not written for long");
        hot.write(&stamped(3000, 3), Durability::Hot).unwrap();
        assert_eq!(known(&trail), [3]);
        std::fs::write(runtime.path().join("discord.trail"), "garbage").unwrap();
        assert_eq!(known(&trail), [2]);
        trail.cold.write(b"short", Durability::Hot).unwrap();
        assert_eq!(known(&trail), [0; 0]);
    }
}
