//! Files that are served without asking the guest: those that exist below the paths that the operator
//! names. What does not exist there is the guest's to answer.

mod beneath;

use anyhow::{Context, Result};
use beneath::Beneath;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper_staticfile::{AcceptEncoding, ResolveResult, Resolver, ResponseBuilder};
use std::path::PathBuf;

pub type FileBody = hyper_staticfile::Body;

/// A directory, and the path below which its files are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Begins with a slash and does not end with one; empty for the root.
    pub prefix: String,
    pub path: PathBuf,
}

/// All of them, the longest prefix first.
pub struct Files(Vec<(String, Resolver<Beneath>)>);

impl Files {
    pub fn open(directories: &[Directory]) -> Result<Files> {
        let mut open = Vec::new();
        for directory in directories {
            let beneath = Beneath::open(&directory.path).with_context(|| {
                format!("cannot open the directory `{}`", directory.path.display())
            })?;
            let mut resolver = Resolver::with_opener(beneath);
            resolver.allowed_encodings = AcceptEncoding::all();
            open.push((directory.prefix.clone(), resolver));
        }
        open.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(Files(open))
    }

    /// The answer to a request for a file that exists.
    pub async fn answer(&self, request: &Parts) -> Option<Response<FileBody>> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        let path = request.uri.path();
        let (prefix, resolver, rest) = self.0.iter().find_map(|(prefix, resolver)| {
            let rest = path.strip_prefix(prefix.as_str())?;
            rest.starts_with('/').then_some((prefix, resolver, rest))
        })?;
        let wanted = request.headers.get(header::ACCEPT_ENCODING);
        let wanted = wanted.map_or(AcceptEncoding::none(), AcceptEncoding::from_header_value);
        let found = match resolver.resolve_path(rest, wanted).await {
            Ok(ResolveResult::IsDirectory { redirect_to }) => ResolveResult::IsDirectory {
                redirect_to: format!("{prefix}{redirect_to}"),
            },
            Ok(found @ ResolveResult::Found(_)) => found,
            // What cannot be opened is as good as not there.
            _ => return None,
        };
        let mut builder = ResponseBuilder::new();
        builder.request_parts(&request.method, &request.uri, &request.headers);
        let mut response = builder.build(found).ok()?;
        if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
            let vary = HeaderValue::from_static("accept-encoding");
            response.headers_mut().append(header::VARY, vary);
        }
        Some(match is_known(&request.headers, response.headers()) {
            true => not_modified(response),
            false if request.method == Method::HEAD => response.map(|_| FileBody::Empty),
            false => response,
        })
    }
}

/// Whether the client has it already (RFC 9110 section 13.1.2).
fn is_known(request: &HeaderMap, response: &HeaderMap) -> bool {
    let Some(tag) = response.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else {
        return false;
    };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = request.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    known.any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}

fn not_modified(response: Response<FileBody>) -> Response<FileBody> {
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
    ] {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, FileBody::Empty)
}
