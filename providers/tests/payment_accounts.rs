//! Accounts: everything that is wrong with them is said at once, and keys are read again.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::fs;

use providers::payment::{Gateways, Mode, PaymentSettings, Source};

use self::support::{
    desk::Desk,
    desks::{Alipay, UnionPay, WeChatV2, WeChatV3},
};

fn settings() -> PaymentSettings {
    let url = "http://127.0.0.1:9";
    PaymentSettings {
        wechat_pay: WeChatV2.settings(url).wechat_pay,
        alipay: Alipay.settings(url).alipay,
        unionpay: UnionPay.settings(url).unionpay,
    }
}

fn problems(settings: &PaymentSettings) -> Vec<String> {
    let findings = Gateways::open(settings).err().unwrap_or_default();
    findings.into_iter().map(|one| format!("{}: {}", one.what, one.problem.unwrap())).collect()
}

#[test]
fn every_problem_is_reported_at_once_and_without_the_secret() {
    let mut wrong = settings();
    wrong.wechat_pay[0].v2.as_mut().unwrap().api_key = Source::inline("too-short-secret");
    wrong.alipay[0].private_key = Source::inline("bm8ga2V5");
    wrong.unionpay[0].root_certificate = None;
    let said = problems(&wrong);

    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("wechat_pay shop: v2.api_key: expected 32 characters"), "{said:?}");
    assert!(said[1].contains("alipay shop: private_key"), "{said:?}");
    assert!(said[2].contains("root_certificate"), "{said:?}");
    assert!(!said.concat().contains("too-short-secret"));
    assert!(problems(&settings()).is_empty());
}

#[test]
fn keys_that_do_not_belong_together_are_refused() {
    let mut wrong = settings();
    let file: serde_json::Value =
        serde_json::from_str(include_str!("vectors/alipay.json")).unwrap();
    let key = |name: &str| Source::inline(file["keys"][name].as_str().unwrap());
    let alipay = &mut wrong.alipay[0];
    alipay.alipay_public_key = None;
    alipay.certificates = Some(providers::payment::AlipayCertificates {
        alipay_next: None,
        app: key("app_certificate"),
        alipay: key("alipay_certificate"),
        root: key("alipay_root_certificates"),
    });
    assert!(problems(&wrong).is_empty());

    wrong.alipay[0].private_key = key("stranger_private_key");
    let said = problems(&wrong);
    assert!(said[0].ends_with("private_key is not that of certificates.app"), "{said:?}");
}

#[test]
fn live_and_test_share_nothing() {
    let mut both = settings();
    let mut live = both.alipay[0].clone();
    live.name = "live".to_owned();
    live.mode = Mode::Live;
    live.reach.endpoint = None;
    both.alipay.push(live);
    let said = problems(&both);

    assert!(!said.is_empty());
    assert!(said[0].contains("shares a key or certificate with shop"), "{said:?}");
}

#[test]
fn a_live_account_speaks_only_over_tls() {
    let mut live = settings();
    live.alipay[0].mode = Mode::Live;
    live.wechat_pay.clear();
    live.unionpay.clear();
    let said = problems(&live);

    assert!(said[0].contains("expected https"), "{said:?}");
}

#[test]
fn names_are_unique_and_fit_into_addresses() {
    let mut twice = settings();
    twice.wechat_pay.extend(WeChatV3.settings("http://127.0.0.1:9").wechat_pay);
    assert!(problems(&twice)[0].contains("another account has it"));

    let mut odd = settings();
    odd.alipay[0].name = "../shop".to_owned();
    assert!(problems(&odd)[0].contains("expected 1 to 32 letters"));
}

#[test]
fn a_client_certificate_is_read_from_either_kind_of_file() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("vectors/unionpay.json")).unwrap();
    let text = |name: &str| file["keys"][name].as_str().unwrap().to_owned();
    let mut with = settings();
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("client.pem");
    fs::write(&pem, text("merchant_certificate") + &text("merchant_private_key")).unwrap();
    with.wechat_pay[0].v2.as_mut().unwrap().client_certificate = Some(Source::file(&pem));
    assert!(problems(&with).is_empty(), "{:?}", problems(&with));

    fs::write(&pem, text("unionpay_sign_certificate") + &text("merchant_private_key")).unwrap();
    assert!(problems(&with)[0].contains("the key is not the certificate's"));
}

#[test]
fn changed_files_are_found_by_a_check_before_they_are_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api_key");
    fs::write(&path, "1155eb4c0a85169fb61dae7c5d4bbe67\n").unwrap();
    let mut settings = settings();
    settings.wechat_pay[0].v2.as_mut().unwrap().api_key = Source::file(&path);
    let gateways = Gateways::open(&settings).unwrap();
    assert!(gateways.check().iter().all(|finding| finding.problem.is_none()));

    fs::write(&path, "cut off").unwrap();
    gateways.reload();
    let findings = gateways.check();
    let problem = findings.iter().find_map(|finding| finding.problem.as_deref());
    assert_eq!(problem, Some("v2.api_key: expected 32 characters"));
}

#[test]
fn settings_are_read_from_their_documented_form() {
    let text = serde_json::json!({
        "wechat_pay": [{
            "name": "official_account", "mode": "live",
            "app_id": "wx1", "merchant_id": "1900000109",
            "v2": { "api_key": { "file": "/run/secrets/wechat_api_key" } },
            "v3": {
                "private_key": { "env": "WECHAT_KEY" }, "certificate_serial": "AB",
                "api_key": { "file": "/run/secrets/wechat_v3_key" },
                "public_key": { "id": "PUB_KEY_ID_1", "key": { "file": "/etc/feat/wechat.pem" } }
            },
            "create_with": "v2"
        }],
        "unionpay": [{
            "name": "shop", "mode": "test", "merchant_id": "777290058110048",
            "signing": { "pfx": { "file": { "file": "/etc/feat/x.pfx" }, "password": { "value": "000000" } } }
        }]
    });
    let read: Result<PaymentSettings, _> = serde_json::from_value(text.clone());
    assert!(read.is_ok(), "{read:?}");

    let mut unknown = text;
    unknown["wechat_pay"][0]["verify_tls"] = false.into();
    assert!(serde_json::from_value::<PaymentSettings>(unknown).is_err());
}
