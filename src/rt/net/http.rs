//! An HTTP/1.1 client on hyper: a deadline on every phase, bounded bodies, a few connections to
//! each host, no redirects, and errors that say whether the request may have been carried out.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
pub use hyper::body::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{HOST, HeaderValue};
use smol::Task;
use smol::lock::Semaphore;
use smol_hyper::rt::FuturesIo;

use super::{Endpoint, Net, Reach};
use crate::base::end::{DialFault, Phase};
use crate::base::limits::{
    HTTP_BODY_BYTES_MAX, HTTP_BODY_DEADLINE, HTTP_CONNECT_DEADLINE, HTTP_CONNECTIONS_PER_HOST_MAX,
    HTTP_HEAD_BYTES_MAX, HTTP_HEAD_DEADLINE, HTTP_HOSTS_MAX, HTTP_KEEP_WARM,
};
use crate::base::{End, Instant, Secret};
use crate::rt::clock;
use crate::rt::executor::Tier;

pub use hyper::header::HeaderMap;
pub use hyper::http::response::Parts;
pub use hyper::{Method, StatusCode};

/// How long each phase of a request may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// From the call to a connection, the wait for one of the host's few included.
    pub connect: Duration,
    /// From then to the head of the answer; the request is sent within it.
    pub head: Duration,
    /// From then to the end of the answer.
    pub body: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            connect: HTTP_CONNECT_DEADLINE,
            head: HTTP_HEAD_DEADLINE,
            body: HTTP_BODY_DEADLINE,
        }
    }
}

/// A request. It has no `Debug`: URL, headers and body may hold secrets.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: String,
    headers: Vec<(Cow<'static, str>, Secret)>,
    body: Bytes,
    deadlines: Deadlines,
    body_bytes_max: usize,
    plain_reach: Reach,
    reach: Option<Reach>,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Request {
        Request {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            deadlines: Deadlines::default(),
            body_bytes_max: HTTP_BODY_BYTES_MAX,
            plain_reach: Reach::Loopback,
            reach: None,
        }
    }

    /// Adds a header (`name` in lower case).
    #[must_use]
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: &str) -> Request {
        self.headers.push((name.into(), Secret::new(value)));
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Request {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Other deadlines than the usual.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Request {
        self.deadlines = deadlines;
        self
    }

    /// Another bound on the answer's body than the usual.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Request {
        self.body_bytes_max = bytes;
        self
    }

    /// Which machines an `http://` URL may lead to, if not to this one alone.
    #[must_use]
    pub fn plain_reach(mut self, reach: Reach) -> Request {
        self.plain_reach = reach;
        self
    }

    /// Which machines the URL may lead to, be it `https` or not.
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Request {
        self.reach = Some(reach);
        self
    }

    /// Where it goes, and what is sent there.
    fn prepare(&mut self) -> Result<(Endpoint, Message), DialFault> {
        let url: hyper::Uri = self.url.parse().map_err(|_| DialFault::Forbidden)?;
        let mut endpoint = Endpoint::of(&url, "http", "https")?;
        if !endpoint.secure {
            endpoint.reach = self.plain_reach;
        }
        endpoint.reach = self.reach.unwrap_or(endpoint.reach);
        let mut message = hyper::Request::builder()
            .method(self.method.clone())
            .uri(url.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, url.authority().map_or("", |authority| authority.as_str()));
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(value.expose());
            let mut value = value.map_err(|_| DialFault::Forbidden)?;
            value.set_sensitive(true);
            message = message.header(&**name, value);
        }
        let body = Full::new(std::mem::take(&mut self.body));
        Ok((endpoint, message.body(body).map_err(|_| DialFault::Forbidden)?))
    }
}

type Message = hyper::Request<Full<Bytes>>;

/// An answer, complete.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status, whatever it is: an error of the server's is an answer too.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// What becomes of a piece of an answer's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It belongs into [`Response::body`].
    Keep,
    /// It was taken already.
    Taken,
    /// It was taken, and no more is wanted: the answer is complete.
    Enough,
}

