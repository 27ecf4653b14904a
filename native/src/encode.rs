//! Records out as bytes: `encode.py`, `wire.py`, `net.record_id` and `engine/stages.py`, for one topic per sort.
//!
//! In: `Record`s. Out: rows of record batches (key, JSON value, CloudEvents headers), the same bytes as Python's.
//! Strategy: what a journey's definition says is turned to JSON once, when the encoder is made; headers that
//! records of one stage share are kept; what records of one event say alike is written once (`Spoken`).

use crate::batch::{put_fields, Batches};
use crate::customer::NOWHERE;
use crate::encode_tables::{put_opt, Labels, Shared, Sort, Tables, Text};
use crate::json;
use crate::program::Program;
use crate::record::{Gone, Record, Signal, Transition};
use crate::record_id::cancelled_id;
use crate::spoken::Spoken;
use crate::squeeze::Codec;
use crate::value::{damaged, Res};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Rows by topic, all of one partition.
pub struct Outbox {
    pub transitions: Batches,
    pub signals: Batches,
    pub stages: Batches,
    /// Of the changelog: states by person.
    pub states: Batches,
    /// The last stage per person and journey (`stages.with_stages`): where it stands in `entered_bytes`.
    entered: Entered,
    entered_bytes: Vec<u8>,
}

/// Where the row of each stage now stands: the last per person and journey, in the order in which they came first.
#[derive(Default)]
struct Entered {
    people: HashMap<Arc<str>, usize, ahash::RandomState>,
    /// By person: journey, and which of `rows`.
    places: Vec<SmallVec<[(usize, usize); 4]>>,
    rows: Vec<Range<usize>>,
    /// Who came last: mostly they come several times, one after the other.
    last: Option<(Arc<str>, usize)>,
}

impl Entered {
    fn set(&mut self, person: &Arc<str>, journey: usize, row: Range<usize>) {
        let place = match &self.last {
            Some((last, place)) if Arc::ptr_eq(last, person) => *place,
            _ => {
                let place = *self.people.entry(person.clone()).or_insert(self.places.len());
                self.last = Some((person.clone(), place));
                place
            }
        };
        if place == self.places.len() {
            self.places.push(SmallVec::new());
        }
        let known = self.places[place].iter().find(|(other, _)| *other == journey);
        if let Some((_, at)) = known {
            self.rows[*at] = row;
            return;
        }
        self.places[place].push((journey, self.rows.len()));
        self.rows.push(row);
    }
}

impl Outbox {
    /// `expected`: bytes that are likely, of each sort; `codec`: of all but states.
    pub fn new(transactional: bool, limit: usize, expected: [usize; 4], codec: Codec) -> Outbox {
        let plain = expected.map(|bytes| Batches::limited(transactional, 0, limit).expecting(bytes));
        let [transitions, signals, stages, states] = plain;
        let [transitions, signals, stages] =
            [transitions, signals, stages].map(|each| each.compressed(codec));
        let (entered, entered_bytes) = Default::default();
        Outbox { transitions, signals, stages, states, entered, entered_bytes }
    }

    /// No more is to come; `timestamp`: milliseconds since the epoch, of all its records.
    pub fn close(&mut self, timestamp: i64) {
        for row in std::mem::take(&mut self.entered).rows {
            self.stages.append_fields(&self.entered_bytes[row]);
        }
        for batches in [&mut self.transitions, &mut self.signals, &mut self.stages, &mut self.states] {
            batches.stamp(timestamp);
        }
    }

    /// The stage somebody is in now: `write` writes the row, which stands where that of their first change would.
    fn enter(
        &mut self,
        person: &Arc<str>,
        journey: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Res<()>,
    ) -> Res<()> {
        let begin = self.entered_bytes.len();
        write(&mut self.entered_bytes)?;
        self.entered.set(person, journey, begin..self.entered_bytes.len());
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        [&self.transitions, &self.signals, &self.stages, &self.states]
            .iter()
            .all(|batches| batches.is_empty())
            && self.entered.rows.is_empty()
    }

    /// A state at rest; None: the person is forgotten.
    pub fn state(&mut self, person: &str, state: Option<&[u8]>) {
        self.states.append_raw(Some(person.as_bytes()), state, 0, [&[], &[]]);
    }
}

