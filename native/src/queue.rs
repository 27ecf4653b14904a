//! Who is due next among the customers of a partition: `engine/queue.py`, for states in memory.
//!
//! In: hints (never later than a customer's earliest due) as they change. Out: the persons whose entry has come. A
//! customer's present hint is asked of whoever calls (`hint`).

use crate::customer::NEVER;
use ahash::AHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

pub type Person = Arc<str>;

#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<(i64, Person)>>,
    /// Due of the live entry, for those whose hint is another (NEVER: has none).
    live: AHashMap<Person, i64>,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn next_due(&self) -> i64 {
        self.heap.peek().map_or(NEVER, |Reverse((due, _))| *due)
    }

    /// Take in a customer in bulk; the entry is at `due`.
    pub fn load(&mut self, person: Person, hint: i64, due: i64) {
        if due != hint {
            self.live.insert(person.clone(), due);
        } else if !self.live.is_empty() {
            self.live.remove(&person);
        }
        self.push(due, person);
    }

    pub fn moved(&mut self, person: &Person, before: i64, after: i64) {
        let live = self.live.remove(person).unwrap_or(before);
        if after < live {
            self.push(after, person.clone());
        } else if live < NEVER && live != after {
            self.live.insert(person.clone(), live);
        }
    }

    pub fn bound(&self, person: &Person, hint: i64) -> i64 {
        if self.live.is_empty() {
            return hint;
        }
        self.live.get(person).copied().unwrap_or(hint).max(hint)
    }

    /// Make this due the person's live entry; `hint` is theirs at present.
    pub fn put(&mut self, person: &Person, due: i64, hint: i64) {
        if due == hint {
            self.live.remove(person);
        } else {
            self.live.insert(person.clone(), due);
        }
        self.push(due, person.clone());
    }

    pub fn forget(&mut self, person: &Person) {
        self.live.remove(person);
    }

    /// Take the first live entry at or before `until`; stale ones before it are dropped.
    pub fn pop(&mut self, until: i64, mut hint: impl FnMut(&Person) -> i64) -> Option<(i64, Person)> {
        while self.next_due() <= until {
            let Some(Reverse((due, person))) = self.heap.pop() else { break };
            let expected = match self.live.get(&person) {
                Some(live) => *live,
                None => hint(&person),
            };
            if due == expected {
                self.live.insert(person.clone(), NEVER);
                return Some((due, person));
            }
        }
        None
    }

    /// Build the heap anew from the live entries.
    pub fn rebuild(&mut self, people: impl Iterator<Item = (Person, i64)>) {
        let live = &self.live;
        self.heap = people
            .map(|(person, hint)| Reverse((live.get(&person).copied().unwrap_or(hint), person)))
            .filter(|Reverse((due, _))| *due != NEVER)
            .collect();
    }

    fn push(&mut self, due: i64, person: Person) {
        // Nothing ever comes of an entry that is never due.
        if due < NEVER {
            self.heap.push(Reverse((due, person)));
        }
    }
}
