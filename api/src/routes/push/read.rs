//! Reads a request for pushes. All that is wrong is said at once, by field.

use std::{collections::HashSet, time::Duration};

use schemas::{
    ApnsEnvironment, BundleId, DeviceToken, Timestamp, UserId, locale,
    push::{
        Addressee, Audience, MAX_ADDRESSEES, MAX_LIFE, MAX_MESSAGES, PushAddress, PushMessage,
        PushOrder, Segment, TokenAddress, USUAL_LIFE,
    },
};
use serde_json::{Map, Value};
use store::{Store, StoreError};

use super::message::{self, Frame, Problem, present, text};
use crate::error::ApiError;

const FIELDS: [&str; 9] =
    ["app", "environment", "message", "to", "messages", "name", "send_at", "expires_at", "rate"];

const TO_FIELDS: [&str; 5] = ["users", "tokens", "all", "locale", "app_version"];

const MAX_NAME: usize = 100;

/// Longest name of a version.
const MAX_LABEL: usize = 64;

/// Highest rate that can be asked for.
const MAX_RATE: u64 = 100_000;

/// How far ahead a campaign can be scheduled.
const MAX_AHEAD: Duration = Duration::from_hours(366 * 24);

/// Problems that are told at once.
const MAX_PROBLEMS: usize = 20;

/// What was found to be wrong so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, text: impl Into<String>) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push((field.into(), text.into()));
        }
    }

    fn note<T>(&mut self, field: &str, read: Result<T, impl Into<String>>) -> Option<T> {
        read.map_err(|text| self.add(field, text)).ok()
    }

    fn into_error(self) -> Option<ApiError> {
        let mut all = self.0.into_iter();
        let (field, text) = all.next()?;
        let first = ApiError::invalid(field, text);
        Some(all.fold(first, |error, (field, text)| error.and(field, text)))
    }
}

/// Reads the request `fields` at `now`. With `apps` only these may be pushed to.
///
/// # Errors
///
/// 400 that names every field that is wrong.
pub fn read_order(
    fields: &Map<String, Value>,
    apps: Option<&[BundleId]>,
    now: Timestamp,
) -> Result<PushOrder, ApiError> {
    let mut problems = Problems::default();
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        problems.add(name, "There is no such field.");
    }
    let app = problems.note("app", app(fields, apps));
    let environment = problems.note("environment", environment(fields)).flatten();
    let name = problems.note("name", label(fields, "name", MAX_NAME)).flatten();
    let rate = problems.note("rate", rate(fields)).flatten();
    let start_at = problems.note("send_at", start(fields, now)).unwrap_or(now);
    let ends = problems.note("expires_at", end(fields, start_at)).flatten();
    let unknown_app = || "app".parse().ok();
    let Some(frame_app) = app.clone().or_else(unknown_app) else { return Err(unreadable()) };
    let frame = Frame { app: &frame_app, expiration: ends, now: start_at };
    let content = content(fields, &frame, &mut problems);
    if let Some(error) = problems.into_error() {
        return Err(error);
    }
    let (Some(app), Some((messages, audience))) = (app, content) else { return Err(unreadable()) };
    let expires_at = ends.unwrap_or(start_at + USUAL_LIFE);
    Ok(PushOrder { app, name, environment, messages, audience, start_at, expires_at, rate })
}

fn unreadable() -> ApiError {
    ApiError::invalid("non_field_errors", "The request cannot be read.")
}

/// Notes who has each device token now: a token that changes hands before it is sent gets
/// nothing.
///
/// # Errors
///
/// When the store does not answer.
pub async fn resolve(store: &Store, order: &mut PushOrder) -> Result<(), StoreError> {
    let Audience::Listed(all) = &mut order.audience else { return Ok(()) };
    let mut named: Vec<_> = all
        .iter_mut()
        .filter_map(|one| match &mut one.to {
            PushAddress::Token(address) => Some(address),
            PushAddress::User(_) => None,
        })
        .collect();
    for some in named.chunks_mut(1_000) {
        let tokens: Vec<_> = some.iter().map(|address| address.token.clone()).collect();
        let found = store.push_tokens.get_many(&order.app, &tokens).await?;
        for (address, device) in some.iter_mut().zip(found) {
            address.user = device.map_or(UserId::FEAT, |device| device.owner);
        }
    }
    Ok(())
}

