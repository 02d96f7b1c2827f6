//! The same records that Feat stores, in the same form, for writing them without Feat.

use bson::{RawArrayBuf, RawDocumentBuf, cstr, rawdoc};
use mongodb::Database;
use schemas::{
    ImageId, Job, JobRecord, JobSpec, Timestamp, UserId, Verdict,
    image::{ImageFormat, ImageRecord},
    job::NewJob,
    kinds::{
        ImageDelete,
        image_delete::{DeletionReceipt, ImageDeletion},
    },
};
use serde::Serialize;

use super::Fault;

/// Documents of one command.
pub(super) const BATCH: usize = 100;

/// One command with statements for one collection.
#[derive(Debug)]
pub(super) struct Command {
    name: &'static str,
    collection: &'static str,
    statements: RawArrayBuf,
    count: usize,
}

impl Command {
    /// Adds new records.
    pub(super) fn insert(
        collection: &'static str,
        records: &[impl Serialize],
    ) -> Result<Self, Fault> {
        let mut statements = RawArrayBuf::new();
        for record in records {
            statements.push(stored_form(record)?);
        }
        Ok(Self { name: "insert", collection, statements, count: records.len() })
    }

    /// Replaces each record of the version before.
    pub(super) fn replace(
        collection: &'static str,
        records: &[impl Serialize],
    ) -> Result<Self, Fault> {
        let mut statements = RawArrayBuf::new();
        for record in records {
            let next = stored_form(record)?;
            let mut guard = RawDocumentBuf::new();
            for name in [cstr!("_id"), cstr!("owner")] {
                guard.append(name, next.get(name)?.ok_or("a record without its key")?);
            }
            guard.append(cstr!("version"), next.get_i64("version")? - 1);
            // As in Feat: without it the server weighs every index of the owner.
            statements.push(rawdoc! { "q": guard, "u": next, "hint": { "_id": 1 } });
        }
        Ok(Self { name: "update", collection, statements, count: records.len() })
    }

    /// Sends it; every statement must have its effect.
    pub(super) async fn send(self, database: &Database) -> Result<(), Fault> {
        let (name, list) = match self.name {
            "insert" => (cstr!("insert"), cstr!("documents")),
            _ => (cstr!("update"), cstr!("updates")),
        };
        let mut command = RawDocumentBuf::new();
        command.append(name, self.collection);
        command.append(list, self.statements);
        command.append(cstr!("ordered"), false);
        command.append(cstr!("writeConcern"), rawdoc! { "w": "majority", "j": true });
        let reply = database.run_raw_command(command).await?;
        let effective = reply.get_i32("n").ok().and_then(|n| usize::try_from(n).ok());
        if effective == Some(self.count) && !reply.contains_key("writeConcernError") {
            return Ok(());
        }
        Err(format!("MongoDB did not do all that it was told: {reply}").into())
    }
}

/// As Feat's store has it: `id` is `_id`, and every save has its own revision.
fn stored_form(record: &impl Serialize) -> Result<RawDocumentBuf, Fault> {
    let plain = bson::serialize_to_raw_document_buf(record)?;
    let mut stored = RawDocumentBuf::new();
    for element in &plain {
        let (name, value) = element?;
        stored.append(if name.as_str() == "id" { cstr!("_id") } else { name }, value);
    }
    stored.append(cstr!("revision"), rand::random::<i64>());
    Ok(stored)
}

/// Picture `number` of `owner`, as it is after its upload.
pub(super) fn image(owner: UserId, number: usize) -> Result<ImageRecord, Fault> {
    let id = i64::try_from(number)?.checked_add(1).and_then(ImageId::new);
    Ok(ImageRecord {
        id: id.ok_or("too many pictures")?,
        owner,
        version: 1,
        file_name: format!("{number:026}.png"),
        format: ImageFormat::Png,
        bytes: 70,
        digest: "0".repeat(64),
        width: 1,
        height: 1,
        tags: Vec::new(),
        created_at: Timestamp::now(),
        deletion: None,
    })
}

/// The job that deletes `image`, as it is accepted.
pub(super) fn deletion(image: &ImageRecord) -> Result<JobRecord, Fault> {
    let payload = ImageDeletion { image: image.id };
    let mut new = NewJob::of::<ImageDelete>(image.owner, &payload)?;
    new.unique_key = Some(payload.unique_key());
    new.request_id = Some(format!("{:032x}", rand::random::<u128>()));
    Ok(JobRecord::accept(new, "api", Timestamp::now()))
}

/// The same job when it has succeeded.
pub(super) fn settled(job: JobRecord) -> Result<JobRecord, Fault> {
    let deletion: <ImageDelete as Job>::Payload = serde_json::from_value(job.payload.clone())?;
    let output = DeletionReceipt { image: deletion.image, files_removed: 1 };
    let verdict = Verdict::Done(serde_json::to_value(output)?);
    Ok(job.settle(&JobSpec::of::<ImageDelete>(), verdict, "floor", Timestamp::now(), 0.0)?)
}

/// Stores `count` pictures, their files aside, and returns their ids.
pub(super) async fn store_images(
    database: &Database,
    owner: UserId,
    count: usize,
) -> Result<Vec<i64>, Fault> {
    let numbers: Vec<_> = (0..count).collect();
    for numbers in numbers.chunks(BATCH * 10) {
        let images: Vec<_> =
            numbers.iter().map(|number| image(owner, *number)).collect::<Result<_, _>>()?;
        Command::insert("images", &images)?.send(database).await?;
    }
    Ok((1..=i64::try_from(count)?).collect())
}
