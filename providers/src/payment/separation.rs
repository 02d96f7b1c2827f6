//! Accounts are told apart: names are unique, and live and test accounts share nothing.

use std::collections::{BTreeMap, BTreeSet};

use schemas::Channel;
use secrecy::ExposeSecret;

use super::{Mode, PaymentSettings, Source, crypto::sha256_hex};
use crate::Finding;

/// What is wrong with the accounts taken together.
pub(super) fn check(settings: &PaymentSettings) -> Vec<Finding> {
    let accounts = accounts(settings);
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    let mut owners: BTreeMap<String, (Mode, String)> = BTreeMap::new();
    for (channel, name, mode, sources) in accounts {
        let what = format!("payments: {channel} {name}");
        let mut note = |problem: String| {
            problems.push(Finding { what: what.clone(), problem: Some(problem) });
        };
        if !is_name(name) {
            note("name: expected 1 to 32 letters, digits or _".to_owned());
        }
        if !names.insert((channel, name)) {
            note("name: another account has it".to_owned());
        }
        for source in sources {
            for print in prints(source) {
                let owner = owners.entry(print).or_insert((mode, name.to_owned()));
                if owner.0 != mode {
                    let other = &owner.1;
                    note(format!(
                        "shares a key or certificate with {other}: one is live, one is test"
                    ));
                }
            }
        }
    }
    problems.dedup();
    problems
}

type Account<'s> = (Channel, &'s str, Mode, Vec<&'s Source>);

fn accounts(settings: &PaymentSettings) -> Vec<Account<'_>> {
    let wechat_pay = settings
        .wechat_pay
        .iter()
        .map(|one| (Channel::WeChatPay, one.name.as_str(), one.mode, one.sources()));
    let alipay = settings
        .alipay
        .iter()
        .map(|one| (Channel::Alipay, one.name.as_str(), one.mode, one.sources()));
    let unionpay = settings
        .unionpay
        .iter()
        .map(|one| (Channel::UnionPay, one.name.as_str(), one.mode, one.sources()));
    wechat_pay.chain(alipay).chain(unionpay).collect()
}

/// Names go into addresses and metrics.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=32).contains(&name.len()) && name.bytes().all(plain)
}

/// What two sources have in common when they are the same: the place, or (of what is long enough
/// to be no password) the content.
fn prints(source: &Source) -> Vec<String> {
    let mut prints = Vec::new();
    match source {
        Source::File(path) => {
            let path = path.canonicalize().unwrap_or_else(|_| path.clone());
            prints.push(format!("file {}", path.display()));
        }
        Source::Env(name) => prints.push(format!("variable {name}")),
        Source::Value(_) => {}
    }
    if let Ok(bytes) = source.bytes()
        && bytes.expose_secret().len() >= 24
    {
        prints.push(format!("content {}", sha256_hex(bytes.expose_secret())));
    } else if let Ok(text) = source.text()
        && text.expose_secret().len() >= 24
    {
        prints.push(format!("content {}", sha256_hex(text.expose_secret().as_bytes())));
    }
    prints
}
