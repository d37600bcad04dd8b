//! A body that is no text, as a script has it: one value whatever its size, where an array of its octets would be bounded as
//! an array is.

use std::sync::Arc;

use rhai::{Blob, Dynamic, Engine, INT};

use super::Checked;

/// Octets that nobody changes.
#[derive(Clone)]
pub(super) struct Octets(Arc<[u8]>);

impl Octets {
    /// A body for a script.
    pub(super) fn value(octets: Vec<u8>) -> Dynamic {
        Dynamic::from(Octets(octets.into()))
    }

    /// Text if it is UTF-8, else octets.
    pub(super) fn or_text(octets: Vec<u8>) -> Dynamic {
        match String::from_utf8(octets) {
            Ok(text) => text.into(),
            Err(error) => Octets::value(error.into_bytes()),
        }
    }

    /// What a script gives for a body: text, octets, or an array of its own.
    pub(super) fn of(body: &Dynamic) -> Checked<Vec<u8>> {
        if let Ok(text) = body.as_immutable_string_ref() {
            return Ok(text.as_bytes().to_vec());
        }
        if let Some(octets) = body.clone().try_cast::<Octets>() {
            return Ok(octets.0.to_vec());
        }
        let array = body.clone().try_cast::<Blob>();
        array.ok_or_else(|| format!("a body is text or octets, not a {}", body.type_name()).into())
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Octets>("octets")
        .register_get("len", |octets: &mut Octets| {
            INT::try_from(octets.0.len()).unwrap_or(INT::MAX)
        })
        .register_fn("toString", |octets: &mut Octets| {
            String::from_utf8_lossy(&octets.0).into_owned()
        })
        .register_fn("toString", |array: &mut Blob| {
            String::from_utf8_lossy(array).into_owned()
        });
}
