//! These tests write lines in formats of the access log, as gunicorn and nginx would write them.

use super::AccessFormat;
use crate::log::AccessRecord;
use crate::log::access::tests::ACCESS;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::{Duration, SystemTime};

fn headers(fields: &[(&'static str, &[u8])]) -> HeaderMap {
    let fields = fields.iter().map(|(name, value)| {
        let value = HeaderValue::from_bytes(value).unwrap();
        (HeaderName::from_static(name), value)
    });
    fields.collect()
}

fn written(format: &str, access: &AccessRecord<'_>, request: &[(&'static str, &[u8])]) -> String {
    let format = AccessFormat::parse(format).unwrap();
    let captured = super::CapturedFields {
        request: format.capture_request(&headers(request)),
        response: format.capture_response(&headers(&[("x-out", b"there")])),
    };
    let access = AccessRecord {
        captured: &captured,
        ..*access
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(951_827_696_789);
    format.line(&access, now)
}

#[test]
fn gunicorns_notation_reads_as_gunicorn_writes_it() {
    let request: [(&str, &[u8]); 4] = [
        ("referer", b"http://there/"),
        ("user-agent", b"curl/8"),
        ("authorization", b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("x-in", b"here"),
    ];
    let pid = std::process::id();
    for (format, line) in [
        (
            r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#,
            r#"127.0.0.1 - Aladdin [29/Feb/2000:12:34:56 +0000] "GET /a?b=c HTTP/1.1" 200 14 "http://there/" "curl/8""#.to_owned(),
        ),
        ("%(m)s %(U)s %(q)s %(H)s %(B)s", "GET /a b=c HTTP/1.1 14".to_owned()),
        ("%(T)s %(D)s %(M)s %(L)s %(p)s", format!("0 1500 1 0.001500 <{pid}>")),
        ("%({x-in}i)s %({X-Out}o)s %({none}i)s 100%%", "here there - 100%".to_owned()),
    ] {
        assert_eq!(written(format, &ACCESS, &request), line, "{format}");
    }
    let empty = AccessRecord { sent: 0, ..ACCESS };
    assert_eq!(written("%(b)s %(B)s", &empty, &[]), "- 0");
}

#[test]
fn nginxs_notation_reads_as_nginx_writes_it() {
    let request: [(&str, &[u8]); 2] = [("user-agent", b"curl/8"), ("host", b"me")];
    for (format, line) in [
        (
            "combined",
            r#"127.0.0.1 - - [29/Feb/2000:12:34:56 +0000] "GET /a?b=c HTTP/1.1" 200 14 "-" "curl/8""#,
        ),
        (
            "$remote_addr:$remote_port $request_method $uri$is_args$args $server_protocol",
            "127.0.0.1:52000 GET /a?b=c HTTP/1.1",
        ),
        (
            "${status}ms $request_time $guest_time $msec $time_iso8601",
            "200ms 0.001500 0.000750 951827696.789 2000-02-29T12:34:56.789Z",
        ),
        (
            "$scheme $host $request_id $worker $sent_http_x_out $http_none 5%",
            "http me abc 3 there - 5%",
        ),
    ] {
        assert_eq!(written(format, &ACCESS, &request), line, "{format}");
    }
}

#[test]
fn what_is_no_field_is_refused() {
    for format in [
        "%(z)s",
        "%(h)",
        "%h %(h)s",
        "%(h",
        "%({a b}i)s",
        "%({a}e)s",
        "$nothing",
        "${status",
        "$",
        "plain",
        "",
        "$status\n",
        "$http_",
        "%(h)s\u{1b}",
    ] {
        assert!(AccessFormat::parse(format).is_err(), "{format}");
    }
    assert!(AccessFormat::parse(&format!("$status{}", "x".repeat(2000))).is_err());
}

/// Whatever a client sends, its line stays one line, its quotes stay closed, and a terminal does nothing.
#[test]
fn no_value_can_forge_a_line() {
    let nasty = "\" 200 OK\\ \t\u{e4}\u{202e}\u{9b}31m".as_bytes();
    let forged: [(&str, &[u8]); 2] = [("user-agent", nasty), ("authorization", b"Basic IgphXDpi")];
    let access = AccessRecord {
        target: "/\"a\nINFO: \u{1b}[2J?\\",
        method: "GET",
        id: Some("i\"d"),
        ..ACCESS
    };
    for format in [
        r#""$http_user_agent" "$remote_user" "$request" "$request_uri" "$uri" "$args" "$request_id""#,
        r#""%(a)s" "%(u)s" "%(r)s" "%(U)s" "%(q)s" "%({user-agent}i)s""#,
    ] {
        let line = written(format, &access, &forged);
        let printable = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(printable, "{line}");
        assert_eq!(
            line.matches('"').count(),
            format.matches('"').count(),
            "{line}"
        );
        assert!(!line.contains("\\ ") && !line.contains("\\\""), "{line}");
    }
    let json = r#"{"agent":"$http_user_agent","user":"$remote_user","line":"$request","id":"$request_id"}"#;
    let line = written(json, &access, &forged);
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["user"], "\"\na\\");
    assert_eq!(object["line"], "GET /\"a\nINFO: \u{1b}[2J?\\ HTTP/1.1");
}

#[test]
fn a_line_stays_short_enough_to_be_written_at_once() {
    let long = [b'x'; 50_000];
    let wild = [0x80; 50_000];
    for value in [&long[..], &wild] {
        let request: [(&str, &[u8]); 2] = [("user-agent", value), ("referer", value)];
        let target = format!("/{}", "\u{e4}".repeat(30_000));
        let access = AccessRecord {
            target: &target,
            ..ACCESS
        };
        for format in [
            "combined",
            r#"{"a":"$http_user_agent$http_referer$request$uri"}"#,
        ] {
            let line = written(format, &access, &request);
            assert!(line.len() < 4096 && line.contains("..."), "{}", line.len());
        }
    }
}
