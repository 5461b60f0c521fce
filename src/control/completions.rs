//! The door for clients of `OpenAI`'s: `POST /v1/chat/completions` and `GET /v1/models`. Who has
//! the credential of the control port asks an agent as a person in a chat does; who goes away ends
//! the turn.

use std::collections::VecDeque;
use std::rc::Rc;

use serde_json::{Value, json};
use smol::Task;
use smol::channel::Receiver;
use smol::future::or;

use super::{Control, Refusal};
use crate::base::limits::COMPLETION_STILL;
use crate::proto::completions::{self, Asked, Refused, STILL, Writer};
use crate::proto::llm::Usage;
use crate::rt::net::server::{Body, Request, Response};
use crate::rt::{clock, os_seed};

/// What clients that are told a model's name may write for our agents.
const PREFIXES: [&str; 5] = ["barnacle/", "barnacle:", "openclaw/", "openclaw:", "agent:"];
/// What means the agent that needs no name.
const USUAL: [&str; 3] = ["", "barnacle", "openclaw"];

/// A question to an agent.
pub(crate) struct Question {
    /// Which one, if it is named.
    pub(crate) agent: Option<String>,
    /// The session that the client names by its key.
    pub(crate) session: Option<String>,
    /// Or by its user.
    pub(crate) user: Option<String>,
    /// The words.
    pub(crate) text: String,
    /// Pictures: what each is, and its bytes.
    pub(crate) pictures: Vec<(String, Vec<u8>)>,
}

/// What comes back.
pub(crate) enum News {
    /// Some more words.
    Words(String),
    /// That was all: the whole answer, and what it took; or why there is none.
    Over(Result<(String, Usage), Refused>),
}

/// A turn that was asked for. Dropped, it ends.
pub(crate) struct Turn {
    /// What comes of it.
    pub(crate) news: Receiver<News>,
    /// Who works on it.
    pub(crate) _work: Task<()>,
}

/// Who asks agents.
pub(crate) trait Oracle {
    /// Whether this door is to be open.
    fn is_open(&self) -> bool;
    /// The agents, the one that needs no name first.
    fn agents(&self) -> Vec<String>;
    /// Asks.
    ///
    /// # Errors
    /// It cannot be asked.
    fn ask(&self, question: Question) -> Result<Turn, Refused>;
}

/// Whether `path` leads to this door.
pub(super) fn is_meant(path: &str) -> bool {
    path.starts_with("/v1/")
}

impl Control {
    /// The answer to a request at this door.
    pub(super) async fn complete(self: Rc<Control>, request: Request) -> Response {
        if let Err(refusal) = self.gate.admits(&request) {
            return refusal;
        }
        if !self.oracle.is_open() {
            let text = "this door is closed: gateway.http.endpoints.chatCompletions.enabled";
            return refused(&Refused { status: 404, ..Refused::invalid(text) });
        }
        if let Err(refusal) = self.gate.authorized(&request) {
            return self.turned_away(refusal);
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v1/models") => {
                let data: Vec<Value> =
                    self.models().iter().map(|id| completions::model(id)).collect();
                Response::json(200, json!({"object": "list", "data": data}).to_string())
            }
            ("GET", path) if path.starts_with("/v1/models/") => {
                let id = path.trim_start_matches("/v1/models/").replace("%2F", "/");
                match self.models().iter().find(|known| **known == id) {
                    Some(id) => Response::json(200, completions::model(id).to_string()),
                    None => refused(&unknown_model(&self.models())),
                }
            }
            ("POST", "/v1/chat/completions") => self.answered(&request).await,
            (_, "/v1/models" | "/v1/chat/completions") => refused(&Refused {
                status: 405,
                ..Refused::invalid("this method means nothing here")
            }),
            _ => refused(&Refused { status: 404, ..Refused::invalid("there is nothing here") }),
        }
    }

    fn models(&self) -> Vec<String> {
        let agents = self.oracle.agents();
        let named = agents.iter().map(|agent| format!("barnacle/{agent}"));
        ["barnacle".to_owned()].into_iter().chain(named).collect()
    }

    fn turned_away(&self, refusal: Refusal) -> Response {
        let (status, kind, code, wait) = match refusal {
            Refusal::Locked(left) => {
                (429, "rate_limit_error", "locked_out", Some(left.as_secs() + 1))
            }
            Refusal::Missing | Refusal::Mismatch => {
                (401, "authentication_error", "invalid_api_key", None)
            }
        };
        let text = format!("the API key is the {} of the control port", self.gate);
        let response = refused(&Refused { status, kind, code: Some(code), text });
        match wait {
            Some(seconds) => response.with("retry-after", seconds.to_string()),
            None => response.with("www-authenticate", "Bearer"),
        }
    }

    async fn answered(&self, request: &Request) -> Response {
        if (self.draining)() {
            let text = "the gateway is on its way down".to_owned();
            let kind = "server_error";
            let refusal = Refused { status: 503, kind, code: None, text };
            return refused(&refusal).with("retry-after", "2");
        }
        let asked = match Asked::read(&request.body) {
            Ok(asked) => asked,
            Err(refusal) => return refused(&refusal),
        };
        let agent = match self.agent(request, &asked.model) {
            Ok(agent) => agent,
            Err(refusal) => return refused(&refusal),
        };
        let header = |name: &str| request.header(name).map(str::to_owned);
        let writer = Writer {
            id: format!("chatcmpl-{:016x}", os_seed()),
            created: clock::wall().0 / 1000,
            model: if asked.model.is_empty() { "barnacle".to_owned() } else { asked.model },
        };
        let turn = self.oracle.ask(Question {
            agent,
            session: header("x-openclaw-session-key"),
            user: asked.user,
            text: asked.text,
            pictures: asked.pictures,
        });
        match turn {
            Err(refusal) => refused(&refusal),
            Ok(turn) if asked.is_stream => streamed(turn, writer, asked.wants_usage).await,
            Ok(turn) => whole(turn, &writer).await,
        }
    }

    /// The agent that is meant; `None` for the one that needs no name.
    fn agent(&self, request: &Request, model: &str) -> Result<Option<String>, Refused> {
        let named = request.header("x-openclaw-agent-id").map(str::trim);
        if let Some(named) = named.filter(|named| !named.is_empty()) {
            return Ok(Some(named.to_owned()));
        }
        let model = model.trim();
        if USUAL.contains(&model) {
            return Ok(None);
        }
        let agent = PREFIXES.iter().find_map(|prefix| model.strip_prefix(prefix));
        match agent.filter(|agent| !agent.is_empty()) {
            Some("default") if !self.oracle.agents().iter().any(|agent| agent == "default") => {
                Ok(None)
            }
            Some(agent) => Ok(Some(agent.to_owned())),
            None => Err(unknown_model(&self.models())),
        }
    }
}

