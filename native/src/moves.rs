//! How a stage changes and a signal is raised, and the records of it: `engine/records.py`.
//!
//! In: a customer, a rule that holds. Out: the customer in its new stage, records in the run.

use crate::customer::{find, pop, set, Armed, Calls, Customer, Raised, NEVER, NOWHERE};
use crate::event::Event;
use crate::expr::{eval, Scope};
use crate::ids::digest16;
use crate::profile::over_contacted;
use crate::program::{After, Call, Guard, Journey, Program};
use crate::record::{About, Cause, Record, Signal, Transition};
use crate::records::Records;
use crate::said::{Said, SaidNow};
use crate::value::{self, damaged, Damaged, IntMap, Res, Val};
use ahash::AHashMap;
use compact_str::CompactString;
use std::sync::Arc;

pub const RAISED_KEPT: usize = 100;
/// Until `Records.named`.
const UNNAMED: [u8; 16] = [0; 16];
const SECOND: f64 = 1_000_000.0;

/// Due and id of a timer that fires.
pub type TimerKey = (i64, Option<CompactString>);

/// A batch being applied: where its records go, and under which circumstances they are made.
#[derive(Default)]
pub struct Run {
    pub records: Records,
    /// (journey, rule) to how often its expression touched something unknown.
    pub unknown: AHashMap<(usize, CompactString), u64>,
    pub now: i64,
    pub late: bool,
    about: Option<Arc<About>>,
    said: SaidNow,
    /// By place among the guards, what they answered; only those that are steady.
    answers: Vec<Option<Answer>>,
}

impl Run {
    /// Turn to another event or timer: what was kept for the records of the last one is void.
    pub fn begin(&mut self) {
        if self.about.is_some() {
            self.about = None;
            self.said.clear();
        }
        self.answers.fill(None);
    }

    /// What a guard answers. Rules of several journeys ask the same.
    pub fn ask(&mut self, at: &At, guard: Guard, c: &Customer) -> Answer {
        let steady = at.p.steady[guard];
        if steady {
            if let Some(Some(answer)) = self.answers.get(guard) {
                return *answer;
            }
        }
        let answer = match at.eval(guard, c) {
            Val::Bool(true) => Answer::Yes,
            Val::Nil => Answer::Unknown,
            _ => Answer::No,
        };
        if steady {
            if self.answers.is_empty() {
                self.answers.resize(at.p.guards.len(), None);
            }
            self.answers[guard] = Some(answer);
        }
        answer
    }

    pub fn count_unknown(&mut self, journey: usize, rule: &str) {
        *self.unknown.entry((journey, CompactString::new(rule))).or_insert(0) += 1;
    }
}

#[derive(Clone, Copy)]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

/// What all of one event or timer have at hand.
pub struct At<'a> {
    pub p: &'a Program,
    pub e: Option<&'a Event>,
    pub t: i64,
    pub timer: Option<&'a TimerKey>,
}

impl At<'_> {
    pub fn eval(&self, guard: Guard, c: &Customer) -> Val {
        eval(&self.p.guards[guard], &Scope { p: self.p, c, e: self.e, t: self.t })
    }
}

pub fn anonymous_id(c: &Customer) -> Option<CompactString> {
    if c.known {
        c.anonymous_id.clone()
    } else {
        Some(CompactString::new(c.person.strip_prefix("anon:").unwrap_or(&c.person)))
    }
}

fn about(at: &At, c: &Customer, run: &mut Run) -> Arc<About> {
    if let Some(about) = &run.about {
        return about.clone();
    }
    let cause = match (at.timer, at.e) {
        (None, Some(e)) => Cause {
            event_id: Some(CompactString::new(e.id())),
            kind: CompactString::new(&at.p.vocab.types[e.kind].name),
            at: e.at,
        },
        (timer, _) => Cause {
            event_id: None,
            kind: CompactString::const_new("timer"),
            at: timer.map_or(at.t, |key| key.0),
        },
    };
    let about = Arc::new(About {
        person: c.person.0.clone(),
        known: c.known,
        anonymous_id: anonymous_id(c),
        consent: c.consent,
        over_contacted: over_contacted(c, at.t),
        cause,
        account_id: c.account_id.clone(),
        locale: c.locale.clone(),
        country: c.country.clone(),
        timezone: c.timezone.clone(),
        test: c.test,
        replay: at.e.is_some_and(|e| e.replay),
    });
    run.about = Some(about.clone());
    about
}

