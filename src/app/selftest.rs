//! `barnacle self-test`: whether this binary works on this machine, without a network, an account
//! or a configuration: what it is made of, then the whole of it against the embedded Discord over
//! TLS, with one connection lost and resumed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{Stage, TemporaryDir};
use crate::base::end::DialFault;
use crate::base::{End, Wall, limits};
use crate::ops;
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::Common;
use crate::proto::json::{Fault, Sink, Token, Tokenizer};
use crate::rt::executor::{self, Spawner, Tier};
use crate::rt::net::http::{Client, HttpError, Method, Request};
use crate::rt::net::{Net, NetOptions};
use crate::rt::store::{Bounds, Cell, Content, Durability, Log};
use crate::rt::{clock, log as logging};
use crate::sandbox::{Args, Options, What, certificate};

/// What a check has found: a line, or why it failed.
type Found = Result<String, String>;

/// Runs every check. Each is told as it is over.
///
/// # Errors
/// One of them failed.
pub(crate) fn self_test(common: &Common, mut out: impl Write + 'static) -> Result<(), Failure> {
    let level = common.log_level.as_deref().unwrap_or("off");
    logging::start(level, logging::Form::Person { colours: false })
        .map_err(|text| Failure::new(Exit::Usage, text, ""))?;
    let dir = TemporaryDir::new()?;
    let is_json = common.json;
    executor::run(move |spawner| async move {
        let mut report = Report { out: &mut out, is_json, checks: Vec::new() };
        report.check("clock", async { clocks() }).await?;
        report.check("random", async { random() }).await?;
        report.check("json", async { json_in_pieces() }).await?;
        report.check("store", stores(dir.path())).await?;
        report.check("discord", Box::pin(discord(&spawner, dir.path()))).await?;
        report.end()
    })
}

struct Report<'a, W> {
    out: &'a mut W,
    is_json: bool,
    checks: Vec<Value>,
}

impl<W: Write> Report<'_, W> {
    async fn check(
        &mut self,
        name: &str,
        check: impl Future<Output = Found>,
    ) -> Result<(), Failure> {
        let began = clock::now();
        let by = began + limits::SELF_TEST_DEADLINE;
        let late = || Err(format!("not done within {} s", limits::SELF_TEST_DEADLINE.as_secs()));
        let found = clock::timeout(by, check).await.unwrap_or_else(late);
        let took = clock::now().since(began).as_millis();
        let (is_fine, text) = match found {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        if !self.is_json {
            let word = if is_fine { "ok    " } else { "FAILED" };
            writeln!(self.out, "{word}  {name:8} {text} ({took} ms)")?;
            self.out.flush()?;
        }
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        self.checks.push(json!({ "name": name, "ok": is_fine, "text": text, "ms": took }));
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        let failed = self.checks.iter().filter(|check| check["ok"] != true).count();
        if self.is_json {
            let answer =
                json!({ "ok": failed == 0, "version": ops::version(), "checks": self.checks });
            writeln!(self.out, "{answer}")?;
        }
        match failed {
            0 => Ok(()),
            n => Err(Failure::new(Exit::Software, format!("{n} checks have failed"), "")),
        }
    }
}

/// The clock that deadlines are by goes on; the other one is only told.
fn clocks() -> Found {
    let (before, wall) = (clock::now(), clock::wall());
    clock::pause(Duration::from_millis(2));
    if clock::now().since(before) < Duration::from_millis(2) {
        return Err("the monotonic clock stands still".to_owned());
    }
    Ok(told_clock(wall))
}

fn told_clock(wall: Wall) -> String {
    if wall < ops::made() {
        return format!("the clock is wrong: {wall}; no certificate is valid until it is set");
    }
    format!("it is {wall}")
}

fn random() -> Found {
    let bytes = || crate::rt::os_bytes::<32>().map_err(|error| error.to_string());
    let (one, two) = (bytes()?, bytes()?);
    if one == two {
        return Err("the operating system gives the same randomness twice".to_owned());
    }
    Ok("the operating system gives randomness".to_owned())
}

/// A document with everything in it that is easily got wrong.
const DOCUMENT: &str = r#"{"t":"MESSAGE_CREATE","s":42,"op":0,"d":{
    "content":"caf\u00e9 \ud83e\udd80 \"q\"\n",
    "list":[1,-2.5e3,true,null,[]],"id":"1180000000000000001"}}"#;

/// What was heard of a document, pieces put together.
#[derive(Default)]
struct Heard(String);

impl Sink for Heard {
    fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Key { part, last } | Token::Text { part, last } => {
                self.0.push_str(part);
                if last {
                    self.0.push('\u{1f}');
                }
            }
            other => {
                let _ = std::fmt::Write::write_fmt(&mut self.0, format_args!("{other:?}\u{1f}"));
            }
        }
    }
}

fn tokens(document: &[u8], window: usize) -> Result<String, Fault> {
    let (mut tokenizer, mut heard) = (Tokenizer::new(), Heard::default());
    for piece in document.chunks(window) {
        tokenizer.feed(piece, &mut heard)?;
    }
    tokenizer.finish(&mut heard)?;
    Ok(heard.0)
}

