//! What the tests beside the code share.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use chrono::DateTime;
use hyper::{HeaderMap, Method};
use serde_json::Value;

use crate::{Clock, Merchant, Settings, http::Request, sim::Sim};

/// The vectors of one provider protocol.
pub(crate) struct Vectors(Value);

impl Vectors {
    pub(crate) fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// A key by its name.
    pub(crate) fn key(&self, name: &str) -> &str {
        self.0["keys"][name].as_str().expect(name)
    }

    pub(crate) fn keys(&self) -> &Value {
        &self.0["keys"]
    }

    /// The vectors of a kind; there is at least one.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        let all = self.0["vectors"].as_array().unwrap();
        let found: Vec<_> = all.iter().filter(|vector| vector["kind"] == kind).collect();
        assert!(!found.is_empty(), "no vector of kind {kind}");
        found
    }

    /// Checks that `kinds` are all the kinds there are, so that none is forgotten.
    pub(crate) fn are_of(&self, kinds: &[&str]) {
        for vector in self.0["vectors"].as_array().unwrap() {
            let kind = text(vector, "kind");
            assert!(kinds.contains(&kind), "{kind} is not checked");
        }
    }
}

/// A member that is a text.
pub(crate) fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{}: no {name}", vector["id"]))
}

/// A member that is an object of texts.
pub(crate) fn pairs(vector: &Value, name: &str) -> std::collections::BTreeMap<String, String> {
    let object = vector[name].as_object().unwrap_or_else(|| panic!("{}: no {name}", vector["id"]));
    object.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// Simulators that know `merchant`, at the moment `now` in Unix seconds; they listen nowhere.
pub(crate) fn sim_of(merchant: Merchant, now: i64) -> Sim {
    let settings = Settings {
        merchants: vec![merchant],
        clock: Clock::manual(DateTime::from_timestamp(now, 0).unwrap()),
        ..Settings::fixture().unwrap()
    };
    Sim::new(settings).unwrap()
}

/// A request with a body.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let (path, query) =
        target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: hyper::header::HeaderName = name.parse().unwrap();
        map.insert(name, value.parse().unwrap());
    }
    Request {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: map,
        body: Bytes::from(body.to_owned()),
    }
}
