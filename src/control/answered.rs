//! Requests with a key of their own: whoever asks again with the same one gets the first answer
//! again, and nothing happens twice.
//!
//! A client that lost its connection asks again; so what was begun with a key is finished even if
//! nobody waits for it, and whoever comes meanwhile waits for the same answer. Answers are
//! remembered for a while and in bounded memory. What had no effect is not remembered: a request
//! that made no sense, or a gateway that could not do it now.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde_json::Value;
use smol::channel::{Sender, bounded};

use crate::base::{Instant, limits};
use crate::proto::control::{Fault, code};

/// Methods with an effect, whose key is judged here. Runs of agents are known by their names.
const KEYED: [&str; 1] = ["send"];

/// What tells a request from all others: its method and its key. Nothing if it has none.
pub(super) fn key(method: &str, params: &Value) -> Option<String> {
    let key = params["idempotencyKey"].as_str().map(str::trim).filter(|key| !key.is_empty())?;
    let is_ours = KEYED.contains(&method) && key.len() <= limits::KEY_BYTES_MAX;
    is_ours.then(|| format!("{method}\0{key}"))
}

/// What is known of one request.
#[derive(Default)]
pub(super) struct Story {
    last: RefCell<Option<Result<Value, Fault>>>,
    waiting: RefCell<Vec<Sender<()>>>,
}

impl Story {
    fn done(&self, answer: Result<Value, Fault>) {
        self.last.replace(Some(answer));
        for waiting in self.waiting.borrow_mut().drain(..) {
            let _ = waiting.try_send(());
        }
    }

    /// Waits for the answer.
    pub(super) async fn follow(&self) -> Result<Value, Fault> {
        loop {
            if let Some(last) = self.last.borrow().clone() {
                return last;
            }
            let (wake, woken) = bounded(1);
            self.waiting.borrow_mut().push(wake);
            let _ = woken.recv().await;
        }
    }

    fn bytes(&self) -> usize {
        match &*self.last.borrow() {
            Some(Ok(answer)) => answer.to_string().len(),
            Some(Err(fault)) => fault.message.len(),
            None => 0,
        }
    }
}

/// What to do with a request.
pub(super) enum Turn {
    /// It is new: do it, and tell the story's end to [`Answered::done`].
    New(Rc<Story>),
    /// It is known.
    Known(Rc<Story>),
    /// Too many are under way.
    Full,
}

/// See the module.
#[derive(Default)]
pub(super) struct Answered {
    stories: RefCell<BTreeMap<String, Rc<Story>>>,
    /// Those that have ended, the oldest first, with what they take up.
    ended: RefCell<VecDeque<(Instant, String, usize)>>,
    bytes: Cell<usize>,
}

impl Answered {
    /// Whether the request of this key is new.
    pub(super) fn begin(&self, now: Instant, key: &str) -> Turn {
        self.forget(now);
        let mut stories = self.stories.borrow_mut();
        if let Some(story) = stories.get(key) {
            return Turn::Known(story.clone());
        }
        if stories.len() - self.ended.borrow().len() >= limits::KEYED_CALLS_MAX {
            return Turn::Full;
        }
        let story = Rc::<Story>::default();
        stories.insert(key.to_owned(), story.clone());
        Turn::New(story)
    }

    /// The request of this key was answered.
    pub(super) fn done(&self, now: Instant, key: &str, answer: Result<Value, Fault>) {
        let Some(story) = self.stories.borrow().get(key).cloned() else { return };
        let had_effect = answer.as_ref().err().is_none_or(|fault| {
            fault.retryable != Some(true) && fault.code != code::INVALID_REQUEST
        });
        story.done(answer);
        if had_effect {
            let bytes = story.bytes() + key.len();
            self.bytes.set(self.bytes.get() + bytes);
            self.ended.borrow_mut().push_back((now, key.to_owned(), bytes));
        } else {
            self.stories.borrow_mut().remove(key);
        }
        self.forget(now);
    }

