//! What travels with a journey's records: its attributes, written down once for all who say the same.
//!
//! In: how attributes are read (`Sayings`), a customer. Out: `Said`. Strategy: variants of a model, and versions of
//! one side by side, declare most attributes alike. What stays the same while an event is worked on is read and
//! written once, whichever journey says it; journeys that say the same altogether share the whole.

use crate::customer::Customer;
use crate::expr_ops::V;
use crate::json;
use crate::program::Program;
use crate::reads::{merged, read, Merged, Read};
use crate::value::{self, Res, Val};
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The name of an attribute, as it is written.
pub struct Member {
    packed: Vec<u8>,
    /// `"name":`
    json: Vec<u8>,
}

impl Member {
    pub fn of(name: &str) -> Member {
        let mut packed = Vec::new();
        value::put_str(&mut packed, name);
        Member { packed, json: json::member(name) }
    }
}

/// Attributes in the order of the definition: written down at once, for ids and as JSON.
///
/// Attributes as a map of msgpack; those that are approximate, as an array; `"attributes":{..},` of JSON, and
/// `"approximate":[..],"partial":[],`.
pub struct Said {
    bytes: Box<[u8]>,
    /// Where the second, third, and fourth part begin.
    ends: [usize; 3],
}

/// Msgpack and JSON, while they are written.
#[derive(Default)]
pub struct Both {
    packed: Vec<u8>,
    json: Vec<u8>,
}

impl Both {
    pub fn put(&mut self, value: &V) -> Res<()> {
        match value {
            V::Own(value) => self.put_val(value),
            V::Ref(value) => self.put_val(value),
            V::Str(value) => {
                value::put_str(&mut self.packed, value);
                json::text(&mut self.json, value);
                Ok(())
            }
        }
    }

    fn put_val(&mut self, value: &Val) -> Res<()> {
        value::put_val(&mut self.packed, value);
        json::val(&mut self.json, value)
    }

    fn clear(&mut self) {
        self.packed.clear();
        self.json.clear();
    }
}

impl Said {
    /// Write values by name, each with `write`; `approximate` are places among them.
    pub fn of(
        members: &[Member],
        mut write: impl FnMut(usize, &mut Both) -> Res<()>,
        approximate: &[usize],
        both: &mut Both,
    ) -> Res<Said> {
        both.clear();
        value::put_map(&mut both.packed, members.len());
        json::put(&mut both.json, "\"attributes\":{");
        for (place, member) in members.iter().enumerate() {
            if place > 0 {
                both.json.push(b',');
            }
            both.packed.extend_from_slice(&member.packed);
            both.json.extend_from_slice(&member.json);
            write(place, both)?;
        }
        json::put(&mut both.json, "},");
        let (attributes, said) = (both.packed.len(), both.json.len());
        value::put_array(&mut both.packed, approximate.len());
        json::put(&mut both.json, "\"approximate\":[");
        for (count, place) in approximate.iter().enumerate() {
            if count > 0 {
                both.json.push(b',');
            }
            let Some(Member { packed: name, json: quoted }) = members.get(*place) else {
                return value::damaged("an attribute that the journey does not have");
            };
            both.packed.extend_from_slice(name);
            both.json.extend_from_slice(&quoted[..quoted.len() - 1]); // without its colon
        }
        json::put(&mut both.json, "],\"partial\":[],");
        let mut bytes = Vec::with_capacity(both.packed.len() + both.json.len());
        bytes.extend_from_slice(&both.packed);
        bytes.extend_from_slice(&both.json);
        let ends = [attributes, both.packed.len(), both.packed.len() + said];
        Ok(Said { bytes: bytes.into_boxed_slice(), ends })
    }

    /// Msgpack: attributes, and which are approximate.
    pub fn packed(&self) -> (&[u8], &[u8]) {
        (&self.bytes[..self.ends[0]], &self.bytes[self.ends[0]..self.ends[1]])
    }

    /// JSON of both.
    pub fn json(&self) -> &[u8] {
        &self.bytes[self.ends[1]..]
    }

    /// JSON of the attributes alone.
    pub fn json_attributes(&self) -> &[u8] {
        &self.bytes[self.ends[1]..self.ends[2]]
    }
}

/// What journeys say, each once; journeys name it by its place.
#[derive(Default)]
pub struct Sayings {
    readings: Vec<Reading>,
    of: Vec<Saying>,
    /// Where both stand, by their description.
    known: HashMap<String, usize>,
}

struct Reading {
    how: Read,
    /// The same from the first to the last record of an event.
    stays: bool,
    sayers: usize,
}

struct Saying {
    members: Vec<Member>,
    /// By place among the members: which reading each is.
    reads: Vec<usize>,
    approximate: Vec<(usize, Merged)>,
    /// No change of stage changes it.
    steady: bool,
}

