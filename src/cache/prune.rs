//! A cache that has grown too large gives up the files that no start has used for the longest time.

use std::time::SystemTime;

/// A `CachedFile` is a file of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedFile {
    pub name: String,
    pub length: u64,
    /// A start used it last at this time.
    pub used: SystemTime,
}

/// Chooses the files to remove, so that the rest takes at most `most` bytes. The one that was used last stays,
/// however large it is.
pub fn superfluous(mut entries: Vec<CachedFile>, most: u64) -> Vec<String> {
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
    let mut sum: u64 = 0;
    let old = entries.into_iter().enumerate().filter(|(index, entry)| {
        sum = sum.saturating_add(entry.length);
        *index > 0 && sum > most
    });
    old.map(|(_, entry)| entry.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_least_recently_used_go_first_and_the_last_used_stays() {
        let entry = |name: &str, length, age: u64| CachedFile {
            name: name.to_owned(),
            length,
            used: SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age),
        };
        let entries = || {
            vec![
                entry("old", 5, 30),
                entry("new", 10, 1),
                entry("mid", 4, 20),
            ]
        };
        let none: [&str; 0] = [];
        assert_eq!(superfluous(entries(), 19), none);
        assert_eq!(superfluous(entries(), 18), ["old"]);
        assert_eq!(superfluous(entries(), 14), ["old"]);
        assert_eq!(superfluous(entries(), 13), ["mid", "old"]);
        assert_eq!(superfluous(entries(), 0), ["mid", "old"]);
    }
}