pub struct Encoder {
    tables: Tables,
    start: Text,
    shared: HashMap<Labels, Shared, ahash::RandomState>,
    spoken: Spoken,
}

impl Encoder {
    pub fn of(p: &Program) -> Encoder {
        Encoder::new(Tables::of(p))
    }

    pub fn new(tables: Tables) -> Encoder {
        Encoder { tables, start: Text::new("start"), shared: HashMap::default(), spoken: Spoken::default() }
    }

    /// Records in order, those that come next after those that came before.
    pub fn records(&mut self, records: &[Record], out: &mut Outbox) -> Res<()> {
        let mut spoken = std::mem::take(&mut self.spoken);
        // Of one event or timer: what stands between its first and its last stage of a journey is not worth writing.
        let mut entered: Vec<(usize, &Transition)> = Vec::new();
        for record in records {
            let about = match record {
                Record::Transition(r) => Some(&r.about),
                Record::Signal(r) => Some(&r.about),
                Record::Gone(_) => None,
            };
            let another =
                |(_, first): &(usize, &Transition)| !about.is_some_and(|it| Arc::ptr_eq(it, &first.about));
            if entered.first().is_some_and(another) {
                self.enter(&mut entered, out, &mut spoken)?;
            }
            match record {
                Record::Transition(r) => {
                    self.transition(&mut out.transitions, r, &mut spoken)?;
                    let journey = self.tables.journeys[r.journey].same;
                    match entered.iter_mut().find(|(other, _)| *other == journey) {
                        Some((_, last)) => *last = r,
                        None => entered.push((journey, r)),
                    }
                }
                Record::Signal(r) => self.signal(&mut out.signals, r, &mut spoken)?,
                Record::Gone(r) => {
                    let journey = self.tables.journeys[r.journey].same;
                    out.enter(&r.person, journey, |row| {
                        self.gone(row, r, &mut spoken);
                        Ok(())
                    })?;
                }
            }
        }
        self.enter(&mut entered, out, &mut spoken)?;
        self.spoken = spoken;
        Ok(())
    }

    fn enter(
        &mut self,
        entered: &mut Vec<(usize, &Transition)>,
        out: &mut Outbox,
        spoken: &mut Spoken,
    ) -> Res<()> {
        for (journey, r) in entered.drain(..) {
            out.enter(&r.about.person, journey, |row| self.stage(row, r, spoken))?;
        }
        Ok(())
    }

