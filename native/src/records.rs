//! Records as they are made; those that have no id yet get theirs together, before anybody looks at them.
//!
//! In: records, and what their ids are made of. Out: records with ids. Strategy: BLAKE2b does four contents at a time in
//! half of the time.

use crate::ids::digests16;
use crate::record::Record;

#[derive(Default)]
pub struct Records {
    made: Vec<Record>,
    /// What ids are made of, one behind the other.
    contents: Vec<u8>,
    /// Whose: which record, and where its content begins and ends.
    unnamed: Vec<(usize, usize, usize)>,
}

impl Records {
    /// One that gets its id from what was written into `contents` behind `begin`; None: it has one, or needs none.
    pub fn push(&mut self, record: Record, begin: Option<usize>) {
        if let Some(begin) = begin {
            self.unnamed.push((self.made.len(), begin, self.contents.len()));
        }
        self.made.push(record);
    }

    pub fn contents(&mut self) -> &mut Vec<u8> {
        &mut self.contents
    }

    pub fn len(&self) -> usize {
        self.made.len()
    }

    /// All of them, each with its id.
    pub fn named(&mut self) -> &mut Vec<Record> {
        let contents = self.unnamed.iter().map(|(_, begin, end)| &self.contents[*begin..*end]);
        let ids = digests16(contents);
        for ((place, ..), id) in self.unnamed.drain(..).zip(ids) {
            match &mut self.made[place] {
                Record::Transition(r) => r.id = id,
                Record::Signal(r) => r.id = id,
                Record::Gone(_) => {}
            }
        }
        self.contents.clear();
        &mut self.made
    }
}
