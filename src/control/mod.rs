//! This room has the commands to a server that runs: it is found by its socket, asked in HTTP, and told about in words.
//! They block, and run in a process of its own.

mod ask;
mod find;
mod logs;
mod show;
mod top;

use crate::cli::{
    Control, MakeProfile, Reload, RestartWorker, RunningServer, Scale, StatusOf, SteeredServer,
};
use crate::exit::{Exit, Status};
use crate::sys::process;
use crate::{log, out};
use anyhow::{Context, Result, anyhow, bail};
use ask::{AdminAnswer, AdminSocket};
use serde_json::Value;
use std::time::{Duration, Instant};

/// It is looked this often whether a server has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Carries a command out.
pub fn run(command: &Control) -> Result<Status> {
    match command {
        Control::Logs(asked) => logs::run(asked),
        Control::Profile(asked) => profile(asked),
        Control::Promote(asked) => order(asked, "/promote", None),
        Control::Reload(asked) => reload(asked),
        Control::RestartWorker(asked) => restart_worker(asked),
        Control::Rollback(asked) => order(asked, "/rollback", None),
        Control::Scale(asked) => scale(asked),
        Control::Status(asked) => status(asked),
        Control::Stop(asked) => stop(asked),
        Control::Top(asked) => top::run(asked),
    }
}

/// Says how the server is.
fn status(asked: &StatusOf) -> Result<Status> {
    let server = found(&asked.server)?;
    let answer = server.ask("GET", "/status")?;
    match asked.json {
        true => print(&answer.text),
        false => print(&show::status(&answer.document()?)),
    }
    Ok(Status::Stopped)
}

/// Has the server reload, and waits until the new version is served, or says why it is not.
fn reload(asked: &Reload) -> Result<Status> {
    let canary = asked.canary.then(|| ("canary", "yes".to_owned()));
    order(&asked.steered, "/reload", canary)
}

/// Changes the number of workers, and waits until there are as many.
fn scale(asked: &Scale) -> Result<Status> {
    let workers = ("workers", asked.workers.to_string());
    order(&asked.steered, "/scale", Some(workers))
}

/// Has workers write profiles, waits until they have, and copies the one that is wanted elsewhere.
fn profile(asked: &MakeProfile) -> Result<Status> {
    let mut server = found(&asked.steered.server)?;
    server.timeout += Duration::from_secs(asked.seconds.into());
    let worker = asked.worker.map(|pid| ("worker", pid.to_string()));
    let seconds = ("seconds", asked.seconds.to_string());
    let what = [seconds].into_iter().chain(worker);
    let answer = server.ask("POST", &target(&asked.steered, "/profile", what))?;
    if answer.status == 400 {
        told(&answer, false).exits(Status::Usage)?;
    }
    let status = told(&answer, asked.output.is_none())?;
    if let Some(output) = &asked.output {
        let document = answer.document()?;
        let made = text(&document, "detail");
        let copied = std::fs::copy(made, output);
        copied.with_context(|| format!("cannot copy `{made}` to `{}`", output.display()))?;
    }
    Ok(status)
}

/// Has one worker replaced, and waits until another serves in its place.
fn restart_worker(asked: &RestartWorker) -> Result<Status> {
    let worker = ("pid", asked.worker.to_string());
    order(&asked.steered, "/restart-worker", Some(worker))
}

/// Has the server stop, and waits until it has.
fn stop(asked: &RunningServer) -> Result<Status> {
    let server = found(asked)?;
    let status = server.ask("GET", "/status")?.document()?;
    let pid = status["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.filter(|pid| *pid > 1) else {
        bail!("the server does not say which process it is");
    };
    // Where the server has stopped at once, its answer may not have come.
    if let Ok(answer) = server.ask("POST", "/stop") {
        told(&answer, false)?;
    }
    let deadline = Instant::now() + server.timeout;
    while process::lives(pid) {
        if Instant::now() >= deadline {
            bail!("the server [{pid}] has not stopped yet");
        }
        std::thread::sleep(LOOK);
    }
    print(&format!("the server [{pid}] has stopped\n"));
    Ok(Status::Stopped)
}

fn found(asked: &RunningServer) -> Result<AdminSocket> {
    let timeout = crate::config::duration("--timeout", &asked.timeout).exits(Status::Usage)?;
    let path = find::socket(asked)?;
    Ok(AdminSocket { path, timeout })
}

fn order(
    asked: &SteeredServer,
    path: &str,
    what: Option<(&'static str, String)>,
) -> Result<Status> {
    let target = target(asked, path, what);
    let answer = found(&asked.server)?.ask("POST", &target)?;
    told(&answer, true)
}

/// Writes the target of an order, which says of whom it is asked.
fn target(
    asked: &SteeredServer,
    path: &str,
    what: impl IntoIterator<Item = (&'static str, String)>,
) -> String {
    let mount = asked.mount.clone().map(|mount| ("mount", mount));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(what.into_iter().chain(mount))
        .finish();
    format!("{path}?{query}")
}

/// Prints what came of a command, and says how to end.
fn told(answer: &AdminAnswer, aloud: bool) -> Result<Status> {
    let document = answer.document()?;
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    let detail = text("detail").or_else(|| text("error"));
    let detail = detail.unwrap_or_else(|| format!("the server answered {}", answer.status));
    match document["outcome"].as_str() {
        Some("done") => {
            if aloud {
                print(&format!("{detail}\n"));
            }
            Ok(Status::Stopped)
        }
        Some("failed") => {
            Err(anyhow!("the old version goes on serving: {detail}")).exits(Status::Application)
        }
        Some("refused") => Err(anyhow!(detail)).exits(Status::Usage),
        _ => Err(anyhow!(detail)),
    }
}

/// Prints text; that nobody reads it is no failure. Whoever answers may be somebody else's server.
fn print(text: &str) {
    let lines = text.split_inclusive('\n');
    let escaped = lines.map(|line| match line.strip_suffix('\n') {
        Some(line) => format!("{}\n", log::escape(line)),
        None => log::escape(line).to_string(),
    });
    out!("{}", escaped.collect::<String>());
}

/// Gives a text of the document, or nothing.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
