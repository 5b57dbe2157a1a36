//! What an instance begins with comes from the operator. A recording has digests of it, so that a replay can say what
//! it was not given, and nobody reads a password there.

use serde::{Deserialize, Serialize};

/// `Given` is what every instance of a process begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The component has this digest.
    pub component: String,
    /// Instances begin after the application's start.
    pub primed: bool,
    /// An instance has this many bytes of memory at most.
    pub memory: u64,
    pub environment: Vec<(String, String)>,
    pub arguments: Vec<String>,
    pub settings: Vec<(String, String)>,
    /// The guest has these directories, by its names.
    pub directories: Vec<String>,
}

impl Given {
    /// Notes the digests of what the operator gives.
    pub fn with(
        self,
        environment: &[(String, String)],
        arguments: &[String],
        settings: &[(String, String)],
    ) -> Given {
        let digests = |pairs: &[(String, String)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| (name.clone(), digest(value)))
                .collect()
        };
        Given {
            environment: digests(environment),
            arguments: arguments.iter().map(|it| digest(it)).collect(),
            settings: digests(settings),
            ..self
        }
    }

    /// Lists what an instance is given otherwise now than when it was recorded, by the options that say it.
    pub fn differences(&self, now: &Given) -> Vec<String> {
        let mut all = differing("--env", &self.environment, &now.environment);
        all.extend(differing("--config", &self.settings, &now.settings));
        if self.arguments != now.arguments {
            let (then, now) = (self.arguments.len(), now.arguments.len());
            all.push(format!("--arg ({then} then, {now} now)"));
        }
        if self.memory != now.memory {
            let (then, now) = (self.memory, now.memory);
            all.push(format!("--max-memory ({then} bytes then, {now} now)"));
        }
        match (self.primed, now.primed) {
            (true, false) => all.push("it was primed then, and is not now".to_owned()),
            (false, true) => all.push("it is primed now, and was not then".to_owned()),
            _ => {}
        }
        all
    }
}

fn differing(option: &str, then: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let value = |all: &[(String, String)], name: &str| {
        let found = all.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    let missing = then
        .iter()
        .filter_map(|(name, was)| match value(now, name) {
            None => Some(format!("{option} {name} is missing")),
            Some(is) if is != *was => Some(format!("{option} {name} has another value")),
            Some(_) => None,
        });
    let added = now.iter().filter(|(name, _)| value(then, name).is_none());
    let added = added.map(|(name, _)| format!("{option} {name} was not there"));
    missing.chain(added).collect()
}

/// Computes a short digest: it tells another value, but for one in four thousand, and of a list of likely passwords it
/// leaves too many to say which one it was.
fn digest(value: &str) -> String {
    blake3::hash(value.as_bytes()).to_hex()[..3].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(environment: &[(&str, &str)]) -> Given {
        let pairs = environment.iter();
        let pairs: Vec<(String, String)> = pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Given::default().with(&pairs, &[], &[])
    }

    #[test]
    fn what_is_given_otherwise_is_named_and_never_told() {
        let then = given(&[("A", "1"), ("B", "secret"), ("C", "3")]);
        let now = given(&[("A", "1"), ("B", "other"), ("D", "4")]);
        assert_eq!(
            then.differences(&now),
            [
                "--env B has another value",
                "--env C is missing",
                "--env D was not there"
            ]
        );
        assert!(then.differences(&then).is_empty());
        assert!(!format!("{then:?}").contains("secret"));
    }
}
