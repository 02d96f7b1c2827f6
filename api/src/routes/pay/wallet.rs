//! `/api/pay/account/` and `/api/pay/payment/`: the cards that a user keeps, and which account is preferred
//! for what.
//!
//! A card is kept once its holder has shown the code that came to the telephone that the bank knows. What
//! is kept is sealed, and every payment with it needs a code of its own.

use poem::{Request, web::Data};
use poem_openapi::{
    OpenApi,
    param::{Header, Path},
    payload::Json,
    types::ToJSON,
};
use schemas::{
    AccountId, Channel, Currency, ErrorCode, Queue, Timestamp, UserId,
    job::NewJob,
    kinds::{
        PayCardCode, PayCardKeep,
        pay_card_code::CodeWay,
        pay_card_keep::{CardKept, CardProof},
        pay_card_look::CardQuestion,
    },
    wallet::{Preference, WalletRecord},
};
use serde_json::{Value, json};

use super::{
    card_fields::{charger, code, named, no_code, phone, private_call},
    wallet_accounts::{accounts, bound, change},
    wallet_shapes::{
        Account, AccountChoice, Accounts, CardClaim, CodeOnItsWay, Forgotten, NewAccount,
        PaymentSettings,
    },
};
use crate::{
    auth::{Bearer, Caller},
    error::ApiError,
    intake::ResultReply,
    routes::{json_body::JsonBody, path_id::AccountPathId},
    state::{AppState, RequestContext},
    view::{Area, Resource},
};

/// The calls about kept accounts.
pub(crate) struct WalletApi(pub(crate) AppState);

#[OpenApi(prefix_path = "/api/pay", tag = "Area::Payments")]
impl WalletApi {
    /// List one's accounts
    ///
    /// Cards that are kept, and the accounts that are bound at Alipay and WeChat.
    #[oai(path = "/account", method = "get", operation_id = "list_accounts")]
    async fn list(&self, Bearer(caller): Bearer) -> Result<Json<Resource<Accounts>>, ApiError> {
        let wallet = self.0.store.wallets.get(caller.user).await?;
        let accounts = accounts(&self.0, &wallet).await?;
        let preferred =
            |is: fn(&Account) -> bool| accounts.iter().find(|one| is(one)).map(|one| one.id);
        let (payment, receipt) =
            (preferred(|one| one.default_payment), preferred(|one| one.default_receipt));
        let data = Accounts { accounts, default_payment: payment, default_receipt: receipt };
        Ok(Json(Resource { data }))
    }

