//! Test vectors of the providers' signatures: every one in a file must be judged.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use serde_json::Value;

use super::fields::Fields;

/// A file of vectors.
pub(super) struct Vectors {
    file: Value,
}

/// One vector.
pub(super) struct Vector<'v> {
    file: &'v Value,
    vector: &'v Value,
}

impl Vectors {
    pub(super) fn read(text: &str) -> Self {
        Self { file: serde_json::from_str(text).unwrap() }
    }

    /// The key or identifier `name` of the file.
    pub(super) fn key(&self, name: &str) -> &str {
        self.file["keys"][name].as_str().unwrap_or_else(|| panic!("no key {name}"))
    }

    /// The keys as they stand in the file.
    pub(super) fn keys(&self) -> &Value {
        &self.file["keys"]
    }

    /// Hands every vector to `judge`, which panics for one that it does not know.
    pub(super) fn judge(&self, mut judge: impl FnMut(&Vector<'_>)) {
        let vectors = self.file["vectors"].as_array().unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            judge(&Vector { file: &self.file, vector });
        }
    }
}

impl Vector<'_> {
    pub(super) fn id(&self) -> &str {
        self.text("id")
    }

    pub(super) fn kind(&self) -> &str {
        self.text("kind")
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("{}: no {name}", self.vector["id"]))
    }

    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.vector[name].as_str()
    }

    pub(super) fn value(&self, name: &str) -> &Value {
        &self.vector[name]
    }

    /// What a strict receiver decides.
    pub(super) fn valid(&self) -> bool {
        self.vector["valid"].as_bool().unwrap()
    }

    /// The key that `name` names: `default` when the vector has no such member.
    pub(super) fn key(&self, name: &str, default: &str) -> String {
        let key = self.find(name).unwrap_or(default);
        self.file["keys"][key].as_str().unwrap_or(key).to_owned()
    }

    /// `params` with empty values as they are, which [`Fields::of`] would leave out.
    pub(super) fn params(&self) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in self.vector["params"].as_object().unwrap() {
            fields.add(name.clone(), value.as_str().unwrap().to_owned()).unwrap();
        }
        fields
    }
}

/// The same fields without the empty ones.
pub(super) fn filled(fields: &Fields) -> Fields {
    Fields::of(fields.iter())
}

/// The pairs of a form.
pub(super) fn form(text: &str) -> Fields {
    Fields::from_form(text.as_bytes()).unwrap()
}
