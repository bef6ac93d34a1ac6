//! Placeholder.
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub auth_url: String,
    pub insecure: bool,
}
impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: "x".into(),
            auth_url: String::new(),
            insecure: false,
        }
    }
}
#[derive(Debug)]
pub struct Server;
impl Server {
    pub async fn open(
        _c: Config,
        _clock: Arc<dyn token::clock::Clock>,
        _e: Arc<dyn token::entropy::Entropy>,
        _o: Arc<dyn transport::observe::Observer>,
    ) -> Result<Self, std::io::Error> {
        Ok(Self)
    }
    pub async fn run(
        self,
        _l: tokio::net::TcpListener,
        s: impl Future<Output = ()>,
    ) -> Result<(), transport::serve::ServeError> {
        s.await;
        Ok(())
    }
    pub async fn seed_demo(&self, _o: &str) -> Result<(), std::io::Error> {
        Ok(())
    }
}
