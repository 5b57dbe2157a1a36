//! What guests and clients are given must not hold what is executed, trusted or secret: a guest that can write the
//! cache writes native code, and a directory whose files are served serves the key that lies in it.

use super::{databases, tls, tracing};
use crate::cli::Serve;
use crate::guest::{Capabilities, CompileRequest, StoreLocation};
use crate::log::Destination;
use crate::registry::is_reference;
use crate::request::files;
use crate::sys::watch::directory_of;
use anyhow::{Result, bail};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// `Access` says what somebody who is not trusted may do with a file, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    /// A guest reads the file.
    Read,
    /// Every client reads the file.
    Published,
    /// A guest writes the file.
    Written,
}

/// A `Relied` is a file or directory that this server relies on.
struct Relied {
    what: &'static str,
    path: PathBuf,
    /// This is the least access that harms.
    harm: Access,
}

/// A `GrantedPath` is a file or directory that is given to guests or clients.
struct GrantedPath {
    option: &'static str,
    path: PathBuf,
    access: Access,
}

/// Refuses a configuration that gives away what this server relies on.
pub fn check(serve: &Serve, order: &CompileRequest, files: &[files::Directory]) -> Result<()> {
    let cache = order.cache.directory.as_deref();
    let relied = relied_on(serve, order);
    let mut given = given(&order.capabilities, files);
    given.sort_by_key(|given| std::cmp::Reverse(given.access));
    let profiles = order.capabilities.profile.iter();
    for profiles in profiles.clone() {
        let profiles = Relied {
            what: "the profiles",
            path: profiles.directory.clone(),
            harm: Access::Written,
        };
        given.iter().try_for_each(|given| given.spares(&profiles))?;
    }
    if let Some(core_dumps) = &order.capabilities.core_dumps {
        // They hold what instances knew, and nobody writes there but workers.
        let dumps = Relied {
            what: "the core dumps",
            path: core_dumps.directory.clone(),
            harm: Access::Published,
        };
        given.iter().try_for_each(|given| given.spares(&dumps))?;
        given.push(GrantedPath {
            option: "--coredump-dir",
            path: core_dumps.directory.clone(),
            access: Access::Written,
        });
    }
    if let Some(settings) = &order.capabilities.recordings {
        let recordings = Relied {
            what: "the recordings",
            path: settings.directory.clone(),
            harm: Access::Published,
        };
        let mut others = given.iter().filter(|it| it.option != "--coredump-dir");
        others.try_for_each(|given| given.spares(&recordings))?;
        given.push(GrantedPath {
            option: "--record-failures",
            path: settings.directory.clone(),
            access: Access::Written,
        });
    }
    given.extend(
        profiles
            .filter(|it| it.by_command)
            .map(|profiles| GrantedPath {
                option: "--profile-dir",
                path: profiles.directory.clone(),
                access: Access::Written,
            }),
    );
    for given in &given {
        for relied in &relied {
            given.spares(relied)?;
        }
    }
    for (option, path) in database_files(&order.capabilities) {
        let database = Relied {
            what: "the database",
            path: path.to_owned(),
            harm: Access::Published,
        };
        // A guest that writes there could hand SQLite any bytes, and cut short what it has mapped into the worker.
        let harms = |it: &&GrantedPath| it.access == Access::Published || it.option == "--dir-rw";
        let mut harmful = given.iter().filter(harms);
        harmful.try_for_each(|given| given.spares(&database))?;
        if let Some(cache) = cache {
            database_spares(option, path, cache)?;
        }
    }
    Ok(())
}

