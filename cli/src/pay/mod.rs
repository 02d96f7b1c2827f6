//! `feat pay`: look at bills, and decide by name and with evidence what no provider tells.
//!
//! A decision is a guarded save of the bill and stays in its record. The jobs that waited for it
//! are then made due, so that a worker brings them to their end.

mod look;
mod reconcile;

use schemas::{
    BillRecord, BillSn, Fen, Job, JobRecord, JobState, Queue, Timestamp, UserId,
    audit::Action,
    bill::{BillRefusal, MAX_EVIDENCE_CHARS, Paid, PaymentNews, RefundNews, RefundState},
    job::NewJob,
    kinds::{
        PayClose, PayCreate, PayRefund, PayRefundQuery,
        pay_refund::{Approval, RefundWish},
    },
};
use serde_json::json;
use store::{Insert, JobFilter, Save};

use crate::{
    args::{self, DecideRefund, SettleBill, Word},
    audit,
    failure::Failure,
    output::{self, Form},
    place::{self, Opened},
};

/// Times that a bill is read again because somebody else saved it first.
const TRIES: usize = 8;

/// Bills listed at a time.
const PAGE: usize = 100;

/// Kinds of jobs that may wait for an operator's word about a bill.
const WOKEN: [&str; 4] = [PayCreate::KIND, PayRefund::KIND, PayRefundQuery::KIND, PayClose::KIND];

/// Does what was asked of bills.
///
/// # Errors
///
/// [`Failure`]; a decision that was not saved was not made.
pub(crate) async fn run(command: args::Pay) -> Result<(), Failure> {
    let at = match &command {
        args::Pay::List(args) => &args.place.inner,
        args::Pay::Show(args) => &args.place.inner,
        args::Pay::Held(args) => &args.inner,
        args::Pay::Approve(args) | args::Pay::Drop(args) => &args.place.inner,
        args::Pay::Settle(args) => &args.place.inner,
        args::Pay::Reconcile(args) => &args.place.inner,
    };
    let opened = place::open(at).await?;
    let outcome = match &command {
        args::Pay::List(args) => look::list(&opened, args).await,
        args::Pay::Show(args) => look::show(&opened, args).await,
        args::Pay::Held(args) => look::held(&opened, Form::chosen(args.json)).await,
        args::Pay::Approve(args) => approve(&opened, args).await,
        args::Pay::Drop(args) => drop_refund(&opened, args).await,
        args::Pay::Settle(args) => settle(&opened, args).await,
        args::Pay::Reconcile(args) => reconcile::run(&opened, args).await,
    };
    opened.close().await;
    outcome
}

async fn approve(opened: &Opened, args: &DecideRefund) -> Result<(), Failure> {
    let word = Operator::of(&args.word)?;
    let bill = read(opened, &args.sn).await?;
    let refund = bill.refund(args.refund).ok_or(BillRefusal::Unheard).map_err(refused)?;
    if refund.state != RefundState::Held {
        return Err(refused(BillRefusal::Ended));
    }
    let wish = RefundWish {
        sn: bill.id.clone(),
        amount: refund.amount,
        reason: refund.reason.clone(),
        held: Some(Approval {
            refund: refund.number,
            operator: word.name.clone(),
            evidence: word.evidence.clone(),
        }),
    };
    let mut job = NewJob::of::<PayRefund>(UserId::FEAT, &wish)
        .map_err(|error| Failure::setup(error, "Report this"))?;
    // The refund has one job, however often it is approved.
    job.unique_key = Some(format!("{}:{}:held:{}", PayRefund::KIND, bill.id, refund.number));
    job.queue = bill.attempt(refund.attempt).map(|one| Queue::of_channel(one.channel));
    let job = JobRecord::accept(job, &word.name, Timestamp::now());
    if opened.store.jobs.insert(&job).await? == Insert::Taken {
        return Err(Failure::setup("it is approved already", "`feat jobs list` shows its job"));
    }
    publish(opened, &job).await;
    let what = format!("refund {}: {}", refund.number, word.evidence);
    word.record(opened, Action::RefundApproved, &bill, &what).await?;
    match Form::chosen(args.place.json) {
        Form::Json => {
            let line = json!({ "bill": bill.id, "refund": refund.number, "job": job.id });
            output::json(&line)?;
        }
        Form::Table => output::line(format!("refund {} is sent by job {}", refund.number, job.id))?,
    }
    Ok(())
}

