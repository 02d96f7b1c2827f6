//! Messages as they are stored between their acceptance and their sending.

use schemas::{BundleId, Timestamp, push::PushMessage};

use super::{
    CollapseId, Expiration, Message, MessageFlaw, MessageParts, Payload, Priority, PushType,
};

impl Message {
    /// The message that was stored for `app`, with every rule checked again.
    ///
    /// # Errors
    ///
    /// The first rule that is broken; only of a message that another build has stored.
    pub fn stored(app: &BundleId, stored: &PushMessage) -> Result<Self, MessageFlaw> {
        let push_type = PushType::of_name(&stored.push_type).ok_or(MessageFlaw::Unheard)?;
        let priority = match stored.priority {
            None => None,
            Some(number) => Some(Priority::of_number(number.into()).ok_or(MessageFlaw::Unheard)?),
        };
        let expiration = stored.expiration.map(|seconds| match seconds {
            ..=0 => Expiration::Once,
            seconds => Expiration::At(Timestamp::from_micros(seconds.saturating_mul(1_000_000))),
        });
        Self::new(MessageParts {
            app: app.clone(),
            push_type,
            payload: Payload::raw(&stored.payload)?,
            priority,
            expiration,
            collapse_id: stored.collapse_id.as_deref().map(str::parse::<CollapseId>).transpose()?,
            topic: stored.topic.clone(),
        })
    }

    /// The form in which it is stored; `repeat` as in [`PushMessage::repeat`].
    #[must_use]
    pub fn to_stored(&self, repeat: bool) -> PushMessage {
        let expiration = self.expiration().map(|expiration| match expiration {
            Expiration::Once => 0,
            Expiration::At(moment) => moment.as_secs().max(1),
        });
        PushMessage {
            push_type: self.push_type().name().to_owned(),
            priority: Some(self.priority().number()),
            expiration,
            collapse_id: self.collapse_id().map(|id| id.as_str().to_owned()),
            topic: Some(self.topic().to_owned()),
            // It was written from parsed JSON a moment ago, so it is UTF-8.
            payload: String::from_utf8_lossy(self.payload().as_bytes()).into_owned(),
            repeat,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was_stored() {
        let app: BundleId = "com.example.notes".parse().unwrap();
        let hostile =
            r#"{"aps":{"alert":"\u0000 </script>"},"$set":{"a.b":1},"n":18446744073709551615}"#;
        for push_type in [PushType::Alert, PushType::Voip, PushType::Mdm] {
            let payload = if push_type == PushType::Mdm { r#"{"mdm":"x"}"# } else { hostile };
            let message = Message::new(MessageParts {
                app: app.clone(),
                push_type,
                payload: Payload::raw(payload).unwrap(),
                priority: None,
                expiration: Some(Expiration::Once),
                collapse_id: Some("a".parse().unwrap()),
                topic: (push_type == PushType::Mdm).then(|| "uid".to_owned()),
            })
            .unwrap();
            let stored = message.to_stored(true);
            let read = Message::stored(&app, &stored).unwrap();

            assert_eq!(read.to_stored(true), stored, "{push_type}");
            assert_eq!(read.payload().as_bytes(), message.payload().as_bytes(), "{push_type}");
            assert_eq!(read.headers(), message.headers(), "{push_type}");
        }
    }
}
