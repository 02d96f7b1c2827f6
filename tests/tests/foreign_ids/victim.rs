//! The first user, and the records that the second one must not reach.

use std::time::Duration;

use api::auth::NewKey;
use schemas::{
    AccountId, ApnsEnvironment, BillRecord, BillSn, Channel, Currency, Fen, ImageId, JobRecord,
    KeyId, PushId, Scopes, SessionId, Timestamp, UserId,
    account::{ClientRecord, Grant, SessionRecord, UserRecord},
    api_key::KeyRecord,
    bill::NewBill,
    binding::BindingRecord,
    card::SealedCard,
    image::{ImageFormat, ImageRecord},
    job::NewJob,
    kinds::{ImageDelete, image_delete::ImageDeletion, pay_create::SealedPayer},
    profile::Profile,
    push::{Audience, PushCampaign, Segment},
    push_token::{PushTokenRecord, Registration, SignedIn},
    wallet::{KeptCard, WalletRecord},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::{Insert, Save, Store};
use tests::pushed::order;

/// The first user, with one of everything.
pub(crate) struct Victim {
    pub(crate) user: UserRecord,
    pub(crate) image: ImageRecord,
    pub(crate) hidden: ImageRecord,
    pub(crate) job: JobRecord,
    pub(crate) session: SessionRecord,
    pub(crate) key: KeyRecord,
    pub(crate) bill: BillRecord,
    pub(crate) push: PushCampaign,
    pub(crate) device: PushTokenRecord,
    pub(crate) wallet: WalletRecord,
}

impl Victim {
    /// A query that names the user in every way that a handler may be tempted to read.
    pub(crate) fn query(&self) -> String {
        let (user, session) = (self.user.id, self.session.id);
        format!("?uid={user}&user={user}&owner={user}&user_id={user}&session={session}")
    }

    /// The same as a body.
    pub(crate) fn everything(&self) -> Value {
        let (user, session, key) = (self.user.id, self.session.id, self.key.id);
        json!({ "uid": user, "user": user, "owner": user, "session": session, "key": key })
    }

    /// What no stranger may read.
    pub(crate) fn marks(&self) -> Vec<String> {
        vec![
            self.user.username.clone(),
            self.hidden.id.to_string(),
            self.hidden.file_name.clone(),
            self.job.id.to_string(),
            self.session.id.to_string(),
            self.session.device_id.clone(),
            self.key.id.to_string(),
            self.bill.id.to_string(),
            self.push.id.to_string(),
            bound_long_ago().to_string(),
            self.device.token.as_str().to_owned(),
            self.device.device_id.clone(),
            self.device.number.to_string(),
            self.account().to_string(),
            self.wallet.cards[0].card.shown.clone(),
        ]
    }

    pub(crate) async fn of(store: &Store) -> Self {
        let user = user("ada");
        let image = image(user.id, "ada.png", "shown");
        let live = hidden_of(user.id);
        let job = deletion(user.id, live.id);
        let hidden = live.delete(job.id, Timestamp::now());
        let session = session(user.id, "web:of-ada");
        let (key, _) = key(user.id);
        assert_eq!(store.users.insert(&user).await, Ok(Insert::Stored));
        assert_eq!(store.images.insert(&image).await, Ok(Insert::Stored));
        assert_eq!(store.images.insert(&hidden).await, Ok(Insert::Stored));
        assert_eq!(store.jobs.insert(&job).await, Ok(Insert::Stored));
        assert_eq!(store.sessions.insert(&session).await, Ok(Insert::Stored));
        assert_eq!(store.keys.insert(&key).await, Ok(Insert::Stored));
        for channel in [Channel::Alipay, Channel::WeChatPay] {
            let binding = binding(user.id, channel, bound_long_ago());
            assert_eq!(store.bindings.insert(&binding).await, Ok(Insert::Stored));
        }
        let bill = bill(user.id);
        assert_eq!(store.bills.insert(&bill).await, Ok(Insert::Stored));
        let device = device(user.id, session.id);
        assert_eq!(store.push_tokens.insert(&device).await, Ok(Insert::Stored));
        let push = push(user.id);
        assert_eq!(store.pushes.insert(&push).await, Ok(Insert::Stored));
        let wallet = wallet(user.id);
        assert_eq!(store.wallets.save(&wallet).await, Ok(Save::Stored));
        Self { user, image, hidden, job, session, key, bill, push, device, wallet }
    }

    /// The card that the user keeps.
    pub(crate) fn account(&self) -> AccountId {
        self.wallet.cards[0].id
    }

    /// That everything is as it was.
    pub(crate) async fn is_untouched(&self, store: &Store, name: &str) {
        let found = store.images.get(self.image.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.image), "{name}");
        let found = store.images.get(self.hidden.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.hidden), "{name}");
        let found = store.jobs.get(self.job.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.job), "{name}");
        let found = store.bills.get(&self.bill.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.bill), "{name}");
        let found = store.pushes.get(self.push.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.push), "{name}");
        let found = store.push_tokens.get(&self.device.app, &self.device.token).await;
        assert_eq!(found.expect("store").as_ref(), Some(&self.device), "{name}");
        let found = store.wallets.get(self.user.id).await.expect("store");
        assert_eq!(found, self.wallet, "{name}");
        let versions = (
            store.users.get(self.user.id).await.expect("store").map(|user| user.version),
            store.sessions.get(self.session.id).await.expect("store").map(|found| found.version),
            store.keys.get(self.key.id).await.expect("store").map(|key| key.version),
        );
        assert_eq!(versions, (Some(1), Some(1), Some(1)), "{name}");
    }
}

