//! Everything Stripe would know: its objects and how they change. No HTTP, no real time.
//!
//! [`World`] is a deterministic state machine: the same calls with the same seed give the same objects.

pub(crate) mod balance;
pub(crate) mod cards;
pub(crate) mod charges;
pub(crate) mod checkout;
pub(crate) mod connect;
pub(crate) mod customers;
pub(crate) mod disputes;
pub(crate) mod events;
pub(crate) mod expand;
pub(crate) mod intents;
pub(crate) mod methods;
pub(crate) mod money;
pub(crate) mod payment;
pub(crate) mod refunds;
pub(crate) mod setups;
pub(crate) mod table;
pub(crate) mod totals;
pub(crate) mod transfers;
pub(crate) mod wish;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use self::table::Table;

/// The version that objects are shown in, unless a request names another.
pub(crate) const API_VERSION: &str = "2026-09-30.endive";

/// All objects.
#[derive(Debug)]
pub(crate) struct World {
    /// Unix time of the simulator, set before every call.
    pub(crate) now: i64,
    /// Where people reach the simulator's pages; no slash at the end.
    pub(crate) base_url: String,
    /// Which request the changes come from.
    pub(crate) cause: Cause,
    pub(crate) accounts: Table<connect::Account>,
    pub(crate) balance: Table<balance::BalanceTransaction>,
    pub(crate) charges: Table<charges::Charge>,
    pub(crate) checkouts: Table<checkout::CheckoutSession>,
    pub(crate) customers: Table<customers::Customer>,
    pub(crate) disputes: Table<disputes::Dispute>,
    pub(crate) events: Table<events::Event>,
    pub(crate) intents: Table<intents::PaymentIntent>,
    pub(crate) methods: Table<methods::PaymentMethod>,
    pub(crate) refunds: Table<refunds::Refund>,
    pub(crate) setups: Table<setups::SetupIntent>,
    pub(crate) transfers: Table<transfers::Transfer>,
    random: StdRng,
}

/// The request that changes something; events name it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

impl World {
    /// An empty one.
    pub(crate) fn new(seed: u64, base_url: String) -> Self {
        Self {
            now: 0,
            base_url,
            cause: Cause::default(),
            accounts: Table::default(),
            balance: Table::default(),
            charges: Table::default(),
            checkouts: Table::default(),
            customers: Table::default(),
            disputes: Table::default(),
            events: Table::default(),
            intents: Table::default(),
            methods: Table::default(),
            refunds: Table::default(),
            setups: Table::default(),
            transfers: Table::default(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// A new id: `pi_` and 24 letters and digits.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}_{}", self.letters(24))
    }

    /// Random letters and digits.
    pub(crate) fn letters(&mut self, count: usize) -> String {
        const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut letter = || char::from(ALPHABET[self.random.random_range(..ALPHABET.len())]);
        (0..count).map(|_| letter()).collect()
    }

    /// Moves the clock and does what has become due: holds and Checkout sessions expire, refunds settle.
    pub(crate) fn tick(&mut self, now: i64) {
        self.cause = Cause::default();
        if now == self.now {
            return;
        }
        self.now = now;
        self.expire_holds();
        self.expire_checkouts();
        self.settle_refunds();
    }

    /// The object with this id, of whatever kind, as JSON.
    pub(crate) fn json(&self, id: &str) -> Option<Value> {
        fn of<T: table::Row>(table: &Table<T>, id: &str) -> Option<Value> {
            table.get(id).map(table::Row::json)
        }
        match id.split_once('_')?.0 {
            "acct" => of(&self.accounts, id),
            "ch" => of(&self.charges, id),
            "cs" => of(&self.checkouts, id),
            "cus" => of(&self.customers, id),
            "du" => of(&self.disputes, id),
            "evt" => of(&self.events, id),
            "pi" => of(&self.intents, id),
            "pm" => of(&self.methods, id),
            "re" => of(&self.refunds, id),
            "seti" => of(&self.setups, id),
            "tr" => of(&self.transfers, id),
            "trr" => self
                .transfers
                .iter()
                .flat_map(|transfer| &transfer.reversals)
                .find(|row| row.id == id)
                .map(transfers::Reversal::json),
            "txn" => of(&self.balance, id),
            _ => None,
        }
    }
}
