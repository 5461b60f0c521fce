//! Which conversation a message belongs to: that of its session, or another one that begins with
//! it.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Desk, Inner};
use crate::agent::sessions::Rules;
use crate::agent::store::{Most, Said, Store, Summary};
use crate::base::Wall;
use crate::base::limits::{COMPACT_DEADLINE, THREAD_BYTES_MAX, THREAD_LINES_MAX};
use crate::core::chat::{ChatId, Request};
use crate::core::reset::{Before, Why};
use crate::core::session::Key;
use crate::core::transcript::{Begun, Header, Line, Role};
use crate::core::turn::Room;
use crate::rt::clock;

impl Desk {
    /// Lets `rules` hold for what comes from here on.
    pub fn rule(&self, rules: Rules) {
        self.0.sessions.borrow_mut().rules = rules;
    }

    /// The session that `request` belongs to.
    #[must_use]
    pub fn key(&self, request: &Request) -> Key {
        let scoped = self.0.scoped(request);
        scoped.unwrap_or_else(|| Key::of(request))
    }

    /// The conversation that the session `key` is in, whose turns are taken in `room`.
    pub async fn conversation(&self, key: &Key, room: &Room) -> u32 {
        let known = self.0.known(key).await;
        let wanted = self.0.sessions.borrow().of(key, room).number;
        wanted.max(known.map_or(0, |known| known.conversation))
    }

    /// Begins another conversation in the session `key`, whose turns are taken in `room`; its
    /// number. What is being answered belongs to the old one.
    pub async fn renew(&self, key: &Key, room: &Room) -> u32 {
        let now_in = self.conversation(key, room).await;
        let renewed = self.0.sessions.borrow_mut().renew((key, room), now_in, clock::wall());
        let (number, kept) = renewed;
        if let Err(error) = kept.await {
            log::warn!(
                target: "agent",
                "the new conversation of {key} will be forgotten at the next start: {error}"
            );
        }
        number
    }

