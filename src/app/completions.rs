//! Agents, asked by clients of `OpenAI`'s: through our own chat's doors and the desk, as everybody.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use smol::channel::{Sender, bounded};
use smol::future::or;

use super::account::webchat_routes;
use super::house::House;
use crate::agent::desk;
use crate::base::hash::fnv1a;
use crate::base::limits::{COMPLETION_NEWS_MAX, COMPLETION_SLOTS_MAX};
use crate::channels::webchat::{Doors, Words};
use crate::control::{News, Oracle, Question, Turn};
use crate::core::chat::{Attachment, ChatId, Content};
use crate::core::session::Key;
use crate::core::transcript;
use crate::core::turn::Fault;
use crate::proto::completions::Refused;
use crate::proto::llm::Usage;
use crate::proto::media::sniff;
use crate::rt::clock;
use crate::rt::executor::{Spawner, Tier};

/// See the module.
pub(super) struct Completions {
    pub(super) house: Rc<House>,
    pub(super) spawner: Spawner,
    /// The sessions of those who name none: each of one request at a time.
    pub(super) slots: Rc<RefCell<[bool; COMPLETION_SLOTS_MAX]>>,
}

/// A session for one request.
struct Slot {
    at: usize,
    all: Rc<RefCell<[bool; COMPLETION_SLOTS_MAX]>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(taken) = self.all.borrow_mut().get_mut(self.at) {
            *taken = false;
        }
    }
}

/// A message that passed the doors. Dropped before its end, its turn was stopped.
struct Passed {
    doors: Doors,
    chat: ChatId,
    id: u64,
    is_over: Cell<bool>,
}

impl Passed {
    fn over(&self, fault: Option<Fault>, says: bool) {
        self.is_over.set(true);
        self.doors.ended(clock::wall(), self.chat, self.id, fault, says);
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if !self.is_over.get() {
            self.over(Some(Fault::Stopped), false);
        }
    }
}

impl Completions {
    /// The agent that is meant, as the configuration writes it.
    fn agent(&self, named: Option<&str>) -> Result<String, Refused> {
        let config = self.house.config();
        let routes = webchat_routes(&config);
        let usual = Doors::agent(&routes);
        let Some(named) = named else { return Ok(usual.to_owned()) };
        let mut ids = config.agents.iter().map(|agent| agent.id.as_str());
        let known = ids.find(|id| id.eq_ignore_ascii_case(named));
        known.map(str::to_owned).ok_or_else(|| Refused {
            status: 404,
            code: Some("model_not_found"),
            ..Refused::invalid(format!("there is no such agent; there is: {}", {
                let all: Vec<&str> = config.agents.iter().map(|agent| agent.id.as_str()).collect();
                all.join(", ")
            }))
        })
    }

    /// The session that is meant; one that nobody names is for this request alone.
    fn session(&self, question: &Question, agent: &str) -> Result<(Key, Option<Slot>), Refused> {
        let bad = |bad: crate::core::session::BadKey| Refused::invalid(bad.to_string());
        if let Some(named) = &question.session {
            let key = Key::read(named, agent).map_err(bad)?;
            if !key.agent().eq_ignore_ascii_case(agent) {
                return Err(Refused::invalid("the session belongs to another agent"));
            }
            return Ok((key, None));
        }
        if let Some(user) = &question.user {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let name = if user.len() <= 48 && user.chars().all(is_plain) {
                user.clone()
            } else {
                format!("{:016x}", fnv1a(user.bytes()))
            };
            return Ok((Key::read(&format!("openai-user:{name}"), agent).map_err(bad)?, None));
        }
        let mut slots = self.slots.borrow_mut();
        let Some(at) = slots.iter().position(|taken| !taken) else {
            let (kind, code) = ("rate_limit_error", Some("rate_limit_exceeded"));
            let text = "too many requests are being answered; name a user, or ask later".to_owned();
            return Err(Refused { status: 429, kind, code, text });
        };
        if let Some(taken) = slots.get_mut(at) {
            *taken = true;
        }
        let slot = Slot { at, all: self.slots.clone() };
        Ok((Key::read(&format!("openai:{at}"), agent).map_err(bad)?, Some(slot)))
    }
}

