//! `Capabilities` says what the operator lets every instance use; `Granted` holds what of it a process opens once for
//! all of its instances.

use super::at_hand::LocalDevices;
use super::clock::MachineClock;
use super::directories::{self, Directory};
use super::keyvalue::{self, Store, StoreLocation};
use super::network::Rules;
use super::outbound::{self, Outbound, OutboundClient};
use super::postgres::{self, Databases, PostgresSettings};
use super::sockets::Peers;
use super::sqlite::{self, Files, SqliteSettings};
use super::standing_resources::StandingResources;
use super::tracked_rng::TrackedRng;
use crate::guest::core_dump::CoreDumps;
use crate::guest::counts::Counts;
use crate::guest::memory::worker::WorkerMemory;
use crate::guest::profile::ProfileSettings;
use crate::guest::recording::{self, Calendar, Purpose, RecordedClock, RecordedRng, Recorder};
use crate::trace::Trace;
use anyhow::{Result, bail};
use rustls::RootCertStore;
use std::sync::Arc;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_config::WasiConfigVariables;

/// A guest gets this many random bytes at a time: a few milliseconds' work, which nothing interrupts.
const RANDOM: u64 = 4 << 20;

/// `Capabilities` is what the operator named; nothing of it is open.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// The guest has these environment variables.
    pub environment: Vec<(String, String)>,
    /// The guest has these command line arguments.
    pub arguments: Vec<String>,
    pub directories: Vec<Directory>,
    /// `wasi:config` tells the guest these settings.
    pub settings: Vec<(String, String)>,
    pub outbound: outbound::Settings,
    /// Sockets may be connected to the peers that these rules name.
    pub sockets: Arc<Rules>,
    /// The values of `wasi:keyvalue` are kept there, if anywhere.
    pub keyvalue: Option<StoreLocation>,
    pub postgres: PostgresSettings,
    pub sqlite: SqliteSettings,
    /// Core dumps of instances that trap are kept there, if anywhere.
    pub core_dumps: Option<Arc<CoreDumps>>,
    /// Requests that fail are recorded there, if anywhere.
    pub recordings: Option<recording::Settings>,
    /// The time that guests spend is noted for this long, if it is.
    pub profile: Option<ProfileSettings>,
}

impl Capabilities {
    /// Says whether requests are recorded, or replayed.
    pub fn are_recorded(&self) -> bool {
        self.recordings.is_some() || self.are_replayed()
    }

    /// Says whether requests are replayed: nobody is asked but the recording.
    fn are_replayed(&self) -> bool {
        matches!(self.keyvalue, Some(StoreLocation::Recorded))
    }

    /// Says whether what guests read of their directories is recorded, or replayed. Where they have none, there is nothing
    /// to record.
    pub fn are_directories_recorded(&self) -> bool {
        self.are_replayed() || (self.are_recorded() && !self.directories.is_empty())
    }

    /// Fails where a component with these imports has to be given more.
    pub fn check<'a>(&self, imports: impl Iterator<Item = &'a str>) -> Result<()> {
        if self.are_replayed() {
            return Ok(());
        }
        for name in imports {
            if keyvalue::is_needed_for(name) && self.keyvalue.is_none() {
                bail!(
                    "it imports `{name}`, and there is no store for it; give --keyvalue sqlite:PATH or \
                     --keyvalue redis://HOST:PORT"
                );
            }
            if postgres::is_needed_for(name) && self.postgres.databases.is_empty() {
                bail!(
                    "it imports `{name}`, and there is no database for it; give --postgres \
                     NAME=postgres://USER:PASSWORD@HOST/DATABASE"
                );
            }
            if sqlite::is_needed_for(name) && self.sqlite.databases.is_empty() {
                bail!(
                    "it imports `{name}`, and there is no database for it; give --sqlite NAME=PATH"
                );
            }
        }
        Ok(())
    }
}

/// `Granted` holds what the operator named, open. It belongs to one process: nothing of it is carried over a fork.
pub struct Granted {
    capabilities: Arc<Capabilities>,
    files: WasiFilesystemCtx,
    local: LocalDevices,
    settings: WasiConfigVariables,
    client: Arc<OutboundClient>,
    keyvalue: Option<Store>,
    postgres: Databases,
    sqlite: Files,
    /// These authorities are believed where guests speak TLS over their sockets, if there are any.
    authorities: Option<Arc<RootCertStore>>,
    memory: Arc<WorkerMemory>,
    /// Notes whether a guest has asked for random bytes, where that is of interest.
    rng: Option<TrackedRng>,
}

