//! A `Target` says what the native code of a component depends on: it decides which engine compiles the code, and
//! which maps it.

use super::info::{ComponentInfo, World};
pub use crate::channel::{Restore, Target};
use anyhow::Result;

impl Target {
    /// These are the targets that components ask for.
    pub const MADE: [Target; 3] = [
        Target::new(World::P2, false),
        Target::new(World::P3, true),
        Target::new(World::P2, true),
    ];

    /// These are all targets there are, in the order in which code of unknown target is tried.
    pub const ALL: [Target; 15] = [
        Target::new(World::P3, true),
        Target::new(World::P2, true),
        Target::new(World::P2, false),
        Target::new(World::P3, true).of_size(LARGE),
        Target::new(World::P2, true).of_size(LARGE),
        Target::new(World::P2, false).of_size(LARGE),
        Target::new(World::P2, false).restorable(0),
        Target::new(World::P2, false).restorable(INLINED),
        Target::new(World::P2, false).restorable(LARGE),
        Target::new(World::P2, true).restorable(0),
        Target::new(World::P2, true).restorable(INLINED),
        Target::new(World::P2, true).restorable(LARGE),
        Target::new(World::P3, true).restorable(0),
        Target::new(World::P3, true).restorable(INLINED),
        Target::new(World::P3, true).restorable(LARGE),
    ];

    pub const fn new(world: World, concurrent: bool) -> Target {
        Target {
            world,
            concurrent,
            restore: Restore::No,
            inlining: true,
        }
    }

    /// Adjusts the target to a component of this many bytes.
    pub const fn of_size(self, size: usize) -> Target {
        Target {
            inlining: size < INLINED,
            ..self
        }
    }

    /// Adjusts the target to a component of this many bytes whose instances are to be restored.
    pub const fn restorable(self, size: usize) -> Target {
        let restore = match size < LARGE {
            true => Restore::Checked,
            false => Restore::Fenced,
        };
        Target {
            restore,
            ..self.of_size(size)
        }
    }

    pub fn restores(self) -> bool {
        self.restore != Restore::No
    }
}

/// A component of this many bytes or more is large: it has an interpreter inside.
pub const LARGE: usize = 4 << 20;

/// The compiler inlines nothing between the modules of a component of this many bytes or more. Inlining keeps every
/// function in memory until the last of them is translated, which takes some 500 bytes for each byte of code: 6 GiB
/// for an application of FastAPI, where compiling one function after the other takes a tenth of that.
const INLINED: usize = 1 << 20;

/// Finds the target that a component has to be compiled for to be served.
pub fn target_of(info: &ComponentInfo) -> Result<Target> {
    Ok(Target::new(info.world()?, info.concurrent()))
}
