//! A value that has the form of a documented reply already.

use std::{borrow::Cow, marker::PhantomData};

use poem_openapi::{
    registry::{MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use serde_json::Value;

/// A JSON value that is described as a `T`: what a job has put out, or what was made by hand because
/// its fields depend on the request.
pub(crate) struct Shaped<T>(Value, PhantomData<fn() -> T>);

impl<T> Shaped<T> {
    /// `value`, which has the form of `T`.
    pub(crate) const fn new(value: Value) -> Self {
        Self(value, PhantomData)
    }
}

impl<T> std::fmt::Debug for Shaped<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shaped")
    }
}

impl<T: Type> Type for Shaped<T> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: Type> ToJSON for Shaped<T> {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}
