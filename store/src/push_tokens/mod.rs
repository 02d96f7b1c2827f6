//! The device tokens for Apple's pushes.

mod cohorts;
pub(crate) mod queries;
mod stored;

use futures::future;
use schemas::{
    ApnsEnvironment, BundleId, DeviceToken, PushTokenId, Timestamp, UserId,
    push_token::{PushTokenReason, PushTokenRecord, Registration, Verdict},
};

use crate::{Insert, Save, StoreError, aggregate::Key, engine::Engine, repository::Repository};
use queries::{numbered, owned, reached};
pub(crate) use stored::{COHORTS, TOKENS};

/// Devices of one user in memory at a time.
const PAGE: usize = 200;

/// How often a change is decided anew because another one was faster.
const MAX_TRIES: usize = 10;

/// The records of device tokens, one for each token of an app.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct PushTokens(Repository<PushTokenRecord>);

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "looked at at once and not kept")]
pub enum Judged {
    /// There was nothing to change.
    Kept,
    /// The record as it is stored now.
    Changed(PushTokenRecord),
}

/// What became of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// The token was not known before.
    New(PushTokenRecord),
    /// It was known and is registered anew.
    Again {
        /// The token as it is now.
        device: PushTokenRecord,
        /// Whether it takes the place among its owner's devices that it had before.
        in_place: bool,
    },
    /// What is stored is as new, or newer; it may belong to somebody else by now.
    Earlier(PushTokenRecord),
}

/// Which devices of an app get a push.
#[derive(Debug, Clone)]
pub struct PushTokenFilter {
    /// The app.
    pub app: BundleId,
    /// Where the tokens belong.
    pub environment: ApnsEnvironment,
    /// Only devices with this very language and region; [`PushTokens::next_locale`] finds those that
    /// a range means.
    pub locale: Option<String>,
    /// Only devices with this version of the app.
    pub app_version: Option<String>,
}

impl PushTokenFilter {
    /// Every device of `app` in `environment`.
    #[must_use]
    pub const fn of(app: BundleId, environment: ApnsEnvironment) -> Self {
        Self { app, environment, locale: None, app_version: None }
    }
}

