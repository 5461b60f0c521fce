//! The port of the REST machine: makes the calls that it lets go, a few at a time.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use smol::channel::{Receiver, Sender, bounded};
use smol::stream::Stream as _;

use crate::base::{Instant, Secret, limits};
use crate::channels::Port;
use crate::proto::discord::rest::{Failure, Input, Output, RateHead, Rest, Route, Tell};
use crate::rt::net::http::{Client, HttpError, Method, Request, Response};

/// Discord asks for this form, a URL and a version ("User Agent"); without it Cloudflare may refuse
/// us.
const USER_AGENT: &str =
    concat!("DiscordBot (https://barnacle.example, ", env!("CARGO_PKG_VERSION"), ")");

/// What came of a call: the body of a 2xx answer, or why there is none.
pub(super) type Answer = Result<Vec<u8>, Failure>;

/// A call that is wanted.
struct Call {
    route: Route,
    body: Vec<u8>,
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
    pub(super) async fn call(&self, route: Route, body: Vec<u8>, deadline: Instant) -> Answer {
        self.ask(route, body, deadline, false).await
    }

    /// The same for a call that must be made although the token was refused: it finds out whether
    /// it still is.
    pub(super) async fn probe(&self, route: Route, deadline: Instant) -> Answer {
        self.ask(route, Vec::new(), deadline, true).await
    }

    /// Makes the call if there is room for it now; nobody waits for what comes of it.
    pub(super) fn spare(&self, route: Route, deadline: Instant) {
        let (answer, _) = bounded(1);
        let call = Call { route, body: Vec::new(), exempt: false, deadline, answer };
        // What is asked for by courtesy may fall under the table.
        let _ = self.0.try_send(call);
    }

    async fn ask(&self, route: Route, body: Vec<u8>, deadline: Instant, exempt: bool) -> Answer {
        let (answer, answered) = bounded(1);
        let call = Call { route, body, exempt, deadline, answer };
        if self.0.send(call).await.is_err() {
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
        }
    }

    fn request(&self, call: &Call) -> Request {
        let method = if call.route.method() == "GET" { Method::GET } else { Method::POST };
        let url = format!("{}{}", self.base, call.route.path());
        let request = authorized(Request::new(method, url), &self.token);
        // A POST without a body still names its type: Discord answers 50035 otherwise.
        match call.route.method() {
            "GET" => request,
            _ => request.body("application/json", call.body.clone()),
        }
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
        if let Some(job) = self.jobs.get_mut(&id) {
            job.body = response.body;
        }
        Input::Answer { job: id, status, head, html }
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

    fn rest(&mut self, _now: Instant, _machine: &Rest) -> bool {
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

fn level(tell: &Tell) -> log::Level {
    match tell {
        Tell::Banned { .. } | Tell::TooManyInvalid { .. } => log::Level::Error,
        // That the way there is cut, or the token refused, is told by the gateway's own line.
        Tell::Retry { route: Route::GatewayBot | Route::ApplicationMe, status: None, .. }
        | Tell::Unauthorized => log::Level::Debug,
        Tell::Limited { .. } | Tell::Retry { .. } => log::Level::Warn,
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
            Some((call.route, String::from_utf8(call.body).unwrap(), call.answer))
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
