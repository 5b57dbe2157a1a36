//! Guests call these functions of `wasi:keyvalue@0.2.0-draft`.

use super::asked::AskedStore;
use super::{StoreFailure, check_bucket, check_key};
use crate::guest::host::state::HostState;
use wasi::keyvalue::store::{self, KeyResponse};
use wasi::keyvalue::{atomics, batch};
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTableError};

wasmtime::component::bindgen!({
    path: "wit",
    world: "wasi:keyvalue/imports@0.2.0-draft",
    imports: { default: async | trappable },
    with: { "wasi:keyvalue/store.bucket": Bucket },
    trappable_error_type: { "wasi:keyvalue/store.error" => Error },
});

/// A `Bucket` is a name space within the store. Every name is one; it is there as soon as it is written to.
pub struct Bucket {
    name: String,
}

pub enum Error {
    NoSuchStore,
    Failed(StoreFailure),
    /// The guest broke the rules of its resources.
    Trap(ResourceTableError),
}

impl From<StoreFailure> for Error {
    fn from(failed: StoreFailure) -> Error {
        Error::Failed(failed)
    }
}

impl From<ResourceTableError> for Error {
    fn from(error: ResourceTableError) -> Error {
        Error::Trap(error)
    }
}

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    atomics::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    batch::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl HostState {
    /// Finds the store, and the name of the bucket within it.
    fn bucket(&self, bucket: &Resource<Bucket>) -> Result<(AskedStore<'_>, &str), Error> {
        let name = &self.table().get(bucket)?.name;
        let store = self.keyvalue().ok_or(Error::NoSuchStore)?;
        Ok((AskedStore::new(store, self.recorder()), name))
    }
}

impl store::Host for HostState {
    async fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Error> {
        if self.keyvalue().is_none() {
            return Err(Error::NoSuchStore);
        }
        check_bucket(&identifier)?;
        Ok(self.table_mut().push(Bucket { name: identifier })?)
    }

    fn convert_error(&mut self, error: Error) -> wasmtime::Result<store::Error> {
        match error {
            Error::NoSuchStore => Ok(store::Error::NoSuchStore),
            Error::Failed(StoreFailure(why)) => Ok(store::Error::Other(why)),
            Error::Trap(error) => Err(error.into()),
        }
    }
}

impl store::HostBucket for HostState {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (store, name) = self.bucket(&bucket)?;
        let most = self.memory().left();
        Ok(store.get(name, vec![key], most).await?.pop().flatten())
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Error> {
        check_key(&key)?;
        let (store, name) = self.bucket(&bucket)?;
        Ok(store.set(name, vec![(key, value)]).await?)
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Error> {
        let (store, name) = self.bucket(&bucket)?;
        Ok(store.delete(name, vec![key]).await?)
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Error> {
        let (store, name) = self.bucket(&bucket)?;
        Ok(store.exists(name, key).await?)
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<KeyResponse, Error> {
        let (store, name) = self.bucket(&bucket)?;
        let (keys, cursor) = store.keys(name, cursor, self.memory().left()).await?;
        Ok(KeyResponse { keys, cursor })
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table_mut().delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for HostState {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> Result<u64, Error> {
        check_key(&key)?;
        let (store, name) = self.bucket(&bucket)?;
        let too_large = |_| StoreFailure("the number is too large".to_owned());
        let delta = i64::try_from(delta).map_err(too_large)?;
        let after = store.increment(name, key, delta).await?;
        let negative = |_| StoreFailure("the number is negative".to_owned());
        Ok(u64::try_from(after).map_err(negative)?)
    }
}

impl batch::Host for HostState {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Error> {
        let (store, name) = self.bucket(&bucket)?;
        let values = store.get(name, keys.clone(), self.memory().left()).await?;
        let pairs = keys.into_iter().zip(values);
        Ok(pairs.map(|(key, value)| Some((key, value?))).collect())
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Error> {
        pairs.iter().try_for_each(|(key, _)| check_key(key))?;
        let (store, name) = self.bucket(&bucket)?;
        Ok(store.set(name, pairs).await?)
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Error> {
        let (store, name) = self.bucket(&bucket)?;
        Ok(store.delete(name, keys).await?)
    }
}
