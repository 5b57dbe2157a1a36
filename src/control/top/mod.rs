//! `wasmserve top` watches a server live. Keys, signals and answers come from a thread each; one loop takes them in
//! turn, and draws.

mod frame;
mod history;
mod rows;
mod sample;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use super::ask::AdminSocket;
use super::found;
use crate::cli::Top;
use crate::exit::{Exit, Status};
use crate::sys::limits;
use crate::sys::signals;
use crate::sys::socket::is_listened_on;
use anyhow::{Context, Result, anyhow};
use ratatui::crossterm::event::{self, Event};
use sample::Sample;
use screen::Screen;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use view::{Flow, View};

/// Whoever looks more often changes what is looked at.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// A question that is not answered within this is asked again.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// An `Input` is what happens to the view.
enum Input {
    Terminal(Event),
    Answer(Box<Sample>),
    /// The server did not answer in time, or not in a way that is understood.
    NoAnswer(String),
    /// Nobody listens any more.
    ServerEnded,
    /// The view is to end: by a signal, or since the terminal is gone.
    End,
}

/// Shows how the server is, until a key or a signal ends that, or the server ends.
pub fn run(asked: &Top) -> Result<Status> {
    let interval = crate::config::duration("--interval", &asked.interval);
    let interval = interval.exits(Status::Usage)?;
    if interval < LEAST_INTERVAL {
        let least = anyhow!("--interval: 100ms is the least");
        return Err(least).exits(Status::Usage);
    }
    let mut server = found(&asked.server)?;
    server.timeout = server.timeout.min(LONGEST_SILENCE);
    // What is wrong from the beginning is told on the terminal as it is.
    let first = ask(&server)?;
    if !screen::is_there() {
        let nowhere = anyhow!("`wasmserve top` needs a terminal; `wasmserve status` needs none");
        return Err(nowhere).exits(Status::Usage);
    }
    let pid = first.pid;
    match watch(server, interval, first)? {
        End::Asked => Ok(Status::Stopped),
        End::OfServer => Err(anyhow!("the server [{pid}] has ended")),
    }
}

/// An `End` says why the view is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Asked,
    OfServer,
}

fn watch(server: AdminSocket, interval: Duration, first: Sample) -> Result<End> {
    // Before there is a thread that could be sent them.
    signals::block_for_view()?;
    let mut screen = Screen::take()?;
    let (sender, inputs) = channel();
    for (name, source) in [
        ("signals", Box::new(signal_inputs) as InputSource),
        ("keys", Box::new(terminal_inputs)),
        (
            "answers",
            Box::new(move |sender| answer_inputs(&server, interval, sender)),
        ),
    ] {
        let sender = sender.clone();
        limits::spawn(name, move || source(&sender)).context("cannot start a thread")?;
    }
    let begin = Instant::now();
    let mut view = View::default();
    view.answered(first, Duration::ZERO);
    loop {
        screen.draw(|frame| frame::draw(frame, &view, begin.elapsed()))?;
        match inputs.recv() {
            Ok(Input::Terminal(Event::Key(key))) => match view.key(key) {
                Flow::Stay => {}
                Flow::Quit => return Ok(End::Asked),
            },
            // A terminal of another size is drawn anew.
            Ok(Input::Terminal(_)) => {}
            Ok(Input::Answer(sample)) => view.answered(*sample, begin.elapsed()),
            Ok(Input::NoAnswer(why)) => view.unanswered(why, begin.elapsed()),
            Ok(Input::ServerEnded) => return Ok(End::OfServer),
            Ok(Input::End) | Err(_) => return Ok(End::Asked),
        }
    }
}

/// An `InputSource` runs in a thread of its own, until nobody takes what it sends.
type InputSource = Box<dyn FnOnce(&Sender<Input>) + Send>;

fn signal_inputs(sender: &Sender<Input>) {
    let _ = signals::wait_for_the_end();
    let _ = sender.send(Input::End);
}

fn terminal_inputs(sender: &Sender<Input>) {
    while let Ok(event) = event::read() {
        if sender.send(Input::Terminal(event)).is_err() {
            return;
        }
    }
    let _ = sender.send(Input::End);
}

fn answer_inputs(server: &AdminSocket, interval: Duration, sender: &Sender<Input>) {
    loop {
        thread::sleep(interval);
        let input = match ask(server) {
            Ok(sample) => Input::Answer(Box::new(sample)),
            Err(_) if !is_listened_on(&server.path).unwrap_or(false) => Input::ServerEnded,
            Err(error) => Input::NoAnswer(format!("{error:#}")),
        };
        if sender.send(input).is_err() {
            return;
        }
    }
}

fn ask(server: &AdminSocket) -> Result<Sample> {
    let answer = server.ask("GET", "/status")?;
    serde_json::from_str(&answer.text).context("the server's answer cannot be understood")
}
