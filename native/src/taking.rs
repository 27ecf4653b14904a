//! Consumed records to waiting events: what `kafka/keyed.py _receive` and `kafka/direct.py take` do with the plain
//! ones. The first record that is anything else ends the run: Python sees to it, and comes back for the rest.

use crate::decode::decode;
use crate::event::Event;
use crate::partition::Partition;
use crate::waiting::{Buffer, What};
use ahash::AHashMap;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySequence, PyString};

/// How late an event may be (`release.classify`), microseconds.
#[derive(Clone, Copy)]
pub struct Lateness {
    pub clock: i64,
    pub allowed: i64,
    pub window: i64,
}

/// What came of a run of records.
#[derive(Default)]
pub struct Taken {
    pub next: usize,
    pub on_time: u64,
    pub late: u64,
    /// Least and greatest time of the events.
    pub first: i64,
    pub highest: i64,
    /// Least broker time.
    pub oldest: i64,
}

impl Taken {
    fn new(next: usize) -> Taken {
        Taken { next, first: i64::MAX, highest: i64::MIN, oldest: i64::MAX, ..Taken::default() }
    }

    fn note(&mut self, e: &Event, broker_at: i64) {
        if e.late {
            self.late += 1;
        } else {
            self.on_time += 1;
        }
        self.first = self.first.min(e.at);
        self.highest = self.highest.max(e.at);
        self.oldest = self.oldest.min(broker_at);
    }
}

pub struct Fields<'py> {
    pub offset: i64,
    pub timestamp: i64,
    pub value: Option<Bound<'py, PyBytes>>,
    pub headers: Bound<'py, PyAny>,
}

fn fields<'py>(py: Python<'py>, record: &Bound<'py, PyAny>) -> PyResult<Fields<'py>> {
    Ok(Fields {
        offset: record.getattr(intern!(py, "offset"))?.extract()?,
        timestamp: record.getattr(intern!(py, "timestamp"))?.extract()?,
        value: record.getattr(intern!(py, "value"))?.downcast_into::<PyBytes>().ok(),
        headers: record.getattr(intern!(py, "headers"))?,
    })
}

/// An event on time, or late; None: not an event for us (or too late for all).
fn judged(e: Option<Event>, lateness: Lateness) -> Option<Event> {
    let mut e = e?;
    let behind = lateness.clock.saturating_sub(e.at);
    if behind > lateness.allowed {
        if behind > lateness.window.max(lateness.allowed) {
            return None;
        }
        e.late = true;
    }
    Some(e)
}

/// Records of a source partition, read without the hop, from `start` on.
pub fn direct(
    py: Python,
    partition: &Partition,
    buffer: &mut Buffer,
    records: &Bound<PyList>,
    start: usize,
    topic: &str,
    lateness: Lateness,
    as_of: &str,
    ours: impl Fn(&str) -> bool,
    special: &[usize],
) -> PyResult<Taken> {
    let mut taken = Taken::new(start);
    let topic = buffer.topic(topic);
    while taken.next < records.len() {
        let record = records.get_item(taken.next)?;
        let found = fields(py, &record)?;
        let Some(value) = &found.value else { break };
        if is_as_of(&found.headers, as_of)? {
            break;
        }
        let broker_at = found.timestamp * 1000;
        let event = judged(decode(value.as_bytes(), broker_at, &partition.p.vocab), lateness);
        let Some(event) = event else { break };
        if special.contains(&event.kind) || !ours(&event.person) {
            break;
        }
        taken.note(&event, broker_at);
        push(buffer, event, record, topic, found.offset);
        taken.next += 1;
    }
    Ok(taken)
}

fn push(buffer: &mut Buffer, event: Event, record: Bound<PyAny>, topic: u32, offset: i64) {
    let at = event.at;
    let id = event.id().to_string();
    buffer.push(at, &id, What::Ours(Box::new(event)), record.unbind(), topic, offset);
}

/// What has been received per source partition: highest sub-offset and its broker time.
pub type Received = AHashMap<Vec<u8>, (i64, i64, u64, u64)>;

const HEAD: usize = 18;
const FORMAT: u8 = 1;
const EVENT: u8 = 1;

/// Records of the keyed topic, from `start` on. `received` has the sources it may take from, as they stand, and two
/// counts (on time, late) that are added to.
pub fn hop(
    py: Python,
    partition: &Partition,
    buffer: &mut Buffer,
    records: &Bound<PyList>,
    start: usize,
    topic: &str,
    lateness: Lateness,
    (header_name, as_of): (&str, &str),
    received: &mut Received,
) -> PyResult<Taken> {
    let mut taken = Taken::new(start);
    let topic = buffer.topic(topic);
    while taken.next < records.len() {
        let record = records.get_item(taken.next)?;
        let found = fields(py, &record)?;
        let Some(value) = &found.value else { break };
        let Some(head) = first_header(&found.headers, header_name)? else { break };
        if is_as_of(&found.headers, as_of)? {
            break;
        }
        let head = head.as_bytes();
        if head.len() <= HEAD + 4 || head[0] != EVENT || head[1] != FORMAT {
            break;
        }
        let sub_offset = i64::from_be_bytes(head[2..10].try_into().expect("8 bytes"));
        let broker_at = i64::from_be_bytes(head[10..18].try_into().expect("8 bytes"));
        let Some(source) = received.get_mut(&head[HEAD..]) else { break };
        if sub_offset <= source.0 {
            break; // had before; Python looks whether it is the same record
        }
        let event = judged(decode(value.as_bytes(), broker_at, &partition.p.vocab), lateness);
        let Some(event) = event else { break };
        (source.0, source.1) = (sub_offset, broker_at);
        if event.late {
            source.3 += 1;
        } else {
            source.2 += 1;
        }
        taken.note(&event, broker_at);
        push(buffer, event, record, topic, found.offset);
        taken.next += 1;
    }
    Ok(taken)
}

/// The value of the first header, if it is the one of this name.
fn first_header<'py>(headers: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let headers = headers.downcast::<PySequence>()?;
    if headers.is_empty()? {
        return Ok(None);
    }
    let first = headers.get_item(0)?;
    if first.get_item(0)?.downcast::<PyString>()?.to_str()? != name {
        return Ok(None);
    }
    Ok(first.get_item(1)?.downcast_into::<PyBytes>().ok())
}

/// Whether the last header says that it was sent back as of another time.
fn is_as_of(headers: &Bound<PyAny>, as_of: &str) -> PyResult<bool> {
    let headers = headers.downcast::<PySequence>()?;
    let count = headers.len()?;
    Ok(count > 0 && headers.get_item(count - 1)?.get_item(0)?.downcast::<PyString>()?.to_str()? == as_of)
}
