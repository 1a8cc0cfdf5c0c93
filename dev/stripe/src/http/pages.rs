//! Pages on which people pay, with test cards: in place of Stripe's Checkout, card form and onboarding.
//!
//! Every form is one `POST` that a test can send too: `action=pay&card=4242424242424242`, `action=decline`,
//! `action=cancel`, and where a bank asks, `action=authenticate` or `action=refuse`.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::html::{self, Choice};
use crate::api::error::ApiError;
use crate::simulator::Shared;
use crate::world::World;
use crate::world::cards::Card;
use crate::world::intents::{PaymentIntent, Status};
use crate::world::setups::SetupIntent;

const GOOD_CARD: &str = "4242424242424242";
const BAD_CARD: &str = "4000000000000002";

/// What somebody does on a page.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    action: Action,
    /// The number of a test card.
    #[serde(default)]
    card: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Pay,
    Decline,
    Cancel,
    Authenticate,
    Refuse,
}

impl Answer {
    /// The card to pay with; to decline is to pay with one that is declined.
    fn card(&self) -> Result<&'static Card, ApiError> {
        let number = match self.action {
            Action::Decline => BAD_CARD,
            _ if self.card.is_empty() => GOOD_CARD,
            _ => &self.card,
        };
        Card::by_number(number)
            .ok_or_else(|| ApiError::invalid_as("incorrect_number", "card", "Your card number is incorrect."))
    }
}

/// Where a page's visitor may be sent to when all is done.
#[derive(Debug, Deserialize)]
pub(crate) struct Back {
    return_url: Option<String>,
}

/// What was just done, with what to say about it.
type Outcome = Result<(), ApiError>;

/// `GET /`: what waits to be paid, and the latest events.
pub(crate) async fn index(State(shared): State<Arc<Shared>>) -> Html<String> {
    Html(shared.with(|simulator| html::index(&simulator.world)))
}

/// `GET /checkout/{id}`
pub(crate) async fn checkout(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.with(|simulator| checkout_page(&simulator.world, &id, &Ok(())))
}

/// `POST /checkout/{id}`
pub(crate) async fn answer_checkout(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Form(answer): Form<Answer>,
) -> Response {
    shared.with(|simulator| {
        let world = &mut simulator.world;
        let outcome = match answer.action {
            Action::Cancel => return leave_checkout(world, &id),
            Action::Pay | Action::Decline => answer.card().and_then(|card| world.pay_checkout(&id, card)),
            Action::Authenticate => world.answer_checkout_challenge(&id, true),
            Action::Refuse => world.answer_checkout_challenge(&id, false),
        };
        checkout_page(world, &id, &outcome)
    })
}

/// Who cancels goes back; the session stays open, as it does at Stripe.
fn leave_checkout(world: &World, id: &str) -> Response {
    match world.checkouts.get(id) {
        Some(session) => match &session.cancel_url {
            Some(url) => Redirect::to(url).into_response(),
            None => checkout_page(world, id, &Ok(())),
        },
        None => missing(),
    }
}

fn checkout_page(world: &World, id: &str, outcome: &Outcome) -> Response {
    let Some(session) = world.checkouts.get(id) else { return missing() };
    let title = session.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>().join(", ");
    match session.status {
        "complete" => Redirect::to(&session.success_url()).into_response(),
        "expired" => page(StatusCode::OK, "This page has expired", &title, &Ok(()), &[]),
        _ => {
            let intent = session.intent.as_deref().and_then(|intent| world.intents.get(intent));
            let asked = intent.is_some_and(|intent| intent.status == Status::RequiresAction);
            let choices = if asked { Choice::CHALLENGE } else { Choice::PAY_OR_CANCEL };
            page(StatusCode::OK, &format!("Pay {}", session.total()), &title, outcome, choices)
        }
    }
}

/// `GET /pay/{client_secret}`: for payment and setup intents.
pub(crate) async fn card(
    State(shared): State<Arc<Shared>>,
    Path(secret): Path<String>,
    Query(back): Query<Back>,
) -> Response {
    shared.with(|simulator| match Target::of(&simulator.world, &secret) {
        Some(target) => target.page(&simulator.world, back, &Ok(())),
        None => missing(),
    })
}