/// The answer to who asks a model that is not there.
fn unknown_model(known: &[String]) -> Refused {
    let text = format!("there is no such model; there is: {}", known.join(", "));
    let (kind, code) = ("invalid_request_error", Some("model_not_found"));
    Refused { status: 404, kind, code, text }
}

fn refused(refusal: &Refused) -> Response {
    Response::json(refusal.status, refusal.json().to_string())
}

/// The same of a turn that was begun: clients must not begin it again by themselves.
fn failed(refusal: &Refused) -> Response {
    refused(refusal).with("x-should-retry", "false")
}

/// The whole answer.
async fn whole(turn: Turn, writer: &Writer) -> Response {
    while let Ok(news) = turn.news.recv().await {
        match news {
            News::Words(_) => {}
            News::Over(Ok((text, took))) => {
                return Response::json(200, writer.whole(&text, took).to_string());
            }
            News::Over(Err(refusal)) => return failed(&refusal),
        }
    }
    failed(&stopped())
}

/// The answer as it comes. What fails before the first word has a status of its own.
async fn streamed(turn: Turn, writer: Writer, wants_usage: bool) -> Response {
    let mut telling = Telling {
        pieces: VecDeque::from([writer.begin()]),
        turn,
        writer,
        wants_usage,
        told: String::new(),
        is_over: false,
    };
    match telling.turn.news.recv().await {
        Ok(News::Over(Err(refusal))) => return failed(&refusal),
        Ok(news) => telling.hear(news),
        Err(_) => return failed(&stopped()),
    }
    let pieces = smol::stream::unfold(telling, |mut telling| async {
        let piece = telling.next().await?;
        Some((piece, telling))
    });
    let (content_type, body) = ("text/event-stream", Body::Pieces(Box::pin(pieces)));
    let response = Response { content_type, body, ..Response::empty(200) };
    response.with("cache-control", "no-cache").with("x-accel-buffering", "no")
}

fn stopped() -> Refused {
    let (kind, text) = ("server_error", "the turn was stopped".to_owned());
    Refused { status: 500, kind, code: None, text }
}

/// An answer on its way.
struct Telling {
    turn: Turn,
    writer: Writer,
    wants_usage: bool,
    /// What is to be sent.
    pieces: VecDeque<Vec<u8>>,
    /// The words so far.
    told: String,
    is_over: bool,
}

impl Telling {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Some(piece);
            }
            if self.is_over {
                return None;
            }
            let news = async { Some(self.turn.news.recv().await) };
            let still = async {
                clock::sleep(COMPLETION_STILL).await;
                None
            };
            match or(news, still).await {
                Some(Ok(news)) => self.hear(news),
                Some(Err(_)) => self.hear(News::Over(Err(stopped()))),
                None => return Some(STILL.to_vec()),
            }
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Words(words) => {
                self.told.push_str(&words);
                self.pieces.push_back(self.writer.words(&words));
            }
            News::Over(Ok((text, took))) => {
                // What counts is the answer: of a model that failed half-way some words were told.
                let more = match text.strip_prefix(self.told.as_str()) {
                    Some(more) => more.to_owned(),
                    None => format!("\n\n{text}"),
                };
                if !more.is_empty() {
                    self.pieces.push_back(self.writer.words(&more));
                }
                self.pieces.push_back(self.writer.end(Some(took).filter(|_| self.wants_usage)));
                self.is_over = true;
            }
            News::Over(Err(refusal)) => {
                self.pieces.push_back(completions::broken(&refusal));
                self.is_over = true;
            }
        }
    }
}
