//! Words to the service manager (`sd_notify(3)`): ready, stopping, status, still turning.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use sd_notify::NotifyState;

use super::net::kept;

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
}

impl Notifier {
    /// Opens the way to `socket`, the value of `NOTIFY_SOCKET`: a path, or a name in the abstract
    /// namespace after an `@`. Without one, every word falls on deaf ears.
    ///
    /// # Errors
    /// The socket cannot be reached.
    pub fn open(socket: Option<&Path>) -> io::Result<Notifier> {
        let Some(path) = socket else { return Ok(Notifier { socket: None }) };
        let address = match path.as_os_str().as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(path)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // The thread must not wait for a service manager that does not read.
        socket.set_nonblocking(true)?;
        Ok(Notifier { socket: Some(socket) })
    }

    /// Start-up is done.
    pub fn ready(&self) {
        self.say(&NotifyState::Ready);
    }

    /// Shutdown has begun.
    pub fn stopping(&self) {
        self.say(&NotifyState::Stopping);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) {
        // A line end would begin another assignment.
        let line = line.replace(|c: char| c.is_control(), " ");
        self.say(&NotifyState::Status(&line));
    }

    /// The loop turned.
    pub fn watchdog(&self) {
        self.say(&NotifyState::Watchdog);
    }

    /// Has `socket` kept, by this name, until the service is stopped: over restarts and crashes.
    pub fn keep(&self, name: &str, socket: BorrowedFd<'_>) {
        if let Some(manager) = &self.socket {
            let word = format!("FDSTORE=1\nFDNAME={name}");
            // Where it is not kept, clients meet a closed door for a moment, and try again.
            let _ = kept::send(manager, word.as_bytes(), &[socket]);
        }
    }

    /// Has nothing kept any more by this name.
    pub fn forget(&self, name: &str) {
        self.say(&NotifyState::Custom(&format!("FDSTOREREMOVE=1\nFDNAME={name}")));
    }

    fn say(&self, word: &NotifyState<'_>) {
        if let Some(socket) = &self.socket {
            // A word that is not heard changes nothing that we do: the next one comes soon.
            let _ = socket.send(word.to_string().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::store::tests::Scratch;

    #[test]
    fn words_arrive_one_by_one() {
        let scratch = Scratch::new();
        let path = scratch.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::open(Some(&path)).unwrap();
        notifier.ready();
        notifier.status("two\nREADY=0");
        notifier.watchdog();
        notifier.stopping();
        for word in ["READY=1", "STATUS=two READY=0", "WATCHDOG=1", "STOPPING=1"] {
            let mut heard = [0; 64];
            let length = manager.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], word.as_bytes());
        }
    }

    #[test]
    fn without_a_manager_or_with_a_deaf_one_nothing_happens() {
        Notifier::open(None).unwrap().ready();
        let scratch = Scratch::new();
        let path = scratch.path().join("notify");
        assert!(Notifier::open(Some(&path)).is_err(), "nobody listens there");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::open(Some(&path)).unwrap();
        for _ in 0..10_000 {
            notifier.watchdog();
        }
    }
}
