//! The OpenAPI document, made of the endpoints and the types: it can't say anything else than the code.

use std::any::TypeId;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{AdminCode, ENDPOINTS, types::ErrorBody};

/// The schemas of one endpoint's query, request and response.
#[derive(Default)]
pub(super) struct Schemas {
    generator: SchemaGenerator,
    query: Vec<Value>,
    request: Option<Value>,
    response: Option<Value>,
}

impl Schemas {
    pub(super) fn of<Query, Request, Response>(&mut self)
    where
        Query: JsonSchema + 'static,
        Request: JsonSchema + 'static,
        Response: JsonSchema + 'static,
    {
        self.query = self.parameters_of::<Query>();
        self.request = self.one::<Request>();
        self.response = self.one::<Response>();
    }

    fn one<T: JsonSchema + 'static>(&mut self) -> Option<Value> {
        if TypeId::of::<T>() == TypeId::of::<()>() {
            return None;
        }
        Some(self.generator.subschema_for::<T>().to_value())
    }

    /// The parameters that a query is read to: the type's fields.
    fn parameters_of<T: JsonSchema + 'static>(&mut self) -> Vec<Value> {
        let schema = T::json_schema(&mut self.generator).to_value();
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        fields
            .map(|(name, field)| {
                let mut field = field.as_object().cloned().unwrap_or_default();
                let description = field.remove("description");
                // What may be left out is not sent as null.
                if let Some(Value::Array(kinds)) = field.get("type") {
                    let kind = kinds.first().cloned().unwrap_or_default();
                    field.insert("type".into(), kind);
                }
                json!({
                    "name": name,
                    "in": "query",
                    "required": required.contains(&json!(name)),
                    "description": description,
                    "schema": field,
                })
            })
            .collect()
    }
}

/// The document, version 3.1.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = Schemas { generator: settings.into_generator(), ..Schemas::default() };
    let error = schemas.one::<ErrorBody>();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in ENDPOINTS {
        (endpoint.schemas)(&mut schemas);
        let mut operation = json!({
            "summary": endpoint.summary,
            "responses": {
                "2XX": answer("Done", schemas.response.take()),
                "default": answer("An error", error.clone()),
            },
        });
        if let Some(object) = operation.as_object_mut() {
            let mut parameters = parameters(endpoint.path);
            parameters.append(&mut schemas.query);
            if !parameters.is_empty() {
                object.insert("parameters".into(), parameters.into());
            }
            if let Some(schema) = schemas.request.take() {
                let body =
                    json!({ "required": true, "content": { "application/json": { "schema": schema } } });
                object.insert("requestBody".into(), body);
            }
        }
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(endpoint.method.into(), operation);
        }
    }
    let codes: Vec<&str> = AdminCode::ALL.iter().map(|code| code.code()).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Flyball admin API",
            "version": "1",
            "description": format!(
                "Errors have a stable code: those of the platform (FE1…), of functions (FE2…) and the API's own \
                 ({}). Beyond loopback every request but /healthz and /readyz needs the token.",
                codes.join(", ")
            ),
        },
        "paths": paths,
        "components": {
            "schemas": schemas.generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

fn answer(description: &str, schema: Option<Value>) -> Value {
    match schema {
        Some(schema) => json!({
            "description": description,
            "content": { "application/json": { "schema": schema } },
        }),
        None => json!({ "description": description }),
    }
}

fn parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect()
}
