//! How much linear memory one instance may hold, all its memories together.

use wasmtime::{ResourceLimiter, Result};

/// Counts the bytes that an instance's memories take and refuses growth beyond the limit: the guest
/// sees `memory.grow` return -1, as it would on a machine without memory.
#[derive(Debug)]
pub struct MemoryLimit {
    limit: usize,
    used: usize,
    refused: bool,
}

impl MemoryLimit {
    /// `limit` in bytes.
    pub fn new(limit: usize) -> MemoryLimit {
        MemoryLimit {
            limit,
            used: 0,
            refused: false,
        }
    }

    /// So many bytes are there, whoever asked for them.
    pub fn has(&mut self, bytes: usize) {
        self.used = bytes;
    }

    /// Forgets that growth was refused.
    pub fn forgive(&mut self) {
        self.refused = false;
    }

    /// Whether growth was refused: a trap that follows is most likely the guest's allocator giving up.
    pub fn refused(&self) -> bool {
        self.refused
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_an_instance_count_together() {
        let mut limit = MemoryLimit::new(3 << 16);
        assert!(limit.memory_growing(0, 1 << 16, None).unwrap());
        assert!(limit.memory_growing(0, 1 << 16, None).unwrap());
        assert!(limit.memory_growing(1 << 16, 2 << 16, None).unwrap());
        assert!(!limit.refused());
        assert!(!limit.memory_growing(1 << 16, 2 << 16, None).unwrap());
        assert!(limit.refused());
    }
}
