//! A request may name another host than the one of its URL, which is connected to. WASI has no place for that: the
//! bridges of `wasmserve build` write it into a field of ours (`wit/world.wit`). Behind one address there may be many
//! hosts, so the rules that allow the one of the URL by its name do not allow another.

use super::connect::destination;
use crate::guest::host::network::Rules;
use crate::warning;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use std::net::IpAddr;
use std::sync::Once;

const NAMED_HOST: HeaderName = HeaderName::from_static("wasmserve-host");

/// Makes the field a Host where the rules allow the host that it names, or where the URL has an address: then it is the
/// address that is allowed. Elsewhere the host of the URL is named.
pub fn settle<T>(rules: &Rules, request: &mut Request<T>) {
    let Some(named) = take(request.headers_mut()) else {
        return;
    };
    let of_url = request.uri().authority();
    if of_url.is_some_and(|of_url| of_url == &named) {
        return;
    }
    if !is_allowed(rules, request, &named) {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            warning!(
                "the guest names `{}` as Host to another server, which no rule allows: the server's own name is \
                 sent instead (--allow-http)",
                crate::log::escape(named.as_str())
            );
        });
    } else if let Ok(value) = HeaderValue::try_from(named.as_str()) {
        request.headers_mut().insert(HOST, value);
    }
}

/// Takes out what a guest has written, if that is one host.
fn take(headers: &mut HeaderMap) -> Option<Authority> {
    let mut values = headers.get_all(NAMED_HOST).iter();
    let (first, second) = (values.next().cloned(), values.next().is_some());
    headers.remove(NAMED_HOST);
    let named = Authority::try_from(first?.as_bytes()).ok()?;
    (!second && !named.as_str().contains('@')).then_some(named)
}

fn is_allowed<T>(rules: &Rules, request: &Request<T>, named: &Authority) -> bool {
    let Some((scheme, host, port)) = destination(request.uri()) else {
        return false;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = named.port_u16().unwrap_or(port);
    bare.parse::<IpAddr>().is_ok() || rules.permit(scheme, named.host(), port).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::host::network::Rule;

    fn left(url: &str, named: &[&str]) -> Option<String> {
        let rules = [
            "http://10.0.0.0/8",
            "http://one.example",
            "http://two.example:80",
        ];
        let rules = rules.map(|rule| Rule::parse(rule).unwrap());
        let mut request = Request::get(url);
        for named in named {
            request = request.header(NAMED_HOST, *named);
        }
        let mut request = request.body(()).unwrap();
        settle(&Rules::new(rules.to_vec()), &mut request);
        let left = request.headers().get(HOST)?;
        Some(left.to_str().unwrap().to_owned())
    }

    #[test]
    fn another_host_is_named_only_where_that_is_allowed() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            left("http://one.example/", &["two.example"]),
            some("two.example")
        );
        assert_eq!(left("http://one.example/", &["three.example"]), None);
        assert_eq!(
            left("http://10.0.0.1/", &["three.example"]),
            some("three.example")
        );
        assert_eq!(left("http://one.example/", &["One.example"]), None);
        assert_eq!(left("http://10.0.0.1/", &["a@b"]), None);
        assert_eq!(left("http://10.0.0.1/", &["a", "b"]), None);
        assert_eq!(left("http://10.0.0.1/", &[]), None);
    }
}
