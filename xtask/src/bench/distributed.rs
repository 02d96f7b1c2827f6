//! `feat api` and `feat worker` with RabbitMQ and MongoDB: throughput, latency, a long backlog.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use schemas::{Queue, Timestamp};
use xtask::services::Progress;

use super::{
    Fault,
    documents::store_images,
    figures::{Figure, Goal, count, millis, percentile},
    floor,
    http::{Connection, Reply, Request},
    installation::{Installation, Process},
    load::{Load, Report},
    outcome::Outcome,
};

/// The figure that other rates are compared with.
pub(super) const FINISHED: &str = "pipeline: finished jobs";

/// Memory that a process may keep resident.
const MEMORY: Goal = Goal::AtMost(150.0);
/// Deletions, one after the other, by which latency is taken.
const SINGLE: usize = 300;
/// Jobs in the backlog.
const BACKLOG: usize = 200_000;
/// Jobs of the backlog that the worker gets done before its memory is read, first and last.
const WORKED: (u64, u64) = (10_000, 60_000);

/// The services and the folder of this run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) mongodb: &'a str,
    pub(super) rabbitmq: &'a str,
    pub(super) progress: &'a Progress,
}

impl Place<'_> {
    /// A new installation with the database `name`.
    pub(super) fn installation(&self, name: &str) -> Result<Installation, Fault> {
        Installation::distributed(self.folder, name, self.mongodb, self.rabbitmq)
    }

    async fn database(&self, name: &str) -> Result<mongodb::Database, Fault> {
        Ok(mongodb::Client::with_uri_str(self.mongodb).await?.database(name))
    }

    /// How long [`floor`] takes for `jobs` jobs; `name` is a database of its own.
    pub(super) async fn floor(&self, name: &str, jobs: usize) -> Result<Duration, Fault> {
        // Its first command makes Feat's collections and indexes.
        self.installation(name)?;
        self.progress.step(&format!("floor: {jobs} jobs without Feat"));
        floor::measure(self.mongodb, name, self.rabbitmq, jobs).await
    }

    /// Feat with `jobs` pictures, to be deleted in turns.
    pub(super) async fn pipeline(
        &self,
        jobs: usize,
        connections: usize,
    ) -> Result<Pipeline<'_>, Fault> {
        let installation = self.installation("pipeline")?;
        let (api, worker) = (installation.api().await?, installation.worker().await?);
        let load = installation.sign_in(&api, connections).await?;
        self.progress.step(&format!("pipeline: uploading {jobs} pictures"));
        let images = load.upload(jobs).await?;
        api.reset_peak();
        worker.reset_peak();
        let (turns, report) = (Vec::new(), Report::default());
        let progress = self.progress;
        Ok(Pipeline {
            installation,
            api,
            worker,
            load,
            images,
            deleted: 0,
            turns,
            report,
            progress,
        })
    }

    /// One client, one deletion after the other.
    pub(super) async fn latency(&self) -> Result<Vec<Figure>, Fault> {
        let installation = self.installation("latency")?;
        let (api, _worker) = (installation.api().await?, installation.worker().await?);
        let load = installation.sign_in(&api, 8).await?;
        let images = load.upload(2 * SINGLE).await?;
        self.progress.step(&format!("latency: {} deletions, one after the other", images.len()));
        let (plain, waited) = images.split_at(SINGLE);
        let (mut http, mut finished) = (Vec::new(), Vec::new());
        let mut connection = Connection::open(api.address).await?;
        for (plain, waited) in plain.iter().zip(waited) {
            let (reply, time) = timed(&mut connection, &load.deletion(*plain, &[]), 202).await?;
            http.push(time);
            // Its job ends before the next request, so that nothing else goes on.
            timed(&mut connection, &load.end_of_job(&reply)?, 200).await?;
            let request = load.deletion(*waited, &["prefer: wait=30"]);
            let (_, time) = timed(&mut connection, &request, 204).await?;
            finished.push(time);
        }
        Ok(vec![
            Figure::of("one client: HTTP p50", millis(percentile(&mut http, 50)), "ms")
                .with(Goal::AtMost(8.0)),
            Figure::of("one client: HTTP p99", millis(percentile(&mut http, 99)), "ms"),
            Figure::of(
                "one client: request sent → job finished, p50",
                millis(percentile(&mut finished, 50)),
                "ms",
            )
            .with(Goal::AtMost(15.0)),
            Figure::of(
                "one client: request sent → job finished, p99",
                millis(percentile(&mut finished, 99)),
                "ms",
            ),
        ])
    }

    /// Jobs that nobody works on, then a worker that has them all before it.
    pub(super) async fn backlog(&self, connections: usize) -> Result<Vec<Figure>, Fault> {
        let installation = self.installation("backlog")?;
        let api = installation.api().await?;
        let load = installation.sign_in(&api, connections).await?;
        let database = self.database("backlog").await?;
        self.progress.step(&format!("backlog: storing {BACKLOG} pictures"));
        let images = store_images(&database, load.owner()?, BACKLOG).await?;
        self.progress.step("backlog: deleting them with no worker there");
        let (first, rest) = images.split_at(BACKLOG / 10);
        api.reset_peak();
        let mut errors = load.delete(first).await.errors;
        let early = api.peak_mib();
        errors += load.delete(rest).await.errors;
        let late = api.peak_mib();
        self.progress.step("backlog: a worker works through a part");
        let worker = installation.worker().await?;
        worker.finishes(WORKED.0).await?;
        let worker_early = worker.peak_mib();
        worker.finishes(WORKED.1).await?;
        let worker_late = worker.peak_mib();
        Ok(vec![
            Figure::of("backlog of 200,000: refused requests", count(errors), "")
                .with(Goal::AtMost(0.0)),
            Figure::of("backlog: API, most memory at 20,000 jobs", early, "MiB"),
            Figure::of("backlog: API, most memory at 200,000 jobs", late, "MiB").with(MEMORY),
            Figure::of("backlog: worker, most memory after 10,000 jobs", worker_early, "MiB"),
            Figure::of("backlog: worker, most memory after 60,000 jobs", worker_late, "MiB")
                .with(MEMORY),
        ])
    }
}

