//! Which address means which operation.

use serde_json::Value;

use super::error::ApiError;
use super::params::Params;
use crate::world::World;
use crate::world::table::{Row, Table};

/// Does what `method` and `path` ask for.
pub(crate) fn route(world: &mut World, method: &str, path: &str, params: &mut Params) -> Result<Value, ApiError> {
    let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    match method {
        "GET" => read(world, &segments, params),
        "POST" => write(world, &segments, params),
        "DELETE" => remove(world, &segments, params),
        _ => None,
    }
    .unwrap_or_else(|| Err(ApiError::no_route(method, path)))
}

/// The answer to a `GET`; `None` where there is nothing.
fn read(world: &World, segments: &[&str], params: &mut Params) -> Option<Result<Value, ApiError>> {
    Some(match segments {
        ["accounts", id] => one(&world.accounts, id, params),
        ["accounts"] => world.accounts.page("/v1/accounts", params, |_| true),
        ["balance_transactions", id] => one(&world.balance, id, params),
        ["balance_transactions"] => world.balance.page("/v1/balance_transactions", params, |_| true),
        ["charges", id] => one(&world.charges, id, params),
        ["charges"] => world.list_charges(params),
        ["checkout", "sessions", id] => one(&world.checkouts, id, params),
        ["checkout", "sessions", id, "line_items"] => world.list_checkout_items(id, params),
        ["checkout", "sessions"] => world.list_checkouts(params),
        ["customers", id] => one(&world.customers, id, params),
        ["customers"] => world.customers.page("/v1/customers", params, |_| true),
        ["disputes", id] => one(&world.disputes, id, params),
        ["disputes"] => world.list_disputes(params),
        ["events", id] => one(&world.events, id, params),
        ["events"] => world.list_events(params),
        ["payment_intents", "search"] => world.search_intents(params),
        ["payment_intents", id] => one(&world.intents, id, params),
        ["payment_intents"] => world.list_intents(params),
        ["payment_methods", id] => one(&world.methods, id, params),
        ["payment_methods"] => world.list_methods(params),
        ["refunds", id] => one(&world.refunds, id, params),
        ["refunds"] => world.list_refunds(params),
        ["setup_intents", id] => one(&world.setups, id, params),
        ["setup_intents"] => world.setups.page("/v1/setup_intents", params, |_| true),
        ["transfers", id] => one(&world.transfers, id, params),
        ["transfers", id, "reversals"] => world.list_reversals(id, params),
        ["transfers"] => world.list_transfers(params),
        _ => return None,
    })
}

/// The answer to a `POST`; `None` where there is nothing.
fn write(world: &mut World, segments: &[&str], params: &mut Params) -> Option<Result<Value, ApiError>> {
    Some(match segments {
        ["account_links"] => world.create_account_link(params),
        ["accounts"] => world.create_account(params),
        ["accounts", id] => world.update_account(id, params),
        ["checkout", "sessions"] => world.create_checkout(params),
        ["checkout", "sessions", id, "expire"] => world.expire_checkout(id, params),
        ["customers"] => world.create_customer(params),
        ["customers", id] => world.update_customer(id, params),
        ["disputes", id] => world.update_dispute(id, params),
        ["disputes", id, "close"] => world.close_dispute(id, params),
        ["payment_intents"] => world.create_intent(params),
        ["payment_intents", id] => world.update_intent(id, params),
        ["payment_intents", id, "cancel"] => world.cancel_intent(id, params),
        ["payment_intents", id, "capture"] => world.capture_intent(id, params),
        ["payment_intents", id, "confirm"] => world.confirm_intent(id, params),
        ["payment_methods"] => world.create_method(params),
        ["payment_methods", id, "attach"] => world.attach_method(id, params),
        ["refunds"] => world.create_refund(params),
        ["refunds", id] => world.update_refund(id, params),
        ["setup_intents"] => world.create_setup(params),
        ["setup_intents", id, "cancel"] => world.cancel_setup(id, params),
        ["setup_intents", id, "confirm"] => world.confirm_setup(id, params),
        ["transfers"] => world.create_transfer(params),
        ["transfers", id, "reversals"] => world.create_reversal(id, params),
        _ => return None,
    })
}

/// The answer to a `DELETE`; `None` where there is nothing.
fn remove(world: &mut World, segments: &[&str], params: &mut Params) -> Option<Result<Value, ApiError>> {
    match segments {
        ["customers", id] => Some(world.delete_customer(id, params)),
        _ => None,
    }
}

/// One object by its id.
fn one<T: Row>(table: &Table<T>, id: &str, params: &mut Params) -> Result<Value, ApiError> {
    let row = table.find(id)?;
    params.ignore(&["client_secret"]);
    params.finish()?;
    Ok(row.json())
}
