//! Pushes of one process, against the simulator on the same machine.

use serde_json::Value;
use tokio::process::Command;
use xtask::{services::Progress, workspace};

use super::{
    Fault,
    figures::{Figure, Goal},
};

/// Pushes under way together: 40 ms of latency let each of them go 25 times a second.
const AT_A_TIME: u32 = 800;
/// What Apple's service takes from afar.
const LATENCY_MS: u32 = 40;
/// More than the simulator's and the sender's buffers ever need.
const MEMORY_GOAL_MIB: f64 = 32.0;

/// Sends `pushes` and says how many went in a second.
pub(super) async fn measure(pushes: u32, progress: &Progress) -> Result<Vec<Figure>, Fault> {
    progress.step("sending pushes to the simulator");
    let mut command = Command::new(workspace::target().join("release/push-load"));
    command.args([pushes, AT_A_TIME, LATENCY_MS].map(|number| number.to_string()));
    let output = command.kill_on_drop(true).output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| said[name].as_f64().ok_or("push-load says too little");
    Ok(vec![
        Figure::of("pushes accepted at 40 ms", number("per_second")?, "/s")
            .with(Goal::AtLeast(5_000.0)),
        Figure::of("memory that pushes leave", number("resident_growth_kib")? / 1024.0, "MiB")
            .with(Goal::AtMost(MEMORY_GOAL_MIB)),
    ])
}