/// A reason that a guard gave: a text, or unknown.
fn text_of(value: Val) -> Res<Option<CompactString>> {
    match value {
        Val::Nil => Ok(None),
        Val::Str(text) => Ok(Some(text)),
        _ => damaged("a reason that is no text"),
    }
}

/// How what an id is made of begins: so many parts, of which these are the first four.
fn put_whose(out: &mut Vec<u8>, parts: usize, sort: &str, journey: &Journey, c: &Customer) {
    value::put_array(out, parts);
    value::put_str(out, sort);
    value::put_str(out, &journey.id);
    value::put_int(out, journey.version);
    value::put_str(out, &c.person);
}

fn put_said(out: &mut Vec<u8>, c: &Customer, said: &Said, about: &About) {
    let (attributes, approximate) = said.packed();
    out.extend_from_slice(attributes);
    out.extend_from_slice(approximate);
    value::put_array(out, 8);
    value::put_int(out, about.consent);
    value::put_bool(out, about.over_contacted);
    value::put_opt_str(out, about.anonymous_id.as_deref());
    value::put_opt_str(out, c.account_id.as_deref());
    value::put_opt_str(out, c.locale.as_deref());
    value::put_opt_str(out, c.country.as_deref());
    value::put_opt_str(out, c.timezone.as_deref());
    value::put_bool(out, c.test);
}

/// The event's id, or due and id of the timer.
fn put_key(out: &mut Vec<u8>, at: &At) {
    match (at.timer, at.e) {
        (None, Some(e)) => value::put_str(out, e.id()),
        (timer, _) => {
            value::put_array(out, 2);
            value::put_int(out, timer.map_or(at.t, |key| key.0));
            value::put_opt_str(out, timer.and_then(|key| key.1.as_deref()));
        }
    }
}

/// Enter a stage and record it; `ruling` None is the rule `start`.
pub fn move_to(
    at: &At,
    c: &mut Customer,
    j: usize,
    target: i64,
    ruling: Option<usize>,
    run: &mut Run,
) -> Res<()> {
    let journey = &at.p.journeys[j];
    let left = c.stages[j];
    if c.earlier.is_none() {
        c.earlier = Some(c.stages.clone());
    }
    let ruled = ruling.map(|place| &at.p.rulings[place]);
    let reason = match ruled {
        Some(ruled) => match ruled.reason_from {
            Some(guard) => text_of(at.eval(guard, c))?,
            None => ruled.reason.as_deref().map(CompactString::new),
        },
        None => None,
    };
    let about = about(at, c, run);
    let said = run.said.get(at.p, c, journey.saying, at.t)?;
    let entries = c.entries[j].get_or_insert_with(IntMap::new);
    let number = find(entries, target).copied().unwrap_or(0) + 1;
    set(entries, target, number);
    let mut direction = 1;
    let (mut entered_at, mut dwell) = (None, None);
    if left != NOWHERE {
        let since = c.entered[j];
        entered_at = Some(since);
        dwell = Some((at.t - since) as f64 / SECOND);
        let step = journey.ranks[target as usize] - journey.ranks[left as usize];
        direction = step.signum() as i8;
        if step < 0 {
            c.loops[j] += 1;
        }
    }
    c.sequences[j] += 1;
    let out = run.records.contents();
    let begin = out.len();
    put_whose(out, 16, "transition", journey, c);
    value::put_opt_str(out, (left != NOWHERE).then(|| journey.stages[left as usize].as_str()));
    value::put_str(out, &journey.stages[target as usize]);
    value::put_str(out, ruled.map_or("start", |ruled| ruled.id.as_str()));
    put_key(out, at);
    value::put_int(out, at.t);
    value::put_opt_str(out, reason.as_deref());
    crate::customer::put_opt_int(out, entered_at);
    value::put_int(out, number);
    value::put_int(out, c.loops[j]);
    put_said(out, c, &said, &about);
    let transition = Transition {
        about,
        said,
        id: UNNAMED,
        journey: j,
        from: left,
        to: target,
        direction,
        ruling,
        reason,
        by_timer: at.timer.is_some(),
        occurred_at: at.t,
        decided_at: run.now,
        entered_from_at: entered_at,
        dwell_s: dwell,
        sequence: c.sequences[j],
        entry_number: number,
        loops: c.loops[j],
        late: run.late && at.timer.is_none(),
    };
    run.records.push(Record::Transition(transition), Some(begin));
    run.said.entered(at.p, journey.saying);
    enter(at, c, j, left, target)
}

