//! Files below the paths that the operator names are served without asking the guest. What does not exist there is the
//! guest's to answer.

mod confined_directory;
mod ranges;
mod validator;

use super::RootPath;
use super::compress::Coding;
use super::ids::Ids;
use anyhow::{Context, Result};
use confined_directory::{ConfinedDirectory, Identified};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_range::HttpRange;
use hyper_staticfile::util::{FileBytesStream, FileBytesStreamMultiRange, FileBytesStreamRange};
use hyper_staticfile::vfs::IntoFileAccess;
use hyper_staticfile::{AcceptEncoding, ResolveResult, ResolvedFile, Resolver};
use ranges::{Part, SelectedRanges};
use std::path::PathBuf;
use std::time::SystemTime;
use validator::PreconditionResult;

pub type FileBody = hyper_staticfile::Body;

/// A `Directory` has the path below which its files are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Begins with a slash and does not end with one; empty for the root.
    pub prefix: String,
    pub path: PathBuf,
}

/// `Files` are those of all directories that the operator names.
pub struct Files {
    /// The directory with the longest prefix comes first.
    directories: Vec<(String, Resolver<ConfinedDirectory>)>,
    /// These separate the parts of a response.
    boundaries: Ids,
}

impl Files {
    pub fn open(directories: &[Directory]) -> Result<Files> {
        let mut open = Vec::new();
        for directory in directories {
            let confined = ConfinedDirectory::open(&directory.path).with_context(|| {
                format!("cannot open the directory `{}`", directory.path.display())
            })?;
            let mut resolver = Resolver::with_opener(confined);
            resolver.allowed_encodings = AcceptEncoding::all();
            open.push((directory.prefix.clone(), resolver));
        }
        open.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(Files {
            directories: open,
            boundaries: Ids::seeded(),
        })
    }

    /// Answers a request for a file that exists. Its path is without `root`.
    pub async fn answer(
        &self,
        request: &Parts,
        root: Option<&RootPath>,
    ) -> Option<Response<FileBody>> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        let path = request.uri.path();
        let (resolver, rest) = self.directories.iter().find_map(|(prefix, resolver)| {
            let rest = path.strip_prefix(prefix.as_str())?;
            rest.starts_with('/').then_some((resolver, rest))
        })?;
        for wanted in siblings(&request.headers) {
            match resolver.resolve_path(rest, wanted).await {
                Ok(ResolveResult::IsDirectory { .. }) => return redirect(&request.uri, root),
                // The client would rather have another one that was compressed before, if there is such.
                Ok(ResolveResult::Found(file)) if file.encoding.is_none() && !is_last(wanted) => {}
                Ok(ResolveResult::Found(mut file)) => {
                    file.content_type = file.content_type.map(with_charset);
                    return Some(self.found(request, file));
                }
                // What cannot be opened is as good as not there.
                _ => return None,
            }
        }
        None
    }

    fn found(&self, request: &Parts, file: ResolvedFile<Identified>) -> Response<FileBody> {
        let mut response = Response::new(FileBody::Empty);
        let headers = response.headers_mut();
        let vary = HeaderValue::from_static("accept-encoding");
        headers.insert(header::VARY, vary);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let validator = &file.handle.validator;
        validator.tell(headers);
        match validator.validate(&request.headers) {
            PreconditionResult::Met => {}
            PreconditionResult::NotModified => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return response;
            }
            PreconditionResult::Failed => {
                *response.status_mut() = StatusCode::PRECONDITION_FAILED;
                return response;
            }
        }
        let is_head = request.method == Method::HEAD;
        // Ranges are for GET alone (RFC 9110 section 14.2).
        let in_parts = !is_head && validator.allows_ranges(&request.headers, SystemTime::now());
        let wanted = match in_parts {
            true => ranges::wanted(&request.headers, file.size),
            false => SelectedRanges::Whole,
        };
        describe(headers, &file);
        match wanted {
            SelectedRanges::Whole => {
                headers.insert(header::CONTENT_LENGTH, file.size.into());
                if !is_head {
                    let access = file.handle.into_file_access();
                    let stream = FileBytesStream::new_with_limit(access, file.size);
                    *response.body_mut() = FileBody::Full(stream);
                }
                response
            }
            SelectedRanges::Parts(parts) => self.partial(response, file, parts),
            SelectedRanges::Nothing => unsatisfiable(response, file.size),
        }
    }

    fn partial(
        &self,
        mut response: Response<FileBody>,
        file: ResolvedFile<Identified>,
        parts: Vec<Part>,
    ) -> Response<FileBody> {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let headers = response.headers_mut();
        let (size, access) = (file.size, file.handle.into_file_access());
        let parts: Vec<HttpRange> = parts.into_iter().map(range).collect();
        if let [part] = parts[..] {
            let (start, end) = (part.start, part.start + part.length - 1);
            let range = format!("bytes {start}-{end}/{size}");
            set(headers, header::CONTENT_RANGE, &range);
            headers.insert(header::CONTENT_LENGTH, part.length.into());
            *response.body_mut() = FileBody::Range(FileBytesStreamRange::new(access, part));
            return response;
        }
        let boundary = self.boundaries.make();
        let boundary = boundary.to_str().unwrap_or_default();
        let kind = format!("multipart/byteranges; boundary={boundary}");
        set(headers, header::CONTENT_TYPE, &kind);
        let boundary = boundary.to_owned();
        let mut stream = FileBytesStreamMultiRange::new(access, parts, boundary, size);
        if let Some(kind) = &file.content_type {
            stream.set_content_type(kind);
        }
        headers.insert(header::CONTENT_LENGTH, stream.compute_length().into());
        *response.body_mut() = FileBody::MultiRange(stream);
        response
    }
}

