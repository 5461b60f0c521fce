//! `barnacle demo`: a chat with a bot through the embedded Discord, and keys that break the
//! connection before your eyes.

use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use smol::future::or;
use smol::io::AsyncReadExt as _;

use super::drill::sees;
use super::stage::Stage;
use crate::base::text::Plain;
use crate::base::{Instant, limits};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options;
use crate::rt::executor::{self, Spawner};
use crate::rt::signal::Signals;
use crate::rt::tty::Keys;
use crate::rt::{clock, log as logging};
use crate::sandbox::{self, Args, Event, Fault, What};

/// What the keys play.
const KEYS: [(u8, &str); 10] = [
    (b'1', "drop"),
    (b'2', "reset"),
    (b'3', "resume-close"),
    (b'4', "no-resumed"),
    (b'5', "no-ack"),
    (b'6', "black-hole"),
    (b'7', "op7"),
    (b'8', "op9-false"),
    (b'9', "refuse"),
    (b'0', "big-guild"),
];

/// Ctrl-D: the end of what is typed.
const END_OF_INPUT: u8 = 4;

/// Plays until it is ended.
///
/// # Errors
/// The stage cannot be set.
pub(crate) fn demo(common: &options::Common, out: impl Write + 'static) -> Result<(), Failure> {
    let level = common.log_level.as_deref().unwrap_or("off");
    logging::start(level, logging::Form::Person { colours: common.colours })
        .map_err(|text| Failure::new(Exit::Usage, text, ""))?;
    let colours = common.colours;
    executor::run(move |spawner| run(spawner, out, colours))
}

async fn run(spawner: Spawner, out: impl Write + 'static, colours: bool) -> Result<(), Failure> {
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(Exit::Software, error.to_string(), ""))?;
    let keys = Keys::take();
    let started = clock::now();
    let mut show = Show { out, colours, started, line: Vec::new(), typed: keys.is_some() };
    show.line("barnacle and a small Discord of its own, in one process. Connecting …")?;
    let stage = Stage::set(&spawner).await?;
    show.intro(started)?;
    let mut play = Play {
        stage,
        show,
        fault: None,
        lost_at: None,
        over: false,
        unanswered: 0,
        leave_at: None,
    };
    let mut stdin = smol::Unblock::new(std::io::stdin());
    let over = loop {
        if play.leave_at.is_some() && play.unanswered == 0 {
            break Ok(());
        }
        let key = async {
            if let Some(at) = play.leave_at {
                clock::sleep_until(at).await;
                return Happening::End;
            }
            let mut byte = [0];
            match stdin.read(&mut byte).await {
                Ok(1) => Happening::Key(byte[0]),
                _ => Happening::Key(END_OF_INPUT),
            }
        };
        let event = async {
            match play.stage.events.recv().await {
                Ok(event) => Happening::Event(event),
                Err(_) => Happening::End,
            }
        };
        let signal = async {
            signals.next().await;
            Happening::End
        };
        let done = match or(signal, or(event, key)).await {
            Happening::End => break Ok(()),
            Happening::Key(key) => play.key(key),
            Happening::Event(event) => play.see(&event),
        };
        if play.over {
            break done;
        }
        if let Err(failure) = done {
            break Err(failure);
        }
    };
    let Play { stage, mut show, .. } = play;
    let shown = over.and_then(|()| show.line("Leaving."));
    stage.strike().await;
    drop(keys);
    shown
}

enum Happening {
    Key(u8),
    Event(Event),
    End,
}

/// What goes on.
struct Play<W> {
    stage: Stage,
    show: Show<W>,
    /// The fault that was injected last, and when.
    fault: Option<(&'static Fault, Instant)>,
    /// When the connection was lost, while it is.
    lost_at: Option<Instant>,
    /// Somebody has said that it is over.
    over: bool,
    /// Messages to the bot that it has not answered yet.
    unanswered: u32,
    /// The input has ended. What was typed before is still answered, if it is by then.
    leave_at: Option<Instant>,
}

impl<W: Write> Play<W> {
    fn key(&mut self, key: u8) -> Result<(), Failure> {
        let fault = KEYS.iter().find(|(name, _)| *name == key).map(|(_, fault)| *fault);
        match key {
            b'\n' | b'\r' => {
                let line = std::mem::take(&mut self.show.line);
                self.enter(String::from_utf8_lossy(&line).trim())
            }
            // Backspace and Delete take off a whole character.
            8 | 127 => {
                while self.show.line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
                self.show.prompt()
            }
            _ if self.show.typed && self.show.line.is_empty() && fault.is_some() => {
                fault.map_or(Ok(()), |fault| self.inject(fault))
            }
            b'?' if self.show.typed && self.show.line.is_empty() => self.show.keys(),
            END_OF_INPUT => {
                self.leave_at.get_or_insert(clock::now() + limits::DRAIN);
                Ok(())
            }
            // Escape sequences of cursor keys and the like mean nothing here.
            0..=31 => Ok(()),
            _ if self.show.line.len() < limits::DISCORD_MESSAGE_CHARS_MAX => {
                self.show.line.push(key);
                self.show.prompt()
            }
            _ => Ok(()),
        }
    }

    /// A line was typed: to the bot, or the name or key of a fault.
    fn enter(&mut self, line: &str) -> Result<(), Failure> {
        let by_key = KEYS.iter().find(|(key, _)| line.as_bytes() == [*key]).map(|(_, name)| *name);
        let by_name = line.strip_prefix('/').or(by_key);
        match (line, by_name) {
            ("", _) => self.show.prompt(),
            ("?" | "/help" | "/?", _) => self.show.keys(),
            ("/clear", _) => {
                self.stage.sandbox.clear();
                self.show.event(Hue::Plain, "all faults are disarmed")
            }
            ("/quit" | "/exit", _) => {
                self.over = true;
                Ok(())
            }
            (_, Some(name)) => self.inject(name),
            (text, None) => {
                self.stage.say(text)?;
                self.unanswered += 1;
                Ok(())
            }
        }
    }

