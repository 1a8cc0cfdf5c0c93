//! The state machine through its API: what each status allows, and what holds whatever is asked.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::error::ApiError;
use super::params::Params;
use super::{Request, call};
use crate::world::World;

const DAY: i64 = 86_400;
const START: i64 = 1_800_000_000;

fn world() -> World {
    let mut world = World::new(7, "http://sim".to_owned());
    world.tick(START);
    world
}

fn post(world: &mut World, path: &str, form: &str) -> Result<Value, ApiError> {
    let params = Params::parse(form.as_bytes());
    call(world, Request { method: "POST".to_owned(), path: format!("/v1/{path}"), params })
}

fn get(world: &mut World, path: &str, query: &str) -> Result<Value, ApiError> {
    let params = Params::parse(query.as_bytes());
    call(world, Request { method: "GET".to_owned(), path: format!("/v1/{path}"), params })
}

/// A new intent in `status`, with manual capture.
fn intent_in(world: &mut World, status: &str) -> String {
    let more = match status {
        "requires_payment_method" => "",
        "requires_confirmation" => "&payment_method=pm_card_visa",
        "requires_action" => "&payment_method=pm_card_threeDSecure2Required&confirm=true",
        _ => "&payment_method=pm_card_visa&confirm=true",
    };
    let made =
        post(world, "payment_intents", &format!("amount=1000&currency=usd&capture_method=manual{more}")).unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    match status {
        "succeeded" => drop(post(world, &format!("payment_intents/{id}/capture"), "").unwrap()),
        "canceled" => drop(post(world, &format!("payment_intents/{id}/cancel"), "").unwrap()),
        _ => {}
    }
    assert_eq!(get(world, &format!("payment_intents/{id}"), "").unwrap()["status"], status);
    id
}

#[test]
fn each_status_allows_what_it_does_at_stripe() {
    let table = [
        // status, confirm, capture, cancel, refund
        ("requires_payment_method", [true, false, true, false]),
        ("requires_confirmation", [true, false, true, false]),
        ("requires_action", [true, false, true, false]),
        ("requires_capture", [false, true, true, false]),
        ("succeeded", [false, false, false, true]),
        ("canceled", [false, false, false, false]),
    ];
    let mut world = world();
    for (status, allowed) in table {
        let mut outcomes = Vec::new();
        for operation in ["confirm", "capture", "cancel", "refund"] {
            let id = intent_in(&mut world, status);
            let outcome = match operation {
                "confirm" => post(&mut world, &format!("payment_intents/{id}/confirm"), "payment_method=pm_card_visa"),
                "refund" => post(&mut world, "refunds", &format!("payment_intent={id}")),
                other => post(&mut world, &format!("payment_intents/{id}/{other}"), ""),
            };
            if let Err(error) = &outcome {
                assert_eq!(error.status(), 400);
                assert!(operation == "refund" || error.code() == Some("payment_intent_unexpected_state"));
                let after = get(&mut world, &format!("payment_intents/{id}"), "").unwrap();
                assert_eq!(after["status"], status, "a refusal changed the intent");
            }
            outcomes.push(outcome.is_ok());
        }
        assert_eq!(outcomes, allowed, "{status}");
    }
}

#[test]
fn a_hold_ends_at_its_time_and_not_before() {
    let mut world = world();
    let id = intent_in(&mut world, "requires_capture");
    world.tick(START + 7 * DAY - 1);
    assert_eq!(get(&mut world, &format!("payment_intents/{id}"), "").unwrap()["status"], "requires_capture");
    world.tick(START + 7 * DAY);
    let ended = get(&mut world, &format!("payment_intents/{id}"), "expand[]=latest_charge").unwrap();
    assert_eq!((&ended["status"], &ended["cancellation_reason"]), (&json!("canceled"), &json!("automatic")));
    assert_eq!(ended["latest_charge"]["captured"], false);
    let error = post(&mut world, &format!("payment_intents/{id}/capture"), "").unwrap_err();
    assert_eq!(error.code(), Some("payment_intent_unexpected_state"));
}

#[test]
fn a_failed_refund_can_be_made_again() {
    let mut world = world();
    let form = "amount=1000&currency=usd&confirm=true&payment_method=pm_card_refundFail";
    let id = post(&mut world, "payment_intents", form).unwrap()["id"].as_str().unwrap().to_owned();
    let refund = format!("payment_intent={id}");
    post(&mut world, "refunds", &refund).unwrap();
    assert_eq!(post(&mut world, "refunds", &refund).unwrap_err().code(), Some("charge_already_refunded"));
    world.tick(START + 60);
    assert_eq!(world.totals()[0]["refunded"], 0);
    post(&mut world, "refunds", &refund).unwrap();
}

#[test]
fn events_keep_the_object_as_it_was() {
    let mut world = world();
    let id = intent_in(&mut world, "succeeded");
    let events = get(&mut world, "events", "types[]=payment_intent.*&limit=100").unwrap();
    let told: Vec<(&str, &str)> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| (event["type"].as_str().unwrap(), event["data"]["object"]["status"].as_str().unwrap()))
        .collect();
    let expected = [
        ("payment_intent.created", "requires_confirmation"),
        ("payment_intent.amount_capturable_updated", "requires_capture"),
        ("payment_intent.succeeded", "succeeded"),
    ];
    assert_eq!(told, expected, "{id}");
}

