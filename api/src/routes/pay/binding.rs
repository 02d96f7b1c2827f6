//! `/api/user/profile/…-binding/` and what belongs to it: a user's accounts at Alipay and WeChat.
//!
//! Alipay's is bound by a consent in the browser; WeChat's by the code that WeChat gave to an app, or by
//! a consent in WeChat that a QR code leads to. What comes back from a consent belongs to the user who
//! began it, by a state that counts once and a cookie of the browser. The ids of people never leave Feat.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{Request, http::header, web::Data};
use poem_openapi::{
    OpenApi,
    param::{Header, Query},
    payload::{Form, Json, Response},
};
use providers::payment::Gateway;
use schemas::{
    Channel, ErrorCode, Queue, UserId,
    binding::{BindingRecord, BoundProfile, Purpose, SEALED_CODE, SEALED_PROFILE},
    job::{Job, NewJob},
    kinds::{PayBind, pay_bind::BindOrder},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    bind_return::{self, Consent},
    bind_shapes::{
        AlipayAccount, AuthUrl, BindingAnswer, NewBinding, Sent, ToScan, WechatAccount, WechatCode,
    },
    browser::Browser,
    call::Call,
    qr,
};
use crate::{
    auth::{Bearer, Caller},
    error::ApiError,
    intake::ResultReply,
    routes::json_body::{JsonBody, OptionalJsonBody},
    state::{AppState, RequestContext},
    view::{Area, Resource},
};

/// The app that WeChat accounts are bound under unless the caller names another.
const WECHAT_APP: &str = "official_account";

/// Longest code of a provider, in bytes.
const MAX_CODE: usize = 512;

/// The calls about bound accounts.
pub(crate) struct BindingApi(pub(crate) AppState);

#[OpenApi(tag = "Area::Payments")]
impl BindingApi {
    /// Begin to bind one's Alipay account
    ///
    /// The reply has a cookie. A browser that brings it back from Alipay goes straight on; another one
    /// is asked whether the account is to be bound to the user who began.
    #[oai(path = "/api/user/profile/alipay-binding", method = "post", operation_id = "bind_alipay")]
    async fn bind_alipay(
        &self,
        Bearer(caller): Bearer,
        body: OptionalJsonBody<NewBinding>,
        request: &Request,
    ) -> Result<Response<Json<AuthUrl>>, ApiError> {
        let gateway = alipay(&self.0)?;
        let redirect_to = match body.get("redirect_to") {
            None => None,
            Some(Value::String(address)) => Some(address.as_str()),
            Some(_) => return Err(ApiError::invalid("redirect_to", "Send an address.")),
        };
        let redirect_to = bind_return::address(&self.0, &caller, redirect_to).await?;
        let browser = Browser::of(&self.0, request);
        let auth_url =
            bind_return::begin(&self.0, caller.user, gateway, Purpose::Bind, redirect_to, &browser)
                .await?;
        let reply = Response::new(Json(AuthUrl { auth_url }));
        Ok(reply.header(header::SET_COOKIE, browser.set_cookie()))
    }

    /// See whether one's Alipay account is bound
    ///
    /// 400 `ALIPAY_BIND_FIRST` with `data.auth_url` when it is not.
    #[oai(path = "/api/user/profile/alipay-info", method = "get", operation_id = "alipay_info")]
    async fn alipay_info(
        &self,
        Bearer(caller): Bearer,
        request: &Request,
    ) -> Result<Json<Resource<AlipayAccount>>, ApiError> {
        let bound = self.0.store.bindings.get(caller.user, Channel::Alipay).await?;
        if let Some(bound) = bound {
            return Ok(Json(Resource {
                data: AlipayAccount { bound_at: bound.bound_at.to_string() },
            }));
        }
        let gateway = alipay(&self.0)?;
        let redirect_to = bind_return::address(&self.0, &caller, None).await?;
        let browser = Browser::of(&self.0, request);
        let auth_url =
            bind_return::begin(&self.0, caller.user, gateway, Purpose::Bind, redirect_to, &browser)
                .await?;
        let error = ApiError::of(ErrorCode::AlipayBindFirst, "Bind an Alipay account first.");
        let error = error.with_data(json!({ "auth_url": auth_url }));
        // A cookie is text that a header can have.
        Err(match browser.set_cookie().try_into() {
            Ok(cookie) => error.with_header(header::SET_COOKIE, cookie),
            Err(_) => error,
        })
    }