impl Oracle for Completions {
    fn is_open(&self) -> bool {
        self.house.config().completions
    }

    fn agents(&self) -> Vec<String> {
        self.house.config().agents.iter().map(|agent| agent.id.clone()).collect()
    }

    fn ask(&self, question: Question) -> Result<Turn, Refused> {
        let agent = self.agent(question.agent.as_deref())?;
        let (key, slot) = self.session(&question, &agent)?;
        let (tell, news) = bounded(COMPLETION_NEWS_MAX);
        let house = self.house.clone();
        let work = self.spawner.spawn(Tier::Work, "completion", async move {
            let answer = answer(&house, (&key, slot.is_some()), &agent, question, &tell).await;
            drop(slot);
            // Who does not listen any more has ended this task.
            let _ = tell.send(News::Over(answer)).await;
        });
        Ok(Turn { news, _work: work })
    }
}

async fn answer(
    house: &Rc<House>,
    (key, is_fresh): (&Key, bool),
    agent: &str,
    question: Question,
    tell: &Sender<News>,
) -> Result<(String, Usage), Refused> {
    let webchat = house.webchat.clone();
    if is_fresh {
        webchat.renew(key).await;
    }
    let room = webchat.room(key).await;
    let words = Words { key, room: &room, text: &question.text, attempt: 0 };
    let knocked = webchat.doors.knock(clock::wall(), words, agent);
    let mut request = knocked.map_err(|step| Refused::invalid(step.to_string()))?;
    request.attachments = pictures(question.pictures)?;
    let doors = webchat.doors.clone();
    let passed = Passed { doors, chat: request.chat, id: request.id, is_over: Cell::new(false) };
    let (desk, purse) = {
        let fleet = house.fleet.borrow();
        (fleet.desk().clone(), fleet.purse())
    };
    let watch = purse.watch(&room);
    let (tell_news, told) = bounded(COMPLETION_NEWS_MAX);
    let asked = desk.hear(request, tell_news);
    let forward = async {
        while let Ok(news) = told.recv().await {
            match news {
                desk::News::Begun => {
                    passed.doors.began(clock::wall(), passed.chat, passed.id);
                }
                desk::News::Says(new) => {
                    if tell.send(News::Words(new)).await.is_err() {
                        break;
                    }
                }
            }
        }
        std::future::pending().await
    };
    match or(forward, asked).await {
        Ok(answer) => {
            let text = transcript::words(&answer);
            passed.over(None, !text.is_empty());
            Ok((text, watch.took()))
        }
        Err(fault) => {
            passed.over(Some(fault), false);
            Err(refusal(fault))
        }
    }
}

/// Pictures that came in the request itself.
fn pictures(given: Vec<(String, Vec<u8>)>) -> Result<Vec<Attachment>, Refused> {
    let picture = |(at, (_, bytes)): (usize, (String, Vec<u8>))| {
        let kind = sniff(&bytes).filter(|kind| kind.starts_with("image/"));
        let kind = kind.ok_or_else(|| Refused::invalid("messages: a picture is none"))?;
        Ok(Attachment {
            name: format!("image-{}", at + 1).into(),
            kind: kind.into(),
            bytes: bytes.len() as u64,
            content: Some(Content::Picture { kind: kind.into(), bytes: bytes.into() }),
            ..Attachment::default()
        })
    };
    given.into_iter().enumerate().map(picture).collect()
}

/// A turn's fault, as such clients know them.
fn refusal(fault: Fault) -> Refused {
    let (status, kind, code) = match fault {
        Fault::TooSlow => (504, "server_error", "timeout"),
        Fault::Busy => (429, "rate_limit_error", "rate_limit_exceeded"),
        Fault::Spent => (429, "insufficient_quota", "insufficient_quota"),
        Fault::Unreachable | Fault::Refused(_) => (502, "server_error", "agent_unreachable"),
        _ => (500, "server_error", "agent_failed"),
    };
    Refused { status, kind, code: Some(code), text: fault.to_string() }
}
