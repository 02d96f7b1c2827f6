//! Looks whether pushes could be sent, without sending one.

use std::{sync::Arc, time::Duration};

use schemas::ApnsEnvironment;

use super::{Engine, Settings, apps::Apps, direct::Direct};
use crate::Finding;

/// A certificate that ends sooner is worth a word.
const SOON: Duration = Duration::from_hours(30 * 24);

/// Every credential's file, then a connection to each environment under each credential.
pub(super) async fn run(apps: &Apps, engine: &Engine) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (app, held) in apps.held() {
        held.refresh().await;
        let problem = held.problem().map(|problem| problem.to_string());
        let problem = problem.or_else(|| expiry(apps, held.current().ends()?));
        findings.push(finding(&format!("the credential of {app} is usable"), problem));
    }
    let prober = match engine {
        Engine::Direct(direct) => Ok(Arc::clone(direct)),
        // It cannot connect without sending; the way is the same.
        Engine::A2(_) => {
            let settings = Settings::for_apps(Vec::new()).bounded();
            Direct::new(Arc::new(settings)).map(Arc::new)
        }
    };
    match prober {
        Ok(prober) => connections(apps, &prober, &mut findings).await,
        Err(problem) => {
            findings.push(finding("TLS is set up", Some(problem.to_string())));
        }
    }
    findings
}

async fn connections(apps: &Apps, prober: &Direct, findings: &mut Vec<Finding>) {
    let mut seen = Vec::new();
    for (app, held) in apps.held() {
        let credential = held.current();
        if seen.contains(&credential.id) {
            continue;
        }
        seen.push(credential.id);
        for environment in ApnsEnvironment::ALL {
            let problem = prober.try_connect(&credential, environment).await.err();
            findings.push(finding(&format!("{environment} is reachable for {app}"), problem));
        }
    }
}

fn expiry(apps: &Apps, ends: schemas::Timestamp) -> Option<String> {
    let left = ends.since(apps.settings.clock.now());
    if left.is_zero() {
        return Some(format!("the certificate ended at {ends}; put a new one in its place"));
    }
    (left < SOON).then(|| format!("the certificate ends at {ends}; put a new one in its place"))
}

fn finding(what: &str, problem: Option<String>) -> Finding {
    Finding { what: format!("APNs: {what}"), problem }
}
