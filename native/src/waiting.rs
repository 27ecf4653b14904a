//! Events that wait for the clock, in the order of (`occurred_at`, `event_id`): `release.ReleaseBuffer`.
//!
//! Each carries the record it came with (a tag of the caller's), its topic and offset: the lowest that waits per
//! topic is where a restart has to read from. Most come in order, and those stand in a line; the others in a heap.

use crate::event::Event;
use crate::fetched::{FetchedRecord, Rows};
use crate::queue::{first_of, Person};
use pyo3::prelude::*;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

/// The record that an event came with.
#[derive(Clone)]
pub enum Tag {
    /// One of those fetched, which becomes an object when somebody asks.
    Fetched(Arc<Rows>, usize),
    Given(Arc<Py<PyAny>>),
}

impl Tag {
    pub fn object(&self, py: Python) -> PyResult<Py<PyAny>> {
        match self {
            Tag::Given(object) => Ok(object.clone_ref(py)),
            Tag::Fetched(rows, place) => {
                Ok(Py::new(py, FetchedRecord { rows: rows.clone(), place: *place })?.into_any())
            }
        }
    }
}

pub enum What {
    Ours(Box<Event>),
    /// An event that only Python can apply, and its id.
    Theirs(Py<PyAny>, Box<str>),
}

pub struct Waiting {
    pub at: i64,
    arrival: u64,
    pub what: What,
    pub tag: Tag,
    topic: u32,
    offset: i64,
}

impl Waiting {
    fn id(&self) -> &str {
        match &self.what {
            What::Ours(event) => event.id(),
            What::Theirs(_, id) => id,
        }
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    /// The other way round: the heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        // An id is looked at where times are the same only: it stands elsewhere in memory.
        (other.at.cmp(&self.at))
            .then_with(|| other.id().cmp(self.id()))
            .then_with(|| other.arrival.cmp(&self.arrival))
    }
}

#[derive(Default)]
pub struct Buffer {
    /// Each came behind the one before it.
    line: VecDeque<Waiting>,
    heap: BinaryHeap<Waiting>,
    arrivals: u64,
    topics: Vec<String>,
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.line.len() + self.heap.len()
    }

    pub fn earliest(&self) -> Option<i64> {
        self.peek().map(|(first, _)| first.at)
    }

    /// The number that stands for a topic here.
    pub fn topic(&mut self, name: &str) -> u32 {
        match self.topics.iter().position(|known| known == name) {
            Some(place) => place as u32,
            None => {
                self.topics.push(name.to_string());
                self.topics.len() as u32 - 1
            }
        }
    }

    pub fn push(&mut self, at: i64, what: What, tag: Tag, topic: u32, offset: i64) {
        self.arrivals += 1;
        let waiting = Waiting { at, arrival: self.arrivals, what, tag, topic, offset };
        match self.line.back() {
            Some(last) if waiting > *last => self.heap.push(waiting),
            _ => self.line.push_back(waiting),
        }
    }

    /// The first event, and whether it stands in the line.
    fn peek(&self) -> Option<(&Waiting, bool)> {
        match (self.line.front(), self.heap.peek()) {
            (Some(first), Some(other)) if other > first => Some((other, false)),
            (Some(first), _) => Some((first, true)),
            (None, other) => other.map(|other| (other, false)),
        }
    }

    /// Let go of the first event if it is at or before `until`.
    pub fn pop(&mut self, until: i64) -> Option<Waiting> {
        let (first, in_line) = self.peek()?;
        if first.at > until {
            return None;
        }
        if in_line {
            self.line.pop_front()
        } else {
            self.heap.pop()
        }
    }

    /// Whose events are the first up to `until`, so many at most; of some, Python alone knows whose they are.
    pub fn first(&self, until: i64, limit: usize) -> Vec<Option<Person>> {
        let mut first = first_of(&self.heap, limit, |waiting| waiting.at <= until);
        first.extend(self.line.iter().take_while(|waiting| waiting.at <= until).take(limit));
        first.sort_unstable_by(|one, other| other.cmp(one));
        first
            .into_iter()
            .take(limit)
            .map(|waiting| match &waiting.what {
                What::Ours(event) => Some(event.person.clone()),
                What::Theirs(..) => None,
            })
            .collect()
    }

    /// Per topic the tag with the lowest offset that waits.
    pub fn lowest(&self) -> Vec<Tag> {
        let mut lowest: Vec<Option<&Waiting>> = vec![None; self.topics.len()];
        for each in self.line.iter().chain(&self.heap) {
            let held = &mut lowest[each.topic as usize];
            if held.is_none_or(|held| each.offset < held.offset) {
                *held = Some(each);
            }
        }
        lowest.into_iter().flatten().map(|each| each.tag.clone()).collect()
    }
}
