//! The store behind `wasi:keyvalue` keeps the guests' values. All workers share it, and it outlives them.

mod asked;
mod interface;
mod redis;
mod sqlite;

pub use interface::add_to_linker;

use super::about_guests;
use crate::log;
use crate::sys::watch::directory_of;
use anyhow::{Context, Result, bail};
use redis::Redis;
use sqlite::Sqlite;
use std::fmt;
use std::path::{Path, PathBuf};

/// A `StoreLocation` says where the values are kept.
#[derive(Clone)]
pub enum StoreLocation {
    /// The values are kept in a file of this machine.
    Sqlite(PathBuf),
    /// The values are kept in a Redis server, which is reached in this way.
    Redis(Box<::redis::ConnectionInfo>),
    /// There are no values but those of a recording.
    Recorded,
}

impl StoreLocation {
    pub fn parse(text: &str) -> Result<StoreLocation> {
        match text.split_once(':') {
            Some(("sqlite", path)) => {
                let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
                check(&path)?;
                Ok(StoreLocation::Sqlite(path))
            }
            Some(("redis" | "redis+unix" | "unix", _)) => {
                let info = ::redis::IntoConnectionInfo::into_connection_info(text);
                // The URL may hold a password, and is not repeated.
                let info = info.context("it is not the URL of a Redis server")?;
                Ok(StoreLocation::Redis(Box::new(info)))
            }
            Some(("rediss", _)) => {
                bail!("TLS to Redis is not offered; give redis:// or redis+unix://")
            }
            _ => bail!("it names no store; write sqlite:PATH or redis://HOST:PORT"),
        }
    }
}

/// Checks that there can be a file at `path`.
fn check(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        bail!(
            "`{}` is not a file; name one, it is made if it is not there",
            path.display()
        );
    }
    let directory = directory_of(path);
    if !directory.is_dir() {
        bail!("there is no directory `{}`; make it", directory.display());
    }
    Ok(())
}

impl fmt::Debug for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreLocation::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            StoreLocation::Redis(_) => write!(f, "redis"),
            StoreLocation::Recorded => write!(f, "recorded"),
        }
    }
}

/// Says whether a component that imports `name` needs a store.
pub fn is_needed_for(name: &str) -> bool {
    name.starts_with("wasi:keyvalue/")
}

/// A `Store` is an open store.
pub enum Store {
    Sqlite(Sqlite),
    Redis(Redis),
    /// The store is that of a recording, which answers in its place.
    Recorded,
}

/// A `StoreFailure` tells the guest why something could not be done.
#[derive(Clone, Debug)]
pub struct StoreFailure(pub String);

impl StoreFailure {
    /// Says that there is no store.
    fn no_store() -> StoreFailure {
        StoreFailure("there is no store".to_owned())
    }

    /// Says that a guest has too little memory for what it asked for.
    fn too_large() -> StoreFailure {
        StoreFailure("it is more than the memory that is left (--max-memory)".to_owned())
    }
}

/// A key has this many bytes at most: one answer to `list-keys` has many keys.
const LONGEST_KEY: usize = 64 << 10;

/// The name of a bucket has this many bytes at most: it is kept with every key.
const LONGEST_BUCKET: usize = 1 << 10;

/// The store is asked for this many keys at a time, so that whoever asks for very many has others come between.
const SLICE: usize = 1000;

fn slices<T>(all: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut all = all.into_iter();
    std::iter::from_fn(move || {
        let slice: Vec<T> = all.by_ref().take(SLICE).collect();
        (!slice.is_empty()).then_some(slice)
    })
}

/// Refuses a key that is too long.
fn check_key(key: &str) -> Result<(), StoreFailure> {
    match key.len() <= LONGEST_KEY {
        true => Ok(()),
        false => Err(StoreFailure(format!(
            "the key is longer than {LONGEST_KEY} bytes"
        ))),
    }
}

/// Refuses the name of a bucket that is too long.
fn check_bucket(name: &str) -> Result<(), StoreFailure> {
    match name.len() <= LONGEST_BUCKET {
        true => Ok(()),
        false => Err(StoreFailure(format!(
            "the name of the bucket is longer than {LONGEST_BUCKET} bytes"
        ))),
    }
}

/// A `KeyPage` holds keys, and the place where the next page begins.
pub type KeyPage = (Vec<String>, Option<u64>);

impl Store {
    /// Makes the store where there is none yet.
    pub fn prepare(place: &StoreLocation) -> Result<()> {
        match place {
            StoreLocation::Sqlite(path) => Sqlite::prepare(path),
            StoreLocation::Redis(info) => Redis::new(info).map(drop),
            StoreLocation::Recorded => Ok(()),
        }
    }

    pub fn open(place: &StoreLocation) -> Result<Store> {
        Ok(match place {
            StoreLocation::Sqlite(path) => Store::Sqlite(Sqlite::open(path)?),
            StoreLocation::Redis(info) => Store::Redis(Redis::new(info)?),
            StoreLocation::Recorded => Store::Recorded,
        })
    }

