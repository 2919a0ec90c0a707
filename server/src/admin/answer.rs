//! Errors of the admin API, and what core's words are in its JSON.

use axum::{
    Json,
    extract::rejection::{JsonRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use flyball_core::{EventId, Failure, Name, Refusal};

use super::types::{ErrorBody, ErrorDetail};
use crate::{
    platform::{LookUpError, Platform},
    tenants::{Identity, TenantError},
};

/// What the admin API refuses by itself; `docs/errors/` has a page for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminCode {
    /// There is no such endpoint or thing.
    NotFound,
    /// The endpoint has other methods.
    Method,
    /// The token is missing or wrong.
    Token,
    /// The request comes from another site.
    Foreign,
    /// The request is not what the endpoint takes.
    Invalid,
    /// There is one already.
    Exists,
    /// A limit is reached.
    TooMany,
    /// The store fails, or a record can't be read.
    Store,
    /// The store has no room.
    Full,
}

impl AdminCode {
    /// All of them.
    pub const ALL: [AdminCode; 9] = [
        AdminCode::NotFound,
        AdminCode::Method,
        AdminCode::Token,
        AdminCode::Foreign,
        AdminCode::Invalid,
        AdminCode::Exists,
        AdminCode::TooMany,
        AdminCode::Store,
        AdminCode::Full,
    ];

    /// The stable code.
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    const fn row(self) -> (&'static str, StatusCode) {
        match self {
            AdminCode::NotFound => ("FE5001", StatusCode::NOT_FOUND),
            AdminCode::Method => ("FE5002", StatusCode::METHOD_NOT_ALLOWED),
            AdminCode::Token => ("FE5003", StatusCode::UNAUTHORIZED),
            AdminCode::Foreign => ("FE5004", StatusCode::FORBIDDEN),
            AdminCode::Invalid => ("FE5005", StatusCode::BAD_REQUEST),
            AdminCode::Exists => ("FE5006", StatusCode::CONFLICT),
            AdminCode::TooMany => ("FE5007", StatusCode::CONFLICT),
            AdminCode::Store => ("FE5008", StatusCode::SERVICE_UNAVAILABLE),
            AdminCode::Full => ("FE5009", StatusCode::INSUFFICIENT_STORAGE),
        }
    }
}

/// An error on its way out.
#[derive(Debug)]
pub struct AdminError {
    status: StatusCode,
    retry_after_s: Option<u64>,
    detail: ErrorDetail,
}

impl AdminError {
    pub(super) fn own(code: AdminCode, message: impl Into<String>) -> AdminError {
        let detail = ErrorDetail { code: code.code().into(), message: message.into() };
        AdminError { status: code.status(), retry_after_s: None, detail }
    }

    pub(super) fn invalid(message: impl Into<String>) -> AdminError {
        AdminError::own(AdminCode::Invalid, message)
    }

    /// A thread that was to do it broke off.
    pub(super) fn broken(error: &tokio::task::JoinError) -> AdminError {
        AdminError::own(AdminCode::Store, format!("it broke off: {error}"))
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.detail })).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Refusal> for AdminError {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        AdminError {
            status,
            retry_after_s: refusal.retry_after().map(|after| after.as_secs_ceil()),
            detail: refused(&refusal),
        }
    }
}

impl From<Failure> for AdminError {
    fn from(failure: Failure) -> Self {
        AdminError { status: StatusCode::BAD_GATEWAY, retry_after_s: None, detail: failed(&failure) }
    }
}

impl From<TenantError> for AdminError {
    fn from(error: TenantError) -> Self {
        let code = match &error {
            TenantError::Unknown(_) | TenantError::NoKey(..) => AdminCode::NotFound,
            TenantError::Exists(_) => AdminCode::Exists,
            TenantError::TooMany { .. } => AdminCode::TooMany,
            TenantError::Invalid(_) => AdminCode::Invalid,
            TenantError::Store(flyball_store::StoreError::Full { .. }) => AdminCode::Full,
            TenantError::Store(_) => AdminCode::Store,
        };
        AdminError::own(code, error.to_string())
    }
}

impl From<LookUpError> for AdminError {
    fn from(error: LookUpError) -> Self {
        AdminError::own(AdminCode::Store, error.to_string())
    }
}

impl From<JsonRejection> for AdminError {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        let mut error = AdminError::invalid(rejection.body_text());
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            error.status = status;
        }
        error
    }
}

impl From<QueryRejection> for AdminError {
    fn from(rejection: QueryRejection) -> Self {
        AdminError::invalid(rejection.body_text())
    }
}

/// A refusal as JSON.
pub(super) fn refused(refusal: &Refusal) -> ErrorDetail {
    ErrorDetail { code: refusal.code().into(), message: refusal.to_string() }
}

/// A failure as JSON.
pub(super) fn failed(failure: &Failure) -> ErrorDetail {
    ErrorDetail { code: failure.kind.code().into(), message: failure.message.clone() }
}

/// A name out of a request.
pub(super) fn name(text: &str) -> Result<Name, AdminError> {
    Name::new(text).map_err(|error| AdminError::invalid(format!("{text:?}: {error}")))
}

/// An id out of a request.
pub(super) fn event_id(text: &str) -> Result<EventId, AdminError> {
    EventId::parse(text)
        .ok_or_else(|| AdminError::invalid(format!("{text:?} is no event id; one has 32 hexadecimal digits")))
}

/// The tenant of this name.
pub(super) fn tenant(platform: &Platform, name: &str) -> Result<Identity, AdminError> {
    platform
        .tenant_by_name(name)
        .ok_or_else(|| AdminError::own(AdminCode::NotFound, format!("there is no tenant {name:?}")))
}
