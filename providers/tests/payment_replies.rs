//! The documented replies that a client app gets, field by field, and what they are signed with.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod support;

use insta::assert_json_snapshot;
use md5::{Digest as _, Md5};
use providers::payment::{Call, Created, Gateways, Presentation, ProviderError, TradeState};
use schemas::{Channel, Scene};

use self::support::{
    Fake, Reply,
    desk::{Desk, Story, order, trade},
    desks::{Alipay, UnionPay, WeChatV2, WeChatV3},
};

async fn created(desk: impl Desk + 'static, scene: Scene, presentation: Presentation) -> Created {
    let desk = std::sync::Arc::new(desk);
    let behind = std::sync::Arc::clone(&desk);
    let fake = Fake::start(move |request| behind.answer(Story::Created, request)).await;
    let gateway = desk.gateway(&fake.url);
    assert!(gateway.supports(scene));
    let created = gateway.create(&order(scene, presentation), &mut Call::default()).await;
    created.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn wechat_pay_v2_replies_are_the_documented_ones() {
    let native = created(WeChatV2, Scene::Native, Presentation::Page).await;
    let app = created(WeChatV2, Scene::App, Presentation::Page).await;
    let page = created(WeChatV2, Scene::Jsapi, Presentation::Page).await;
    let h5 = created(WeChatV2, Scene::H5, Presentation::Page).await;

    assert_json_snapshot!("v2_native", native.body());
    assert_json_snapshot!("v2_app", app.body(), {
        ".data.timestamp" => "[seconds]", ".data.noncestr" => "[nonce]", ".data.sign" => "[sign]" });
    assert_json_snapshot!("v2_jsapi", page.body(), {
        ".timeStamp" => "[seconds]", ".nonceStr" => "[nonce]", ".paySign" => "[sign]" });
    assert_json_snapshot!("v2_h5", h5.body());
    assert!(app.body()["data"]["timestamp"].is_i64() && page.body()["timeStamp"].is_i64());
    assert_eq!(app.body()["data"]["noncestr"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn a_page_inside_wechat_gets_a_signature_over_exactly_five_names() {
    let body = created(WeChatV2, Scene::Jsapi, Presentation::Page).await.body();
    let text = format!(
        "appId={}&nonceStr={}&package={}&signType=MD5&timeStamp={}&key=1155eb4c0a85169fb61dae7c5d4bbe67",
        body["appId"].as_str().unwrap(),
        body["nonceStr"].as_str().unwrap(),
        body["package"].as_str().unwrap(),
        body["timeStamp"],
    );
    let hash = Md5::digest(text.as_bytes());
    let expected = hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat();

    assert_eq!(body["paySign"], expected);
}

#[tokio::test]
async fn wechat_pay_v3_replies_have_the_same_names() {
    let redacted = |created: &Created, names: &[&str]| {
        let mut client = created.client.clone();
        for name in names {
            client[*name] = "[made]".into();
        }
        client
    };
    let native = created(WeChatV3, Scene::Native, Presentation::Page).await;
    let app = created(WeChatV3, Scene::App, Presentation::Page).await;
    let page = created(WeChatV3, Scene::Jsapi, Presentation::Page).await;
    let h5 = created(WeChatV3, Scene::H5, Presentation::Page).await;

    assert_json_snapshot!("v3_native", native.body());
    assert_json_snapshot!("v3_app", redacted(&app, &["timestamp", "noncestr", "sign"]));
    assert_json_snapshot!("v3_jsapi", redacted(&page, &["timeStamp", "nonceStr", "paySign"]));
    assert_json_snapshot!("v3_h5", h5.body());
    assert!(!page.wrapped && app.wrapped);
}

#[tokio::test]
async fn alipay_replies_lead_to_its_pages_or_library() {
    let page = created(Alipay, Scene::Native, Presentation::Page).await.body();
    let phone = created(Alipay, Scene::H5, Presentation::Page).await.body();
    let app = created(Alipay, Scene::App, Presentation::Page).await.body();
    let inside = created(Alipay, Scene::Jsapi, Presentation::Page).await;
    let code = created(Alipay, Scene::Native, Presentation::Code).await;

    for (name, body) in [("alipay.trade.page.pay", &page), ("alipay.trade.wap.pay", &phone)] {
        let address = body["data"]["redirect_url"].as_str().unwrap();
        assert!(address.contains("/gateway.do?") && address.contains(name), "{address}");
        let html = body["data"]["html"].as_str().unwrap();
        assert!(html.contains("name=\"biz_content\"") && html.contains(name));
    }
    let order = app["data"]["order_string"].as_str().unwrap();
    assert!(order.starts_with("app_id=") && order.contains("&sign="));
    assert_json_snapshot!("alipay_jsapi", inside.body());
    assert_json_snapshot!("alipay_code", code.body());
}

#[tokio::test]
async fn unionpay_replies_lead_to_its_pages_or_library() {
    let page = created(UnionPay, Scene::Native, Presentation::Page).await.body();
    let phone = created(UnionPay, Scene::H5, Presentation::Page).await.body();
    let app = created(UnionPay, Scene::App, Presentation::Page).await;
    let code = created(UnionPay, Scene::Native, Presentation::Code).await;

    for (channel, body) in [("07", &page), ("08", &phone)] {
        let html = body["data"]["html"].as_str().unwrap();
        assert!(html.contains("/gateway/api/frontTransReq.do\""));
        assert!(html.contains(&format!("name=\"channelType\" value=\"{channel}\"")));
        assert!(html.contains("name=\"signature\""));
    }
    assert_json_snapshot!("unionpay_app", app.body());
    assert_json_snapshot!("unionpay_code", code.body());
}

#[tokio::test]
async fn a_scene_that_is_not_offered_is_refused_unsent() {
    let fake = Fake::start(|_| Reply::Drop).await;
    let gateway = UnionPay.gateway(&fake.url);
    let order = order(Scene::Jsapi, Presentation::Page);
    let refused = gateway.create(&order, &mut Call::default()).await;

    assert!(!gateway.supports(Scene::Jsapi));
    assert!(matches!(refused, Err(ProviderError::Refused(_))), "{refused:?}");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn consent_addresses_are_the_documented_ones() {
    let alipay = Alipay.gateway("http://127.0.0.1:9");
    let back = "https://www.feat.com/api/pay/alipay_auth_return/";

    assert_eq!(
        alipay.consent_url(back, None).unwrap(),
        "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm?app_id=2021000100000001\
         &scope=auth_base&redirect_uri=https%3A//www.feat.com/api/pay/alipay_auth_return/"
    );
    assert!(alipay.consent_url(back, Some("a+b")).unwrap().ends_with("&state=a%2Bb"));
    let wechat = WeChatV2.gateway("http://127.0.0.1:9").consent_url(back, Some("s")).unwrap();
    assert!(wechat.starts_with("https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx"));
    assert!(wechat.ends_with("&state=s#wechat_redirect"));
    assert_eq!(UnionPay.gateway("http://127.0.0.1:9").consent_url(back, None), None);
}

#[tokio::test]
async fn platform_certificates_are_fetched_before_the_first_call_and_kept() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("vectors/wechat_v3.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let list = vectors.iter().find(|one| one["id"] == "certificates_answer").unwrap();
    let list = list["body"].as_str().unwrap().to_owned();
    let fake = Fake::start(move |request| {
        if request.path == "/v3/certificates" {
            return WeChatV3::with_certificate(200, &list);
        }
        let told = serde_json::json!({ "appid": "wxd678efh567hg6787", "mchid": "1900000109",
            "out_trade_no": support::desk::KEY, "trade_state": "NOTPAY" });
        WeChatV3::with_certificate(200, &told.to_string())
    })
    .await;
    let gateways = Gateways::open(&WeChatV3::account(&fake.url, false)).unwrap();
    let gateway = gateways.get(Channel::WeChatPay, "shop").unwrap();
    for _ in 0..2 {
        let state = gateway.query(&trade(), &mut Call::default()).await;
        assert_eq!(state, Ok(TradeState::NotPaid));
    }
    let paths: Vec<_> = fake.seen().iter().map(|seen| seen.path.len()).collect();
    assert_eq!(paths.len(), 3, "the list once, then the questions");
}

#[tokio::test]
async fn without_any_certificate_nothing_is_sent() {
    let fake = Fake::start(|_| Reply::text(502, "")).await;
    let gateways = Gateways::open(&WeChatV3::account(&fake.url, false)).unwrap();
    let gateway = gateways.get(Channel::WeChatPay, "shop").unwrap();
    let order = order(Scene::Native, Presentation::Code);
    let refused = gateway.create(&order, &mut Call::default()).await;

    assert!(matches!(refused, Err(ProviderError::NotSent { .. })), "{refused:?}");
    assert!(fake.seen().iter().all(|seen| seen.path == "/v3/certificates"));
}

#[tokio::test]
async fn a_person_is_bound_by_a_code_that_works_once() {
    let fake = Fake::start(|request| {
        if request.path.starts_with("/sns/oauth2/access_token") && request.path.contains("code=good") {
            return Reply::text(200, r#"{"access_token":"t","expires_in":7200,"openid":"oPerson","scope":"snsapi_userinfo","unionid":"uPerson"}"#);
        }
        if request.path.starts_with("/sns/userinfo") {
            return Reply::text(200, r#"{"openid":"oPerson","nickname":"Ada","headimgurl":"https://img.example.test/a"}"#);
        }
        Reply::text(200, r#"{"errcode":40163,"errmsg":"code been used"}"#)
    })
    .await;
    let gateway = WeChatV2.gateway(&fake.url);
    let mut call = Call::default();
    let bound = gateway.exchange_code("good", &mut call).await.unwrap();

    assert_eq!((bound.id.expose(), bound.nickname.as_deref()), ("oPerson", Some("Ada")));
    assert!(!format!("{:?}", call.trail).contains("app-secret"), "{:?}", call.trail);
    assert!(!format!("{bound:?}").contains("oPerson"));
    let again = gateway.exchange_code("spent", &mut Call::default()).await;
    assert_eq!(again, Err(ProviderError::Refused("40163".to_owned())));
}
