//! A TCP relay that a test can bring to a standstill, as a network or a server does.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A relay to one address.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    stalled: watch::Sender<bool>,
}

impl Relay {
    /// Begins to relay to `target`, `HOST:PORT`.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start(target: String) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(any).await.expect("a free port");
        let address = listener.local_addr().expect("address");
        let stalled = watch::Sender::new(false);
        let switch = stalled.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                let ((from_near, to_near), (from_far, to_far)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(pass_on(from_near, to_far, switch.subscribe()));
                tokio::spawn(pass_on(from_far, to_near, switch.subscribe()));
            }
        });
        Self { address, stalled }
    }

    /// Lets nothing through from now on, or everything again. No connection is cut.
    pub fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut stalled: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let flows = stalled.wait_for(|stalled| !stalled).await.is_ok();
        if !flows || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
