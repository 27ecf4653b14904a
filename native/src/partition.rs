//! All customers of one keyed partition at work here: `engine/partition.py`, for what happens in order.
//!
//! In: events in the order they are to be applied, times up to which timers may fire. Out: records, changed states,
//! counts. States at rest are in `states`, which Python shares; where they rest on disk, those of the events and timers
//! that come next are read together before they are looked at (`look_ahead`). What this core does not do itself (events
//! out of order, imports, states of other layouts or formats, persons nobody knows of whom histories are kept) goes back
//! to Python: the person is put to rest and is *foreign* until the next drain, so that each has one master at a time.
//! Python is called for three things only, the due of who is foreign, the folding of a history, and states that are on
//! disk: all else runs without its lock.

use crate::attrs::Attrs;
use crate::customer::{Customer, PersonId, NEVER, NOWHERE};
use crate::event::{Actor, Event};
use crate::fetched::Fetched;
use crate::hot::{due_at, History, Hot};
use crate::ids::fingerprint;
use crate::leaving::Leaving;
use crate::moves::{anonymous_id, Run};
use crate::program::Program;
use crate::queue::{Person, Queue};
use crate::record::{Gone, Record};
use crate::states::Shared;
use crate::step::{self, earliest, forgotten_at, has_seen, FORGET};
use crate::value::{Damaged, Res};
use ahash::{AHashMap, AHashSet};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use smallvec::smallvec;
use std::cell::Cell;
use std::sync::Arc;

create_exception!(journey_stream_native, CoreError, PyException, "The compiled core met what it cannot do.");

pub fn failed(error: Damaged) -> PyErr {
    CoreError::new_err(format!("{}: `core: python` does without the compiled core", error.0))
}

#[derive(Default)]
pub struct Counts {
    pub applied: u64,
    pub late: u64,
    pub disordered: u64,
    pub duplicate: u64,
    pub unknown_person: u64,
    pub timers: u64,
    pub forgotten: u64,
    pub new: u64,
}

/// For so many events or timers at once states are read that are on disk.
pub const AHEAD: usize = 1_000;
/// Who was woken so short a time ago stays decoded.
const LATELY: usize = 1_000;

/// Who somebody is to this core.
enum Found {
    Hot,
    Nobody,
    Foreign,
}

pub struct Partition {
    pub p: Arc<Program>,
    pub rest: Shared,
    /// Decoded, and touched not long ago.
    pub hot: AHashMap<Person, Box<Hot>>,
    /// Decoded, and as they are at rest: hot before, and not touched since. Who is among them still when `hot` is full
    /// again leaves, so that those who come often stay.
    cooling: AHashMap<Person, Box<Hot>>,
    leaving: Leaving,
    /// In the order they were first touched since the last drain; some may have left since.
    touched: Vec<Person>,
    /// Forgotten since the last drain, and whether a state of theirs is at rest.
    gone: AHashMap<Person, bool>,
    pub foreign: AHashSet<Person>,
    /// Put to rest for Python with changes that no drain has given out.
    flushed: Vec<Person>,
    /// Those of them of whom no drain has ever told.
    fresh: AHashSet<Person>,
    /// Removed from the states at rest since the last drain, and told of before.
    removed: AHashSet<Person>,
    pub queue: Queue,
    pub run: Run,
    pub horizon: i64,
    pub cache: usize,
    /// How many more are known than are at rest.
    pub grown: i64,
    pub counts: Counts,
    import: Option<usize>,
    /// Where states are written before they are kept.
    scratch: Vec<u8>,
}

impl Partition {
    pub fn new(p: Arc<Program>, rest: Shared, cache: usize) -> Partition {
        let import = p.vocab.types.iter().position(|kind| kind.name == "history_imported");
        Partition {
            p,
            rest,
            hot: AHashMap::new(),
            cooling: AHashMap::new(),
            leaving: Leaving::default(),
            touched: Vec::new(),
            gone: AHashMap::new(),
            foreign: AHashSet::new(),
            flushed: Vec::new(),
            fresh: AHashSet::new(),
            removed: AHashSet::new(),
            queue: Queue::default(),
            run: Run::default(),
            horizon: NEVER,
            cache,
            grown: 0,
            counts: Counts::default(),
            import,
            scratch: Vec::new(),
        }
    }

