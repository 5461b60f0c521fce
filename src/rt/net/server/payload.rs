//! The body of an answer, as hyper takes it.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use smol::stream::Stream as Flow;

use super::Turn;

/// [`Body`] as hyper takes it.
pub(super) struct Payload {
    pub(super) content: Pieces,
    pub(super) turn: Option<Rc<Turn>>,
}

/// What is left of it.
pub(super) enum Pieces {
    Whole(Option<Bytes>),
    Each(Pin<Box<dyn Flow<Item = Vec<u8>>>>),
}

impl Drop for Payload {
    fn drop(&mut self) {
        if let Some(turn) = &self.turn {
            turn.wait();
        }
    }
}

impl HttpBody for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.content {
            Pieces::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Pieces::Each(pieces) => {
                let next = pieces.as_mut().poll_next(context);
                next.map(|piece| piece.map(|piece| Ok(Frame::data(piece.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Pieces::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Pieces::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Pieces::Each(_) => SizeHint::default(),
        }
    }
}
