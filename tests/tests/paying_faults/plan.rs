//! What happens to one bill: through which provider, what goes wrong, and where the worker dies.

use rand::{RngExt, rngs::StdRng, seq::SliceRandom};
use schemas::{Channel, Scene};
use sim::Act;
use tests::simulated::Way;

/// A way of paying, and the simulators' names of its calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Road {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) create: &'static str,
    pub(crate) refund: &'static str,
    pub(crate) close: &'static str,
    pub(crate) notice: &'static str,
    /// A card is charged by Feat's own call, with no payer at the provider.
    pub(crate) by_card: bool,
}

impl Road {
    /// Whether its provider signs with a key of its own, which may change. WeChat v3 has two, the
    /// platform certificate and the public key, and signs with either.
    pub(crate) fn has_keys(&self) -> bool {
        self.name != "WeChat v2"
    }

    /// Whether workers come to `point` on it. A charge begins with its own save, and is told at its
    /// end.
    pub(crate) const fn has(&self, point: Point) -> bool {
        !self.by_card || !matches!(point, Point::Prepared | Point::Answered)
    }
}

/// Every way.
pub(crate) const ROADS: [Road; 5] = [
    Road {
        name: "WeChat v2",
        way: (Channel::WeChatPay, Scene::Native, "official_account"),
        create: "wechat.v2.unifiedorder",
        refund: "wechat.v2.refund",
        close: "wechat.v2.closeorder",
        notice: "wechat.v2.notify.pay",
        by_card: false,
    },
    Road {
        name: "WeChat v3",
        way: (Channel::WeChatPay, Scene::Native, "official_account_v3"),
        create: "wechat.v3.create",
        refund: "wechat.v3.refund",
        close: "wechat.v3.close",
        notice: "wechat.v3.notify.pay",
        by_card: false,
    },
    Road {
        name: "Alipay",
        way: (Channel::Alipay, Scene::Native, "web"),
        create: "alipay.trade.precreate",
        refund: "alipay.trade.refund",
        close: "alipay.trade.close",
        notice: "alipay.notify.pay",
        by_card: false,
    },
    Road {
        name: "UnionPay",
        way: (Channel::UnionPay, Scene::Native, "web"),
        create: "unionpay.back.qr",
        refund: "unionpay.back.refund",
        close: "",
        notice: "unionpay.notify.pay",
        by_card: false,
    },
    Road {
        name: "UnionPay card",
        way: (Channel::UnionPay, Scene::Native, "web"),
        create: "unionpay.back.card_pay",
        refund: "unionpay.back.refund",
        close: "",
        notice: "unionpay.notify.pay",
        by_card: true,
    },
];

/// Where the worker dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// The attempt is in the bill, held by the worker.
    Prepared,
    BeforeCall,
    AfterCall,
    AfterBill,
    /// Its client has heard the answer, and the job's end is not saved.
    Answered,
    BeforeAck,
    Anywhere,
}

impl Point {
    pub(crate) const ALL: [Self; 7] = [
        Self::Prepared,
        Self::BeforeCall,
        Self::AfterCall,
        Self::AfterBill,
        Self::Answered,
        Self::BeforeAck,
        Self::Anywhere,
    ];

    /// Its name in the worker; none for a moment that nobody chose.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Prepared => Some("worker.prepared"),
            Self::BeforeCall => Some("worker.before_call"),
            Self::AfterCall => Some("worker.in_effect"),
            Self::AfterBill => Some("worker.after_effect"),
            Self::Answered => Some("worker.answered"),
            Self::BeforeAck => Some("worker.after_settle"),
            Self::Anywhere => None,
        }
    }
}

/// What goes wrong besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    Nothing,
    Call(Act),
    Notice(Act),
    /// Paid during the call, and told of before its answer.
    PaidEarly,
    /// The provider's key changes in the middle.
    KeysRotate,
    /// Paid although it was closed, or given up.
    PaidAfterClose,
    /// Paid through two ways.
    PaidTwice,
}

