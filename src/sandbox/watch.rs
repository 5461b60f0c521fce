//! Whether a promise is kept: an onlooker that is told of events and says so. Pure.

use std::time::Duration;

use super::faults::{Fault, Promise, Sees, Stage};
use super::journal::{Event, What};
use crate::base::Instant;

/// What came of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// What was promised was seen, after so long.
    Kept(Duration),
    /// It was not.
    Broken(&'static str),
}

/// What has held for so long will hold: a connection that is back, an answer that is the only one.
const SETTLED: Duration = Duration::from_secs(5);
/// Connects after which a parked account has not parked.
const PARKED_CONNECTS_MAX: u32 = 2;

/// Watches over one promise, from when the fault was injected.
#[derive(Clone, Debug)]
pub struct Watch {
    promise: Promise,
    needs_question: bool,
    from: Instant,
    /// The channel and id of a person's message that is to be answered.
    asked: Option<(u64, u64)>,
    /// When it was.
    answered: Option<Instant>,
    /// When the connection was up again last, and not lost since.
    back: Option<Instant>,
    connects: u32,
}

impl Watch {
    /// `fault` was injected at `from`.
    #[must_use]
    pub fn new(fault: &Fault, from: Instant) -> Watch {
        let promise = fault.promise;
        let wants_answer = matches!(promise.sees, Sees::Delivered | Sees::StaysUp);
        let needs_question = wants_answer || fault.stage == Stage::Rest;
        let (asked, answered, back) = (None, None, None);
        Watch { promise, needs_question, from, asked, answered, back, connects: 0 }
    }

    /// Whether a person has to say something to the bot for this promise to be seen; the message
    /// is then given to [`asked`](Watch::asked).
    #[must_use]
    pub fn needs_question(&self) -> bool {
        self.needs_question
    }

    /// A person said something in `channel` that is to be answered.
    pub fn asked(&mut self, channel: u64, id: u64) {
        self.asked = Some((channel, id));
    }

