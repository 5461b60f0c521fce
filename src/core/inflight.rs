//! How far the stream of events is dealt with: a low-water mark.
//!
//! A session is resumed at a sequence, and the server replays what came after it. So the sequence
//! that we keep must never be ahead of a message whose answer is still being made: `kill -9` at
//! any moment then replays that message rather than losing it (and what was answered after it is
//! known by [`Answered`](super::dedup::Answered)).

use crate::base::limits::INFLIGHT_MAX;

/// The messages of one account that are being dealt with, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Inflight {
    /// Sequence and message id. The id names a message for ever, the sequence in one session.
    open: heapless::Vec<(u64, u64), INFLIGHT_MAX>,
    heard: u64,
    refused: u64,
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
        self.open.push((seq, id)).map_err(|_| {
            self.refused += 1;
            Full
        })
    }

    /// Message `id` is answered, or given up aloud. Ids that are not open are no matter.
    pub fn done(&mut self, id: u64) {
        self.open.retain(|&(_, open)| open != id);
    }

    /// Everything up to `seq` has come in.
    pub fn heard(&mut self, seq: u64) {
        self.heard = self.heard.max(seq);
    }

    /// A new session counts from the start. What is open of the old one goes on, but no RESUME
    /// could bring it again.
    pub fn restart(&mut self) {
        self.open.clear();
        self.heard = 0;
    }

    /// The sequence to keep: all up to it is dealt with.
    #[must_use]
    pub fn durable(&self) -> u64 {
        let oldest = self.open.iter().map(|&(seq, _)| seq).min();
        oldest.map_or(self.heard, |seq| seq.saturating_sub(1))
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
    fn killed_at_any_moment_a_replay_brings_every_open_message() {
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
                    inflight.done(open.swap_remove(which) * 7);
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
