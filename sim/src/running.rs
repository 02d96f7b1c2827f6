//! Simulators that run, and what a test or `feat dev` does with them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Attempt, BadScript, Clock, Fault, Ledger, Merchant, PayError, Provider, Script, Settings,
    TradeView, Unfit,
    clock::span,
    control::{self, Payer},
    outbox, server,
    sim::Sim,
};

/// Why the simulators did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key or certificate of the settings is not usable.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// An address cannot be listened on; choose another one.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The settings name no address.
    #[error("no address to listen on")]
    NoAddress,
}

/// The clock is the machine's, which nobody moves.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the simulators run on the machine's clock, which cannot be moved")]
pub struct NotMovable;

/// Simulators that run. Dropping it stops them at once; [`Self::stop`] lets answers finish.
#[derive(Debug)]
pub struct Running {
    sim: Arc<Sim>,
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts the simulators; they answer when this returns.
///
/// # Errors
///
/// [`StartError`], when an address is taken or key material is unusable; nothing runs then.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let wanted = settings.listen.clone();
    let sim = Arc::new(Sim::new(settings)?);
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for address in wanted {
        let refused = |error| StartError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        addresses.push(listener.local_addr().map_err(refused)?);
        listeners.push(listener);
    }
    let first = addresses.first().ok_or(StartError::NoAddress)?;
    sim.set_base(format!("http://{first}"));

    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    for listener in listeners {
        let serve = server::serve(listener, Arc::clone(&sim), stop.clone(), tasks.clone());
        tasks.spawn(serve);
    }
    tasks.spawn(outbox::work(Arc::clone(&sim), stop.clone()));
    Ok(Running { sim, addresses, stop, tasks })
}

impl Running {
    /// Where they listen, in the order of the settings. Each address serves every provider.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the first listener, `http://HOST:PORT`: WeChat Pay's host, UnionPay's gateway
    /// and file host. Alipay's gateway is `/gateway.do` and its consent page
    /// `/oauth2/publicAppAuthorize.htm` below it.
    #[must_use]
    pub fn url(&self) -> &str {
        self.sim.base()
    }

    /// The first merchant that the providers know.
    #[must_use]
    pub fn merchant(&self) -> Option<&Merchant> {
        self.sim.settings.merchants.first()
    }

    /// What time it is for the simulators.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.sim.now()
    }

    /// Lets `fault` happen; answers with the script's number.
    ///
    /// # Errors
    ///
    /// [`BadScript`] when it can never apply.
    pub fn fault(&self, fault: Fault) -> Result<u64, BadScript> {
        self.sim.faults.add(fault)
    }

    /// Every script with how often it applied.
    #[must_use]
    pub fn faults(&self) -> Vec<Script> {
        self.sim.faults.list()
    }

    /// Forgets every script.
    pub fn clear_faults(&self) {
        self.sim.faults.clear();
    }

    /// Every movement of money so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.sim.book().ledger.clone()
    }

    /// Every trade so far, oldest first.
    #[must_use]
    pub fn trades(&self) -> Vec<TradeView> {
        let now = self.sim.now();
        self.sim.book().trades().iter().map(|trade| TradeView::of(trade, now)).collect()
    }

    /// The trade that `name` means: a code or its link, the provider's number, the merchant's number,
    /// or the simulators' own.
    #[must_use]
    pub fn trade(&self, name: &str) -> Option<TradeView> {
        let now = self.sim.now();
        self.sim.book().find(name).map(|trade| TradeView::of(trade, now))
    }

    /// The payer pays the trade that `name` means; the merchant is told.
    ///
    /// # Errors
    ///
    /// [`PayError`]; no money moved.
    pub fn approve(&self, name: &str) -> Result<TradeView, PayError> {
        control::pay(&self.sim, name, Payer::Approve)
    }

    /// The payer says no; the trade may still be paid.
    ///
    /// # Errors
    ///
    /// [`PayError::Unknown`].
    pub fn decline(&self, name: &str) -> Result<TradeView, PayError> {
        control::pay(&self.sim, name, Payer::Decline)
    }

    /// The payer lets the time run out: an open trade is closed from now on.
    ///
    /// # Errors
    ///
    /// [`PayError::Unknown`].
    pub fn expire(&self, name: &str) -> Result<TradeView, PayError> {
        control::pay(&self.sim, name, Payer::Expire)
    }

    /// Pays as the provider's client library does with what the merchant handed to the app or page:
    /// WeChat's parameters as an object, Alipay's order string, UnionPay's `tn` (each as a JSON
    /// string or under `orderStr` or `tn`). Signatures are checked first.
    ///
    /// # Errors
    ///
    /// [`PayError::Refused`] says what is wrong with the parameters; no money moved.
    pub fn pay_in_app(
        &self,
        provider: Provider,
        parameters: &Value,
    ) -> Result<TradeView, PayError> {
        control::pay_in_app(&self.sim, provider, parameters)
    }

    /// Moves the payment and the refunds of the trade that `name` means into the past, by `by`, so that
    /// they stand in the bill of an earlier day. What the ledger says of them stays.
    ///
    /// # Errors
    ///
    /// [`PayError::Unknown`].
    pub fn backdate(&self, name: &str, by: Duration) -> Result<TradeView, PayError> {
        control::backdate(&self.sim, name, by)
    }

    /// The merchant takes up to `amount` fen out of its account; answers with how much it was.
    #[must_use]
    pub fn withdraw(&self, provider: Provider, merchant: &str, amount: i64) -> i64 {
        let now = self.sim.now();
        self.sim.book().withdraw(provider, merchant, amount, now)
    }

    /// The provider changes the certificate that it signs with, and at the next call back again. The one
    /// before stays known at WeChat Pay; the others' clients have to hold both. At Alipay it matters to
    /// applications with certificates, at UnionPay to merchants with certificates. UnionPay hands out
    /// another encryption certificate, too; the one before decrypts for a month more.
    pub fn rotate_keys(&self, provider: Provider) {
        self.sim.rotate_keys(provider);
    }

    /// Every attempt to deliver a notification so far, oldest first.
    #[must_use]
    pub fn notifies(&self) -> Vec<Attempt> {
        self.sim.outbox.attempts()
    }

    /// Moves the clock by `by`, stopping at everything that is due on the way and waiting until it is
    /// done. Answers with the time it is then.
    ///
    /// # Errors
    ///
    /// [`NotMovable`] on the machine's clock.
    pub async fn advance(&self, by: Duration) -> Result<DateTime<Utc>, NotMovable> {
        advance(&self.sim, by).await
    }

    /// Waits until nothing is due and no delivery is under way.
    pub async fn settled(&self) {
        self.sim.outbox.calm(self.sim.clock()).await;
    }

    /// Stops accepting, lets answers finish for a moment, and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

pub(crate) async fn advance(sim: &Sim, by: Duration) -> Result<DateTime<Utc>, NotMovable> {
    let Clock::Manual(clock) = sim.clock() else { return Err(NotMovable) };
    let target = sim.now().checked_add_signed(span(by)).unwrap_or(DateTime::<Utc>::MAX_UTC);
    loop {
        sim.outbox.calm(sim.clock()).await;
        match sim.outbox.next_due().filter(|due| *due <= target) {
            Some(due) => clock.move_to(due),
            None => break,
        }
    }
    clock.move_to(target);
    sim.outbox.calm(sim.clock()).await;
    Ok(sim.now())
}
