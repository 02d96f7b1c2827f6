//! The accounts that Feat is paid through, and what goes with them.

use providers::payment::{AlipaySettings, PaymentSettings, UnionPaySettings, WeChatPaySettings};
use secrecy::{ExposeSecret, SecretString};

use super::{
    groups::Needs,
    reader::{Need, Reader},
    setting::Accounts,
};

/// Where bills are paid.
#[derive(Clone)]
pub(crate) struct PayPart {
    /// The accounts at the providers.
    pub(crate) accounts: PaymentSettings,
    /// Makes the key that seals the ids of payers.
    pub(crate) sealing_key: SecretString,
    /// Where providers and browsers reach Feat, without a slash at the end.
    pub(crate) public_url: String,
}

/// Reads the accounts, and notes what is wrong with them.
pub(super) fn read(reader: &mut Reader<'_>) -> PaymentSettings {
    let wechat_pay: Option<Accounts<WeChatPaySettings>> = reader.optional("payments.wechat_pay");
    let alipay: Option<Accounts<AlipaySettings>> = reader.optional("payments.alipay");
    let unionpay: Option<Accounts<UnionPaySettings>> = reader.optional("payments.unionpay");
    PaymentSettings {
        wechat_pay: wechat_pay.map(|list| list.0).unwrap_or_default(),
        alipay: alipay.map(|list| list.0).unwrap_or_default(),
        unionpay: unionpay.map(|list| list.0).unwrap_or_default(),
    }
}

/// Reads what goes with `accounts`, when there are any.
pub(super) fn payments(
    reader: &mut Reader<'_>,
    accounts: PaymentSettings,
    needs: Needs,
) -> Option<PayPart> {
    let PaymentSettings { wechat_pay, alipay, unionpay } = &accounts;
    let any = !(wechat_pay.is_empty() && alipay.is_empty() && unionpay.is_empty());
    let sealing_key = reader.secret("payments.sealing_key", needs.files.only_if(any));
    let weak = |key: &SecretString| key.expose_secret().len() < 32;
    reader.expect("payments.sealing_key", !sealing_key.as_ref().is_some_and(weak), || {
        "expected at least 32 characters, made at random".to_owned()
    });
    // The API reads the address for itself, and says when it is missing.
    let elsewhere = needs.files.only_if(any && needs.api != Need::Must);
    let public_url = reader.required::<String>("api.public_url", elsewhere);
    if !any {
        return None;
    }
    Some(PayPart { accounts, sealing_key: sealing_key?, public_url: public_url? })
}

#[cfg(test)]
mod tests {
    use figment::value::{Dict, Value};
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::config::setting::Setting;

    const EXAMPLE: &str = include_str!("../../../feat.example.toml");

    /// The names of the settings of one account.
    fn fields<T: DeserializeOwned>() -> Vec<String> {
        let odd = Value::from(vec![Dict::from([("no_such_field".to_owned(), Value::from(1))])]);
        let told = Accounts::<T>::parse(&odd).err().unwrap_or_default();
        let (_, names) = told.split_once("there are ").unwrap_or_default();
        names.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn the_example_shows_every_setting_of_an_account() {
        let accounts = [
            ("wechat_pay", fields::<WeChatPaySettings>()),
            ("alipay", fields::<AlipaySettings>()),
            ("unionpay", fields::<UnionPaySettings>()),
        ];
        for (provider, fields) in accounts {
            assert!(fields.len() > 8, "{provider}: {fields:?}");
            let (_, shown) =
                EXAMPLE.split_once(&format!("# [[payments.{provider}]]\n")).unwrap_or_default();
            let (shown, _) =
                shown.split_once("\n#\n").or(shown.split_once("\n\n")).unwrap_or_default();
            for field in fields {
                let has = shown.lines().any(|line| line.starts_with(&format!("# {field} = ")));
                assert!(has, "[[payments.{provider}]] does not show {field}");
            }
        }
    }

    #[test]
    fn accounts_in_a_variable_are_told_where_they_belong() {
        let text = Value::from("[{ name = \"shop\" }]");
        let told = Accounts::<AlipaySettings>::parse(&text).err().unwrap_or_default();

        assert!(told.contains("only the file"), "{told}");
    }
}
