//! A JSON body, bounded, whose fields a route judges by itself, so that it names them in errors.

use std::marker::PhantomData;

use poem::{Request, RequestBody, error::ReadBodyError};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaRequest, Registry},
    types::Type,
};
use schemas::ErrorCode;
use serde_json::Value;

use crate::error::ApiError;

/// Most bytes of a body, unless a call takes more.
const MAX_BODY: usize = 64 << 10;

/// A body that is a JSON object; `T` describes it in the OpenAPI document.
pub(crate) struct JsonBody<T, const MAX: usize = MAX_BODY> {
    fields: serde_json::Map<String, Value>,
    raw: Vec<u8>,
    form: PhantomData<fn() -> T>,
}

impl<T, const MAX: usize> JsonBody<T, MAX> {
    /// The value of field `name`.
    ///
    /// # Errors
    ///
    /// 400 when it is missing.
    pub(crate) fn required(&self, name: &str) -> Result<&Value, ApiError> {
        self.get(name).ok_or_else(|| ApiError::invalid(name, "This field is required."))
    }

    /// The value of field `name`; a null is as good as no field.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Every field.
    pub(crate) const fn fields(&self) -> &serde_json::Map<String, Value> {
        &self.fields
    }

    /// The bytes as they came.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }
}

/// The same, for a call that may come with no body at all, which then is an empty object.
pub(crate) struct OptionalJsonBody<T>(JsonBody<T>);

impl<T> OptionalJsonBody<T> {
    /// The value of field `name`; null counts as left out.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl<'a, T: Type> ApiExtractor<'a> for OptionalJsonBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest { required: false, ..JsonBody::<T>::request_meta()? })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let length = request.header("content-length").unwrap_or("0");
        let empty = length == "0" && request.header("transfer-encoding").is_none();
        if empty {
            let fields = serde_json::Map::new();
            return Ok(Self(JsonBody { fields, raw: Vec::new(), form: PhantomData }));
        }
        Ok(Self(JsonBody::from_request(request, body, options).await?))
    }
}

impl<'a, T: Type, const MAX: usize> ApiExtractor<'a> for JsonBody<T, MAX> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content_type = "application/json";
        let content = vec![MetaMediaType { content_type, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        if !request.content_type().is_some_and(Json::<T>::check_content_type) {
            let text = "The content type must be application/json.";
            return Err(ApiError::of(ErrorCode::UnsupportedMediaType, text).into());
        }
        let bytes = match body.take()?.into_bytes_limit(MAX).await {
            Ok(bytes) => bytes,
            Err(ReadBodyError::PayloadTooLarge) => {
                return Err(ApiError::too_large(MAX as u64).into());
            }
            Err(error) => return Err(error.into()),
        };
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => {
                Ok(Self { fields, raw: bytes.to_vec(), form: PhantomData })
            }
            Ok(_) => Err(ApiError::invalid("non_field_errors", "Send a JSON object.").into()),
            Err(error) => {
                let text = format!("The body is not valid JSON: {error}.");
                Err(ApiError::invalid("non_field_errors", text).into())
            }
        }
    }
}