    /// Come back from Alipay's page
    ///
    /// For browsers; the state names whose account it is. One that did not begin is asked first.
    #[oai(
        path = "/api/pay/alipay_auth_return",
        method = "get",
        operation_id = "alipay_auth_return"
    )]
    async fn alipay_return(
        &self,
        /// What the consent is exchanged for.
        auth_code: Query<Option<String>>,
        /// Which consent it is.
        state: Query<Option<String>>,
        /// The app that was consented to.
        app_id: Query<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<Sent, ApiError> {
        let consent = Consent { state: state.0, code: auth_code.0, app_id: app_id.0 };
        self.come_back(Channel::Alipay, consent, context, request).await
    }

    /// Come back from WeChat's page
    ///
    /// For browsers; the state names whose account it is. One that did not begin is asked first.
    #[oai(
        path = "/api/pay/wechat_auth_return",
        method = "get",
        operation_id = "wechat_auth_return"
    )]
    async fn wechat_return(
        &self,
        /// What the consent is exchanged for.
        code: Query<Option<String>>,
        /// Which consent it is.
        state: Query<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<Sent, ApiError> {
        let consent = Consent { state: state.0, code: code.0, app_id: None };
        self.come_back(Channel::WeChatPay, consent, context, request).await
    }

    /// Say whether one's account is to be bound or unbound
    ///
    /// For browsers: the form of the page that asks.
    #[oai(path = "/api/pay/auth_return", method = "post", operation_id = "answer_auth_return")]
    async fn answer_return(
        &self,
        answer: Form<BindingAnswer>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<Sent, ApiError> {
        let BindingAnswer { state, code, answer } = &answer.0;
        let browser = Browser::of(&self.0, request);
        let is_yes = answer == "yes";
        let back = bind_return::answer(&self.0, state, code, is_yes, &browser, context).await?;
        Ok(Sent::Back(back))
    }

    /// Bind one's WeChat account with a code
    #[oai(path = "/api/user/profile/wechat-binding", method = "post", operation_id = "bind_wechat")]
    async fn bind_wechat(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<WechatCode>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Resource<WechatAccount>>, ApiError> {
        let call = Call::of(&self.0, caller.user, context, request, body.raw())?;
        let code = body.required("code")?.as_str().filter(|code| is_code(code));
        let code = code.ok_or_else(|| ApiError::invalid("code", "Send the code of WeChat."))?;
        let app = match body.get("wx_app_type") {
            None => WECHAT_APP,
            Some(Value::String(app)) => app,
            Some(_) => return Err(ApiError::invalid("wx_app_type", "Send a text.")),
        };
        let gateway = wechat(&self.0, app)?;
        let job = exchange::<PayBind>(&self.0, caller.user, gateway, code)?;
        let user = caller.user;
        call.run(&self.0, job, async |_| {
            let bound = self.0.store.bindings.get(user, Channel::WeChatPay).await?;
            let bound = bound.ok_or_else(ApiError::not_found)?;
            let WechatAccount { nickname, headimgurl } = shown(&self.0, &bound);
            Ok(json!({ "data": { "nickname": nickname, "headimgurl": headimgurl } }))
        })
        .await
    }

    /// Read one's WeChat account
    ///
    /// 400 `WX_BIND_FIRST` with `data.code_url`, a picture to scan with WeChat, when none is bound.
    #[oai(path = "/api/user/profile/wechat-info", method = "get", operation_id = "wechat_info")]
    async fn wechat_info(
        &self,
        Bearer(caller): Bearer,
        request: &Request,
    ) -> Result<Json<Resource<WechatAccount>>, ApiError> {
        let bound = self.0.store.bindings.get(caller.user, Channel::WeChatPay).await?;
        if let Some(bound) = bound {
            return Ok(Json(Resource { data: shown(&self.0, &bound) }));
        }
        let gateway = wechat(&self.0, WECHAT_APP)?;
        let code_url = self.to_scan(&caller, gateway, Purpose::Bind, request).await?;
        let error = ApiError::of(ErrorCode::WxBindFirst, "Bind a WeChat account first.");
        Err(error.with_data(json!({ "code_url": code_url })))
    }

    /// Begin to unbind one's WeChat account
    ///
    /// `data.code_url` is a picture to scan with the WeChat account that is bound: its person has to
    /// agree. It counts once and for ten minutes. 400 `WX_BIND_FIRST` when none is bound.
    #[oai(
        path = "/api/user/profile/wechat-unbinding",
        method = "get",
        operation_id = "unbind_wechat"
    )]
    async fn unbind_wechat(
        &self,
        Bearer(caller): Bearer,
        request: &Request,
    ) -> Result<Json<Resource<ToScan>>, ApiError> {
        let bound = self.0.store.bindings.get(caller.user, Channel::WeChatPay).await?;
        let bound = bound
            .ok_or_else(|| ApiError::of(ErrorCode::WxBindFirst, "No WeChat account is bound."))?;
        // An app for telephones has no page that asks; the id that apps share tells who it is.
        let app = if bound.union_account.is_some() { WECHAT_APP } else { bound.app.as_str() };
        let gateway = wechat(&self.0, app)?;
        let code_url = self.to_scan(&caller, gateway, Purpose::Unbind, request).await?;
        Ok(Json(Resource { data: ToScan { code_url } }))
    }
}

