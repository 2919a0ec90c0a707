//! Who may use the admin API.

use std::{
    fs, io,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{AdminCode, AdminError};

/// The token's file in the data directory.
const TOKEN_FILE: &str = "admin.token";

/// Who may use the admin API.
#[derive(Clone)]
pub enum Auth {
    /// Whoever is on this machine; not a page of another site in a browser on it.
    Loopback,
    /// Whoever shows the token: its hash.
    Token([u8; 32]),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Auth::Loopback => "Loopback",
            Auth::Token(_) => "Token",
        })
    }
}

/// Why the token can't be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Its file can't be read or written.
    #[error("the admin token's file {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// There is no randomness.
    #[error("no randomness can be had: {0}")]
    Random(getrandom::Error),
    /// A token is too easy to guess.
    #[error("the admin token has {0} characters; take 16 or more")]
    Short(usize),
}

impl Auth {
    /// With this token.
    ///
    /// # Errors
    /// Where it is shorter than 16 characters.
    pub fn token(token: &str) -> Result<Auth, AuthError> {
        let length = token.trim().chars().count();
        if length < 16 {
            return Err(AuthError::Short(length));
        }
        Ok(Auth::Token(*blake3::hash(token.trim().as_bytes()).as_bytes()))
    }

    /// For an API that listens here: with the given token; else on loopback without one; else with the
    /// token of the data directory, which is made at the first start.
    ///
    /// # Errors
    /// Where a token is needed and can't be had.
    pub fn open(given: Option<&str>, listens: SocketAddr, data: &Path) -> Result<Auth, AuthError> {
        if let Some(token) = given {
            return Auth::token(token);
        }
        if listens.ip().is_loopback() {
            return Ok(Auth::Loopback);
        }
        let path = data.join(TOKEN_FILE);
        let fail = |error| AuthError::File { path: path.clone(), error };
        match fs::read_to_string(&path) {
            Ok(token) => Auth::token(&token),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut random = [0_u8; 32];
                getrandom::fill(&mut random).map_err(AuthError::Random)?;
                let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
                fs::create_dir_all(data).map_err(fail)?;
                // Whole or not at all: a token cut short by a crash would lock everybody out.
                let draft = data.join("admin.token.new");
                let file =
                    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
                file.and_then(|mut file| writeln!(file, "{token}").and_then(|()| file.sync_all()))
                    .and_then(|()| fs::rename(&draft, &path))
                    .map_err(fail)?;
                tracing::info!(path = %path.display(), "the admin API needs the token in this file");
                Auth::token(&token)
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn allows(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), AdminError> {
        match self {
            Auth::Token(hash) => {
                let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
                let token = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
                // Hashes are compared, in constant time.
                if blake3::hash(token.trim().as_bytes()) == blake3::Hash::from_bytes(*hash) {
                    return Ok(());
                }
                let message = "the admin API needs its token: `Authorization: Bearer …`; it is in admin.token in \
                               the data directory, or in FLYBALL_ADMIN_TOKEN of the server";
                Err(AdminError::own(AdminCode::Token, message))
            }
            Auth::Loopback => {
                let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
                let host = host.or_else(|| uri.authority().map(|authority| authority.as_str())).unwrap_or("");
                let origin = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("?"));
                let own = |origin: &str| origin.strip_prefix("http://") == Some(host);
                if is_loopback(host) && origin.is_none_or(own) {
                    return Ok(());
                }
                let message = format!(
                    "without a token only this machine is answered, under a loopback name; the request names \
                     {host:?}{}",
                    origin.map(|origin| format!(" and comes from {origin:?}")).unwrap_or_default()
                );
                Err(AdminError::own(AdminCode::Foreign, message))
            }
        }
    }
}

/// Whether `host` or `host:port` is this machine, whatever a name server says.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Lets a request through, or not. Health is for whoever balances load, so it needs no token.
pub(super) async fn guard(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/healthz" | "/readyz");
    match auth.allows(request.headers(), request.uri()) {
        Err(error) if !open => error.into_response(),
        _ => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_this_machine() {
        for yes in ["localhost", "LOCALHOST:9440", "127.0.0.1", "127.9.9.9:1", "[::1]:9440", "[::1]"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in
            ["", "example.com", "127.0.0.1.example.com", "localhost.example.com:80", "10.0.0.1", "[::2]"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
