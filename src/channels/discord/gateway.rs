//! The port of the gateway machine: one socket, and what comes out of it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use smol::channel::{Receiver, Sender};
use smol::stream::Stream as _;

use super::catchup::Late;
use super::directory::Shelf;
use super::doors::{self, Doors};
use super::lobby::{Around, Found, Held};
use super::preflight;
use super::rest::{Answer, Calls};
use super::session::Keeper;
use super::talk::Ends;
use super::wire::Wire;
use crate::base::{End, Instant, Machine as _, Rng, limits};
use crate::channels::Port;
use crate::core::chat::{ChannelKind, ChatId};
use crate::core::outbox::Nonce;
use crate::core::twin::{Sign, Twin};
use crate::proto::discord::gateway::{
    Ask, Cause, Gateway, GatewayInfo, Input, Level, Output, State, Status, Tell,
};
use crate::proto::discord::model::{Decoder, Kind};
use crate::proto::discord::rest::{Failure, Route};
use crate::rt::clock;
use crate::rt::executor::Meter;
use crate::rt::net::{Net, ws};

type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

/// Where the one socket is in its life. There is no state with two of them.
enum Link {
    /// There is none.
    Down,
    /// One is being made.
    Dialling(Doing<Result<ws::Socket, End>>),
    /// It is open.
    Up(Box<ws::Socket>),
    /// It is being closed, and ended so.
    Closing(Doing<()>, End),
}

/// What happened, before the machine's input borrows from it.
enum Event {
    Fetched,
    Clock,
    Asked(Ask),
    Opened,
    Message,
    Durable(u64),
    Drained,
    Refused,
    Ended(End),
}

/// What a [`GatewayPort`] works with.
pub(super) struct Tools {
    pub(super) net: Net,
    pub(super) calls: Calls,
    pub(super) meter: Meter,
    pub(super) doors: Doors,
    pub(super) keeper: Keeper,
    /// Looks out for another instance.
    pub(super) twin: Rc<RefCell<Twin>>,
    /// What others may read of the machine.
    pub(super) status: Rc<RefCell<Status>>,
    /// Chance for the masks of frames (RFC 6455 10.3).
    pub(super) mask: Rng,
    /// Told whenever the state has changed.
    pub(super) changed: Sender<()>,
    /// When the machine wants to act next: that it did is what the watchdog asks.
    pub(super) due: Rc<Cell<Option<Instant>>>,
    /// How often the server wanted a heartbeat last.
    pub(super) interval: Rc<Cell<Option<Duration>>>,
    /// What monitors are told of.
    pub(super) tallies: super::figures::Tallied,
    /// What the side that talks wants to know.
    pub(super) talk: Ends,
    /// What an earlier life knew of channels, and where what is known of them is kept.
    pub(super) channels: (Option<Vec<u8>>, Shelf),
}

/// Does what the gateway machine says.
pub(super) struct GatewayPort {
    tools: Tools,
    asks: Pin<Box<Receiver<Ask>>>,
    /// What was said while a session was lost.
    late: Pin<Box<Receiver<Late>>>,
    /// REST was answered 401 …
    doubts: Pin<Box<Receiver<()>>>,
    /// … and the token is asked about again before that is believed.
    check: Option<Doing<bool>>,
    link: Link,
    wire: Wire,
    fetch: Option<Doing<Answer>>,
    /// What was fetched, for the input to borrow from.
    fetched: Answer,
    info: Option<BotInfo>,
    /// Until when the socket is emptied without waiting.
    draining: Option<Instant>,
    /// The clock on the wall is to be looked at: it may have been set, or the host have slept.
    clock_due: bool,
    /// The last sequence that the machine was told is durable.
    durable: u64,
    /// A session began, and the desk of commands is to hear of it.
    is_new: bool,
    /// How much of what is known of channels is on its way to the disk.
    shelved: u64,
    /// IDENTIFYs that the twin was told of.
    identifies: u64,
    /// Somebody asked it to end, and it will when the socket is gone.
    leaving: bool,
}