/// `POST /pay/{client_secret}`
pub(crate) async fn answer_card(
    State(shared): State<Arc<Shared>>,
    Path(secret): Path<String>,
    Query(back): Query<Back>,
    Form(answer): Form<Answer>,
) -> Response {
    shared.with(|simulator| {
        let world = &mut simulator.world;
        let Some(target) = Target::of(world, &secret) else { return missing() };
        let outcome = target.answer(world, &answer);
        target.page(world, back, &outcome)
    })
}

/// Whose client secret it is.
enum Target {
    Payment(String),
    Setup(String),
}

impl Target {
    fn of(world: &World, secret: &str) -> Option<Self> {
        let (id, _) = secret.split_once("_secret_")?;
        let payment = world.intents.get(id).filter(|intent| intent.client_secret == secret);
        let setup = world.setups.get(id).filter(|setup| setup.client_secret == secret);
        payment
            .map(|intent: &PaymentIntent| Self::Payment(intent.id.clone()))
            .or_else(|| setup.map(|setup: &SetupIntent| Self::Setup(setup.id.clone())))
    }

    fn answer(&self, world: &mut World, answer: &Answer) -> Outcome {
        let outcome = self.act(world, answer);
        // The intent may be that of a Checkout session, whose bank asked on this page.
        if let Self::Payment(id) = self
            && let Some(session) = world.checkout_of(id).map(|session| session.id.clone())
        {
            world.complete_checkout(&session)?;
        }
        outcome
    }

    fn act(&self, world: &mut World, answer: &Answer) -> Outcome {
        let passed = answer.action == Action::Authenticate;
        match answer.action {
            // Leaving the form changes nothing.
            Action::Cancel => Ok(()),
            Action::Authenticate | Action::Refuse => match self {
                Self::Payment(id) => world.answer_challenge(id, passed),
                Self::Setup(id) => world.answer_setup_challenge(id, passed),
            },
            Action::Pay | Action::Decline => {
                let method = Some(world.add_method(answer.card()?));
                match self {
                    Self::Payment(id) => world.confirm_with(id, method, None, false),
                    Self::Setup(id) => world.confirm_setup_with(id, method, None),
                }
            }
        }
    }

    fn page(&self, world: &World, back: Back, outcome: &Outcome) -> Response {
        let (title, status, return_url) = match self {
            Self::Payment(id) => {
                let Some(intent) = world.intents.get(id) else { return missing() };
                let title = format!("Pay {}", intent.wish.currency.words(intent.wish.amount));
                (title, intent.status.word(), intent.return_url.clone())
            }
            Self::Setup(id) => {
                let Some(setup) = world.setups.get(id) else { return missing() };
                ("Save a card".to_owned(), setup.status, setup.return_url.clone())
            }
        };
        let choices = match status {
            "requires_action" => Choice::CHALLENGE,
            "requires_payment_method" | "requires_confirmation" => Choice::PAY,
            _ => {
                return match back.return_url.or(return_url) {
                    Some(url) => Redirect::to(&url).into_response(),
                    None => page(StatusCode::OK, &title, &format!("Done: {status}"), outcome, &[]),
                };
            }
        };
        page(StatusCode::OK, &title, "", outcome, choices)
    }
}

/// `GET /connect/{account}`
pub(crate) async fn onboarding(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    shared.with(|simulator| match simulator.world.accounts.get(&id) {
        Some(_) => page(StatusCode::OK, "Get paid", "Stripe would ask who you are now.", &Ok(()), Choice::ONBOARD),
        None => missing(),
    })
}

/// `POST /connect/{account}`
pub(crate) async fn onboard(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(back): Query<Back>,
) -> Response {
    if shared.with(|simulator| simulator.world.onboard(&id)).is_err() {
        return missing();
    }
    match back.return_url {
        Some(url) => Redirect::to(&url).into_response(),
        None => page(StatusCode::OK, "Get paid", "Done.", &Ok(()), &[]),
    }
}

fn missing() -> Response {
    page(StatusCode::NOT_FOUND, "Nothing here", "Nothing is to be paid at this address.", &Ok(()), &[])
}

fn page(status: StatusCode, title: &str, text: &str, outcome: &Outcome, choices: &[Choice]) -> Response {
    let (status, problem) = match outcome {
        Ok(()) => (status, None),
        // What is refused for its state or parameters is no page to go on from.
        Err(error) => (StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST), Some(error.message())),
    };
    (status, Html(html::form(title, text, problem, choices))).into_response()
}