impl PushTokens {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores the record of a token that was never registered. [`Insert::Taken`] when it was,
    /// by whomever.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, device: &PushTokenRecord) -> Result<Insert, StoreError> {
        self.0.insert(device).await
    }

    /// Replaces version `device.version - 1` of the record by `device`, whose owner may be
    /// another. [`Save::Stale`] also when there is no such record.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, device: &PushTokenRecord) -> Result<Save, StoreError> {
        self.0.save(device).await
    }

    /// The record of a token, whoever owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn get(
        &self,
        app: &BundleId,
        token: &DeviceToken,
    ) -> Result<Option<PushTokenRecord>, StoreError> {
        self.0.get(Key::of(PushTokenRecord::id_of(app, token).as_str())).await
    }

    /// The records of tokens, whoever owns them, in the order of `tokens`. About as costly as one
    /// call for each 500.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn get_many(
        &self,
        app: &BundleId,
        tokens: &[DeviceToken],
    ) -> Result<Vec<Option<PushTokenRecord>>, StoreError> {
        future::try_join_all(tokens.iter().map(|token| self.get(app, token))).await
    }

    /// The records with these numbers, in every state and in no order, without those that are not
    /// there any more. For at most about 1,000 numbers.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn by_numbers(
        &self,
        numbers: &[PushTokenId],
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        self.0.find(numbered(numbers)).await
    }

    /// The devices of `app`, in either environment, that get the pushes of these users, in no
    /// order. A user has [`push_token::MAX_DEVICES`](schemas::push_token::MAX_DEVICES) of them at
    /// most, so pass at most about 100 users.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn of_users(
        &self,
        app: &BundleId,
        users: &[UserId],
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.0.find(reached(users)).await?;
        found.retain(|device| device.app == *app);
        Ok(found)
    }

    /// Brings what Apple has said to the records that pushes were sent to, each as it was read
    /// then, and says what changed, in the same order. A record that has moved on meanwhile is
    /// read and judged again, so a registration that crosses the answer wins. What changes
    /// nothing costs nothing.
    ///
    /// Every answer stands for itself: after an error of one of them judge that one again, which
    /// changes nothing twice.
    pub async fn judge(
        &self,
        sent: Vec<(PushTokenRecord, Verdict)>,
        now: Timestamp,
    ) -> Vec<Result<Judged, StoreError>> {
        let judge = |device: PushTokenRecord, verdict| {
            self.change(device, move |device| device.judge(verdict, now))
        };
        future::join_all(sent.into_iter().map(|(device, verdict)| judge(device, verdict))).await
    }

    /// Saves what `step` makes of the device, which may be an older version: then it is read again
    /// and `step` decides anew. [`Judged::Kept`] when `step` changes nothing, or the record is gone.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`]; also [`StoreError::Busy`] when the record changes all the time.
    pub async fn change(
        &self,
        mut device: PushTokenRecord,
        step: impl Fn(PushTokenRecord) -> Option<PushTokenRecord>,
    ) -> Result<Judged, StoreError> {
        for _ in 0..MAX_TRIES {
            let (app, token) = (device.app.clone(), device.token.clone());
            let Some(next) = step(device) else { return Ok(Judged::Kept) };
            if self.save(&next).await? == Save::Stored {
                return Ok(Judged::Changed(next));
            }
            match self.get(&app, &token).await? {
                Some(current) => device = current,
                None => return Ok(Judged::Kept),
            }
        }
        Err(StoreError::Busy)
    }

    /// Up to `limit` records of `owner` that are not removed, newest first; `after` is the last number
    /// of the page before.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn list(
        &self,
        owner: UserId,
        after: Option<PushTokenId>,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(owned(owner, after, limit)).await
    }

    /// Stores a registration that reached us at `received`: a new record, or what it makes of the
    /// one there is. Repeating it changes nothing; of several the latest counts, in whatever order
    /// they come.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`]; also [`StoreError::Busy`] when the record changes all the time.
    pub async fn register(
        &self,
        registration: Registration,
        received: Timestamp,
    ) -> Result<Registered, StoreError> {
        for _ in 0..MAX_TRIES {
            let (app, token) = (&registration.app, &registration.token);
            let (next, in_place) = match self.get(app, token).await? {
                None => {
                    let new = PushTokenRecord::new(registration.clone(), received);
                    if self.insert(&new).await? == Insert::Stored {
                        return Ok(Registered::New(new));
                    }
                    continue;
                }
                Some(known) => {
                    let (known_now, now) = (known.clone(), Timestamp::now());
                    match known_now.registered(registration.clone(), received, now) {
                        Some(next) => {
                            let in_place = known.has_the_place_of(&next);
                            (next, in_place)
                        }
                        None => return Ok(Registered::Earlier(known)),
                    }
                }
            };
            if self.save(&next).await? == Save::Stored {
                return Ok(Registered::Again { device: next, in_place });
            }
        }
        Err(StoreError::Busy)
    }

    /// Ends the pushes to those devices of `owner` that `which` names, because who registered them
    /// is signed out; says how many it were. Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::change`]; some may be ended then.
    pub async fn sign_out(
        &self,
        owner: UserId,
        which: impl Fn(&PushTokenRecord) -> bool + Sync,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (mut ended, mut after) = (0, None);
        loop {
            let page = self.list(owner, after, PAGE).await?;
            after = page.last().map(|device| device.number);
            let is_last = page.len() < PAGE;
            for device in page {
                let step = |device: PushTokenRecord| {
                    let meant = device.owner == owner && which(&device);
                    if meant { device.removed(PushTokenReason::SignedOut, now) } else { None }
                };
                ended += u64::from(self.change(device, step).await? != Judged::Kept);
            }
            if is_last {
                return Ok(ended);
            }
        }
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}