/// What "Get Gateway Bot" answers.
#[derive(serde::Deserialize)]
struct BotInfo {
    url: String,
    session_start_limit: StartLimit,
}

#[derive(serde::Deserialize)]
struct StartLimit {
    total: u32,
    remaining: u32,
    /// In milliseconds.
    reset_after: u64,
}

impl GatewayPort {
    pub(super) fn new(mut tools: Tools, asks: Receiver<Ask>, doubts: Receiver<()>) -> GatewayPort {
        let mut wire = Wire::new();
        if let Some(places) = tools.channels.0.take()
            && !wire.decoder.restore_places(&places)
        {
            log::info!(target: "discord", "of the kept directory of channels not all can be read");
        }
        GatewayPort {
            late: Box::pin(tools.talk.late.clone()),
            tools,
            asks: Box::pin(asks),
            doubts: Box::pin(doubts),
            check: None,
            link: Link::Down,
            shelved: wire.decoder.places_changes(),
            wire,
            fetch: None,
            fetched: Err(Failure::Lost),
            info: None,
            draining: None,
            clock_due: false,
            durable: 0,
            is_new: false,
            identifies: 0,
            leaving: false,
        }
    }

    fn dial(&mut self, now: Instant, url: Box<str>, deadline: Duration) {
        let (net, mask) = (self.tools.net.clone(), Rng::new(self.tools.mask.bits()));
        self.wire.reset();
        self.draining = None;
        self.clock_due = true;
        self.link =
            Link::Dialling(Box::pin(
                async move { ws::dial(&net, &url, now + deadline, mask).await },
            ));
    }

    /// The old socket is consumed here, and nowhere is another made before this is over.
    fn close(&mut self, code: u16, patience: Duration, end: End) {
        self.draining = None;
        self.link = match mem::replace(&mut self.link, Link::Down) {
            Link::Up(socket) => Link::Closing(Box::pin(socket.close(code, patience)), end),
            // Dropping a dial closes whatever it had opened.
            Link::Dialling(_) | Link::Down => Link::Closing(Box::pin(std::future::ready(())), end),
            closing @ Link::Closing(..) => closing,
        };
    }

    fn tell(&self, tell: &Tell) {
        let level = match tell.level() {
            Level::Alert => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
        };
        log::log!(target: "discord", level, "{tell}");
        self.tools.tallies.borrow_mut().hear(clock::wall(), tell);
        if let Tell::Beat { late, .. } = tell {
            self.tools.meter.beat_late(*late);
        }
    }

    fn fetch(&mut self, now: Instant) {
        let calls = self.tools.calls.clone();
        self.fetch = Some(Box::pin(async move {
            calls.probe(Route::GatewayBot, now + limits::GATEWAY_BOT_DEADLINE).await
        }));
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if mem::take(&mut self.clock_due) {
            return Poll::Ready(Event::Clock);
        }
        while let Poll::Ready(Some(late)) = self.late.as_mut().poll_next(context) {
            self.heard_late(&late);
        }
        self.poll_lobby(context);
        // Before what is asked: whoever leaves keeps the latest. Nobody wakes us for this alone:
        // an old cursor only brings back what is known to be answered.
        let durable = self.tools.doors.ledger.borrow().inflight.durable();
        if durable != self.durable {
            self.durable = durable;
            return Poll::Ready(Event::Durable(durable));
        }
        if let Poll::Ready(Some(ask)) = self.asks.as_mut().poll_next(context) {
            self.leaving |= matches!(ask, Ask::Stop | Ask::Leave);
            return Poll::Ready(Event::Asked(ask));
        }
        if let Some(fetch) = &mut self.fetch
            && let Poll::Ready(answer) = fetch.as_mut().poll(context)
        {
            self.fetch = None;
            self.fetched = answer;
            return Poll::Ready(Event::Fetched);
        }
        if self.poll_check(context).is_ready() {
            return Poll::Ready(Event::Refused);
        }
        self.poll_link(context)
    }