    fn find(&mut self, person: &Person) -> PyResult<Found> {
        if !self.foreign.is_empty() && self.foreign.contains(person) {
            return Ok(Found::Foreign);
        }
        if self.hot.contains_key(person) {
            return Ok(Found::Hot);
        }
        if let Some((name, hot)) = self.cooling.remove_entry(person) {
            self.hot.insert(name, hot);
            return Ok(Found::Hot);
        }
        if !self.gone.is_empty() && self.gone.contains_key(person) {
            return Ok(if self.horizon == NEVER { Found::Nobody } else { Found::Foreign });
        }
        let cache = self.cache();
        let room = self.leaving.room();
        let mut states;
        let left = if self.rest.is_on_disk() { self.leaving.get(person) } else { None };
        let (name, blob, known) = match left {
            Some(left) => left,
            None => {
                states = self.rest.of(person)?;
                match states.plain(person).map_err(failed)? {
                    Some((name, blob)) => (name, blob, true),
                    None => {
                        self.leaving.spare(room);
                        return Ok(Found::Nobody);
                    }
                }
            }
        };
        // The name that the states have: so that there is one of each person, not one an event.
        let name = name.clone();
        match Hot::wake(room, name.clone(), blob, &self.p.fingerprint, self.horizon != NEVER) {
            Ok(Some(mut hot)) => {
                hot.known = known;
                hot.stays = self.leaving.again(&name, cache);
                self.hot.insert(name, hot);
                Ok(Found::Hot)
            }
            // Python says what is wrong with it, if anything is.
            _ => Ok(Found::Foreign),
        }
    }

    /// Hand a person over to Python until the next drain.
    pub fn flush(&mut self, person: &Person) -> PyResult<()> {
        self.cooling.remove(person);
        let left = self.leaving.take(person).map(|(state, known)| (state.to_vec(), known));
        let mut untold = false;
        if let Some(mut hot) = self.hot.remove(person).filter(|hot| hot.touched) {
            let (History::Bytes(history) | History::Foldable(history)) = self.history(&hot);
            hot.encode(&mut self.scratch, &self.p.fingerprint, &history);
            self.rest.of(person)?.put(person, &self.scratch);
            untold = true;
            if !hot.known {
                self.is_known_now(person);
            }
        } else if let Some(was_known) = self.gone.remove(person) {
            if was_known {
                self.rest.of(person)?.forget(person);
                untold = true;
                self.grown += 1;
                if !self.fresh.contains(person) {
                    self.removed.insert(person.clone());
                }
            }
        } else if let Some((state, known)) = left {
            untold = true;
            if self.rest.is_on_disk() {
                self.rest.of(person)?.put(person, &state);
                if !known {
                    self.is_known_now(person);
                }
            }
        }
        if untold {
            self.flushed.push(person.clone());
        }
        self.foreign.insert(person.clone());
        Ok(())
    }

    /// A state of somebody has been put to rest of whom none was there.
    fn is_known_now(&mut self, person: &Person) {
        self.grown -= 1;
        if !self.removed.contains(person) {
            self.fresh.insert(person.clone());
        }
    }

    /// Read the states of these persons that are on disk, if they are not here.
    pub fn look_ahead(&self, mut people: Vec<Person>) -> PyResult<()> {
        people.retain(|person| !self.hot.contains_key(person) && !self.cooling.contains_key(person));
        self.rest.read(people)
    }

    fn history(&self, hot: &Hot) -> History {
        if self.horizon == NEVER {
            return History::Bytes(Vec::new());
        }
        hot.history(self.horizon)
    }

    /// Whether those who do not stay leave before the drain. A history is written once a drain, with the horizon there
    /// is then.
    fn leaves_early(&self) -> bool {
        self.horizon == NEVER
    }

    /// How many stay decoded.
    fn cache(&self) -> usize {
        if self.leaves_early() {
            self.cache.min(LATELY)
        } else {
            self.cache
        }
    }

