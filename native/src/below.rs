//! What the states at rest know of the disk that they rest on: what is not written there yet, and what is not there.
//!
//! In: changes, as `states` makes them. Out: the same with what they replace, to be written once their transaction is
//! committed. Nothing here reads or writes: Python does (`kafka/local_states.py`), in the order that a crash allows.

use crate::customer::NEVER;
use crate::hot::due_at;
use crate::queue::Person;
use crate::states::is_nobody;
use ahash::{AHashMap, AHashSet};

pub struct Below {
    /// Whose states were put down or removed since all was written, and what is on disk of them.
    pub fresh: AHashMap<Person, Before>,
    /// Asked for and not there.
    pub absent: AHashSet<Person>,
    /// States there will be on disk, nobodies included.
    pub known: usize,
    /// Of the states that are in memory.
    pub bytes: usize,
    /// So many may stay there.
    pub bound: usize,
}

/// What is on disk of a person whose state has changed: by this it is found there.
pub struct Before {
    pub due: i64,
    pub nobody: bool,
}

impl Before {
    pub fn of(blob: Option<&[u8]>) -> Before {
        Before { due: blob.map_or(NEVER, due_at), nobody: blob.is_some_and(is_nobody) }
    }
}

impl Below {
    pub fn new(known: usize, bound: usize) -> Below {
        Below { fresh: AHashMap::new(), absent: AHashSet::new(), known, bytes: 0, bound }
    }

    /// Whether it is known that nothing is there, or nothing any more.
    pub fn knows(&self, person: &str) -> bool {
        self.fresh.contains_key(person) || self.absent.contains(person)
    }

    /// A state is about to change; `old` is what it is now.
    pub fn changes(&mut self, person: &Person, old: Option<&[u8]>) {
        if !self.fresh.contains_key(person) {
            self.fresh.insert(person.clone(), Before::of(old));
        }
    }
}
