"""The shell on Kafka: a Faust app whose lanes read, run the core, and commit. See docs/architecture.md."""
