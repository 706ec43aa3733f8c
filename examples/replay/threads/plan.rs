//! What each thread has to do, and what has to be done before it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use crate::trace::{Event, Level, Op, Trace};

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Alloc {
        table: usize,
    },
    Free {
        table: usize,
    },
    /// The mm of this life exits, when `after` steps of it have been done.
    Exit {
        life: usize,
        after: usize,
    },
}

/// Where a table is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) life: usize,
    /// The index in the life's map.
    pub(crate) slot: usize,
    /// The table that stood there before, and must have been freed first.
    pub(crate) before: Option<usize>,
}

/// An mm from its first table to its exit. The same mm's tables after its exit are another life.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// The tables of each slot of the map, in the order in which they stand there.
    pub(crate) slots: Vec<Vec<usize>>,
    /// The step that is its exit; past all steps if the trace has none.
    pub(crate) exit: usize,
    /// How many steps have been planned for it.
    steps: usize,
    free: BinaryHeap<Reverse<usize>>,
}

/// A trace, made ready for threads.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The steps in the order of the trace.
    pub(crate) steps: Vec<Step>,
    /// The steps of each recorded CPU.
    pub(crate) cpus: Vec<Vec<usize>>,
    pub(crate) lives: Vec<Life>,
    /// Where each table goes; `None` for tables of levels that are not replayed.
    pub(crate) places: Vec<Option<Place>>,
    /// The tables that the trace leaves alive.
    pub(crate) alive: Vec<usize>,
}

impl Plan {
    pub(crate) fn new(trace: &Trace, levels: &[Level]) -> Self {
        let mut plan = Self { places: vec![None; trace.tables], ..Self::default() };
        let mut current = vec![None; trace.mms];
        let mut cpus = BTreeMap::<u32, Vec<usize>>::new();
        let mut alive = vec![false; trace.tables];
        for event in &trace.events {
            let first = plan.steps.len();
            if levels.contains(&event.level) {
                alive[event.table] = event.op == Op::Alloc;
                match event.op {
                    Op::Alloc => plan.alloc(event, &mut current[event.mm]),
                    Op::Free => plan.free(event.table),
                }
            }
            if (event.op, event.level) == (Op::Free, Level::Pgd) {
                if let Some(life) = current[event.mm].take() {
                    plan.lives[life].exit = plan.steps.len();
                    plan.steps.push(Step::Exit { life, after: plan.lives[life].steps });
                }
            }
            cpus.entry(event.cpu).or_default().extend(first..plan.steps.len());
        }
        plan.cpus = cpus.into_values().filter(|steps| !steps.is_empty()).collect();
        plan.alive = (0..trace.tables).filter(|&table| alive[table]).collect();
        plan
    }

    fn alloc(&mut self, event: &Event, current: &mut Option<usize>) {
        let id = *current.get_or_insert_with(|| {
            self.lives.push(Life { exit: usize::MAX, ..Life::default() });
            self.lives.len() - 1
        });
        let life = &mut self.lives[id];
        let slot = match life.free.pop() {
            Some(Reverse(slot)) => slot,
            None => {
                life.slots.push(Vec::new());
                life.slots.len() - 1
            }
        };
        let before = life.slots[slot].last().copied();
        life.slots[slot].push(event.table);
        life.steps += 1;
        self.places[event.table] = Some(Place { life: id, slot, before });
        self.steps.push(Step::Alloc { table: event.table });
    }

    fn free(&mut self, table: usize) {
        let Place { life, slot, .. } = self.place(table);
        let life = &mut self.lives[life];
        life.free.push(Reverse(slot));
        life.steps += 1;
        self.steps.push(Step::Free { table });
    }

    /// The place of a table that is replayed.
    pub(crate) fn place(&self, table: usize) -> Place {
        self.places[table].expect("only tables with a place have steps")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(events: &[(u32, Op, Level, usize)]) -> Plan {
        let event = |&(cpu, op, level, table)| Event { time: 0, cpu, mm: 0, op, level, table };
        let trace = Trace {
            name: "test".to_owned(),
            events: events.iter().map(event).collect(),
            mms: 1,
            tables: events.len(),
            numbers: (0..events.len() as u64).collect(),
        };
        Plan::new(&trace, &[Level::Pte])
    }

    #[test]
    fn slots_are_reused_in_order() {
        use {Level::Pte, Op::*};
        let plan = plan(&[
            (0, Alloc, Pte, 0),
            (1, Alloc, Pte, 1),
            (1, Free, Pte, 0),
            (3, Alloc, Pte, 2),
            (3, Alloc, Pte, 3),
        ]);
        assert_eq!(plan.lives[0].slots, [vec![0, 2], vec![1], vec![3]]);
        assert_eq!(plan.place(2), Place { life: 0, slot: 0, before: Some(0) });
        assert_eq!(plan.cpus, [vec![0], vec![1, 2], vec![3, 4]]);
        assert_eq!(plan.alive, [1, 2, 3]);
    }

    #[test]
    fn an_exit_ends_a_life() {
        use {Level::*, Op::*};
        let plan = plan(&[
            (0, Alloc, Pgd, 9),
            (0, Alloc, Pte, 0),
            (0, Alloc, Pte, 1),
            (0, Free, Pte, 0),
            (0, Free, Pgd, 9),
            (0, Free, Pte, 1),
            (0, Alloc, Pte, 2),
        ]);
        assert_eq!(plan.steps[3], Step::Exit { life: 0, after: 3 });
        assert_eq!(plan.steps[4], Step::Free { table: 1 });
        assert_eq!(plan.place(2), Place { life: 1, slot: 0, before: None });
        assert_eq!((plan.lives[0].exit, plan.lives[1].exit), (3, usize::MAX));
    }
}
