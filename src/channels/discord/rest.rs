//! The port of the REST machine: makes the calls that it lets go, a few at a time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};
use smol::stream::Stream as _;

use crate::base::{Instant, Secret, limits};
use crate::channels::Port;
use crate::proto::discord::rest::{
    Complaint, Counts, Failure, Form, Input, Output, RateHead, Rest, Route, Tell,
};
use crate::rt::net::http::{Bytes, Client, Deadlines, HttpError, Method, Request, Response};

/// Discord asks for this form, a URL and a version ("User Agent"); without it Cloudflare may refuse
/// us.
const USER_AGENT: &str =
    concat!("DiscordBot (https://barnacle.example, ", env!("CARGO_PKG_VERSION"), ")");

/// What came of a call: the body of a 2xx answer, or why there is none.
pub(super) type Answer = Result<Vec<u8>, Failure>;

/// What goes with a call: nothing, JSON, or a form with files. Cheap to clone, since a call may be
/// made many times.
#[derive(Clone, Default)]
pub(super) struct Content {
    /// Its type; `None` for JSON.
    form: Option<Box<str>>,
    bytes: Bytes,
}

impl From<Vec<u8>> for Content {
    fn from(json: Vec<u8>) -> Content {
        Content { form: None, bytes: json.into() }
    }
}

impl From<String> for Content {
    fn from(json: String) -> Content {
        json.into_bytes().into()
    }
}

impl From<Form> for Content {
    fn from(form: Form) -> Content {
        Content { form: Some(form.content_type.into()), bytes: form.bytes.into() }
    }
}

/// A call that is wanted.
struct Call {
    route: Route,
    /// The emoji or the interaction's token that its path has in it.
    word: Secret,
    content: Content,
    exempt: bool,
    deadline: Instant,
    answer: Sender<Answer>,
}

/// Where calls are asked for. Cheap to clone.
#[derive(Clone)]
pub(super) struct Calls(Sender<Call>);

impl Calls {
    /// The way in, and the end of it that a [`RestPort`] takes.
    pub(super) fn new() -> (Calls, Waiting) {
        let (sender, receiver) = bounded(limits::REST_JOBS_MAX);
        (Calls(sender), Waiting(receiver))
    }

    /// Makes the call when its turn comes, and waits for what comes of it. Dropping the future
    /// gives it up, unless it is on its way already.
    pub(super) async fn call(
        &self,
        route: Route,
        content: impl Into<Content>,
        deadline: Instant,
    ) -> Answer {
        self.call_with(route, Secret::new(""), content, deadline).await
    }

    /// The same for a call with `word` in its path: the emoji of a reaction, or the token of an
    /// interaction.
    pub(super) async fn call_with(
        &self,
        route: Route,
        word: Secret,
        content: impl Into<Content>,
        deadline: Instant,
    ) -> Answer {
        let content = content.into();
        self.ask(|answer| Call { route, word, content, exempt: false, deadline, answer }).await
    }

    /// The same for a call that must be made although the token was refused: it finds out whether
    /// it still is.
    pub(super) async fn probe(&self, route: Route, deadline: Instant) -> Answer {
        let (word, content, exempt) = (Secret::new(""), Content::default(), true);
        self.ask(|answer| Call { route, word, content, exempt, deadline, answer }).await
    }

    /// Makes the call if there is room for it now; nobody waits for what comes of it.
    pub(super) fn spare(&self, route: Route, deadline: Instant) {
        self.post(route, Content::default(), deadline);
    }

    /// The same with a body.
    pub(super) fn post(&self, route: Route, content: Content, deadline: Instant) {
        let (answer, _) = bounded(1);
        let (word, exempt) = (Secret::new(""), false);
        // What is asked for by courtesy may fall under the table.
        let _ = self.0.try_send(Call { route, word, content, exempt, deadline, answer });
    }

    async fn ask(&self, call: impl FnOnce(Sender<Answer>) -> Call) -> Answer {
        let (answer, answered) = bounded(1);
        if self.0.send(call(answer)).await.is_err() {
            return Err(Failure::Lost);
        }
        answered.recv().await.unwrap_or(Err(Failure::Lost))
    }
}

/// The calls that nobody has looked at yet.
pub(super) struct Waiting(Receiver<Call>);

/// A call that the machine knows.
struct Job {
    call: Call,
    /// The body of the last 2xx answer.
    body: Vec<u8>,
}

