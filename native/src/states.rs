//! States at rest: bytes by person, and which of their histories are still of use. `engine/store.py`.
//!
//! In: states as a drain gives them or the changelog has them, the horizon. Out: the same bytes, when somebody is due,
//! whose history was all there was and is settled. Strategy: nothing is decoded here. A history none of whose entries
//! lies above the horizon is settled and cut off, a minute or two after its time; what is left is packed (`packing`)
//! when there is time for it, and unpacked when its person is touched. Where states rest on disk (`below`), those here
//! are the ones at work: nothing is cut off or packed, nobodies apart, and a person is asked for before being looked at
//! (`Shared::of`). Core and Python share one `States` behind a lock, which nobody holds while Python is called: so it
//! cannot be waited for by who has Python's own lock for ever.

use crate::below::{self, Below, Rows};
use crate::customer::{HEADER, NEVER, VERSION};
use crate::hot::{core_end, due_at};
use crate::packing::{fits, is_packed, Packing};
use crate::queue::Person;
use crate::value::Res;
use ahash::{AHashMap, AHashSet};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Of format 1.
const HEADER_1: usize = 13;
const MINUTE: i64 = 60_000_000;
/// Histories looked at per drain, more or less, so that a restart is not one long halt.
const CUT_AT_ONCE: usize = 5_000;
/// Beyond so many, and twice as many as there are states, those waiting to be packed are listed anew.
const LISTED_TWICE: usize = 1_000;

/// The states of one partition, for the core and for Python.
#[derive(Clone)]
pub struct Shared(Arc<(Mutex<States>, OnceLock<Py<PyAny>>)>);

impl Shared {
    pub fn new(own: [u8; 4]) -> Shared {
        Shared(Arc::new((Mutex::new(States::new(own)), OnceLock::new())))
    }