fn app(fields: &Map<String, Value>, apps: Option<&[BundleId]>) -> Result<BundleId, &'static str> {
    let name = text(fields, "app")?.ok_or("This field is required.")?;
    let app: BundleId = name.parse().map_err(|_| "Send a bundle id.")?;
    if apps.is_some_and(|apps| !apps.contains(&app)) {
        return Err("Pushes to this app are not set up here.");
    }
    Ok(app)
}

fn environment(fields: &Map<String, Value>) -> Result<Option<ApnsEnvironment>, &'static str> {
    let Some(name) = text(fields, "environment")? else { return Ok(None) };
    let found = ApnsEnvironment::ALL.into_iter().find(|one| one.name() == name);
    found.map(Some).ok_or("Send sandbox or production.")
}

fn label(fields: &Map<String, Value>, name: &str, most: usize) -> Result<Option<String>, String> {
    let Some(text) = text(fields, name)? else { return Ok(None) };
    if text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(format!("Send at most {most} characters, none of them a control character."));
    }
    Ok(Some(text.to_owned()))
}

fn rate(fields: &Map<String, Value>) -> Result<Option<u32>, &'static str> {
    let Some(value) = present(fields, "rate") else { return Ok(None) };
    let rate = value.as_u64().filter(|rate| (1..=MAX_RATE).contains(rate));
    let rate = rate.and_then(|rate| u32::try_from(rate).ok());
    rate.map(Some).ok_or("Send a whole number of pushes in a second, from 1 to 100000.")
}

fn moment(fields: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, &'static str> {
    let Some(text) = text(fields, name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| "Send a time such as 2026-02-03T04:05:06Z.")
}

/// When it starts; a time that has passed is now.
fn start(fields: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, &'static str> {
    let start = moment(fields, "send_at")?.map_or(now, |start| start.max(now));
    if start > now + MAX_AHEAD { Err("It lies more than a year ahead.") } else { Ok(start) }
}

fn end(fields: &Map<String, Value>, start: Timestamp) -> Result<Option<Timestamp>, &'static str> {
    match moment(fields, "expires_at")? {
        Some(end) if end <= start => Err("It lies before the start."),
        Some(end) if end > start + MAX_LIFE => Err("It lies more than 30 days after the start."),
        end => Ok(end),
    }
}

/// The messages and who gets them.
fn content(
    fields: &Map<String, Value>,
    frame: &Frame<'_>,
    problems: &mut Problems,
) -> Option<(Vec<PushMessage>, Audience)> {
    match (present(fields, "message"), present(fields, "messages")) {
        (Some(Value::Object(message)), None) => {
            if message.contains_key("to") {
                problems.add("message.to", "Send it beside message.");
            }
            let message = read_message(message, "message", frame, problems);
            let audience = problems.note("to", to(fields).map(Reach::audience));
            Some((vec![message?], audience?))
        }
        (None, Some(Value::Array(messages))) => {
            if present(fields, "to").is_some() {
                problems.add("to", "Each message has its own.");
            }
            many(messages, frame, problems)
        }
        (Some(_), Some(_)) => {
            problems.add("messages", "Send either message or messages.");
            None
        }
        (None, None) => {
            problems.add("message", "This field is required.");
            None
        }
        (Some(_), None) => {
            problems.add("message", "Send an object.");
            None
        }
        (None, Some(_)) => {
            problems.add("messages", "Send a list.");
            None
        }
    }
}

