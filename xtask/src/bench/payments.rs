//! Bills through the simulated providers: how many, what Feat adds to a provider's own time, and
//! what a provider that hangs costs the others.

use std::time::{Duration, Instant};

use schemas::{Queue, Timestamp};
use serde_json::{Value, json};

use super::{
    Fault,
    distributed::Place,
    figures::{Figure, Goal, count, millis, percentile},
    http::{Connection, Reply, Request},
    installation::{Installation, Process},
    load::{Load, Report},
    payments_floor::{self, Crowd},
};

/// Clients that wait for their replies at a time.
const CLIENTS: usize = 16;
/// Bills that they pay.
const WAITED: usize = 1_600;
/// Bills that they pay when they take their time, and how long that is at most. Of fewer, one moment
/// in which the machine stands still would decide about p99.
const PACED: usize = 1_200;
const PAUSE: Duration = Duration::from_secs(1);
/// How long after its trade was made a bill is first looked at.
const LOOKED_AT_AFTER: Duration = Duration::from_secs(30);
/// Bills that wait for a provider that hangs: more than it has slots.
const HANGING: usize = 400;
/// How long it hangs, in milliseconds.
const HANGS_MS: u64 = 60_000;
/// Whether a provider hangs, turn by turn; in the order of a palindrome, so that a machine that gets
/// slower or faster meanwhile does so for both. A round of a turn lasts a few seconds and may be off by
/// a tenth and more, so there are many of each.
const TURNS: [bool; 8] = [false, true, true, false, false, true, true, false];
const ROUNDS: usize = 3;
/// What a provider usually takes for an answer, in milliseconds.
const ANSWERS_MS: u64 = 100;

const CREATE: &str = "pay.create";
/// Calls of WeChat Pay.
const ORDER: &str = "/pay/unifiedorder";
const LOOK: &str = "/pay/orderquery";
const WECHAT: (i64, i64) = (200, 0);
/// With a code, for which Feat calls the provider.
const ALIPAY: (i64, i64) = (100, 0);

