"""The benchmark behind `scripts/bench`; docs/benchmarks.md says what it measures and how. Nothing imports it."""
