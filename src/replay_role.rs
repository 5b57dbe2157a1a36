//! `wasmserve replay` gives a recorded request to the component again, and says whether it fails alike. It is part of
//! the crate's root, since it reads options and runs a guest.

use crate::cli::Replay;
use crate::config::Config;
use crate::exit::{Exit, Status};
use crate::guest::{self, Failure, Recording, Replayed};
use crate::log::escape;
use crate::outln;
use anyhow::{Result, anyhow};
use std::path::PathBuf;

/// Replays a recording. The status is 0 where the same failure came of it, and 1 where another end did.
pub fn run(order: &Replay) -> Result<Status> {
    let recording = Recording::read(&order.file).exits(Status::Usage)?;
    let named = order.component.clone();
    let component = named.unwrap_or_else(|| PathBuf::from(&recording.name));
    let (traced, is_named) = (order.trace_calls, order.component.is_some());
    let name = component.display().to_string();
    let name = escape(&name);
    if !is_named && !component.is_file() {
        let missing = anyhow!("there is no component `{name}` here; name it with --component");
        return Err(missing).exits(Status::Usage);
    }
    let reads_again = recording.given.primed && recording.start.is_none();
    let serve = order.serve(&component, reads_again).exits(Status::Usage)?;
    let config = Config::resolve(&serve).exits(Status::Usage)?;
    let replayed = guest::replay(&config.compile_request, &recording, traced, !is_named);
    let Some(replayed) = replayed.exits(Status::Application)? else {
        let digest = escape(&recording.component);
        let other = anyhow!(
            "`{name}` is not the component of this recording, whose digest is {digest}; name that with --component, \
             or name this one so to replay with it all the same"
        );
        return Err(other).exits(Status::Usage);
    };
    let is_other = replayed.component != recording.component;
    Ok(match told(&recording, &replayed, is_other) {
        true => Status::Stopped,
        false => Status::Internal,
    })
}

/// Prints what came of a replay, and says whether it was the same failure.
fn told(recording: &Recording, replayed: &Replayed, is_other: bool) -> bool {
    let head = &recording.request;
    outln!(
        "Request:   {} {}",
        escape(&head.method),
        escape(&head.target)
    );
    outln!("Recorded:  {}", shown(&recording.failure));
    if is_other {
        outln!("Component: another one, {}", replayed.component);
    }
    for difference in &replayed.differences {
        outln!("Given otherwise: {}", escape(difference));
    }
    let is_same = replayed.is_same(recording);
    let now = match (&replayed.failure, &replayed.answered) {
        (Some(failure), _) => failure.in_one_line(),
        (None, Some(answered)) => answered.to_string(),
        (None, None) => "nothing".to_owned(),
    };
    let (answered, all) = replayed.calls;
    outln!("Replayed:  {}", shown(&now));
    outln!("Host calls answered as recorded: {answered} of {all}");
    if let Some(other_way) = &replayed.started_otherwise {
        outln!("Its start went another way {other_way}");
    }
    if let Some((used, calls)) = &replayed.unanswered {
        let used = used.join(" and ");
        outln!(
            "The guest has used {used} after host call {calls}: no recording has answers of that, and a replay gives \
             none, so it goes on otherwise from there"
        );
    }
    if let Some(other_way) = &replayed.other_way {
        outln!("It went another way {other_way}");
    }
    if let Some(backtrace) = replayed.failure.as_ref().and_then(Failure::backtrace) {
        outln!("{}", in_lines(&backtrace));
    }
    match &recording.answered {
        _ if !is_same => differs(recording, replayed),
        Some(answered) => {
            show("The guest has written to standard error:", &replayed.said);
            outln!("It answered {} as recorded.", answered.status);
        }
        None if recording.time_out.is_some() => {
            outln!("It does not end in its time, as recorded.")
        }
        None if recording.backtrace.is_none() => outln!("It is the same failure."),
        None => outln!("It is the same failure, with the same backtrace."),
    }
    is_same
}

/// Shows text of a recording, or of a component: whoever made it may not be trusted.
fn shown(text: &str) -> String {
    escape(&text.replace('\t', "    ")).to_string()
}

fn in_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(shown).collect();
    lines.join("\n")
}

/// Prints lines of the guest's under a title, if there are any.
fn show(title: &str, lines: &[String]) {
    if !lines.is_empty() {
        outln!("{title}");
        lines.iter().for_each(|line| outln!("    {}", shown(line)));
    }
}

/// Says what may be to blame where a replay ends otherwise.
fn differs(recording: &Recording, replayed: &Replayed) {
    if replayed.answers_alike(recording) {
        outln!("It is the answer that was recorded, but the guest has written something else.");
    } else {
        outln!("It is not the failure that was recorded.");
    }
    if replayed.said != recording.said {
        show("The guest has written to standard error:", &replayed.said);
        show("Recorded was this on standard error:", &recording.said);
    }
    if let Some(backtrace) = &recording.backtrace {
        outln!("Recorded was this backtrace:\n{}", in_lines(backtrace));
    }
    if !recording.used.is_empty() {
        let used = shown(&recording.used.join(", "));
        outln!("A recording has no answers of {used}, which the guest has used then.");
    }
    let masked = &recording.request.masked;
    if !masked.is_empty() {
        let masked = shown(&masked.join(", "));
        outln!("The values of these fields are not in the recording: {masked}.");
    }
}
