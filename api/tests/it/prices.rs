//! What talking costs: rates, currencies, and who sees them.

use humanchat_domain::{testing::Flags, users::DisplayMode};
use serde_json::{Value, json};

use crate::support::api;

#[tokio::test]
async fn what_a_host_costs_holds_together() {
    let api = api().await;
    let host = api.register("Amara").await;
    host.cannot_change(json!({"conversationType": "paid"}), "conversationType").await;
    host.cannot_change(json!({"conversationType": "charity"}), "conversationType").await;
    let user = host.change(json!({"conversationType": "paid", "instantRatePerMinute": 3})).await;
    assert_eq!((&user["instant_rate_per_minute"], &user["currency"]), (&json!(3), &json!("usd")));
    host.cannot_change(json!({"instantRatePerMinute": null}), "conversationType").await;
    let user = host.change(json!({"instantRatePerMinute": null, "scheduledRates": {"30": 75, "60": 129.99}})).await;
    assert_eq!(user["scheduled_rates"], json!({"30": 75, "60": 129.99}));
    assert_eq!(user["instant_rate_per_minute"], Value::Null);
    let user = host.change(json!({"scheduledRates": {"5": 0.5, "480": 999_999.99}})).await;
    assert_eq!(user["scheduled_rates"], json!({"5": 0.5, "480": 999_999.99}));
    host.cannot_change(json!({"scheduledRates": {}}), "conversationType").await;
    host.change(json!({"scheduledRates": {}, "conversationType": "charity", "charityName": "Ocean"})).await;
    host.cannot_change(json!({"charityName": null}), "conversationType").await;
    let user = host.change(json!({"conversationType": "free", "charityName": null})).await;
    assert_eq!((&user["charity_name"], &user["scheduled_rates"]), (&Value::Null, &json!({})));
}

#[tokio::test]
async fn a_price_is_a_whole_number_of_the_smallest_coin() {
    let api = api().await;
    let host = api.register("Amara").await;
    for price in [json!(0.29), json!(19.99), json!(1), json!(1.0), json!(33_333.33), json!(0.02), json!(1e2)] {
        let user = host.change(json!({"instantRatePerMinute": price})).await;
        let shown = user["instant_rate_per_minute"].as_f64().unwrap();
        assert!((shown - price.as_f64().unwrap()).abs() < f64::EPSILON, "{price} became {shown}");
    }
    for price in [
        "0",
        "-0",
        "-0.0",
        "-1",
        "0.001",
        "19.999",
        "10.000000001",
        "1000000.01",
        "1e20",
        "1e-9",
        "\"3\"",
        "true",
        "[3]",
    ] {
        for (body, field) in [
            (format!(r#"{{"instantRatePerMinute": {price}}}"#), "instantRatePerMinute"),
            (format!(r#"{{"scheduledRates": {{"30": {price}}}}}"#), "scheduledRates.30"),
        ] {
            host.cannot_change(serde_json::from_str(&body).unwrap(), field).await;
        }
    }
    for minutes in ["4", "481", "-30", "30.0", "", "x", "030", "+30", "99999999999999999999", "\0"] {
        host.cannot_change(json!({"scheduledRates": {minutes: 10}}), &format!("scheduledRates.{minutes}")).await;
    }
    let many: serde_json::Map<_, _> = (5..26).map(|minutes| (minutes.to_string(), json!(1))).collect();
    host.cannot_change(json!({"scheduledRates": many}), "scheduledRates").await;
    // What no card can be charged, for a booking or for half an hour at once.
    for price in [0.49, 1_000_000.0] {
        host.cannot_change(json!({"scheduledRates": {"30": price}}), "scheduledRates.30").await;
    }
    for rate in [0.01, 33_333.34] {
        host.cannot_change(json!({"instantRatePerMinute": rate}), "instantRatePerMinute").await;
    }
    assert_eq!(host.see(&host).await["instant_rate_per_minute"], json!(100));
}

#[tokio::test]
async fn a_currency_changes_only_together_with_all_rates() {
    let api = api().await;
    let host = api.register("Amara").await;
    assert_eq!(host.change(json!({"currency": "eur"})).await["currency"], "eur");
    host.change(json!({"instantRatePerMinute": 2.5, "scheduledRates": {"30": 60}})).await;
    host.cannot_change(json!({"currency": "jpy"}), "currency").await;
    host.cannot_change(json!({"currency": "jpy", "instantRatePerMinute": 250}), "currency").await;
    let both = json!({"currency": "jpy", "instantRatePerMinute": 250.5, "scheduledRates": {"30": 6000}});
    host.cannot_change(both, "instantRatePerMinute").await;
    let both = json!({"currency": "jpy", "instantRatePerMinute": 250, "scheduledRates": {"30": 6000}});
    let user = host.change(both).await;
    assert_eq!((&user["currency"], &user["instant_rate_per_minute"]), (&json!("jpy"), &json!(250)));
    assert_eq!(host.change(json!({"currency": "jpy"})).await["scheduled_rates"], json!({"30": 6000}));
    let none = json!({"currency": "usd", "instantRatePerMinute": null, "scheduledRates": {}});
    assert_eq!(host.change(none).await["instant_rate_per_minute"], Value::Null);
    for code in ["USD", "xxx", "us", "", "usd "] {
        host.cannot_change(json!({"currency": code}), "currency").await;
    }
}

#[tokio::test]
async fn a_confidential_rate_is_shown_to_its_owner_alone() {
    let api = api().await;
    let (casey, host) = (api.register("Casey").await, api.register("Amara").await);
    host.change(json!({"conversationType": "paid", "instantRatePerMinute": 3, "scheduledRates": {"30": 75}})).await;
    let conversation = casey.conversation_with(&host).await;
    assert_eq!(casey.see(&host).await["instant_rate_per_minute"], 3);
    for flags in [
        Flags { confidential_rate: true, ..Flags::default() },
        Flags { display_mode: DisplayMode::Confidential, ..Flags::default() },
    ] {
        host.set_flags(flags).await;
        let page = casey.get("/api/users?q=amara").await.ok(200);
        let found = casey.get(&format!("/api/conversations/{conversation}")).await.ok(200);
        let in_conversation = found["participants"].as_array().unwrap().iter().find(|user| user["id"] == host.id);
        for user in [&casey.see(&host).await, &page["users"][0], in_conversation.unwrap()] {
            assert_eq!(user["id"], host.id);
            assert_eq!((&user["instant_rate_per_minute"], &user["scheduled_rates"]), (&Value::Null, &Value::Null));
        }
        let own = host.get("/api/auth/me").await.ok(200);
        assert_eq!(own["user"]["scheduled_rates"], json!({"30": 75}));
        assert_eq!(host.change(json!({"bio": "Hello"})).await["instant_rate_per_minute"], 3);
    }
}
