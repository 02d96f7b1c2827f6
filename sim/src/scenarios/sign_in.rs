//! Signing people in at WeChat and Alipay: codes, ids and profiles.

use secrecy::ExposeSecret;
use serde_json::Value;

use super::{Fields, MINUTE, World, fields, shop::FORM};

impl World {
    /// The code of a person who says yes.
    async fn code(&self, scope: &str) -> String {
        let app = &self.shop.merchant.wechat.apps[0];
        let ask = format!(
            "appid={app}&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fback&response_type=code\
             &scope={scope}&state=abc"
        );
        let page = format!("{}/connect/oauth2/authorize?{ask}", self.sim.url());
        assert!(self.get(&page).await.text().contains("Allow"));
        let elsewhere = page.replace("127.0.0.1%3A1", "evil.test");
        assert_eq!(self.get(&elsewhere).await.status, 400);
        let yes = format!("{ask}&answer=yes");
        let yes = self.post("/_sim/wechat-consent", FORM, yes).await.unwrap();
        let back = yes.header("location").split_once('?').unwrap().1.to_owned();
        let back: Fields = form_urlencoded::parse(back.as_bytes()).into_owned().collect();
        assert_eq!(back["state"], "abc");
        back["code"].clone()
    }

    async fn exchange(&self, app: &str, secret: &str, code: &str) -> Value {
        let query =
            format!("appid={app}&secret={secret}&code={code}&grant_type=authorization_code");
        let address = format!("{}/sns/oauth2/access_token?{query}", self.sim.url());
        self.get(&address).await.json()
    }
}

#[tokio::test]
async fn a_code_works_once_for_five_minutes_and_its_own_application() {
    let world = World::start().await;
    let merchant = world.shop.merchant.wechat.clone();
    let [app, other] = merchant.apps.as_slice() else { panic!("two applications") };
    let secret = merchant.app_secret.expose_secret();
    let (first, late) = (world.code("snsapi_userinfo").await, world.code("snsapi_base").await);
    let cases = [
        ("another application", other.as_str(), secret, first.as_str(), 40_029),
        ("an unknown one", "wx0000000000000000", secret, &first, 40_013),
        ("wrong secret", app, "x", &first, 40_125),
        ("made up", app, secret, "abc", 40_029),
    ];
    for (name, app, secret, code, expected) in cases {
        assert_eq!(world.exchange(app, secret, code).await["errcode"], expected, "{name}");
    }
    let answer = world.exchange(app, secret, &first).await;
    let (id, token) = (answer["openid"].as_str().unwrap(), &answer["access_token"]);
    let profile = |token: &str| {
        format!("{}/sns/userinfo?access_token={token}&openid={id}&lang=zh_CN", world.sim.url())
    };
    let profile_of = world.get(&profile(token.as_str().unwrap())).await.json();
    assert_eq!((profile_of["openid"].as_str(), profile_of["errcode"].is_null()), (Some(id), true));
    assert_eq!(world.get(&profile("abc")).await.json()["errcode"], 42_001);

    assert_eq!(world.exchange(app, secret, &first).await["errcode"], 40_163);
    world.sim.advance(MINUTE * 5).await.unwrap();
    assert_eq!(world.exchange(app, secret, &late).await["errcode"], 40_029);
}

const TOKEN: &str = "alipay.system.oauth.token";
const PROFILE: &str = "alipay.user.info.share";

impl World {
    /// Alipay's code of a person who says yes.
    async fn alipay_code(&self, scope: &str) -> String {
        let app = &self.shop.merchant.alipay.app_id;
        let ask = format!(
            "app_id={app}&scope={scope}&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fback&state=abc"
        );
        let page = format!("{}/oauth2/publicAppAuthorize.htm?{ask}", self.sim.url());
        assert!(self.get(&page).await.text().contains("Allow"));
        for wrong in [
            page.replace("127.0.0.1%3A1", "evil.test"),
            page.replace(app, "2021000000000000"),
            page.replace(scope, "auth_everything"),
        ] {
            assert_eq!(self.get(&wrong).await.status, 400, "{wrong}");
        }
        let yes = self.post("/_sim/consent", FORM, format!("{ask}&answer=yes")).await.unwrap();
        let back = yes.header("location").split_once('?').unwrap().1.to_owned();
        let back: Fields = form_urlencoded::parse(back.as_bytes()).into_owned().collect();
        assert_eq!((back["state"].as_str(), back["scope"].as_str()), ("abc", scope));
        back["auth_code"].clone()
    }

