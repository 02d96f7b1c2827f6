//! The simulators over real sockets, as a shop uses them.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod alipay;
mod card_faults;
mod card_page;
mod card_refusals;
mod cards;
mod faults;
mod money;
mod schedule;
mod shop;
mod sign_in;
mod unionpay;
mod wallet;
mod wechat_v2;
mod wechat_v3;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};

use self::shop::Shop;
use crate::{Clock, Ledger, Running, Settings};

type Fields = BTreeMap<String, String>;

/// 10:15:30 in Beijing.
fn morning() -> DateTime<Utc> {
    "2026-11-24T02:15:30Z".parse().unwrap()
}

const MINUTE: Duration = Duration::from_mins(1);

/// Simulators on a clock that stands, and a shop that hears their notifications.
struct World {
    sim: Running,
    shop: Shop,
}

impl World {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings =
            Settings { clock: Clock::manual(morning()), ..Settings::fixture().unwrap() };
        change(&mut settings);
        let shop = Shop::start(settings.merchants[0].clone()).await;
        let sim = crate::start(settings).await.unwrap();
        Self { sim, shop }
    }

    /// Paid and refunded, in fen, over everything.
    fn sums(&self) -> (i64, i64) {
        let Ledger { totals, .. } = self.sim.ledger();
        totals.values().fold((0, 0), |(paid, back), sums| {
            (paid + sums.paid, back + sums.refunded - sums.returned)
        })
    }
}

fn fields<const N: usize>(pairs: [(&str, &str); N]) -> Fields {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// But for the vocabulary, which holds no rule of a provider.
#[test]
fn the_simulators_use_no_other_crate_of_feat() {
    let manifest = include_str!("../../Cargo.toml");
    for name in ["store", "broker", "providers", "api", "workers"] {
        assert!(!manifest.contains(&format!("\n{name}.")), "{name}");
        assert!(!manifest.contains(&format!("\n{name} =")), "{name}");
    }
}
