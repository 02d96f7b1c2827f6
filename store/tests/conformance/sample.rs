//! Records to store.

use std::time::Duration;

use schemas::{
    BillRecord, BillSn, Currency, Fen, ImageId, JobRecord, JobState, Queue, Timestamp, UserId,
    bill::NewBill,
    image::{ImageFormat, ImageRecord},
    job::NewJob,
    kinds::{ImageDelete, image_delete::ImageDeletion},
};

pub(crate) fn user(number: i64) -> UserId {
    UserId::new(number).unwrap()
}

/// 2026-01-01 and so many seconds.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000) + Duration::from_secs(seconds)
}

/// A queued job of user 7.
pub(crate) fn job() -> JobRecord {
    job_of(user(7))
}

pub(crate) fn job_of(owner: UserId) -> JobRecord {
    let payload = ImageDeletion { image: ImageId::new(41).unwrap() };
    let new = NewJob::of::<ImageDelete>(owner, &payload).unwrap();
    JobRecord::accept(new, "api", Timestamp::now())
}

/// A job in `state` that wakes so many seconds after 2026-01-01.
pub(crate) fn job_in(state: JobState, queue: Queue, wakes: u64) -> JobRecord {
    JobRecord { state, queue, wake_at: Some(at(wakes)), ..job() }
}

/// The next version of a job, told apart from others by `request`.
pub(crate) fn next(job: &JobRecord, request: &str) -> JobRecord {
    JobRecord { version: job.version + 1, request_id: Some(request.to_owned()), ..job.clone() }
}

/// A picture of user 7.
pub(crate) fn image(tags: &[&str]) -> ImageRecord {
    let id = ImageId::generate();
    ImageRecord {
        id,
        owner: user(7),
        version: 1,
        file_name: format!("{id}.png"),
        format: ImageFormat::Png,
        bytes: 1_000,
        digest: "00".repeat(32),
        width: 10,
        height: 20,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        created_at: Timestamp::now(),
        deletion: None,
    }
}

/// An unpaid bill of 12.50 yuan, made so many seconds after 2026-01-01.
pub(crate) fn bill_of(owner: UserId, made: u64) -> BillRecord {
    let new = NewBill {
        owner,
        amount: Fen::new(1_250).unwrap(),
        currency: Currency::Cny,
        subject: "茶".to_owned(),
        client_ref: None,
        expires_at: at(made + 7_200),
    };
    BillRecord::open(new, BillSn::generate(at(made)), at(made))
}