async fn drop_refund(opened: &Opened, args: &DecideRefund) -> Result<(), Failure> {
    let word = Operator::of(&args.word)?;
    let bill = change(opened, &args.sn, |bill| {
        bill.drop_refund(args.refund, &word.name, &word.evidence, Timestamp::now())
    })
    .await?;
    let what = format!("refund {}: {}", args.refund, word.evidence);
    word.record(opened, Action::RefundDropped, &bill, &what).await?;
    match Form::chosen(args.place.json) {
        Form::Json => {
            let line = json!({ "bill": bill.id, "refund": args.refund, "state": "dropped" });
            output::json(&line)?;
        }
        Form::Table => output::line(format!("refund {} is dropped", args.refund))?,
    }
    Ok(())
}

async fn settle(opened: &Opened, args: &SettleBill) -> Result<(), Failure> {
    let word = Operator::of(&args.word)?;
    let bill = match (args.attempt, args.refund) {
        (Some(attempt), _) => {
            let paid = paid(args)?;
            change(opened, &args.sn, |bill| {
                let now = Timestamp::now();
                let (name, evidence) = (&word.name, &word.evidence);
                match bill.settle_attempt(attempt, paid.as_ref(), name, evidence, now)? {
                    PaymentNews::Counted(next)
                    | PaymentNews::Surplus(next, _)
                    | PaymentNews::Contradiction(next) => Ok(next),
                    PaymentNews::Known => Err(BillRefusal::Ended),
                }
            })
            .await?
        }
        (None, Some(refund)) => {
            nobody_sends(opened, &args.sn, refund).await?;
            change(opened, &args.sn, |bill| {
                let now = Timestamp::now();
                let (name, evidence) = (&word.name, &word.evidence);
                match bill.settle_refund(refund, args.succeeded, name, evidence, now)? {
                    RefundNews::Changed(next) | RefundNews::Contradiction(next) => Ok(next),
                    RefundNews::Known => Err(BillRefusal::Ended),
                }
            })
            .await?
        }
        (None, None) => return Err(Failure::Misuse("name an attempt or a refund".to_owned())),
    };
    let what = match (args.attempt, args.refund) {
        (Some(attempt), _) => format!("attempt {attempt}: {}", word.evidence),
        (None, refund) => format!("refund {}: {}", refund.unwrap_or_default(), word.evidence),
    };
    word.record(opened, Action::BillSettled, &bill, &what).await?;
    let woken = wake(opened, &bill, &word.name).await?;
    let status = bill.status.number();
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&json!({ "bill": bill.id, "status": status, "woken": woken }))?,
        Form::Table => output::line(format!(
            "settled; the bill has status {status}, {} made due",
            output::counted(woken, "job")
        ))?,
    }
    Ok(())
}

/// A run of the refund's job may be about to send it, and would do so after the decision.
async fn nobody_sends(opened: &Opened, sn: &BillSn, refund: u32) -> Result<(), Failure> {
    let bill = read(opened, sn).await?;
    let Some(id) = bill.refund(refund).and_then(|refund| refund.job) else { return Ok(()) };
    let job = opened.store.jobs.get(id).await?;
    let now = Timestamp::now();
    let holds = |job: &JobRecord| job.lease.as_ref().is_some_and(|lease| lease.until > now);
    match job.filter(|job| job.state == JobState::Running && holds(job)) {
        Some(job) => Err(Failure::setup(
            format!("job {} works on refund {refund} just now", job.id),
            "Wait until it has ended, then look at the bill again",
        )),
        None => Ok(()),
    }
}

