//! The api from outside: HTTP and sockets against a real Postgres, a fresh database each.

mod support;
