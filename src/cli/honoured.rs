//! Other servers honour these variables, and so does this one where nothing else is said; and of those that it does not,
//! this file says what takes their place.

use super::{Cli, elsewhere};
use clap::CommandFactory;

/// gunicorn and uvicorn take the number of workers from this variable.
pub const WORKERS: &str = "WEB_CONCURRENCY";

/// Platforms that run containers name the port in this variable.
pub const PORT: &str = "PORT";

/// gunicorn and uvicorn take the proxies that are believed from this variable.
pub const PROXIES: &str = "FORWARDED_ALLOW_IPS";

/// Other servers have a variable for each option, which begins with one of these.
const OF_OTHERS: [&str; 3] = ["UVICORN_", "GRANIAN_", "GUNICORN_"];

/// Says of each variable that is meant for another server what is written here.
pub fn told(variables: impl Iterator<Item = String>) -> Vec<String> {
    let command = Cli::command();
    let is_ours = |long: &str| {
        let mut options = command.get_arguments();
        options.any(|option| option.get_long() == Some(long))
    };
    let told = variables.filter_map(|name| {
        let prefix = OF_OTHERS.iter().find(|it| name.starts_with(*it))?;
        let option = name[prefix.len()..].to_ascii_lowercase().replace('_', "-");
        let advice = match elsewhere::advice(&format!("--{option}")) {
            _ if is_ours(&option) => format!("write WASMSERVE_{}", &name[prefix.len()..]),
            Some(advice) => advice.to_owned(),
            None => "see `wasmserve --help`".to_owned(),
        };
        Some(format!(
            "variable {name} is another server's, and is not read: {advice}"
        ))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_other_servers_are_told_apart() {
        let names = [
            "UVICORN_HOST",
            "GRANIAN_LOOP",
            "GUNICORN_CMD_ARGS",
            "PORT",
            "UVICORN",
        ];
        let told = told(names.into_iter().map(str::to_owned));
        let expected = [
            "variable UVICORN_HOST is another server's, and is not read: write WASMSERVE_HOST",
            "variable GRANIAN_LOOP is another server's, and is not read: workers are of one kind here: leave it out",
            "variable GUNICORN_CMD_ARGS is another server's, and is not read: see `wasmserve --help`",
        ];
        assert_eq!(told, expected);
    }
}
