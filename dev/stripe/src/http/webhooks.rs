//! Delivering events: signed as <https://docs.stripe.com/webhooks/signature> says, again and again until 2xx.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::outbox::Delivery;
use crate::simulator::Shared;

const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);
/// How often holds and sessions are looked through for those whose time is over.
const TICK: Duration = Duration::from_secs(1);

/// Delivers what is due, for ever.
pub(crate) async fn deliver(shared: Arc<Shared>, client: reqwest::Client) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let (due, next) = shared.with(|simulator| simulator.outbox.take_due(Instant::now()));
        for delivery in due {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (shared, client) = (Arc::clone(&shared), client.clone());
            tokio::spawn(async move {
                let now = shared.with(|simulator| simulator.world.now);
                let status = send(&client, &delivery, now).await;
                shared.with(|simulator| simulator.outbox.tried(delivery, status));
                shared.wake.notify_one();
                drop(place);
            });
        }
        let tick = Instant::now() + TICK;
        tokio::select! {
            () = shared.wake.notified() => {}
            () = sleep_until(next.map_or(tick, |next| next.min(tick))) => {}
        }
    }
}

/// The status of the answer, if there is one. The signature is of `now`, by the simulator's clock.
async fn send(client: &reqwest::Client, delivery: &Delivery, now: i64) -> Option<u16> {
    let signature = signature(&delivery.endpoint.secrets, now, &delivery.body);
    let request = client
        .post(&delivery.endpoint.url)
        .timeout(PATIENCE)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", signature)
        .body(delivery.body.clone());
    request.send().await.ok().map(|response| response.status().as_u16())
}

/// The header `Stripe-Signature`: time, and one `v1` for each secret.
fn signature(secrets: &[String], time: i64, body: &[u8]) -> String {
    let mut header = format!("t={time}");
    for secret in secrets {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { continue };
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        header.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            // Writing to a text can't fail.
            let _ = write!(header, "{byte:02x}");
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_signs() {
        // printf '12.{}' | openssl dgst -sha256 -hmac whsec_a
        let header = signature(&["whsec_a".to_owned(), "whsec_b".to_owned()], 12, b"{}");
        let parts: Vec<&str> = header.split(',').collect();
        assert_eq!(parts[0], "t=12");
        assert_eq!(parts[1], "v1=125c363802160fbda1189a95bd8f15fd6ea165c87ab137429f3fc4c464f40d89");
        assert_eq!(parts[2], "v1=e7e54fc8d9cc0a13096afe109d256b0447f6b43fad859eed65fb695a5fc23056");
    }
}
