//! The simulators as one whole: what they know, what they sign with, what a payer can do.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, Utc};

use crate::{
    Clock, Settings, Unfit,
    alipay::{self, AlipayAccount},
    book::{Book, Dialect, Refused, Trade},
    crypto::{PrivateKey, Unusable},
    fault::{Act, Faults},
    ledger::Provider,
    merchant,
    outbox::{Content, Outbox, Parcel, Sealed},
    unionpay::{self, UnionPayAccount},
    wechat::{self, WechatAccount},
};

/// The keys that the providers sign with.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) platform_a: PrivateKey,
    pub(crate) platform_b: PrivateKey,
    pub(crate) wechat_public: PrivateKey,
    pub(crate) alipay: PrivateKey,
    pub(crate) alipay_b: PrivateKey,
    pub(crate) unionpay: PrivateKey,
    pub(crate) unionpay_b: PrivateKey,
    pub(crate) encrypt: PrivateKey,
    pub(crate) encrypt_b: PrivateKey,
}

impl Keys {
    fn fixture() -> Result<Self, Unusable> {
        Ok(Self {
            platform_a: PrivateKey::from_pem(merchant::PLATFORM_A_KEY)?,
            platform_b: PrivateKey::from_pem(merchant::PLATFORM_B_KEY)?,
            wechat_public: PrivateKey::from_pem(merchant::WECHAT_PUBLIC_KEY)?,
            alipay: PrivateKey::from_pem(merchant::ALIPAY_KEY)?,
            alipay_b: PrivateKey::from_pem(merchant::ALIPAY_B_KEY)?,
            unionpay: PrivateKey::from_pem(merchant::UNIONPAY_KEY)?,
            unionpay_b: PrivateKey::from_pem(merchant::UNIONPAY_B_KEY)?,
            encrypt: PrivateKey::from_pem(merchant::UNIONPAY_ENCRYPT_KEY)?,
            encrypt_b: PrivateKey::from_pem(merchant::UNIONPAY_ENCRYPT_B_KEY)?,
        })
    }
}

/// The simulators.
#[derive(Debug)]
pub(crate) struct Sim {
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) wechat: HashMap<String, WechatAccount>,
    pub(crate) alipay: HashMap<String, AlipayAccount>,
    pub(crate) unionpay: HashMap<String, UnionPayAccount>,
    pub(crate) faults: Faults,
    pub(crate) outbox: Outbox,
    pub(crate) grants: alipay::Grants,
    pub(crate) people: wechat::People,
    pub(crate) files: wechat::Files,
    pub(crate) cards: unionpay::Cards,
    book: Mutex<Book>,
    meters: Mutex<HashMap<String, (i64, u32)>>,
    base: OnceLock<String>,
    /// How often each provider has changed its keys, in the order of [`Provider`].
    turns: [AtomicU64; 3],
    /// When UnionPay did it last.
    turned: Mutex<Option<DateTime<Utc>>>,
}

impl Sim {
    pub(crate) fn new(settings: Settings) -> Result<Self, Unfit> {
        let mut wechat = HashMap::new();
        let mut alipay = HashMap::new();
        let mut unionpay = HashMap::new();
        for merchant in &settings.merchants {
            let account = WechatAccount::new(&merchant.wechat)?;
            wechat.insert(merchant.wechat.mchid.clone(), account);
            let account = AlipayAccount::new(&merchant.alipay)?;
            alipay.insert(merchant.alipay.app_id.clone(), account);
            let account = UnionPayAccount::new(&merchant.unionpay)?;
            unionpay.insert(merchant.unionpay.mer_id.clone(), account);
        }
        Ok(Self {
            keys: Keys::fixture()?,
            wechat,
            alipay,
            unionpay,
            faults: Faults::default(),
            outbox: Outbox::default(),
            grants: alipay::Grants::default(),
            people: wechat::People::default(),
            files: wechat::Files::default(),
            cards: unionpay::Cards::default(),
            book: Mutex::new(Book::new(settings.most_trades)),
            meters: Mutex::default(),
            base: OnceLock::new(),
            turns: Default::default(),
            turned: Mutex::default(),
            settings,
        })
    }

    /// The address under which the simulators are reached, once it is known.
    pub(crate) fn set_base(&self, url: String) {
        let _ = self.base.set(url);
    }

    pub(crate) fn base(&self) -> &str {
        self.base.get().map_or("", String::as_str)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.settings.clock
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.settings.clock.now()
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one call of `key` in the present second; whether it is within `limit`.
    pub(crate) fn within(&self, key: String, limit: u32) -> bool {
        let second = self.now().timestamp();
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = meters.entry(key).or_insert((second, 0));
        if meter.0 != second {
            *meter = (second, 0);
        }
        meter.1 = meter.1.saturating_add(1);
        meter.1 <= limit
    }

    /// Whether `limit` calls of `key` were counted in the present second already.
    pub(crate) fn exhausted(&self, key: &str, limit: u32) -> bool {
        let second = self.now().timestamp();
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.get(key).is_some_and(|(at, count)| *at == second && *count >= limit)
    }

    /// Changes the certificate that `provider` signs with: from the first to the second and back.
    pub(crate) fn rotate_keys(&self, provider: Provider) {
        self.turns_of(provider).fetch_add(1, Ordering::SeqCst);
        if provider == Provider::UnionPay {
            *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.now());
        }
    }

