//! The compiled core of journey_stream. The Python package is the reference; every room here says which of its
//! modules it follows, and the tests hold both to the same bytes.

#![allow(clippy::type_complexity, clippy::too_many_arguments)]

mod arming;
mod attrs;
mod batch;
mod below;
mod core;
mod customer;
mod decode;
mod decoding;
mod described;
mod encode;
mod encode_probe;
mod encode_tables;
mod event;
mod expr;
mod expr_ops;
mod expr_parse;
mod expr_text;
mod fetched;
mod folds;
mod from_python;
mod guards_probe;
mod hot;
mod ids;
mod intake;
mod joined;
mod json;
mod kept;
mod leaving;
mod moves;
mod murmur;
mod ops;
mod ops_probe;
mod packing;
mod parse;
mod partition;
mod paths;
mod profile;
mod program;
mod queue;
mod reads;
mod ready;
mod record;
mod record_id;
mod records;
mod rows;
mod said;
mod scan;
mod shared;
mod shorten;
mod spans;
mod spoken;
mod squeeze;
mod states;
mod step;
mod taking;
mod tally;
mod to_python;
mod value;
mod vocab;
mod waiting;
mod windows;
mod writing;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
fn journey_stream_native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    core::register(m)?;
    ready::register(m)?;
    decoding::register(m)?;
    fetched::register(m)?;
    shared::register(m)?;
    encode_probe::register(m)?;
    guards_probe::register(m)?;
    intake::register(m)?;
    joined::register(m)?;
    shorten::register(m)?;
    ops_probe::register(m)
}