    fn touch(&mut self, person: &Person) {
        let leaves_early = self.leaves_early();
        if let Some(hot) = self.hot.get_mut(person) {
            if !hot.touched {
                hot.touched = true;
                self.touched.push(person.clone());
                if !hot.stays && leaves_early {
                    self.leaving.push(person);
                }
            }
        }
    }

    /// Put those to rest who do not stay, if it is time for some of them.
    fn let_leave(&mut self) {
        let Some(people) = self.leaving.due(self.cache) else { return };
        for person in people {
            let Some((name, hot)) = self.hot.remove_entry(&person) else { continue };
            if !hot.touched {
                self.hot.insert(name, hot);
                continue;
            }
            let known = hot.known;
            let write = |hot: &mut Hot, out: &mut Vec<u8>| hot.append(out, &self.p.fingerprint, &[]);
            let state = self.leaving.leave(person.clone(), hot, write);
            if self.rest.is_on_disk() {
                continue; // it has what a drain gave out: until then they have left, and are not at rest
            }
            self.rest.lock().put(&person, state);
            if !known {
                self.is_known_now(&name);
            }
        }
    }

    /// Apply one event; its customer's timers that were due before fire first. True: Python has to do it.
    pub fn apply(&mut self, e: &Event, now: i64, late: bool) -> PyResult<bool> {
        self.let_leave();
        let person = &e.person;
        self.run.now = now;
        self.run.late = late;
        let special =
            Some(e.kind) == self.import || person.starts_with('\0') || (late && self.horizon != NEVER);
        let found = if special { Found::Foreign } else { self.find(person)? };
        if let Found::Foreign = found {
            self.flush(person)?;
            return Ok(true);
        }
        let mark = fingerprint(e.id());
        let mut is_there = matches!(found, Found::Hot);
        if is_there {
            let c = &self.hot[person].c;
            if has_seen(c, mark) && forgotten_at(&self.p, c) >= e.at {
                self.counts.duplicate += 1;
                return Ok(false);
            }
            if e.at <= c.latest && e.at > self.horizon && !late {
                self.flush(person)?;
                return Ok(true);
            }
            if c.due < e.at {
                match self.settle(person, e.at - 1).map_err(failed)? {
                    Settled::There => {}
                    Settled::Forgotten => is_there = false,
                    Settled::Foreign => {
                        self.flush(person)?;
                        return Ok(true);
                    }
                }
            }
        }
        if !is_there {
            if e.actor != Actor::Customer {
                if self.horizon != NEVER {
                    self.flush(person)?;
                    return Ok(true);
                }
                self.counts.unknown_person += 1;
                return Ok(false);
            }
            self.introduce(e);
        }
        self.take(e, mark, late).map_err(failed)?;
        Ok(false)
    }

    fn take(&mut self, e: &Event, mark: [u8; 8], late: bool) -> Res<()> {
        let person = &e.person;
        self.touch(person);
        let hot = self.hot.get_mut(person).expect("they are there");
        let due = hot.c.due;
        let bound = self.queue.bound(person, due);
        hot.c.due = bound;
        if late {
            self.counts.late += 1;
        } else if e.at < hot.c.latest {
            self.counts.disordered += 1;
        }
        step::take(&self.p, &mut hot.c, e, mark, &mut self.run)?;
        if self.horizon != NEVER {
            hot.note_event(e, &self.p.vocab);
        }
        let armed = hot.c.due;
        if armed > due {
            hot.c.due = due;
        }
        if armed < bound {
            self.queue.put(&hot.c.person.0, armed, hot.c.due);
        }
        self.counts.applied += 1;
        Ok(())
    }