fn many(
    messages: &[Value],
    frame: &Frame<'_>,
    problems: &mut Problems,
) -> Option<(Vec<PushMessage>, Audience)> {
    if !(1..=MAX_MESSAGES).contains(&messages.len()) {
        problems.add("messages", format!("Send 1 to {MAX_MESSAGES} messages."));
        return None;
    }
    let (mut read, mut listed) = (Vec::new(), Vec::new());
    for (place, message) in messages.iter().enumerate() {
        let at = format!("messages[{place}]");
        let Value::Object(message) = message else {
            problems.add(at, "Send an object.");
            continue;
        };
        read.extend(read_message(message, &at, frame, problems));
        match to(message) {
            Ok(Reach::Listed(all)) => {
                let number = u16::try_from(place).unwrap_or(u16::MAX);
                listed.extend(all.into_iter().map(|to| Addressee { message: number, to }));
            }
            Ok(Reach::Segment(_)) => {
                problems.add(format!("{at}.to"), "Name users or tokens.");
            }
            Err(text) => problems.add(format!("{at}.to"), text),
        }
    }
    if listed.len() > MAX_ADDRESSEES {
        problems.add("messages", format!("Name at most {MAX_ADDRESSEES} users and tokens."));
    }
    Some((read, Audience::Listed(listed)))
}

fn read_message(
    message: &Map<String, Value>,
    at: &str,
    frame: &Frame<'_>,
    problems: &mut Problems,
) -> Option<PushMessage> {
    message::read(message, at, frame).map_err(|(field, text)| problems.add(field, text)).ok()
}

/// Who is meant.
enum Reach {
    Listed(Vec<PushAddress>),
    Segment(Segment),
}

impl Reach {
    fn audience(self) -> Audience {
        match self {
            Self::Segment(segment) => Audience::Segment(segment),
            Self::Listed(all) => {
                let all = all.into_iter().map(|to| Addressee { message: 0, to });
                Audience::Listed(all.collect())
            }
        }
    }
}

fn to(fields: &Map<String, Value>) -> Result<Reach, String> {
    let Some(to) = present(fields, "to") else { return Err("This field is required.".into()) };
    let Value::Object(to) = to else { return Err("Send an object.".into()) };
    if let Some(name) = to.keys().find(|name| !TO_FIELDS.contains(&name.as_str())) {
        return Err(format!("There is no field {name}."));
    }
    let users = list(to, "users", |value| value.as_i64().and_then(UserId::new))?;
    let tokens = list(to, "tokens", |value| value.as_str()?.parse::<DeviceToken>().ok())?;
    let segment =
        Segment { locale: languages(to)?, app_version: label(to, "app_version", MAX_LABEL)? };
    let all = match present(to, "all") {
        None | Some(Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(_) => return Err("all: Send true.".into()),
    };
    let part = segment != Segment::default();
    match (users.is_some() || tokens.is_some(), all, part) {
        (true, false, false) => {
            let users = users.unwrap_or_default().into_iter().map(PushAddress::User);
            let token = |token| PushAddress::Token(TokenAddress { token, user: UserId::FEAT });
            let tokens = tokens.unwrap_or_default().into_iter().map(token);
            let listed: Vec<_> = users.chain(tokens).collect();
            if (1..=MAX_ADDRESSEES).contains(&listed.len()) {
                Ok(Reach::Listed(listed))
            } else {
                Err(format!("Name 1 to {MAX_ADDRESSEES} users and tokens."))
            }
        }
        (false, true, false) | (false, false, true) => Ok(Reach::Segment(segment)),
        (false, false, false) => Err("Name users or tokens, a locale, a version, or all.".into()),
        _ => Err("Name either users and tokens, or a locale and a version, or all.".into()),
    }
}

/// The languages and regions that are meant.
fn languages(to: &Map<String, Value>) -> Result<Option<String>, String> {
    let Some(range) = text(to, "locale")? else { return Ok(None) };
    let range = locale::spelled(range);
    range.map(Some).ok_or_else(|| "locale: Send a language such as zh or zh-Hans-CN.".to_owned())
}

/// A list without what stands in it twice.
fn list<T: Clone + Eq + std::hash::Hash>(
    to: &Map<String, Value>,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<Vec<T>>, String> {
    let Some(value) = present(to, name) else { return Ok(None) };
    let Value::Array(items) = value else { return Err(format!("{name}: Send a list.")) };
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let one = read(item).ok_or_else(|| format!("{name}[{place}] names nobody."))?;
        if seen.insert(one.clone()) {
            all.push(one);
        }
    }
    Ok(Some(all))
}