impl Granted {
    /// Makes what processes open when they begin to serve, and says what cannot be had. Nothing stays open.
    pub fn prepare(capabilities: &Capabilities) -> Result<()> {
        directories::open(&capabilities.directories)?;
        Files::prepare(&capabilities.sqlite)?;
        capabilities
            .keyvalue
            .as_ref()
            .map_or(Ok(()), Store::prepare)
    }

    /// Opens what the operator named for a process whose instances share `memory`.
    pub fn open(
        capabilities: Arc<Capabilities>,
        memory: Arc<WorkerMemory>,
        counts: &Arc<Counts>,
    ) -> Result<Arc<Granted>> {
        Granted::with(capabilities, memory, None, counts)
    }

    /// Opens what the operator named, and notes whether a guest has asked for random bytes.
    pub fn open_watched(
        capabilities: Arc<Capabilities>,
        memory: Arc<WorkerMemory>,
        rng: Option<TrackedRng>,
    ) -> Result<Arc<Granted>> {
        Granted::with(capabilities, memory, rng, &Arc::default())
    }

    fn with(
        capabilities: Arc<Capabilities>,
        memory: Arc<WorkerMemory>,
        rng: Option<TrackedRng>,
        counts: &Arc<Counts>,
    ) -> Result<Arc<Granted>> {
        Ok(Arc::new(Granted {
            files: directories::open(&capabilities.directories)?,
            local: LocalDevices::of(&capabilities.directories),
            keyvalue: capabilities
                .keyvalue
                .as_ref()
                .map(Store::open)
                .transpose()?,
            postgres: Databases::open(&capabilities.postgres, &capabilities.outbound.roots)?,
            sqlite: Files::open(&capabilities.sqlite, memory.most())?,
            settings: capabilities.settings.iter().cloned().collect(),
            authorities: (!capabilities.sockets.is_empty())
                .then(|| Arc::new(capabilities.outbound.roots.store())),
            client: Arc::new(OutboundClient::new(capabilities.outbound.clone(), counts)?),
            capabilities,
            memory,
            rng,
        }))
    }

    /// Returns the count of what all instances of the process take.
    pub fn memory(&self) -> &Arc<WorkerMemory> {
        &self.memory
    }

    pub fn core_dumps(&self) -> Option<&Arc<CoreDumps>> {
        self.capabilities.core_dumps.as_ref()
    }

    pub fn settings(&self) -> &WasiConfigVariables {
        &self.settings
    }

    pub fn keyvalue(&self) -> Option<&Store> {
        self.keyvalue.as_ref()
    }

    pub fn postgres(&self) -> &Databases {
        &self.postgres
    }

    pub fn sqlite(&self) -> &Files {
        &self.sqlite
    }

    pub fn authorities(&self) -> Option<&Arc<RootCertStore>> {
        self.authorities.as_ref()
    }

    /// Makes the way out for one instance that answers this many requests at a time, the first of which belongs to this
    /// trace.
    pub fn outbound(&self, concurrency: usize, trace: Option<Arc<Trace>>) -> Outbound {
        Outbound::new(&self.client, concurrency, trace)
    }

    pub fn local(&self) -> &LocalDevices {
        &self.local
    }

    /// Makes the guard of the sockets of one instance.
    pub fn peers(&self) -> Arc<Peers> {
        Peers::new(&self.capabilities.sockets)
    }

    /// Makes the WASI context of one instance, whose request may be recorded.
    pub fn wasi(
        &self,
        peers: &Arc<Peers>,
        standing: &StandingResources,
        recorder: Option<&Arc<Recorder>>,
    ) -> WasiCtx {
        let [stdout, stderr] = standing.outputs.clone();
        let mut wasi = WasiCtx::builder();
        wasi.envs(&self.capabilities.environment)
            .args(&self.capabilities.arguments)
            .max_random_size(RANDOM)
            .stdin(standing.input.clone())
            .stdout(stdout)
            .stderr(stderr)
            .monotonic_clock(MachineClock);
        if let Some(rng) = &self.rng {
            wasi.secure_random(rng.clone());
            wasi.insecure_random(rng.clone());
        }
        if let Some(recorder) = recorder {
            self.record(&mut wasi, recorder);
        }
        peers.guard(&mut wasi, recorder);
        let mut wasi = wasi.build();
        wasi.filesystem().clone_from(&self.files);
        wasi
    }

    /// Has a recorder answer what differs from run to run.
    fn record(&self, wasi: &mut WasiCtxBuilder, recorder: &Arc<Recorder>) {
        wasi.monotonic_clock(RecordedClock::new(recorder, MachineClock))
            .wall_clock(RecordedClock::new(recorder, Calendar))
            .secure_random(RecordedRng::new(recorder, Purpose::Secure))
            .insecure_random(RecordedRng::new(recorder, Purpose::Insecure))
            .insecure_random_seed(recorder.insecure_seed());
    }
}
