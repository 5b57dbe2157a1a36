//! What the native code of a component depends on: it decides which engine compiles it, and which maps it.

use super::info::{ComponentInfo, World};
use anyhow::Result;

/// What the generated code depends on. Code compiled for one target is refused by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub world: World,
    /// Support for the component model's async in the engine.
    pub concurrent: bool,
    /// Its instances can be put back as they were when they were made.
    pub restore: Restore,
    /// Functions of one module are inlined into functions of another.
    pub inlining: bool,
}

/// Whether instances can be put back as they were when they were made, and how their memories end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    No,
    /// The code looks where a memory ends before it uses it, so that memories grow and shrink without the
    /// kernel: for short work.
    Checked,
    /// The kernel does: for large components, whose work is rather in what they compute.
    Fenced,
}

impl Target {
    /// What components ask for.
    pub const MADE: [Target; 3] = [
        Target::new(World::P2, false),
        Target::new(World::P3, true),
        Target::new(World::P2, true),
    ];

    /// Every target there is, in the order in which code of unknown target is tried.
    pub const ALL: [Target; 9] = [
        Target::new(World::P3, true),
        Target::new(World::P2, true),
        Target::new(World::P2, false),
        Target::new(World::P3, true).of_size(LARGE),
        Target::new(World::P2, true).of_size(LARGE),
        Target::new(World::P2, false).of_size(LARGE),
        Target::new(World::P2, false).restorable(0),
        Target::new(World::P2, false).restorable(INLINED),
        Target::new(World::P2, false).restorable(LARGE),
    ];

    pub const fn new(world: World, concurrent: bool) -> Target {
        Target {
            world,
            concurrent,
            restore: Restore::No,
            inlining: true,
        }
    }

    /// The same for a component of so many bytes.
    pub const fn of_size(self, size: usize) -> Target {
        Target {
            inlining: size < INLINED,
            ..self
        }
    }

    /// The same with instances that can be put back, for a component of so many bytes.
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

/// Bytes from which on a component is large: it has an interpreter inside.
pub const LARGE: usize = 4 << 20;

/// Bytes from which on nothing is inlined between the modules of a component. Inlining keeps every function in memory
/// until the last of them is translated, which takes some 500 bytes for each byte of code: 6 GiB for an application
/// of FastAPI, where compiling one function after the other takes a tenth of that.
const INLINED: usize = 1 << 20;

/// The target that a component is to be compiled for, to be served.
pub fn target_of(info: &ComponentInfo) -> Result<Target> {
    Ok(Target::new(info.world()?, info.concurrent()))
}
