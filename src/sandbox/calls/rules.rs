//! SeccompRules say what the arguments of calls must be like: there are cases, of which one must hold.

use anyhow::Result;
use seccompiler::SeccompCmpArgLen::{self, Dword, Qword};
use seccompiler::SeccompCmpOp::{self, Eq, Gt, Lt, MaskedEq};
use seccompiler::{SeccompCondition, SeccompRule};
use std::collections::BTreeMap;
use std::os::fd::RawFd;

/// `Allowed` has the calls, each with what must hold of its arguments where that is not nothing.
pub type Allowed = BTreeMap<i64, Vec<SeccompRule>>;

/// An `ArgumentCondition` must hold of one argument.
#[derive(Clone)]
pub struct ArgumentCondition {
    argument: u8,
    length: SeccompCmpArgLen,
    operation: SeccompCmpOp,
    value: u64,
}

impl ArgumentCondition {
    /// The kernel looks at the lower half of what is no pointer.
    const fn new(argument: u8, operation: SeccompCmpOp, value: u64) -> ArgumentCondition {
        ArgumentCondition {
            argument,
            length: Dword,
            operation,
            value,
        }
    }
}

/// Of `Cases` one must hold, and of that every condition. Without a case everything is right, as seccompiler has it.
#[derive(Clone, Default)]
pub struct Cases(Vec<Vec<ArgumentCondition>>);

impl Cases {
    /// Demands that an argument is one of these.
    pub fn one_of(argument: u8, values: &[u64]) -> Cases {
        let case = |value: &u64| vec![ArgumentCondition::new(argument, Eq, *value)];
        Cases(values.iter().map(case).collect())
    }

    /// Demands that two arguments are one of these pairs.
    pub fn pairs((first, second): (u8, u8), values: &[(i32, i32)]) -> Cases {
        let case = |(one, other): &(i32, i32)| {
            vec![
                ArgumentCondition::new(first, Eq, u64::from(one.cast_unsigned())),
                ArgumentCondition::new(second, Eq, u64::from(other.cast_unsigned())),
            ]
        };
        Cases(values.iter().map(case).collect())
    }

    /// Demands that all of these conditions hold.
    pub fn all(conditions: &[ArgumentCondition]) -> Cases {
        Cases(vec![conditions.to_vec()])
    }

    /// Demands that of the bits of an argument that are in the mask, these are set.
    pub const fn masked(argument: u8, mask: u64, value: u64) -> ArgumentCondition {
        ArgumentCondition::new(argument, MaskedEq(mask), value)
    }

    /// Demands that a pointer leads nowhere.
    pub fn null(argument: u8) -> ArgumentCondition {
        ArgumentCondition {
            length: Qword,
            ..ArgumentCondition::new(argument, Eq, 0)
        }
    }

    /// Demands that a descriptor is none of these.
    pub fn outside(argument: u8, numbers: &[RawFd]) -> Cases {
        let mut numbers: Vec<u64> = numbers
            .iter()
            .map(|fd| u64::from(fd.unsigned_abs()))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut cases = Vec::new();
        let mut after: Option<u64> = None;
        for number in &numbers {
            let begins = after.map_or(0, |after| after + 1);
            if begins < *number {
                let above = after.map(|after| ArgumentCondition::new(argument, Gt, after));
                let below = ArgumentCondition::new(argument, Lt, *number);
                cases.push(above.into_iter().chain([below]).collect());
            }
            after = Some(*number);
        }
        if let Some(after) = after {
            cases.push(vec![ArgumentCondition::new(argument, Gt, after)]);
        }
        Cases(cases)
    }

    /// Demands one of these cases, or one of those.
    pub fn or(mut self, other: Cases) -> Cases {
        if self.0.is_empty() || other.0.is_empty() {
            return Cases::default();
        }
        self.0.extend(other.0);
        self
    }

    /// Demands one of these cases, and one of those.
    pub fn and(self, other: Cases) -> Cases {
        if self.0.is_empty() {
            return other;
        }
        if other.0.is_empty() {
            return self;
        }
        let both = |one: &Vec<ArgumentCondition>| {
            let one = one.clone();
            let others = other.0.iter();
            others.map(move |other| one.iter().chain(other).cloned().collect())
        };
        Cases(self.0.iter().flat_map(both).collect())
    }
}

/// `SeccompRules` are put together call by call.
#[derive(Default)]
pub struct SeccompRules {
    pub allowed: Allowed,
}

impl SeccompRules {
    /// Allows these calls, with whatever arguments.
    pub fn allow(&mut self, calls: &[i64]) {
        let calls = calls.iter().map(|call| (*call, Vec::new()));
        self.allowed.extend(calls);
    }

    /// Allows this call, with such arguments alone.
    pub fn only(&mut self, call: i64, cases: Cases) -> Result<()> {
        let rules = cases.0.into_iter().map(rule);
        self.allowed.insert(call, rules.collect::<Result<_>>()?);
        Ok(())
    }
}

fn rule(conditions: Vec<ArgumentCondition>) -> Result<SeccompRule> {
    let conditions = conditions.into_iter().map(|condition| {
        let ArgumentCondition {
            argument,
            length,
            operation,
            value,
        } = condition;
        SeccompCondition::new(argument, length, operation, value)
    });
    Ok(SeccompRule::new(conditions.collect::<Result<_, _>>()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says whether a descriptor of this number is let through.
    fn holds(cases: &Cases, number: u64) -> bool {
        let holds = |condition: &ArgumentCondition| match condition.operation {
            Gt => number > condition.value,
            Lt => number < condition.value,
            _ => panic!("not compared"),
        };
        cases.0.is_empty() || cases.0.iter().any(|case| case.iter().all(holds))
    }

    #[test]
    fn a_descriptor_is_outside_or_it_is_not() {
        for inside in [&[][..], &[0, 1, 2], &[2, 0, 960, 961, 7], &[5], &[1, 3]] {
            let cases = Cases::outside(0, inside);
            for number in 0..1000 {
                let is_inside = inside.contains(&(number as RawFd));
                assert_eq!(holds(&cases, number), !is_inside, "{number} of {inside:?}");
            }
            assert!(holds(&cases, u64::from(u32::MAX)));
        }
    }

    #[test]
    fn everything_and_something_is_something_and_everything_or_something_is_everything() {
        let (some, everything) = (|| Cases::one_of(0, &[1, 2]), Cases::default);
        assert_eq!(some().and(everything()).0.len(), 2);
        assert_eq!(everything().and(some()).0.len(), 2);
        assert!(some().or(everything()).0.is_empty());
        assert!(everything().or(some()).0.is_empty());
        assert_eq!(some().and(some()).0.len(), 4);
    }
}
