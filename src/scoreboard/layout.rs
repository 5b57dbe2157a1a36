//! A `Layout` says where things stand in a scoreboard, in a form that another executable understands whose own
//! scoreboard is laid out otherwise.

use super::entry::Entry;
use super::slot::{self, Slot};
use super::table::Table;
use super::totals::{self, FAMILIES};
use crate::log::recent::Recent;
use crate::sys::memory::page_size;
use serde::{Deserialize, Serialize};
use std::mem::offset_of;

/// This is the number of the layout of the table, its entries and a slot; it is raised whenever one of them changes.
const FORM: u32 = 7;

/// A `Layout` describes a scoreboard. Places are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    form: u32,
    /// There are this many slots.
    pub slots: usize,
    /// The first slot begins here, and it is so far from one to the next.
    first: usize,
    stride: usize,
    /// Within a slot these are the places of the last sign of life, of the last request as a text that ends with a
    /// zero byte, and of the totals.
    pub(super) heartbeat: usize,
    pub(super) answering: Bytes,
    pub(super) totals: Vec<Total>,
    /// The totals of no worker in particular stand here, in the same order as those of a slot.
    #[serde(default)]
    pub(super) carried: Option<usize>,
    /// This many slots of other processes stand behind those of the workers.
    #[serde(default)]
    pub(super) others: usize,
    /// Behind all slots there are the last lines of the log, of each of these processes and of the supervisor.
    #[serde(default)]
    has_lines: bool,
}

/// `Bytes` is a place and a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    pub(super) place: usize,
    pub(super) length: usize,
}

/// A `Total` describes numbers of eight bytes that only ever grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    pub(super) name: String,
    pub(super) place: usize,
    pub(super) count: usize,
}

impl Total {
    fn new(name: &str, place: usize, count: usize) -> Total {
        let name = name.to_owned();
        Total { name, place, count }
    }
}

fn own_total(family: totals::Family) -> Total {
    let place = offset_of!(Slot, totals) + family.offset();
    Total::new(family.name, place, family.count)
}

impl Layout {
    /// Describes a scoreboard of this executable.
    pub fn own(slots: usize) -> Layout {
        let table = size_of::<Table>() + slots * size_of::<Entry>();
        Layout {
            form: FORM,
            slots,
            first: table.next_multiple_of(page_size()),
            stride: size_of::<Slot>().next_multiple_of(page_size()),
            heartbeat: offset_of!(Slot, heartbeat_ms),
            answering: Bytes {
                place: offset_of!(Slot, answering),
                length: slot::ANSWERING,
            },
            totals: FAMILIES.map(own_total).into(),
            carried: Some(Table::totals_place()),
            others: 1,
            has_lines: true,
        }
    }

    /// Describes a scoreboard of the executables that did not describe theirs.
    pub fn first(slots: usize) -> Layout {
        Layout {
            form: 1,
            slots,
            first: 128,
            stride: 512,
            heartbeat: 24,
            answering: Bytes {
                place: 368,
                length: 112,
            },
            totals: vec![
                Total::new(totals::CONNECTIONS.name, 40, 1),
                Total::new(totals::REQUESTS.name, 48, 1),
                Total::new("statuses", 56, 5),
                Total::new("guest_failures", 96, 1),
                Total::new(totals::BYTES_OUT.name, 104, 1),
                Total::new(totals::LATENCY.name, 112, 32),
            ],
            carried: None,
            others: 0,
            has_lines: false,
        }
    }

    /// Computes where a slot begins.
    pub(super) fn place(&self, index: usize) -> usize {
        self.first + index * self.stride
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Returns where the last lines of a process stand, on pages of their own.
    pub(super) fn lines(&self, index: usize) -> usize {
        self.place(self.slots + self.others) + index * Layout::lines_stride()
    }

    pub(super) fn lines_stride() -> usize {
        size_of::<Recent>().next_multiple_of(page_size())
    }

    /// Returns the place among the rings of lines of the supervisor's, which is behind those of all others.
    pub(super) fn supervisor(&self) -> usize {
        self.slots + self.others
    }

    /// Computes the length of the whole scoreboard.
    pub(super) fn bytes(&self) -> usize {
        match self.has_lines {
            true => self.lines(self.supervisor() + 1),
            false => self.place(self.slots + self.others),
        }
    }

    /// Computes the length of the whole scoreboard, where everything that the layout names is within it and the
    /// numbers are aligned.
    pub(super) fn checked_bytes(&self) -> Option<usize> {
        let within = |place: usize, length: usize| {
            let end = place.checked_add(length);
            end.is_some_and(|end| end <= self.stride)
        };
        let numbers = |place: usize, count: usize| {
            let length = count.checked_mul(8);
            place.is_multiple_of(8) && length.is_some_and(|length| within(place, length))
        };
        let right = self.first.is_multiple_of(8)
            && self.stride.is_multiple_of(8)
            && numbers(self.heartbeat, 1)
            && within(self.answering.place, self.answering.length)
            && self
                .totals
                .iter()
                .all(|total| numbers(total.place, total.count));
        let count: usize = match right {
            true => self.totals.iter().map(|total| total.count).sum(),
            false => 0,
        };
        let carried = self.carried.is_none_or(|place| {
            let end = place.checked_add(8 * count);
            place.is_multiple_of(8) && end.is_some_and(|end| end <= self.first)
        });
        let right = right && carried;
        let count = self.slots.checked_add(self.others)?;
        let slots = self.stride.checked_mul(count)?;
        slots.checked_add(self.first).filter(|_| right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_told_and_understood() {
        for layout in [Layout::own(64), Layout::first(64)] {
            let told = serde_json::to_string(&layout).unwrap();
            assert_eq!(serde_json::from_str::<Layout>(&told).unwrap(), layout);
            assert!(layout.checked_bytes().unwrap() <= layout.bytes());
        }
    }

    #[test]
    fn a_layout_that_leaves_its_slots_is_refused() {
        let with = |change: fn(&mut Layout)| {
            let mut layout = Layout::own(2);
            change(&mut layout);
            layout.checked_bytes()
        };
        assert_eq!(with(|it| it.heartbeat = it.stride), None);
        assert_eq!(with(|it| it.heartbeat = 3), None);
        assert_eq!(with(|it| it.answering.length = usize::MAX), None);
        assert_eq!(with(|it| it.totals[0].count = usize::MAX), None);
        assert_eq!(with(|it| it.totals[0].place = usize::MAX - 7), None);
        assert_eq!(with(|it| it.carried = Some(it.first)), None);
        assert_eq!(with(|it| it.carried = Some(3)), None);
        assert_eq!(with(|it| it.carried = Some(usize::MAX - 7)), None);
        assert_eq!(with(|it| it.slots = usize::MAX), None);
        assert_eq!(with(|it| it.first = usize::MAX - 7), None);
    }
}
