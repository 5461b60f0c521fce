//! The side of an account that talks, put together: the replies, catching up, and the ends of
//! theirs that the connection holds.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::{Map, Value, json};
use smol::channel::{Receiver, Sender, bounded};

use super::catchup::{CatchUp, Late};
use super::commands::Asked;
use super::doors::Ledger;
use super::journal::{Counts, Journal};
use super::replies::{Posting, Replies, Tools};
use super::rest::Calls;
use super::settings::Settings;
use crate::base::limits;
use crate::core::chat::{ChatId, Request};
use crate::core::journal::Memory;
use crate::core::outbox::{Nonce, Outbox};
use crate::core::turn::Told;

/// What both sides share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) settings: Rc<RefCell<Settings>>,
    pub(super) calls: Calls,
    /// Our own user id, as far as it is known.
    pub(super) me: Rc<Cell<u64>>,
}

/// What the connection holds of it.
pub(super) struct Ends {
    /// Told, without a word, when a session is live and there is something to catch up on …
    pub(super) catch_up: Sender<()>,
    /// … what comes of that …
    pub(super) late: Receiver<Late>,
    /// … and who hears that a chat has been caught up on.
    pub(super) released: Sender<ChatId>,
    /// Told of our own messages, as the server tells everybody.
    pub(super) confirmed: Sender<(Nonce, u64)>,
    /// Who we are, for others to read.
    pub(super) me: Rc<Cell<u64>>,
    /// Told, without a word, when a message is dealt with.
    pub(super) room: Sender<()>,
}

/// The side that talks.
pub(super) struct Talk {
    pub(super) replies: Replies,
    pub(super) catch_up: CatchUp,
    pub(super) ends: Ends,
    /// Where the doors hand on what they admit.
    pub(super) admit: Sender<Request>,
    pub(super) post: Sender<Posting>,
    pub(super) said: Said,
}

/// What there is to see of what is said.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) outbox: Rc<RefCell<Outbox>>,
    /// How often what was written to the disk.
    pub(super) disk: Rc<Cell<Counts>>,
}

impl Said {
    /// How much of what, for `status`.
    pub(super) fn messages(&self, ledger: &Ledger, drops: &Map<String, Value>) -> Value {
        let outbox = self.outbox.borrow();
        let out = outbox.counts();
        let dropped: Map<String, Value> =
            outbox.dropped_total().map(|(why, count)| (why.name().into(), count.into())).collect();
        json!({
                "inFlight": ledger.inflight.len(),
                "waitingForAgent": ledger.backlog.len(),
                "queued": out.depth,
                "delivered": out.delivered,
                "dropped": dropped,
                "lookedFor": out.looked,
                "sentBlind": out.blind,
                "notAnswered": drops,
        })
    }

    /// What the disk had to write, for `status`.
    pub(super) fn journal(&self) -> Value {
        let Counts { groups, bytes, failed } = self.disk.get();
        json!({ "groups": groups, "bytes": bytes, "failed": failed })
    }
}

impl Shared {
    pub(super) fn new(
        ledger: &Rc<RefCell<Ledger>>,
        settings: &Rc<RefCell<Settings>>,
        calls: &Calls,
        me: u64,
    ) -> Shared {
        let me = Rc::new(Cell::new(me));
        Shared { ledger: ledger.clone(), settings: settings.clone(), calls: calls.clone(), me }
    }
}

impl Talk {
    /// Puts it together, and takes up what an earlier life had left.
    pub(super) fn new(
        shared: &Shared,
        (journal, memory): (Journal, Memory),
        (requests, orders): (Sender<Request>, Sender<Asked>),
        told: Receiver<Told>,
    ) -> Talk {
        let (admit, admitted) = bounded(limits::INFLIGHT_MAX);
        let (wake, woken) = bounded(1);
        let (late, lates) = bounded(1);
        let (release, released) = bounded(limits::CATCH_UP_CHATS_MAX);
        let (confirm, confirmed) = bounded(limits::OUTBOX_UNDER_WAY_MAX);
        let (post, posts) = bounded(limits::OUTBOX_PER_CHAT_MAX);
        let (room, has_room) = bounded(1);
        let counts = Rc::new(Cell::default());
        let Shared { ledger, settings, calls, me } = shared.clone();
        let outbox = {
            let settings = settings.borrow();
            Rc::new(RefCell::new(Outbox::new(settings.chunk_chars, settings.outbox)))
        };
        let ends = Ends {
            catch_up: wake,
            late: lates,
            released: release,
            confirmed: confirm,
            me: me.clone(),
            room: room.clone(),
        };
        let catch_up = CatchUp {
            ledger: ledger.clone(),
            settings: settings.clone(),
            calls: calls.clone(),
            me: me.clone(),
            wake: woken,
            late,
            room: has_room,
        };
        let mut replies = Replies::new(Tools {
            outbox: outbox.clone(),
            ledger,
            settings,
            calls,
            journal,
            counts: counts.clone(),
            me,
            admitted,
            requests,
            orders,
            told,
            released,
            confirmed,
            posts,
            room,
        });
        replies.take_up(memory);
        let said = Said { outbox, disk: counts };
        Talk { replies, catch_up, ends, admit, post, said }
    }
}
