//! The desk at which strangers are let in: the list on disk, and what they are told.

use std::cell::RefCell;
use std::path::Path;

use serde_json::{Value, json};

use super::rest::Calls;
use crate::base::hash::fnv1a;
use crate::base::limits;
use crate::core::chat::ChatId;
use crate::core::pairing::{Code, Paired, Pairing, Pending, Record, Told, Wrong};
use crate::proto::discord::rest::{Route, message_body};
use crate::rt::store::{Bounds, Log, StoreError};
use crate::rt::{clock, os_seed};

const BOUNDS: Bounds = Bounds {
    record_bytes_max: limits::PAIRED_RECORD_BYTES_MAX,
    file_bytes_max: limits::PAIRED_LOG_BYTES_MAX,
};

/// Who was let in, and who waits, in one account.
pub(super) struct Desk {
    account: Box<str>,
    book: RefCell<Book>,
    /// The way to those who wait; `None` once the account is leaving.
    calls: RefCell<Option<Calls>>,
}

/// The machine and its log.
struct Book {
    pairing: Pairing,
    log: Log,
    /// Whether the last write failed.
    failing: bool,
}

impl Desk {
    /// Opens the list in `state`, its name beginning with `stem`.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub(super) fn open(
        state: &Path,
        stem: &str,
        account: &str,
        calls: Calls,
    ) -> Result<Desk, StoreError> {
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
        let book = RefCell::new(Book { pairing, log, failing: false });
        Ok(Desk { account: account.into(), book, calls: RefCell::new(Some(calls)) })
    }

    /// Whether `author` was let in.
    pub(super) fn is_paired(&self, author: u64) -> bool {
        self.book.borrow().pairing.is_paired(author)
    }

    /// A stranger wrote: they are told what to do, if that was not said a moment ago. Gives what
    /// they were told.
    pub(super) fn knock(&self, author: u64, name: &str, chat: ChatId) -> Told {
        let mut book = self.book.borrow_mut();
        let told = book.pairing.knock(clock::wall(), (author, name), chat, os_seed());
        match &told {
            Told::Code { code, record } => {
                if let Some(record) = record {
                    // The code is for whoever looks after the bot, and no secret to them.
                    log::info!(
                        target: "discord",
                        "user {author} wrote and is not known: `{}` lets them in",
                        self.command(code)
                    );
                    book.keep(record);
                }
                self.say(chat, &self.invitation(code));
            }
            Told::Full => self.say(chat, FULL),
            Told::Nothing => {}
        }
        told
    }

    /// Lets in whoever has the code that somebody typed, tells them, and waits until that is on
    /// the disk.
    ///
    /// # Errors
    /// Nobody is let in.
    pub(super) async fn approve(&self, typed: &str) -> Result<Paired, Wrong> {
        let (paired, sync) = {
            let mut book = self.book.borrow_mut();
            let paired = book.pairing.approve(clock::wall(), typed)?;
            book.keep(&Record::Approved(paired.clone()));
            (paired, book.log.sync())
        };
        log::info!(target: "discord", "user {} is paired", paired.author);
        self.say(paired.chat, WELCOME);
        if let Err(error) = sync.await {
            log::warn!(target: "discord", "the list of the paired: {error}");
        }
        Ok(paired)
    }

    /// Sends `author` away, paired or waiting. False if they were neither.
    pub(super) async fn revoke(&self, author: u64) -> bool {
        let sync = {
            let mut book = self.book.borrow_mut();
            let Some(record) = book.pairing.revoke(author) else { return false };
            book.keep(&record);
            book.log.sync()
        };
        log::info!(target: "discord", "user {author} is no longer paired");
        if let Err(error) = sync.await {
            log::warn!(target: "discord", "the list of the paired: {error}");
        }
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
        self.calls.take();
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

    /// A courtesy: nobody waits for what comes of it, and it is not said twice.
    fn say(&self, chat: ChatId, text: &str) {
        let Some(calls) = &*self.calls.borrow() else { return };
        let route = Route::CreateMessage { channel: chat.id };
        let now = clock::wall().0.to_le_bytes();
        let nonce = fnv1a(text.bytes().chain(chat.id.to_le_bytes()).chain(now));
        let body = message_body(text, &format!("barnacle-{nonce:016x}"), None);
        calls.post(route, body.into(), clock::now() + limits::PAIRING_AGAIN);
    }
}

const FULL: &str = "I do not know you yet, and too many others are waiting to be let in. Please \
    try again in an hour.";

const WELCOME: &str = "You are paired: from now on I answer you here.";

impl Book {
    /// Appends `record`. When the log has become long, it is made short again.
    fn keep(&mut self, record: &Record) {
        let encode = |record: &Record| serde_json::to_vec(record).unwrap_or_default();
        let kept = match self.log.append(&encode(record)) {
            Err(StoreError::Full) => self.log.compact(self.pairing.records().iter().map(encode)),
            kept => kept,
        };
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
