//! The desk at which strangers are let in: the list on disk, and what they are told.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use serde_json::{Value, json};
use smol::channel::{Receiver, Sender, bounded};

use super::replies::Posting;
use crate::base::{Wall, limits};
use crate::core::answer::Answer;
use crate::core::chat::ChatId;
use crate::core::pairing::{Code, Paired, Pairing, Pending, Record, Told, Wrong};
use crate::rt::store::{Bounds, Log, Short, StoreError};
use crate::rt::{clock, os_seed};

pub(super) const BOUNDS: Bounds = Bounds {
    record_bytes_max: limits::PAIRED_RECORD_BYTES_MAX,
    file_bytes_max: limits::PAIRED_LOG_BYTES_MAX,
};

/// Who was let in, and who waits, in one account.
pub(super) struct Desk {
    account: Box<str>,
    book: RefCell<Book>,
    /// The way to those who wait; `None` once the account is leaving.
    post: RefCell<Option<Sender<Posting>>>,
    /// Told, without a word, when the list has become long; and where that is heard. Both are
    /// gone once the account is leaving.
    long: RefCell<Bell>,
}

/// Both ends of a word that is told.
#[derive(Default)]
struct Bell {
    tells: Option<Sender<()>>,
    hears: Option<Receiver<()>>,
}

/// The machine and its log.
struct Book {
    pairing: Pairing,
    log: Log,
    /// Whether the last write failed.
    failing: bool,
    /// At which length the log is made short.
    long: u64,
    /// Closed when the log has been made short, while that is being done.
    shortening: Option<Receiver<()>>,
}

impl Desk {
    /// Opens the list in `state`, its name beginning with `stem`.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub(super) fn open(state: &Path, stem: &str, account: &str) -> Result<Desk, StoreError> {
        let mut pairing = Pairing::default();
        let (log, found) = Log::open(state, &format!("{stem}.paired"), BOUNDS, |record| {
            match serde_json::from_slice(record) {
                Ok(record) => pairing.replay(record),
                Err(error) => {
                    log::warn!(target: "discord", "a line of the paired cannot be read: {error}");
                }
            }
        })?;
        if let Some(file) = &found.quarantined {
            log::warn!(
                target: "discord",
                "the list of the paired was damaged; the rest was put aside as {}",
                file.display()
            );
        }
        let book = Book {
            pairing,
            log,
            failing: false,
            long: limits::PAIRED_SHORT_BYTES,
            shortening: None,
        };
        let book = RefCell::new(book);
        let (tells, hears) = bounded(1);
        let bell = RefCell::new(Bell { tells: Some(tells), hears: Some(hears) });
        Ok(Desk { account: account.into(), book, post: RefCell::default(), long: bell })
    }

    /// What is to be said goes there from now on.
    pub(super) fn speak_by(&self, post: Sender<Posting>) {
        self.post.replace(Some(post));
    }

    /// Makes the list short whenever it has become long, until the account is leaving.
    pub(super) async fn tend(self: Rc<Self>) {
        let Some(hears) = self.long.borrow_mut().hears.take() else { return };
        while hears.recv().await.is_ok() {
            let (over, is_over) = bounded(1);
            let short = self.book.borrow_mut().shorten(is_over);
            let short = short.await;
            self.book.borrow_mut().take_over(short);
            drop(over);
        }
    }

    /// Keeps `record`.
    fn keep(&self, record: &Record) {
        let mut book = self.book.borrow_mut();
        book.keep(record);
        if book.is_long()
            && let Some(tell) = &self.long.borrow().tells
        {
            // One word that waits says it all.
            let _ = tell.try_send(());
        }
    }

    /// Waits until all that was kept is on the disk.
    async fn sync(&self) {
        // What comes while the list is made short is written after that.
        let shortening = self.book.borrow().shortening.clone();
        if let Some(is_over) = shortening {
            let _ = is_over.recv().await;
        }
        let sync = self.book.borrow().log.sync();
        if let Err(error) = sync.await {
            log::warn!(target: "discord", "the list of the paired: {error}");
        }
    }

    /// Whether `author` was let in.
    pub(super) fn is_paired(&self, author: u64) -> bool {
        self.book.borrow().pairing.is_paired(author)
    }

    /// A stranger wrote: they are told what to do, if that was not said a moment ago. Gives what
    /// they were told.
    pub(super) fn knock(&self, author: u64, name: &str, chat: ChatId) -> Told {
        let (told, text) = self.invite(author, name, chat);
        if let Some(text) = text {
            let what = match &told {
                Told::Code { code, .. } => format!("code {code}"),
                _ => "full".to_owned(),
            };
            self.say(chat, &text, &what, clock::wall());
        }
        told
    }

    /// A stranger came: what they are to be told, if that was not said a moment ago.
    pub(super) fn invite(&self, author: u64, name: &str, chat: ChatId) -> (Told, Option<String>) {
        let (now, who) = (clock::wall(), (author, name));
        let told = self.book.borrow_mut().pairing.knock(now, who, chat, os_seed());
        let text = match &told {
            Told::Code { code, record } => {
                if let Some(record) = record {
                    // The code is for whoever looks after the bot, and no secret to them.
                    log::info!(
                        target: "discord",
                        "user {author} wrote and is not known: `{}` lets them in",
                        self.command(code)
                    );
                    self.keep(record);
                }
                Some(self.invitation(code))
            }
            Told::Full => Some(FULL.to_owned()),
            Told::Nothing => None,
        };
        (told, text)
    }

    /// Lets in whoever has the code that somebody typed, tells them, and waits until that is on
    /// the disk.
    ///
    /// # Errors
    /// Nobody is let in.
    pub(super) async fn approve(&self, typed: &str) -> Result<Paired, Wrong> {
        let paired = self.book.borrow_mut().pairing.approve(clock::wall(), typed)?;
        self.keep(&Record::Approved(paired.clone()));
        log::info!(target: "discord", "user {} is paired", paired.author);
        self.say(paired.chat, WELCOME, "paired", paired.since);
        self.sync().await;
        Ok(paired)
    }

    /// Sends `author` away, paired or waiting. False if they were neither.
    pub(super) async fn revoke(&self, author: u64) -> bool {
        let revoked = self.book.borrow_mut().pairing.revoke(author);
        let Some(record) = revoked else { return false };
        self.keep(&record);
        log::info!(target: "discord", "user {author} is no longer paired");
        self.sync().await;
        true
    }

    /// All of them, for `pairing list`.
    pub(super) fn list(&self) -> Value {
        let (book, now) = (self.book.borrow(), clock::wall());
        let pending: Vec<Value> = book
            .pairing
            .pending(now)
            .map(|Pending { code, author, name, chat, since }| {
                json!({
                    "channel": "discord",
                    "accountId": self.account,
                    "code": code.to_string(),
                    "user": { "id": author.to_string(), "name": name },
                    "chat": chat.id.to_string(),
                    "createdAtMs": since.0,
                    "expiresAtMs": (*since + limits::PAIRING_TTL).0,
                })
            })
            .collect();
        let paired: Vec<Value> = book
            .pairing
            .paired()
            .map(|Paired { author, name, since, .. }| {
                json!({
                    "channel": "discord",
                    "accountId": self.account,
                    "user": { "id": author.to_string(), "name": name },
                    "sinceMs": since.0,
                })
            })
            .collect();
        let counts = book.pairing.counts();
        json!({
            "requests": pending,
            "approved": paired,
            "codes": counts.codes,
            "turnedAway": counts.full,
            "wrongCodes": counts.wrong,
        })
    }

    /// Says nothing more: the account is leaving.
    pub(super) fn close(&self) {
        self.post.take();
        self.long.take();
    }

    /// The command that lets in whoever has `code`.
    fn command(&self, code: &Code) -> String {
        let account = match &*self.account {
            "default" => String::new(),
            name => format!(" --account {name}"),
        };
        format!("barnacle pairing approve discord {code}{account}")
    }

    fn invitation(&self, code: &Code) -> String {
        format!(
            "I do not know you yet. Whoever looks after this bot can let you in, with this code:\n\
             **{code}**\nIt holds for one hour. They type: `{}`",
            self.command(code)
        )
    }

    /// Says `text` of our own accord, once for each `key`; what finds no room is not said.
    pub(super) fn tell(&self, chat: ChatId, text: &str, key: String) -> bool {
        let Some(post) = &*self.post.borrow() else { return false };
        let (done, _) = bounded(1);
        let posting = Posting { chat: chat.id, answer: Answer::text(text), key: key.into(), done };
        post.try_send(posting).is_ok()
    }

    /// Says `text`, which is about `what` and was decided at `at`: it is written down like any
    /// answer, and arrives once. Nobody waits for what comes of it.
    fn say(&self, chat: ChatId, text: &str, what: &str, at: Wall) {
        if self.post.borrow().is_some()
            && !self.tell(chat, text, format!("pairing {what} {}", at.0))
        {
            log::warn!(
                target: "discord",
                "what a stranger in {chat} was to be told found no room; they are told when they \
                 write again"
            );
        }
    }
}

