//! `/api/pay/`: bills, and the ways to pay them.
//!
//! A call that moves money or asks a provider is a job, as everywhere; what is wrong with a
//! request is said at once, by field.

mod bind_return;
mod bind_shapes;
mod binding;
mod browser;
mod call;
mod card;
mod card_fields;
mod card_shapes;
mod create;
mod list;
mod notify;
mod order;
mod qr;
mod refund;
mod shapes;
mod unbuilt;
mod wallet;
mod wallet_accounts;
mod wallet_shapes;

use poem::{Body, Request, web::Data};
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::{Binary, Json},
};
use schemas::{
    BillRecord, BillSn, UserId,
    bill::ClosingReason,
    job::NewJob,
    kinds::{PayClose, pay_close::PayClosing},
};
use serde_json::{Value, json};

pub(crate) use self::{
    binding::BindingApi,
    card::CardApi,
    notify::{NOTIFY_PATH, Notify},
    unbuilt::{UNBUILT, unbuilt},
    wallet::WalletApi,
};
use self::{
    call::Call,
    shapes::{Made, NewOrder, Offer, Payment, Picture, RefundBegun, RefundOrder, Standing},
};
use super::{json_body::JsonBody, path_id::BillPathId};
use crate::{
    auth::Bearer,
    error::ApiError,
    intake::ResultReply,
    state::{AppState, RequestContext},
    view::{Area, Bill, BillRefund, List, Resource},
};

/// The calls about bills.
pub(crate) struct PayApi {
    state: AppState,
}

impl PayApi {
    /// The calls, on top of `state`.
    pub(crate) const fn new(state: AppState) -> Self {
        Self { state }
    }
}

#[OpenApi(prefix_path = "/api/pay", tag = "Area::Payments")]
impl PayApi {
    /// List one's bills
    ///
    /// Newest first, at most 100. With `page` or `page_size` the reply has `pagination`.
    #[oai(path = "/order", method = "get", operation_id = "list_orders")]
    async fn list(
        &self,
        Bearer(caller): Bearer,
        /// Statuses parted by commas.
        status: Query<Option<String>>,
        /// Number of the page, from 1.
        page: Query<Option<i64>>,
        /// Bills of a page, at most 100.
        page_size: Query<Option<i64>>,
    ) -> Result<Json<List<Bill>>, ApiError> {
        let query = list::Query { status: status.0, page: page.0, page_size: page_size.0 };
        Ok(Json(list::list(&self.state, caller.user, query).await?))
    }

    /// Make a bill
    #[oai(path = "/order", method = "post", operation_id = "create_order")]
    async fn create(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<NewOrder>,
    ) -> Result<Made, ApiError> {
        let (bill, new) = create::create(&self.state, caller.user, &body).await?;
        let location = path(&bill.id);
        Ok(if new {
            Made::New(shown(&bill), location)
        } else {
            Made::Known(shown(&bill), location)
        })
    }

    /// Pay a bill that the body names
    #[oai(path = "/order/pay", method = "post", operation_id = "pay_named_order")]
    async fn pay_named(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<Payment>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Offer>, ApiError> {
        let sn = body.required("sn")?.as_str().unwrap_or_default();
        let sn: BillSn = sn.parse().map_err(|_| ApiError::not_found())?;
        let call = self.call(caller.user, context, request, body.raw())?;
        order::pay(&self.state, call, sn, &body).await
    }

    /// Read a bill
    #[oai(path = "/order/:sn", method = "get", operation_id = "get_order")]
    async fn get(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
    ) -> Result<Json<Resource<Bill>>, ApiError> {
        Ok(shown(&own(&self.state, caller.user, &sn.0.get()?).await?))
    }

    /// Pay a bill
    ///
    /// The result is what the client pays with. Calling again in the same way gives the same.
    #[oai(path = "/order/:sn/pay", method = "post", operation_id = "pay_order")]
    #[expect(clippy::too_many_arguments, reason = "one for each part of the request")]
    async fn pay(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
        body: JsonBody<Payment>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Offer>, ApiError> {
        let call = self.call(caller.user, context, request, body.raw())?;
        order::pay(&self.state, call, sn.0.get()?, &body).await
    }

    /// Ask the provider how a bill stands
    ///
    /// A bill without open attempts is shown at once.
    #[oai(
        path = "/order/:sn/refresh_order_status",
        method = "post",
        operation_id = "refresh_order_status"
    )]
    async fn refresh(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
        _body: Body,
    ) -> Result<ResultReply<Resource<Bill>>, ApiError> {
        let call = self.call(caller.user, context, request, b"")?;
        order::refresh(&self.state, call, sn.0.get()?).await
    }

