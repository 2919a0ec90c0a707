//! `dead`.

use flyball_core::EventId;
use flyball_server::admin::types::{Data, DeadMoved, DeadPage, DeadSelection, DeadShown, EventIdText};

use super::{Admin, at, show};
use crate::{
    arguments::{DeadAct, Format, Letters, Which},
    http::quoted,
    stop::{Stop, print},
    table::{Table, plain},
};

/// Letters that one request moves.
const MOVED_AT_ONCE: u32 = 100;

/// Does it.
pub(super) async fn run(act: DeadAct, format: Format) -> Result<(), Stop> {
    match act {
        DeadAct::List { lines, letters } => list(lines, &letters, format).await,
        DeadAct::Show { event, server } => {
            let shown: DeadShown =
                Admin::new(&server)?.get(&format!("/api/v1/dead/{}", quoted(&event))).await?;
            show(format, &shown, || of_letter(&shown))
        }
        DeadAct::Redrive { which } => operate(&which, "redrive", format).await,
        DeadAct::Discard { which } => operate(&which, "discard", format).await,
    }
}

async fn list(lines: u32, letters: &Letters, format: Format) -> Result<(), Stop> {
    let mut query = format!("/api/v1/dead?limit={lines}");
    for (name, value) in [("tenant", &letters.tenant), ("queue", &letters.queue)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", quoted(value)));
        }
    }
    let mut admin = Admin::new(&letters.server)?;
    let mut all: DeadPage = admin.get(&query).await?;
    // A page may end early where few of many fit the options.
    while let Some(next) = all.next.filter(|_| all.letters.len() < lines as usize) {
        let more: DeadPage = admin.get(&format!("{query}&after={next}")).await?;
        all.letters.extend(more.letters);
        all.next = more.next;
    }
    all.letters.truncate(lines as usize);
    show(format, &all, || {
        if all.letters.is_empty() {
            return "no dead letters\n".into();
        }
        let mut text = String::new();
        for letter in &all.letters {
            // The id is there to be copied: it is never cut, so the rest has a line of its own.
            text.push_str(&format!(
                "{}  {}  {}  {} runs  {}\n  {}: {}\n",
                letter.id.0,
                plain(&letter.tenant),
                plain(&letter.queue),
                letter.attempts,
                at(letter.died_ms),
                plain(&letter.failure.code),
                plain(&letter.failure.message)
            ));
        }
        text
    })
}

fn of_letter(shown: &DeadShown) -> String {
    let letter = &shown.letter;
    let mut text = format!(
        "{}  {}  {}\ntype {}, source {}, accepted {}, died {}\n",
        letter.id.0,
        plain(&letter.tenant),
        plain(&letter.queue),
        plain(&shown.kind),
        plain(&shown.source),
        at(letter.accepted_ms),
        at(letter.died_ms)
    );
    text.push_str("\nThe chain that led here:\n");
    for link in &shown.chain {
        text.push_str(&format!("  {}  {}  {}\n", at(link.at_ms), plain(&link.function), link.event.0));
    }
    text.push_str(&format!("  {}  {}\n\n", at(letter.accepted_ms), plain(&letter.queue)));
    let mut table = Table::new(&[">RUN", "ENDED", "CODE", "WHY"]);
    for run in &shown.history {
        let failure = &run.failure;
        table.row([run.attempt.to_string(), at(run.at_ms), failure.code.clone(), failure.message.clone()]);
    }
    text.push_str(&table.render());
    let (kind, data) = match &shown.data {
        Data::Text(data) => ("", data),
        Data::Hex(data) => (", in hexadecimal digits", data),
    };
    let lines: Vec<String> = data.lines().map(plain).collect();
    text.push_str(&format!("\n{} bytes{kind}:\n{}\n", shown.data_bytes, lines.join("\n")));
    text
}

async fn operate(which: &Which, verb: &str, format: Format) -> Result<(), Stop> {
    let letters = &which.letters;
    let chosen = which.event.is_some() || letters.tenant.is_some() || letters.queue.is_some();
    if chosen == which.all {
        return Err(Stop::wrong("say which: an event's id, --tenant or --queue; or --all alone"));
    }
    let id = match &which.event {
        None => None,
        Some(text) => {
            let wrong = || Stop::wrong(format!("{text:?} is no event's id: 32 hexadecimal digits"));
            Some(EventIdText(EventId::parse(text).ok_or_else(wrong)?))
        }
    };
    let mut admin = Admin::new(&letters.server)?;
    let mut all = DeadMoved { moved: Vec::new(), refused: Vec::new(), next: None };
    loop {
        let selection = DeadSelection {
            tenant: letters.tenant.clone(),
            queue: letters.queue.clone(),
            id,
            after: all.next,
            max: Some(MOVED_AT_ONCE),
            dry_run: which.dry_run,
        };
        let some: DeadMoved = admin.post(&format!("/api/v1/dead/{verb}"), &selection).await?;
        all.moved.extend(some.moved);
        all.refused.extend(some.refused);
        all.next = some.next;
        if all.next.is_none() {
            break;
        }
    }
    report(&all, verb, which.dry_run, format)?;
    let none = id.is_some() && all.moved.is_empty();
    if none || !all.refused.is_empty() { Err(Stop::failed("not all could be moved")) } else { Ok(()) }
}

fn report(all: &DeadMoved, verb: &str, dry_run: bool, format: Format) -> Result<(), Stop> {
    if format == Format::Json {
        return show(format, all, String::new);
    }
    let mut text = String::new();
    for refused in &all.refused {
        let error = &refused.error;
        text.push_str(&format!("{}  {}: {}\n", refused.id.0, plain(&error.code), plain(&error.message)));
    }
    let would = if dry_run { "would " } else { "" };
    text.push_str(&format!("{would}{verb}: {} dead letters\n", all.moved.len()));
    print(&text)
}