    /// When UnionPay changed its certificates last.
    pub(crate) fn turned(&self) -> Option<DateTime<Utc>> {
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the second certificate of `provider` is the active one.
    pub(crate) fn is_rotated(&self, provider: Provider) -> bool {
        self.turns_of(provider).load(Ordering::SeqCst) % 2 == 1
    }

    /// Whether `provider` ever changed its keys, so that old and new stand side by side.
    pub(crate) fn has_rotated(&self, provider: Provider) -> bool {
        self.turns_of(provider).load(Ordering::SeqCst) > 0
    }

    const fn turns_of(&self, provider: Provider) -> &AtomicU64 {
        let [wechat, alipay, unionpay] = &self.turns;
        match provider {
            Provider::Wechat => wechat,
            Provider::Alipay => alipay,
            Provider::UnionPay => unionpay,
        }
    }

    /// The payer pays trade `id`, and the merchant is told. `after_all` lets a payment arrive for
    /// a closed trade.
    pub(crate) fn pay(&self, id: u64, after_all: bool) -> Result<Trade, Refused> {
        let now = self.now();
        let trade = {
            let mut book = self.book();
            let provider = book.get(id).map(|trade| trade.provider).ok_or(Refused::NotPaid)?;
            let payer = match provider {
                Provider::Wechat => "oUpF8uMEb4qRXf22hE3X68TekukE",
                Provider::Alipay => "2088102146225135",
                Provider::UnionPay => "6216***********0018",
            };
            book.pay(id, payer, after_all, now)?
        };
        let parcel = match trade.dialect {
            Dialect::WechatMd5 | Dialect::WechatHmac | Dialect::WechatV3 => {
                wechat::payment_parcel(&trade)
            }
            Dialect::Alipay => alipay::payment_parcel(self, &trade),
            Dialect::UnionPay => unionpay::payment_parcel(&trade),
        };
        if let Some(parcel) = parcel {
            self.outbox.post(parcel, now);
        }
        Ok(trade)
    }

    /// The payer says no: the trade stays as it is, and may still be paid.
    pub(crate) fn decline(&self, id: u64) -> Option<Trade> {
        let mut book = self.book();
        let trade = book.get_mut(id)?;
        trade.declined = true;
        Some(trade.clone())
    }

    /// The payer lets the time run out: the trade's time is over now.
    pub(crate) fn expire(&self, id: u64) -> Option<Trade> {
        let now = self.now();
        let mut book = self.book();
        let trade = book.get_mut(id)?;
        trade.expires = trade.expires.min(now);
        Some(trade.clone())
    }

    /// A refund ends, and the merchant is told where the provider tells it.
    pub(crate) fn refund_ends(&self, id: u64, index: usize) {
        let now = self.now();
        let Some((trade, refund)) = self.book().end_refund(id, index, now) else { return };
        let parcel = match refund.dialect {
            Dialect::WechatMd5 | Dialect::WechatHmac | Dialect::WechatV3 => {
                wechat::refund_parcel(&trade, &refund)
            }
            Dialect::Alipay => None,
            Dialect::UnionPay => unionpay::refund_parcel(&trade, &refund),
        };
        if let Some(parcel) = parcel {
            self.outbox.post(parcel, now);
        }
    }

    /// Signs a notification.
    pub(crate) fn seal(&self, parcel: &Parcel, act: Option<&Act>) -> Result<Sealed, Unusable> {
        match &parcel.content {
            Content::WechatV2 { .. }
            | Content::WechatV2Refund { .. }
            | Content::WechatV3 { .. } => wechat::seal(self, &parcel.content, act),
            Content::Alipay { app, fields } => alipay::seal_notify(self, app, fields.clone(), act),
            Content::UnionPay { fields } => unionpay::seal_notify(self, fields.clone(), act),
        }
    }

    /// Whether the answer to a notification is the one that its provider asks for.
    #[expect(clippy::unused_self, reason = "reads as a question to the provider")]
    pub(crate) fn accepts(&self, parcel: &Parcel, status: u16, body: &[u8]) -> bool {
        match &parcel.content {
            Content::WechatV2 { .. } | Content::WechatV2Refund { .. } => {
                status == 200 && wechat::is_acknowledged(body)
            }
            Content::WechatV3 { .. } => matches!(status, 200 | 204),
            Content::Alipay { .. } => status == 200 && body == b"success",
            Content::UnionPay { .. } => matches!(status, 200 | 302),
        }
    }
}
