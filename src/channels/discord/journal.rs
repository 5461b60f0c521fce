//! The log of messages on their way, on disk: written in groups, made short when it is long.
//!
//! A disk that fails stops nobody: what cannot be written is dealt with from memory, and that is
//! said when it begins and when it ends.

use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::base::limits;
use crate::core::dedup::{Answered, Mark};
use crate::core::journal::{Entry, Memory};
use crate::core::outbox::{ItemId, Origin};
use crate::rt::clock;
use crate::rt::store::{Bounds, Log, Short, StoreError};

type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

pub(super) const BOUNDS: Bounds = Bounds {
    record_bytes_max: limits::JOURNAL_RECORD_BYTES_MAX,
    file_bytes_max: limits::JOURNAL_BYTES_MAX,
};

/// Who waits for a record to be on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    /// An item of the outbox, by its ticket.
    Item(u64),
    /// An admitted message.
    Message(u64),
    /// An answer that is to be shown before it is complete.
    Draft(ItemId),
}

/// What happened.
pub(super) enum Event {
    /// This is on the disk, or will never be.
    Kept(Waits),
    /// The log has become long: give it what is to be kept, by [`shorten`](Journal::shorten).
    Long,
}

/// How often what was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// Groups that were written to the disk.
    pub(super) groups: u64,
    /// Bytes that were appended.
    pub(super) bytes: u64,
    /// Records that could not be written.
    pub(super) failed: u64,
}

/// The log.
pub(super) struct Journal {
    log: Log,
    doing: Option<Doing<Done>>,
    /// When the group that is being gathered goes to the disk.
    beat: Option<Doing<()>>,
    /// Whether it does so at once.
    is_urgent: bool,
    /// Whether anything was appended since the last group.
    is_dirty: bool,
    /// Records so far.
    count: u64,
    /// Who waits for which.
    waiting: VecDeque<(u64, Waits)>,
    /// What is known to be on the disk, or never will be.
    durable: u64,
    /// At which length it is made short.
    long: u64,
    /// Whether the last write failed.
    failing: bool,
    counts: Counts,
}

/// What was under way.
enum Done {
    Synced(u64, Result<(), StoreError>),
    Short(Result<Short, StoreError>),
}

