//! This file answers people who know other servers: with options of gunicorn, uvicorn, hypercorn, granian and `wasmtime
//! serve` that are called otherwise here or mean nothing here.

/// These options are not ours, and something takes the place of each.
const OPTIONS: &[(&[&str], &str)] = &[
    (&["-b"], "write --bind"),
    (
        &["-c", "--config-path"],
        "write --config-file, for a file in TOML",
    ),
    (
        &[
            "-k",
            "--worker-class",
            "--loop",
            "--ws",
            "--interface",
            "--lifespan",
            "--task-impl",
            "--no-ws",
            "--protocol",
            "--http-parser",
        ],
        "workers are of one kind here: leave it out",
    ),
    (&["-t", "--timeout"], "write --timeout-request"),
    (
        &["--graceful-timeout", "--workers-kill-timeout"],
        "write --timeout-graceful-shutdown",
    ),
    (&["-u"], "write --user"),
    (&["-g"], "write --group"),
    (&["--keep-alive"], "write --timeout-keep-alive"),
    (
        &["-D", "--daemon"],
        "it stays in the foreground: let systemd, a container or `&` put it into the background, and \
         --pid tell its process",
    ),
    (
        &["-p", "--pid-file"],
        "write --pid for the file of the process, and --port for a port",
    ),
    (
        &["-n", "--name", "--proc-name", "--process-name"],
        "it has no meaning here: leave it out",
    ),
    (
        &[
            "--threads",
            "--worker-connections",
            "--blocking-threads",
            "--blocking-threads-idle-timeout",
            "--runtime-threads",
            "--runtime-blocking-threads",
            "--runtime-mode",
        ],
        "a worker answers many requests at a time: see --limit-concurrency and --limit-connections",
    ),
    (
        &["--max-requests", "--max-requests-jitter"],
        "write --limit-max-requests",
    ),
    (
        &[
            "--limit-request-line",
            "--limit-request-field_size",
            "--limit-request-field-size",
            "--h11-max-incomplete-event-size",
            "--http1-buffer-size",
            "--http2-max-headers-size",
            "--http2-max-header-list-size",
        ],
        "write --limit-head",
    ),
    (&["--limit-request-fields"], "write --limit-headers"),
    (&["--certfile", "--ssl-certificate"], "write --ssl-certfile"),
    (&["--keyfile"], "write --ssl-keyfile"),
    (&["--keyfile-password"], "write --ssl-keyfile-password"),
    (&["--ca-certs", "--ssl-ca"], "write --ssl-ca-certs"),
    (
        &[
            "--cert-reqs",
            "--verify-mode",
            "--ssl-client-verify",
            "--no-ssl-client-verify",
        ],
        "write --ssl-client-auth",
    ),
    (&["--ssl-protocol-min"], "write --ssl-min-version"),
    (&["--quic-bind"], "HTTP/3 is not spoken here: leave it out"),
    (&["--insecure-bind"], "write --bind, or --redirect-http"),
    (&["--read-timeout"], "write --timeout-idle-body"),
    (&["--http1-header-read-timeout"], "write --timeout-header"),
    (
        &[
            "--http1-keep-alive",
            "--no-http1-keep-alive",
            "--http2-keep-alive-interval",
            "--http2-keep-alive-timeout",
        ],
        "see --timeout-keep-alive",
    ),
    (&["--http2-max-concurrent-streams"], "write --limit-streams"),
    (&["--backpressure"], "write --limit-concurrency"),
    (&["--websocket-ping-interval"], "write --ws-ping-interval"),
    (&["--url-path-prefix"], "write --root-path"),
    (&["--env-files"], "write --env-file"),
    (
        &[
            "--static-path-route",
            "--static-path-mount",
            "--static-path-dir-to-file",
            "--static-path-expires",
        ],
        "see --static",
    ),
    (&["--workers-max-rss"], "write --max-worker-rss"),
    (
        &["--rss-sample-interval", "--rss-samples"],
        "see --max-worker-rss",
    ),
    (&["--workers-lifetime"], "write --max-worker-lifetime"),
    (
        &[
            "--respawn-failed-workers",
            "--no-respawn-failed-workers",
            "--respawn-interval",
        ],
        "a worker that ends is always replaced: leave it out",
    ),
    (&["--access-log-fmt"], "write --access-logformat"),
    (&["--error-log"], "write --log-file"),
    (&["--log", "--no-log"], "see --log-level"),
    (&["--debug"], "write --log-level debug"),
    (&["-v"], "write -V, or --log-level debug"),
    (
        &["--no-default-headers"],
        "write --no-server-header and --no-date-header",
    ),
    (&["--http-protocols"], "write --http"),
    (
        &["--http2", "--http2-cleartext"],
        "HTTP/2 is spoken without it, in clear text too: see --http",
    ),
    (&["--websocket-max-message-size"], "write --ws-max-size"),
    (&["--access-log-format"], "write --access-logformat"),
    (
        &["--server-name", "--server-names"],
        "hosts are told apart by --mount HOST/=COMPONENT",
    ),
    (
        &[
            "--dirty-app",
            "--dirty-workers",
            "--dirty-threads",
            "--dirty-timeout",
            "--dirty-graceful-timeout",
        ],
        "workers are of one kind here; for work beside the requests see --every",
    ),
    (
        &[
            "--asgi-lifespan",
            "--asgi-loop",
            "--asgi-disconnect-grace-period",
        ],
        "it has no meaning here: an application's lifespan always runs",
    ),
    (
        &["--do-handshake-on-connect", "--suppress-ragged-eofs"],
        "it has no meaning here: see --timeout-handshake",
    ),
    (
        &[
            "--log-config",
            "--log-config-json",
            "--log-config-dict",
            "--logger-class",
            "--capture-output",
        ],
        "it has no meaning here: see --log-file, --log-format and --access-logformat",
    ),
    (
        &[
            "--log-syslog",
            "--log-syslog-to",
            "--log-syslog-prefix",
            "--log-syslog-facility",
            "--disable-redirect-access-to-syslog",
        ],
        "write --log-file syslog or --access-logfile syslog",
    ),
    (
        &[
            "--statsd-host",
            "--statsd-prefix",
            "--dogstatsd-tags",
            "--enable-backlog-metric",
            "--metrics",
            "--metrics-address",
            "--metrics-port",
            "--metrics-scrape-interval",
            "--no-metrics",
        ],
        "metrics are read at /metrics: see --admin",
    ),
    (
        &["--print-config", "--check-config"],
        "use `wasmserve check`, which takes the same options",
    ),
    (
        &["--control-socket", "--control-socket-mode"],
        "`wasmserve status` and its like use the socket of --admin",
    ),
    (
        &["--proxy-allow-from", "--uwsgi-allow-from"],
        "write --forwarded-allow-ips",
    ),
    (
        &[
            "--permit-obsolete-folding",
            "--permit-unconventional-http-method",
            "--permit-unconventional-http-version",
            "--casefold-http-method",
            "--strip-header-spaces",
            "--header-map",
            "--forwarder-headers",
        ],
        "what two readers could understand in two ways is always refused or dropped: leave it out",
    ),
    (&["-e", "--raw-env"], "write --env"),
    (
        &[
            "--chdir",
            "--app-dir",
            "--pythonpath",
            "--factory",
            "--no-factory",
            "--paste-global",
            "--preload",
            "--paste",
            "--paster",
            "--raw-paste-global-conf",
            "--working-dir",
        ],
        "the component holds its application: it has no meaning here",
    ),
    (
        &[
            "-m",
            "--umask",
            "--worker-tmp-dir",
            "--initgroups",
            "--reuse-port",
            "--sendfile",
            "--no-sendfile",
            "--spew",
            "-R",
            "--enable-stdio-inheritance",
            "--no-control-socket",
            "--ws-per-message-deflate",
            "--reset-contextvars",
            "--http1-pipeline-flush",
            "--no-http1-pipeline-flush",
            "--http2-adaptive-window",
            "--no-http2-adaptive-window",
            "--http2-initial-window-size",
            "--http2-initial-connection-window-size",
            "--http2-initial-stream-window-size",
            "--http2-max-frame-size",
            "--http2-max-send-buffer-size",
        ],
        "it has no meaning here: leave it out",
    ),
    (
        &[
            "--reload-dir",
            "--reload-include",
            "--reload-exclude",
            "--reload-delay",
            "--reload-extra-file",
            "--reload-paths",
            "--reload-ignore-dirs",
            "--reload-ignore-patterns",
            "--reload-ignore-paths",
            "--reload-tick",
        ],
        "--reload watches the component; `wasmserve dev` watches a project, and takes it before the \
         options to serve with",
    ),
    (
        &[
            "--reload-engine",
            "--no-reload",
            "--reload-ignore-worker-failure",
            "--no-reload-ignore-worker-failure",
        ],
        "--reload watches the component, and `wasmserve dev` the project",
    ),
    (&["--forwarded-allow-ip"], "write --forwarded-allow-ips"),
    (&["--addr"], "write --bind"),
    (&["--max-instance-reuse-count"], "write --reuse"),
    (
        &["--max-instance-concurrent-reuse-count"],
        "write --reuse-concurrency",
    ),
    (&["--idle-instance-timeout"], "write --reuse-idle"),
    (
        &["--shutdown-addr"],
        "send TERM, or use `wasmserve stop`, to stop it",
    ),
    (
        &["--no-logging-prefix"],
        "lines of guests always name their request",
    ),
    (
        &["-S", "-W", "-O"],
        "what the WASI worlds have is offered, and granted by options: see --max-memory, --limit-cpu, --allow-net",
    ),
];