fn paid(args: &SettleBill) -> Result<Option<Paid>, Failure> {
    if !args.paid {
        return Ok(None);
    }
    let misuse = |text: &str| Failure::Misuse(text.to_owned());
    let amount = args.amount.and_then(Fen::new).ok_or_else(|| misuse("--amount is no sum"))?;
    let id = args.transaction.clone().filter(|id| !id.trim().is_empty());
    let transaction_id = id.ok_or_else(|| misuse("--transaction is empty"))?;
    Ok(Some(Paid { transaction_id, amount, at: Timestamp::now() }))
}

/// A named person and what their decision rests on.
struct Operator {
    name: String,
    evidence: String,
    person: audit::Operator,
}

impl Operator {
    fn of(word: &Word) -> Result<Self, Failure> {
        let evidence = word.evidence.trim().to_owned();
        if !(1..=MAX_EVIDENCE_CHARS).contains(&evidence.chars().count()) {
            let text = format!("--evidence: expected 1 to {MAX_EVIDENCE_CHARS} characters");
            return Err(Failure::Misuse(text));
        }
        let named = word.operator.clone().or_else(|| std::env::var("USER").ok());
        let name = named.filter(|name| !name.trim().is_empty()).ok_or_else(|| {
            Failure::Misuse("say who decides, with --as NAME: it stays in the record".to_owned())
        })?;
        let person = audit::Operator::of(Some(&name));
        Ok(Self { name: format!("operator {}", name.trim()), evidence, person })
    }

    /// Writes down what was decided about `bill`.
    async fn record(
        &self,
        opened: &Opened,
        action: Action,
        bill: &BillRecord,
        what: &str,
    ) -> Result<(), Failure> {
        let entry = self.person.entry(action).about(bill.owner).subject(&bill.id).detail(what);
        self.person.record(&opened.store, &entry).await
    }
}

async fn read(opened: &Opened, sn: &BillSn) -> Result<BillRecord, Failure> {
    let found = opened.store.bills.get(sn).await?;
    found.ok_or_else(|| Failure::setup(format!("there is no bill {sn}"), "Correct its number"))
}

/// Saves what `step` makes of the bill, as it stands when nobody else is quicker.
async fn change(
    opened: &Opened,
    sn: &BillSn,
    step: impl Fn(BillRecord) -> Result<BillRecord, BillRefusal>,
) -> Result<BillRecord, Failure> {
    for _ in 0..TRIES {
        let next = step(read(opened, sn).await?).map_err(refused)?;
        if opened.store.bills.save(&next).await? == Save::Stored {
            return Ok(next);
        }
    }
    Err(Failure::setup("others change the bill all the time", "Try again"))
}

fn refused(refusal: BillRefusal) -> Failure {
    Failure::setup(refusal, "`feat pay show` tells how it stands")
}

/// Makes the bill's jobs due whose outcome was unknown: they find the decision.
async fn wake(opened: &Opened, bill: &BillRecord, operator: &str) -> Result<u64, Failure> {
    let mut woken = 0;
    for owner in [bill.owner, UserId::FEAT] {
        let filter = JobFilter {
            owner: Some(owner),
            kinds: WOKEN.map(str::to_owned).into(),
            states: vec![JobState::Unknown],
            ..JobFilter::default()
        };
        let mut after = None;
        loop {
            let page = opened.store.jobs.list(&filter, after, PAGE).await?;
            after = page.last().map(|job| job.id);
            let full = page.len() == PAGE;
            for job in page.into_iter().filter(|job| job.payload["sn"] == bill.id.as_str()) {
                let Ok(next) = job.publish("settled by an operator", operator, Timestamp::now())
                else {
                    continue;
                };
                if opened.store.jobs.save(&next).await? == Save::Stored {
                    woken += 1;
                    publish(opened, &next).await;
                }
            }
            if !full {
                break;
            }
        }
    }
    Ok(woken)
}

/// Spares the workers the wait for their sweep. Best effort: they look by themselves.
async fn publish(opened: &Opened, job: &JobRecord) {
    opened.broker_ready().await;
    if let Some(broker) = &opened.broker
        && let Err(error) = broker.publish(job).await
    {
        tracing::debug!(job_id = %job.id, %error, "the workers will find it by themselves");
    }
}