fn enter(at: &At, c: &mut Customer, j: usize, left: i64, target: i64) -> Res<()> {
    let journey = &at.p.journeys[j];
    let entry = &journey.entries[target as usize];
    c.stages[j] = target;
    c.entered[j] = at.t;
    if left != NOWHERE {
        // The event that makes somebody enter `start` is the first in it: what it left in the slots stays.
        for (slot, empty) in &journey.stage_slots {
            c.attrs.set(*slot, empty.clone());
        }
        for (memory, inside) in &entry.remembers {
            if !inside.contains(&left) {
                set(c.memories.get_or_insert_with(IntMap::new), *memory, left);
            }
        }
    }
    for k in &entry.disarms {
        pop(&mut c.armed, *k);
    }
    for k in &entry.arms {
        let wait = match at.p.timers[*k].after {
            After::Fixed(after) => Some(after),
            After::Guard(guard) => after_of(&at.eval(guard, c)),
        };
        match wait {
            None => {
                pop(&mut c.armed, *k as i64);
            }
            Some(wait) => set(&mut c.armed, *k as i64, Armed::At(sum(at.t, wait)?)),
        }
    }
    let mut due = c.due;
    for k in &entry.wakes {
        let first = match find(&c.armed, *k as i64) {
            None => continue,
            Some(Armed::At(first)) => *first,
            Some(Armed::Ids(ids)) => ids.iter().map(|(_, at)| *at).min().unwrap_or(NEVER),
        };
        if first < due {
            due = due.min(first.max(sum(at.t, at.p.timers[*k].min_dwell)?));
        }
    }
    c.due = due;
    Ok(())
}

pub fn sum(left: i64, right: i64) -> Res<i64> {
    left.checked_add(right).ok_or(Damaged("a time beyond 64 bits"))
}

/// The seconds that an `after` says in microseconds; unknown, or out of reach, arms nothing.
pub fn after_of(seconds: &Val) -> Option<i64> {
    let seconds = match seconds {
        Val::Num(seconds) => *seconds,
        Val::Int(seconds) => *seconds as f64,
        _ => return None,
    };
    if !(-1e12 < seconds && seconds < 1e12) {
        return None;
    }
    Some(((seconds * SECOND + 0.5) as i64).max(0))
}