/// Names that are more alike than this are perhaps one, misspelt.
pub const SIMILAR: f64 = 0.88;

/// Says how much alike two names are, from 0 to 1.
pub fn likeness(one: &str, other: &str) -> f64 {
    strsim::jaro_winkler(one, other)
}

/// Finds what to write in place of an option that is another server's.
pub fn advice(option: &str) -> Option<&'static str> {
    let of = |(names, _): &&(&[&str], &str)| names.contains(&option);
    OPTIONS.iter().find(of).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_others_have_a_place_here() {
        assert_eq!(advice("-b"), Some("write --bind"));
        assert!(advice("--daemon").is_some() && advice("--no-such").is_none());
        let command = <crate::cli::Cli as clap::CommandFactory>::command();
        let known = |long: &str| {
            command
                .get_arguments()
                .any(|argument| argument.get_long() == Some(long))
        };
        for (names, advice) in OPTIONS {
            for word in advice
                .split([' ', ',', ':'])
                .filter_map(|word| word.strip_prefix("--"))
            {
                assert!(
                    known(word),
                    "{names:?} is told to use --{word}, which is not there"
                );
            }
            for name in names.iter().filter_map(|name| name.strip_prefix("--")) {
                assert!(!known(name), "--{name} is an option of ours");
            }
        }
    }
}
