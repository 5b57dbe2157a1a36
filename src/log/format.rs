//! A line of the access log may have a format of the operator's own, in gunicorn's notation or in nginx's. It is read
//! once, at the start: a field that is not known is refused there.

mod line;
mod names;
#[cfg(test)]
mod tests;

use super::AccessRecord;
use anyhow::{Result, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use line::Line;
use std::time::SystemTime;

/// nginx predefines a format of this name (ngx_http_log_module).
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                        \"$http_referer\" \"$http_user_agent\"";

/// Apache predefines this format, which is nginx's without the last two fields.
const COMMON: &str =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent";

/// A format has no more bytes of its own: the rest of a line belongs to the request.
const LONGEST: usize = 1024;

/// An `AccessFormat` is what each line consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessFormat {
    pieces: Vec<Piece>,
    /// The values of these fields are taken from the head of a request, and of a response.
    request_fields: Vec<HeaderName>,
    response_fields: Vec<HeaderName>,
    /// The format is that of a JSON object, and what stands in it is escaped accordingly.
    json: bool,
    /// The clients' own words have this much room in a line, so that it leaves in one write.
    room: usize,
}

/// A `Piece` is some text, or what is put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Known(Field),
    /// This field of the request's head is written, by its place in the list of those that are taken.
    OfRequest(usize),
    /// This field of the response's head is written, by its place in that list.
    OfResponse(usize),
    /// The user's name is written, from the credentials that are taken at this place of the list (RFC 7617).
    User(usize),
}

/// A `Field` is known of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Address,
    Port,
    Nothing,
    BracketedTime,
    LocalTime,
    IsoTime,
    UnixTime,
    RequestLine,
    Method,
    Target,
    Path,
    Query,
    QuestionMark,
    Protocol,
    Scheme,
    Status,
    Sent,
    SentOrDash,
    Received,
    Seconds,
    DecimalSeconds,
    Milliseconds,
    Microseconds,
    GuestSeconds,
    Process,
    BracketedProcess,
    Worker,
    RequestId,
    TraceId,
    SpanId,
}

/// `CapturedFields` has the values of the header fields that a format has, of one request.
#[derive(Debug, Default)]
pub struct CapturedFields {
    pub request: Vec<Option<HeaderValue>>,
    pub response: Vec<Option<HeaderValue>>,
}

impl AccessFormat {
    /// Reads a format: `combined`, `common`, gunicorn's notation where there is a `%(`, and else nginx's.
    pub fn parse(text: &str) -> Result<AccessFormat> {
        let text = match text {
            "combined" => COMBINED,
            "common" => COMMON,
            other => other,
        };
        if text.len() > LONGEST {
            bail!(
                "it has {} bytes, and there is room for {LONGEST}",
                text.len()
            );
        }
        if text.chars().any(char::is_control) {
            bail!("it has a control character; each request has one line");
        }
        let mut format = AccessFormat {
            pieces: Vec::new(),
            request_fields: Vec::new(),
            response_fields: Vec::new(),
            json: text.trim_start().starts_with('{'),
            room: 0,
        };
        if text.contains("%(") {
            names::gunicorn(text, &mut format)?;
        } else {
            names::nginx(text, &mut format)?;
        }
        format.room = line::room(text.len(), format.pieces.len());
        Ok(format)
    }

    fn push_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ if text.is_empty() => {}
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn push_request_field(&mut self, name: HeaderName) {
        let place = place(&mut self.request_fields, name);
        self.pieces.push(Piece::OfRequest(place));
    }

    fn push_response_field(&mut self, name: HeaderName) {
        let place = place(&mut self.response_fields, name);
        self.pieces.push(Piece::OfResponse(place));
    }

    fn push_user(&mut self) {
        let place = place(&mut self.request_fields, http::header::AUTHORIZATION);
        self.pieces.push(Piece::User(place));
    }

    /// Takes what this format needs from the head of a request.
    pub fn capture_request(&self, headers: &HeaderMap) -> Vec<Option<HeaderValue>> {
        taken(&self.request_fields, headers)
    }

    /// Takes what this format needs from the head of a response.
    pub fn capture_response(&self, headers: &HeaderMap) -> Vec<Option<HeaderValue>> {
        taken(&self.response_fields, headers)
    }

    /// Returns the line for a request, without its end.
    pub(super) fn line(&self, access: &AccessRecord<'_>, now: SystemTime) -> String {
        let mut line = Line::new(self.json, self.room);
        let value = |values: &[Option<HeaderValue>], place: usize| -> Option<HeaderValue> {
            values.get(place).cloned().flatten()
        };
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.push_own(text),
                Piece::Known(field) => line.push_field(*field, access, now),
                Piece::OfRequest(place) => line.push_value(value(&access.captured.request, *place)),
                Piece::OfResponse(place) => {
                    line.push_value(value(&access.captured.response, *place));
                }
                Piece::User(place) => line.push_user(value(&access.captured.request, *place)),
            }
        }
        line.text
    }
}

/// Finds the place of a name in a list, to which it is added where it is missing.
fn place(names: &mut Vec<HeaderName>, name: HeaderName) -> usize {
    let known = names.iter().position(|known| *known == name);
    known.unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    })
}

fn taken(names: &[HeaderName], headers: &HeaderMap) -> Vec<Option<HeaderValue>> {
    let names = names.iter();
    names.map(|name| headers.get(name).cloned()).collect()
}