fn json_in_pieces() -> Found {
    let refused = |fault: Fault| format!("a document was refused: {fault:?}");
    let whole = tokens(DOCUMENT.as_bytes(), DOCUMENT.len()).map_err(refused)?;
    if !whole.contains("café 🦀 \"q\"\n\u{1f}") {
        return Err(format!("a text was read as {whole:?}"));
    }
    for window in 1..DOCUMENT.len() {
        if tokens(DOCUMENT.as_bytes(), window).map_err(refused)? != whole {
            return Err(format!("in pieces of {window} bytes it reads otherwise"));
        }
    }
    let half = DOCUMENT.as_bytes().split_at(DOCUMENT.len() / 2).0;
    if tokens(half, half.len()) != Err(Fault::Unfinished) {
        return Err("half a document is taken for a whole one".to_owned());
    }
    let value: Value = serde_json::from_str(DOCUMENT).map_err(|error| error.to_string())?;
    if value["d"]["list"][1] != -2500.0 {
        return Err(format!("a number was read as {}", value["d"]["list"][1]));
    }
    Ok(format!("a document reads the same in {} ways of cutting it", DOCUMENT.len()))
}

const BOUNDS: Bounds = Bounds { record_bytes_max: 64, file_bytes_max: 4096 };

/// What is appended is there again; an append that was cut off is left out, and the rest kept.
async fn stores(dir: &Path) -> Found {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let read = |dir: &Path| {
        let mut records = Vec::new();
        let each = |record: &[u8]| records.push(record.to_vec());
        Log::open(dir, "log", BOUNDS, each)
            .map(|(log, found)| (log, found, records))
            .map_err(|error| told(&error))
    };
    let (mut log, ..) = read(dir)?;
    for record in [&b"one"[..], b"two", b"three"] {
        log.append(record).map_err(|error| told(&error))?;
    }
    log.sync().await.map_err(|error| told(&error))?;
    drop(log);
    let file = fs::OpenOptions::new().write(true).open(dir.join("log"));
    let file = file.map_err(|error| told(&error))?;
    let length = file.metadata().map_err(|error| told(&error))?.len();
    file.set_len(length - 2).map_err(|error| told(&error))?;
    let (mut log, found, records) = read(dir)?;
    if found.torn_bytes == 0 || records != [&b"one"[..], b"two"] {
        return Err(format!("after a torn append: {found:?}, {records:?}"));
    }
    log.append(b"four").map_err(|error| told(&error))?;
    drop(log);
    let (_, found, records) = read(dir)?;
    if found.torn_bytes != 0 || records != [&b"one"[..], b"two", b"four"] {
        return Err(format!("after it was mended: {found:?}, {records:?}"));
    }
    let cell = Cell::new(dir, "cell", 64);
    cell.write(b"a place", Durability::Disk).map_err(|error| told(&error))?;
    match cell.read() {
        Ok(Content::Whole(content)) if content == b"a place" => {}
        other => return Err(format!("a cell holds {other:?}")),
    }
    Ok("what is appended is there again, and a torn end is cut off".to_owned())
}

/// The bot itself, by TLS and WebSocket, through a lost connection.
async fn discord(spawner: &Spawner, dir: &Path) -> Found {
    let made = certificate::make().map_err(|error| error.to_string())?;
    let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
    for (file, text) in [(&certificate, &made.certificate), (&key, &made.key)] {
        fs::write(file, text).map_err(|error| error.to_string())?;
    }
    let options = Options { tls: Some((certificate.clone(), key)), ..Options::default() };
    let began = clock::now();
    let stage = Stage::with(spawner, options, Some(certificate)).await.map_err(|f| f.text)?;
    let up = clock::now().since(began).as_millis();
    // Whoever does not trust that certificate is not let in by it.
    stranger(spawner, &stage).await?;
    answered(&stage, "are you there?").await?;
    let lost = clock::now();
    stage.sandbox.inject("drop", Args::default())?;
    seen(&stage, "RESUMED", |what| matches!(what, What::Resumed)).await?;
    let resumed = clock::now().since(lost).as_millis();
    answered(&stage, "and now?").await?;
    stage.strike().await;
    Ok(format!(
        "connected by TLS and WebSocket in {up} ms, answered, resumed {resumed} ms after a loss"
    ))
}

async fn stranger(spawner: &Spawner, stage: &Stage) -> Result<(), String> {
    let net = Net::new(spawner, &NetOptions::default()).map_err(|error| error.to_string())?;
    let url = format!("{}/v10/gateway", stage.sandbox.urls().api);
    match Client::new(&net, Tier::Wire).send(Request::new(Method::GET, url)).await {
        Ok(_) => Err("a certificate of nobody's was trusted".to_owned()),
        Err(HttpError::NotSent(End::Dial(DialFault::Tls))) => Ok(()),
        Err(error) => Err(format!("a certificate of nobody's: {error}")),
    }
}

/// A person asks something, and the bot answers.
async fn answered(stage: &Stage, question: &str) -> Result<(), String> {
    let (asked_in, asked) = stage.say(question).map_err(|failure| failure.text)?;
    let is_answer = |what: &What| {
        matches!(*what, What::Posted { by_bot: true, channel, reference, .. }
            if channel == asked_in && reference.is_none_or(|to| to == asked))
    };
    seen(stage, "an answer", is_answer).await
}

async fn seen(stage: &Stage, what: &str, is_meant: impl Fn(&What) -> bool) -> Result<(), String> {
    let by = clock::now() + limits::STAGE_DEADLINE;
    loop {
        match clock::timeout(by, stage.events.recv()).await {
            Some(Ok(event)) if is_meant(&event.what) => return Ok(()),
            Some(Ok(event)) => {
                if let What::Violation(rule) = event.what {
                    return Err(format!("the bot broke a rule: {rule}"));
                }
            }
            Some(Err(_)) | None => return Err(format!("{what} did not come")),
        }
    }
}
