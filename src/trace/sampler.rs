//! A `Sampler` says which traces are recorded, by the names that OpenTelemetry has for it (`OTEL_TRACES_SAMPLER`).

use super::TraceId;
use anyhow::{Context, Result, bail};

/// `Sampler` decides of each trace whether it is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// The sampler keeps a client's decision.
    follows_parent: bool,
    /// This much of all traces is recorded, from nought to one.
    ratio: f64,
}

impl Default for Sampler {
    /// Returns OpenTelemetry's own default.
    fn default() -> Sampler {
        Sampler {
            follows_parent: true,
            ratio: 1.0,
        }
    }
}

impl Sampler {
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Sampler> {
        let (follows_parent, rest) = match name.strip_prefix("parentbased_") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let ratio = match rest {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => argument.map_or(Ok(1.0), ratio)?,
            _ => bail!(
                "`{name}` is no sampler that is known here; use always_on, always_off, traceidratio, or one of these \
                 with parentbased_ before it"
            ),
        };
        Ok(Sampler {
            follows_parent,
            ratio,
        })
    }

    /// Decides about a trace that begins here.
    pub fn begins(self, id: TraceId) -> bool {
        // As OpenTelemetry's own libraries do it, so that all who have this ratio choose the same traces: by the last
        // 63 bits of the id.
        let [.., a, b, c, d, e, f, g, h] = id.0;
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        let bound = self.ratio * (1_u64 << 63) as f64;
        self.ratio >= 1.0 || (number as f64) < bound
    }

    /// Decides about a trace of which a client that is trusted says whether it is recorded.
    pub fn continues(self, id: TraceId, is_sampled: bool) -> bool {
        match self.follows_parent {
            true => is_sampled,
            false => self.begins(id),
        }
    }
}

fn ratio(text: &str) -> Result<f64> {
    let ratio: f64 = text
        .parse()
        .with_context(|| format!("`{text}` is not a number"))?;
    if !(0.0..=1.0).contains(&ratio) {
        bail!("it is {text}; it must be from 0 to 1");
    }
    Ok(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(sampler: Sampler) -> usize {
        let ids = (0..2000).map(|_| TraceId::random());
        ids.filter(|id| sampler.begins(*id)).count()
    }

    #[test]
    fn as_many_are_recorded_as_were_asked_for() {
        let sampler = |text, argument| Sampler::parse(text, argument).unwrap();
        assert_eq!(share(sampler("always_on", None)), 2000);
        assert_eq!(share(sampler("parentbased_always_off", Some("1"))), 0);
        assert_eq!(share(sampler("traceidratio", None)), 2000);
        assert_eq!(share(sampler("traceidratio", Some("0"))), 0);
        // Seven standard deviations to either side.
        let some = share(sampler("parentbased_traceidratio", Some("0.25")));
        assert!((360..640).contains(&some), "{some}");
    }

    #[test]
    fn a_parent_decides_where_it_is_to() {
        let id = TraceId([0xff; 16]);
        let follows = Sampler::parse("parentbased_traceidratio", Some("0.5")).unwrap();
        assert!(follows.continues(id, true) && !follows.continues(id, false));
        let own = Sampler::parse("traceidratio", Some("0.5")).unwrap();
        assert!(!own.continues(id, true));
    }

    #[test]
    fn what_is_no_sampler_is_refused() {
        for (name, argument) in [
            ("sometimes", None),
            ("parentbased_", None),
            ("traceidratio", Some("half")),
            ("traceidratio", Some("1.5")),
            ("traceidratio", Some("-0.1")),
            ("traceidratio", Some("NaN")),
        ] {
            assert!(
                Sampler::parse(name, argument).is_err(),
                "{name} {argument:?}"
            );
        }
    }
}
