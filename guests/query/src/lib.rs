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

/// Text with each `%XX` made the byte that it stands for.
pub fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

impl<'a> Query<'a> {
    /// The `NAME:VALUE` pairs by this name, values unescaped.
    pub fn fields(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let pairs = self.all(name).filter_map(|text| text.split_once(':'));
        pairs
            .map(|(name, value)| (name.to_owned(), unescaped(value)))
            .collect()
    }

    /// Unescaped text.
    pub fn plain(&self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        Some(String::from_utf8_lossy(&unescaped(text)).into_owned())
    }

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