/// Why there is no complete answer, and what that means for the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpError {
    /// Nothing of it was sent: [`End::Dial`] or [`End::Silence`] of a phase of the connecting.
    /// Another try does no harm.
    NotSent(End),
    /// It was sent, or some of it, and no answer came. It may have been carried out.
    Lost(Loss),
    /// It was sent, and what came back is not HTTP. It may have been carried out.
    Garbage,
    /// The server answered with this status; the body was cut off or did not end in time.
    Cut(StatusCode, Loss),
    /// The server answered with this status and a body over the bound.
    TooLong(StatusCode),
}

/// How an answer failed to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// The connection broke.
    Wire,
    /// The deadline went by.
    Silence,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Wire => "the connection broke",
            Loss::Silence => "no answer in time",
        })
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::NotSent(end) => write!(f, "not sent: {end}"),
            HttpError::Lost(loss) => write!(f, "sent, but {loss}"),
            HttpError::Garbage => f.write_str("sent, but the answer was not HTTP"),
            HttpError::Cut(status, loss) => {
                write!(f, "the answer (HTTP {}) is not complete: {loss}", status.as_u16())
            }
            HttpError::TooLong(status) => {
                write!(f, "the answer (HTTP {}) is too long", status.as_u16())
            }
        }
    }
}

/// Sends requests. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    net: Net,
    tier: Tier,
    /// Requests at once to one host.
    places: usize,
    /// The one that was asked last is last.
    hosts: Rc<RefCell<Vec<Rc<Host>>>>,
}

/// A host, and our connections to it.
#[derive(Debug)]
struct Host {
    endpoint: Endpoint,
    /// As many as there may be requests at once.
    places: Semaphore,
    /// A connection that waits for the next request.
    warm: RefCell<Option<Warm>>,
}

#[derive(Debug)]
struct Warm {
    link: Link,
    /// Closes it after a while.
    _reaper: Task<()>,
}

/// A connection. Dropping it closes it.
#[derive(Debug)]
struct Link {
    sender: SendRequest<Full<Bytes>>,
    _driver: Task<()>,
}

impl Client {
    /// A client whose connections are driven in `tier`.
    #[must_use]
    pub fn new(net: &Net, tier: Tier) -> Client {
        let places = HTTP_CONNECTIONS_PER_HOST_MAX;
        Client { net: net.clone(), tier, places, hosts: Rc::default() }
    }

    /// The same with so many requests at once to one host.
    #[must_use]
    pub fn places(mut self, places: usize) -> Client {
        self.places = places;
        self
    }