/// Names of p50 and p99.
type Names = [&'static str; 2];
const PACED_ADDED: Names = [
    "16 clients that pause: added to the provider's time, p50",
    "16 clients that pause: added to the provider's time, p99",
];
const ADDED: Names = [
    "16 clients at once: added to the provider's time, p50",
    "16 clients at once: added to the provider's time, p99",
];
const LOOKED_AT: Names = [
    "16 clients at once, beside looks at as many trades: added, p50",
    "16 clients at once, beside looks at as many trades: added, p99",
];
const PACED_FLOOR: Names = [
    "16 clients that pause: the same steps without Feat, p50",
    "16 clients that pause: the same steps without Feat, p99",
];
const FLOOR: Names = [
    "16 clients at once: the same steps without Feat, p50",
    "16 clients at once: the same steps without Feat, p99",
];

/// From the first acceptance to the last end of deletions, and of payments at a provider that is
/// well.
#[derive(Default)]
struct Spans {
    deletions: Duration,
    payments: Duration,
}

impl Spans {
    fn add(&mut self, more: &Self) {
        self.deletions += more.deletions;
        self.payments += more.payments;
    }
}

/// Feat with one API, one worker and providers.
struct Shop {
    installation: Installation,
    simulators: Process,
    worker: Process,
    load: Load,
    _api: Process,
}

impl Place<'_> {
    /// Many bills at a time, then bills of waiting clients, then beside a provider that hangs.
    pub(super) async fn payments(
        &self,
        bills: usize,
        connections: usize,
    ) -> Result<Vec<Figure>, Fault> {
        let mut figures = self.rate(bills, connections).await?;
        figures.extend(self.added_time().await?);
        figures.extend(self.isolation(bills, connections).await?);
        Ok(figures)
    }

    async fn rate(&self, bills: usize, connections: usize) -> Result<Vec<Figure>, Fault> {
        let shop = self.shop("payments", connections).await?;
        let sns = shop.bills(bills).await?;
        self.progress.step(&format!("payments: beginning to pay {bills} bills"));
        let errors = shop.pay(&sns, WECHAT).await?;
        shop.worker.finishes_of(CREATE, sns.len() as u64).await?;
        let outcome = shop.installation.outcome_of(CREATE, None)?;
        let lost = (sns.len() as u64).saturating_sub(outcome.succeeded + errors);
        Ok(vec![
            Figure::of(
                "payments: pay jobs finished",
                count(outcome.succeeded) / outcome.span.as_secs_f64(),
                "/s",
            ),
            Figure::of("payments: accepted jobs that did not succeed", count(lost), "")
                .with(Goal::AtMost(0.0)),
        ])
    }

    /// From the request to its reply, less what the worker's call to the provider took on average:
    /// of clients that pause in between, of clients that pay one bill after the other, and of these
    /// once more while the trades of the second round are looked at. Beside it, what the same steps
    /// take without Feat.
    async fn added_time(&self) -> Result<Vec<Figure>, Fault> {
        let shop = self.shop("payments-wait", CLIENTS).await?;
        shop.let_answer_late("wechat.*", ANSWERS_MS).await?;
        self.progress.step(&format!("payments: {CLIENTS} clients wait for {PACED} replies"));
        let paced = shop.waits(PACED, PAUSE).await?;
        let looks_begin = Instant::now() + LOOKED_AT_AFTER;
        self.progress.step(&format!("payments: {CLIENTS} clients wait for {WAITED} replies"));
        let waited = shop.waits(WAITED, Duration::ZERO).await?;
        self.progress.step(&format!("payments: {WAITED} replies beside looks at trades"));
        tokio::time::sleep_until(looks_begin.into()).await;
        let (_, before) = shop.calls(LOOK).await?;
        let beside = shop.waits(WAITED, Duration::ZERO).await?;
        let (_, after) = shop.calls(LOOK).await?;
        let (sum, calls) = shop.calls(ORDER).await?;
        drop(shop);
        let provider = Duration::from_secs_f64(sum / calls.max(1.0));
        let errors = paced.errors + waited.errors + beside.errors;
        let added = |report: Report| {
            report.times.iter().map(|time| time.saturating_sub(provider)).collect::<Vec<_>>()
        };
        let within = |[half, most]: [Figure; 2]| {
            [half.with(Goal::AtMost(15.0)), most.with(Goal::AtMost(40.0))]
        };
        let mut figures = Vec::new();
        figures.extend(within(spread(PACED_ADDED, added(paced))));
        figures.extend(within(spread(ADDED, added(waited))));
        figures.extend(spread(LOOKED_AT, added(beside)));
        figures.push(Figure::of("looks at trades meanwhile", after - before, ""));
        let paced = self.floor_of_payments("payments-floor-paced", PACED, PAUSE).await?;
        figures.extend(spread(PACED_FLOOR, paced));
        let floor = self.floor_of_payments("payments-floor", WAITED, Duration::ZERO).await?;
        figures.extend(spread(FLOOR, floor));
        figures.extend([
            Figure::of("payments, 16 clients: the provider's own time", millis(provider), "ms"),
            Figure::of("payments, 16 clients: requests that failed", count(errors), "")
                .with(Goal::AtMost(0.0)),
        ]);
        Ok(figures)
    }

    /// See [`payments_floor`].
    async fn floor_of_payments(
        &self,
        name: &str,
        bills: usize,
        pause: Duration,
    ) -> Result<Vec<Duration>, Fault> {
        // Its first command makes Feat's collections and indexes.
        self.installation(name)?;
        self.progress.step(&format!("payments: {bills} without Feat"));
        let provider = Duration::from_millis(ANSWERS_MS);
        let crowd = Crowd { clients: CLIENTS, bills, pause, provider };
        payments_floor::measure(self.mongodb, name, &format!("{}/%2f", self.rabbitmq), crowd).await
    }

    /// Bills and deletions beside the bills of a provider that is well, and beside as many of one
    /// that hangs. By [`TURNS`].
    async fn isolation(&self, bills: usize, connections: usize) -> Result<Vec<Figure>, Fault> {
        let (mut well, mut beside) = (Spans::default(), Spans::default());
        for (turn, hangs) in TURNS.into_iter().enumerate() {
            let spans = self.beside(turn, hangs, bills, connections).await?;
            (if hangs { &mut beside } else { &mut well }).add(&spans);
        }
        let ratio = |well: Duration, beside: Duration| well.as_secs_f64() / beside.as_secs_f64();
        Ok(vec![
            Figure::of(
                "deletions beside a hanging provider ÷ beside a well one",
                ratio(well.deletions, beside.deletions),
                "",
            )
            .with(Goal::AtLeast(0.9)),
            Figure::of(
                "payments beside a hanging provider ÷ beside a well one",
                ratio(well.payments, beside.payments),
                "",
            )
            .with(Goal::AtLeast(0.9)),
        ])
    }

    async fn beside(
        &self,
        turn: usize,
        hangs: bool,
        bills: usize,
        connections: usize,
    ) -> Result<Spans, Fault> {
        let how = if hangs { "hanging" } else { "well" };
        let shop = self.shop(&format!("payments-{how}-{turn}"), connections).await?;
        self.progress.step(&format!("payments: beside a provider that is {how}"));
        if hangs {
            shop.let_answer_late("alipay.*", HANGS_MS).await?;
        }
        let (mut rounds, mut deleted, mut paid) = (Vec::new(), 0, 0);
        for _ in 0..ROUNDS {
            let (sns, images) = (shop.bills(bills).await?, shop.load.upload(bills).await?);
            let others = shop.bills(HANGING).await?;
            shop.pay(&others, ALIPAY).await?;
            rounds.push(Timestamp::now());
            shop.pay(&sns, WECHAT).await?;
            shop.load.delete(&images).await;
            deleted += images.len() as u64;
            paid += sns.len() as u64 + if hangs { 0 } else { others.len() as u64 };
            shop.worker.finishes(deleted).await?;
            shop.worker.finishes_of(CREATE, paid).await?;
        }
        let of = |kind, queue| shop.installation.outcome_in_turns(kind, queue, &rounds);
        let deletions = of("image.delete", Queue::Images)?.span;
        let payments = of(CREATE, Queue::WechatPay)?.span;
        Ok(Spans { deletions, payments })
    }

    async fn shop(&self, name: &str, connections: usize) -> Result<Shop, Fault> {
        let mut installation = self.installation(name)?;
        let simulators = installation.simulators().await?;
        installation.settle(&accounts(&simulators).await?)?;
        let (api, worker) = (installation.api().await?, installation.worker().await?);
        let load = installation.sign_in(&api, connections).await?;
        Ok(Shop { installation, simulators, worker, load, _api: api })
    }
}

