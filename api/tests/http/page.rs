//! The page at `/authorize`, form by form, without a browser. The browser has its own test.

use reqwest::{Method, Response, header::HeaderMap};
use serde_json::Value;

use crate::{
    oauth::{self, CHALLENGE, PHONE, WEB, parameter, redeem_web, status_with},
    rig::{PASSWORD, Server, USERNAME},
};

const ASK: &str = "/authorize?client_id=web&response_type=code&scope=all&state=s1\
    &redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Foauth";

/// A browser's memory: one cookie, and the token of the form that it sees.
#[derive(Default)]
struct Browser {
    cookie: String,
    form_token: String,
}

impl Browser {
    async fn get(&mut self, server: &Server, path: &str) -> (u16, String) {
        let request = server.request(Method::GET, path).header("cookie", &self.cookie);
        self.take(request.send().await.unwrap()).await
    }

    async fn post(&self, server: &Server, path: &str, form: &[(&str, &str)]) -> Response {
        let mut all = vec![("form_token", self.form_token.as_str())];
        all.extend_from_slice(form);
        let request = server.request(Method::POST, path).header("cookie", &self.cookie);
        request.form(&all).send().await.unwrap()
    }

    /// Remembers what a reply gives; answers with its status and text.
    async fn take(&mut self, reply: Response) -> (u16, String) {
        if let Some(cookie) = reply.headers().get("set-cookie") {
            cookie.to_str().unwrap().split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        if let Some((_, rest)) = text.split_once("name=\"form_token\" value=\"") {
            rest.split('"').next().unwrap().clone_into(&mut self.form_token);
        }
        (status, text)
    }

    async fn sign_in(&mut self, server: &Server, path: &str) {
        self.get(server, path).await;
        let form = [("username", USERNAME), ("password", PASSWORD), ("act", "sign_in")];
        let reply = self.post(server, path, &form).await;
        assert_eq!(reply.status(), 303);
        assert_eq!(location(reply.headers()), path);
        self.take(reply).await;
        let (status, text) = self.get(server, path).await;
        assert!(status == 200 && text.contains(USERNAME), "{text}");
    }
}

fn location(headers: &HeaderMap) -> &str {
    headers["location"].to_str().unwrap()
}

#[tokio::test]
async fn the_page_keeps_to_itself() {
    let server = oauth::server().await;
    let reply = server.get(ASK).await;
    let headers = reply.headers().clone();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let policy = header("content-security-policy");

    assert_eq!(reply.status(), 200);
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self' http://localhost:3000;",
    ] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("cache-control"), "no-store");
    let cookie = header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let text = reply.text().await.unwrap();
    assert!(!text.contains("<script") && !text.contains("src="), "{text}");
    let method = server.request(Method::DELETE, ASK).send().await.unwrap();
    assert_eq!(
        (method.status().as_u16(), &method.headers()["allow"]),
        (405, &"GET, HEAD, POST".parse().unwrap())
    );
}

#[tokio::test]
async fn a_person_signs_in_and_allows() {
    let server = oauth::server().await;
    let mut browser = Browser::default();
    browser.sign_in(&server, ASK).await;
    let form = [("act", "allow"), ("scope", "user_image")];
    let reply = browser.post(&server, ASK, &form).await;

    assert_eq!(reply.status(), 303);
    let address = location(reply.headers());
    assert!(address.starts_with(&format!("{WEB}?code=")), "{address}");
    assert_eq!(parameter(address, "state").as_deref(), Some("s1"));
    let code = parameter(address, "code").unwrap();
    let body: Value = oauth::token(&server, &redeem_web(&code)).await.json().await.unwrap();
    assert_eq!(body["scope"], "user_profile user_image");
    assert_eq!(status_with(&server, body["access_token"].as_str().unwrap()).await, 200);
}

#[tokio::test]
async fn what_is_not_ticked_is_not_granted() {
    let server = oauth::server().await;
    let mut browser = Browser::default();
    browser.sign_in(&server, ASK).await;
    let reply = browser.post(&server, ASK, &[("act", "allow")]).await;
    let code = parameter(location(reply.headers()), "code").unwrap();
    let body: Value = oauth::token(&server, &redeem_web(&code)).await.json().await.unwrap();
    assert_eq!(body["scope"], "user_profile");

    let only = ASK.replace("scope=all", "scope=user_image");
    let (status, _) = browser.get(&server, &only).await;
    assert_eq!(status, 200);
    let reply = browser.post(&server, &only, &[("act", "allow")]).await;
    assert_eq!(reply.status(), 400, "nothing is left to allow");
    let reply = browser.post(&server, &only, &[("act", "allow"), ("scope", "user_profile")]).await;
    assert_eq!(reply.status(), 400, "nobody asked for that");
}

#[tokio::test]
async fn a_disabled_client_collects_no_passwords_and_gets_nothing() {
    let server = oauth::server().await;
    let (mut inside, mut outside) = (Browser::default(), Browser::default());
    inside.sign_in(&server, ASK).await;
    outside.get(&server, ASK).await;
    oauth::disable(&server, "web").await;

    let (status, text) = Browser::default().get(&server, ASK).await;
    assert!(status == 400 && !text.contains("name=\"password\""), "{text}");
    let sign_in = [("username", USERNAME), ("password", PASSWORD), ("act", "sign_in")];
    let turns = [(&inside, &[("act", "allow")][..]), (&outside, &sign_in)];
    for (browser, form) in turns {
        let reply = browser.post(&server, ASK, form).await;
        assert_eq!(reply.status(), 400);
        assert!(reply.headers().get("location").is_none(), "the client is told nothing");
    }
}