/// A wallet with one card.
fn wallet(owner: UserId) -> WalletRecord {
    let card = SealedCard {
        digest: "d1".to_owned(),
        shown: "621234*********4321".to_owned(),
        number: "AAAA".to_owned(),
        phone: Some("AAAA".to_owned()),
    };
    let proof = "0123456789abcdef".parse().expect("key");
    let new = KeptCard { id: AccountId::generate(), card, proof, kept_at: Timestamp::now() };
    WalletRecord::empty(owner).keep(new).expect("room")
}

pub(crate) fn user(username: &str) -> UserRecord {
    UserRecord {
        id: UserId::generate(),
        version: 1,
        username: username.to_owned(),
        password_hash: "no hash".into(),
        created_at: Timestamp::now(),
        disabled_at: None,
        profile: Profile::default(),
    }
}

pub(crate) fn client() -> ClientRecord {
    ClientRecord {
        id: "app".parse().expect("id"),
        version: 1,
        name: "App".to_owned(),
        secret_digest: None,
        grants: vec![Grant::Password],
        scopes: Scopes::all(),
        redirect_uris: vec![],
        created_at: Timestamp::now(),
        disabled_at: None,
    }
}

pub(crate) fn image(owner: UserId, file_name: &str, tag: &str) -> ImageRecord {
    ImageRecord {
        id: ImageId::generate(),
        owner,
        version: 1,
        file_name: file_name.to_owned(),
        format: ImageFormat::Png,
        bytes: 1_000,
        digest: "00".repeat(32),
        width: 10,
        height: 20,
        tags: vec![tag.to_owned()],
        created_at: Timestamp::now(),
        deletion: None,
    }
}

pub(crate) fn hidden_of(owner: UserId) -> ImageRecord {
    image(owner, "hidden-of-ada.png", "hidden")
}

pub(crate) fn deletion(owner: UserId, image: ImageId) -> JobRecord {
    let new = NewJob::of::<ImageDelete>(owner, &ImageDeletion { image }).expect("payload");
    JobRecord::accept(new, "api", Timestamp::now())
}

pub(crate) fn push(owner: UserId) -> PushCampaign {
    let order = order(Audience::Segment(Segment::default()));
    PushCampaign::of(&order, PushId::generate(), owner, Timestamp::now())
}

pub(crate) fn bill(owner: UserId) -> BillRecord {
    let now = Timestamp::now();
    let new = NewBill {
        owner,
        amount: Fen::new(1_250).expect("amount"),
        currency: Currency::Cny,
        subject: "bill-of-ada".to_owned(),
        client_ref: None,
        expires_at: now + Duration::from_hours(1),
    };
    BillRecord::open(new, BillSn::generate(now), now)
}

/// When the first user's accounts were bound.
pub(crate) fn bound_long_ago() -> Timestamp {
    Timestamp::from_micros(1_706_933_106_123_456)
}

pub(crate) fn binding(owner: UserId, channel: Channel, bound_at: Timestamp) -> BindingRecord {
    BindingRecord {
        id: BindingRecord::id_of(owner, channel),
        version: 1,
        owner,
        channel,
        app: "web".to_owned(),
        account: SealedPayer { digest: "00".repeat(16), sealed: String::new() },
        union_account: None,
        profile: None,
        bound_at,
    }
}

pub(crate) fn session(owner: UserId, device_id: &str) -> SessionRecord {
    let now = Timestamp::now();
    SessionRecord {
        id: SessionId::generate(),
        version: 1,
        owner,
        client: "demo".parse().expect("id"),
        grant: Grant::Password,
        device_id: device_id.to_owned(),
        device: None,
        scopes: Scopes::all(),
        generation: 1,
        rotated_at: now,
        created_at: now,
        expires_at: now + Duration::from_hours(1),
        revoked_at: None,
    }
}

pub(crate) fn device(owner: UserId, session: SessionId) -> PushTokenRecord {
    let registration = Registration {
        owner,
        app: "com.example.notes".parse().expect("bundle id"),
        environment: ApnsEnvironment::Production,
        token: "ada0".repeat(16).parse().expect("token"),
        device_id: "phone-of-ada".to_owned(),
        signed_in: SignedIn { session: Some(session), ..SignedIn::default() },
        locale: None,
        app_version: None,
    };
    PushTokenRecord::new(registration, Timestamp::now())
}

pub(crate) fn key(owner: UserId) -> (KeyRecord, String) {
    let new = NewKey::generate();
    let id: KeyId = new.id;
    let record = KeyRecord {
        id,
        version: 1,
        owner,
        name: "test".to_owned(),
        digest: new.digest,
        scopes: Scopes::all(),
        created_at: Timestamp::now(),
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    };
    (record, new.text.expose_secret().to_owned())
}
