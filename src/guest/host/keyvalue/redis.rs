//! In Redis each bucket is a hash, so that its keys can be listed and nothing else of the server's is touched. A
//! request is never sent twice: nobody knows whether the first arrived.

use super::{KeyPage, StoreFailure};
use anyhow::{Context, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, cmd, pipe,
};
use std::sync::OnceLock;
use std::time::Duration;

pub struct Redis {
    client: Client,
    /// The first request makes the connection, as it has a runtime around it; the connection is made again when it
    /// has to be.
    connection: OnceLock<ConnectionManager>,
}

const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// The client tries to connect again this often before what waits for it fails.
const RETRIES: usize = 2;

/// Redis looks at this many keys for one answer to `list-keys`.
const PAGE: u64 = 1000;

/// Redis looks at no more keys than this where the values come with the keys.
const SHORT_PAGE: u64 = 10;

/// `Scanned` holds where to go on, and the keys that were found.
type Scanned = (u64, Vec<String>);

impl Redis {
    pub fn new(info: &ConnectionInfo) -> Result<Redis> {
        Ok(Redis {
            client: Client::open(info.clone()).context("the Redis server cannot be used")?,
            connection: OnceLock::new(),
        })
    }

    pub async fn get(
        &self,
        bucket: &str,
        keys: Vec<String>,
        most: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreFailure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut lengths = pipe();
        for key in &keys {
            lengths.add_command(hash("HSTRLEN", bucket).arg(key).to_owned());
        }
        let lengths: Vec<usize> = lengths.query_async(&mut self.connection()?).await?;
        if lengths.into_iter().fold(0, usize::saturating_add) > most {
            return Err(StoreFailure::too_large());
        }
        self.ask(hash("HMGET", bucket).arg(keys)).await
    }

    pub async fn exists(&self, bucket: &str, key: String) -> Result<bool, StoreFailure> {
        self.ask(hash("HEXISTS", bucket).arg(key)).await
    }

    pub async fn set(
        &self,
        bucket: &str,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), StoreFailure> {
        if pairs.is_empty() {
            return Ok(());
        }
        let mut command = hash("HSET", bucket);
        for (key, value) in pairs {
            command.arg(key).arg(value);
        }
        self.ask(&command).await
    }

    pub async fn delete(&self, bucket: &str, keys: Vec<String>) -> Result<(), StoreFailure> {
        if keys.is_empty() {
            return Ok(());
        }
        self.ask(hash("HDEL", bucket).arg(keys)).await
    }

    pub async fn keys(&self, bucket: &str, cursor: Option<u64>) -> Result<KeyPage, StoreFailure> {
        let cursor = cursor.unwrap_or(0);
        let (next, keys) = match self.scan_keys(bucket, cursor).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => {
                self.scan_pairs(bucket, cursor).await?
            }
            scanned => scanned?,
        };
        Ok((keys, (next != 0).then_some(next)))
    }

    /// Scans keys without their values, which Redis offers from version 7.4 on.
    async fn scan_keys(&self, bucket: &str, cursor: u64) -> Result<Scanned, RedisError> {
        let mut command = hash("HSCAN", bucket);
        command.arg(cursor).arg("COUNT").arg(PAGE).arg("NOVALUES");
        command.query_async(&mut self.connection()?).await
    }

    /// Scans keys with their values, which nobody wants: a few at a time.
    async fn scan_pairs(&self, bucket: &str, cursor: u64) -> Result<Scanned, RedisError> {
        let mut command = hash("HSCAN", bucket);
        command.arg(cursor).arg("COUNT").arg(SHORT_PAGE);
        let scanned = command.query_async(&mut self.connection()?).await;
        let (next, pairs): (u64, Vec<(String, Vec<u8>)>) = scanned?;
        Ok((next, pairs.into_iter().map(|(key, _)| key).collect()))
    }

    pub async fn increment(
        &self,
        bucket: &str,
        key: String,
        delta: i64,
    ) -> Result<i64, StoreFailure> {
        self.ask(hash("HINCRBY", bucket).arg(key).arg(delta)).await
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreFailure> {
        let mut connection = self.connection()?;
        Ok(command.query_async(&mut connection).await?)
    }

    /// Returns a handle to the one connection, which many requests share.
    fn connection(&self) -> Result<ConnectionManager, RedisError> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_number_of_retries(RETRIES);
        let made = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        Ok(self.connection.get_or_init(|| made).clone())
    }
}

impl From<RedisError> for StoreFailure {
    fn from(error: RedisError) -> StoreFailure {
        StoreFailure(format!("Redis: {error}"))
    }
}

/// Makes a command on the hash of a bucket.
fn hash(name: &str, bucket: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(format!("wasi:keyvalue:{bucket}"));
    command
}