    pub fn transition(&mut self, out: &mut Batches, r: &Transition, spoken: &mut Spoken) -> Res<()> {
        spoken.take_in(&r.about, r.occurred_at)?;
        let j = &self.tables.journeys[r.journey];
        let to = at(r.to, j.stages.len())?;
        let (rule, own) = match r.ruling {
            None => (&self.start, None),
            Some(place) => (&self.tables.rulings[place].0, self.tables.rulings[place].1.as_ref()),
        };
        let id = json::hex(&r.id);
        let v = &mut spoken.value;
        v.clear();
        json::put(v, "{\"id\":\"");
        v.extend_from_slice(&id);
        json::put(v, "\",\"record_type\":\"transition\",\"time\":\"");
        v.extend_from_slice(&spoken.time);
        json::put(v, "\",\"schema_version\":1,\"transition_id\":\"");
        v.extend_from_slice(&id);
        json::put(v, "\",");
        v.extend_from_slice(&j.head);
        v.extend_from_slice(&spoken.who);
        json::put(v, "\"from\":");
        let from = if r.from == NOWHERE { None } else { Some(at(r.from, j.stages.len())?) };
        put_opt(v, from.map(|from| &j.stages[from]));
        json::put(v, ",\"to\":");
        v.extend_from_slice(&j.stages[to].json);
        json::put(v, ",\"from_kind\":");
        put_opt(v, from.map(|from| &j.kinds[from]));
        json::put(v, ",\"to_kind\":");
        v.extend_from_slice(&j.kinds[to].json);
        json::put(
            v,
            match r.direction {
                1.. => ",\"direction\":\"forward\",\"rule\":",
                0 => ",\"direction\":\"lateral\",\"rule\":",
                _ => ",\"direction\":\"backward\",\"rule\":",
            },
        );
        v.extend_from_slice(&rule.json);
        json::put(v, ",\"reason\":");
        json::opt_text(v, r.reason.as_deref());
        json::put(v, ",\"owner\":");
        put_opt(v, own.or(j.owners[to].as_ref()));
        json::put(v, if r.by_timer { ",\"trigger\":\"timer\"," } else { ",\"trigger\":\"event\"," });
        v.extend_from_slice(&spoken.cause);
        json::put(v, "\"occurred_at\":\"");
        v.extend_from_slice(&spoken.time);
        json::put(v, "\",\"decided_at\":");
        spoken.decided(r.decided_at)?;
        let v = &mut spoken.value;
        json::put(v, ",\"entered_from_at\":");
        json::opt_time(v, r.entered_from_at)?;
        json::put(v, ",\"dwell_s\":");
        match r.dwell_s {
            None => json::put(v, "null"),
            Some(dwell) => json::num(v, dwell),
        }
        json::put(v, ",\"sequence\":");
        json::int(v, r.sequence);
        json::put(v, ",\"first_entry\":");
        json::bool(v, r.entry_number == 1);
        json::put(v, ",\"entry_number\":");
        json::int(v, r.entry_number);
        json::put(v, ",\"loop\":");
        json::int(v, r.loops);
        v.push(b',');
        v.extend_from_slice(r.said.json());
        v.extend_from_slice(&spoken.rest);
        json::bool(v, r.late);
        v.push(b',');
        v.extend_from_slice(&spoken.tail);
        json::put(v, ",\"corrects\":null,\"replaced_by\":null,\"stage_now\":null}");
        spoken.name("", &id, &r.about.person);
        let labels = (Sort::Transition, r.journey, to, r.ruling.map_or(0, |place| place + 1));
        let shared = self.shared(labels);
        let person = r.about.person.as_bytes();
        out.append_raw(Some(person), Some(&spoken.value), 3 + shared.count, [&spoken.head, &shared.bytes]);
        Ok(())
    }

    pub fn signal(&mut self, out: &mut Batches, r: &Signal, spoken: &mut Spoken) -> Res<()> {
        spoken.take_in(&r.about, r.occurred_at)?;
        let (j, call) = (&self.tables.journeys[r.journey], &self.tables.calls[r.call]);
        let stage = at(r.stage, j.stages.len())?;
        let kind = call.kind.as_ref().unwrap_or(&j.kinds[stage]);
        let owner = call.owner.as_ref().or(j.owners[stage].as_ref());
        let named = json::hex(&r.id);
        let mut id = named.clone();
        if r.cancelled {
            let (kind, owner) = (&kind.plain, owner.map(|owner| owner.plain.as_str()));
            let digest = cancelled_id(&j.names, &call.names, r, &j.names.stages[stage], kind, owner);
            id.extend_from_slice(b":cancelled:");
            id.extend_from_slice(&json::hex(&digest));
        }
        let v = &mut spoken.value;
        v.clear();
        json::put(v, "{\"id\":\"");
        v.extend_from_slice(&id);
        json::put(v, "\",\"record_type\":\"signal\",\"time\":\"");
        v.extend_from_slice(&spoken.time);
        json::put(v, "\",\"schema_version\":1,\"signal_id\":\"");
        v.extend_from_slice(&named);
        json::put(v, "\",\"signal\":");
        v.extend_from_slice(&call.signal.json);
        json::put(v, if r.cancelled { ",\"status\":\"cancelled\"," } else { ",\"status\":\"raised\"," });
        v.extend_from_slice(&j.head);
        v.extend_from_slice(&spoken.who);
        json::put(v, "\"stage\":");
        v.extend_from_slice(&j.stages[stage].json);
        json::put(v, ",\"kind\":");
        v.extend_from_slice(&kind.json);
        json::put(v, ",\"owner\":");
        put_opt(v, owner);
        json::put(v, ",\"rule\":");
        v.extend_from_slice(&call.id.json);
        json::put(v, ",\"reason\":");
        json::opt_text(v, r.reason.as_deref());
        v.push(b',');
        v.extend_from_slice(&spoken.cause);
        json::put(v, "\"occurred_at\":\"");
        v.extend_from_slice(&spoken.time);
        json::put(v, "\",\"decided_at\":");
        spoken.decided(r.decided_at)?;
        let v = &mut spoken.value;
        json::put(v, ",\"valid_until\":");
        json::opt_time(v, r.valid_until)?;
        json::put(v, ",\"sequence\":");
        json::int(v, r.sequence);
        json::put(v, ",\"payload\":{");
        for (place, (name, value)) in call.payload.iter().zip(&r.payload).enumerate() {
            if place > 0 {
                v.push(b',');
            }
            v.extend_from_slice(name);
            json::val(v, value)?;
        }
        json::put(v, "},");
        v.extend_from_slice(r.said.json());
        v.extend_from_slice(&spoken.rest);
        json::bool(v, r.late);
        v.push(b',');
        v.extend_from_slice(&spoken.tail);
        json::put(v, ",\"corrects\":null}");
        spoken.name("", &id, &r.about.person);
        let sort = if r.cancelled { Sort::Cancelled } else { Sort::Raised };
        let shared = self.shared((sort, r.journey, stage, r.call));
        let person = r.about.person.as_bytes();
        out.append_raw(Some(person), Some(&spoken.value), 3 + shared.count, [&spoken.head, &shared.bytes]);
        Ok(())
    }