type Flight = Pin<Box<dyn Future<Output = Result<Response, HttpError>>>>;

/// Does what the REST machine says.
pub(super) struct RestPort {
    http: Client,
    base: String,
    token: Secret,
    waiting: Pin<Box<Receiver<Call>>>,
    jobs: BTreeMap<u64, Job>,
    flights: Vec<(u64, Flight)>,
    count: u64,
    /// Told, without a word, when the token was refused.
    doubt: Sender<()>,
    /// What the machine has counted.
    pub(super) counts: Rc<Cell<Counts>>,
}

impl RestPort {
    /// A port to the API at `base` (without a final slash) for the bot with `token`.
    pub(super) fn new(
        http: Client,
        base: String,
        token: &Secret,
        waiting: Waiting,
        doubt: Sender<()>,
    ) -> RestPort {
        RestPort {
            http,
            base,
            token: token.clone(),
            waiting: Box::pin(waiting.0),
            jobs: BTreeMap::new(),
            flights: Vec::new(),
            count: 0,
            doubt,
            counts: Rc::default(),
        }
    }

    fn request(&self, call: &Call) -> Request {
        let Call { route, content, .. } = call;
        let method = match route.method() {
            "GET" => Method::GET,
            "PATCH" => Method::PATCH,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            _ => Method::POST,
        };
        let is_post = method == Method::POST;
        let url = format!("{}{}", self.base, route.path_with(call.word.expose()));
        let request = Request::new(method, url);
        // An interaction is answered by a token in its path; ours has no business there.
        let request = if route.is_interaction() {
            request.header("user-agent", USER_AGENT)
        } else {
            authorized(request, &self.token)
        };
        // A POST without a body still names its type: Discord answers 50035 otherwise.
        if content.bytes.is_empty() && !is_post {
            return request;
        }
        let kind = content.form.as_deref().unwrap_or("application/json");
        let deadlines = match route {
            // What comes behind it waits for it.
            Route::EditDraft { .. } => {
                let span = limits::DRAFT_EDIT_DEADLINE;
                Deadlines { connect: span, head: span, body: span }
            }
            _ => deadlines(content.bytes.len()),
        };
        request.body(kind, content.bytes.clone()).deadlines(deadlines)
    }

    fn finish(&mut self, id: u64, answer: impl FnOnce(Vec<u8>) -> Answer) {
        if let Some(Job { call, body }) = self.jobs.remove(&id) {
            // Whoever asked may have left.
            let _ = call.answer.try_send(answer(body));
        }
    }

