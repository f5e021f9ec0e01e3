//! Benchmarks only: see the flat files of this package.
