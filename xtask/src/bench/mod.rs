//! `cargo xtask bench`: how much Feat does, beside what the machine and its servers can do.
//!
//! The command builds Feat and itself in release and hands over to that build, so that the load
//! comes from an optimised program. Every server and process is private to the run and gone with
//! it, and so is the folder.

mod devices;
mod distributed;
mod documents;
mod embedded;
mod figures;
mod floor;
mod http;
mod identity;
mod installation;
mod load;
mod outcome;
mod payments;
mod payments_floor;
mod push;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use tokio::process::Command;
use xtask::{
    services::{MongoDb, Progress, RabbitMq, RabbitMqVersion, process},
    workspace,
};

use self::{
    distributed::Place,
    figures::{Figure, Goal, count},
};
use crate::command::{
    Interrupts, Outcome,
    child::{self, Ended},
    test::cargo,
};

/// Why there are no figures; the text is for the person who typed the command.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Marks every process of a run, so that none outlives it.
const RUN: &str = "FEAT_BENCH_RUN";

#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Pictures to delete
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = positive())]
    jobs: u32,
    /// Connections over which they are deleted
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = positive())]
    connections: u32,
    /// Bills to pay
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = positive())]
    bills: u32,
    /// Pushes to send
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = positive())]
    pushes: u32,
    /// Pushes to send through campaigns of 100,000 devices each
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = positive())]
    campaign_pushes: u32,
    /// Measure only this; may be repeated
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Use what an earlier run has built
    #[arg(long)]
    no_build: bool,
    /// Folder of the run; says that this is the optimised program
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn positive() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The writes and messages in batches, without Feat
    Floor,
    /// Many deletions at a time
    Pipeline,
    /// One deletion after the other
    Latency,
    /// 200,000 jobs that wait
    Backlog,
    /// Tokens for clients, and the check of tokens
    Identity,
    /// All in one process
    Embedded,
    /// Bills through the simulated providers
    Payments,
    /// Apple pushes against the simulator, by themselves and in campaigns, and device tokens
    Push,
}

/// Turns of Feat, which share its jobs. What it stands on is measured before the first, between them
/// and after the last, each time with all jobs: a short turn of it is slower by a twentieth.
const TURNS: usize = 2;

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let mut interrupts = Interrupts::listen()?;
    if let Some(folder) = arguments.inside.clone() {
        let figures = tokio::select! {
            figures = measure(&arguments, &folder) => {
                figures.map_err(|fault| -> Box<dyn std::error::Error> { fault })?
            }
            signal = interrupts.next() => return Ok(Ended::Interrupted(signal).exit_code()),
        };
        print(&figures, arguments.json);
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.no_build && arguments.wants(Part::Push) {
        let bins = ["--bin", "push-load", "--bin", "push-campaign"];
        let mut build = cargo(&["build", "--release", "--package", "tests"]);
        build.args(bins);
        let ended = child::run(build, &mut interrupts).await?;
        if !ended.is_success() {
            return Ok(ended.exit_code());
        }
    }
    if !arguments.no_build {
        let build = cargo(&["build", "--release", "--package", "cli", "--package", "xtask"]);
        let ended = child::run(build, &mut interrupts).await?;
        if !ended.is_success() {
            return Ok(ended.exit_code());
        }
    }
    let folder = workspace::target().join("bench").join(std::process::id().to_string());
    fs::create_dir_all(&folder)?;
    let mut command = Command::new(workspace::target().join("release/xtask"));
    command.args(std::env::args_os().skip(1)).arg("--inside").arg(&folder).env(RUN, &folder);
    let ended = child::run(command, &mut interrupts).await;
    process::kill_marked(RUN, &folder);
    let _ = fs::remove_dir_all(&folder);
    Ok(ended?.exit_code())
}

/// Everything that was asked for, one after the other.
async fn measure(arguments: &Arguments, folder: &std::path::Path) -> Result<Vec<Figure>, Fault> {
    let wanted = |part| arguments.wants(part);
    let jobs = usize::try_from(arguments.jobs)?;
    let connections = usize::try_from(arguments.connections)?;
    let progress = Progress::shown();
    let mut figures = Vec::new();
    let with_services = [
        Part::Floor,
        Part::Pipeline,
        Part::Latency,
        Part::Backlog,
        Part::Identity,
        Part::Payments,
        Part::Push,
    ];
    if with_services.into_iter().any(wanted) {
        progress.step("starting RabbitMQ and MongoDB");
        let rabbit = RabbitMq::start(&folder.join("rabbitmq"), RabbitMqVersion::Any).await?;
        let mongo = MongoDb::start(&folder.join("mongodb")).await?;
        let (mongodb, rabbitmq) = (mongo.url(), rabbit.amqp_url());
        let place = Place { folder, mongodb, rabbitmq, progress: &progress };
        figures.extend(pipeline(&place, arguments, jobs, connections).await?);
        if wanted(Part::Latency) {
            figures.extend(place.latency().await?);
        }
        if wanted(Part::Backlog) {
            figures.extend(place.backlog(connections).await?);
        }
        if wanted(Part::Identity) {
            figures.extend(place.identity(connections).await?);
        }
        if wanted(Part::Payments) {
            let bills = usize::try_from(arguments.bills)?;
            figures.extend(place.payments(bills, connections).await?);
        }
        if wanted(Part::Push) {
            let management = rabbit.management_url();
            figures.extend(place.campaigns(arguments.campaign_pushes, management).await?);
            let pipeline = figures.iter().find(|figure| figure.name == distributed::FINISHED);
            let pipeline = pipeline.map(|figure| figure.value);
            figures.extend(place.registrations(jobs, connections, pipeline).await?);
        }
    }
    if wanted(Part::Embedded) {
        figures.extend(embedded::measure(folder, jobs, connections, &progress).await?);
    }
    if wanted(Part::Push) {
        figures.extend(push::measure(arguments.pushes, &progress).await?);
    }
    progress.done();
    Ok(figures)
}

/// Feat and what it stands on in turn, so that a machine that gets slower or faster meanwhile does so
/// for both.
async fn pipeline(
    place: &Place<'_>,
    arguments: &Arguments,
    jobs: usize,
    connections: usize,
) -> Result<Vec<Figure>, Fault> {
    let (with_floor, with_feat) = (arguments.wants(Part::Floor), arguments.wants(Part::Pipeline));
    let mut feat = if with_feat { Some(place.pipeline(jobs, connections).await?) } else { None };
    let mut floor = Duration::ZERO;
    for turn in 0..=TURNS {
        if with_floor {
            floor += place.floor(&format!("floor-{turn}"), jobs).await?;
        }
        if let Some(feat) = feat.as_mut().filter(|_| turn < TURNS) {
            feat.turn(jobs.div_ceil(TURNS)).await?;
        }
    }
    let mut figures = match feat {
        Some(feat) => feat.figures()?,
        None => Vec::new(),
    };
    if !with_floor {
        return Ok(figures);
    }
    let floor = count((jobs * (TURNS + 1)) as u64) / floor.as_secs_f64();
    figures.push(Figure::of("floor: jobs without Feat", floor, "/s"));
    let finished = figures.iter().find(|figure| figure.name == distributed::FINISHED);
    if let Some(finished) = finished.map(|figure| figure.value) {
        figures.push(
            Figure::of("pipeline: finished jobs ÷ floor", finished / floor, "")
                .with(Goal::AtLeast(0.5)),
        );
    }
    Ok(figures)
}

fn print(figures: &[Figure], json: bool) {
    if json {
        println!("{:#}", figures::json(figures));
    } else {
        println!("{}", figures::table(figures));
    }
}
