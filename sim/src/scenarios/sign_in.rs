//! Signing people in at WeChat: codes, ids and profiles.

use secrecy::ExposeSecret;
use serde_json::Value;

use super::{Fields, MINUTE, World};

const FORM: &str = "application/x-www-form-urlencoded";

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
