//! The job kinds. To add one: its file here, its handler's file in `workers/src/handlers`, and
//! one line in the list below.

/// Hands every job kind to macro `$callback`, as `module::Type` pairs each followed by a comma.
#[macro_export]
macro_rules! for_each_job {
    ($callback:ident) => {
        $callback! {
            image_delete::ImageDelete,
            job_expiry::JobExpiry,
            pay_bill_match::PayBillMatch,
            pay_bill_round::PayBillRound,
            pay_bind::PayBind,
            pay_card_code::PayCardCode,
            pay_card_keep::PayCardKeep,
            pay_card_look::PayCardLook,
            pay_card_open::PayCardOpen,
            pay_charge::PayCharge,
            pay_close::PayClose,
            pay_create::PayCreate,
            pay_notify::PayNotify,
            pay_query::PayQuery,
            pay_refund::PayRefund,
            pay_refund_query::PayRefundQuery,
            pay_unbind::PayUnbind,
            push_fan_out::PushFanOut,
            push_shard::PushSend,
            push_wake::PushWake,
            push_token_prune::PushTokenPrune,
            push_token_register::PushTokenRegister,
            push_token_remove::PushTokenRemove,
            push_token_report::PushTokenReport,
            webhook_deliver::WebhookDeliver,
        }
    };
}

macro_rules! declare {
    ($($module:ident :: $job:ident,)+) => { $(pub mod $module; pub use $module::$job;)+ };
}
for_each_job!(declare);

use crate::job::JobSpec;

macro_rules! specs {
    ($($module:ident :: $job:ident,)+) => { &[$(JobSpec::of::<$module::$job>()),+] };
}

/// Every job kind.
pub const SPECS: &[JobSpec] = for_each_job!(specs);

/// The description of `kind`, if this build knows it.
#[must_use]
pub fn spec(kind: &str) -> Option<&'static JobSpec> {
    SPECS.iter().find(|spec| spec.kind == kind)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::{collections::BTreeSet, fs, path::Path, time::Duration};

    use super::*;
    use crate::job::Job;

    #[test]
    fn kinds_are_unique_and_every_retry_is_bounded() {
        let kinds: BTreeSet<_> = SPECS.iter().map(|spec| spec.kind).collect();

        assert_eq!(kinds.len(), SPECS.len());
        for spec in SPECS {
            assert!((1..=100).contains(&spec.retry.attempts()), "{}", spec.kind);
            assert!(spec.timeout > Duration::ZERO, "{}", spec.kind);
            assert!(spec.deadline >= spec.timeout, "{}", spec.kind);
        }
    }

    /// Payloads that were ever shipped may still lie in a queue or a store.
    fn every_shipped_payload_parses<J: Job>() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(J::KIND);
        let files: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();

        assert!(!files.is_empty(), "no fixture of {}", J::KIND);
        for file in files {
            let parsed = serde_json::from_slice::<J::Payload>(&fs::read(&file).unwrap());
            assert!(parsed.is_ok(), "{}: {:?}", file.display(), parsed.err());
        }
    }

    #[test]
    fn shipped_payloads_still_parse() {
        macro_rules! check {
            ($($module:ident :: $job:ident,)+) => { $(every_shipped_payload_parses::<$job>();)+ };
        }
        for_each_job!(check);
    }
}