impl Shop {
    /// Makes `count` bills and returns their numbers.
    async fn bills(&self, count: usize) -> Result<Vec<String>, Fault> {
        let body = json!({ "amount": 1250, "subject": "tea" });
        let load = self.load.clone();
        let request = move |_| posted(&load, "/api/pay/order/", &body, &[]);
        let read = |reply: &Reply| {
            let body: Value = serde_json::from_slice(&reply.body).ok()?;
            body["data"]["sn"].as_str().map(str::to_owned)
        };
        let mut sns = Vec::with_capacity(count);
        let report = self.load.each(count, 201, request, read, &mut sns).await;
        match report.first_error {
            Some(error) => Err(format!("a bill was not made: {error}").into()),
            None => Ok(sns),
        }
    }

    /// Begins to pay the bills without waiting; gives how many calls failed.
    async fn pay(&self, sns: &[String], way: (i64, i64)) -> Result<u64, Fault> {
        let (load, sns) = (self.load.clone(), sns.to_vec());
        let count = sns.len();
        let request = move |n: usize| pay(&load, &sns[n], way, &[]);
        let report = self.load.each(count, 202, request, |_| Some(()), &mut Vec::new()).await;
        match report.first_error {
            Some(error) if report.times.is_empty() => Err(error.into()),
            _ => Ok(report.errors),
        }
    }

