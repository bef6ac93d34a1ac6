//! ApiService's own account, where both services are one program's.

use std::{fs, io, path::Path};

use auth_service::{Server, ServiceCredentials};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use token::entropy::{Entropy, SystemEntropy};
use transport::whole_file::{self, IfThere};

use super::Failure;

/// The credentials that the data directory keeps, if AuthService still knows the account; else those
/// of a new one, which it keeps from now on. An account that was disabled stays so.
pub(super) async fn api_account(
    server: &Server,
    data_dir: &Path,
) -> Result<ServiceCredentials, Failure> {
    let path = data_dir.join("api-service.account");
    if let Some(kept) = read(&path)?
        && server.knows_service(&kept).await?
    {
        return Ok(kept);
    }
    // Programs that share a database have an account each.
    let entropy: &dyn Entropy = &SystemEntropy;
    let name = format!("api-service-{:08x}", u32::from_le_bytes(entropy.array()));
    let made = server.create_service(&name, &[] as &[&str]).await?;
    write(&path, &made).map_err(|error| format!("--data-dir: {}: {error}", path.display()))?;
    Ok(made)
}

fn read(path: &Path) -> Result<Option<ServiceCredentials>, Failure> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| format!("--data-dir: {}: {error}", path.display()))?,
    };
    let kept: Value = serde_json::from_str(&text).unwrap_or_default();
    let field = |name: &str| kept[name].as_str().map(str::to_owned);
    match (field("client_id"), field("client_secret")) {
        (Some(id), Some(secret)) => Ok(Some(ServiceCredentials::new(id, secret))),
        _ => Err(format!(
            "--data-dir: {} holds no account of ApiService; remove it, and a new one is made",
            path.display()
        )
        .into()),
    }
}

fn write(path: &Path, account: &ServiceCredentials) -> io::Result<()> {
    let (id, secret) = (&account.client_id, account.client_secret.expose_secret());
    let text = format!("{}\n", json!({ "client_id": id, "client_secret": secret }));
    whole_file::write(path, text.as_bytes(), IfThere::Replace)
}
