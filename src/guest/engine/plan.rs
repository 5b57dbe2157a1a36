//! A `Plan` says what has to be known of code before it can be mapped to serve: its target, and what its instances
//! need of the pool.

use crate::guest::component::info::World;
use crate::guest::component::target::{Restore, Target};
use crate::guest::component::websocket;
use crate::guest::limits::Limits;
use anyhow::{Result, bail, ensure};
use std::fmt;
use std::str::FromStr;
use wasmtime::component::Component;

/// A `Plan` tells a worker how to map the code. The compiler finds it, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub target: Target,
    /// The component takes WebSockets.
    pub websockets: bool,
    /// The component wants to be told when it is to start (wit/lifecycle).
    pub lifecycle: bool,
    pub(super) needs: Needs,
}

/// `Needs` says what one instance of a component needs of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    pub memories: u32,
    /// The largest memory starts with so many bytes.
    pub initial_memory: u64,
    pub tables: u32,
    pub table_elements: u64,
}

const WASM_PAGE: u64 = 64 << 10;

/// A component exports this interface where its language takes part in its start: wit/lifecycle has it.
pub const LIFECYCLE: &str = "wasmserve:lifecycle/application@0.1.0";

/// Tables may grow to so many elements at least: dynamic linking inside a guest does that.
const TABLE_ELEMENTS: u64 = 10_000;

impl Plan {
    /// Plans for `component`, whatever engine it was made for.
    pub fn of(target: Target, component: &Component) -> Plan {
        let required = component.resources_required();
        let required = required.as_ref();
        let pages = required
            .and_then(|r| r.max_initial_memory_size)
            .unwrap_or(0);
        let elements = required.and_then(|r| r.max_initial_table_size).unwrap_or(0);
        let ty = component.component_type();
        let mut exports = ty.exports(component.engine());
        Plan {
            target,
            websockets: websocket::is_taken_by(component),
            lifecycle: exports.any(|(name, _)| name == LIFECYCLE),
            needs: Needs {
                memories: required.map_or(1, |r| r.num_memories).max(1),
                initial_memory: pages.saturating_mul(WASM_PAGE),
                tables: required.map_or(1, |r| r.num_tables).max(1),
                table_elements: elements.saturating_mul(2).max(TABLE_ELEMENTS),
            },
        }
    }
}

impl Plan {
    /// The world that its component is for.
    pub fn world(self) -> &'static str {
        match self.target.world {
            World::P2 => "wasi:http/proxy@0.2",
            World::P3 => "wasi:http/service@0.3",
        }
    }

    /// Says whether instances are put back as they were when they were made.
    pub fn restores(self) -> bool {
        self.target.restore != Restore::No
    }

    /// Computes how many instances there may be at a time in one worker.
    pub(super) fn instances(self, limits: Limits) -> u32 {
        match self.websockets {
            true => limits.instances.saturating_add(limits.websockets),
            false => limits.instances,
        }
    }

    /// Says whether the code is large, so that the processes that serve had better share what was loaded.
    pub fn is_large(self) -> bool {
        self.target.restore == Restore::Fenced
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan {
            target,
            websockets,
            lifecycle,
            needs,
        } = self;
        let generation = match target.world {
            World::P2 => 2,
            World::P3 => 3,
        };
        write!(
            f,
            "{generation} {} {} {} {} {} {} {} {}",
            u8::from(target.concurrent),
            target.restore as u8,
            u8::from(target.inlining),
            needs.memories,
            needs.initial_memory,
            needs.tables,
            needs.table_elements,
            u8::from(*websockets)
        )?;
        match lifecycle {
            true => write!(f, " 1"),
            false => Ok(()),
        }
    }
}

impl FromStr for Plan {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Plan> {
        let numbers: Vec<u64> = text.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [
            generation,
            concurrent,
            restore,
            inlining,
            memories,
            initial_memory,
            tables,
            table_elements,
            websockets,
            ref lifecycle @ ..,
        ] = numbers[..]
        else {
            bail!("not a plan: `{text}`");
        };
        ensure!(lifecycle.len() <= 1, "not a plan: `{text}`");
        Ok(Plan {
            lifecycle: lifecycle.contains(&1),
            target: Target {
                world: if generation == 3 {
                    World::P3
                } else {
                    World::P2
                },
                concurrent: concurrent == 1,
                restore: match restore {
                    0 => Restore::No,
                    1 => Restore::Checked,
                    _ => Restore::Fenced,
                },
                inlining: inlining == 1,
            },
            websockets: websockets == 1,
            needs: Needs {
                memories: u32::try_from(memories)?,
                initial_memory,
                tables: u32::try_from(tables)?,
                table_elements,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::component::target::LARGE;

    #[test]
    fn a_plan_survives_the_way_through_the_supervisor() {
        let plan = Plan {
            target: Target::new(World::P3, true).of_size(LARGE),
            websockets: true,
            lifecycle: false,
            needs: Needs {
                memories: 2,
                initial_memory: 1 << 17,
                tables: 3,
                table_elements: 20_000,
            },
        };
        let told = Plan {
            lifecycle: true,
            ..plan
        };
        for plan in [plan, told] {
            assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
        }
        assert!(format!("{told} 1").parse::<Plan>().is_err());
        assert!("2 0 1".parse::<Plan>().is_err());
    }
}
