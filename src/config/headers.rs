//! This file resolves and checks who is believed, and what is added to heads.

use super::{honoured, maybe, option, variable};
use crate::cli;
use crate::cli::honoured::PROXIES;
use crate::request::{HeaderPolicy, Proxies, RootPath};
use anyhow::{Context, Result, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use std::net::IpAddr;

pub fn resolve(asked: &cli::Headers) -> Result<HeaderPolicy> {
    Ok(HeaderPolicy {
        proxies: proxies(asked)?,
        root_path: option("--root-path", &asked.root_path, RootPath::parse)?,
        request_id: asked.gives_ids(),
        client_header: maybe("--client-header", asked.client_header.as_ref(), name)?,
        request_headers: fields("--request-header", &asked.request_header)?,
        server: asked
            .adds_server()
            .then_some(HeaderValue::from_static("wasmserve")),
        response_headers: fields("--header", &asked.header)?,
    })
}

/// Resolves whose statements in heads are believed.
fn proxies(asked: &cli::Headers) -> Result<Proxies> {
    let trusted = trusted(asked)?;
    match asked.believes_proxies() {
        true => Ok(trusted),
        false => Ok(Proxies::default()),
    }
}

/// Resolves whose PROXY headers are believed, where that protocol is spoken.
pub fn introducers(asked: &cli::Headers, spoken: bool) -> Result<Option<Proxies>> {
    let trusted = trusted(asked)?;
    if spoken && trusted == Proxies::default() {
        bail!(
            "option --proxy-protocol: nobody is trusted; name proxies with --forwarded-allow-ips"
        );
    }
    Ok(Some(trusted).filter(|_| spoken))
}

fn trusted(asked: &cli::Headers) -> Result<Proxies> {
    if let Some(items) = &asked.forwarded_allow_ips {
        return option("--forwarded-allow-ips", &items.join(","), listed);
    }
    match honoured(PROXIES, listed)? {
        Some(proxies) => Ok(proxies),
        None => listed(THIS_MACHINE),
    }
}

/// Proxies on this machine are believed where nobody says whom to believe.
const THIS_MACHINE: &str = "127.0.0.1";

/// Gives the list of those who are trusted where no option says whom to trust.
pub fn trusted_anyway() -> String {
    variable(PROXIES).unwrap_or_else(|| THIS_MACHINE.to_owned())
}

/// Reads a list of those who are trusted.
fn listed(list: &str) -> Result<Proxies> {
    let mut proxies = Proxies::default();
    for item in list.split(',') {
        trust(&mut proxies, item.trim())?;
    }
    Ok(proxies)
}

fn trust(proxies: &mut Proxies, item: &str) -> Result<()> {
    match item {
        "" => {}
        "*" => proxies.all = true,
        "unix" => proxies.unix = true,
        _ => proxies.networks.push(network(item)?),
    }
    Ok(())
}

fn network(text: &str) -> Result<IpNet> {
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let network: IpNet = text.parse().with_context(|| {
        format!(
            "`{text}` is neither an address nor a network; write it like 10.0.0.1, 10.0.0.0/8, \
             unix or *"
        )
    })?;
    Ok(network.trunc())
}

/// Nobody adds these fields by hand: messages are told apart by them, or they belong to one connection (RFC 9110
/// section 7.6.1, RFC 9112 section 6).
const OURS_ALONE: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn fields(option_name: &str, texts: &[String]) -> Result<HeaderMap> {
    let mut fields = HeaderMap::new();
    for text in texts {
        let (name, value) = option(option_name, text, field)?;
        fields.append(name, value);
    }
    Ok(fields)
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let Some((key, value)) = text.split_once(':') else {
        bail!(
            "`{}` has no colon; write it like NAME:VALUE",
            text.escape_debug()
        );
    };
    let key = name(key.trim())?;
    let value = HeaderValue::from_bytes(value.trim().as_bytes()).with_context(|| {
        format!("the value of `{key}` has a character that no header may have; leave out line ends")
    })?;
    Ok((key, value))
}

fn name(text: &str) -> Result<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).with_context(|| {
        let shown = text.escape_debug();
        format!("`{shown}` is not the name of a header; use letters, digits and hyphens")
    })?;
    if OURS_ALONE.contains(&name.as_str()) {
        bail!("`{name}` is for wasmserve alone to set; leave it out");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn resolve(arguments: &[&str]) -> Result<HeaderPolicy> {
        let arguments = ["wasmserve", "app.wasm"].iter().chain(arguments);
        super::resolve(&Cli::parse_from(arguments).serve.headers)
    }

    fn mistake(arguments: &[&str]) -> String {
        format!("{:#}", resolve(arguments).unwrap_err())
    }

    #[test]
    fn proxies_are_listed_or_repeated() {
        let ips = "--forwarded-allow-ips";
        let proxies = resolve(&[ips, "10.0.0.9/8, ::1", ips, "unix,192.0.2.1"]);
        let proxies = proxies.unwrap().proxies;
        let networks = ["10.0.0.0/8", "::1/128", "192.0.2.1/32"];
        assert_eq!(proxies.networks, networks.map(|text| text.parse().unwrap()));
        assert!(proxies.unix && !proxies.all);
        assert!(resolve(&[ips, "*"]).unwrap().proxies.all);
        let nobody = [
            resolve(&[ips, ""]),
            resolve(&[ips, "*", "--no-proxy-headers"]),
        ];
        for header_policy in nobody {
            assert_eq!(header_policy.unwrap().proxies, Proxies::default());
        }
    }

    #[test]
    fn only_this_machine_is_trusted_unless_told() {
        let proxies = resolve(&[]).unwrap().proxies;
        assert_eq!(proxies.networks, ["127.0.0.1/32".parse().unwrap()]);
        assert!(!proxies.unix && !proxies.all);
    }

    #[test]
    fn the_last_of_two_opposites_counts() {
        let server = |arguments: &[&str]| resolve(arguments).unwrap().server.is_some();
        assert!(server(&[]));
        assert!(!server(&["--no-server-header"]));
        assert!(server(&["--no-server-header", "--server-header"]));
        assert!(!server(&["--server-header", "--no-server-header"]));
    }

    #[test]
    fn fields_are_read_once() {
        let header_policy = resolve(&["--header", "X-A: b: c ", "--header", "x-a:d"]).unwrap();
        let values: Vec<_> = header_policy
            .response_headers
            .get_all("x-a")
            .iter()
            .collect();
        assert_eq!(values, ["b: c", "d"]);
    }

    #[test]
    fn a_mistake_names_its_option() {
        for (arguments, words) in [
            (["--header", "X-A"], "option --header: `X-A` has no colon"),
            (["--header", ": b"], "option --header: `` is not the name"),
            (
                ["--header", "X A: b"],
                "option --header: `X A` is not the name",
            ),
            (
                ["--header", "X-A: b\r\nX: c"],
                "option --header: the value of `x-a`",
            ),
            (
                ["--header", "Content-Length: 5"],
                "option --header: `content-length` is for",
            ),
            (
                ["--request-header", "Host: a"],
                "option --request-header: `host` is for",
            ),
            (
                ["--client-header", "a b"],
                "option --client-header: `a b` is not",
            ),
            (
                ["--root-path", "api"],
                "option --root-path: `api` is not the path",
            ),
            (
                ["--forwarded-allow-ips", "127.0.0.1,nginx"],
                "option --forwarded-allow-ips: `nginx` is neither",
            ),
        ] {
            let told = mistake(&arguments);
            assert!(told.starts_with(words), "{told}");
        }
    }
}
