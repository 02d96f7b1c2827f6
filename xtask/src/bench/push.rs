//! Pushes against the simulator on the same machine: of one process that does nothing else, and of
//! a worker through whole campaigns.

use serde_json::Value;
use tokio::process::Command;
use xtask::{services::Progress, workspace};

use super::{
    Fault,
    distributed::Place,
    figures::{Figure, Goal},
};

/// Pushes under way together: 40 ms of latency let each of them go 25 times a second.
const AT_A_TIME: u32 = 800;
/// What Apple's service takes from afar.
const LATENCY_MS: u32 = 40;
/// More than the simulator's and the sender's buffers ever need.
const MEMORY_GOAL_MIB: f64 = 32.0;

/// Devices of each campaign.
const DEVICES: u32 = 100_000;

/// Sends `pushes` over either transport and says how many went in a second.
pub(super) async fn measure(pushes: u32, progress: &Progress) -> Result<Vec<Figure>, Fault> {
    progress.step("sending pushes to the simulator");
    let direct = load(pushes, "direct").await?;
    let number = |name: &str| direct[name].as_f64().ok_or("push-load says too little");
    let mut figures = vec![
        Figure::of("pushes accepted at 40 ms", number("per_second")?, "/s")
            .with(Goal::AtLeast(5_000.0)),
        Figure::of("memory that pushes leave", number("resident_growth_kib")? / 1024.0, "MiB")
            .with(Goal::AtMost(MEMORY_GOAL_MIB)),
    ];
    progress.step("sending pushes through a2");
    let a2 = load(pushes, "a2").await?;
    // Without the right to a namespace there is nothing to say of it.
    if let Some(rate) = a2["per_second"].as_f64() {
        figures.push(Figure::of("pushes accepted at 40 ms, through a2", rate, "/s"));
    }
    Ok(figures)
}

async fn load(pushes: u32, transport: &str) -> Result<Value, Fault> {
    let mut command = Command::new(workspace::target().join("release/push-load"));
    command.args([pushes, AT_A_TIME, LATENCY_MS].map(|number| number.to_string())).arg(transport);
    let output = command.kill_on_drop(true).output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl Place<'_> {
    /// Sends campaigns to 100,000 devices through one worker until it were `pushes`.
    pub(super) async fn campaigns(
        &self,
        pushes: u32,
        management: &str,
    ) -> Result<Vec<Figure>, Fault> {
        self.progress.step("sending campaigns through a worker");
        let release = workspace::target().join("release");
        let mut command = Command::new(release.join("push-campaign"));
        command.args([pushes, DEVICES, LATENCY_MS].map(|number| number.to_string()));
        command.env("FEAT_TEST_MONGODB_URL", self.mongodb);
        command.env("FEAT_TEST_AMQP_URL", self.rabbitmq);
        command.env("FEAT_TEST_RABBITMQ_MANAGEMENT_URL", management);
        command.env("FEAT_TEST_BIN", release.join("feat"));
        let output = command.kill_on_drop(true).output().await?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let said: Value = serde_json::from_slice(&output.stdout)?;
        let number = |name: &str| said[name].as_f64().ok_or("push-campaign says too little");
        Ok(vec![
            Figure::of("campaign pushes of one worker at 40 ms", number("per_second")?, "/s")
                .with(Goal::AtLeast(5_000.0)),
            Figure::of("first push of 100,000, slowest campaign", number("first_push_ms")?, "ms")
                .with(Goal::AtMost(1_000.0)),
            Figure::of(
                "memory that campaigns leave in a worker",
                number("resident_growth_kib")? / 1024.0,
                "MiB",
            )
            .with(Goal::AtMost(MEMORY_GOAL_MIB)),
            Figure::of("most memory of that worker", number("peak_kib")? / 1024.0, "MiB"),
        ])
    }
}
