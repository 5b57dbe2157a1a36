//! The query of a target: `name=value` pairs, unescaped.

pub struct Query<'a>(pub &'a str);

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
