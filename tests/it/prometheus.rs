//! Metrics as Prometheus itself reads them: its tool finds no fault with them, and its server scrapes and plots them.

use crate::harness::{Connection, HELLO, Server, eventually, get, said};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_metrics_are_what_prometheus_reads() {
    let watched = Server::component(HELLO).workers(2).watched();
    assert_eq!(get(watched.server.address, "/").status, 200);
    let page = watched.ask("/metrics");
    assert_eq!(
        page.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let open = Connection::open(watched.admin)
        .get("/metrics")
        .header("Accept", "application/openmetrics-text; version=1.0.0")
        .response()
        .unwrap();
    let kind = open.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(open.text().ends_with("# EOF\n"));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool comes with Debian's package `prometheus`");
    let mut text = promtool.stdin.take().unwrap();
    text.write_all(&page.body).unwrap();
    drop(text);
    let checked = promtool.wait_with_output().unwrap();
    assert!(
        checked.status.success() && said(&checked).is_empty(),
        "{}\n{}",
        said(&checked),
        page.text()
    );
}

/// What it accepts and cannot plot is of no use.
#[test]
fn a_prometheus_scrapes_the_server_and_plots_it() {
    let watched = Server::component(HELLO).arg("--no-access-log").watched();
    for _ in 0..25 {
        assert_eq!(get(watched.server.address, "/").status, 200);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let config = folder.join("prometheus.yml");
    let target = watched.admin;
    let text = format!(
        "scrape_configs:\n- job_name: wasmserve\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['{target}']\n"
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("prometheus");
    command.args([
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        "--web.listen-address=127.0.0.1:0".to_owned(),
    ]);
    let prometheus = Server::command(command).until("Listening on").start();
    let line = prometheus.wait_for("Listening on");
    let address = line.split("address=").nth(1).unwrap().trim();
    let address: std::net::SocketAddr = address.parse().unwrap();
    let ask = |path: &str| -> Value {
        serde_json::from_slice(&get(address, path).body).unwrap_or_default()
    };
    eventually("what was counted is what clients saw", || {
        let asked = ask("/api/v1/query?query=sum(wasmserve_requests_total)");
        asked["data"]["result"][0]["value"][1] == "25"
    });
    eventually("there are points to plot", || {
        let quantile =
            "histogram_quantile(0.99,sum(wasmserve_request_duration_seconds_bucket)by(le))";
        let asked = ask(&format!("/api/v1/query?query={quantile}"));
        let value = asked["data"]["result"][0]["value"][1].as_str();
        let value: f64 = value.and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let points = ask("/api/v1/query?query=wasmserve_ready[1m]");
        let points = points["data"]["result"][0]["values"].as_array().cloned();
        value > 0.0 && points.is_some_and(|points| points.len() > 1)
    });
    fs::remove_dir_all(&folder).unwrap_or_default();
}
