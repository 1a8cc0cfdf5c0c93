//! Faults on demand: rules that say which requests go wrong, how, and how often.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Effect {
    /// 500, and nothing is done.
    ErrorBefore,
    /// It is done, and the answer is 500.
    ErrorAfter,
    /// 429.
    RateLimit,
    /// The connection is reset, and nothing is done.
    ResetBefore,
    /// It is done, and the connection is reset.
    ResetAfter,
    /// It is done, and the answer ends halfway.
    Truncate,
    /// It takes `delay_ms` longer.
    Delay,
    /// It is done, and the answer takes `delay_ms` longer.
    DelayAfter,
    /// 400, and nothing is done.
    Refuse,
}

/// A rule. Without `times` and `probability` it strikes once.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Only this method.
    #[serde(default)]
    method: Option<String>,
    /// Only this path; `*` stands for one segment: `/v1/payment_intents/*/capture`.
    #[serde(default)]
    path: Option<String>,
    effect: Effect,
    /// How often it strikes.
    #[serde(default)]
    times: Option<u32>,
    /// How likely it strikes, from 0 to 1; the same `seed` gives the same strikes.
    #[serde(default)]
    probability: Option<f64>,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    delay_ms: u64,
}

#[derive(Debug)]
struct Armed {
    rule: Rule,
    left: Option<u32>,
    struck: u32,
    random: StdRng,
}

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
}

/// What happens to one request.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strike {
    pub(crate) effect: Option<Effect>,
    pub(crate) delay: Duration,
    pub(crate) delay_after: Duration,
}

impl Faults {
    /// Adds a rule.
    pub(crate) fn arm(&mut self, rule: Rule) {
        let left = rule.times.or(if rule.probability.is_some() { None } else { Some(1) });
        self.armed.push(Armed { random: StdRng::seed_from_u64(rule.seed), rule, left, struck: 0 });
    }

    /// Forgets all rules.
    pub(crate) fn disarm(&mut self) {
        self.armed.clear();
    }

    /// What happens to this request: the first effect whose rule strikes, and all delays.
    pub(crate) fn strike(&mut self, method: &str, path: &str) -> Strike {
        let mut strike = Strike::default();
        for armed in &mut self.armed {
            let delays = armed.rule.effect == Effect::Delay;
            if (!delays && strike.effect.is_some()) || !armed.strikes(method, path) {
                continue;
            }
            let delay = Duration::from_millis(armed.rule.delay_ms);
            if armed.rule.effect == Effect::DelayAfter {
                strike.delay_after = delay;
            } else {
                strike.delay += delay;
            }
            if !delays {
                strike.effect = Some(armed.rule.effect);
            }
        }
        strike
    }

    /// The rules, with how often they struck.
    pub(crate) fn json(&self) -> Value {
        let rules =
            self.armed.iter().map(|armed| json!({"rule": armed.rule, "left": armed.left, "struck": armed.struck}));
        rules.collect()
    }
}

impl Armed {
    fn strikes(&mut self, method: &str, path: &str) -> bool {
        let rule = &self.rule;
        let fits = rule.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && rule.path.as_ref().is_none_or(|pattern| matches(pattern, path));
        if !fits || self.left == Some(0) || !self.random.random_bool(rule.probability.unwrap_or(1.0).clamp(0.0, 1.0)) {
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        self.struck += 1;
        true
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(wanted, segment)| *wanted == "*" || *wanted == segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_rule_strikes_what_it_names_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.arm(rule(
            r#"{"method": "POST", "path": "/v1/payment_intents/*/capture", "effect": "error_after", "times": 2}"#,
        ));
        let mut effect = |method, path| faults.strike(method, path).effect;
        assert_eq!(effect("GET", "/v1/payment_intents/pi_1/capture"), None);
        assert_eq!(effect("POST", "/v1/payment_intents/pi_1/cancel"), None);
        assert_eq!(effect("POST", "/v1/payment_intents"), None);
        assert_eq!(effect("POST", "/v1/payment_intents/pi_1/capture"), Some(Effect::ErrorAfter));
        assert_eq!(effect("POST", "/v1/payment_intents/pi_2/capture"), Some(Effect::ErrorAfter));
        assert_eq!(effect("POST", "/v1/payment_intents/pi_1/capture"), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_strikes() {
        let strikes = || {
            let mut faults = Faults::default();
            faults.arm(rule(r#"{"effect": "rate_limit", "probability": 0.5, "seed": 7}"#));
            (0..64).map(|_| faults.strike("GET", "/v1/events").effect.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(strikes(), strikes());
        assert!(strikes().contains(&true) && strikes().contains(&false));
    }

    #[test]
    fn delays_go_with_other_effects() {
        let mut faults = Faults::default();
        faults.arm(rule(r#"{"effect": "delay", "delay_ms": 30, "times": 5}"#));
        faults.arm(rule(r#"{"effect": "reset_after"}"#));
        let strike = faults.strike("POST", "/v1/refunds");
        let delay = Duration::from_millis(30);
        assert_eq!(strike, Strike { effect: Some(Effect::ResetAfter), delay, ..Strike::default() });
    }
}
