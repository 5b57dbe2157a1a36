//! `FileNames` has the paths of what a guest has open, as the guest knows them: a recording names files by them.

use std::collections::BTreeMap;

/// `FileNames` belongs to one instance.
#[derive(Default)]
pub struct FileNames(BTreeMap<u32, String>);

impl FileNames {
    /// Notes what stands at this place of the table.
    pub fn name(&mut self, place: u32, path: String) {
        self.0.insert(place, path);
    }

    pub fn forget(&mut self, place: u32) {
        self.0.remove(&place);
    }

    pub fn of(&self, place: u32) -> &str {
        self.0.get(&place).map_or("?", String::as_str)
    }

    /// Names what is found by a path at a directory.
    pub fn beneath(&self, directory: u32, path: &str) -> String {
        format!("{}/{path}", self.of(directory).trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_the_directories_that_they_were_found_in() {
        let mut names = FileNames::default();
        names.name(3, "/".to_owned());
        names.name(4, names.beneath(3, "data"));
        assert_eq!(names.beneath(4, "a.txt"), "/data/a.txt");
        names.forget(4);
        assert_eq!(names.of(4), "?");
    }
}
