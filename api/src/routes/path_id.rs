//! Ids in paths. A text that is no id names nothing, so it answers like an id that is not there.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseFromParameter, ParseResult, Type},
};
use schemas::{AccountId, BillSn, DeviceToken, ImageId, JobId, PushId};

use crate::error::ApiError;

macro_rules! path_id {
    ($(#[$doc:meta])* $name:ident($id:ty) = $type:literal, $format:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name(Option<$id>);

        impl $name {
            /// The id.
            ///
            /// # Errors
            ///
            /// 404 when the path holds none.
            pub(crate) fn get(self) -> Result<$id, ApiError> {
                self.0.ok_or_else(ApiError::not_found)
            }
        }

        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                concat!($type, "_", $format).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format($type, $format)))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromParameter for $name {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                Ok(Self(text.parse().ok()))
            }
        }
    };
}

path_id! {
    /// A picture.
    ImagePathId(ImageId) = "integer", "int64"
}
path_id! {
    /// An account that a user keeps.
    AccountPathId(AccountId) = "integer", "int64"
}
path_id! {
    /// A job.
    JobPathId(JobId) = "string", "uuid"
}
path_id! {
    /// A bill.
    BillPathId(BillSn) = "string", "bill-sn"
}
path_id! {
    /// A push campaign.
    PushPathId(PushId) = "string", "push-id"
}
path_id! {
    /// A device token.
    DeviceTokenPath(DeviceToken) = "string", "hex"
}
