//! The verbs that ask a running server by its admin API. Each prints a text that fits a terminal, or with
//! `--format json` what the API answered.
//!
//! - `events`: invoke, send, result, trace. - `tenants`. - `dead`.
//! - here: the API's client, and limits, status and logs.

mod dead;
mod events;
mod tenants;

use std::{io::Read as _, time::Duration};

use bytes::Bytes;
use flyball_server::admin::types::{Data, ErrorBody, Limits, LogLine, LogPage, Status};
use http::{HeaderValue, Method, Request, Response, header};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    arguments::{Format, Logs, Question, Server},
    http::{HttpError, Peer, quoted},
    stop::{Stop, print, print_json},
    table::{Table, micros, moment, number, plain},
};

/// How long an answer may take; calls may run for 15 minutes.
const ANSWER_MAX: Duration = Duration::from_secs(930);
/// How long the server waits for new log lines before it answers that there are none.
const LOGS_WAIT_MS: u64 = 10_000;
/// The most data that is sent, bytes.
const DATA_BYTES_MAX: u64 = 8 << 20;

/// Asks, and prints what is answered.
///
/// # Errors
/// Where the server can't be reached (exit 2), or says no (exit 1).
pub async fn run(question: Question, format: Format) -> Result<(), Stop> {
    match question {
        Question::Invoke(invoke) => events::invoke(invoke, format).await,
        Question::Send(send) => events::send(send, format).await,
        Question::Trace { event, server } => events::trace(&event, &server, format).await,
        Question::Result { event, tenant, server } => events::result(&event, &tenant, &server, format).await,
        Question::Logs(wanted) => logs(&wanted, format).await,
        Question::Tenants { act } => tenants::run(act, format).await,
        Question::Limits { only, server } => limits(only.as_deref(), &server, format).await,
        Question::Status { server } => status(&server, format).await,
        Question::Dead { act } => dead::run(act, format).await,
    }
}

/// The admin API of one server.
struct Admin {
    peer: Peer,
    url: String,
    token: Option<String>,
}

impl Admin {
    fn new(server: &Server) -> Result<Admin, Stop> {
        let peer = Peer::new(&server.admin).map_err(|error| Stop::wrong(format!("--admin: {error}")))?;
        Ok(Admin { peer, url: server.admin.clone(), token: server.admin_token.clone() })
    }

    async fn get<T: DeserializeOwned + Serialize>(&mut self, path: &str) -> Result<T, Stop> {
        self.read(Method::GET, path, Bytes::new()).await
    }

    async fn post<T: DeserializeOwned + Serialize>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Stop> {
        let body = serde_json::to_vec(body).map_err(|error| Stop::failed(error.to_string()))?;
        self.read(Method::POST, path, body.into()).await
    }

