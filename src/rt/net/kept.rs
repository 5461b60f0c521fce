//! Listening sockets that outlive the process that opened them, so that whoever connects while the
//! gateway restarts waits for the next one instead of being refused.
//!
//! They come from the service manager, which keeps them in its descriptor store
//! (`sd_listen_fds(3)`), or from the program that stood in our place before it started itself
//! again: that one puts them behind standard input, a descriptor whose number is known, together
//! with what standard input was (`unix(7)`, `SCM_RIGHTS`). Where one came from does not matter:
//! it is taken only if it listens where we mean to listen.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::{socket_acceptconn, socket_peercred, socket_type};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::base::limits::{KEPT_SOCKETS_MAX, LISTEN_BACKLOG};

/// Says to the next image of this very process that sockets wait behind its standard input.
pub const HANDED_ON: &str = "BARNACLE_HANDED_ON";
/// What the service manager says, for us alone.
const FROM_MANAGER: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];
/// The sockets, and what standard input was.
const FDS_MAX: usize = KEPT_SOCKETS_MAX + 1;

/// Sockets that may be ours.
#[derive(Debug, Default)]
pub struct Kept {
    sockets: Vec<OwnedFd>,
}

impl Kept {
    /// Takes what there is; `env` looks up a variable. To be called once, before any file is
    /// opened.
    pub fn take<'e>(env: impl Fn(&str) -> Option<&'e str>) -> Kept {
        let mut sockets = Vec::new();
        let count = env("LISTEN_FDS").and_then(|count| count.parse::<usize>().ok());
        if count.is_some_and(|count| count <= KEPT_SOCKETS_MAX) {
            // It looks whether they are meant for this process.
            let given = sd_listen_fds::get().unwrap_or_default();
            sockets.extend(given.into_iter().map(|(_, socket)| socket.into_std()));
            // Programs that agents run must not inherit them.
            sockets.retain(|socket| fcntl_setfd(socket, FdFlags::CLOEXEC).is_ok());
        }
        if env(HANDED_ON) == Some(std::process::id().to_string().as_str()) {
            sockets.extend(from_stdin().unwrap_or_default());
        }
        Kept { sockets }
    }

    /// The one that listens at `address`; at any port of it if that is 0.
    pub fn tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_meant = |socket: &OwnedFd| {
            let bound = rustix::net::getsockname(socket).ok();
            let bound = bound.and_then(|bound| SocketAddr::try_from(bound).ok());
            bound.is_some_and(|bound| {
                let is_port = address.port() == 0 || bound.port() == address.port();
                bound.ip() == address.ip() && is_port
            })
        };
        self.find(is_meant).map(TcpListener::from)
    }

    /// The one that listens at `path`, which must still lead there.
    pub fn unix(&mut self, path: &Path) -> Option<UnixListener> {
        let address = SocketAddrUnix::new(path).ok()?;
        let is_meant = |socket: &OwnedFd| {
            let bound = rustix::net::getsockname(socket).ok();
            let bound = bound.and_then(|bound| SocketAddrUnix::try_from(bound).ok());
            // Whoever connects from now on meets this process's credentials.
            bound.is_some_and(|bound| bound.path() == address.path())
                && rustix::net::listen(socket, LISTEN_BACKLOG).is_ok()
                && leads_to_us(&address)
        };
        self.find(is_meant).map(UnixListener::from)
    }

    fn find(&mut self, is_meant: impl Fn(&OwnedFd) -> bool) -> Option<OwnedFd> {
        let listens = |socket: &OwnedFd| {
            socket_acceptconn(socket) == Ok(true) && socket_type(socket) == Ok(SocketType::STREAM)
        };
        let at = self.sockets.iter().position(|socket| listens(socket) && is_meant(socket))?;
        Some(self.sockets.swap_remove(at))
    }
}

/// Whether a connection to `address` ends at this process: the file may have been replaced.
fn leads_to_us(address: &SocketAddrUnix) -> bool {
    let connect = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let stream = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let stream = stream?;
        rustix::net::connect(&stream, address)?;
        socket_peercred(&stream)
    };
    match connect() {
        Ok(peer) => peer.pid == rustix::process::getpid(),
        // Its queue is full, of those who wait for us.
        Err(error) => error == rustix::io::Errno::AGAIN,
    }
}

/// Lets the program that `command` starts in this process's place have these sockets.
///
/// # Errors
/// They cannot be handed on; `command` starts a program that has none.
pub fn hand_on(command: &mut Command, sockets: &[OwnedFd]) -> io::Result<()> {
    for name in FROM_MANAGER.into_iter().chain([HANDED_ON]) {
        command.env_remove(name);
    }
    if sockets.is_empty() {
        return Ok(());
    }
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    let stdin = io::stdin();
    let fds: Vec<BorrowedFd<'_>> =
        std::iter::once(stdin.as_fd()).chain(sockets.iter().map(|socket| socket.as_fd())).collect();
    send(&ours, b"\0", &fds)?;
    command.env(HANDED_ON, std::process::id().to_string()).stdin(Stdio::from(theirs));
    Ok(())
}

/// Sends `text`, and descriptors with it.
///
/// # Errors
/// They are not sent.
pub(crate) fn send(
    socket: impl std::os::fd::AsFd,
    text: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(text)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// What waits behind standard input, which becomes again what it was.
fn from_stdin() -> io::Result<Vec<OwnedFd>> {
    let stdin = io::stdin();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    rustix::net::recvmsg(&stdin, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            sockets.extend(fds);
        }
    }
    if !sockets.is_empty() {
        rustix::stdio::dup2_stdin(sockets.remove(0))?;
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(sockets: impl IntoIterator<Item = OwnedFd>) -> Kept {
        Kept { sockets: sockets.into_iter().collect() }
    }

    #[test]
    fn only_a_socket_that_listens_where_we_want_to_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = std::net::TcpStream::connect(address).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut kept = kept([stream.into(), file.into(), listener.into()]);
        let other = SocketAddr::new(address.ip(), address.port() ^ 1);
        assert!(kept.tcp(other).is_none());
        assert!(kept.tcp(SocketAddr::new([127, 0, 0, 2].into(), 0)).is_none());
        let taken = kept.tcp(address).expect("it is there");
        assert_eq!(taken.local_addr().unwrap(), address);
        assert!(kept.tcp(address).is_none(), "and there once");
    }

    #[test]
    fn any_port_will_do_for_who_asks_for_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut kept = kept([listener.into()]);
        let taken = kept.tcp(SocketAddr::new(address.ip(), 0)).expect("it is there");
        assert_eq!(taken.local_addr().unwrap(), address);
    }

    #[test]
    fn a_unix_socket_is_taken_as_long_as_its_name_leads_to_it() {
        let name = format!("barnacle-kept-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let second = listener.try_clone().unwrap();
        assert!(kept([OwnedFd::from(listener)]).unix(Path::new("/nowhere")).is_none());
        assert!(kept([second.into()]).unix(&path).is_some());
        std::fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(kept([listener.into()]).unix(&path).is_none(), "nobody would find it");
    }

    #[test]
    fn what_is_meant_for_another_process_is_left_alone() {
        let env = |name: &str| (name == HANDED_ON).then_some("1");
        assert!(Kept::take(env).sockets.is_empty());
    }
}