fn relied_on(serve: &Serve, order: &CompileRequest) -> Vec<Relied> {
    let cache = order.cache.directory.as_deref();
    let item = |what, path: &Path, harm| Relied {
        what,
        path: path.to_owned(),
        harm,
    };
    let (tls, capabilities) = (&serve.tls, &serve.capabilities);
    let mut all = Vec::new();
    all.extend(cache.map(|path| item("the cache of compiled code", path, Access::Read)));
    all.extend(tls::key_files(tls).map(|path| item("the private key", path, Access::Read)));
    let passwords = tls.ssl_keyfile_password_file.iter();
    all.extend(passwords.map(|path| item("the password", path, Access::Read)));
    let pid = serve.processes.pid.iter();
    all.extend(pid.map(|path| item("the file of --pid", path, Access::Written)));
    let config = serve.config_file.iter();
    all.extend(config.map(|path| item("the configuration file", path, Access::Read)));
    let urls = databases::url_files(&serve.databases);
    all.extend(urls.map(|path| item("the URL of a database", path, Access::Read)));
    let variables = capabilities.env_file.iter();
    all.extend(variables.map(|path| item("the environment file", path, Access::Published)));
    // What is pulled lies in the cache.
    let component = serve.component.iter().filter(|it| !is_reference(it));
    all.extend(component.map(|path| item("the component", path, Access::Published)));
    let steps = order.steps.iter().chain(&order.jobs);
    let steps = steps.chain(&order.middleware);
    all.extend(steps.map(|path| item("the component", path, Access::Published)));
    let authorities = serve.outbound.outbound_ca.iter().chain(&tls.ssl_ca_certs);
    let logs = [&serve.logging.log_file, &serve.logging.access_logfile];
    let logs = logs.into_iter().flatten();
    let logs: Vec<Destination> = logs.filter_map(|it| Destination::parse(it).ok()).collect();
    let logs = logs.iter().filter_map(Destination::path);
    all.extend(logs.map(|path| item("the log", path, Access::Published)));
    let collector = tracing::certificate().into_iter();
    all.extend(collector.map(|path| item("the certificate", &path, Access::Written)));
    let authorities = authorities.chain(&tls.ssl_crl);
    let certificates = tls.ssl_certfile.iter().chain(authorities);
    all.extend(certificates.map(|path| item("the certificate", path, Access::Written)));
    all
}

fn given(capabilities: &Capabilities, files: &[files::Directory]) -> Vec<GrantedPath> {
    let directories = capabilities
        .directories
        .iter()
        .map(|directory| GrantedPath {
            option: match directory.writable {
                true => "--dir-rw",
                false => "--dir",
            },
            path: directory.host.clone(),
            access: match directory.writable {
                true => Access::Written,
                false => Access::Read,
            },
        });
    let files = files.iter().map(|files| GrantedPath {
        option: "--static",
        path: files.path.clone(),
        access: Access::Published,
    });
    let mut all: Vec<GrantedPath> = directories.chain(files).collect();
    all.extend(
        database_files(capabilities).map(|(option, path)| GrantedPath {
            option,
            path: path.to_owned(),
            access: Access::Written,
        }),
    );
    all
}

/// Lists the files that SQLite writes for guests.
fn database_files(capabilities: &Capabilities) -> impl Iterator<Item = (&'static str, &Path)> {
    let store = match &capabilities.keyvalue {
        Some(StoreLocation::Sqlite(path)) => Some(("--keyvalue", path.as_path())),
        _ => None,
    };
    let databases = capabilities.sqlite.databases.iter();
    let databases = databases.map(|(_, path)| ("--sqlite", path.as_path()));
    store.into_iter().chain(databases)
}

impl GrantedPath {
    fn spares(&self, relied: &Relied) -> Result<()> {
        if self.access < relied.harm {
            return Ok(());
        }
        let given = reached(&self.path);
        let within = |place: &PathBuf| given.last().is_some_and(|given| place.starts_with(given));
        let passed = reached(&relied.path);
        let inside = passed.last().zip(given.last());
        let inside = inside.is_some_and(|(relied, given)| given.starts_with(relied));
        if inside || passed.iter().any(within) {
            bail!(
                "option {}: `{}` and {}, `{}`, must not overlap; give a directory that holds nothing else, or \
                 put the other elsewhere",
                self.option,
                self.path.display(),
                relied.what,
                relied.path.display()
            );
        }
        Ok(())
    }
}

/// Refuses a database that stands where the cache is: a worker may write in all of the directory that the database is
/// in, for the sake of its journals.
fn database_spares(option: &'static str, database: &Path, cache: &Path) -> Result<()> {
    let directory = GrantedPath {
        option,
        path: directory_of(database).to_owned(),
        access: Access::Written,
    };
    directory.spares(&Relied {
        what: "the cache of compiled code",
        path: cache.to_owned(),
        harm: Access::Read,
    })
}

/// No kernel follows more symbolic links on one way (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Lists every symbolic link that is followed on the way to a file, and where it leads at last, whether there is
/// something or not: whoever can replace one of them can replace the file.
fn reached(path: &Path) -> Vec<PathBuf> {
    let start = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let mut rest: VecDeque<OsString> = names(&start.join(path)).collect();
    let (mut at, mut passed) = (PathBuf::from("/"), Vec::new());
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        at.push(name);
        let Ok(target) = std::fs::read_link(&at) else {
            continue;
        };
        passed.push(at.clone());
        if passed.len() > MOST_LINKS {
            break;
        }
        at.pop();
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        let names: Vec<OsString> = names(&target).collect();
        names
            .into_iter()
            .rev()
            .for_each(|name| rest.push_front(name));
    }
    passed.push(at);
    passed
}

fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests;
