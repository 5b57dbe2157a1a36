//! This file has the names of the fields of formats: gunicorn's atoms, and nginx's variables.

use super::{AccessFormat, Field, Piece};
use anyhow::{Context, Result, bail};
use http::HeaderName;

/// gunicorn has these atoms (its setting `access_log_format`).
const ATOMS: [(&str, Field); 16] = [
    ("h", Field::Address),
    ("l", Field::Nothing),
    ("t", Field::BracketedTime),
    ("r", Field::RequestLine),
    ("m", Field::Method),
    ("U", Field::Path),
    ("q", Field::Query),
    ("H", Field::Protocol),
    ("s", Field::Status),
    ("B", Field::Sent),
    ("b", Field::SentOrDash),
    ("T", Field::Seconds),
    ("D", Field::Microseconds),
    ("M", Field::Milliseconds),
    ("L", Field::DecimalSeconds),
    ("p", Field::BracketedProcess),
];

/// nginx has these variables (ngx_http_core_module, ngx_http_log_module), and some are our own.
const VARIABLES: [(&str, Field); 26] = [
    ("remote_addr", Field::Address),
    ("remote_port", Field::Port),
    ("time_local", Field::LocalTime),
    ("time_iso8601", Field::IsoTime),
    ("msec", Field::UnixTime),
    ("request", Field::RequestLine),
    ("request_method", Field::Method),
    ("request_uri", Field::Target),
    ("uri", Field::Path),
    ("document_uri", Field::Path),
    ("args", Field::Query),
    ("query_string", Field::Query),
    ("is_args", Field::QuestionMark),
    ("server_protocol", Field::Protocol),
    ("scheme", Field::Scheme),
    ("status", Field::Status),
    ("body_bytes_sent", Field::Sent),
    ("request_body_length", Field::Received),
    ("request_time", Field::DecimalSeconds),
    ("upstream_response_time", Field::GuestSeconds),
    ("guest_time", Field::GuestSeconds),
    ("pid", Field::Process),
    ("worker", Field::Worker),
    ("request_id", Field::RequestId),
    ("trace_id", Field::TraceId),
    ("span_id", Field::SpanId),
];

/// Reads `%(h)s`, `%({accept}i)s`, and `%%`.
pub fn gunicorn(text: &str, format: &mut AccessFormat) -> Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        format.push_text(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            format.push_text("%");
            rest = after;
            continue;
        }
        let inside = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let Some((name, after)) = inside else {
            bail!("`%` begins no field; write %(h)s, or %% for the character");
        };
        // Python's conversions that suit: text, and numbers.
        rest = match after.strip_prefix(['s', 'd']) {
            Some(rest) => rest,
            None => bail!("`%({name})` is not followed by `s`; write %({name})s"),
        };
        atom(name, format)?;
    }
    format.push_text(rest);
    Ok(())
}

fn atom(name: &str, format: &mut AccessFormat) -> Result<()> {
    if let Some((field, kind)) = name.strip_prefix('{').and_then(|it| it.split_once('}')) {
        match kind {
            "i" => format.push_request_field(header(field)?),
            "o" => format.push_response_field(header(field)?),
            _ => bail!("`%({name})s` is no field; `i` is for requests and `o` for responses"),
        }
        return Ok(());
    }
    match name {
        "u" => format.push_user(),
        "f" => format.push_request_field(http::header::REFERER),
        "a" => format.push_request_field(http::header::USER_AGENT),
        _ => {
            let known = ATOMS.iter().find(|(known, _)| *known == name);
            let (_, field) = known.with_context(|| {
                format!(
                    "`%({name})s` is no field; use those of h, l, u, t, r, m, U, q, H, s, B, b, f, a, T, D, M, L, \
                     p, {{name}}i and {{name}}o"
                )
            })?;
            format.pieces.push(Piece::Known(*field));
        }
    }
    Ok(())
}

/// Reads `$status` and `${status}`.
pub fn nginx(text: &str, format: &mut AccessFormat) -> Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        format.push_text(&rest[..at]);
        rest = &rest[at + 1..];
        let name;
        if let Some(inside) = rest.strip_prefix('{') {
            (name, rest) = inside
                .split_once('}')
                .context("a `${` has no end; write ${status}")?;
        } else {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            (name, rest) = rest.split_at(end);
        }
        variable(name, format)?;
    }
    format.push_text(rest);
    if !format
        .pieces
        .iter()
        .any(|piece| !matches!(piece, Piece::Text(_)))
    {
        bail!(
            "it has no field; write it like `$remote_addr \"$request\" $status` or `%(h)s \"%(r)s\" %(s)s`"
        );
    }
    Ok(())
}

fn variable(name: &str, format: &mut AccessFormat) -> Result<()> {
    let dashed = |name: &str| header(&name.replace('_', "-"));
    if let Some(field) = name.strip_prefix("http_") {
        format.push_request_field(dashed(field)?);
    } else if let Some(field) = name.strip_prefix("sent_http_") {
        format.push_response_field(dashed(field)?);
    } else if let "content_type" | "content_length" | "host" = name {
        format.push_request_field(dashed(name)?);
    } else if name == "remote_user" {
        format.push_user();
    } else {
        let known = VARIABLES.iter().find(|(known, _)| *known == name);
        let (_, field) = known.with_context(|| {
            format!(
                "`${name}` is no field; see docs/watching.md for those that there are, among them $remote_addr, \
                 $request, $status, $body_bytes_sent, $request_time, $http_NAME and $sent_http_NAME"
            )
        })?;
        format.pieces.push(Piece::Known(*field));
    }
    Ok(())
}

fn header(name: &str) -> Result<HeaderName> {
    HeaderName::try_from(name)
        .with_context(|| format!("`{name}` is not the name of a header field"))
}
