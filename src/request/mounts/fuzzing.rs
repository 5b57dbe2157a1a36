//! This file says, for fuzzing, what must hold for whom a request is given to, whatever is mounted and asked for.

use super::choice::{Choice, choose};
use super::route::Route;
use http::Uri;

/// No more is mounted than this: what is about a few is about all.
const ROUTES: usize = 8;

/// Checks a target, which is the last line, against what the lines before it mount.
pub fn choice(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (routes, target) = text.rsplit_once('\n').unwrap_or(("", text));
    let routes = routes.lines().filter_map(|line| Route::parse(line).ok());
    let routes: Vec<Route> = routes.take(ROUTES).collect();
    for route in &routes {
        let again = Route::parse(&route.name).expect("its name is a route");
        assert_eq!(again, *route);
    }
    let Ok(target) = target.parse::<Uri>() else {
        return;
    };
    let chosen = choose_for(&routes, &target);
    host_is_written_in_any_way(&routes, &target, &chosen);
    let index = match chosen {
        Choice::Mount(index) => Some(index),
        Choice::None => None,
        Choice::Unclear => return,
    };
    if let Some(route) = index.map(|index| &routes[index]) {
        let mut parts = target.path().split('/');
        let mut prefix = route.prefix.split('/');
        assert!(prefix.all(|part| parts.next() == Some(part)), "{target}");
    }
    let found = found_by_another(&routes, &target);
    assert_eq!(index.map(|it| routes[it].rank()), found, "{target}");
}

fn choose_for(routes: &[Route], target: &Uri) -> Choice {
    choose(routes, target.host().unwrap_or_default(), target.path())
}

/// Checks that neither the case of a host nor its port says anything.
fn host_is_written_in_any_way(routes: &[Route], target: &Uri, chosen: &Choice) {
    let (Some(host), Some(path)) = (target.host(), target.path_and_query()) else {
        return;
    };
    let other = format!("http://{}:81{path}", host.to_ascii_uppercase());
    if let Ok(other) = other.parse::<Uri>() {
        assert_eq!(choose_for(routes, &other), *chosen, "{other}");
    }
}

/// Finds the rank of the route that somebody else finds, who decodes all of a path, takes several slashes for one, and
/// follows dots: as it is not done where that is decided.
fn found_by_another(routes: &[Route], target: &Uri) -> Option<(bool, usize)> {
    let path = decoded(target.path()).replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let host = target.host().unwrap_or_default();
    let matching = routes.iter().filter(|route| {
        let prefix: Vec<&str> = route.prefix.split('/').skip(1).collect();
        parts.starts_with(&prefix) && is_host(route, host)
    });
    matching.map(Route::rank).max()
}

fn is_host(route: &Route, host: &str) -> bool {
    let Some(own) = &route.host else {
        return true;
    };
    let address = |host: &str| host.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>();
    match (host.starts_with('['), address(host), address(own)) {
        (true, Ok(asked), Ok(own)) => asked == own,
        _ => host
            .strip_suffix('.')
            .unwrap_or(host)
            .eq_ignore_ascii_case(own),
    }
}

fn decoded(path: &str) -> String {
    let mut pieces = path.as_bytes().split(|byte| *byte == b'%');
    let mut decoded = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        let digit = |at: usize| char::from(*piece.get(at)?).to_digit(16);
        match digit(0).zip(digit(1)) {
            Some((high, low)) => {
                decoded.push((high * 16 + low) as u8);
                decoded.extend_from_slice(&piece[2..]);
            }
            None => {
                decoded.push(b'%');
                decoded.extend_from_slice(piece);
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