    /// Make somebody of nobody.
    fn introduce(&mut self, e: &Event) {
        let (p, t) = (&self.p, e.at);
        let count = p.journeys.len();
        let forget = if e.known { p.forget_known } else { p.forget_anonymous };
        let c = Customer {
            stages: smallvec![NOWHERE; count],
            entered: smallvec![t; count],
            sequences: smallvec![0; count],
            loops: smallvec![0; count],
            entries: vec![None; count],
            attrs: Attrs::of(&p.empties),
            latest: t,
            active: t,
            sessions: smallvec![t; p.silences.len()],
            known: e.known,
            person: PersonId(e.person.clone()),
            due: forget.map_or(NEVER, |forget| t.saturating_add(forget)),
            ..Customer::default()
        };
        let due = c.due;
        let mut hot = Hot::new(c);
        hot.stays = !self.leaves_early() || self.leaving.again(&e.person, self.cache());
        // Forgotten a moment ago, and so among the touched already.
        match self.gone.remove(&e.person) {
            Some(was_known) => (hot.touched, hot.known) = (true, was_known),
            None => hot.known = false,
        }
        self.grown += 1;
        self.hot.insert(e.person.clone(), Box::new(hot));
        self.touch(&e.person);
        self.queue.put(&e.person, due, due);
        self.counts.new += 1;
    }

    /// Fire what was due for this customer up to `until`.
    fn settle(&mut self, person: &Person, until: i64) -> Res<Settled> {
        loop {
            let hot = self.hot.get_mut(person).expect("they are there");
            if hot.c.due > until {
                return Ok(Settled::There);
            }
            let due = earliest(&self.p, &mut hot.c);
            if due.0 > until {
                let before = hot.c.due;
                hot.c.due = due.0;
                self.touch(person);
                self.queue.moved(person, before, due.0);
                continue;
            }
            if due.1 == FORGET {
                if self.horizon != NEVER {
                    return Ok(Settled::Foreign);
                }
                self.forget(person);
                return Ok(Settled::Forgotten);
            }
            self.fire_once(person, &due)?;
        }
    }

    fn fire_once(&mut self, person: &Person, due: &step::Due) -> Res<()> {
        self.touch(person);
        let hot = self.hot.get_mut(person).expect("they are there");
        step::fire(&self.p, &mut hot.c, due, &mut self.run)?;
        let before = hot.c.due;
        hot.c.due = earliest(&self.p, &mut hot.c).0;
        if self.horizon != NEVER {
            hot.note_timer(due.0);
        }
        self.queue.moved(person, before, hot.c.due);
        self.counts.timers += 1;
        Ok(())
    }

    fn forget(&mut self, person: &Person) {
        self.touch(person);
        let hot = self.hot.remove(person).expect("they are there");
        let c = &hot.c;
        for (j, stage) in c.stages.iter().enumerate() {
            if *stage != NOWHERE {
                let gone = Record::Gone(Gone {
                    person: person.clone(),
                    known: c.known,
                    anonymous_id: anonymous_id(c),
                    account_id: c.account_id.clone(),
                    journey: j,
                    entered_at: c.entered[j],
                    sequence: c.sequences[j],
                    test: c.test,
                    left: *stage,
                });
                self.run.records.push(gone, None);
            }
        }
        self.gone.insert(person.clone(), hot.known);
        self.grown -= 1;
        self.queue.forget(person);
        self.counts.forgotten += 1;
    }

