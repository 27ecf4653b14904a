//! What the states at rest know of the disk that they rest on: what is not written there yet, and what is not there.
//!
//! In: states as they were read, changes as `states` makes them. Out: rows to be written once their transaction is
//! committed. Nothing here reads or writes: Python does (`kafka/local_states.py`, whose keys these are), in the order
//! that a crash allows.
//!
//! Strategy: who is due is found by an index in order of time. To correct it with each event would cost more than the
//! state itself, since a customer who comes is due soon, and in weeks again once they are gone. So everybody is *listed*
//! under one time for as long as it lies ahead; who is due before has a second entry for that; who is due later has
//! none, and is listed anew once their time has come (`used`). The time is kept with the state.
//!
//! Whoever is listed under a time that the queue has been filled up to is in the queue under it: so what is drained is
//! written before anybody's timers are looked at again.

use crate::customer::NEVER;
use crate::hot::due_at;
use crate::queue::Person;
use crate::states::is_nobody;
use ahash::{AHashMap, AHashSet};

/// Kinds of keys.
const STATE: u8 = b's';
const DUE: u8 = b'd';
const NOBODY: u8 = b'n';
/// In front of a state: under which time its person is listed.
const LISTED: usize = 8;

pub struct Below {
    /// Whose states were put down or removed since all was written, and what is on disk of them.
    fresh: AHashMap<Person, Before>,
    /// Asked for and not there.
    pub absent: AHashSet<Person>,
    /// Under which time those are listed whose state was read, or written and is here still.
    listed: AHashMap<Person, i64>,
    /// States there will be on disk, nobodies included.
    pub known: usize,
    /// Of the states that are in memory.
    pub bytes: usize,
    /// So many may stay there.
    pub bound: usize,
}

/// What is on disk of a person whose state has changed.
struct Before {
    due: i64,
    nobody: bool,
    /// Under which time they are listed there.
    listed: i64,
    /// That time has come.
    used: bool,
}

impl Before {
    /// Under which time somebody is to be listed who is due then now.
    fn listed_anew(&self, due: i64) -> i64 {
        if due == NEVER || self.used || self.listed == NEVER {
            due
        } else {
            self.listed
        }
    }
}

/// When to look at somebody who is listed so and due then: never, once or twice.
fn entries(listed: i64, due: i64) -> impl Iterator<Item = i64> {
    let sooner = Some(due).filter(|due| *due < listed);
    Some(listed).filter(|listed| *listed != NEVER).into_iter().chain(sooner)
}

/// What is to be written.
#[derive(Default)]
pub struct Rows {
    pub put: Vec<Vec<u8>>,
    /// Of each of these.
    pub values: Vec<Vec<u8>>,
    pub removed: Vec<Vec<u8>>,
    /// How many more are due some time.
    pub pending: i64,
}

impl Below {
    pub fn new(known: usize, bound: usize) -> Below {
        Below {
            fresh: AHashMap::new(),
            absent: AHashSet::new(),
            listed: AHashMap::new(),
            known,
            bytes: 0,
            bound,
        }
    }

    /// Whether it is known that nothing is there, or nothing any more.
    pub fn knows(&self, person: &str) -> bool {
        self.fresh.contains_key(person) || self.absent.contains(person)
    }

    /// Take in a value that was read; gives the state of it.
    pub fn read<'v>(&mut self, person: &Person, value: &'v [u8]) -> &'v [u8] {
        let (listed, blob) = value.split_at(LISTED);
        self.listed.insert(person.clone(), i64::from_be_bytes(listed.try_into().expect("8 bytes")));
        blob
    }

    /// A state is about to change; `old` is what it is now.
    pub fn changes(&mut self, person: &Person, old: Option<&[u8]>) {
        if !self.fresh.contains_key(person) {
            let listed = old.and_then(|_| self.listed.get(person)).copied().unwrap_or(NEVER);
            let (due, nobody) = summary(old);
            self.fresh.insert(person.clone(), Before { due, nobody, listed, used: false });
        }
    }

    /// An entry of somebody has come whose state is `now`; tells whether it is the one they are listed under. It is
    /// even if they are forgotten, since they may come again before that is written.
    pub fn used(&mut self, person: &Person, at: i64, now: Option<&[u8]>) -> bool {
        let known = self.fresh.get(person).map(|before| before.listed);
        if known.or_else(|| self.listed.get(person).copied()) != Some(at) {
            return false;
        }
        self.changes(person, now);
        let before = self.fresh.get_mut(person).expect("it changes");
        !std::mem::replace(&mut before.used, true)
    }

    /// Whose states were put down or removed.
    pub fn fresh(&self) -> impl Iterator<Item = &Person> {
        self.fresh.keys()
    }

    /// What is to be written; `now` gives states. States come first, then the index, both in order: each row is put
    /// beside the one before, which is found quickest.
    pub fn rows<'s>(&self, now: impl Fn(&Person) -> Option<&'s [u8]>) -> Rows {
        let mut all: Vec<_> = self.fresh.iter().collect();
        all.sort_unstable_by_key(|(person, _)| *person);
        let mut rows = Rows::default();
        let mut index = Vec::new();
        for (person, before) in all {
            let blob = now(person);
            let (due, nobody) = summary(blob);
            let listed = before.listed_anew(due);
            match blob {
                Some(blob) => {
                    rows.put.push(state_key(person));
                    rows.values.push([&listed.to_be_bytes(), blob].concat());
                }
                None => rows.removed.push(state_key(person)),
            }
            let (old, new) = ((before.listed, before.due), (listed, due));
            let gone = entries(old.0, old.1).filter(|at| entries(new.0, new.1).all(|new| new != *at));
            rows.removed.extend(gone.map(|at| key(DUE, &at.to_be_bytes(), person)));
            let come = entries(new.0, new.1).filter(|at| entries(old.0, old.1).all(|old| old != *at));
            index.extend(come.map(|at| key(DUE, &at.to_be_bytes(), person)));
            if before.nobody != nobody {
                let names = if nobody { &mut index } else { &mut rows.removed };
                names.push(key(NOBODY, &[], person));
            }
            rows.pending += i64::from(due != NEVER) - i64::from(before.due != NEVER);
        }
        index.sort_unstable();
        rows.removed.sort_unstable();
        rows.put.append(&mut index);
        rows.values.resize(rows.put.len(), Vec::new());
        rows
    }

    /// All that was put down is on disk now.
    pub fn kept<'s>(&mut self, now: impl Fn(&Person) -> Option<&'s [u8]>) {
        for (person, before) in std::mem::take(&mut self.fresh) {
            match now(&person) {
                Some(blob) => {
                    let listed = before.listed_anew(due_at(blob));
                    self.listed.insert(person, listed);
                }
                None => {
                    self.listed.remove(&person);
                }
            }
        }
        self.absent.clear();
    }

    /// Of all others no state is here any more.
    pub fn left(&mut self, stays: impl Fn(&Person) -> bool) {
        self.listed.retain(|person, _| stays(person));
    }
}

/// When a state is due, and whether it is nothing but a history.
fn summary(blob: Option<&[u8]>) -> (i64, bool) {
    (blob.map_or(NEVER, due_at), blob.is_some_and(is_nobody))
}

/// Under which key the state of a person is.
pub fn state_key(person: &str) -> Vec<u8> {
    key(STATE, &[], person)
}

fn key(kind: u8, at: &[u8], person: &str) -> Vec<u8> {
    [&[kind], at, person.as_bytes()].concat()
}
