//! This file shows how the server is, in words and a table for people.

use super::text;
use crate::log;
use serde_json::Value;
use std::fmt::Write as _;

const HEAD: [&str; 10] = [
    "PID",
    "STATE",
    "VERSION",
    "AGE",
    "CONNS",
    "BUSY",
    "REQUESTS",
    "FAILED",
    "MEMORY",
    "ANSWERING",
];

pub fn status(document: &Value) -> String {
    let mut shown = String::new();
    let ready = if document["ready"] == true {
        "ready"
    } else {
        "not ready"
    };
    let _ = writeln!(
        shown,
        "wasmserve {} [{}]: {}, {ready}, up {}",
        text(document, "version"),
        document["pid"],
        text(document, "state"),
        time(&document["uptime_seconds"])
    );
    for reason in array(&document["reasons"]) {
        let _ = writeln!(shown, "  {}", reason.as_str().unwrap_or_default());
    }
    let component = &document["component"];
    let digest: String = text(component, "digest").chars().take(12).collect();
    let _ = writeln!(
        shown,
        "component  {} {digest} (version {}, {}, instances {})",
        log::escape(text(component, "path")),
        component["generation"],
        if component["from_cache"] == true {
            "from the cache"
        } else {
            "compiled"
        },
        text(component, "instances"),
    );
    let listeners = array(&document["listeners"]).filter_map(Value::as_str);
    let listeners: Vec<&str> = listeners.collect();
    let _ = writeln!(shown, "listening  {}", listeners.join(", "));
    let (least, most) = (&document["workers_min"], &document["workers_max"]);
    if least != most {
        let wanted = &document["workers_wanted"];
        let _ = writeln!(
            shown,
            "workers    {wanted}, between {least} and {most} as the load takes"
        );
    }
    let requests = &document["requests"];
    let _ = writeln!(
        shown,
        "requests   {} answered, {} in flight, {} waiting; half within {}, 99 % within {}",
        requests["total"],
        requests["in_flight"],
        requests["queued"],
        time(&requests["duration_seconds"]["p50"]),
        time(&requests["duration_seconds"]["p99"]),
    );
    canary(&mut shown, &document["reloads"]["canary"]);
    jobs(&mut shown, &document["jobs"]);
    last_reload(&mut shown, document);
    shown.push('\n');
    table(&mut shown, document);
    mounts(&mut shown, &document["mounts"]);
    shown
}

fn last_reload(shown: &mut String, document: &Value) {
    let last = &document["reloads"]["last"];
    if last["outcome"] == "failure" {
        let _ = writeln!(shown, "the last reload failed: {}", text(last, "reason"));
    }
}

/// Shows what is mounted, each with the processes that serve it.
fn mounts(shown: &mut String, mounts: &Value) {
    for mount in array(mounts) {
        let component = log::escape(text(&mount["component"], "path")).to_string();
        let at = log::escape(text(mount, "at")).to_string();
        let state = text(mount, "state");
        let requests = match &mount["requests"]["total"] {
            Value::Null => String::new(),
            total => format!(
                "; {total} answered, {} in flight, 99 % within {}",
                mount["requests"]["in_flight"],
                time(&mount["requests"]["duration_seconds"]["p99"]),
            ),
        };
        let _ = writeln!(shown, "\nmount      {at}, {component}: {state}{requests}");
        last_reload(shown, mount);
        if array(&mount["workers"]).next().is_some() {
            table(shown, mount);
        }
    }
}

/// Shows the periodic jobs, each with what came of it.
fn jobs(shown: &mut String, jobs: &Value) {
    for job in array(jobs) {
        let last = &job["last"];
        let came = match (text(last, "outcome"), job["pid"].as_i64()) {
            (_, Some(pid)) => format!("runs now [{pid}]"),
            ("success", None) => format!("the last took {}", time(&last["duration_seconds"])),
            ("failure", None) => format!("the last failed: {}", text(last, "reason")),
            _ => "not yet run".to_owned(),
        };
        let _ = writeln!(
            shown,
            "job        {} every {}: {} succeeded, {} failed, {} left out; {came}",
            log::escape(text(job, "component")),
            time(&job["every_seconds"]),
            job["succeeded"],
            job["failed"],
            job["left_out"],
        );
    }
}

/// Shows the canary that runs, where one does.
fn canary(shown: &mut String, canary: &Value) {
    if !canary.is_object() {
        return;
    }
    let version = |it: &Value| {
        let (failed, requests) = (&it["failed"], &it["requests"]);
        let p99 = time(&it["p99_seconds"]);
        format!("{failed} of {requests} failed, 99 % within {p99}")
    };
    let over = match text(canary, "state") {
        "waiting" => "too few requests to judge by; waiting".to_owned(),
        _ => format!(
            "{} of {}",
            time(&canary["elapsed_seconds"]),
            time(&canary["time_seconds"])
        ),
    };
    let _ = writeln!(
        shown,
        "canary     version {}, workers {}, {over}: {}; old version: {}",
        canary["generation"],
        canary["workers"],
        version(&canary["new"]),
        version(&canary["old"]),
    );
}

fn table(shown: &mut String, document: &Value) {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(array(&document["workers"]).map(row));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        let _ = writeln!(shown, "{}", cells.join("  ").trim_end());
    }
}

fn row(worker: &Value) -> [String; 10] {
    let number = |name: &str| worker[name].as_u64().unwrap_or_default().to_string();
    let busy = worker["busy"].as_f64().unwrap_or_default() * 100.0;
    let memory = worker["memory_bytes"].as_f64().unwrap_or_default() / f64::from(1 << 20);
    let answering = &worker["answering"];
    let answering = match answering["request"].as_str() {
        Some(request) => format!(
            "{} ({})",
            log::escape(request),
            time(&answering["since_seconds"])
        ),
        None => String::new(),
    };
    [
        number("pid"),
        text(worker, "state").to_owned(),
        number("generation"),
        time(&worker["age_seconds"]),
        number("connections"),
        format!("{busy:.0} %"),
        number("requests"),
        number("failures"),
        format!("{memory:.1} MiB"),
        answering,
    ]
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Writes a time in the units that people use; a dash where there is none.
fn time(seconds: &Value) -> String {
    seconds.as_f64().map_or_else(|| "-".to_owned(), time_of)
}

/// Writes a number of seconds as a time.
pub fn time_of(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0 if seconds < 0.001 => format!("{:.0} us", seconds * 1e6),
        0 => format!("{:.1} ms", seconds * 1e3),
        1..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h {}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d {}h", whole / 86400, whole / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_shown_in_the_units_that_people_use() {
        for (seconds, shown) in [
            (json!(0.000_12), "120 us"),
            (json!(0.25), "250.0 ms"),
            (json!(7.25), "7.2 s"),
            (json!(61.9), "1m 1s"),
            (json!(7260), "2h 1m"),
            (json!(90_000), "1d 1h"),
            (json!(null), "-"),
        ] {
            assert_eq!(time(&seconds), shown);
        }
    }

    #[test]
    fn what_is_missing_is_no_panic_and_what_guests_are_asked_forges_nothing() {
        assert!(status(&json!({})).contains("PID"));
        let worker =
            json!({"pid": 7, "answering": {"request": "GET /\n\u{1b}[2J", "since_seconds": 1}});
        let shown = status(&json!({"workers": [worker]}));
        assert!(shown.contains("GET /\\n\\u{1b}[2J"), "{shown}");
    }
}
