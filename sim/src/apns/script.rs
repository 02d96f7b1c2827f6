//! Faults on demand.
//!
//! A rule says for which pushes, after how many and how often, what happens instead of the usual.
//! The first rule that applies acts; a delay goes on to the next.

use std::time::Duration;

use schemas::ApnsEnvironment;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// One fault and when it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The pushes that it is about.
    #[serde(default)]
    pub when: When,
    /// Lets so many of them pass first.
    #[serde(default)]
    pub skip: u64,
    /// Then acts on each n-th; 0 and 1 are every one.
    #[serde(default)]
    pub every: u64,
    /// Acts so often at most; `None` always.
    #[serde(default)]
    pub times: Option<u64>,
    /// What happens.
    pub act: Act,
}

impl Rule {
    /// Acts on every push.
    #[must_use]
    pub fn always(act: Act) -> Self {
        Self { when: When::default(), skip: 0, every: 1, times: None, act }
    }

    /// Acts once, on the push after the first `skip`.
    #[must_use]
    pub fn once_after(skip: u64, act: Act) -> Self {
        Self { skip, times: Some(1), ..Self::always(act) }
    }

    /// Acts on one device only.
    #[must_use]
    pub fn for_device(mut self, prefix: &str) -> Self {
        self.when.device_prefix = Some(prefix.to_owned());
        self
    }
}

/// Which pushes; everything that is named must agree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// First digits of the device token.
    pub device_prefix: Option<String>,
    /// The whole topic.
    pub topic: Option<String>,
    /// The environment.
    pub environment: Option<ApnsEnvironment>,
}

/// What happens to a push. `accepted` says whether the device gets it before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// It is refused so.
    Answer(Refusal),
    /// It takes longer by this many milliseconds.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The stream is refused as one too many: it was not looked at.
    RefuseStream,
    /// The stream is reset without an answer.
    ResetStream {
        /// The device got it.
        accepted: bool,
    },
    /// No answer ever comes; the connection goes on.
    Silence {
        /// The device got it.
        accepted: bool,
    },
    /// The connection is cut without a word.
    Cut {
        /// The device got it.
        accepted: bool,
    },
    /// The connection says goodbye in order: this push and those before it are answered.
    GoAway,
    /// The connection says goodbye with a reason and closes at once. What was not decided yet is
    /// lost; later streams than the last decided one are named as not looked at.
    GoAwayAbrupt {
        /// Apple's word in the debug data.
        reason: String,
    },
    /// The connection neither reads nor writes any more, but stays open.
    Stall,
    /// The peer gets another number of streams; the push itself goes on as usual.
    Streams {
        /// How many.
        limit: u32,
    },
}

/// What can be done to every open connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Disruption {
    /// See [`Act::Cut`].
    Cut,
    /// See [`Act::GoAway`].
    GoAway,
    /// See [`Act::GoAwayAbrupt`].
    GoAwayAbrupt {
        /// Apple's word in the debug data.
        reason: String,
    },
    /// See [`Act::Stall`].
    Stall,
    /// See [`Act::Streams`].
    Streams {
        /// How many.
        limit: u32,
    },
}

/// The rules and how often each has been met.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    rule: Rule,
    met: u64,
    acted: u64,
}

impl Script {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(Counted { rule, met: 0, acted: 0 });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// What happens to this push: a delay first, and then something else or the usual.
    pub(super) fn act(
        &mut self,
        device: &str,
        topic: &str,
        environment: ApnsEnvironment,
    ) -> (Duration, Option<Act>) {
        let mut delay = Duration::ZERO;
        for counted in &mut self.rules {
            if !counted.rule.when.is_about(device, topic, environment) || !counted.acts() {
                continue;
            }
            match &counted.rule.act {
                Act::Delay { ms } => delay += Duration::from_millis(*ms),
                act => return (delay, Some(act.clone())),
            }
        }
        (delay, None)
    }
}

impl When {
    fn is_about(&self, device: &str, topic: &str, environment: ApnsEnvironment) -> bool {
        self.device_prefix.as_ref().is_none_or(|prefix| device.starts_with(prefix.as_str()))
            && self.topic.as_ref().is_none_or(|wanted| wanted == topic)
            && self.environment.is_none_or(|wanted| wanted == environment)
    }
}

impl Counted {
    fn acts(&mut self) -> bool {
        self.met += 1;
        let Some(beyond) = self.met.checked_sub(self.rule.skip + 1) else { return false };
        let turn = beyond.is_multiple_of(self.rule.every.max(1));
        let left = self.rule.times.is_none_or(|times| self.acted < times);
        if turn && left {
            self.acted += 1;
        }
        turn && left
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn acts(script: &mut Script, device: &str) -> Option<Act> {
        script.act(device, "com.example.notes", ApnsEnvironment::Production).1
    }

    #[test]
    fn a_rule_skips_repeats_and_ends() {
        let mut script = Script::default();
        let rule = Rule { skip: 2, every: 3, times: Some(2), ..Rule::always(Act::RefuseStream) };
        script.add(rule);
        let acted: Vec<_> = (1..=12).filter(|_| acts(&mut script, "ab").is_some()).collect();

        assert_eq!(acted, [3, 6]);
    }

    #[test]
    fn a_rule_is_about_what_it_names_and_a_delay_goes_on() {
        let mut script = Script::default();
        script.add(Rule::always(Act::Delay { ms: 5 }));
        script.add(Rule::always(Act::Stall).for_device("ff"));

        let (delay, act) = script.act("ff00", "t", ApnsEnvironment::Sandbox);
        assert_eq!((delay, act), (Duration::from_millis(5), Some(Act::Stall)));
        assert_eq!(acts(&mut script, "00ff"), None);
    }

    #[test]
    fn rules_are_written_as_json() {
        let text = r#"{"when":{"device_prefix":"ab"},"skip":3,"act":{"do":"answer","status":410,"reason":"Unregistered","timestamp":7}}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        let refusal = Refusal { timestamp: Some(7), ..Refusal::new(410, "Unregistered") };

        assert_eq!(rule.act, Act::Answer(refusal));
        assert_eq!(
            serde_json::from_str::<Rule>(&serde_json::to_string(&rule).unwrap()).unwrap(),
            rule
        );
    }
}
