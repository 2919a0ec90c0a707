//! The admin API over a real socket, and its document.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests: a failure here is the test's failure"
)]

#[expect(dead_code, reason = "shared with the other tests")]
mod site;

use std::{sync::Arc, time::Duration};

use flyball_server::{
    admin::{self, AdminLimits, Auth},
    platform::Platform,
};
use serde_json::{Value, json};
use site::{Answer, platform, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

struct Api {
    platform: Arc<Platform>,
    address: std::net::SocketAddr,
    token: Option<&'static str>,
}

impl Api {
    async fn open(token: Option<&'static str>) -> Api {
        Api::with(token, AdminLimits::default()).await
    }

    async fn with(token: Option<&'static str>, limits: AdminLimits) -> Api {
        let platform = platform(None).await;
        let auth = token.map_or(Auth::Loopback, |token| Auth::token(token).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = admin::router(platform.clone(), auth);
        tokio::spawn(admin::serve(listener, router, limits, std::future::pending()));
        Api { platform, address, token }
    }

    async fn raw(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        Answer::of(&answer)
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let token = self.token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let headers = format!("host: {}\r\ncontent-type: application/json\r\n{token}", self.address);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.raw(method, path, &headers, &body).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

#[test]
fn the_document_is_the_codes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/admin-api.json");
    let now = format!("{}\n", serde_json::to_string_pretty(&admin::document()).unwrap());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == now,
        "docs/admin-api.json is not what the code says; \
         `UPDATE_EXPECT=1 cargo test -p flyball-server --test admin` writes it anew"
    );
}

#[test]
fn the_document_names_every_parameter_of_a_query() {
    let document = admin::document();
    let table = [
        ("/api/v1/limits", "tenants", false),
        ("/api/v1/tenants", "after limit", false),
        ("/api/v1/logs", "tenant", true),
        ("/api/v1/logs", "after function limit wait_ms", false),
        ("/api/v1/dead", "after limit queue tenant", false),
    ];
    for (path, names, required) in table {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let found: Vec<&str> = parameters
            .iter()
            .filter(|p| p["in"] == json!("query") && p["required"] == json!(required))
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(found.join(" "), names, "{path}");
        assert!(parameters.iter().all(|p| p["description"].is_string() && p["schema"]["type"].is_string()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_answers_is_shown_whole() {
    let api = Api::open(None).await;
    let spoof = json!({ "x-flyball-tenant": "other" });
    let call = json!({ "tenant": "acme", "method": "GET", "path": "/x", "headers": spoof });
    let (_, called) = api.ask("POST", "/api/v1/functions/web/invoke", &call).await;
    assert_eq!(called["headers"]["content-type"], json!(["text/plain; charset=utf-8"]), "{called}");
    let echoed = called["body"]["text"].as_str().unwrap();
    assert_eq!(echoed.matches("x-flyball-tenant: ").count(), 1, "{echoed}");
    assert!(echoed.contains("x-flyball-tenant: acme\n"), "{echoed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_can_hold_no_connection_for_long() {
    let limits = AdminLimits {
        connections_max: 3,
        header_timeout: Duration::from_millis(200),
        write_timeout: Duration::from_millis(200),
        ..AdminLimits::default()
    };
    let api = Api::with(Some("a token that is long"), limits).await;
    // One says nothing, one stops within its head, one asks without end and does not read.
    let mut held = Vec::new();
    let refused = "GET /api/v1/status HTTP/1.1\r\nhost: h\r\n\r\n".repeat(20_000);
    for start in ["", "GET /healthz HTTP/1.1\r\nhost:", &refused] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let (read, mut write) = socket.connect(api.address).await.unwrap().into_split();
        let start = start.to_string();
        held.push((
            read,
            tokio::spawn(async move { write.write_all(start.as_bytes()).await.map(|()| write) }),
        ));
    }
    // All places are taken: this one is accepted when one of them is closed.
    let served = tokio::time::timeout(Duration::from_secs(20), api.raw("GET", "/healthz", "host: h\r\n", ""));
    assert_eq!(served.await.expect("a place comes free").status, 200);
    // And all of them are: three at once are served.
    let one = || async {
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut answer));
        read.await.expect("each place comes free").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        stream
    };
    drop(tokio::join!(one(), one(), one()));
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_is_not_answered_and_a_token_is_wanted_where_there_is_one() {
    let open = Api::open(None).await;
    let table = [
        ("host: localhost\r\n", 200),
        ("host: rebound.example.com\r\n", 403),
        ("host: localhost\r\norigin: http://evil.example\r\n", 403),
        ("host: localhost\r\norigin: http://localhost\r\n", 200),
    ];
    for (headers, status) in table {
        assert_eq!(open.raw("GET", "/api/v1/status", headers, "").await.status, status, "{headers}");
    }
    let closed = Api::open(Some("a token that is long")).await;
    let table = [
        ("", 401),
        ("authorization: Bearer wrong\r\n", 401),
        ("authorization: Bearer a token that is long\r\n", 200),
    ];
    for (headers, status) in table {
        let headers = format!("host: anything.example\r\n{headers}");
        assert_eq!(closed.raw("GET", "/api/v1/status", &headers, "").await.status, status, "{headers}");
    }
    assert_eq!(closed.raw("GET", "/healthz", "host: anything\r\n", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_created_keyed_rotated_and_given_secrets() {
    let api = Api::open(Some("a token that is long")).await;
    let (status, created) = api.ask("POST", "/api/v1/tenants", &json!({ "name": "new" })).await;
    assert_eq!((status, created["tenant"]["name"].as_str()), (201, Some("new")));
    let first = created["key"].as_str().unwrap().to_string();
    assert_eq!(api.platform.tenant_by_key(&first).unwrap().name.as_str(), "new");
    let (status, again) = api.ask("POST", "/api/v1/tenants", &json!({ "name": "new" })).await;
    assert_eq!((status, again["error"]["code"].as_str()), (409, Some("FE5006")));
    let (status, bad) = api.ask("POST", "/api/v1/tenants", &json!({ "name": "no spaces" })).await;
    assert_eq!((status, bad["error"]["code"].as_str()), (400, Some("FE5005")));
    let (status, rotated) = api.ask("POST", "/api/v1/tenants/new/keys", &json!({ "rotate_ms": 0 })).await;
    assert_eq!(status, 201);
    assert!(api.platform.tenant_by_key(&first).is_none(), "the old key has expired");
    assert!(api.platform.tenant_by_key(rotated["key"].as_str().unwrap()).is_some());
    let id = rotated["id"].as_str().unwrap();
    let (status, _) = api.ask("DELETE", &format!("/api/v1/tenants/new/keys/{id}"), &Value::Null).await;
    assert_eq!(status, 200);
    assert!(api.platform.tenant_by_key(rotated["key"].as_str().unwrap()).is_none());
    let (status, _) = api.ask("PUT", "/api/v1/tenants/new/secrets/token", &json!("hidden")).await;
    assert_eq!(status, 204);
    let shown = api.get("/api/v1/tenants/new").await;
    assert_eq!(shown["secrets"], json!(["token"]));
    assert!(!shown.to_string().contains("hidden"));
    let (_, disabled) = api.ask("POST", "/api/v1/tenants/new/disable", &Value::Null).await;
    assert_eq!(disabled["enabled"], json!(false));
    let event = json!({ "tenant": "new", "target": "work", "type": "t", "data": { "text": "echo" } });
    let (status, refused) = api.ask("POST", "/api/v1/events", &event).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (403, Some("FE1008")));
    let page = api.get("/api/v1/tenants?limit=2").await;
    assert_eq!((page["tenants"].as_array().unwrap().len(), page["next"].as_str()), (2, Some("new")));
    let rest = api.get("/api/v1/tenants?limit=2&after=new").await;
    assert_eq!((rest["tenants"][0]["name"].as_str(), &rest["next"]), (Some("other"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_sent_traced_logged_counted_and_its_result_fetched() {
    let api = Api::open(None).await;
    let data = "log warn look\nemit work 1 0 echo";
    let event =
        json!({ "tenant": "acme", "target": "work", "type": "t", "data": { "text": data }, "key": "k" });
    let (status, sent) = api.ask("POST", "/api/v1/events", &event).await;
    assert_eq!((status, &sent["duplicate"]), (200, &json!(false)));
    let id = sent["id"].as_str().unwrap();
    until("both are done", || (api.platform.counts().done == 2).then_some(())).await;
    let result = api.get(&format!("/api/v1/results/acme/{id}")).await;
    assert_eq!(result["state"], json!("done"));
    let trace = api.get(&format!("/api/v1/trace/{id}")).await;
    assert_eq!((trace["events"].as_array().unwrap().len(), &trace["events"][1]["cause"]), (2, &sent["id"]));
    assert_eq!(trace["events"][0]["runs"][0]["function"], json!("script"));
    let logs = api.get("/api/v1/logs?tenant=acme&function=script").await;
    assert_eq!((&logs["lines"][0]["message"], &logs["lines"][0]["level"]), (&json!("look"), &json!("warn")));
    let status = api.get("/api/v1/status").await;
    assert_eq!((&status["counts"]["done"], &status["functions"]["script"]["done"]), (&json!(2), &json!(2)));
    let limits = api.get("/api/v1/limits").await;
    let platform = &limits["limits"][0];
    assert_eq!((&platform["name"], &platform["max"]), (&json!("platform concurrency"), &json!(16)));
    let figures = api.get("/api/v1/tenants/acme/figures").await;
    assert_eq!(figures["done"], json!(2));
    let call =
        json!({ "tenant": "acme", "method": "GET", "path": "/x", "headers": { "x-do": "status 418" } });
    let (_, called) = api.ask("POST", "/api/v1/functions/web/invoke", &call).await;
    assert_eq!((&called["status"], &called["body"]), (&json!(418), &json!({ "text": "status\n" })));
    let metrics = api.raw("GET", "/metrics", "host: localhost\r\n", "").await.body;
    assert!(metrics.contains("flyball_events_done_total 2"), "{metrics}");
    assert!(metrics.contains("flyball_dwell_seconds_bucket{function=\"script\",le=\"+Inf\"} 2"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_redriven_and_discarded() {
    let api = Api::open(None).await;
    let event =
        json!({ "tenant": "acme", "target": "work", "type": "t", "data": { "text": "permanent no use" } });
    let (_, sent) = api.ask("POST", "/api/v1/events", &event).await;
    let id = sent["id"].as_str().unwrap();
    until("it is dead", || (api.platform.counts().dead == 1).then_some(())).await;
    let list = api.get("/api/v1/dead?tenant=acme&queue=work").await;
    assert_eq!(
        (&list["letters"][0]["id"], &list["letters"][0]["failure"]["code"]),
        (&sent["id"], &json!("FE2002"))
    );
    assert_eq!(api.get("/api/v1/dead?tenant=other").await["letters"], json!([]));
    let shown = api.get(&format!("/api/v1/dead/{id}")).await;
    assert_eq!(
        (&shown["data"]["text"], &shown["history"][0]["attempt"]),
        (&json!("permanent no use"), &json!(1))
    );
    let (_, dry) = api.ask("POST", "/api/v1/dead/redrive", &json!({ "dry_run": true })).await;
    assert_eq!((dry["moved"].as_array().unwrap().len(), api.platform.counts().dead), (1, 1));
    api.ask("POST", "/api/v1/dead/redrive", &json!({ "id": id })).await;
    until("dead again", || {
        let shown = api.platform.dead_show(id.parse_id()).unwrap()?;
        // The store has it a moment before the engine knows, which refuses to discard it until then.
        (shown.history.len() == 2 && api.platform.counts().dead == 1).then_some(())
    })
    .await;
    api.ask("POST", "/api/v1/dead/discard", &json!({ "tenant": "acme" })).await;
    assert_eq!(api.get("/api/v1/dead").await["letters"], json!([]));
    let (status, gone) = api.ask("GET", &format!("/api/v1/dead/{id}"), &Value::Null).await;
    assert_eq!((status, gone["error"]["code"].as_str()), (404, Some("FE5001")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said() {
    let api = Api::open(None).await;
    let table = [
        ("GET", "/nowhere", Value::Null, 404, "FE5001", "no such endpoint"),
        ("DELETE", "/api/v1/status", Value::Null, 405, "FE5002", "other methods"),
        ("POST", "/api/v1/events", json!({ "tenant": "acme" }), 400, "FE5005", "missing field `target`"),
        ("GET", "/api/v1/dead?limit=x", Value::Null, 400, "FE5005", "invalid digit"),
        ("POST", "/api/v1/dead/discard", json!({ "tenat": "acme" }), 400, "FE5005", "unknown field `tenat`"),
        (
            "GET",
            "/api/v1/dead?limit=1001",
            Value::Null,
            400,
            "FE5005",
            "`limit` is 1001; it must be 1 to 1000",
        ),
        ("GET", "/api/v1/dead?limit=0", Value::Null, 400, "FE5005", "`limit` is 0"),
        ("GET", "/api/v1/tenants?limit=5000", Value::Null, 400, "FE5005", "`limit` is 5000"),
        ("GET", "/api/v1/logs?tenant=acme&limit=5000", Value::Null, 400, "FE5005", "`limit` is 5000"),
        (
            "GET",
            "/api/v1/logs?tenant=acme&wait_ms=30001",
            Value::Null,
            400,
            "FE5005",
            "`wait_ms` is 30001; it must be 0 to 30000",
        ),
        ("GET", "/api/v1/limits?tenants=1001", Value::Null, 400, "FE5005", "`tenants` is 1001"),
        ("POST", "/api/v1/dead/redrive", json!({ "max": 1001 }), 400, "FE5005", "`max` is 1001"),
        ("POST", "/api/v1/dead/discard", json!({ "max": 0 }), 400, "FE5005", "`max` is 0"),
        ("GET", "/api/v1/trace/xyz", Value::Null, 400, "FE5005", "32 hexadecimal digits"),
        ("GET", "/api/v1/tenants/nobody", Value::Null, 404, "FE5001", "flyball tenants create nobody"),
        (
            "POST",
            "/api/v1/events",
            json!({ "tenant": "acme", "target": "wrok", "type": "t" }),
            404,
            "FE1007",
            "there is no queue, topic, bus or function \"wrok\"",
        ),
    ];
    for (method, path, body, status, code, message) in table {
        let (found, error) = api.ask(method, path, &body).await;
        assert_eq!((found, error["error"]["code"].as_str()), (status, Some(code)), "{path} {error}");
        assert!(error["error"]["message"].as_str().unwrap().contains(message), "{error}");
    }
}

trait ParseId {
    fn parse_id(&self) -> flyball_core::EventId;
}

impl ParseId for str {
    fn parse_id(&self) -> flyball_core::EventId {
        flyball_core::EventId::parse(self).unwrap()
    }
}
