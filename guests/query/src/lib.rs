//! What a request asks of a behaviour: the first segment of its path says which, the query how.

/// `name=value` pairs, unescaped.
pub struct Query<'a>(&'a str);

/// Tells `/behaviour/…?query` apart.
pub fn parse(target: &str) -> (&str, Query<'_>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix('/').unwrap_or(path);
    let behaviour = path.split('/').next().unwrap_or_default();
    (behaviour, Query(query))
}

impl<'a> Query<'a> {
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(move |(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.text(name)
            .map_or(default, |value| value.parse().expect("a number"))
    }
}