    /// Pays new bills and waits for each reply, with pauses of up to `pause`.
    async fn waits(&self, bills: usize, pause: Duration) -> Result<Report, Fault> {
        let sns = self.bills(bills).await?;
        let load = Load { pause, ..self.load.clone() };
        let from = load.clone();
        let request = move |n: usize| pay(&from, &sns[n], WECHAT, &["prefer: wait=30"]);
        Ok(load.each(bills, 200, request, |_| Some(()), &mut Vec::new()).await)
    }

    /// How many seconds the worker's calls of WeChat Pay's `path` took until now in all, and how
    /// many they were.
    async fn calls(&self, path: &str) -> Result<(f64, f64), Fault> {
        self.worker.summary("feat_payment_call_seconds", path).await
    }

    async fn let_answer_late(&self, call: &str, ms: u64) -> Result<(), Fault> {
        let script = json!({ "call": call, "times": 1_000_000, "act": "late", "ms": ms });
        let kind = "content-type: application/json";
        let body = script.to_string();
        let request = Request::new("POST", "/_sim/faults", &[kind], body.as_bytes());
        let reply = Connection::open(self.simulators.address).await?.send(&request).await?;
        if reply.status == 201 { Ok(()) } else { Err("the fault was not taken".into()) }
    }
}

fn spread([half, most]: Names, mut times: Vec<Duration>) -> [Figure; 2] {
    let mut of = |name, percent| Figure::of(name, millis(percentile(&mut times, percent)), "ms");
    [of(half, 50), of(most, 99)]
}

fn pay(load: &Load, sn: &str, (method, end): (i64, i64), headers: &[&str]) -> Request {
    let code = json!({ "presentation": "code" });
    let body = json!({ "pay_method": method, "end_type": end, "extra_params": code });
    posted(load, &format!("/api/pay/order/{sn}/pay/"), &body, headers)
}

fn posted(load: &Load, path: &str, body: &Value, headers: &[&str]) -> Request {
    let authorization = load.authorization();
    let own = ["content-type: application/json", authorization.as_str()];
    let headers = [&own, headers].concat();
    Request::new("POST", path, &headers, body.to_string().as_bytes())
}

/// The settings of one account at WeChat Pay and one at Alipay, as the simulators know them.
async fn accounts(simulators: &Process) -> Result<String, Fault> {
    let request = Request::new("GET", "/_sim/merchant", &[], b"");
    let reply = Connection::open(simulators.address).await?.send(&request).await?;
    let told: Value = serde_json::from_slice(&reply.body)?;
    let merchant = &told["merchants"][0];
    let (wechat, alipay) = (&merchant["wechat"], &merchant["alipay"]);
    // A text of JSON is one of TOML, too.
    Ok(format!(
        "[[payments.wechat_pay]]\nname = \"official_account\"\nmode = \"test\"\napp_id = {}\n\
         merchant_id = {}\nreach = {{ endpoint = \"http://{address}\" }}\n\
         v2 = {{ api_key = {{ value = {} }} }}\n\
         [[payments.alipay]]\nname = \"web\"\nmode = \"test\"\napp_id = {}\nseller_id = {}\n\
         reach = {{ endpoint = \"http://{address}/gateway.do\" }}\n\
         private_key = {{ value = {} }}\nalipay_public_key = {{ value = {} }}\n",
        wechat["apps"][0],
        wechat["mchid"],
        wechat["api_key"],
        alipay["app_id"],
        alipay["seller_id"],
        alipay["private_key"],
        alipay["alipay_public_key"],
        address = simulators.address,
    ))
}
