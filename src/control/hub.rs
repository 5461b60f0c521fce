//! Everybody who is connected to the control protocol: what is told to them, and who has to go.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use serde_json::{Value, json};
use smol::channel::{Receiver, Sender, bounded};

use super::answered::Answered;
use super::desk::{ADMIN, READ, WRITE};
use super::presence;
use crate::base::limits;
use crate::base::text::Hex;
use crate::proto::control::{Event, Frame, Response, StateVersion, close, write};

/// Who a client is, once it has said so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Caller {
    /// The connection's number.
    pub(crate) connection: String,
    /// `cli`, `gateway-client` …
    pub(crate) id: String,
    /// `cli`, `backend`, `probe` …
    pub(crate) mode: String,
    /// What it may do.
    pub(crate) scopes: Vec<String>,
    /// What others see of it, unless it only comes to ask something.
    pub(crate) presence: Option<Value>,
}

impl Caller {
    /// Whether it may see what happens.
    fn sees(&self) -> bool {
        self.scopes.iter().any(|scope| [READ, WRITE, ADMIN].contains(&scope.as_str()))
    }
}

/// Why a connection is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Close {
    /// A code of [`close`].
    pub(crate) code: u16,
    /// For people.
    pub(crate) reason: String,
}

impl Close {
    /// With a code and a reason.
    pub(crate) fn new(code: u16, reason: impl Into<String>) -> Close {
        Close { code, reason: reason.into() }
    }

    fn restart() -> Close {
        Close::new(close::RESTART, "service restart")
    }
}

/// What waits to be written to one client.
pub(crate) struct Out {
    queue: RefCell<VecDeque<String>>,
    bytes: Cell<usize>,
    seq: Cell<u64>,
    /// Woken when there is something, and when there is room again.
    more: (Sender<()>, Receiver<()>),
    room: (Sender<()>, Receiver<()>),
    /// The connection has to end.
    close: (Sender<Close>, Receiver<Close>),
}

impl Out {
    fn new() -> Out {
        Out {
            queue: RefCell::default(),
            bytes: Cell::new(0),
            seq: Cell::new(0),
            more: bounded(1),
            room: bounded(1),
            close: bounded(1),
        }
    }

    /// Answers.
    pub(crate) fn answer(&self, response: Response) {
        self.push(write(&Frame::Res(response)));
    }

    /// Tells an event, with its number; who has not read what was told before has to go.
    pub(crate) fn tell(&self, event: &str, payload: &Value) {
        self.tell_state(event, payload, None);
    }

    fn tell_state(&self, event: &str, payload: &Value, state: Option<StateVersion>) {
        if self.bytes.get() > limits::CONTROL_BUFFER_BYTES {
            self.end(Close::new(close::POLICY, "slow consumer"));
            return;
        }
        self.seq.set(self.seq.get() + 1);
        let payload = Some(payload.clone());
        let (event, seq) = (event.to_owned(), Some(self.seq.get()));
        let event = Event { event, payload, seq, state };
        self.push(write(&Frame::Event(event)));
    }

    /// Says the first thing of all.
    pub(crate) fn challenge(&self, event: Event) {
        self.push(write(&Frame::Event(event)));
    }

    fn push(&self, text: String) {
        self.bytes.set(self.bytes.get() + text.len());
        self.queue.borrow_mut().push_back(text);
        let _ = self.more.0.try_send(());
    }

    /// The next to be written; waits for it.
    pub(crate) async fn next(&self) -> String {
        loop {
            let text = self.queue.borrow_mut().pop_front();
            if let Some(text) = text {
                self.bytes.set(self.bytes.get().saturating_sub(text.len()));
                self.make_room();
                return text;
            }
            let _ = self.more.1.recv().await;
        }
    }

