//! A small S3-compatible server that keeps its objects in memory.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{
    Launch, Progress, ServiceError, install,
    launch::NativeCommand,
    ports,
    server::{Plan, Server},
};

/// An S3-compatible server of this process: path-style addresses, any access key (the tests use
/// `test` and `test`), any region. Dropped, it ends and forgets.
#[derive(Debug)]
pub struct S3 {
    server: Server,
    endpoint: String,
}

impl S3 {
    /// Starts a server whose logs go to `folder`, and returns when it answers.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NoWay`] when this machine has no Python.
    pub async fn start(folder: &Path) -> Result<Self, ServiceError> {
        Self::start_with(folder, &Progress::silent()).await
    }

    /// As [`Self::start`], and says what it does.
    pub(super) async fn start_with(
        folder: &Path,
        progress: &Progress,
    ) -> Result<Self, ServiceError> {
        let folder = std::path::absolute(folder).map_err(ServiceError::at(folder))?;
        let (python, packages) = install::s3(progress)?;
        progress.step("starting an S3-compatible server");
        let port = ports::free();
        let mut command = vec![python.display().to_string()];
        command.extend(["-m", "moto.server", "--host", "127.0.0.1", "--port"].map(str::to_owned));
        command.push(port.to_string());
        let environment =
            BTreeMap::from([("PYTHONPATH".to_owned(), packages.display().to_string())]);
        let launch = Launch::Native(NativeCommand { command, environment });
        let mut server = Server::new("S3", &folder, launch)?;
        server.start()?;
        let address = ("127.0.0.1", port);
        let is_ready = || async move {
            let connect = tokio::net::TcpStream::connect(address);
            let connected = tokio::time::timeout(Duration::from_secs(2), connect).await;
            connected.map_err(|_| "no answer".to_owned())?.map(drop).map_err(|e| e.to_string())
        };
        server.wait_until("the S3-compatible server", is_ready).await?;
        Ok(Self { server, endpoint: format!("http://127.0.0.1:{port}") })
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    pub(super) fn leave_running(&mut self) {
        self.server.leave_running();
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.server.plan
    }
}