impl Sayings {
    /// The place of what a journey says: attributes by name, and what tells that one is approximate.
    ///
    /// `stays`: whether an attribute stays the same while an event is worked on.
    pub fn add(
        &mut self,
        attributes: &[(String, Json)],
        approximate: &[(String, Json)],
        steady: bool,
        stays: impl Fn(&Json) -> bool,
        parse: impl Fn(&Json) -> Result<Read, String>,
    ) -> Result<usize, String> {
        let whole = serde_json::to_string(&(attributes, approximate)).map_err(|e| e.to_string())?;
        if let Some(place) = self.known.get(&whole).filter(|_| steady) {
            return Ok(*place);
        }
        let place_of = |name: &String| {
            let found = attributes.iter().position(|(other, _)| other == name);
            found.ok_or_else(|| format!("{name:?} is approximate, and no such attribute is there"))
        };
        let approximate = approximate.iter().map(|(name, json)| Ok((place_of(name)?, Merged::parse(json)?)));
        let approximate = approximate.collect::<Result<_, String>>()?;
        let members = attributes.iter().map(|(name, _)| Member::of(name)).collect();
        let reads = attributes.iter().map(|(_, json)| self.read(json, stays(json), &parse));
        let reads = reads.collect::<Result<_, String>>()?;
        let place = self.of.len();
        self.of.push(Saying { members, reads, approximate, steady });
        self.known.insert(whole, place);
        Ok(place)
    }

    /// How the attributes of one are read, and what tells that one of them is approximate.
    pub fn parts(
        &self,
        saying: usize,
    ) -> (impl ExactSizeIterator<Item = &Read>, impl ExactSizeIterator<Item = &Merged>) {
        let Saying { reads, approximate, .. } = &self.of[saying];
        let reads = reads.iter().map(|at| &self.readings[*at].how);
        (reads, approximate.iter().map(|(_, how)| how))
    }

    fn read(
        &mut self,
        json: &Json,
        stays: bool,
        parse: impl Fn(&Json) -> Result<Read, String>,
    ) -> Result<usize, String> {
        let text = json.to_string();
        let place = *self.known.get(&text).unwrap_or(&self.readings.len());
        if place == self.readings.len() {
            self.readings.push(Reading { how: parse(json)?, stays, sayers: 0 });
            self.known.insert(text, place);
        }
        self.readings[place].sayers += 1;
        Ok(place)
    }
}

/// Which parts of a description stay the same while an event is worked on, whatever stages are entered.
pub struct Steady {
    /// Slots that entering a stage empties.
    pub slots: HashSet<u64>,
    /// By place: those that were looked at.
    pub guards: Vec<bool>,
}

impl Steady {
    pub fn holds(&self, json: &Json) -> bool {
        match json {
            Json::Array(items) => items.iter().all(|item| self.holds(item)),
            Json::Object(fields) => {
                let number = |name: &str| fields.get(name).and_then(Json::as_u64);
                let kind = fields.get("x").and_then(Json::as_str);
                // An id is that of the rule's sequence.
                let moves = matches!(kind, Some("dwell" | "loops" | "entries" | "id"))
                    || number("slot").is_some_and(|slot| self.slots.contains(&slot))
                    || number("guard").is_some_and(|at| self.guards.get(at as usize) != Some(&true));
                !moves && fields.values().all(|part| self.holds(part))
            }
            _ => true,
        }
    }
}

/// What was said of one event or timer so far.
#[derive(Default)]
pub struct SaidNow {
    said: Vec<Option<Arc<Said>>>,
    /// By place among the reads: where the value stands in `written`, packed and as JSON.
    parts: Vec<Option<[u32; 4]>>,
    written: Both,
    scratch: Both,
    approximate: Vec<usize>,
}

impl SaidNow {
    /// Another event or timer.
    pub fn clear(&mut self) {
        self.said.iter_mut().for_each(|each| *each = None);
        self.parts.iter_mut().for_each(|each| *each = None);
        self.written.clear();
    }

    /// A journey that says this enters a stage.
    pub fn entered(&mut self, p: &Program, saying: usize) {
        if !p.sayings.of[saying].steady {
            self.said[saying] = None;
        }
    }

    pub fn get(&mut self, p: &Program, c: &Customer, saying: usize, t: i64) -> Res<Arc<Said>> {
        if self.said.is_empty() {
            self.said.resize(p.sayings.of.len(), None);
            self.parts.resize(p.sayings.readings.len(), None);
        }
        if let Some(said) = &self.said[saying] {
            return Ok(said.clone());
        }
        let Saying { members, reads, approximate, .. } = &p.sayings.of[saying];
        let SaidNow { said, parts, written, scratch, approximate: places } = self;
        places.clear();
        places.extend(approximate.iter().filter(|(_, how)| merged(how, c, t)).map(|(place, _)| *place));
        let write = |place: usize, both: &mut Both| {
            let at = reads[place];
            let Reading { how, stays, sayers } = &p.sayings.readings[at];
            if !stays || *sayers < 2 {
                return both.put(&read(how, p, c, t));
            }
            let [packed, packed_end, text, text_end] = match parts[at] {
                Some(part) => part,
                None => {
                    let (packed, text) = (written.packed.len(), written.json.len());
                    written.put(&read(how, p, c, t))?;
                    let ends = [packed, written.packed.len(), text, written.json.len()];
                    *parts[at].insert(ends.map(|end| end as u32))
                }
            }
            .map(|end| end as usize);
            both.packed.extend_from_slice(&written.packed[packed..packed_end]);
            both.json.extend_from_slice(&written.json[text..text_end]);
            Ok(())
        };
        let made = Arc::new(Said::of(members, write, places, scratch)?);
        Ok(said[saying].insert(made).clone())
    }
}
