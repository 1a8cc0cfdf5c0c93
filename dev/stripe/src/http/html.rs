//! The pages' HTML: plain, without scripts, usable by keyboard and screen reader.

use std::fmt::Write as _;

use crate::world::World;
use crate::world::intents::Status;
use crate::world::table::Row as _;

/// A button.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    action: &'static str,
    label: &'static str,
    /// Whether a card number goes with it.
    card: bool,
}

impl Choice {
    pub(crate) const PAY: &[Self] =
        &[Self { action: "pay", label: "Pay", card: true }, Self { action: "decline", label: "Decline", card: false }];
    pub(crate) const PAY_OR_CANCEL: &[Self] = &[
        Self { action: "pay", label: "Pay", card: true },
        Self { action: "decline", label: "Decline", card: false },
        Self { action: "cancel", label: "Cancel", card: false },
    ];
    pub(crate) const CHALLENGE: &[Self] = &[
        Self { action: "authenticate", label: "Yes, it is me", card: false },
        Self { action: "refuse", label: "No", card: false },
    ];
    pub(crate) const ONBOARD: &[Self] = &[Self { action: "pay", label: "Finish", card: false }];
}

const CARD_FIELD: &str = r#"<p><label for="card">Card number</label>
<input id="card" name="card" list="cards" inputmode="numeric" autocomplete="off" value="4242 4242 4242 4242">
<datalist id="cards">
<option value="4242 4242 4242 4242">pays</option>
<option value="4000 0000 0000 0002">is declined</option>
<option value="4000 0000 0000 9995">has insufficient funds</option>
<option value="4000 0000 0000 3220">asks who you are (3-D Secure)</option>
</datalist></p>
"#;

/// A page with a form of some buttons, or none.
pub(crate) fn form(title: &str, text: &str, problem: Option<&str>, choices: &[Choice]) -> String {
    let mut body = String::new();
    if !text.is_empty() {
        let _ = writeln!(body, "<p>{}</p>", escape(text));
    }
    if let Some(problem) = problem {
        let _ = writeln!(body, r#"<p role="alert">{}</p>"#, escape(problem));
    }
    if !choices.is_empty() {
        body.push_str("<form method=\"post\">\n");
        if choices.iter().any(|choice| choice.card) {
            body.push_str(CARD_FIELD);
        }
        for Choice { action, label, .. } in choices {
            let _ = writeln!(body, r#"<button name="action" value="{action}">{label}</button>"#);
        }
        body.push_str("</form>\n");
    }
    document(title, &body)
}

/// What waits to be paid, and the latest events.
pub(crate) fn index(world: &World) -> String {
    let mut body = String::from("<h2>To be paid</h2>\n<ul>\n");
    for session in world.checkouts.iter().rev().filter(|session| session.status == "open").take(20) {
        let _ = writeln!(body, r#"<li><a href="/checkout/{}">Checkout: {}</a></li>"#, session.id, session.total());
    }
    let waiting = [Status::RequiresPaymentMethod, Status::RequiresConfirmation, Status::RequiresAction];
    for intent in world.intents.iter().rev().filter(|intent| waiting.contains(&intent.status)).take(20) {
        let amount = intent.wish.currency.words(intent.wish.amount);
        let _ = writeln!(body, r#"<li><a href="/pay/{}">Payment: {amount}</a></li>"#, intent.client_secret);
    }
    body.push_str("</ul>\n<h2>Latest events</h2>\n<ol>\n");
    for event in world.events.iter().rev().take(20) {
        let _ = writeln!(body, "<li><code>{}</code> {}</li>", event.kind(), event.id());
    }
    body.push_str("</ol>\n<p><a href=\"/_sim/state\">Everything, as JSON</a></p>\n");
    document("Stripe simulator", &body)
}

fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 3rem auto; padding: 0 1rem }}
input, button {{ font: inherit; padding: .5rem .8rem }}
label {{ display: block }}
[role=alert] {{ border-left: .3rem solid #b00020; padding-left: .8rem }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}</main>
<footer><p>This is a simulator: no money moves.</p></footer>
</body>
</html>
"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        let page = form("<script>", "\"&\"", Some("<b>"), &[]);
        assert!(page.contains("<h1>&lt;script&gt;</h1>") && page.contains("&quot;&amp;&quot;"));
        assert!(!page.contains("<script>") && !page.contains("<b>"));
    }
}
