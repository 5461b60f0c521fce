//! The agent that says what it hears: what runs when nothing else is configured, and what
//! rehearsals use, since it can also be as busy as a real one.

use std::time::Duration;

use crate::core::answer::Answer;
use crate::core::chat::Request;
use crate::core::turn::Fault;
use crate::rt::{blocking, clock};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo {
    /// How long it computes before each answer, on a thread of its own like any other work that
    /// would hold up the connections.
    pub burn: Duration,
}

impl Echo {
    /// The text of `request`.
    ///
    /// # Errors
    /// There is no thread to compute on.
    pub async fn answer(&self, request: &Request) -> Result<Answer, Fault> {
        if !self.burn.is_zero() {
            let burn = self.burn;
            blocking::run(move || compute(burn)).await.map_err(|_| Fault::Busy)?;
        }
        Ok(Answer::text(request.words()))
    }
}

fn compute(burn: Duration) {
    let end = clock::now() + burn;
    while clock::now() < end {
        std::hint::spin_loop();
    }
}