/// One API and one worker, with pictures to delete, many at a time.
pub(super) struct Pipeline<'a> {
    installation: Installation,
    api: Process,
    worker: Process,
    load: Load,
    images: Vec<i64>,
    deleted: usize,
    /// When each turn began.
    turns: Vec<Timestamp>,
    report: Report,
    progress: &'a Progress,
}

impl Pipeline<'_> {
    /// Deletes the next pictures, at most `count`, and waits for their jobs.
    pub(super) async fn turn(&mut self, count: usize) -> Result<(), Fault> {
        let next = (self.deleted + count).min(self.images.len());
        let connections = self.load.connections;
        self.progress.step(&format!("pipeline: deleting {count} over {connections} connections"));
        self.turns.push(Timestamp::now());
        let report = self.load.delete(&self.images[self.deleted..next]).await;
        self.worker.finishes(next as u64).await?;
        self.report.add(report);
        self.deleted = next;
        Ok(())
    }

    /// What all turns came to.
    pub(super) fn figures(mut self) -> Result<Vec<Figure>, Fault> {
        let outcome =
            self.installation.outcome_in_turns("image.delete", Queue::Images, &self.turns)?;
        let mut figures = throughput(&mut self.report, &outcome);
        let left = count(self.installation.files_left());
        let (api, worker) = (self.api.peak_mib(), self.worker.peak_mib());
        figures.extend([
            Figure::of("pipeline: files of deleted pictures left", left, "")
                .with(Goal::AtMost(0.0)),
            Figure::of("pipeline: API, most memory", api, "MiB").with(MEMORY),
            Figure::of("pipeline: worker, most memory", worker, "MiB").with(MEMORY),
        ]);
        Ok(figures)
    }
}

/// What a load on one API and one worker, together or apart, came to.
fn throughput(report: &mut Report, outcome: &Outcome) -> Vec<Figure> {
    let accepted = report.times.len() as u64;
    let finished = count(outcome.succeeded) / outcome.span.as_secs_f64();
    let mut figures = vec![
        Figure::of("pipeline: accepted jobs", count(accepted) / report.elapsed.as_secs_f64(), "/s"),
        Figure::of(FINISHED, finished, "/s"),
    ];
    let lost = accepted.saturating_sub(outcome.succeeded);
    figures.extend([
        Figure::of(
            "pipeline: HTTP p50 under load",
            millis(percentile(&mut report.times, 50)),
            "ms",
        ),
        Figure::of(
            "pipeline: HTTP p99 under load",
            millis(percentile(&mut report.times, 99)),
            "ms",
        ),
        Figure::of("pipeline: requests that failed", count(report.errors), "")
            .with(Goal::AtMost(0.0)),
        Figure::of("pipeline: accepted jobs that did not succeed", count(lost), "")
            .with(Goal::AtMost(0.0)),
    ]);
    if let Some(error) = &report.first_error {
        eprintln!("first failed request: {error}");
    }
    figures
}

/// The reply to a request and the time to its last byte.
async fn timed(
    connection: &mut Connection,
    request: &Request,
    status: u16,
) -> Result<(Reply, Duration), Fault> {
    let begun = Instant::now();
    let reply = connection.send(request).await?;
    if reply.status == status {
        return Ok((reply, begun.elapsed()));
    }
    Err(format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)).into())
}
