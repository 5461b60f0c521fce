//! A server that is asked by HTTP ("Streamable HTTP"): each message is posted, and what comes back
//! is a message, or a stream of them. Streams that a server opens by itself are not asked for.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use smol::Task;
use smol::channel::{Receiver, Sender, unbounded};
use smol::future::{or, yield_now};

use super::Order;
use super::session::Session;
use crate::base::Secret;
use crate::base::limits::{MCP_MESSAGE_BYTES_MAX, MCP_START_DEADLINE};
use crate::proto::mcp::{failure, is_answer, request_id};
use crate::proto::sse::Events;
use crate::rt::clock;
use crate::rt::executor::Tier;
use crate::rt::net::http::{
    Client, Deadlines, HeaderMap, Heard, Method, Parts, Request, StatusCode,
};
use crate::rt::net::{Net, Reach};

/// What is read of one stream of messages: its answer, and what is told on the way.
const STREAM_BYTES_MAX: usize = 4 * MCP_MESSAGE_BYTES_MAX;
/// A session's name; longer ones are not carried.
const SESSION_BYTES_MAX: usize = 1024;

/// Where it is asked.
pub(super) struct Place<'p> {
    pub(super) url: &'p Secret,
    pub(super) headers: &'p [(String, Secret)],
    pub(super) deadline: Duration,
}

/// What comes of a post.
enum News {
    Message(Vec<u8>),
    /// The server has forgotten us.
    Forgotten,
}

enum Event {
    Order(Option<Order>),
    News(Option<News>),
    Due,
}

/// The server's name for our session, once it has said it.
type Name = Rc<RefCell<Option<Secret>>>;

/// Serves until it is over; why it is.
pub(super) async fn serve(
    session: &mut Session<'_>,
    asked: &Receiver<Order>,
    http: &Client,
    net: &Net,
    place: &Place<'_>,
) -> String {
    let (tell, told) = unbounded();
    let name = Name::default();
    let mut posts: Vec<Task<()>> = Vec::new();
    loop {
        let version = session.machine.is_ready().then(|| session.machine.version().to_owned());
        let acted = session.act(|message| {
            let id = request_id(&message);
            let request = request(place, message, name.borrow().as_ref(), version.as_deref());
            let post = post(http.clone(), request, id, name.clone(), tell.clone());
            posts.push(net.spawner().spawn(Tier::Work, "mcp-http", post));
        });
        posts.retain(|post| !post.is_finished());
        if let Err(broken) = acted {
            return broken.to_string();
        }
        let deadline = session.deadline();
        let order = async { Event::Order(asked.recv().await.ok()) };
        let news = async { Event::News(told.recv().await.ok()) };
        let due = async {
            match deadline {
                Some(deadline) => clock::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
            Event::Due
        };
        match or(order, or(news, due)).await {
            Event::Order(Some(order)) => session.order(order),
            Event::Order(None) => return "it is not wanted any more".to_owned(),
            Event::News(Some(News::Message(message))) => {
                session.hear(&message);
                yield_now().await;
            }
            Event::News(Some(News::Forgotten)) => return "it has ended our session".to_owned(),
            Event::News(None) | Event::Due => {}
        }
        session.expire();
    }
}

fn request(
    place: &Place<'_>,
    message: Vec<u8>,
    name: Option<&Secret>,
    version: Option<&str>,
) -> Request {
    let patience = place.deadline.max(MCP_START_DEADLINE);
    let mut request = Request::new(Method::POST, place.url.expose())
        .header("accept", "application/json, text/event-stream")
        .body("application/json", message)
        .deadlines(Deadlines {
            connect: Deadlines::default().connect,
            head: patience,
            body: patience,
        })
        .body_bytes_max(MCP_MESSAGE_BYTES_MAX)
        .plain_reach(Reach::Private);
    if let Some(version) = version {
        request = request.header("mcp-protocol-version", version);
    }
    if let Some(name) = name {
        request = request.header("mcp-session-id", name.expose());
    }
    for (header, value) in place.headers {
        request = request.header(header.to_ascii_lowercase(), value.expose());
    }
    request
}

/// Posts a message, and tells what comes of it. Of a request something always does.
async fn post(http: Client, request: Request, id: Option<u64>, name: Name, tell: Sender<News>) {
    // Nobody hears it when the session is over.
    let say = |news: News| drop(tell.try_send(news));
    let (mut events, mut bytes) = (Events::new(MCP_MESSAGE_BYTES_MAX), 0);
    let hear = |head: &Parts, piece: &[u8]| {
        if !head.status.is_success() || !is(&head.headers, "text/event-stream") {
            return Heard::Keep;
        }
        keep_name(&head.headers, &name);
        bytes += piece.len();
        let mut is_answered = false;
        let fed = events.feed(piece, &mut |_, data| {
            is_answered |= id.is_some_and(|id| is_answer(data.as_bytes(), id));
            say(News::Message(data.as_bytes().to_vec()));
        });
        let is_enough = is_answered || fed.is_err() || bytes > STREAM_BYTES_MAX;
        if is_enough { Heard::Enough } else { Heard::Taken }
    };
    let response = http.send_heard(request, hear).await;
    let why = match response {
        Ok(response) if response.status.is_success() => {
            keep_name(&response.headers, &name);
            if !is(&response.headers, "text/event-stream")
                && !response.body.is_empty()
                && id.is_some()
            {
                say(News::Message(response.body));
            }
            "there was no answer in what came back".to_owned()
        }
        Ok(response) if response.status == StatusCode::NOT_FOUND && name.borrow().is_some() => {
            return say(News::Forgotten);
        }
        Ok(response) => match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!("HTTP {}: it wants other credentials", response.status.as_u16())
            }
            status => format!("HTTP {}", status.as_u16()),
        },
        Err(error) => error.to_string(),
    };
    // If there was an answer, nobody waits for this one.
    if let Some(id) = id {
        say(News::Message(failure(id, &why)));
    }
}

fn keep_name(headers: &HeaderMap, name: &Name) {
    let said = headers.get("mcp-session-id").and_then(|value| value.to_str().ok());
    if let Some(said) = said.filter(|said| said.len() <= SESSION_BYTES_MAX) {
        name.replace(Some(Secret::new(said)));
    }
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let own = headers.get("content-type").and_then(|value| value.to_str().ok());
    own.is_some_and(|own| own.trim_start().to_ascii_lowercase().starts_with(kind))
}
