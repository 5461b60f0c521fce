//! Our own chat: what is typed on the dashboard, and what programs ask by the control port.
//!
//! Whoever comes this way has said at the control port who they are, so that access lets them in;
//! but their messages pass the same doors in the same order as everybody's, and `why` tells of
//! each. There is no connection that could fail, and so nothing here that could be unwell. Until
//! somebody speaks, it costs nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::base::Wall;
use crate::core::access::{self, Access, Known, Policy};
use crate::core::chat::{ChannelKind, ChatId, Inbound, Request};
use crate::core::outbox::Fate;
use crate::core::route::Routes;
use crate::core::session::{Key, OWN_ACCOUNT};
use crate::core::trace::{Knock, Line, Step, Trace};
use crate::core::turn::{Fault, Room};
use crate::core::why::{self, Drops, Query, Story};

/// What people are called who have the token.
pub(crate) const OPERATOR: &str = "operator";
/// Where its settings would stand in the configuration.
const PATH: &str = "channels.webchat";

/// Who may come in, and what became of them. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Doors(Rc<Inner>);

#[derive(Default)]
struct Inner {
    /// Not there until the first message.
    trace: RefCell<Option<Box<Trace>>>,
    /// The number of the last message.
    last: Cell<u64>,
}

/// A message at the doors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    /// Its session.
    pub(crate) key: &'a Key,
    /// Where its turn is taken.
    pub(crate) room: &'a Room,
    /// The words.
    pub(crate) text: &'a str,
    /// How often a turn was begun for it before.
    pub(crate) attempt: u8,
}

impl Doors {
    /// The agent that is meant by who names none: that of the bindings.
    pub(crate) fn agent(routes: &Routes) -> &str {
        let chat = ChatId { channel: ChannelKind::WebChat, id: 0 };
        routes.agent(OWN_ACCOUNT, &inbound(chat, 0, ""))
    }

    /// Judges a message that comes now, for `agent`.
    ///
    /// # Errors
    /// At which door it was turned away.
    pub(crate) fn knock(&self, now: Wall, words: Words<'_>, agent: &str) -> Result<Request, Step> {
        let Words { key, room, text, attempt } = words;
        let id = self.0.last.get().saturating_add(1).max(ChannelKind::id_at(now));
        self.0.last.set(id);
        let inbound = inbound(room.chat, id, text);
        // Who has the token is allowed, and means us.
        let access = Access { dms: Policy::Open, ..Access::default() };
        let step = match access::judge(&access, &inbound, Known::default()) {
            Ok(()) => Step::Admitted,
            Err(refusal) => Step::Refused(refusal),
        };
        self.with(|trace| trace.knock(Knock::of(&inbound, now, step), Some(agent)));
        if step != Step::Admitted {
            return Err(step);
        }
        let mut request = Request::of(&inbound, &room.account, agent, now);
        request.attempt = attempt;
        request.session_key = Some(key.as_str().into());
        Ok(request)
    }

    /// Its turn has begun.
    pub(crate) fn began(&self, now: Wall, chat: ChatId, id: u64) {
        self.note(now, chat, id, Step::Started);
    }

    /// It was an order to ourselves.
    pub(crate) fn ordered(&self, now: Wall, chat: ChatId, id: u64) {
        self.note(now, chat, id, Step::Ordered);
    }

    /// Its turn is over, and what was said of it is told to whoever listens.
    pub(crate) fn ended(&self, now: Wall, chat: ChatId, id: u64, fault: Option<Fault>, says: bool) {
        let step = match fault {
            None => Step::Answered,
            Some(Fault::TooSlow) => Step::TooSlow,
            Some(Fault::Stopped) => Step::Stopped,
            Some(fault) => Step::AgentFailed(fault),
        };
        self.note(now, chat, id, step);
        let fate = if says { Fate::Delivered } else { Fate::Silent };
        self.note(now, chat, id, Step::Settled(fate));
    }