    async fn read<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, Stop> {
        let response = self.ask(method, path, body).await?;
        serde_json::from_slice(response.body()).map_err(|error| {
            let message =
                format!("{}{path} answers what this flyball does not understand: {error}", self.url);
            Stop::failed(format!("{message}\ntake the same version of flyball on both sides"))
        })
    }

    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response<Bytes>, Stop> {
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            request = request.header(
                header::AUTHORIZATION,
                value.map_err(|_| Stop::wrong("the admin token is no visible ASCII"))?,
            );
        }
        let request = request.body(body).map_err(|error| Stop::wrong(format!("{path}: {error}")))?;
        let answered = self.peer.send(request, ANSWER_MAX).await;
        let response = answered.map_err(|error| unanswered(&self.url, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let said = serde_json::from_slice::<ErrorBody>(response.body());
        Err(Stop::failed(match said {
            Ok(ErrorBody { error }) => format!("error[{}]: {}", plain(&error.code), plain(&error.message)),
            Err(_) => format!("{}{path} answers {}", self.url, response.status()),
        }))
    }
}

fn unanswered(url: &str, error: &HttpError) -> Stop {
    let help = match error {
        HttpError::Unreachable(_) => {
            "\nflyball serve starts a server; --admin URL or FLYBALL_ADMIN names another one"
        }
        HttpError::Broken(_) | HttpError::Slow(_) => "",
    };
    Stop::wrong(format!("no answer from {url}: {error}{help}"))
}

/// Prints JSON as it is, or a text.
fn show(format: Format, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Stop> {
    match format {
        Format::Text => print(&text()),
        Format::Json | Format::Sarif => {
            print_json(&serde_json::to_value(value).map_err(|error| Stop::failed(error.to_string()))?)
        }
    }
}

/// What an argument means: its text, `@FILE` or `@-`.
fn argument(text: &str) -> Result<Vec<u8>, Stop> {
    let Some(file) = text.strip_prefix('@') else { return Ok(text.as_bytes().to_vec()) };
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(DATA_BYTES_MAX + 1).read_to_end(&mut bytes),
        _ => std::fs::File::open(file).and_then(|file| file.take(DATA_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Stop::wrong(format!("{text} can't be read: {error}")))?;
    if bytes.len() as u64 > DATA_BYTES_MAX {
        return Err(Stop::wrong(format!("{text} is longer than {DATA_BYTES_MAX} bytes; send less")));
    }
    Ok(bytes)
}

fn data(text: Option<&str>) -> Result<Data, Stop> {
    Ok(Data::of(&text.map(argument).transpose()?.unwrap_or_default()))
}

/// Milliseconds as a moment.
fn at(millis: u64) -> String {
    moment(millis.saturating_mul(1_000))
}

async fn limits(only: Option<&str>, server: &Server, format: Format) -> Result<(), Stop> {
    let mut answer: Limits = Admin::new(server)?.get("/api/v1/limits?tenants=1000").await?;
    answer.limits.retain(|limit| only.is_none_or(|only| limit.name.contains(only)));
    show(format, &answer, || {
        let mut table = Table::new(&["LIMIT", ">MAX", ">NOW", ">PEAK", ">HEADROOM", ">GUARANTEE"]);
        for limit in &answer.limits {
            let figures = [limit.max, limit.now, limit.peak, limit.headroom, limit.guarantee].map(number);
            let [max, now, peak, headroom, guarantee] = figures;
            table.row([limit.name.clone(), max, now, peak, headroom, guarantee]);
        }
        table.render()
    })
}

async fn status(server: &Server, format: Format) -> Result<(), Stop> {
    let answer: Status = Admin::new(server)?.get("/api/v1/status").await?;
    show(format, &answer, || {
        let state = if answer.ready { "ready" } else { "not ready" };
        let mut text =
            format!("{}: {state}, {} tenants\n\n", plain(&answer.application), number(answer.tenants));
        let mut table = Table::new(&["COUNT", ">"]);
        for (name, count) in &answer.counts {
            table.row([name.clone(), number(*count)]);
        }
        text.push_str(&table.render());
        text.push('\n');
        let heading = ["FUNCTION", ">RUNS", ">DONE", ">DWELL P50", ">P99", ">RUN P50", ">P99", ">MEMORY"];
        let mut table = Table::new(&heading);
        for (name, f) in &answer.functions {
            let [dwell_p50, dwell_p99] = [f.dwell_p50_us, f.dwell_p99_us].map(micros);
            let [run_p50, run_p99] = [f.run_p50_us, f.run_p99_us].map(micros);
            let memory = format!("{} KiB", number(f.memory_bytes_peak >> 10));
            let [runs, done] = [f.invocations, f.done].map(number);
            table.row([name.clone(), runs, done, dwell_p50, dwell_p99, run_p50, run_p99, memory]);
        }
        text + &table.render()
    })
}

async fn logs(wanted: &Logs, format: Format) -> Result<(), Stop> {
    let mut admin = Admin::new(&wanted.server)?;
    let function = wanted.function.as_ref().map(|f| format!("&function={}", quoted(f))).unwrap_or_default();
    let query = format!("/api/v1/logs?tenant={}{function}&limit={}", quoted(&wanted.tenant), wanted.lines);
    let mut page: LogPage = admin.get(&query).await?;
    loop {
        for line in &page.lines {
            show(format, line, || log_line(line))?;
        }
        if !wanted.follow {
            return Ok(());
        }
        page = admin.get(&format!("{query}&after={}&wait_ms={LOGS_WAIT_MS}", page.next)).await?;
    }
}

fn log_line(line: &LogLine) -> String {
    let LogLine { at_ms, function, level, message, event, .. } = line;
    let (function, message) = (plain(function), plain(message));
    format!("{} {level:<5} {function} {} {message}\n", at(*at_ms), event.0)
}
