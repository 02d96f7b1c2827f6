//! Device tokens that apps register, most of them again, as they do at each launch.

use serde_json::json;

use super::{
    Fault,
    distributed::Place,
    figures::{Figure, Goal, count},
    http::Request,
    load::Load,
};

/// Users whose devices register.
const USERS: usize = 40;

/// Devices of each: as many as a user may have.
const DEVICES: usize = 50;

const KIND: &str = "push_token.register";

impl Place<'_> {
    /// Many registrations at a time; `pipeline` is the rate of finished jobs of the pipeline, if it
    /// was measured.
    pub(super) async fn registrations(
        &self,
        jobs: usize,
        connections: usize,
        pipeline: Option<f64>,
    ) -> Result<Vec<Figure>, Fault> {
        let installation = self.installation("registrations")?;
        self.progress.step(&format!("registrations: signing {USERS} users in"));
        let (api, worker) = (installation.api().await?, installation.worker().await?);
        let mut signed_in = Vec::new();
        for number in 0..USERS {
            let name = format!("bench-{number}");
            installation.add_user(&name)?;
            signed_in.push(installation.sign_in_as(&name, &api, connections).await?);
        }
        self.progress.step(&format!("registrations: {jobs} over {connections} connections"));
        let load = signed_in[0].clone();
        let request = move |index: usize| register(&signed_in[index % USERS], index);
        let report = load.each(jobs, 202, request, |_| Some(()), &mut Vec::new()).await;
        if let Some(error) = &report.first_error {
            return Err(format!("a registration was not taken: {error}").into());
        }
        worker.finishes_of(KIND, jobs as u64).await?;
        let outcome = installation.outcome_of(KIND, None)?;
        let finished = count(outcome.succeeded) / outcome.span.as_secs_f64();
        let lost = (jobs as u64).saturating_sub(outcome.succeeded);
        let mut figures = vec![Figure::of("token registrations finished", finished, "/s")];
        if let Some(pipeline) = pipeline {
            figures.push(
                Figure::of(
                    "token registrations ÷ the pipeline's finished jobs",
                    finished / pipeline,
                    "",
                )
                .with(Goal::AtLeast(0.5)),
            );
        }
        figures.push(
            Figure::of("token registrations that did not succeed", count(lost), "")
                .with(Goal::AtMost(0.0)),
        );
        Ok(figures)
    }
}

/// Registration `index`: of the next user the next device, from the first again after the last.
fn register(load: &Load, index: usize) -> Request {
    let (user, device) = (index % USERS, index / USERS % DEVICES);
    let body = json!({
        "device_token": format!("{:064x}", user * DEVICES + device),
        "bundle_id": "com.example.notes",
        "device_id": format!("ios:{device}"),
        "locale": "en-GB",
        "app_version": "1.0",
    });
    let authorization = load.authorization();
    let headers = ["content-type: application/json", authorization.as_str()];
    let path = "/api/user/user-apns-device-token/";
    Request::new("POST", path, &headers, body.to_string().as_bytes())
}