    fn inject(&mut self, name: &str) -> Result<(), Failure> {
        match self.stage.sandbox.inject(name, Args::default()) {
            Ok(fault) => {
                self.fault = Some((fault, clock::now()));
                let within = fault.promise.within.as_secs();
                let text = format!(
                    "fault {}: {} (promise: {} {within} s)",
                    fault.name,
                    fault.what,
                    sees(fault.promise.sees)
                );
                self.show.event(Hue::Bad, &text)
            }
            Err(text) => self.show.event(Hue::Bad, &text),
        }
    }

    fn see(&mut self, event: &Event) -> Result<(), Failure> {
        match &event.what {
            What::Posted { channel, id, by_bot, .. } => {
                let text = self.stage.sandbox.text(*channel, *id).unwrap_or_default();
                // People are shown a mention as a name, and here there is but one to mention.
                let text = text
                    .strip_prefix("<@")
                    .and_then(|rest| rest.split_once("> "))
                    .map_or(text.clone(), |(_, rest)| format!("@bot {rest}"));
                self.unanswered = self.unanswered.saturating_sub((*by_bot).into());
                let (who, hue) = if *by_bot { ("bot", Hue::Good) } else { ("you", Hue::Plain) };
                self.show.event(hue, &format!("{who}: {text}"))
            }
            What::Closed(code) | What::Left(code) => {
                self.lost_at.get_or_insert(event.at);
                self.show.event(Hue::Fair, &format!("the connection ended (code {code})"))
            }
            What::Resume => self.show.event(Hue::Fair, "it asks to RESUME its session"),
            What::Identify => self.show.event(Hue::Fair, "it IDENTIFYs for a new session"),
            What::Invalid(resumable) => {
                let words = if *resumable { "resumable" } else { "not resumable" };
                self.show.event(Hue::Fair, &format!("the server says: invalid session, {words}"))
            }
            What::Resumed => self.back(event.at, "RESUMED: the same session, nothing missed"),
            What::Ready => self.back(event.at, "READY: a new session"),
            What::Violation(what) => self.show.event(Hue::Bad, &format!("broke a rule: {what}")),
            _ => Ok(()),
        }
    }

    fn back(&mut self, at: Instant, words: &str) -> Result<(), Failure> {
        let since = |then: Instant| format!("{:.2} s", at.since(then).as_secs_f64());
        let mut text = words.to_owned();
        if let Some(lost_at) = self.lost_at.take() {
            let _ = write!(text, ", {} after it was lost", since(lost_at));
        }
        if let Some((fault, then)) = self.fault {
            let _ = write!(text, ", {} after the fault {}", since(then), fault.name);
        }
        self.show.event(Hue::Good, &text)
    }
}

#[derive(Clone, Copy)]
enum Hue {
    Plain,
    Good,
    Fair,
    Bad,
}

/// The terminal: what happened above, what is being typed below.
struct Show<W> {
    out: W,
    colours: bool,
    started: Instant,
    /// What is being typed.
    line: Vec<u8>,
    /// Whether keys come one by one.
    typed: bool,
}

impl<W: Write> Show<W> {
    fn intro(&mut self, since: Instant) -> Result<(), Failure> {
        let took: Duration = clock::now().since(since);
        self.line(&format!("Connected in {:.0} ms.\n", took.as_secs_f64() * 1000.0))?;
        self.line("Type a message and Enter: an echo agent answers, through REST and gateway.")?;
        self.keys()
    }

    fn keys(&mut self) -> Result<(), Failure> {
        self.line("Keys on an empty line break the connection (any other fault: /NAME):")?;
        for (key, name) in KEYS {
            let what = sandbox::drills().iter().find(|fault| fault.name == name);
            let what = what.map_or("", |fault| fault.what);
            self.line(&format!("  {}  {name:13} {what}", char::from(key)))?;
        }
        self.line("  ?  these keys again;  Ctrl-C or Ctrl-D ends\n")
    }

    fn event(&mut self, hue: Hue, text: &str) -> Result<(), Failure> {
        let at = clock::now().since(self.started).as_secs_f64();
        let text = Plain(text);
        let line = match hue {
            _ if !self.colours => format!("{at:9.3}  {text}"),
            Hue::Plain => format!("\x1b[2m{at:9.3}\x1b[0m  {text}"),
            Hue::Good => format!("\x1b[2m{at:9.3}\x1b[0m  \x1b[32m{text}\x1b[0m"),
            Hue::Fair => format!("\x1b[2m{at:9.3}\x1b[0m  \x1b[33m{text}\x1b[0m"),
            Hue::Bad => format!("\x1b[2m{at:9.3}\x1b[0m  \x1b[31m{text}\x1b[0m"),
        };
        self.line(&line)
    }

    /// Prints a line above what is being typed.
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        let clear = if self.typed { "\r\x1b[K" } else { "" };
        writeln!(self.out, "{clear}{text}")?;
        self.prompt()
    }

    fn prompt(&mut self) -> Result<(), Failure> {
        if self.typed {
            write!(self.out, "\r\x1b[K> {}", Plain(&String::from_utf8_lossy(&self.line)))?;
        }
        self.out.flush()?;
        Ok(())
    }
}