    /// For as long as what is given lives; not to be kept while Python is called.
    pub fn lock(&self) -> MutexGuard<'_, States> {
        // A core that panicked is given up, and its states with it.
        self.0 .0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, with the state of this person here, wherever it was.
    pub fn of(&self, person: &str) -> PyResult<MutexGuard<'_, States>> {
        let states = self.lock();
        if !states.is_elsewhere(person) {
            return Ok(states);
        }
        drop(states);
        self.read(vec![Person::from(person)])?;
        Ok(self.lock())
    }

    /// Keep states on disk from now on: `read` of Python gives the states of persons; so many are `known` there.
    pub fn rest_on(&self, read: Py<PyAny>, known: usize, bound: usize) {
        let mut states = self.lock();
        *states = States::new(states.own);
        states.below = Some(Below::new(known, bound));
        drop(states);
        // Once: whoever is read anew from the beginning has states of its own.
        let _ = self.0 .1.set(read);
    }

    pub fn is_on_disk(&self) -> bool {
        self.0 .1.get().is_some()
    }

    /// Fetch the states of those of these persons whose states are elsewhere, all together.
    pub fn read(&self, mut people: Vec<Person>) -> PyResult<()> {
        let Some(read) = self.0 .1.get() else { return Ok(()) };
        let states = self.lock();
        people.retain(|person| states.is_elsewhere(person));
        drop(states);
        if people.is_empty() {
            return Ok(());
        }
        people.sort_unstable();
        people.dedup();
        Python::with_gil(|py| {
            let keys = people.iter().map(|person| PyBytes::new(py, &below::state_key(person)));
            let found: Vec<Option<Bound<PyBytes>>> =
                read.bind(py).call1((PyList::new(py, keys.collect::<Vec<_>>())?,))?.extract()?;
            let mut states = self.lock();
            for (person, value) in people.iter().zip(&found) {
                states.found(person, value.as_ref().map(|value| value.as_bytes()));
            }
            drop(states);
            Ok(())
        })
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
    /// None where states rest in memory.
    below: Option<Below>,
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
            below: None,
        }
    }

    /// How many there are, nobodies included.
    pub fn len(&self) -> usize {
        self.below.as_ref().map_or(self.blobs.len(), |below| below.known)
    }

    pub fn nobodies(&self) -> &AHashSet<Person> {
        &self.nobodies
    }

    /// How many histories may still have to be cut off.
    pub fn settling(&self) -> usize {
        self.settling.values().map(Vec::len).sum()
    }

    /// All that are here, packed or not.
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
        if self.below.is_some() {
            if told.1 {
                self.put(&person, blob);
                return Some(told);
            }
            // Whoever is due has to be found on disk; when, has to be worked out anew.
            self.put(&person, &redated(blob, 0));
            return Some((0, false));
        }
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
        if self.below.is_some() {
            return self.put_above(person, blob);
        }
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
        if is_nobody(blob) {
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
        let Some((person, old)) = self.blobs.remove_entry(person) else { return false };
        if let Some(below) = &mut self.below {
            below.changes(&person, Some(&old));
            below.known -= 1;
            below.bytes -= old.len();
        }
        true
    }

    // Where states rest on disk.

    /// Whether nothing is known here of a person of whom there may be a state on disk.
    pub fn is_elsewhere(&self, person: &str) -> bool {
        self.below.as_ref().is_some_and(|below| !self.blobs.contains_key(person) && !below.knows(person))
    }

    /// Take in what is on disk of a person.
    fn found(&mut self, person: &Person, value: Option<&[u8]>) {
        if !self.is_elsewhere(person) {
            return;
        }
        let Some(below) = &mut self.below else { return };
        let Some(value) = value else {
            below.absent.insert(person.clone());
            return;
        };
        let blob = below.read(person, value);
        below.bytes += blob.len();
        self.blobs.insert(person.clone(), blob.into());
        self.mark(person, blob);
    }

    fn put_above(&mut self, person: &Person, blob: &[u8]) {
        let Some(below) = &mut self.below else { return };
        let old = self.blobs.get(person).map(|old| &**old);
        below.changes(person, old);
        below.known += usize::from(old.is_none());
        below.bytes = below.bytes + blob.len() - old.map_or(0, <[u8]>::len);
        self.blobs.insert(person.clone(), blob.into());
        self.mark(person, blob);
    }

    /// List a person of whom there is nothing but a history; only those are ever cut off here.
    fn mark(&mut self, person: &Person, blob: &[u8]) {
        if !is_nobody(blob) {
            if !self.nobodies.is_empty() {
                self.nobodies.remove(person);
            }
        } else if self.nobodies.insert(person.clone()) {
            self.settle(newest_of(blob, HEADER), person.clone());
        }
    }

    /// Say that a state is due at another time than it was put down with.
    pub fn redate(&mut self, person: &Person, due: i64) {
        if let Some(blob) = self.blobs.get(person) {
            let blob = redated(blob, due);
            self.put(person, &blob);
        }
    }

    /// An entry of a person has come whose state is not elsewhere; tells whether it is the one they are listed under, which
    /// is used up.
    pub fn used(&mut self, person: &Person, at: i64) -> bool {
        let Some(below) = &mut self.below else { return false };
        below.used(person, at, self.blobs.get(person).map(|blob| &**blob))
    }

    /// What was put down (None: removed) and is not on disk yet.
    pub fn fresh(&self) -> impl Iterator<Item = (&Person, Option<&[u8]>)> {
        let fresh = self.below.iter().flat_map(Below::fresh);
        fresh.map(|person| (person, self.raw(person)))
    }

    /// The same as rows for the disk.
    pub fn rows(&self) -> Rows {
        let now = |person: &Person| self.raw(person);
        self.below.as_ref().map_or_else(Rows::default, |below| below.rows(now))
    }

    /// All that was put down is on disk now. What is here beyond the bound leaves; nobodies stay: they are few and
    /// looked for all the time.
    pub fn kept(&mut self) {
        let Some(below) = &mut self.below else { return };
        let blobs = &mut self.blobs;
        below.kept(|person| blobs.get(person).map(|blob| &**blob));
        if below.bytes > below.bound {
            let nobodies = &self.nobodies;
            blobs.retain(|person, _| nobodies.contains(person));
            below.bytes = blobs.values().map(|blob| blob.len()).sum();
            below.left(|person| nobodies.contains(person));
        }
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
        } else if self.below.is_none() {
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

/// Whether a state is nothing but a history.
pub fn is_nobody(blob: &[u8]) -> bool {
    blob.first() == Some(&VERSION) && end_of(blob) == HEADER
}

/// A state with another due in front.
fn redated(blob: &[u8], due: i64) -> Vec<u8> {
    let mut blob = blob.to_vec();
    blob[1..9].copy_from_slice(&(due as u64).to_be_bytes());
    blob
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
