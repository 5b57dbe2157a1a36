//! Other servers honour these variables, and so does this one where nothing else is said.

/// gunicorn and uvicorn take the number of workers from this variable.
pub const WORKERS: &str = "WEB_CONCURRENCY";

/// Platforms that run containers name the port in this variable.
pub const PORT: &str = "PORT";

/// gunicorn and uvicorn take the proxies that are believed from this variable.
pub const PROXIES: &str = "FORWARDED_ALLOW_IPS";
