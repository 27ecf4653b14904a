//! Who is due next among the customers of a partition: `engine/queue.py`.
//!
//! In: hints (never later than a customer's earliest due) as they change. Out: the persons whose entry has come. A
//! customer's present hint is asked of whoever calls (`hint`). Where states rest on disk, in the order they are due, the
//! heap holds those due soon (before `end`); Python fetches more when time has come that far.

use crate::customer::NEVER;
use ahash::AHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

pub type Person = Arc<str>;

pub struct Queue {
    heap: BinaryHeap<Reverse<(i64, Person)>>,
    /// Due of the live entry, for those whose hint is another (NEVER: has none).
    live: AHashMap<Person, i64>,
    /// Entries from here on are not in the heap.
    end: i64,
    /// Whether only those due soon are here.
    windowed: bool,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { heap: BinaryHeap::new(), live: AHashMap::new(), end: NEVER, windowed: false }
    }
}

impl Queue {
    /// Keep those due soon only; everything before is forgotten.
    pub fn leave_far_ones(&mut self) {
        *self = Queue { end: -1, windowed: true, ..Queue::default() };
    }

    pub fn end(&self) -> i64 {
        self.end
    }

    /// Take in entries up to a new end.
    pub fn fetched(&mut self, entries: impl Iterator<Item = (i64, Person)>, end: i64) {
        self.heap.extend(entries.map(Reverse));
        self.end = end;
    }

    /// Whose entries come first, up to `until`, so many at most.
    pub fn first(&self, until: i64, limit: usize) -> Vec<Person> {
        let first = first_of(&self.heap, limit, |Reverse((due, _))| *due <= until);
        first.into_iter().map(|Reverse((_, person))| person.clone()).collect()
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn next_due(&self) -> i64 {
        self.heap.peek().map_or(self.end, |Reverse((due, _))| *due)
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
        } else if live < self.end && live != after {
            // From the end on there is no entry: whoever keeps the state has it.
            self.live.insert(person.clone(), live);
            if self.windowed {
                // They may be listed under this, and are looked for nowhere else before the end.
                self.push(after, person.clone());
            }
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
        if due == hint || (self.windowed && due >= self.end) {
            self.live.remove(person);
        } else {
            self.live.insert(person.clone(), due);
        }
        self.push(due, person.clone());
    }

    pub fn forget(&mut self, person: &Person) {
        self.live.remove(person);
    }

    /// Take the first live entry at or before `until`; stale ones before it are dropped. Where states rest on disk,
    /// `used` tells whether this is an entry they are listed under there: then nobody knows but who looks at them.
    pub fn pop(
        &mut self,
        until: i64,
        mut hint: impl FnMut(&Person) -> i64,
        mut used: impl FnMut(&Person, i64) -> bool,
    ) -> Option<(i64, Person)> {
        while self.next_due() <= until {
            let Some(Reverse((due, person))) = self.heap.pop() else { break };
            let used = self.windowed && used(&person, due);
            let expected = match self.live.get(&person) {
                Some(live) => *live,
                None => hint(&person),
            };
            if used || due == expected {
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
        // Nothing ever comes of an entry that is never due, and those far ahead are found elsewhere.
        if due < self.end {
            self.heap.push(Reverse((due, person)));
        }
    }
}

/// The first of a heap, in order: so many at most, and only those that `goes` lets pass, as it lets all before them.
pub fn first_of<T: Ord>(heap: &BinaryHeap<T>, limit: usize, goes: impl Fn(&T) -> bool) -> Vec<&T> {
    let all = heap.as_slice();
    let mut found = Vec::new();
    let mut next: BinaryHeap<(&T, usize)> = all.first().map(|top| (top, 0)).into_iter().collect();
    while found.len() < limit {
        let Some((top, place)) = next.pop() else { break };
        if !goes(top) {
            break;
        }
        found.push(top);
        next.extend((2 * place + 1..2 * place + 3).filter_map(|place| Some((all.get(place)?, place))));
    }
    found
}