    /// One call that has come back, as the machine hears of it.
    fn landed(&mut self, id: u64, landed: Result<Response, HttpError>) -> Input {
        let response = match landed {
            Ok(response) => response,
            Err(error) => {
                let maybe_processed = !matches!(error, HttpError::NotSent(_));
                log::debug!(target: "discord", "REST call failed: {error:?}");
                return Input::Lost { job: id, maybe_processed };
            }
        };
        let mut head = RateHead::default();
        let mut html = false;
        for (name, value) in &response.headers {
            let Ok(value) = value.to_str() else { continue };
            head.parse(name.as_str(), value);
            html |= name == "content-type" && value.starts_with("text/html");
        }
        let status = response.status.as_u16();
        let mut code = 0;
        if status >= 400 {
            let complaint = Complaint::read(&response.body);
            head.complain(&complaint);
            code = complaint.code;
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.body = response.body;
        }
        Input::Answer { job: id, status, head, code, html }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Input>> {
        for at in 0..self.flights.len() {
            let Some((id, flight)) = self.flights.get_mut(at) else { break };
            if let Poll::Ready(landed) = flight.as_mut().poll(context) {
                let id = *id;
                drop(self.flights.swap_remove(at));
                return Poll::Ready(Some(self.landed(id, landed)));
            }
        }
        match self.waiting.as_mut().poll_next(context) {
            Poll::Ready(Some(call)) => {
                self.count += 1;
                let Call { route, exempt, deadline, .. } = call;
                self.jobs.insert(self.count, Job { call, body: Vec::new() });
                Poll::Ready(Some(Input::Ask { job: self.count, route, exempt, deadline }))
            }
            // Everybody who could ask has gone, and so has everybody who waits for an answer: what
            // is left was given up.
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Port<Rest> for RestPort {
    fn act(&mut self, _now: Instant, output: Output, _machine: &Rest) {
        match output {
            Output::Go { job } => {
                if let Some(Job { call, .. }) = self.jobs.get(&job) {
                    let (http, request) = (self.http.clone(), self.request(call));
                    self.flights.push((job, Box::pin(async move { http.send(request).await })));
                }
            }
            Output::Done { job } => self.finish(job, Ok),
            Output::Failed { job, why } => self.finish(job, |_| Err(why)),
            Output::Tell(tell) => {
                log::log!(target: "discord", level(&tell), "{tell}");
                if tell == Tell::Unauthorized {
                    // One word that waits says it all.
                    let _ = self.doubt.try_send(());
                }
            }
        }
    }

    fn rest(&mut self, _now: Instant, machine: &Rest) -> bool {
        self.counts.set(machine.counts());
        true
    }

    async fn next(&mut self) -> Option<Input> {
        poll_fn(|context| self.poll_next(context)).await
    }
}

/// What every request carries.
pub(crate) fn authorized(request: Request, token: &Secret) -> Request {
    request
        .header("authorization", &format!("Bot {}", token.expose()))
        .header("user-agent", USER_AGENT)
}

/// A large body may take as long as a slow line needs for it.
fn deadlines(bytes: usize) -> Deadlines {
    let usual = Deadlines::default();
    let more = Duration::from_secs((bytes / limits::REST_UPLOAD_BYTES_PER_SECOND) as u64);
    Deadlines { head: usual.head + more, ..usual }
}

fn level(tell: &Tell) -> log::Level {
    match tell {
        Tell::Banned { .. } | Tell::TooManyInvalid { .. } => log::Level::Error,
        // That the way there is cut, or the token refused, is told by the gateway's own line.
        Tell::Retry { route: Route::GatewayBot | Route::ApplicationMe, status: None, .. }
        | Tell::Unauthorized => log::Level::Debug,
        Tell::Limited { .. } | Tell::Retry { .. } | Tell::Closed { .. } => log::Level::Warn,
        Tell::Unblocked => log::Level::Info,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::channels::drive;
    use crate::rt::clock;
    use crate::rt::executor::{self, Tier};
    use crate::rt::net::{Net, NetOptions};

    impl Waiting {
        /// The next call: its route, its body, and where its answer goes.
        pub(in crate::channels::discord) async fn take(
            &self,
        ) -> Option<(Route, String, Sender<Answer>)> {
            let call = self.0.recv().await.ok()?;
            Some((call.route, String::from_utf8(call.content.bytes.to_vec()).unwrap(), call.answer))
        }
    }

    /// Runs `test` beside the loop against an API that nobody serves; the loop must end after it.
    fn with_loop<F: Future<Output = ()> + 'static>(test: impl FnOnce(Calls) -> F + 'static) {
        executor::run(|spawner| async move {
            let net = Net::new(&spawner, &NetOptions::default()).unwrap();
            let (calls, waiting) = Calls::new();
            let http = Client::new(&net, Tier::Wire);
            let token = Secret::new("token");
            // Port 9 of this host: whether it refuses or is silent, no answer comes.
            let base = "http://127.0.0.1:9".to_owned();
            let (doubt, _) = bounded(1);
            let mut port = RestPort::new(http, base, &token, waiting, doubt);
            let (mut machine, pace) = (Rest::new(1), spawner.pace());
            let test = spawner.spawn(Tier::Wire, "test", test(calls));
            drive(&mut machine, &mut port, pace).await;
            test.await;
        });
    }

    #[test]
    fn a_call_that_cannot_be_made_in_time_is_told_to_its_caller() {
        with_loop(|calls| async move {
            let answer = calls.call(Route::GatewayBot, Vec::new(), clock::now()).await;
            assert_eq!(answer, Err(Failure::Expired));
        });
    }

    #[test]
    fn the_loop_ends_with_its_callers_whatever_they_gave_up() {
        with_loop(|calls| async move {
            let deadline = clock::now() + limits::OUTBOX_TTL;
            calls.spare(Route::Typing { channel: 1 }, deadline);
            let given_up = calls.call(Route::CreateMessage { channel: 1 }, Vec::new(), deadline);
            smol::future::or(async { drop(given_up.await) }, smol::future::yield_now()).await;
        });
    }
}