impl BindingApi {
    /// Begins a consent at WeChat; answers with the picture of its page's address.
    async fn to_scan(
        &self,
        caller: &Caller,
        gateway: &Gateway,
        purpose: Purpose,
        request: &Request,
    ) -> Result<String, ApiError> {
        let redirect_to = bind_return::address(&self.0, caller, None).await?;
        // It is scanned with another device, whose browser is asked.
        let browser = Browser::of(&self.0, request);
        let user = caller.user;
        let page =
            bind_return::begin(&self.0, user, gateway, purpose, redirect_to, &browser).await?;
        let picture = STANDARD.encode(qr::svg(&page)?);
        Ok(format!("data:image/svg+xml;base64,{picture}"))
    }

    async fn come_back(
        &self,
        channel: Channel,
        consent: Consent,
        context: &RequestContext,
        request: &Request,
    ) -> Result<Sent, ApiError> {
        let browser = Browser::of(&self.0, request);
        let onward = bind_return::come_back(&self.0, channel, consent, &browser, context).await?;
        Ok(Sent::of(onward, &browser))
    }
}

/// The job `J` that exchanges `code` for the account of `user`.
///
/// # Errors
///
/// 500 when it cannot be sealed.
pub(super) fn exchange<J: Job<Payload = BindOrder>>(
    state: &AppState,
    user: UserId,
    gateway: &Gateway,
    code: &str,
) -> Result<NewJob, ApiError> {
    let sealed = state.till.sealer.seal(SEALED_CODE, code).map_err(ApiError::internal)?;
    let (channel, app) = (gateway.channel(), gateway.name().to_owned());
    let order = BindOrder { channel, app, code: sealed };
    let mut job = NewJob::of::<J>(user, &order).map_err(ApiError::internal)?;
    job.queue = Some(Queue::of_channel(channel));
    Ok(job)
}

/// Whether the text can be a code of a provider.
pub(super) fn is_code(text: &str) -> bool {
    (1..=MAX_CODE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn alipay(state: &AppState) -> Result<&Gateway, ApiError> {
    let found = state.till.gateways.first(Channel::Alipay);
    found.ok_or_else(|| not_set_up(Channel::Alipay))
}

fn wechat<'a>(state: &'a AppState, app: &str) -> Result<&'a Gateway, ApiError> {
    let gateways = &state.till.gateways;
    gateways.get(Channel::WeChatPay, app).ok_or_else(|| {
        if gateways.first(Channel::WeChatPay).is_some() {
            return ApiError::invalid("wx_app_type", "There is no such app.");
        }
        not_set_up(Channel::WeChatPay)
    })
}

/// No account of this provider can bind people here.
pub(super) fn not_set_up(channel: Channel) -> ApiError {
    let text = format!("Binding with {channel} is not set up here.");
    ApiError::of(ErrorCode::NotImplemented, text)
}

/// The name of the person at the provider; empty when the consent did not cover it.
pub(super) fn nickname(state: &AppState, bound: &BindingRecord) -> String {
    shown(state, bound).nickname
}

/// What the person shows of themselves; nothing of it is known with another key than it was sealed.
fn shown(state: &AppState, bound: &BindingRecord) -> WechatAccount {
    let opened = bound.profile.as_ref().and_then(|profile| {
        let text = state.till.sealer.open(SEALED_PROFILE, profile).ok()?;
        serde_json::from_str::<BoundProfile>(text.expose_secret()).ok()
    });
    let profile = opened.unwrap_or_default();
    WechatAccount {
        nickname: profile.nickname.unwrap_or_default(),
        headimgurl: profile.picture.unwrap_or_default(),
    }
}
