//! What a definition says in records, as JSON and as headers, written once: names of journeys, stages, rules.
//!
//! In: a `Program`. Out: pieces that `encode.rs` puts together.

use crate::batch::put_header;
use crate::json;
use crate::program::Program;

/// What the encoder needs to know of a journey.
pub struct JourneyNames {
    pub id: String,
    pub version: i64,
    pub stages: Vec<String>,
    pub kinds: Vec<String>,
    pub owners: Vec<Option<String>>,
}

/// ... of a signal rule.
pub struct CallNames {
    pub id: String,
    pub signal: String,
    pub kind: Option<String>,
    pub owner: Option<String>,
    pub payload: Vec<String>,
}

/// ... of a transition rule.
pub struct RulingNames {
    pub id: String,
    pub owner: Option<String>,
}

/// A text and the same as JSON.
pub struct Text {
    pub plain: String,
    pub json: Vec<u8>,
}

fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    json::text(&mut out, text);
    out
}

impl Text {
    pub fn new(plain: &str) -> Text {
        Text { plain: plain.to_string(), json: quoted(plain) }
    }
    fn opt(plain: Option<&str>) -> Option<Text> {
        plain.map(Text::new)
    }
}

pub fn put_opt(out: &mut Vec<u8>, text: Option<&Text>) {
    out.extend_from_slice(text.map_or(b"null", |text| &text.json));
}

pub struct Journey {
    pub names: JourneyNames,
    /// The first journey with this id: versions of a journey share it.
    pub same: usize,
    /// `"journey":..,"version":..,`
    pub head: Vec<u8>,
    pub stages: Vec<Text>,
    pub kinds: Vec<Text>,
    pub owners: Vec<Option<Text>>,
}

pub struct Call {
    pub names: CallNames,
    pub id: Text,
    pub signal: Text,
    pub kind: Option<Text>,
    pub owner: Option<Text>,
    pub payload: Vec<Vec<u8>>,
}

/// A sort of record, journey, stage, and the rule that may set an owner (or kind) of its own.
pub type Labels = (Sort, usize, usize, usize);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    Transition,
    Stage,
    Raised,
    Cancelled,
}

pub struct Shared {
    pub count: usize,
    pub bytes: Vec<u8>,
}

pub struct Tables {
    pub journeys: Vec<Journey>,
    /// Id and owner.
    pub rulings: Vec<(Text, Option<Text>)>,
    pub calls: Vec<Call>,
}

impl Tables {
    pub fn of(p: &Program) -> Tables {
        let journeys = p.journeys.iter().map(|j| JourneyNames {
            id: j.id.clone(),
            version: j.version,
            stages: j.stages.clone(),
            kinds: j.kinds.clone(),
            owners: j.owners.clone(),
        });
        let rulings = p.rulings.iter().map(|r| RulingNames { id: r.id.clone(), owner: r.owner.clone() });
        let calls = p.calls.iter().map(|c| CallNames {
            id: c.id.clone(),
            signal: c.signal.clone(),
            kind: c.kind.clone(),
            owner: c.owner.clone(),
            payload: c.payload.iter().map(|(name, _)| name.clone()).collect(),
        });
        Tables::new(journeys.collect(), rulings.collect(), calls.collect())
    }

    pub fn new(journeys: Vec<JourneyNames>, rulings: Vec<RulingNames>, calls: Vec<CallNames>) -> Tables {
        let journeys = journeys.into_iter().map(|names| {
            let mut head = b"\"journey\":".to_vec();
            json::text(&mut head, &names.id);
            json::put(&mut head, ",\"version\":");
            json::int(&mut head, names.version);
            head.push(b',');
            Journey {
                head,
                same: 0,
                stages: names.stages.iter().map(|stage| Text::new(stage)).collect(),
                kinds: names.kinds.iter().map(|kind| Text::new(kind)).collect(),
                owners: names.owners.iter().map(|owner| Text::opt(owner.as_deref())).collect(),
                names,
            }
        });
        let calls = calls.into_iter().map(|names| Call {
            id: Text::new(&names.id),
            signal: Text::new(&names.signal),
            // An empty one is none: `rule.kind or ...` in Python.
            kind: Text::opt(names.kind.as_deref().filter(|kind| !kind.is_empty())),
            owner: Text::opt(names.owner.as_deref()),
            payload: names.payload.iter().map(|name| json::member(name)).collect(),
            names,
        });
        let mut journeys: Vec<Journey> = journeys.collect();
        for place in 0..journeys.len() {
            let id = &journeys[place].names.id;
            journeys[place].same = journeys.iter().position(|j| j.names.id == *id).unwrap_or(place);
        }
        Tables {
            journeys,
            rulings: rulings.iter().map(|r| (Text::new(&r.id), Text::opt(r.owner.as_deref()))).collect(),
            calls: calls.collect(),
        }
    }

    /// The headers that records with these labels share (`encode._shared_headers`).
    pub fn headers(&self, (sort, journey, stage, rule): Labels) -> Shared {
        let j = &self.journeys[journey];
        let signal = matches!(sort, Sort::Raised | Sort::Cancelled).then(|| &self.calls[rule]);
        let (kind, owner) = match signal {
            Some(call) => (call.kind.as_ref(), call.owner.as_ref()),
            None if rule > 0 => (None, self.rulings[rule - 1].1.as_ref()),
            None => (None, None),
        };
        let owner = owner.or(j.owners[stage].as_ref());
        let sort_name = match sort {
            Sort::Transition => "transition",
            Sort::Stage => "stage",
            Sort::Raised | Sort::Cancelled => "signal",
        };
        let status = signal.map(|_| if sort == Sort::Cancelled { "cancelled" } else { "raised" });
        let (source, kind_of) =
            (format!("/journey_stream/{}", j.names.id), format!("journey_stream.{sort_name}.v1"));
        let all = [
            ("ce_specversion", Some("1.0")),
            ("ce_source", Some(source.as_str())),
            ("ce_type", Some(kind_of.as_str())),
            ("content-type", Some("application/json")),
            ("ce_journey", Some(j.names.id.as_str())),
            ("ce_stage", Some(j.names.stages[stage].as_str())),
            ("ce_stagekind", Some(kind.unwrap_or(&j.kinds[stage]).plain.as_str())),
            ("ce_owner", owner.map(|owner| owner.plain.as_str())),
            ("ce_signal", signal.map(|call| call.signal.plain.as_str())),
            ("ce_status", status),
        ];
        let mut shared = Shared { count: 0, bytes: Vec::new() };
        for (name, text) in all.iter().filter_map(|(name, text)| text.map(|text| (name, text))) {
            put_header(&mut shared.bytes, name, Some(text.as_bytes()));
            shared.count += 1;
        }
        shared
    }
}
