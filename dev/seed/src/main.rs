//! Fills a development system with demo people, through the same operations as the api. Who is
//! there already stays as they are; the admin is one in any case. Prints their logins, a line each.

use anyhow::Context;
use garde::Unvalidated;
use humanchat_domain::{
    Store,
    auth::{self, Credentials, Registration, Role},
    clock::Clock,
    config::Settings,
    error::{Error, Refusal},
    users::{self, ProfileChange},
};
use serde_json::{Value, json};

/// Everybody's: this is for development only.
const PASSWORD: &str = "humanchat-demo";

struct Person {
    name: &'static str,
    email: &'static str,
    about: &'static str,
    role: Role,
    profile: Value,
}

fn people() -> Vec<Person> {
    let person = |name, email, about, profile| Person { name, email, about, role: Role::User, profile };
    vec![
        person(
            "Casey Moreno",
            "casey@example.com",
            "a guest",
            json!({"headline": "Curious about everything", "timezone": "America/New_York"}),
        ),
        person(
            "River Lindqvist",
            "river@example.com",
            "a free host",
            json!({
                "headline": "Gardener and beekeeper", "bio": "Ask me about bees, compost and patience.",
                "skills": ["gardening", "beekeeping"], "languages": ["en", "sv"], "timezone": "Europe/Stockholm",
            }),
        ),
        person(
            "Amara Okafor",
            "amara@example.com",
            "a paid host",
            json!({
                "headline": "Career coach for engineers", "bio": "Fifteen years of hiring, ten of being hired.",
                "skills": ["career", "interviews", "negotiation"], "languages": ["en", "fr"], "timezone": "Europe/London",
                "conversationType": "paid", "instantRatePerMinute": 3, "scheduledRates": {"30": 75, "60": 130}, "currency": "usd",
            }),
        ),
        person(
            "Kenji Watanabe",
            "kenji@example.com",
            "a charity host",
            json!({
                "headline": "Marine biologist", "bio": "Talk with me about the sea; the money goes to it.",
                "skills": ["biology", "diving", "photography"], "languages": ["en", "ja"], "timezone": "Asia/Tokyo",
                "conversationType": "charity", "charityName": "Ocean Conservancy", "instantRatePerMinute": 2,
            }),
        ),
        Person {
            name: "Ada Admin",
            email: "admin@example.com",
            about: "an admin",
            role: Role::Admin,
            profile: json!({"headline": "Looks after the place"}),
        },
    ]
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let store = Store::open(Settings::from_env()?, Clock::System)?;
    for person in people() {
        add(&store, &person).await.with_context(|| format!("{} could not be added", person.email))?;
        println!("{:<20} {PASSWORD:<16} {}, {}", person.email, person.name, person.about);
    }
    Ok(())
}

async fn add(store: &Store, person: &Person) -> anyhow::Result<()> {
    let registration = Registration {
        name: person.name.to_owned(),
        email: person.email.to_owned(),
        password: PASSWORD.to_owned(),
        timezone: None,
    };
    let user_id = match auth::register(store, None, Unvalidated::new(registration).validate()?).await {
        Ok(auth) => auth.user.user.id,
        Err(Error::Refused(Refusal::EmailTaken)) => return see_to_role(store, person).await,
        Err(error) => return Err(error.into()),
    };
    let profile: ProfileChange = serde_json::from_value(person.profile.clone())?;
    let mut tx = store.begin(None).await?;
    users::change_profile(&mut tx, user_id, Unvalidated::new(profile).validate()?).await?;
    users::set_role(&mut tx, user_id, person.role).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives whoever is there already their role, where an earlier run ended before it did. Somebody with this address and
/// another password isn't ours.
async fn see_to_role(store: &Store, person: &Person) -> anyhow::Result<()> {
    if person.role == Role::User {
        return Ok(());
    }
    let credentials = Credentials { email: person.email.to_owned(), password: PASSWORD.to_owned() };
    let auth = match auth::login(store, None, Unvalidated::new(credentials).validate()?).await {
        Ok(auth) => auth,
        Err(Error::Refused(Refusal::InvalidCredentials)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut tx = store.begin(None).await?;
    users::set_role(&mut tx, auth.user.user.id, person.role).await?;
    tx.commit().await?;
    Ok(())
}