    /// Close a bill that is not paid
    ///
    /// Its open attempts are closed at their providers first; a payment that turns up wins.
    #[oai(path = "/order/:sn/close", method = "post", operation_id = "close_order")]
    #[expect(clippy::too_many_arguments, reason = "one for each part of the request")]
    async fn close(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
        _body: Body,
    ) -> Result<ResultReply<Resource<Bill>>, ApiError> {
        let call = self.call(caller.user, context, request, b"")?;
        let bill = own(&self.state, caller.user, &sn.0.get()?).await?;
        let payload = PayClosing { sn: bill.id.clone(), reason: ClosingReason::Cancelled };
        let mut job = NewJob::of::<PayClose>(caller.user, &payload).map_err(ApiError::internal)?;
        job.unique_key = Some(payload.unique_key());
        job.queue = order::queue_of(&bill);
        call.run_for_bill(&self.state, job, &bill.id).await
    }

    /// Pay back a paid bill, in part or as a whole
    ///
    /// Each call is a refund of its own, unless it repeats an `Idempotency-Key`. The refunds of a
    /// bill never exceed what was paid.
    #[oai(path = "/order/:sn/refund", method = "post", operation_id = "refund_order")]
    #[expect(clippy::too_many_arguments, reason = "one for each part of the request")]
    async fn refund(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
        body: JsonBody<RefundOrder>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<ResultReply<Resource<RefundBegun>>, ApiError> {
        let call = self.call(caller.user, context, request, body.raw())?;
        refund::refund(&self.state, call, sn.0.get()?, &body).await
    }

    /// List the refunds of a bill
    #[oai(path = "/order/:sn/refund", method = "get", operation_id = "list_order_refunds")]
    async fn refunds(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
    ) -> Result<Json<List<BillRefund>>, ApiError> {
        let bill = own(&self.state, caller.user, &sn.0.get()?).await?;
        let data = bill.refunds.iter().map(BillRefund::of).collect();
        Ok(Json(List { data, pagination: None }))
    }

    /// Read a refund
    #[oai(path = "/order/:sn/refund/:refund", method = "get", operation_id = "get_order_refund")]
    async fn get_refund(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
        refund: Path<u32>,
    ) -> Result<Json<Resource<BillRefund>>, ApiError> {
        let bill = own(&self.state, caller.user, &sn.0.get()?).await?;
        let refund = bill.refund(refund.0).ok_or_else(ApiError::not_found)?;
        Ok(Json(Resource { data: BillRefund::of(refund) }))
    }

    /// Get the QR code of a bill as a picture
    ///
    /// Of the latest attempt that is paid by scanning a code; 409 when there is none.
    #[oai(path = "/order/:sn/qr", method = "get", operation_id = "get_order_qr")]
    async fn qr(
        &self,
        Bearer(caller): Bearer,
        sn: Path<BillPathId>,
        /// `svg`, which is the default, or `png`.
        format: Query<Option<String>>,
    ) -> Result<Picture, ApiError> {
        let bill = own(&self.state, caller.user, &sn.0.get()?).await?;
        match format.0.as_deref() {
            None | Some("svg") => Ok(Picture::Svg(Binary(qr::svg(qr::code(&bill)?)?))),
            Some("png") => Ok(Picture::Png(Binary(qr::png(qr::code(&bill)?)?))),
            Some(_) => Err(ApiError::invalid("format", "Ask for svg or png.")),
        }
    }

    /// Whether a WeChat app id can be used here
    #[oai(path = "/weixin/check-app-id", method = "get", operation_id = "check_wechat_app_id")]
    #[expect(clippy::unused_async, reason = "the macro wants it")]
    async fn check_app_id(
        &self,
        Bearer(_caller): Bearer,
        /// The app id.
        app_id: Query<Option<String>>,
    ) -> Result<Json<Standing>, ApiError> {
        let wanted = app_id.0.filter(|id| !id.is_empty());
        let Some(wanted) = wanted else {
            return Err(ApiError::invalid("app_id", "This field is required."));
        };
        let success = order::is_wechat_app(&self.state, &wanted);
        Ok(Json(Standing { success, data: None }))
    }
}

impl PayApi {
    fn call(
        &self,
        user: UserId,
        context: &RequestContext,
        request: &Request,
        body: &[u8],
    ) -> Result<Call, ApiError> {
        Call::of(&self.state, user, context, request, body)
    }
}

/// The bill `sn`, if it is `caller`'s. Who asks for it may change it, so it is new no more.
async fn own(state: &AppState, caller: UserId, sn: &BillSn) -> Result<BillRecord, ApiError> {
    state.made.take(caller, sn.clone());
    state.store.bills.get_owned(caller, sn).await?.ok_or_else(ApiError::not_found)
}

fn path(sn: &BillSn) -> String {
    format!("/api/pay/order/{sn}/")
}

fn shown(bill: &BillRecord) -> Json<Resource<Bill>> {
    Json(Resource { data: Bill::of(bill) })
}

/// The bill in its envelope, as a value.
fn body_of(bill: &BillRecord) -> Value {
    use poem_openapi::types::ToJSON;

    json!({ "data": Bill::of(bill).to_json() })
}
