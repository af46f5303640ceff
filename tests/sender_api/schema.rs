//! The sender's published OpenAPI document, against which the stand-in's answers and the client's requests are
//! checked.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Value, json};

/// The published document, converted to JSON.
const PUBLISHED: &str = include_str!("../fixtures/scrapebadger-api.json");

pub struct Schema {
    document: Value,
    validators: HashMap<String, Validator>,
}

impl Schema {
    pub fn published() -> Self {
        let mut document: Value = serde_json::from_str(PUBLISHED).unwrap();
        allow_null(&mut document);
        Self { document, validators: HashMap::new() }
    }

    /// Returns the document's path that matches this one.
    pub fn template(&self, path: &str) -> Option<String> {
        let parts: Vec<_> = path.split('/').collect();
        let fits = |template: &&String| {
            let expected: Vec<_> = template.split('/').collect();
            expected.len() == parts.len()
                && expected.iter().zip(&parts).all(|(expected, part)| {
                    expected == part || expected.starts_with('{') && !part.is_empty()
                })
        };
        let paths = self.document["paths"].as_object().unwrap();
        // A literal path has precedence over one with a parameter in the same place.
        paths.keys().filter(fits).min_by_key(|template| template.matches('{').count()).cloned()
    }

    /// Checks a request, and returns what the document does not have.
    pub fn check_request(
        &mut self,
        template: &str,
        method: &str,
        query: &HashMap<String, String>,
        body: Option<&Value>,
    ) -> Result<(), String> {
        let operation = self.document["paths"][template][method].clone();
        if operation.is_null() {
            return Err(format!("{method} {template} is not an operation"));
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for (name, value) in query {
            let Some(parameter) =
                parameters.iter().find(|known| known["name"] == **name && known["in"] == "query")
            else {
                return Err(format!("{method} {template}: {name} is not a parameter"));
            };
            let value = value.parse::<i64>().map_or_else(|_| json!(value), Value::from);
            self.check(&format!("{template} ?{name}"), &parameter["schema"], &value)?;
        }
        match (&operation["requestBody"], body) {
            (Value::Null, None) => Ok(()),
            (Value::Null, Some(_)) => Err(format!("{method} {template} takes no body")),
            (_, None) => Err(format!("{method} {template} needs a body")),
            (expected, Some(body)) => {
                let schema = &expected["content"]["application/json"]["schema"];
                let reference = schema["$ref"].as_str().unwrap().to_owned();
                let name = reference.rsplit('/').next().unwrap();
                let known = self.document["components"]["schemas"][name]["properties"].clone();
                if let Some(unknown) =
                    body.as_object().unwrap().keys().find(|field| known.get(field).is_none())
                {
                    return Err(format!("{method} {template}: {unknown} is not a field"));
                }
                self.check(&format!("{method} {template}"), schema, body)
            }
        }
    }

    /// Checks an answer against the document. Statuses that every API has are not in the document.
    pub fn check_answer(
        &mut self,
        template: &str,
        method: &str,
        status: u16,
        body: &Value,
    ) -> Result<(), String> {
        let answer =
            self.document["paths"][template][method]["responses"][status.to_string()].clone();
        match &answer["content"]["application/json"]["schema"] {
            Value::Null => Ok(()),
            schema => self.check(&format!("{method} {template} {status}"), schema, body),
        }
    }

    fn check(&mut self, place: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let validator = self.validators.entry(place.to_owned()).or_insert_with(|| {
            let mut root = schema.clone();
            root["components"] = self.document["components"].clone();
            jsonschema::draft202012::new(&root).unwrap()
        });
        validator.validate(value).map_err(|error| {
            format!("{place}: {} at {:?}", error, error.instance_path().to_string())
        })
    }
}

/// Replaces `nullable`, which is OpenAPI 3.0, by the type that JSON Schema has for it.
fn allow_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.remove("nullable") == Some(json!(true))
                && let Some(kind) = fields.get_mut("type")
            {
                *kind = json!([kind.clone(), "null"]);
            }
            fields.values_mut().for_each(allow_null);
        }
        Value::Array(items) => items.iter_mut().for_each(allow_null),
        _ => {}
    }
}
