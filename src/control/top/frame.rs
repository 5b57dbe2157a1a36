//! This file draws the view: from its state to the cells of the terminal, readable from 80 columns and 24 lines on.
//! What colours say stands there in words too.

use super::super::show::time_of;
use super::rows::{Column, Row as WorkerRow, rows};
use super::sample::{Canary, ComparedVersion, Sample, plain};
use super::view::View;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, RenderDirection, Row, Sparkline, Table};
use std::time::Duration;

/// Columns that show what a worker answers are worth it from this width on.
const ANSWERING: u16 = 24;

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, view: &View, now: Duration) {
    let Some(latest) = view.history.latest() else {
        return;
    };
    let failures = (view.history.failures().len() as u16).clamp(1, 5) + 1;
    let parts = [
        Constraint::Length(4),
        Constraint::Length(2),
        Constraint::Min(3),
        Constraint::Length(failures),
        Constraint::Length(1),
    ];
    let [head, chart, workers, failures, keys] = frame.area().layout(&Layout::vertical(parts));
    frame.render_widget(Paragraph::new(summary(view, latest, now)), head);
    draw_rates(frame, view, chart);
    draw_workers(frame, view, workers);
    frame.render_widget(Paragraph::new(failure_lines(view, latest)), failures);
    let help = "q quit   left/right sort by   r reverse   up/down scroll";
    frame.render_widget(Paragraph::new(help.dim()), keys);
}

/// Sums the server up in four lines.
fn summary<'a>(view: &View, latest: &Sample, now: Duration) -> Vec<Line<'a>> {
    let (ready, colour) = match latest.ready {
        true => ("ready", Color::Green),
        false => ("not ready", Color::Red),
    };
    let component = latest.component.as_ref();
    let component = component.map_or_else(String::new, |it| {
        let name = it.path.rsplit('/').next().unwrap_or_default();
        format!("   {}, version {}", plain(name), it.generation)
    });
    let (version, pid, state) = (&latest.version, latest.pid, plain(&latest.state));
    let uptime = time_of(latest.uptime_seconds);
    let title = Line::from(vec![
        format!("wasmserve {} [{pid}]: {state}, ", plain(version)).bold(),
        ready.bold().fg(colour),
        format!(", up {uptime}{component}").into(),
    ]);
    vec![
        title,
        requests(view),
        resources(view, latest),
        trouble(view, latest, now),
    ]
}

fn requests<'a>(view: &View) -> Line<'a> {
    let history = &view.history;
    let rate = history.rate(|sample| sample.requests.total);
    let mut parts = vec![
        "requests/s ".into(),
        format!("{:<8}", count(rate)).bold(),
        " of the last 10 s:".into(),
    ];
    for (name, part) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let time = history.percentile(part).map_or("-".to_owned(), time_of);
        parts.push(format!("  {name} ").into());
        parts.push(format!("{time:<8}").bold());
    }
    Line::from(parts)
}

fn resources<'a>(view: &View, latest: &Sample) -> Line<'a> {
    let history = &view.history;
    let failed = history.rate(Sample::failures);
    let errors = history.rate(Sample::server_errors);
    let alarm = |rate: f64| match rate > 0.0 {
        true => Style::new().red().bold(),
        false => Style::new(),
    };
    let requests = &latest.requests;
    Line::from(vec![
        "failed/s ".into(),
        Span::styled(count(failed), alarm(failed)),
        "  5xx/s ".into(),
        Span::styled(count(errors), alarm(errors)),
        format!(
            "  in flight {}  waiting {}  cpu {:.0} %  memory {}",
            requests.in_flight,
            requests.queued,
            history.processors() * 100.0,
            bytes(latest.memory()),
        )
        .into(),
    ])
}

/// Says what speaks against the server's being well.
fn trouble<'a>(view: &View, latest: &Sample, now: Duration) -> Line<'a> {
    if let Some((since, why)) = &view.silence {
        let silent = time_of(now.saturating_sub(*since).as_secs_f64());
        return format!("no answer for {silent}: {}", plain(why))
            .red()
            .into();
    }
    let canary = latest.reloads.canary.as_ref();
    if let Some(canary) = canary.filter(|_| latest.reasons.is_empty()) {
        return self::canary(canary).into();
    }
    let reasons: Vec<String> = latest.reasons.iter().map(|it| plain(it)).collect();
    reasons.join("; ").red().into()
}

/// Says in one line what both versions of a canary have failed, and how long 99 of 100 requests took.
fn canary(canary: &Canary) -> String {
    let version = |it: &ComparedVersion| {
        let p99 = it.p99_seconds.map_or("-".to_owned(), time_of);
        format!("{}/{} (p99 {p99})", it.failed, it.requests)
    };
    let left = match canary.state.as_str() {
        "waiting" => "waiting".to_owned(),
        _ => {
            let left = canary.time_seconds - canary.elapsed_seconds;
            format!("{} left", time_of(left.max(0.0)))
        }
    };
    let (new, old) = (version(&canary.new), version(&canary.old));
    let number = canary.generation;
    format!("canary {number}, {left}: failed {new}, old version {old}")
}

fn draw_rates(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let [label, chart] = area.layout(&Layout::horizontal([
        Constraint::Length(11),
        Constraint::Min(1),
    ]));
    let shown = view.history.rates().take(chart.width.into());
    let rates: Vec<u64> = shown.collect();
    let most = rates.iter().copied().max().unwrap_or_default();
    let labels = vec![
        Line::from("requests/s"),
        Line::from(format!("max {}", count(most as f64))).dim(),
    ];
    frame.render_widget(Paragraph::new(labels), label);
    let bars = Sparkline::default()
        .data(rates)
        .max(most.max(1))
        .direction(RenderDirection::RightToLeft)
        .style(Style::new().cyan());
    frame.render_widget(bars, chart);
}

