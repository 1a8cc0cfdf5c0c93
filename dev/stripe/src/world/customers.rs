//! Customers.

use serde_json::{Value, json};

use super::World;
use super::table::Row;
use crate::api::error::ApiError;
use crate::api::params::{Metadata, Params, merge_metadata};

/// A customer.
#[derive(Debug, Clone)]
pub(crate) struct Customer {
    id: String,
    created: i64,
    details: Details,
    metadata: Metadata,
}

#[derive(Debug, Clone, Default)]
struct Details {
    email: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    description: Option<String>,
}

impl Row for Customer {
    const KIND: &'static str = "customer";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "customer",
            "address": null,
            "balance": 0,
            "created": self.created,
            "currency": null,
            "default_source": null,
            "delinquent": false,
            "description": self.details.description,
            "discount": null,
            "email": self.details.email,
            "invoice_prefix": self.id.get(4..12).unwrap_or_default().to_uppercase(),
            "invoice_settings":
                {"custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null},
            "livemode": false,
            "metadata": self.metadata,
            "name": self.details.name,
            "phone": self.details.phone,
            "preferred_locales": [],
            "shipping": null,
            "tax_exempt": "none",
            "test_clock": null,
        })
    }
}

impl Details {
    fn update(&mut self, params: &mut Params) -> Result<(), ApiError> {
        let fields = [
            ("email", &mut self.email),
            ("name", &mut self.name),
            ("phone", &mut self.phone),
            ("description", &mut self.description),
        ];
        for (key, field) in fields {
            if let Some(text) = params.text(key)? {
                *field = Some(text);
            }
        }
        Ok(())
    }
}

impl World {
    /// `POST /v1/customers`
    pub(crate) fn create_customer(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        let mut details = Details::default();
        details.update(params)?;
        let metadata = params.metadata()?;
        params.finish()?;
        let customer = Customer { id: self.id("cus"), created: self.now, details, metadata };
        let (id, json) = (customer.id.clone(), customer.json());
        self.customers.insert(customer);
        self.emit("customer.created", &id);
        Ok(json)
    }

    /// `DELETE /v1/customers/{id}`: with it go its cards.
    pub(crate) fn delete_customer(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        self.customers.find(id)?;
        params.finish()?;
        self.emit("customer.deleted", id);
        self.customers.remove(id);
        self.detach_methods(id);
        Ok(json!({"id": id, "object": "customer", "deleted": true}))
    }

    /// `POST /v1/customers/{id}`
    pub(crate) fn update_customer(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let customer = self.customers.find_mut(id)?;
        let mut details = customer.details.clone();
        details.update(params)?;
        let metadata = params.metadata()?;
        params.finish()?;
        customer.details = details;
        merge_metadata(&mut customer.metadata, metadata);
        let json = customer.json();
        self.emit("customer.updated", id);
        Ok(json)
    }
}
