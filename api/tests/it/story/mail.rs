//! Signing in by mail, from the request to the session.

use humanchat_domain::testing::{jobs, queue_in_words};
use reqwest::Method;
use serde_json::{Value, json};

use super::{smtp::MailServer, stage::Stage};
use crate::{
    scene::{eventually, text},
    support::{Api, Person},
};

const EMAIL: &str = "casey@example.com";

async fn ask(api: &Api) {
    let ask = json!({"email": "Casey@Example.com"});
    assert_eq!(api.anonymous(Method::POST, "/api/auth/magic-link", Some(ask)).await.ok(202), json!({"status": "sent"}));
}

async fn mailbox(api: &Api) -> Vec<Value> {
    let mails = api.anonymous(Method::GET, &format!("/dev/mailbox.json?to={EMAIL}"), None).await.ok(200);
    mails.as_array().unwrap().clone()
}

/// The link's token, after a look at the link.
fn token(api: &Api, body: &str) -> String {
    let beginning = format!("{}#token=", api.url("/magic-link"));
    let rest = body.split_once(&beginning).unwrap_or_else(|| panic!("no link to {beginning}: {body}")).1;
    rest.split_whitespace().next().unwrap().to_owned()
}

async fn sign_in<'a>(api: &'a Api, token: &str) -> Person<'a> {
    let verify = json!({"token": token});
    let auth = api.anonymous(Method::POST, "/api/auth/magic-link/verify", Some(verify.clone())).await.ok(200);
    api.anonymous(Method::POST, "/api/auth/magic-link/verify", Some(verify)).await.refused(410, "link_expired");
    assert_eq!((&auth["user"]["email"], &auth["user"]["email_verified"]), (&json!(EMAIL), &json!(true)));
    Person::of(api, &auth)
}

/// The worker writes the link, and it has to know where people reach the api.
async fn api_and_worker(stage: &Stage, settings: &[(&str, &str)]) -> (Api, impl Sized) {
    let (one, api) = stage.api(&[]).await;
    let url = api.url("");
    let worker = stage.worker(&[&[("PUBLIC_URL", url.as_str())], settings].concat()).await;
    (api, (one, worker))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailed_link_is_in_the_mailbox_and_signs_in() {
    let stage = Stage::with(&[]).await;
    let (api, _processes) = api_and_worker(&stage, &[]).await;
    assert!(mailbox(&api).await.is_empty());
    ask(&api).await;
    let mail = eventually("the mail", async || mailbox(&api).await.pop()).await;
    assert_eq!(mail["to"], EMAIL);
    let casey = sign_in(&api, &token(&api, &text(&mail["body"]))).await;
    casey.get("/api/auth/me").await.ok(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_mail_server_the_link_goes_there_and_is_not_kept() {
    let stage = Stage::with(&[]).await;
    // Not ready at first: the worker comes again.
    let server = MailServer::start(&["451 4.2.1"]).await;
    let smtp = format!("smtp://{}", server.address);
    let settings = [("SMTP_URL", smtp.as_str()), ("MAIL_FROM", "HumanChat <hello@talk.example>")];
    let (api, _processes) = api_and_worker(&stage, &settings).await;
    ask(&api).await;
    let mail = eventually("the mail", async || server.mails().pop()).await;
    assert!(mail.from.contains("<hello@talk.example>"), "{mail:?}");
    assert_eq!(mail.to.len(), 1);
    assert!(mail.to[0].contains(&format!("<{EMAIL}>")), "{mail:?}");
    assert!(mail.data.contains("Subject: Your sign-in link"), "{mail:?}");
    assert!(mailbox(&api).await.is_empty(), "it is in other hands");
    sign_in(&api, &token(&api, &mail.body())).await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_refused_for_good_is_not_tried_again_or_told_of() {
    let stage = Stage::with(&[]).await;
    let server = MailServer::start(&["550 5.1.1", "554 5.7.1"]).await;
    let smtp = format!("smtp://{}", server.address);
    let (one, api) = stage.api(&[]).await;
    let worker = stage.worker(&[("SMTP_URL", &smtp)]).await;
    let states = async || {
        let jobs = jobs(&stage.store, "send_magic_link").await;
        jobs.into_iter().map(|job| job.state).collect::<Vec<_>>()
    };
    ask(&api).await;
    eventually("the end of the first", async || (states().await == ["done"]).then_some(())).await;
    assert_eq!(server.mails().len(), 0);
    // What may be about us, and not about the address, is.
    ask(&api).await;
    eventually("another mail", async || server.mails().pop()).await;
    eventually("the end of the second", async || (states().await == ["done"; 2]).then_some(())).await;
    let (log, jobs) = (worker.log(), queue_in_words(&stage.store).await);
    assert!(log.contains(r#""code":550"#) && log.contains("it answered 554"), "{log}");
    assert!(jobs.contains("it answered 554"), "{jobs}");
    for told in [log, jobs, one.log()] {
        assert!(!told.to_lowercase().contains(EMAIL), "{told}");
    }
}
