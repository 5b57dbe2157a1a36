//! A store in Redis: each bucket is a hash, so that its keys can be listed and nothing else of the
//! server's is touched. A request is never sent twice: nobody knows whether the first arrived.

use super::{Failed, Page};
use anyhow::{Context, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ConnectionInfo, FromRedisValue, RedisError, cmd};
use std::sync::OnceLock;
use std::time::Duration;

pub struct Redis {
    client: Client,
    /// Made with the first request, which has a runtime around it; connects again when it has to.
    connection: OnceLock<ConnectionManager>,
}

const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// Attempts to connect again before what waits for it fails.
const RETRIES: usize = 2;

/// How many keys Redis looks at for one answer to `list-keys`.
const PAGE: u64 = 1000;

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
    ) -> Result<Vec<Option<Vec<u8>>>, Failed> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(hash("HMGET", bucket).arg(keys)).await
    }

    pub async fn exists(&self, bucket: &str, key: String) -> Result<bool, Failed> {
        self.ask(hash("HEXISTS", bucket).arg(key)).await
    }

    pub async fn set(&self, bucket: &str, pairs: Vec<(String, Vec<u8>)>) -> Result<(), Failed> {
        if pairs.is_empty() {
            return Ok(());
        }
        let mut command = hash("HSET", bucket);
        for (key, value) in pairs {
            command.arg(key).arg(value);
        }
        self.ask(&command).await
    }

    pub async fn delete(&self, bucket: &str, keys: Vec<String>) -> Result<(), Failed> {
        if keys.is_empty() {
            return Ok(());
        }
        self.ask(hash("HDEL", bucket).arg(keys)).await
    }

    pub async fn keys(&self, bucket: &str, cursor: Option<u64>) -> Result<Page, Failed> {
        let mut command = hash("HSCAN", bucket);
        command.arg(cursor.unwrap_or(0)).arg("COUNT").arg(PAGE);
        let (next, pairs): (u64, Vec<(String, Vec<u8>)>) = self.ask(&command).await?;
        let keys = pairs.into_iter().map(|(key, _)| key).collect();
        Ok((keys, (next != 0).then_some(next)))
    }

    pub async fn increment(&self, bucket: &str, key: String, delta: i64) -> Result<i64, Failed> {
        self.ask(hash("HINCRBY", bucket).arg(key).arg(delta)).await
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failed> {
        let mut connection = self.connection()?;
        Ok(command.query_async(&mut connection).await?)
    }

    /// A handle to the one connection, which many requests share.
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

impl From<RedisError> for Failed {
    fn from(error: RedisError) -> Failed {
        Failed(format!("Redis: {error}"))
    }
}

/// A command on the hash that a bucket is.
fn hash(name: &str, bucket: &str) -> Cmd {
    let mut command = cmd(name);
    command.arg(format!("wasi:keyvalue:{bucket}"));
    command
}