    /// The stage now, after a change of stage (`stages.entered`).
    pub fn stage(&mut self, out: &mut Vec<u8>, r: &Transition, spoken: &mut Spoken) -> Res<()> {
        spoken.take_in(&r.about, r.occurred_at)?;
        let j = &self.tables.journeys[r.journey];
        let to = at(r.to, j.stages.len())?;
        let own = r.ruling.and_then(|place| self.tables.rulings[place].1.as_ref());
        let id = json::hex(&r.id);
        let v = &mut spoken.value;
        v.clear();
        json::put(v, "{\"id\":\"stage:");
        v.extend_from_slice(&id);
        json::put(v, "\",\"record_type\":\"stage\",\"time\":\"");
        v.extend_from_slice(&spoken.time);
        json::put(v, "\",\"schema_version\":1,");
        v.extend_from_slice(&j.head);
        v.extend_from_slice(&spoken.who);
        json::put(v, "\"stage\":");
        v.extend_from_slice(&j.stages[to].json);
        json::put(v, ",\"kind\":");
        v.extend_from_slice(&j.kinds[to].json);
        json::put(v, ",\"owner\":");
        put_opt(v, own.or(j.owners[to].as_ref()));
        json::put(v, ",\"entered_at\":\"");
        v.extend_from_slice(&spoken.time);
        json::put(v, "\",\"sequence\":");
        json::int(v, r.sequence);
        json::put(v, ",\"transition_id\":\"");
        v.extend_from_slice(&id);
        json::put(v, "\",");
        v.extend_from_slice(r.said.json_attributes());
        v.extend_from_slice(&spoken.tail);
        v.push(b'}');
        spoken.name("stage:", &id, &r.about.person);
        spoken.set_key(&r.about.person, &j.names.id);
        let shared = self.shared((Sort::Stage, r.journey, to, r.ruling.map_or(0, |place| place + 1)));
        let headers = [spoken.head.as_slice(), &shared.bytes];
        put_fields(out, Some(&spoken.key), Some(&spoken.value), 3 + shared.count, headers);
        Ok(())
    }

    /// The tombstone of a forgotten person in one journey.
    pub fn gone(&self, out: &mut Vec<u8>, r: &Gone, spoken: &mut Spoken) {
        spoken.set_key(&r.person, &self.tables.journeys[r.journey].names.id);
        put_fields(out, Some(&spoken.key), None, 0, [&[], &[]]);
    }

    fn shared(&mut self, labels: Labels) -> &Shared {
        self.shared.entry(labels).or_insert_with(|| self.tables.headers(labels))
    }
}

/// The place of a stage; NOWHERE has none.
fn at(stage: i64, count: usize) -> Res<usize> {
    match usize::try_from(stage) {
        Ok(place) if place < count => Ok(place),
        _ => damaged("a stage that the journey does not have"),
    }
}
