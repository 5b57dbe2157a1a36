//! This file shows the workers as rows: which columns there are, and in which order the rows stand.

use super::history::History;
use super::sample::WorkerSample;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    #[default]
    Pid,
    State,
    Load,
    Rate,
    Requests,
    Failed,
    Connections,
    InFlight,
    Memory,
    Age,
}

impl Column {
    /// The columns stand in this order from left to right; the first nine are as wide as a terminal of 80 columns.
    pub const ALL: [Column; 10] = [
        Column::Pid,
        Column::State,
        Column::Load,
        Column::Rate,
        Column::Requests,
        Column::Failed,
        Column::Connections,
        Column::InFlight,
        Column::Memory,
        Column::Age,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Column::Pid => "PID",
            Column::State => "STATE",
            Column::Load => "LOAD",
            Column::Rate => "REQ/S",
            Column::Requests => "REQUESTS",
            Column::Failed => "FAILED",
            Column::Connections => "CONNS",
            Column::InFlight => "FLIGHT",
            Column::Memory => "MEMORY",
            Column::Age => "AGE",
        }
    }

    pub fn width(self) -> u16 {
        match self {
            Column::Load => 13,
            Column::Requests => 9,
            Column::State | Column::Memory | Column::Age => 8,
            Column::Pid | Column::Rate | Column::Failed | Column::InFlight => 7,
            Column::Connections => 6,
        }
    }

    /// Words begin with the first; of numbers the largest is looked for.
    fn largest_first(self) -> bool {
        !matches!(self, Column::Pid | Column::State)
    }

    fn step(self, by: usize) -> Column {
        let place = Column::ALL.iter().position(|column| *column == self);
        let place = place.unwrap_or_default() + by;
        Column::ALL[place % Column::ALL.len()]
    }

    pub fn next(self) -> Column {
        self.step(1)
    }

    pub fn previous(self) -> Column {
        self.step(Column::ALL.len() - 1)
    }
}

/// `Sorting` says by what the rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sorting {
    pub column: Column,
    pub reversed: bool,
}

impl Sorting {
    pub fn descends(self) -> bool {
        self.column.largest_first() != self.reversed
    }
}

/// A `Row` is one worker.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    pub worker: &'a WorkerSample,
    /// Requests a second.
    pub rate: f64,
}

/// Returns the workers of the latest sample in this order. Those that are equal stand by their processes.
pub fn rows(history: &History, sorting: Sorting) -> Vec<Row<'_>> {
    let workers = history.latest().map_or(&[][..], |it| &it.workers);
    let mut rows: Vec<Row<'_>> = workers
        .iter()
        .map(|worker| Row {
            worker,
            rate: history.rate_of(worker),
        })
        .collect();
    rows.sort_by(|one, other| {
        let order = compare(one, other, sorting.column);
        let order = match sorting.descends() {
            true => order.reverse(),
            false => order,
        };
        order.then(one.worker.pid.cmp(&other.worker.pid))
    });
    rows
}

fn compare(one: &Row<'_>, other: &Row<'_>, column: Column) -> Ordering {
    let (a, b) = (one.worker, other.worker);
    match column {
        Column::Pid => a.pid.cmp(&b.pid),
        Column::State => a.state.cmp(&b.state),
        Column::Load => a.busy.total_cmp(&b.busy),
        Column::Rate => one.rate.total_cmp(&other.rate),
        Column::Requests => a.requests.cmp(&b.requests),
        Column::Failed => a.failures.cmp(&b.failures),
        Column::Connections => a.connections.cmp(&b.connections),
        Column::InFlight => a.in_flight.cmp(&b.in_flight),
        Column::Memory => a.memory_bytes.cmp(&b.memory_bytes),
        Column::Age => a.age_seconds.total_cmp(&b.age_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn rows_stand_in_the_order_that_is_asked_for() {
        let document = json!({"workers": [
            {"pid": 3, "busy": 0.5, "state": "ready"},
            {"pid": 1, "busy": 0.9, "state": "ready"},
            {"pid": 2, "busy": 0.1, "state": "draining"},
        ]});
        let mut history = History::default();
        history.add(serde_json::from_value(document).unwrap(), Duration::ZERO);
        let order = |column, reversed| -> Vec<i64> {
            let rows = rows(&history, Sorting { column, reversed });
            rows.iter().map(|row| row.worker.pid).collect()
        };
        assert_eq!(order(Column::Pid, false), [1, 2, 3]);
        assert_eq!(order(Column::Load, false), [1, 3, 2]);
        assert_eq!(order(Column::Load, true), [2, 3, 1]);
        assert_eq!(order(Column::State, false), [2, 1, 3]);
        assert_eq!(order(Column::Memory, false), [1, 2, 3]);
    }

    #[test]
    fn every_column_is_reached_in_both_directions_and_nine_fit_on_a_terminal() {
        let mut column = Column::default();
        for expected in Column::ALL {
            assert_eq!(column, expected);
            assert_eq!(column.next().previous(), column);
            column = column.next();
        }
        assert_eq!(column, Column::default());
        let widths = Column::ALL.iter().take(9).map(|column| column.width());
        assert_eq!(widths.sum::<u16>() + 8, 80);
    }
}
