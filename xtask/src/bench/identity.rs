//! Tokens for clients, and what it costs to know the caller behind a token.

use super::{
    Fault,
    distributed::Place,
    figures::{Figure, Goal, count, millis, percentile},
    http::Request,
    installation::Process,
    load::Load,
};

/// Tokens that are asked for.
const TOKENS: usize = 20_000;

/// Requests with one and the same token.
const REPEATS: usize = 20_000;

/// Longest mean time of a check, in microseconds.
const CHECK: Goal = Goal::AtMost(60.0);

impl Place<'_> {
    /// A client asks for tokens, then each of them is used once; a user's token many times.
    pub(super) async fn identity(&self, connections: usize) -> Result<Vec<Figure>, Fault> {
        let installation = self.installation("identity")?;
        let secret = installation.add_client("bench", "client_credentials")?;
        let api = installation.api().await?;
        let load = installation.sign_in(&api, connections).await?;
        self.progress.step(&format!("identity: {TOKENS} tokens over {connections} connections"));
        let form = format!("grant_type=client_credentials&client_id=bench&client_secret={secret}");
        let kind = "content-type: application/x-www-form-urlencoded";
        let request = Request::new("POST", "/api/o/token/", &[kind], form.as_bytes());
        let read = |reply: &super::http::Reply| {
            let body: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
            body["access_token"].as_str().map(str::to_owned)
        };
        let mut tokens = Vec::with_capacity(TOKENS);
        let mut report = load.each(TOKENS, 200, move |_| request.clone(), read, &mut tokens).await;
        if let Some(error) = &report.first_error {
            return Err(format!("a token was not given: {error}").into());
        }
        let rate = count(tokens.len() as u64) / report.elapsed.as_secs_f64();
        let mut figures = vec![
            Figure::of("identity: client_credentials", rate, "/s").with(Goal::AtLeast(3_000.0)),
            Figure::of(
                "identity: client_credentials, p99",
                millis(percentile(&mut report.times, 99)),
                "ms",
            ),
        ];
        self.progress.step("identity: using each of them once");
        let first = checks(&api, first_uses(&load, tokens)).await?;
        figures.push(Figure::of("identity: bearer check, new token", first, "µs").with(CHECK));
        self.progress.step("identity: using one token many times");
        let again = checks(&api, repeated(&load)).await?;
        figures.push(Figure::of("identity: bearer check, known token", again, "µs").with(CHECK));
        Ok(figures)
    }
}

/// Mean time of the checks that `requests` causes, in microseconds, by the API's own clock.
async fn checks(
    api: &Process,
    requests: impl Future<Output = Result<(), Fault>>,
) -> Result<f64, Fault> {
    const NAME: &str = "feat_auth_seconds";
    let before = api.summary(NAME, "bearer").await?;
    requests.await?;
    let after = api.summary(NAME, "bearer").await?;
    Ok((after.0 - before.0) / (after.1 - before.1) * 1e6)
}

/// A client's own token is known, and then refused by a call that is about a user.
async fn first_uses(load: &Load, tokens: Vec<String>) -> Result<(), Fault> {
    let count = tokens.len();
    let request = move |index: usize| get(&format!("authorization: Bearer {}", tokens[index]));
    let report = load.each(count, 403, request, |_| Some(()), &mut Vec::new()).await;
    report.first_error.map_or(Ok(()), |error| Err(error.into()))
}

async fn repeated(load: &Load) -> Result<(), Fault> {
    let authorization = load.authorization();
    let request = move |_| get(&authorization);
    let report = load.each(REPEATS, 200, request, |_| Some(()), &mut Vec::new()).await;
    report.first_error.map_or(Ok(()), |error| Err(error.into()))
}

fn get(authorization: &str) -> Request {
    Request::new("GET", "/api/user/session/", &[authorization], b"")
}
