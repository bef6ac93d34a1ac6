//! A CA of a test's own, and the files of what it signs. They go with it.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]
#![expect(clippy::missing_panics_doc, reason = "every step of a test may panic")]

use std::{
    cell::Cell,
    fs,
    ops::Range,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

/// A CA, and a directory of its files.
#[derive(Debug)]
pub struct Authority {
    ca: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
    dir: TempDir,
    serial: Cell<u64>,
}

/// A certificate and its key, in PEM files. Another one of the same name takes their place.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of its key, which nobody else may read.
    pub key: PathBuf,
    /// The certificate itself.
    pub der: Vec<u8>,
}

impl Authority {
    /// A new one, which nobody has heard of.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "a CA of a test");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("ca.pem");
        fs::write(&file, ca.pem()).unwrap();
        Self { ca, file, dir, serial: Cell::new(1) }
    }

    /// The file of its own certificate.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A file beside the others, which nothing is in yet.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate for 127.0.0.1 and localhost, good for a year.
    pub fn server(&self, name: &str) -> Signed {
        self.server_of(name, ["127.0.0.1", "localhost"], &now_for(YEAR))
    }

    /// A server's certificate for these names, good for this time since the Unix epoch.
    pub fn server_of<const N: usize>(
        &self,
        name: &str,
        names: [&str; N],
        good: &Range<Duration>,
    ) -> Signed {
        let names = names.map(str::to_owned);
        let key = KeyPair::generate().unwrap();
        self.sign(name, &names, ExtendedKeyUsagePurpose::ServerAuth, good, &key)
    }

    /// A client's certificate, good for a year.
    pub fn client(&self, name: &str) -> Signed {
        self.client_for(name, &now_for(YEAR))
    }

    /// A client's certificate, good for this time since the Unix epoch.
    pub fn client_for(&self, name: &str, good: &Range<Duration>) -> Signed {
        let key = KeyPair::generate().unwrap();
        self.sign(name, &[], ExtendedKeyUsagePurpose::ClientAuth, good, &key)
    }

    /// Another certificate for the key of `old`, a client's.
    pub fn renewed(&self, name: &str, old: &Signed) -> Signed {
        let key = KeyPair::from_pem(&fs::read_to_string(&old.key).unwrap()).unwrap();
        self.sign(name, &[], ExtendedKeyUsagePurpose::ClientAuth, &now_for(YEAR), &key)
    }

    fn sign(
        &self,
        name: &str,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
        good: &Range<Duration>,
        key: &KeyPair,
    ) -> Signed {
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let time = |since: Duration| (SystemTime::UNIX_EPOCH + since).into();
        (params.not_before, params.not_after) = (time(good.start), time(good.end));
        params.serial_number = Some(self.serial.replace(self.serial.get() + 1).into());
        let signed = params.signed_by(key, &self.ca).unwrap();
        let (certificate, file) =
            (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        replace(&certificate, &signed.pem(), 0o644);
        replace(&file, &key.serialize_pem(), 0o600);
        Signed { certificate, key: file, der: signed.der().to_vec() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// From an hour ago until so long from now.
#[must_use]
pub fn now_for(time: Duration) -> Range<Duration> {
    #[expect(
        clippy::disallowed_methods,
        reason = "certificates are judged by the system's clock too"
    )]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now - Duration::from_secs(3_600)..now + time
}

/// Wholly, as those who renew certificates do it.
fn replace(path: &Path, text: &str, mode: u32) {
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, text).unwrap();
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(mode)).unwrap();
    fs::rename(unfinished, path).unwrap();
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);
