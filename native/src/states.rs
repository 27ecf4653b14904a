//! States at rest: bytes by person, and which of their histories are still of use. `engine/store.py`, in memory.
//!
//! In: states as a drain gives them or the changelog has them, the horizon. Out: the same bytes, when somebody is due,
//! whose history was all there was and is settled. Strategy: nothing is decoded here. A history none of whose entries
//! lies above the horizon is settled and cut off, a minute or two after its time; what is left is packed (`packing`)
//! when there is time for it, and unpacked when its person is touched. Core and Python share one `States` behind a
//! lock, which nobody holds while Python is called: so it cannot be waited for by who has Python's own lock for ever.

use crate::customer::{HEADER, NEVER, VERSION};
use crate::hot::{core_end, due_at};
use crate::packing::{fits, is_packed, Packing};
use crate::queue::Person;
use crate::value::Res;
use ahash::{AHashMap, AHashSet};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of format 1.
const HEADER_1: usize = 13;
const MINUTE: i64 = 60_000_000;
/// Histories looked at per drain, more or less, so that a restart is not one long halt.
const CUT_AT_ONCE: usize = 5_000;
/// Beyond so many, and twice as many as there are states, those waiting to be packed are listed anew.
const LISTED_TWICE: usize = 1_000;

/// The states of one partition, for the core and for Python.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<States>>);

impl Shared {
    pub fn new(own: [u8; 4]) -> Shared {
        Shared(Arc::new(Mutex::new(States::new(own))))
    }

    /// For as long as what is given lives; not to be kept while Python is called.
    pub fn lock(&self) -> MutexGuard<'_, States> {
        // A core that panicked is given up, and its states with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct States {
    /// Fingerprint of the layout that states are written in.
    own: [u8; 4],
    blobs: AHashMap<Person, Box<[u8]>>,
    /// Persons of whom there is a history and no state.
    nobodies: AHashSet<Person>,
    /// Minute in which a history may be settled, to whose: every history at rest is in one of them.
    settling: BTreeMap<i64, Vec<Person>>,
    /// Whose state may be fit to be packed, those that have rested for long first: all that are, and some that are
    /// not (any more), or are here twice.
    loose: VecDeque<Person>,
    packing: Packing,
    scratch: Vec<u8>,
}

impl States {
    fn new(own: [u8; 4]) -> States {
        States {
            own,
            blobs: AHashMap::new(),
            nobodies: AHashSet::new(),
            settling: BTreeMap::new(),
            loose: VecDeque::new(),
            packing: Packing::default(),
            scratch: Vec::new(),
        }
    }

    /// How many there are, nobodies included.
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    pub fn nobodies(&self) -> &AHashSet<Person> {
        &self.nobodies
    }

    /// How many histories may still have to be cut off.
    pub fn settling(&self) -> usize {
        self.settling.values().map(Vec::len).sum()
    }

    /// All of them, packed or not.
    pub fn iter(&self) -> impl Iterator<Item = (&Person, &[u8])> {
        self.blobs.iter().map(|(person, blob)| (person, &**blob))
    }

    pub fn known(&self, person: &str) -> bool {
        self.blobs.contains_key(person) && !self.is_nobody(person)
    }

    pub fn is_nobody(&self, person: &str) -> bool {
        !self.nobodies.is_empty() && self.nobodies.contains(person)
    }

    /// Everybody known whose state was written under other definitions.
    pub fn of_other_layouts(&self) -> impl Iterator<Item = &Person> {
        let others = self.blobs.iter().filter(|(_, blob)| blob.get(9..13) != Some(&self.own));
        others.map(|(person, _)| person).filter(|person| !self.is_nobody(person))
    }

    /// The state of a person, packed or not.
    pub fn raw(&self, person: &str) -> Option<&[u8]> {
        self.blobs.get(person).map(|blob| &**blob)
    }

    /// The state of a person as it was written, and the name under which it is kept.
    pub fn plain(&mut self, person: &str) -> Res<Option<(&Person, &[u8])>> {
        match self.blobs.get_key_value(person) {
            Some((person, blob)) if is_packed(blob) => {
                self.packing.unpack(blob, &mut self.scratch)?;
                Ok(Some((person, &self.scratch)))
            }
            found => Ok(found.map(|(person, blob)| (person, &**blob))),
        }
    }

    /// The earliest due of a state at rest, NEVER for nobody.
    pub fn due(&self, person: &str) -> i64 {
        self.blobs.get(person).map_or(NEVER, |blob| due_at(blob))
    }