    /// Forgets in which conversation the sessions are that are `gone`.
    ///
    /// # Errors
    /// It could not be kept.
    pub async fn forget(&self, gone: &dyn Fn(Option<&Key>, &Room) -> bool) -> Result<(), String> {
        let kept = self.0.sessions.borrow_mut().forget(gone);
        match kept {
            Some(kept) => kept.await.map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// Finds the session of `request`, and its conversation; why another one begins with it.
    pub async fn settle(&self, request: &mut Request) -> Option<Why> {
        self.0.settle(request).await
    }

    /// What there is to say of the conversation of `request`.
    pub async fn about(&self, request: &Request) -> String {
        let mut request = request.clone();
        request.session_key = Some(self.key(&request).as_str().into());
        let (key, room) = (Key::of(&request), Room::of(&request));
        request.session = self.conversation(&key, &room).await;
        let mut said = format!("Session {key}, conversation {}", u64::from(request.session) + 1);
        if let Some((at, why)) = self.begun(&request).await {
            let _ = write!(said, ", which began {} because {why}", ago(clock::wall().since(at)));
        }
        said.push('.');
        let member = self.0.member(&mut request.agent);
        if let Some(more) = member.agent.about(&request, self.0.store.as_ref()).await {
            let _ = write!(said, "\n{more}");
        }
        said
    }

    /// Puts what was said in the conversation of `request` in short; what came of it.
    pub async fn compact(&self, request: &Request) -> String {
        let mut request = request.clone();
        request.session_key = Some(self.key(&request).as_str().into());
        let (key, room) = (Key::of(&request), Room::of(&request));
        request.session = self.conversation(&key, &room).await;
        let member = self.0.member(&mut request.agent);
        let by = clock::now() + member.deadline.min(COMPACT_DEADLINE);
        member.agent.compact(&request, self.0.store.as_ref(), by).await
    }

    /// How the conversation of `request` began: when and why, as far as that is known.
    pub async fn begun(&self, request: &Request) -> Option<(Wall, Why)> {
        let (key, room) = (self.key(request), Room::of(request));
        let known = self.0.known(&key).await;
        let wanted = self.0.sessions.borrow().of(&key, &room);
        let begun = known.as_ref().and_then(|known| known.begun);
        match begun.filter(|begun| begun.conversation > wanted.number) {
            Some(begun) => Some((begun.at, begun.why)),
            None => (wanted.at != Wall(0)).then_some((wanted.at, Why::Asked)),
        }
    }
}

impl Inner {
    /// The key of the session of `request`, where it is not told by the chat.
    fn scoped(&self, request: &Request) -> Option<Key> {
        if request.session_key.is_some() {
            return None;
        }
        self.sessions.borrow().rules.scopes.key(request)
    }

    async fn known(&self, key: &Key) -> Option<Summary> {
        self.store.as_ref()?.find(key.clone()).await
    }

    /// See [`Desk::settle`].
    pub(super) async fn settle(&self, request: &mut Request) -> Option<Why> {
        if let Some(key) = self.scoped(request) {
            request.session_key = Some(key.as_str().into());
        }
        let (key, room) = (Key::of(request), Room::of(request));
        let known = self.known(&key).await;
        let wanted = self.sessions.borrow().of(&key, &room);
        if known.is_none() && wanted.number == 0 {
            self.inherit(request, &key).await;
        }
        let spoken_in = known.as_ref().map_or(0, |known| known.conversation);
        request.session = wanted.number.max(spoken_in);
        // It came before somebody wanted another conversation, and waited.
        if wanted.at > request.at && request.session == wanted.number {
            request.session = wanted.number.saturating_sub(1);
            return None;
        }
        let now = clock::now();
        let spoken = known.filter(|known| known.conversation == request.session);
        let why = spoken.and_then(|spoken| {
            let sessions = self.sessions.borrow();
            let before = Before { at: spoken.updated, since: sessions.heard(&key, now) };
            sessions.rules.reset(request, &key)?.judge(before, clock::wall())
        });
        self.sessions.borrow_mut().hear(&key, now);
        let (why, store) = (why?, self.store.as_ref()?);
        request.session = request.session.saturating_add(1);
        let begun = Begun { conversation: request.session, at: clock::wall(), why };
        log::info!(target: "agent", "a new conversation began in {key} because {why}");
        store.begin(Header::new(key, &room, ""), begun).await;
        Some(why)
    }

    /// A thread in which nobody has spoken begins with what was said around it, if that is wanted.
    async fn inherit(&self, request: &Request, key: &Key) {
        let Request { parent: Some(parent), account, chat, .. } = request else { return };
        let is_wanted = self.sessions.borrow().rules.inherit.contains(account);
        let Some(store) = self.store.as_ref().filter(|_| is_wanted) else { return };
        let chat = ChatId { id: *parent, ..*chat };
        let mut around = Request { chat, parent: None, session_key: None, ..request.clone() };
        if let Some(key) = self.scoped(&around) {
            around.session_key = Some(key.as_str().into());
        }
        let (from, room) = (Key::of(&around), Room::of(&around));
        if from != *key {
            let wanted = self.sessions.borrow().of(&from, &room).number;
            let spoken = self.known(&from).await.map_or(0, |known| known.conversation);
            let header = Header::new(key.clone(), &Room::of(request), "");
            take_over(store, from, wanted.max(spoken), &header).await;
        }
    }
}

fn ago(span: Duration) -> String {
    match span.as_secs() {
        0..120 => "just now".to_owned(),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// Copies the end of the conversation of `from` into a new session.
async fn take_over(store: &Store, from: Key, conversation: u32, header: &Header) {
    let (lines, bytes) = (THREAD_LINES_MAX, THREAD_BYTES_MAX);
    let tail = store.context(from, Most { conversation, lines, bytes }).await;
    for line in tail.lines {
        if matches!(line.role, Role::User | Role::Assistant) {
            let line = Line { conversation: 0, run: "".into(), ..line };
            store.append(Said { header: header.clone(), line });
        }
    }
}