const FULL: &str = "I do not know you yet, and too many others are waiting to be let in. Please \
    try again in an hour.";

const WELCOME: &str = "You are paired: from now on I answer you here.";

impl Book {
    /// Appends `record`.
    fn keep(&mut self, record: &Record) {
        let kept = self.log.append(&encode(record));
        self.tell(kept);
    }

    /// Whether the log is to be made short, and that is not being done yet.
    fn is_long(&self) -> bool {
        self.log.bytes() >= self.long && self.shortening.is_none()
    }

    /// Makes the log short. What comes of it is to be taken over; then `is_over` is closed.
    fn shorten(
        &mut self,
        is_over: Receiver<()>,
    ) -> impl Future<Output = Result<Short, StoreError>> + use<> {
        self.shortening = Some(is_over);
        self.log.shorten(self.pairing.records().iter().map(encode).collect())
    }

    fn take_over(&mut self, short: Result<Short, StoreError>) {
        self.shortening = None;
        let taken = self.log.take_over(short);
        // So that a long list of people is not written again for each of them.
        self.long = limits::PAIRED_SHORT_BYTES.max(2 * self.log.bytes());
        self.tell(taken);
    }

    /// Says when writing begins to fail, and when it works again.
    fn tell(&mut self, kept: Result<(), StoreError>) {
        let failed_before = std::mem::replace(&mut self.failing, kept.is_err());
        match kept {
            Err(error) if !failed_before => {
                log::warn!(target: "discord", "the list of the paired cannot be written: {error}");
            }
            Ok(()) if failed_before => {
                log::info!(target: "discord", "the list of the paired is written again");
            }
            _ => {}
        }
    }
}

fn encode(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}
