//! The api from outside: HTTP and sockets against a real Postgres, a fresh database each.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod account;
mod announcements;
mod attendance;
mod auth;
mod availability;
mod bodies;
mod booking;
mod booking_herd;
mod booking_races;
mod booking_time;
mod browsers;
mod connect;
mod conversations;
mod conversions;
mod edge;
mod idempotency;
mod invite_races;
mod invites;
mod limits;
mod magic_link;
mod messages;
mod metrics;
mod notification_mail;
mod notifications;
mod odd_input;
mod openapi;
mod payments;
mod prices;
mod raw;
mod reachability;
mod redis;
mod refresh;
mod requests;
mod sam;
mod scene;
mod search;
mod server;
mod sessions;
mod sockets;
mod staff;
mod story;
mod support;
mod users;
mod web;
