//! The payer: what a phone or a browser does with the documented reply of a call to pay.

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use sim::{Provider, Running};

/// How the payer pays with what the client was given.
#[derive(Debug, Clone, Copy)]
pub enum Pays {
    /// Scans the code in this field.
    Code(&'static str),
    /// Opens the address in this field, and presses the button there.
    Page(&'static str),
    /// Submits the form in field `html`, and presses the button of the page that comes.
    Form,
    /// Hands this field, or without a name all of them, to the provider's library in the app or
    /// page, which checks the signature.
    Library(Provider, &'static str),
    /// Opens the trade with the number in this field inside the provider's app.
    Number(&'static str),
}

/// A person with a phone and a browser.
pub struct Payer<'s> {
    sim: &'s Running,
    http: Client,
}

/// A form of a page.
#[derive(Debug)]
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl<'s> Payer<'s> {
    /// Somebody who pays at `sim`.
    ///
    /// # Panics
    ///
    /// When no client can be made.
    #[must_use]
    pub fn new(sim: &'s Running) -> Self {
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build();
        Self { sim, http: http.expect("client") }
    }

    /// Pays with `given`, what a client finds in the reply.
    ///
    /// # Panics
    ///
    /// When the provider refuses what was given; the text says why.
    pub async fn pay(&self, pays: Pays, given: &Value) {
        let text = |name: &str| given[name].as_str().unwrap_or_else(|| panic!("{name}: {given}"));
        match pays {
            Pays::Code(name) if text(name).starts_with("http") => self.press(text(name)).await,
            Pays::Code(name) | Pays::Number(name) => {
                let paid = self.sim.approve(text(name));
                assert!(paid.is_ok(), "{paid:?}: {given}");
            }
            Pays::Page(name) => self.press(text(name)).await,
            Pays::Form => {
                let form = Form::of(text("html"));
                let page = self.http.post(&form.action).form(&form.fields).send().await;
                let page = page.expect("page").text().await.expect("text");
                self.press_button(&page).await;
            }
            Pays::Library(provider, name) => {
                let given = if name.is_empty() { given } else { &given[name] };
                let paid = self.sim.pay_in_app(provider, given);
                assert!(paid.is_ok(), "{paid:?}: {given}");
            }
        }
    }

    async fn press(&self, address: &str) {
        let page = self.http.get(address).send().await.expect("page");
        let page = page.text().await.expect("text");
        self.press_button(&page).await;
    }

    /// Presses the first button of the cashier, which pays.
    async fn press_button(&self, page: &str) {
        assert!(page.contains("value=\"approve\""), "no cashier: {page}");
        let action = format!("{}{}", self.sim.url(), Form::of(page).action);
        let paid = self.http.post(action).form(&[("answer", "approve")]).send().await;
        let paid = paid.expect("answer");
        assert!(paid.status().is_success(), "{}", paid.status());
    }
}

impl Form {
    /// The first form of a page that a simulator or Feat has written.
    fn of(page: &str) -> Self {
        let start = page.find("<form").unwrap_or_else(|| panic!("no form: {page}"));
        let end = page[start..].find("</form>").expect("the end of the form");
        let form = &page[start..start + end];
        let fields = form
            .split("<input")
            .skip(1)
            .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)));
        Self { action: attribute(form, "action").expect("an action"), fields: fields.collect() }
    }
}

/// The value of the first attribute `name`, without escapes.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    let plain = value.replace("&quot;", "\"").replace("&#39;", "'");
    Some(plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}
