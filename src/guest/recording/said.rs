//! What a guest writes to standard error while it answers a request is kept to its end: a traceback is there.

use std::collections::VecDeque;

/// The last lines are kept, up to this many bytes together.
const MOST: usize = 64 << 10;

/// `Said` has the last lines that the guest has written.
#[derive(Debug, Default)]
pub struct Said {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Said {
    /// Notes a line, and forgets the first ones where there are too many.
    pub fn note(&mut self, line: &str) {
        self.lines.push_back(line.to_owned());
        self.bytes += line.len() + 1;
        while self.bytes > MOST
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.len() + 1;
        }
    }

    /// Lists the lines, the oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more_than_fit() {
        let mut said = Said::default();
        for number in 0..10_000 {
            said.note(&format!("line {number}"));
        }
        let lines = said.lines();
        assert_eq!(lines.last().unwrap(), "line 9999");
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        assert!((MOST - 20..=MOST).contains(&bytes), "{bytes}");
    }
}