    /// What waits, without waiting for more.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.bytes.set(0);
        self.queue.borrow_mut().drain(..).collect()
    }

    /// Whether so much waits that no more requests are taken on.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.get() > limits::CONTROL_BUFFER_BYTES / 2
    }

    /// Lets whoever waits for room look again.
    pub(crate) fn make_room(&self) {
        let _ = self.room.0.try_send(());
    }

    /// Waits until there may be room.
    pub(crate) async fn room(&self) {
        let _ = self.room.1.recv().await;
    }

    /// Ends the connection; the first reason counts.
    pub(crate) fn end(&self, why: Close) {
        let _ = self.close.0.try_send(why);
    }

    /// Waits until the connection has to end.
    pub(crate) async fn ended(&self) -> Close {
        match self.close.1.recv().await {
            Ok(why) => why,
            // The sender lives as long as we do.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Everybody who is connected.
pub(crate) struct Hub {
    boot_id: String,
    clients: RefCell<BTreeMap<u64, Member>>,
    count: Cell<u64>,
    is_closing: Cell<bool>,
    state: Cell<StateVersion>,
    /// What came of requests with a key.
    pub(super) answered: Answered,
    /// What others see of us.
    own: Value,
}

struct Member {
    out: Rc<Out>,
    /// Who it is; nothing until it has said so.
    caller: Option<Rc<Caller>>,
}

/// A client's place; leaving gives it up.
pub(crate) struct Seat {
    hub: Rc<Hub>,
    number: u64,
    /// What is to be written to it.
    pub(crate) out: Rc<Out>,
}

impl Hub {
    /// Nobody yet. `boot` is another number at each start.
    pub(crate) fn new(boot: [u8; 8]) -> Hub {
        Hub {
            boot_id: Hex(&boot).to_string(),
            clients: RefCell::default(),
            count: Cell::new(0),
            is_closing: Cell::new(false),
            state: Cell::default(),
            answered: Answered::default(),
            own: presence::own(&Hex(&boot).to_string()),
        }
    }

    /// What tells this run of the gateway from all others.
    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// A place for one who has not yet said who it is. If too many have not, the one that has been
    /// silent longest makes room.
    pub(crate) fn enter(self: &Rc<Hub>) -> Seat {
        let number = self.count.get() + 1;
        self.count.set(number);
        let out = Rc::new(Out::new());
        let mut clients = self.clients.borrow_mut();
        let strangers = clients.values().filter(|member| member.caller.is_none()).count();
        if strangers >= limits::CONTROL_STRANGERS_MAX
            && let Some(oldest) = clients.values().find(|member| member.caller.is_none())
        {
            oldest.out.end(Close::new(close::LATER, "too many clients are connecting"));
        }
        if self.is_closing.get() {
            out.tell("shutdown", &shutdown());
            out.end(Close::restart());
        }
        clients.insert(number, Member { out: out.clone(), caller: None });
        Seat { hub: self.clone(), number, out }
    }

    /// How many have said who they are.
    pub(crate) fn members(&self) -> usize {
        self.clients.borrow().values().filter(|member| member.caller.is_some()).count()
    }

    /// Tells all who have said who they are and may see what happens.
    pub(crate) fn tell(&self, event: &str, payload: &Value) {
        self.tell_state(event, payload, None);
    }

    /// Tells all, with whatever scopes, that a channel is not as it was, or is as it is.
    pub(crate) fn tell_health(&self, health: &Value) {
        let state = StateVersion { health: self.state.get().health + 1, ..self.state.get() };
        self.state.set(state);
        self.tell_state("health", health, Some(state));
    }

    fn tell_state(&self, event: &str, payload: &Value, state: Option<StateVersion>) {
        for member in self.clients.borrow().values() {
            let Some(caller) = &member.caller else { continue };
            if event == "health" || caller.sees() {
                member.out.tell_state(event, payload, state);
            }
        }
    }

    /// Who is connected, and we ourselves.
    pub(crate) fn presence(&self) -> Value {
        let clients = self.clients.borrow();
        let seen = clients.values().filter_map(|member| member.caller.as_ref()?.presence.clone());
        let all = std::iter::once(presence::now(&self.own)).chain(seen);
        Value::Array(all.collect())
    }

    /// How often who is connected, and how the channels are, has changed.
    pub(crate) fn state(&self) -> StateVersion {
        self.state.get()
    }

    /// Somebody who is seen came or went.
    fn presence_changed(&self) {
        let state = StateVersion { presence: self.state.get().presence + 1, ..self.state.get() };
        self.state.set(state);
        if !self.is_closing.get() {
            let payload = json!({ "presence": self.presence() });
            self.tell_state("presence", &payload, Some(state));
        }
    }

    /// Tells everybody that the gateway goes, and ends all connections, also those that come now.
    pub(crate) fn shut_down(&self) {
        self.is_closing.set(true);
        for member in self.clients.borrow().values() {
            member.out.tell("shutdown", &shutdown());
            member.out.end(Close::restart());
        }
    }
}

fn shutdown() -> Value {
    let expected = u64::try_from(limits::RESTART_EXPECTED.as_millis()).unwrap_or(u64::MAX);
    json!({ "reason": "gateway restarting", "restartExpectedMs": expected })
}

impl Seat {
    /// The connection's number.
    pub(crate) fn connection(&self) -> String {
        format!("{}-{}", self.hub.boot_id, self.number)
    }

    /// It has said who it is; `greet` is called before others are told of it.
    pub(crate) fn is(&self, caller: Rc<Caller>, greet: impl FnOnce()) {
        let is_seen = caller.presence.is_some();
        if let Some(member) = self.hub.clients.borrow_mut().get_mut(&self.number) {
            member.caller = Some(caller);
        }
        greet();
        if is_seen {
            self.hub.presence_changed();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let gone = self.hub.clients.borrow_mut().remove(&self.number);
        if gone.and_then(|member| member.caller).is_some_and(|caller| caller.presence.is_some()) {
            self.hub.presence_changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Rc<Hub> {
        Rc::new(Hub::new([7; 8]))
    }

    fn known() -> Rc<Caller> {
        Rc::new(Caller { scopes: vec![READ.to_owned()], ..Caller::default() })
    }

    fn ended(seat: &Seat) -> Option<Close> {
        seat.out.close.1.try_recv().ok()
    }

    #[test]
    fn events_are_numbered_for_each_client_from_one() {
        let hub = hub();
        let (first, stranger) = (hub.enter(), hub.enter());
        first.is(known(), || {});
        hub.tell("health", &json!({}));
        let second = hub.enter();
        second.is(known(), || {});
        hub.tell("health", &json!({}));
        let seqs = |seat: &Seat| {
            let read = |text: &String| serde_json::from_str::<Value>(text).expect("JSON");
            let texts = seat.out.rest();
            texts.iter().map(|text| read(text)["seq"].as_u64()).collect::<Vec<_>>()
        };
        assert_eq!(seqs(&first), [Some(1), Some(2)]);
        assert_eq!(seqs(&second), [Some(1)]);
        assert!(seqs(&stranger).is_empty());
    }

    #[test]
    fn who_may_see_nothing_is_told_of_the_health_only() {
        let hub = hub();
        let (seer, tester) = (hub.enter(), hub.enter());
        seer.is(known(), || {});
        tester.is(Rc::new(Caller::default()), || {});
        hub.tell("chat", &json!({}));
        hub.tell_health(&json!({}));
        assert_eq!((seer.out.rest().len(), tester.out.rest().len()), (2, 1));
    }

    #[test]
    fn who_comes_and_goes_is_seen_and_the_states_are_counted() {
        let hub = hub();
        let watcher = hub.enter();
        watcher.is(known(), || {});
        let told = |seat: &Seat| -> Vec<Value> {
            let texts = seat.out.rest();
            texts.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
        };
        assert_eq!(hub.state(), StateVersion::default());
        let page = hub.enter();
        let presence = Some(json!({ "host": "page", "ts": 1 }));
        page.is(Rc::new(Caller { presence, ..Caller::default() }), || {});
        let [event] = &told(&watcher)[..] else { panic!() };
        assert_eq!(event["payload"]["presence"].as_array().map(Vec::len), Some(2));
        assert_eq!(event["stateVersion"], json!({ "presence": 1, "health": 0 }));
        drop(page);
        hub.tell_health(&json!({}));
        let [left, health] = &told(&watcher)[..] else { panic!() };
        assert_eq!(left["payload"]["presence"].as_array().map(Vec::len), Some(1));
        assert_eq!(health["stateVersion"], json!({ "presence": 2, "health": 1 }));
        assert!(hub.presence()[0]["tags"][0].as_str().is_some_and(|tag| tag.starts_with("pid:")));
    }

    #[test]
    fn one_who_does_not_read_has_to_go_and_costs_no_more_than_the_bound() {
        let hub = hub();
        let seat = hub.enter();
        seat.is(known(), || {});
        let payload = json!("x".repeat(1000));
        for _ in 0..10_000 {
            hub.tell("health", &payload);
        }
        assert_eq!(ended(&seat), Some(Close::new(close::POLICY, "slow consumer")));
        assert!(seat.out.bytes.get() < limits::CONTROL_BUFFER_BYTES + 2000);
    }

    #[test]
    fn strangers_make_room_the_oldest_first_and_members_stay() {
        let hub = hub();
        let member = hub.enter();
        member.is(known(), || {});
        let strangers: Vec<Seat> =
            (0..=limits::CONTROL_STRANGERS_MAX).map(|_| hub.enter()).collect();
        assert_eq!(ended(&strangers[0]).map(|close| close.code), Some(close::LATER));
        assert_eq!((ended(&strangers[1]), ended(&member)), (None, None));
        assert_eq!(hub.members(), 1);
        drop(member);
        assert_eq!(hub.members(), 0);
    }

    #[test]
    fn a_shutdown_reaches_everybody_also_who_comes_late() {
        let hub = hub();
        let early = hub.enter();
        hub.shut_down();
        let late = hub.enter();
        for seat in [early, late] {
            assert!(seat.out.rest().concat().contains("gateway restarting"));
            assert_eq!(ended(&seat), Some(Close::new(close::RESTART, "service restart")));
        }
    }
}
