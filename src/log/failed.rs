//! This file tells of a request that the guest has failed: in words, or as the members of a JSON object that tools
//! find the request, the code and the place in the code by.

use super::encode::{Json, Timestamp};
use super::{Format, Level, STDERR, component, emit, push_target, push_trace, settings};
use crate::trace::Trace;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

/// A `FailedRequest` is a request that failed, and why.
pub struct FailedRequest<'a> {
    pub client: &'a dyn fmt::Display,
    pub method: &'a str,
    pub target: &'a str,
    pub id: Option<&'a str>,
    pub trace: Option<&'a Trace>,
    /// The failure is this in words, and is counted as one of this kind.
    pub what: &'a dyn fmt::Display,
    pub kind: &'static str,
    /// These functions were running, innermost first, where the guest has trapped.
    pub backtrace: Option<String>,
    pub core_dump: Option<&'a Path>,
}

/// Writes what is known of a failure.
pub fn failed(failed: &FailedRequest<'_>) {
    let settings = settings();
    if Level::Error > settings.level {
        return;
    }
    match settings.format {
        Format::Text => super::write_of(Level::Error, failed.trace, format_args!("{failed}")),
        Format::Json => {
            let line = failed.json(SystemTime::now());
            emit(&STDERR, &settings.file, Level::Error, &line);
        }
    }
}

/// Writes the words.
impl fmt::Display for FailedRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut target = String::new();
        push_target(&mut target, self.target);
        write!(f, "{} \"{} {target}\"", self.client, self.method)?;
        let name = super::request_name(self.id, self.trace);
        if !name.is_empty() {
            write!(f, " [{name}]")?;
        }
        write!(f, ": {}", self.what)?;
        if let (Some(_), Some(component)) = (&self.backtrace, component()) {
            write!(f, "\ncomponent {component}")?;
        }
        match self.core_dump {
            Some(path) => write!(f, "\ncore dump {}", path.display()),
            None => Ok(()),
        }
    }
}

impl FailedRequest<'_> {
    fn json(&self, now: SystemTime) -> String {
        let mut line = String::with_capacity(512);
        let mut target = String::new();
        push_target(&mut target, self.target);
        let _ = write!(
            line,
            r#"{{"time":"{}","level":"ERROR","pid":{},"message":"{}","failure":"{}","client":"{}","method":"{}","target":"{target}""#,
            Timestamp(now),
            std::process::id(),
            Json(&self.to_string()),
            self.kind,
            self.client,
            Json(self.method),
        );
        let core_dump = self.core_dump.map(|path| path.display().to_string());
        for (name, value) in [
            ("request_id", self.id),
            ("component", component()),
            ("backtrace", self.backtrace.as_deref()),
            ("core_dump", core_dump.as_deref()),
        ] {
            if let Some(value) = value {
                let _ = write!(line, r#","{name}":"{}""#, Json(value));
            }
        }
        push_trace(&mut line, self.trace);
        line.push_str("}\n");
        line
    }
}