    /// Ready when the token is known to be refused.
    fn poll_check(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(Some(())) = self.doubts.as_mut().poll_next(context) {
            self.check = Some(Box::pin(preflight::is_refused(self.tools.calls.clone())));
        }
        let Some(check) = &mut self.check else { return Poll::Pending };
        let is_refused = std::task::ready!(check.as_mut().poll(context));
        self.check = None;
        if is_refused { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_link(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        match &mut self.link {
            Link::Down => Poll::Pending,
            Link::Dialling(dial) => match std::task::ready!(dial.as_mut().poll(context)) {
                Ok(socket) => {
                    self.link = Link::Up(Box::new(socket));
                    Poll::Ready(Event::Opened)
                }
                Err(end) => {
                    self.link = Link::Down;
                    Poll::Ready(Event::Ended(end))
                }
            },
            Link::Closing(closing, end) => {
                std::task::ready!(closing.as_mut().poll(context));
                let end = *end;
                self.link = Link::Down;
                Poll::Ready(Event::Ended(end))
            }
            Link::Up(_) => self.poll_socket(context),
        }
    }

    /// Reads on. While draining it does not wait. What was read and completes no gateway message
    /// ends the turn: a server that sends nothing but pieces must not hold the thread.
    fn poll_socket(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let Link::Up(socket) = &mut self.link else { return Poll::Pending };
        let read = if let Some(until) = self.draining {
            let is_over = clock::now() >= until;
            match if is_over { Ok(false) } else { socket.try_next(&mut self.wire) } {
                Ok(true) => Ok(()),
                Ok(false) => {
                    self.draining = None;
                    return Poll::Ready(Event::Drained);
                }
                Err(end) => Err(end),
            }
        } else {
            let next = pin!(socket.next(&mut self.wire));
            std::task::ready!(next.poll(context))
        };
        // A message that came whole before the end is heard before it.
        match read.and_then(|()| self.wire.take()) {
            Ok(true) => Poll::Ready(Event::Message),
            Ok(false) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Err(end) => {
                self.lost(end);
                self.poll_link(context)
            }
        }
    }

    /// The other side ended it, or broke it: what is left of our side is taken down.
    fn lost(&mut self, end: End) {
        if let Link::Up(socket) = &self.link
            && !socket.close_reason().is_empty()
        {
            log::info!(target: "discord", "the server's reason: {}", socket.close_reason());
        }
        let (code, patience) = match end {
            End::Server(_) => (limits::CLOSE_KEEPING_SESSION, limits::CLOSE_WAIT),
            End::Garbage(code) => (code, limits::CLOSE_WAIT),
            _ => (limits::CLOSE_KEEPING_SESSION, Duration::ZERO),
        };
        self.close(code, patience, end);
    }

    /// What the machine hears of a fetch that came back.
    fn heard_fetch(&mut self) -> Input<'_> {
        match mem::replace(&mut self.fetched, Err(Failure::Lost)) {
            Ok(body) => self.info = serde_json::from_slice(&body).ok(),
            Err(Failure::Unauthorized) => return Input::Unauthorized,
            Err(_) => self.info = None,
        }
        if let Some(info) = &self.info {
            self.suspect(Sign::Budget { remaining: info.session_start_limit.remaining });
        }
        let Some(info) = &self.info else { return Input::GatewayUnknown };
        Input::Gateway(GatewayInfo {
            url: &info.url,
            remaining: info.session_start_limit.remaining,
            total: info.session_start_limit.total,
            reset_after: Duration::from_millis(info.session_start_limit.reset_after),
        })
    }

    /// A sign of another instance, perhaps.
    fn suspect(&self, sign: Sign<'_>) {
        if let Some(suspicion) = self.tools.twin.borrow_mut().see(clock::now(), sign) {
            log::warn!(target: "discord", "{suspicion}");
        }
    }

    /// A dispatch is new: it counts, and if it is a message it knocks at the doors.
    fn deliver(&mut self) {
        let decoder = &self.wire.decoder;
        let Some(seq) = decoder.seq() else { return };
        log::debug!(target: "discord", "event {} at sequence {seq}", decoder.event_name());
        if decoder.kind() == Kind::Ready {
            let mut ledger = self.tools.doors.ledger.borrow_mut();
            ledger.inflight.restart();
            ledger.lose_session();
            self.durable = 0;
            self.is_new = true;
        }
        if matches!(decoder.kind(), Kind::Ready | Kind::Resumed)
            && self.tools.doors.ledger.borrow().gap.is_some()
        {
            // One word that waits says it all.
            let _ = self.tools.talk.catch_up.try_send(());
        }
        if let Some(message) = decoder.message() {
            if message.author == self.tools.doors.me && doors::is_written(&message) {
                let nonce = message.nonce;
                self.suspect(Sign::Own { nonce, is_interaction: false });
            }
            let missing = around(decoder, message.channel).missing;
            self.tools.doors.knock(&message, seq, missing);
            let chat = ChatId { channel: ChannelKind::Discord, id: message.channel };
            self.open(chat);
            self.tools.doors.ledger.borrow_mut().inflight.saw(message.id);
            if message.author == self.tools.doors.me
                && let Some(nonce) = message.nonce.and_then(Nonce::parse)
            {
                // The answer to the call says it too.
                let _ = self.tools.talk.confirmed.try_send((nonce, message.id));
            }
        }
        if let Some(interaction) = decoder.interaction() {
            let missing = around(decoder, interaction.channel).missing;
            self.tools.doors.order(&interaction, seq, missing);
            self.open(ChatId { channel: ChannelKind::Discord, id: interaction.channel });
        }
        if let Some(reaction) = decoder.reaction() {
            self.tools.doors.react(&reaction);
        }
        self.tools.doors.ledger.borrow_mut().inflight.heard(seq);
    }

    /// Something that was said while the session was lost.
    fn heard_late(&self, late: &Late) {
        match late {
            Late::Message(found) => {
                let around = around(&self.wire.decoder, found.chat().id);
                self.tools.doors.knock_late(found, around);
                self.open(found.chat());
            }
            Late::Done(chat) if self.tools.doors.caught_up(*chat) => self.release(*chat),
            Late::Done(_) => {}
        }
    }

    fn release(&self, chat: ChatId) {
        // There is room for as many chats as are ever held.
        let _ = self.tools.talk.released.try_send(chat);
    }

    /// Goes on with what waits in `chat`, up to what must be asked for first.
    fn open(&self, chat: ChatId) {
        let doors = &self.tools.doors;
        loop {
            let held = doors.lobby.borrow_mut().take(chat);
            match held {
                None => return,
                Some(Held::Caught) => self.release(chat),
                Some(Held::Letter(letter)) => {
                    let around = around(&self.wire.decoder, chat.id);
                    if let Some((letter, ask)) = doors.open(letter, around) {
                        return doors.lobby.borrow_mut().ask(chat, letter, ask);
                    }
                }
            }
        }
    }

    /// Takes in what was asked for those who wait.
    fn poll_lobby(&mut self, context: &mut Context<'_>) {
        loop {
            let polled = self.tools.doors.lobby.borrow_mut().poll(context);
            let Poll::Ready((chat, found)) = polled else { return };
            if let Found::Channel { id, name, parent } = found {
                self.wire.decoder.learn(id, &name, parent);
                self.shelve();
            }
            self.open(chat);
        }
    }

    /// Keeps what is known of channels, if more is.
    fn shelve(&mut self) {
        let changes = self.wire.decoder.places_changes();
        if self.shelved != changes {
            self.shelved = changes;
            self.tools.channels.1.put(self.wire.decoder.places());
        }
    }
}

/// What is known of where `chat` is.
fn around(decoder: &Decoder, chat: u64) -> Around<'_> {
    let Some(place) = decoder.place(chat) else {
        return Around { missing: Some(chat), ..Around::default() };
    };
    let (named, missing) = match place.parent {
        Some(parent) => (decoder.place(parent), Some(parent)),
        None => (Some(place), None),
    };
    let name = named.map(|named| named.name).filter(|name| !name.is_empty());
    Around { parent: place.parent, name, missing: missing.filter(|_| named.is_none()) }
}