/// Every trouble, with its name.
pub(crate) fn troubles() -> Vec<(&'static str, Trouble)> {
    use Trouble::{Call, Notice};
    vec![
        ("none", Trouble::Nothing),
        ("cut before", Call(Act::DropBefore)),
        ("answer dropped", Call(Act::DropAfter)),
        ("answer late", Call(Act::Late { ms: 300 })),
        ("5xx before", Call(Act::ErrorBefore)),
        ("5xx after", Call(Act::ErrorAfter)),
        ("bad signature", Call(Act::BadSignature)),
        ("garbage", Call(Act::Garbage)),
        ("throttled", Call(Act::Throttle)),
        ("notice lost", Notice(Act::Lose)),
        ("notice doubled", Notice(Act::Duplicate { copies: 3 })),
        ("notices reordered", Notice(Act::Reorder)),
        ("notice tampered", Notice(Act::Tamper)),
        ("notice foreign", Notice(Act::Foreign)),
        ("notice forged", Notice(Act::BadSignature)),
        ("notice late", Notice(Act::Late { ms: 400 })),
        ("notice early", Trouble::PaidEarly),
        ("keys rotate", Trouble::KeysRotate),
        ("paid after close", Trouble::PaidAfterClose),
        ("paid twice", Trouble::PaidTwice),
    ]
}

/// During which step it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Create,
    Hear,
    Refund,
    Close,
}

impl Stage {
    /// The kinds of jobs that work on it.
    pub(crate) const fn kinds(self, road: &Road) -> &'static [&'static str] {
        match self {
            Self::Create if road.by_card => &["pay.charge"],
            Self::Create => &["pay.create"],
            Self::Hear => &["pay.notify", "pay.query"],
            Self::Refund => &["pay.refund"],
            Self::Close => &["pay.close"],
        }
    }
}

/// What happens to one bill.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) road: &'static Road,
    pub(crate) point: Point,
    pub(crate) trouble: (&'static str, Trouble),
    pub(crate) stage: Stage,
    /// The seed of everything else that is random about it.
    pub(crate) seed: u64,
}

/// At least `runs` plans in random order: every combination that there is at least once.
pub(crate) fn plans(runs: usize, random: &mut StdRng) -> Vec<Plan> {
    let troubles = troubles();
    let mut plans = Vec::new();
    for road in &ROADS {
        for point in Point::ALL {
            for trouble in &troubles {
                plans.extend(plan(road, point, trouble, random));
            }
        }
    }
    while plans.len() < runs {
        let road = &ROADS[random.random_range(0..ROADS.len())];
        let point = Point::ALL[random.random_range(0..Point::ALL.len())];
        let trouble = &troubles[random.random_range(0..troubles.len())];
        plans.extend(plan(road, point, trouble, random));
    }
    plans.shuffle(random);
    plans
}

/// A plan for the combination, if there is such a thing.
fn plan(
    road: &'static Road,
    point: Point,
    trouble: &(&'static str, Trouble),
    random: &mut StdRng,
) -> Option<Plan> {
    if !road.has(point) || (trouble.1 == Trouble::KeysRotate && !road.has_keys()) {
        return None;
    }
    let only_creates = matches!(point, Point::Prepared | Point::Answered);
    let creates = only_creates || random.random_bool(0.5);
    let calls = only_creates || matches!(point, Point::BeforeCall | Point::AfterCall);
    let either = if creates { Stage::Create } else { Stage::Refund };
    let stage = match &trouble.1 {
        Trouble::Nothing | Trouble::Call(_) | Trouble::KeysRotate => either,
        Trouble::Notice(_) if calls => either,
        Trouble::Notice(_) => Stage::Hear,
        Trouble::PaidEarly | Trouble::PaidTwice => Stage::Create,
        Trouble::PaidAfterClose if road.close.is_empty() => Stage::Create,
        Trouble::PaidAfterClose => Stage::Close,
    };
    if only_creates && stage != Stage::Create {
        return None;
    }
    Some(Plan { road, point, trouble: trouble.clone(), stage, seed: random.random() })
}
