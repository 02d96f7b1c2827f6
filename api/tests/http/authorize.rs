//! `GET` and `POST /api/o/authorize/`, as a consent page elsewhere uses them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    oauth::{
        self, Ask, CHALLENGE, PHONE, WEB, answer, parameter, phone, redeemed, refusal, show,
        status_with, web,
    },
    rig::sign_in_with,
};

const ALLOW: &[(&str, &str)] = &[("allow", "true"), ("device_id", "AUTHORIZE")];

#[tokio::test]
async fn a_consent_page_is_told_what_to_show() {
    let server = oauth::server().await;
    let token = server.access_token().await;
    let uri = "http://localhost:3000/oauth?next=%2Fprofile";
    let ask = vec![("client_id", "web"), ("response_type", "code"), ("redirect_uri", uri)];
    let reply = show(&server, &token, &ask).await;

    assert_eq!(reply.status(), 200);
    let body: Value = reply.json().await.unwrap();
    let expected = json!({
        "name": "The web",
        "client_id": "web",
        "redirect_uri": uri,
        "response_type": "code",
        "state": null,
        "n_scopes": [["user_profile", "Your profile"]],
        "ad_scopes": [],
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn scopes_are_those_asked_for_or_the_default_ones() {
    let server = oauth::server().await;
    let token = server.access_token().await;
    let narrow: Value = server.token(sign_in_with("narrow", "")).await.json().await.unwrap();
    let narrow = narrow["access_token"].as_str().unwrap();
    let cases: [(&str, &str, Ask<'_>, &str); 6] = [
        ("none", &token, web(&[]), "user_profile"),
        ("a misspelt one", &token, web(&[("scopes", "all"), ("scopes", "x")]), "user_profile"),
        ("empty", &token, web(&[("scope", "")]), "user_profile"),
        ("all", &token, web(&[("scope", "all")]), &schemas::Scopes::all().to_string()),
        ("one", &token, web(&[("scope", "user_image")]), "user_image"),
        ("no more than the user's own token", narrow, web(&[("scope", "all")]), "user_image"),
    ];
    for (name, token, ask, expected) in cases {
        let body: Value = show(&server, token, &ask).await.json().await.unwrap();
        let pairs = ["n_scopes", "ad_scopes"].map(|part| body[part].as_array().unwrap().clone());
        let names: Vec<_> =
            pairs.concat().iter().map(|pair| pair[0].as_str().unwrap().to_owned()).collect();
        assert_eq!(names.join(" "), expected, "{name}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_right_is_refused_and_never_sends_the_code_away() {
    const REQUEST: &str = "invalid_request";
    let server = oauth::server().await;
    let token = server.access_token().await;
    let with = |ask: Ask<'static>, name: &'static str, value: &'static str| {
        let mut ask: Ask<'static> = ask.into_iter().filter(|(found, _)| *found != name).collect();
        if !value.is_empty() {
            ask.push((name, value));
        }
        ask
    };
    let to = |value: &'static str| with(web(&[]), "redirect_uri", value);
    let cases = [
        ("no client", with(web(&[]), "client_id", ""), REQUEST),
        ("unknown client", with(web(&[]), "client_id", "nobody"), "invalid_client"),
        ("client of no form", with(web(&[]), "client_id", "a/b"), "invalid_client"),
        ("two clients", web(&[("client_id", "spa")]), REQUEST),
        ("no address", to(""), REQUEST),
        ("two addresses", web(&[("redirect_uri", "https://evil.test/")]), REQUEST),
        ("foreign address", to("https://evil.test/oauth"), REQUEST),
        ("user in the address", to("http://localhost:3000@evil.test/oauth"), REQUEST),
        ("backslash", to("http://evil.test\\@localhost:3000/oauth"), REQUEST),
        ("no scheme", to("//evil.test/oauth"), REQUEST),
        ("other port", to("http://localhost:3001/oauth"), REQUEST),
        ("other scheme", to("https://localhost:3000/oauth"), REQUEST),
        ("path prefix", to("http://localhost:3000/oauth/../evil"), REQUEST),
        ("encoded path", to("http://localhost:3000/%6fauth"), REQUEST),
        ("fragment", to("http://localhost:3000/oauth#x"), REQUEST),
        ("script", to("javascript:alert(1)"), REQUEST),
        ("an app's address of another client", to(PHONE), REQUEST),
        (
            "an app's address with a query",
            with(phone(), "redirect_uri", "com.example.app:/oauth?x=1"),
            REQUEST,
        ),
        ("a code of its own", to("http://localhost:3000/oauth?code=x"), REQUEST),
        ("no response type", with(web(&[]), "response_type", ""), REQUEST),
        (
            "unknown response type",
            with(web(&[]), "response_type", "id_token"),
            "unsupported_response_type",
        ),
        ("implicit, not allowed", with(web(&[]), "response_type", "token"), "unauthorized_client"),
        (
            "code, not allowed",
            vec![("client_id", "spa"), ("response_type", "code"), ("redirect_uri", WEB)],
            "unauthorized_client",
        ),
        ("no challenge of a public client", with(phone(), "code_challenge", ""), REQUEST),
        ("method plain", with(phone(), "code_challenge_method", "plain"), REQUEST),
        ("no method", with(phone(), "code_challenge_method", ""), REQUEST),
        ("a short challenge", with(phone(), "code_challenge", "abc"), REQUEST),
        ("a method alone", web(&[("code_challenge_method", "S256")]), REQUEST),
        ("unknown scope", web(&[("scope", "root")]), "invalid_scope"),
        ("blank scope", web(&[("scope", " ")]), "invalid_scope"),
    ];
    for (name, ask, code) in cases {
        refusal(name, show(&server, &token, &ask).await, 400, code).await;
        refusal(name, answer(&server, &token, &ask, ALLOW).await, 400, code).await;
    }
}

#[tokio::test]
async fn only_a_user_who_signed_in_with_the_password_may_allow() {
    let server = oauth::server().await;
    let by_code = redeemed(&server).await;
    let by_code = by_code["access_token"].as_str().unwrap();
    let robot = [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", "robot-secret"),
    ];
    let robot: Value = oauth::token(&server, &robot).await.json().await.unwrap();
    let robot = robot["access_token"].as_str().unwrap();
    let cases = [
        ("a client's token", by_code, 403, "access_denied"),
        ("a client for itself", robot, 403, "access_denied"),
        ("no token of ours", "a.b.c", 401, "invalid_token"),
    ];
    for (name, token, status, code) in cases {
        refusal(name, show(&server, token, &web(&[])).await, status, code).await;
        refusal(name, answer(&server, token, &web(&[]), ALLOW).await, status, code).await;
    }
    let bare = server.request(Method::GET, "/api/o/authorize/").send().await.unwrap();
    assert!(bare.headers().contains_key("www-authenticate"));
    refusal("no token at all", bare, 401, "invalid_token").await;
}

#[tokio::test]
async fn an_answer_leads_back_to_the_client() {
    let server = oauth::server().await;
    let token = server.access_token().await;
    let uri = "http://localhost:3000/oauth?next=%2Fprofile";
    let ask = vec![
        ("client_id", "web"),
        ("response_type", "code"),
        ("redirect_uri", uri),
        ("state", "a b&c"),
    ];
    let scopes = [("n_scopes", "user_profile"), ("ad_scopes", "user_image")];
    let more: Vec<_> = ALLOW.iter().chain(&scopes).copied().collect();
    let allowed: Value = answer(&server, &token, &ask, &more).await.json().await.unwrap();
    let address = allowed["redirect_uri"].as_str().unwrap();
    assert!(address.starts_with(&format!("{uri}&code=")), "{address}");
    assert_eq!(parameter(address, "state").as_deref(), Some("a b&c"));
    assert_eq!(allowed.as_object().unwrap().len(), 1, "{allowed}");
    let code = parameter(address, "code").unwrap();
    let mut redeem = oauth::redeem_web(&code);
    redeem[3].1 = uri;
    let body: Value = oauth::token(&server, &redeem).await.json().await.unwrap();
    assert_eq!(body["scope"], "user_profile user_image");

    let no = [("allow", "false"), ("device_id", "AUTHORIZE")];
    let reply = answer(&server, &token, &ask, &no).await;
    assert_eq!(reply.status(), 200);
    let refused: Value = reply.json().await.unwrap();
    let expected = format!("{uri}&error=access_denied&state=a+b%26c");
    assert_eq!(refused, json!({ "redirect_uri": expected }));
}

#[tokio::test]
async fn an_answer_that_is_not_right_gives_nothing() {
    let server = oauth::server().await;
    let token = server.access_token().await;
    let narrow: Value = server.token(sign_in_with("narrow", "")).await.json().await.unwrap();
    let narrow = narrow["access_token"].as_str().unwrap();
    let long = "d".repeat(300);
    let odd = vec![("allow", "true"), ("n_scopes", "user_profile"), ("device_id", &long)];
    let cases: [(&str, &str, Ask<'_>, &str); 6] = [
        ("no answer", &token, vec![], "invalid_request"),
        ("an odd answer", &token, vec![("allow", "yes")], "invalid_request"),
        ("two answers", &token, vec![("allow", "false"), ("allow", "true")], "invalid_request"),
        ("unknown scope", &token, vec![("allow", "true"), ("ad_scopes", "root")], "invalid_scope"),
        (
            "more than the user's token allows",
            narrow,
            vec![("allow", "true"), ("n_scopes", "user_profile")],
            "invalid_scope",
        ),
        ("odd device", &token, odd, "invalid_request"),
    ];
    for (name, token, more, code) in cases {
        refusal(name, answer(&server, token, &web(&[]), &more).await, 400, code).await;
    }
    let json = server
        .request(Method::POST, "/api/o/authorize/")
        .bearer_auth(&token)
        .json(&json!({ "allow": "true" }))
        .send()
        .await
        .unwrap();
    refusal("JSON", json, 400, "invalid_request").await;
}

#[tokio::test]
async fn an_answer_that_names_nothing_allows_nothing() {
    let server = oauth::server().await;
    let token = server.access_token().await;
    let narrow: Value = server.token(sign_in_with("narrow", "")).await.json().await.unwrap();
    let narrow = narrow["access_token"].as_str().unwrap();
    let cases: [(&str, &str, Ask<'_>); 4] = [
        ("basic ones are shown", &token, web(&[])),
        ("only one that may be left out is shown", &token, web(&[("scope", "user_image")])),
        ("everything is asked for", &token, web(&[("scope", "all")])),
        ("nothing basic can be given", narrow, web(&[("scope", "all")])),
    ];
    for (name, token, ask) in cases {
        refusal(name, answer(&server, token, &ask, ALLOW).await, 400, "invalid_scope").await;
    }
    let empty = [ALLOW, &[("n_scopes", ""), ("ad_scopes", "")]].concat();
    let reply = answer(&server, &token, &web(&[]), &empty).await;
    refusal("empty parts", reply, 400, "invalid_scope").await;
}

#[tokio::test]
async fn a_disabled_client_is_as_unknown() {
    let server = oauth::server().await;
    let token = server.access_token().await;
    let spa = vec![("client_id", "spa"), ("response_type", "token"), ("redirect_uri", WEB)];
    let more = [ALLOW, &[("n_scopes", "user_profile")]].concat();
    for (id, ask) in [("web", web(&[])), ("spa", spa)] {
        assert_eq!(answer(&server, &token, &ask, &more).await.status(), 200, "{id}");
        oauth::disable(&server, id).await;
        refusal(id, show(&server, &token, &ask).await, 400, "invalid_client").await;
        refusal(id, answer(&server, &token, &ask, &more).await, 400, "invalid_client").await;
    }
}

#[tokio::test]
async fn an_allowed_client_gets_its_token_at_once() {
    let server = oauth::server().await;
    let token = server.access_token().await;
    let ask = vec![
        ("client_id", "spa"),
        ("response_type", "token"),
        ("redirect_uri", WEB),
        ("state", ""),
    ];
    let body: Value = oauth::allow(&server, &token, &ask).await.json().await.unwrap();

    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    assert!(body.get("redirect_uri").is_none() && body.get("refresh_token").is_none(), "{body}");
    let given = body["access_token"].as_str().unwrap();
    assert_eq!(status_with(&server, given).await, 200);
    refusal("it cannot pass it on", show(&server, given, &web(&[])).await, 403, "access_denied")
        .await;
}

#[tokio::test]
async fn the_answer_may_be_a_plain_form_too() {
    let server = oauth::server().await;
    let request = server
        .request(Method::POST, "/api/o/authorize/")
        .bearer_auth(server.access_token().await)
        .form(&[phone(), ALLOW.to_vec(), vec![("n_scopes", "user_profile")]].concat());
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    let address = body["redirect_uri"].as_str().unwrap();

    assert!(address.starts_with("com.example.app:/oauth?code="), "{address}");
    assert_eq!(CHALLENGE.len(), 43);
}