    fn forget(&self, now: Instant) {
        let mut ended = self.ended.borrow_mut();
        while let Some((at, key, bytes)) = ended.front() {
            let is_full = ended.len() > limits::ANSWERS_MAX
                || self.bytes.get() > limits::ANSWERS_BYTES_MAX && ended.len() > 1;
            if *at + limits::ANSWERS_FOR > now && !is_full {
                break;
            }
            self.bytes.set(self.bytes.get().saturating_sub(*bytes));
            self.stories.borrow_mut().remove(key);
            ended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn is_new(answered: &Answered, now: Instant, key: &str) -> bool {
        matches!(answered.begin(now, key), Turn::New(_))
    }

    #[test]
    fn a_key_is_a_requests_own_and_only_where_it_has_an_effect() {
        let params = json!({ "idempotencyKey": " k " });
        assert_eq!(key("send", &params), Some("send\0k".into()));
        assert_eq!((key("health", &params), key("send", &json!({}))), (None, None));
        let long = json!({ "idempotencyKey": "x".repeat(limits::KEY_BYTES_MAX + 1) });
        assert_eq!(key("send", &long), None);
    }

    #[test]
    fn who_asks_again_gets_the_first_answer_again_while_and_after_it_is_done() {
        let answered = Answered::default();
        let Turn::New(story) = answered.begin(Instant(0), "k") else { panic!("it is new") };
        let Turn::Known(again) = answered.begin(Instant(0), "k") else { panic!("it is known") };
        let early = smol::future::zip(smol::future::zip(story.follow(), again.follow()), async {
            smol::future::yield_now().await;
            answered.done(Instant(1), "k", Ok(json!("ok")));
        });
        let ok = || Ok(json!("ok"));
        assert_eq!(smol::block_on(early).0, (ok(), ok()));
        let Turn::Known(late) = answered.begin(Instant(2), "k") else { panic!("it is known") };
        assert_eq!(smol::block_on(late.follow()), ok());
    }

    #[test]
    fn answers_are_forgotten_in_time_and_beyond_the_bound_and_running_ones_never() {
        let answered = Answered::default();
        let now = Instant(0);
        assert!(is_new(&answered, now, "runs"));
        for n in 0..=limits::ANSWERS_MAX {
            assert!(is_new(&answered, now, &n.to_string()));
            answered.done(now, &n.to_string(), Ok(json!(n)));
        }
        assert!(!is_new(&answered, now, "runs"));
        assert!(!is_new(&answered, now, &limits::ANSWERS_MAX.to_string()));
        assert!(is_new(&answered, now, "0"), "the oldest made room");
        let later = now + limits::ANSWERS_FOR;
        assert!(!is_new(&answered, later, "runs"));
        assert!(is_new(&answered, later, &limits::ANSWERS_MAX.to_string()));
        let large = "x".repeat(limits::ANSWERS_BYTES_MAX);
        for key in ["a", "b"] {
            assert!(is_new(&answered, later, key));
            answered.done(later, key, Ok(json!(large)));
        }
        assert!(is_new(&answered, later, "a") && !is_new(&answered, later, "b"));
        assert!(answered.bytes.get() <= limits::ANSWERS_BYTES_MAX + 1000);
    }

    #[test]
    fn what_had_no_effect_may_be_asked_again_and_what_is_under_way_is_bounded() {
        let answered = Answered::default();
        let faults = [Fault::invalid("no"), Fault::later("soon", 5)];
        for fault in faults {
            assert!(is_new(&answered, Instant(0), "k"));
            answered.done(Instant(0), "k", Err(fault));
        }
        assert!(is_new(&answered, Instant(0), "k"));
        answered.done(Instant(0), "k", Err(Fault::new(code::UNAVAILABLE, "it may have been")));
        assert!(!is_new(&answered, Instant(0) + Duration::from_secs(1), "k"));
        for n in 0..limits::KEYED_CALLS_MAX {
            assert!(is_new(&answered, Instant(0), &format!("r{n}")));
        }
        assert!(matches!(answered.begin(Instant(0), "one more"), Turn::Full));
    }
}
