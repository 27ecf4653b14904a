"""`python -m journey_stream` is `journey-stream`."""

from journey_stream.cli import main

main()