/// Raise a signal, unless its rate limit says enough.
pub fn call(
    at: &At,
    c: &mut Customer,
    j: usize,
    number: usize,
    identity: Option<CompactString>,
    run: &mut Run,
) -> Res<()> {
    let rule = &at.p.calls[number];
    if rule.every != 0 {
        let rates = c.rates.get_or_insert_with(Vec::new);
        let mut recent = find(rates, rule.slot).cloned().unwrap_or_default();
        recent.retain(|time| *time > at.t - rule.every);
        if recent.len() as i64 >= rule.at_most {
            set(rates, rule.slot, recent);
            return Ok(());
        }
        recent.push(at.t);
        set(rates, rule.slot, recent);
    }
    let reason = match rule.reason_from {
        Some(guard) => text_of(at.eval(guard, c))?,
        None => rule.reason.as_deref().map(CompactString::new),
    };
    let payload: Vec<Val> = rule.payload.iter().map(|(_, guard)| at.eval(*guard, c)).collect();
    let journey = &at.p.journeys[j];
    let about = about(at, c, run);
    let said = run.said.get(at.p, c, journey.saying, at.t)?;
    let out = run.records.contents();
    let begin = out.len();
    put_whose(out, 13, "signal", journey, c);
    value::put_str(out, &journey.stages[c.stages[j] as usize]);
    value::put_str(out, &rule.id);
    put_key(out, at);
    value::put_int(out, at.t);
    value::put_opt_str(out, reason.as_deref());
    value::put_map(out, payload.len());
    for ((name, _), found) in rule.payload.iter().zip(&payload) {
        value::put_str(out, name);
        value::put_val(out, found);
    }
    put_said(out, c, &said, &about);
    let (mut id, mut unnamed) = (UNNAMED, Some(begin));
    let until = match rule.expires {
        None => None,
        Some(expires) => Some(sum(at.t, expires)?),
    };
    if rule.cancellable {
        let raised = c.raised.get_or_insert_with(Vec::new);
        // Whose time is over: nothing takes them back any more.
        for (_, entries) in raised.iter_mut() {
            entries.retain(|entry| entry.until.is_none_or(|until| until > at.t));
        }
        raised.retain(|(_, entries)| !entries.is_empty());
        if find(raised, rule.slot).is_none() {
            raised.push((rule.slot, Calls::new()));
        }
        let entries = crate::customer::find_mut(raised, rule.slot).expect("it was put there");
        let contents = run.records.contents();
        (id, unnamed) = (digest16(&contents[begin..]), None); // whoever takes it back names it
        contents.truncate(begin);
        entries.push(Raised { until, id: id.into(), by: identity });
        let gone = entries.len().saturating_sub(RAISED_KEPT);
        entries.drain(..gone);
    }
    let by_event = at.timer.is_none();
    signal(
        at,
        c,
        j,
        number,
        run,
        (about, said),
        Told { id, unnamed, cancelled: false, until, reason, payload, by_event },
    );
    Ok(())
}

struct Told {
    id: [u8; 16],
    /// Where in `Records.contents` what the id is made of begins, if there is none yet.
    unnamed: Option<usize>,
    cancelled: bool,
    until: Option<i64>,
    reason: Option<CompactString>,
    payload: Vec<Val>,
    by_event: bool,
}

/// Take back what was raised (for this id; `all`: whatever its id) and is still valid.
pub fn cancel(
    at: &At,
    c: &mut Customer,
    j: usize,
    number: usize,
    identity: Option<CompactString>,
    all: bool,
    run: &mut Run,
) -> Res<()> {
    let rule: &Call = &at.p.calls[number];
    let Some(raised) = &mut c.raised else { return Ok(()) };
    let Some(entries) = crate::customer::find_mut(raised, rule.slot) else { return Ok(()) };
    if entries.is_empty() {
        return Ok(());
    }
    let (mut kept, mut taken) = (Calls::new(), Calls::new());
    for entry in entries.drain(..) {
        if entry.until.is_some_and(|until| until <= at.t) {
            continue;
        }
        if all || entry.by == identity {
            taken.push(entry);
        } else {
            kept.push(entry);
        }
    }
    if kept.is_empty() {
        pop(raised, rule.slot);
    } else {
        set(raised, rule.slot, kept);
    }
    for entry in taken {
        let Ok(id) = <[u8; 16]>::try_from(entry.id.as_slice()) else {
            return damaged("a raised signal without its id");
        };
        let shared = (about(at, c, run), run.said.get(at.p, c, at.p.journeys[j].saying, at.t)?);
        let reason = rule.reason.as_deref().map(CompactString::new);
        let until = entry.until;
        let told =
            Told { id, unnamed: None, cancelled: true, until, reason, payload: Vec::new(), by_event: true };
        signal(at, c, j, number, run, shared, told);
    }
    Ok(())
}

fn signal(
    at: &At,
    c: &mut Customer,
    j: usize,
    number: usize,
    run: &mut Run,
    (about, said): (Arc<About>, Arc<Said>),
    told: Told,
) {
    c.sequences[j] += 1;
    let signal = Record::Signal(Signal {
        about,
        said,
        id: told.id,
        journey: j,
        call: number,
        cancelled: told.cancelled,
        stage: c.stages[j],
        reason: told.reason,
        occurred_at: at.t,
        decided_at: run.now,
        valid_until: told.until,
        sequence: c.sequences[j],
        payload: told.payload,
        late: run.late && told.by_event,
    });
    run.records.push(signal, told.unnamed);
}
