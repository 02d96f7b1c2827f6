//! One address: takes connections and speaks TLS on them.

use std::{io, sync::Arc, time::Duration};

use schemas::ApnsEnvironment;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{connection, state::State};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after a connection could not be taken, for example because too many files are open.
const PAUSE: Duration = Duration::from_millis(50);

/// Listens as the service of `environment` until `stop`.
pub(super) async fn start(
    state: &Arc<State>,
    environment: ApnsEnvironment,
    stop: &CancellationToken,
) -> io::Result<std::net::SocketAddr> {
    let address = match environment {
        ApnsEnvironment::Production => state.settings.production,
        ApnsEnvironment::Sandbox => state.settings.sandbox,
    };
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let tls = if state.settings.tls {
        let config = state.authority.server().map_err(io::Error::other)?;
        Some(TlsAcceptor::from(config))
    } else {
        None
    };
    let (state, stop) = (Arc::clone(state), stop.clone());
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(take(stream, tls.clone(), Arc::clone(&state), environment));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
    Ok(address)
}

async fn take(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    state: Arc<State>,
    environment: ApnsEnvironment,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = tls else {
        return connection::serve(stream, &state, environment, None).await;
    };
    let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await else { return };
    let own = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = own.and_then(|own| state.certificate(own));
    connection::serve(stream, &state, environment, certificate).await;
}
