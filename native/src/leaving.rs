//! Who does not stay at work until the drain: put to rest while their memory is still in the processor's cache.
//!
//! In: persons as they are woken and touched. Out: who stays, states for the drain, room for the next who is woken.
//! Strategy: with many customers an event is hardly ever of one who was here a moment ago. Kept decoded until the drain,
//! each would take up memory of their own, thousands at once, and be out of all caches when they are written. So whoever
//! was not woken not long ago is written a few events after the event, and who is woken next gets the same memory.
//! Whoever comes again soon is woken a second time, and stays.

use crate::hot::Hot;
use crate::queue::Person;
use ahash::{AHashMap, AHashSet, RandomState};
use std::ops::Range;

/// Somebody who left.
struct Left {
    /// Where their state stands in `bytes`.
    place: Range<usize>,
    /// Whether a state of theirs was at rest before.
    known: bool,
}

/// So many leave together: fewer are woken again, more are out of the nearest caches.
const TOGETHER: usize = 16;

#[derive(Default)]
pub struct Leaving {
    marks: RandomState,
    /// Who was woken not long ago, by hash: one that is taken for another is kept for nothing, no more.
    lately: AHashSet<u64>,
    before: AHashSet<u64>,
    /// Touched, and to leave.
    next: Vec<Person>,
    left: AHashMap<Person, Left>,
    bytes: Vec<u8>,
    /// Room for the next.
    #[allow(clippy::vec_box)] // as a box they come and go
    spare: Vec<Box<Hot>>,
}

impl Leaving {
    /// Note somebody; tells whether they were among the last so many who were woken, twice as many at most.
    pub fn again(&mut self, person: &Person, many: usize) -> bool {
        let mark = self.marks.hash_one(person);
        if self.lately.len() >= many {
            std::mem::swap(&mut self.lately, &mut self.before);
            self.lately.clear();
        }
        !self.lately.insert(mark) || self.before.contains(&mark)
    }

    /// Somebody was touched who does not stay.
    pub fn push(&mut self, person: &Person) {
        self.next.push(person.clone());
    }

    /// Those to be let go of now, if there are enough of them: more than `many` are too many to keep.
    pub fn due(&mut self, many: usize) -> Option<Vec<Person>> {
        (self.next.len() >= TOGETHER.min(many)).then(|| std::mem::take(&mut self.next))
    }

    /// Somebody leaves, written by `write` at the end of what it is given; gives their state.
    pub fn leave(
        &mut self,
        person: Person,
        mut hot: Box<Hot>,
        write: impl FnOnce(&mut Hot, &mut Vec<u8>),
    ) -> &[u8] {
        let begin = self.bytes.len();
        write(&mut hot, &mut self.bytes);
        self.left.insert(person, Left { place: begin..self.bytes.len(), known: hot.known });
        self.spare(Some(hot));
        &self.bytes[begin..]
    }

    /// Keep this room for somebody else.
    pub fn spare(&mut self, room: Option<Box<Hot>>) {
        if self.spare.len() < TOGETHER {
            self.spare.extend(room);
        }
    }

    /// Room of somebody who left.
    pub fn room(&mut self) -> Option<Box<Hot>> {
        self.spare.pop()
    }

    /// The state somebody left with, and whether one was at rest before, once: whoever takes it tells of them.
    pub fn take(&mut self, person: &str) -> Option<(&[u8], bool)> {
        if self.left.is_empty() {
            return None;
        }
        let left = self.left.remove(person)?;
        Some((&self.bytes[left.place], left.known))
    }

    /// Whether nobody has left since the last drain.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The name and state somebody left with since the last drain, and whether one was at rest before.
    pub fn get(&self, person: &str) -> Option<(&Person, &[u8], bool)> {
        if self.left.is_empty() {
            return None;
        }
        let (name, left) = self.left.get_key_value(person)?;
        Some((name, &self.bytes[left.place.clone()], left.known))
    }

    /// All who left since the last drain, with their states; some have come again, or are forgotten.
    pub fn all(&self) -> impl Iterator<Item = (&Person, &[u8])> {
        self.left.iter().map(|(person, left)| (person, &self.bytes[left.place.clone()]))
    }

    /// A drain has told of all.
    pub fn drained(&mut self) {
        self.next.clear();
        self.left.clear();
        self.bytes.clear();
    }
}