    /// Take in a state; tells its due, and whether it was written under these definitions. None: Python knows what
    /// is wrong with it.
    pub fn load(&mut self, person: Person, blob: &[u8]) -> Option<(i64, bool)> {
        let least = match blob.first()? {
            1 => HEADER_1,
            &VERSION => HEADER,
            _ => return None,
        };
        if blob.len() < least {
            return None;
        }
        let told = (due_at(blob), blob[9..13] == self.own);
        match if fits(blob) { self.packing.pack(blob) } else { None } {
            Some(packed) => {
                self.nobodies.remove(&person);
                self.blobs.insert(person, packed);
            }
            None => self.put(&person, blob),
        }
        Some(told)
    }

    /// Keep a state.
    pub fn put(&mut self, person: &Person, blob: &[u8]) {
        let end = end_of(blob);
        // What the old one was tells where its person is listed already.
        let before = match self.blobs.get_mut(person) {
            Some(kept) => {
                let before = Kept::of(kept);
                if kept.len() == blob.len() {
                    kept.copy_from_slice(blob);
                } else {
                    *kept = blob.into();
                }
                before
            }
            None => {
                self.blobs.insert(person.clone(), blob.into());
                Kept::Nowhere
            }
        };
        if end < blob.len() {
            if before != Kept::Settling {
                self.settle(newest_of(blob, end), person.clone());
            }
        } else if before != Kept::Loose {
            self.loosen(person.clone());
        }
        if blob.first() == Some(&VERSION) && end == HEADER {
            self.nobodies.insert(person.clone());
        } else if !self.nobodies.is_empty() {
            self.nobodies.remove(person);
        }
    }

    /// Forget a state; tells whether there was one.
    pub fn forget(&mut self, person: &str) -> bool {
        if !self.nobodies.is_empty() {
            self.nobodies.remove(person);
        }
        self.blobs.remove(person).is_some()
    }

    /// Pack so many states at most of those that rest without a history.
    pub fn tidy(&mut self, count: usize) {
        for _ in 0..count.min(self.loose.len()) {
            let Some(person) = self.loose.pop_front() else { break };
            let Some(blob) = self.blobs.get_mut(&person) else { continue };
            if !fits(blob) {
                continue;
            }
            match self.packing.pack(blob) {
                Some(packed) => *blob = packed,
                None => self.loose.push_back(person),
            }
        }
    }

    /// Cut settled histories off; gives the persons of whom nothing is left.
    pub fn cut(&mut self, horizon: i64) -> Vec<Person> {
        let mut gone = Vec::new();
        let mut room = CUT_AT_ONCE;
        while room > 0 {
            let Some(first) = self.settling.first_entry() else { break };
            let minute = *first.key();
            if (minute + 1).saturating_mul(MINUTE) > horizon {
                break;
            }
            let mut people = first.remove();
            let left = people.len().saturating_sub(room);
            for person in people.drain(left..) {
                room -= 1;
                self.look(person, horizon, &mut gone);
            }
            if left > 0 {
                self.settling.insert(minute, people);
            }
        }
        gone
    }

    fn look(&mut self, person: Person, horizon: i64, gone: &mut Vec<Person>) {
        let Some(blob) = self.blobs.get_mut(&person) else { return };
        let end = end_of(blob);
        if is_packed(blob) || end >= blob.len() {
            return;
        }
        let newest = newest_of(blob, end);
        if newest > horizon {
            self.settle(newest, person);
        } else if self.nobodies.contains(&person) {
            self.forget(&person);
            gone.push(person);
        } else {
            *blob = blob[..end].into();
            self.loosen(person);
        }
    }

    fn settle(&mut self, newest: i64, person: Person) {
        self.settling.entry(newest.div_euclid(MINUTE)).or_default().push(person);
    }

    fn loosen(&mut self, person: Person) {
        self.loose.push_back(person);
        if self.loose.len() > 2 * self.blobs.len() + LISTED_TWICE {
            let fit = self.blobs.iter().filter(|(_, blob)| fits(blob));
            self.loose = fit.map(|(person, _)| person.clone()).collect();
        }
    }
}

/// Where the person of a state is listed.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    Nowhere,
    Settling,
    Loose,
}

impl Kept {
    fn of(blob: &[u8]) -> Kept {
        if is_packed(blob) {
            Kept::Nowhere
        } else if end_of(blob) < blob.len() {
            Kept::Settling
        } else if fits(blob) {
            Kept::Loose
        } else {
            Kept::Nowhere
        }
    }
}

/// Where the core ends and the history begins, of any format.
fn end_of(blob: &[u8]) -> usize {
    match blob.first() {
        Some(&VERSION) if blob.len() >= HEADER => core_end(blob),
        _ => blob.len(),
    }
}

/// The latest time of a history that begins at this byte.
fn newest_of(blob: &[u8], begin: usize) -> i64 {
    match blob.get(begin..begin + 8) {
        Some(bytes) => i64::from_be_bytes(bytes.try_into().expect("8 bytes")),
        None => i64::MIN,
    }
}
