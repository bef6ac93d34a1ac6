//! What an init system is told: `sd_notify`, a line at a time over a datagram socket.
//!
//! Nothing is told, and nothing fails, where nobody asked for it by `NOTIFY_SOCKET`.

use std::{
    convert::Infallible,
    env,
    ffi::{OsStr, OsString},
    future::pending,
    os::unix::{
        ffi::OsStrExt as _,
        net::{SocketAddr, UnixDatagram},
    },
    process,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::interval;

/// Whoever started this process and waits to hear of it.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// How long it may hear nothing before it takes the process for dead.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names; none if it names none.
    #[must_use]
    pub fn of_environment() -> Self {
        Self::of(|name| env::var_os(name))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let address = variable("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        let Some(address) = address else { return Self::default() };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        // It may be meant for the process that started this one.
        let is_ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_ours);
        let socket = connected(&address).map_err(|error| {
            tracing::warn!(%error, ?address, "NOTIFY_SOCKET: the service manager is not told");
        });
        Self { socket: socket.ok(), watchdog: watchdog.map(Duration::from_micros) }
    }

    /// The service answers, or answers again after [`Self::reloading`].
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// Settings are being read again; [`Self::ready`] comes next.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading its settings"));
    }

    /// The service takes no more calls, and those under way end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=the calls under way may end");
    }

    /// Tells for as long as it is polled that this process is alive: that its tasks still run. Twice
    /// as often as is asked for.
    pub async fn keep_alive(&self) -> Infallible {
        let Some(watchdog) = self.watchdog else { return pending().await };
        let mut beats = interval((watchdog / 2).max(Duration::from_millis(1)));
        loop {
            beats.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(state.as_bytes()) {
            tracing::warn!(%error, state, "the service manager could not be told");
        }
    }
}

fn connected(address: &OsStr) -> std::io::Result<UnixDatagram> {
    let address = match address.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?
        }
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager that does not listen holds up nobody for long.
    socket.set_write_timeout(Some(Duration::from_secs(1)))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn manager(address: &OsStr, watchdog: &[(&'static str, String)]) -> ServiceManager {
        ServiceManager::of(|name| match name {
            "NOTIFY_SOCKET" => Some(address.to_owned()),
            name => {
                watchdog.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_manager_hears_each_state_at_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = manager(path.as_os_str(), &[("WATCHDOG_USEC", "3000000".into())]);
        manager.ready();
        assert!(heard(&socket).starts_with("READY=1\n"));
        manager.reloading();
        let reloading = heard(&socket);
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let since: u64 = since.split('\n').next().unwrap().parse().unwrap();
        assert!(since > 0);
        manager.stopping();
        assert!(heard(&socket).starts_with("STOPPING=1\n"));
        let alive = tokio::time::timeout(Duration::from_millis(4_400), manager.keep_alive());
        assert!(alive.await.is_err(), "it goes on");
        socket.set_nonblocking(true).unwrap();
        let beats = std::iter::from_fn(|| {
            let mut buffer = [0; 256];
            socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())
        });
        assert_eq!(beats.collect::<Vec<_>>(), [b"WATCHDOG=1"; 3], "at 0, 1.5 and 3 s");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn its_socket_may_have_a_name_without_a_file() {
        let name = format!("evergreen-{}", process::id());
        let address =
            <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        manager(OsStr::new(&format!("@{name}")), &[]).ready();
        assert!(heard(&socket).starts_with("READY=1\n"));
    }

    #[test]
    fn nobody_is_told_who_did_not_ask_or_is_not_there() {
        assert!(ServiceManager::of(|_| None).socket.is_none());
        let manager = manager(OsStr::new("/nowhere/notify"), &[]);
        assert!(manager.socket.is_none());
        manager.ready();
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_fed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let _socket = UnixDatagram::bind(&path).unwrap();
        for (id, watched) in [(process::id(), true), (process::id() + 1, false)] {
            let variables =
                [("WATCHDOG_USEC", "1000".to_owned()), ("WATCHDOG_PID", id.to_string())];
            assert_eq!(manager(path.as_os_str(), &variables).watchdog.is_some(), watched);
        }
    }
}
