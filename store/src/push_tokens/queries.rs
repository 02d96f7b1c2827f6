//! What is asked about device tokens; every question stands on an index.

use schemas::{
    ApnsEnvironment, BundleId, PushTokenId, Timestamp, UserId, locale,
    push_token::{MAX_DEVICES, PushTokenState, cohort},
};

use super::PushTokenFilter;
use crate::query::{
    Condition,
    Direction::{Ascending, Descending},
    Query,
};

pub(crate) fn owned(owner: UserId, after: Option<PushTokenId>, limit: usize) -> Query {
    let states = PushTokenState::ALL.into_iter().filter(|state| *state != PushTokenState::Removed);
    let mut all = vec![
        Condition::Eq("user", owner.into()),
        Condition::In("state", states.map(|state| state.name().into()).collect()),
    ];
    all.extend(after.map(|number| Condition::Lt("number", number.into())));
    Query::all(all).sorted("number", Descending).limited(limit)
}

pub(crate) fn numbered(numbers: &[PushTokenId]) -> Query {
    let values = numbers.iter().map(|number| (*number).into()).collect();
    Query::all(vec![Condition::In("number", values)]).limited(numbers.len())
}

/// The devices of these users that get pushes, of every app: with more conditions an engine might
/// begin with all devices of the app instead.
pub(crate) fn reached(users: &[UserId]) -> Query {
    let limit = users.len() * (MAX_DEVICES * 2);
    let users = users.iter().map(|user| (*user).into()).collect();
    let states = PushTokenState::ALL.into_iter().filter(|state| state.gets_pushes());
    let states = states.map(|state| state.name().into()).collect();
    Query::all(vec![Condition::In("user", users), Condition::In("state", states)]).limited(limit)
}

pub(crate) fn listed(filter: &PushTokenFilter, after: Option<PushTokenId>, limit: usize) -> Query {
    let mut all = vec![in_reach(&filter.app, filter.environment)];
    all.extend(after.map(|number| Condition::Gt("number", number.into())));
    let exactly = |field, text: &Option<String>| {
        text.as_deref().map(|text| Condition::Eq(field, text.into()))
    };
    all.extend(exactly("locale", &filter.locale));
    all.extend(exactly("app_version", &filter.app_version));
    Query::all(all).sorted("number", Ascending).limited(limit)
}

pub(crate) fn next_locale(
    app: &BundleId,
    environment: ApnsEnvironment,
    range: &str,
    after: Option<&str>,
) -> Query {
    let (first, end) = locale::stretch(range);
    let begin = match after {
        None => Condition::Gte("locale", first.as_str().into()),
        Some(after) => Condition::Gt("locale", after.into()),
    };
    let all = vec![in_reach(app, environment), begin, Condition::Lt("locale", end.as_str().into())];
    Query::all(all).sorted("locale", Ascending).limited(1)
}

fn in_reach(app: &BundleId, environment: ApnsEnvironment) -> Condition {
    Condition::Eq("reach", cohort(app, environment).as_str().into())
}

pub(crate) fn quiet(
    app: &BundleId,
    environment: ApnsEnvironment,
    before: Timestamp,
    limit: usize,
) -> Query {
    let all = vec![in_reach(app, environment), Condition::Lt("registered_at", before.into())];
    Query::all(all).sorted("registered_at", Ascending).limited(limit)
}

pub(crate) fn signed_out(
    app: &BundleId,
    environment: ApnsEnvironment,
    now: Timestamp,
    limit: usize,
) -> Query {
    let all = vec![in_reach(app, environment), Condition::Lte("signed_in.until", now.into())];
    Query::all(all).sorted("signed_in.until", Ascending).limited(limit)
}

pub(crate) fn standing(
    app: &BundleId,
    environment: ApnsEnvironment,
    state: PushTokenState,
) -> Query {
    Query::all(vec![
        Condition::Eq("app", app.as_str().into()),
        Condition::Eq("environment", environment.name().into()),
        Condition::Eq("state", state.name().into()),
    ])
}

pub(crate) fn standing_since(
    app: &BundleId,
    environment: ApnsEnvironment,
    state: PushTokenState,
    since: Option<Timestamp>,
    before: Timestamp,
    limit: usize,
) -> Query {
    let mut query = standing(app, environment, state);
    query.all.extend(since.map(|since| Condition::Gte("state_at", since.into())));
    query.all.push(Condition::Lt("state_at", before.into()));
    query.sorted("state_at", Ascending).limited(limit)
}

pub(crate) fn next_app(after: Option<&BundleId>) -> Query {
    let after = after.map_or("", BundleId::as_str);
    Query::all(vec![Condition::Gt("app", after.into())]).sorted("app", Ascending).limited(1)
}

pub(crate) fn corrected(app: &BundleId, from: ApnsEnvironment) -> Query {
    Query::all(vec![
        Condition::Eq("app", app.as_str().into()),
        Condition::Eq("corrected_from", from.name().into()),
    ])
}

pub(crate) fn unreported(now: Timestamp, limit: usize) -> Query {
    Query::all(vec![Condition::Lte("unreported_since", now.into())])
        .sorted("unreported_since", Ascending)
        .limited(limit)
}
