//! Answers to deliveries, gathered while the ones before are written.
//!
//! Workers finish in any order, and a server works far less for one acknowledgement of a run of
//! deliveries than for one of each; so a run from the oldest open delivery on is answered as one,
//! and the rest singly. Nothing waits for a run to fill.

use std::collections::BTreeSet;

use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// So many answers are written at a time.
const GATHERED: usize = 512;

/// What became of the delivery with this tag.
#[derive(Debug)]
pub(super) enum Answer {
    Ack(u64),
    Requeue(u64),
    /// Tell when everything before is written.
    Flush(oneshot::Sender<()>),
}

/// One thing to tell the server.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Ack(u64),
    /// This one and every earlier one that is still open.
    AckThrough(u64),
    Requeue(u64),
}

/// Which deliveries of a channel are answered. The server counts them from 1.
#[derive(Debug, Default)]
struct Ledger {
    /// Everything up to here is answered.
    floor: u64,
    /// Answered beyond that.
    beyond: BTreeSet<u64>,
}

impl Ledger {
    /// The fewest steps that answer `acked` and `requeued`.
    fn settle(&mut self, acked: &BTreeSet<u64>, requeued: &[u64]) -> Vec<Step> {
        let mut steps: Vec<_> = requeued.iter().map(|tag| Step::Requeue(*tag)).collect();
        self.beyond.extend(requeued);
        self.beyond.extend(acked);
        while self.beyond.remove(&(self.floor + 1)) {
            self.floor += 1;
        }
        // The server must still know the tag of such an answer as open, so it is one of these.
        let run = acked.range(..=self.floor).next_back().copied();
        steps.extend(run.map(Step::AckThrough));
        let rest = acked.range(self.floor + 1..);
        steps.extend(rest.map(|tag| Step::Ack(*tag)));
        steps
    }
}

/// Writes the answers of one channel until nobody can give one any more, or the channel is lost;
/// after `closing` only those that were given before.
pub(super) async fn write(
    channel: Channel,
    mut answers: mpsc::UnboundedReceiver<Answer>,
    lost: CancellationToken,
    closing: CancellationToken,
) {
    let mut ledger = Ledger::default();
    let mut gathered = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = lost.cancelled() => return,
            count = answers.recv_many(&mut gathered, GATHERED) => if count == 0 { return },
            () = closing.cancelled(), if !answers.is_closed() => answers.close(),
        }
        let mut acked = BTreeSet::new();
        let mut requeued = Vec::new();
        let mut waiting = Vec::new();
        for answer in gathered.drain(..) {
            match answer {
                Answer::Ack(tag) => drop(acked.insert(tag)),
                Answer::Requeue(tag) => requeued.push(tag),
                Answer::Flush(done) => waiting.push(done),
            }
        }
        for step in ledger.settle(&acked, &requeued) {
            if tell(&channel, step).await.is_err() {
                return;
            }
        }
        for done in waiting {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}

async fn tell(channel: &Channel, step: Step) -> lapin::Result<()> {
    let requeue = BasicNackOptions { requeue: true, multiple: false };
    match step {
        Step::Ack(tag) => channel.basic_ack(tag, BasicAckOptions { multiple: false }).await,
        Step::AckThrough(tag) => channel.basic_ack(tag, BasicAckOptions { multiple: true }).await,
        Step::Requeue(tag) => channel.basic_nack(tag, requeue).await,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_from_the_oldest_on_is_one_answer() {
        let mut ledger = Ledger::default();
        let cases = [
            ("the oldest three", vec![3, 1, 2], vec![], vec![Step::AckThrough(3)]),
            ("a gap", vec![5, 7], vec![], vec![Step::Ack(5), Step::Ack(7)]),
            ("the gap closes", vec![4], vec![], vec![Step::AckThrough(4)]),
            ("a return goes by itself", vec![], vec![6], vec![Step::Requeue(6)]),
            ("and in a run", vec![8, 10], vec![9], vec![Step::Requeue(9), Step::AckThrough(10)]),
            ("nothing", vec![], vec![], vec![]),
        ];
        for (name, acked, requeued, expected) in cases {
            let acked = acked.into_iter().collect();
            assert_eq!(ledger.settle(&acked, &requeued), expected, "{name}");
        }
        assert_eq!((ledger.floor, ledger.beyond.len()), (10, 0));
    }

    proptest! {
        /// Plays the server: each tag is open until it is answered, and answering one that is not
        /// open closes the channel.
        #[test]
        fn every_delivery_is_answered_once_and_as_wanted(
            order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            wanted in prop::collection::vec(any::<bool>(), 41),
            sizes in prop::collection::vec(1..8_usize, 40),
        ) {
            let mut ledger = Ledger::default();
            let mut open: BTreeSet<u64> = (1..=40).collect();
            let mut answered = [None; 41];
            let mut rest = order.as_slice();
            for size in sizes {
                let (now, later) = rest.split_at(size.min(rest.len()));
                rest = later;
                let is_ack = |tag: &&u64| wanted[usize::try_from(**tag).unwrap_or(0)];
                let acked: BTreeSet<u64> = now.iter().filter(is_ack).copied().collect();
                let requeued: Vec<u64> = now.iter().filter(|tag| !is_ack(tag)).copied().collect();
                for step in ledger.settle(&acked, &requeued) {
                    let (first, last, ack) = match step {
                        Step::Ack(tag) => (tag, tag, true),
                        Step::AckThrough(tag) => (0, tag, true),
                        Step::Requeue(tag) => (tag, tag, false),
                    };
                    prop_assert!(open.contains(&last), "{last} is not open");
                    for tag in first..=last {
                        if open.remove(&tag) {
                            answered[usize::try_from(tag).unwrap_or(0)] = Some(ack);
                        }
                    }
                }
            }
            prop_assert!(open.is_empty() && ledger.beyond.is_empty());
            for tag in 1..=40 {
                prop_assert_eq!(answered[tag], Some(wanted[tag]));
            }
        }
    }
}
