//! The accounts.

use crate::{Answer, IDEMPOTENCY_KEY, text};
use hyper::{Method, Request, StatusCode};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The usage of all customers. Shared by all connections; represents a table on disk.
#[derive(Debug, Default)]
pub struct Accounts {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    totals: BTreeMap<String, u64>,
    /// The answer to each request with an idempotency key, by key.
    answered: BTreeMap<String, u64>,
}

impl Accounts {
    /// Answers one request.
    pub fn answer<B>(&self, request: &Request<B>) -> Answer {
        let mut parts = request.uri().path().trim_matches('/').split('/');
        let customer = parts.next().unwrap_or_default().to_owned();
        let amount = parts.next().map(str::parse);
        let key = request.headers().get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
        match (request.method(), amount) {
            (&Method::GET, None) => text(StatusCode::OK, self.total(&customer).to_string()),
            (&Method::POST, Some(Ok(amount))) => text(StatusCode::OK, self.add(&customer, amount, key).to_string()),
            _ => text(StatusCode::BAD_REQUEST, "POST /CUSTOMER/AMOUNT or GET /CUSTOMER\n"),
        }
    }

    fn total(&self, customer: &str) -> u64 {
        let table = self.table.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        table.totals.get(customer).copied().unwrap_or(0)
    }

    fn add(&self, customer: &str, amount: u64, key: Option<&str>) -> u64 {
        let mut table = self.table.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(answered) = key.and_then(|key| table.answered.get(key)) {
            return *answered;
        }
        let total = table.totals.entry(customer.to_owned()).or_default();
        *total += amount;
        let total = *total;
        if let Some(key) = key {
            table.answered.insert(key.to_owned(), total);
        }
        total
    }
}