    /// Fire timers due up to `until`, in the order they are due.
    ///
    /// Gives how many fired, at how many customers it looked, and an entry that Python has to see to.
    pub fn fire(
        &mut self,
        until: i64,
        now: i64,
        limit: usize,
        python_hint: &Py<PyAny>,
    ) -> PyResult<(usize, usize, Option<(i64, Person)>)> {
        self.run.now = now;
        self.run.late = false;
        let (mut fired, mut looked) = (0, 0);
        let mut ahead = 0;
        while looked < limit {
            if self.rest.is_on_disk() && looked >= ahead {
                let first = self.queue.first(until, AHEAD.min(limit - looked));
                ahead = looked + first.len();
                self.rest.read(first)?;
            }
            self.let_leave();
            let (hot, gone, foreign, rest) = (&self.hot, &self.gone, &self.foreign, &self.rest);
            let leaving = &self.leaving;
            let trouble = Cell::new(None);
            let hint = |person: &Person| {
                if let Some(hot) = hot.get(person) {
                    hot.c.due
                } else if foreign.contains(person) {
                    let found = Python::with_gil(|py| python_hint.call1(py, (&**person,))?.extract(py));
                    found.unwrap_or_else(|error| {
                        trouble.set(Some(error));
                        NEVER
                    })
                } else if gone.contains_key(person) {
                    NEVER
                } else if let Some((_, state, _)) = leaving.get(person) {
                    due_at(state)
                } else {
                    rest.of(person).map(|states| states.due(person)).unwrap_or_else(|error| {
                        trouble.set(Some(error));
                        NEVER
                    })
                }
            };
            let used = |person: &Person, at| {
                rest.of(person).map(|mut states| states.used(person, at)).unwrap_or_else(|error| {
                    trouble.set(Some(error));
                    false
                })
            };
            let entry = self.queue.pop(until, hint, used);
            if let Some(error) = trouble.into_inner() {
                return Err(error);
            }
            let Some((at, person)) = entry else { break };
            looked += 1;
            match self.find(&person)? {
                Found::Nobody => {
                    self.queue.forget(&person);
                    continue;
                }
                Found::Foreign => {
                    self.flush(&person)?;
                    return Ok((fired, looked, Some((at, person))));
                }
                Found::Hot => {}
            }
            let hot = self.hot.get_mut(&person).expect("they are there");
            let mut due = earliest(&self.p, &mut hot.c);
            if due.0 > at {
                let touched = hot.touched;
                if self.rest.is_on_disk() {
                    // So that this is found when it is due, and not now again.
                    hot.c.due = due.0;
                    if self.leaving.get(&person).is_some() {
                        self.touch(&person);
                    } else if !touched {
                        self.rest.of(&person)?.redate(&person, due.0);
                    }
                }
                let hot = &self.hot[&person];
                self.queue.put(&person, due.0, hot.c.due);
                if !hot.touched {
                    self.hot.remove(&person);
                }
                continue;
            }
            // All of one time at once: a history tells up to when timers have fired, not which.
            while due.0 <= at {
                if due.1 == FORGET {
                    if self.horizon != NEVER {
                        self.flush(&person)?;
                        return Ok((fired, looked, Some((at, person))));
                    }
                    self.forget(&person);
                    fired += 1;
                    break;
                }
                self.fire_once(&person, &due).map_err(failed)?;
                fired += 1;
                let hot = self.hot.get_mut(&person).expect("they are there");
                due = earliest(&self.p, &mut hot.c);
            }
        }
        Ok((fired, looked, None))
    }

