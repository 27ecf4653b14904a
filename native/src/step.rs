//! One event of one customer, and one timer: `engine/step.py`, `engine/timers.py`, `engine/course.take`.
//!
//! In: a customer whose earlier timers have fired, an event or what is due. Out: the customer after it, records in
//! the run. An error means that Python has to do it; the customer is not to be used any more then.

use crate::customer::{find, find_mut, pop, Armed, Customer, NEVER, NOWHERE};
use crate::event::Event;
use crate::moves::{call, cancel, move_to, Answer, At, Run, TimerKey};
use crate::ops;
use crate::paths::identity;
use crate::profile;
use crate::program::{Cancel, Chance, Move, Plan, Program};
use crate::reads::read;
use crate::value::{damaged, Res, Val};
use compact_str::CompactString;

const DAY: i64 = 86_400_000_000;
const SIZE: usize = 8;
pub const NO_SEQUENCE: i64 = -1;
pub const NO_MEMORY: i64 = -1;
/// Stands for a timer: after all real ones.
pub const FORGET: i64 = 1 << 31;

type Done = Vec<(i64, CompactString)>;

/// Let a customer take an event in at its time, or at the latest applied time.
pub fn take(p: &Program, c: &mut Customer, e: &Event, mark: [u8; 8], run: &mut Run) -> Res<()> {
    let t = e.at.max(c.latest);
    run.begin();
    remember(c, mark, t, p.dedup_window, p.dedup_limit);
    apply_event(p, c, e, t, run)?;
    c.latest = t;
    Ok(())
}

pub fn has_seen(c: &Customer, mark: [u8; 8]) -> bool {
    c.seen.chunks_exact(SIZE).any(|each| each == mark)
}

/// Keep an id; days that are wholly out of the window, and ids beyond the limit, are dropped.
fn remember(c: &mut Customer, mark: [u8; 8], t: i64, window: i64, limit: usize) {
    let day = t.div_euclid(DAY);
    let count = c.days.len();
    if count >= 2 && c.days[count - 2] == day {
        c.days[count - 1] += 1;
    } else {
        let (mut gone, mut days) = (0, 0);
        while days < count && (c.days[days] + 1) * DAY <= t - window {
            gone += c.days[days + 1] as usize;
            days += 2;
        }
        c.days.drain(..days);
        c.seen.drain(..(gone * SIZE).min(c.seen.len()));
        c.days.extend([day, 1]);
    }
    c.seen.extend_from_slice(&mark);
    if c.seen.len() > limit * SIZE {
        c.seen.drain(..SIZE);
        c.days[1] -= 1;
        if c.days[1] == 0 {
            c.days.drain(..2);
        }
    }
}

/// The list for a stage; NOWHERE has the last one.
#[inline]
fn here<T>(by_stage: &[Vec<T>], stage: i64) -> &[T] {
    match usize::try_from(stage) {
        Ok(stage) => &by_stage[stage],
        Err(_) => by_stage.last().map_or(&[], Vec::as_slice),
    }
}

fn take_before(p: &Program, c: &mut Customer, places: &[usize], t: i64) {
    let mut before = vec![Val::Nil; p.befores.len()];
    for place in places {
        before[*place] = read(&p.befores[*place], p, c, t).own();
    }
    c.before = Some(before);
}

