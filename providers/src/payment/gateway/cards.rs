//! Cards that are charged without the provider's page.

use super::{Engine, Gateway};
use crate::payment::{
    Call, CardAsk, CardProof, CardState, Charge, ProofState, ProviderError, unionpay::UnionPay,
};

/// What an account says that takes no cards.
pub(super) fn not_taken() -> ProviderError {
    ProviderError::Refused("cards_not_offered".to_owned())
}

impl Gateway {
    /// Whether this account charges cards without the provider's page: only UnionPay's, and only
    /// when the settings say so.
    #[must_use]
    pub fn takes_cards(&self) -> bool {
        self.charger().is_some()
    }

    fn charger(&self) -> Option<&UnionPay> {
        match &self.engine {
            Engine::UnionPay(app) if app.takes_cards() => Some(app),
            Engine::WeChatPay(_) | Engine::Alipay(_) | Engine::UnionPay(_) => None,
        }
    }

    /// Whether the card was opened by its holder. Safe at any time.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Refused`] for a card that its issuer does not know, and for accounts that
    /// take none.
    pub async fn look_at_card(
        &self,
        asked: &CardAsk,
        call: &mut Call,
    ) -> Result<CardState, ProviderError> {
        self.charger().ok_or_else(not_taken)?.look_at_card(asked, call).await
    }

    /// A page of HTML that takes a browser to where the card's holder opens it. Nothing about the
    /// card is sent from here, and being back at `return_url` proves nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::look_at_card`].
    pub async fn card_page(
        &self,
        asked: &CardAsk,
        notify_url: &str,
        return_url: &str,
        call: &mut Call,
    ) -> Result<String, ProviderError> {
        let app = self.charger().ok_or_else(not_taken)?;
        app.card_page(asked, notify_url, return_url, call).await
    }

    /// Has the provider send the card's holder a code that [`Self::prove_card`] takes. Repeating a call
    /// voids the code before.
    ///
    /// # Errors
    ///
    /// As [`Self::look_at_card`]; also [`ProviderError::Refused`] when the telephone number is not the
    /// holder's.
    pub async fn send_proof(&self, asked: &CardAsk, call: &mut Call) -> Result<(), ProviderError> {
        self.charger().ok_or_else(not_taken)?.send_proof(asked, call).await
    }

    /// Tries the code. It moves no money: the card, which is open already, is opened once more with the
    /// code.
    ///
    /// # Errors
    ///
    /// After [`ProviderError::OutcomeUnknown`] and [`ProviderError::Conflict`] only
    /// [`Self::query_proof`] can tell; a code is tried once.
    pub async fn prove_card(
        &self,
        proof: &CardProof,
        call: &mut Call,
    ) -> Result<ProofState, ProviderError> {
        self.charger().ok_or_else(not_taken)?.prove_card(proof, call).await
    }

    /// What became of the code that was sent with `asked`. Safe at any time.
    ///
    /// # Errors
    ///
    /// As [`Self::look_at_card`]; [`ProviderError::OutcomeUnknown`] while it is not decided.
    pub async fn query_proof(
        &self,
        asked: &CardAsk,
        call: &mut Call,
    ) -> Result<ProofState, ProviderError> {
        self.charger().ok_or_else(not_taken)?.query_proof(asked, call).await
    }

    /// Charges the card. Success means that it was accepted; [`Self::query`] says what became of it.
    /// Repeating a call with the same trade charges once.
    ///
    /// # Errors
    ///
    /// After [`ProviderError::OutcomeUnknown`] and [`ProviderError::Conflict`] only
    /// [`Self::query`] can tell; after [`ProviderError::Refused`] this trade cannot be paid any
    /// more (`71`: the code is wrong), unless an earlier call may still arrive.
    pub async fn charge(&self, charge: &Charge, call: &mut Call) -> Result<(), ProviderError> {
        self.charger().ok_or_else(not_taken)?.charge(charge, call).await
    }
}