    /// Sends `request` and reads the whole answer.
    ///
    /// # Errors
    /// See [`HttpError`]. Dropping the future gives the request up and closes its connection.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        self.send_heard(request, |_, _| Heard::Keep).await
    }

    /// The same for an answer that is heard piece by piece, as it comes: `hear` is given its head
    /// and the piece. What it takes does not count against the bound.
    ///
    /// # Errors
    /// As [`send`](Client::send)'s.
    pub async fn send_heard(
        &self,
        mut request: Request,
        hear: impl FnMut(&Parts, &[u8]) -> Heard,
    ) -> Result<Response, HttpError> {
        let prepared = request.prepare();
        let (endpoint, message) = prepared.map_err(|fault| HttpError::NotSent(End::Dial(fault)))?;
        let host = self.host(endpoint);
        let Deadlines { connect, head, body } = request.deadlines;
        let connect_by = clock::now() + connect;
        let place = clock::timeout(connect_by, host.places.acquire()).await;
        let _place = place.ok_or(HttpError::NotSent(End::Silence(Phase::Tcp)))?;
        let (link, answer) = self.ask(&host, message, connect_by, head).await?;
        let by = clock::now() + body;
        let (response, is_over) = read_answer(answer, by, request.body_bytes_max, hear).await?;
        if is_over {
            self.keep_warm(&host, link);
        }
        Ok(response)
    }

    /// Sends `message` over a warm connection or a new one, and waits for the answer's head.
    async fn ask(
        &self,
        host: &Host,
        mut message: Message,
        connect_by: Instant,
        head: Duration,
    ) -> Result<(Link, hyper::Response<Incoming>), HttpError> {
        let mut warm = host.take_warm(connect_by).await;
        loop {
            let was_warm = warm.is_some();
            let mut link = match warm.take() {
                Some(link) => link,
                None => self.connect(&host.endpoint, connect_by).await?,
            };
            let asking = link.sender.try_send_request(message);
            let mut error = match clock::timeout(clock::now() + head, asking).await {
                Some(Ok(answer)) => return Ok((link, answer)),
                Some(Err(error)) => error,
                None => return Err(HttpError::Lost(Loss::Silence)),
            };
            // hyper hands the message back only when not a byte of it was written.
            match error.take_message() {
                // The server had closed the connection while nobody needed it.
                Some(unsent) if was_warm => message = unsent,
                Some(_) => return Err(HttpError::NotSent(End::Dial(DialFault::Lost))),
                None if error.error().is_parse() => return Err(HttpError::Garbage),
                None => return Err(HttpError::Lost(Loss::Wire)),
            }
        }
    }

    async fn connect(&self, endpoint: &Endpoint, by: Instant) -> Result<Link, HttpError> {
        let phase = Cell::new(Phase::Resolve);
        let stream = match clock::timeout(by, self.net.connect(endpoint, &phase)).await {
            Some(stream) => stream.map_err(|fault| HttpError::NotSent(End::Dial(fault)))?,
            None => return Err(HttpError::NotSent(End::Silence(phase.get()))),
        };
        let mut http = Builder::new();
        http.max_buf_size(HTTP_HEAD_BYTES_MAX);
        let (sender, connection) = http
            .handshake(FuturesIo::new(stream))
            .await
            .map_err(|_| HttpError::NotSent(End::Dial(DialFault::Lost)))?;
        let driver = self.net.spawner().spawn(self.tier, "http", async {
            // How it ends, the request that it carries learns.
            let _ = connection.await;
        });
        Ok(Link { sender, _driver: driver })
    }

    /// The entry of `endpoint`, old or new.
    fn host(&self, endpoint: Endpoint) -> Rc<Host> {
        let mut hosts = self.hosts.borrow_mut();
        let place = hosts.iter().position(|host| host.endpoint == endpoint);
        let host = match place {
            Some(place) => hosts.remove(place),
            None => Rc::new(Host {
                endpoint,
                places: Semaphore::new(self.places),
                warm: RefCell::default(),
            }),
        };
        if hosts.len() >= HTTP_HOSTS_MAX {
            let idle = hosts.iter().position(|host| Rc::strong_count(host) == 1);
            // With all of them busy the one asked longest ago is forgotten; its requests go on.
            hosts.remove(idle.unwrap_or(0));
        }
        hosts.push(host.clone());
        host
    }

    /// Keeps `link` for the next request, unless there is one already.
    fn keep_warm(&self, host: &Rc<Host>, link: Link) {
        if link.sender.is_closed() || host.warm.borrow().is_some() {
            return;
        }
        let home = Rc::downgrade(host);
        let reaper = self.net.spawner().spawn(Tier::Work, "http-reaper", async move {
            clock::sleep(HTTP_KEEP_WARM).await;
            if let Some(host) = home.upgrade() {
                host.warm.take();
            }
        });
        host.warm.replace(Some(Warm { link, _reaper: reaper }));
    }
}

impl Host {
    /// The connection that was kept warm, if it is still good.
    async fn take_warm(&self, by: Instant) -> Option<Link> {
        let mut link = self.warm.take()?.link;
        let is_good = clock::timeout(by, link.sender.ready()).await?.is_ok();
        is_good.then_some(link)
    }
}

/// Reads an answer to its end, or until `hear` has enough of it: false.
async fn read_answer(
    answer: hyper::Response<Incoming>,
    by: Instant,
    bytes_max: usize,
    mut hear: impl FnMut(&Parts, &[u8]) -> Heard,
) -> Result<(Response, bool), HttpError> {
    let (parts, mut body) = answer.into_parts();
    let status = parts.status;
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(HttpError::TooLong(status));
    }
    let read = async {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| HttpError::Cut(status, Loss::Wire))?;
            let data = frame.into_data().unwrap_or_default();
            match hear(&parts, &data) {
                Heard::Keep if bytes.len() + data.len() > bytes_max => {
                    return Err(HttpError::TooLong(status));
                }
                Heard::Keep => bytes.extend_from_slice(&data),
                Heard::Taken => {}
                Heard::Enough => return Ok((bytes, false)),
            }
        }
        Ok((bytes, true))
    };
    let read = clock::timeout(by, read).await.ok_or(HttpError::Cut(status, Loss::Silence))?;
    let (body, is_over) = read?;
    Ok((Response { status, headers: parts.headers, body }, is_over))
}