    /// The stories that `query` asks for.
    pub(crate) fn why(&self, query: Query) -> Vec<Story> {
        self.0.trace.borrow().as_ref().map(|trace| trace.why(query)).unwrap_or_default()
    }

    /// How often something was dropped.
    pub(crate) fn drops(&self) -> Vec<Drops> {
        self.0.trace.borrow().as_ref().map(|trace| trace.drops_told()).unwrap_or_default()
    }

    /// What became of the last message of `chat`, in a few lines.
    pub(crate) fn sentence(&self, chat: ChatId) -> String {
        self.with(|trace| why::sentence(trace, chat))
    }

    fn note(&self, at: Wall, chat: ChatId, id: u64, step: Step) {
        self.with(|trace| trace.record(Line { at, chat, id, step }));
    }

    fn with<T>(&self, look: impl FnOnce(&mut Trace) -> T) -> T {
        let mut trace = self.0.trace.borrow_mut();
        look(trace.get_or_insert_with(|| Box::new(Trace::new(OWN_ACCOUNT, PATH))))
    }
}

fn inbound(chat: ChatId, id: u64, text: &str) -> Inbound<'_> {
    Inbound {
        chat,
        id,
        seq: 0,
        guild: None,
        parent: None,
        author: 0,
        author_name: OPERATOR,
        roles: &[],
        from_bot: false,
        from_self: false,
        mentions_us: true,
        mentions: &[],
        called: None,
        reply_to: None,
        reply_author: None,
        late: false,
        text,
        text_cut: false,
        has_more: false,
        attachments: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::route::Binding;
    use crate::core::why::Outcome;

    const NOW: Wall = Wall(1_800_000_000_000);

    fn last(doors: &Doors) -> Story {
        doors.why(Query::Last { count: 1, dropped: false }).remove(0)
    }

    #[test]
    fn a_message_passes_the_doors_and_its_story_is_told() {
        let doors = Doors::default();
        let key = Key::read("main", "helper").unwrap();
        let room = key.room();
        assert!(doors.why(Query::Last { count: 9, dropped: false }).is_empty());
        let words = Words { key: &key, room: &room, text: "hello", attempt: 0 };
        let request = doors.knock(NOW, words, "helper").unwrap();
        assert_eq!((&*request.agent, &*request.account), ("helper", OWN_ACCOUNT));
        assert_eq!(Key::of(&request), key);
        assert_eq!(ChannelKind::WebChat.said_at(request.id), NOW);
        doors.began(NOW, request.chat, request.id);
        doors.ended(NOW, request.chat, request.id, None, true);
        let story = last(&doors);
        assert_eq!((story.outcome, &*story.author_name), (Outcome::Answered, OPERATOR));
        let passed: Vec<&str> = story.steps.iter().map(|step| &*step.door).collect();
        let all = ["received", "dedup", "access", "mention", "content", "route", "queue"];
        assert_eq!(passed[..7], all);
        let next = doors.knock(NOW, words, "helper").unwrap();
        assert!(next.id > request.id, "each has a number of its own");
    }

    #[test]
    fn what_says_nothing_is_turned_away_and_counted() {
        let doors = Doors::default();
        let key = Key::read("main", "main").unwrap();
        let words = Words { key: &key, room: &key.room(), text: " \n", attempt: 0 };
        let step = doors.knock(NOW, words, "main").unwrap_err();
        assert_eq!(step.drop_name(), Some("empty"));
        assert_eq!(doors.drops()[0].count, 1);
        assert_eq!(last(&doors).outcome, Outcome::Dropped);
    }

    #[test]
    fn a_binding_says_which_agent_is_meant() {
        let bound = Binding { agent: "helper".into(), ..Binding::default() };
        let routes = Routes::new(["main", "helper"], [bound]);
        assert_eq!(Doors::agent(&routes), "helper");
        assert_eq!(Doors::agent(&Routes::default()), "main");
    }
}
