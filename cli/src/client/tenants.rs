//! `tenants`.

use bytes::Bytes;
use flyball_server::admin::types::{CreatedKey, CreatedTenant, NewKey, NewTenant, Tenant, TenantPage};
use http::Method;

use super::{Admin, argument, at, show};
use crate::{
    arguments::{Format, SecretAct, TenantAct, TenantOf},
    http::quoted,
    stop::Stop,
    table::{Table, number, plain},
};

/// Does it.
pub(super) async fn run(act: TenantAct, format: Format) -> Result<(), Stop> {
    match act {
        TenantAct::List { server } => list(Admin::new(&server)?, format).await,
        TenantAct::Create { tenant } => {
            let body = NewTenant { name: tenant.name };
            let made: CreatedTenant = Admin::new(&tenant.server)?.post("/api/v1/tenants", &body).await?;
            show(format, &made, || {
                format!("{}\nkey {}  (shown this once)\n", plain(&made.tenant.name), plain(&made.key))
            })
        }
        TenantAct::Show { tenant } => {
            let shown: Tenant = Admin::new(&tenant.server)?.get(&path(&tenant, "")).await?;
            show(format, &shown, || of_tenant(&shown))
        }
        TenantAct::Enable { tenant } => change(&tenant, Method::POST, "/enable", format).await,
        TenantAct::Disable { tenant } => change(&tenant, Method::POST, "/disable", format).await,
        TenantAct::Rotate { tenant, overlap } => {
            let body = NewKey { rotate_ms: Some(u64::try_from(overlap.as_millis()).unwrap_or(u64::MAX)) };
            let made: CreatedKey = Admin::new(&tenant.server)?.post(&path(&tenant, "/keys"), &body).await?;
            show(format, &made, || {
                let seconds = overlap.as_secs();
                format!("key {}  (shown this once; the others are valid for {seconds} s)\n", plain(&made.key))
            })
        }
        TenantAct::Revoke { tenant, key } => {
            change(&tenant, Method::DELETE, &format!("/keys/{}", quoted(&key)), format).await
        }
        TenantAct::Secret { act } => secret(act, format).await,
    }
}

async fn list(mut admin: Admin, format: Format) -> Result<(), Stop> {
    let mut all = TenantPage { tenants: Vec::new(), next: None };
    let mut after = String::new();
    loop {
        let page: TenantPage = admin.get(&format!("/api/v1/tenants?limit=1000{after}")).await?;
        all.tenants.extend(page.tenants);
        match page.next {
            Some(next) => after = format!("&after={}", quoted(&next)),
            None => break,
        }
    }
    show(format, &all, || {
        let mut table = Table::new(&["TENANT", ">ID", "ENABLED", ">KEYS", ">SECRETS", "CREATED"]);
        for tenant in &all.tenants {
            let [keys, secrets] = [tenant.keys.len() as u64, tenant.secrets.len() as u64].map(number);
            let enabled = if tenant.enabled { "yes" } else { "no" };
            let id = tenant.id.to_string();
            table.row([tenant.name.clone(), id, enabled.into(), keys, secrets, at(tenant.created_ms)]);
        }
        table.render()
    })
}

async fn change(tenant: &TenantOf, method: Method, rest: &str, format: Format) -> Result<(), Stop> {
    let changed: Tenant = Admin::new(&tenant.server)?.read(method, &path(tenant, rest), Bytes::new()).await?;
    show(format, &changed, || of_tenant(&changed))
}

async fn secret(act: SecretAct, format: Format) -> Result<(), Stop> {
    let (tenant, secret, method, value, done) = match act {
        SecretAct::Set { tenant, secret, value } => (tenant, secret, Method::PUT, argument(&value)?, "set"),
        SecretAct::Delete { tenant, secret } => (tenant, secret, Method::DELETE, Vec::new(), "deleted"),
    };
    let place = path(&tenant, &format!("/secrets/{}", quoted(&secret)));
    Admin::new(&tenant.server)?.ask(method, &place, value.into()).await?;
    let answer = serde_json::json!({ "tenant": tenant.name, "secret": secret, "done": done });
    show(format, &answer, || format!("{}: secret {} {done}\n", plain(&tenant.name), plain(&secret)))
}

fn path(tenant: &TenantOf, rest: &str) -> String {
    format!("/api/v1/tenants/{}{rest}", quoted(&tenant.name))
}

fn of_tenant(tenant: &Tenant) -> String {
    let enabled = if tenant.enabled { "enabled" } else { "disabled" };
    let mut text = format!("{}: {enabled}, created {}\n", plain(&tenant.name), at(tenant.created_ms));
    for key in &tenant.keys {
        let until = key.expires_ms.map_or("no end".to_string(), |end| format!("until {}", at(end)));
        text.push_str(&format!("key {}  since {}, {until}\n", plain(&key.id), at(key.created_ms)));
    }
    for secret in &tenant.secrets {
        text.push_str(&format!("secret {}\n", plain(secret)));
    }
    text
}