    /// The node of an answer that is signed.
    async fn alipay_top<const N: usize>(&self, method: &str, top: [(&str, &str); N]) -> Value {
        let body = self.alipay_request(method, &Value::Null, fields(top));
        let answer = self.post("/gateway.do", FORM, body).await.unwrap().json();
        assert!(answer["sign"].is_string(), "{answer}");
        answer[format!("{}_response", method.replace('.', "_")).as_str()].clone()
    }

    async fn alipay_token(&self, code: &str) -> Value {
        self.alipay_top(TOKEN, [("grant_type", "authorization_code"), ("code", code)]).await
    }
}

/// A world with a second application at Alipay.
async fn two_applications(other: &str) -> World {
    World::with(|settings| {
        let mut second = settings.merchants[0].clone();
        other.clone_into(&mut second.alipay.app_id);
        "1900000110".clone_into(&mut second.wechat.mchid);
        "777290058110049".clone_into(&mut second.unionpay.mer_id);
        settings.merchants.push(second);
    })
    .await
}

#[tokio::test]
async fn a_code_of_alipay_works_once_for_three_minutes_and_its_own_application() {
    let other = "2021000100000002";
    let world = two_applications(other).await;
    let (first, foreign) =
        (world.alipay_code("auth_user").await, world.alipay_code("auth_base").await);
    let late = world.alipay_code("auth_base").await;
    let cases = [
        ("made up", "authorization_code", "abc", "isv.code-invalid"),
        ("no code", "authorization_code", "", "isv.code-invalid"),
        ("no grant type", "", &first, "isv.grant-type-invalid"),
        ("another one", "password", &first, "isv.grant-type-invalid"),
        ("as a refresh token", "refresh_token", &first, "isv.refresh-token-invalid"),
    ];
    for (name, grant, code, expected) in cases {
        let node = world.alipay_top(TOKEN, [("grant_type", grant), ("code", code)]).await;
        assert_eq!(
            (&node["sub_code"], &node["code"]),
            (&expected.into(), &"40002".into()),
            "{name}"
        );
    }
    let top = [("app_id", other), ("grant_type", "authorization_code"), ("code", &foreign)];
    assert_eq!(world.alipay_top(TOKEN, top).await["sub_code"], "isv.invalid-app-id");

    let node = world.alipay_token(&first).await;
    assert!(node["code"].is_null() && node["access_token"].is_string(), "{node}");
    assert_eq!(world.alipay_token(&first).await["sub_code"], "isv.code-invalid", "used");
    world.sim.advance(MINUTE * 3).await.unwrap();
    assert_eq!(world.alipay_token(&late).await["sub_code"], "isv.code-invalid", "too late");

    let refresh = node["refresh_token"].as_str().unwrap();
    let top = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert!(world.alipay_top(TOKEN, top).await["access_token"].is_string());
    let again = world.alipay_top(TOKEN, top).await;
    assert_eq!(again["sub_code"], "isv.refreshed-token-invalid");
}

#[tokio::test]
async fn a_token_of_alipay_opens_what_was_consented_to() {
    let other = "2021000100000002";
    let world = two_applications(other).await;
    let mut tokens = Vec::new();
    for scope in ["auth_user", "auth_base"] {
        let node = world.alipay_token(&world.alipay_code(scope).await).await;
        tokens.push(node["access_token"].as_str().unwrap().to_owned());
    }
    let profile = world.alipay_top(PROFILE, [("auth_token", &tokens[0])]).await;
    assert_eq!((&profile["code"], profile["nick_name"].is_string()), (&"10000".into(), true));
    let cases = [
        ("the id alone", "", tokens[1].as_str(), "isv.insufficient-isv-permissions"),
        ("made up", "", "authusrBabc", "aop.invalid-auth-token"),
        ("another application", other, &tokens[0], "isv.invalid-app-id"),
    ];
    for (name, app, token, expected) in cases {
        let own = world.shop.merchant.alipay.app_id.as_str();
        let app = if app.is_empty() { own } else { app };
        let node = world.alipay_top(PROFILE, [("app_id", app), ("auth_token", token)]).await;
        assert_eq!(node["sub_code"], expected, "{name}: {node}");
    }
}
