//! Pages for people: plain forms in one style, without scripts. Nothing is loaded from elsewhere, and
//! nobody may show them in a frame.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemas::redirect;

/// How every page looks.
pub(crate) const STYLE: &str = "body{margin:0;background:#f4f4f6;color:#1c1c22;font:1rem/1.5 system-ui,sans-serif}\
main{max-width:26rem;margin:4rem auto;padding:2rem;background:#fff;border-radius:.5rem}\
h1{margin-top:0;font-size:1.4rem}label{display:block;margin-top:.75rem}label.tick{margin-top:.25rem}\
input:not([type=checkbox]){box-sizing:border-box;width:100%;padding:.5rem;font:inherit}\
button{margin:1rem .5rem 0 0;padding:.5rem 1rem;border:0;border-radius:.25rem;background:#1f5fbf;\
color:#fff;font:inherit;cursor:pointer}button.quiet{background:#e4e4ea;color:inherit}\
fieldset{border:1px solid #d0d0d8;border-radius:.25rem}[role=alert]{color:#a3121f}";

/// The policy's name of [`STYLE`], the only style that the page may have.
static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes())));

/// A page as it is sent.
pub(crate) struct Page {
    /// HTML.
    pub(crate) text: String,
    /// Its content security policy: our style and forms to us, which may lead to one target in the
    /// end, and nothing else.
    pub(crate) policy: String,
}

impl Page {
    /// Writes `page`; its forms may lead to the place of `target`, and there are none without one.
    ///
    /// # Errors
    ///
    /// Its template failed; nothing can be shown.
    pub(crate) fn of(page: &impl Template, target: Option<&str>) -> Result<Self, askama::Error> {
        let forms = match target.and_then(redirect::origin) {
            Some(origin) => format!("'self' {origin}"),
            None => "'none'".to_owned(),
        };
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; form-action {forms}; base-uri 'none'; \
             frame-ancestors 'none'",
            *STYLE_HASH
        );
        Ok(Self { text: page.render()?, policy })
    }
}