/// Lists what may stand compressed beside a file, by the codings that the client wants most, and the file itself at
/// last.
fn siblings(headers: &HeaderMap) -> impl Iterator<Item = AcceptEncoding> {
    let wanted = Coding::wanted_equally(headers).into_iter();
    let wanted = wanted.map(|equal| AcceptEncoding {
        gzip: equal.contains(&Coding::Gzip),
        br: equal.contains(&Coding::Brotli),
    });
    wanted
        .filter(|wanted| !is_last(*wanted))
        .chain([AcceptEncoding::none()])
}

fn is_last(wanted: AcceptEncoding) -> bool {
    !wanted.gzip && !wanted.br
}

/// Texts are in UTF-8, as Starlette has it: without a word a browser takes them to be in the encoding of its country.
fn with_charset(kind: String) -> String {
    match kind.starts_with("text/") && !kind.contains("charset") {
        true => format!("{kind}; charset=utf-8"),
        false => kind,
    }
}

fn range(part: Part) -> HttpRange {
    HttpRange {
        start: part.start,
        length: part.length,
    }
}

/// Adds the fields of the representation itself.
fn describe(headers: &mut HeaderMap, file: &ResolvedFile<Identified>) {
    if let Some(kind) = &file.content_type {
        set(headers, header::CONTENT_TYPE, kind);
    }
    if let Some(encoding) = file.encoding {
        headers.insert(header::CONTENT_ENCODING, encoding.to_header_value());
    }
}

/// Says how long the file is, so that the client can ask for what there is (RFC 9110 section 15.5.17).
fn unsatisfiable(mut response: Response<FileBody>, size: u64) -> Response<FileBody> {
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.remove(header::CONTENT_ENCODING);
    set(headers, header::CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// Redirects to a directory with a slash at its end, so that what its page names is found beside it: at the path that
/// the client knows, which no other host's can be made of.
fn redirect(asked: &Uri, root: Option<&RootPath>) -> Option<Response<FileBody>> {
    let root = root.map_or("", RootPath::as_str);
    let path = asked.path().trim_start_matches(['/', '\\']);
    let mut location = format!("{root}/");
    for byte in path.bytes() {
        match is_for_a_path(byte) {
            true => location.push(char::from(byte)),
            false => location.push_str(&format!("%{byte:02X}")),
        }
    }
    location.push('/');
    if let Some(query) = asked.query() {
        location.push('?');
        location.push_str(query);
    }
    let mut response = Response::new(FileBody::Empty);
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let location = HeaderValue::try_from(location).ok()?;
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

/// Says whether a byte may stand in a path (RFC 3986 section 3.3), with what is encoded already.
fn is_for_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_its_host_and_below_its_root() {
        let root = RootPath::parse("/api").unwrap();
        for (asked, root, expected) in [
            ("http://a/assets/sub", root.as_ref(), "/api/assets/sub/"),
            ("http://a/d%20%C3%A9?x=y", None, "/d%20%C3%A9/?x=y"),
            ("http://a//evil.example", None, "/evil.example/"),
            ("http://a/\\evil.example", None, "/evil.example/"),
            ("http://a/a\\b", None, "/a%5Cb/"),
        ] {
            let response = redirect(&asked.parse().unwrap(), root).unwrap();
            assert_eq!(response.headers()[header::LOCATION], expected);
        }
    }
}