#[test]
fn the_same_seed_gives_the_same_ids() {
    assert_eq!(intent_in(&mut world(), "succeeded"), intent_in(&mut world(), "succeeded"));
}

/// Something that a client may ask for, about one of the intents there are.
#[derive(Debug, Clone)]
enum Deed {
    Create { amount: i64, manual: bool, card: &'static str },
    Confirm { which: usize, card: &'static str },
    Capture { which: usize, amount: i64 },
    Cancel { which: usize },
    Refund { which: usize, amount: i64 },
    Wait { seconds: i64 },
}

fn deed() -> impl Strategy<Value = Deed> {
    let card = || {
        prop::sample::select(vec![
            "pm_card_visa",
            "pm_card_mastercard",
            "pm_card_chargeDeclined",
            "pm_card_threeDSecure2Required",
            "pm_card_refundFail",
            "pm_card_pendingRefund",
        ])
    };
    let which = 0..8_usize;
    let amount = 1..2_000_i64;
    prop_oneof![
        (50..2_000_i64, any::<bool>(), card()).prop_map(|(amount, manual, card)| Deed::Create { amount, manual, card }),
        (which.clone(), card()).prop_map(|(which, card)| Deed::Confirm { which, card }),
        (which.clone(), amount.clone()).prop_map(|(which, amount)| Deed::Capture { which, amount }),
        which.clone().prop_map(|which| Deed::Cancel { which }),
        (which, amount).prop_map(|(which, amount)| Deed::Refund { which, amount }),
        (1..5 * DAY).prop_map(|seconds| Deed::Wait { seconds }),
    ]
}

impl Deed {
    fn request(&self, ids: &[String]) -> Option<(String, String)> {
        let id = |which: usize| ids.get(which % ids.len().max(1));
        Some(match self {
            Self::Create { amount, manual, card } => {
                let method = if *manual { "manual" } else { "automatic" };
                let form =
                    format!("amount={amount}&currency=usd&capture_method={method}&payment_method={card}&confirm=true");
                ("payment_intents".to_owned(), form)
            }
            Self::Confirm { which, card } => {
                (format!("payment_intents/{}/confirm", id(*which)?), format!("payment_method={card}"))
            }
            Self::Capture { which, amount } => {
                (format!("payment_intents/{}/capture", id(*which)?), format!("amount_to_capture={amount}"))
            }
            Self::Cancel { which } => (format!("payment_intents/{}/cancel", id(*which)?), String::new()),
            Self::Refund { which, amount } => {
                ("refunds".to_owned(), format!("payment_intent={}&amount={amount}", id(*which)?))
            }
            Self::Wait { .. } => return None,
        })
    }
}

fn check(world: &mut World) {
    for intent in world.totals() {
        let money = |key: &str| intent[key].as_i64().unwrap();
        assert!(money("held") + money("captured") <= money("amount"), "{intent}");
        assert!((0..=money("captured")).contains(&money("refunded")), "{intent}");
        assert!(money("captures") <= 1, "{intent}");
        let status = intent["status"].as_str().unwrap();
        assert_eq!(money("held") > 0, status == "requires_capture", "{intent}");
        assert_eq!(money("captured") > 0, status == "succeeded", "{intent}");
        assert_eq!(last_told(world, intent["id"].as_str().unwrap()), status, "the last event tells another status");
    }
    let state = world.state();
    let of = |list: &str, key: &str| -> i64 {
        state[list].as_array().unwrap().iter().map(|object| object[key].as_i64().unwrap()).sum()
    };
    let booked: i64 = world.balance.iter().map(crate::world::balance::BalanceTransaction::amount).sum();
    assert_eq!(booked, of("intents", "captured") - of("intents", "refunded"), "the balance is another");
}

/// The status in the last event about the intent.
fn last_told(world: &mut World, id: &str) -> String {
    let events = world.events.iter().rev().map(crate::world::table::Row::json);
    let mut told = events.filter(|event| event["data"]["object"]["id"] == id);
    told.next().unwrap()["data"]["object"]["status"].as_str().unwrap().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_money_adds_up_whatever_is_asked(deeds in prop::collection::vec(deed(), 1..40)) {
        let mut world = world();
        for deed in deeds {
            if let Deed::Wait { seconds } = deed {
                let now = world.now + seconds;
                world.tick(now);
            }
            let ids: Vec<String> = world.intents.iter().map(|intent| intent.id.clone()).collect();
            if let Some((path, form)) = deed.request(&ids) {
                // Refusals are as welcome as successes: none of them may break what is checked below.
                if let Err(error) = post(&mut world, &path, &form) {
                    prop_assert!([400, 402].contains(&error.status()), "{:?}", error);
                }
            }
            check(&mut world);
        }
    }
}
