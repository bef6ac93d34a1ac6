//! A service under a service manager (`sd_notify(3)`).

use std::{
    fs::{self, File},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use crate::{Place, Serving};

/// A service that is ready, and what its manager hears of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Managed {
    /// The service.
    pub serving: Serving,
    manager: UnixDatagram,
    log: PathBuf,
}

impl Managed {
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let (socket, log) = (place.path("notify"), place.path("log"));
        // A socket of that name is of a service that has ended.
        let _ = fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut program = place.serving(args);
        program.env("NOTIFY_SOCKET", &socket).stderr(File::create(&log).unwrap());
        let managed = Self { serving: place.start(&mut program), manager, log };
        assert_eq!(managed.told().first().unwrap(), "READY=1");
        managed
    }

    /// What the service manager is told next, a line each.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let mut buffer = [0; 512];
        let length = self.manager.recv(&mut buffer).unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Sends it a signal, as kill(1) names it: `-TERM`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.serving.child.id().to_string()]).status();
        assert!(done.unwrap().success());
    }

    /// Has it read its settings again, and waits until it says that it has: its log by then.
    #[must_use]
    pub fn reloaded(&self) -> String {
        self.signal("-HUP");
        let told = self.told();
        assert_eq!(told[0], "RELOADING=1");
        assert!(told[1].starts_with("MONOTONIC_USEC="), "{told:?}");
        assert_eq!(self.told().first().unwrap(), "READY=1");
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it ends: its exit code, and its log.
    #[must_use]
    pub fn ended(mut self) -> (Option<i32>, String) {
        let code = self.serving.child.wait().unwrap().code();
        (code, fs::read_to_string(&self.log).unwrap())
    }
}

/// Longer than anything takes that it is told of.
const PATIENCE: Duration = Duration::from_secs(30);
