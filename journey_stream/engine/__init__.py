"""The engine: states of customers + events or time -> new states + records. Pure, deterministic, in memory.

    program = compile_program(journeys, vocabulary, EngineOptions(...))     # program.py, once
    partition = Partition(program)                # partition.py, one per keyed partition
    partition.load(key, blob)             for everything at rest (None: tombstone), layouts included
    partition.apply(event, now, late=...) one event; never raises, see `Drained.rejected`
    partition.fire(until, now, limit)     timers due up to `until`, in order; EngineError if one fails twice
    partition.next_due                    never later than the earliest timer
    partition.drain() -> Drained          records, changes, rejected, counts, unknown

What `drain().changes` holds goes to the changelog as it is and comes back through `load` as it is: beside
the persons there is now and then a key that begins with a NUL character (`LAYOUT_KEY`), which lets states
outlive a change of the definitions. A forgotten person is (person, None) in the changes, and in the records
one `StageNow` with `stage` None per journey.

The way of an event: `partition` (duplicates, due timers) -> `step` (the order of things, once, in one place)
-> `attributes` (`folds`, `windows`, `spans`), `arming`, `profile` -> `records`. `tables` is what definitions
become, `program`, `building`, `rules`, `scope`, `paths` make them; `state` and `layout` are the bytes at
rest.
"""
