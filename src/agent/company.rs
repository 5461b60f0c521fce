//! Who is around while an agent works: those who hear its words before it is done, and those who
//! say more in the meantime.

use std::cell::{Cell, RefCell};
use std::pin::Pin;

use smol::channel::{Receiver, Sender};

use crate::base::limits::DRAFT_BYTES_MAX;
use crate::base::text::truncate;
use crate::core::chat::{ChatId, Request};
use crate::core::turn::Told;

use super::desk::News;

/// What an agent may tell and hear while it works. A plain function hears each piece, and no more.
pub trait Hear {
    /// It says this more.
    fn more(&self, new: &str);

    /// What it has said so far in the answer that is coming: not more than before, if what it had
    /// said does not count any more.
    fn so_far(&self, _all: &str) {}

    /// The next message that somebody wants to be heard in the turn that runs.
    fn asked<'a>(&'a self) -> Pin<Box<dyn Future<Output = Request> + 'a>> {
        Box::pin(std::future::pending())
    }

    /// So many of those has it heard.
    fn heard(&self, _count: usize) {}
}

impl<F: Fn(&str)> Hear for F {
    fn more(&self, new: &str) {
        self(new);
    }
}

/// Who hears an answer as it comes, and may say more.
pub type Hears<'a> = &'a dyn Hear;

/// The company of one turn that was asked for by a channel or by somebody who waits for it.
pub(super) struct Company<'e> {
    /// Told piece by piece.
    pub(super) follower: Option<&'e Sender<News>>,
    /// Told what there is so far, of the message that is answered.
    pub(super) channel: Option<(&'e Sender<Told>, ChatId, u64)>,
    /// What is said in the meantime.
    pub(super) said: Receiver<Request>,
    /// What found no room yet.
    pub(super) held: RefCell<String>,
    /// How much of what was said is heard.
    pub(super) heard: Cell<usize>,
    /// What the channel was told last.
    pub(super) shown: RefCell<String>,
}

impl Hear for Company<'_> {
    fn more(&self, new: &str) {
        let Some(follower) = self.follower else { return };
        let mut held = self.held.borrow_mut();
        held.push_str(new);
        if follower.try_send(News::Says(held.clone())).is_ok() {
            held.clear();
        }
    }

    fn so_far(&self, all: &str) {
        let Some((told, chat, id)) = self.channel else { return };
        let all = truncate(all, DRAFT_BYTES_MAX);
        let mut shown = self.shown.borrow_mut();
        // What finds no room is told with the next word: it is only shown.
        if *shown != all && told.try_send(Told::Says { chat, id, text: all.into() }).is_ok() {
            all.clone_into(&mut shown);
        }
    }

    fn asked<'a>(&'a self) -> Pin<Box<dyn Future<Output = Request> + 'a>> {
        Box::pin(async {
            match self.said.recv().await {
                Ok(request) => request,
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn heard(&self, count: usize) {
        self.heard.set(count);
    }
}
