//! A `CodeInfo` says what has to be known of code before it can be mapped to serve. The compiler tells it to the
//! supervisor in numbers of a fixed size, each of which is checked when it is read.

use super::Garbage;
use serde::{Deserialize, Serialize};

/// A `CodeInfo` tells a worker how to map the code. The compiler finds it, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeInfo {
    pub target: Target,
    /// The component takes WebSockets.
    pub websockets: bool,
    /// The component wants to be told when it is to start (wit/lifecycle).
    pub lifecycle: bool,
    pub needs: Needs,
}

/// A `Target` is what the generated code depends on. An engine for one target refuses code that was compiled for
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub world: World,
    /// The engine supports the component model's async.
    pub concurrent: bool,
    /// Instances can be restored, in this way.
    pub restore: Restore,
    /// The compiler inlines functions of one module into functions of another.
    pub inlining: bool,
}

/// A `World` is the version of WASI HTTP that a component exports a handler for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum World {
    /// The component exports `wasi:http/incoming-handler@0.2.x`, as the `proxy` world has it.
    P2,
    /// The component exports `wasi:http/handler@0.3.x`, as the `service` world has it.
    P3,
}

/// `Restore` says whether instances can be restored to what they were when they were made, and how the code finds the
/// end of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restore {
    No,
    /// The code checks where a memory ends before it uses it, so that memories grow and shrink without the kernel.
    /// This suits short work.
    Checked,
    /// The kernel guards the end of each memory. This suits large components, which spend their time computing.
    Fenced,
}

/// `Needs` says what one instance of a component needs of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    pub memories: u32,
    /// The largest memory starts with this many bytes.
    pub initial_memory: u64,
    pub tables: u32,
    pub table_elements: u64,
}

/// A `CodeInfo` takes this many bytes of a record.
pub(super) const SIZE: usize = 30;

impl CodeInfo {
    /// Says whether the code is large, so that the processes that serve had better share what was loaded.
    pub fn is_large(self) -> bool {
        self.target.restore == Restore::Fenced
    }

    pub(super) fn encode(self) -> Vec<u8> {
        let CodeInfo {
            target,
            websockets,
            lifecycle,
            needs,
        } = self;
        let world = match target.world {
            World::P2 => 2,
            World::P3 => 3,
        };
        let restore = match target.restore {
            Restore::No => 0,
            Restore::Checked => 1,
            Restore::Fenced => 2,
        };
        let flags = [target.concurrent, target.inlining, websockets, lifecycle];
        let flags = flags.iter().map(|flag| u8::from(*flag));
        let mut bytes: Vec<u8> = [world, restore].into_iter().chain(flags).collect();
        bytes.extend(needs.memories.to_ne_bytes());
        bytes.extend(needs.tables.to_ne_bytes());
        bytes.extend(needs.initial_memory.to_ne_bytes());
        bytes.extend(needs.table_elements.to_ne_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; SIZE]) -> Result<CodeInfo, Garbage> {
        let mut rest = &bytes[..];
        let [world, restore, concurrent, inlining, websockets, lifecycle] = next(&mut rest)?;
        let flag = |byte| match byte {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Garbage),
        };
        let target = Target {
            world: match world {
                2 => World::P2,
                3 => World::P3,
                _ => return Err(Garbage),
            },
            concurrent: flag(concurrent)?,
            restore: match restore {
                0 => Restore::No,
                1 => Restore::Checked,
                2 => Restore::Fenced,
                _ => return Err(Garbage),
            },
            inlining: flag(inlining)?,
        };
        Ok(CodeInfo {
            target,
            websockets: flag(websockets)?,
            lifecycle: flag(lifecycle)?,
            needs: Needs {
                memories: u32::from_ne_bytes(next(&mut rest)?),
                tables: u32::from_ne_bytes(next(&mut rest)?),
                initial_memory: u64::from_ne_bytes(next(&mut rest)?),
                table_elements: u64::from_ne_bytes(next(&mut rest)?),
            },
        })
    }
}

fn next<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Garbage> {
    let (taken, left) = rest.split_first_chunk().ok_or(Garbage)?;
    *rest = left;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<CodeInfo> {
        let mut samples = Vec::new();
        for world in [World::P2, World::P3] {
            for restore in [Restore::No, Restore::Checked, Restore::Fenced] {
                for flags in 0..16 {
                    let flag = |bit| flags & (1 << bit) != 0;
                    samples.push(CodeInfo {
                        target: Target {
                            world,
                            concurrent: flag(0),
                            restore,
                            inlining: flag(1),
                        },
                        websockets: flag(2),
                        lifecycle: flag(3),
                        needs: Needs {
                            memories: 2,
                            initial_memory: u64::MAX,
                            tables: u32::MAX,
                            table_elements: 20_000,
                        },
                    });
                }
            }
        }
        samples
    }

    #[test]
    fn what_is_said_of_code_survives_the_way_through_the_supervisor() {
        for info in samples() {
            let bytes = info.encode().try_into().unwrap();
            assert_eq!(CodeInfo::decode(&bytes), Ok(info));
        }
    }

    #[test]
    fn what_is_out_of_range_is_garbage() {
        let bytes: [u8; SIZE] = samples()[0].encode().try_into().unwrap();
        for place in 0..6 {
            for byte in [4, 0xff] {
                let mut garbled = bytes;
                garbled[place] = byte;
                assert_eq!(CodeInfo::decode(&garbled), Err(Garbage), "{place}");
            }
        }
    }
}
