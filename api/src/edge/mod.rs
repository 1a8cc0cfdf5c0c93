//! The edge: what every request passes before and after its handler.
//!
//! Extractors say who asks and what is asked, and refuse the rest; [`error::ApiError`] alone knows
//! status codes; layers give ids, log lines and a floor under panics.

pub(crate) mod admission;
pub(crate) mod body;
pub(crate) mod browsers;
pub(crate) mod caller;
mod client_ip;
pub(crate) mod command;
pub(crate) mod error;
pub(crate) mod layers;
mod limits;
pub(crate) mod params;
pub(crate) mod staff;
