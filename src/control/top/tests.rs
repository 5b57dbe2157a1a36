//! These tests draw the view on a terminal in memory.

use super::frame::draw;
use super::rows::{Column, Sorting};
use super::view::View;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};
use std::time::Duration;

/// Gives what a terminal of this size shows, line by line.
fn drawn(view: &View, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let now = Duration::from_secs(60);
    terminal.draw(|frame| draw(frame, view, now)).unwrap();
    let buffer = terminal.backend().buffer();
    let symbols: Vec<&str> = buffer.content().iter().map(|it| it.symbol()).collect();
    let lines = symbols.chunks(width.into()).map(|line| line.concat());
    lines.map(|line| line.trim_end().to_owned()).collect()
}

fn worker(pid: i32, busy: f64, requests: u64) -> Value {
    json!({
        "pid": pid, "state": "ready", "age_seconds": 7260, "connections": 3, "in_flight": 1, "requests": requests,
        "failures": 0, "busy": busy, "memory_bytes": 12 << 20,
        "answering": {"request": "GET /slow", "since_seconds": 2.5},
    })
}

/// A server two seconds after it was looked at first.
fn view(workers: &[Value]) -> View {
    let document = |second: u64| {
        let mut counts = vec![0; 32];
        counts[10] = 1000 * second;
        json!({
            "version": "0.1.0", "pid": 4711, "state": "serving", "ready": true, "started_at": 1000,
            "uptime_seconds": 7260 + second, "cpu_seconds": 0.5 * second as f64,
            "component": {"path": "/srv/app.wasm", "generation": 3}, "workers": workers,
            "requests": {
                "total": 1000 * second, "by_status": {"2xx": 990 * second, "5xx": 10 * second}, "in_flight": 12,
                "queued": 4, "guest_failures": {"trap": 7 * second}, "duration_counts": counts,
            },
            "ended_workers": [{"pid": 99, "at": 8200, "reason": "out_of_memory", "detail": ""}],
        })
    };
    let mut view = View::default();
    for second in 0..=2 {
        let sample = serde_json::from_value(document(second)).unwrap();
        view.answered(sample, Duration::from_secs(second));
    }
    view
}

/// Whoever watches a canary sees what it is judged by.
#[test]
fn a_canary_is_shown_with_the_figures_of_both_versions() {
    let mut view = view(&[worker(4712, 0.62, 12_345)]);
    let version = |failed, p99_seconds| json!({"requests": 240, "failed": failed, "p99_seconds": p99_seconds});
    let canary = |state| {
        json!({
            "generation": 4, "state": state, "elapsed_seconds": 15, "time_seconds": 60,
            "old": version(0, json!(null)), "new": version(12, json!(0.0201)),
        })
    };
    for (state, left) in [("comparing", "45.0 s left"), ("waiting", "waiting")] {
        let document = json!({"ready": true, "reloads": {"canary": canary(state)}});
        let sample = serde_json::from_value(document).unwrap();
        view.answered(sample, Duration::from_secs(3));
        let shown = &drawn(&view, 80, 24)[3];
        let expected =
            format!("canary 4, {left}: failed 12/240 (p99 20.1 ms), old version 0/240 (p99 -)");
        assert_eq!(*shown, expected);
    }
}

#[test]
fn everything_is_readable_on_eighty_columns_and_twenty_four_lines() {
    let view = view(&[worker(4712, 0.62, 12_345), worker(4713, 0.1, 99)]);
    let lines = drawn(&view, 80, 24);
    let expected = [
        "wasmserve 0.1.0 [4711]: serving, ready, up 2h 1m   app.wasm, version 3",
        "requests/s 1000     of the last 10 s:  p50 724 us    p90 955 us    p99 1.0 ms",
        "failed/s 7.0  5xx/s 10  in flight 12  waiting 4  cpu 50 %  memory 24.0MiB",
        "",
    ];
    assert_eq!(lines[..4], expected, "{lines:#?}");
    assert!(lines[4].starts_with("requests/s"), "{lines:#?}");
    assert_eq!(
        lines[6..9],
        [
            "   PID\u{25b2} STATE    LOAD            REQ/S  REQUESTS  FAILED  CONNS  FLIGHT   MEMORY",
            "   4712 ready    \u{2588}\u{2588}\u{2588}\u{2588}\u{2588}\u{2591}\u{2591}\u{2591}  62%       0     12345       0      3       1  12.0MiB",
            "   4713 ready    \u{2588}\u{2591}\u{2591}\u{2591}\u{2591}\u{2591}\u{2591}\u{2591}  10%       0        99       0      3       1  12.0MiB",
        ],
        "{lines:#?}"
    );
    assert_eq!(
        lines[20..],
        [
            "RECENT FAILURES",
            "    just now  request failed: trap (14 times)",
            "   1m 2s ago  worker [99] out of memory",
            "q quit   left/right sort by   r reverse   up/down scroll",
        ],
        "{lines:#?}"
    );
}

#[test]
fn a_wide_terminal_shows_what_workers_answer() {
    let lines = drawn(&view(&[worker(4712, 0.5, 1)]), 140, 30);
    assert!(lines[7].ends_with("2h 1m GET /slow (2.5 s)"), "{lines:#?}");
}

#[test]
fn the_rows_follow_the_order_and_the_scrolling() {
    let workers: Vec<Value> = (0..40).map(|it| worker(1000 + it, 0.0, 5)).collect();
    let mut view = view(&workers);
    view.sorting = Sorting {
        column: Column::Pid,
        reversed: true,
    };
    view.scrolled = 3;
    let lines = drawn(&view, 80, 24);
    assert!(lines[6].contains("PID\u{25bc}"), "{lines:#?}");
    assert!(lines[7].starts_with("   1036"), "{lines:#?}");
}

#[test]
fn a_server_that_is_silent_or_not_ready_is_seen_to_be() {
    let mut view = view(&[]);
    let document = json!({"pid": 1, "state": "draining", "reasons": ["the server is stopping"]});
    let sample = serde_json::from_value(document).unwrap();
    view.answered(sample, Duration::from_secs(3));
    let lines = drawn(&view, 80, 24);
    assert!(lines[0].contains("draining, not ready"), "{lines:#?}");
    assert_eq!(lines[3], "the server is stopping");
    view.unanswered("it is late".to_owned(), Duration::from_secs(50));
    assert_eq!(drawn(&view, 80, 24)[3], "no answer for 10.0 s: it is late");
}

/// Workers write what they want, clients ask what they want, and terminals have any size.
#[test]
fn nothing_that_is_watched_and_no_size_disturbs_the_terminal() {
    let mut hostile = worker(i32::MAX, f64::MAX, u64::MAX);
    for (name, value) in [
        ("failures", json!(u64::MAX)),
        ("memory_bytes", json!(u64::MAX)),
        ("connections", json!(u32::MAX)),
        ("age_seconds", json!(1e300)),
        ("state", json!("ready\u{1b}[2J")),
        (
            "answering",
            json!({"request": "GET /\u{1b}[2J\t\u{202e}x\n", "since_seconds": -1.0}),
        ),
    ] {
        hostile[name] = value;
    }
    let view = view(&[hostile.clone(), hostile]);
    for (width, height) in [(1, 1), (3, 40), (20, 5), (79, 23), (80, 24), (200, 60)] {
        for line in drawn(&view, width, height) {
            let acts = |c: char| c.is_control() || c == '\u{202e}';
            assert!(!line.contains(acts), "{line:?}");
        }
    }
    let lines = drawn(&view, 200, 60);
    assert!(lines[7].contains("GET /\\u{1b}[2J"), "{lines:#?}");
}
