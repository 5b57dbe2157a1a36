//! A tool tells of its progress in lines of its standard error that begin so, as it writes them. What they leave is why
//! it fails.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

const MARK: &str = "build: ";

/// The last message of a tool that knows what was wrong begins so.
const REASON: &str = "error: ";

pub struct ToolProgress {
    file: File,
    /// This has come of a line that is not complete.
    rest: Vec<u8>,
}

impl ToolProgress {
    /// Follows a tool that writes into this file.
    pub fn of(path: &Path) -> std::io::Result<ToolProgress> {
        Ok(ToolProgress {
            file: File::open(path)?,
            rest: Vec::new(),
        })
    }

    /// Returns what was told since the last time.
    pub fn news(&mut self) -> Vec<String> {
        // What cannot be read is not shown; the tool goes on.
        let _ = self.file.read_to_end(&mut self.rest);
        let complete = self.rest.iter().rposition(|&byte| byte == b'\n');
        let lines: Vec<u8> = self.rest.drain(..complete.map_or(0, |at| at + 1)).collect();
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let told = lines.lines().filter_map(|line| line.strip_prefix(MARK));
        told.map(str::to_owned).collect()
    }

    /// Returns why the tool failed, if it said so itself; else all of its output, without what was progress.
    pub fn reason(&mut self) -> Option<String> {
        let mut said = Vec::new();
        self.file.rewind().ok()?;
        self.file.read_to_end(&mut said).ok()?;
        reason(&String::from_utf8_lossy(&said))
    }
}

fn reason(said: &str) -> Option<String> {
    let lines = said.lines().filter(|line| !line.starts_with(MARK));
    let text = lines.collect::<Vec<&str>>().join("\n");
    Some(text.strip_prefix(REASON)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_from_progress_and_from_what_is_none() {
        assert_eq!(
            reason("build: one\nerror: two\nthree\n").as_deref(),
            Some("two\nthree")
        );
        assert_eq!(reason("Traceback\nerror: not the first\n"), None);
        assert_eq!(reason("build: one\n"), None);
    }
}
