//! Where an attribute is kept: plainly in its slot, in a sliding window, or tagged with the session it belongs
//! to (`engine/attributes.py`; `over: stage` is a plain slot that entering a stage empties).

use crate::customer::Customer;
use crate::expr_ops::V;
use crate::folds::{shape, Fold, Given};
use crate::parse::{index, part, text, whole};
use crate::value::{damaged, Res, Val};
use crate::windows::Window;
use compact_str::CompactString;

#[derive(Debug)]
pub enum Place {
    Slot {
        slot: usize,
        fold: Fold,
    },
    Window {
        slot: usize,
        window: Window,
    },
    /// The slot holds [session, fold].
    Session {
        slot: usize,
        session: usize,
        silence: i64,
        fold: Fold,
    },
}

pub fn slot_of(c: &mut Customer, slot: usize) -> Res<&mut Val> {
    match c.attrs.get_mut(slot) {
        Some(held) => Ok(held),
        None => damaged("a state without this slot"),
    }
}

/// Of a session's slot: the session it belongs to, and the fold.
fn tagged(held: &Val) -> Option<(i64, &Val)> {
    match held {
        Val::List(all) => match all.as_slice() {
            [Val::Int(session), fold] => Some((*session, fold)),
            _ => None,
        },
        _ => None,
    }
}

impl Place {
    pub fn parse(json: &serde_json::Value) -> Result<Place, String> {
        let slot = index(json, "slot")?;
        Ok(match text(json, "in")? {
            "slot" => Place::Slot { slot, fold: Fold::parse(part(json, "fold")?)? },
            "window" => Place::Window { slot, window: Window::parse(json)? },
            "session" => Place::Session {
                slot,
                session: index(json, "session")?,
                silence: whole(json, "silence")?,
                fold: Fold::parse(part(json, "fold")?)?,
            },
            other => return Err(format!("kept in {other:?}, which is not known")),
        })
    }

    #[inline]
    pub fn add(&self, c: &mut Customer, given: Given, id: Option<CompactString>, t: i64) -> Res<()> {
        match self {
            Place::Slot { slot, fold } => fold.add(slot_of(c, *slot)?, given, id),
            Place::Window { slot, window } => window.add(slot_of(c, *slot)?, given, id, t),
            Place::Session { slot, session, silence, fold } => {
                if t.saturating_sub(c.active) > *silence {
                    return Ok(());
                }
                let Some(&now) = c.sessions.get(*session) else {
                    return damaged("a state without this session");
                };
                let held = slot_of(c, *slot)?;
                if !matches!(tagged(held), Some((session, _)) if session == now) {
                    if !held.is_nil() && tagged(held).is_none() {
                        return shape();
                    }
                    *held = Val::List(vec![Val::Int(now), fold.empty()]);
                }
                match held {
                    Val::List(all) => fold.add(&mut all[1], given, id),
                    _ => shape(),
                }
            }
        }
    }

    pub fn take(&self, c: &mut Customer, value: &Val, id: Option<CompactString>) -> Res<()> {
        match self {
            Place::Slot { slot, fold } => fold.take(slot_of(c, *slot)?, value, id),
            Place::Window { slot, window } => window.take(slot_of(c, *slot)?, id),
            Place::Session { slot, session, fold, .. } => {
                let Some(&now) = c.sessions.get(*session) else {
                    return damaged("a state without this session");
                };
                match slot_of(c, *slot)? {
                    Val::Nil => Ok(()),
                    Val::List(all) => match all.as_mut_slice() {
                        [Val::Int(session), held] if *session == now => fold.take(held, value, id),
                        [Val::Int(_), _] => Ok(()),
                        _ => shape(),
                    },
                    _ => shape(),
                }
            }
        }
    }

    /// What a session's slot holds now; None: of another session, or of one gone silent.
    fn present<'a>(&self, c: &'a Customer, t: i64) -> Option<&'a Val> {
        let Place::Session { slot, session, silence, .. } = self else {
            return None;
        };
        let (tag, held) = tagged(c.attrs.get(*slot)?)?;
        (tag == *c.sessions.get(*session)? && t.saturating_sub(c.active) <= *silence).then_some(held)
    }

    pub fn read<'a>(&self, c: &'a Customer, t: i64) -> V<'a> {
        match self {
            Place::Slot { slot, fold } => c.attrs.get(*slot).map_or(V::NIL, |held| fold.read(held)),
            Place::Window { slot, window } => {
                c.attrs.get(*slot).map_or(V::NIL, |held| V::Own(window.read(held, t)))
            }
            Place::Session { fold, .. } => match self.present(c, t) {
                Some(held) => fold.read(held),
                None => V::Own(fold.read(&fold.empty()).own()),
            },
        }
    }

    pub fn merged(&self, c: &Customer, t: i64) -> bool {
        match self {
            Place::Slot { slot, fold } => c.attrs.get(*slot).is_some_and(|held| fold.merged(held)),
            Place::Window { slot, window } => c.attrs.get(*slot).is_some_and(|held| window.merged(held, t)),
            Place::Session { fold, .. } => self.present(c, t).is_some_and(|held| fold.merged(held)),
        }
    }
}
