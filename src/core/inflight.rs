//! How far the stream of events is dealt with: a low-water mark.
//!
//! A session is resumed at a sequence, and the server replays what came after it. So the sequence
//! that we keep must never be ahead of a message that is not written down yet: `kill -9` or a power
//! cut at any moment then replays that message rather than losing it (and what was written down is
//! known again, see [`journal`](super::journal)). The same holds for the newest message that we
//! have seen, from which on messages are fetched after a session was lost.

use crate::base::limits::INFLIGHT_MAX;

/// The messages of one account that are being dealt with, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Inflight {
    open: heapless::Vec<Open, INFLIGHT_MAX>,
    heard: u64,
    newest: u64,
    refused: u64,
}

/// The id names a message for ever, the sequence in one session.
#[derive(Clone, Copy, Debug)]
struct Open {
    id: u64,
    /// Where the stream must be replayed from to bring it again, as long as that is needed.
    seq: Option<u64>,
    is_written: bool,
}

/// As many messages are being dealt with as we allow at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl Inflight {
    /// Message `id`, which came at `seq`, is to be dealt with.
    ///
    /// # Errors
    /// There is no room. The message is counted here and must be refused aloud: holding back the
    /// mark for it would only make the next RESUME bring everything again.
    pub fn admit(&mut self, seq: u64, id: u64) -> Result<(), Full> {
        self.heard(seq);
        self.push(Open { id, seq: Some(seq), is_written: false })
    }

    /// Message `id`, which did not come with the stream, is to be dealt with.
    ///
    /// # Errors
    /// There is no room; as with [`admit`](Inflight::admit).
    pub fn admit_late(&mut self, id: u64) -> Result<(), Full> {
        self.push(Open { id, seq: None, is_written: false })
    }

    fn push(&mut self, open: Open) -> Result<(), Full> {
        self.open.push(open).map_err(|_| {
            self.refused += 1;
            Full
        })
    }

    /// Message `id` is written down: no replay is needed to bring it again.
    pub fn written(&mut self, id: u64) {
        for open in self.open.iter_mut().filter(|open| open.id == id) {
            (open.seq, open.is_written) = (None, true);
        }
    }

    /// Message `id` is answered, or given up aloud. Ids that are not open are no matter.
    pub fn done(&mut self, id: u64) {
        self.open.retain(|open| open.id != id);
    }

    /// Everything up to `seq` has come in.
    pub fn heard(&mut self, seq: u64) {
        self.heard = self.heard.max(seq);
    }

    /// Message `id` was seen, whatever becomes of it.
    pub fn saw(&mut self, id: u64) {
        self.newest = self.newest.max(id);
    }

    /// A new session counts from the start. What is open of the old one goes on, but no RESUME
    /// could bring it again.
    pub fn restart(&mut self) {
        self.open.iter_mut().for_each(|open| open.seq = None);
        self.heard = 0;
    }

    /// The sequence to keep: all up to it is dealt with or written down.
    #[must_use]
    pub fn durable(&self) -> u64 {
        let oldest = self.open.iter().filter_map(|open| open.seq).min();
        oldest.map_or(self.heard, |seq| seq.saturating_sub(1))
    }

    /// The newest message seen of which, and of all before it, the same holds; 0 if there is none.
    #[must_use]
    pub fn newest(&self) -> u64 {
        let open = self.open.iter().filter(|open| !open.is_written);
        open.map(|open| open.id.saturating_sub(1)).fold(self.newest, u64::min)
    }

    /// How many messages are being dealt with.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How many messages found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn the_mark_stays_below_the_oldest_open_message() {
        let mut inflight = Inflight::default();
        inflight.heard(3);
        assert_eq!(inflight.durable(), 3);
        assert_eq!(inflight.admit(4, 400), Ok(()));
        assert_eq!(inflight.admit(6, 600), Ok(()));
        inflight.heard(9);
        assert_eq!(inflight.durable(), 3);
        inflight.done(600);
        assert_eq!(inflight.durable(), 3, "done in another order");
        inflight.done(400);
        assert_eq!(inflight.durable(), 9);
        inflight.done(400);
        assert!(inflight.is_empty());
    }

    #[test]
    fn an_answer_of_the_old_session_does_not_move_the_new_mark() {
        let mut inflight = Inflight::default();
        inflight.admit(50, 1).unwrap();
        inflight.restart();
        inflight.admit(2, 2).unwrap();
        inflight.done(1);
        assert_eq!(inflight.durable(), 1);
    }

    #[test]
    fn what_is_written_down_holds_up_neither_mark_and_is_counted_all_the_same() {
        let mut inflight = Inflight::default();
        for (seq, id) in [(4, 400), (6, 600)] {
            inflight.saw(id);
            inflight.admit(seq, id).unwrap();
        }
        assert_eq!((inflight.durable(), inflight.newest()), (3, 399));
        inflight.written(400);
        assert_eq!((inflight.durable(), inflight.newest()), (5, 599));
        inflight.written(600);
        assert_eq!((inflight.durable(), inflight.newest(), inflight.len()), (6, 600, 2));
    }

    #[test]
    fn a_late_message_moves_no_sequence_and_a_new_session_forgets_no_message() {
        let mut inflight = Inflight::default();
        inflight.saw(700);
        inflight.admit(7, 700).unwrap();
        inflight.restart();
        assert_eq!((inflight.durable(), inflight.newest()), (0, 699), "it is not written yet");
        inflight.heard(3);
        inflight.admit_late(650).unwrap();
        assert_eq!((inflight.durable(), inflight.len()), (3, 2));
        inflight.written(700);
        assert_eq!(inflight.newest(), 649);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_holds_up_nothing() {
        let mut inflight = Inflight::default();
        let many = INFLIGHT_MAX as u64;
        assert!((1..=many).all(|n| inflight.admit(n, n).is_ok()));
        assert_eq!(inflight.admit(many + 1, many + 1), Err(Full));
        assert_eq!((inflight.refused(), inflight.len()), (1, INFLIGHT_MAX));
        (1..=many).for_each(|n| inflight.done(n));
        assert_eq!(inflight.durable(), many + 1);
    }

    #[test]
    fn killed_at_any_moment_a_replay_brings_every_message_that_is_not_written() {
        for seed in 0..200 {
            let (mut rng, mut inflight) = (Rng::new(seed), Inflight::default());
            let mut open = Vec::new();
            let mut last = 0;
            for seq in 1..400 {
                if rng.one_in(2) && inflight.admit(seq, seq * 7).is_ok() {
                    open.push(seq);
                } else {
                    inflight.heard(seq);
                }
                if rng.one_in(2) && !open.is_empty() {
                    let which = usize::try_from(rng.below(open.len() as u64)).unwrap();
                    let id = open.swap_remove(which) * 7;
                    if rng.one_in(2) { inflight.done(id) } else { inflight.written(id) }
                }
                let durable = inflight.durable();
                assert!(open.iter().all(|&seq| seq > durable), "seed {seed}");
                assert!(durable >= last, "seed {seed}: the mark went back");
                assert!(!open.is_empty() || durable == seq, "seed {seed}: held up by nothing");
                last = durable;
            }
        }
    }
}
