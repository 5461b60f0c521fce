//! Signals, one at a time, as values. (SIGPIPE is ignored by Rust's start-up code: a broken pipe
//! is an error value where it is written to.)

use std::io;

use smol::stream::StreamExt;

/// What the operating system, the service manager or a person at the terminal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM: stop, in order.
    Term,
    /// SIGINT: Ctrl-C.
    Int,
    /// SIGUSR1: restart the channels.
    Usr1,
    /// SIGHUP: read the configuration again.
    Hup,
}

/// The signals that we listen for. While this lives, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals(async_signal::Signals);

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// The handlers could not be installed.
    pub fn listen() -> io::Result<Signals> {
        use async_signal::Signal as Os;
        async_signal::Signals::new([Os::Term, Os::Int, Os::Usr1, Os::Hup]).map(Signals)
    }

    /// Waits for the next one. May be dropped half-way; nothing is lost by it.
    pub async fn next(&mut self) -> Signal {
        loop {
            match self.0.next().await {
                Some(Ok(async_signal::Signal::Term)) => return Signal::Term,
                Some(Ok(async_signal::Signal::Int)) => return Signal::Int,
                Some(Ok(async_signal::Signal::Usr1)) => return Signal::Usr1,
                Some(Ok(async_signal::Signal::Hup)) => return Signal::Hup,
                Some(Ok(_)) => {}
                // The pipe of the handlers broke. There is no more to wait for, and turning in a
                // circle would not bring it back.
                Some(Err(_)) | None => std::future::pending().await,
            }
        }
    }
}

/// Does `last` when Ctrl-C or SIGTERM ends this process, which then ends by that signal, as a shell
/// expects of it.
///
/// # Errors
/// The handlers could not be installed.
pub fn before_the_end(last: impl FnOnce() + Send + 'static) -> io::Result<()> {
    use async_signal::Signal as Os;
    let mut signals = async_signal::Signals::new([Os::Term, Os::Int])?;
    let wait = move || {
        if let Some(Ok(signal)) = smol::block_on(signals.next()) {
            last();
            let _ = signal_hook::low_level::emulate_default_handler(signal as i32);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_arrive_as_values() {
        use rustix::process::{Signal as Os, getpid, kill_process};
        smol::block_on(async {
            let mut signals = Signals::listen().unwrap();
            for (sent, heard) in [(Os::USR1, Signal::Usr1), (Os::HUP, Signal::Hup)] {
                kill_process(getpid(), sent).unwrap();
                assert_eq!(signals.next().await, heard);
            }
        });
    }
}