#[tokio::test]
async fn a_person_may_refuse_and_sign_out() {
    let server = oauth::server().await;
    let mut browser = Browser::default();
    browser.sign_in(&server, ASK).await;
    let reply = browser.post(&server, ASK, &[("act", "deny")]).await;
    assert_eq!(location(reply.headers()), format!("{WEB}?error=access_denied&state=s1"));

    let before = Browser { cookie: browser.cookie.clone(), form_token: browser.form_token.clone() };
    let reply = browser.post(&server, ASK, &[("act", "sign_out")]).await;
    assert_eq!(reply.status(), 303);
    browser.take(reply).await;
    let (_, text) = browser.get(&server, ASK).await;
    assert!(text.contains("type=\"password\""), "{text}");
    let reply = before.post(&server, ASK, &[("act", "allow")]).await;
    assert_eq!(reply.status(), 403, "the old cookie is worth nothing");
}

#[tokio::test]
async fn a_form_without_its_cookie_or_token_does_nothing() {
    let server = oauth::server().await;
    let mut browser = Browser::default();
    browser.sign_in(&server, ASK).await;
    let mut stranger = Browser::default();
    stranger.get(&server, ASK).await;
    let cases = [
        ("no cookie", String::new(), browser.form_token.clone()),
        ("no token", browser.cookie.clone(), String::new()),
        ("a stranger's token", browser.cookie.clone(), stranger.form_token.clone()),
        ("a stranger's cookie", stranger.cookie.clone(), browser.form_token.clone()),
        ("an odd cookie", "feat_authorize=AAAA".to_owned(), browser.form_token.clone()),
    ];
    for (name, cookie, form_token) in cases {
        let other = Browser { cookie, form_token };
        for act in ["allow", "deny", "sign_out"] {
            let reply = other.post(&server, ASK, &[("act", act)]).await;
            assert_eq!(reply.status(), 403, "{name}: {act}");
            assert_eq!(reply.headers()["content-type"], "text/html; charset=utf-8", "{name}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_in_words() {
    let server = oauth::server().await;
    let mut browser = Browser::default();
    browser.get(&server, ASK).await;
    let mut texts = vec![];
    for (username, password) in
        [(USERNAME, "guess"), ("nobody", PASSWORD), ("disabled", PASSWORD), ("", "")]
    {
        let form = [("username", username), ("password", password), ("act", "sign_in")];
        let reply = browser.post(&server, ASK, &form).await;
        assert_eq!(reply.status(), 400, "{username}");
        assert!(reply.headers().get("set-cookie").is_none(), "{username}");
        texts.push(reply.text().await.unwrap());
    }
    assert!(texts[0].contains("The username or the password is wrong."), "{}", texts[0]);
    texts.dedup();
    assert_eq!(texts.len(), 1, "the answers are the same");
}

#[tokio::test]
async fn a_wrong_request_is_told_to_its_own_client_and_never_to_another_address() {
    let server = oauth::server().await;
    let scope = server.get(&ASK.replace("scope=all", "scope=root")).await;
    assert_eq!(scope.status(), 303);
    assert_eq!(location(scope.headers()), format!("{WEB}?error=invalid_scope&state=s1"));

    let cases = [
        ("unknown client", ASK.replace("client_id=web", "client_id=nobody")),
        ("foreign address", ASK.replace("localhost", "evil.test")),
        ("user in the address", ASK.replace("localhost%3A3000", "localhost%3A3000%40evil.test")),
        ("two addresses", format!("{ASK}&redirect_uri=https%3A%2F%2Fevil.test")),
        ("nothing", "/authorize".to_owned()),
        ("markup", ASK.replace("client_id=web", "client_id=%3Cscript%3E")),
    ];
    for (name, path) in cases {
        for method in [Method::GET, Method::POST] {
            let reply = server.request(method, &path).send().await.unwrap();
            assert_eq!(reply.status(), 400, "{name}");
            assert!(reply.headers().get("location").is_none(), "{name}");
            assert_eq!(reply.headers()["content-type"], "text/html; charset=utf-8", "{name}");
            let policy = reply.headers()["content-security-policy"].to_str().unwrap().to_owned();
            assert!(policy.contains("form-action 'none'"), "{name}: {policy}");
            let text = reply.text().await.unwrap();
            assert!(text.contains("role=\"alert\"") && !text.contains("<script"), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn an_app_and_an_implicit_client_are_sent_back_in_their_ways() {
    let server = oauth::server().await;
    let app = format!(
        "/authorize?client_id=phone&response_type=code&redirect_uri={}&code_challenge={CHALLENGE}\
         &code_challenge_method=S256",
        PHONE.replace(':', "%3A").replace('/', "%2F")
    );
    let mut browser = Browser::default();
    browser.sign_in(&server, &app).await;
    let reply = browser.post(&server, &app, &[("act", "allow")]).await;
    assert!(location(reply.headers()).starts_with("com.example.app:/oauth?code="));

    let spa = ASK.replace("client_id=web&response_type=code", "client_id=spa&response_type=token");
    let (status, _) = browser.get(&server, &spa).await;
    assert_eq!(status, 200, "still signed in");
    let reply = browser.post(&server, &spa, &[("act", "allow")]).await;
    let address = location(reply.headers());
    let (query, token) = address.split_once('#').unwrap();
    assert_eq!(query, format!("{WEB}?token_type=Bearer&expires_in=900&state=s1"));
    assert_eq!(status_with(&server, token).await, 200, "the fragment is the bare token");
}