impl Port<Gateway> for GatewayPort {
    fn act(&mut self, now: Instant, output: Output, machine: &Gateway) {
        match output {
            Output::Fetch => self.fetch(now),
            Output::Dial { url, deadline } => self.dial(now, url, deadline),
            Output::Send(payload) => {
                if let Link::Up(socket) = &mut self.link
                    && socket.send_text(payload.bytes()).is_err()
                {
                    // The server has not read for so long that the buffer is full.
                    self.close(limits::CLOSE_KEEPING_SESSION, Duration::ZERO, End::Wire);
                }
            }
            Output::Close { code } => {
                let silence =
                    matches!(machine.status().last_end, Some(Cause::End(End::Silence(_))));
                // Whoever has gone silent will not say goodbye.
                let patience = if silence { Duration::ZERO } else { limits::CLOSE_WAIT };
                self.close(code, patience, End::Asked);
            }
            Output::Drain => self.draining = Some(now + limits::SOCKET_DRAIN),
            Output::Deliver => self.deliver(),
            Output::Save(urgency, saved) => {
                // READY is kept before anything else is done about it; RESUMED does not tell who
                // we are, and whoever does not know that sees no mention.
                let me = machine.status().me.map_or(self.tools.doors.me, |me| me.user);
                let marks = {
                    let ledger = self.tools.doors.ledger.borrow();
                    (ledger.inflight.newest(), ledger.gap)
                };
                self.tools.keeper.keep(urgency, *saved, me, marks);
            }
            Output::Tell(tell) => self.tell(&tell),
            Output::State(_) => {
                self.tools.status.borrow_mut().clone_from(machine.status());
                // One word that waits says it all.
                let _ = self.tools.changed.try_send(());
            }
        }
    }

