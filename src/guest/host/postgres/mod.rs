//! The operator grants databases by names, and guests open them by these (`spin:postgres`). A worker has a pool of
//! connections to each; an instance borrows one, and gives it back as nobody has used it.

mod arrays;
mod bounded;
mod calendar;
mod connect;
mod error;
mod interface;
mod numeric;
mod parameter;
mod pool;
mod room;
mod statement;
mod url;
mod value;

pub use interface::add_to_linker;
pub use url::DatabaseUrl;

use super::outbound::Roots;
use anyhow::Result;
use connect::Connector;
use futures_util::future::join_all;
use pool::Pool;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// `PostgresSettings` says which databases there are, and what using them may take.
#[derive(Clone, Debug, Default)]
pub struct PostgresSettings {
    /// Guests open them by these names.
    pub databases: Vec<(String, DatabaseUrl)>,
    /// One worker has this many connections to each database at a time.
    pub connections: usize,
    /// A statement must be answered within this time.
    pub answer: Duration,
}

/// Says whether a component that imports `name` needs a database.
pub fn is_needed_for(name: &str) -> bool {
    name.starts_with("spin:postgres/")
}

/// `Databases` holds the pools of one process. No connection is made before a guest wants one.
pub struct Databases(HashMap<String, Arc<Pool>>);

impl Databases {
    /// Reads whom to believe, where TLS is spoken.
    pub fn open(settings: &PostgresSettings, roots: &Roots) -> Result<Databases> {
        let pools = settings.databases.iter().map(|(name, address)| {
            let connector = Connector::new(address, roots)?;
            let pool = Pool::new(name, connector, settings);
            Ok((name.clone(), Arc::new(pool)))
        });
        Ok(Databases(pools.collect::<Result<_>>()?))
    }

    /// Closes the connections that nobody uses, and those that are being cleaned, when they are clean.
    pub async fn end(&self) {
        join_all(self.0.values().map(|pool| pool.end())).await;
    }

    fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.0.get(name)
    }
}
