//! Lifts the limits of actix's extractors for a body that the layer has accepted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use actix_web::dev::{Extensions, ServiceRequest};
use actix_web::web::{Data, FormConfig, JsonConfig, PayloadConfig};

/// The lowest of the extractors' default limits.
const LEAST_LIMIT: usize = 16 * 1024;

/// Lifts the limits: the layer has already limited the body, and no extractor may refuse a body that it accepted. The
/// application's other settings stay.
pub(super) fn lift(request: &mut ServiceRequest, length: usize) {
    let (bytes, json, form) = (
        configured::<PayloadConfig>(request),
        configured::<JsonConfig>(request),
        configured::<FormConfig>(request),
    );
    let is_long = length > LEAST_LIMIT;
    if !is_long && bytes.is_none() && json.is_none() && form.is_none() {
        return;
    }
    // Only the limits that could refuse this body, because each one is an allocation.
    let mut lifted = Extensions::new();
    if is_long || bytes.is_some() {
        lifted.insert(bytes.unwrap_or_default().limit(usize::MAX));
    }
    if is_long || json.is_some() {
        lifted.insert(json.unwrap_or_default().limit(usize::MAX));
    }
    if is_long || form.is_some() {
        lifted.insert(form.unwrap_or_default().limit(usize::MAX));
    }
    // actix panics here if an outer middleware has kept a clone of the request. The limits then stay.
    let add = AssertUnwindSafe(|| request.add_data_container(Rc::new(lifted)));
    _ = catch_unwind(add);
}

fn configured<T: Clone + 'static>(request: &ServiceRequest) -> Option<T> {
    let wrapped = || request.app_data().map(|config: &Data<T>| T::clone(config));
    request.app_data().cloned().or_else(wrapped)
}