    fn rest(&mut self, _now: Instant, machine: &Gateway) -> bool {
        let status = machine.status();
        self.tools.status.borrow_mut().clone_from(status);
        self.tools.due.set(machine.deadline());
        if status.interval.is_some() {
            self.tools.interval.set(status.interval);
        }
        while self.identifies < status.counters.identifies {
            self.identifies += 1;
            self.suspect(Sign::Identify);
        }
        if let Some(me) = status.me {
            if mem::take(&mut self.is_new) {
                self.tools.doors.ready(me.application);
            }
            self.tools.doors.me = me.user;
            self.tools.talk.me.set(me.user);
        }
        let is_up = status.state == State::Connected;
        self.tools.doors.board.present(is_up, self.tools.doors.me);
        self.wire.decoder.set_me(self.tools.doors.me);
        self.shelve();
        !(self.leaving && matches!(self.link, Link::Down))
    }

    async fn next(&mut self) -> Option<Input<'_>> {
        Some(match poll_fn(|context| self.poll_event(context)).await {
            Event::Fetched => self.heard_fetch(),
            Event::Clock => Input::Wall(clock::wall()),
            Event::Asked(ask) => Input::Ask(ask),
            Event::Opened => Input::Open,
            Event::Message => Input::Heard(self.wire.decoder.signal()),
            Event::Durable(seq) => Input::Durable(seq),
            Event::Drained => Input::Drained,
            Event::Refused => Input::Unauthorized,
            Event::Ended(end) => Input::Ended(end),
        })
    }
}