    /// When [`decide`](Watch::decide) is to be asked; it may move with each event.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let settled = match self.promise.sees {
            Sees::Back => self.back,
            Sees::Delivered | Sees::StaysUp => self.answered,
            Sees::Resumed | Sees::Ready | Sees::Parked | Sees::Unmoved => None,
        };
        let latest = self.from + self.promise.within;
        settled.map_or(latest, |at| latest.min(at + SETTLED))
    }

    /// Something happened. Gives the verdict once there is one.
    pub fn see(&mut self, event: &Event) -> Option<Verdict> {
        if event.at < self.from {
            return None;
        }
        let took = event.at.since(self.from);
        match (&event.what, self.promise.sees) {
            (What::Resumed, Sees::Resumed) | (What::Ready, Sees::Ready) => {
                return Some(self.in_time(took));
            }
            (What::Resumed | What::Ready, Sees::Back) => self.back = Some(event.at),
            (What::Closed(_) | What::Left(_), Sees::Back) => self.back = None,
            (What::Closed(_) | What::Left(_), Sees::StaysUp | Sees::Unmoved) => {
                return Some(Verdict::Broken("the connection ended"));
            }
            (What::Ready, Sees::Resumed) => {
                return Some(Verdict::Broken("the session was lost"));
            }
            (What::Connected, Sees::Parked) => {
                self.connects += 1;
                if self.connects > PARKED_CONNECTS_MAX {
                    return Some(Verdict::Broken("it kept on connecting"));
                }
            }
            (&What::Posted { by_bot: true, channel, reference, .. }, _)
                if self.is_answer(channel, reference)
                    && self.answered.replace(event.at).is_some() =>
            {
                return Some(Verdict::Broken("it answered twice"));
            }
            _ => {}
        }
        None
    }

    /// The time is up: what has come of it.
    #[must_use]
    pub fn decide(&self) -> Verdict {
        let since = |at: Instant| self.in_time(at.since(self.from));
        match self.promise.sees {
            Sees::Resumed => Verdict::Broken("no RESUMED in time"),
            Sees::Ready => Verdict::Broken("no READY in time"),
            Sees::Back => self.back.map_or(Verdict::Broken("it did not come back"), since),
            Sees::Parked | Sees::Unmoved => Verdict::Kept(Duration::ZERO),
            Sees::Delivered | Sees::StaysUp => {
                self.answered.map_or(Verdict::Broken("no answer in time"), since)
            }
        }
    }

    /// A bot may answer with or without a reference to what it answers.
    fn is_answer(&self, channel: u64, reference: Option<u64>) -> bool {
        let Some((asked_in, asked)) = self.asked else { return false };
        channel == asked_in && reference.is_none_or(|id| id == asked)
    }

    fn in_time(&self, took: Duration) -> Verdict {
        if took <= self.promise.within { Verdict::Kept(took) } else { Verdict::Broken("too late") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::FAULTS;

    const SECOND: Duration = Duration::from_secs(1);

    fn watch(sees: Sees) -> Watch {
        let promise = Promise { sees, within: 5 * SECOND };
        Watch::new(&Fault { promise, ..FAULTS[0] }, Instant(0))
    }

    fn at(seconds: u32, what: What) -> Event {
        Event { at: Instant(0) + SECOND * seconds, bot: Some(1), connection: 1, what }
    }

    fn answer(to: u64) -> What {
        let (channel, id, author, nonce) = (1, 2, 3, None);
        What::Posted { channel, id, author, by_bot: true, reference: Some(to), nonce }
    }

    #[test]
    fn a_recovery_is_timed() {
        assert_eq!(watch(Sees::Resumed).see(&at(1, What::Resumed)), Some(Verdict::Kept(SECOND)));
        assert!(matches!(watch(Sees::Resumed).see(&at(1, What::Ready)), Some(Verdict::Broken(_))));
        assert!(matches!(watch(Sees::Ready).see(&at(6, What::Ready)), Some(Verdict::Broken(_))));
        assert!(matches!(watch(Sees::Ready).decide(), Verdict::Broken(_)));
    }

    #[test]
    fn coming_back_counts_only_if_it_lasts() {
        let mut watch = watch(Sees::Back);
        watch.see(&at(1, What::Resumed));
        watch.see(&at(2, What::Closed(1006)));
        assert!(matches!(watch.decide(), Verdict::Broken(_)));
        watch.see(&at(3, What::Ready));
        assert_eq!(watch.decide(), Verdict::Kept(3 * SECOND));
        assert_eq!(watch.deadline(), Instant(0) + 5 * SECOND, "it need not wait for longer");
    }

    #[test]
    fn parked_means_no_third_connect() {
        let mut watch = watch(Sees::Parked);
        assert_eq!(watch.see(&at(1, What::Connected)), None);
        assert_eq!(watch.see(&at(2, What::Connected)), None);
        assert_eq!(watch.decide(), Verdict::Kept(Duration::ZERO));
        assert!(matches!(watch.see(&at(3, What::Connected)), Some(Verdict::Broken(_))));
    }

    #[test]
    fn an_answer_is_wanted_exactly_once() {
        let mut watch = watch(Sees::Delivered);
        watch.asked(1, 9);
        assert!(matches!(watch.decide(), Verdict::Broken(_)));
        watch.see(&at(1, answer(8)));
        assert!(matches!(watch.decide(), Verdict::Broken(_)));
        assert_eq!(watch.see(&at(2, answer(9))), None);
        assert_eq!(watch.decide(), Verdict::Kept(2 * SECOND));
        assert!(matches!(watch.see(&at(3, answer(9))), Some(Verdict::Broken(_))));
    }

    #[test]
    fn staying_up_means_that_nothing_ended() {
        let mut watch = watch(Sees::StaysUp);
        assert!(watch.needs_question());
        assert!(matches!(watch.see(&at(1, What::Left(1006))), Some(Verdict::Broken(_))));
    }
}