    /// Keep a card
    ///
    /// The same as `POST /api/pay/account/bind-unpay-account/`. Accounts at Alipay and WeChat are bound
    /// by a consent instead.
    #[oai(path = "/account", method = "post", operation_id = "keep_account")]
    async fn keep(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<NewAccount>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Resource<Account>>, ApiError> {
        self.keep_card(&caller, &body, context, request).await
    }

    /// Have the holder of a card sent the code that keeps it
    ///
    /// 400 `ACCOUNT_INACTIVE` when the card has to be opened first: `data` is a page of HTML for that.
    /// 400 `INCONSISTENT_PHONE` when the bank knows another telephone number. Within a minute no other
    /// code is sent.
    #[oai(
        path = "/account/bind-unpay-account/send-vcode",
        method = "post",
        operation_id = "send_account_code"
    )]
    async fn send_code(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<CardClaim>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<CodeOnItsWay>, ApiError> {
        let call = private_call(&self.0, &caller, context, request, &body)?;
        let card = named(&self.0, &body, Some(phone(&body)?))?;
        if self.0.store.wallets.get(caller.user).await?.is_full_for(&card.digest) {
            let error = ApiError::of(ErrorCode::Conflict, "Forget another card first.");
            return Err(error.with_data(json!({ "reason": "wallet_full" })));
        }
        let question = CardQuestion { app: charger(&self.0)?.name().to_owned(), card };
        let mut job =
            NewJob::of::<PayCardCode>(caller.user, &question).map_err(ApiError::internal)?;
        job.queue = Some(Queue::of_channel(Channel::UnionPay));
        call.run(&self.0, job, async |output| code_reply(output)).await
    }

    /// Keep a card with the code that its holder got
    ///
    /// 400 `INVALID_VCODE` when the code is wrong: have another one sent.
    #[oai(path = "/account/bind-unpay-account", method = "post", operation_id = "keep_card")]
    async fn bind(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<NewAccount>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Resource<Account>>, ApiError> {
        self.keep_card(&caller, &body, context, request).await
    }

    /// Prefer an account for being paid
    #[oai(path = "/account/default_receipt", method = "post", operation_id = "prefer_receipt")]
    async fn prefer_receipt(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<AccountChoice>,
    ) -> Result<Json<Resource<Account>>, ApiError> {
        self.prefer(caller.user, Preference::Receipt, &body).await
    }

    /// Prefer an account for paying
    #[oai(path = "/account/default_payment", method = "post", operation_id = "prefer_payment")]
    async fn prefer_payment(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<AccountChoice>,
    ) -> Result<Json<Resource<Account>>, ApiError> {
        self.prefer(caller.user, Preference::Payment, &body).await
    }

    /// Forget a kept card
    ///
    /// It is preferred for nothing any more. 409 for an account that was bound by a consent.
    #[oai(path = "/account/:id", method = "delete", operation_id = "forget_account")]
    async fn forget(
        &self,
        Bearer(caller): Bearer,
        id: Path<AccountPathId>,
    ) -> Result<Forgotten, ApiError> {
        let id = id.0.get()?;
        let state = &self.0;
        if bound(state, caller.user).await?.iter().any(|account| account.id == id.get()) {
            let text = "It was bound by a consent, and is not forgotten here.";
            let error = ApiError::of(ErrorCode::Conflict, text);
            return Err(error.with_data(json!({ "reason": "account_bound" })));
        }
        let forgotten = |wallet: &WalletRecord| wallet.forget(id).ok_or_else(ApiError::not_found);
        change(state, caller.user, forgotten).await?;
        Ok(Forgotten::Done)
    }

    /// Read how one pays
    #[oai(path = "/payment", method = "get", operation_id = "payment_settings")]
    #[expect(clippy::unused_async, reason = "the form that an operation has")]
    async fn settings(&self, Bearer(_caller): Bearer) -> Json<Resource<PaymentSettings>> {
        settings()
    }

    /// Change how one pays
    ///
    /// Feat's bills are in CNY alone, so no other currency is taken.
    #[oai(path = "/payment", method = "patch", operation_id = "change_payment_settings")]
    #[expect(clippy::unused_async, reason = "the form that an operation has")]
    async fn change_settings(
        &self,
        Bearer(_caller): Bearer,
        body: JsonBody<PaymentSettings>,
    ) -> Result<Json<Resource<PaymentSettings>>, ApiError> {
        for (name, value) in body.fields() {
            match (name.as_str(), value.as_str()) {
                ("currency", Some(code)) if code == Currency::Cny.code() => {}
                ("currency", _) => return Err(ApiError::invalid(name, "Send `CNY`.")),
                _ => return Err(ApiError::invalid(name, "There is no such setting.")),
            }
        }
        Ok(settings())
    }
}

impl WalletApi {
    async fn keep_card(
        &self,
        caller: &Caller,
        body: &JsonBody<NewAccount>,
        context: &RequestContext,
        request: &Request,
    ) -> Result<ResultReply<Resource<Account>>, ApiError> {
        let (state, user) = (&self.0, caller.user);
        let call = private_call(state, caller, context, request, body)?;
        if body.get("pay_method").is_some_and(|method| method != &json!(0)) {
            let text = "Send 0; accounts of other kinds are bound by a consent.";
            return Err(ApiError::invalid("pay_method", text));
        }
        let card = named(state, body, Some(phone(body)?))?;
        let code = code(state, body)?;
        let wallet = state.store.wallets.get(user).await?;
        let asked = match wallet.awaited(&card.digest, Timestamp::now()) {
            Some(asked) => asked,
            // A repeated request may mean a code that was tried.
            None if call.earlier(state).await?.is_some() => {
                wallet.asked.as_ref().ok_or_else(no_code)?
            }
            None => return Err(no_code()),
        };
        let app = charger(state)?.name().to_owned();
        let proof = CardProof { app, card, code, key: asked.key.clone(), at: asked.at };
        let mut job = NewJob::of::<PayCardKeep>(user, &proof).map_err(ApiError::internal)?;
        job.unique_key = Some(proof.unique_key());
        job.queue = Some(Queue::of_channel(Channel::UnionPay));
        call.run(state, job, async |output| {
            let kept: CardKept = serde_json::from_value(output).map_err(ApiError::internal)?;
            let wallet = state.store.wallets.get(user).await?;
            let accounts = accounts(state, &wallet).await?;
            let account = accounts.iter().find(|account| account.id == kept.id.get());
            let account = account.ok_or_else(ApiError::not_found)?;
            Ok(json!({ "data": account.to_json() }))
        })
        .await
    }

    async fn prefer(
        &self,
        user: UserId,
        what: Preference,
        body: &JsonBody<AccountChoice>,
    ) -> Result<Json<Resource<Account>>, ApiError> {
        let state = &self.0;
        let id = body.required("account_id")?.as_i64().and_then(AccountId::new);
        let id = id.ok_or_else(ApiError::not_found)?;
        let is_bound = bound(state, user).await?.iter().any(|account| account.id == id.get());
        let preferred = |wallet: &WalletRecord| {
            let known = is_bound || wallet.card(id).is_some();
            if known { Ok(wallet.prefer(what, id)) } else { Err(ApiError::not_found()) }
        };
        let wallet = change(state, user, preferred).await?;
        let accounts = accounts(state, &wallet).await?;
        let data = accounts.into_iter().find(|account| account.id == id.get());
        Ok(Json(Resource { data: data.ok_or_else(ApiError::not_found)? }))
    }
}

/// What the wish for a code is answered with.
fn code_reply(output: Value) -> Result<Value, ApiError> {
    let refusal = |code, text: &'static str| Err(ApiError::of(code, text));
    match serde_json::from_value(output).map_err(ApiError::internal)? {
        CodeWay::Sent => Ok(
            json!({ "code": "SEND_VCODE", "message": "A code is on its way to the card's holder." }),
        ),
        CodeWay::OtherPhone => refusal(
            ErrorCode::InconsistentPhone,
            "The bank knows the card's holder by another telephone number.",
        ),
        CodeWay::NotOpen { template } => {
            let text = "The card's holder has to open it first.";
            let error = ApiError::of(ErrorCode::AccountInactive, text);
            Err(error.with_data(Value::String(template)))
        }
    }
}

fn settings() -> Json<Resource<PaymentSettings>> {
    let currency = Currency::Cny.code().to_owned();
    Json(Resource { data: PaymentSettings { currency } })
}
