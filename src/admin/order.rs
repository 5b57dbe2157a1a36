//! An order is given by a path and a query: this file reads which command they ask for, and of whom.

use crate::channel::{AdminCommand, ProfileRequest};
use http::Uri;
use std::collections::HashMap;

/// An `Order` is a command to the server, or to that of a mount.
#[derive(Debug)]
pub struct Order {
    pub command: AdminCommand,
    pub mount: Option<String>,
}

type Query = HashMap<String, String>;

impl Order {
    /// Reads an order; none where nothing has this name, and a mistake where it lacks what it needs.
    pub fn read(uri: &Uri) -> Option<Result<Order, &'static str>> {
        let query = uri.query().unwrap_or_default();
        let mut query: Query = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let mount = query.remove("mount");
        let order = command(uri.path(), &query)?.and_then(|command| match (command, &mount) {
            (AdminCommand::Stop, Some(_)) => {
                Err("a mount ends when a reload no longer finds it in the configuration")
            }
            _ => Ok(Order { command, mount }),
        });
        Some(order)
    }
}

/// Reads which command a path and a query ask for; a mistake where it lacks what it needs.
fn command(path: &str, query: &Query) -> Option<Result<AdminCommand, &'static str>> {
    let value = |name: &str| query.get(name).map(String::as_str);
    Some(match path {
        "/reload" => match value("canary") {
            None | Some("no") => Ok(AdminCommand::Reload),
            Some("yes") => Ok(AdminCommand::ReloadCanary),
            Some(_) => Err("say whether it has a canary: ?canary=yes, or ?canary=no"),
        },
        "/promote" => Ok(AdminCommand::Promote),
        "/rollback" => Ok(AdminCommand::RollBack),
        "/stop" => Ok(AdminCommand::Stop),
        "/scale" => match value("workers").map(str::parse) {
            Some(Ok(range)) => Ok(AdminCommand::Scale(range)),
            Some(Err(why)) => Err(why),
            None => Err("say how many: ?workers=4, or ?workers=2..8"),
        },
        "/restart-worker" => match value("pid").map(str::parse) {
            Some(Ok(pid)) => Ok(AdminCommand::Restart(pid)),
            _ => Err("say which process: ?pid=1234"),
        },
        "/profile" => Ok(match profile(value("seconds"), value("worker")) {
            Some(request) => AdminCommand::Profile(request),
            None => {
                return Some(Err(
                    "say for how long, and of whom: ?seconds=10&worker=1234",
                ));
            }
        }),
        _ => return None,
    })
}

/// Reads a request for a profile: for 1 to 600 seconds, of the worker that is this process or of all.
fn profile(seconds: Option<&str>, worker: Option<&str>) -> Option<ProfileRequest> {
    let worker = worker.map(str::parse).transpose().ok()?;
    ProfileRequest::new(seconds?.parse().ok()?, worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str) -> Option<Result<AdminCommand, &'static str>> {
        let order = Order::read(&target.parse().unwrap());
        order.map(|order| {
            order.map(|order| {
                assert_eq!(order.mount, None);
                order.command
            })
        })
    }

    #[test]
    fn an_order_may_be_for_a_mount() {
        let order = Order::read(&"/reload?mount=a.example%2Fx%26y".parse().unwrap());
        let order = order.unwrap().unwrap();
        assert_eq!(order.command, AdminCommand::Reload);
        assert_eq!(order.mount.as_deref(), Some("a.example/x&y"));
        let order = Order::read(&"/stop?mount=/x".parse().unwrap());
        assert!(matches!(order, Some(Err(_))));
    }

    #[test]
    fn commands_are_understood_and_mistakes_are_told() {
        for (target, command) in [
            ("/reload", AdminCommand::Reload),
            ("/reload?canary=no", AdminCommand::Reload),
            ("/reload?canary=yes", AdminCommand::ReloadCanary),
            ("/promote", AdminCommand::Promote),
            ("/rollback", AdminCommand::RollBack),
        ] {
            assert_eq!(asked(target), Some(Ok(command)));
        }
        let scale = |text: &str| Some(Ok(AdminCommand::Scale(text.parse().unwrap())));
        assert_eq!(asked("/scale?workers=3"), scale("3"));
        assert_eq!(asked("/scale?workers=2..8"), scale("2..8"));
        assert_eq!(
            asked("/restart-worker?a=b&pid=7"),
            Some(Ok(AdminCommand::Restart(7)))
        );
        for target in [
            "/scale",
            "/scale?workers=",
            "/scale?workers=-1",
            "/restart-worker?pid=x",
            "/reload?canary=maybe",
            "/profile",
            "/profile?seconds=0",
            "/profile?seconds=601",
            "/profile?seconds=5&worker=1",
        ] {
            assert!(matches!(asked(target), Some(Err(_))), "{target}");
        }
        assert_eq!(asked("/etc/passwd"), None);
    }
}
