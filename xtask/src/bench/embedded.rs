//! `feat dev`: everything in one process.

use std::{path::Path, time::Instant};

use xtask::services::Progress;

use super::{
    Fault,
    figures::{Figure, Goal, count, millis},
    installation::Installation,
};

/// Starts of which the slowest counts.
const STARTS: usize = 3;

/// Starts with fresh folders, then many deletions at a time.
pub(super) async fn measure(
    folder: &Path,
    jobs: usize,
    connections: usize,
    progress: &Progress,
) -> Result<Vec<Figure>, Fault> {
    let mut slowest: f64 = 0.0;
    for start in 0..STARTS {
        let installation = Installation::embedded(folder, &format!("start-{start}"))?;
        let begun = Instant::now();
        let _dev = installation.dev().await?;
        slowest = slowest.max(millis(begun.elapsed()));
    }
    let installation = Installation::embedded(folder, "embedded")?;
    let dev = installation.dev().await?;
    let load = installation.sign_in(&dev, connections).await?;
    progress.step(&format!("embedded: uploading {jobs} pictures"));
    let images = load.upload(jobs).await?;
    progress.step(&format!("embedded: deleting them over {connections} connections"));
    dev.reset_peak();
    let report = load.delete(&images).await;
    dev.finishes(images.len() as u64).await?;
    let memory = dev.peak_mib();
    dev.stop().await?;
    let outcome = installation.embedded_outcome()?;
    if let Some(error) = &report.first_error {
        eprintln!("first failed request: {error}");
    }
    let lost = (report.times.len() as u64).saturating_sub(outcome.succeeded);
    let finished = count(outcome.succeeded) / outcome.span.as_secs_f64();
    Ok(vec![
        Figure::of("embedded: start → answers, slowest of 3", slowest, "ms")
            .with(Goal::AtMost(500.0)),
        Figure::of("embedded: finished jobs", finished, "/s").with(Goal::AtLeast(1500.0)),
        Figure::of("embedded: requests that failed", count(report.errors), "")
            .with(Goal::AtMost(0.0)),
        Figure::of("embedded: accepted jobs that did not succeed", count(lost), "")
            .with(Goal::AtMost(0.0)),
        Figure::of("embedded: most memory", memory, "MiB"),
    ])
}
