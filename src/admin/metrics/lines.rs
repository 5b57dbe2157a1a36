//! This file writes metrics down: one line for each set of labels, histograms from the scoreboard's buckets.

use super::super::reading::Reading;
use crate::scoreboard::totals::{BUCKETS, Family};
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt::Error;

/// These buckets are shown: from 64 microseconds to 67 seconds. What is faster counts in the first.
const SHOWN: std::ops::RangeInclusive<usize> = 6..=26;

/// A metric without labels has these.
pub const NONE: Vec<(&str, &str)> = Vec::new();

/// A `MetricsPage` is what metrics are written to.
pub struct MetricsPage<'a>(pub DescriptorEncoder<'a>);

impl MetricsPage<'_> {
    /// Writes one counter for each set of labels.
    pub fn counters<V: prometheus_client::encoding::EncodeLabelValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (Vec<(&'static str, V)>, u64)>,
    ) -> Result<(), Error> {
        let counter = MetricType::Counter;
        let mut metric = self.0.encode_descriptor(name, help, None, counter)?;
        for (labels, value) in values {
            let mut labelled = metric.encode_family(&labels)?;
            labelled.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    /// Writes one counter for each set of labels, with a unit.
    pub fn counters_of<V: prometheus_client::encoding::EncodeLabelValue, N>(
        &mut self,
        name: &str,
        help: &str,
        unit: &Unit,
        values: impl Iterator<Item = (Vec<(&'static str, V)>, N)>,
    ) -> Result<(), Error>
    where
        N: prometheus_client::encoding::EncodeCounterValue,
    {
        let counter = MetricType::Counter;
        let mut metric = self.0.encode_descriptor(name, help, Some(unit), counter)?;
        for (labels, value) in values {
            let mut labelled = metric.encode_family(&labels)?;
            labelled.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    /// Writes one counter for each value of a label.
    pub fn family(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: &[&'static str],
        counts: &[u64],
    ) -> Result<(), Error> {
        let counted = values.iter().zip(counts);
        let counted = counted.map(|(value, count)| (vec![(label, *value)], *count));
        self.counters(name, help, counted)
    }

    pub fn gauge(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.gauges(name, help, None, [(NONE, value as f64)].into_iter())
    }

    /// Writes one gauge for each set of labels.
    pub fn gauges<V: prometheus_client::encoding::EncodeLabelValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl Iterator<Item = (Vec<(&'static str, V)>, f64)>,
    ) -> Result<(), Error> {
        let gauge = MetricType::Gauge;
        let mut metric = self.0.encode_descriptor(name, help, unit, gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// Writes a histogram of the scoreboard, in seconds, with its sum.
    pub fn histogram(
        &mut self,
        name: &str,
        help: &str,
        reading: &Reading,
        (counts, sum): (Family, Family),
    ) -> Result<(), Error> {
        let counts = reading.totals.family(counts);
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        let mut below = 0_u64;
        for (bucket, count) in counts.iter().enumerate() {
            below = below.wrapping_add(*count);
            if SHOWN.contains(&bucket) {
                let seconds = (1_u64 << bucket) as f64 / 1e6;
                buckets.push((seconds, std::mem::take(&mut below)));
            }
        }
        debug_assert!(*SHOWN.end() < BUCKETS);
        buckets.push((f64::INFINITY, below));
        let count = buckets.iter().map(|(_, count)| *count);
        let count = count.fold(0, u64::wrapping_add);
        let sum = reading.totals.one(sum) as f64 / 1e6;
        let histogram = MetricType::Histogram;
        let unit = Some(&Unit::Seconds);
        let mut metric = self.0.encode_descriptor(name, help, unit, histogram)?;
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