    pub fn touched_any(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Put the customers touched to rest. `give` gets their states, None of who is forgotten; `fold(person, history)`
    /// of Python folds a history. Gives how many there were.
    pub fn written(
        &mut self,
        fold: &Py<PyAny>,
        mut give: impl FnMut(&Person, Option<&[u8]>),
    ) -> PyResult<usize> {
        let many = self.hot.len() > self.cache();
        let keep = self.horizon != NEVER;
        let mut count = 0;
        if self.rest.is_on_disk() {
            // Of some who stayed decoded all is written and let go of: what stands there is to be told again.
            self.rest.read(self.touched.clone())?;
        }
        for person in std::mem::take(&mut self.touched) {
            let left = self.leaving.take(&person);
            let Some(hot) = self.hot.get_mut(&person).filter(|hot| hot.touched) else {
                match (self.gone.remove(&person), left) {
                    (Some(true), _) => {
                        self.rest.of(&person)?.forget(&person);
                        if !self.fresh.contains(&person) {
                            give(&person, None);
                            count += 1;
                        }
                    }
                    (None, Some((state, _))) => {
                        if self.rest.is_on_disk() {
                            self.rest.of(&person)?.put(&person, state);
                            if let Some(hot) = self.hot.get_mut(&person) {
                                hot.known = true; // woken again, and not touched
                            }
                        }
                        give(&person, Some(state));
                        count += 1;
                    }
                    _ => {}
                }
                continue;
            };
            let history = match if keep { hot.history(self.horizon) } else { History::Bytes(Vec::new()) } {
                History::Bytes(history) => history,
                History::Foldable(history) => folded(fold, &person, &history)?,
            };
            hot.encode(&mut self.scratch, &self.p.fingerprint, &history);
            self.rest.of(&person)?.put(&person, &self.scratch);
            give(&person, Some(&self.scratch));
            count += 1;
            hot.touched = false; // who left and came again is listed twice
            if !hot.stays {
                self.hot.remove(&person);
            } else if !many {
                hot.written(if keep { &self.scratch } else { &[] });
                hot.known = true;
            }
        }
        self.cool(many);
        self.leaving.drained();
        self.gone.clear();
        self.foreign.clear();
        self.grown = 0;
        Ok(count)
    }

    /// Let those go who have not been touched for long, or all of them.
    fn cool(&mut self, all: bool) {
        if !all && self.hot.len() <= self.cache() / 2 {
            return;
        }
        let hot = std::mem::take(&mut self.hot);
        self.cooling = if all { AHashMap::new() } else { hot };
    }

    /// Whose states were put to rest for Python, and whether no drain has told of them before.
    pub fn take_flushed(&mut self) -> Vec<(Person, bool)> {
        let fresh = std::mem::take(&mut self.fresh);
        let flushed = std::mem::take(&mut self.flushed);
        self.removed.clear();
        flushed
            .into_iter()
            .map(|person| (fresh.contains(&person), person))
            .map(|(new, who)| (who, new))
            .collect()
    }

    /// Take in a state at rest, as a former drain gave it. False: Python knows what is wrong with it.
    pub fn load(&mut self, person: Person, blob: &[u8]) -> PyResult<bool> {
        let at_work = !self.hot.is_empty() || !self.cooling.is_empty() || !self.gone.is_empty();
        if at_work || !self.leaving.is_empty() {
            self.put_down(&person)?;
        }
        let loaded = self.rest.of(&person)?.load(person.clone(), blob);
        let Some((due, ours)) = loaded else { return Ok(false) };
        // Written under other definitions: when something is due has to be worked out anew.
        self.queue.load(person, due, if ours { due } else { 0 });
        Ok(true)
    }

    /// The same for a record of a changelog.
    pub fn load_fetched(&mut self, records: &Fetched, place: usize) -> PyResult<bool> {
        let (rows, place) = (&records.rows, records.begin + place);
        match (rows.key(place).map(std::str::from_utf8), rows.value(place)) {
            (Some(Ok(person)), Some(blob)) if !person.starts_with('\0') => self.load(Arc::from(person), blob),
            _ => Ok(false),
        }
    }

    /// Put a person to rest, for Python to look at; they stay with whom they are.
    pub fn put_down(&mut self, person: &Person) -> PyResult<()> {
        let before = self.foreign.contains(person);
        self.flush(person)?;
        if !before {
            self.foreign.remove(person);
        }
        Ok(())
    }

    /// Build the queue anew from what is due of everybody at rest.
    pub fn rebuild_queue(&mut self) {
        let states = self.rest.lock();
        let due = |person: &Person| self.hot.get(person).map(|hot| hot.c.due);
        let all =
            states.iter().map(|(person, blob)| (person.clone(), due(person).unwrap_or_else(|| due_at(blob))));
        self.queue.rebuild(all);
    }

    /// Those at work here who are due from `begin` on and before `end`.
    pub fn due_at_work(&self, begin: i64, end: i64) -> Vec<(i64, Person)> {
        let hot = self.touched.iter().filter_map(|person| self.hot.get(person));
        let due = hot.filter(|hot| hot.touched).map(|hot| (hot.c.due, hot.c.person.0.clone()));
        let left = self.leaving.all().map(|(person, state)| (due_at(state), person.clone()));
        due.chain(left).filter(|(due, _)| (begin..end).contains(due)).collect()
    }

    pub fn people_hot(&self) -> Vec<Person> {
        let left = self.leaving.all().map(|(person, _)| person);
        self.hot.keys().chain(self.gone.keys()).chain(left).cloned().collect()
    }
}

enum Settled {
    There,
    Forgotten,
    Foreign,
}

/// A history that has become long, folded: Python does it.
fn folded(fold: &Py<PyAny>, person: &str, history: &[u8]) -> PyResult<Vec<u8>> {
    Python::with_gil(|py| {
        let folded = fold.bind(py).call1((person, PyBytes::new(py, history)))?;
        Ok(folded.downcast::<PyBytes>()?.as_bytes().to_vec())
    })
}
