//! What the store has answered a guest is recorded with its request, and given again without a store.

use super::{KeyPage, Store, StoreFailure};
use crate::guest::host::recorded_values;
use crate::guest::recording::{Recorder, digest_of};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;

/// A guest that has gone another way is told this.
const NOT_RECORDED: &str = "no store is asked while a request is replayed";

/// An `AskedStore` is the store as one request asks it.
pub struct AskedStore<'a> {
    store: &'a Store,
    recorder: Option<&'a Arc<Recorder>>,
}

impl AskedStore<'_> {
    pub fn new<'a>(store: &'a Store, recorder: Option<&'a Arc<Recorder>>) -> AskedStore<'a> {
        AskedStore { store, recorder }
    }

    /// Gets values of at most this many bytes together.
    pub async fn get(
        &self,
        bucket: &str,
        keys: Vec<String>,
        most: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreFailure> {
        let called = self.called(|| format!("get {bucket} {}", keys.join(" ")));
        let ask = self.store.get(bucket, keys, most);
        self.answer(called, ask).await
    }

    pub async fn exists(&self, bucket: &str, key: String) -> Result<bool, StoreFailure> {
        let called = self.called(|| format!("exists {bucket} {key}"));
        self.answer(called, self.store.exists(bucket, key)).await
    }

    pub async fn set(
        &self,
        bucket: &str,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), StoreFailure> {
        let called = self.called(|| {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!(" {key}={}", digest_of(value)));
            format!("set {bucket}{}", pairs.collect::<String>())
        });
        self.answer(called, self.store.set(bucket, pairs)).await
    }

    pub async fn delete(&self, bucket: &str, keys: Vec<String>) -> Result<(), StoreFailure> {
        let called = self.called(|| format!("delete {bucket} {}", keys.join(" ")));
        self.answer(called, self.store.delete(bucket, keys)).await
    }

    /// Lists keys of at most this many bytes together.
    pub async fn keys(
        &self,
        bucket: &str,
        cursor: Option<u64>,
        most: usize,
    ) -> Result<KeyPage, StoreFailure> {
        let called = self.called(|| format!("list-keys {bucket} {cursor:?}"));
        let ask = self.store.keys(bucket, cursor, most);
        self.answer(called, ask).await
    }

    pub async fn increment(
        &self,
        bucket: &str,
        key: String,
        delta: i64,
    ) -> Result<i64, StoreFailure> {
        let called = self.called(|| format!("increment {bucket} {key} {delta}"));
        let ask = self.store.increment(bucket, key, delta);
        self.answer(called, ask).await
    }

    /// Says what a call is called, where it is recorded.
    fn called(&self, name: impl FnOnce() -> String) -> Option<(&Recorder, String)> {
        let recorder = self.recorder?;
        Some((recorder, format!("wasi:keyvalue {}", name())))
    }

    /// Gives the recorded answer to a call, or asks the store and notes its answer.
    async fn answer<T: Serialize + DeserializeOwned + Debug>(
        &self,
        called: Option<(&Recorder, String)>,
        ask: impl Future<Output = Result<T, StoreFailure>>,
    ) -> Result<T, StoreFailure> {
        let Some((recorder, called)) = called else {
            return ask.await;
        };
        if recorder.is_replayed() {
            let recorded = recorded_values::again(recorder, &called).await;
            let answer: Result<T, String> = recorded.unwrap_or(Err(NOT_RECORDED.to_owned()));
            return answer.map_err(StoreFailure);
        }
        recorder.ask_host(&called);
        let answer = ask.await;
        let told = answer.as_ref().map_err(|StoreFailure(why)| why);
        recorded_values::note(recorder, called, &told);
        answer
    }
}
