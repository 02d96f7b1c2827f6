//! What an access token allows.

use std::{collections::BTreeSet, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One permission that a user grants to a client.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read and change the user's profile.
    UserProfile,
    /// See pictures; upload, tag and delete one's own.
    UserImage,
    /// See one's devices that get pushes; register and remove them.
    PushDevice,
    /// See one's bills and pay them.
    PayTradeOrder,
    /// Make bills, close them and pay them back.
    PayTradeManage,
    /// Send pushes to every user of an app.
    PushSend,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] = [
        Self::UserProfile,
        Self::UserImage,
        Self::PushDevice,
        Self::PayTradeOrder,
        Self::PayTradeManage,
        Self::PushSend,
    ];

    /// Name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserProfile => "user_profile",
            Self::UserImage => "user_image",
            Self::PushDevice => "push_device",
            Self::PayTradeOrder => "pay_trade_order",
            Self::PayTradeManage => "pay_trade_manage",
            Self::PushSend => "push_send",
        }
    }

    /// Whether it belongs to what every consent grants; the user may leave out any other one. A
    /// client that asks for no scope in particular gets its basic ones.
    #[must_use]
    pub const fn is_basic(self) -> bool {
        match self {
            Self::UserProfile => true,
            Self::UserImage
            | Self::PushDevice
            | Self::PayTradeOrder
            | Self::PayTradeManage
            | Self::PushSend => false,
        }
    }

    /// Whether it is about the user's own things only. Any other one is given to a client or a key
    /// by its name alone: it reaches others, or, as making bills does, it names prices and gives
    /// money back.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        match self {
            Self::UserProfile | Self::UserImage | Self::PushDevice | Self::PayTradeOrder => true,
            Self::PayTradeManage | Self::PushSend => false,
        }
    }

    /// What a consent page says about it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::UserProfile => "Your profile",
            Self::UserImage => "Your pictures",
            Self::PushDevice => "Sending you notifications on this device",
            Self::PayTradeOrder => "Your trade bills",
            Self::PayTradeManage => "Making and refunding your trade bills",
            Self::PushSend => "Sending notifications to every user of an app",
        }
    }
}

/// A text that names no scope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown scope")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == name).ok_or(UnknownScope)
    }
}

/// A set of scopes; on the wire names parted by spaces (RFC 6749 3.3), in the store a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Every scope there is.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether `scope` is granted.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether every scope of `other` is in this set.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// The scopes of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// What a client that may ask for this gets when it asks for nothing in particular: the basic
    /// scopes, or all of them when none is basic.
    #[must_use]
    pub fn default_part(&self) -> Self {
        let basic: Self = self.iter().filter(|scope| scope.is_basic()).collect();
        if basic.is_empty() { self.clone() } else { basic }
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::name).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    /// Reads names parted by spaces; `all`, which clients send, means every scope.
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let mut scopes = Self::default();
        for name in text.split_ascii_whitespace() {
            if name == "all" {
                return Ok(Self::all());
            }
            scopes.0.insert(name.parse()?);
        }
        Ok(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_what_they_print() {
        let both = Scopes::all();

        let text = "user_profile user_image push_device pay_trade_order pay_trade_manage push_send";
        assert_eq!(both.to_string(), text);
        assert_eq!(both.to_string().parse(), Ok(both.clone()));
        assert_eq!(both.default_part().to_string(), "user_profile");
        let one: Scopes = [Scope::UserImage].into_iter().collect();
        assert_eq!(one.default_part(), one);
        assert_eq!(both.intersection(&one), one);
        assert_eq!("all".parse(), Ok(both));
        assert_eq!("user_image root".parse::<Scopes>(), Err(UnknownScope));
    }

    #[test]
    fn what_names_prices_or_reaches_others_is_not_personal() {
        let personal: Scopes = Scope::ALL.into_iter().filter(|scope| scope.is_personal()).collect();

        assert_eq!(personal.to_string(), "user_profile user_image push_device pay_trade_order");
    }

    #[test]
    fn names_on_the_wire_and_in_the_store_agree() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::json!(scope), scope.name());
        }
    }
}