fn apply_event(p: &Program, c: &mut Customer, e: &Event, t: i64, run: &mut Run) -> Res<()> {
    let plan: &Plan = &(if e.activity { &p.active } else { &p.passive })[e.kind];
    if !plan.before.is_empty() {
        take_before(p, c, &plan.before, t);
    }
    profile::update_profile(c, e, t, &p.silences, &p.context);
    if let Some(update) = &plan.profile {
        profile::apply(update, c, e, t);
    }
    for op in &plan.fold {
        ops::run(op, p, c, e, t)?;
    }
    let mut done: Done = Vec::new();
    for (k, sequence) in &plan.sequences {
        if let Some(id) = ops::advance(*k, sequence, p, c, e, t) {
            done.retain(|(other, _)| other != k);
            done.push((*k, id));
        }
    }
    let at = At { p, e: Some(e), t, timer: None };
    let mut entered: Vec<usize> = Vec::new();
    if c.stages.contains(&NOWHERE) {
        start(&at, c, run, &mut entered)?;
    }
    for (j, by_stage) in &plan.moves {
        let moves = here(by_stage, c.stages[*j]);
        if !moves.is_empty() && first_move(&at, c, *j, moves, &done, run)? && !entered.contains(j) {
            entered.push(*j);
        }
    }
    if !entered.is_empty() {
        for each in &plan.after_moves {
            let j = each.journey;
            if !each.cancels.is_empty() && has_raised(c) {
                cancels(&at, c, j, &each.cancels, e, run)?;
            }
            let by_stage = if entered.contains(&j) { &each.entering } else { &each.staying };
            raise(&at, c, j, here(by_stage, c.stages[j]), &done, run)?;
        }
    } else if plan.touched {
        if has_raised(c) {
            for (j, all) in &plan.cancels {
                cancels(&at, c, *j, all, e, run)?;
            }
        }
        for (j, by_stage) in &plan.signals {
            raise(&at, c, *j, here(by_stage, c.stages[*j]), &done, run)?;
        }
    }
    c.before = None;
    c.earlier = None;
    c.first = None;
    Ok(())
}

fn has_raised(c: &Customer) -> bool {
    c.raised.as_ref().is_some_and(|raised| !raised.is_empty())
}

fn start(at: &At, c: &mut Customer, run: &mut Run, entered: &mut Vec<usize>) -> Res<()> {
    for (j, journey) in at.p.journeys.iter().enumerate() {
        if c.stages[j] == NOWHERE
            && journey.entered_by_newcomers
            && journey.others.iter().all(|other| c.stages[*other] == NOWHERE)
        {
            move_to(at, c, j, journey.start, None, run)?;
            entered.push(j);
        }
    }
    Ok(())
}

/// Whether both guards are true; one that is unknown is counted.
fn holds(
    at: &At,
    c: &Customer,
    j: usize,
    (where_, when): (Option<usize>, Option<usize>),
    rule: &str,
    run: &mut Run,
) -> bool {
    for guard in [where_, when].into_iter().flatten() {
        match run.ask(at, guard, c) {
            Answer::Yes => {}
            Answer::Unknown => {
                run.count_unknown(j, rule);
                return false;
            }
            Answer::No => return false,
        }
    }
    true
}

/// Whether the sequence is complete, if there is one; its id becomes the customer's.
fn completed(sequence: i64, c: &mut Customer, done: &Done) -> bool {
    if sequence == NO_SEQUENCE {
        return true;
    }
    match done.iter().find(|(k, _)| *k == sequence) {
        None => false,
        Some((_, id)) => {
            c.id = Some(id.clone());
            true
        }
    }
}

/// Make the first move that holds, in file order; tells whether one did.
fn first_move<'m>(
    at: &At,
    c: &mut Customer,
    j: usize,
    moves: impl IntoIterator<Item = &'m Move>,
    done: &Done,
    run: &mut Run,
) -> Res<bool> {
    for each in moves {
        if !completed(each.sequence, c, done) || (each.min_dwell != 0 && at.t - c.entered[j] < each.min_dwell)
        {
            continue;
        }
        if !holds(at, c, j, (each.where_, each.when), &at.p.rulings[each.ruling].id, run) {
            continue;
        }
        let mut target = each.target;
        if each.memory != NO_MEMORY {
            if let Some(memories) = &c.memories {
                target = find(memories, each.memory).copied().unwrap_or(target);
            }
        }
        if target == NOWHERE || (target == c.stages[j] && !each.reenter) {
            continue;
        }
        move_to(at, c, j, target, Some(each.ruling), run)?;
        return Ok(true);
    }
    Ok(false)
}

fn cancels(at: &At, c: &mut Customer, j: usize, all: &[Cancel], e: &Event, run: &mut Run) -> Res<()> {
    for each in all {
        if c.raised.as_ref().is_some_and(|raised| find(raised, each.slot).is_some()) {
            let id = each.by.as_ref().and_then(|by| identity(by, e, at.t, &at.p.vocab));
            let everything = id.is_none();
            cancel(at, c, j, each.call, id, everything, run)?;
        }
    }
    Ok(())
}

