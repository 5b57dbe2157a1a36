//! This file finds which content coding a client wants (RFC 9110 section 12.5.3).

use http::HeaderMap;
use http::header::{self, HeaderValue};
use std::collections::BTreeMap;

/// These codings are offered; of those that a client wants equally, the later one is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    Gzip,
    Zstd,
    Brotli,
}

impl Coding {
    const ALL: [Coding; 3] = [Coding::Gzip, Coding::Zstd, Coding::Brotli];

    /// Finds the coding that a client wants most, if any.
    pub fn wanted(headers: &HeaderMap) -> Option<Coding> {
        let best = Coding::wanted_equally(headers).into_iter().next()?;
        best.into_iter().max()
    }

    /// Finds the codings that a client wants, by how much it wants them: most first, and together where it says the
    /// same of them.
    pub fn wanted_equally(headers: &HeaderMap) -> Vec<Vec<Coding>> {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter();
        let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        let least = named(&values, "identity").unwrap_or(0).max(1);
        let mut by_weight = BTreeMap::<u16, Vec<Coding>>::new();
        for coding in Coding::ALL {
            let weight = weight(&values, coding.as_str());
            if weight >= least {
                by_weight.entry(weight).or_default().push(coding);
            }
        }
        by_weight.into_values().rev().collect()
    }

    pub fn name(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    fn as_str(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
        }
    }
}

/// Computes a weight in thousandths.
fn weight(values: &[&str], coding: &str) -> u16 {
    named(values, coding)
        .or_else(|| named(values, "*"))
        .unwrap_or(0)
}

fn named(values: &[&str], coding: &str) -> Option<u16> {
    let mut items = values.iter().flat_map(|value| value.split(','));
    items.find_map(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        name.trim()
            .eq_ignore_ascii_case(coding)
            .then(|| quality(parameters))
    })
}

fn quality(parameters: &str) -> u16 {
    let text = parameters.trim();
    let text = text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="));
    match text.map(str::parse::<f32>) {
        None => 1000,
        Some(Ok(weight)) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u16,
        Some(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, text.parse().unwrap());
        Coding::wanted(&headers)
    }

    #[test]
    fn the_client_decides_and_then_we_do() {
        assert_eq!(wanted("gzip, deflate, br, zstd"), Some(Coding::Brotli));
        assert_eq!(wanted("gzip, deflate"), Some(Coding::Gzip));
        assert_eq!(wanted("br;q=0.5, GZIP;q=0.8"), Some(Coding::Gzip));
        assert_eq!(wanted("zstd;q=0.001"), Some(Coding::Zstd));
        assert_eq!(wanted("*"), Some(Coding::Brotli));
        assert_eq!(wanted("*, br;q=0"), Some(Coding::Zstd));
    }

    #[test]
    fn nothing_is_done_that_was_not_asked_for() {
        for text in [
            "",
            "deflate",
            "identity",
            "br;q=0, gzip;q=0",
            "gzip;q=x",
            "gzip;q=0.5, identity",
        ] {
            assert_eq!(wanted(text), None, "{text}");
        }
        assert_eq!(Coding::wanted(&HeaderMap::new()), None);
    }
}