    /// Gets values of at most this many bytes together.
    async fn get(
        &self,
        bucket: &str,
        keys: Vec<String>,
        most: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreFailure> {
        let (mut found, mut left) = (Vec::new(), most);
        for keys in slices(keys) {
            let values = told(match self {
                Store::Sqlite(store) => store.get(bucket, keys, left).await,
                Store::Redis(store) => store.get(bucket, keys, left).await,
                Store::Recorded => Err(StoreFailure::no_store()),
            })?;
            let bytes: usize = values.iter().flatten().map(Vec::len).sum();
            left = left.saturating_sub(bytes);
            found.extend(values);
        }
        Ok(found)
    }

    async fn exists(&self, bucket: &str, key: String) -> Result<bool, StoreFailure> {
        told(match self {
            Store::Sqlite(store) => store.exists(bucket, key).await,
            Store::Redis(store) => store.exists(bucket, key).await,
            Store::Recorded => Err(StoreFailure::no_store()),
        })
    }

    async fn set(&self, bucket: &str, pairs: Vec<(String, Vec<u8>)>) -> Result<(), StoreFailure> {
        for pairs in slices(pairs) {
            told(match self {
                Store::Sqlite(store) => store.set(bucket, pairs).await,
                Store::Redis(store) => store.set(bucket, pairs).await,
                Store::Recorded => Err(StoreFailure::no_store()),
            })?;
        }
        Ok(())
    }

    async fn delete(&self, bucket: &str, keys: Vec<String>) -> Result<(), StoreFailure> {
        for keys in slices(keys) {
            told(match self {
                Store::Sqlite(store) => store.delete(bucket, keys).await,
                Store::Redis(store) => store.delete(bucket, keys).await,
                Store::Recorded => Err(StoreFailure::no_store()),
            })?;
        }
        Ok(())
    }

    /// Lists keys of at most this many bytes together.
    async fn keys(
        &self,
        bucket: &str,
        cursor: Option<u64>,
        most: usize,
    ) -> Result<KeyPage, StoreFailure> {
        told(match self {
            Store::Sqlite(store) => store.keys(bucket, cursor, most).await,
            Store::Redis(store) => store.keys(bucket, cursor).await,
            Store::Recorded => Err(StoreFailure::no_store()),
        })
    }

    async fn increment(&self, bucket: &str, key: String, delta: i64) -> Result<i64, StoreFailure> {
        told(match self {
            Store::Sqlite(store) => store.increment(bucket, key, delta).await,
            Store::Redis(store) => store.increment(bucket, key, delta).await,
            Store::Recorded => Err(StoreFailure::no_store()),
        })
    }
}

/// Logs a failure, so that the operator hears of it too.
fn told<T>(result: Result<T, StoreFailure>) -> Result<T, StoreFailure> {
    if let Err(StoreFailure(why)) = &result {
        about_guests::tell!("the key-value store failed a guest: {}", log::escape(why));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_people_write_them() {
        for text in ["sqlite:a.db", "sqlite:/tmp/a.db", "sqlite:///tmp/a.db"] {
            assert!(
                matches!(StoreLocation::parse(text), Ok(StoreLocation::Sqlite(_))),
                "{text}"
            );
        }
        for text in [
            "redis://localhost:6379/1",
            "redis://:pw@[::1]/",
            "redis+unix:///run/redis.sock",
        ] {
            assert!(
                matches!(StoreLocation::parse(text), Ok(StoreLocation::Redis(_))),
                "{text}"
            );
        }
        for text in [
            "",
            "a.db",
            "sqlite:",
            "sqlite:/tmp",
            "sqlite:/not/there/a.db",
            "rediss://a",
            "redis://:pw@:x",
        ] {
            let error = format!("{:#}", StoreLocation::parse(text).unwrap_err());
            assert!(!error.contains("pw"), "{error}");
        }
        let place = StoreLocation::parse("redis://:pw@localhost").unwrap();
        assert!(!format!("{place:?}").contains("pw"));
    }

    #[test]
    fn who_asks_for_very_many_keys_has_others_come_between() {
        let name = format!("wasmserve-keys-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let place = StoreLocation::Sqlite(directory.join("keys.db"));
        Store::prepare(&place).unwrap();
        let store = std::sync::Arc::new(Store::open(&place).unwrap());
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let found = runtime.build().unwrap().block_on(async {
            let (all, one) = (store.clone(), store);
            let keys: Vec<String> = (0..300_000).map(|nth| nth.to_string()).collect();
            let count = keys.len();
            one.set("b", vec![("299999".to_owned(), vec![7])])
                .await
                .unwrap();
            let all = tokio::spawn(async move { all.get("b", keys, usize::MAX).await });
            tokio::task::yield_now().await;
            let key = vec!["299999".to_owned()];
            assert_eq!(one.get("b", key, 100).await.unwrap(), [Some(vec![7])]);
            assert!(!all.is_finished());
            let found = all.await.unwrap().unwrap();
            assert_eq!(found.len(), count);
            found
        });
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found.iter().flatten().count(), 1);
        assert_eq!(found[299_999], Some(vec![7]));
    }
}