fn draw_workers(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let mut left = area.width;
    let columns: Vec<Column> = Column::ALL
        .into_iter()
        .take_while(|column| {
            let fits = left >= column.width();
            left = left.saturating_sub(column.width() + 1);
            fits
        })
        .collect();
    let answering = columns.len() == Column::ALL.len() && left >= ANSWERING;
    let mut titles: Vec<Cell<'_>> = columns.iter().map(|it| title(*it, view)).collect();
    let mut widths: Vec<Constraint> = columns
        .iter()
        .map(|it| Constraint::Length(it.width()))
        .collect();
    if answering {
        titles.push("ANSWERING".into());
        widths.push(Constraint::Min(1));
    }
    let rows = rows(&view.history, view.sorting);
    let rows = rows.iter().skip(view.scrolled).map(|row| {
        let mut cells: Vec<Cell<'_>> = columns.iter().map(|it| cell(*it, row)).collect();
        if answering {
            cells.push(answered(row).into());
        }
        Row::new(cells)
    });
    let table = Table::new(rows, widths)
        .header(Row::new(titles).style(Modifier::BOLD | Modifier::UNDERLINED))
        .column_spacing(1);
    frame.render_widget(table, area);
}

fn aligned<'a>(column: Column, text: impl Into<Text<'a>>) -> Text<'a> {
    let side = match column {
        Column::State | Column::Load => Alignment::Left,
        _ => Alignment::Right,
    };
    text.into().alignment(side)
}

fn title<'a>(column: Column, view: &View) -> Cell<'a> {
    let mark = match (column == view.sorting.column, view.sorting.descends()) {
        (false, _) => "",
        (true, true) => "\u{25bc}",
        (true, false) => "\u{25b2}",
    };
    aligned(column, format!("{}{mark}", column.title())).into()
}

fn cell<'a>(column: Column, row: &WorkerRow<'_>) -> Cell<'a> {
    let worker = row.worker;
    let text = match column {
        Column::Pid => worker.pid.to_string(),
        Column::State => {
            let state = plain(&worker.state);
            return match worker.state.as_str() {
                "ready" => state.green(),
                "hung" => state.red().bold(),
                _ => state.yellow(),
            }
            .into();
        }
        Column::Load => return load(worker.busy).into(),
        Column::Rate => count(row.rate),
        Column::Requests => count(worker.requests as f64),
        Column::Failed if worker.failures > 0 => {
            return aligned(column, count(worker.failures as f64).red()).into();
        }
        Column::Failed => "0".to_owned(),
        Column::Connections => worker.connections.to_string(),
        Column::InFlight => worker.in_flight.to_string(),
        Column::Memory => bytes(worker.memory_bytes),
        Column::Age => time_of(worker.age_seconds),
    };
    aligned(column, text).into()
}

/// Shows how busy a worker is, as a bar and a number.
fn load<'a>(busy: f64) -> Line<'a> {
    let busy = busy.clamp(0.0, 1.0);
    let full = (busy * 8.0).round() as usize;
    let colour = match busy {
        0.9.. => Color::Red,
        0.6.. => Color::Yellow,
        _ => Color::Green,
    };
    Line::from(vec![
        "\u{2588}".repeat(full).fg(colour),
        "\u{2591}".repeat(8 - full).dim(),
        format!("{:4.0}%", busy * 100.0).into(),
    ])
}

fn answered(row: &WorkerRow<'_>) -> String {
    let answering = row.worker.answering.as_ref();
    answering.map_or_else(String::new, |it| {
        let since = time_of(it.since_seconds);
        format!("{} ({since})", plain(&it.request))
    })
}

fn failure_lines<'a>(view: &View, latest: &Sample) -> Vec<Line<'a>> {
    let failures = view.history.failures();
    let mut lines = vec!["RECENT FAILURES".bold().underlined().into()];
    if failures.is_empty() {
        lines.push("none".dim().into());
    }
    lines.extend(failures.iter().map(|failure| {
        let ago = match latest.at() - failure.at {
            ..1.0 => "just now".to_owned(),
            seconds => format!("{} ago", time_of(seconds)),
        };
        let times = match failure.count {
            1 => String::new(),
            count => format!(" ({count} times)"),
        };
        Line::from(vec![
            format!("{ago:>12}  ").dim(),
            format!("{}{times}", failure.what).into(),
        ])
    }));
    lines
}

/// Writes a number in up to seven characters.
fn count(number: f64) -> String {
    match number {
        ..0.05 => "0".to_owned(),
        ..10.0 => format!("{number:.1}"),
        ..1e6 => format!("{number:.0}"),
        ..1e9 => format!("{:.1}M", number / 1e6),
        ..1e12 => format!("{:.1}G", number / 1e9),
        _ => "many".to_owned(),
    }
}

fn bytes(number: u64) -> String {
    let kib = number as f64 / 1024.0;
    match kib {
        ..1024.0 => format!("{kib:.0} KiB"),
        ..1_048_576.0 => format!("{:.1}MiB", kib / 1024.0),
        ..1e9 => format!("{:.1}GiB", kib / 1_048_576.0),
        _ => "much".to_owned(),
    }
}