impl Journal {
    /// Opens it in `state`, its name beginning with `stem`; gives what it tells.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub(super) fn open(state: &Path, stem: &str) -> Result<(Journal, Memory), StoreError> {
        let mut memory = Memory::default();
        let (log, found) = Log::open(state, &format!("{stem}.messages"), BOUNDS, |record| {
            memory.read(record);
        })?;
        if let Some(file) = &found.quarantined {
            log::warn!(
                target: "discord",
                "the log of messages was damaged; what was read of it is used, all of it was put \
                 aside as {}",
                file.display()
            );
        }
        if found.torn_bytes > 0 {
            log::warn!(
                target: "discord",
                "the log of messages ended in the middle of a record ({} bytes): the power was \
                 cut, or the disk was full",
                found.torn_bytes
            );
        }
        if memory.strange > 0 {
            log::warn!(
                target: "discord",
                "{} records of the log of messages are of another version, and passed over",
                memory.strange
            );
        }
        let mut journal = Journal {
            log,
            doing: None,
            beat: None,
            is_urgent: false,
            is_dirty: false,
            count: 0,
            waiting: VecDeque::new(),
            durable: 0,
            long: limits::JOURNAL_SHORT_BYTES,
            failing: false,
            counts: Counts::default(),
        };
        journal.take_in_old_list(state, stem, &mut memory.answered);
        Ok((journal, memory))
    }

    /// An older version kept only a list of what was answered.
    fn take_in_old_list(&mut self, state: &Path, stem: &str, answered: &mut Answered) {
        let name = format!("{stem}.answered");
        if !state.join(&name).exists() {
            return;
        }
        let bounds =
            Bounds { record_bytes_max: 17, file_bytes_max: limits::ANSWERED_LOG_BYTES_MAX };
        let opened = Log::open(state, &name, bounds, |record| {
            if let Some(mark) = Mark::decode(record) {
                answered.mark(mark);
            }
        });
        let marks = answered.marks();
        let reply = |mark: Mark| ItemId { chat: mark.chat, origin: Origin::Reply(mark.id) };
        let are_kept = opened.is_ok()
            && marks.into_iter().all(|mark| self.append(&Entry::Settled(reply(mark)), None));
        if are_kept && std::fs::remove_file(state.join(&name)).is_err() {
            log::debug!(target: "discord", "the old list of answered messages stays");
        }
    }

    /// Appends `entry`, for which somebody may wait: then it goes to the disk as soon as what is
    /// under way is done, with all that came until then. False if it could not be written.
    pub(super) fn append(&mut self, entry: &Entry, waits: Option<Waits>) -> bool {
        let record = entry.encode();
        let appended = self.log.append(&record);
        let written = appended.is_ok();
        self.tell(appended);
        self.count += 1;
        if written {
            self.counts.bytes += record.len() as u64;
            self.is_dirty = true;
        } else {
            self.counts.failed += 1;
        }
        // An answer waits for it; that the cursor may move has time.
        self.is_urgent |= matches!(waits, Some(Waits::Item(_) | Waits::Draft(_)));
        self.waiting.extend(waits.map(|waits| (self.count, waits)));
        written
    }

    /// Makes the log short to `records`.
    pub(super) fn shorten(&mut self, records: Vec<Vec<u8>>) {
        if self.doing.is_none() {
            let short = self.log.shorten(records);
            self.doing = Some(Box::pin(async { Done::Short(short.await) }));
        }
    }

    /// How often what was done.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// The next thing that happens.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(&(count, waits)) = self.waiting.front() {
                // What cannot be written at all need not be waited for.
                if count <= self.durable || (!self.is_dirty && self.doing.is_none()) {
                    self.waiting.pop_front();
                    return Poll::Ready(Event::Kept(waits));
                }
            }
            if let Some(doing) = &mut self.doing {
                let done = ready!(doing.as_mut().poll(context));
                self.doing = None;
                self.done(done);
            } else if self.log.bytes() >= self.long {
                return Poll::Ready(Event::Long);
            } else if self.is_dirty {
                if !self.is_urgent {
                    let beat = self
                        .beat
                        .get_or_insert_with(|| Box::pin(clock::sleep(limits::JOURNAL_SYNC)));
                    ready!(beat.as_mut().poll(context));
                }
                self.begin_group();
            } else {
                return Poll::Pending;
            }
        }
    }

    fn begin_group(&mut self) {
        (self.is_dirty, self.is_urgent, self.beat) = (false, false, None);
        let (count, sync) = (self.count, self.log.sync());
        self.counts.groups += 1;
        self.doing = Some(Box::pin(async move { Done::Synced(count, sync.await) }));
    }

    fn done(&mut self, done: Done) {
        match done {
            // If it failed, waiting on would lose more than going on from memory.
            Done::Synced(count, synced) => {
                self.durable = self.durable.max(count);
                self.tell(synced);
            }
            Done::Short(short) => {
                let short = self.log.take_over(short);
                // If it cannot be made short now, it is tried again at twice the length.
                self.long = (self.log.bytes() * 2).max(limits::JOURNAL_SHORT_BYTES);
                self.is_dirty = true;
                self.tell(short);
            }
        }
    }

    /// Waits until all is on the disk, or known not to be.
    pub(super) async fn close(mut self) {
        self.is_urgent = true;
        std::future::poll_fn(|context| {
            while let Poll::Ready(event) = self.poll(context) {
                if let Event::Long = event {
                    // The next start can do that as well.
                    self.long = u64::MAX;
                }
            }
            if self.doing.is_none() && !self.is_dirty { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn tell(&mut self, outcome: Result<(), StoreError>) {
        let failed_before = std::mem::replace(&mut self.failing, outcome.is_err());
        match outcome {
            Err(error) if !failed_before => log::warn!(
                target: "discord",
                "the log of messages cannot be written ({error}): replies are sent all the same, \
                 and a crash could lose some or show them twice"
            ),
            Ok(()) if failed_before => {
                log::info!(target: "discord", "the log of messages is written again");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::{ChannelKind, ChatId};
    use crate::rt::store::tests::Scratch;
    use std::future::poll_fn;

    fn settled(id: u64) -> Entry {
        let chat = ChatId { channel: ChannelKind::Discord, id: 1 };
        Entry::Settled(ItemId { chat, origin: Origin::Reply(id) })
    }

    fn already(memory: &Memory, id: u64) -> bool {
        memory.answered.already(ChatId { channel: ChannelKind::Discord, id: 1 }, id)
    }

    async fn kept(journal: &mut Journal) -> Option<Waits> {
        match poll_fn(|context| journal.poll(context)).await {
            Event::Kept(waits) => Some(waits),
            Event::Long => None,
        }
    }

    #[test]
    fn those_who_wait_hear_it_after_one_write_for_all_of_them() {
        let state = Scratch::new();
        smol::block_on(async {
            let (mut journal, _) = Journal::open(state.path(), "discord").unwrap();
            for id in 1..=9 {
                assert!(journal.append(&settled(id), Some(Waits::Item(id))));
            }
            for id in 1..=9 {
                assert_eq!(kept(&mut journal).await, Some(Waits::Item(id)));
            }
            assert_eq!(journal.counts().groups, 1);
            journal.append(&settled(10), None);
            journal.close().await;
            assert!(already(&Journal::open(state.path(), "discord").unwrap().1, 10));
        });
    }

    #[test]
    fn a_long_log_is_made_short_and_what_came_meanwhile_is_behind_it() {
        let state = Scratch::new();
        smol::block_on(async {
            let (mut journal, _) = Journal::open(state.path(), "discord").unwrap();
            let mut id = 0;
            while journal.log.bytes() < limits::JOURNAL_SHORT_BYTES {
                id += 1;
                journal.append(&settled(id), None);
            }
            assert_eq!(kept(&mut journal).await, None, "it is long");
            journal.shorten(vec![settled(id).encode()]);
            journal.append(&settled(id + 1), Some(Waits::Item(7)));
            assert_eq!(kept(&mut journal).await, Some(Waits::Item(7)));
            journal.close().await;
            let (journal, memory) = Journal::open(state.path(), "discord").unwrap();
            assert!(already(&memory, id + 1) && !already(&memory, id + 2));
            assert!(journal.log.bytes() < 100);
        });
    }

    #[test]
    fn the_list_of_an_older_version_is_taken_in() {
        let state = Scratch::new();
        let chat = ChatId { channel: ChannelKind::Discord, id: 1 };
        let bounds = Bounds { record_bytes_max: 17, file_bytes_max: 1000 };
        let (mut old, _) = Log::open(state.path(), "discord.answered", bounds, |_| ()).unwrap();
        old.append(&Mark { chat, id: 5 }.encode()).unwrap();
        for _ in 0..2 {
            let (_, memory) = Journal::open(state.path(), "discord").unwrap();
            assert!(already(&memory, 5) && !already(&memory, 6));
            assert!(!state.path().join("discord.answered").exists());
        }
    }

    #[test]
    fn damage_and_torn_ends_cost_what_they_hit_and_no_start() {
        let state = Scratch::new();
        let path = state.path().join("discord.messages");
        let (mut journal, _) = Journal::open(state.path(), "discord").unwrap();
        (1..=3).for_each(|id| assert!(journal.append(&settled(id), None)));
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(already(&Journal::open(state.path(), "discord").unwrap().1, 2));
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let (mut journal, memory) = Journal::open(state.path(), "discord").unwrap();
        assert!(already(&memory, 1) && !already(&memory, 2));
        assert!(journal.append(&settled(9), None));
        assert!(already(&Journal::open(state.path(), "discord").unwrap().1, 9));
    }
}
