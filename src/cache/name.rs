//! A `CodeName` names a file of the cache: it says of which component its code was made, and by which engine.

use std::fmt;

/// Two `CodeName`s differ where anything differs that the code depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeName {
    /// The component has this digest.
    pub component: [u8; 32],
    /// What else the code depends on has this hash.
    pub engine: u64,
}

/// A name takes this many bytes in a file and in a message.
pub const LENGTH: usize = 40;

impl CodeName {
    pub fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..32].copy_from_slice(&self.component);
        bytes[32..].copy_from_slice(&self.engine.to_le_bytes());
        bytes
    }

    /// Writes the digest of the component as people do.
    pub fn component_digest(&self) -> String {
        let bytes = self.component.iter();
        bytes.fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    pub fn of_bytes(bytes: &[u8; LENGTH]) -> CodeName {
        let (mut component, mut engine) = ([0; 32], [0; 8]);
        component.copy_from_slice(&bytes[..32]);
        engine.copy_from_slice(&bytes[32..]);
        CodeName {
            component,
            engine: u64::from_le_bytes(engine),
        }
    }
}

impl fmt::Display for CodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.component {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "-{:016x}{SUFFIX}", self.engine)
    }
}

/// The name of each file of the cache ends like this.
pub const SUFFIX: &str = ".cwasm";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_way_through_a_file() {
        let mut name = CodeName {
            component: [7; 32],
            engine: 0x0123_4567_89ab_cdef,
        };
        name.component[31] = 1;
        assert_eq!(CodeName::of_bytes(&name.to_bytes()), name);
        assert!(name.to_string().ends_with("0701-0123456789abcdef.cwasm"));
    }
}
