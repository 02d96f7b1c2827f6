//! What a registration says, checked field by field. The names of the fields are in one place:
//! here, and in the view.

use poem_openapi::Object;
use schemas::{
    ApnsEnvironment, BundleId, DeviceToken, kinds::push_token_register::TokenRegistration, locale,
};

use crate::{auth::Caller, error::ApiError, routes::json_body::JsonBody};

pub(super) const DEVICE_TOKEN: &str = "device_token";
const DEVICE_ID: &str = "device_id";
pub(super) const BUNDLE_ID: &str = "bundle_id";
const ENVIRONMENT: &str = "environment";
const LOCALE: &str = "locale";
const APP_VERSION: &str = "app_version";

/// Longest name of a device, in characters.
const MAX_DEVICE_ID: usize = 255;

/// Longest version of an app, in bytes.
const MAX_VERSION: usize = 64;

/// A device that is to get pushes.
#[derive(Object)]
#[oai(rename = "DeviceRegistration")]
pub(super) struct Registration {
    /// Apple's address of the device: 2 to 200 hexadecimal digits, an even number of them.
    device_token: String,
    /// The device, as the client names it; that of the sign-in unless it is given. A device has
    /// one token for an app in an environment.
    device_id: Option<String>,
    /// The app; only needed where no default is configured.
    bundle_id: Option<String>,
    /// `sandbox` or `production`, which is the default.
    environment: Option<String>,
    /// Language and region, such as `zh-Hans-CN`.
    locale: Option<String>,
    /// Version of the app.
    app_version: Option<String>,
}

/// A device that is to get no pushes any more.
#[derive(Object)]
#[oai(rename = "DeviceRemoval")]
pub(super) struct Removal {
    /// Apple's address of the device.
    device_token: String,
    /// Only for this app.
    bundle_id: Option<String>,
}

/// The registration that `body` describes. All that is wrong is said at once.
///
/// # Errors
///
/// 400 that names the fields.
pub(super) fn registration(
    body: &JsonBody<Registration>,
    caller: &Caller,
    default_app: Option<&BundleId>,
) -> Result<TokenRegistration, ApiError> {
    let (token, app) = (token(body), app(body, default_app));
    let environment = environment(body);
    let device_id = text(body, DEVICE_ID, |text| {
        let fits = (1..=MAX_DEVICE_ID).contains(&text.chars().count());
        fits && !text.chars().any(char::is_control)
    });
    let language = text(body, LOCALE, |text| locale::spelled(text).is_some());
    let app_version = text(body, APP_VERSION, |text| {
        (1..=MAX_VERSION).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let problems = [
        (DEVICE_TOKEN, token.as_ref().err()),
        (DEVICE_ID, device_id.as_ref().err()),
        (BUNDLE_ID, app.as_ref().err()),
        (ENVIRONMENT, environment.as_ref().err()),
        (LOCALE, language.as_ref().err()),
        (APP_VERSION, app_version.as_ref().err()),
    ];
    let problems = problems.into_iter().filter_map(|(field, text)| Some((field, *text?)));
    let problem = problems.fold(None, |all: Option<ApiError>, (field, text)| {
        Some(match all {
            None => ApiError::invalid(field, text),
            Some(all) => all.and(field, text),
        })
    });
    if let Some(problem) = problem {
        return Err(problem);
    }
    let unreadable = |_| ApiError::invalid("non_field_errors", "The device cannot be read.");
    Ok(TokenRegistration {
        app: app.map_err(unreadable)?,
        environment: environment.map_err(unreadable)?,
        token: token.map_err(unreadable)?,
        device_id: device_id.map_err(unreadable)?,
        session: caller.session,
        key: caller.key,
        // One language has one spelling, so that a segment finds all of its devices.
        locale: language.map_err(unreadable)?.and_then(|text| locale::spelled(&text)),
        app_version: app_version.map_err(unreadable)?,
        received_at: schemas::Timestamp::now(),
    })
}

/// The token that `body` names.
///
/// # Errors
///
/// What to send instead.
pub(super) fn token<T>(body: &JsonBody<T>) -> Result<DeviceToken, &'static str> {
    let value = body.get(DEVICE_TOKEN).ok_or("This field is required.")?;
    let token = value.as_str().and_then(|text| text.trim().parse().ok());
    token.ok_or("Send 2 to 200 hexadecimal digits, an even number of them.")
}

/// The app that `body` names, or the default.
///
/// # Errors
///
/// What to send instead.
pub(super) fn app<T>(
    body: &JsonBody<T>,
    default: Option<&BundleId>,
) -> Result<BundleId, &'static str> {
    match body.get(BUNDLE_ID) {
        None => default.cloned().ok_or("This field is required."),
        Some(value) => {
            let app = value.as_str().and_then(|text| text.parse().ok());
            app.ok_or("Send a bundle id such as com.example.notes.")
        }
    }
}

fn environment(body: &JsonBody<Registration>) -> Result<ApnsEnvironment, &'static str> {
    let Some(value) = body.get(ENVIRONMENT) else { return Ok(ApnsEnvironment::Production) };
    let known = ApnsEnvironment::ALL.into_iter().find(|known| value == known.name());
    known.ok_or("Send sandbox or production.")
}

fn text(
    body: &JsonBody<Registration>,
    field: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Option<String>, &'static str> {
    match body.get(field) {
        None => Ok(None),
        Some(value) => match value.as_str().map(str::trim) {
            Some(text) if fits(text) => Ok(Some(text.to_owned())),
            _ => Err("Send a shorter text of plain characters."),
        },
    }
}