/// Raise every signal that holds, in file order.
fn raise(at: &At, c: &mut Customer, j: usize, chances: &[Chance], done: &Done, run: &mut Run) -> Res<()> {
    for each in chances {
        if !completed(each.sequence, c, done) {
            continue;
        }
        let rule = &at.p.calls[each.call];
        if !holds(at, c, j, (each.where_, each.when), &rule.id, run) {
            continue;
        }
        let id = match (&rule.by, at.e) {
            (Some(by), Some(e)) => identity(by, e, at.t, &at.p.vocab),
            _ => None,
        };
        call(at, c, j, each.call, id, run)?;
    }
    Ok(())
}

// Timers.

pub type Due = (i64, i64, Option<CompactString>);

/// What is due first: when it counts, which timer (FORGET: forgetting the person), for which id.
pub fn earliest(p: &Program, c: &mut Customer) -> Due {
    if let Some(first) = &c.first {
        return first.clone();
    }
    let mut when = forgotten_at(p, c);
    let mut first = FORGET;
    let mut identity: Option<&CompactString> = None;
    for (k, held) in &c.armed {
        if let Armed::At(at) = held {
            if *at > when {
                continue; // most are: whatever its stage, this one is not the first
            }
        }
        let timer = &p.timers[*k as usize];
        let j = timer.journey;
        if !live(&timer.live, c.stages[j]) {
            continue;
        }
        let floor = c.entered[j].saturating_add(timer.min_dwell);
        match held {
            Armed::At(at) => {
                let due = (*at).max(floor);
                if due < when || (due == when && *k < first) {
                    (when, first, identity) = (due, *k, None);
                }
            }
            Armed::Ids(ids) => {
                for (name, at) in ids {
                    let due = (*at).max(floor);
                    let known = identity.map_or("", |name| name.as_str());
                    if due < when || (due == when && (*k < first || (*k == first && name.as_str() < known))) {
                        (when, first, identity) = (due, *k, Some(name));
                    }
                }
            }
        }
    }
    let found = (when, first, identity.cloned());
    c.first = Some(found.clone());
    found
}

#[inline]
pub fn live(by_stage: &[bool], stage: i64) -> bool {
    match usize::try_from(stage) {
        Ok(stage) => by_stage[stage],
        Err(_) => by_stage.last().copied().unwrap_or(false),
    }
}

pub fn forgotten_at(p: &Program, c: &Customer) -> i64 {
    match if c.known { p.forget_known } else { p.forget_anonymous } {
        None => NEVER,
        Some(forget) => c.active.saturating_add(forget),
    }
}

/// Fire one timer: at most one transition, then the signals of the stage it enters; or one signal.
pub fn fire(p: &Program, c: &mut Customer, due: &Due, run: &mut Run) -> Res<()> {
    let (t, k, id) = due;
    c.first = None;
    let timer = &p.timers[*k as usize];
    let j = timer.journey;
    let armed = match find_mut(&mut c.armed, *k) {
        None => return damaged("a timer that is not armed"),
        Some(Armed::At(at)) => {
            let at = *at;
            pop(&mut c.armed, *k);
            at
        }
        Some(Armed::Ids(ids)) => {
            let Some(place) = ids.iter().position(|(name, _)| Some(name) == id.as_ref()) else {
                return damaged("a timer that is not armed for this id");
            };
            let (_, at) = ids.remove(place);
            if ids.is_empty() {
                pop(&mut c.armed, *k);
            }
            at
        }
    };
    run.begin();
    c.id = id.clone();
    c.latest = c.latest.max(*t);
    if !timer.before.is_empty() {
        take_before(p, c, &timer.before, *t);
    }
    let key: TimerKey = (armed, id.clone());
    let at = At { p, e: None, t: *t, timer: Some(&key) };
    let nothing = Done::new();
    match timer.call {
        None => {
            if let Some(Some(rule)) =
                usize::try_from(c.stages[j]).ok().and_then(|stage| timer.moves.get(stage))
            {
                if first_move(&at, c, j, [rule], &nothing, run)? {
                    let signals = &p.journeys[j].entries[c.stages[j] as usize].signals;
                    raise(&at, c, j, signals, &nothing, run)?;
                }
            }
        }
        Some(number) => {
            if holds(&at, c, j, (None, timer.when), &p.calls[number].id, run) {
                call(&at, c, j, number, id.clone(), run)?;
            }
        }
    }
    c.before = None;
    c.earlier = None;
    Ok(())
}
