//! `feat push send`: the same request as over HTTP, made by an operator.

use std::io::Read;

use api::error::ApiError;
use schemas::{
    JobRecord, PushId, Timestamp, UserId,
    audit::Action,
    job::NewJob,
    kinds::PushFanOut,
    push::{PushCampaign, PushOrder},
};
use serde_json::{Map, Value, json};

use super::{operator, publish, record, tell};
use crate::{accounts::find_user, args::SendPush, failure::Failure, output::Form, place::Opened};

/// Records the campaign and lets the workers know.
///
/// # Errors
///
/// [`Failure`] names every field that is wrong; nothing is sent then.
pub(super) async fn run(opened: &Opened, args: &SendPush) -> Result<(), Failure> {
    let operator = operator(args.operator.as_deref())?;
    let owner = match &args.owner {
        Some(user) => find_user(&opened.store, user).await?.id,
        None => UserId::FEAT,
    };
    let now = Timestamp::now();
    let request = request(opened, args).await?;
    let mut order = api::read_push_order(&request, None, now).map_err(|error| misuse(&error))?;
    api::resolve_push_order(&opened.store, &mut order).await?;
    let campaign = accept(opened, &order, owner, &operator.to_string(), now).await?;
    record(opened, &operator, Action::CampaignMade, &campaign).await?;
    tell(opened, &campaign, Form::chosen(args.place.json)).await
}

async fn accept(
    opened: &Opened,
    order: &PushOrder,
    owner: UserId,
    by: &str,
    now: Timestamp,
) -> Result<PushCampaign, Failure> {
    let report = |error| Failure::setup(error, "Report this");
    let mut new = NewJob::of::<PushFanOut>(owner, order).map_err(report)?;
    new.run_at = (order.start_at > now).then_some(order.start_at);
    let job = JobRecord::accept(new, by, now);
    let _ = opened.store.jobs.insert(&job).await?;
    let campaign = PushCampaign::of(order, PushId::of_job(job.id), owner, now);
    // A worker may have been quicker.
    let _ = opened.store.pushes.insert(&campaign).await?;
    if order.start_at <= now {
        publish(opened, &job).await;
    }
    Ok(campaign)
}

/// The body that `POST /api/push/` would get.
async fn request(opened: &Opened, args: &SendPush) -> Result<Map<String, Value>, Failure> {
    if let Some(file) = &args.file {
        return read(file);
    }
    let mut users = Vec::new();
    for user in &args.users {
        users.push(find_user(&opened.store, user).await?.id);
    }
    let mut to = Map::new();
    let mut put = |name: &str, value: Value, given: bool| {
        if given {
            to.insert(name.to_owned(), value);
        }
    };
    put("users", json!(users), !users.is_empty());
    put("tokens", json!(args.tokens), !args.tokens.is_empty());
    put("all", json!(true), args.all);
    put("locale", json!(args.locale), args.locale.is_some());
    put("app_version", json!(args.app_version), args.app_version.is_some());
    let alert = match &args.title {
        Some(title) => json!({ "title": title, "body": args.alert }),
        None => json!(args.alert),
    };
    let aps = json!({ "alert": alert, "badge": args.badge, "sound": args.sound });
    let request = json!({
        "app": args.app,
        "environment": args.environment,
        "to": to,
        "message": { "aps": aps, "collapse_id": args.collapse_id },
        "send_at": args.send_at,
        "expires_at": args.expires_at,
        "rate": args.rate,
        "name": args.name,
    });
    match request {
        Value::Object(fields) => Ok(fields),
        _ => Err(Failure::Misuse("the request is no object".to_owned())),
    }
}

fn read(file: &std::path::Path) -> Result<Map<String, Value>, Failure> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| {
        Failure::setup(format!("cannot read {}: {error}", file.display()), "Name another file")
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Misuse(format!("{} is no request: {error}", file.display())))
}

fn misuse(error: &ApiError) -> Failure {
    let fields = error.data().as_object().into_iter().flatten();
    let told = fields.map(|(field, texts)| {
        let texts = texts.as_array().into_iter().flatten().filter_map(Value::as_str);
        format!("{field}: {}", texts.collect::<Vec<_>>().join(" "))
    });
    let told = told.collect::<Vec<_>>().join("\n  ");
    Failure::Misuse(format!("{error}\n  {told}"))
}
